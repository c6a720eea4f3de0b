"""Lanes: each subscription's deliveries in order, one at a time, apart from every other subscription's.

A lane holds a few deliveries in memory and leaves the rest in the store. It gives its memory back while its endpoint is
away, so that neither dead endpoints nor long queues cost memory.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ssl import SSLContext
from uuid import NAMESPACE_URL, uuid5

import msgspec
import structlog
from msgspec.structs import replace as _replace

from hanmaru.hub.contexts import Contexts
from hanmaru.hub.ledger import Ledger
from hanmaru.hub.matching import Matcher, Watch
from hanmaru.hub.notifications import Item, Parcel, decode_parcel, render, terms_of
from hanmaru.hub.owners import Owners
from hanmaru.hub.stores.base import Delivery, Store
from hanmaru.hub.subscriptions import Subscription
from hanmaru.hub.times import micros, now
from hanmaru.hub.visibility import fingerprint
from hanmaru.platform.access import Access
from hanmaru.platform.egress import EVERYWHERE, Egress
from hanmaru.platform.problems import Problem
from hanmaru.platform.sender import Outcome, Sender
from hanmaru.platform.telemetry import metrics

log = structlog.get_logger()

LOADED = 50
LANE_BYTES = 1 << 20
ALL_BYTES = 64 << 20
MAX_ENTITIES = 2_000
NOTHING = Parcel(0, 0, 0, [])
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often to try; times in seconds.

    A failed notification is tried again after ``backoff_s``, doubled each time up to ``backoff_max_s``, and given up
    ``give_up_s`` after its change.
    """

    timeout_s: float = 10.0
    per_endpoint: int = 4
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0
    give_up_s: float = 6 * 3600.0
    ssl: SSLContext | None = None
    egress: Egress = EVERYWHERE

    def backoff(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, with jitter."""
        longest = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(failures - 1, 32))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - it keeps receivers from being met all at once


class Courier:
    """What every lane needs to deliver: the way out, the way to write down, and who subscribes."""

    def __init__(
        self, store: Store, contexts: Contexts, owners: Owners, matcher: Matcher, ledger: Ledger, limits: Limits
    ) -> None:
        """Open the HTTP client."""
        self.store, self.contexts, self.owners, self.matcher = store, contexts, owners, matcher
        self.ledger, self.limits = ledger, limits
        self.sender = Sender(per_endpoint=limits.per_endpoint, ssl=limits.ssl, egress=limits.egress)
        self.held = self._waiting = 0
        self.loading = asyncio.Semaphore(4)

    async def notify(self, subscription: Subscription, access: Access, items: Sequence[Item], id: str) -> Outcome:
        """Try once to deliver a notification of items that were made for an access, and count it."""

        def due() -> bool:
            return self.owners.access(subscription) == access

        endpoint = subscription.notification.endpoint
        timeout_s = endpoint.timeout / 1000 if endpoint.timeout else self.limits.timeout_s
        try:
            terms = await terms_of(subscription, self.contexts)
            headers, body = render(subscription, terms, items, id, now())
            outcome = await self.sender.send(endpoint.uri, headers, body, timeout_s, due)
            if outcome.verdict == "outdated":
                return outcome
        except Problem as problem:
            outcome = Outcome("failed", problem.detail or problem.title)
        except Exception as error:
            log.exception("notification failed", subscription=subscription.id)
            outcome = Outcome("failed", f"internal error: {error!r}")
        delivered = outcome.verdict == "delivered"
        if self.matcher.get(subscription.key) is not None:  # else it was deleted meanwhile
            self.ledger.count(subscription, "" if delivered else outcome.reason)
        metrics().notifications.labels("delivered" if delivered else "failed").inc()
        return outcome

    def settle(self, ids: Sequence[int]) -> None:
        """Forget deliveries that are done or given up."""
        self.ledger.settle(ids)
        self.waiting(-len(ids))

    def waiting(self, more: int) -> None:
        """Tell how many more deliveries wait now."""
        self._waiting += more
        metrics().queue_depth.labels("notifications").set(self._waiting)


class Lane:
    """One subscription's deliveries. ``read`` is the id up to which they were taken from the store or offered."""

    def __init__(self, key: Key, courier: Courier, read: int, *, behind: bool) -> None:
        """Begin after the delivery ``read``; ``behind`` says that more wait in the store."""
        self._key, self._courier = key, courier
        self._queue: deque[Delivery] = deque()
        self._read = self._newest = self._turn = read
        self._behind = behind
        self._bytes = 0
        self._failures = 0
        self._not_before = 0.0
        self._wake = asyncio.Event()

    def offer(self, delivery: Delivery) -> None:
        """Take a delivery that the store has just kept."""
        self._newest = delivery.id
        if not self._behind and self._courier.held <= ALL_BYTES and self._bytes <= LANE_BYTES:
            self._push(delivery)
        else:
            self._behind = True

    def wake(self) -> None:
        """Look at the subscription again: it was changed or deleted."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until nothing is left."""
        try:
            while self._queue or self._behind:
                if self._queue:
                    await self._step()
                else:
                    await self._load()
        finally:
            self._release()

    async def _step(self) -> None:
        if self._wake.is_set():
            self._wake.clear()
            self._not_before = 0.0
        watch = self._courier.matcher.get(self._key)
        access = self._courier.owners.access(watch.subscription) if watch else None
        if watch is None or access is None or watch.subscription.status(now()) != "active":
            self._courier.settle([delivery.id for delivery in self._queue])
            self._release()
            return
        subscription = watch.subscription
        wait_s = max(self._not_before - time.time(), self._throttle_s(subscription))
        if wait_s > 0:
            await self._pause(wait_s)
            return
        if subscription.throttling_s is None:
            await self._deliver(subscription, access, *self._one(watch, access))
        else:
            if self._queue[0].id > self._turn:
                self._turn = self._newest
            await self._deliver(subscription, access, *await self._merged(watch, access))

    def _throttle_s(self, subscription: Subscription) -> float:
        """Return how long to wait for the next notification; what waited when a turn began all belongs to it."""
        last = self._courier.ledger.status(subscription).last_notification
        if subscription.throttling_s is None or last is None or self._queue[0].id <= self._turn:
            return 0.0
        return micros(last) / 1e6 + subscription.throttling_s - time.time()

    def _one(self, watch: Watch, access: Access) -> tuple[list[Delivery], Parcel, list[Item]]:
        delivery = self._pop()
        parcel = _parcel(delivery)
        return [delivery], parcel, _visible(parcel, watch, access)

    async def _merged(self, watch: Watch, access: Access) -> tuple[list[Delivery], Parcel, list[Item]]:
        """Take everything that waits, the latest state of each entity only."""
        taken: list[Delivery] = []
        latest: dict[str, Item] = {}
        parcels: list[Parcel] = []
        while self._queue and len(latest) < MAX_ENTITIES:
            delivery = self._pop()
            parcel = _parcel(delivery)
            taken.append(replace(delivery, doc=b""))
            if parcel.last > watch.subscription.since:
                parcels[1:] = [_replace(parcel, items=[])]
                for item in _visible(parcel, watch, access):
                    latest.pop(item.entity.id, None)
                    latest[item.entity.id] = item
            if not self._queue and self._behind:
                await self._load()
        first, last = (parcels[0], parcels[-1]) if parcels else (NOTHING, NOTHING)
        return taken, _replace(last, first=first.first, at=first.at), list(latest.values())

    async def _deliver(
        self, subscription: Subscription, access: Access, taken: list[Delivery], parcel: Parcel, items: list[Item]
    ) -> None:
        courier, limits = self._courier, self._courier.limits
        ids = [delivery.id for delivery in taken]
        overdue = time.time() - parcel.at / 1e6 > limits.give_up_s
        if not items or parcel.last <= subscription.since or (overdue and self._failures):
            courier.settle(ids)
            return
        id = notification_id(subscription, parcel)
        outcome = await courier.notify(subscription, access, items, id)
        if outcome.verdict == "outdated":
            self._again(ids[0])
            return
        if outcome.verdict != "failed":
            self._failures = 0
            courier.settle(ids)
            return
        self._failures += 1
        cooldown_s = (subscription.notification.endpoint.cooldown or 0) / 1000
        self._not_before = time.time() + max(limits.backoff(self._failures), cooldown_s, outcome.wait_s)
        if overdue:
            log.warning("notifications given up", subscription=subscription.id, reason=outcome.reason)
            courier.settle(ids)
        else:
            courier.ledger.again(replace(taken[0], due=int(self._not_before * 1e6), attempts=self._failures))
            self._again(ids[0])
            await self._pause(self._not_before - time.time())

    def _again(self, first: int) -> None:
        """Leave to the store what was taken from it, from a delivery on."""
        self._release()
        self._read, self._behind = first - 1, True

    async def _load(self) -> None:
        newest, courier = self._newest, self._courier
        async with courier.loading:
            limit = LOADED if courier.held < ALL_BYTES // 2 else 1
            found = await courier.store.deliveries(*self._key, after=self._read, limit=limit)
        if found and found[0].attempts and not self._failures:  # before a restart
            self._failures, self._not_before = found[0].attempts, found[0].due / 1e6
        for delivery in found:
            self._push(delivery)
        if len(found) < limit:
            self._read = max(self._read, newest)
        self._newest = max(self._newest, self._read)
        self._behind = len(found) == limit or self._read < self._newest

    async def _pause(self, wait_s: float) -> None:
        """Wait, or until the subscription is changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    def _push(self, delivery: Delivery) -> None:
        self._queue.append(delivery)
        self._read = delivery.id
        self._bytes += len(delivery.doc)
        self._courier.held += len(delivery.doc)

    def _pop(self) -> Delivery:
        delivery = self._queue.popleft()
        self._bytes -= len(delivery.doc)
        self._courier.held -= len(delivery.doc)
        return delivery

    def _release(self) -> None:
        while self._queue:
            self._pop()


def _parcel(delivery: Delivery) -> Parcel:
    try:
        return decode_parcel(delivery.doc)
    except msgspec.MsgspecError:  # one that cannot be read must not stop the others
        log.exception("delivery cannot be read", subscription=delivery.subscription)
        return NOTHING


def _visible(parcel: Parcel, watch: Watch, access: Access) -> list[Item]:
    """Return what of a parcel may be sent: all of it, unless other things were visible when it was made."""
    if parcel.seen == fingerprint(access):
        return parcel.items
    return [item for old in parcel.items if (item := watch.reduced(old, access)) is not None]


def notification_id(subscription: Subscription, parcel: Parcel) -> str:
    """Return the id of a notification: the same at every attempt, so that a receiver can tell a repetition."""
    what = f"{subscription.tenant} {subscription.id} {subscription.created_at} {parcel.first} {parcel.last}"
    return f"urn:ngsi-ld:Notification:{uuid5(NAMESPACE_URL, what)}"
