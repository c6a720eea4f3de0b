"""Filling in what sensors read before the hub was up, so that charts have a day behind them from the first minute."""

import asyncio
import math
from collections.abc import Iterator, Mapping

import numpy as np
import structlog

from hanmaru.city.build import City
from hanmaru.city.entities import histories
from hanmaru.city.noise import Floats, Ints
from hanmaru.city.readings import UNITS, read
from hanmaru.city.weather import take
from hanmaru.hub.client import HubClient, JsonObject

log = structlog.get_logger()

HOURS = 24.0
STEP_S = 1800.0

CHARTED: Mapping[str, tuple[str, ...]] = {
    "AirQualityObserved": ("pm25", "pm10", "no2", "o3"),
    "WeatherObserved": ("temperature", "relativeHumidity", "atmosphericPressure", "windSpeed", "precipitation"),
    "Hospital": ("availableBeds",),
    "WaterObserved": ("height", "flow"),
    "FloodMonitoring": ("currentLevel",),
    "NoiseLevelObserved": ("LAeq",),
    "CrowdFlowObserved": ("peopleCount",),
    "OffStreetParking": ("availableSpotNumber",),
    "EVChargingStation": ("availableCapacity",),
    "TrafficFlowObserved": ("averageVehicleSpeed", "intensity", "occupancy"),
    "ACMeasurement": ("totalActivePower",),
    "WasteContainer": ("fillingLevel",),
}
"""The attributes whose past is filled in, by type, in the order in which a viewer is likely to ask for them."""


def past(city: City, kind: str, start_s: float, end_s: float, step_s: float = STEP_S) -> Iterator[list[JsonObject]]:
    """Yield the temporal representation of one type's readings in [start, end), some sensors at a time.

    Instants are whole multiples of ``step_s``, so that filling in twice gives the same points.
    """
    steps = np.arange(math.ceil(start_s / step_s), math.ceil(end_s / step_s))
    times = steps.astype(np.float64) * step_s
    if kind not in city.sensors or not len(times):
        return
    names = [n for n in CHARTED[kind] if n in UNITS[kind]]
    sky = city.weather.at(times)
    count = len(city.sensors[kind])
    size = max(1, 4000 // (len(times) * len(names)))
    for first in range(0, count, size):
        index: Ints = np.arange(first, min(first + size, count))
        t: Floats = np.repeat(times, len(index))
        skies = take(sky, np.repeat(np.arange(len(times)), len(index)))
        columns = read(city, kind, np.tile(index, len(times)), t, skies)
        yield histories(city, kind, index, times, columns, names)


async def backfill(hub: HubClient, city: City, start_s: float, end_s: float, *, step_s: float = STEP_S) -> int:
    """Record the readings of [start, end) of all charted sensors; return how many entities' histories were written."""
    written = 0
    for kind in CHARTED:
        for entities in past(city, kind, start_s, end_s, step_s):
            result = await hub.record(entities)
            written += len(entities) - len(result.failures)
            for failure in result.failures[:1]:
                log.warning("the hub refused history", id=failure.id, title=failure.title, detail=failure.detail)
            await asyncio.sleep(0)
    return written
