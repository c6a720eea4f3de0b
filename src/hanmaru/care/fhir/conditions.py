"""One value of a search parameter as a condition on a row of its table (alias ``v``), by R4's rules for its type."""

from datetime import tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from hanmaru.care.fhir.dates import Range, bounds
from hanmaru.care.fhir.definitions import Parameter, types
from hanmaru.care.fhir.parameters import plain, prefixed, shown, split, wrong
from hanmaru.care.fhir.quantities import Unit, exact, family
from hanmaru.care.fhir.rows import local
from hanmaru.care.fhir.strings import digest, folded

TABLES: Final = {
    **{"token": "token", "uri": "token", "reference": "reference", "date": "date"},
    **{"number": "quantity", "quantity": "quantity", "string": "string"},
}
LAST_CHARACTER: Final = "\U0010ffff"
AP: Final = Fraction(1, 10)
"""R4: "approximately" is recommended to be a tenth of the value, or of the time between it and now."""


class Sql(NamedTuple):
    """A condition and the values of its question marks, in order."""

    text: str
    values: tuple[str | int | float, ...]


class Context(NamedTuple):
    """What conditions depend on beside the query: now (µs), the city's zone, this server's own address."""

    now: int
    zone: tzinfo
    base: str


def either(conditions: list[Sql]) -> Sql:
    """Join conditions by OR."""
    if len(conditions) == 1:
        return conditions[0]
    return Sql("(" + " OR ".join(c.text for c in conditions) + ")", tuple(v for c in conditions for v in c.values))


def both(*conditions: Sql) -> Sql:
    """Join conditions by AND."""
    return Sql(" AND ".join(c.text for c in conditions), tuple(v for c in conditions for v in c.values))


def condition(parameter: Parameter, type: str, modifier: str, text: str, at: Context) -> Sql:
    """Return what a row must fulfil for one value (still escaped) of a parameter, its number not included."""
    match type:
        case "token":
            return token(text)
        case "uri":
            return uri(plain(text), modifier)
        case "reference":
            return reference(parameter, modifier, plain(text), at)
        case "date":
            return date(parameter.code, text, at)
        case "string":
            return string(plain(text), modifier)
        case _:
            return quantity(parameter.code, type, text)


def token(text: str) -> Sql:
    """``code``, ``system|code``, ``|code`` (no system) or ``system|`` (any code of it)."""
    parts = split(text, "|")
    if len(parts) == 1:
        return Sql("v.code = ?", (plain(parts[0]),))
    system, code = plain(parts[0]), plain("|".join(parts[1:]))
    if not code:
        return Sql("v.system = ?", (digest(system),)) if system else Sql("0", ())
    return Sql("v.code = ? AND v.system = ?", (code, digest(system)))


def uri(text: str, modifier: str) -> Sql:
    """An address, whole; ``:below`` those that begin with it, ``:above`` those that it begins with."""
    if modifier == "below":
        return Sql("v.code >= ? AND v.code < ?", (text, text + LAST_CHARACTER))
    if modifier == "above":
        return Sql("? >= v.code AND substr(?, 1, length(v.code)) = v.code AND v.code <> ''", (text, text))
    return Sql("v.code = ?", (text,))


def reference(parameter: Parameter, modifier: str, text: str, at: Context) -> Sql:
    """``id``, ``Type/id``, ``Type/id/_history/n``, an address here or elsewhere, or a canonical with ``|version``."""
    if at.base and text.startswith(at.base + "/"):
        text = text[len(at.base) + 1 :]
    if modifier:
        kind, _, rest = text.partition("/")
        text = text if rest and kind == modifier else f"{modifier}/{text}"
    if not text:
        raise wrong(f"The parameter {shown(parameter.code)} needs an id, Type/id or an address.")
    if "/" not in text and ":" not in text and not modifier:
        numbers = [types()[t] for t in parameter.targets]
        if numbers:
            return Sql(f"v.id = ? AND v.type IN ({', '.join(map(str, numbers))})", (text,))
        return Sql("v.id = ? AND v.type > 0", (text,))
    to = local(text)
    if to is None:
        return Sql("0", ())
    if to.type:
        found = Sql("v.id = ? AND v.type = ?", (to.id, to.type))
        return both(found, Sql("v.version = ?", (to.version,))) if to.version else found
    address, _, version = text.partition("|")
    found = Sql("v.id = ? AND v.type = 0", (address,))
    return both(found, Sql("v.version = ?", (version,))) if version else found


