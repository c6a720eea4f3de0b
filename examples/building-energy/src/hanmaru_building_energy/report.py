"""What a building's chart and entity say: an assessment as days, and as NGSI-LD attributes. Pure."""

import math
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru_building_energy.calendars import local_days
from hanmaru_building_energy.domain import Estimate, Floats, Series
from hanmaru_building_energy.savings import Assessment, student

MOST_DAYS = 800

FIGURES = (
    "savedEnergy", "savedEnergyUncertainty", "savingsPercent", "savingsUncertainty", "baselineEnergy", "savingsStatus",
    "baselineCvRmse",
)  # fmt: skip
"""The attributes of a building that the service writes."""

_UNITS = {
    "savedEnergy": "KWH", "savedEnergyUncertainty": "KWH", "savingsPercent": "P1", "savingsUncertainty": "P1",
    "baselineEnergy": "KWH", "baselineCvRmse": "P1",
}  # fmt: skip


def instant(time_s: float) -> str:
    """Return an instant as NGSI-LD writes it."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def figures(estimate: Estimate, observed_s: float) -> dict[str, Any]:
    """Return the attributes of an estimate; a figure that there is none of is not among them."""
    cv = estimate.quality.cv_rmse
    values: dict[str, float | str | None] = {
        "savingsStatus": estimate.status,
        "savedEnergy": _rounded(estimate.savings_kwh, 1),
        "savedEnergyUncertainty": _rounded(estimate.uncertainty_kwh, 1),
        "savingsPercent": _rounded(estimate.percent, 1),
        "savingsUncertainty": _rounded(estimate.percent_uncertainty, 1),
        "baselineEnergy": _rounded(estimate.baseline_kwh, 1),
        "baselineCvRmse": _rounded(100 * cv, 1) if math.isfinite(cv) else None,
    }
    at = instant(observed_s)
    out: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            unit = {"unitCode": _UNITS[name]} if name in _UNITS else {}
            out[name] = {"type": "Property", "value": value, "observedAt": at, **unit}
    return out


def document(
    assessment: Assessment, before: Series, after: Series, zone: ZoneInfo, *, temperature: bool, outside: float = 0.0
) -> dict[str, Any]:
    """Return what the route ``series`` answers with: the estimate, and each local day of both periods.

    ``outside`` is the fraction of the reporting period that was colder or warmer than the baseline's ever was.

    A day has ``measured`` kWh and, where the model says, ``baseline`` with ``low`` and ``high`` at the estimate's
    level, and from the measure on the ``saved`` energy so far with its ``savedLow`` and ``savedHigh``. Intervals that
    were not metered count in neither.
    """
    estimate, model = assessment.estimate, assessment.baseline
    fitted = np.full(len(before.values), np.nan)
    half = math.nan
    if model is not None:
        fitted = before.values - model.residuals
        half = _daily_half(before, model.residuals, zone, estimate.level)
    days = [*_days(before, fitted, zone, half), *_with_savings(_days(after, assessment.expected, zone, half), estimate)]
    quality = estimate.quality
    return {
        "status": estimate.status,
        "level": estimate.level,
        "method": "weekly residual block bootstrap",
        "model": "time of week and temperature" if temperature else "time of week",
        "weeks": round(quality.weeks, 1),
        "cvRmse": _finite(quality.cv_rmse),
        "nmbe": _finite(quality.nmbe),
        "covered": round(estimate.covered, 4),
        "baselineKwh": _rounded(estimate.baseline_kwh, 1),
        "measuredKwh": _rounded(estimate.measured_kwh, 1),
        "savedKwh": _rounded(estimate.savings_kwh, 1),
        "uncertaintyKwh": _rounded(estimate.uncertainty_kwh, 1),
        "ashraeUncertaintyKwh": _rounded(estimate.ashrae_kwh, 1),
        "savedPercent": _rounded(estimate.percent, 2),
        "uncertaintyPercent": _rounded(estimate.percent_uncertainty, 2),
        "outside": round(outside, 4),
        "measureStartedAt": instant(before.end_s),
        "measureCompletedAt": instant(after.start_s),
        "days": days[-MOST_DAYS:],
    }


def _days(series: Series, expected: Floats, zone: ZoneInfo, half: float) -> list[dict[str, Any]]:
    if not len(series.values):
        return []
    number = local_days(series.times_s, zone)
    index = number - number[0]
    metered, modelled = np.isfinite(series.values), np.isfinite(expected)
    both = metered & modelled
    whole = 86_400 / series.step_s
    counted = both if modelled.any() else metered
    share = np.bincount(index, weights=counted.astype(np.float64)) / whole
    measured = np.bincount(index, weights=np.where(counted, series.values, 0.0))
    baseline = np.bincount(index, weights=np.where(both, expected, 0.0))
    first = np.datetime64(int(number[0]), "D")
    out: list[dict[str, Any]] = []
    for i in np.flatnonzero(share > 0).tolist():
        day: dict[str, Any] = {
            "day": str(first + i),
            "measured": round(float(measured[i]), 2),
            "share": round(float(share[i]), 3),
        }
        if modelled.any():
            spread = half * math.sqrt(float(share[i]))
            day["baseline"] = round(float(baseline[i]), 2)
            day["low"] = round(max(0.0, float(baseline[i]) - spread), 2)
            day["high"] = round(float(baseline[i]) + spread, 2)
        out.append(day)
    return out


def _with_savings(days: list[dict[str, Any]], estimate: Estimate) -> list[dict[str, Any]]:
    """Add the savings so far.

    The error of the coefficients grows with the baseline's energy so far, that of the period's own noise with the
    square root of its days; at the last day they are scaled to the whole estimate's.
    """
    for day in days:
        day["reporting"] = True
    if estimate.savings_kwh is None or not estimate.baseline_kwh or not days:
        return days
    saved = energy = time = 0.0
    total = sum(day["share"] for day in days)
    end = math.hypot(estimate.parameter_kwh, estimate.noise_kwh) or 1.0
    scale = (estimate.uncertainty_kwh or 0.0) / end
    for day in days:
        saved += day["baseline"] - day["measured"]
        energy += day["baseline"] / estimate.baseline_kwh
        time += day["share"] / total
        half = scale * math.hypot(estimate.parameter_kwh * energy, estimate.noise_kwh * math.sqrt(time))
        day |= {"saved": round(saved, 1), "savedLow": round(saved - half, 1), "savedHigh": round(saved + half, 1)}
    return days


def _daily_half(before: Series, residuals: Floats, zone: ZoneInfo, level: float) -> float:
    """Return the half width in kWh of the interval for a whole day's energy."""
    number = local_days(before.times_s, zone)
    index = number - number[0]
    known = np.isfinite(residuals)
    whole = np.bincount(index, weights=known.astype(np.float64)) * before.step_s >= 0.9 * 86_400
    sums = np.bincount(index, weights=np.where(known, residuals, 0.0))[whole]
    return student(level, len(sums) - 1) * float(np.sqrt(np.mean(sums**2))) if len(sums) > 2 else math.nan


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, decimals)


def _finite(value: float) -> float | None:
    return _rounded(value, 4)
