"""The static pick-up and delivery problem, as the literature's instances state it, and a solution of it.

One depot, equal vehicles, every request has to be served. Li & Lim's family minimises vehicles first, then distance
(Li & Lim 2001); Cordeau's minimises distance with a given fleet, and limits how long riders ride and how long a route
lasts (Cordeau & Laporte 2003, Cordeau 2006).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from hanmaru.ride.domain import Floats, Rows

Spent = Callable[[int], float]
"""Given how many iterations a search has done, the share of its budget that is spent: 1 or more says stop.

A search asks now and then and never looks at a clock itself: with a budget of iterations it is deterministic.
"""


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """n requests between N places; place 0 is the depot, and places are numbered as in the instance's file.

    ``pickup``, ``delivery`` (n,) int32: each request's two places. Per place, (N,) float64: ``open``, ``close`` bound
    when service begins (the depot's bound leaving and coming back), ``service`` is how long it takes, and ``load`` is
    what comes aboard (negative: leaves). ``travel`` (N, N) float64: time, and cost too; it keeps the triangle
    inequality. Capacity, and the limits of a ride (from the end of service at the pick-up to the beginning of service
    at the delivery) and of a route (from leaving the depot to coming back), are infinite where there is none.
    ``fleet_first``: fewer vehicles are better than any distance.
    """

    name: str
    pickup: Rows
    delivery: Rows
    open: Floats
    close: Floats
    service: Floats
    load: Floats
    travel: Floats
    vehicles: int
    capacity: float
    max_ride: float
    max_route: float
    fleet_first: bool


@dataclass(frozen=True, slots=True)
class Solution:
    """The places that each vehicle visits, in order and without the depot; no vehicle is idle."""

    routes: tuple[tuple[int, ...], ...]

    def cost(self, problem: Problem) -> float:
        """Return how far all vehicles drive."""
        travel = problem.travel
        return sum(float(sum(travel[a, b] for a, b in pairwise((0, *route, 0)))) for route in self.routes)


Progress = Callable[[Solution], None]
"""Told of every better solution that a search keeps."""
