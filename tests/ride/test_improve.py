"""The live fleet's plans are only ever improved: riders stay served, promises kept, what is under way untouched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine import improve
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.state import HELD, State
from hanmaru.ride.engine.timetable import Timetables
from tests.ride.test_assignment import NOW, WEIGHTS, best, cost, service
from tests.ride.town import START, Town


def worth(state: State, travel: Travel, now_s: int, plans: dict[int, tuple[int, ...]]) -> float:
    """What some plans cost as the dispatcher counts it; each can be driven."""
    tables = Timetables(state, travel, WEIGHTS)
    begins = {van: tables.begins(van, now_s, plan) for van, plan in plans.items()}
    return sum(tables.cost(van, plan, begin) for van, plan in plans.items() if (begin := begins[van]) is not None)


def same_riders(state: State, plans: dict[int, tuple[int, ...]]) -> bool:
    before = sorted(action for van in plans for action in state.vans.actions(van))
    return before == sorted(action for plan in plans.values() for action in plan)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 9), st.integers(0, 4))
def test_plans_are_feasible_cheaper_and_serve_the_same_riders(seed: int, vans: int, riders: int, aboard: int) -> None:
    state, travel = service(seed, vans, riders, aboard)
    plans = improve.plan(state, travel, NOW, WEIGHTS, seed=seed, rounds=1).plans
    if not plans:
        return
    assert same_riders(state, plans)
    for van, plan in plans.items():
        assert cost(state, travel, van, plan) < np.inf
        aboard_now = {a for a in state.vans.actions(van) if a < 0 and -a not in state.vans.actions(van)}
        assert aboard_now <= set(plan)
    now = {van: tuple(state.vans.actions(van)) for van in plans}
    assert worth(state, travel, NOW, plans) <= worth(state, travel, NOW, now) - improve.GAIN_S


def test_the_same_seed_gives_the_same_plans_and_vans_on_hold_are_left_alone() -> None:
    state, travel = service(5, 6, 14)
    proposal = improve.plan(state, travel, NOW, WEIGHTS, seed=1, rounds=3)
    assert proposal.plans
    assert proposal == improve.plan(state, travel, NOW, WEIGHTS, seed=1, rounds=3)
    held = min(proposal.plans)
    state.vans.status[held] = HELD
    assert held not in improve.plan(state, travel, NOW, WEIGHTS, seed=1, rounds=3).plans


def test_small_cases_are_improved_to_the_optimum() -> None:
    """All ways to share three riders out, and all orders. Riders count once, however many seats they take."""
    improved = 0
    for seed in range(60):
        state, travel = service(seed, 2, 3, 1)
        state.requests.seats[:] = 1
        if (state.requests.van[:3] < 0).any():
            continue  # somebody has no van to begin with
        now = {van: tuple(state.vans.actions(van)) for van in range(2)}
        better = improve.plan(state, travel, NOW, WEIGHTS, seed=1, rounds=2).plans
        total = sum(cost(state, travel, van, plan) for van, plan in (now | better).items())
        assert total == pytest.approx(best(state, travel, 3), abs=2 * improve.GAIN_S)
        improved += bool(better)
    assert improved >= 3


def test_no_seconds_no_proposal() -> None:
    state, travel = service(5, 6, 14)
    assert improve.plan(state, travel, NOW, WEIGHTS, seconds=0.0).plans == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_town_at_work_takes_every_proposal(seed: int) -> None:
    """Riders aboard, boarding and booked, breaks: the dispatcher's own kernel agrees with each plan."""
    town = Town(seed, vans=5, stops=25, config=Config(max_wait_s=900, detour_s=600))
    for van in range(2):
        town.say(c.Shift(van, START, START + 7200, (c.Break(START + 600, START + 2400, 300),)))
    saved = 0
    for k in range(40):
        later = START + 900 if k % 4 == 0 else None
        town.ask(earliest_s=later, seats=1 + k % 3)  # pyright: ignore[reportUnknownMemberType]
        town.accept()
        town.drive(20)
        if k % 4 == 3:
            d = town.dispatcher
            proposal = improve.plan(d.state, d.travel, town.now_s, d.config.weights, seed=k, rounds=2)
            if proposal.plans:
                assert same_riders(d.state, proposal.plans)
                for van, plan in proposal.plans.items():
                    under_way = d.state.fixed(van, town.now_s)
                    assert list(plan[:under_way]) == d.state.vans.actions(van)[:under_way]
                changed = town.say(proposal)[0]
                assert isinstance(changed, e.PlansChanged)
                assert changed.plans == proposal.plans
                saved += 1
    assert saved >= 2
