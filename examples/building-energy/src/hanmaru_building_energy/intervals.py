"""From what meters say to energy per interval: registers and their resets, gaps, outages. Pure."""

import numpy as np

from hanmaru_building_energy.domain import Bools, Floats, Ints, Series

STEPS_S = (300, 900, 1800, 3600)
"""The metering intervals that are understood."""

SPIKE = 10.0
"""An interval of more than this many times the 99th percentile is no consumption but a faulty reading."""


def step_of(times_s: Ints) -> int:
    """Return the metering interval of ascending instants (n,): the commonest distance, up to the next of
    ``STEPS_S``.
    """
    if len(times_s) < 2:
        return STEPS_S[-1]
    distances, counts = np.unique(np.diff(times_s), return_counts=True)
    commonest = int(distances[np.argmax(counts)])
    return next((step for step in STEPS_S if step >= commonest), STEPS_S[-1])


def from_intervals(times_s: Ints, kwh: Floats, step_s: int) -> Series:
    """Return the series of energies (n,) that are each stamped with the instant at which their interval ends.

    Of two with one instant the later in the arrays counts.
    """
    if not len(times_s):
        return Series(0, step_s, np.empty(0))
    slot = np.floor_divide(times_s - 1, step_s)
    return _grid(slot, np.where(np.isfinite(kwh) & (kwh >= 0), kwh, np.nan), step_s)


def from_register(times_s: Ints, register_kwh: Floats, step_s: int) -> Series:
    """Return the series of a cumulative register read at instants (n,).

    A register that goes down was reset or changed: the interval in which it did is not known, nor is one that a reading
    is missing for, since nobody can say when between two readings the energy flowed.
    """
    keep = np.isfinite(register_kwh)
    order = np.argsort(times_s[keep], kind="stable")
    times, register = times_s[keep][order], register_kwh[keep][order]
    if len(times) < 2:
        return Series(0, step_s, np.empty(0))
    used, took = np.diff(register), np.diff(times)
    known = (used >= 0) & (took > 0) & (took <= 1.5 * step_s)
    slot = np.floor_divide(times[1:] - 1, step_s)
    return _grid(slot, np.where(known, used, np.nan), step_s, add=True)


def _grid(slot: Ints, values: Floats, step_s: int, *, add: bool = False) -> Series:
    first = int(slot.min())
    out = np.full(int(slot.max()) - first + 1, np.nan)
    if add:  # a register may be read more often than once in an interval
        known = np.bincount(slot - first, minlength=len(out)) > 0
        out[known] = np.bincount(slot - first, weights=values, minlength=len(out))[known]
    else:
        out[slot - first] = values
    return Series(first * step_s, step_s, out)


def mean_of(times_s: Ints, values: Floats, step_s: int) -> Series:
    """Return the means by interval of instantaneous readings (n,), such as temperatures; short gaps are bridged.

    Between readings at most three hours apart the value is interpolated.
    """
    finite = np.isfinite(values)
    times_s, values = times_s[finite], values[finite]
    if not len(times_s):
        return Series(0, step_s, np.empty(0))
    slot = np.floor_divide(times_s, step_s)
    first = int(slot.min())
    size = int(slot.max()) - first + 1
    count = np.bincount(slot - first, minlength=size)
    have = np.flatnonzero(count)
    means = np.bincount(slot - first, weights=values, minlength=size)[have] / count[have]
    at = np.arange(size)
    after = np.minimum(np.searchsorted(have, at), len(have) - 1)
    before = np.maximum(np.searchsorted(have, at, side="right") - 1, 0)
    bridged = (have[after] - have[before]) * step_s <= 3 * 3600
    return Series(first * step_s, step_s, np.where(bridged, np.interp(at, have, means), np.nan))


def summed(meters: list[Series]) -> Series:
    """Return the energy of several meters together, by the longest of their intervals; NaN where one of them has
    none.
    """
    step = max(series.step_s for series in meters)
    parts = [coarser(series, step) for series in meters if len(series.values)]
    if len(parts) < len(meters):
        return Series(0, step, np.empty(0))
    start, end = max(part.start_s for part in parts), min(part.end_s for part in parts)
    if end <= start:
        return Series(0, step, np.empty(0))
    return Series(start, step, np.sum([part.between(start, end).values for part in parts], axis=0))


def coarser(series: Series, step_s: int) -> Series:
    """Return the energies of longer intervals; NaN for one of which a part is not known."""
    each = step_s // series.step_s
    if each <= 1:
        return series
    lead = (series.start_s % step_s) // series.step_s
    size = -(-(lead + len(series.values)) // each) * each
    values = np.full(size, np.nan)
    values[lead : lead + len(series.values)] = series.values
    return Series(series.start_s - lead * series.step_s, step_s, values.reshape(-1, each).sum(axis=1))


def aligned(series: Series, like: Series) -> Floats:
    """Return a series' values (n,) on the grid of another, by the interval that holds each one's beginning."""
    index = np.floor_divide(like.times_s - series.start_s, series.step_s)
    inside = (index >= 0) & (index < len(series.values))
    out = np.full(len(index), np.nan)
    out[inside] = series.values[index[inside]]
    return out


def cleaned(series: Series) -> Series:
    """Return the series without outages and spikes, which are set to NaN.

    An outage is an hour or more of nothing at a meter that otherwise is never at nothing (under 2 % of its readings).
    """
    values = series.values.copy()
    finite = np.isfinite(values)
    if not finite.any():
        return series
    nothing = finite & (values == 0)
    if nothing.sum() < 0.02 * finite.sum():
        values[_runs(nothing, max(1, 3600 // series.step_s))] = np.nan
    positive = values[np.isfinite(values) & (values > 0)]
    if len(positive):
        values[values > SPIKE * np.percentile(positive, 99)] = np.nan
    return Series(series.start_s, series.step_s, values)


def _runs(mask: Bools, least: int) -> Bools:
    """Return the mask where it is true at least so many times in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    out = np.zeros(len(mask), np.bool_)
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        out[start:end] = end - start >= least
    return out
