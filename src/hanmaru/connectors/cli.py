"""``hanmaru ingest`` and ``hanmaru connect``, as functions for the command line to mount.

``ingest_command(opener)`` and ``connect_command(opener)`` return functions for ``typer.Typer.command``; ``opener``
takes a tenant and gives, as an async context manager, a hub client that may write and the data folder.
"""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.ingest import Summary, ingest_file
from hanmaru.connectors.mapping import Mapping, load, shipped_names
from hanmaru.connectors.progress import shown
from hanmaru.connectors.run import run_connectors
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import parse_connectors
from hanmaru.connectors.tables import parse_toml
from hanmaru.hub.client import HubClient

Opener = Callable[[str], AbstractAsyncContextManager[tuple[HubClient, Path]]]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def ingest_command(opener: Opener, types: Callable[[], TypeRegistry] = TypeRegistry) -> Callable[..., None]:
    """Return ``hanmaru ingest``; ``types`` gives the entity types, with those of the installed services."""

    def ingest(
        file: Annotated[
            Path | None, typer.Argument(help="CSV, Parquet, GeoJSON, JSON or JSON lines; also .gz.")
        ] = None,
        mapping: Annotated[
            str | None, typer.Option("--mapping", "-m", help="Name of a shipped mapping, or a .toml file.")
        ] = None,
        tenant: Annotated[str, typer.Option(help="Tenant to write to.  [default: the default tenant]")] = "",
        list_: Annotated[bool, typer.Option("--list", help="List the shipped mappings.")] = False,
        json_: Json = False,
    ) -> None:
        """Bring a file into the hub; running it again continues where it stopped.

        Example: hanmaru ingest seoul_air.csv --mapping seoul_air
        """
        if list_:
            list_mappings(json_)
            return
        if file is None:
            raise typer.BadParameter("name a file, or --list to see the shipped mappings")
        chosen = load(mapping) if mapping else suggest(file)

        async def run() -> Summary:
            async with opener(tenant) as (hub, data_dir):
                with shown(file.name) as watch:
                    return await ingest_file(hub, chosen, file, data_dir, registry=types(), tenant=tenant, watch=watch)

        summary = asyncio.run(run())
        print(json.dumps(_public(summary), ensure_ascii=False) if json_ else report(summary))
        if summary.rows and not (summary.values or summary.repeated or summary.left_out) and summary.quarantined:
            raise typer.Exit(1)

    return ingest


def connect_command(opener: Opener, types: Callable[[], dict[str, Any]] = dict[str, Any]) -> Callable[..., None]:
    """Return ``hanmaru connect``; ``types`` gives the installed services' entity types by name."""

    def connect(
        config: Annotated[Path, typer.Argument(help="TOML file with the tables of connectors.")] = Path("hanmaru.toml"),
        check: Annotated[bool, typer.Option("--check", help="Only check the file and its mappings.")] = False,
        json_: Json = False,
    ) -> None:
        """Run connectors (watched files, HTTP, MQTT) until ctrl-C or SIGTERM.

        Example: hanmaru connect hanmaru.toml --check
        """
        document = parse_toml(_text(config), str(config))
        connectors = parse_connectors(document.get("connectors", []), str(config), config.parent)
        if not connectors:
            raise ConnectorError(f"{config}: there is no [[connectors]] table; see docs/how-to/ingest.md")
        listed = [{"name": c.name, "kind": c.kind, "mapping": c.mapping.name} for c in connectors]
        print(json.dumps(listed) if json_ else "\n".join("{name}  {kind}  {mapping}".format(**c) for c in listed))
        if check:
            return

        async def run() -> None:
            async with opener("") as (hub, data_dir):
                await until_stopped(run_connectors(hub, connectors, data_dir, types()))

        asyncio.run(run())

    return connect


async def until_stopped(work: Any) -> None:
    """Run a coroutine until it ends or the process is asked to stop (SIGINT, SIGTERM)."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def suggest(file: Path) -> Mapping:
    """Return the one shipped mapping that is made for files of this name; ConnectorError when there is not one."""
    found = [m for m in map(load, shipped_names()) if any(fnmatchcase(file.name, pattern) for pattern in m.files)]
    if len(found) != 1:
        names = " or ".join(m.name for m in found) or "NAME (hanmaru ingest --list shows them) or a .toml file"
        raise ConnectorError(f"{file.name}: say how to read it: --mapping {names}")
    return found[0]


def list_mappings(as_json: bool) -> None:
    """Print the shipped mappings."""
    mappings = [load(name) for name in shipped_names()]
    if as_json:
        found = [
            {"name": m.name, "type": m.type, "mode": m.mode, "files": list(m.files), "title": dict(m.title)}
            for m in mappings
        ]
        print(json.dumps(found, ensure_ascii=False))
        return
    for m in mappings:
        print(f"{m.name:30} {m.type:24} {m.mode:7} {' / '.join(m.title.values())}")


def report(s: Summary) -> str:
    """Return what a run did, for a person."""
    lines = [f"{s.source}: {s.rows:,} rows, {s.values:,} values written in {s.seconds:.1f} s ({s.rate:,.0f} values/s)"]
    if s.note:
        lines.insert(0, f"note: {s.note}")
    if s.resumed_after_row:
        lines.append(f"continued after row {s.resumed_after_row:,}")
    if s.repeated:
        lines.append(f"{s.repeated:,} values were in the hub already")
    if s.left_out:
        lines.append(f"{s.left_out:,} rows or cells say nothing and were left out")
    if s.quarantined:
        lines.append(f"{s.quarantined:,} rows quarantined in {s.quarantine}, such as:")
        lines += [f"  {example}" for example in s.examples]
    return "\n".join(lines)


def _public(summary: Summary) -> dict[str, Any]:
    return {**asdict(summary), "seconds": round(summary.seconds, 3), "rate": round(summary.rate, 1)}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConnectorError(f"{path}: cannot be read: {error}") from None
