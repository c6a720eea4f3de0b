"""What was saved, how sure that is, and when nobody can say. Pure.

Avoided energy is the baseline as it would have been in the reporting period, less what the meter read (IPMVP option C).
Its uncertainty comes from a bootstrap of the baseline's residuals in blocks of a week, since errors of neighbouring
hours and days go together: an interval that takes them for independent is several times too narrow. ASHRAE Guideline
14's formula for fractional savings uncertainty, with the number of daily observations reduced for their
autocorrelation, is given beside it.
"""

import math
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru_building_energy.baseline import WEEK_S, Baseline, fit
from hanmaru_building_energy.domain import Bools, Estimate, Floats, Ints, Quality, Series

FEWEST_WEEKS = 8.0
"""Fewer weeks of readings give no baseline: a week's errors are then resampled from a handful."""

CV_RMSE_LIMIT = 0.30
NMBE_LIMIT = 0.10
"""ASHRAE Guideline 14's limits for hourly values: CV(RMSE) 30 %, NMBE ±10 %."""

REPLICATES = 2000
_DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Assessment:
    """An estimate with what it was made of: the ``baseline`` model, None with too little data, and what it ``expected``
    (n,) of each interval of the reporting period, kWh.
    """

    estimate: Estimate
    baseline: Baseline | None
    expected: Floats


def assess(
    before: Series,
    after: Series,
    zone: ZoneInfo,
    days_off: frozenset[date] = frozenset(),
    *,
    before_temperature: Floats | None = None,
    after_temperature: Floats | None = None,
    level: float = 0.90,
) -> Assessment:
    """Return what was saved in the reporting period ``after``, by a baseline fitted to ``before``.

    Both are cleaned series of one step; temperatures, where there are any, lie on their grids.
    """
    nothing = np.full(len(after.values), np.nan)
    weeks = int(np.isfinite(before.values).sum()) * before.step_s / WEEK_S
    if weeks < FEWEST_WEEKS:
        return Assessment(Estimate("too-little-data", Quality(math.nan, math.nan, weeks), level), None, nothing)
    if before_temperature is None or after_temperature is None:
        before_temperature = after_temperature = None
    model = fit(before, zone, days_off, before_temperature)
    quality = quality_of(model, before, before_temperature)
    expected = model.predict(after.times_s, after_temperature)
    both = np.isfinite(expected) & np.isfinite(after.values)
    covered = float(both.mean()) if len(both) else 0.0
    if not (quality.cv_rmse <= CV_RMSE_LIMIT and abs(quality.nmbe) <= NMBE_LIMIT):
        return Assessment(Estimate("does-not-fit", quality, level, covered), model, expected)
    if not both.any():
        return Assessment(Estimate("nothing-after", quality, level), model, expected)
    return Assessment(estimate(model, before, after, after_temperature, quality, level), model, expected)


def estimate(
    model: Baseline, before: Series, after: Series, after_temperature: Floats | None, quality: Quality, level: float
) -> Estimate:
    """Return the savings by a model, whether or not it fits well."""
    rows = model.design(after.times_s, after_temperature)
    expected = model.level[rows.slot] + rows.columns @ model.slopes
    both = np.isfinite(expected) & np.isfinite(after.values)
    baseline, measured = float(expected[both].sum()), float(after.values[both].sum())
    influence = _influence(model, rows.slot[both], rows.columns[both])
    parameter, noise = _bootstrap(model, before, after, influence, both)
    rho, tails = _widening(model, before, level)
    parameter *= tails * _grown(rho, quality.weeks)
    noise *= tails * _grown(rho, int(both.sum()) * model.step_s / WEEK_S)
    return Estimate(
        "ok",
        quality,
        level,
        covered=float(both.mean()) if len(both) else 0.0,
        baseline_kwh=baseline,
        measured_kwh=measured,
        savings_kwh=baseline - measured,
        uncertainty_kwh=float(np.quantile(np.abs(parameter - noise), level)),
        ashrae_kwh=ashrae(model, before, int(both.sum()), level),
        parameter_kwh=float(np.quantile(np.abs(parameter), level)),
        noise_kwh=float(np.quantile(np.abs(noise), level)),
    )


