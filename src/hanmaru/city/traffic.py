"""Traffic on the city's roads: demand by the clock, speed by demand and weather, incidents by chance."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hanmaru.city.noise import Floats, Ints, channel, smooth, uniform
from hanmaru.city.rhythms import TRAFFIC_WEEKDAY, TRAFFIC_WEEKEND, Local, daily
from hanmaru.city.roads import LANES, Roads
from hanmaru.city.weather import Sky

_CAPACITY = np.array([450.0, 750.0, 900.0, 950.0, 1700.0])
"""Vehicles an hour and lane by class, with signals (Korea Highway Capacity Manual's urban and rural orders of size)."""
_PEAK = np.array([0.28, 0.46, 0.80, 0.92, 0.66])
"""Demand at the weekday's peak, as a share of capacity."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Traffic at instants: ``count_5min`` vehicles, ``speed_kmh``, ``occupancy`` (0-1), ``load`` demand by capacity."""

    count_5min: Floats
    speed_kmh: Floats
    occupancy: Floats
    load: Floats


def level(when: Local) -> Floats:
    """Return the city's traffic as a share of the weekday's peak."""
    week, end = daily(TRAFFIC_WEEKDAY, when.hour), daily(TRAFFIC_WEEKEND, when.hour)
    friday = 1 + 0.05 * ((when.weekday == 4) & (when.hour > 15))
    return np.where(when.weekend, end, week * friday)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Asks for traffic on edges of a road network."""

    roads: Roads
    seed: int

    @cached_property
    def _tide(self) -> Floats:
        """How much each edge leads to the middle of the city: 1 straight in, -1 straight out."""
        r = self.roads
        heading = r.xy[r.target] - r.xy[r.source]
        inward = -r.midpoints()
        size = np.hypot(*heading.T) * np.maximum(np.hypot(*inward.T), 800.0)
        return (heading * inward).sum(axis=1) / size

    def at(self, edge: Ints, t: Floats, sky: Sky) -> Flow:
        """Return the traffic on edges (k,) at instants ``t`` (k,), s, under a sky (k,)."""
        kind = self.roads.road_class[edge]
        own = uniform(self.seed, channel("traffic/edge"), edge)
        when = sky.local
        peak = _PEAK[kind] * (0.62 + 0.72 * own)
        morning = np.exp(-(((when.hour - 8.2) / 1.4) ** 2)) * ~when.weekend
        evening = np.exp(-(((when.hour - 18.3) / 1.7) ** 2)) * ~when.weekend
        tide = 1 + 0.28 * self._tide[edge] * (morning - evening)
        wander = 1 + 0.09 * smooth(self.seed, edge + 1_000_000, t, 1500.0)
        wet = np.minimum(sky.rain_mmh, 20)
        load = np.clip(level(when) * peak * tide * wander * (1 - 0.004 * wet), 0.004, 1.35)
        # Light rain costs 2-13 % of free speed, heavy rain 3-16 % (FHWA, Empirical Studies on Traffic Flow in Rain).
        free = self.roads.speed_mps[edge] * 3.6 * (0.94 + 0.10 * own) * (1 - 0.15 * (1 - np.exp(-wet / 4)))
        slot = np.floor(t / 2400).astype(np.int64)
        incident = uniform(self.seed, channel("traffic/incident"), edge, slot) < 0.0012 * load
        speed = free / (1 + 0.75 * load**3.6) * np.where(incident, 0.38, 1.0)
        lanes = np.asarray(LANES)[kind]
        jitter = 1 + 0.06 * (uniform(self.seed, edge, np.floor(t).astype(np.int64)) - 0.5)
        hourly = load * _CAPACITY[kind] * lanes * np.where(incident, 0.6, 1.0)
        count = np.maximum(np.round(hourly / 12 * jitter), 0)
        # Occupancy: flow by lane times the length a vehicle covers over a detector (6.5 m), by speed.
        occupancy = np.clip(hourly / lanes * 6.5 / (speed * 1000) + 0.10 * np.maximum(load - 0.85, 0), 0, 0.95)
        return Flow(count, np.maximum(speed * (1 + 0.03 * (own - 0.5)), 3.0), occupancy, load)
