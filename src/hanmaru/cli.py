"""The command line. A command's heavy imports happen where it runs, so that ``hanmaru --help`` is quick.

Exit status 0 is done, 1 failed, 2 wrong usage. An error is one line on standard error; ``HANMARU_DEBUG=1`` adds the
traceback.
"""

import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hanmaru.config import Settings
    from hanmaru.platform.accounts_cli import Office
    from hanmaru.platform.machines_cli import Gate

HELP = {"help_option_names": ["-h", "--help"]}

Data = Annotated[Path | None, typer.Option(help="Folder of everything that is kept.  [default: data]")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one.  [default: 8000]")] = None,
    data: Data = None,
    store: Annotated[str | None, typer.Option(help="sqlite, or a postgresql:// address.  [default: sqlite]")] = None,
    web_workers: Annotated[int | None, typer.Option(help="How many processes answer requests.")] = None,
    city: Annotated[str | None, typer.Option(help="City profile: a name or a file.  [default: sejong]")] = None,
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Run the simulated city, with accounts.")
    ] = None,
) -> None:
    """Start the hub: web workers that answer and an engine worker that computes, until ctrl-C or SIGTERM.

    Example: hanmaru up --demo --port 8080
    """
    import asyncio

    from hanmaru.banner import announce, demo_made, first_token
    from hanmaru.composition import city_document, connectors_of
    from hanmaru.config import load
    from hanmaru.platform import logs
    from hanmaru.prepare import draw_map
    from hanmaru.supervisor import supervise

    settings = load(host=host, port=port, data=data, store=store, web_workers=web_workers, city=city, demo=demo)
    logs.set_up("supervisor", format=settings.log.format, level=settings.log.level)
    _finish_restore(settings)
    city_document(settings)  # what cannot work is said here, not by a worker
    connectors_of(settings)
    draw_map(settings)
    accounts, token = demo_made(settings), first_token(settings)
    asyncio.run(supervise(settings, lambda sockets: announce(settings, sockets, accounts, token)))


def config(json_: Json = False) -> None:
    """Show the settings as the command line, environment and hanmaru.toml make them; secrets are masked.

    Example: HANMARU_PORT=9000 hanmaru config --json
    """
    from hanmaru.config import load, shown

    settings = shown(load())
    if json_:
        print(json.dumps(settings, indent=2, ensure_ascii=False))
    else:
        for name, value in _flat(settings):
            print(f"{name} = {json.dumps(value, ensure_ascii=False)}")


def _user() -> typer.Typer:
    from hanmaru.platform.accounts_cli import accounts_app

    return accounts_app(_office)


@contextmanager
def _office(data: Path | None) -> "Generator[Office]":
    from hanmaru.banner import address, open_accounts
    from hanmaru.composition import city_document
    from hanmaru.locks import make_policy
    from hanmaru.platform.accounts_cli import Office
    from hanmaru.platform.audit.trail import Trail
    from hanmaru.platform.services import installed

    settings = _settings(data)
    with (
        Trail(settings.data, settings.keys_folder, "command-line") as audit,
        closing(open_accounts(settings)) as accounts,
    ):
        yield Office(
            accounts,
            audit,
            lambda: make_policy(settings, installed(city_document(settings)["services"])).roles,
            settings.public_url or address(settings, settings.port),
        )


def _client() -> typer.Typer:
    from hanmaru.platform.machines_cli import clients_app

    return clients_app(_gate)


@contextmanager
def _gate(data: Path | None) -> "Generator[Gate]":
    from hanmaru.composition import city_document
    from hanmaru.locks import make_policy
    from hanmaru.platform.audit.trail import Trail
    from hanmaru.platform.machines import Machines
    from hanmaru.platform.machines_cli import Gate
    from hanmaru.platform.services import installed

    settings = _settings(data)
    with (
        Trail(settings.data, settings.keys_folder, "command-line") as audit,
        closing(Machines(settings.data)) as machines,
    ):
        yield Gate(machines, audit, lambda: make_policy(settings, installed(city_document(settings)["services"])).roles)


def _city() -> typer.Typer:
    from hanmaru.city.cli import app

    return app


def _ingest() -> Callable[..., None]:
    from hanmaru.composition import city_document, opened, schemas
    from hanmaru.connectors.cli import ingest_command
    from hanmaru.connectors.schemas import TypeRegistry
    from hanmaru.platform.services import installed

    settings = _settings(None)

    def types() -> TypeRegistry:
        return TypeRegistry(schemas(installed(city_document(settings)["services"])))

    return ingest_command(partial(opened, settings), types)


def _connect() -> Callable[..., None]:
    from hanmaru.composition import city_document, opened, schemas
    from hanmaru.connectors.cli import connect_command
    from hanmaru.platform.services import installed

    settings = _settings(None)
    return connect_command(partial(opened, settings), lambda: schemas(installed(city_document(settings)["services"])))


def _policy() -> typer.Typer:
    from hanmaru.composition import city_document
    from hanmaru.hub.terms import CORE_TERMS
    from hanmaru.locks import policy_folders
    from hanmaru.platform.policy_cli import make_app
    from hanmaru.platform.services import installed

    settings = _settings(None)
    services = installed(city_document(settings)["services"])
    return make_app(
        lambda: policy_folders(settings, services),
        lambda: [name for service in services for name in service.permissions],
        CORE_TERMS.expand,
    )


