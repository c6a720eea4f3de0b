"""The background work: readings from the hub into the ledger, baselines anew, figures back onto the buildings."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import structlog

from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.services import Context
from hanmaru_building_energy.calendars import korean_holidays
from hanmaru_building_energy.domain import Floats, Series
from hanmaru_building_energy.intervals import (
    aligned,
    cleaned,
    from_intervals,
    from_register,
    mean_of,
    step_of,
    summed,
)
from hanmaru_building_energy.ledger import NONE, Ledger, Readings
from hanmaru_building_energy.report import FIGURES, document, figures
from hanmaru_building_energy.savings import Assessment, assess

log = structlog.get_logger()

BUILDING = "Building"
INTERVAL, REGISTER, TEMPERATURE = "intervalActiveEnergy", "totalActiveEnergyImport", "temperature"
STARTED, COMPLETED = "measureStartedAt", "measureCompletedAt"
ASKS = frozenset({"refMeter", "refWeather", STARTED, COMPLETED})
"""The attributes of a building whose change asks for a new estimate."""

EVERY_S = 3600.0
SETTLE_S = 0.5
WHOLE_EVERY_S = 86_400.0
LATE = timedelta(days=8)
"""Readings that arrive no later than this are found at the next hour; later ones when the whole history is read, once
a day.
"""


async def keep_savings(context: Context[HubClient]) -> None:
    """Estimate every building's savings each hour, and at once where somebody changes what they are measured by."""
    desk = Desk(context.hub, context.data_dir, ZoneInfo(str(context.city["zone"])))
    seen = await context.hub.head()
    async with aclosing(_asked(context.hub, seen)) as asked:
        coming = asyncio.ensure_future(anext(asked))
        wanted: frozenset[str] | None = None
        try:
            while True:
                await desk.estimate_all(wanted)
                done, _ = await asyncio.wait([coming], timeout=EVERY_S)
                wanted = None
                if done:
                    wanted = coming.result()
                    coming = asyncio.ensure_future(anext(asked))
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


async def _asked(hub: HubClient, seen: int) -> AsyncGenerator[frozenset[str]]:
    """Yield the ids of buildings whose measures, meters or place changed: those of ``SETTLE_S`` together."""
    async for changes in hub.changes(seen):
        ids = {
            change.id
            for change in changes
            if BUILDING in change.types and change.kind != "deleted" and ASKS.intersection(change.touched)
        }
        if ids:
            await asyncio.sleep(SETTLE_S)
            yield frozenset(ids)


class Desk:
    """Reads, computes and writes for one city."""

    def __init__(self, hub: HubClient, folder: Path, zone: ZoneInfo) -> None:
        """Work on a hub; readings are kept in the folder, and hours are those of the zone."""
        self._hub, self._zone = hub, zone
        self._ledger = Ledger(folder)
        self._days_off = korean_holidays()
        self._whole: dict[str, float] = {}

    async def estimate_all(self, ids: frozenset[str] | None = None) -> None:
        """Estimate all buildings that have a meter, or some; one that fails is logged and stops no other."""
        for building in await buildings(self._hub, ids):
            try:
                await self.estimate(building, whole=ids is not None)
            except Exception:
                log.exception("a building's savings could not be estimated", building=building["id"])

    async def estimate(self, building: JsonObject, *, whole: bool = False) -> Assessment:
        """Estimate a building's savings, publish the result and write the figures."""
        meters = [await self._meter(id, whole=whole) for id in targets(building, "refMeter")]
        weather = targets(building, "refWeather")
        air = await self._read(weather[0], TEMPERATURE, whole=whole) if weather else NONE
        completed = moment(building.get(COMPLETED))
        started = moment(building.get(STARTED)) or completed
        assessment, result = await asyncio.to_thread(self._compute, meters, air, started, completed)
        await asyncio.to_thread(self._ledger.publish, building["id"], result)
        await self._write(building, assessment)
        return assessment

    async def _meter(self, id: str, *, whole: bool) -> Series:
        interval = await self._read(id, INTERVAL, whole=whole)
        if len(interval.times_s):
            return from_intervals(interval.times_s, interval.values, step_of(interval.times_s))
        register = await self._read(id, REGISTER, whole=whole)
        return from_register(register.times_s, register.values, step_of(register.times_s))

    async def _read(self, id: str, attribute: str, *, whole: bool) -> Readings:
        """Return all readings of an attribute that the ledger or the hub has; the ledger then has them."""
        kept = await asyncio.to_thread(self._ledger.readings, id, attribute)
        key, now = f"{id} {attribute}", time.monotonic()
        whole |= now - self._whole.get(key, -WHOLE_EVERY_S) >= WHOLE_EVERY_S
        start = None
        if len(kept.times_s) and not whole:
            start = datetime.fromtimestamp(int(kept.times_s[-1]), UTC) - LATE
        found = await read(self._hub, id, attribute, start)
        if whole:
            self._whole[key] = now
        merged = kept.merged(found)
        if not (np.array_equal(merged.times_s, kept.times_s) and np.array_equal(merged.values, kept.values)):
            await asyncio.to_thread(self._ledger.keep, id, attribute, merged)
        return merged

    def _compute(
        self, meters: Sequence[Series], air: Readings, started: float | None, completed: float | None
    ) -> tuple[Assessment, dict[str, Any]]:
        energy = cleaned(summed(list(meters)))
        before = energy.between(energy.start_s, started if started is not None else energy.end_s)
        after = energy.between(completed if completed is not None else energy.end_s, energy.end_s)
        outdoors: tuple[Floats | None, Floats | None] = (None, None)
        if len(air.times_s):
            means = mean_of(air.times_s, air.values, 3600)
            found = aligned(means, before), aligned(means, after)
            metered = np.isfinite(before.values)
            # Too few temperatures would leave most readings out: a model without them is then the better one.
            if metered.any() and np.isfinite(found[0][metered]).mean() >= 0.9:
                outdoors = found
        assessment = assess(
            before, after, self._zone, self._days_off, before_temperature=outdoors[0], after_temperature=outdoors[1]
        )
        known = outdoors[0] is not None
        result = document(assessment, before, after, self._zone, temperature=known, outside=outside(*outdoors))
        return assessment, result

    async def _write(self, building: JsonObject, assessment: Assessment) -> None:
        new = figures(assessment.estimate, time.time())
        stale = [name for name in FIGURES if name in building and name not in new]
        if stale:  # a figure that no longer holds is taken away: better none than a wrong one
            whole = await self._hub.retrieve(building["id"])
            if whole is None:
                return
            kept = {name: value for name, value in whole.items() if name not in FIGURES}
            result = await self._hub.upsert([{**kept, **new}], replace=True)
        else:
            result = await self._hub.upsert([{"id": building["id"], "type": building["type"], **new}])
        for failure in result.failures:
            log.warning("the hub refused figures", building=failure.id, title=failure.title, detail=failure.detail)


