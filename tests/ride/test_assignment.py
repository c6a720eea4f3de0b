"""Who rides with whom: never worse, nobody dropped, every plan feasible, and on small cases the optimum."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import Travel
from hanmaru.ride.engine import assignment
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.state import ABOARD, BREAK, HELD, ON, WAITING, Fleet, State
from hanmaru.ride.engine.timetable import Timetables

NOW = 1_000_000
WEIGHTS = Weights(drive=1.0, wait=1.0, ride=0.3)
SEATS = 3


def town(seed: int, stops: int = 8, side_s: int = 900) -> Travel:
    """Return stops on a plane; ceilings of straight lines keep the triangle inequality."""
    xy = np.random.default_rng(seed).uniform(0, side_s, (stops, 2))
    time = np.ceil(np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))).astype(np.int32)
    return Travel(time, 8 * time)


def service(seed: int, vans: int, riders: int, aboard: int = 0, *, windows: bool = True) -> tuple[State, Travel]:
    """Return vans, some with riders aboard, and riders who wait: planned where a van can add them at its end."""
    random, travel = np.random.default_rng(seed), town(seed)
    stops = len(travel.time_s)
    stand = random.integers(0, stops, vans).tolist()
    state = State(
        Fleet(
            seats=(SEATS,) * vans,
            wheelchairs=(0,) * vans,
            depot=(-1,) * vans,
            stop=tuple(stand),
            shift_from_s=(NOW - 3600,) * vans,
            shift_to_s=(NOW + 36_000,) * vans,
        )
    )
    requests = state.requests
    state.vans.stop[:] = -1
    state.vans.ready_s[:] = NOW + random.integers(0, 60, vans)
    for r in range(riders + aboard):
        slot = requests.add(str(r))
        start, end = random.choice(stops, 2, replace=False)
        direct = int(travel.time_s[start, end])
        requests.origin[slot], requests.destination[slot], requests.seats[slot] = start, end, random.integers(1, 3)
        requests.boarding_s[slot], requests.alighting_s[slot] = 20, 10
        requests.earliest_s[slot] = NOW + (random.integers(-60, 300) if windows else 0)
        requests.latest_s[slot] = requests.earliest_s[slot] + random.integers(300, 1200)
        requests.ride_s[slot] = int(1.3 * direct) + 60
        requests.deadline_s[slot] = requests.latest_s[slot] + 20 + requests.ride_s[slot]
        requests.status[slot] = WAITING
        if r >= riders:
            van = r % vans
            requests.seats[slot], requests.status[slot], requests.van[slot] = 1, ABOARD, van
            requests.picked_s[slot] = NOW
            requests.ride_s[slot] = requests.deadline_s[slot] = NOW + 10_000
            state.vans.set_plan(van, (-slot - 1, *state.vans.actions(van)))
    for slot in range(riders):
        requests.van[slot] = -1
        for van in random.permutation(vans).tolist():
            longer = (*state.vans.actions(van), slot + 1, -slot - 1)
            if cost(state, travel, van, longer) < np.inf:
                state.vans.set_plan(van, longer)
                requests.van[slot] = van
                break
    state.now_s = NOW
    return state, travel


def cost(state: State, travel: Travel, van: int, plan: tuple[int, ...]) -> float:
    """Return what a plan costs by the definitions alone, infinite if it cannot be driven: everybody as soon as can be,
    pick-ups put off only where a ride would be too long otherwise.
    """
    requests, vans = state.requests, state.vans
    stop = [int((requests.origin if a > 0 else requests.destination)[abs(a) - 1]) for a in plan]
    slots = [abs(a) - 1 for a in plan]
    service = [
        int((requests.boarding_s if a > 0 else requests.alighting_s)[s]) for a, s in zip(plan, slots, strict=True)
    ]
    begin = [int(requests.earliest_s[s]) if a > 0 else 0 for a, s in zip(plan, slots, strict=True)]
    load = sum(int(requests.seats[s]) for a, s in zip(plan, slots, strict=True) if a < 0 and s + 1 not in plan)
    for a, s in zip(plan, slots, strict=True):
        load += int(requests.seats[s]) * (1 if a > 0 else -1)
        if load > vans.seats[van]:
            return np.inf
    driven, before = 0, None
    for _ in range(len(plan) + 2):
        if begin == before:
            break
        before = begin.copy()
        driven, free, here = 0, max(NOW, int(vans.ready_s[van])), int(vans.row[van])
        for k in range(len(plan)):
            leg = int(travel.time_s[here, stop[k]])
            driven, free, here = driven + leg, free + leg, stop[k]
            begin[k] = free = max(free, begin[k])
            free += service[k]
        for k, (a, s) in enumerate(zip(plan, slots, strict=True)):
            if a < 0 and s + 1 in plan:
                p = plan.index(s + 1)
                begin[p] = max(begin[p], begin[k] - int(requests.ride_s[s]) - service[p])
    if begin != before:
        return np.inf  # putting off a pick-up only puts off its drop-off
    total = WEIGHTS.drive * driven
    for k, (a, s) in enumerate(zip(plan, slots, strict=True)):
        limit = int((requests.latest_s if a > 0 else requests.deadline_s)[s])
        if a < 0 and s + 1 in plan:
            p = plan.index(s + 1)
            if p > k or begin[k] - begin[p] - service[p] > requests.ride_s[s]:
                return np.inf
        if begin[k] > limit:
            return np.inf
        total += requests.seats[s] * (WEIGHTS.wait - WEIGHTS.ride if a > 0 else WEIGHTS.ride) * (begin[k] - NOW)
    return float(total)


def everything(state: State, travel: Travel, plans: dict[int, tuple[int, ...]]) -> float:
    """Return what all vans cost with some plans changed, and riders without a van."""
    now = {van: tuple(state.vans.actions(van)) for van in range(len(state.vans))} | plans
    riding = {action for plan in now.values() for action in plan}
    left = sum(s + 1 not in riding for s in range(state.requests.size) if state.requests.status[s] == WAITING)
    return sum(cost(state, travel, van, plan) for van, plan in now.items()) + assignment.UNSERVED * left


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 7), st.integers(0, 4))
def test_a_proposal_is_feasible_never_worse_and_drops_nobody(seed: int, vans: int, riders: int, aboard: int) -> None:
    state, travel = service(seed, vans, riders, aboard)
    before = everything(state, travel, {})
    plans = assignment.plan(state, travel, NOW, WEIGHTS).plans
    assert everything(state, travel, plans) <= before
    for van, plan in plans.items():
        assert cost(state, travel, van, plan) < np.inf
        assert plan != tuple(state.vans.actions(van))
    after = [a for van in range(vans) for a in plans.get(van, tuple(state.vans.actions(van)))]
    assert len(after) == len(set(after))
    planned = {a for van in range(vans) for a in state.vans.actions(van)}
    assert planned <= set(after)
    for van in range(vans):
        home = {a for a in state.vans.actions(van) if a < 0 and -a not in state.vans.actions(van)}
        assert home <= set(plans.get(van, tuple(state.vans.actions(van))))


def orders(left: frozenset[int], done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield all orders of actions in which nobody gets off before getting on."""
    if not left:
        yield done
    for action in left:
        if -action not in left or action > 0:
            yield from orders(left - {action}, (*done, action))


