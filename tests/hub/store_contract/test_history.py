"""History: every accepted change, and what was recorded without touching current state."""

from typing import Any

import pytest

from hanmaru.hub import expand
from hanmaru.hub.model import NULL, Entity
from hanmaru.hub.query import TemporalQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.platform.access import Access
from tests.hub.store_contract.building import (
    ALL,
    T0,
    ask,
    delete,
    do,
    entity,
    found,
    get,
    name,
    prop,
    put,
    tick,
    uri,
    value,
    values,
    write,
)


def recorded(id: str, **members: Any) -> Entity:
    """Make what `record` takes: attributes as lists of instances."""
    document = {"id": uri(id), "type": "Device", **members}
    return expand.entity(document, CORE_TERMS, tick(), history=True)


async def series(store: Store, id: str, attribute: str = "n", access: Access = ALL, **query: Any) -> list[Any]:
    """Return the values in the history of one attribute."""
    found = await store.history(access, uri(id), TemporalQuery(**query))
    assert found is not None
    return values(found.attrs.get(name(attribute)))


def us(second: float) -> int:
    return T0 + int(second * 1_000_000)


async def test_every_change_is_kept_oldest_first(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 10))))
    await do(store, *(write("append", "a", n=prop(n, 10 * n)) for n in (3, 2, 4)))
    assert await series(store, "a") == [1, 2, 3, 4]
    assert await series(store, "a", property="modifiedAt") == [1, 3, 2, 4]


async def test_bounds_are_half_open(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 10))), *(write("append", "a", n=prop(n, 10 * n)) for n in (2, 3, 4)))
    assert await series(store, "a", start=us(20), end=us(40)) == [2, 3]
    assert await series(store, "a", start=us(20.000001)) == [3, 4]
    assert await series(store, "a", end=us(20)) == [1]
    assert await series(store, "a", start=us(99)) == []


async def test_last_n_and_limit(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 10))), *(write("append", "a", n=prop(n, 10 * n)) for n in (2, 3, 4)))
    assert await series(store, "a", last_n=2) == [3, 4]
    assert await series(store, "a", last_n=2, end=us(40)) == [2, 3]
    for query, expected, more in (
        (TemporalQuery(limit=3), [1, 2, 3], True),
        (TemporalQuery(limit=4), [1, 2, 3, 4], False),
        (TemporalQuery(limit=2, last_n=3), [3, 4], True),
        (TemporalQuery(limit=2, last_n=2), [3, 4], False),
    ):
        history = await store.history(ALL, uri("a"), query)
        assert history is not None
        assert (values(history.attrs[name("n")]), history.more) == (expected, more)


async def test_instants_of_creation_modification_and_deletion(store: Store) -> None:
    writes = [put(entity("a", n=prop(1, 1_000))), write("append", "a", n=prop(2, 500)), write("append", "a", n=3)]
    gone = delete("a")
    await do(store, *writes, gone)
    first, second, third = (expand.canonical(w.now) for w in writes)
    micros = [expand_micros(t) for t in (first, second, third, gone.now)]
    assert await series(store, "a", property="createdAt") == [1]
    assert await series(store, "a", property="createdAt", start=micros[0], end=micros[1]) == [1]
    assert await series(store, "a", property="createdAt", start=micros[1]) == []
    assert await series(store, "a", property="modifiedAt") == [1, 2, 3, NULL]
    assert await series(store, "a", property="modifiedAt", start=micros[1], end=micros[3]) == [2, 3]
    assert await series(store, "a", property="modifiedAt", last_n=2) == [3, NULL]
    assert await series(store, "a", property="deletedAt") == [NULL]
    assert await series(store, "a", property="deletedAt", end=micros[3]) == []
    assert await series(store, "a") == [2, 1]


def expand_micros(text: str) -> int:
    from hanmaru.hub.times import micros

    return micros(text)


async def test_history_of_a_deleted_entity(store: Store) -> None:
    gone = delete("a")
    await do(store, put(entity("a", n=prop(1, 1), m=2)), gone, put(entity("b", n=prop(5, 5))))
    history = await store.history(ALL, uri("a"), TemporalQuery())
    assert history is not None
    assert (history.types, history.deleted_at) == ((name("Device"),), gone.now)
    assert await series(store, "a") == [1]
    page = await store.query_history(ALL, ask(type="Device", count=True), TemporalQuery())
    assert ([e.id for e in page.entities], page.count) == ([uri("a"), uri("b")], 2)
    page = await store.query_history(ALL, ask(q="n>0", count=True), TemporalQuery())
    assert ([e.id for e in page.entities], page.count) == ([uri("b")], 1)


async def test_only_the_attributes_asked_for(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 1), m=prop(2, 2), k=prop(3, 3))))
    history = await store.history(ALL, uri("a"), TemporalQuery(attrs=(name("n"), name("k"), name("nothing"))))
    assert history is not None
    assert {attribute: values(instances) for attribute, instances in history.attrs.items()} == {
        name("n"): [1],
        name("k"): [3],
    }


async def test_instances_by_dataset(store: Store) -> None:
    await do(store, put(entity("a", n=[prop(1, 1), prop(2, 1, datasetId="urn:x:d")])))
    assert sorted(await series(store, "a")) == [1, 2]
    history = await store.history(ALL, uri("a"), TemporalQuery())
    assert history is not None
    assert len({instance.instance_id for instance in history.attrs[name("n")]}) == 2


