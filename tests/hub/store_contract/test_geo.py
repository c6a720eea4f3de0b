"""Geographical queries: Shapely and geodesic distance decide, the store's index only proposes."""

import pytest

from hanmaru.hub.stores.base import Store
from tests.hub.store_contract.building import (
    ALL,
    ask,
    box,
    do,
    entity,
    found,
    geo,
    local,
    name,
    point,
    prop,
    put,
    write,
)

SEJONG = (127.289, 36.480)

SHAPES = {
    "centre": point(*SEJONG),
    "100m": point(127.289, 36.4809),  # one thousandth of a degree of latitude is 111 m
    "1km": point(127.289, 36.489),
    "seoul": point(126.978, 37.566),
    "square": box(127.28, 36.47, 127.30, 36.49),
    "big": box(127.0, 36.0, 128.0, 37.0),
    "road": {"type": "LineString", "coordinates": [[127.25, 36.485], [127.33, 36.485]]},
    "none": None,
}


@pytest.fixture
async def filled(store: Store) -> Store:
    """Hold points, a road and areas around one place."""
    made = (entity(id, **({"location": shape} if shape else {"n": 1})) for id, shape in SHAPES.items())
    await do(store, *map(put, made))
    return store


async def test_near(filled: Store) -> None:
    here = point(*SEJONG)
    assert await found(filled, geo=geo("near", here, max_m=50)) == ["centre", "square", "big"]
    assert await found(filled, geo=geo("near", here, max_m=101)) == ["centre", "100m", "square", "big"]
    assert await found(filled, geo=geo("near", here, min_m=900)) == ["1km", "seoul"]
    assert await found(filled, geo=geo("near", here, min_m=90, max_m=1_000)) == ["100m", "1km", "road"]
    assert await found(filled, geo=geo("near", here, max_m=0)) == ["centre", "square", "big"]


async def test_within_and_intersects(filled: Store) -> None:
    square = box(127.28, 36.47, 127.30, 36.49)
    assert await found(filled, geo=geo("within", square)) == ["centre", "100m", "1km", "square"]
    assert await found(filled, geo=geo("intersects", square)) == ["centre", "100m", "1km", "square", "big", "road"]
    assert await found(filled, geo=geo("intersects", point(127.26, 36.485))) == ["big", "road"]


async def test_disjoint_equals_contains_overlaps(filled: Store) -> None:
    square = box(127.28, 36.47, 127.30, 36.49)
    assert await found(filled, geo=geo("disjoint", square)) == ["seoul"]
    assert await found(filled, geo=geo("equals", point(*SEJONG))) == ["centre"]
    assert await found(filled, geo=geo("equals", square)) == ["square"]
    assert await found(filled, geo=geo("contains", point(*SEJONG))) == ["centre", "square", "big"]
    assert await found(filled, geo=geo("contains", square)) == ["square", "big"]
    assert await found(filled, geo=geo("overlaps", box(127.29, 36.48, 127.31, 36.50))) == ["square"]


async def test_with_other_conditions_and_pages(filled: Store) -> None:
    await do(filled, write("append", "100m", kind="lamp"), write("append", "seoul", kind="lamp"))
    near = geo("near", point(*SEJONG), max_m=2_000)
    assert await found(filled, geo=near, q="kind==lamp") == ["100m"]
    assert await found(filled, geo=near, type="Device", ids=["1km", "seoul"]) == ["1km"]
    page = await filled.query(ALL, ask(geo=near, limit=2, offset=1, count=True))
    assert ([local(made) for made in page.entities], page.count) == (["100m", "1km"], 6)
    none = await filled.query(ALL, ask(geo=near, limit=0, count=True))
    assert (list(none.entities), none.count) == ([], 6)


async def test_other_attributes_and_several_instances(store: Store) -> None:
    two = [
        {"type": "GeoProperty", "value": point(1, 1)},
        {"type": "GeoProperty", "value": point(2, 2), "datasetId": "urn:x:d"},
    ]
    await do(store, put(entity("a", entrance=two)), put(entity("b", location=point(1, 1))))
    assert await found(store, geo=geo("near", point(2, 2), name("entrance"), max_m=1)) == ["a"]
    assert await found(store, geo=geo("near", point(1, 1), name("entrance"), max_m=1)) == ["a"]
    assert await found(store, geo=geo("within", box(0, 0, 3, 3), name("entrance"))) == ["a"]
    assert await found(store, geo=geo("within", box(0, 0, 3, 3), name("nothing"))) == []


async def test_moves_and_leaves(store: Store) -> None:
    here, there = geo("near", point(1, 1), max_m=1), geo("near", point(2, 2), max_m=1)
    await do(store, put(entity("a", location=point(1, 1))), write("append", "a", location=point(2, 2)))
    assert (await found(store, geo=here), await found(store, geo=there)) == ([], ["a"])
    await do(store, write("append", "a", location=prop("somewhere")))
    assert await found(store, geo=there) == []


async def test_at_the_antimeridian_and_the_poles(store: Store) -> None:
    await do(store, put(entity("east", location=point(179.999, 0))), put(entity("pole", location=point(-90, 89.999))))
    assert await found(store, geo=geo("near", point(-179.999, 0), max_m=300)) == ["east"]
    assert await found(store, geo=geo("near", point(90, 89.999), max_m=300)) == ["pole"]


async def test_among_thousands(store: Store) -> None:
    grid = [
        entity(f"{x:02}{y:02}", location=point(127 + x / 1_000, 36 + y / 1_000)) for x in range(50) for y in range(50)
    ]
    await do(store, *map(put, grid))
    inside = geo("within", box(127.0095, 36.0095, 127.0125, 36.0125))
    assert await found(store, geo=inside) == [f"{x}{y}" for x in (10, 11, 12) for y in (10, 11, 12)]
    page = await store.query(ALL, ask(geo=geo("disjoint", box(0, 0, 1, 1)), limit=2, offset=2_400, count=True))
    assert ([local(made) for made in page.entities], page.count) == (["4800", "4801"], 2_500)
