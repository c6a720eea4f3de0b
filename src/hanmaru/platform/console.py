"""What the commands share: the options ``--data`` and ``--json``, and printing a result one way or the other."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

Data = Annotated[Path | None, typer.Option(help="Folder of everything that is kept.  [default: data]")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def say(result: object, text: str, as_json: bool) -> None:
    """Print a result: as JSON, or as a text for people."""
    print(msgspec.json.encode(result).decode() if as_json else text)
