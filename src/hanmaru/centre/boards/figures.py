"""What tiles ask, answered from the hub once for everybody who may see the same, and kept for a moment.

An answer is kept for at least `FRESH_S` and for `SHARE` times as long as it took to find, so that boards take at most a
twentieth of one core however many look at them; nobody's answer is another's whose `Access` differs. A series is kept
as means by entity and step: to carry it on, only its last steps are read again.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hanmaru.centre.boards.model import Ask
from hanmaru.centre.series import series
from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

FRESH_S = 2.0
SHARE = 20.0
LONGEST_S = 60.0
MOST_KEPT = 400
MOST_BINS = 400_000
"""Entities' steps that all series together keep; some 60 MB."""
MOST_READINGS = 10_000
MOST_PAGES = 10
AT_ONCE = 3
PAGE = 1000
MOST_ENTITIES = 50_000
MOST_HISTORIES = 64
"""Entities whose history makes a series; of more than that, as many spread evenly by id."""
MOST_LISTED = 20
STEPS = ((6, 300), (26, 900), (24 * 8, 3600), (24 * 31, 4 * 3600))
"""Seconds of a step by the hours that a series shows: at most about 200 steps."""
ANEW_S = 900.0
"""After which a series is read whole again: entities come and go, and readings come late."""
SOON_S = 60.0
"""The same for a series that has gaps: its past may be on its way."""

Bins = dict[int, dict[str, tuple[float, int]]]
"""Sum and number of the readings by step (its beginning, seconds since 1970 in steps) and entity."""


def step_of(hours: int) -> int:
    """Return the seconds of a step of a series."""
    return next(step for most, step in STEPS if hours <= most)


def aggregated(values: Sequence[float], agg: str) -> float | None:
    """Return the mean, sum, min or max of values, or their number; None of none, but for a number."""
    if agg == "count":
        return len(values)
    if not values:
        return None
    if agg == "mean":
        return sum(values) / len(values)
    return {"sum": sum, "min": min, "max": max}[agg](values)


def drawn(bins: Bins, agg: str, first: int, last: int, share: float = 1.0) -> list[tuple[int, float]]:
    """Return (step, value) of the steps ``first`` to ``last`` that have any: entities' means, then the aggregate.

    For a sum, an entity that says nothing in a step still counts with what it said last: a state holds until it
    changes. ``share`` is the part of the entities that were read: sums and numbers are scaled up by it.
    """
    held: dict[str, float] = {}
    points: list[tuple[int, float]] = []
    for step in sorted(bins):
        if step > last:
            break
        means = {entity: total / count for entity, (total, count) in bins[step].items()}
        held.update(means)
        if step < first:
            continue
        value = aggregated(list((held if agg == "sum" else means).values()), agg)
        if value is not None:
            points.append((step, value / share if agg in ("sum", "count") else value))
    return points


def numeric(value: object) -> float | None:
    """Return a number, and None of anything else (a truth value, too)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


class _Kept:
    """An answer that is known or being found."""

    def __init__(self) -> None:
        self.task: asyncio.Task[JsonObject] | None = None
        self.until = 0.0
        self.bins: Bins = {}
        self.entities: list[str] = []
        self.of = 0
        self.read_to = self.read_whole = 0.0


class Figures:
    """Answers what tiles ask. One for each worker process; used on one event loop."""

    def __init__(self, hub: HubClient) -> None:
        """Answer from a hub, acting for whoever asks."""
        self._hub = hub
        self._kept: OrderedDict[tuple[Access, Ask], _Kept] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._going: set[asyncio.Task[JsonObject]] = set()

    async def answer(self, access: Access, ask: Ask) -> JsonObject:
        """Return ``{"value", "count", "at"}``, ``{"points", "step_s", "entities", "of"}`` or ``{"items", "count"}``.

        Raises the hub's Problem for a query that it does not understand, and 503 while `MOST_KEPT` wait already.
        """
        key = access, ask
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept()
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT or (len(self._kept) > 1 and self._weight() > MOST_BINS):
            self._kept.popitem(last=False)
        if kept.task is None or (kept.task.done() and time.monotonic() >= kept.until):
            if len(self._going) >= MOST_KEPT:
                detail = "Too much is being asked of the city at a time: look again in some seconds."
                raise Problem(503, "Too much is asked", detail, retry_after_s=5)
            kept.task = asyncio.create_task(self._find(kept, access, ask))
            self._going.add(kept.task)
            kept.task.add_done_callback(self._going.discard)
        return await asyncio.shield(kept.task)

    def _weight(self) -> int:
        return sum(len(kept.entities) * len(kept.bins) for kept in self._kept.values())

    async def close(self) -> None:
        """End what is being found."""
        tasks = list(self._going)
        self._kept.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, kept: _Kept, access: Access, ask: Ask) -> JsonObject:
        async with self._slots:
            begun = time.monotonic()
            try:
                hub = self._hub.acting(access)
                found = await {"value": _value, "list": _list, "series": _series}[ask.want](hub, ask, kept)
                return {**found, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
            finally:
                ended = time.monotonic()
                kept.until = ended + min(LONGEST_S, max(FRESH_S, SHARE * (ended - begun)))


def _query(ask: Ask, *, limit: int = PAGE, offset: int = 0) -> Query:
    return Query(
        type=ask.type,
        ids=(ask.id,) if ask.id else (),
        attrs=(ask.attr,) if ask.attr else (),
        q=ask.q or None,
        near=(*ask.area.at, ask.area.radius_m) if ask.area else None,
        limit=limit,
        offset=offset,
    )


async def _values(hub: HubClient, ask: Ask) -> dict[str, float]:
    """Return the attribute's number by entity."""
    found: dict[str, float] = {}
    for offset in range(0, MOST_ENTITIES, PAGE):
        page = await hub.query(_query(ask, offset=offset), simplified=True)
        for entity in page:
            value = numeric(entity.get(ask.attr))
            if value is not None:
                found[entity["id"]] = value
        if len(page) < PAGE:
            break
    return found