async def test_record_adds_to_history_and_leaves_current_state(store: Store) -> None:
    await do(store, put(entity("a", n=prop(5, 50))))
    head = await store.head()
    assert await store.record(ALL, [recorded("a", n=[prop(1, 10), prop(2, 20)]), recorded("a", m=[prop(0, 1)])]) == [
        None,
        None,
    ]
    assert await series(store, "a") == [1, 2, 5]
    assert await series(store, "a", "m") == [0]
    assert (await value(store, "a", "n"), list((await get(store, "a")).attrs)) == (5, [name("n")])
    assert await store.head() == head


async def test_recording_again_changes_nothing(store: Store) -> None:
    batch = [recorded("a", n=[prop(n, n) for n in range(100)])]
    for _ in range(3):
        assert await store.record(ALL, batch) == [None]
    assert await series(store, "a") == list(range(100))
    before = await store.history(ALL, uri("a"), TemporalQuery())
    await store.record(ALL, [recorded("a", n=[prop(7, 7)])])
    after = await store.history(ALL, uri("a"), TemporalQuery())
    assert before is not None
    assert after is not None
    assert [i.instance_id for i in before.attrs[name("n")]] == [i.instance_id for i in after.attrs[name("n")]]


async def test_an_entity_that_was_only_recorded_has_history_but_no_state(store: Store) -> None:
    await store.record(ALL, [recorded("a", n=[prop(1, 1)])])
    assert await store.retrieve(ALL, uri("a")) is None
    assert await found(store) == []
    assert await series(store, "a") == [1]
    page = await store.query_history(ALL, ask(type="Device", count=True), TemporalQuery())
    assert page.count == 1
    await do(store, put(entity("a", n=prop(2, 2))))
    assert await found(store) == ["a"]
    assert await series(store, "a") == [1, 2]


async def test_pages_and_counts_of_histories(store: Store) -> None:
    made = (
        entity(f"{n}", ["Even" if n % 2 == 0 else "Odd"], n=prop(n, n), **({"m": 1} if n < 3 else {})) for n in range(9)
    )
    await do(store, *map(put, made))
    page = await store.query_history(ALL, ask(type="Even", limit=2, offset=1, count=True), TemporalQuery())
    assert ([e.id for e in page.entities], page.count) == ([uri("2"), uri("4")], 5)
    page = await store.query_history(
        ALL, ask(limit=2, offset=1, count=True), TemporalQuery(property="modifiedAt", attrs=(name("m"),))
    )
    assert ([e.id for e in page.entities], page.count) == ([uri("1"), uri("2")], 3)
    page = await store.query_history(ALL, ask(count=True), TemporalQuery(attrs=(name("n"),), start=us(7)))
    assert ([e.id for e in page.entities], page.count) == ([uri("7"), uri("8")], 2)


async def test_history_can_be_deleted(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 1), m=prop(1, 1))), write("append", "a", n=prop(2, 2)))
    history = await store.history(ALL, uri("a"), TemporalQuery())
    assert history is not None
    first = history.attrs[name("n")][0].instance_id or ""
    assert await store.delete_history(ALL, uri("a"), name("n"), first)
    assert not await store.delete_history(ALL, uri("a"), name("n"), first)
    assert not await store.delete_history(ALL, uri("a"), name("n"), "urn:x:nonsense")
    assert await series(store, "a") == [2]
    assert not await store.delete_history(ALL, uri("a"), name("m"), dataset="urn:x:other")
    assert await store.delete_history(ALL, uri("a"), name("m"), dataset="")
    assert not await store.delete_history(ALL, uri("a"), name("nothing"))
    assert (await series(store, "a", "m"), await series(store, "a")) == ([], [2])
    assert await store.delete_history(ALL, uri("a"))
    assert not await store.delete_history(ALL, uri("b"))
    assert await series(store, "a") == []
    assert await value(store, "a", "n") == 2


async def test_deleting_the_history_of_a_deleted_entity_leaves_nothing(store: Store) -> None:
    await do(store, put(entity("a", scope="/x", n=prop(1, 1))), delete("a"))
    assert await store.delete_history(ALL, uri("a"))
    assert await store.history(ALL, uri("a"), TemporalQuery()) is None
    assert (await store.query_history(ALL, ask(type="Device", count=True), TemporalQuery())).count == 0
    assert not await store.delete_history(ALL, uri("a"))
    await do(store, put(entity("a", n=prop(9, 9))))
    assert await series(store, "a") == [9]


@pytest.mark.parametrize("id", ["a", "nothing"])
async def test_no_history_of_what_never_was(store: Store, id: str) -> None:
    assert await store.history(ALL, uri(id), TemporalQuery()) is None


async def test_old_instances_are_forgotten_but_the_newest_of_each_attribute(store: Store) -> None:
    await do(store, put(entity("a", n=prop(1, 10), m=prop(1, 10))), put(entity("b", n=prop(9, 500))))
    await do(store, *(write("append", "a", n=prop(n, 10 * n)) for n in (2, 3, 4)))
    assert await store.forget(us(35)) == 3
    assert await series(store, "a") == [4]
    assert await series(store, "a", "m") == [1]
    assert await series(store, "b") == [9]
    assert await store.forget(us(1_000_000)) == 0
