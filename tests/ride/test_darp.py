"""Cordeau's dial-a-ride problem: insertion against trying every place, and plans against the independent checker."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.check import check
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.darp import network, solve
from hanmaru.ride.engine.neighbourhood import anneal, begin, total
from hanmaru.ride.engine.partition import pool
from hanmaru.ride.engine.problem import Problem, Solution, Spent
from hanmaru.ride.engine.tours import NEVER, Network, cheapest, memory
from hanmaru.ride.instances import read

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "darp"


def instance(seed: int, n: int, vehicles: int, capacity: int = 3, max_ride: float = 30.0) -> Problem:
    """Requests in a square of 20 minutes, half with a window at the pick-up and half at the drop-off."""
    rng = np.random.default_rng(seed)
    xy = np.concatenate([[[0.0, 0.0]], rng.uniform(-10, 10, (2 * n, 2))])
    open_, close = np.zeros(2 * n + 1), np.full(2 * n + 1, 480.0)
    windowed = np.where(np.arange(n) % 2, np.arange(n) + 1, np.arange(n) + 1 + n)
    open_[windowed] = rng.integers(40, 300, n)
    close[windowed] = open_[windowed] + 15
    load = np.concatenate([[0.0], np.ones(n), -np.ones(n)])
    return Problem(
        name=f"random {seed}",
        pickup=np.arange(1, n + 1, dtype=np.int32),
        delivery=np.arange(n + 1, 2 * n + 1, dtype=np.int32),
        open=open_,
        close=close,
        service=np.concatenate([[0.0], np.full(2 * n, 3.0)]),
        load=load,
        travel=np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)),
        vehicles=vehicles,
        capacity=capacity,
        max_ride=max_ride,
        max_route=480.0,
        fleet_first=False,
    )


def steps(count: int) -> Spent:
    done = 0

    def spent(more: int) -> float:
        nonlocal done
        done += more
        return done / count

    return spent


def cheapest_of_all(problem: Problem) -> float:
    """The least cost over all assignments of requests to vehicles and all orders: tiny instances only."""
    n = len(problem.pickup)
    best_of: dict[tuple[int, ...], float] = {(): 0.0}
    for size in range(1, n + 1):
        for group in itertools.combinations(range(n), size):
            nodes = [int(p) for r in group for p in (problem.pickup[r], problem.delivery[r])]
            costs = [
                Solution((order,)).cost(problem)
                for order in itertools.permutations(nodes)
                if all(order.index(int(problem.pickup[r])) < order.index(int(problem.delivery[r])) for r in group)
                and not any(v for v in check(problem, [order]).violations if "never visited" not in v)
            ]
            best_of[group] = min(costs, default=float("inf"))
    return min(
        sum(best_of[tuple(r for r in range(n) if of[r] == k)] for k in range(problem.vehicles))
        for of in itertools.product(range(problem.vehicles), repeat=n)
    )


def test_tiny_instances_are_solved_to_the_optimum() -> None:
    for seed in range(4):
        problem = instance(seed, 3, 2, capacity=2)
        told: list[Solution] = []
        solution = solve(problem, steps(2000), 1, told.append)
        assert check(problem, solution.routes).feasible
        assert solution.cost(problem) == pytest.approx(cheapest_of_all(problem), abs=1e-6)
        assert told[-1] == solution
        assert all(check(problem, better.routes).feasible for better in told)


def test_plans_keep_every_rule_and_are_the_same_for_the_same_seed() -> None:
    problem = instance(7, 30, 4)
    first, again, other = (solve(problem, steps(6000), seed, lambda _: None) for seed in (1, 1, 2))
    assert check(problem, first.routes).feasible
    assert first == again
    assert other.cost(problem) == pytest.approx(first.cost(problem), rel=0.05)


def test_a_fleet_that_is_too_small_is_said() -> None:
    with pytest.raises(RideError, match="no plan was found in which 1 vehicles serve all 30"):
        solve(instance(7, 30, 1), steps(1000), 1, lambda _: None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([12.0, 20.0, 40.0]), st.integers(1, 3))
def test_the_cheapest_insertion_is_what_trying_every_place_finds(seed: int, max_ride: float, capacity: int) -> None:
    problem = instance(seed, 14, 2, capacity, max_ride)
    net = network(problem)
    loose = net._replace(joined=np.ones_like(net.joined))
    n = len(net.drop)
    search = begin(net, [[2 * n + 2 * k, 2 * n + 2 * k + 1] for k in range(2)], np.full(n, -1), 10**12, seed)
    assert search is not None
    anneal(3, 1.0, 1.0, net, search, pool(n, 100))
    plan = search.best
    place = [*(p for pair in zip(problem.pickup, problem.delivery, strict=True) for p in pair), 0, 0, 0, 0]
    out = np.flatnonzero(plan.van < 0)
    for job in out[:4].tolist():
        for k in range(2):
            tour = plan.route[k, 1 : plan.length[k] - 1].tolist()
            costs = [NEVER]
            for i, j in itertools.combinations_with_replacement(range(len(tour) + 1), 2):
                longer = [*tour[:i], 2 * job, *tour[i:j], 2 * job + 1, *tour[j:]]
                route = [int(place[node]) for node in longer]
                if not any(v for v in check(problem, [route]).violations if "never visited" not in v):
                    costs.append(_cost(net, k, longer) - int(plan.cost[k]))
            assert cheapest(job, k, NEVER, net, plan, memory(n, 2), search.room) == min(costs)
            assert cheapest(job, k, NEVER, loose, plan, memory(n, 2), search.room) == min(costs)


def _cost(net: Network, k: int, tour: list[int]) -> int:
    nodes = [len(net.nodes) - 4 + 2 * k, *tour, len(net.nodes) - 3 + 2 * k]
    return sum(int(net.cost[a, b]) for a, b in itertools.pairwise(nodes))


@pytest.mark.skipif(not DATA.is_dir(), reason="Cordeau's instances are not at HANMARU_TEST_DATA")
@pytest.mark.parametrize(("name", "optimum"), [("a2-16", 294.25), ("a3-24", 344.83), ("a4-32", 485.50)])
def test_published_optima_are_reached(name: str, optimum: float) -> None:
    """Optima: Ropke, Cordeau & Laporte 2007."""
    problem = read(DATA / "cordeau_2006" / f"{name}.txt")
    solution = solve(problem, steps(8000), 1, lambda _: None)
    assert check(problem, solution.routes).feasible
    assert solution.cost(problem) == pytest.approx(optimum, abs=0.01)


def test_a_walk_never_calls_worse_what_it_calls_best() -> None:
    problem = instance(3, 20, 3)
    net = network(problem)
    n = len(net.drop)
    routes = [[2 * n + 2 * k, 2 * n + 2 * k + 1] for k in range(3)]
    search = begin(net, routes, np.full(n, -1), 10**12, 1)
    assert search is not None
    before = total(search.best, search.absent)
    for heat in (1e9, 1e8, 1e7):
        anneal(200, heat, heat, net, search, pool(n, 1000))
        after = total(search.best, search.absent)
        assert after <= before
        before = after
