"""Which subscriptions a change concerns: a pure decision, and an index that spares most of them the question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hanmaru.hub.geometry import bounds
from hanmaru.hub.index import Row, entity_rows
from hanmaru.hub.model import Change
from hanmaru.hub.notifications import Item
from hanmaru.hub.owners import Owners
from hanmaru.hub.query import (
    Node,
    compile_pattern,
    in_scopes,
    in_types,
    matches,
    names_of,
    parse_q,
    parse_scopes,
    parse_types,
    terms_of,
)
from hanmaru.hub.subscriptions import ANY_TYPE, DEFAULT_TRIGGERS, Subscription
from hanmaru.hub.visibility import Attributes, attributes_of, matching, only, shapes_of
from hanmaru.platform.access import Access, Grant

Key = tuple[str, str]
Box = tuple[float, float, float, float]
"""West, south, east, north."""


class Occurrence:
    """A change with what matching asks of it, computed at most once and only when asked."""

    def __init__(self, change: Change) -> None:
        """Take the change apart: attributes that it created, updated and deleted."""
        touched = frozenset(change.touched)
        self.change = change
        self.created = touched if change.kind == "created" else frozenset(change.appeared)
        self.updated = touched - self.created
        self.removed = frozenset(change.removed)
        self._matched: dict[tuple[Grant, ...], tuple[Grant, ...]] = {}
        self._rows: dict[Attributes, Mapping[str, Sequence[Row]]] = {}
        self._shapes: dict[str, Sequence[tuple[bytes, Box]]] = {}

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Every attribute that the change touched or removed."""
        return self.created | self.updated | self.removed

    def matched(self, access: Access) -> tuple[Grant, ...]:
        """Return the grants that match the entity; none when it is not to be seen."""
        if access.grants not in self._matched:
            self._matched[access.grants] = matching(access, self.change.entity)
        return self._matched[access.grants]

    def rows(self, visible: Attributes) -> Mapping[str, Sequence[Row]]:
        """Return what the query language sees of the entity, for a subscriber who may see so much."""
        if visible not in self._rows:
            self._rows[visible] = entity_rows(only(self.change.entity, visible))
        return self._rows[visible]

    def shapes(self, attribute: str) -> Sequence[tuple[bytes, Box]]:
        """Return the geometries of a GeoProperty (WKB), each with its bounds."""
        if attribute not in self._shapes:
            self._shapes[attribute] = [(wkb, bounds(wkb)) for wkb in shapes_of(self.change.entity, attribute)]
        return self._shapes[attribute]


@dataclass(frozen=True, slots=True)
class _Selector:
    types: Node | None
    id: str | None
    pattern: Any