def date(code: str, text: str, at: Context, low: str = "v.low", high: str = "v.high") -> Sql:
    """A date or instant with a prefix, as the range of instants that it stands for, against the row's."""
    prefix, rest = prefixed(plain(text))
    range = bounds(rest.replace(" ", "+"), at.zone)
    if range is None:
        raise wrong(f"The parameter {shown(code)} needs a date such as 2026, 2026-03-01 or 2026-03-01T09:00:00+09:00.")
    if prefix == "ap":
        middle = (range[0] + range[1]) // 2
        slack = abs(at.now - middle) // 10
        return Sql(f"{high} > ? AND {low} < ?", (range[0] - slack, range[1] + slack))
    return _ranged(prefix, range, low, high)


def _ranged(prefix: str, range: Range, low: str, high: str) -> Sql:
    """R4, search, "prefixes": how the range searched for relates to the row's, both half-open."""
    a, b = range
    within = Sql(f"({low} >= ? AND {low} < ? AND {high} <= ?)", (a, b, b))
    match prefix:
        case "ne":
            return Sql(f"NOT {within.text}", within.values)
        case "gt":
            return Sql(f"{high} > ?", (b,))
        case "lt":
            return Sql(f"{low} < ?", (a,))
        case "ge":  # the first of the two conditions follows from the second; it is what an index can be asked
            return Sql(f"({high} > ? AND ({high} > ? OR {low} >= ?))", (a, b, a))
        case "le":
            return Sql(f"({low} < ? AND ({low} < ? OR {high} <= ?))", (b, a, b))
        case "sa":
            return Sql(f"{low} >= ?", (b,))
        case "eb":
            return Sql(f"{high} <= ?", (a,))
        case _:
            return within


def string(text: str, modifier: str) -> Sql:
    """Text that begins so, without case and accents; ``:contains`` anywhere, ``:exact`` as it is."""
    if modifier == "exact":
        return Sql("v.text = ? AND v.exact = ?", (folded(text), text))
    wanted = folded(text)
    if modifier == "contains":
        return Sql("instr(v.text, ?) > 0", (wanted,))
    return Sql("v.text >= ? AND v.text < ?", (wanted, wanted + LAST_CHARACTER))


def quantity(code: str, type: str, text: str) -> Sql:
    """``number``, ``number|system|code`` or ``number||unit`` with a prefix; units of UCUM are converted."""
    parts = [plain(part) for part in split(text, "|")]
    prefix, rest = prefixed(parts[0])
    value = exact(rest) if len(rest) <= 100 else None
    if value is None or len(parts) not in ((1,) if type == "number" else (1, 3)):
        example = "5.4" if type == "number" else "5.4, 5.4|http://unitsofmeasure.org|mg or 5.4||mg"
        raise wrong(f"The parameter {shown(code)} needs a number such as {example}.")
    system, unit = (parts[1], parts[2]) if len(parts) == 3 else ("", "")
    if system and unit:
        kind, known = family(system, unit)
        return both(Sql("v.family = ?", (kind,)), _compared(prefix, rest, value, known, "v.first", "v.last"))
    if type == "number":
        return both(Sql("v.family = 0", ()), _compared(prefix, rest, value, None, "v.first", "v.last"))
    compared = _compared(prefix, rest, value, None, "v.low", "v.high")
    if unit:
        return both(compared, Sql("(v.code = ? OR v.text = ?)", (digest(unit), digest(unit))))
    return compared


def _compared(prefix: str, text: str, value: Fraction, unit: Unit | None, low: str, high: str) -> Sql:
    """R4, search, "quantity": eq and ne are of the value's last digit, the other prefixes exact."""
    half = Fraction(10) ** int(Decimal(text).as_tuple().exponent) / 2
    slack = abs(value) * AP if prefix == "ap" else half
    a, middle, b = (_based(v, unit) for v in (value - slack, value, value + slack))
    match prefix:
        case "eq":
            return Sql(f"{low} >= ? AND {low} < ? AND {high} < ?", (a, b, b))
        case "ne":
            return Sql(f"NOT ({low} >= ? AND {high} < ?)", (a, b))
        case "gt":
            return Sql(f"{high} > ?", (middle,))
        case "lt":
            return Sql(f"{low} < ?", (middle,))
        case "ge":
            return Sql(f"{high} >= ?", (middle,))
        case "le":
            return Sql(f"{low} <= ?", (middle,))
        case "sa":
            return Sql(f"{low} > ?", (middle,))
        case "eb":
            return Sql(f"{high} < ?", (middle,))
        case _:
            return Sql(f"{high} >= ? AND {low} <= ?", (a, b))


def _based(value: Fraction, unit: Unit | None) -> float:
    try:
        return float(value if unit is None else value * unit.factor + unit.offset)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
