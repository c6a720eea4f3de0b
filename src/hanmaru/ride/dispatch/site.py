"""Where the service drives: its roads, virtual stops and travel times, made from the settings at the start.

Stops that were chosen are kept in the room's folder, so that a stop has the same id after every start.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import shapely
import structlog

from hanmaru.city.build import City, build
from hanmaru.city.places import APARTMENT, HOUSE, NAMES
from hanmaru.city.profile import Profile
from hanmaru.ride.dispatch import settings as files
from hanmaru.ride.dispatch.settings import Settings, Vans
from hanmaru.ride.domain import Bools, Floats, RideError
from hanmaru.ride.roads.graph import RoadGraph, load
from hanmaru.ride.roads.matrix import Metric, Network, Places, Targets
from hanmaru.ride.roads.speeds import usual
from hanmaru.ride.roads.stops import Stops, choose, streets
from hanmaru.ride.roads.stops import read as read_stops
from hanmaru.ride.roads.turns import connected

log = structlog.get_logger()

STOPS_FILE = "stops.json"
WALKS_M = (150.0, 200.0, 250.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 1500.0, 2500.0)
"""How far people may live from a stop: the first that needs no more stops than the settings want."""


class Stop(msgspec.Struct, frozen=True):
    """A virtual stop as it is kept and told."""

    id: str
    name: dict[str, str]
    lon: float
    lat: float
    accessible: bool


@dataclass(frozen=True, eq=False)
class Site:
    """A service's ground. ``stops`` come first in the matrices, then the depots of vans that are elsewhere.

    ``facts`` are what is told of each stop; ``depot`` (V,) each van's column; ``ring`` the area's lon, lat.
    """

    network: Network
    stops: Stops
    facts: Sequence[Stop]
    targets: Targets
    depot: Sequence[int]
    ring: Sequence[tuple[float, float]]
    vans: Sequence[Vans]
    city: City | None

    @property
    def places(self) -> Places:
        """Stops and depots on the network: the matrices' columns."""
        return self.targets.places

    def usual_kmh(self, at_s: float, zone: ZoneInfo) -> Floats:
        """Return the usual speed (m,) on every edge at an instant: the simulated city's own where there is one."""
        if self.city is not None:
            from hanmaru.ride.roads.simulated import speeds

            return speeds(self.city, self.network.graph, at_s)
        return usual().at(self.network.graph, at_s, zone)

    def metric(self, at_s: float, zone: ZoneInfo) -> Metric:
        """Return travel as it usually is at an instant."""
        return self.network.weigh(self.usual_kmh(at_s, zone))


def ready(folder: Path, profile: Profile, demo: bool) -> Settings:
    """Return a room's settings, made for the city's new town where a demo has none."""
    if demo and not (folder / files.FILE).exists():
        city = build(profile)
        name = {"en": f"{profile.name.en} Call Bus", "ko": f"{profile.name.ko} 부름버스"}
        files.write_default(folder, name, _town(city), _depots(city))
    return files.load(folder)


def make(folder: Path, settings: Settings, profile: Profile) -> Site:
    """Make the ground that the settings describe; takes seconds. Raises RideError."""
    city = build(profile) if settings.roads == "city" else None
    graph = _roads(folder, settings, city)
    ring = list(settings.area) or _hull(graph)
    graph = _within(graph, ring) if settings.area else graph.keep(connected(graph))
    network = Network(graph)
    stops, facts = _stops(folder, settings, network, city, ring)
    vans = settings.fleet()
    middle = shapely.Polygon(ring).representative_point()
    wanted = np.array([van.depot or (middle.x, middle.y) for van in vans])
    depots, which = np.unique(wanted, axis=0, return_inverse=True)
    at = network.snap(depots)
    places = Places(np.append(stops.places.edge, at.edge), np.append(stops.places.along, at.along))
    depot = (len(stops) + which.reshape(-1)).tolist()
    return Site(network, stops, facts, network.targets(places), depot, ring, vans, city)


def _roads(folder: Path, settings: Settings, city: City | None) -> RoadGraph:
    if city is not None:
        from hanmaru.ride.roads.simulated import from_city

        return from_city(city)
    path = folder / settings.roads
    if path.suffix == ".npz":
        return load(path)
    from hanmaru.ride.roads.read import read

    return read(path, country=settings.country)


def _within(graph: RoadGraph, ring: Sequence[tuple[float, float]]) -> RoadGraph:
    """Return the part of a network in an area where every road leads to every other."""
    area = shapely.Polygon(ring)
    shapely.prepare(area)
    inside: Bools = shapely.contains_xy(area, graph.lonlat[:, 0], graph.lonlat[:, 1])
    some: Bools = inside[graph.source] & inside[graph.target]
    if not some.any():
        raise RideError(f"{files.FILE}: no road lies in the area; is it lon, lat, and of this city?")
    part = graph.keep(some)
    return part.keep(connected(part))


def _hull(graph: RoadGraph) -> list[tuple[float, float]]:
    hull: Any = shapely.MultiPoint(graph.lonlat).convex_hull.buffer(0.002, quad_segs=2)
    return [(round(x, 5), round(y, 5)) for x, y in hull.exterior.coords[:-1]]


def _town(city: City) -> list[tuple[float, float]]:
    """Return the outline of a city's dongs, its largest town; of the whole city where it has none."""
    towns = [
        area for area, d in zip(city.land.districts, city.profile.districts, strict=True) if d.kind == "dong"
    ] or list(city.land.districts)
    union: Any = shapely.union_all(towns).buffer(60).buffer(-30)
    largest = max(getattr(union, "geoms", [union]), key=lambda part: part.area)
    xy = np.array(largest.simplify(60).exterior.coords[:-1])
    return [(lon, lat) for lon, lat in city.land.plane.lonlat(xy).tolist()]