async def _value(hub: HubClient, ask: Ask, _: _Kept) -> JsonObject:
    if ask.agg == "count":
        count = await hub.count(_query(ask))
        return {"value": count, "count": count}
    values = list((await _values(hub, ask)).values())
    return {"value": aggregated(values, ask.agg), "count": len(values)}


async def _list(hub: HubClient, ask: Ask, _: _Kept) -> JsonObject:
    values = await _values(hub, ask)
    ordered = sorted(values, key=lambda id: (values[id], id), reverse=ask.order == "high")[:MOST_LISTED]
    names: Mapping[str, Any] = {}
    if ordered:
        chosen = await hub.query(Query(type=ask.type, ids=ordered, limit=MOST_LISTED), simplified=True)
        names = {entity["id"]: entity.get("name") for entity in chosen}
    items = [{"id": id, "name": names.get(id), "value": values[id]} for id in ordered]
    return {"items": items, "count": len(values)}


async def _series(hub: HubClient, ask: Ask, kept: _Kept) -> JsonObject:
    now, step_s = time.time(), step_of(ask.hours)
    first, last = int((now - ask.hours * 3600) // step_s), int(now // step_s)
    if now - kept.read_whole > (ANEW_S if len(kept.bins) > last - first else SOON_S):
        ids = [ask.id] if ask.id else sorted(await _values(hub, ask))
        kept.of, read = len(ids), min(len(ids), MOST_HISTORIES)
        kept.entities = [ids[i * len(ids) // read] for i in range(read)]
        kept.bins, kept.read_whole, start = {}, now, first - 1
    else:
        start = int(kept.read_to // step_s) - 1
        kept.bins = {step: means for step, means in kept.bins.items() if first - 1 <= step < start}
    bins: Bins = {}
    for entity in kept.entities:
        for step, total in (await _binned(hub, entity, ask.attr, start * step_s, step_s)).items():
            bins.setdefault(step, {})[entity] = total
    kept.bins.update(bins)
    kept.read_to = now
    share = len(kept.entities) / kept.of if kept.of else 1.0
    points = [[step * step_s, value] for step, value in drawn(kept.bins, ask.agg, first, last, share)]
    return {"points": points, "step_s": step_s, "entities": len(kept.entities), "of": kept.of}


async def _binned(hub: HubClient, id: str, attr: str, start_s: float, step_s: int) -> dict[int, tuple[float, int]]:
    """Return sum and number of an entity's readings by step since an instant."""
    start = datetime.fromtimestamp(start_s, UTC)
    bins: dict[int, tuple[float, int]] = {}
    for _ in range(MOST_PAGES):
        history = await hub.history(id, attrs=(attr,), start=start, temporal_values=True)
        points = series({attr: (history or {}).get(attr)}, MOST_READINGS).get(attr, [])
        for value, instant in points:
            reading = numeric(value)
            if reading is not None:
                step = int(datetime.fromisoformat(instant).timestamp() // step_s)
                total, count = bins.get(step, (0.0, 0))
                bins[step] = total + reading, count + 1
        if len(points) < MOST_READINGS:
            break
        start = datetime.fromisoformat(points[-1][1]) + timedelta(microseconds=1)
    return bins
