"""The bus rapid transit on the ring: where each bus is at an instant."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city.build import City
from hanmaru.city.noise import Bools, Floats, Ints
from hanmaru.city.rhythms import local

COMMERCIAL_MPS = 7.2
"""Mean speed with stops, about 26 km/h, as Korean ring bus rapid transit runs on its own lanes."""

FIRST_H, LAST_H = 5.75, 23.6
_DWELL = 0.22
"""The share of the time from stop to stop that a bus stands."""


@dataclass(frozen=True, eq=False)
class Buses:
    """Buses at instants: ``lonlat`` (k, 2), ``speed_kmh``, ``bearing_deg`` clockwise from north, ``running``."""

    lonlat: Floats
    speed_kmh: Floats
    bearing_deg: Floats
    running: Bools


def at(city: City, bus: Ints, t: Floats) -> Buses:
    """Return buses (k,) at instants ``t`` (k,), s. Even buses go one way round, odd ones the other; all stop at stops.

    Out of hours a bus stands where it was when service ended.
    """
    ring, count = city.profile.roads.ring, len(city.sensors["Vehicle"])
    assert ring is not None
    nodes = city.roads.xy[np.append(city.roads.ring, city.roads.ring[:1])]
    along = np.append(0.0, np.cumsum(np.hypot(*np.diff(nodes, axis=0).T)))
    total = along[-1]
    hour = local(city.profile.tz, t).hour
    running = (hour >= FIRST_H) & (hour < LAST_H)
    idle = np.where(hour >= LAST_H, hour - LAST_H, np.where(hour < FIRST_H, hour + 24 - LAST_H, 0.0))
    clock = t - idle * 3600
    leg_s = total / ring.bus_stops / COMMERCIAL_MPS
    legs = clock / leg_s + bus // 2 * (ring.bus_stops / max(1, (count + 1) // 2))
    whole = np.floor(legs)
    part = np.clip((legs - whole - _DWELL) / (1 - _DWELL), 0, 1)
    eased = part * part * (3 - 2 * part)
    way = np.where(bus % 2 == 0, 1.0, -1.0)
    distance = np.asarray(((whole + eased) / ring.bus_stops * total * way) % total, np.float64)
    moving = running & (part > 0) & (part < 1)
    speed = np.where(moving, 6 * part * (1 - part) * (total / ring.bus_stops) / (leg_s * (1 - _DWELL)), 0.0)
    x, y = np.interp(distance, along, nodes[:, 0]), np.interp(distance, along, nodes[:, 1])
    edge = np.clip(np.searchsorted(along, distance, side="right") - 1, 0, len(nodes) - 2)
    heading = (nodes[edge + 1] - nodes[edge]) * way[:, None]
    side = np.stack((heading[:, 1], -heading[:, 0]), axis=1) / np.hypot(heading[:, 0], heading[:, 1])[:, None]
    bearing = np.degrees(np.arctan2(heading[:, 0], heading[:, 1])) % 360
    return Buses(city.land.plane.lonlat(np.stack((x, y), axis=1) + side * 3), speed * 3.6, bearing, running)
