"""What every kind of write leaves behind."""

import pytest
from msgspec.structs import replace

from hanmaru.hub.model import NULL
from hanmaru.hub.query import TemporalQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.writes import ALL_INSTANCES, Write
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from tests.hub.store_contract.building import (
    ALL,
    ask,
    delete,
    do,
    entity,
    found,
    get,
    name,
    prop,
    put,
    statuses,
    tick,
    uri,
    value,
    values,
    write,
)


async def test_what_was_created_is_there_as_it_was_given(store: Store) -> None:
    made = entity(
        "a",
        ["Device", "Sensor"],
        scope=["/city/east"],
        temperature=[prop(21.5, 10, unitCode="CEL"), prop(22, datasetId="urn:x:second", quality=prop("good"))],
        name={"languageMap": {"en": "Gate", "ko": "정문"}},
        refRoom={"object": "urn:x:room"},
        odd=prop({"nul": "\0", "quote": "\"'\\", "deep": [[1, {"a": None}]]}),
    )
    (decision,) = await do(store, put(made))
    assert not decision.existed
    assert await get(store, "a") == made


async def test_create_refuses_an_entity_that_exists(store: Store) -> None:
    assert await statuses(store, write("create", "a", n=1), write("create", "a", n=2)) == [0, 409]
    assert await value(store, "a", "n") == 1


async def test_replace_leaves_only_what_is_given(store: Store) -> None:
    await do(store, write("create", "a", n=1, m=2), write("replace", "a", m=3, k=4))
    assert {n: values(i) for n, i in (await get(store, "a")).attrs.items()} == {name("m"): [3], name("k"): [4]}
    assert await found(store, q="n") == []
    assert await found(store, q="k==4") == ["a"]


async def test_replace_creates_unless_the_entity_must_exist(store: Store) -> None:
    there = write("replace", "b", n=1)
    must = Write("replace", there.id, there.now, there.content, must_exist=True)
    assert await statuses(store, must, there, must) == [404, 0, 0]


async def test_upsert_creates_then_appends_and_keeps_instants_of_creation(store: Store) -> None:
    first, second = write("upsert", "a", n=1, m=1), write("upsert", "a", n=2)
    assert [d.existed for d in await do(store, first, second)] == [False, True]
    made = await get(store, "a")
    assert (values(made.attrs[name("n")]), values(made.attrs[name("m")])) == ([2], [1])
    assert (made.created_at, made.modified_at) == (first.now, second.now)
    (instance,) = made.attrs[name("n")]
    assert (instance.created_at, instance.modified_at) == (first.now, second.now)


async def test_append_without_overwriting_leaves_what_is_there(store: Store) -> None:
    more = write("append", "a", n=2, m=2)
    (_, decision) = await do(
        store, write("create", "a", n=1), Write("append", more.id, more.now, more.content, overwrite=False)
    )
    assert [skipped for skipped, _ in decision.skipped] == [name("n")]
    assert (await value(store, "a", "n"), await value(store, "a", "m")) == (1, 2)


async def test_update_replaces_what_exists_and_appends_what_does_not(store: Store) -> None:
    _, decision = await do(store, write("create", "a", n=1), write("update", "a", n=2, m=2, x=prop(NULL)))
    assert decision.skipped == ()
    assert await found(store, q="n==2;m==2") == ["a"]
    assert await found(store, q="x") == []


async def test_update_replaces_a_scope_and_gives_none(store: Store) -> None:
    _, decision = await do(store, write("create", "a", n=1), write("update", "a", scope="/x"))
    assert [skipped for skipped, _ in decision.skipped] == [name("scope")]
    await do(store, write("append", "a", scope="/x"), write("update", "a", scope="/y"))
    assert await found(store, scope="/y") == ["a"]


async def test_update_with_null_deletes(store: Store) -> None:
    await do(store, write("create", "a", n=1, m=1), write("update", "a", n=prop(NULL)))
    assert list((await get(store, "a")).attrs) == [name("m")]


