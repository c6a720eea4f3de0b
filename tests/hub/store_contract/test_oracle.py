"""Any query under any access shows exactly what filtering every entity in memory would."""

import itertools
import json
from typing import Any

import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hanmaru.hub.geometry import GeoQuery, to_wkb
from hanmaru.hub.index import entity_rows
from hanmaru.hub.model import LOCATION, Attribute, Entity
from hanmaru.hub.query import EntityQuery, TemporalQuery, in_scopes, in_types, matches
from hanmaru.hub.stores.base import Store
from hanmaru.platform.access import Access, Area, Grant
from tests.hub.store_contract.building import area, ask, box, entity, geo, name, names, point, prop, put
from tests.hub.store_contract.building import do as apply

_tenants = itertools.count()
TYPES, SCOPES = ("A", "B", "C"), ("/x", "/x/y", "/x/y/z", "/xx", "/q")
ATTRIBUTES = ("n", "s", "m", "location", "deep")
ids = st.lists(st.sampled_from([f"{n:02}" for n in range(14)]), unique=True, max_size=14)
many = st.lists(st.sampled_from([f"{n:02}" for n in range(14)]), unique=True, min_size=4)
scalars = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(
        [
            0.5,
            1e300,
            -1.0,
            "",
            "a",
            "ab",
            "b",
            "가",
            "1",
            "true",
            "\x01true",
            "2026-11-23T00:00:00Z",
            "2026-11-23T09:00:00+09:00",
        ]
    ),
    st.booleans(),
)
plain = st.one_of(
    scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from(["k", "j"]), scalars, max_size=2)
)
degrees = st.integers(-4, 4).map(float)
boxes = st.tuples(degrees, degrees, st.integers(1, 4), st.integers(1, 4)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
shapes = st.one_of(st.builds(point, degrees, degrees), boxes.map(lambda b: box(*b)))


@st.composite
def entities(draw: st.DrawFn) -> list[Entity]:
    """Draw entities with random types, scopes, places and values, some with sub-attributes or several instances."""
    made: list[Entity] = []
    for id in draw(st.one_of(ids, many)):
        members: dict[str, Any] = {}
        for attribute in draw(st.sets(st.sampled_from(["n", "s", "m"]))):
            members[attribute] = prop(draw(plain), draw(st.one_of(st.none(), st.integers(0, 5))))
        if draw(st.booleans()):
            members["deep"] = [prop(draw(plain), n=prop(draw(scalars))), prop(draw(plain), 3, datasetId="urn:x:d")]
        if draw(st.booleans()):
            members["location"] = draw(shapes)
        scope = draw(st.lists(st.sampled_from(SCOPES), unique=True, max_size=2))
        types = draw(st.lists(st.sampled_from(TYPES), unique=True, min_size=1))
        made.append(entity(id, types, **members, **({"scope": scope} if scope else {})))
    return made


operands = st.sampled_from(
    [
        "1",
        "2",
        "-1",
        "0.5",
        "true",
        "false",
        '"true"',
        '""',
        '"a"',
        "ab",
        '"가"',
        '"1"',
        "-2..1",
        '"".."ab"',
        "1,2",
        '"a",0..3',
        "2026-11-23T00:00:00Z",
    ]
)
ordered = st.sampled_from(["0", "1", "-1", '"a"', '""', '"b"', "true", "2026-11-22T23:59:59Z"])
paths = st.sampled_from(["n", "s", "m", "deep", "deep.n", "m[k]", "deep[j]", "other"])
terms = st.one_of(
    paths,
    st.builds("{}{}{}".format, paths, st.sampled_from(["==", "!="]), operands),
    st.builds("{}{}{}".format, paths, st.sampled_from(["<", "<=", ">", ">="]), ordered),
    st.builds(
        "{}{}{}".format,
        paths,
        st.sampled_from(["~=", "!~="]),
        st.sampled_from(['"a"', '"^$"', '"."', '"^[a-b]+$"', '"[가-힣]"']),
    ),
    st.builds(
        "{}.observedAt{}{}".format,
        st.sampled_from(["n", "deep"]),
        st.sampled_from(["==", "!=", ">", "<="]),
        st.sampled_from(["2026-11-23T00:00:03Z", "2026-11-23T00:00:01Z"]),
    ),
    st.sampled_from(["n.observedAt", "deep.modifiedAt>2020-01-01T00:00:00Z"]),
)
questions = st.recursive(terms, lambda q: st.builds("({}{}{})".format, q, st.sampled_from([";", "|"]), q), max_leaves=4)
selections = st.sampled_from(["A", "B,C", "A;B", "(A;B)|C", "Z", "A;(B,C)"])
scope_questions = st.sampled_from(["/x", "/x/#", "/x/y;/q", "/x/y/#|/q", "/#", "/+/y", "/x/+/#"])
geos: st.SearchStrategy[GeoQuery] = st.one_of(
    st.builds(geo, st.sampled_from(["within", "intersects", "disjoint", "overlaps", "contains", "equals"]), shapes),
    st.builds(lambda p, far: geo("near", p, max_m=far), shapes, st.sampled_from([0, 120_000, 400_000])),
    st.builds(lambda p, near: geo("near", p, min_m=near), shapes, st.sampled_from([1, 300_000])),
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


pages = {"limit": st.integers(0, 5), "offset": st.integers(0, 4), "count": st.just(True)}
any_attributes = st.lists(st.sampled_from(["n", "s", "deep", "other"]), max_size=2)
queries = st.one_of(
    st.builds(
        ask,
        type=maybe(selections),
        q=maybe(questions),
        scope=maybe(scope_questions),
        geo=maybe(geos),
        ids=st.one_of(st.just([]), st.just([]), ids),
        id_pattern=maybe(st.sampled_from(["1", "^urn:x:0", "[02468]$"])),
        attrs=any_attributes,
        **pages,
    ),
    st.builds(ask, q=questions, **pages),  # of one thing at a time, so that more is found
    st.builds(ask, geo=geos, **pages),
    st.builds(ask, attrs=any_attributes, **pages),
)
grants = st.builds(
    Grant,
    types=maybe(st.frozensets(st.sampled_from(sorted(names(*TYPES))), max_size=2)),
    scopes=maybe(st.lists(st.sampled_from(["/x", "/x/y", "/q", "/"]), max_size=2).map(tuple)),
    attributes=maybe(st.frozensets(st.sampled_from(sorted(names(*ATTRIBUTES))))),
    area=maybe(st.sampled_from([(-4, -4, 0, 4), (0, -4, 4, 4), (-2, -2, 2, 2)]).map(lambda b: area(*b))),
)
some_attributes = st.frozensets(st.sampled_from(sorted(names(*ATTRIBUTES))), min_size=1, max_size=3)
views = st.one_of(  # restricted in one way each, so that several of them match the same entity
    st.builds(Grant, types=st.sampled_from(TYPES).map(lambda t: names(t)), attributes=some_attributes),
    st.builds(Grant, scopes=st.sampled_from([("/x",), ("/q",)]), attributes=some_attributes),
    st.builds(
        Grant,
        area=st.sampled_from([(-4, -4, 1, 4), (0, -4, 4, 4)]).map(lambda b: area(*b)),
        attributes=some_attributes,
    ),
)
unions = st.one_of(st.lists(grants, max_size=3), st.lists(views, min_size=2, max_size=3)).map(tuple)


def matched(e: Entity, union: tuple[Grant, ...]) -> list[Grant]:
    """Return the grants that match an entity, word by word."""
    return [
        grant
        for grant in union
        if (grant.types is None or any(t in grant.types for t in e.types))
        and (
            grant.scopes is None
            or any(s == g or s.startswith(g.rstrip("/") + "/") for g in grant.scopes for s in e.scopes)
        )
        and (grant.area is None or any(covered(i, grant.area) for i in e.attrs.get(LOCATION, ())))
    ]


def covered(location: Attribute, area: Area) -> bool:
    place = shapely.from_geojson(json.dumps(location.value))
    return bool(shapely.covers(shapely.from_geojson(area.geometry), place))


def what_is_seen(made: list[Entity], union: tuple[Grant, ...]) -> list[Entity]:
    """Return the entities that some grant matches, each with the attributes that those grants name."""
    seen: list[Entity] = []
    for e in made:
        if some := matched(e, union):
            attrs = {n: i for n, i in e.attrs.items() if any(g.attributes is None or n in g.attributes for g in some)}
            seen.append(replace(e, attrs=attrs))
    return seen


def answers(e: Entity, query: EntityQuery) -> bool:
    if query.geo is not None:
        shapes = [to_wkb(i.value) for i in e.attrs.get(query.geo.attribute, ()) if i.kind == "GeoProperty"]
        if not query.geo.matches(shapes).any():
            return False
    pattern = {None: "", "1": "1", "^urn:x:0": "urn:x:0"}.get(query.id_pattern)
    even = query.id_pattern == "[02468]$" and int(e.id[-1]) % 2 == 0
    return (
        (not query.ids or e.id in query.ids)
        and (even if pattern is None else pattern in e.id)
        and (not query.attrs or any(a in e.attrs for a in query.attrs))
        and (query.types is None or in_types(query.types, e))
        and (query.scopes is None or in_scopes(query.scopes, e.scopes))
        and (query.q is None or matches(query.q, entity_rows(e)))
    )


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=entities(), asked=st.lists(st.tuples(unions, queries), min_size=1, max_size=6))
async def test_store_and_memory_agree(
    store: Store, made: list[Entity], asked: list[tuple[tuple[Grant, ...], EntityQuery]]
) -> None:
    tenant = f"t{next(_tenants)}"
    await store.put_document("tenant", tenant, "is there", b"")  # also without entities
    await apply(store, *map(put, made), access=Access(tenant, write=True))
    for union, query in asked:
        access, seen = Access(tenant, union), what_is_seen(made, union)
        right = [e for e in seen if answers(e, query)]
        page = await store.query(access, query)
        assert list(page.entities) == right[query.offset : query.offset + query.limit]
        assert page.count == len(right)
        for id in {e.id for e in made[:3]}:
            assert await store.retrieve(access, id) == next((e for e in seen if e.id == id), None)
        await _types_agree(store, access, made, seen)
        await _histories_agree(store, access, query, right)


async def _types_agree(store: Store, access: Access, made: list[Entity], seen: list[Entity]) -> None:
    """A type is listed for the entities that a grant naming it matches."""
    named = {
        e.id: {t for t in e.types for g in matched(e, access.grants) if g.types is None or t in g.types} for e in made
    }
    right: dict[str, tuple[int, dict[str, frozenset[str]]]] = {}
    for t in {t for e in seen for t in named[e.id]}:
        of_type = [e for e in seen if t in named[e.id]]
        kinds = {a: frozenset(i.kind for e in of_type for i in e.attrs.get(a, ())) for e in of_type for a in e.attrs}
        right[t] = len(of_type), kinds
    assert {info.name: (info.count, info.attributes) for info in await store.types(access)} == right
    assert [local_type(info.name) for info in await store.types(access, name("A"))] == ["A"] * (name("A") in right)


def local_type(iri: str) -> str:
    return iri.rpartition("/")[2]


async def _histories_agree(store: Store, access: Access, query: EntityQuery, right: list[Entity]) -> None:
    await _history_agrees(store, access, query, right, TemporalQuery(property="modifiedAt"))
    some = TemporalQuery(property="modifiedAt", attrs=(name("n"), LOCATION))
    with_some = [replace(e, attrs={a: i for a, i in e.attrs.items() if a in some.attrs}) for e in right]
    await _history_agrees(store, access, query, [e for e in with_some if e.attrs], some)
    ever = TemporalQuery(property="modifiedAt", start=0)
    await _history_agrees(store, access, query, [e for e in right if e.attrs], ever)


async def _history_agrees(
    store: Store, access: Access, query: EntityQuery, right: list[Entity], temporal: TemporalQuery
) -> None:
    page = await store.query_history(access, query, temporal)
    assert page.count == len(right)
    got = [(e.id, {a: [i.value for i in instances] for a, instances in e.attrs.items()}) for e in page.entities]
    assert got == [
        (e.id, {a: [i.value for i in instances] for a, instances in e.attrs.items()})
        for e in right[query.offset : query.offset + query.limit]
    ]
