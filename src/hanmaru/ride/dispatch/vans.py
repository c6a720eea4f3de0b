"""Where vans are: as their drivers' devices say, and on the quickest way since then where a device is silent.

A van that is not at a stop has a leg: from a place on the network at a time, to a stop. Its position is worked out on
the leg's way; its row of the travel matrix is that of the place where it will be a few seconds from now, from where
it can still go anywhere.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from hanmaru.ride.dispatch.site import Site
from hanmaru.ride.domain import RideError
from hanmaru.ride.roads.graph import metres
from hanmaru.ride.roads.matrix import Metric, Places, Way

AHEAD_S = 5
"""How far ahead a driver has to be told of a turn: the place that a van's row is for lies this far ahead."""
SILENT_S = 30
"""After this long without a word from a van's device its position is a reckoned one, and is marked so."""
AWAY_M = 60.0
"""A van that its device puts farther than this from the stop where it stood has left it."""
SEEK_S = 0.5
"""How long ways are sought at a time."""


@dataclass(slots=True)
class Leg:
    """A van under way: from where it was at ``start_s`` to a stop (-1: nowhere), on a way that is found later."""

    edge: int
    along: float
    start_s: float
    goal: int
    way: Way | None = None
    sought: bool = False


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A leg as the journal keeps it."""

    van: int
    edge: int
    along: float
    start_s: float
    goal: int
    seen_s: float


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a van is: ``bearing`` in degrees from north, None where it stands; ``reckoned`` where no device said so."""

    lon: float
    lat: float
    bearing: float | None
    reckoned: bool
    speed_kmh: float = 0.0


