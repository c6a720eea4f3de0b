"""From what meters say to energy per interval."""

import numpy as np
from hanmaru_building_energy.domain import Series
from hanmaru_building_energy.intervals import (
    aligned,
    cleaned,
    coarser,
    from_intervals,
    from_register,
    mean_of,
    step_of,
    summed,
)
from numpy.testing import assert_array_equal

QUARTER = 900


def test_an_interval_is_stamped_at_its_end() -> None:
    series = from_intervals(np.array([900, 1800, 3600]), np.array([1.0, 2.0, 4.0]), QUARTER)
    assert series.start_s == 0
    assert_array_equal(series.values, [1, 2, np.nan, 4])


def test_a_register_gives_its_differences_and_a_reset_or_a_gap_nothing() -> None:
    times = np.array([0, 900, 1800, 2700, 3600, 6300, 7200])
    series = from_register(times, np.array([100.0, 103, 108, 2, 4, 20, 21]), QUARTER)
    assert_array_equal(series.values, [3, 5, np.nan, 2, np.nan, np.nan, np.nan, 1][: len(series.values)])


def test_a_register_read_every_five_minutes_adds_up() -> None:
    times = np.arange(0, 3601, 300)
    assert_array_equal(from_register(times, times / 300.0, QUARTER).values, [3, 3, 3, 3])


def test_the_step_is_the_commonest_distance() -> None:
    assert step_of(np.array([0, 900, 1800, 5400, 6300])) == 900
    assert step_of(np.array([0, 3600, 7200])) == 3600
    assert step_of(np.array([0])) == 3600


def test_an_outage_is_no_consumption_and_a_quiet_plant_is() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(5, 10, 2000)
    values[100:110] = 0
    values[500] = 5000
    found = cleaned(Series(0, QUARTER, values)).values
    assert np.isnan(found[100:110]).all()
    assert np.isnan(found[500])
    assert np.isfinite(found).sum() == 2000 - 11
    off_at_night = np.where(np.arange(2000) % 96 < 40, 0.0, 8.0)
    assert_array_equal(cleaned(Series(0, QUARTER, off_at_night)).values, off_at_night)


def test_meters_of_different_steps_add_up_where_both_read() -> None:
    quarters = Series(0, QUARTER, np.array([1.0, 1, 1, 1, 2, 2, np.nan, 2, 3, 3, 3, 3]))
    hours = Series(3600, 3600, np.array([10.0, 20.0]))
    both = summed([quarters, hours])
    assert both.start_s == 3600
    assert_array_equal(both.values, [np.nan, 32])
    assert_array_equal(coarser(quarters, 3600).values, [4, np.nan, 12])
    assert len(summed([quarters, Series(0, 3600, np.empty(0))]).values) == 0


def test_temperatures_are_bridged_over_short_gaps_only() -> None:
    times = np.array([0, 7200, 7200 + 6 * 3600])
    found = mean_of(times, np.array([10.0, 14.0, 20.0]), 3600)
    assert_array_equal(found.values, [10, 12, 14, np.nan, np.nan, np.nan, np.nan, np.nan, 20])
    quarters = Series(-900, QUARTER, np.zeros(6))
    assert_array_equal(aligned(found, quarters), [np.nan, 10, 10, 10, 10, 12])
