"""Savings and how sure they are: simulated buildings whose truth is known, and a real one."""

import math

import numpy as np
import pytest
from hanmaru_building_energy.baseline import fit
from hanmaru_building_energy.calendars import korean_holidays
from hanmaru_building_energy.domain import Estimate, Series
from hanmaru_building_energy.savings import assess, estimate, nmbe, quality_of, student
from worlds import SEOUL, divided, office

HOLIDAYS = korean_holidays()


def simulated(
    rng: np.random.Generator, before_weeks: int, after_weeks: int, saved: float, *, weather: bool
) -> tuple[Estimate, float]:
    """An estimate for a made-up office, and what it truly saved."""
    series, air = office(rng, before_weeks + after_weeks, weather=weather)
    before, after = divided(series, before_weeks)
    n = len(before.values)
    used = Series(after.start_s, after.step_s, after.values * (1 - saved))
    seen = (air[:n], air[n:]) if weather else (None, None)
    found = assess(before, used, SEOUL, before_temperature=seen[0], after_temperature=seen[1]).estimate
    return found, saved * float(after.values.sum())


@pytest.mark.parametrize(("before_weeks", "after_weeks", "weather"), [(12, 4, False), (26, 26, False), (52, 26, True)])
def test_the_90_percent_interval_covers_the_truth_nine_times_in_ten(
    before_weeks: int, after_weeks: int, weather: bool
) -> None:
    rng = np.random.default_rng(20)
    inside, n = 0, 120
    for _ in range(n):
        found, truth = simulated(rng, before_weeks, after_weeks, 0.15, weather=weather)
        assert found.savings_kwh is not None
        assert found.uncertainty_kwh is not None
        inside += abs(found.savings_kwh - truth) <= found.uncertainty_kwh
    print(f"{before_weeks} weeks before, {after_weeks} after: {inside} of {n} inside the 90 % interval")
    # Of 120 trials at 0.9, 0.82 to 0.975 come true in 99 % of cases.
    assert 0.82 <= inside / n <= 0.98


def test_errors_taken_for_independent_would_make_the_interval_far_too_narrow() -> None:
    series, _ = office(np.random.default_rng(8), 40, weather=False)
    before, after = divided(series, 26)
    found = assess(before, after, SEOUL).estimate
    residuals = fit(before, SEOUL, frozenset()).residuals
    m, n = len(after.values), len(before.values)
    independent = student(0.9, n) * float(np.nanstd(residuals)) * math.sqrt(m * (1 + m / n))
    assert found.uncertainty_kwh is not None
    assert found.ashrae_kwh is not None
    assert found.uncertainty_kwh > 2 * independent
    assert 0.4 < found.ashrae_kwh / found.uncertainty_kwh < 2.5


def test_what_was_not_metered_is_not_counted() -> None:
    series, _ = office(np.random.default_rng(9), 30, weather=False)
    before, after = divided(series, 26)
    half = after.values.copy()
    half[::2] = np.nan
    found = assess(before, Series(after.start_s, 3600, half), SEOUL).estimate
    assert found.covered == pytest.approx(0.5)
    assert found.baseline_kwh is not None
    assert found.measured_kwh == pytest.approx(np.nansum(half))
    assert found.baseline_kwh == pytest.approx(np.nansum(half), rel=0.05)


def test_too_few_weeks_give_no_number() -> None:
    series, _ = office(np.random.default_rng(10), 12)
    before, after = divided(series, 7)
    found = assess(before, after, SEOUL).estimate
    assert found.status == "too-little-data"
    assert found.savings_kwh is found.uncertainty_kwh is found.percent is None


def test_nothing_after_gives_no_number() -> None:
    series, _ = office(np.random.default_rng(11), 12)
    before, after = divided(series, 12)
    assert assess(before, after, SEOUL).estimate.status == "nothing-after"


def test_a_building_that_no_calendar_explains_gives_no_number() -> None:
    rng = np.random.default_rng(12)
    series, _ = office(rng, 30)
    wild = Series(series.start_s, 3600, series.values * np.exp(rng.normal(0, 1, len(series.values))))
    found = assess(*divided(wild, 26), SEOUL).estimate
    assert found.status == "does-not-fit"
    assert found.quality.cv_rmse > 0.3
    assert found.savings_kwh is None


def test_a_building_that_has_changed_before_the_measure_gives_no_number() -> None:
    series, _ = office(np.random.default_rng(13), 30, weather=False)
    values = series.values.copy()
    values[20 * 168 :] *= 1.4
    found = assess(*divided(Series(series.start_s, 3600, values), 26), SEOUL).estimate
    assert found.status == "does-not-fit"
    assert found.quality.nmbe > 0.1


def test_bias_is_positive_where_the_model_expects_too_little() -> None:
    assert nmbe(np.array([10.0, 10, np.nan]), np.array([9.0, 9, 100])) == pytest.approx(0.1)


@pytest.mark.parametrize(("level", "freedom", "table"), [(0.9, 7, 1.8946), (0.9, 25, 1.7081), (0.95, 51, 2.0076)])
def test_students_quantile_is_the_tables(level: float, freedom: float, table: float) -> None:
    assert student(level, freedom) == pytest.approx(table, abs=2e-3)


def test_the_steel_works_is_refused(steel: Series) -> None:
    """Its orders are in no calendar: half a year explains the next so badly that no figure would be honest."""
    found = assess(*divided(steel, 26), SEOUL, HOLIDAYS).estimate
    print(f"steel works: CV(RMSE) {found.quality.cv_rmse:.2f}, NMBE {found.quality.nmbe:+.2f}, {found.status}")
    assert found.status == "does-not-fit"
    assert 0.55 <= found.quality.cv_rmse <= 0.75
    assert found.quality.nmbe < -0.1


def test_at_the_steel_works_the_interval_still_covers_held_out_weeks(steel: Series) -> None:
    """Each week after the first half year, predicted from that half: the interval is wide, and right about how wide."""
    before, after = divided(steel, 26)
    model = fit(before, SEOUL, HOLIDAYS)
    quality = quality_of(model, before, None)
    inside: list[bool] = []
    while len(after.values) >= 672:
        week, after = divided(after, 1)
        found = estimate(model, before, week, None, quality, 0.9)
        assert found.savings_kwh is not None
        assert found.uncertainty_kwh is not None
        inside.append(abs(found.savings_kwh) <= found.uncertainty_kwh)
    print(f"steel works: {sum(inside)} of {len(inside)} held-out weeks inside the 90 % interval")
    assert len(inside) == 26
    assert 0.8 <= np.mean(inside) <= 1.0


@pytest.mark.parametrize("saved", [0.2, 0.4])
def test_savings_put_into_the_steel_works_are_found_again_within_the_uncertainty(steel: Series, saved: float) -> None:
    before, after = divided(steel, 26)
    model = fit(before, SEOUL, HOLIDAYS)
    quality = quality_of(model, before, None)
    less = Series(after.start_s, after.step_s, after.values * (1 - saved))
    found = estimate(model, before, less, None, quality, 0.9)
    assert found.savings_kwh is not None
    assert found.uncertainty_kwh is not None
    assert abs(found.savings_kwh - saved * after.values.sum()) <= found.uncertainty_kwh