class Tracks:
    """Every van's leg, None where it stands at a stop. Times are Unix seconds."""

    def __init__(self, site: Site) -> None:
        """Put every van nowhere in particular: it stands where the dispatcher's state says."""
        self.site = site
        self.legs: list[Leg | None] = [None] * len(site.vans)
        self.seen_s = np.zeros(len(site.vans))
        self._near: dict[int, tuple[int, float, float]] = {}
        self._column = site.network.lonlat(site.places)
        self._column[: len(site.stops)] = site.stops.lonlat

    def kept(self) -> bytes:
        """Return what to keep of the legs: where each van will be in a moment, which needs no way to be found."""
        legs = [
            Kept(v, *(self._near.get(v) or (leg.edge, leg.along, leg.start_s)), leg.goal, float(self.seen_s[v]))
            for v, leg in enumerate(self.legs)
            if leg is not None
        ]
        return msgspec.msgpack.encode(legs)

    def near(self, vans: Sequence[int], places: Places, at_s: float) -> None:
        """Note where vans will be at a time."""
        edges, alongs = places.edge.tolist(), places.along.tolist()
        for van, edge, along in zip(vans, edges, alongs, strict=True):
            self._near[van] = edge, along, at_s

    def load(self, body: bytes | None) -> None:
        """Take legs that were kept."""
        for kept in msgspec.msgpack.decode(body, type=list[Kept]) if body else []:
            if kept.van < len(self.legs) and kept.edge < len(self.site.network.graph.source):
                self.legs[kept.van] = Leg(kept.edge, kept.along, kept.start_s, kept.goal)
                self.seen_s[kept.van] = kept.seen_s

    def column(self, stop: int) -> tuple[float, float]:
        """Return where a column of the matrices is: a stop's kerb, or a depot."""
        lon, lat = self._column[stop].tolist()
        return lon, lat

    def depart(self, van: int, stop: int, goal: int, now_s: float) -> None:
        """Send a van that stands at a stop to another one."""
        places = self.site.places
        self._near.pop(van, None)
        self.legs[van] = Leg(int(places.edge[stop]), float(places.along[stop]), now_s, goal)

    def divert(self, van: int, goal: int, now_s: float) -> None:
        """Send a van that is under way to another stop, from where it is."""
        leg = self.legs[van]
        if leg is not None and leg.goal != goal:
            place = self._place(leg, now_s)
            self._near.pop(van, None)
            self.legs[van] = Leg(int(place.edge[0]), float(place.along[0]), now_s, goal)

    def arrive(self, van: int) -> None:
        """Note that a van stands at a stop."""
        self.legs[van] = None

    def see(self, van: int, stop: int, lonlat: tuple[float, float], bearing: float | None, at_s: float) -> bool:
        """Take a device's position; return whether it shows that a van, said to stand at a stop, has left it.

        Raises RideError for a position that is nowhere near the network.
        """
        place = self.site.network.snap(
            np.array([lonlat]), bearing_deg=np.array([np.nan if bearing is None else bearing])
        )
        where = self.site.network.lonlat(place)
        if float(metres(np.array([lonlat]), where)[0]) > 2000:
            raise RideError("this position is more than 2 km from every road of the service; is it lon, lat?")
        self.seen_s[van] = max(at_s, float(self.seen_s[van]))
        self._near.pop(van, None)
        leg = self.legs[van]
        if leg is None:
            away = float(metres(np.array([lonlat]), self._column[stop][None])[0]) if stop >= 0 else np.inf
            if away < AWAY_M:
                return False
            self.legs[van] = Leg(int(place.edge[0]), float(place.along[0]), at_s, -1)
            return True
        if at_s >= leg.start_s:
            self.legs[van] = Leg(int(place.edge[0]), float(place.along[0]), at_s, leg.goal)
        return False

    def seek(self, metric: Metric, vans: Sequence[int]) -> None:
        """Find ways of vans' legs that have none yet; takes milliseconds for each, so call it in a thread.

        Goes on for half a second at most: after a start the others come next time.
        """
        ends = time.monotonic() + SEEK_S
        for van in vans:
            if time.monotonic() > ends:
                return
            leg = self.legs[van]
            if leg is not None and not leg.sought:
                if leg.goal >= 0:
                    start = Places(np.array([leg.edge], np.int32), np.array([leg.along]))
                    leg.way = metric.way(start, self.site.places.take([leg.goal]))
                leg.sought = True

    def at(self, at_s: float) -> tuple[list[int], list[Leg], Places]:
        """Return the vans under way, their legs, and where each is at a time (k places)."""
        found = [(v, leg) for v, leg in enumerate(self.legs) if leg is not None]
        points: list[tuple[float, float]] = []
        bearings: list[float] = []
        for _, leg in found:
            lon, lat, bearing = self._at(leg, at_s)
            points.append((lon, lat))
            bearings.append(np.nan if bearing is None else bearing)
        if not found:
            return [], [], Places(np.empty(0, np.int32), np.empty(0))
        places = self.site.network.snap(np.array(points), bearing_deg=np.array(bearings))
        edge, along = places.edge.copy(), places.along.copy()
        for k, (_, leg) in enumerate(found):
            if leg.way is None:
                edge[k], along[k] = leg.edge, leg.along
            elif at_s - leg.start_s >= leg.way.at_s[-1]:
                edge[k], along[k] = self.site.places.edge[leg.goal], self.site.places.along[leg.goal]
        return [v for v, _ in found], [leg for _, leg in found], Places(edge, along)

    def spot(self, van: int, stop: int, now_s: float) -> Spot:
        """Return where a van is; ``stop`` is where it stands (-1: under way)."""
        reckoned = now_s - float(self.seen_s[van]) > SILENT_S
        leg = self.legs[van]
        if leg is None:
            lon, lat = self.column(max(stop, 0))
            return Spot(round(lon, 6), round(lat, 6), None, reckoned)
        lon, lat, bearing = self._at(leg, now_s)
        return Spot(
            round(lon, 6),
            round(lat, 6),
            None if bearing is None else round(bearing),
            reckoned,
            0.0 if bearing is None else self._speed_kmh(leg, now_s),
        )

    def path(self, van: int, now_s: float) -> list[list[float]] | None:
        """Return the rest of a van's way to its next stop, None where it stands or has none yet."""
        leg = self.legs[van]
        if leg is None or leg.way is None:
            return None
        way, t = leg.way, now_s - leg.start_s
        rest = way.lonlat[way.at_s > t]
        lon, lat, _ = self._at(leg, now_s)
        return [[round(lon, 6), round(lat, 6)], *np.round(rest, 6).tolist()]

    def left_s(self, van: int, now_s: float) -> float | None:
        """Return how long a van still drives to its next stop, None where that is not known."""
        leg = self.legs[van]
        if leg is None or leg.way is None:
            return None
        return max(0.0, leg.start_s + float(leg.way.at_s[-1]) - now_s)

    def _at(self, leg: Leg, now_s: float) -> tuple[float, float, float | None]:
        way = leg.way
        if way is None or len(way.at_s) < 2:
            place = Places(np.array([leg.edge], np.int32), np.array([leg.along]))
            lon, lat = self.site.network.lonlat(place)[0].tolist()
            return lon, lat, None
        t = min(max(now_s - leg.start_s, 0.0), float(way.at_s[-1]))
        k = min(max(int(np.searchsorted(way.at_s, t, "right")), 1), len(way.at_s) - 1)
        low, high = float(way.at_s[k - 1]), float(way.at_s[k])
        share = 0.0 if high <= low else (t - low) / (high - low)
        (x0, y0), (x1, y1) = way.lonlat[k - 1].tolist(), way.lonlat[k].tolist()
        east, north = (x1 - x0) * np.cos(np.radians(y0)), y1 - y0
        bearing = float(np.degrees(np.arctan2(east, north)) % 360)
        stands = t >= float(way.at_s[-1])
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), None if stands else bearing

    def _speed_kmh(self, leg: Leg, now_s: float) -> float:
        way = leg.way
        if way is None:
            return 0.0
        k = min(max(int(np.searchsorted(way.at_s, now_s - leg.start_s, "right")), 1), len(way.at_s) - 1)
        took_s = float(way.at_s[k] - way.at_s[k - 1])
        return 3.6 * float(way.at_m[k] - way.at_m[k - 1]) / took_s if took_s > 0 else 0.0

    def _place(self, leg: Leg, now_s: float) -> Places:
        if leg.way is None:
            return Places(np.array([leg.edge], np.int32), np.array([leg.along]))
        lon, lat, bearing = self._at(leg, now_s)
        if now_s - leg.start_s >= leg.way.at_s[-1]:
            return self.site.places.take([leg.goal])
        return self.site.network.snap(
            np.array([(lon, lat)]), bearing_deg=np.array([np.nan if bearing is None else bearing])
        )
