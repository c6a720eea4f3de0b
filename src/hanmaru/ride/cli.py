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


@app.command()
def simulate(
    scenario: Annotated[
        Path | None, typer.Argument(help="A scenario's TOML file; or --city.", show_default=False)
    ] = None,
    city: Annotated[bool, typer.Option("--city", help="The simulated city's first living zone, by default.")] = False,
    vans: Annotated[str | None, typer.Option(help="Fleets to compare: 8,10,12 or 8-12.", show_default=False)] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="insertion, assignment, search, rebalancing, full: those to compare.", show_default=False),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Simulated days of each.  [default: 5]", show_default=False)] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Find the smallest fleet for this, such as '95% under 12 min'.", show_default=False),
    ] = None,
    under: Annotated[
        float | None, typer.Option(help="Minutes of wait that count as in time.  [default: 12]", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the report (Korean, English), its data and all runs.")
    ] = None,
    json_: Json = False,
) -> None:
    """Simulate days of service with the live engine: policies and fleets side by side, or how many vans a target takes.

    Example: hanmaru ride simulate --city --target 95% --under 12 --out report
    """
    from hanmaru.ride.simulate_command import run

    run(scenario, city, vans, policy, seeds, target, under, out, json_)


@app.command()
def network(
    source: Annotated[
        str,
        typer.Argument(
            help="OpenStreetMap (.osm.pbf), links (.geojson, .csv), a saved .npz, or city:PROFILE.", show_default=False
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Where the network goes: a file ending in .npz.")] = None,
    turns: Annotated[Path | None, typer.Option(help="A table of forbidden turns for links.")] = None,
    country: Annotated[str, typer.Option(help="Whose speed limits hold where roads carry none.")] = "KR",
    stops: Annotated[
        Path | None, typer.Option(help="Choose virtual stops and write them here (.geojson, .csv).")
    ] = None,
    own_stops: Annotated[Path | None, typer.Option(help="Check a city's own stops (.geojson, .csv) on it.")] = None,
    max_walk: Annotated[float, typer.Option(help="Metres that people walk to a chosen stop.")] = 300.0,
    json_: Json = False,
) -> None:
    """Import a road network with its forbidden turns and speed limits, and say what was found and dropped.

    Example: hanmaru ride network sejong.osm.pbf --out sejong.npz --stops stops.geojson
    """
    from hanmaru.ride.roads.network_command import run

    run(source, out, turns, country, stops, own_stops, max_walk, json_)
