"""`Access` decided in memory, for what the notifier and writers see; the stores compile the same rules into queries."""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from hanmaru.hub.geometry import GeoQuery, to_wkb
from hanmaru.hub.index import entity_rows
from hanmaru.hub.model import LOCATION, Entity
from hanmaru.hub.query import EntityQuery, matches, scope_matches
from hanmaru.platform.access import EVERYTHING, Access, Area, Grant

Attributes = frozenset[str] | None
"""Names of attributes; None means all of them."""


def grants_of(access: Access) -> tuple[Grant, ...]:
    """Return the fewest grants that permit the same; none when nothing is visible."""
    return (EVERYTHING,) if access.unrestricted else _merged(access.grants)


@lru_cache(maxsize=4_096)
def _merged(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Join grants that differ in one member only; leave out what another contains and what matches nothing."""
    found = [dataclasses.replace(g, scopes=None if g.scopes is None else _sorted(g.scopes)) for g in grants]
    for member in ("attributes", "types", "scopes"):
        alike: dict[Grant, list[Any]] = {}
        for grant in found:
            alike.setdefault(dataclasses.replace(grant, **{member: None}), []).append(getattr(grant, member))
        found = [dataclasses.replace(rest, **{member: _union(member, parts)}) for rest, parts in alike.items()]
    found = [grant for grant in found if grant.types != frozenset() and grant.scopes != ()]
    return tuple(g for g in found if not any(other is not g and _contains(other, g) for other in found))


def _sorted(scopes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(scopes)))


def _union(member: str, parts: Sequence[Any]) -> Any:
    if None in parts:
        return None
    every = frozenset[str]().union(*parts)
    return _sorted(every) if member == "scopes" else every


def _contains(outer: Grant, inner: Grant) -> bool:
    pairs = ((outer.types, inner.types), (outer.scopes, inner.scopes), (outer.attributes, inner.attributes))
    return outer.area in (None, inner.area) and all(
        mine is None or (theirs is not None and set(mine).issuperset(theirs)) for mine, theirs in pairs
    )


def covers(outer: Access, inner: Access) -> bool:
    """Whether everything that one access shows is certainly shown by another."""
    return all(any(_contains(grant, other) for grant in grants_of(outer)) for other in grants_of(inner))


def fingerprint(access: Access) -> str:
    """Return a short text that accesses to the same have in common."""
    return _fingerprint(grants_of(access))


@lru_cache(maxsize=4_096)
def _fingerprint(grants: tuple[Grant, ...]) -> str:
    def listed(names: Iterable[str] | None) -> list[str] | None:
        return None if names is None else sorted(names)

    parts = sorted(repr((listed(g.types), g.scopes, listed(g.attributes), g.area)) for g in grants)
    return blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()


def attributes_of(grants: Iterable[Grant]) -> Attributes:
    """Return the attributes that grants show together."""
    shown: set[str] = set()
    for grant in grants:
        if grant.attributes is None:
            return None
        shown |= grant.attributes
    return frozenset(shown)


def matching(access: Access, entity: Entity) -> tuple[Grant, ...]:
    """Return the grants that match an entity; none when the caller may not know of it."""
    if access.unrestricted:
        return (EVERYTHING,)
    return matching_each(grants_of(access), [entity])[0]


def matching_each(
    grants: Sequence[Grant], entities: Sequence[Entity], *, anywhere: bool = False
) -> list[tuple[Grant, ...]]:
    """Return for each entity the grants that match it; ``anywhere`` leaves areas out of account."""
    found: list[list[Grant]] = [[] for _ in entities]
    for grant in grants:
        inside = [n for n, entity in enumerate(entities) if _matches(grant, entity)]
        if grant.area is not None and not anywhere:
            inside = _within(grant.area, entities, inside)
        for n in inside:
            found[n].append(grant)
    return [tuple(some) for some in found]


def _matches(grant: Grant, entity: Entity) -> bool:
    """Whether a grant matches an entity, its area apart."""
    return (grant.types is None or not grant.types.isdisjoint(entity.types)) and (
        grant.scopes is None
        or any(scope_matches(allowed.rstrip("/") + "/#", scope) for allowed in grant.scopes for scope in entity.scopes)
    )


def _within(area: Area, entities: Sequence[Entity], some: Iterable[int]) -> list[int]:
    numbers: list[int] = []
    shapes: list[bytes] = []
    for n in some:
        for wkb in shapes_of(entities[n], LOCATION):
            numbers.append(n)
            shapes.append(wkb)
    inside = area_query(area).matches(shapes)
    return list(dict.fromkeys(n for n, found in zip(numbers, inside, strict=True) if found))


def shapes_of(entity: Entity, attribute: str) -> list[bytes]:
    """Return the geometries (WKB) of a GeoProperty."""
    return [to_wkb(i.value) for i in entity.attrs.get(attribute, ()) if i.kind == "GeoProperty"]


def area_query(area: Area) -> GeoQuery:
    """Return an area as a condition on ``location``."""
    return GeoQuery("within", area.geometry, LOCATION)


def visible(access: Access, entity: Entity) -> bool:
    """Whether the caller may know of an entity."""
    return bool(matching(access, entity))


def attributes_seen(access: Access, entity: Entity) -> Attributes:
    """Return which attributes of an entity the caller may see."""
    grants = grants_of(access)
    if len({grant.attributes for grant in grants}) > 1:
        grants = matching(access, entity)
    return attributes_of(grants)


def project_each(access: Access, entities: Sequence[Entity]) -> Sequence[Entity]:
    """Return visible entities with their visible attributes only."""
    grants = grants_of(access)
    if len({grant.attributes for grant in grants}) == 1:
        visible = attributes_of(grants)
        return entities if visible is None else [only(entity, visible) for entity in entities]
    matched = matching_each(grants, entities)
    return [only(entity, attributes_of(some)) for entity, some in zip(entities, matched, strict=True)]


def only(entity: Entity, attributes: Attributes) -> Entity:
    """Return an entity with some of its attributes only."""
    if attributes is None or attributes.issuperset(entity.attrs):
        return entity
    return replace(entity, attrs={n: i for n, i in entity.attrs.items() if n in attributes})


def meets(entity: Entity, query: EntityQuery) -> bool:
    """Whether an entity's attributes are those that a query asks for: its ``attrs``, ``q`` and ``geo``."""
    return (
        (not query.attrs or any(name in entity.attrs for name in query.attrs))
        and (query.geo is None or bool(query.geo.matches(shapes_of(entity, query.geo.attribute)).any()))
        and (query.q is None or matches(query.q, entity_rows(entity)))
    )