def best(state: State, travel: Travel, riders: int) -> float:
    """Return the least cost over all ways to share the riders out, dropping nobody, and all orders of stops."""
    vans = range(len(state.vans))
    own = {van: [a for a in state.vans.actions(van) if a < 0 and -a not in state.vans.actions(van)] for van in vans}
    cheapest: dict[tuple[int, tuple[int, ...]], float] = {}
    least = np.inf
    for share in product((-1, *vans), repeat=riders):
        if any(van < 0 <= state.requests.van[s] for s, van in enumerate(share)):
            continue  # a promise has been made
        total = assignment.UNSERVED * share.count(-1)
        for van in vans:
            mine = tuple(s for s in range(riders) if share[s] == van)
            if (van, mine) not in cheapest:
                actions = frozenset((*own[van], *(a for s in mine for a in (s + 1, -s - 1))))
                cheapest[van, mine] = min(cost(state, travel, van, order) for order in orders(actions))
            total += cheapest[van, mine]
        least = min(least, total)
    return least


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 1))
def test_small_cases_are_solved_to_the_optimum(seed: int, aboard: int) -> None:
    state, travel = service(seed, 2, 3, aboard)
    plans = assignment.plan(state, travel, NOW, WEIGHTS).plans
    assert everything(state, travel, plans) == pytest.approx(best(state, travel, 3), abs=2 * assignment.GAIN)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_breaks_wheelchairs_and_the_way_home_hold_as_the_dispatcher_sees_them(seed: int) -> None:
    state, travel = service(seed, 3, 6, 1)
    vans, requests, random = state.vans, state.requests, np.random.default_rng(seed)
    vans.wheelchairs[:], vans.depot[:] = 1, 0
    requests.wheelchairs[:6] = random.integers(0, 2, 6)
    pauses: dict[int, int] = {}
    for van in range(3):
        pauses[van] = slot = requests.add(f"pause {van}")
        requests.kind[slot], requests.status[slot], requests.van[slot] = BREAK, WAITING, van
        requests.seats[slot], requests.wheelchairs[slot] = SEATS, 1
        requests.earliest_s[slot], requests.latest_s[slot] = NOW, NOW + 7200
        requests.boarding_s[slot], requests.deadline_s[slot], requests.ride_s[slot] = 600, NOW + 9000, 9000
        vans.set_plan(van, (*vans.actions(van), slot + 1, -slot - 1))
    vans.shift_to_s[:] = NOW + random.integers(3600, 9000, 3)
    timetables = Timetables(state, travel, WEIGHTS)
    plans = assignment.plan(state, travel, NOW, WEIGHTS).plans
    for van, plan in plans.items():
        assert timetables.begins(van, NOW, plan) is not None
        pause = plan.index(pauses[van] + 1)
        assert plan[pause + 1] == -plan[pause]


