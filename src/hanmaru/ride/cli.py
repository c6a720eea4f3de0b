"""``hanmaru ride``: roads, solving, checking and simulating. Each command loads what it needs when it is used."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hanmaru.platform.console import Json

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def ride() -> None:
    """Plan demand-responsive transit: road networks, dial-a-ride problems, whole days of service.

    Example: hanmaru ride solve lc101.txt --json
    """


Instance = Annotated[
    Path, typer.Argument(help="An instance of Li & Lim or of Cordeau, as published.", show_default=False)
]
Form = Annotated[
    Literal["lilim", "cordeau"] | None, typer.Option("--format", help="Its format; otherwise seen from its content.")
]


@app.command()
def solve(
    instance: Instance,
    form: Form = None,
    seconds: Annotated[float, typer.Option(help="How long to search.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Where chance starts.", min=0)] = 1,
    out: Annotated[Path | None, typer.Option(help="A file for the routes, as SINTEF collects them.")] = None,
    json_: Json = False,
) -> None:
    """Solve a pick-up and delivery or dial-a-ride instance of the literature.

    Li & Lim's: fewest vehicles, then least distance. Cordeau's: least distance within ride-time limits.

    Example: hanmaru ride solve lc101.txt --seconds 10 --out lc101.sol
    """
    from hanmaru.ride.solve_command import solve

    solve(instance, form, seconds, seed, out, json_)


@app.command()
def check(
    instance: Instance,
    solution: Annotated[
        Path, typer.Argument(help="JSON of `ride solve`, or lines 'Route 1 : 5 3 7 8'.", show_default=False)
    ],
    form: Form = None,
    json_: Json = False,
) -> None:
    """Check a solution by the definitions alone, and say every rule that it breaks.

    Example: hanmaru ride check lc101.txt lc101.sol
    """
    from hanmaru.ride.solve_command import check_file

    check_file(instance, solution, form, json_)
