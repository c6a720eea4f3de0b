"""What a rule is: when something is to be noticed, where, how sure, and what it is then called. Pure.

JSON is the only form: the form on the screen, the ready-made rules and the store all hold it. `parse` reads one and
says in one line what is wrong where. A **leaf** looks at the entities of one type (threshold, change, rate, window,
absence, geofence, anomaly); ``all``, ``any`` and ``not`` combine; ``join`` and ``sequence`` relate entities to others.
What a rule is about, its **subject**, is the leaf's entity; of a join the left one, of a sequence the first step's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from hanmaru.centre.domain import CentreError, Severity, Text

Op: TypeAlias = Literal[">", ">=", "<", "<=", "==", "!="]
Scalar: TypeAlias = float | bool | str
DAY_S = 86_400
LONGEST_S = 7 * DAY_S
"""The longest that any span of a rule may be: state stays small and a dry run bounded."""
MOST_PARTS = 32
MOST_VERTICES = 1000
FAR_M = 50_000.0


class Threshold(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="threshold"
):
    """An attribute compares so with a value; once it does, until it is ``hysteresis`` back beyond the value."""

    type: str
    attr: str
    op: Op
    value: Scalar
    hysteresis: float = 0.0


class Absence(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="absence"
):
    """Nothing came of an entity (or of this attribute of it) for so long."""

    type: str
    for_s: float
    attr: str | None = None


class Change(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="change"
):
    """An attribute went from one value to another; holds until it changes again. Without ``to``: for an instant."""

    type: str
    attr: str
    from_: Scalar | None = msgspec.field(default=None, name="from")
    to: Scalar | None = None


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="rate"):
    """The newest value less the oldest of the last ``per_s`` seconds compares so with ``value``; never extrapolated."""

    type: str
    attr: str
    per_s: float
    op: Op
    value: float


class Window(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="window"
):
    """An aggregate of the readings of the last ``over_s`` seconds compares so with ``value``."""

    type: str
    attr: str
    agg: Literal["count", "mean", "min", "max", "sum"]
    over_s: float
    op: Op
    value: float


class Geofence(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="geofence"
):
    """An entity came into a polygon, went out of it, or has been in it for ``dwell_s``; holds while it stays so."""

    type: str
    polygon: Mapping[str, Any]
    on: Literal["enter", "leave", "dwell"]
    dwell_s: float = 0.0


class Anomaly(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="anomaly"
):
    """A reading is out of the ordinary for this entity, attribute and hour of the week."""

    type: str
    attr: str
    sensitivity: Literal["low", "medium", "high"] = "medium"


class Sequence(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="sequence"
):
    """Conditions began to hold one after the other, first to last within ``within_s``; holds while the last does.

    ``same`` entity, or entities at most ``radius_m`` from the first step's.
    """

    steps: tuple["Condition", ...]
    within_s: float
    same: Literal["entity", "area"] = "entity"
    radius_m: float = 0.0


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="join"):
    """Both sides hold, or did at most ``within_s`` ago, at entities at most ``radius_m`` apart."""

    left: "Condition"
    right: "Condition"
    radius_m: float
    within_s: float = 0.0


class AllOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="all"):
    """Each of them holds."""

    of: tuple["Condition", ...]


class AnyOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="any"):
    """At least one of them holds."""

    of: tuple["Condition", ...]


class NotOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="not"):
    """It does not hold, of an entity that has been heard of (``of``: one condition)."""

    of: tuple["Condition", ...]


Leaf: TypeAlias = Threshold | Absence | Change | Rate | Window | Geofence | Anomaly
Condition: TypeAlias = (
    Threshold | Absence | Change | Rate | Window | Geofence | Anomaly | Sequence | Join | AllOf | AnyOf | NotOf
)
LEAVES = (Threshold, Absence, Change, Rate, Window, Geofence, Anomaly)


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a subject has to be: in a GeoJSON polygon, or at most ``radius_m`` from ``near`` (lon, lat)."""

    polygon: Mapping[str, Any] | None = None
    near: tuple[float, float] | None = None
    radius_m: float = 0.0


