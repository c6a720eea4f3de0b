"""What the time slider draws: how far back history reaches, where nothing was recorded, which events there were."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hanmaru.centre.live.world import Declared
from hanmaru.hub.client import EntityChange, HubClient, JsonObject, Query
from hanmaru.platform.access import Access

DAYS = 30
SAMPLED = 3
"""Entities of each type that are asked whether an hour has readings: a look-up each."""
STEP = timedelta(hours=1)
MOST_EVENTS = 2_000
"""Events beyond which the oldest are left out of the answer."""
KEPT_S = 20.0
MOST_KEPT = 64

Spans = list[tuple[datetime, datetime]]


async def coverage(hub: HubClient, declared: Declared, end: datetime, days: float = DAYS) -> tuple[datetime, Spans]:
    """Return the instant from which history is there, and the spans of an hour or more after it without a reading.

    A few entities of each type are asked, from ``end`` backwards: the newest reading up to an instant says how much
    before it has none, so that a gap costs one question however long it is.
    """
    sample = [
        entity["id"]
        for type in declared.types
        for entity in await hub.query(Query(type=type, limit=SAMPLED), simplified=True)
    ]
    names = sorted({name for some in declared.attrs.values() for name in some})
    begin = end - timedelta(days=days)
    gaps: Spans = []
    at = end
    while at > begin:
        newest = await _newest(hub, sample, names, at)
        if newest is None or newest <= begin:
            return (begin if newest else await _first(hub, sample, names, at)), gaps[::-1]
        if at - newest > STEP:
            gaps.append((newest, await _first(hub, sample, names, at)))
        at = min(newest, at - STEP)
    return begin, gaps[::-1]


async def _first(hub: HubClient, ids: list[str], names: list[str], at: datetime) -> datetime:
    """Return the instant of the first reading in the step after ``at``, or ``at`` when there is none."""
    found = await hub.between(Query(ids=ids, limit=max(1, len(ids))), at, at + STEP, attrs=names, most=1)
    return datetime.fromisoformat(found.changes[0].at) if found.changes else at


async def _newest(hub: HubClient, ids: list[str], names: list[str], at: datetime) -> datetime | None:
    """Return the newest instant up to ``at`` at which one of the entities was read."""
    found = [
        datetime.fromisoformat(entity["modifiedAt"])
        async for batch in hub.as_of(Query(ids=ids, limit=max(1, len(ids))), at, attrs=names)
        for entity in batch
    ]
    return max(found, default=None)


async def events(hub: HubClient, start: datetime, end: datetime) -> list[JsonObject]:
    """Return what ``Alert`` entities were issued in a span, newest last: at, id, name, severity, category, location.

    An entity that is issued anew (the same id, another ``dateIssued``) is another event.
    """
    names = ["dateIssued", "severity", "category", "subCategory", "name", "description", "location", "validTo"]
    found: list[JsonObject] = []
    while start < end:
        span = await hub.between(Query(type="Alert", limit=1000), start, end, attrs=names)
        found += [_event(change) for change in span.changes if _is_event(change)]
        found, start = found[-MOST_EVENTS:], span.until
    return found


def _is_event(change: EntityChange) -> bool:
    return change.kind == "created" or (change.kind == "updated" and "dateIssued" in change.touched)


def _event(change: EntityChange) -> JsonObject:
    wanted = ("name", "description", "severity", "category", "subCategory", "location")
    return {"at": change.at, "id": change.id, **{name: change.values[name] for name in wanted if name in change.values}}


class Kept:
    """Answers kept a short while for each access, so that many viewers ask the hub once."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._answers: dict[Access, tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, access: Access, make: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        """Return what was made for this access within the last while, or make it."""
        until, task = self._answers.get(access, (0.0, None))
        if task is None or time.monotonic() > until or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.ensure_future(make())
            if len(self._answers) >= MOST_KEPT:
                self._answers.pop(next(iter(self._answers)))
            self._answers[access] = time.monotonic() + KEPT_S, task  # pyright: ignore[reportArgumentType]
        return await asyncio.shield(task)


async def span(hub: HubClient, declared: Declared, now: datetime) -> JsonObject:
    """Return what the slider draws of the last 30 days."""
    begin = now - timedelta(days=DAYS)
    start, gaps = await coverage(hub, declared, now)
    found = await events(hub, begin, now)
    shown = [[_text(a), _text(b)] for a, b in gaps]
    return {"begin": _text(begin), "start": _text(start), "end": _text(now), "gaps": shown, "events": found}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
