"""From a scenario to what a simulation needs: the network with its stops, the fleet, and each seed's riders."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

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
SPEEDS_AT_S = 8 * 3600 + 1800
"""The time of day whose traffic gives the travel times: the morning's peak, so that plans hold all day."""
LATE_BREAK_S = 1800
"""How much later than planned a break may begin, so that nobody aboard has to wait for its end."""


@dataclass(frozen=True, eq=False, slots=True)
class Town:
    """What does not depend on the seed.

    ``depots`` are the stops where vans start; ``midnight_s`` begins the day, ``begin_s`` and ``end_s`` the service.
    """

    scenario: Scenario
    config: Config
    world: World
    depots: Rows
    midnight_s: int
    begin_s: int
    end_s: int
    stops: "Stops | None" = None
    city: "City | None" = None
    districts: Rows | None = None
    listed: tuple[Trips, bool] | None = None

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
        if self.listed is not None:
            given, timed = self.listed
            found = given if timed else trips.poisson(given, self.begin_s, self.end_s, seed)
            found = found.some((found.asked_s >= self.begin_s) & (found.asked_s < self.end_s))
            if not len(found):
                raise RideError("none of the trips is asked for while the service runs; mend hours or times")
        else:
            if self.city is None or self.districts is None:
                raise RideError("a network has no people of its own; name a file of trips under [demand]")
            asked = self.scenario.demand
            share = trips.CityDemand(asked.share, asked.ahead, asked.ahead_s, asked.wheelchairs)
            day = self.scenario.hours.day
            found = trips.of_city(self.city, day, self.districts, share, self.begin_s, self.end_s, seed)
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
    return _of_city(scenario, config)


def _config(service: dict[str, Any]) -> Config:
    if unknown := [name for name in service if name not in Config.__struct_fields__]:
        known = ", ".join(Config.__struct_fields__)
        raise RideError(f"[service]: there is no {unknown[0]}; there are {known}")
    try:
        return msgspec.convert(service, Config)
    except msgspec.ValidationError as error:
        raise RideError(f"[service]: {error}") from None


def _listed(scenario: Scenario, midnight_s: int) -> tuple[Trips, bool] | None:
    name = scenario.demand.file
    return None if name is None else files.trips(Path(scenario.folder) / name, midnight_s)


def _span(scenario: Scenario, midnight_s: int) -> tuple[int, int]:
    return midnight_s + seconds_of(scenario.hours.begin), midnight_s + seconds_of(scenario.hours.end)


def _of_network(scenario: Scenario, config: Config, midnight_s: int) -> Town:
    """Every node that a trip uses is a stop; times of day are UTC."""
    folder = Path(scenario.folder) / str(scenario.area.network)
    nodes, source, target, time_s, length_m = files.links(folder)
    listed = _listed(scenario, midnight_s)
    if listed is None:
        raise RideError("[area] network: a network has no people of its own; name a file of trips under [demand]")
    ends = np.unique(np.concatenate((listed[0].origin, listed[0].destination))).astype(np.int64)
    if listed[0].origin.shape[1] != 1:
        raise RideError("[demand] file: trips in a network need the columns origin, destination")
    if ends[-1] >= nodes:
        raise RideError(f"[demand] file: node {ends[-1]} is not in the network, whose last one is {nodes - 1}")
    made = world.of_links(nodes, source, target, time_s, length_m, ends)
    rng = np.random.default_rng(0)
    depots = rng.permutation(len(ends)).astype(np.int32)
    begin, end = _span(scenario, midnight_s)
    return Town(scenario, config, made, depots, midnight_s, begin, end, listed=listed)


def _of_city(scenario: Scenario, config: Config) -> Town:
    from hanmaru.city import days, profile
    from hanmaru.city.build import build as built
    from hanmaru.ride.roads import simulated, stops
    from hanmaru.ride.roads.matrix import Network

    city = built(profile.load(scenario.area.city))
    inside = _districts(scenario, city)
    midnight_s = days.midnight(city, scenario.hours.day)
    begin, end = _span(scenario, midnight_s)
    graph = simulated.from_city(city)
    places = city.places
    at = np.flatnonzero(np.isin(places.district, inside))
    if not len(at):
        raise RideError("[area]: there are no places in these districts")
    chosen = stops.choose(
        Network(graph), places.lonlat[at], places.capacity[at].astype(float), max_walk_m=scenario.area.stops_m
    )
    speed = simulated.speeds(city, graph, midnight_s + SPEEDS_AT_S)
    made = _with_stops(graph, speed, chosen)
    listed = _listed(scenario, midnight_s)
    depots = _depots(scenario, chosen, made)
    return Town(scenario, config, made, depots, midnight_s, begin, end, chosen, city, inside, listed)


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