class Flap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """More than ``most`` raises in ``in_s`` seconds are flapping: it then stays raised until quiet for ``in_s``."""

    most: int = 3
    in_s: float = 3600.0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule. ``group`` entity: one detection per subject; rule: one for all of them together.

    It is raised once the condition has held for ``for_s`` and cleared once it has not for ``clear_s``. ``title`` may
    contain ``{name}`` (of the subject) and ``{value}``; without one it is the rule's name.
    """

    id: str
    name: Text
    when: Condition
    enabled: bool = True
    severity: Severity = "medium"
    category: str = "other"
    procedure: str | None = None
    where: Where | None = None
    group: Literal["entity", "rule"] = "entity"
    for_s: float = 0.0
    clear_s: float = 0.0
    flap: Flap | None = None
    title: Text = {}


def parts(condition: Condition) -> Iterator[tuple[str, Condition]]:
    """Yield a condition and all within it, each with its path (``when.left.of[0]``)."""
    stack: list[tuple[str, Condition]] = [("when", condition)]
    while stack:
        path, at = stack.pop()
        yield path, at
        match at:
            case AllOf() | AnyOf() | NotOf():
                stack += [(f"{path}.of[{i}]", one) for i, one in enumerate(at.of)]
            case Sequence():
                stack += [(f"{path}.steps[{i}]", one) for i, one in enumerate(at.steps)]
            case Join():
                stack += [(f"{path}.left", at.left), (f"{path}.right", at.right)]
            case _:
                pass


def subjects(condition: Condition) -> frozenset[str]:
    """Return the entity types that a condition is about; one for what can hold of an entity."""
    match condition:
        case AllOf() | AnyOf() | NotOf():
            return frozenset[str]().union(*map(subjects, condition.of))
        case Sequence():
            return subjects(condition.steps[0])
        case Join():
            return subjects(condition.left)
        case _:
            return frozenset((condition.type,))


def momentary(condition: Condition) -> bool:
    """Return whether a condition can hold for an instant only, so that ``for_s`` would never pass."""
    match condition:
        case Change():
            return condition.to is None
        case Sequence():
            return momentary(condition.steps[-1])
        case AllOf():
            return any(map(momentary, condition.of))
        case AnyOf():
            return all(map(momentary, condition.of))
        case _:
            return False


def parse(text: bytes | str) -> Rule:
    """Read a rule from JSON and check it.

    Raises `CentreError` with one line that says what is wrong, and where.
    """
    try:
        rule = msgspec.json.decode(text, type=Rule)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise CentreError(_readable(str(error))) from None
    check(rule)
    return rule


def convert(value: object) -> Rule:
    """Read a rule from plain values (of TOML or of JSON already read), as `parse` does."""
    try:
        rule = msgspec.convert(value, Rule)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CentreError(_readable(str(error))) from None
    check(rule)
    return rule


def _readable(message: str) -> str:
    """Turn msgspec's "X - at `$.when.of[0]`" into "when.of[0]: X"."""
    what, _, path = message.partition(" - at `$")
    return f"{path.rstrip('`').lstrip('.')}: {what}" if path else f"rule: {what}"


def check(rule: Rule) -> None:
    """Check what types cannot say.

    Raises `CentreError` with one line that says what is wrong, and where.
    """
    _id(rule.id)
    for name, text, needed in (("name", rule.name, True), ("title", rule.title, False)):
        if needed and not text.get("en", "").strip():
            raise CentreError(f"{name}.en: give the rule a name in English at least")
        if any(len(one) > 200 for one in text.values()) or len(text) > 8:
            raise CentreError(f"{name}: at most 200 characters in at most 8 languages")
    if not 1 <= len(rule.category) <= 64:
        raise CentreError("category: 1 to 64 characters")
    _span("for_s", rule.for_s, least=0)
    _span("clear_s", rule.clear_s, least=0)
    if rule.flap is not None:
        _span("flap.in_s", rule.flap.in_s, least=1)
        if not 1 <= rule.flap.most <= 100:
            raise CentreError("flap.most: 1 to 100 raises")
    if rule.where is not None:
        _where(rule.where)
    every = list(parts(rule.when))
    if len(every) > MOST_PARTS:
        raise CentreError(f"when: at most {MOST_PARTS} conditions in a rule; make two rules of it")
    for path, condition in every:
        _condition(path, condition)
    about = subjects(rule.when)
    if rule.group == "entity" and len(about) > 1:
        raise CentreError(
            f"when: combines conditions about {' and '.join(sorted(about))}; relate them by a join, "
            "or set group to rule to look at all entities together"
        )
    if rule.for_s and momentary(rule.when):
        raise CentreError("for_s: this condition holds for an instant only; set for_s to 0 or give its change a 'to'")


def _id(id: str) -> None:
    if not 1 <= len(id) <= 64 or not id.isascii() or not id.replace("-", "").replace("_", "").isalnum():
        raise CentreError("id: 1 to 64 letters, digits, hyphens or underscores")
    if id in ("vocabulary", "dry-run"):
        raise CentreError(f"id: {id} is an address of its own; choose another")


def _span(path: str, seconds: float, *, least: float) -> None:
    if not least <= seconds <= LONGEST_S:
        raise CentreError(f"{path}: {least:g} to {LONGEST_S} seconds (7 days)")


def _finite(path: str, value: Scalar | None) -> None:
    if isinstance(value, float | int) and not abs(value) < 1e300:
        raise CentreError(f"{path}: a finite number")
    if isinstance(value, str) and len(value) > 200:
        raise CentreError(f"{path}: at most 200 characters")


