"""Idle vans go to where riders will probably call, if that is worth the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import Travel
from hanmaru.ride.engine import rebalancing
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.state import HELD, WAITING, Fleet, State

NOW = 1_000_000
WEEK_S = 7 * 86_400
WEIGHTS = Weights(drive=1.0, wait=1.0, ride=0.3)


def line(*places_s: int) -> Travel:
    """Return stops along a street, each so many seconds from its beginning."""
    at = np.array(places_s)
    time = np.abs(at[:, None] - at).astype(np.int32)
    return Travel(time, 8 * time)


def standing(*stops: int) -> State:
    """Return idle vans at stops."""
    many = len(stops)
    state = State(
        Fleet(
            seats=(8,) * many,
            wheelchairs=(0,) * many,
            depot=(-1,) * many,
            stop=stops,
            shift_from_s=(NOW - 60,) * many,
            shift_to_s=(NOW + 36_000,) * many,
        )
    )
    state.now_s = NOW
    return state


def moves(state: State, travel: Travel, demand: list[float]) -> dict[int, int]:
    """Return which vans go to which stops, every stop being a zone."""
    middles = np.arange(len(demand), dtype=np.int32)
    found = rebalancing.plan(state, travel, NOW, middles, np.array(demand), WEIGHTS)
    return dict(zip(found.vans, found.stops, strict=True)) if found else {}


def test_of_vans_that_stand_together_one_goes_where_riders_are_expected() -> None:
    street = line(0, 300, 900)
    assert list(moves(standing(0, 0, 0, 0, 0), street, [1.0, 2.0, 0.0]).values()) == [1]
    assert moves(standing(0, 1), street, [3.0, 3.0, 0.0]) == {}, "both are where they should be"
    assert moves(standing(0), street, [3.0, 3.0, 0.0]) == {}, "it is wanted where it is"
    assert moves(standing(0, 0), street, [3.0, 0.01, 0.01]) == {}, "hardly anybody will call elsewhere"
    assert moves(standing(0, 0), street, [0.0, 0.0, 0.0]) == {}


def test_each_further_van_is_worth_less() -> None:
    street = line(0, 600)
    few, many = (len(moves(standing(*(0,) * 10), street, [1.0, calls])) for calls in (2.0, 5.0))
    assert 0 < few < many < 10


def test_vans_that_are_on_their_way_or_soon_free_there_count() -> None:
    street = line(0, 600)
    state = standing(0, 0)
    assert len(moves(state, street, [0.2, 2.5])) == 1
    state.vans.target[1] = 1
    assert moves(state, street, [0.2, 2.5]) == {}

    state = standing(0, 1)
    slot, requests = state.requests.add("rider"), state.requests
    requests.status[slot], requests.origin[slot], requests.destination[slot] = WAITING, 0, 1
    state.vans.set_plan(1, (1, -1))
    assert moves(state, street, [0.0, 2.0]) == {0: 1}, "the other is busy for longer than riders would wait"


def test_vans_that_are_held_or_go_home_stay() -> None:
    street = line(0, 300)
    state = standing(0, 0)
    state.vans.status[0] = HELD
    state.vans.shift_to_s[1] = NOW + 60
    assert moves(state, street, [0.0, 5.0]) == {}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(0, 400))
def test_every_stop_is_near_the_middle_of_its_zone(seed: int, stops: int, zone_s: int) -> None:
    xy = np.random.default_rng(seed).uniform(0, 1000, (stops, 2))
    time = np.ceil(np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1))).astype(np.int32)
    middles, zone = rebalancing.zones(Travel(time, time), zone_s)
    assert (time[middles[zone], np.arange(stops)] <= zone_s).all()
    assert (zone[middles] == np.arange(len(middles))).all()
    apart = time[np.ix_(middles, middles)] + np.where(np.eye(len(middles)), zone_s + 1, 0)
    assert (apart > zone_s).all()


def test_riders_are_expected_as_of_late_or_as_in_past_weeks() -> None:
    late = NOW - np.arange(0, 3600, 60)
    calls = rebalancing.expected(late, np.zeros(60, np.int32), 2, NOW + 1, 600)
    assert calls == pytest.approx([10, 0], rel=0.1), "one a minute"
    weekly = np.sort(np.concatenate([late + 1800 - week * WEEK_S for week in (1, 2, 3)]))
    calls = rebalancing.expected(weekly, np.ones(180, np.int32), 2, NOW, 600)
    assert calls == pytest.approx([0, 10], rel=0.2)
    assert rebalancing.expected(late[:0], np.zeros(0, np.int32), 2, NOW).tolist() == [0, 0]
