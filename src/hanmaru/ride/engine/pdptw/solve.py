"""The whole search: fewer vehicles, then less distance, on two threads that share what they find.

The threads work for equal numbers of iterations and then compare, so that a budget of iterations always gives the same
solution. The kernels hold no interpreter lock.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from math import inf

import numpy as np

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.pdptw import distance, fleet
from hanmaru.ride.engine.pdptw.pool import join, pool_of
from hanmaru.ride.engine.pdptw.routes import Instance, find, instance_of, plan_of, solution_of
from hanmaru.ride.engine.problem import Problem, Progress, Solution, Spent

THREADS = 2
EJECTED = 2
"""The most requests that make room for one."""
SHAKES = 100
"""Random moves after each ejection."""
EJECTIONS = 500
"""Rounds of ejection between two looks at the budget: 5 to 30 ms."""
PATIENCE = 0.1
"""The share of the budget after which a fleet that does not get smaller is kept, beside thrice what it took so far."""
FLEET_SHARE = 0.5
"""The most of the budget that goes to the fleet."""
RUINS = 2000
"""Steps of ruin and recreate between two looks at the budget: 10 to 40 ms."""
CYCLE = 300
"""Steps for each request from hot to cold: short, because many starts whose routes are joined beat few long walks."""
REMOVED = (10.0, 20.0, 15.0)
"""Places cut out in a step on average, by cycle and thread: small holes are quick, some gains need large ones."""
HOT, COLD = 0.7, 0.02
"""Temperatures at a cycle's beginning and end, in mean legs of the best solution."""
ANEW = 50
"""Times `EJECTIONS` rounds after which a new start gives up, and takes the known solution."""
WALKED = 0.97
"""The share of the budget after which nothing new begins; what is left is for the last joining of routes."""


def solve(problem: Problem, spent: Spent, seed: int, progress: Progress) -> Solution:
    """Return the best solution found in a budget: fewest vehicles, then least distance.

    The problem limits neither rides nor routes. Its fleet's size is no limit: the caller compares. Raises RideError
    where a request cannot be served even alone.
    """
    instance = instance_of(problem)
    alone = _alone(instance)
    empty = plan_of(instance, (), seed, 1)
    for request, (pickup, delivery) in enumerate(alone.routes):
        if find(instance, empty.chain, 0, request, empty.random, 2)[0] == np.inf:
            raise RideError(f"{problem.name}: no vehicle can fetch at place {pickup} and deliver at {delivery} in time")
    random = np.random.default_rng(seed)
    with ThreadPoolExecutor(THREADS) as pool:
        solution = _fewer(instance, alone, spent, random, progress, pool)
        return _shorter(problem, instance, solution, spent, random, progress, pool)


def _alone(instance: Instance) -> Solution:
    """Return the solution that has a vehicle for every request."""
    return Solution(tuple(zip(instance.pickup.tolist(), instance.delivery.tolist(), strict=True)))


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
            _each(pool, [attempt.go_on for attempt in attempts])
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
        self.desk = fleet.desk_of(instance)

    def go_on(self) -> None:
        """Place requests for some rounds."""
        self.left = fleet.eject(
            self.instance, self.plan, self.stack, self.left, self.penalty, self.desk, EJECTED, SHAKES, EJECTIONS
        )


class _Walk:
    """A plan on its way through ruin and recreate, the best that it has been, and what it has driven past."""

    def __init__(self, instance: Instance, removed: Iterator[float]) -> None:
        self.instance = instance
        self.removed = removed
        self.pool = pool_of(instance)

    def start(self, solution: Solution, seed: int) -> None:
        """Set out from a solution."""
        self.plan = plan_of(self.instance, solution.routes, seed, len(solution.routes))
        self.memory = distance.memory_of(self.instance, self.plan)
        self.best = distance.best_of(self.plan)
        self.desk = distance.desk_of(self.instance, self.plan)
        self.hole = next(self.removed)

    def start_anew(self, solution: Solution, seed: int, spent: Spent) -> None:
        """Set out from a solution with as many vehicles as a known one that has nothing else in common with it."""
        random = np.random.default_rng(seed)
        found = _alone(self.instance)
        while len(found.routes) > len(solution.routes):
            attempt = _Attempt(self.instance, found, _seed(random))
            for _ in range(ANEW):
                attempt.go_on()
                if not attempt.left or spent(0) >= WALKED:
                    break
            if attempt.left:
                found = solution
                break
            found = solution_of(attempt.plan)
        self.start(found, seed)

    def go_on(self, temperature: float) -> None:
        """Ruin and recreate for some rounds."""
        distance.search(
            self.instance, self.plan, self.memory, self.best, self.pool, self.desk, self.hole, temperature, RUINS
        )

    @property
    def score(self) -> tuple[int, float]:
        """Vehicles and distance of the best."""
        return int(self.best.used[0]), float(self.best.length[0])

    def solution(self) -> Solution:
        """Return the best."""
        chain = self.plan.chain._replace(after=self.best.after)
        return solution_of(self.plan._replace(chain=chain, first=self.best.first))


def _shorter(
    problem: Problem,
    instance: Instance,
    solution: Solution,
    spent: Spent,
    random: np.random.Generator,
    progress: Progress,
    pool: ThreadPoolExecutor,
) -> Solution:
    """Anneal on every thread, again and again; after each time join the routes that all have seen.

    The first thread sets out from the best solution, the others anew: with few vehicles, walks from one start hardly
    come out of its surroundings, but routes from several starts join.
    """
    n = len(instance.pickup)
    walks = [_Walk(instance, islice(cycle(REMOVED), number, None)) for number in range(THREADS)]
    score: tuple[int, float] = len(solution.routes), solution.cost(problem)
    while spent(0) < WALKED:
        walks[0].start(solution, _seed(random))
        _each(pool, [partial(walk.start_anew, solution, _seed(random), spent) for walk in walks[1:]])
        began = spent(0)
        done, rounds = 0, inf
        leg = score[1] / (2 * n + score[0])
        while done < rounds and (now := spent(RUINS * THREADS)) < WALKED:
            if done:  # as many equal cycles as the rest of the budget takes
                left = done * (WALKED - began) / (now - began)
                rounds = left / max(1, round(left * RUINS / (CYCLE * n)))
            temperature = leg * HOT * (COLD / HOT) ** (done / rounds)
            _each(pool, [partial(walk.go_on, temperature) for walk in walks])
            done += 1
            leader = min(walks, key=lambda walk: walk.score)
            if leader.score < score:
                score = leader.score
                solution = leader.solution()
                progress(solution)
        joined = join(instance, [walk.pool for walk in walks], solution, score[1], lambda: spent(0) >= 1)
        if joined is not solution:
            solution = joined
            score = score[0], solution.cost(problem)
            progress(solution)
    return solution


def _each(pool: ThreadPoolExecutor, tasks: Sequence[Callable[[], None]]) -> None:
    """Do tasks side by side."""
    for done in [pool.submit(task) for task in tasks]:
        done.result()
