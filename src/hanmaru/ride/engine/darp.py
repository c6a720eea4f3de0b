"""Cordeau's dial-a-ride problem: drive least, with a given fleet, time windows, ride-time limits and route durations.

A large-neighbourhood search on two threads, and between its rounds a set partitioning over all tours seen; where that
finds a better plan, the search goes on from there.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hanmaru.city.kernels import bare
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.neighbourhood import Search, anneal, begin, copy_plan, total
from hanmaru.ride.engine.partition import choose, empty, pool
from hanmaru.ride.engine.problem import Problem, Progress, Solution, Spent
from hanmaru.ride.engine.schedule import CLOSE, COLUMNS, LIMIT, OPEN, PARTNER, ROW, SEATS, SERVICE, schedule
from hanmaru.ride.engine.tours import Flags, Ints, Network, alike, refresh

THREADS = 2
STEPS = 500
"""Steps of a walk between two looks at the budget."""
HOT, COLD = 0.4, 0.1
"""Temperatures of the annealing, in lengths of the mean direct ride."""
CYCLES = 2
"""How often it is annealed: the tours of different descents combine better than those of one."""
CHOICES = 8
"""How often the best of all tours seen are chosen."""
REMEMBERED = 30_000
"""How many tours a walk remembers between two choices."""
UNIT = 10**8
"""Times are whole numbers of this part of the instance's unit: feasible is then exact, and travel is rounded up."""
UNLIMITED = 2**50


def network(problem: Problem) -> Network:
    """Return the problem as a network: 2 nodes for each request, then a start and an end for each vehicle."""
    n, vans = len(problem.pickup), problem.vehicles
    place = np.concatenate([np.stack([problem.pickup, problem.delivery], 1).ravel(), np.zeros(2 * vans, np.int32)])
    nodes = np.zeros((len(place), COLUMNS), np.int64)
    nodes[:, ROW] = np.arange(len(place))
    for column, values in ((OPEN, problem.open), (CLOSE, problem.close), (SERVICE, problem.service)):
        nodes[:, column] = np.rint(np.minimum(values[place] * UNIT, UNLIMITED))
    nodes[:, SEATS] = np.rint(problem.load[place])
    nodes[:, PARTNER] = -1
    nodes[1::2, PARTNER] = np.arange(0, len(place), 2)
    nodes[: 2 * n, LIMIT] = round(min(problem.max_ride * UNIT, UNLIMITED))
    nodes[2 * n :, LIMIT] = round(min(problem.max_route * UNIT, UNLIMITED))
    time = np.ceil(problem.travel[np.ix_(place, place)] * UNIT).astype(np.int64)
    tighten(nodes[: 2 * n], time)
    pick, drop = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
    capacity = round(min(problem.capacity, UNLIMITED))
    return Network(
        nodes=nodes,
        time=time,
        cost=time,
        weight=np.zeros(len(place), np.int64),
        joined=joined(n, nodes, time, capacity),
        pick=pick,
        drop=drop,
        tied=np.full(n, -1),
        near=alike(pick, drop, nodes, time),
        places=np.array([[capacity, 0]] * vans),
        timed=False,
        alike=True,
        locked=np.ones(vans, np.int64),
    )


def tighten(nodes: Ints, time: Ints) -> None:
    """Narrow the windows of pairs of nodes to what the direct way and the longest ride leave (Cordeau 2006)."""
    pick, drop = nodes[::2], nodes[1::2]
    direct = time[np.arange(0, len(nodes), 2), np.arange(1, len(nodes), 2)]
    pick[:, OPEN] = np.maximum(pick[:, OPEN], drop[:, OPEN] - drop[:, LIMIT] - pick[:, SERVICE])
    pick[:, CLOSE] = np.minimum(pick[:, CLOSE], drop[:, CLOSE] - direct - pick[:, SERVICE])
    drop[:, OPEN] = np.maximum(drop[:, OPEN], pick[:, OPEN] + pick[:, SERVICE] + direct)
    drop[:, CLOSE] = np.minimum(drop[:, CLOSE], pick[:, CLOSE] + pick[:, SERVICE] + drop[:, LIMIT])


def joined(n: int, nodes: Ints, time: Ints, capacity: int) -> Flags:
    """Return (N, N) which arcs a feasible tour may have, by trying the shortest ones (Dumas et al. 1991)."""
    may = nodes[:, None, OPEN] + nodes[:, None, SERVICE] + time <= nodes[None, :, CLOSE]
    _cut(n, nodes, time, capacity, np.zeros((4, COLUMNS), np.int64), np.zeros(4, np.int64), may)
    return may


