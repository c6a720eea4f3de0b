"""Many writers at once, several stores on one database, and a process that is killed in the middle of its writes."""

import asyncio
import random
import sys
from collections import Counter

from msgspec.structs import replace

from hanmaru.hub.model import Attribute, Change
from hanmaru.hub.query import TemporalQuery
from hanmaru.hub.stores.base import Store
from hanmaru.hub.writes import Write
from tests.hub.store_contract.building import (
    ALL,
    ask,
    delete,
    do,
    entity,
    found,
    name,
    put,
    statuses,
    tick,
    uri,
    value,
    values,
    write,
)
from tests.hub.store_contract.conftest import OpenStore


def _plus_one(old: Attribute) -> Attribute:
    return replace(old, value=old.value + 1)


def increment(id: str) -> Write:
    """Make a write that depends on the state it finds."""
    return Write("patch_attribute", uri(id), tick(), attribute=name("n"), patch=_plus_one)


async def test_concurrent_writers_on_one_entity_lose_no_update(open_store: OpenStore) -> None:
    first, second = await open_store(), await open_store()
    await do(first, put(entity("a", n=0)))
    await asyncio.gather(*(do(store, increment("a")) for _ in range(100) for store in (first, second)))
    assert await value(first, "a", "n") == await value(second, "a", "n") == 200
    history = await first.history(ALL, uri("a"), TemporalQuery(property="modifiedAt"))
    assert history is not None
    assert sorted(values(history.attrs[name("n")])) == list(range(201))
    assert [c.entity.attrs[name("n")][0].value for c in await second.changes(0)] == list(range(201))


async def test_batches_that_cross_do_not_block_each_other(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    ids = [f"{n}" for n in range(30)]
    await do(stores[0], *(put(entity(id, n=0)) for id in ids))
    dice = random.Random(7)

    async def batch(store: Store) -> None:
        await do(store, *(increment(id) for id in dice.sample(ids, 15)))

    await asyncio.gather(*(batch(store) for _ in range(40) for store in stores))
    totals = [e.attrs[name("n")][0].value for e in (await stores[1].query(ALL, ask(limit=100))).entities]
    assert sum(totals) == 2 * 40 * 15


async def test_one_of_many_creators_wins(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    outcomes = await asyncio.gather(*(statuses(s, write("create", "a", n=n)) for n in range(20) for s in stores))
    assert Counter(status for (status,) in outcomes) == {0: 1, 409: 39}
    assert await found(stores[1]) == ["a"]
    assert (await stores[0].types(ALL))[0].count == 1


async def test_creators_and_deleters_leave_exact_counts(open_store: OpenStore) -> None:
    stores = [await open_store(), await open_store()]
    dice = random.Random(3)

    async def work(store: Store) -> None:
        for _ in range(25):
            id = f"{dice.randrange(6)}"
            await store.write(ALL, [dice.choice([delete(id), write("upsert", id, n=1), write("upsert", id, m=1)])])

    await asyncio.gather(*(work(store) for store in stores for _ in range(4)))
    live = (await stores[0].query(ALL, ask(limit=100))).entities
    types = await stores[1].types(ALL)
    assert [info.count for info in types] == [len(live)] * bool(live)
    assert {a for info in types for a in info.attributes} == {a for made in live for a in made.attrs}


async def test_stores_on_one_database_see_each_others_writes_at_once(open_store: OpenStore) -> None:
    first, second = await open_store(), await open_store()
    for n in range(10):
        await do(first, write("create", f"{n}", type=f"T{n}", **{f"attribute{n}": n}))
        assert await found(second, type=f"T{n}", q=f"attribute{n}=={n}") == [f"{n}"]
        assert (await second.changes(await second.head() - 1))[-1].entity.id == uri(f"{n}")
        await do(second, write("append", f"{n}", more=n))
        assert await found(first, q=f"more=={n}") == [f"{n}"]


async def _follow(store: Store, until: int) -> list[Change]:
    """Tail the outbox as the notifier does."""
    read: list[Change] = []
    after = 0
    while len(read) < until:
        if await store.head() > after:
            batch = await store.changes(after, limit=7)
            read += batch
            after = batch[-1].seq if batch else after
        await asyncio.sleep(0)
    return read


async def test_a_reader_that_follows_the_outbox_sees_every_change_once_and_in_order(open_store: OpenStore) -> None:
    writers, reader = [await open_store(), await open_store()], await open_store()
    await do(writers[0], *(put(entity(f"{n}", n=0)) for n in range(5)))

    async def work(store: Store, number: int) -> None:
        for n in range(12):
            await do(store, *(increment(f"{(n + k) % 5}") for k in range(1 + number % 3)))

    follower = asyncio.create_task(_follow(reader, 5 + 2 * 12 * sum(1 + k % 3 for k in range(6))))
    await asyncio.gather(*(work(store, k) for k in range(6) for store in writers))
    read = await asyncio.wait_for(follower, 60)
    assert [c.seq for c in read] == sorted({c.seq for c in read})
    assert await reader.changes(read[-1].seq) == []
    assert await reader.head() == read[-1].seq
    for n in range(5):
        states = [c.entity.attrs[name("n")][0].value for c in read if c.entity.id == uri(f"{n}")]
        assert states == list(range(len(states)))


WRITE_UNTIL_KILLED = """
import asyncio, sys
from hanmaru.hub.local import make_store
from tests.hub.store_contract.building import do, write

async def work(store, number):
    for n in range(10**9):
        await do(store, write("upsert", f"e{number}", n=n), write("upsert", f"f{number}", n=n))
        print(number, n, flush=True)

async def main():
    store = make_store(sys.argv[1])
    await store.open()
    await asyncio.gather(*(work(store, number) for number in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half_done(
    url: str, open_store: OpenStore
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITE_UNTIL_KILLED, url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged: dict[str, int] = {}
    for _ in range(200):
        number, n = (await process.stdout.readline()).decode().split()
        acknowledged[number] = int(n)
    process.kill()
    await process.wait()
    store = await open_store()
    changes = await store.changes(0, limit=100_000)
    for number, n in acknowledged.items():
        for id in (f"e{number}", f"f{number}"):
            last = await value(store, id, "n")
            assert last >= n
            history = await store.history(ALL, uri(id), TemporalQuery(property="modifiedAt"))
            assert history is not None
            assert values(history.attrs[name("n")]) == list(range(last + 1))
            assert [c.entity.attrs[name("n")][0].value for c in changes if c.entity.id == uri(id)] == [*range(last + 1)]
            assert id in await found(store, q=f"n=={last}")