async def test_merge_merges_members_and_null_deletes(store: Store) -> None:
    await do(
        store,
        write("create", "a", address=prop({"city": "Sejong", "zip": "30150"}), n=1),
        write("merge", "a", address=prop({"zip": NULL, "road": "Hannuri"}), n=prop(NULL), m=5),
    )
    assert await value(store, "a", "address") == {"city": "Sejong", "road": "Hannuri"}
    assert await found(store, q='address[road]=="Hannuri";m==5') == ["a"]
    assert await found(store, q="address[zip]") == await found(store, q="n") == []


async def test_types_and_scopes_may_grow_and_change(store: Store) -> None:
    await do(store, write("create", "a", scope="/x"), write("append", "a", type="Sensor", scope="/y", n=1))
    assert await found(store, type="Device;Sensor") == ["a"]
    assert await found(store, scope="/y") == ["a"]
    assert await found(store, scope="/x") == []


async def test_patch_attribute_changes_one_instance(store: Store) -> None:
    await do(store, write("create", "a", n=[prop(1), prop(10, datasetId="urn:x:d")]))
    patch = Write(
        "patch_attribute",
        uri("a"),
        tick(),
        attribute=name("n"),
        dataset="urn:x:d",
        patch=lambda old: replace(old, value=old.value + 1),
    )
    await do(store, patch)
    assert values((await get(store, "a")).attrs[name("n")]) == [1, 11]
    assert await found(store, q="n==11") == ["a"]
    assert await found(store, q="n==10") == []


async def test_replace_and_delete_attribute(store: Store) -> None:
    new = write("append", "a", n=prop(5))
    await do(store, write("create", "a", n=[prop(1), prop(2, datasetId="urn:x:d")], m=1))
    await do(store, Write("replace_attribute", uri("a"), tick(), new.content, attribute=name("n")))
    assert values((await get(store, "a")).attrs[name("n")]) == [5, 2]
    await do(store, Write("delete_attribute", uri("a"), tick(), attribute=name("n")))
    assert values((await get(store, "a")).attrs[name("n")]) == [2]
    await do(store, Write("delete_attribute", uri("a"), tick(), attribute=name("n"), dataset=ALL_INSTANCES))
    assert list((await get(store, "a")).attrs) == [name("m")]
    again = Write("delete_attribute", uri("a"), tick(), attribute=name("n"), dataset=ALL_INSTANCES)
    assert await statuses(store, again) == [404]


async def test_delete_and_create_again_keeps_history(store: Store) -> None:
    await do(store, write("create", "a", scope="/x", n=1, location={"type": "Point", "coordinates": [1, 1]}))
    await do(store, delete("a"))
    assert await store.retrieve(ALL, uri("a")) is None
    assert await found(store) == await found(store, q="n") == await found(store, type="Device") == []
    assert await statuses(store, delete("a"), write("append", "a", n=3)) == [404, 404]
    await do(store, write("create", "a", type="Lamp", n=2))
    assert await found(store, type="Lamp") == await found(store) == ["a"]
    assert await found(store, type="Device") == await found(store, scope="/x") == []
    history = await store.history(ALL, uri("a"), TemporalQuery(property="modifiedAt"))
    assert history is not None
    assert values(history.attrs[name("n")]) == [1, NULL, 2]
    assert history.deleted_at is None


async def test_writes_of_a_batch_succeed_and_fail_by_themselves_in_order(store: Store) -> None:
    batch = [
        write("create", "a", n=1),
        write("create", "a", n=2),
        write("update", "b", n=1),
        write("upsert", "a", n=3),
        write("create", "b", n=1),
        delete("a"),
        write("create", "a", m=4),
        write("append", "c", n=1),
    ]
    assert await statuses(store, *batch) == [0, 409, 404, 0, 0, 0, 0, 404]
    assert {n: values(i) for n, i in (await get(store, "a")).attrs.items()} == {name("m"): [4]}
    assert [(c.kind, c.entity.id) for c in await store.changes(0)] == [
        ("created", uri("a")),
        ("updated", uri("a")),
        ("created", uri("b")),
        ("deleted", uri("a")),
        ("created", uri("a")),
    ]
    history = await store.history(ALL, uri("a"), TemporalQuery(property="modifiedAt"))
    assert history is not None
    assert values(history.attrs[name("n")]) == [1, 3, NULL]
    assert await found(store) == ["a", "b"]


