"""From a name to a package: the checks on the name, and the template with the name put in.

The template under ``template`` is a whole small service called ``sample-name``. Its files end in ``.tmpl``, so that no
tool takes them for the hub's own; the words in ``words`` are what differs from package to package.
"""

import keyword
import re
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from hanmaru.platform.services import ENTRY_POINT_GROUP

TEMPLATE = Path(__file__).parent / "template"

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40

RESERVED = frozenset({"hanmaru", "hub", "shell", "session", "platform", "city", "centre", "trace", "ride", "care"})
"""Names that the hub's own rooms and routes have or will have."""

Licence = Literal["Apache-2.0", "MIT"]


class ScaffoldError(Exception):
    """A package that cannot be written; the text says what to change."""


def words(name: str) -> Mapping[str, str]:
    """Return what stands in the template and what takes its place, for a service's name.

    The name is the service's, its entry point's and the distribution's; the module's has ``_`` for ``-``.
    """
    parts = name.split("-")
    return {
        "sample-name": name,
        "sample_module": "_".join(parts),
        "SampleType": "".join(part.capitalize() for part in parts),
        "Sample title": " ".join(parts).capitalize(),
    }


def check_name(name: str, taken: Collection[str]) -> None:
    """Raise ScaffoldError for a name that cannot be a service's; ``taken`` are the installed services' names."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ScaffoldError(
            f"{name!r} cannot be a service's name: take at most {LONGEST} lower-case letters and digits, "
            "words joined by '-', such as city-bikes"
        )
    if name in RESERVED or name in taken:
        raise ScaffoldError(f"there is a service {name!r} already; choose another name")
    module = words(name)["sample_module"]
    if keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise ScaffoldError(f"{module!r} is Python's own; choose another name, such as city-{name}")
    if find_spec(module) is not None:
        raise ScaffoldError(f"a package {module!r} is installed already; choose another name, such as city-{name}")


def taken_names() -> frozenset[str]:
    """Return the names of the installed services."""
    return frozenset(entry_point.name for entry_point in entry_points(group=ENTRY_POINT_GROUP))


def write(name: str, parent: Path, licence: Licence = "Apache-2.0") -> Path:
    """Write the package of a new service into ``parent / name`` and return that folder.

    Raises ScaffoldError for a name that cannot be, or where the folder exists: nothing is ever overwritten.
    """
    check_name(name, taken_names())
    folder = parent / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ScaffoldError(f"{folder} exists already; nothing was written") from None
    except OSError as error:
        raise ScaffoldError(f"{folder} cannot be made: {error.strerror}") from None
    for path, content in rendered(name, licence).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, "utf-8")
    return folder


def rendered(name: str, licence: Licence) -> dict[str, str]:
    """Return the package's files: content by path."""
    replaced = {**words(name), "SPDX-licence": licence}
    pattern = re.compile("|".join(map(re.escape, replaced)))

    def put_in(text: str) -> str:
        return pattern.sub(lambda found: replaced[found[0]], text)

    files: dict[str, str] = {}
    for source in sorted(TEMPLATE.rglob("*.tmpl")):
        path = source.relative_to(TEMPLATE).as_posix().removesuffix(".tmpl")
        kind, _, of = path.partition(".licence-")
        if of and of != licence:
            continue
        path = ".gitignore" if kind == "gitignore" else kind
        files[put_in(path)] = put_in(source.read_text("utf-8"))
    return files
