"""What a citizen's resources say, as values; their shapes are in ``docs/reference/care-fhir.md``."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Final

from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.visits.measures import LEAST, MEAN, MOST
from hanmaru.platform.services import Text

COLUMN: Final = "urn:hanmaru:care:column"
RULE: Final = "urn:hanmaru:care:rule"
BAND: Final = "urn:hanmaru:care:band"
LEVEL: Final = "urn:hanmaru:care:level"
TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"

Resource = Mapping[str, Any]
_NOTHING: Final[Resource] = {}

_BY_LOINC: Final = {(column.system, column.code): name for name, column in COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """One value that was measured, in its column's unit; ``at`` is an instant as FHIR writes it."""

    column: str
    value: float
    at: str
    encounter: str
    by_hand: bool
    unlikely: bool


@dataclass(frozen=True, slots=True)
class Grade:
    """What a rule said of a visit, as the citizen was told it; ``inputs`` are the values that it was given."""

    rule: str
    version: str
    title: Text
    value: float | None
    unit: str
    band: str
    level: str
    text: Text
    inputs: Mapping[str, float]
    source: str
    cannot: str
    at: str
    encounter: str


def part(resource: Resource | None, element: str) -> Resource:
    """Return an element that is an object; an empty one where it is not there."""
    return (resource or _NOTHING).get(element) or _NOTHING


def reference(resource: Resource, element: str) -> str:
    """Return what an element refers to (``Encounter/7``); nothing where it is not there."""
    return str(part(resource, element).get("reference", ""))


def code(concept: Resource | None, system: str) -> str:
    """Return a concept's code in a system; nothing where it has none."""
    return next(
        (str(c.get("code", "")) for c in (concept or _NOTHING).get("coding", ()) if c.get("system") == system), ""
    )


def told(concept: Resource | None, element: str = "text") -> dict[str, str]:
    """Return a text with its translations by language. The text itself is Korean."""
    given = concept or _NOTHING
    found = {"ko": str(given.get(element, ""))}
    for extension in part(given, f"_{element}").get("extension", ()):
        parts = (
            {str(p.get("url")): p for p in extension.get("extension", ())}
            if extension.get("url") == TRANSLATION
            else {}
        )
        if "lang" in parts and "content" in parts:
            found[str(parts["lang"].get("valueCode", ""))] = str(parts["content"].get("valueString", ""))
    return {"en": found["ko"], **found}


def instant(text: object) -> str:
    """Return a FHIR dateTime as an instant in UTC (…Z); of one that is a day, month or year its beginning.

    Nothing for what is no dateTime.
    """
    parts = str(text or "")
    whole = parts + {4: "-01-01T00:00:00Z", 7: "-01T00:00:00Z", 10: "T00:00:00Z"}.get(len(parts), "")
    try:
        found = datetime.fromisoformat(whole)
        return found.astimezone(UTC).isoformat().replace("+00:00", "Z") if found.tzinfo else ""
    except (ValueError, OverflowError):
        return ""


def measured(observations: Iterable[Resource]) -> Iterator[Measured]:
    """Yield the values of Observations that are measurements; one of blood pressure has two."""
    for one in observations:
        if one.get("status") in ("entered-in-error", "cancelled") or code(one.get("code"), RULE):
            continue
        at = instant(one.get("effectiveDateTime") or part(one, "effectivePeriod").get("start") or one.get("issued"))
        for each in (one, *one.get("component", ())):
            column, value = _column(each.get("code")), part(each, "valueQuantity").get("value")
            if at and column and value is not None:
                yield Measured(
                    column=column,
                    value=float(value),
                    at=at,
                    encounter=reference(one, "encounter"),
                    by_hand=code(one.get("method"), "urn:hanmaru:care:how") == "manual",
                    unlikely=_extension(one, "urn:hanmaru:care:flag", "valueCode") == "unlikely",
                )


def taken(values: Iterable[Measured]) -> list[Measured]:
    """Return one value for each column and visit, oldest first: as a visit is graded.

    Repeated pressures are averaged (Korean Society of Hypertension 2022), of tries at strength and fitness the best
    counts, of anything else the last.
    """
    found: dict[tuple[str, str], list[Measured]] = {}
    for one in sorted(values, key=lambda value: value.at):
        found.setdefault((one.column, one.encounter or one.at), []).append(one)
    return sorted((_taken(column, each) for (column, _), each in found.items()), key=lambda value: value.at)


def _taken(column: str, values: list[Measured]) -> Measured:
    if column in MEAN:
        return replace(values[-1], value=round(fmean(one.value for one in values), 1))
    best = min if column in LEAST else max if column in MOST else None
    return best(values, key=lambda one: one.value) if best else values[-1]


def grades(observations: Iterable[Resource]) -> Iterator[Grade]:
    """Yield what rules said, of Observations that are grades."""
    for one in observations:
        if (rule := code(one.get("code"), RULE)) and one.get("status") not in ("entered-in-error", "cancelled"):
            coding = next(c for c in one["code"]["coding"] if c.get("system") == RULE)
            parts = {code(p.get("code"), COLUMN): part(p, "valueQuantity") for p in one.get("component", ())}
            amount = parts.pop("value", _NOTHING)
            concept = one.get("valueCodeableConcept")
            yield Grade(
                rule=rule,
                version=str(coding.get("version", "")),
                title=told(one["code"]),
                value=None if amount.get("value") is None else float(amount["value"]),
                unit=str(amount.get("unit", "")),
                band=code(concept, BAND),
                level=next((found for i in one.get("interpretation", ()) if (found := code(i, LEVEL))), "info"),
                text=told(concept),
                inputs={name: float(given["value"]) for name, given in parts.items() if given.get("value") is not None},
                source=_extension(one, "urn:hanmaru:care:source", "valueString"),
                cannot=_extension(one, "urn:hanmaru:care:cannot", "valueString"),
                at=instant(one.get("effectiveDateTime")),
                encounter=reference(one, "encounter"),
            )


def _column(concept: Resource | None) -> str:
    for coding in (concept or _NOTHING).get("coding", ()):
        if coding.get("system") == COLUMN and coding.get("code") in COLUMNS:
            return str(coding["code"])
    for coding in (concept or _NOTHING).get("coding", ()):
        if found := _BY_LOINC.get((str(coding.get("system")), str(coding.get("code")))):
            return found
    return ""


def _extension(resource: Resource, url: str, value: str) -> str:
    return next((str(e.get(value, "")) for e in resource.get("extension", ()) if e.get("url") == url), "")
