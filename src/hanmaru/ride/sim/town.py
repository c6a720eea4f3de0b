"""From a scenario to what a simulation needs: the network with its stops, the fleet, and each seed's riders."""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# SciPy brings no types.

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from hanmaru.ride.domain import Floats, RideError, Rows
from hanmaru.ride.engine import commands
from hanmaru.ride.engine.commands import Spot
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.state import Fleet
from hanmaru.ride.sim import files, trips, world
from hanmaru.ride.sim.loop import Demand
from hanmaru.ride.sim.scenario import Scenario, kinds, seconds_of, span_of
from hanmaru.ride.sim.trips import Trips
from hanmaru.ride.sim.world import World

if TYPE_CHECKING:
    from hanmaru.city.build import City
    from hanmaru.ride.roads.graph import RoadGraph
    from hanmaru.ride.roads.stops import Stops

SPOTS = 3
"""How many stops at each end a rider looks at."""
MARGIN_M = 2000.0
"""How far outside its area vans may drive."""
TRAFFIC_S = 3600
"""How long travel times stay as they are; they are those of the traffic in the middle of each such span."""
LATE_BREAK_S = 1800
"""How much later than planned a break may begin, so that nobody aboard has to wait for its end."""


@dataclass(frozen=True, eq=False, slots=True)
class Town:
    """What does not depend on the seed.

    ``depots`` are the stops where vans start; ``midnight_s`` begins the day, ``begin_s`` and ``end_s`` the service;
    ``trips`` returns a seed's; ``traffic`` are the travel times from some time on, of which ``world`` has the first.
    """

    scenario: Scenario
    config: Config
    world: World
    depots: Rows
    midnight_s: int
    begin_s: int
    end_s: int
    trips: Callable[[int], Trips]
    traffic: list[tuple[int, World]] = field(default_factory=list[tuple[int, World]])
    stops: "Stops | None" = None

    def fleet(self, vans: int) -> tuple[Fleet, list[commands.Shift]]:
        """Return a fleet of so many vans, dealt to depots in turn, and the shifts of those that have breaks."""
        dealt = kinds(self.scenario.van, vans)
        begin = [self._at(van.begin, self.begin_s) for van in dealt]
        end = [self._at(van.end, self.end_s) for van in dealt]
        stop = tuple(int(self.depots[v % len(self.depots)]) for v in range(vans))
        fleet = Fleet(
            seats=tuple(van.seats for van in dealt),
            wheelchairs=tuple(van.wheelchairs for van in dealt),
            depot=(-1,) * vans,
            stop=stop,
            shift_from_s=tuple(begin),
            shift_to_s=tuple(end),
        )
        shifts: list[commands.Shift] = []
        for v, van in enumerate(dealt):
            spans = [span_of(text) for text in van.breaks]
            rests = [commands.Break(self.midnight_s + a, self.midnight_s + a + LATE_BREAK_S, b - a) for a, b in spans]
            if rests:
                shifts.append(commands.Shift(v, begin[v], end[v], tuple(rests)))
        return fleet, shifts

    def demand(self, seed: int) -> Demand:
        """Return a seed's requests. Raises RideError where there are none."""
        found = self.trips(seed)
        origins, destinations = self._spots(found, found.origin), self._spots(found, found.destination)
        here = np.array([bool(a) and bool(b) for a, b in zip(origins, destinations, strict=True)])
        if not here.any():
            raise RideError("no trip begins and ends within walking distance of a stop; raise max_walk_m")
        rows = np.flatnonzero(here).tolist()
        return Demand(
            found.asked_s[rows],
            found.depart_s[rows],
            [origins[i] for i in rows],
            [destinations[i] for i in rows],
            found.seats[rows],
            found.wheelchairs[rows],
            left_out=len(found) - len(rows),
        )

    def _at(self, clock: str | None, otherwise: int) -> int:
        return otherwise if clock is None else self.midnight_s + seconds_of(clock)

    def _spots(self, found: Trips, ends: Floats | Rows) -> list[tuple[Spot, ...]]:
        """Return the stops near each trip's end, none where there is none in walking distance."""
        if ends.shape[1] == 1:
            stop = np.full(len(self.world.time_s), -1, np.int64)
            stop[self.world.stop] = np.arange(len(self.world.stop))
            return [(Spot(int(stop[node])),) if stop[node] >= 0 else () for node in ends[:, 0]]
        if self.stops is None:
            raise RideError("trips with positions need an area with positions; this network's nodes have numbers only")
        walk_m = self.scenario.area.max_walk_m
        return [
            tuple(
                Spot(stop, walk_s)
                for stop, _, walk_s in self.stops.near((lon, lat), walk_m, wheelchair=bool(chairs), most=SPOTS)
            )
            for (lon, lat), chairs in zip(ends.tolist(), found.wheelchairs.tolist(), strict=True)
        ]


