"""Rows of the index out of elements of a resource: one maker for each FHIR type that a search parameter can find."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Final, NamedTuple, cast

from hanmaru.care.fhir.dates import FIRST, LAST, bounds
from hanmaru.care.fhir.definitions import types
from hanmaru.care.fhir.quantities import canonical, number_of
from hanmaru.care.fhir.strings import digest, folded


class IndexRows(NamedTuple):
    """The rows of one resource, by table, without its key; ``patients`` are the Patient compartments it is in.

    tokens (number, code, system, part) · references (number, id, type, version, part) · dates (number, low, high,
    part) · quantities (number, canonical unit, canonical low, canonical high, low, high, system and code, code, unit,
    part) · strings (number, folded, exact, part). Systems and units are :func:`digest` values.
    """

    patients: tuple[str, ...]
    tokens: list[tuple[int, str, int, int]]
    references: list[tuple[int, str, int, str, int]]
    dates: list[tuple[int, int, int, int]]
    quantities: list[tuple[int, int, float, float, float, float, int, int, int, int]]
    strings: list[tuple[int, str, str, int]]


def fused(number: int, code: str) -> int:
    """Return the number under which a composite's quantities of one code lie together (``part``: the code's system).

    So ``8480-6$gt140`` is one range of one index, whatever else was measured.
    """
    return digest(f"{number}|{code}")


class Local(NamedTuple):
    """A reference taken apart: ``type`` 0 is an address outside (or a canonical), and then ``id`` is all of it."""

    type: int
    id: str
    version: str


Maker = Callable[[Any, int, int, IndexRows, tzinfo], None]
Element = dict[str, Any]


def local(text: str) -> Local | None:
    """Take a reference's text apart, or return None for a contained resource's."""
    if not text or text[0] == "#":
        return None
    kind, _, rest = text.partition("/")
    number = types().get(kind)
    if number is None:
        return Local(0, text, "")
    id, _, version = rest.partition("/_history/")
    return Local(number, id, version)


def _code(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, str):
        found.tokens.append((number, value, 0, part))


def _boolean(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, bool):
        found.tokens.append((number, "true" if value else "false", 0, part))


def _pair(code: Any, system: Any, number: int, part: int, found: IndexRows) -> None:
    if isinstance(code, str) or isinstance(system, str):
        text = code if isinstance(code, str) else ""
        found.tokens.append((number, text, digest(system) if isinstance(system, str) else 0, part))


def _coding(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        coding = cast(Element, value)
        _pair(coding.get("code"), coding.get("system"), number, part, found)
        _string(coding.get("display"), number, part, found, zone)


def _concept(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        concept = cast(Element, value)
        codings = concept.get("coding")
        if isinstance(codings, list):
            for coding in cast(list[Any], codings):
                _coding(coding, number, part, found, zone)
        _string(concept.get("text"), number, part, found, zone)


def _identifier(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if not isinstance(value, dict):
        return
    identifier = cast(Element, value)
    _pair(identifier.get("value"), identifier.get("system"), number, part, found)
    kind = identifier.get("type")
    if isinstance(kind, dict):
        concept = cast(Element, kind)
        _string(concept.get("text"), number, part, found, zone)
        codings = concept.get("coding")
        for coding in cast(list[Any], codings) if isinstance(codings, list) else []:
            if isinstance(coding, dict):  # :of-type finds these under the negative number
                c = cast(Element, coding)
                _pair(f"{c.get('code')}|{identifier.get('value')}", c.get("system"), -number, part, found)


def _contact(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        point = cast(Element, value)
        _pair(point.get("value"), point.get("use"), number, part, found)


def reference(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if not isinstance(value, dict):
        return
    reference = cast(Element, value)
    text = reference.get("reference")
    to = local(text) if isinstance(text, str) else None
    if to is not None:
        found.references.append((number, to.id, to.type, to.version, part))
    if "identifier" in reference:  # :identifier finds it under the negative number
        _identifier(reference["identifier"], -number, part, found, zone)


def _resource(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        resource = cast(Element, value)
        kind, id = resource.get("resourceType"), resource.get("id")
        if isinstance(kind, str) and isinstance(id, str) and kind in types():
            found.references.append((number, id, types()[kind], "", part))


def _canonical(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, str):
        address, _, version = value.partition("|")
        found.references.append((number, address, 0, version, part))


def _date(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, str) and (range := bounds(value, zone)) is not None:
        found.dates.append((number, *range, part))


def _period(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        period = cast(Element, value)
        start, end = period.get("start"), period.get("end")
        low = bounds(start, zone) if isinstance(start, str) else None
        high = bounds(end, zone) if isinstance(end, str) else None
        if low or high:
            found.dates.append((number, low[0] if low else FIRST, high[1] if high else LAST, part))


def _timing(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if not isinstance(value, dict):
        return
    timing = cast(Element, value)
    events: list[Any] = timing["event"] if isinstance(timing.get("event"), list) else []
    ranges = [r for e in events if isinstance(e, str) and (r := bounds(e, zone)) is not None]
    repeat = timing.get("repeat")
    inner = IndexRows((), [], [], [], [], [])
    if isinstance(repeat, dict):
        _period(cast(Element, repeat).get("boundsPeriod"), number, part, inner, zone)
    ranges += [(low, high) for _, low, high, _ in inner.dates]
    if ranges:  # R4: only the outer limits of a Timing matter
        found.dates.append((number, min(r[0] for r in ranges), max(r[1] for r in ranges), part))


def _number(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    v = number_of(value)
    if v is not None:
        found.quantities.append((number, 0, v, v, v, v, 0, 0, 0, part))


def _quantity(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        quantity = cast(Element, value)
        sign = quantity.get("comparator")
        low = high = quantity.get("value")
        _span(
            low if sign not in ("<", "<=") else None,
            high if sign not in (">", ">=") else None,
            quantity,
            number,
            part,
            found,
        )


def _money(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        money = cast(Element, value)
        amount = money.get("value")
        _span(amount, amount, {"system": "urn:iso:std:iso:4217", "code": money.get("currency")}, number, part, found)


def _range(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, dict):
        range = cast(Element, value)
        low, high = range.get("low"), range.get("high")
        first: Element = cast(Element, low) if isinstance(low, dict) else {}
        last: Element = cast(Element, high) if isinstance(high, dict) else {}
        _span(first.get("value"), last.get("value"), first or last, number, part, found)


def _sampled(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if not isinstance(value, dict):
        return
    sampled = cast(Element, value)
    origin = sampled.get("origin")
    zero = cast(Element, origin) if isinstance(origin, dict) else {}
    base, factor = number_of(zero.get("value")), number_of(sampled.get("factor"))
    points = [v for word in str(sampled.get("data", "")).split() if (v := number_of(word)) is not None]
    if base is not None and points:
        scaled = [base + point * (1.0 if factor is None else factor) for point in (min(points), max(points))]
        _span(min(scaled), max(scaled), zero, number, part, found)


TEXTED: Final = (_coding, _concept, _identifier)
_INFINITY: Final = float("inf")


def _span(low: Any, high: Any, unit: Element, number: int, part: int, found: IndexRows) -> None:
    """Add a quantity from ``low`` to ``high``, open where one is missing."""
    first, last = number_of(low), number_of(high)
    if first is None and last is None:
        return
    system, code, text = unit.get("system"), unit.get("code"), unit.get("unit")
    system = system if isinstance(system, str) else ""
    code = code if isinstance(code, str) else ""
    family, (cl, ch) = canonical(system, code, (low if first is not None else None, high if last is not None else None))
    found.quantities.append(
        (
            number,
            family,
            -_INFINITY if cl is None else cl,
            _INFINITY if ch is None else ch,
            -_INFINITY if first is None else first,
            _INFINITY if last is None else last,
            digest(f"{system}|{code}") if code else 0,
            digest(code),
            digest(text) if isinstance(text, str) else 0,
            part,
        )
    )


def _string(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    if isinstance(value, str):
        found.strings.append((number, folded(value), value, part))


def _parts(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    """Add each part of a HumanName or an Address."""
    if isinstance(value, dict):
        for name, inner in cast(Element, value).items():
            if name not in ("use", "type", "period", "extension", "id"):
                for text in cast(list[Any], inner) if isinstance(inner, list) else [inner]:
                    _string(text, number, part, found, zone)


def _place(value: Any, number: int, part: int, found: IndexRows, zone: tzinfo) -> None:
    """Add a position: longitude under the number, latitude under the next."""
    if isinstance(value, dict):
        position = cast(Element, value)
        _number(position.get("longitude"), number, part, found, zone)
        _number(position.get("latitude"), number + 1, part, found, zone)


MAKERS: Final[dict[str, dict[str, Maker]]] = {
    "token": {
        **dict.fromkeys(("code", "string", "id", "uri", "url", "canonical"), _code),
        "boolean": _boolean,
        "Coding": _coding,
        "CodeableConcept": _concept,
        "Identifier": _identifier,
        "ContactPoint": _contact,
    },
    "uri": dict.fromkeys(("uri", "url", "canonical", "oid", "uuid"), _code),
    "reference": {"Reference": reference, "Resource": _resource, "canonical": _canonical, "uri": _canonical},
    "date": {"date": _date, "dateTime": _date, "instant": _date, "Period": _period, "Timing": _timing},
    "number": {"integer": _number, "positiveInt": _number, "unsignedInt": _number, "decimal": _number, "Range": _range},
    "quantity": {
        **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
        "Money": _money,
        "Range": _range,
        "SampledData": _sampled,
    },
    "string": {"string": _string, "markdown": _string, "HumanName": _parts, "Address": _parts},
    "special": {"Location.position": _place},
}
