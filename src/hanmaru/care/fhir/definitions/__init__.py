"""R4 4.0.1's tables that drive the index: search parameters, the Patient compartment, the elements' types.

Transcribed by ``tools/fhir_definitions.py`` from the specification (CC0), read when first used.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec


class Parameter(NamedTuple):
    """A search parameter of one type: ``components`` are (code, expression relative to the composite's element).

    ``numbers`` name its rows in the index: its own, or those of the parameters that it is made of; ``only`` is the
    number of the type that its references must then lead to (0: any). ``canonical``: it may lead to a
    resource by its url.
    """

    code: str
    type: str
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    number: int
    numbers: tuple[int, ...]
    only: int
    canonical: bool

    @property
    def derived(self) -> bool:
        """Whether all its rows are other parameters' rows."""
        return self.number not in self.numbers


def _read(name: str) -> Any:
    return msgspec.json.decode(Path(__file__).with_name(name).read_bytes())


@cache
def elements() -> Mapping[str, Mapping[str, str]]:
    """Return element path → name → types ("A|B"); a choice is named ``name[x]``."""
    return _read("elements.json")


@cache
def compartment() -> Mapping[str, tuple[str, ...]]:
    """Return type → codes of the parameters whose references place a resource in a Patient's compartment."""
    return {type: tuple(codes) for type, codes in _read("patient.json").items()}


@cache
def parameters() -> Mapping[str, Mapping[str, Parameter]]:
    """Return type → code → parameter for every R4 resource type; ``number`` is unique and names its rows."""
    read: dict[str, dict[str, dict[str, Any]]] = _read("search.json")
    places = {pair: 10 * at for at, pair in enumerate(((type, code) for type in read for code in read[type]), 1)}
    return {
        type: {code: _parameter(type, code, p, places) for code, p in codes.items()} for type, codes in read.items()
    }


def _parameter(type: str, code: str, p: dict[str, Any], places: Mapping[tuple[str, str], int]) -> Parameter:
    number = places[type, code]  # a composite's components take the numbers that follow
    return Parameter(
        code,
        p["type"],
        p["expression"],
        (p["only"],) if "only" in p else tuple(p.get("targets", ())),
        tuple((c, e) for c, e in p.get("components", ())),
        number,
        tuple(places[type, of] for of in p["of"]) if "of" in p else (number,),
        types()[p["only"]] if "only" in p else 0,
        p.get("canonical", False),
    )


@cache
def types() -> Mapping[str, int]:
    """Return the name of every R4 resource type → its number in the index."""
    return {type: at for at, type in enumerate(_read("search.json"), 1)}