def build(scenario: Scenario) -> Town:
    """Return a scenario's town. Raises RideError for what cannot be, naming the scenario's key."""
    config = _config(scenario.service)
    midnight = dt.datetime.combine(scenario.hours.day, dt.time(), dt.UTC)
    if scenario.area.network is not None:
        return _of_network(scenario, config, int(midnight.timestamp()))
    return _of_city(scenario, config) if scenario.area.roads is None else _of_roads(scenario, config)


def _config(service: dict[str, Any]) -> Config:
    if unknown := [name for name in service if name not in Config.__struct_fields__]:
        known = ", ".join(Config.__struct_fields__)
        raise RideError(f"[service]: there is no {unknown[0]}; there are {known}")
    try:
        return msgspec.convert(service, Config)
    except msgspec.ValidationError as error:
        raise RideError(f"[service]: {error}") from None


def _from_file(given: Trips, timed: bool, begin_s: int, end_s: int) -> Callable[[int], Trips]:
    """Return what gives a seed's trips of a file; those with times are the same for all seeds."""
    if not timed:
        return lambda seed: trips.poisson(given, begin_s, end_s, seed)
    found = given.some((given.asked_s >= begin_s) & (given.asked_s < end_s))
    if not len(found):
        raise RideError("[demand] file: none of the trips is asked for while the service runs; mend hours or times")
    return lambda seed: found


def _span(scenario: Scenario, midnight_s: int) -> tuple[int, int]:
    return midnight_s + seconds_of(scenario.hours.begin), midnight_s + seconds_of(scenario.hours.end)


def _of_network(scenario: Scenario, config: Config, midnight_s: int) -> Town:
    """Every node that a trip uses is a stop; times of day are UTC."""
    folder = Path(scenario.folder) / str(scenario.area.network)
    nodes, source, target, time_s, length_m = files.links(folder)
    if scenario.demand.file is None:
        raise RideError("[area] network: a network has no people of its own; name a file of trips under [demand]")
    given, timed = files.trips(Path(scenario.folder) / scenario.demand.file, midnight_s)
    ends = np.unique(np.concatenate((given.origin, given.destination))).astype(np.int64)
    if given.origin.shape[1] != 1:
        raise RideError("[demand] file: trips in a network need the columns origin, destination")
    if ends[-1] >= nodes:
        raise RideError(f"[demand] file: node {ends[-1]} is not in the network, whose last one is {nodes - 1}")
    made = world.of_links(nodes, source, target, time_s, length_m, ends)
    rng = np.random.default_rng(0)
    depots = rng.permutation(len(ends)).astype(np.int32)
    begin, end = _span(scenario, midnight_s)
    source = _from_file(given, timed, begin, end)
    return Town(scenario, config, made, depots, midnight_s, begin, end, source)


def _of_city(scenario: Scenario, config: Config) -> Town:
    from hanmaru.city import days, profile
    from hanmaru.city.build import build as built
    from hanmaru.ride.roads import simulated

    city = built(profile.load(scenario.area.city))
    inside = _districts(scenario, city)
    midnight_s = days.midnight(city, scenario.hours.day)
    begin, end = _span(scenario, midnight_s)
    places, asked = city.places, scenario.demand
    at = np.flatnonzero(np.isin(places.district, inside))
    if not len(at):
        raise RideError("[area]: there are no places in these districts")
    if asked.file is None:
        moves = trips.of_city(city, scenario.hours.day, inside, begin, end)
        who = trips.CityDemand(asked.share, asked.ahead, asked.ahead_s, asked.wheelchairs)
        source = partial(trips.taken, moves, who)
    else:
        source = _from_file(*files.trips(Path(scenario.folder) / asked.file, midnight_s), begin, end)

    def speeds(graph: "RoadGraph", when_s: float) -> Floats:
        return simulated.speeds(city, graph, when_s)

    people, weight = places.lonlat[at], places.capacity[at].astype(np.float64)
    return _laid(scenario, config, midnight_s, simulated.from_city(city), speeds, people, weight, source)


def _of_roads(scenario: Scenario, config: Config) -> Town:
    """Roads as `ride network` reads or writes them, with the usual speeds; stops are laid where trips begin and end."""
    from hanmaru.ride.roads import read, speeds

    if scenario.demand.file is None:
        raise RideError("[area] roads: roads have no people of their own; name a file of trips under [demand]")
    zone = ZoneInfo(scenario.hours.zone)
    midnight_s = int(dt.datetime.combine(scenario.hours.day, dt.time(), zone).timestamp())
    given, timed = files.trips(Path(scenario.folder) / scenario.demand.file, midnight_s)
    if given.origin.shape[1] != 2:
        raise RideError("[demand] file: trips on roads need the columns origin_lon, origin_lat, dest_lon, dest_lat")
    graph = read.read(Path(scenario.folder) / str(scenario.area.roads))
    ends: Floats = np.concatenate((given.origin, given.destination)).astype(np.float64)
    source, usual = _from_file(given, timed, *_span(scenario, midnight_s)), speeds.usual()
    return _laid(
        scenario, config, midnight_s, graph, lambda g, at_s: usual.at(g, at_s, zone), ends, np.ones(len(ends)), source
    )


