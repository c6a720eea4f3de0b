"""Rules made ready: which leaf looks at which attribute of which type, sorted so that a reading finds what it flips.

The same leaf in many rules is one leaf. Number thresholds on an attribute are sorted: a reading that goes from one
value to another looks only at those that lie between. Pure.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt, ne

import msgspec

from hanmaru.centre.rules import model as m
from hanmaru.centre.rules.panes import Aggregate
from hanmaru.centre.rules.shapes import Area, Point, area, metres

Truth = Callable[[str], bool]
Expr = Callable[[Truth], bool]
COMPARE: dict[m.Op, Callable[[object, object], bool]] = {
    ">": gt,
    ">=": ge,
    "<": lt,
    "<=": le,
    "==": eq,
    "!=": ne,
}  # pyright: ignore[reportAssignmentType]


def number(value: object) -> bool:
    """Return whether a value is a number, which yes and no are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def alike(value: object, other: object) -> bool:
    """Return whether two values can be compared: both numbers, or of one kind."""
    return (number(value) and number(other)) or type(value) is type(other)


def key_of(leaf: m.Condition) -> str:
    """Return the name of a leaf: the same for the same leaf, whatever the rule."""
    return hashlib.blake2b(msgspec.json.encode(leaf, order="deterministic"), digest_size=9).hexdigest()


class Test:
    """A threshold on a value, with what it takes to cease."""

    def __init__(self, key: str, op: m.Op, value: m.Scalar, hysteresis: float = 0.0) -> None:
        """Compare with ``value``; once true, with ``hysteresis`` less far."""
        self.key, self.value = key, value
        self._compare = COMPARE[op]
        self.back = value
        if hysteresis and number(value):
            self.back = float(value) + (-hysteresis if op in (">", ">=") else hysteresis)

    def __call__(self, value: object, held: bool) -> bool:
        """Return whether it holds for a value, having held before or not."""
        bound = self.back if held else self.value
        return value is not None and alike(value, bound) and self._compare(value, bound)


class Tests:
    """The thresholds on one attribute."""

    def __init__(self, tests: Iterable[Test]) -> None:
        """Sort them by where they flip."""
        self.all = list(tests)
        bounds = [(float(at), i) for i, t in enumerate(self.all) if number(t.value) for at in {t.value, t.back}]
        self._bounds = sorted(bounds)
        self._at = [at for at, _ in self._bounds]
        self._others = [test for test in self.all if not number(test.value)]

    def between(self, old: object, new: object) -> Iterable[Test]:
        """Return those that a step from one value to another may flip."""
        if not self.all or (old == new and type(old) is type(new)):
            return ()
        if not (number(old) and number(new)):
            return self.all
        low, high = (old, new) if old < new else (new, old)  # pyright: ignore[reportOperatorIssue]
        found = self._bounds[bisect_left(self._at, low) : bisect_right(self._at, high)]  # pyright: ignore
        return [self.all[i] for i in dict.fromkeys(i for _, i in found)]


@dataclass(slots=True)
class SeriesPlan:
    """The aggregates over one span of an attribute that rules ask for."""

    key: str
    span_s: float
    tests: list[tuple[Aggregate, Test]] = field(default_factory=list[tuple[Aggregate, Test]])


@dataclass(slots=True)
class AttrPlan:
    """What rules ask of one attribute of one type."""

    listed: list[Test] = field(default_factory=list[Test])
    tests: Tests = field(default_factory=lambda: Tests(()))
    changes: list[tuple[str, m.Change]] = field(default_factory=list[tuple[str, m.Change]])
    series: dict[str, SeriesPlan] = field(default_factory=dict[str, SeriesPlan])
    absences: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    anomalies: list[tuple[str, m.Anomaly]] = field(default_factory=list[tuple[str, m.Anomaly]])