def test_a_rider_changes_to_the_van_that_came_free_nearby() -> None:
    time = np.array([[0, 600, 610], [600, 0, 300], [610, 300, 0]], np.int32)
    fleet = Fleet(
        seats=(4, 4), wheelchairs=(0, 0), depot=(-1, -1), stop=(0, 1), shift_from_s=(0, 0), shift_to_s=(2 * NOW,) * 2
    )
    state, travel = State(fleet), Travel(time, time)
    slot, requests = state.requests.add("a"), state.requests
    requests.origin[slot], requests.destination[slot], requests.seats[slot] = 1, 2, 1
    requests.earliest_s[slot], requests.latest_s[slot], requests.ride_s[slot] = NOW, NOW + 900, 600
    requests.deadline_s[slot], requests.status[slot], requests.van[slot] = NOW + 1500, WAITING, 0
    state.vans.set_plan(0, (1, -1))
    proposal = assignment.plan(state, travel, NOW, WEIGHTS)
    assert proposal.plans == {0: (), 1: (1, -1)}
    assert proposal.version == state.seq

    state.vans.status[0] = HELD
    assert assignment.plan(state, travel, NOW, WEIGHTS).plans == {}, "a van that is held keeps its riders"
    state.vans.status[0] = ON
    requests.earliest_s[slot] += 2 * assignment.HORIZON_S
    assert assignment.plan(state, travel, NOW, WEIGHTS).plans == {}, "it is early to move a booking"


def test_what_is_under_way_at_a_stop_stays_first() -> None:
    state, travel = service(7, 2, 4)
    van = int(np.argmax(state.vans.length))
    first = state.vans.actions(van)[0]
    state.vans.stop[van] = state.vans.row[van] = state.requests.origin[first - 1]
    state.vans.ready_s[van] = NOW - 10
    plans = assignment.plan(state, travel, NOW, WEIGHTS).plans
    assert plans.get(van, (first,))[0] == first


def test_out_of_time_it_proposes_nothing_worse() -> None:
    state, travel = service(11, 4, 7)
    plans = assignment.plan(state, travel, NOW, WEIGHTS, seconds=0.0).plans
    assert everything(state, travel, plans) <= everything(state, travel, {})
