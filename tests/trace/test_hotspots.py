"""Hotspots: found where they were planted, none where there are none, and the same wherever the city lies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.trace.domain import Floats, Ints, Visits
from hanmaru.trace.engine import hotspots

HOUR, DAY = 3600, 86400


def city(seed: int, people: int = 1500, each: int = 8) -> Visits:
    """Return people who go about a town of 6 km for a day, a visit every three hours."""
    rng = np.random.default_rng(seed)
    n = people * each
    home = rng.normal(0, 1500, (people, 2))
    subject = np.repeat(np.arange(people), each)
    start = np.tile(np.arange(each) * 3 * HOUR, people) + rng.integers(0, HOUR, n)
    x, y = (home[subject, k] + rng.normal(0, 500, n) for k in (0, 1))
    return Visits(subject, start, start + 2 * HOUR, x, y, np.full(n, 50.0), np.full(n, -1))


def together(visits: Visits, who: Ints, x: float, y: float, start_s: int) -> Visits:
    """Return visits with one of each of some people moved to a place and time."""
    rows = np.searchsorted(visits.subject, who) + start_s // (3 * HOUR)
    moved = {name: getattr(visits, name).copy() for name in ("x_m", "y_m", "start_s", "end_s")}
    moved["x_m"][rows] = x + np.linspace(-20, 20, len(who))
    moved["y_m"][rows] = y
    moved["start_s"][rows] = start_s
    moved["end_s"][rows] = start_s + 2 * HOUR
    return replace(visits, **moved)


def cases(people: int, who: Ints) -> Floats:
    """Return the weights of some cases among people."""
    weight = np.zeros(people)
    weight[who] = 1.0
    return weight


def test_finds_where_cases_were_together() -> None:
    who = np.arange(0, 1500, 60)
    visits = together(city(1), who[:7], 2000.0, -1500.0, 15 * HOUR)
    spots = hotspots.find(visits, cases(1500, who))
    assert len(spots) >= 1
    assert np.hypot(spots.x_m[0] - 2000, spots.y_m[0] + 1500) < 60
    assert 15 * HOUR <= spots.start_s[0] < spots.end_s[0] <= 17 * HOUR
    assert spots.people[0] == 7
    assert spots.expected[0] < 1
    assert spots.probability[0] > 0.999


def test_finds_nothing_where_cases_live_like_everybody() -> None:
    falsely = sum(len(hotspots.find(city(s), cases(1500, np.arange(0, 1500, 60)), seed=s)) > 0 for s in range(20))
    assert falsely <= 4  # 1 in 20 is meant to be; five or more of 20 come about once in 400 times


def test_a_crowded_place_is_no_hotspot() -> None:
    everybody = np.arange(1500)
    visits = together(city(3), everybody[::2], 0.0, 0.0, 12 * HOUR)
    spots = hotspots.find(visits, cases(1500, everybody[::60]))
    noon = (spots.start_s < 14 * HOUR) & (spots.end_s > 12 * HOUR) & (np.hypot(spots.x_m, spots.y_m) < 200)
    assert not noon.any()


def test_likely_contacts_count_in_part() -> None:
    who = np.arange(0, 1500, 60)
    visits = together(city(1), who[:7], 2000.0, -1500.0, 15 * HOUR)
    half = cases(1500, who)
    half[who[1:7]] = 0.5
    spots = hotspots.find(visits, half)
    near = np.hypot(spots.x_m - 2000, spots.y_m + 1500) < 60
    assert spots.people[near] == pytest.approx([4.0])


@settings(max_examples=5, deadline=None)
@given(east=st.integers(-50, 50), days=st.integers(-300, 3000))
def test_does_not_depend_on_where_and_when(east: int, days: int) -> None:
    who = np.arange(0, 1500, 60)
    here = together(city(1), who[:7], 2000.0, -1500.0, 15 * HOUR)
    there = replace(
        here,
        x_m=here.x_m + east * 1273.0,
        start_s=here.start_s + days * DAY,
        end_s=here.end_s + days * DAY,
    )
    a, b = (hotspots.find(v, cases(1500, who)) for v in (here, there))
    assert b.x_m[0] == pytest.approx(a.x_m[0] + east * 1273.0, abs=60)
    assert (b.start_s[0], b.people[0]) == (a.start_s[0] + days * DAY, a.people[0])


def test_the_same_seed_gives_the_same() -> None:
    weight = cases(1500, np.arange(0, 1500, 30))
    a, b = (hotspots.find(city(5), weight, seed=3, surely=0.0) for _ in range(2))
    assert len(a) > 0
    assert (a.probability == b.probability).all()


def test_positions_too_coarse_for_a_circle_do_not_count_in_it() -> None:
    who = np.arange(0, 1500, 60)
    visits = together(city(1), who[:7], 2000.0, -1500.0, 15 * HOUR)
    coarse = hotspots.find(replace(visits, radius_m=np.full(len(visits), 3000.0)), cases(1500, who))
    assert len(coarse) == 0


def test_nobody() -> None:
    assert len(hotspots.find(city(1, people=0), np.zeros(0))) == 0
    assert len(hotspots.find(city(1), np.zeros(1500))) == 0
    assert len(hotspots.find(city(1), np.ones(1500))) == 0


def test_what_is_published_hides_small_groups_and_exact_spots() -> None:
    who = np.arange(0, 1500, 60)
    spots = hotspots.find(together(city(1), who[:7], 2000.0, -1500.0, 15 * HOUR), cases(1500, who))
    assert len(hotspots.publishable(spots, 8)) == 0
    shown = hotspots.publishable(spots, 5)
    assert shown.people.tolist() == [7]
    assert (shown.start_s % HOUR, shown.end_s % HOUR) == (0, 0)
    assert shown.x_m[0] != spots.x_m[0]
    assert np.hypot(shown.x_m - spots.x_m[:1], shown.y_m - spots.y_m[:1]) + spots.radius_m[:1] <= shown.radius_m
