"""The whole search: fewer vehicles, then less distance, on two threads that share what they find.

The threads work for equal numbers of iterations and then compare, so that a budget of iterations always gives the same
solution. The kernels hold no interpreter lock.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.pdptw import distance, fleet
from hanmaru.ride.engine.pdptw.routes import Instance, chain_of, find, instance_of, plan_of, solution_of
from hanmaru.ride.engine.problem import Problem, Progress, Solution, Spent

THREADS = 2
EJECTED = 2
"""The most requests that make room for one."""
SHAKES = 100
"""Random moves after each ejection."""
EJECTIONS = 500
"""Rounds of ejection between two looks at the budget: 5 to 30 ms."""
RUINS = 2000
"""Steps of ruin and recreate between two looks at the budget: 10 to 40 ms."""
PATIENCE = 0.1
"""The share of the budget after which a fleet that does not get smaller is kept, beside twice what it took so far."""
FLEET_SHARE = 0.5
"""The most of the budget that goes to the fleet."""
REMOVED = 10.0
"""Places cut out in a step on average (Christiaens & Vanden Berghe 2020)."""
HOT, COLD = 30.0, 1.0
"""Temperatures of the annealing, in lengths of the mean leg divided by 20."""


def solve(problem: Problem, spent: Spent, seed: int, progress: Progress) -> Solution:
    """Return the best solution found in a budget: fewest vehicles, then least distance.

    The problem limits neither rides nor routes. Its fleet's size is no limit: the caller compares. Raises RideError
    where a request cannot be served even alone.
    """
    instance = instance_of(problem)
    routes = tuple((int(p), int(d)) for p, d in zip(problem.pickup, problem.delivery, strict=True))
    alone = plan_of(instance, (), seed, 1)
    for request, (pickup, delivery) in enumerate(routes):
        if find(instance, alone.chain, 0, request, alone.random, 2)[0] == np.inf:
            raise RideError(f"{problem.name}: no vehicle can fetch at place {pickup} and deliver at {delivery} in time")
    random = np.random.default_rng(seed)
    with ThreadPoolExecutor(THREADS) as pool:
        solution = _fewer(instance, Solution(routes), spent, random, progress, pool)
        return _shorter(instance, solution, spent, random, progress, pool)


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(1 << 60))


def _fewer(
    instance: Instance,
    solution: Solution,
    spent: Spent,
    random: np.random.Generator,
    progress: Progress,
    pool: ThreadPoolExecutor,
) -> Solution:
    """Give up one route after the other until that takes too long."""
    until = PATIENCE
    while len(solution.routes) > 1:
        attempts = [_Attempt(instance, solution, _seed(random)) for _ in range(THREADS)]
        while all(attempt.left for attempt in attempts):
            now = spent(EJECTIONS * THREADS)
            if now >= until:
                return solution
            for done in [pool.submit(attempt.go_on) for attempt in attempts]:
                done.result()
        solution = next(solution_of(attempt.plan) for attempt in attempts if not attempt.left)
        progress(solution)
        until = min(PATIENCE + 3 * spent(0), FLEET_SHARE)
    return solution


class _Attempt:
    """A plan without one of a solution's routes, whose requests it tries to place."""

    def __init__(self, instance: Instance, solution: Solution, seed: int) -> None:
        random = np.random.default_rng(seed)
        given_up = int(random.integers(len(solution.routes)))
        routes = [route for number, route in enumerate(solution.routes) if number != given_up]
        requests = [int(instance.request[place]) for place in solution.routes[given_up][::-1]]
        n = len(instance.pickup)
        self.instance = instance
        self.plan = plan_of(instance, routes, seed, len(routes))
        self.stack = np.zeros(n + 1, np.int32)
        self.left = len(requests) // 2
        self.stack[: self.left] = list(dict.fromkeys(requests))
        self.penalty = np.ones(n)
        self.scratch = chain_of(instance)

    def go_on(self) -> None:
        """Place requests for some rounds."""
        self.left = fleet.eject(
            self.instance, self.plan, self.stack, self.left, self.penalty, self.scratch, EJECTED, SHAKES, EJECTIONS
        )


class _Walk:
    """A plan on its way through ruin and recreate, and the best that it has been."""

    def __init__(self, instance: Instance, solution: Solution, seed: int) -> None:
        self.instance = instance
        self.plan = plan_of(instance, solution.routes, seed, len(solution.routes))
        self.memory = distance.memory_of(instance, self.plan)
        self.best = distance.best_of(self.plan)

    def go_on(self, temperature: float) -> None:
        """Ruin and recreate for some rounds."""
        distance.search(self.instance, self.plan, self.memory, self.best, REMOVED, temperature, RUINS)

    @property
    def score(self) -> tuple[int, float]:
        """Vehicles and distance of the best."""
        return int(self.best.used[0]), float(self.best.length[0])

    def solution(self) -> Solution:
        """Return the best."""
        chain = self.plan.chain._replace(after=self.best.after)
        return solution_of(self.plan._replace(chain=chain, first=self.best.first))


def _shorter(
    instance: Instance,
    solution: Solution,
    spent: Spent,
    random: np.random.Generator,
    progress: Progress,
    pool: ThreadPoolExecutor,
) -> Solution:
    """Anneal on every thread; return the best."""
    walks = [_Walk(instance, solution, _seed(random)) for _ in range(THREADS)]
    best = min(walk.score for walk in walks)
    while (now := spent(RUINS * THREADS)) < 1:
        temperature = HOT * (COLD / HOT) ** now
        for done in [pool.submit(walk.go_on, temperature) for walk in walks]:
            done.result()
        leader = min(walks, key=lambda walk: walk.score)
        if leader.score < best:
            best = leader.score
            solution = leader.solution()
            progress(solution)
    return solution
