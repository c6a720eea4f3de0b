"""Which sensors the city has and where: one table of arrays for each entity type."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from shapely.geometry import LineString

from hanmaru.city import places as place
from hanmaru.city.land import Land, curve, locate
from hanmaru.city.noise import Floats, Ints, generator
from hanmaru.city.places import Places
from hanmaru.city.plane import contains
from hanmaru.city.profile import Name, Profile, ProfileError
from hanmaru.city.roads import Roads
from hanmaru.city.streets import SECONDARY

TYPES: dict[str, Name] = {
    "AirQualityObserved": Name(ko="대기측정소", en="Air Station"),
    "WeatherObserved": Name(ko="기상관측소", en="Weather Station"),
    "TrafficFlowObserved": Name(ko="교통량", en="Traffic"),
    "NoiseLevelObserved": Name(ko="소음측정소", en="Noise Station"),
    "WaterObserved": Name(ko="수위관측소", en="Water Gauge"),
    "FloodMonitoring": Name(ko="지하차도 수위계", en="Underpass Gauge"),
    "Camera": Name(ko="방범카메라", en="Camera"),
    "Device": Name(ko="비상벨", en="Emergency Bell"),
    "Streetlight": Name(ko="가로등", en="Street Light"),
    "ACMeasurement": Name(ko="전력량계", en="Power Meter"),
    "WasteContainer": Name(ko="쓰레기수거함", en="Waste Container"),
    "OffStreetParking": Name(ko="주차장", en="Car Park"),
    "EVChargingStation": Name(ko="전기차충전소", en="EV Charging"),
    "CrowdFlowObserved": Name(ko="유동인구", en="Footfall"),
    "Hospital": Name(ko="응급의료기관", en="Emergency Hospital"),
    "Vehicle": Name(ko="BRT 버스", en="BRT Bus"),
    "PublicTransportStop": Name(ko="BRT 정류장", en="BRT Stop"),
}
"""The entity types that the city streams, by Smart Data Models names; ``Hospital``, which has none, by schema.org's."""


@dataclass(frozen=True, eq=False)
class Sensors:
    """k sensors of one type: ``xy`` (k, 2) metres, ``lonlat`` (k, 2), ``district`` (k,); ``site`` (k,) the edge or
    place that it watches (-1: none), ``trait`` (k,) its own number in (0, 1); ``number`` (k,) counts by district.
    """

    type: str
    xy: Floats
    lonlat: Floats
    district: Ints
    site: Ints
    trait: Floats
    number: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.district)


def make(profile: Profile, land: Land, roads: Roads, places: Places) -> dict[str, Sensors]:
    """Return the city's sensors by type, as many as the profile says and the city has room for."""
    unknown = sorted(set(profile.sensors) - set(TYPES))
    if unknown:
        raise ProfileError(f"sensors.{unknown[0]}: no such kind of sensor; take of {', '.join(TYPES)}")
    site = _Site(profile, land, roads, places)
    out: dict[str, Sensors] = {}
    for kind in TYPES:
        rng = generator(profile.seed, "sensors/" + kind)
        count = profile.sensors.get(kind, 0)
        if profile.roads.ring is not None and len(roads.ring):
            count = {"Vehicle": profile.roads.ring.buses, "PublicTransportStop": profile.roads.ring.bus_stops}.get(
                kind, count
            )
        if count == 0:
            continue
        xy, watched = site.where(kind)(rng, count)
        if len(xy):
            out[kind] = _table(kind, land, xy, watched, rng)
    return out


def _table(kind: str, land: Land, xy: Floats, watched: Ints, rng: np.random.Generator) -> Sensors:
    district = locate(land.districts, xy)
    district = np.where(district < 0, 0, district)
    number = np.zeros(len(xy), np.int64)
    for d in np.unique(district):
        mine = district == d
        number[mine] = np.arange(1, int(mine.sum()) + 1)
    return Sensors(kind, xy, land.plane.lonlat(xy), district, watched, rng.uniform(0.0005, 0.9995, len(xy)), number)


Placed = tuple[Floats, Ints]


