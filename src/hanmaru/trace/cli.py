"""``hanmaru trace``: the investigation's steps on files. Each command loads what it needs when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.console import Data, Json

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def trace() -> None:
    """Work out stays, contacts, sources of infection and whole investigations from files.

    Example: hanmaru trace stays events.csv --out stays.csv
    """


@app.command()
def stays(
    events: Annotated[
        Path, typer.Argument(help="CSV or Parquet: subject,time,lat,lon[,accuracy_m][,cell_id].", show_default=False)
    ],
    out: Annotated[str, typer.Option(help="Where the stays go: a .csv or .parquet file, or - to print them.")],
    min_minutes: Annotated[float, typer.Option(help="Shorter stays are left out.")] = 15.0,
    distance_m: Annotated[
        float | None, typer.Option(help="Use the classic rule instead: positions within this distance of the first.")
    ] = None,
    json_: Json = False,
) -> None:
    """Find where people were, from when to when, in positions with error.

    Example: hanmaru trace stays events.csv --out stays.csv
    """
    from hanmaru.trace.stays_command import run

    run(events, out, min_minutes, distance_m, json_)


@app.command()
def contacts(
    visits: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet: subject,start,end,lat,lon[,radius_m,place_id]; or an index's folder.",
            show_default=False,
        ),
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


Events = Annotated[
    list[Path],
    typer.Argument(help="Parquet files, or folders of them: subject,time,lat,lon,cell_id.", show_default=False),
]
Engine = Annotated[str, typer.Option(help="duckdb, or a Spark master such as spark://host:7077.")]


@app.command()
def index(
    events: Events,
    out: Annotated[Path, typer.Option(help="The index's folder, a new one.")],
    engine: Engine = "duckdb",
    json_: Json = False,
) -> None:
    """Index everybody's visits of a day or more, so that contacts of a case are found in seconds.

    Example: hanmaru trace index phone/day=2026-03-02 --out index-2026-03-02
    """
    from hanmaru.trace.lake.command import index

    index(events, out, engine, json_)


@app.command()
def present(
    events: Events,
    windows: Annotated[Path, typer.Option(help="Where and when: area,cell_id,start,end.")],
    out: Annotated[str, typer.Option(help="Where the people go: a .csv or .parquet file, or - to print them.")],
    minutes: Annotated[float, typer.Option(help="How long somebody has to have been there.")] = 30.0,
    engine: Engine = "duckdb",
    json_: Json = False,
) -> None:
    """List who was at some cells for some time: what a request for people near a place asks a carrier.

    Example: hanmaru trace present phone/day=2026-03-02 --windows club.csv --minutes 30 --out people.csv
    """
    from hanmaru.trace.lake.command import people

    people(events, windows, minutes, out, engine, json_)


@app.command()
def links(
    cases: Annotated[
        Path, typer.Argument(help="CSV or Parquet: case_id,onset[,attribute columns].", show_default=False)
    ],
    out: Annotated[str, typer.Option(help="Where the links go: a .csv or .parquet file, or - to print them.")],
    visits: Annotated[
        Path | None, typer.Option(help="Visits of the cases: subject,start,end (or date),lat,lon[,place_id].")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="Known contacts: case_id,contact_id[,date][,probability].")
    ] = None,
    disease: Annotated[
        str,
        typer.Option(help="covid-19, mers, measles or ebola; auto takes what fits the onsets best of the first three."),
    ] = "auto",
    json_: Json = False,
) -> None:
    """Work out who probably infected whom, every plausible infector with a probability.

    Example: hanmaru trace links cases.csv --disease measles --out links.csv
    """
    from hanmaru.trace.links_command import run

    run(cases, visits, contacts, disease, out, json_)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write to: a new one, or empty.", show_default=False)],
    people: Annotated[int, typer.Option(help="How many of the city's people, about: a dense sample.")] = 4000,
    days: Annotated[int, typer.Option(help="How many days.")] = 3,
    start: Annotated[str, typer.Option(help="The first day.")] = "2026-03-02",
    seed: Annotated[int, typer.Option(help="The seed of what is recorded.")] = 1,
    layout: Annotated[str, typer.Option(help="The cells' layout: A, or B to score with.")] = "A",
    cases: Annotated[int, typer.Option(help="How many reported cases get a folder, at most.")] = 10,
    city: Annotated[str, typer.Option(help="A built-in city profile, or the path of one.")] = "sejong",
    json_: Json = False,
) -> None:
    """Write the test city: what phones, cards, QR codes and cameras record of it, cases, and the truth beside it.

    Example: hanmaru trace synth build/test-city --people 4000 --days 3 --cases 10
    """
    from hanmaru.trace.synth.command import run

    run(out, people, days, start, seed, layout, cases, city, json_)


@app.command()
def investigate(
    case_dir: Annotated[
        Path, typer.Argument(help="A case's folder: case.toml, tables of evidence, approval.jwt.", show_default=False)
    ],
    authority: Annotated[
        Path | None,
        typer.Option(help="Public key of approvals (PEM).  [default: services/trace/authority.pem in the data folder]"),
    ] = None,
    data: Data = None,
    test_data: Annotated[
        bool, typer.Option("--test-data", help="The evidence is nobody's: needs no approval, marks every output.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where the results go.  [default: results in CASE_DIR]")] = None,
    json_: Json = False,
) -> None:
    """Work out a case's route, contacts, hotspots and cameras from all of its approved evidence.

    Example: hanmaru trace investigate cases/2026-0017 --authority authority.pem
    """
    from hanmaru.trace.evidence.command import run

    run(case_dir, authority, data or Path("data"), test_data, out, json_)