@dataclass(slots=True)
class TypePlan:
    """What rules ask of one type."""

    attrs: dict[str, AttrPlan] = field(default_factory=dict[str, AttrPlan])
    absences: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    fences: list[tuple[str, m.Geofence, Area]] = field(default_factory=list[tuple[str, m.Geofence, Area]])
    fresh: list["RulePlan"] = field(default_factory=list["RulePlan"])
    """Rules that may hold of an entity merely because it is there."""
    placed: list["RulePlan"] = field(default_factory=list["RulePlan"])
    """Rules for which it matters where an entity is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A side of a join or a step of a sequence: a name, the type it is about, when it holds."""

    key: str
    type: str
    holds: Expr
    leaves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """A join of a rule."""

    key: str
    join: m.Join
    left: Part
    right: Part


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """A sequence of a rule."""

    key: str
    sequence: m.Sequence
    steps: tuple[Part, ...]


@dataclass(slots=True)
class RulePlan:
    """A rule made ready; ``seen`` names what a detection shows: (name, leaf, attribute, aggregate)."""

    rule: m.Rule
    fingerprint: str
    types: frozenset[str]
    holds: Expr
    terms: tuple[str, ...]
    joins: list[JoinPlan] = field(default_factory=list[JoinPlan])
    sequences: list[SequencePlan] = field(default_factory=list[SequencePlan])
    seen: list[tuple[str, str, m.Leaf]] = field(default_factory=list[tuple[str, str, m.Leaf]])
    area: Area | None = None

    def inside(self, place: Point | None) -> bool:
        """Return whether a subject at a place is one that the rule is about."""
        where = self.rule.where
        if where is None:
            return True
        if place is None:
            return False
        if self.area is not None:
            return place in self.area
        return where.near is not None and metres(where.near, place) <= where.radius_m


def leaves(condition: m.Condition) -> Iterator[m.Leaf]:
    """Yield the leaves of a condition, in the order written."""
    match condition:
        case m.AllOf() | m.AnyOf() | m.NotOf():
            for one in condition.of:
                yield from leaves(one)
        case m.Sequence():
            for one in condition.steps:
                yield from leaves(one)
        case m.Join():
            yield from leaves(condition.left)
            yield from leaves(condition.right)
        case _:
            yield condition