def outside(before: Floats | None, after: Floats | None) -> float:
    """Return the fraction of temperatures ``after`` beyond all of those ``before``: there the model extrapolates."""
    if before is None or after is None or not np.isfinite(before).any() or not np.isfinite(after).any():
        return 0.0
    known = after[np.isfinite(after)]
    return float(((known < np.nanmin(before)) | (known > np.nanmax(before))).mean())


async def buildings(hub: HubClient, ids: frozenset[str] | None = None) -> list[JsonObject]:
    """Return the metered buildings as key-values, by id: all, or some."""
    found: list[JsonObject] = []
    while True:
        query = Query(type=BUILDING, q="refMeter", ids=sorted(ids or ()), limit=500, offset=len(found))
        page = await hub.query(query, simplified=True)
        found += page
        if len(page) < 500:
            return found


async def read(hub: HubClient, id: str, attribute: str, start: datetime | None) -> Readings:
    """Return what the hub has of an attribute's history from an instant on, a page at a time."""
    times: list[str] = []
    values: list[float] = []
    while True:
        found = await hub.history(id, attrs=[attribute], start=start, temporal_values=True)
        points = [point for point in _points(found, attribute) if isinstance(point[0], int | float) and point[1]]
        if not points:
            break
        values += [float(value) for value, _ in points]
        times += [at for _, at in points]
        start = datetime.fromisoformat(times[-1]) + timedelta(microseconds=1)
    if not times:
        return NONE
    instants = np.array([at.removesuffix("Z") for at in times], "datetime64[ms]").astype(np.int64) // 1000
    return NONE.merged(Readings(instants, np.array(values)))


def _points(history: JsonObject | None, attribute: str) -> list[tuple[Any, str]]:
    """Return the points of an attribute's default instance; the standard lets it be an object or a list of them."""
    content: Any = (history or {}).get(attribute) or []
    instances = cast(list[JsonObject], content if isinstance(content, list) else [content])
    empty: list[tuple[Any, str]] = []
    return next((one.get("values", empty) for one in instances if "datasetId" not in one), empty)


def targets(entity: JsonObject, name: str) -> list[str]:
    """Return what a relationship of an entity in key-values points to."""
    value: Any = entity.get(name)
    every = cast(list[Any], value if isinstance(value, list) else [value])
    return [one for one in every if isinstance(one, str)]


def moment(value: Any) -> float | None:
    """Return an instant of an entity in key-values, as Unix seconds; None where there is none."""
    text = cast(JsonObject, value).get("@value") if isinstance(value, dict) else value
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None
