"""``hanmaru care``: grading, risks and imports. Each command loads what it needs when it is used."""

from pathlib import Path
from typing import Annotated

import typer

from hanmaru.platform.console import Json

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(no_args_is_help=True, context_settings=HELP)


@app.callback()
def care() -> None:
    """Grade health screenings, compute risks, import FHIR bundles.

    Example: hanmaru care grade screenings.csv --out graded.csv
    """


@app.command()
def grade(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN.csv", help="Visits, one a row, with the documented columns.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Where the graded rows go, as CSV.", show_default=False)],
    json_: Json = False,
) -> None:
    """Grade visits by all rules, with flags for values that are unlikely or impossible.

    Example: hanmaru care grade screenings.csv --out graded.csv
    """
    from hanmaru.care.grade_command import run

    run(source, out, json_)


@app.command()
def risk(
    people: Annotated[
        list[str],
        typer.Argument(
            help="One person as name=value words with the columns' names, or a CSV file of people.", show_default=False
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Where a file's risks go, as CSV.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also the Pooled Cohort Equations, which overestimate Koreans' risk.")
    ] = False,
    json_: Json = False,
) -> None:
    """Tell risks: SCORE2, PREVENT, Framingham, the Korean diabetes score, FINDRISC; and why a model says nothing.

    Example: hanmaru care risk age_years=55 sex=male bmi=30 sbp_mmhg=140 bp_treated=no smoker=no diabetes=no
    """
    from hanmaru.care.risk_command import run

    run(people, out, compare, json_)


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="BUNDLE...", help="FHIR R4 as JSON: Bundles, resources, or NDJSON (.ndjson).", show_default=False
        ),
    ],
    url: Annotated[
        str | None, typer.Option(help="Address of a FHIR server, such as http://127.0.0.1:8000/fhir/R4.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Or a data folder, with its hub running or not.")] = None,
    client: Annotated[
        str | None, typer.Option(help="Client id for the server; its secret is taken from FHIR_CLIENT_SECRET.")
    ] = None,
    json_: Json = False,
) -> None:
    """Import FHIR resources, each Bundle whole or not at all; what was imported before is not imported twice.

    Example: hanmaru care import patients/*.json --url http://127.0.0.1:8000/fhir/R4
    """
    from hanmaru.care.import_command import run

    run(files, url, data, client, json_)
