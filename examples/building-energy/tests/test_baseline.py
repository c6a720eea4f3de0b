"""The baseline: what it learns, and what clocks, gaps and holidays do to it."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hanmaru_building_energy.baseline import fit
from hanmaru_building_energy.calendars import korean_holidays, slots
from hanmaru_building_energy.domain import Series
from numpy.testing import assert_allclose
from worlds import MONDAY, SEOUL, WEEK, divided, office

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo) -> np.ndarray:
    return np.array([int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())])


def test_time_of_week_follows_the_local_clock_through_its_changes() -> None:
    nothing = frozenset()
    summer, winter = at("2024-07-01T09:00", BERLIN), at("2024-12-02T09:00", BERLIN)
    assert slots(summer, 3600, BERLIN, nothing) == slots(winter, 3600, BERLIN, nothing) == [9]
    # The hour that comes twice has one slot; the one that does not come leaves none between.
    autumn = int(datetime(2024, 10, 27, 2, tzinfo=BERLIN).timestamp()) + 3600 * np.arange(3)
    assert slots(autumn, 3600, BERLIN, nothing).tolist() == [146, 146, 147]
    spring = int(datetime(2024, 3, 31, 1, tzinfo=BERLIN).timestamp()) + 3600 * np.arange(2)
    assert slots(spring, 3600, BERLIN, nothing).tolist() == [145, 147]


def test_a_holiday_is_a_sunday() -> None:
    holidays = korean_holidays()
    assert slots(at("2018-02-15T10:00", SEOUL), 3600, SEOUL, holidays) == [6 * 24 + 10]  # the day before Seollal
    assert slots(at("2018-02-14T10:00", SEOUL), 3600, SEOUL, holidays) == [2 * 24 + 10]


def test_absorbing_the_times_of_week_is_least_squares_with_a_column_for_each() -> None:
    series, air = office(np.random.default_rng(1), 20)
    model = fit(series, SEOUL, frozenset(), air)
    rows = model.design(series.times_s, air)
    dummies = np.eye(WEEK)[rows.slot]
    full = np.concatenate((dummies, rows.columns), axis=1)
    expected = full @ np.linalg.lstsq(full, series.values, rcond=None)[0]
    assert_allclose(model.predict(series.times_s, air), expected, rtol=1e-6)


def test_weather_is_told_from_hours() -> None:
    series, air = office(np.random.default_rng(2), 104)
    before, after = divided(series, 52)
    blind = fit(before, SEOUL, frozenset())
    seeing = fit(before, SEOUL, frozenset(), air[: len(before.values)])
    assert seeing.occupied.sum() == pytest.approx(55, abs=8)  # 11 hours on five days

    def rmse(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((after.values - predicted) ** 2)))

    unknowable = np.hypot(8, 5)  # what no model can know of `office`: its hours' and its days' errors
    assert rmse(seeing.predict(after.times_s, air[len(before.values) :])) < 1.05 * unknowable
    assert rmse(blind.predict(after.times_s)) > 1.2 * unknowable


def test_gaps_cost_precision_and_no_more() -> None:
    rng = np.random.default_rng(4)
    series, _ = office(rng, 30, weather=False)
    holed = series.values.copy()
    holed[rng.random(len(holed)) < 0.2] = np.nan
    holed[1000:1400] = np.nan
    whole, part = fit(series, SEOUL, frozenset()), fit(Series(MONDAY, 3600, holed), SEOUL, frozenset())
    assert_allclose(part.level, whole.level, atol=8)


def test_a_time_of_week_that_was_hardly_seen_has_no_level() -> None:
    series, _ = office(np.random.default_rng(5), 12, weather=False)
    slot = slots(series.times_s, 3600, SEOUL, frozenset())
    values = np.where((slot == 30) & (np.arange(len(slot)) > 2 * WEEK), np.nan, series.values)
    model = fit(Series(MONDAY, 3600, values), SEOUL, frozenset())
    assert np.isnan(model.level[30])
    assert np.isfinite(np.delete(model.level, 30)).all()


def test_a_year_of_quarter_hours_is_fitted_in_a_tenth_of_a_second() -> None:
    rng = np.random.default_rng(6)
    series, air = office(rng, 52)
    quarters = Series(MONDAY, 900, np.repeat(series.values / 4, 4))
    warm = np.repeat(air, 4)
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        fit(quarters, SEOUL, frozenset(), warm)
        took.append(time.perf_counter() - begun)
    assert min(took) <= 0.1
