"""The command line. A command's heavy imports happen where it runs, so that ``hanmaru --help`` is quick.

Exit status 0 is done, 1 failed, 2 wrong usage. An error is one line on standard error; ``HANMARU_DEBUG=1`` adds the
traceback.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from hanmaru.commands import COMMANDS, Commands
from hanmaru.platform.console import Data, Json

HELP = {"help_option_names": ["-h", "--help"]}


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
    from hanmaru.commands import finish_restore
    from hanmaru.composition import connectors_of, services_of
    from hanmaru.config import load
    from hanmaru.locks import make_policy
    from hanmaru.platform import logs
    from hanmaru.prepare import draw_map
    from hanmaru.supervisor import supervise

    settings = load(host=host, port=port, data=data, store=store, web_workers=web_workers, city=city, demo=demo)
    logs.set_up("supervisor", format=settings.log.format, level=settings.log.level)
    finish_restore(settings)
    make_policy(settings, services_of(settings))  # what cannot work is said here, not by a worker
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
    for name, (help, load) in (COMMANDS if arguments[:1] and arguments[0] in COMMANDS else _with_rooms()).items():
        if arguments[:1] != [name]:
            app.command(name, help=help)(lambda: None)
        elif isinstance(loaded := load(), typer.Typer):
            app.add_typer(loaded, name=name, help=help)
        else:
            app.command(name)(loaded)
    return app


def _with_rooms() -> Commands:
    """Return the commands with those that installed services bring; ours go first."""
    from hanmaru.platform.services import installed

    brought = {one.name: (one.title["en"] + ".", one.commands) for one in installed() if one.commands}
    return brought | COMMANDS


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
    if not message:  # the help has been shown
        return 2
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


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            rows.append((prefix + name, value))
    return rows
