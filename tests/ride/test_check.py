"""The checker: each rule broken by hand, and its judgement of times against linear programmes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from hanmaru.ride.check import check, read_routes
from hanmaru.ride.domain import RideError
from hanmaru.ride.engine.problem import Problem
from hanmaru.ride.instances import read
from tests.ride.instances_of_chance import CORDEAU, LILIM, drawn


@pytest.fixture
def lilim(tmp_path: Path) -> Problem:
    (tmp_path / "two.txt").write_text(LILIM)
    return read(tmp_path / "two.txt")


@pytest.fixture
def cordeau(tmp_path: Path) -> Problem:
    (tmp_path / "two.txt").write_text(CORDEAU)
    return read(tmp_path / "two.txt")


def test_a_solution_that_keeps_every_rule_has_its_distance(lilim: Problem) -> None:
    report = check(lilim, [[1, 3], [2, 4]])
    assert report.feasible
    assert report.violations == ()
    assert report.vehicles == 2
    assert report.cost == pytest.approx((5 + 10**0.5 + 5) + (10 + 65**0.5 + 5))


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ([[1, 3]], "place 2 is never visited"),
        ([[1, 3], [2, 4, 1]], "route 2: place 1 is visited already, by route 1"),
        ([[1, 3], [2, 4, 9]], "route 2: there is no place 9 to visit"),
        ([[1, 3], [2, 4, 0]], "route 2: there is no place 0 to visit"),
        ([[1, 4], [2, 3]], "place 1 is in route 1, its delivery 3 in route 2"),
        ([[3, 1], [2, 4]], "route 1: delivery 3 comes before its pick-up 1"),
    ],
)
def test_what_is_served_wrongly_is_said(lilim: Problem, routes: list[list[int]], said: str) -> None:
    report = check(lilim, routes)
    assert not report.feasible
    assert said in report.violations


def test_more_vehicles_than_there_are(lilim: Problem) -> None:
    assert check(replace(lilim, vehicles=1), [[1, 3], [], [2, 4]]).violations == ("2 vehicles drive, but there are 1",)


def test_too_much_aboard(lilim: Problem) -> None:
    report = check(replace(lilim, capacity=4.0), [[1, 2, 3, 4]])
    assert report.violations == ("route 1: 5 aboard after place 2, but there is room for 4",)


def test_a_window_that_is_missed_is_said_for_each_place_to_blame(lilim: Problem) -> None:
    close = lilim.close.copy()
    close[[1, 2]] = 4.0, 12.0
    assert check(replace(lilim, close=close), [[1, 3, 2, 4]]).violations == (
        "route 1: place 1 is reached at 5.00, but closes at 4",
        "route 1: place 2 is reached at 15.87, but closes at 12",
    )


def test_a_pick_up_is_delayed_so_that_the_ride_is_short_enough(cordeau: Problem) -> None:
    open_ = cordeau.open.copy()
    open_[3] = 60.0
    assert check(replace(cordeau, open=open_, max_ride=10.0), [[1, 3], [2, 4]]).feasible
    report = check(replace(cordeau, open=open_, max_ride=3.0), [[1, 3], [2, 4]])
    assert report.violations == (
        "route 1: the ride from place 1 to 3 is longer than 3 however it is timed",
        "route 2: the ride from place 2 to 4 is longer than 3 however it is timed",
    )


def test_rides_that_are_each_short_enough_but_not_all_at_once(cordeau: Problem) -> None:
    close, open_ = cordeau.close.copy(), cordeau.open.copy()
    open_[4], close[1] = 60.0, 30.0
    report = check(replace(cordeau, open=open_, close=close, max_ride=15.0), [[1, 2, 3, 4]])
    assert report.violations == ("route 1: its rides cannot all be at most 15, however they are timed",)


def test_a_route_that_lasts_too_long_is_said_with_the_least_that_it_can_last(cordeau: Problem) -> None:
    report = check(replace(cordeau, max_route=14.0), [[1, 3], [2, 4]])
    assert report.violations == (
        "route 1: it lasts 15.16 or more, but may last 14",
        "route 2: it lasts 25.06 or more, but may last 14",
    )


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    order=st.permutations([1, 2, 3]).flatmap(lambda p: st.permutations([*p, *(i + 3 for i in p)])),
    max_ride=st.floats(20, 200),
    max_route=st.floats(100, 700),
)
def test_times_exist_exactly_where_a_linear_programme_finds_some(
    seed: int, order: list[int], max_ride: float, max_route: float
) -> None:
    """The programme minimises a route's duration under windows, travel and ride times."""
    for request in (1, 2, 3):  # pick-ups before deliveries
        i, j = sorted((order.index(request), order.index(request + 3)))
        order[i], order[j] = request, request + 3
    problem = replace(drawn(seed, 3, window=400, max_ride=max_ride, max_route=max_route), capacity=99.0)
    report = check(problem, [order])
    stops = [0, *order, 0]
    rows, bounds = [], []
    for k in range(len(stops) - 1):
        row = np.zeros(len(stops))
        row[k], row[k + 1] = 1, -1
        rows.append(row)
        bounds.append(-(problem.service[stops[k]] + problem.travel[stops[k], stops[k + 1]]))
    for request in (1, 2, 3):
        row = np.zeros(len(stops))
        row[stops.index(request + 3)], row[stops.index(request)] = 1, -1
        rows.append(row)
        bounds.append(max_ride + problem.service[request])
    aim = np.zeros(len(stops))
    aim[-1], aim[0] = 1, -1
    windows = [(problem.open[place], problem.close[place]) for place in stops]
    least = linprog(aim, np.array(rows), bounds, bounds=windows)
    possible = least.status == 0 and least.fun <= max_route
    if least.status == 0 and abs(least.fun - max_route) < 1e-4:
        return
    assert report.feasible == possible, report.violations
    if least.status == 0 and not possible:
        assert report.violations == (f"route 1: it lasts {least.fun:.2f} or more, but may last {max_route:g}",)


def test_routes_are_read_from_json_and_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "solution"
    for text in (
        '{"vehicles": 2, "routes": [[1, 3], [2, 4]]}',
        "[[1, 3], [2, 4]]",
        "Name : x\nRoute 1 : 1 3\nRoute 2: 2 4\n",
    ):
        path.write_text(text)
        assert read_routes(path) == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no routes"),
        (b"\xff\xfe", "it is no text"),
        (b"{", "is not JSON"),
        (b'{"routes": [[1, true]]}', 'has no "routes"'),
        (b'{"routes": [1]}', 'has no "routes"'),
        (b"{}", 'has no "routes"'),
        (json.dumps([[10**40]]).encode(), 'has no "routes"'),
        (b"[" * 100_000, "is not JSON"),
        (b"Route 1 : 1 two", "line 1: a route is numbers of places"),
        (b"Route 1 : " + b"9" * 5000, "line 1: a route is numbers of places"),
    ],
)
def test_a_solution_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "solution").write_bytes(content)
    with pytest.raises(RideError) as caught:
        read_routes(tmp_path / "solution")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