def _laid(
    scenario: Scenario,
    config: Config,
    midnight_s: int,
    graph: "RoadGraph",
    speeds: "Callable[[RoadGraph, float], Floats]",
    people: Floats,
    weight: Floats,
    source: Callable[[int], Trips],
) -> Town:
    """Lay stops where people are, and work out the travel times of each span of the service."""
    from hanmaru.ride.roads import stops
    from hanmaru.ride.roads.matrix import Network

    begin, end = _span(scenario, midnight_s)
    graph = _around(graph, people)
    chosen = stops.choose(Network(graph), people, weight, max_walk_m=scenario.area.stops_m)
    if len(chosen) < 2:
        raise RideError("[area]: there are not two places to stop near the people; mend the area or stops_m")
    traffic = [
        (since, _with_stops(graph, speeds(graph, since + TRAFFIC_S / 2), chosen))
        for since in range(begin, end, TRAFFIC_S)
    ]
    made = traffic[0][1]
    depots = _depots(scenario, chosen, made)
    return Town(scenario, config, made, depots, midnight_s, begin, end, source, traffic, chosen)


def _around(graph: "RoadGraph", lonlat: Floats) -> "RoadGraph":
    """Return the roads within `MARGIN_M` of a rectangle about positions, of them what hangs together both ways."""
    low, high = lonlat.min(axis=0), lonlat.max(axis=0)
    near = trips.metres(graph.lonlat, np.clip(graph.lonlat, low, high)) <= MARGIN_M
    inside = near[graph.source] & near[graph.target]
    if not inside.any():
        raise RideError("[area]: there are no roads where the trips are; are longitude and latitude in their columns?")
    kept = graph.keep(inside)
    n = len(kept.lonlat)
    links = csr_array((np.ones(len(kept.source)), (kept.source, kept.target)), shape=(n, n))
    _, part = connected_components(links, connection="strong")
    main = part == np.bincount(part).argmax()
    return kept.keep(main[kept.source] & main[kept.target])


def _districts(scenario: Scenario, city: "City") -> Rows:
    area, known = scenario.area, city.profile.districts
    if area.districts:
        names = {name: i for i, d in enumerate(known) for name in (d.name.ko, d.name.en)}
        if missing := [name for name in area.districts if name not in names]:
            raise RideError(
                f"[area] districts: {area.city} has no {missing[0]}; it has {', '.join(d.name.en for d in known)}"
            )
        return np.array(sorted({names[name] for name in area.districts}), np.int32)
    zone = [i for i, d in enumerate(known) if area.zone is None or d.zone == area.zone]
    if not zone:
        zones = ", ".join(str(z) for z in sorted({d.zone for d in known if d.zone is not None}))
        raise RideError(f"[area] zone: {area.city} has no living zone {area.zone}; it has {zones or 'none'}")
    return np.array(zone, np.int32)


def _depots(scenario: Scenario, stops: "Stops", made: World) -> Rows:
    """Return the stops nearest to the depots, or the stop that is nearest to all others by driving time."""
    if scenario.depots:
        positions = np.array(scenario.depots, np.float64)
        return np.array([int(trips.metres(stops.lonlat, p[None]).argmin()) for p in positions], np.int32)
    return np.array([int(made.time_s[made.stop].sum(axis=1).argmin())], np.int32)


def _with_stops(graph: "RoadGraph", speed_kmh: Floats, stops: "Stops") -> World:
    """Return a graph's world with a further node at each stop, which divides its edge."""
    n = len(graph.lonlat)
    time_s = graph.length_m / (speed_kmh / 3.6)
    order = np.lexsort((stops.places.along, stops.places.edge))
    edge, along = stops.places.edge[order], stops.places.along[order]
    node = n + order
    first = np.append(True, edge[1:] != edge[:-1])
    last = np.append(first[1:], True)
    before = np.where(first, graph.source[edge], np.roll(node, 1))
    since = along - np.where(first, 0.0, np.roll(along, 1))
    tail = np.concatenate((graph.source, before, node[last]))
    head = np.concatenate((graph.target, node, graph.target[edge[last]]))
    of = np.concatenate((np.arange(len(graph.source)), edge, edge[last]))
    part = np.maximum(np.concatenate((np.ones(len(graph.source)), since, 1 - along[last])), 1e-6)
    return world.of_links(
        n + len(stops), tail, head, time_s[of] * part, graph.length_m[of] * part, np.arange(n, n + len(stops))
    )
