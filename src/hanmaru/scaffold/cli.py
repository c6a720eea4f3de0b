"""``hanmaru service``: begin a service's package, and list what is installed."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from hanmaru.platform.console import Json
from hanmaru.platform.services import ENTRY_POINT_GROUP, Service
from hanmaru.scaffold.package import Licence, write

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    no_args_is_help=True,
    help="Begin a service of your own, and see which are installed.",
    context_settings=HELP,
    add_completion=False,
)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The service's name: lower-case words joined by '-'.")],
    folder: Annotated[Path, typer.Option(help="The folder to put the package's folder into.")] = Path(),
    licence: Annotated[Licence, typer.Option(help="The package's licence.")] = "Apache-2.0",
    json_: Json = False,
) -> None:
    """Write a package that runs, tests itself and can be published: change it into your service.

    Example: hanmaru service new city-bikes
    """
    made = write(name, folder, licence)
    if json_:
        files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
        print(json.dumps({"name": name, "folder": str(made), "files": files}, ensure_ascii=False))
    else:
        print(f"wrote {made}; now: cd {made} && pip install -e '.[test]' && pytest && hanmaru up")


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the installed services with the package that each comes from.

    Example: hanmaru service list
    """
    found: list[dict[str, Any]] = []
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        row: dict[str, Any] = {
            "name": entry_point.name,
            "package": entry_point.dist.name if entry_point.dist else "",
            "version": entry_point.dist.version if entry_point.dist else "",
        }
        try:
            loaded = entry_point.load()
            if not isinstance(loaded, Service):
                raise TypeError(f"{entry_point.value} is no Service")
            row["title"] = dict(loaded.title)
        except Exception as error:  # whatever a stranger's package raises
            row["problem"] = f"{type(error).__name__}: {error}"
        found.append(row)
    if json_:
        print(json.dumps(found, ensure_ascii=False))
        return
    for row in found:
        about = row.get("problem") or " / ".join(row["title"].values())
        print(f"{row['name']:20} {row['package']} {row['version']}  {about}")