def _where(where: Where) -> None:
    if (where.polygon is None) == (where.near is None):
        raise CentreError("where: either a polygon or near with radius_m")
    if where.polygon is not None:
        _polygon("where.polygon", where.polygon)
    if where.near is not None:
        lon, lat = where.near
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise CentreError("where.near: longitude and latitude in degrees, in that order")
        if not 0 < where.radius_m <= FAR_M:
            raise CentreError(f"where.radius_m: above 0 and at most {FAR_M:g} metres")


def _polygon(path: str, polygon: Mapping[str, Any]) -> None:
    """Check a GeoJSON Polygon (RFC 7946 3.1.6): closed rings of four positions or more."""
    if polygon.get("type") != "Polygon":
        raise CentreError(f"{path}: a GeoJSON object of type Polygon")
    try:
        rings = msgspec.convert(polygon.get("coordinates"), list[list[tuple[float, float]]])
    except msgspec.ValidationError:
        raise CentreError(f"{path}.coordinates: a list of rings of [longitude, latitude]") from None
    if not rings or any(len(ring) < 4 or ring[0] != ring[-1] for ring in rings):
        raise CentreError(f"{path}.coordinates: each ring has 4 positions or more and ends where it begins")
    if sum(map(len, rings)) > MOST_VERTICES:
        raise CentreError(f"{path}: at most {MOST_VERTICES} positions")
    if not all(-180 <= lon <= 180 and -90 <= lat <= 90 for ring in rings for lon, lat in ring):
        raise CentreError(f"{path}: longitude and latitude in degrees, in that order")


def _condition(path: str, condition: Condition) -> None:
    if isinstance(condition, LEAVES):
        if not 1 <= len(condition.type) <= 200:
            raise CentreError(f"{path}.type: name an entity type")
        attr = getattr(condition, "attr", None)
        if attr is not None and not 1 <= len(attr) <= 200:
            raise CentreError(f"{path}.attr: name an attribute")
    match condition:
        case Threshold():
            _finite(f"{path}.value", condition.value)
            if not 0 <= condition.hysteresis < 1e300:
                raise CentreError(f"{path}.hysteresis: 0 or more, in the attribute's unit")
            if isinstance(condition.value, str | bool) and condition.op not in ("==", "!="):
                raise CentreError(f"{path}.op: a text or yes/no is compared by == or !=")
            if condition.hysteresis and condition.op in ("==", "!="):
                raise CentreError(f"{path}.hysteresis: only with >, >=, < or <=")
        case Absence():
            _span(f"{path}.for_s", condition.for_s, least=1)
        case Change():
            _finite(f"{path}.from", condition.from_)
            _finite(f"{path}.to", condition.to)
            if condition.to is not None and condition.to == condition.from_:
                raise CentreError(f"{path}.to: the same as from; a change needs two values")
        case Rate():
            _span(f"{path}.per_s", condition.per_s, least=1)
            _finite(f"{path}.value", condition.value)
        case Window():
            _span(f"{path}.over_s", condition.over_s, least=1)
            _finite(f"{path}.value", condition.value)
        case Geofence():
            _polygon(f"{path}.polygon", condition.polygon)
            if condition.on == "dwell":
                _span(f"{path}.dwell_s", condition.dwell_s, least=1)
        case Sequence():
            if len(condition.steps) < 2:
                raise CentreError(f"{path}.steps: at least two, in their order")
            _span(f"{path}.within_s", condition.within_s, least=1)
            for i, step in enumerate(condition.steps):
                _plain(f"{path}.steps[{i}]", step)
            if condition.same == "area" and not 0 < condition.radius_m <= FAR_M:
                raise CentreError(f"{path}.radius_m: above 0 and at most {FAR_M:g} metres")
            if condition.same == "entity" and len({subjects(step) for step in condition.steps}) > 1:
                raise CentreError(f"{path}.same: steps about different types cannot be of one entity; set it to area")
        case Join():
            _plain(f"{path}.left", condition.left)
            _plain(f"{path}.right", condition.right)
            _span(f"{path}.within_s", condition.within_s, least=0)
            if not 0 < condition.radius_m <= FAR_M:
                raise CentreError(f"{path}.radius_m: above 0 and at most {FAR_M:g} metres")
        case AllOf() | AnyOf():
            if not condition.of:
                raise CentreError(f"{path}.of: at least one condition")
        case NotOf():
            if len(condition.of) != 1:
                raise CentreError(f"{path}.of: exactly one condition")
        case _:
            pass


def _plain(path: str, condition: Condition) -> None:
    """Check that a side of a join or a step of a sequence is about one type and relates nothing itself."""
    if any(isinstance(one, Join | Sequence) for _, one in parts(condition)):
        raise CentreError(f"{path}: cannot contain a join or a sequence itself")
    if len(subjects(condition)) != 1:
        raise CentreError(f"{path}: has to be about one entity type")