async def test_a_write_that_changes_nothing_leaves_no_change(store: Store) -> None:
    await do(store, write("create", "a", n=1))
    (decision,) = await do(store, write("update", "a", m=prop(NULL)))
    assert decision.change is None
    assert len(await store.changes(0)) == 1


async def test_refused_writes_leave_no_trace(store: Store) -> None:
    await do(store, write("create", "a", n=1))
    head = await store.head()
    before = await get(store, "a")
    refused = [write("create", "a", n=2), write("append", "b", n=1), delete("b"), write("merge", "b", n=1)]
    assert await statuses(store, *refused) == [409, 404, 404, 404]
    assert (await store.head(), await get(store, "a")) == (head, before)
    assert await store.history(ALL, uri("b"), TemporalQuery(property="modifiedAt")) is None
    assert (await store.query(ALL, ask(count=True))).count == 1


async def test_an_unexpected_error_in_a_batch_leaves_no_trace_of_any_of_it(store: Store) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("this patch is broken")

    await do(store, write("create", "a", n=1))
    head = await store.head()
    bad = Write("patch_attribute", uri("a"), tick(), attribute=name("n"), patch=broken)
    with pytest.raises(RuntimeError, match="this patch is broken"):
        await store.write(ALL, [write("create", "b", n=1), write("upsert", "a", n=2), bad])
    assert await store.head() == head
    assert await found(store) == ["a"]
    assert await value(store, "a", "n") == 1
    assert await store.history(ALL, uri("b"), TemporalQuery(property="modifiedAt")) is None
    await do(store, write("create", "b", n=1))  # the store goes on


async def test_long_texts_and_many_values_are_kept_whole(store: Store) -> None:
    long, many = "가" * 20_000, list(range(5_000))
    await do(store, write("create", "a", text=prop(long), many=prop(many)))
    assert (await value(store, "a", "text"), await value(store, "a", "many")) == (long, many)


async def test_tenants_do_not_see_each_other(store: Store) -> None:
    north, south = Access("north", write=True), Access("south", write=True)
    await do(store, write("create", "a", n=1), access=north)
    await do(store, write("create", "a", n=2), write("create", "b", n=2), access=south)
    assert await found(store, north) == ["a"]
    assert await found(store, south, q="n==2") == ["a", "b"]
    assert await found(store) == []
    assert values((await get(store, "a", north)).attrs[name("n")]) == [1]
    assert await store.tenants() == ["", "north", "south"]
    assert [c.tenant for c in await store.changes(0)] == ["north", "south", "south"]
    assert [c.entity.id for c in await store.changes(0, tenant="south")] == [uri("a"), uri("b")]
    assert [t.count for t in await store.types(south)] == [2]


async def test_an_unknown_tenant_is_a_404_and_only_creation_brings_it_into_being(store: Store) -> None:
    nowhere = Access("nowhere", write=True)
    calls = [
        lambda: store.retrieve(nowhere, uri("a")),
        lambda: store.query(nowhere, ask()),
        lambda: store.query(nowhere, ask(q="n==1", type="Device")),
        lambda: store.types(nowhere),
        lambda: store.history(nowhere, uri("a"), TemporalQuery()),
        lambda: store.query_history(nowhere, ask(), TemporalQuery()),
        lambda: store.delete_history(nowhere, uri("a")),
        lambda: store.changes(0, tenant="nowhere"),
        lambda: store.documents("subscription", "nowhere"),
        lambda: store.write(nowhere, [delete("a"), write("append", "a", n=1)]),
    ]
    for call in calls:
        with pytest.raises(Problem) as raised:
            await call()
        assert (raised.value.status, raised.value.type.rpartition("/")[2]) == (404, "NonexistentTenant")
    assert await store.tenants() == [""]
    await do(store, write("upsert", "a", n=1), access=nowhere)
    assert await found(store, nowhere) == ["a"]
