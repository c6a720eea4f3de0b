"""What the notifier writes down about deliveries, in batches: which are done, which come again, and the counters."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from hanmaru.hub.stores.base import Delivery, Store
from hanmaru.hub.subscriptions import STATUS_KIND, Status, Subscription, decode_status, encode
from hanmaru.hub.times import now
from hanmaru.platform.problems import Problem

SETTLE_S = 0.02
STATUS_S = 0.5
Key = tuple[str, str]


class Ledger:
    """Collects outcomes and writes them a few times a second; a crash forgets at most those, and repeats deliveries."""

    def __init__(self, store: Store) -> None:
        """Keep it in a store."""
        self._store = store
        self._done: list[int] = []
        self._retry: dict[int, Delivery] = {}
        self._statuses: dict[Key, Status] = {}
        self._dirty: dict[Key, None] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Read the counters."""
        for tenant, document in await self._store.documents(STATUS_KIND, None):
            self._statuses[tenant, document.id] = decode_status(document.doc)

    def settle(self, ids: Sequence[int]) -> None:
        """Note that deliveries are done or given up."""
        self._done.extend(ids)
        self._wake.set()

    def again(self, delivery: Delivery) -> None:
        """Note when a delivery is to be tried again."""
        self._retry[delivery.id] = delivery
        self._wake.set()

    def status(self, subscription: Subscription) -> Status:
        """Return a subscription's counters, fresh ones for one that was deleted and made anew."""
        found = self._statuses.get(subscription.key)
        if found is None or found.of != subscription.created_at:
            found = self._statuses[subscription.key] = Status(of=subscription.created_at)
        return found

    def count(self, subscription: Subscription, failure: str = "") -> None:
        """Count an attempt: a success, or a failure with its reason."""
        status, instant = self.status(subscription), now()
        status.sent += 1
        status.last_notification = instant
        if failure:
            status.failed += 1
            status.last_failure, status.reason = instant, failure
        else:
            status.last_success, status.reason = instant, None
        self._dirty[subscription.key] = None
        self._wake.set()

    def forget(self, key: Key) -> None:
        """Drop a deleted subscription's counters."""
        self._statuses.pop(key, None)
        self._dirty.pop(key, None)

    async def run(self) -> None:
        """Write whenever there is something to write, until cancelled; then write the rest."""
        loop = asyncio.get_running_loop()
        written = 0.0
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._settle()
                if loop.time() - written >= STATUS_S:
                    await self._count()
                    written = loop.time()
                await asyncio.sleep(SETTLE_S)
                if self._dirty:
                    self._wake.set()
        finally:
            with suppress(Problem):
                await self._settle()
                await self._count()

    async def _settle(self) -> None:
        if not self._done and not self._retry:
            return
        done, self._done = self._done, []
        retry, self._retry = self._retry, {}
        try:
            await self._store.settle(done, list(retry.values()))
        except Problem:  # overloaded: the next round tries again
            self._done, self._retry = done + self._done, retry | self._retry
            self._wake.set()

    async def _count(self) -> None:
        dirty, self._dirty = self._dirty, {}
        known = [(key, status) for key in dirty if (status := self._statuses.get(key))]
        outcomes = await asyncio.gather(
            *(self._store.put_document(STATUS_KIND, *key, encode(status)) for key, status in known),
            return_exceptions=True,
        )
        for (key, _), outcome in zip(known, outcomes, strict=True):
            if isinstance(outcome, Problem):
                self._dirty[key] = None
            elif isinstance(outcome, BaseException):
                raise outcome
