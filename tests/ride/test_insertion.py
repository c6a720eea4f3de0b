"""The scan over all vans against trying every place in every plan."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.decisions import Decisions
from hanmaru.ride.engine.insertion import search, spliced
from hanmaru.ride.engine.offers import MEASURES, service_s, wish
from hanmaru.ride.engine.state import RIDE, WAITING
from tests.ride.town import START, Town


def busy(seed: int) -> Town:
    """A town at work: riders aboard and waiting, bookings, breaks."""
    town = Town(seed, vans=4, stops=20, config=Config(max_wait_s=240, detour_s=120))
    for van in range(2):
        town.say(c.Shift(van, START, START + 7200, (c.Break(START + 600, START + 2400, 300),)))
    for k in range(14):
        town.ask(earliest_s=START + 900 if k % 4 == 0 else None, seats=1 + k % 3)
        town.accept()
        town.drive(30)
    return town


def everywhere(on: Decisions, request: c.Request, p: int, d: int, measure: np.ndarray) -> float:
    """Return the least score of a pair of stops by building each plan and asking for its schedule and its cost."""
    looked, requests, config = wish(on.config, request, on.travel, on.now_s), on.state.requests, on.config
    slot = requests.add("tried")
    boarding, alighting = service_s(config, request)
    requests.kind[slot], requests.status[slot] = RIDE, WAITING
    requests.origin[slot], requests.destination[slot] = looked.pickups[p], looked.dropoffs[d]
    requests.earliest_s[slot], requests.latest_s[slot] = looked.earliest_s[p, d], looked.latest_s[p, d]
    requests.deadline_s[slot], requests.ride_s[slot] = looked.deadline_s[p, d], looked.ride_s[p, d]
    requests.seats[slot], requests.wheelchairs[slot] = request.seats, request.wheelchairs
    requests.boarding_s[slot], requests.alighting_s[slot] = boarding, alighting
    weights, best = config.weights, np.inf
    for van in np.nonzero(on.open_vans())[0].tolist():
        plan = on.state.vans.actions(van)
        before = on.timetables.begins(van, on.now_s, plan)
        if before is None:
            continue
        for i in range(on.state.fixed(van, on.now_s), len(plan) + 1):
            for j in range(i, len(plan) + 1):
                new = spliced(plan, slot, i, j)
                begins = on.timetables.begins(van, on.now_s, new)
                if begins is None:
                    continue
                cost = on.timetables.cost(van, new, begins) - on.timetables.cost(van, plan, before)
                cost -= request.seats * (weights.wait * float(looked.earliest_s[p, d]) + weights.ride * boarding)
                score = measure @ [begins[i] - on.now_s, begins[j + 1] - on.now_s, cost]
                best = min(best, score)
    requests.remove("tried")
    return best


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1), ahead=st.sampled_from([None, 600, 1800]), seats=st.integers(1, 4))
def test_the_scan_finds_the_best_of_all_places(seed: int, ahead: int | None, seats: int) -> None:
    town = busy(seed)
    rng = np.random.default_rng(seed)
    stops = rng.permutation(20)[:4].tolist()
    request = c.Request(
        id="new",
        origins=(c.Spot(stops[0], 30), c.Spot(stops[1], 60)),
        destinations=(c.Spot(stops[2]), c.Spot(stops[3], 90)),
        seats=seats,
        earliest_s=None if ahead is None else town.now_s + ahead,
    )
    on = Decisions(town.config, town.dispatcher.state, town.travel)
    on.now_s = town.now_s
    found = search(on.timetables, on.now_s, wish(on.config, request, on.travel, on.now_s), on.open_vans(), MEASURES)
    for k, measure in enumerate(MEASURES):
        for p in range(2):
            for d in range(2):
                expected = everywhere(on, request, p, d, measure)
                assert np.isclose(found.score[k, p, d], expected, rtol=0, atol=1e-3)