@dataclass(frozen=True, eq=False)
class _Site:
    """Finds where sensors of a kind stand."""

    profile: Profile
    land: Land
    roads: Roads
    places: Places

    def where(self, kind: str) -> Callable[[np.random.Generator, int], Placed]:
        """Return how sensors of a kind are placed."""
        at_places: dict[str, dict[int, float]] = {
            "ACMeasurement": {place.APARTMENT: 3, place.OFFICE: 1, place.GOVERNMENT: 30, place.FACTORY: 3},
            "WasteContainer": {place.APARTMENT: 3, place.SHOP: 1},
            "OffStreetParking": {place.SHOP: 0.5, place.OFFICE: 0.5, place.GOVERNMENT: 30, place.PARK: 3},
            "EVChargingStation": {place.APARTMENT: 2, place.OFFICE: 0.5, place.GOVERNMENT: 10, place.PARK: 2},
            "CrowdFlowObserved": {place.SHOP: 0.25, place.PARK: 8, place.GOVERNMENT: 6, place.UNIVERSITY: 60},
            "Device": {place.PARK: 10, place.ELEMENTARY: 20, place.MIDDLE: 12, place.APARTMENT: 1, place.HOUSE: 0.08},
            "Hospital": {place.HOSPITAL: 1000, place.CLINIC: 0.001},
        }  # fmt: skip
        if kind in at_places:
            return lambda rng, n: self._at_places(rng, n, at_places[kind])
        return {
            "TrafficFlowObserved": self._on_edges,
            "NoiseLevelObserved": self._on_edges,
            "AirQualityObserved": self._spread,
            "WeatherObserved": self._spread,
            "WaterObserved": self._on_rivers,
            "FloodMonitoring": self._on_edges,
            "Camera": self._at_corners,
            "Streetlight": self._along_streets,
            "Vehicle": self._on_ring,
            "PublicTransportStop": self._on_ring,
        }[kind]

    def _at_places(self, rng: np.random.Generator, count: int, weights: dict[int, float]) -> Placed:
        """Draw places without replacement, by kind and size."""
        index = self.places.of(*weights)
        weight = np.array([weights.get(k, 0.0) for k in range(len(place.KINDS))])[self.places.kind[index]]
        weight = weight * self.places.capacity[index] ** 0.3
        drawn = index[np.sort(np.argsort(-(np.log(weight) + rng.gumbel(size=len(index))), kind="stable")[:count])]
        return self.places.xy[drawn] + rng.normal(0, 6, (len(drawn), 2)), drawn

    def _on_edges(self, rng: np.random.Generator, count: int) -> Placed:
        """Draw edges, main ones first, never both directions of one street at one spot."""
        r = self.roads
        weight = np.array([0.02, 0.35, 3.0, 30.0, 6.0])[r.road_class] * np.minimum(r.length_m, 300)
        drawn = np.sort(np.argsort(-(np.log(weight) + rng.gumbel(size=len(weight))), kind="stable")[:count])
        heading = r.xy[r.target[drawn]] - r.xy[r.source[drawn]]
        right = np.stack((heading[:, 1], -heading[:, 0]), axis=1) / r.length_m[drawn][:, None]
        return r.midpoints()[drawn] + right * 7, drawn

    def _spread(self, rng: np.random.Generator, count: int) -> Placed:
        """Spread sites: one for each district's middle as far as they go, then always the node farthest from all."""
        middles = np.array([[p.x, p.y] for p in (d.representative_point() for d in self.land.districts)])
        order = np.argsort(-place.populations(self.profile), kind="stable")
        nodes = self.roads.nearest(middles[order[: math.ceil(count * 0.6)]])
        chosen = list(dict.fromkeys(nodes.tolist()))
        away = np.full(len(self.roads.xy), np.inf)
        for node in chosen:
            away = np.minimum(away, np.hypot(*(self.roads.xy - self.roads.xy[node]).T))
        while len(chosen) < count:
            chosen.append(int(np.argmax(away)))
            away = np.minimum(away, np.hypot(*(self.roads.xy - self.roads.xy[chosen[-1]]).T))
        nodes = np.array(chosen[:count])
        first = self.roads.first_edge[nodes]
        return self.roads.xy[nodes] + rng.normal(0, 10, (len(nodes), 2)), first

    def _on_rivers(self, rng: np.random.Generator, count: int) -> Placed:
        """Place gauges evenly along the rivers within the city."""
        lines = [
            LineString(curve(w.points, self.land.plane, self.land.bend)).intersection(self.land.boundary)
            for w in self.profile.waters
            if w.kind == "river"
        ]
        total = sum(line.length for line in lines)
        if not total:
            return np.empty((0, 2)), np.empty(0, np.int64)
        spots: list[tuple[float, float]] = []
        for line in lines:
            n = max(1, round(count * line.length / total))
            points = (line.interpolate((k + 0.5) / n, normalized=True) for k in range(n))
            spots.extend((p.x, p.y) for p in points)
        return np.array(spots[:count]), np.full(len(spots[:count]), -1)

    def _at_corners(self, rng: np.random.Generator, count: int) -> Placed:
        """Place cameras at crossings, by how many people the district has."""
        r = self.roads
        degree = np.diff(r.first_edge)
        corners = np.flatnonzero(degree >= 3)
        people = place.populations(self.profile)[r.district[corners]] + 300.0
        share = people / np.bincount(r.district[corners], minlength=len(self.profile.districts))[r.district[corners]]
        drawn = np.sort(np.argsort(-(np.log(share) + rng.gumbel(size=len(corners))), kind="stable")[:count])
        return r.xy[corners[drawn]] + rng.uniform(-9, 9, (len(drawn), 2)), r.first_edge[corners[drawn]]

    def _along_streets(self, rng: np.random.Generator, count: int) -> Placed:
        """Place street lights in rows along streets of towns, main streets first."""
        r = self.roads
        urban = np.array([d.kind != "myeon" for d in self.profile.districts])[r.district[r.source]]
        people = np.array([d.population for d in self.profile.districts])[r.district[r.source]]
        weight = np.where(urban & (people > 1000), 1.0, 0.05) * np.where(r.road_class >= SECONDARY, 4.0, 1.0)
        rows = np.argsort(-(np.log(weight) + rng.gumbel(size=len(weight))), kind="stable")[: math.ceil(count / 4)]
        edge = np.repeat(np.sort(rows), 4)[:count]
        along = (np.arange(count) % 4 + 0.5)[:, None] / 4
        a, b = r.xy[r.source[edge]], r.xy[r.target[edge]]
        right = np.stack((b[:, 1] - a[:, 1], a[:, 0] - b[:, 0]), axis=1) / r.length_m[edge][:, None]
        xy = a + (b - a) * along + right * 5
        inside = contains(self.land.boundary, xy)
        return xy[inside], edge[inside]

    def _on_ring(self, rng: np.random.Generator, count: int) -> Placed:
        """Place stops, or buses at the start, evenly on the ring."""
        ring = self.roads.xy[np.append(self.roads.ring, self.roads.ring[:1])]
        line = LineString(ring)
        points = [line.interpolate(k / count, normalized=True) for k in range(count)]
        return np.array([(p.x, p.y) for p in points]).reshape(-1, 2), np.full(count, -1)
