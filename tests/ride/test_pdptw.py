"""Li & Lim's problem: kernels against trying everything, whole searches against the optimum and the checker."""

import itertools
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.check import check
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.pdptw.pool import join, pool_of, record
from hanmaru.ride.engine.pdptw.routes import attach, clashes, detach, find, instance_of, plan_of, refresh, solution_of
from hanmaru.ride.engine.pdptw.solve import solve
from hanmaru.ride.engine.problem import Problem, Solution
from hanmaru.ride.instances import read
from hanmaru.ride.solve_command import iterations
from tests.ride.instances_of_chance import drawn

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "pdptw"


def possible(problem: Problem, route: tuple[int, ...]) -> bool:
    """Drive a route, from the definitions."""
    time, aboard = problem.open[0], 0.0
    for last, place in pairwise((0, *route, 0)):
        time = max(time + problem.service[last] + problem.travel[last, place], problem.open[place])
        aboard += problem.load[place]
        if time > problem.close[place] + 1e-9 or aboard > problem.capacity:
            return False
    return True


def length(problem: Problem, route: tuple[int, ...]) -> float:
    return sum(problem.travel[a, b] for a, b in pairwise((0, *route, 0)))


def orders(problem: Problem, requests: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every order of some requests' places that one vehicle can drive."""
    pairs = [(int(problem.pickup[r]), int(problem.delivery[r])) for r in requests]
    every = itertools.permutations([place for pair in pairs for place in pair])
    return [o for o in every if all(o.index(p) < o.index(d) for p, d in pairs) and possible(problem, o)]


def optimum(problem: Problem) -> tuple[int, float]:
    """Return the fewest vehicles and then the least distance, by trying everything."""
    n = len(problem.pickup)
    alone = {}
    for size in range(1, n + 1):
        for requests in itertools.combinations(range(n), size):
            lengths = [length(problem, order) for order in orders(problem, requests)]
            if lengths:
                alone[frozenset(requests)] = min(lengths)
    best: dict[frozenset[int], tuple[int, float]] = {frozenset(): (0, 0.0)}
    for size in range(1, n + 1):
        for requests in map(frozenset, itertools.combinations(range(n), size)):
            best[requests] = min(
                (best[requests - route][0] + 1, best[requests - route][1] + cost)
                for route, cost in alone.items()
                if route <= requests and requests - route in best
            )
    return best[frozenset(range(n))]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_where_a_request_fits_best_is_what_trying_every_place_says(seed: int) -> None:
    problem = drawn(seed, 4, window=300)
    instance = instance_of(problem)
    start = min(orders(problem, (0, 1, 2)), default=(), key=lambda order: length(problem, order))
    plan = plan_of(instance, [start] if start else [], seed, 1)
    p, d = int(problem.pickup[3]), int(problem.delivery[3])
    every = [
        (length(problem, route) - length(problem, start), route)
        for i in range(len(start) + 1)
        for j in range(i, len(start) + 1)
        if possible(problem, route := (*start[:i], p, *start[i:j], d, *start[j:]))
    ]
    cost, i, j = find(instance, plan.chain, plan.first[0], 3, plan.random, 0)
    assert cost == pytest.approx(min(every)[0] if every else np.inf)
    by_chance = [find(instance, plan.chain, plan.first[0], 3, plan.random, 1) for _ in range(200)]
    assert len({(i, j) for value, i, j in by_chance if value < np.inf}) == len(every) or len(every) > 20
    if every:
        attach(instance, plan, 3, 0, i, j)
        (route,) = solution_of(plan).routes
        assert possible(problem, route)
        assert plan.length[0] == pytest.approx(length(problem, route))
        detach(instance, plan, 3)
        refresh(instance, plan, 0)
        assert solution_of(plan).routes == ((start,) if start else ())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_two_requests_clash_where_no_order_serves_both(seed: int) -> None:
    problem = drawn(seed, 2, window=60)
    instance = instance_of(problem)
    plan = plan_of(instance, [(1, 3)], 1, 1)
    assert clashes(instance, plan, 1, 0) == (not orders(problem, (0, 1)))
    assert not clashes(instance, plan, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_small_problems_are_solved_to_the_optimum(seed: int) -> None:
    problem = drawn(seed, 4, window=300)
    told: list[Solution] = []
    solution = solve(problem, iterations(100_000), 1, told.append)
    report = check(problem, solution.routes)
    assert report.violations == ()
    vehicles, distance = optimum(problem)
    assert (report.vehicles, report.cost) == (vehicles, pytest.approx(distance))
    scores = [(len(each.routes), each.cost(problem)) for each in told]
    assert scores == sorted(scores, reverse=True)
    assert told[-1] == solution


def test_a_seed_and_a_number_of_iterations_give_one_solution() -> None:
    problem = drawn(7, 30, window=300)
    first, again = (solve(problem, iterations(60_000), 3, lambda _: None) for _ in range(2))
    assert first == again
    assert check(problem, first.routes).feasible


def test_what_no_vehicle_can_serve_even_alone_is_said() -> None:
    problem = drawn(1, 3)
    close = problem.close.copy()
    close[0] = 1.0
    with pytest.raises(RideError, match="no vehicle can fetch at place 1 and deliver at 4 in time"):
        solve(replace(problem, close=close), iterations(1000), 1, lambda _: None)


def test_routes_of_several_plans_are_joined() -> None:
    """Two plans are each half good; what is joined has the good halves of both, and never fewer vehicles."""
    problem = drawn(2, 4, window=1000)
    problem = replace(problem, open=np.zeros(9), close=np.full(9, 5000.0))
    instance = instance_of(problem)
    pools = [pool_of(instance), pool_of(instance)]
    good = ((1, 5, 2, 6), (3, 7, 4, 8))
    halves = [((1, 2, 5, 6), (3, 7, 4, 8)), ((1, 5, 2, 6), (3, 4, 7, 8))]
    for routes, pool in zip(halves, pools, strict=True):
        plan = plan_of(instance, routes, 1, 2)
        for route in (0, 1, 1):
            record(instance, plan, route, pool)
        assert pool.used.tolist() == [2, 8]
    known = Solution(halves[0])
    best = [min(each, key=lambda route: length(problem, route)) for each in zip(halves[0], halves[1], strict=True)]
    joined = join(instance, pools, known, known.cost(problem), lambda: False)
    assert sorted(joined.routes) == sorted(best)
    assert join(instance, pools, joined, joined.cost(problem), lambda: False) is joined
    assert {frozenset(route) for route in joined.routes} == {frozenset(route) for route in good}


@pytest.mark.skipif(not DATA.is_dir(), reason="Li & Lim's instances are not at HANMARU_TEST_DATA")
@pytest.mark.parametrize(("name", "vehicles", "distance"), [("lr101", 19, 1650.80), ("lrc107", 11, 1230.14)])
def test_published_instances_reach_the_best_known(name: str, vehicles: int, distance: float) -> None:
    problem = read(DATA / f"{name}.txt")
    report = check(problem, solve(problem, iterations(100_000), 1, lambda _: None).routes)
    assert report.violations == ()
    assert (report.vehicles, report.cost) == (vehicles, pytest.approx(distance, rel=1e-4))
