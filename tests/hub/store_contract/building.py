"""Short ways to say entities, writes and queries; names are short ones of the core @context."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from hanmaru.hub import expand
from hanmaru.hub.geometry import GeoQuery, GeoRel
from hanmaru.hub.model import LOCATION, Attribute, Entity
from hanmaru.hub.query import EntityQuery, parse_q, parse_scopes, parse_types
from hanmaru.hub.stores.base import Store
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.times import from_micros, micros
from hanmaru.hub.writes import Decision, Operation, Write
from hanmaru.platform.access import Access, Area, Grant
from hanmaru.platform.problems import Problem

ALL = Access(write=True)


def sees(**grant: Any) -> Access:
    """Return an access of one grant that may write."""
    return Access(grants=(Grant(**grant),), write=True)


T0 = micros("2026-11-23T00:00:00Z")
_ticks = itertools.count()


def name(term: str) -> str:
    """Expand a name."""
    return CORE_TERMS.expand(term)


def names(*terms: str) -> frozenset[str]:
    """Expand several names."""
    return frozenset(map(name, terms))


def at(second: float) -> str:
    """Return the instant so many seconds after midnight of 2026-11-23 UTC."""
    return from_micros(T0 + int(second * 1_000_000))


def tick() -> str:
    """Return an instant later than every one before."""
    return at(next(_ticks))


def uri(id: str) -> str:
    return f"urn:x:{id}"


def entity(id: str, type: str | list[str] = "Device", *, now: str | None = None, **members: Any) -> Entity:
    """Make an entity of members in any of NGSI-LD's representations."""
    return expand.entity({"id": uri(id), "type": type, **members}, CORE_TERMS, now or tick())


def prop(value: Any, observed: float | None = None, **members: Any) -> dict[str, Any]:
    """Make a property, observed so many seconds after midnight."""
    document = {"type": "Property", "value": value, **members}
    return document if observed is None else document | {"observedAt": at(observed)}


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def geojson(geometry: dict[str, Any]) -> str:
    return msgspec.json.encode(geometry).decode()


def area(west: float, south: float, east: float, north: float) -> Area:
    return Area(geojson(box(west, south, east, north)))


def geo(relation: GeoRel, geometry: dict[str, Any], attribute: str = LOCATION, **distances: float) -> GeoQuery:
    return GeoQuery(relation, geojson(geometry), attribute, **distances)


def write(operation: Operation, id: str, **members: Any) -> Write:
    """Make a write of an entity or, where the operation takes one, a fragment."""
    now = tick()
    if operation in ("create", "replace", "upsert"):
        return Write(operation, uri(id), now, entity(id, members.pop("type", "Device"), now=now, **members))
    nulls = operation in ("merge", "update")
    return Write(operation, uri(id), now, expand.fragment(members, CORE_TERMS, now, nulls=nulls))


def put(made: Entity) -> Write:
    """Make the write that creates an entity."""
    return Write("create", made.id, made.created_at or "", made)


def delete(id: str) -> Write:
    return Write("delete", uri(id), tick())


async def do(store: Store, *writes: Write, access: Access = ALL) -> list[Decision]:
    """Apply writes; raise the first problem."""
    outcomes = await store.write(access, writes)
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Decision)]


async def statuses(store: Store, *writes: Write, access: Access = ALL) -> list[int]:
    """Apply writes and return 0 or the problem's status for each."""
    return [o.status if isinstance(o, Problem) else 0 for o in await store.write(access, writes)]


def ask(
    *,
    type: str | None = None,
    q: str | None = None,
    scope: str | None = None,
    attrs: Sequence[str] = (),
    ids: Sequence[str] = (),
    **rest: Any,
) -> EntityQuery:
    """Make a query of the texts that a client would send."""
    return EntityQuery(
        types=parse_types(type, CORE_TERMS) if type else None,
        q=parse_q(q, CORE_TERMS) if q else None,
        scopes=parse_scopes(scope) if scope else None,
        attrs=CORE_TERMS.expand_all(attrs),
        ids=tuple(map(uri, ids)),
        **rest,
    )


async def found(store: Store, access: Access = ALL, **query: Any) -> list[str]:
    """Return the local ids of the entities that match, and check that the count says the same."""
    page = await store.query(access, ask(**query, count=True, limit=1_000))
    assert page.count == len(page.entities)
    return [local(made) for made in page.entities]


def local(made: Entity) -> str:
    return made.id.removeprefix("urn:x:")


async def get(store: Store, id: str, access: Access = ALL) -> Entity:
    """Return an entity that is there."""
    made = await store.retrieve(access, uri(id))
    assert made is not None
    return made


def values(instances: Sequence[Attribute] | None) -> list[Any]:
    return [instance.value for instance in instances or ()]


async def value(store: Store, id: str, attribute: str) -> Any:
    """Return the value of an attribute that has one instance."""
    (instance,) = (await get(store, id)).attrs[name(attribute)]
    return instance.value
