"""Types and their counts, the outbox, documents, cursors and deliveries."""

import pytest

from hanmaru.hub.stores.base import Delivery, Document, Store
from hanmaru.platform.problems import Problem
from tests.hub.store_contract.building import ALL, delete, do, entity, get, name, point, prop, put, uri, write


async def counts(store: Store) -> dict[str, int]:
    return {info.name.rpartition("/")[2]: info.count for info in await store.types(ALL)}


async def test_types_with_their_attributes_and_exact_counts(store: Store) -> None:
    await do(
        store,
        put(entity("a", ["A"], n=1, location=point(1, 1))),
        put(entity("b", ["A", "B"], n={"object": "urn:x:a"}, m=[prop(1), prop(2, datasetId="urn:x:d")])),
        put(entity("c", ["B"])),
    )
    assert await counts(store) == {"A": 2, "B": 2}
    (a,) = await store.types(ALL, name("A"))
    assert a.attributes == {
        name("n"): {"Property", "Relationship"},
        name("m"): {"Property"},
        name("location"): {"GeoProperty"},
    }
    assert await store.types(ALL, name("C")) == []
    await do(store, delete("b"), write("append", "c", type="C", k=1), write("merge", "a", n=prop("urn:ngsi-ld:null")))
    assert await counts(store) == {"A": 1, "B": 1, "C": 1}
    assert [sorted(info.attributes) for info in await store.types(ALL)] == [
        [name("location")],
        [name("k")],
        [name("k")],
    ]
    await do(store, delete("a"), delete("c"))
    assert await store.types(ALL) == []


async def test_changes_say_what_happened(store: Store) -> None:
    assert await store.head() == 0
    await do(
        store, put(entity("a", n=1, m=1)), write("append", "a", n=2), write("merge", "a", m=prop("urn:ngsi-ld:null"))
    )
    state = await get(store, "a")
    await do(store, delete("a"))
    created, appended, merged, deleted = await store.changes(0)
    assert [c.kind for c in (created, appended, merged, deleted)] == ["created", "updated", "updated", "deleted"]
    assert (set(created.touched), appended.touched) == ({name("n"), name("m")}, (name("n"),))
    assert (merged.entity, merged.removed) == (state, (name("m"),))
    assert deleted.entity.attrs == state.attrs
    assert deleted.entity.deleted_at == deleted.at
    assert created.seq < appended.seq < merged.seq < deleted.seq == await store.head()
    assert [c.seq for c in await store.changes(created.seq, limit=2)] == [appended.seq, merged.seq]
    assert await store.changes(deleted.seq) == []


async def test_forgotten_changes_are_a_410(store: Store) -> None:
    await do(store, *(put(entity(f"{n}")) for n in range(10)))
    seqs = [c.seq for c in await store.changes(0)]
    await store.trim(seqs[5])
    with pytest.raises(Problem) as raised:
        await store.changes(seqs[4])
    assert raised.value.status == 410
    assert [c.seq for c in await store.changes(seqs[5])] == seqs[6:]
    await store.trim(seqs[-1] + 1_000)
    assert await store.head() == seqs[-1]
    assert await store.changes(seqs[-1]) == []
    await store.trim(seqs[-1])
    await do(store, put(entity("later")))
    assert [c.entity.id for c in await store.changes(seqs[-1])] == [uri("later")]
    assert await store.head() > seqs[-1]


async def test_documents(store: Store) -> None:
    version = await store.document_version("subscription")
    assert await store.get_document("subscription", "", "b") is None
    assert await store.put_document("subscription", "", "b", b"1", create=True)
    assert not await store.put_document("subscription", "", "b", b"2", create=True)
    assert await store.get_document("subscription", "", "b") == b"1"
    assert await store.document_version("subscription") == version + 1
    assert await store.put_document("subscription", "", "b", b"\x002")
    assert await store.put_document("subscription", "", "a", b"3")
    assert await store.put_document("subscription", "town", "a", b"4")
    assert await store.put_document("context", "", "a", b"5")
    assert await store.documents("subscription", "") == [("", Document("a", b"3")), ("", Document("b", b"\x002"))]
    assert [(tenant, d.doc) for tenant, d in await store.documents("subscription", None)] == [
        ("", b"3"),
        ("", b"\x002"),
        ("town", b"4"),
    ]
    assert await store.tenants() == ["", "town"]
    before = await store.document_version("subscription")
    assert await store.delete_document("subscription", "", "a")
    assert not await store.delete_document("subscription", "", "a")
    assert await store.document_version("subscription") == before + 1
    assert await store.document_version("context") == 1


async def test_a_cursor_moves_together_with_its_deliveries(store: Store) -> None:
    assert await store.cursor("notifier") is None
    ids = await store.advance("notifier", 7, [Delivery("", "s1", b"x", due=30), Delivery("town", "s2", b"y", due=10)])
    assert await store.cursor("notifier") == 7
    assert list(ids) == sorted(set(ids))
    (first,) = await store.deliveries("", "s1")
    (second,) = await store.deliveries("town", "s2")
    assert (first.id, second.id) == tuple(ids)
    assert (second.tenant, second.doc, second.due, second.attempts) == ("town", b"y", 10, 0)
    assert sorted(await store.waiting()) == [("", "s1", 1), ("town", "s2", 1)]
    await store.settle(done=[first.id], retry=[Delivery("town", "s2", b"y", due=50, attempts=1, id=second.id)])
    assert await store.deliveries("", "s1") == []
    (again,) = await store.deliveries("town", "s2")
    assert (again.id, again.due, again.attempts) == (second.id, 50, 1)
    await store.advance("notifier", 9)
    assert await store.cursor("notifier") == 9
    assert await store.cursor("other") is None


async def test_the_deliveries_of_one_subscription(store: Store) -> None:
    ids = await store.advance("n", 1, [Delivery("", f"s{n % 2}", b"%d" % n, due=n) for n in range(6)])
    assert [d.doc for d in await store.deliveries("", "s1")] == [b"1", b"3", b"5"]
    assert [d.doc for d in await store.deliveries("", "s1", after=ids[1], limit=1)] == [b"3"]
    assert await store.deliveries("town", "s1") == []
