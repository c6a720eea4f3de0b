"""Access as part of every question: what is hidden is absent, and pages and counts are those of the rest."""

from dataclasses import replace

import pytest

from hanmaru.hub import expand
from hanmaru.hub.query import TemporalQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.writes import Write
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from tests.hub.store_contract.building import (
    ALL,
    area,
    ask,
    box,
    delete,
    do,
    entity,
    found,
    geo,
    get,
    local,
    name,
    names,
    point,
    prop,
    put,
    sees,
    statuses,
    tick,
    uri,
    value,
    values,
    write,
)

DEVICES = sees(types=names("Device"))
EAST = sees(scopes=("/city/east",))
CENTRE = sees(area=area(0, 0, 10, 10))
NO_SECRET = sees(attributes=names("n", "location"))
NO_PLACE = sees(attributes=names("n", "secret"), area=area(0, 0, 10, 10))


@pytest.fixture
async def filled(store: Store) -> Store:
    """Hold entities that differ in type, scope and place."""
    await do(
        store,
        put(entity("dev", "Device", scope="/city/east", location=point(1, 1), n=prop(1, 1), secret=prop("x", 1))),
        put(entity("lamp", "Lamp", scope="/city/east/gate", location=point(2, 2), n=prop(2, 1))),
        put(entity("both", ["Lamp", "Device"], scope="/city/eastern", location=point(50, 50), n=prop(3, 1))),
        put(entity("bare", "Lamp", secret=prop("x", 1))),
    )
    return store


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (DEVICES, "dev both"),
        (EAST, "dev lamp"),
        (CENTRE, "dev lamp"),
        (NO_SECRET, "dev lamp both bare"),
        (NO_PLACE, "dev lamp"),
        (sees(types=frozenset()), ""),
        (sees(scopes=()), ""),
        (sees(scopes=("/",)), "dev lamp both"),
        (sees(types=names("Device"), scopes=("/city/east",), area=area(0, 0, 60, 60)), "dev"),
    ],
)
async def test_only_the_visible_entities_are_there(filled: Store, access: Access, expected: str) -> None:
    ids = expected.split()
    assert await found(filled, access) == ids
    assert await found(filled, access, ids=["both", "lamp", "dev", "bare"]) == ids
    for id in ("dev", "lamp", "both", "bare"):
        assert (await filled.retrieve(access, uri(id)) is not None) == (id in ids)
        assert (await filled.history(access, uri(id), TemporalQuery()) is not None) == (id in ids)
    page = await filled.query_history(access, ask(count=True), TemporalQuery())
    assert ([e.id.removeprefix("urn:x:") for e in page.entities], page.count) == (ids, len(ids))
    page = await filled.query(access, ask(limit=1, offset=1, count=True))
    assert ([local(made) for made in page.entities], page.count) == (ids[1:2], len(ids))


async def test_types_count_what_is_visible(filled: Store) -> None:
    async def counted(access: Access) -> dict[str, int]:
        return {info.name.rpartition("/")[2]: info.count for info in await filled.types(access)}

    assert await counted(ALL) == {"Device": 2, "Lamp": 3}
    assert await counted(DEVICES) == {"Device": 2}
    assert await counted(EAST) == await counted(CENTRE) == await counted(NO_PLACE) == {"Device": 1, "Lamp": 1}
    (lamp,) = await filled.types(EAST, name("Lamp"))
    assert set(lamp.attributes) == names("n", "location")
    assert all("secret" not in attribute for info in await filled.types(NO_SECRET) for attribute in info.attributes)


async def test_a_hidden_attribute_is_absent_everywhere(filled: Store) -> None:
    assert await found(filled, NO_SECRET, q="secret") == await found(filled, NO_SECRET, q="secret==x") == []
    assert await found(filled, NO_SECRET, q="secret!=y|n==1") == ["dev"]
    assert await found(filled, NO_SECRET, attrs=["secret"]) == []
    assert await found(filled, NO_SECRET, attrs=["secret", "n"]) == ["dev", "lamp", "both"]
    assert set((await get(filled, "dev", NO_SECRET)).attrs) == names("n", "location")
    hidden_place = sees(attributes=names("n"))
    assert await found(filled, hidden_place, geo=geo("within", box(0, 0, 60, 60))) == []
    assert await found(filled, hidden_place, geo=geo("disjoint", box(80, 80, 81, 81))) == []
    history = await filled.history(NO_SECRET, uri("dev"), TemporalQuery(property="modifiedAt"))
    assert history is not None
    assert set(history.attrs) == names("n", "location")
    page = await filled.query_history(NO_SECRET, ask(count=True), TemporalQuery(attrs=(name("secret"),)))
    assert (list(page.entities), page.count) == ([], 0)


