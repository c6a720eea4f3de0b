"""The hub as it was: what an instant showed and what a span changed, put together from rows of history. Pure.

As of an instant, an attribute has the newest of its instances up to it, by ``observedAt`` or, where an instance has
none, by ``modifiedAt`` (for each ``datasetId``); a deleted one has none, and an entity without attributes is absent.
A caller sees what today's rights would have shown then: an area is decided by where an entity was, types and scopes
are those it has now (or had last).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hanmaru.hub.model import LOCATION, Attribute, Entity, decode_attribute
from hanmaru.hub.query import EntityQuery, terms_of
from hanmaru.hub.visibility import Attributes, attributes_of, grants_of, matching_each, meets, only
from hanmaru.platform.access import Access, Grant


@dataclass(frozen=True, slots=True)
class PastPage:
    """Entities as they were, in order of creation; ``next`` goes on after them, None when that was all.

    A page holds what was there of a fixed number of candidates: it may be short or empty and not the last.
    """

    entities: Sequence[Entity]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one instant changed of an entity as its reader sees it.

    ``touched`` are the attributes that changed, ``before`` and ``after`` the entity around it, None where it is absent.
    """

    at: int
    id: str
    before: Entity | None
    after: Entity | None
    touched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpanPage:
    """Steps of some entities in order of time, all that there are up to ``until``; ``next`` as in `PastPage`."""

    steps: Sequence[Step]
    until: int
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One instance as kept: of which entity (its key) and attribute (expanded), when, in which order, what."""

    key: int
    attribute: str
    at: int
    seq: int
    doc: bytes


def placeless(query: EntityQuery, access: Access) -> tuple[EntityQuery, tuple[Grant, ...]]:
    """Return the part of a query and of an access that the present rows of entities decide: all but attributes."""
    grants = tuple(replace(grant, area=None, attributes=None) for grant in grants_of(access))
    return replace(query, attrs=(), q=None, geo=None), grants


def needed(query: EntityQuery, access: Access, attrs: Sequence[str]) -> Attributes:
    """Return the attributes that have to be read to show ``attrs`` (none: every one) of what matches."""
    grants = grants_of(access)
    names = frozenset(attrs) or None
    if (visible := attributes_of(grants)) is not None:
        names = visible if names is None else names & visible
    if names is None:
        return None
    asked = {term.attribute for term in terms_of(query.q)} | set(query.attrs)
    if query.geo is not None:
        asked.add(query.geo.attribute)
    if any(grant.area for grant in grants):
        asked.add(LOCATION)
    return names | asked


class Reader:
    """Decides what a query shows its caller of entities as they were."""

    def __init__(self, access: Access, query: EntityQuery, attrs: Sequence[str] = ()) -> None:
        """Show ``attrs`` (expanded; none: every one)."""
        self._grants, self._query, self._attrs = grants_of(access), query, frozenset(attrs) or None

    def shown(self, entities: Sequence[Entity]) -> list[Entity | None]:
        """Return each entity with what of it is asked for and visible; None where it is absent."""
        found: list[Entity | None] = []
        for entity, matched in zip(entities, matching_each(self._grants, entities), strict=True):
            seen = only(entity, attributes_of(matched))
            there = matched and seen.attrs and meets(seen, self._query)
            seen = only(seen, self._attrs)
            found.append(seen if there and seen.attrs else None)
        return found

    def page(self, states: Sequence[Entity], next: int | None) -> PastPage:
        """Return a page of what is there of some entities."""
        return PastPage([entity for entity in self.shown(states) if entity is not None], next)

    def steps(self, states: Mapping[int, Entity], rows: Iterable[Row]) -> list[Step]:
        """Return what rows (in order of time) change of entities that were in some states; rows of an instant join."""
        now = dict(states)
        before = dict(zip(now, self.shown(list(now.values())), strict=True))
        found: list[Step] = []
        for (key, at), together in _by_instant(rows).items():
            now[key] = put(now[key], ((row.attribute, decode_attribute(row.doc)) for row in together))
            (after,) = self.shown([now[key]])
            if (step := _step(now[key].id, at, before[key], after, [row.attribute for row in together])) is not None:
                found.append(step)
            before[key] = after
        return found


def _by_instant(rows: Iterable[Row]) -> dict[tuple[int, int], list[Row]]:
    joined: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        joined.setdefault((row.key, row.at), []).append(row)
    return joined


def _step(id: str, at: int, before: Entity | None, after: Entity | None, names: Sequence[str]) -> Step | None:
    old, new = before.attrs if before else {}, after.attrs if after else {}
    if before is None or after is None:
        names = tuple(new or old)
    touched = tuple(dict.fromkeys(name for name in names if name in old or name in new))
    return Step(at, id, before, after, touched) if touched else None


def bare(entity: Entity) -> Entity:
    """Return what of an entity is not kept by instants: id, types, scopes."""
    return Entity(entity.id, entity.types, {}, entity.scopes)


def put(entity: Entity, instances: Iterable[tuple[str, Attribute]]) -> Entity:
    """Return an entity with some instances in the place of those of their ``datasetId``.

    A deleted instance leaves its place empty. ``modified_at`` becomes the newest instant.
    """
    attrs = dict(entity.attrs)
    newest = entity.modified_at
    for name, instance in instances:
        others = tuple(i for i in attrs.get(name, ()) if i.dataset_id != instance.dataset_id)
        left = others if instance.deleted_at else tuple(sorted((*others, instance), key=lambda i: i.dataset_id or ""))
        if left:
            attrs[name] = left
        else:
            attrs.pop(name, None)
        instant = instance.observed_at or instance.modified_at
        if instant is not None and (newest is None or instant[:-1] > newest[:-1]):  # canonical texts sort so
            newest = instant
    return Entity(entity.id, entity.types, attrs, entity.scopes, entity.created_at, newest)


def cut(rows: Sequence[Row], limit: int, end: int) -> tuple[Sequence[Row], int]:
    """Return rows (in order of time, at most ``limit`` and one more) as far as all of an instant are there.

    And the instant up to which they are all; when that is none, the one before the first.
    """
    if len(rows) <= limit:
        return rows, end
    last = rows[-1].at
    return [row for row in rows if row.at < last], last - 1
