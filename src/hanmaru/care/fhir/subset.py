"""Parts of resources: ``_summary`` and ``_elements`` (R4, search.html#summary)."""

from typing import Any, Final, NamedTuple

from hanmaru.care.fhir import structure, text
from hanmaru.care.fhir.targets import Query
from hanmaru.platform.problems import Problem

_ALWAYS: Final = ("resourceType", "id", "meta")
_TAG: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_WORDS: Final = ("true", "false", "text", "data", "count")


class Asked(NamedTuple):
    """Which part is asked for: a word of ``_summary``, or the names of ``_elements``."""

    summary: str = ""
    elements: frozenset[str] = frozenset()


def asked(query: Query) -> Asked | None:
    """Return what part a query asks for; None for the whole. Raises Problem 400 for what is neither."""
    summary = next((value for name, value in query if name == "_summary"), "")
    if summary and summary not in _WORDS:
        raise Problem(400, "Not understood", f"_summary is one of {', '.join(_WORDS)}.", code="value")
    named = [one for name, value in query if name == "_elements" for one in value.split(",") if one]
    if summary in ("", "false", "count"):
        return Asked(elements=frozenset(one.rpartition(".")[2] for one in named)) if named else None
    return Asked(summary)


def apply(resource: bytes, asked: Asked) -> bytes:
    """Return a resource with no more than what is asked for and what it must have, and marked as a part."""
    whole = text.decode(resource)
    type = str(whole["resourceType"])
    must, brief = structure.parts(type)
    if asked.elements:
        kept = asked.elements | must
    elif asked.summary == "text":
        kept = must | {"text"}
    elif asked.summary == "data":
        kept = whole.keys() - {"text"}
    else:
        kept = brief | must
    part = {name: value for name, value in whole.items() if name in _ALWAYS or structure.plain(name) in kept}
    meta: dict[str, Any] = dict(whole.get("meta") or {})
    meta["tag"] = [*(meta.get("tag") or ()), _TAG]
    part["meta"] = meta
    return text.encode(part)
