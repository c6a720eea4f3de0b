"""The notifier: reads the outbox, keeps what is due to whom together with how far it read, then delivers.

Exactly one process runs it. A notification is due once its change is acknowledged and it survives any crash, because
deliveries and the cursor are stored in one transaction; it is delivered at least once, in order for each subscription.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from hanmaru.hub.lanes import Courier, Key, Lane, Limits
from hanmaru.hub.ledger import Ledger
from hanmaru.hub.local import Hub
from hanmaru.hub.matching import Matcher, Occurrence, Watch
from hanmaru.hub.model import Change
from hanmaru.hub.notifications import encode_item, encode_parcel, item_of
from hanmaru.hub.periodic import repeat
from hanmaru.hub.stores.base import Delivery
from hanmaru.hub.subscriptions import KIND, decode
from hanmaru.hub.times import now
from hanmaru.hub.visibility import fingerprint
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

log = structlog.get_logger()

CONSUMER = "notifier"
POLL_S = 0.01
BATCH = 500
PARCEL_ITEMS = 100
PARCEL_BYTES = 64 << 10
STEP_BYTES = 8 << 20
_DEFAULT = Limits()


async def run(hub: Hub, *, retention_s: float = 600.0, limits: Limits = _DEFAULT) -> None:
    """Notify until cancelled; changes stay in the outbox for ``retention_s`` seconds after they were read."""
    await Notifier(hub, retention_s=retention_s, limits=limits).run()


@dataclass(slots=True)
class _Bundle:
    """Items for one subscription, each entity at most once, so that one notification can hold them."""

    first: int
    last: int
    seen: str
    size: int = 0
    ids: set[str] = field(default_factory=set[str])
    items: list[bytes] = field(default_factory=list[bytes])


class Notifier:
    """What `run` runs. ``matcher`` tells how many subscriptions were asked about changes."""

    def __init__(self, hub: Hub, *, retention_s: float, limits: Limits) -> None:
        """Make a notifier that has not begun."""
        self._store, self._contexts, self._owners = hub.store, hub.contexts, hub.owners
        self._retention_s, self._limits = retention_s, limits
        self.matcher = Matcher(hub.owners)
        self._ledger = Ledger(hub.store)
        self._documents: dict[Key, bytes] = {}
        self._version = -1
        self._cursor = 0
        self._lanes: dict[Key, Lane] = {}
        self._clocks: dict[Key, asyncio.Task[None]] = {}
        self._marks: deque[tuple[float, int]] = deque()

    async def run(self) -> None:
        """Notify until cancelled."""
        self._courier = Courier(self._store, self._contexts, self._owners, self.matcher, self._ledger, self._limits)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._begin()
                self._tasks.create_task(self._ledger.run())
                await self._read()
        finally:
            await self._courier.sender.close()

    async def _begin(self) -> None:
        await self._ledger.load()
        await self._refresh()
        cursor = await self._store.cursor(CONSUMER)
        if cursor is None:  # what subscriptions have waited for since they were made, else from now on
            cursor = min((w.subscription.since for w in self.matcher), default=await self._store.head())
            await self._store.advance(CONSUMER, cursor)
        self._cursor = cursor
        waiting = await self._store.waiting()
        self._courier.waiting(sum(number for _, _, number in waiting))
        for tenant, subscription, _ in waiting:
            self._start((tenant, subscription), Lane((tenant, subscription), self._courier, 0, behind=True))

    async def _read(self) -> None:
        while True:
            try:
                if await self._store.head() > self._cursor:
                    await self._step()
                else:
                    await self._refresh()
                    await asyncio.sleep(POLL_S)
                await self._trim()
            except Problem as problem:
                if problem.status == 410:
                    log.error("changes were trimmed before they were notified", after=self._cursor)
                    self._cursor = await self._store.head()
                else:  # overloaded: nothing was stored, so the same changes are read again
                    await asyncio.sleep(0.1)

    async def _step(self) -> None:
        """Match one batch of changes and store what follows from it."""
        changes = await self._store.changes(self._cursor, BATCH)
        if not changes:
            return
        await self._refresh()  # after reading, so that every subscription older than a change is known
        reached, deliveries = await self._match(changes)
        ids = await self._store.advance(CONSUMER, reached, deliveries)
        self._cursor = reached
        self._courier.waiting(len(ids))
        for id, d in zip(ids, deliveries, strict=True):
            self._hand_over(Delivery(d.tenant, d.subscription, d.doc, d.due, d.attempts, id))

    async def _match(self, changes: Sequence[Change]) -> tuple[int, list[Delivery]]:
        """Return how far the changes were matched, in one go of bounded memory, and the deliveries."""
        instant, at = now(), time.time_ns() // 1000
        open_bundles: dict[Key, _Bundle] = {}
        deliveries: list[Delivery] = []
        size = 0

        def close(key: Key, bundle: _Bundle) -> None:
            deliveries.append(
                Delivery(*key, encode_parcel(bundle.first, bundle.last, at, bundle.items, bundle.seen), at)
            )

        for number, change in enumerate(changes):
            encoded: dict[tuple[Access, bool], bytes] = {}
            for watch in self.matcher.firing(Occurrence(change)):
                subscription = watch.subscription
                access = self._owners.access(subscription)
                if access is None or subscription.status(instant) != "active":
                    continue
                raw, seen = _item(change, access, watch.shows_removed, encoded), fingerprint(access)
                bundle = open_bundles.get(subscription.key)
                if bundle is None or bundle.seen != seen or _full(bundle, change.entity.id):
                    if bundle is not None:
                        close(subscription.key, bundle)
                    bundle = open_bundles[subscription.key] = _Bundle(change.seq, change.seq, seen)
                bundle.last = change.seq
                bundle.size += len(raw)
                bundle.ids.add(change.entity.id)
                bundle.items.append(raw)
                size += len(raw)
            if size > STEP_BYTES:
                changes = changes[: number + 1]
                break
            if number % 20 == 19:
                await asyncio.sleep(0)  # deliveries go on meanwhile
        for key, bundle in open_bundles.items():
            close(key, bundle)
        return changes[-1].seq, deliveries

    def _hand_over(self, delivery: Delivery) -> None:
        key = delivery.tenant, delivery.subscription
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(key, self._courier, delivery.id - 1, behind=False)
            lane.offer(delivery)
            self._start(key, lane)
        else:
            lane.offer(delivery)

    def _start(self, key: Key, lane: Lane) -> None:
        self._lanes[key] = lane

        async def drive() -> None:
            try:
                await lane.run()
            finally:
                del self._lanes[key]

        self._tasks.create_task(drive())

    async def _refresh(self) -> None:
        """Take up subscriptions that were created, changed or deleted."""
        version = await self._store.document_version(KIND)
        if version == self._version:
            return
        found: set[Key] = set()
        for tenant, document in await self._store.documents(KIND, None):
            key = tenant, document.id
            found.add(key)
            if self._documents.get(key) != document.doc:
                self._documents[key] = document.doc
                self._take_up(key, document.doc)
        for key in self._documents.keys() - found:
            del self._documents[key]
            self.matcher.remove(key)
            self._ledger.forget(key)
            self._disturb(key)
        self._version = version

    def _take_up(self, key: Key, document: bytes) -> None:
        try:
            watch = Watch(decode(document))
        except (msgspec.MsgspecError, Problem):
            log.exception("subscription cannot be read", subscription=key[1])
            return
        self.matcher.put(watch)
        self._disturb(key)
        subscription = watch.subscription
        if subscription.interval_s is not None and subscription.status(now()) == "active":
            self._clocks[key] = self._tasks.create_task(repeat(subscription, self._courier))

    def _disturb(self, key: Key) -> None:
        if lane := self._lanes.get(key):
            lane.wake()
        if clock := self._clocks.pop(key, None):
            clock.cancel()

    async def _trim(self) -> None:
        """Forget changes that were read longer than the retention ago."""
        instant = time.monotonic()
        if not self._marks or instant - self._marks[-1][0] >= self._retention_s / 20:
            self._marks.append((instant, self._cursor))
        before = None
        while self._marks and instant - self._marks[0][0] >= self._retention_s:
            _, before = self._marks.popleft()
        if before:
            await self._store.trim(before)


def _item(change: Change, access: Access, removed: bool, encoded: dict[tuple[Access, bool], bytes]) -> bytes:
    """Return what a subscriber may see of a change, encoded once for all who may see the same."""
    raw = encoded.get((access, removed))
    if raw is None:
        raw = encoded[access, removed] = encode_item(item_of(change, access, removed=removed))
    return raw


def _full(bundle: _Bundle, id: str) -> bool:
    return id in bundle.ids or len(bundle.items) >= PARCEL_ITEMS or bundle.size >= PARCEL_BYTES
