"""``hanmaru trace``: the investigation's steps on files. Each command loads what it needs when it is used."""

import typer

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def trace() -> None:
    """Work out stays, contacts, sources of infection and whole investigations from files.

    Example: hanmaru trace stays events.csv --out stays.csv
    """