@bare
def _cut(n: int, nodes: Ints, time: Ints, capacity: int, stops: Ints, begin: Ints, may: Flags) -> None:
    """Clear the arcs between riders' nodes that no tour of the two alone can have."""
    for a in range(0, 2 * n, 2):
        may[a + 1, a] = False
        for b in range(0, 2 * n, 2):
            if a == b:
                continue
            x, y = a + 1, b + 1
            inside = _fits(a, b, y, x, nodes, time, capacity, stops, begin)
            across = _fits(a, b, x, y, nodes, time, capacity, stops, begin)
            may[a, b] &= inside or across
            may[x, y] &= across or _fits(b, a, x, y, nodes, time, capacity, stops, begin)
            may[a, y] &= _fits(b, a, y, x, nodes, time, capacity, stops, begin)
            may[x, b] &= _fits(a, x, b, y, nodes, time, capacity, stops, begin)


@bare
def _fits(p: int, q: int, r: int, s: int, nodes: Ints, time: Ints, capacity: int, stops: Ints, begin: Ints) -> bool:
    """Return whether a vehicle can serve four nodes in this order; drop-offs are odd and follow their pick-ups."""
    load = 0
    for at, node in enumerate((p, q, r, s)):
        for c in range(COLUMNS):
            stops[at, c] = nodes[node, c]
        stops[at, PARTNER] = -1
        if node % 2:
            for before, other in enumerate((p, q, r)):
                if other == node - 1:
                    stops[at, PARTNER] = before
        load += nodes[node, SEATS]
        if load > capacity:
            return False
    return schedule(4, stops, time, p, 0, begin) == -1


def solve(problem: Problem, spent: Spent, seed: int, progress: Progress) -> Solution:
    """Return the best plan found in a budget. Raises RideError if it serves not everybody."""
    net = network(problem)
    walks = [_Walk(net, problem, seed * THREADS + i) for i in range(THREADS)]
    best, solution = walks[0].best()
    choices = 0
    with ThreadPoolExecutor(THREADS) as threads:
        while (now := spent(STEPS * THREADS)) < 1:
            for done in [threads.submit(walk.go_on, now) for walk in walks]:
                done.result()
            if now * (CHOICES + 1) > choices + 1:
                choices += 1
                found = choose([walk.seen for walk in walks], net.drop, problem.vehicles, best)
                if found is not None:
                    for walk in walks:
                        walk.adopt(found)
            for walk in walks:
                cost, better = walk.best()
                if cost < best:
                    best, solution = cost, better
                    if walk.complete():
                        progress(solution)
    if sum(map(len, solution.routes)) < 2 * len(problem.pickup):
        left = len(problem.pickup) - sum(map(len, solution.routes)) // 2
        raise RideError(
            f"{problem.name}: no plan was found in which {problem.vehicles} vehicles serve all {len(problem.pickup)} "
            f"requests ({left} left out); give more time or more vehicles"
        )
    return solution


class _Walk:
    """A search with what it has seen."""

    def __init__(self, net: Network, problem: Problem, seed: int) -> None:
        self._net = net
        self._place = np.stack([problem.pickup, problem.delivery], 1).ravel()
        n = len(net.drop)
        routes = [[2 * n + 2 * k, 2 * n + 2 * k + 1] for k in range(problem.vehicles)]
        out_and_back = net.time[2 * n, net.pick] + net.time[net.drop, 2 * n + 1]
        absent = 2 * int((net.time[net.pick, net.drop] + out_and_back).max())
        search = begin(net, routes, np.full(n, -1), absent, seed)
        if search is None:
            raise RideError(f"{problem.name}: the depot closes before it opens")
        self._search: Search = search
        self.seen = pool(len(net.drop), REMEMBERED)
        self._unit = float(net.cost[net.pick, net.drop].mean())

    def go_on(self, now: float) -> None:
        """Walk some steps at the temperature that belongs to a share of the budget."""
        if self.seen.size[0] == REMEMBERED:
            empty(self.seen)
        heat = self._unit * HOT * (COLD / HOT) ** (CYCLES * now % 1.0)
        anneal(STEPS, heat, heat, self._net, self._search, self.seen)

    def complete(self) -> bool:
        """Return whether the best plan serves everybody."""
        return bool((self._search.best.van >= 0).all())

    def best(self) -> tuple[int, Solution]:
        """Return the best plan and what it costs, with penalties."""
        plan = self._search.best
        routes = (plan.route[k, 1 : plan.length[k] - 1] for k in range(len(plan.length)))
        places = tuple(tuple(self._place[route].tolist()) for route in routes if len(route))
        return total(plan, self._search.absent), Solution(places)

    def adopt(self, tours: list[Ints]) -> None:
        """Go on from a plan that is better than the best so far."""
        net, search = self._net, self._search
        plan = search.now
        for k in range(len(net.places)):
            inner = tours[k][1:-1] if k < len(tours) else tours[0][:0]
            plan.length[k] = len(inner) + 2
            plan.route[k, 1 : len(inner) + 1] = inner
            plan.route[k, len(inner) + 1] = plan.route[k, 0] + 1
            plan.van[inner // 2] = k
            search.stamp[0] += 1
            refresh(k, search.stamp[0], net, plan, search.room)
        copy_plan(plan, search.kept)
        copy_plan(plan, search.best)
