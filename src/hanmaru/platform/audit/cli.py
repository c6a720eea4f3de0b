"""``hanmaru audit``: verify the trail, search it, take records out of it. Using it is itself recorded."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hanmaru.platform.audit.anchor import make_anchor
from hanmaru.platform.audit.api import shown
from hanmaru.platform.audit.export import ANCHOR, check_export, export
from hanmaru.platform.audit.index import MOST_FOUND, Found, Index, Query, instant
from hanmaru.platform.audit.lines import chains, segments
from hanmaru.platform.audit.reader import TrailReader
from hanmaru.platform.audit.record import Record, at_command_line
from hanmaru.platform.audit.seal import private_key
from hanmaru.platform.audit.seal import public_key as read_public_key
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.audit.verify import verify as verify_trail
from hanmaru.platform.console import Data, Json

Where = Callable[[Path | None], tuple[Path, Path]]

PublicKey = Annotated[
    Path | None, typer.Option(help="The trail's public key (audit/public.pem), to check without the folder of keys.")
]
Subject = Annotated[str | None, typer.Option(help="Only about this pseudonym's data.")]
Who = Annotated[str | None, typer.Option(help="Only by this account, machine or job.")]
Action = Annotated[str | None, typer.Option(help="Only this action, such as vault.read.")]
Decision = Annotated[Literal["allow", "deny"] | None, typer.Option(help="Only what was allowed, or denied.")]
From = Annotated[str | None, typer.Option("--from", help="From this date or time on; UTC unless it has a zone.")]
To = Annotated[str | None, typer.Option("--to", help="Before this date or time.")]


def audit_app(where: Where) -> typer.Typer:
    """Return the commands; ``where`` takes what ``--data`` names to the folders of data and of keys."""
    app = typer.Typer(no_args_is_help=True, help="Verify, search and export the audit trail.")

    @app.command()
    def verify(  # pyright: ignore[reportUnusedFunction] - registered by the decorator, as are those below
        anchor: Annotated[
            list[Path] | None, typer.Option(help="An anchor that was kept elsewhere; may be given again.")
        ] = None,
        public_key: PublicKey = None,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Check every record, file, signature and seal of the trail; exit status 1 if anything was changed.

        Example: hanmaru audit verify --anchor /mnt/notary/2026-11.anchor.json
        """
        folder, keys = where(data)
        with _bar("verifying") as (progress, _):
            known = keys if public_key is None else None
            report = verify_trail(folder, known, public=public_key, anchors=anchor or (), progress=progress)
        if public_key is None:
            found = {"ok": str(report.ok).lower(), "findings": str(len(report.findings) + report.more)}
            _note(folder, keys, "audit.verify", "audit verify", detail=found)
            TrailReader(folder, keys).keep(report)
        if json_:
            print(msgspec.json.encode({**msgspec.to_builtins(report), "ok": report.ok}).decode())
        else:
            for finding in report.findings:
                print(f"{'' if finding.grave else 'note: '}{finding}")
            if report.more:
                print(f"and {report.more} findings more")
            judged = "unchanged" if report.ok else "CHANGED"
            print(f"{judged}: {report.records:,} records in {report.chains} chains, {report.seconds:.1f} s")
        raise typer.Exit(0 if report.ok else 1)

    @app.command()
    def search(  # pyright: ignore[reportUnusedFunction]
        subject: Subject = None,
        who: Who = None,
        action: Action = None,
        decision: Decision = None,
        from_: From = None,
        to: To = None,
        limit: Annotated[int, typer.Option(min=1, max=MOST_FOUND, help="How many at most, newest first.")] = 100,
        rebuild: Annotated[bool, typer.Option(help="Make the index anew from the trail first.")] = False,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Find records, newest first; exit status 1 if one that is shown was changed.

        Example: hanmaru audit search --subject s-01HZX --action vault.read --from 2026-11-01
        """
        folder, keys = where(data)
        query = _query(subject, who, action, decision, from_, to, limit)
        _note(folder, keys, "audit.search", "audit search", subjects=_given(subject), detail=_only(query))
        index = Index(folder / "audit")
        if rebuild:
            index.rebuild()
        with _bar("indexing") as (_, advance):
            advance(0, index.behind())
            index.catch_up(progress=advance)
        page = index.search(query)
        if json_:
            for found in page.records:
                print(msgspec.json.encode(shown(found)).decode())
        else:
            for found in page.records:
                print(_line(found))
        if page.next:
            print("there are more; narrow the search or raise --limit", file=sys.stderr)
        if not all(found.sound for found in page.records):
            print("hanmaru: records shown as CHANGED are not as they were written; run audit verify", file=sys.stderr)
            raise typer.Exit(1)

    @app.command("export")
    def export_(  # pyright: ignore[reportUnusedFunction]
        out: Annotated[Path, typer.Option(help="File to write; its anchor is written beside it.")],
        format: Annotated[Literal["jsonl", "csv"], typer.Option(help="JSON lines, or CSV.")] = "jsonl",
        subject: Subject = None,
        who: Who = None,
        action: Action = None,
        decision: Decision = None,
        from_: From = None,
        to: To = None,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Write records to a file, oldest first, with a signed anchor beside it to check both by.

        Example: hanmaru audit export --from 2026-11-01 --to 2026-12-01 --format csv --out november.csv
        """
        folder, keys = where(data)
        query = _query(subject, who, action, decision, from_, to)
        what = f"audit export {out.name}"
        _note(folder, keys, "audit.export", what, subjects=_given(subject), detail=_only(query))
        with _bar("exporting") as (_, advance):
            advance(0, _size(folder / "audit"))
            records, changed = export(folder, keys, query, out, format, advance)
        anchor = out.with_name(out.name + ANCHOR)
        result = {"file": str(out), "anchor": str(anchor), "records": records, "changed": changed}
        print(json.dumps(result) if json_ else f"{records:,} records to {out}, anchor {anchor}")
        if changed:
            print(f"hanmaru: {changed} of them were changed in the trail; run audit verify", file=sys.stderr)
            raise typer.Exit(1)

    @app.command()
    def check(  # pyright: ignore[reportUnusedFunction]
        file: Annotated[Path, typer.Argument(help="A file that audit export wrote, its anchor beside it.")],
        public_key: PublicKey = None,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Check that an export is as it was written; exit status 1 if it was changed.

        Example: hanmaru audit check november.csv --public-key public.pem
        """
        key = read_public_key(public_key.read_bytes()) if public_key else private_key(where(data)[1]).public_key()
        findings = check_export(file, key)
        if json_:
            print(msgspec.json.encode({"ok": not findings, "findings": findings}).decode())
        else:
            print("\n".join(map(str, findings)) or f"unchanged: {file}")
        raise typer.Exit(1 if findings else 0)

    @app.command()
    def anchor(  # pyright: ignore[reportUnusedFunction]
        out: Annotated[Path, typer.Option(help="File to write; keep it where nobody who runs the hub can change it.")],
        data: Data = None,
    ) -> None:
        """Write a signed statement of how far every chain has come, for later verification.

        Example: hanmaru audit anchor --out /mnt/notary/2026-11-23.anchor.json
        """
        folder, keys = where(data)
        _note(folder, keys, "audit.anchor", f"audit anchor {out.name}")
        with out.open("xb") as file:
            file.write(make_anchor(keys).encode())

    return app


def _note(data: Path, keys: Path, action: str, what: str, **facts: Any) -> None:
    """Record that somebody looks, where there is a trail; raises TrailError when that cannot be written.

    ``facts`` are further members of `Record`.
    """
    if (data / "audit").is_dir():
        with Trail(data, keys, "cli") as trail:
            trail.record(Record(at_command_line(), action, what, **facts))


def _query(
    subject: str | None,
    who: str | None,
    action: str | None,
    decision: Literal["allow", "deny"] | None,
    from_: str | None,
    to: str | None,
    limit: int = 100,
) -> Query:
    try:
        since, until = (instant(text) if text is not None else None for text in (from_, to))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return Query(subject, who, action, decision, since, until, limit)


def _given(subject: str | None) -> tuple[str, ...]:
    return () if subject is None else (subject,)


def _only(query: Query) -> dict[str, str]:
    limits = ("who", "action", "decision", "since", "until")
    return {name: str(value) for name in limits if (value := getattr(query, name)) is not None}


def _line(found: Found) -> str:
    entry = found.entry
    parts = [
        *([] if found.sound else ["CHANGED"]),
        *(entry.at, entry.who, entry.action, entry.decision, entry.what),
        *([f"for {entry.purpose!r}"] if entry.purpose else []),
        *([f"about {' '.join(entry.subjects)}"] if entry.subjects else []),
        *([f"from {entry.where}"] if entry.where else []),
        *(f"{name}={value}" for name, value in entry.detail.items()),
        f"[{entry.chain} {entry.seq}]",
    ]
    return "  ".join("".join(c if c.isprintable() else "�" for c in part) for part in parts)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for name in chains(folder) for path in segments(folder / name))


@contextmanager
def _bar(title: str) -> Generator[tuple[Callable[[int, int], None], Callable[..., None]]]:
    """Show a progress bar on standard error; gives a function to tell it done and total, and one to advance it."""
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        def advance(taken: int, total: int | None = None) -> None:
            if total is not None:
                bar.update(task, total=total)
            bar.advance(task, taken)

        yield tell, advance
