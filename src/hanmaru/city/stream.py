"""The live city: sensors report one after the other, each at its own moment, in batches to the hub."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from hanmaru.city import alerts
from hanmaru.city.build import City
from hanmaru.city.clock import CityClock
from hanmaru.city.entities import attributes
from hanmaru.city.noise import Floats, Ints
from hanmaru.city.readings import read
from hanmaru.city.sensors import Sensors
from hanmaru.city.weather import take
from hanmaru.hub.client import HubClient, JsonObject

log = structlog.get_logger()

RATE = 60.0
"""Updates a second by default, of all sensors together."""

PERIODS = {
    "Vehicle": 3.0,
    "WeatherObserved": 20.0,
    "AirQualityObserved": 30.0,
    "TrafficFlowObserved": 30.0,
    "ACMeasurement": 30.0,
    "CrowdFlowObserved": 30.0,
    "NoiseLevelObserved": 30.0,
    "Hospital": 60.0,
    "WaterObserved": 60.0,
    "FloodMonitoring": 60.0,
    "OffStreetParking": 45.0,
    "EVChargingStation": 60.0,
    "WasteContainer": 180.0,
    "Streetlight": 240.0,
    "Camera": 300.0,
    "Device": 300.0,
}
"""How often sensors report beside each other, s; the rate stretches or shrinks all of them alike."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """When sensors of one type report: sensor i at ``phase_s[i] + n * period_s`` of city time."""

    kind: str
    period_s: float
    phase_s: Floats

    def due(self, after_s: float, until_s: float) -> tuple[Ints, Floats]:
        """Return which sensors report in (after, until], and when they last do in it: one report a sensor at most."""
        n = np.floor((until_s - self.phase_s) / self.period_s)
        # A quotient may round over or under a whole number: a report would come twice, or never.
        n -= self.phase_s + n * self.period_s > until_s
        n += self.phase_s + (n + 1) * self.period_s <= until_s
        last = self.phase_s + n * self.period_s
        index = np.flatnonzero(last > after_s)
        return index, last[index]


def schedules(city: City, rate: float, speed: float = 1.0) -> list[Schedule]:
    """Return when every type reports, so that all together make ``rate`` updates a second of real time."""
    if not rate > 0:
        raise ValueError(f"the rate must be positive, not {rate}")
    live = {kind: s for kind, s in city.sensors.items() if kind in PERIODS}
    natural = sum(len(s) / PERIODS[kind] for kind, s in live.items())
    stretch = natural / rate * speed
    return [Schedule(k, PERIODS[k] * stretch, _phases(s, PERIODS[k] * stretch)) for k, s in live.items()]


def _phases(sensors: Sensors, period_s: float) -> Floats:
    """Return a moment for each sensor, evenly over the period and in no order on the map."""
    return np.argsort(np.argsort(sensors.trait)) / len(sensors) * period_s


def report(city: City, due: Iterable[tuple[str, Ints, Floats]]) -> list[JsonObject]:
    """Return the readings of the sensors that are due (type, indices, instants), as entity fragments by time."""
    wanted = [(kind, index, t) for kind, index, t in due if len(index)]
    if not wanted:
        return []
    sky = city.weather.at(np.concatenate([t for _, _, t in wanted]))
    out: list[JsonObject] = []
    start = 0
    for kind, index, t in wanted:
        own = take(sky, np.arange(start, start + len(t)))
        out.extend(attributes(city, kind, index, t, read(city, kind, index, t, own)))
        start += len(t)
    return out


async def run(
    hub: HubClient,
    city: City,
    clock: CityClock,
    *,
    rate: float = RATE,
    batch: int = 250,
    tick_s: float = 1.0,
    since_s: float | None = None,
    reached: Callable[[float], None] | None = None,
) -> None:
    """Stream readings until cancelled: every ``tick_s`` s of real time those that fell due since, in batches.

    ``since_s`` is the city time to start from (default: now). ``reached`` is told up to which city time all is written.
    Where the hub is slower than the rate, sensors skip reports instead of queueing.
    """
    plan = schedules(city, rate, clock.speed)
    after = clock.now_s() if since_s is None else since_s
    while True:
        await asyncio.sleep(tick_s)
        until = clock.now_s()
        due = [(s.kind, *s.due(after, until)) for s in plan]
        entities = report(city, due)
        entities.extend(alerts.between(city, max(after, until - 3600), until))
        await write(hub, entities, batch)
        after = until
        if reached is not None:
            reached(after)


async def write(hub: HubClient, entities: Sequence[JsonObject], batch: int) -> None:
    """Upsert entities in batches; refusals are logged, for a demo must go on."""
    for start in range(0, len(entities), batch):
        result = await hub.upsert(entities[start : start + batch])
        for failure in result.failures[:3]:
            log.warning("the hub refused a reading", id=failure.id, title=failure.title, detail=failure.detail)