def _audit() -> typer.Typer:
    from hanmaru.platform.audit.cli import audit_app

    def where(data: Path | None) -> tuple[Path, Path]:
        settings = _settings(data)
        return settings.data, settings.keys_folder

    return audit_app(where)


def _vault() -> typer.Typer:
    from hanmaru.platform.vault.cli import vault_app

    def where(data: Path | None) -> tuple[Path, Path]:
        settings = _settings(data)
        return settings.data, settings.keys_folder

    return vault_app(where)


def _jobs() -> typer.Typer:
    from hanmaru.composition import city_document
    from hanmaru.locks import make_jobs
    from hanmaru.platform.audit.trail import Trail
    from hanmaru.platform.jobs.cli import jobs_app
    from hanmaru.platform.jobs.client import Jobs
    from hanmaru.platform.services import installed

    def open(data: Path | None) -> Jobs:
        settings = _settings(data)
        return make_jobs(settings, installed(city_document(settings)["services"]))

    def trail(data: Path | None) -> Trail:
        settings = _settings(data)
        return Trail(settings.data, settings.keys_folder, "command-line")

    return jobs_app(open, trail)


def _backup() -> Callable[..., None]:
    from hanmaru.backup.cli import backup_command

    return backup_command


def _restore() -> Callable[..., None]:
    from hanmaru.backup.cli import restore_command

    return restore_command


def _service() -> typer.Typer:
    from hanmaru.scaffold.cli import app

    return app


ELSEWHERE: dict[str, tuple[str, Callable[[], typer.Typer | Callable[..., None]]]] = {
    "user": ("Manage the accounts that may sign in.", _user),
    "client": ("Manage the machines that may come in: OAuth 2 clients and API keys.", _client),
    "backup": ("Back up the data folder, also while the hub runs.", _backup),
    "restore": ("Put a backup in the place of the data, also while the hub runs.", _restore),
    "city": ("Make and inspect the city that the demo runs.", _city),
    "ingest": ("Bring a file into the hub.", _ingest),
    "policy": ("Check the policies, and say why they decide as they do.", _policy),
    "audit": ("Verify, search and export the audit trail.", _audit),
    "vault": ("See the vaults, rotate and back up their keys.", _vault),
    "jobs": ("See the durable workflows, and stop them.", _jobs),
    "service": ("Begin a service of your own, and see which are installed.", _service),
    "connect": ("Run the configured connectors without the rest of the hub.", _connect),
}
"""Commands that other packages define, as (help, how to load it): loaded when they are used."""


def make_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line; of those defined elsewhere, only what the arguments name is loaded."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, context_settings=HELP, pretty_exceptions_enable=False)

    @app.callback()
    def hanmaru(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        _version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Hanmaru, an open smart-city data hub (NGSI-LD) and the city services that live on it.

        Example: hanmaru up --demo
        """

    app.command()(up)
    app.command()(config)
    for name, (help, load) in ELSEWHERE.items():
        if arguments[:1] != [name]:
            app.command(name, help=help)(lambda: None)
        elif isinstance(loaded := load(), typer.Typer):
            app.add_typer(loaded, name=name, help=help)
        else:
            app.command(name)(loaded)
    return app


def main() -> None:
    """Run the command that the process's arguments ask for."""
    arguments = sys.argv[1:]
    try:
        status = make_app(arguments)(arguments, prog_name="hanmaru", standalone_mode=False)
    except KeyboardInterrupt:
        status = 130
    except Exception as error:
        if os.environ.get("HANMARU_DEBUG") == "1":
            raise
        status = _explain(error)
    sys.exit(status if isinstance(status, int) else 0)


def _explain(error: Exception) -> int:
    """Print an error as one line and return the exit status; wrong usage and configuration are 2, the rest 1."""
    from hanmaru.platform.logs import masked

    usage = getattr(error, "exit_code", 1) == 2 or type(error).__name__ == "ConfigError"
    if isinstance(error, typer.Abort):
        message = "cancelled"
    elif isinstance(error, typer.TyperException):
        message = error.format_message()
    else:
        message = str(error) or type(error).__name__
    if not _meant_for_reading(error):
        message = f"{type(error).__name__}: {message} (HANMARU_DEBUG=1 shows where)"
    message = masked(message)
    hint = "" if not usage or type(error).__name__ == "ConfigError" else "; see hanmaru --help"
    print(f"hanmaru: {' '.join(message.split()).rstrip('.')}{hint}", file=sys.stderr)
    return 2 if usage else 1


def _meant_for_reading(error: Exception) -> bool:
    return isinstance(error, typer.TyperException | typer.Abort | OSError) or type(error).__module__.startswith(
        "hanmaru."
    )


def _print_version(asked: bool) -> None:
    if asked:
        print(f"hanmaru {version('hanmaru')}")
        raise typer.Exit


def _finish_restore(settings: "Settings") -> None:
    """Carry out a restore that was decided and then interrupted."""
    if (settings.data / "run" / "restore.json").exists():
        from hanmaru.backup.swap import finish
        from hanmaru.platform import logs

        logs.set_up("restore", level="warning")
        finish(settings)


def _settings(data: Path | None) -> "Settings":
    from hanmaru.config import load

    settings = load(data=data)
    _finish_restore(settings)
    return settings


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            rows.append((prefix + name, value))
    return rows
