"""``hanmaru ride``: roads, solving, checking and simulating. Each command loads what it needs when it is used."""

import typer

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def ride() -> None:
    """Plan demand-responsive transit: road networks, dial-a-ride problems, whole days of service.

    Example: hanmaru ride solve lc101.txt --json
    """
