"""Live speeds: what the hub's traffic sensors measure now bends the speeds around them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.problems import Problem
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.roads.graph import CLASSES
from hanmaru.ride.roads.matrix import Metric, Network, Places

TYPE = "TrafficFlowObserved"
EVERY_S = 20.0
OLD_S = 900.0
"""Readings older than a quarter of an hour say nothing about now."""

_NEAR_M = 40.0
_REACH_M = 700.0
_FAR_M = 3 * _REACH_M
_DOUBT = 0.5
_ENOUGH = 8
_LEAST, _MOST = 0.1, 2.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sensor measured: where (lon, lat), how fast (km/h), when (Unix seconds)."""

    id: str
    lon: float
    lat: float
    speed_kmh: float
    at_s: float


class Sensing:
    """Sensors put on a network: which edges each speaks for, and how loudly. Made once for a set of sensors."""

    def __init__(self, network: Network, lonlat: Floats) -> None:
        """Put sensors at ``lonlat`` (k, 2) on the network; those over 40 m from any road speak for none.

        A sensor speaks for both directions of its own road, and for roads of its class or one class off within 2.1 km,
        with a weight that falls by e every 700 m.
        """
        graph = network.graph
        places: Places = network.snap(lonlat)
        xy = network.plane.xy(lonlat)
        away = np.hypot(*(network.plane.xy(network.lonlat(places)) - xy).T)
        middle = network.plane.xy((graph.lonlat[graph.source] + graph.lonlat[graph.target]) / 2)
        tree: Any = KDTree(middle)
        found = tree.query_ball_point(xy, _FAR_M)
        sensors: list[Rows] = []
        edges: list[Rows] = []
        kind = graph.road_class.astype(np.int64)
        self.heard = away <= _NEAR_M
        for i in np.flatnonzero(self.heard).tolist():
            own = int(places.edge[i])
            near = np.array(found[i], np.int32)
            near = near[np.abs(kind[near] - kind[own]) <= 1]
            edges.append(near)
            sensors.append(np.full(len(near), i, np.int32))
        none = np.empty(0, np.int32)
        self.own, self.kind = places.edge, kind
        self.sensor, self.edge = np.concatenate([*sensors, none]), np.concatenate([*edges, none])
        weight = np.exp(-np.hypot(*(middle[self.edge] - xy[self.sensor]).T) / _REACH_M)
        own_edge = self.own[self.sensor]
        both = (graph.source[self.edge] == graph.target[own_edge]) & (graph.target[self.edge] == graph.source[own_edge])
        self.weight = np.where(both | (self.edge == own_edge), 1e3, weight)

    def bend(self, expected_kmh: Floats, measured_kmh: Floats) -> Floats:
        """Return speeds (m,), km/h: the expected ones (m,) times how the sensors (k,) differ from them, NaN: silent.

        An edge's factor is the weighted mean of its sensors' ratios and, with weight 0.5, of what is to be expected far
        from any: the median ratio where eight or more sensors on roads like it speak, 1 where fewer do. Ratios are held
        within 0.1 and 2.5.
        """
        ratio = np.clip(measured_kmh / expected_kmh[self.own], _LEAST, _MOST)
        heard = self.heard & np.isfinite(ratio)
        far = np.ones(len(CLASSES))
        for kind in range(len(CLASSES)):
            alike = heard & (np.abs(self.kind[self.own] - kind) <= 1)
            if alike.sum() >= _ENOUGH:
                far[kind] = np.median(ratio[alike])
        speaks = heard[self.sensor]
        edge, weight = self.edge[speaks], self.weight[speaks]
        top = np.bincount(edge, weight * ratio[self.sensor[speaks]], len(expected_kmh)) + _DOUBT * far[self.kind]
        return expected_kmh * top / (np.bincount(edge, weight, len(expected_kmh)) + _DOUBT)


class Traffic:
    """The newest readings turned into speeds; keeps the sensors' places while they stay where they are."""

    def __init__(self, network: Network) -> None:
        """Follow traffic on a network."""
        self._network = network
        self._where: Floats | None = None
        self._sensing: Sensing | None = None

    def speeds(self, expected_kmh: Floats, readings: Sequence[Reading], now_s: float) -> Floats:
        """Return speeds (m,), km/h: the expected ones bent by the readings that are not old."""
        if not readings:
            return expected_kmh
        where = np.array([(r.lon, r.lat) for r in readings])
        if self._sensing is None or self._where is None or not np.array_equal(where, self._where):
            self._where, self._sensing = where, Sensing(self._network, where)
        fresh = [r.speed_kmh if abs(now_s - r.at_s) <= OLD_S else np.nan for r in readings]
        return self._sensing.bend(expected_kmh, np.array(fresh))


async def readings(hub: HubClient, most: int = 20_000) -> list[Reading]:
    """Return what the hub's traffic sensors measured last, by id. What makes no sense is passed over."""
    found: list[Reading] = []
    for offset in range(0, most, 1000):
        page = await hub.query(Query(type=TYPE, attrs=("location", "averageVehicleSpeed"), offset=offset))
        found.extend(r for entity in page if (r := _reading(entity)) is not None)
        if len(page) < 1000:
            break
    return sorted(found, key=lambda r: r.id)


class _Speed(msgspec.Struct):
    value: float
    observed_at: datetime = msgspec.field(name="observedAt")


class _Point(msgspec.Struct):
    coordinates: tuple[float, float]


class _Location(msgspec.Struct):
    value: _Point


class _Entity(msgspec.Struct):
    id: str
    location: _Location
    speed: _Speed = msgspec.field(name="averageVehicleSpeed")


def _reading(entity: JsonObject) -> Reading | None:
    try:
        found = msgspec.convert(entity, _Entity)
    except msgspec.ValidationError:
        return None
    lon, lat = found.location.value.coordinates
    speed = found.speed.value
    if not (0 <= speed < 250 and abs(lon) <= 180 and abs(lat) <= 90):
        return None
    return Reading(found.id, lon, lat, speed, found.speed.observed_at.timestamp())


async def follow(
    hub: HubClient,
    network: Network,
    expected_kmh: Callable[[float], Floats],
    swap: Callable[[Metric], None],
    *,
    now_s: Callable[[], float] = time.time,
    every_s: float = EVERY_S,
) -> None:
    """Weigh the network again every ``every_s`` with the hub's live speeds and hand it to ``swap``; ends if cancelled.

    ``expected_kmh`` gives the speeds (m,) without sensors at an instant. A hub that does not answer leaves these.
    """
    traffic = Traffic(network)

    def weighed(found: Sequence[Reading]) -> Metric:
        now = now_s()
        return network.weigh(traffic.speeds(expected_kmh(now), found, now))

    while True:
        try:
            found = await readings(hub)
        except (Problem, OSError):
            found = []
        swap(await asyncio.to_thread(weighed, found))
        await asyncio.sleep(every_s)
