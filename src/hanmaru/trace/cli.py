"""``hanmaru trace``: the investigation's steps on files. Each command loads what it needs when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.console import Json

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def trace() -> None:
    """Work out stays, contacts, sources of infection and whole investigations from files.

    Example: hanmaru trace stays events.csv --out stays.csv
    """


@app.command()
def contacts(
    visits: Annotated[
        Path, typer.Argument(help="CSV or Parquet: subject,start,end,lat,lon[,radius_m,place_id].", show_default=False)
    ],
    index: Annotated[
        list[str], typer.Option(help="An index case's subject, again for each, or @FILE with one a line.")
    ],
    out: Annotated[str, typer.Option(help="Where the contacts go: a .csv or .parquet file, or - to print them.")],
    json_: Json = False,
) -> None:
    """Rank who had contact with index cases, with calibrated probabilities.

    Example: hanmaru trace contacts visits.csv --index P-0017 --out contacts.csv
    """
    from hanmaru.trace.contacts_command import run

    run(visits, index, out, json_)