class Watch:
    """A subscription with everything compiled that matching needs."""

    __slots__ = ("_asked", "_box", "_q", "_scopes", "_selectors", "_triggers", "_watched", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        """Compile a subscription."""
        triggers = set(subscription.triggers or DEFAULT_TRIGGERS)
        if "entityUpdated" in triggers:  # equivalent by definition (ETSI GS CIM 009, 5.2.12)
            triggers |= {"attributeCreated", "attributeUpdated", "attributeDeleted"}
        self.subscription = subscription
        self._triggers = frozenset(triggers)
        self._watched = frozenset(subscription.watched)
        self._box = subscription.geo.box() if subscription.geo else None
        self._q = parse_q(subscription.q.text, subscription.q.terms()) if subscription.q else None
        self._asked = {term.attribute for term in terms_of(self._q)}
        if subscription.geo:
            self._asked.add(subscription.geo.attribute)
        self._scopes = parse_scopes(subscription.scope_q) if subscription.scope_q else None
        self._selectors = tuple(
            _Selector(
                None if s.type.text == ANY_TYPE else parse_types(s.type.text, s.type.terms()),
                s.id,
                compile_pattern(s.id_pattern) if s.id_pattern and not s.id else None,
            )
            for s in subscription.entities
        )

    @property
    def shows_removed(self) -> bool:
        """Whether its notifications say which attributes were deleted."""
        return "attributeDeleted" in self._triggers

    def index_keys(self) -> Iterable[tuple[str, ...]]:
        """Yield the buckets of the index that it belongs to: a change that it could concern asks one of them."""
        tenant = self.subscription.tenant
        attributes = self.subscription.watched or ("",)
        if not self._selectors:
            yield from (("attribute", tenant, name) for name in attributes)
        for selector in self._selectors:
            if selector.id is not None:
                yield "id", tenant, selector.id
            elif selector.types is None:
                yield from (("attribute", tenant, name) for name in attributes)
            else:
                for type in names_of(selector.types):
                    yield from (("type", tenant, type, name) for name in attributes)

    def fires(self, occurrence: Occurrence, access: Access) -> bool:
        """Whether the change is to be notified to who may see so much; that it is active the caller takes care of."""
        s, change = self.subscription, occurrence.change
        if change.seq <= s.since or change.tenant != s.tenant or s.interval_s is not None:
            return False
        if not self._selected(change) or not (matched := occurrence.matched(access)):
            return False
        visible = attributes_of(matched)
        if not self._triggered(occurrence, visible):
            return False
        if self._scopes is not None and not in_scopes(self._scopes, change.entity.scopes):
            return False
        if self._q is not None and not matches(self._q, occurrence.rows(visible)):
            return False
        return s.geo is None or self._in_place(occurrence, visible)

    def reduced(self, item: Item, access: Access) -> Item | None:
        """Return what of an item, kept for who might see more or other, may still be sent; None when nothing may.

        It is decided by what the item holds: who might not see where an entity is gets it for its place no more.
        """
        matched, deleted = matching(access, item.entity), item.entity.deleted_at is not None
        visible = attributes_of(matched)
        if not matched or (visible is not None and self._watched and visible.isdisjoint(self._watched)):
            return None
        entity = only(item.entity, visible)
        if deleted:  # its values are not kept
            if visible is not None and not visible.issuperset(self._asked):
                return None
        elif self._q is not None and not matches(self._q, entity_rows(entity)):
            return None
        elif (geo := self.subscription.geo) is not None:
            shapes = shapes_of(entity, geo.attribute)
            if not shapes or not geo.matches(shapes).any():
                return None
        return Item(entity, {n: i for n, i in item.gone.items() if visible is None or n in visible})

    def _triggered(self, occurrence: Occurrence, visible: Attributes) -> bool:
        triggers, kind = self._triggers, occurrence.change.kind

        def hits(names: frozenset[str]) -> bool:
            return self._hits(names if visible is None else names & visible)

        if kind == "deleted":
            return "entityDeleted" in triggers and (not self._watched or hits(occurrence.removed))
        if kind == "created" and "entityCreated" in triggers and (not self._watched or hits(occurrence.created)):
            return True
        return (
            ("attributeUpdated" in triggers and hits(occurrence.updated))
            or ("attributeCreated" in triggers and hits(occurrence.created))
            or ("attributeDeleted" in triggers and hits(occurrence.removed))
        )

    def _hits(self, names: frozenset[str]) -> bool:
        return not names.isdisjoint(self._watched) if self._watched else bool(names)

    def _selected(self, change: Change) -> bool:
        if not self._selectors:
            return True
        entity = change.entity
        return any(
            (s.id is None or s.id == entity.id)
            and (s.types is None or in_types(s.types, entity))
            and (s.pattern is None or s.pattern.search(entity.id) is not None)
            for s in self._selectors
        )

    def _in_place(self, occurrence: Occurrence, visible: Attributes) -> bool:
        geo = self.subscription.geo
        assert geo is not None
        if visible is not None and geo.attribute not in visible:
            return False
        shapes = [wkb for wkb, box in occurrence.shapes(geo.attribute) if self._box is None or _meet(box, self._box)]
        return bool(shapes) and bool(geo.matches(shapes).any())


def _meet(a: Box, b: Box) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def concerns(subscription: Subscription, change: Change) -> bool:
    """Whether a change is to be notified to a subscription."""
    return Watch(subscription).fires(Occurrence(change), subscription.access)


class Matcher:
    """Subscriptions by what they watch; ``evaluations`` counts how many were asked about a change so far."""

    def __init__(self, owners: Owners | None = None) -> None:
        """Start without subscriptions; ``owners`` tells what each may show."""
        self.evaluations = 0
        self._owners = owners or Owners()
        self._watches: dict[Key, Watch] = {}
        self._buckets: dict[tuple[str, ...], dict[Key, Watch]] = {}

    def __len__(self) -> int:
        """Return how many subscriptions there are."""
        return len(self._watches)

    def __iter__(self) -> Iterator[Watch]:
        """Yield the subscriptions."""
        return iter(self._watches.values())

    def get(self, key: Key) -> Watch | None:
        """Return a subscription by tenant and id."""
        return self._watches.get(key)

    def put(self, watch: Watch) -> None:
        """Add a subscription, or put it in place of the one of its id."""
        key = watch.subscription.key
        self.remove(key)
        self._watches[key] = watch
        for bucket in watch.index_keys():
            self._buckets.setdefault(bucket, {})[key] = watch

    def remove(self, key: Key) -> None:
        """Remove a subscription if it is there."""
        watch = self._watches.pop(key, None)
        for bucket in watch.index_keys() if watch else ():
            members = self._buckets.get(bucket, {})
            members.pop(key, None)
            if not members:
                self._buckets.pop(bucket, None)

    def firing(self, occurrence: Occurrence) -> list[Watch]:
        """Return the subscriptions that a change concerns."""
        asked: dict[Key, Watch] = {}
        for bucket in self._buckets_of(occurrence):
            if members := self._buckets.get(bucket):
                asked.update(members)
        self.evaluations += len(asked)
        sees = self._owners.access
        return [w for w in asked.values() if (access := sees(w.subscription)) and w.fires(occurrence, access)]

    def _buckets_of(self, occurrence: Occurrence) -> Iterable[tuple[str, ...]]:
        tenant, entity = occurrence.change.tenant, occurrence.change.entity
        yield "id", tenant, entity.id
        for name in ("", *occurrence.attributes):
            yield "attribute", tenant, name
            for type in entity.types:
                yield "type", tenant, type, name
