"""The baseline: what a building uses by time of week and, where it is known, outdoor temperature. Pure.

The time-of-week-and-temperature model of Lawrence Berkeley National Laboratory: J. L. Mathieu, P. N. Price, S.
Kiliccote, M. A. Piette, "Quantifying Changes in Building Electricity Use, With Application to Demand Response", IEEE
Transactions on Smart Grid 2(3), 2011. Every time of the week has a level of its own; temperature adds a piecewise
linear function, another one while the building is occupied than while it is not. Without temperatures the levels alone
are the model.
"""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru_building_energy.calendars import slots
from hanmaru_building_energy.domain import Bools, Floats, Ints, Series

WEEK_S = 7 * 86_400

KNOTS_C = (4.4, 12.8, 18.3, 26.7, 32.2)
"""Where temperature's function may bend: 40, 55, 65, 80 and 90 °F, as in LBNL's RMV2.0."""

FEWEST = 24
"""A bend needs so many hours of readings beyond it on either side."""

MODEL_HOURS_PER_SLOT = 3
"""A time of week that was seen less often than this has no level."""


@dataclass(frozen=True, eq=False)
class Design:
    """The regression's rows: each interval's time of week ``slot`` (n,) and ``columns`` (n, k) of temperature."""

    slot: Ints
    columns: Floats


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline.

    ``level`` (s,) kWh by time of week, NaN where unknown; ``occupied`` (s,); ``knots`` of temperature in °C and its
    ``slopes`` (k,), none without temperature. ``rows`` are those it was fitted to, at ``used`` (n,) of its period, with
    their ``residuals`` (n,) kWh, NaN where unused.
    """

    step_s: int
    zone: ZoneInfo
    days_off: frozenset[date]
    level: Floats
    occupied: Bools
    knots: tuple[float, ...]
    slopes: Floats
    rows: Design
    used: Bools
    residuals: Floats

    @property
    def parameters(self) -> int:
        """How many coefficients were fitted."""
        return int(np.isfinite(self.level).sum()) + len(self.slopes)

    def design(self, times_s: Ints, temperature: Floats | None) -> Design:
        """Return the rows of instants (n,) at which intervals begin; temperatures (n,) in °C where the model has
        them.
        """
        slot = slots(times_s, self.step_s, self.zone, self.days_off)
        if temperature is None or not self.knots:
            return Design(slot, np.zeros((len(slot), len(self.slopes))))
        return Design(slot, _columns(temperature, self.occupied[slot], self.knots))

    def predict(self, times_s: Ints, temperature: Floats | None = None) -> Floats:
        """Return the energies (n,) in kWh that the model expects, NaN where it cannot say."""
        rows = self.design(times_s, temperature)
        return self.level[rows.slot] + rows.columns @ self.slopes


def fit(series: Series, zone: ZoneInfo, days_off: frozenset[date], temperature: Floats | None = None) -> Baseline:
    """Fit the model to a series of energies by least squares; ``temperature`` (n,) in °C is on the series' grid.

    Readings without a temperature are left out. Times of week are absorbed by subtracting their means (Frisch, Waugh
    and Lovell), so that a year of quarter hours is a regression on a handful of columns.
    """
    n_slots = WEEK_S // series.step_s
    slot = slots(series.times_s, series.step_s, zone, days_off)
    used = np.isfinite(series.values)
    none = np.zeros(n_slots, np.bool_)
    if temperature is None:
        rows = Design(slot, np.zeros((len(slot), 0)))
        return _solve(series, zone, days_off, rows, used, none, ())
    used &= np.isfinite(temperature)
    knots = _knots(temperature[used], series.step_s)
    occupied = _occupied(series.values, temperature, slot, used, n_slots)
    rows = Design(slot, _columns(temperature, occupied[slot], knots))
    return _solve(series, zone, days_off, rows, used, occupied, knots)


def slot_means(values: Floats, slot: Ints, n_slots: int) -> Floats:
    """Return the mean of values (n,) or (n, k) by slot: (s,) or (s, k), NaN for a slot without any."""
    count = np.bincount(slot, minlength=n_slots).astype(np.float64)
    count[count < MODEL_HOURS_PER_SLOT] = np.nan
    if values.ndim == 1:
        return np.bincount(slot, weights=values, minlength=n_slots) / count
    sums = [np.bincount(slot, weights=column, minlength=n_slots) for column in values.T]
    return np.stack(sums, axis=1) / count[:, None] if sums else np.zeros((n_slots, 0))


def _solve(
    series: Series,
    zone: ZoneInfo,
    days_off: frozenset[date],
    rows: Design,
    used: Bools,
    occupied: Bools,
    knots: tuple[float, ...],
) -> Baseline:
    n_slots = len(occupied)
    enough = np.bincount(rows.slot[used], minlength=n_slots) >= MODEL_HOURS_PER_SLOT
    used = used & enough[rows.slot]
    slot, y, z = rows.slot[used], series.values[used], rows.columns[used]
    y_means, z_means = slot_means(y, slot, n_slots), slot_means(z, slot, n_slots)
    within = z - z_means[slot]
    found = np.linalg.lstsq(within.T @ within, within.T @ (y - y_means[slot]), rcond=1e-10)[0]
    slopes = np.asarray(found, np.float64)
    level = y_means - z_means @ slopes
    residuals = np.full(len(used), np.nan)
    residuals[used] = y - level[slot] - z @ slopes
    return Baseline(series.step_s, zone, days_off, level, occupied, knots, slopes, rows, used, residuals)


def _knots(temperature: Floats, step_s: int) -> tuple[float, ...]:
    """Return the bends that have enough hours of readings between them and beyond."""
    least = FEWEST * 3600 / step_s
    kept: list[float] = []
    below = -np.inf
    for knot in KNOTS_C:
        between = ((temperature > below) & (temperature <= knot)).sum()
        if between >= least and (temperature > knot).sum() >= least:
            kept.append(knot)
            below = knot
    return tuple(kept) or (float(np.median(temperature)) if len(temperature) else 18.3,)


def _columns(temperature: Floats, occupied: Bools, knots: tuple[float, ...]) -> Floats:
    """Return temperature's components (n, 2 (knots + 1)): the part of it in each stretch between bends, by
    occupancy.
    """
    edges = np.array((-np.inf, *knots, np.inf))
    clipped = np.clip(temperature[:, None], edges[:-1], edges[1:])
    from_ = np.where(np.isfinite(edges[:-1]), edges[:-1], 0.0)
    parts = clipped - from_
    return np.concatenate((parts * occupied[:, None], parts * ~occupied[:, None]), axis=1)


def _occupied(values: Floats, temperature: Floats, slot: Ints, used: Bools, n_slots: int) -> Bools:
    """Return which times of week (s,) are occupied: those at which a model of temperature alone is mostly too low.

    Mathieu et al.: heating below 50 °F and cooling above 65 °F, and the residual above 0 in more than 65 % of the
    readings.
    """
    t = temperature[used]
    x = np.stack((np.ones(len(t)), np.minimum(t - 10.0, 0), np.maximum(t - 18.3, 0)), axis=1)
    y = values[used]
    above = y > x @ np.linalg.lstsq(x.T @ x, x.T @ y, rcond=1e-10)[0]
    share = slot_means(above.astype(np.float64), slot[used], n_slots)
    return np.nan_to_num(share) > 0.65
