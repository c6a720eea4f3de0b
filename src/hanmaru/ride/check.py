"""Whether a solution keeps every rule of its problem, from the definitions alone.

Plain Python that shares nothing with the solvers: what it says about them is independent. Whether times exist that keep
all windows, ride times and a route's duration at once, pick-ups delayed where that shortens rides, is a system of
difference constraints; it has a solution unless its graph has a cycle of positive length (Bellman 1958, Ford 1956; the
same question that the eight steps of Cordeau & Laporte 2003 answer).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import cast

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.problem import Problem

TOLERANCE = 1e-6
"""Times later by less are not late: published solutions were computed with roundings of their own."""
ROUTE = re.compile(r"\s*Route\s+#?\d+\s*:(.*)", re.IGNORECASE)
Edge = tuple[int, int, float]
"""(a, b, w): event b is at least w after event a."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a solution comes to, and what it breaks: one line each."""

    feasible: bool
    vehicles: int
    cost: float
    violations: tuple[str, ...]


def check(problem: Problem, routes: Sequence[Sequence[int]]) -> Report:
    """Return what a solution, places without the depot for each vehicle, comes to and every rule that it breaks."""
    routes = [route for route in routes if route]
    places = range(1, len(problem.open))
    wrong: list[str] = []
    if len(routes) > problem.vehicles:
        wrong.append(f"{len(routes)} vehicles drive, but there are {problem.vehicles}")
    where: dict[int, tuple[int, int]] = {}
    for number, route in enumerate(routes, 1):
        for position, place in enumerate(route):
            if place not in places:
                wrong.append(f"route {number}: there is no place {place} to visit")
            elif place in where:
                wrong.append(f"route {number}: place {place} is visited already, by route {where[place][0]}")
            else:
                where[place] = number, position
    for pickup, delivery in zip(problem.pickup.tolist(), problem.delivery.tolist(), strict=True):
        wrong += [f"place {place} is never visited" for place in (pickup, delivery) if place not in where]
        if pickup in where and delivery in where:
            (by, first), (by_other, then) = where[pickup], where[delivery]
            if by != by_other:
                wrong.append(f"place {pickup} is in route {by}, its delivery {delivery} in route {by_other}")
            elif first > then:
                wrong.append(f"route {by}: delivery {delivery} comes before its pick-up {pickup}")
    cost = 0.0
    for number, route in enumerate(routes, 1):
        if all(place in places for place in route):
            cost += sum(float(problem.travel[a, b]) for a, b in pairwise((0, *route, 0)))
            wrong += [f"route {number}: {what}" for what in (*_loads(problem, route), *_times(problem, route))]
    return Report(not wrong, len(routes), cost, tuple(wrong))


def _loads(problem: Problem, route: Sequence[int]) -> list[str]:
    aboard = 0.0
    for place in route:
        aboard += float(problem.load[place])
        if aboard > problem.capacity + TOLERANCE:
            return [f"{aboard:g} aboard after place {place}, but there is room for {problem.capacity:g}"]
    return []


def _times(problem: Problem, route: Sequence[int]) -> list[str]:
    """Return what a route's times break: its windows; else the rides; else the duration."""
    stops = [0, *route, 0]
    open_, close, service = problem.open.tolist(), problem.close.tolist(), problem.service.tolist()
    arrival = float(open_[0])
    late: list[str] = []
    for last, place in pairwise(stops):
        arrival = max(arrival + (service[last] if last else 0.0) + float(problem.travel[last, place]), open_[place])
        if arrival > close[place] + TOLERANCE:
            what = f"place {place}" if place else "the depot"
            late.append(f"{what} is reached at {arrival:.2f}, but closes at {close[place]:g}")
            arrival = close[place]  # as if it had been in time: each place is to blame for itself
    if late:
        return late
    events = len(stops)
    edges: list[Edge] = []
    for event, place in enumerate(stops):
        edges += [(events, event, open_[place]), (event, events, -close[place] - TOLERANCE)]
    for event, (last, place) in enumerate(pairwise(stops)):
        edges.append((event, event + 1, (service[last] if last else 0.0) + float(problem.travel[last, place])))
    rides: list[tuple[str, Edge]] = []
    delivery_of = dict(zip(problem.pickup.tolist(), problem.delivery.tolist(), strict=True))
    for event, place in enumerate(stops):
        end = delivery_of.get(place)
        if problem.max_ride < inf and end in stops[event + 1 :]:
            limit = -(problem.max_ride + service[place]) - TOLERANCE
            rides.append((f"{place} to {end}", (stops.index(end, event), event, limit)))
    too_long = [name for name, edge in rides if _after([*edges, edge], events + 1, 0) is None]
    if too_long:
        return [
            f"the ride from place {name} is longer than {problem.max_ride:g} however it is timed" for name in too_long
        ]
    after = _after([*edges, *(edge for _, edge in rides)], events + 1, 0)
    if after is None:
        return [f"its rides cannot all be at most {problem.max_ride:g}, however they are timed"]
    if after[events - 1] > problem.max_route + TOLERANCE:
        return [f"it lasts {after[events - 1]:.2f} or more, but may last {problem.max_route:g}"]
    return []


def _after(edges: Sequence[Edge], count: int, source: int) -> list[float] | None:
    """Return how long after an event each other one is at least, by longest paths; None if no times keep it all."""
    after = [-inf] * count
    after[source] = 0.0
    for _ in range(count):
        changed = False
        for a, b, least in edges:
            if after[a] + least > after[b] + 1e-10:
                after[b] = after[a] + least
                changed = True
        if not changed:
            return after
    return None


def read_routes(path: Path) -> list[list[int]]:
    """Return the routes in a file: JSON as `solve` prints it, or SINTEF's lines such as ``Route 1 : 5 3 7 8``.

    Raises RideError for anything else.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise RideError(f"{path} cannot be read: {why}") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RideError(f"{path} is not JSON: {error}") from None
        if isinstance(found, dict):
            found = cast("dict[str, object]", found).get("routes")
        if not isinstance(found, list) or not all(_is_route(route) for route in cast("list[object]", found)):
            raise RideError(f'{path} has no "routes": a list of lists of place numbers')
        return cast("list[list[int]]", found)
    routes: list[list[int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := ROUTE.fullmatch(line):
            words = match[1].split()
            if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
                raise RideError(f"{path}, line {number}: a route is numbers of places")
            routes.append([int(word) for word in words])
    if not routes:
        raise RideError(
            f"{path} has no routes: give JSON as `hanmaru ride solve --json` prints it, or lines 'Route 1 : …'"
        )
    return routes


def _is_route(route: object) -> bool:
    return isinstance(route, list) and all(
        isinstance(place, int) and not isinstance(place, bool) and abs(place) < 1e9
        for place in cast("list[object]", route)
    )