def quality_of(model: Baseline, before: Series, temperature: Floats | None) -> Quality:
    """Return how well a model describes the series it was fitted to, and the last quarter of it from the rest."""
    used = np.flatnonzero(model.used)
    weeks = len(used) * model.step_s / WEEK_S
    if not len(used):
        return Quality(math.nan, math.nan, weeks)
    rmse, mean = hourly_error(model.residuals, before)
    freedom = len(used) / max(1, len(used) - model.parameters)
    cut = used[3 * len(used) // 4]
    early = Series(before.start_s, before.step_s, before.values[:cut])
    late = Series(before.start_s + int(cut) * before.step_s, before.step_s, before.values[cut:])
    trial = fit(early, model.zone, model.days_off, None if temperature is None else temperature[:cut])
    predicted = trial.predict(late.times_s, None if temperature is None else temperature[cut:])
    return Quality(rmse * math.sqrt(freedom) / mean if mean else math.inf, nmbe(late.values, predicted), weeks)


def hourly_error(residuals: Floats, series: Series) -> tuple[float, float]:
    """Return the root mean square of residuals' hourly sums and the mean hourly energy, both kWh, over whole hours."""
    each = max(1, 3600 // series.step_s)
    hour = np.floor_divide(series.times_s, 3600)
    hour = hour - hour[0]
    known = np.isfinite(residuals) & np.isfinite(series.values)
    whole = np.bincount(hour, weights=known.astype(np.float64)) == each
    errors = np.bincount(hour, weights=np.where(known, residuals, 0.0))[whole]
    energy = np.bincount(hour, weights=np.where(known, series.values, 0.0))[whole]
    if not len(errors):
        return math.nan, math.nan
    return float(np.sqrt(np.mean(errors**2))), float(energy.mean())


def nmbe(measured: Floats, predicted: Floats) -> float:
    """Return the normalised mean bias error, positive where the model expects too little."""
    both = np.isfinite(measured) & np.isfinite(predicted)
    total = float(measured[both].sum())
    return float((measured[both] - predicted[both]).sum()) / total if total else math.nan


def ashrae(model: Baseline, before: Series, intervals: int, level: float) -> float:
    """Return the savings uncertainty in kWh by ASHRAE Guideline 14-2014, annex B, from daily totals.

    1.26 t RMSE m √((n/n′)(1 + 2/n′)/m) over m days, with n′ = n (1 - ρ)/(1 + ρ) for the residuals' day-to-day
    autocorrelation ρ. Hourly values would make it far too small (Touzani, Granderson, Jump and Rebello, Energy and
    Buildings 2019).
    """
    daily = _sums(model.residuals, before, _DAY_S)
    n = len(daily)
    if n < 3:
        return math.nan
    rho = min(0.95, max(0.0, _autocorrelation(daily)))
    effective = max(1.0, n * (1 - rho) / (1 + rho))
    freedom = n / max(1.0, n - model.parameters * model.step_s / _DAY_S)
    rmse = math.sqrt(float(np.mean(daily**2)) * freedom)
    days = intervals * model.step_s / _DAY_S
    t = student(level, n)
    return 1.26 * t * rmse * math.sqrt(days * n / effective * (1 + 2 / effective))


def _influence(model: Baseline, slot: Ints, columns: Floats) -> Floats:
    """Return how much a kWh at each row (n,) of the baseline period moves the sum that the model predicts for some
    rows.

    Least squares is linear, so refitting to resampled readings is a dot product with this.
    """
    used, n_slots = model.used, len(model.level)
    mine, z = model.rows.slot[used], model.rows.columns[used]
    count = np.bincount(mine, minlength=n_slots)
    asked = np.bincount(slot, minlength=n_slots)
    per_slot = asked / np.maximum(count, 1)
    out = np.zeros(len(used))
    weights = per_slot[mine]
    if z.shape[1]:
        sums = np.stack([np.bincount(mine, weights=column, minlength=n_slots) for column in z.T], axis=1)
        means = sums / np.maximum(count, 1)[:, None]
        within = z - means[mine]
        need = columns.sum(axis=0) - asked @ means
        weights = weights + within @ (np.linalg.pinv(within.T @ within, rcond=1e-10, hermitian=True) @ need)
    out[used] = weights
    return out


def _bootstrap(model: Baseline, before: Series, after: Series, influence: Floats, both: Bools) -> tuple[Floats, Floats]:
    """Return ``REPLICATES`` errors (kWh) of the predicted sum from the coefficients, and sums of the period's own
    noise.

    Blocks begin at any day of the baseline period and are turned so that their Mondays meet, since a Sunday's errors
    are no stand-in for a Monday's. What a block does to a week of either period is one matrix product; a replicate
    adds entries.
    """
    length = WEEK_S // model.step_s
    blocks = _blocks(model.residuals, before, length)
    rng = np.random.default_rng(20110901)
    weights = _weeks(influence, before, length)
    ahead = _weeks(both.astype(np.float64), after, length)
    parameter, noise = blocks @ weights.T, blocks @ ahead.T

    def draw(effects: Floats) -> Floats:
        chosen = rng.integers(0, len(blocks), (REPLICATES, effects.shape[1]))
        return effects[chosen, np.arange(effects.shape[1])].sum(axis=1)

    return draw(parameter), draw(noise)


def _weeks(values: Floats, series: Series, length: int) -> Floats:
    """Return values (n,) as rows of weeks (w, length), each beginning at the same time of week; 0 where there are
    none.
    """
    lead = (series.start_s // series.step_s) % length
    size = -(-(lead + len(values)) // length) * length
    out = np.zeros(size)
    out[lead : lead + len(values)] = values
    return out.reshape(-1, length)


def _blocks(residuals: Floats, before: Series, length: int) -> Floats:
    """Return the weeks of residuals that can be drawn (b, length): those that are mostly known, beginning at each day.

    A gap takes the mean of what is known of its week, which keeps the slow part of the errors.
    """
    day = _DAY_S // before.step_s
    starts = np.arange(0, max(1, len(residuals) - length + 1), day)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate((residuals, np.full(max(0, length - len(residuals)), np.nan))), length
    )[starts]
    known = np.isfinite(windows)
    mostly = known.mean(axis=1) >= min(0.7, float(known.mean(axis=1).max()))
    windows, known = windows[mostly], known[mostly]
    means = np.where(known, windows, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
    windows = np.where(known, windows, means[:, None])
    lead = (before.start_s // before.step_s + starts[mostly]) % length
    turned = (np.arange(length)[None, :] - lead[:, None]) % length
    return np.take_along_axis(windows, turned, axis=1)


def _widening(model: Baseline, before: Series, level: float) -> tuple[float, float]:
    """Return how weeks resemble the week before (ρ), and by how much to widen everything.

    Residuals are smaller than errors by the degrees of freedom that the fit used, and few weeks have heavier tails
    than many.
    """
    weekly = _sums(model.residuals, before, WEEK_S)
    n = max(2, len(weekly))
    used = int(model.used.sum())
    freedom = used / max(1, used - model.parameters)
    rho = _autocorrelation(weekly)
    rho = min(0.8, max(0.0, rho + (1 + 3 * rho) / n))  # corrected for its bias (Marriott and Pope 1954)
    return rho, math.sqrt(freedom) * student(level, n - 1) / student(level, 10**6)


def _grown(rho: float, weeks: float) -> float:
    """Return how much larger the standard deviation of a sum over so many weeks is than if they were independent.

    The variance grows by 1 + 2 Σ (1 - k/w) ρᵏ, for a process of first order.
    """
    lags = np.arange(1, max(1, math.ceil(weeks)))
    return math.sqrt(1 + 2 * float(np.sum(np.maximum(0, 1 - lags / max(1.0, weeks)) * rho**lags)))


def _sums(residuals: Floats, before: Series, span_s: int) -> Floats:
    """Return the residuals' sums by span of time, for those spans of which at least 70 % are known, scaled to the
    whole.
    """
    part = np.floor_divide(before.times_s - before.start_s, span_s)
    known = np.isfinite(residuals)
    count = np.bincount(part, weights=known.astype(np.float64))
    sums = np.bincount(part, weights=np.where(known, residuals, 0.0))
    whole = span_s // before.step_s
    return (sums / np.maximum(1, count) * whole)[count >= 0.7 * whole]


def _autocorrelation(values: Floats) -> float:
    """Return the correlation of values (n,) with those one place before."""
    if len(values) < 3:
        return 0.0
    centred = values - values.mean()
    total = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / total if total else 0.0


def student(level: float, freedom: float) -> float:
    """Return Student's two-sided quantile, by its expansion about the normal one (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    v = max(1.0, freedom)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