async def test_history_of_deleted_entities_is_for_the_unrestricted(filled: Store) -> None:
    await do(filled, delete("dev"))
    for access in (DEVICES, EAST, CENTRE, NO_SECRET):
        assert await filled.history(access, uri("dev"), TemporalQuery()) is None
        assert not await filled.delete_history(access, uri("dev"))
    assert await filled.history(ALL, uri("dev"), TemporalQuery()) is not None


async def test_what_is_invisible_cannot_be_written(filled: Store) -> None:
    head = await filled.head()
    assert await statuses(filled, delete("lamp"), write("append", "lamp", n=9), access=DEVICES) == [404, 404]
    assert await statuses(filled, delete("both"), write("update", "bare", n=9), access=EAST) == [404, 404]
    assert await statuses(filled, delete("both"), access=CENTRE) == [404]
    assert (await filled.head(), await value(filled, "lamp", "n")) == (head, 2)


async def test_a_hidden_entity_in_the_way_answers_as_one_that_may_not_be_made(filled: Store) -> None:
    tries = [write(how, "lamp", type="Device") for how in ("create", "upsert", "replace")]
    hidden = await filled.write(DEVICES, tries)
    beyond = await filled.write(DEVICES, [replace(w, id=uri("new"), content=entity("new", "Lamp")) for w in tries])
    assert [o.status if isinstance(o, Problem) else 0 for o in hidden] == [403] * 3
    assert [str(o).replace("lamp", "new") for o in hidden] == [str(o) for o in beyond]


async def test_nothing_can_be_moved_out_of_sight(filled: Store) -> None:
    head = await filled.head()
    assert await statuses(filled, write("create", "x", type="Lamp"), access=DEVICES) == [403]
    assert await statuses(filled, write("create", "x", scope="/city/west"), access=EAST) == [403]
    assert await statuses(filled, write("append", "dev", scope="/city/west"), access=EAST) == [403]
    assert await statuses(filled, write("append", "dev", location=point(20, 20)), access=CENTRE) == [403]
    assert await filled.retrieve(ALL, uri("x")) is None
    assert await filled.head() == head
    assert await statuses(filled, write("create", "x", scope="/city/east/new"), access=EAST) == [0]


async def test_a_hidden_attribute_cannot_be_written(filled: Store) -> None:
    assert await statuses(filled, write("append", "dev", secret=1), access=NO_SECRET) == [403]
    attribute = name("secret")
    patch = Write("patch_attribute", uri("dev"), tick(), attribute=attribute, patch=lambda old: old)
    drop = Write("delete_attribute", uri("dev"), tick(), attribute=attribute)
    assert await statuses(filled, patch, drop, access=NO_SECRET) == [404, 404]
    document = {"id": uri("dev"), "type": "Device", "secret": prop(1, 1)}
    (refused,) = await filled.record(NO_SECRET, [expand.entity(document, CORE_TERMS, tick(), history=True)])
    assert isinstance(refused, Problem)
    assert not await filled.delete_history(NO_SECRET, uri("dev"), attribute)
    await filled.delete_history(NO_SECRET, uri("dev"))
    history = await filled.history(ALL, uri("dev"), TemporalQuery())
    assert history is not None
    assert {n: values(i) for n, i in history.attrs.items()} == {attribute: ["x"]}


async def test_a_whole_entity_is_deleted_or_replaced_only_by_who_sees_all_of_it(filled: Store) -> None:
    head = await filled.head()
    assert await statuses(filled, delete("dev"), write("replace", "dev", n=2), access=NO_SECRET) == [403, 403]
    assert await filled.head() == head
    assert await statuses(filled, write("replace", "lamp", n=7), delete("lamp"), access=NO_SECRET) == [0, 0]


async def test_who_may_read_only_writes_nothing(filled: Store) -> None:
    reader = Access()
    assert await statuses(filled, write("create", "x"), delete("dev"), access=reader) == [403, 403]
    with pytest.raises(Problem):
        await filled.delete_history(reader, uri("dev"))


async def test_recording_is_for_what_is_visible(filled: Store) -> None:
    def history(id: str, type: str) -> object:
        return expand.entity({"id": uri(id), "type": type, "n": prop(7, 7)}, CORE_TERMS, tick(), history=True)

    batch = [history("dev", "Device"), history("lamp", "Device"), history("new", "Lamp"), history("new2", "Device")]
    outcomes = await filled.record(DEVICES, batch)  # type: ignore[arg-type]
    assert [o.status if o else 0 for o in outcomes] == [0, 403, 403, 0]


async def test_a_location_that_is_no_geometry_is_nowhere(filled: Store) -> None:
    assert await statuses(filled, write("create", "x", location="in the cellar"), access=CENTRE) == [403]
    await do(filled, write("create", "x", location="in the cellar"))
    assert await found(filled, CENTRE) == ["dev", "lamp"]
    assert await statuses(filled, delete("x"), access=CENTRE) == [404]
