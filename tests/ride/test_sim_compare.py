"""Intervals against SciPy's, and the search for the smallest fleet against fleets that are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hanmaru.ride.domain import RideError
from hanmaru.ride.sim.compare import Case, Results, Target, smallest
from hanmaru.ride.sim.outcome import MEASURES, SHARES
from hanmaru.ride.sim.stats import certainty, difference, estimate

SAMPLE = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).filter(lambda values: np.std(values) > 1e-3)


@given(SAMPLE)
def test_intervals_are_students(values: list[float]) -> None:
    found = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=3, max_size=20), st.floats(0.1, 9.9))
def test_differences_are_paired_and_certainty_is_one_sided(pairs: list[tuple[float, float]], target: float) -> None:
    a, b = ([pair[k] for pair in pairs] for k in (0, 1))
    if min(np.std(np.subtract(a, b)), np.std(a)) < 1e-3:
        return
    paired = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = difference(a, b)
    assert (found.low, found.high) == pytest.approx((paired.low, paired.high))
    assert certainty(a, target) == pytest.approx(1 - stats.ttest_1samp(a, target, alternative="greater").pvalue)


def test_what_one_run_does_not_say() -> None:
    one = estimate([3.0, math.nan])
    assert (one.mean, one.n) == (3.0, 1)
    assert math.isnan(one.low)
    assert math.isnan(estimate([]).mean)
    assert math.isnan(certainty([1.0], 0.5))
    assert certainty([0.9, 0.9], 0.9) == 1
    assert certainty([0.9, 0.9], 0.91) == 0


def town(needed: int, ceiling: float = 1.0) -> Results:
    """Fleets of ``needed`` vans and more serve 97 % in time, or what the ceiling allows; smaller ones less."""

    def simulate(policy: str, vans: int, seed: int) -> dict[str, float]:
        share = min(0.97 if vans >= needed else 0.95 * vans / needed, ceiling)
        measured = dict.fromkeys(MEASURES, 0.5) | {"in_time": share + 0.002 * (seed % 3 - 1), "vehicle_km": 10.0 * vans}
        return measured | {"wait_mean_s": 100.0 / vans + seed}

    return Results(simulate, range(1, 6))


@pytest.mark.parametrize("needed", [1, 2, 7, 8, 9, 40, 333])
@pytest.mark.parametrize("start", [1, 8, 100])
def test_the_smallest_fleet_is_found_from_anywhere(needed: int, start: int) -> None:
    told: list[Case] = []
    results = town(needed)
    answer = smallest(results, "insertion", Target(0.95, 720), start, lambda case, seed: told.append(case))
    assert answer.vans == needed
    assert answer.certainty >= 0.95
    assert Case("insertion", needed) in results.runs
    if needed > 1:
        assert Case("insertion", needed - 1) in results.runs
        assert answer.fewer < 0.95
    assert len(told) == 5 * len(results.runs) <= 5 * 20


def test_where_vans_do_not_help_the_search_says_so() -> None:
    results = town(8, ceiling=0.9)
    answer = smallest(results, "insertion", Target(0.95, 720), 4, lambda case, seed: None)
    assert answer.vans is None
    assert max(case.vans for case in results.runs) <= 32


def test_one_seed_is_not_enough_to_be_sure() -> None:
    with pytest.raises(RideError, match="--seeds 2"):
        smallest(Results(town(4).simulate, [1]), "insertion", Target(0.95, 720), 4, lambda case, seed: None)


def test_what_is_broken_off_compares_like_with_like() -> None:
    results, cases = town(4), [Case(policy, vans) for policy in ("insertion", "full") for vans in (2, 3)]

    def tell(case: Case, seed: int) -> None:
        if seed == 3 and case == cases[2]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.run(cases, tell)
    assert [len(results.runs[case]) for case in cases] == [3, 3, 2, 2]
    pairs = list(results.pairs())
    assert (Case("full", 2), Case("insertion", 2)) in pairs
    assert (Case("full", 3), Case("full", 2)) in pairs
    gain = results.differences(Case("full", 3), Case("insertion", 2))
    assert gain["vehicle_km"].mean == 10
    assert gain["wait_mean_s"].n == 2  # the seeds that both have
    assert gain["wait_mean_s"].mean == pytest.approx(100 / 3 - 50)


def test_intervals_of_shares_end_at_all_and_nothing() -> None:
    results = Results(lambda policy, vans, seed: dict.fromkeys(MEASURES, float(seed == 1)), [1, 2, 3])
    results.run([Case("insertion", 1)], lambda case, seed: None)
    found = results.estimates(Case("insertion", 1))
    assert all(found[name].low == 0 and found[name].high == 1 for name in SHARES)
    assert found["vehicle_km"].low < 0
