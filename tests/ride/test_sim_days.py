"""Days of service under a simulated clock: small ones worked out by hand, rough ones whose books must balance."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hanmaru.ride.domain import RideError
from hanmaru.ride.engine import events
from hanmaru.ride.engine.commands import Break, Shift, Spot
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.state import Fleet
from hanmaru.ride.sim import policies, world
from hanmaru.ride.sim.loop import Behaviour, Demand, simulate
from hanmaru.ride.sim.outcome import MEASURES, NEVER, Fate, Outcome, measures
from hanmaru.ride.sim.scenario import Disturbance, Layers, Riders, Van, kinds
from hanmaru.ride.sim.stats import difference
from hanmaru.ride.sim.world import World

pytestmark = pytest.mark.kernels

START = 1_800_000_000
CONFIG = Config(boarding_s=20, alighting_s=10, no_show_s=180)


def line(nodes: int = 5) -> World:
    """A road with a stop at each node, 60 s and 500 m apart."""
    a, b = np.arange(nodes - 1), np.arange(1, nodes)
    ends = np.concatenate((a, b)), np.concatenate((b, a))
    return world.of_links(nodes, *ends, np.full(2 * nodes - 2, 60.0), np.full(2 * nodes - 2, 500.0), np.arange(nodes))


def grid(size: int = 8) -> World:
    """Streets 45 s and 300 m apart, with a stop at every other crossing."""
    node = np.arange(size * size).reshape(size, size)
    pairs = np.vstack(
        [np.column_stack((x.ravel(), y.ravel())) for x, y in ((node[1:], node[:-1]), (node[:, 1:], node[:, :-1]))]
    )
    pairs = np.vstack((pairs, pairs[:, ::-1]))
    stops = node[::2, ::2].ravel()
    return world.of_links(
        size * size, pairs[:, 0], pairs[:, 1], np.full(len(pairs), 45.0), np.full(len(pairs), 300.0), stops
    )


def fleet(vans: int, stop: int = 0, seats: int = 4, hours: float = 12, depot: int = -1) -> Fleet:
    return Fleet(
        seats=(seats,) * vans,
        wheelchairs=(1,) * vans,
        depot=(depot,) * vans,
        stop=(stop,) * vans,
        shift_from_s=(START,) * vans,
        shift_to_s=(START + int(hours * 3600),) * vans,
    )


def demand(*trips: tuple[int, int, int]) -> Demand:
    """Trips (seconds after the start, from stop, to stop) of one rider each."""
    asked = np.array([START + t for t, _, _ in trips], np.int64)
    ones = np.ones(len(trips), np.int32)
    origins, destinations = [(Spot(a),) for _, a, _ in trips], [(Spot(b),) for _, _, b in trips]
    return Demand(asked, asked, origins, destinations, ones, 0 * ones)


def many(stops: int, n: int, hours: float, seed: int) -> Demand:
    rng = np.random.default_rng(seed)
    asked = np.sort(START + rng.integers(0, int(hours * 3600), n))
    origin = rng.integers(0, stops, n)
    destination = (origin + rng.integers(1, stops, n)) % stops
    depart = asked + np.where(rng.random(n) < 0.2, 1800, 0)
    chairs = (rng.random(n) < 0.05).astype(np.int32)
    seats = rng.integers(1, 4, n).astype(np.int32) - chairs
    spots = [
        tuple(Spot(int(s), 60) for s in {a, (a + 1) % stops} - {b}) for a, b in zip(origin, destination, strict=True)
    ]
    return Demand(asked, depart, spots, [(Spot(int(s), 30),) for s in destination], seats, chairs)


def test_a_ride_takes_the_time_that_it_takes() -> None:
    out = simulate(line(), fleet(1, depot=0), CONFIG, demand((0, 2, 4)))
    assert out.fate.tolist() == [Fate.SERVED]
    assert (out.picked_s - START).tolist() == [120]  # two links to the rider,
    assert (out.boarded_s - START).tolist() == [140]  # 20 s to board,
    assert (out.dropped_s - START).tolist() == [260]  # two links on
    assert out.direct_s.tolist() == [120]
    assert (out.driven_m.sum(), out.empty_m.sum()) == (4000, 3000)  # and four links home to the depot
    assert out.on_duty_s.tolist() == [270]
    found = measures(out, 120)
    assert found["wait_mean_s"] == 120
    assert found["in_time"] == 1
    assert measures(out, 119)["in_time"] == 0
    assert found["detour"] == 1
    assert found["riders_per_van_hour"] == pytest.approx(1 / (270 / 3600))


def test_a_van_turns_off_at_the_next_node_where_the_road_is_known_and_at_stops_where_it_is_not() -> None:
    asked = demand((0, 4, 3), (30, 1, 2))  # the second rider calls from the node ahead of the van
    roads = line()
    out = simulate(roads, fleet(1), CONFIG, asked)
    assert (out.picked_s - START).tolist() == [260 + 10, 60]
    apart = world.of_matrix(roads.time_s, roads.length_m)
    assert simulate(apart, fleet(1), CONFIG, asked).picked_s[1] - START > 240


def test_two_who_go_the_same_way_share_the_van() -> None:
    out = simulate(line(), fleet(1), CONFIG, demand((0, 0, 4), (0, 0, 4)))
    assert (out.picked_s - START).tolist() == [0, 20]
    assert sorted((out.dropped_s - START).tolist()) == [280, 290]
    assert out.driven_m.tolist() == [2000]
    assert out.empty_m.tolist() == [0]


def test_a_ride_booked_ahead_is_not_driven_to_too_early() -> None:
    asked = demand((0, 4, 3))
    out = simulate(line(), fleet(1), CONFIG, replace(asked, depart_s=asked.depart_s + 3000))
    assert (out.picked_s - START).tolist() == [3000]
    log: list[events.AnyEvent] = []
    simulate(line(), fleet(1), CONFIG, replace(asked, depart_s=asked.depart_s + 3000), log=log)
    assert next(e.time_s - START for e in log if isinstance(e, events.Arrived)) == 2940  # a minute before


def test_who_does_not_come_is_waited_for_as_long_as_the_rules_say() -> None:
    log: list[events.AnyEvent] = []
    behaviour = Behaviour(Riders(no_show=1.0))
    out = simulate(line(), fleet(1), CONFIG, demand((0, 2, 4), (600, 0, 1)), behaviour, log=log)
    assert out.fate.tolist() == [Fate.NO_SHOW] * 2
    first = next(e for e in log if isinstance(e, events.NoShow))
    assert first.time_s - START >= 120 + CONFIG.no_show_s
    assert measures(out, 600)["no_show"] == 1
    assert np.isnan(measures(out, 600)["in_time"])


def test_riders_cancel_before_they_are_picked_up() -> None:
    out = simulate(line(), fleet(1), CONFIG, demand((0, 3, 4), (5, 2, 0)), Behaviour(Riders(cancel=1.0)))
    assert out.fate.tolist() == [Fate.CANCELLED] * 2
    assert (out.picked_s == NEVER).all()


def test_riders_refuse_what_they_would_not_bear() -> None:
    impatient = Behaviour(Riders(patience_s=60))
    out = simulate(line(), fleet(1), CONFIG, demand((0, 4, 3), (0, 1, 2)), impatient)
    assert out.fate.tolist() == [Fate.DECLINED, Fate.SERVED]
    assert out.within(60) == 0.5


def test_drivers_rest() -> None:
    log: list[events.AnyEvent] = []
    rest = Shift(0, START, START + 12 * 3600, (Break(START + 600, START + 1800, 900),))
    asked = demand((0, 0, 1), (700, 0, 1), (2400, 0, 1))
    simulate(line(), fleet(1), CONFIG, asked, Behaviour(shifts=[rest]), log=log)
    begun, ended = (
        next(e.time_s for e in log if isinstance(e, kind)) for kind in (events.BreakStarted, events.BreakEnded)
    )
    assert START + 600 <= begun <= START + 1800
    assert ended - begun == 900
    assert not any(begun < e.time_s < ended for e in log if isinstance(e, events.PickedUp))


def test_riders_of_a_broken_van_are_fetched_by_another_one() -> None:
    log: list[events.AnyEvent] = []
    behaviour = Behaviour(disturbance=Disturbance(breakdowns=5000, repair_s=1800))
    asked = many(16, 80, 2, seed=1)
    out = simulate(grid(), fleet(6), CONFIG, asked, behaviour, log=log)
    assert sum(isinstance(e, events.BrokenDown) for e in log) > 5
    twice = [id for id, n in Counter(e.id for e in log if isinstance(e, events.PickedUp)).items() if n > 1]
    assert twice  # somebody was aboard when it happened
    served = [int(id) for id in twice if out.fate[int(id)] == Fate.SERVED]
    assert served
    assert (out.on_duty_s < out.on_duty_s.max()).any()  # a broken van is not on duty


ROUGH = Behaviour(
    Riders(patience_s=1200, detour=4.0, cancel=0.06, no_show=0.06),
    Disturbance(travel=0.3, boarding=0.5, breakdowns=60, repair_s=1800),
    [Shift(v, START, START + 4 * 3600, (Break(START + 3600, START + 5400, 600),)) for v in range(3)],
)


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_books_of_a_rough_day_balance(seed: int) -> None:
    asked, roads, vans = many(16, 150, 3, seed), grid(), fleet(5, hours=5)
    log: list[events.AnyEvent] = []
    out = simulate(roads, vans, CONFIG, asked, ROUGH, seed=seed, log=log)
    fates = Counter(Fate(f) for f in out.fate.tolist())
    assert sum(fates.values()) == 150
    assert fates[Fate.UNFINISHED] == 0
    assert fates[Fate.SERVED] > 75
    assert min(fates[Fate.CANCELLED], fates[Fate.NO_SHOW]) > 0
    served = out.fate == Fate.SERVED
    walked = asked.depart_s + 60
    assert (out.picked_s >= walked)[served].all()
    assert (out.picked_s < out.boarded_s)[served].all()
    assert (out.boarded_s < out.dropped_s)[served].all()
    assert (out.dropped_s == NEVER)[out.fate == Fate.REFUSED].all()
    assert (out.empty_m <= out.driven_m + 1e-6).all()
    assert out.driven_m.sum() >= 300 * served.sum() / 4
    aboard = Counter[int]()
    for event in log:
        if isinstance(event, events.PickedUp):
            aboard[event.van] += int(asked.seats[int(event.id)])
            assert aboard[event.van] <= vans.seats[event.van]
        elif isinstance(event, events.DroppedOff):
            aboard[event.van] -= int(asked.seats[int(event.id)])
        elif isinstance(event, events.BrokenDown):
            aboard[event.van] = 0
    assert not any(aboard.values())
    promised = {int(e.id): e.offer.promise for e in log if isinstance(e, events.Accepted)}
    broken = {int(e.id) for e in log if isinstance(e, events.PromiseBroken)}
    assert broken  # some are, on such a day, and said so; the others were kept
    for i in set(np.flatnonzero(served).tolist()) - broken:
        assert np.floor(out.picked_s[i]) <= promised[i].to_s + CONFIG.grace_s
        assert np.floor(out.dropped_s[i]) <= promised[i].by_s + CONFIG.grace_s
    shares = ("served", "refused", "declined", "cancelled", "no_show", "broken")
    assert sum(measures(out, 600)[name] for name in shares) == pytest.approx(1)


def fields(out: Outcome) -> list[list[float]]:
    return [np.asarray(getattr(out, name)).tolist() for name in Outcome.__slots__]


def test_a_seed_gives_the_same_day_and_its_log_the_same_dispatcher() -> None:
    asked, roads, vans = many(16, 60, 1.5, 3), grid(), fleet(3, hours=5)
    layers = policies.layers("full", Layers(), CONFIG, roads, asked)
    logs: list[list[events.AnyEvent]] = [[], [], []]
    first, again, other = (
        simulate(roads, vans, CONFIG, asked, ROUGH, layers, seed, log)
        for seed, log in zip((7, 7, 8), logs, strict=True)
    )
    assert logs[0] == logs[1]
    assert fields(first) == fields(again)
    assert fields(first) != fields(other)
    assert any(isinstance(e, events.PlansChanged) and e.layer == "assignment" for e in logs[0])
    replayed, stopped = (Dispatcher(CONFIG, vans, roads.travel(3)) for _ in range(2))
    for event in logs[0]:
        replayed.apply(event)
    for event in logs[1][:-1]:
        stopped.apply(event)
    assert replayed.state.seq == len(logs[0])
    assert replayed.digest() != stopped.digest()
    stopped.apply(logs[1][-1])
    assert replayed.digest() == stopped.digest()


def test_more_vans_are_not_worse() -> None:
    roads, seeds = grid(), range(1, 6)
    found = {
        vans: [measures(simulate(roads, fleet(vans), CONFIG, many(16, 120, 2, s), seed=s), 480) for s in seeds]
        for vans in (2, 4, 8)
    }
    for fewer, more in ((2, 4), (4, 8)):
        for name, better in (("served", 1), ("in_time", 1), ("wait_mean_s", -1)):
            gain = difference([m[name] for m in found[more]], [m[name] for m in found[fewer]])
            assert better * gain.mean >= 0, (name, fewer, more)
    first = difference([m["in_time"] for m in found[4]], [m["in_time"] for m in found[2]])
    assert first.low > 0  # and two more are surely better than two


def test_larger_fleets_contain_smaller_ones() -> None:
    large, small = Van(seats=11, share=3), Van(seats=4, share=1)
    dealt = [van.seats for van in kinds((large, small), 8)]
    assert sorted(dealt) == [4, 4, 11, 11, 11, 11, 11, 11]
    assert all([van.seats for van in kinds((large, small), n)] == dealt[:n] for n in range(9))


def test_all_measures_are_described() -> None:
    out = simulate(line(), fleet(1), CONFIG, demand((0, 2, 4)))
    assert list(measures(out, 600)) == list(MEASURES)


def test_what_makes_no_day_is_refused() -> None:
    with pytest.raises(RideError, match="0 requests and 1 vans"):
        simulate(line(), fleet(1), CONFIG, demand())
    with pytest.raises(RideError, match=r"no way leads to stop 0 \(node 0\)"):
        world.of_links(2, [0], [0], np.ones(1), np.ones(1), [0, 1])
    with pytest.raises(RideError, match="square"):
        world.of_matrix(np.ones((2, 3)), np.ones((2, 3)))


def test_times_and_lengths_are_of_the_same_way() -> None:
    # 0 → 1 → 2 is quicker and longer than 0 → 2; of two links 0 → 1 the slower one is not taken.
    roads = world.of_links(
        3, [0, 1, 0, 0, 2], [1, 2, 2, 1, 0], np.array([10.0, 10, 30, 99, 5]), np.array([800.0, 800, 500, 1, 50]), [0, 2]
    )
    assert roads.time_s[0, 1] == 20
    assert roads.length_m[0, 1] == 1600
    assert roads.step[0, 1] == 1
    assert roads.travel(1).time_s.tolist() == [[0, 20], [5, 0], [2**30, 2**30]]