class Plan:
    """All rules made ready."""

    def __init__(self, rules: Iterable[m.Rule]) -> None:
        """Compile the enabled ones."""
        self.types: dict[str, TypePlan] = {}
        self.leaves: dict[str, m.Leaf] = {}
        self.pulses: set[str] = set()
        self.uses: dict[str, list[RulePlan]] = {}
        self.rules = {rule.id: self._rule(rule) for rule in sorted(rules, key=lambda rule: rule.id) if rule.enabled}
        for type in self.types.values():
            for attr in type.attrs.values():
                attr.tests = Tests(attr.listed)
        self.related = [plan for plan in self.rules.values() if plan.joins or plan.sequences]
        self.grouped = [plan for plan in self.rules.values() if plan.rule.group == "rule"]
        self.keys = {*self.leaves}
        for plan in self.rules.values():
            for part in parts_of(plan):
                self.keys.add(part.key)
            self.keys.update(plan.terms)

    def _rule(self, rule: m.Rule) -> RulePlan:
        matter = [rule.when, rule.where, rule.group, rule.id]
        fingerprint = hashlib.blake2b(msgspec.json.encode(matter, order="deterministic"), digest_size=9).hexdigest()
        plan = RulePlan(rule, fingerprint, m.subjects(rule.when), lambda _: False, ())
        terms: list[str] = []
        plan.holds = self._expr(rule.when, plan, terms)
        plan.terms = tuple(dict.fromkeys(terms))
        for leaf in leaves(rule.when):
            key = key_of(leaf)
            uses = self.uses.setdefault(key, [])
            if plan not in uses[-1:]:
                uses.append(plan)
            if not any(key == seen for _, seen, _ in plan.seen):
                plan.seen.append((name_of(leaf), key, leaf))
        if rule.where is not None and rule.where.polygon is not None:
            plan.area = area(rule.where.polygon)
        every = [condition for _, condition in m.parts(rule.when)]
        if rule.where is not None:
            for type in plan.types:
                self._type(type).placed.append(plan)
        for join in plan.joins:
            for type in dict.fromkeys((join.left.type, join.right.type)):
                if plan not in self._type(type).placed:
                    self._type(type).placed.append(plan)
        if any(isinstance(one, m.NotOf) for one in every):
            for type in sorted({leaf.type for leaf in leaves(rule.when)}):
                self._type(type).fresh.append(plan)
        return plan

    def _type(self, type: str) -> TypePlan:
        return self.types.setdefault(type, TypePlan())

    def _expr(self, condition: m.Condition, plan: RulePlan, terms: list[str]) -> Expr:
        match condition:
            case m.AllOf():
                of = [self._expr(one, plan, terms) for one in condition.of]
                return lambda true: all(one(true) for one in of)
            case m.AnyOf():
                of = [self._expr(one, plan, terms) for one in condition.of]
                return lambda true: any(one(true) for one in of)
            case m.NotOf():
                negated = self._expr(condition.of[0], plan, terms)
                return lambda true: not negated(true)
            case m.Join():
                name = f"{plan.rule.id}:{plan.fingerprint}:j{len(plan.joins)}"
                sides = self._part(f"{name}l", condition.left, plan), self._part(f"{name}r", condition.right, plan)
                plan.joins.append(JoinPlan(name, condition, *sides))
                return _term(name, terms)
            case m.Sequence():
                name = f"{plan.rule.id}:{plan.fingerprint}:s{len(plan.sequences)}"
                steps = tuple(self._part(f"{name}.{i}", step, plan) for i, step in enumerate(condition.steps))
                plan.sequences.append(SequencePlan(name, condition, steps))
                return _term(name, terms)
            case _:
                return _term(self._leaf(condition), terms)

    def _part(self, key: str, condition: m.Condition, plan: RulePlan) -> Part:
        used: list[str] = []
        return Part(key, next(iter(m.subjects(condition))), self._expr(condition, plan, used), tuple(used))

    def _leaf(self, leaf: m.Leaf) -> str:
        key = key_of(leaf)
        if key in self.leaves:
            return key
        self.leaves[key] = leaf
        type = self._type(leaf.type)
        match leaf:
            case m.Geofence():
                type.fences.append((key, leaf, area(leaf.polygon)))
                return key
            case m.Absence(attr=None):
                type.absences.append((key, leaf.for_s))
                return key
            case _:
                assert leaf.attr is not None
                attr = type.attrs.setdefault(leaf.attr, AttrPlan())
        match leaf:
            case m.Threshold():
                attr.listed.append(Test(key, leaf.op, leaf.value, leaf.hysteresis))
            case m.Absence():
                attr.absences.append((key, leaf.for_s))
            case m.Change():
                attr.changes.append((key, leaf))
                if leaf.to is None:
                    self.pulses.add(key)
            case m.Window():
                _series(attr, leaf.attr, leaf.over_s).tests.append((leaf.agg, Test(key, leaf.op, leaf.value)))
            case m.Rate():
                _series(attr, leaf.attr, leaf.per_s).tests.append(("rise", Test(key, leaf.op, leaf.value)))
            case m.Anomaly():
                attr.anomalies.append((key, leaf))
        return key


def _term(key: str, terms: list[str]) -> Expr:
    terms.append(key)
    return lambda true: true(key)


def _series(plan: AttrPlan, attr: str, span_s: float) -> SeriesPlan:
    key = f"{attr}/{span_s:g}"
    return plan.series.setdefault(key, SeriesPlan(key, span_s))


def name_of(leaf: m.Leaf) -> str:
    """Return by what name a detection shows what a leaf looks at."""
    match leaf:
        case m.Window():
            return f"{leaf.attr}.{leaf.agg}"
        case m.Rate():
            return f"{leaf.attr}.rate"
        case m.Geofence():
            return "location"
        case m.Absence():
            return "silent_s"
        case _:
            return leaf.attr


def parts_of(plan: RulePlan) -> Iterator[Part]:
    """Yield the sides and steps of a rule."""
    for join in plan.joins:
        yield join.left
        yield join.right
    for sequence in plan.sequences:
        yield from sequence.steps
