"""``hanmaru centre``: an agency's receiving desk. Each command loads what it needs when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.console import Json, say

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def centre() -> None:
    """Work beside the city information centre.

    Example: hanmaru centre agency ./desk --port 8400
    """


@app.command()
def agency(
    folder: Annotated[Path, typer.Argument(help="Where hand-overs and the secret are kept.", show_default=False)],
    port: Annotated[int, typer.Option(help="Port on this machine.", min=0, max=65535)] = 8400,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    by_hand: Annotated[
        bool, typer.Option("--by-hand", help="A person accepts each hand-over, instead of the desk at once.")
    ] = False,
    city: Annotated[
        str | None, typer.Option(help="The city that people's receipts go to, with the key in HANMARU_AGENCY_KEY.")
    ] = None,
    json_: Json = False,
) -> None:
    """Run a receiving desk for an agency without a system: takes signed hand-overs, keeps each once, shows them.

    The secret that hand-overs are signed with is in FOLDER/secret; it is made at the first start.

    Example: hanmaru centre agency ./desk --port 8400
    """
    import asyncio
    import os
    import secrets

    from hanmaru.centre.agencies.desk import Desk, serve
    from hanmaru.platform.disk import write_once

    key = os.environ.get("HANMARU_AGENCY_KEY", "")
    if city and not key:
        raise typer.BadParameter("set HANMARU_AGENCY_KEY to the key of the agency's machine")
    path = folder / "secret"
    try:
        write_once(path, secrets.token_hex(32).encode())
        desk = Desk(folder, path.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{folder} cannot be used: {error}") from None
    say(
        {"endpoint": f"http://{host}:{port}/hand-overs", "secret": str(path)},
        f"Hand-overs at http://{host}:{port}/hand-overs, shown at http://{host}:{port}/, secret in {path}",
        json_,
    )
    try:
        asyncio.run(serve(desk, host, port, automatic=not by_hand, city=city, key=key))
    finally:
        desk.close()


@app.command()
def model(
    data: Annotated[Path, typer.Option(help="The hub's data folder.")] = Path("data"),
    file: Annotated[
        Path | None, typer.Option("--from", help="A file fetched elsewhere, instead of the internet.")
    ] = None,
    json_: Json = False,
) -> None:
    """Fetch the detector of persons and vehicles (1 MB, BSD-3-Clause) from its project, with its checksum.

    Example: hanmaru centre model --data data
    """
    from hanmaru.centre.cctv import models
    from hanmaru.centre.domain import CentreError

    folder = data / "services" / "centre"
    try:
        path = models.fetch(folder) if file is None else models.keep(folder, file.read_bytes())
    except (CentreError, OSError) as error:
        typer.echo(f"hanmaru: {error}", err=True)
        raise typer.Exit(1) from None
    say({"path": str(path), "sha256": models.SHA256}, f"The detector is in {path}; restart the hub to use it.", json_)
