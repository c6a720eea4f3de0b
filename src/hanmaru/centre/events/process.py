"""The room's background work on events: take in detections, let time pass, send hand-overs, tell the hub and the audit
trail. All of it may be killed at any moment and goes on where it was; two of it at once do everything once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
import structlog

from hanmaru.centre.agencies.delivery import Delivery
from hanmaru.centre.agencies.register import Register
from hanmaru.centre.domain import Detection
from hanmaru.centre.events import rows
from hanmaru.centre.events.book import BATCH, Book
from hanmaru.centre.events.model import Event
from hanmaru.centre.events.opening import book
from hanmaru.centre.events.shapes import instant
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.services import Context

log = structlog.get_logger()

LOOK_S: Final = 0.2
"""How often each part looks for work."""
PAGE: Final = 200


class Source(Protocol):
    """Where detections come from."""

    def after(self, seq: int, limit: int) -> Sequence[Detection]:
        """Return the detections after one, oldest first; blocks."""
        ...


async def run(context: Context[HubClient]) -> None:
    """Work until cancelled."""
    open_ = await asyncio.to_thread(book, context)
    delivery = Delivery(open_, Register(open_, context.trust.vault), context.hub, context.egress)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_again(follower(context, open_)))
            group.create_task(_again(lambda: _advanced(open_)))
            group.create_task(_again(delivery.send_due))
            group.create_task(_again(lambda: published(open_, context.hub)))
            group.create_task(_again(lambda: audited(open_, context.trust.audit)))
    finally:
        await delivery.close()
        await open_.close()


async def _again(work: Callable[[], Awaitable[object]]) -> None:
    """Do some work again and again; what fails is tried again a second later."""
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("events wait: trying again", reason=f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(1)
        await asyncio.sleep(LOOK_S)


def follower(context: Context[HubClient], open_: Book) -> Callable[[], Awaitable[object]]:
    """Return what takes in new detections."""
    path = context.data_dir / "detections.db"
    found: list[Source] = []

    async def work() -> None:
        if not found:
            from hanmaru.centre.detect.store import DetectionBook

            if not path.exists():
                return
            found.append(await asyncio.to_thread(DetectionBook, context.data_dir))
        while True:
            cursor = await open_.read(lambda db: rows.peek(db, "detections"))
            detections = await asyncio.to_thread(found[0].after, cursor, BATCH)
            if not detections:
                return
            await open_.follow(detections)

    return work


async def _advanced(open_: Book) -> None:
    late = await open_.read(
        lambda db: db.execute("SELECT 1 FROM event WHERE due <= ? LIMIT 1", (time.time(),)).fetchone()
    )
    if late:
        await open_.advance()


async def audited(open_: Book, audit: Audit) -> None:
    """Tell the audit trail what it is owed; what was told when the process died is told again."""
    owed = await open_.read(
        lambda db: db.execute("SELECT id, record FROM owed ORDER BY id LIMIT ?", (PAGE,)).fetchall()
    )
    for id, record in owed:
        await audit.commit(msgspec.json.decode(record, type=Record))
        await open_.write(lambda db, done=id: db.execute("DELETE FROM owed WHERE id = ?", (done,)))


async def published(open_: Book, hub: HubClient) -> None:
    """Show events that changed as the hub's ``Alert`` entities; a closed one says so in its history and goes."""

    def changed(db: rows.Db) -> list[Event]:
        found = db.execute(
            "SELECT body, seq FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (rows.peek(db, "published"), PAGE)
        )
        return [rows.decoded(body, seq) for body, seq in found]

    while events := await open_.read(changed):
        result = await hub.upsert([alert(one) for one in events], replace=True)
        await hub.delete([one["id"] for one in map(alert, events) if "validTo" in one])
        for failure in result.failures:
            log.warning("an event is not shown on the map", id=failure.id, reason=failure.detail[:200])
        last = events[-1].seq
        await open_.write(lambda db, last=last: rows.value(db, "published", max(last, rows.peek(db, "published"))))


def alert(event: Event) -> JsonObject:
    """Return an event as an ``Alert`` of the smart data models: nobody's name, nor notes."""

    def plain(value: Any) -> JsonObject:
        return {"type": "Property", "value": value}

    entity: JsonObject = {
        "id": f"urn:ngsi-ld:Alert:centre-{event.number}",
        "type": "Alert",
        "category": plain(event.category),
        "severity": plain(event.severity),
        "status": plain(event.state),
        "name": {"type": "LanguageProperty", "languageMap": dict(event.title)},
        "description": {"type": "LanguageProperty", "languageMap": dict(event.title)},
        "dateIssued": plain(instant(event.opened)),
        "alertSource": plain(f"urn:ngsi-ld:Rule:{event.rule}" if event.rule else "urn:ngsi-ld:Service:centre"),
    }
    if event.closed is not None:
        entity["validTo"] = plain(instant(event.closed))
    if event.location is not None:
        entity["location"] = {"type": "GeoProperty", "value": dict(event.location)}
    return entity