def _depots(city: City) -> list[tuple[float, float]]:
    """Return where a demo's vans begin: in the three largest districts of the town."""
    kinds = {d.kind for d in city.profile.districts}
    town = [d for d in city.profile.districts if d.kind == "dong" or "dong" not in kinds]
    largest = sorted(town, key=lambda d: -d.population)[:3]
    return [d.centre for d in (largest * 3)[:3]]


def _stops(
    folder: Path, settings: Settings, network: Network, city: City | None, ring: Sequence[tuple[float, float]]
) -> tuple[Stops, Sequence[Stop]]:
    """Return the city's own stops, or those that were chosen before, or choose some and keep them."""
    if isinstance(settings.stops, str):
        own, left_out = read_stops(folder / settings.stops, network)
        if left_out:
            log.warning("stops that are no kerb of the network are left out", stops=left_out[:20])
        return own, _facts(own, [{"en": name, "ko": name} for name in own.names])
    graph = network.graph
    made_of = hashlib.sha256(f"{graph.digest} {settings.stops} {list(ring)}".encode()).hexdigest()[:16]
    path = folder / STOPS_FILE
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        kept = None
    if kept is None or kept.made_of != made_of:
        chosen = _chosen(settings.stops, network, city)
        kept = _Kept(made_of, _facts(chosen, _names(chosen, city)))
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
        part.replace(path)
    lonlat = np.array([(stop.lon, stop.lat) for stop in kept.stops])
    accessible = np.array([stop.accessible for stop in kept.stops])
    ids, names = tuple(s.id for s in kept.stops), tuple(s.name["en"] for s in kept.stops)
    return Stops(ids, names, lonlat, network.snap(lonlat), accessible, graph), kept.stops


def _chosen(most: int, network: Network, city: City | None) -> Stops:
    """Return stops for whoever lives or works there, at most so many; the walk to them is as short as that allows."""
    people, weight = _people(network, city)
    for walk_m in WALKS_M:
        chosen = choose(network, people, weight, max_walk_m=walk_m)
        if 2 <= len(chosen) <= most:
            log.info("virtual stops chosen", stops=len(chosen), walk_m=walk_m)
            return chosen
    raise RideError(f"{files.FILE}: no {most} stops serve this area, whatever the walk; change stops or area")


def _facts(stops: Stops, names: Sequence[dict[str, str]]) -> list[Stop]:
    points, accessible = stops.lonlat.tolist(), stops.accessible.tolist()
    return [
        Stop(f"s{id}", name, round(lon, 6), round(lat, 6), bool(easy))
        for id, name, (lon, lat), easy in zip(stops.ids, names, points, accessible, strict=True)
    ]


class _Kept(msgspec.Struct):
    made_of: str
    stops: list[Stop]


def _people(network: Network, city: City | None) -> tuple[Floats, Floats]:
    """Return points (p, 2) where people set out and how many: the city's homes and other places, or every street."""
    if city is None:
        return streets(network)
    graph = network.graph
    box = graph.lonlat.min(axis=0), graph.lonlat.max(axis=0)
    lonlat = city.places.lonlat
    near = ((lonlat >= box[0]) & (lonlat <= box[1])).all(axis=1)
    return lonlat[near], city.places.capacity[near].astype(float)


def _names(stops: Stops, city: City | None) -> list[dict[str, str]]:
    """Return a name for each stop: its street's; in the simulated city its district's and what is near, numbered."""
    if city is None:
        return [{"en": name, "ko": name} for name in stops.names]
    from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

    places = city.places
    known = np.flatnonzero(~np.isin(places.kind, (APARTMENT, HOUSE)))
    tree: Any = KDTree(places.xy[known])
    nearest = known[tree.query(city.land.plane.xy(stops.lonlat))[1]]
    count: dict[tuple[int, int], int] = {}
    return [_name(city, place, count) for place in nearest.tolist()]


def _name(city: City, place: int, count: dict[tuple[int, int], int]) -> dict[str, str]:
    """Return what a place is called: its district, its kind, and the how manieth of them it is."""
    key = int(city.places.district[place]), int(city.places.kind[place])
    n = count[key] = count.get(key, 0) + 1
    district, kind = city.profile.districts[key[0]].name, NAMES[key[1]]
    return {"en": f"{district.en} {kind.en} {n}", "ko": f"{district.ko} {kind.ko} {n}"}


def spots(site: Site) -> list[dict[str, Any]]:
    """Return what riders can search for: stops, and the city's own places with a district and a kind each."""
    found = [{"name": s.name, "kind": "stop", "lon": s.lon, "lat": s.lat} for s in site.facts]
    city = site.city
    if city is None:
        return found
    for district in city.profile.districts:
        lon, lat = district.centre
        name = {"en": district.name.en, "ko": district.name.ko}
        found.append({"name": name, "kind": "district", "lon": lon, "lat": lat})
    places = city.places
    area = shapely.Polygon(site.ring)
    shapely.prepare(area)
    inside: Bools = shapely.contains_xy(area, places.lonlat[:, 0], places.lonlat[:, 1])
    inside &= ~np.isin(places.kind, (HOUSE,))
    count: dict[tuple[int, int], int] = {}
    for place in np.flatnonzero(inside).tolist():
        lon, lat = places.lonlat[place].tolist()
        name = _name(city, place, count)
        found.append({"name": name, "kind": "place", "lon": round(lon, 6), "lat": round(lat, 6)})
    return found
