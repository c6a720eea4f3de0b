"""R4's tables that validation walks along, and the parts of resources: ``definitions/structure.json``, read when used.

Transcribed by ``tools/fhir_structures.py`` from the specification (CC0).
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec


class Fact(NamedTuple):
    """What is to be known of an element.

    ``type`` is that of what it holds, ``*`` for a resource and "" for a primitive; ``codes`` what a required binding
    leaves, by system, and ``every`` the same without systems; ``targets`` the types that a reference may lead to, None
    for any; ``kind`` is ``date`` for what has a day and ``uri`` for addresses.
    """

    type: str = ""
    codes: Mapping[str, frozenset[str]] | None = None
    every: frozenset[str] = frozenset()
    targets: frozenset[str] | None = None
    kind: str = ""


@cache
def _read() -> Any:
    return msgspec.json.decode(files("hanmaru.care.fhir.definitions").joinpath("structure.json").read_bytes())


@cache
def tables() -> Mapping[str, Mapping[str, Fact]]:
    """Return type, or path of a part → element → fact."""
    raw = _read()
    codes = {
        url: {system: frozenset[str](some) for system, some in systems.items()} for url, systems in raw["codes"].items()
    }

    def fact(one: Mapping[str, Any]) -> Fact:
        bound = codes[one["b"]] if "b" in one else None
        every = frozenset[str]().union(*bound.values()) if bound else frozenset[str]()
        targets = frozenset[str](one["r"]) if "r" in one else None
        return Fact(one.get("t", ""), bound, every, targets, one.get("k", ""))

    return {type: {name: fact(one) for name, one in elements.items()} for type, elements in raw["types"].items()}


@cache
def parts(type: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the elements that a resource of a type must have, and those of its summary."""
    found = _read()["parts"][type]
    return frozenset(found["m"]), frozenset(found["s"])


def plain(name: str) -> str:
    """Return an element's name without what accompanies primitives: ``_status`` belongs to ``status``."""
    return name.removeprefix("_")
