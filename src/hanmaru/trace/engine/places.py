"""Which place a stay was at: probabilities over a catalogue of places and one place that nobody listed.

Bayes' rule, for a stay observed at *z* with standard deviation σ per axis, that began in hour *h* and lasted *d*::

    P(place | z, h, d)  ∝  weight(kind) · open(kind, h) · f(d | kind) · N(z; place, σ² + place radius²)

*f* is a log-normal density of dwell times. The unlisted place has the weight of ``UNLISTED`` times the listed ones
within reach, spread evenly over that circle, and a dwell time of either a home's or an errand's length, so that the
probabilities of a stay sum to 1. What weighs how much is the caller's table (`evidence.catalogue`).
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# pyright: reportMissingTypeStubs=false
# Numba and SciPy bring no types; the kernels' arrays are described where they are made.

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.trace.domain import Floats, Ints

R68 = math.sqrt(-2 * math.log(0.32))
"""Radius that holds 68 % of a two-dimensional normal error, in its standard deviations per axis (Rayleigh quantile)."""
REACH = 3.5
"""Places farther than this many standard deviations (and their own radius) are not considered: they hold 0.2 %."""
KEPT = 6
"""Places kept of each stay; the others' probability goes to the unlisted place."""
UNLISTED = 0.25
"""Weight of unlisted places (homes of others, open air) against the listed ones around; a judgement, not a fit."""
_GRID_M, _GRID_CELLS = 200.0, 1 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Catalogue:
    """p places: ``x_m``, ``y_m``, ``radius_m``, ``kind`` (an index into the rows of the tables below), ``owner`` (p,).

    A place with an ``owner`` (a subject; else -1) is a candidate of that subject alone: a home, a workplace; its weight
    counts against all others around together. ``weight`` (k,) says how often a place of a kind is stayed at, ``open``
    (k, 24) the share of that by local hour at which a stay begins, relative to the mean; ``dwell_min`` (k,) and
    ``spread`` (k,) are the median and the standard deviation of the logarithm of dwell times.
    """

    x_m: Floats
    y_m: Floats
    radius_m: Floats
    kind: Ints
    owner: Ints
    weight: Floats
    open: Floats
    dwell_min: Floats
    spread: Floats

    def __len__(self) -> int:
        """Return how many places there are."""
        return len(self.x_m)

    def long_s(self) -> Floats:
        """Return the 95 % quantile (p,) of the dwell time at each place, seconds."""
        return 60 * (self.dwell_min * np.exp(1.645 * self.spread))[self.kind]


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """The places of s stays: ``place`` (s, KEPT), likeliest first, -1 beyond the last; ``probability`` (s, KEPT);
    ``unknown`` (s,), what is left for none of them.
    """

    place: Ints
    probability: Floats
    unknown: Floats


def weigh(
    catalogue: Catalogue, subject: Ints, x_m: Floats, y_m: Floats, radius_m: Floats, hour: Ints, minutes: Floats
) -> Placed:
    """Return the probabilities of places for s stays, all arguments after the catalogue of shape (s,).

    ``hour`` is the local hour 0-23 in which the stay began, ``minutes`` how long it lasted, ``radius_m`` holds 68 % of
    its position's error.
    """
    n = len(subject)
    if not len(catalogue) or not n:
        return Placed(np.full((n, KEPT), -1, np.int64), np.zeros((n, KEPT)), np.ones(n))
    size = _GRID_M
    west, south = float(catalogue.x_m.min()), float(catalogue.y_m.min())
    width, height = float(catalogue.x_m.max()) - west, float(catalogue.y_m.max()) - south
    while (width // size + 1) * (height // size + 1) > _GRID_CELLS:
        size *= 2
    columns, rows = int(width // size) + 1, int(height // size) + 1
    cell = ((catalogue.y_m - south) // size).astype(np.int64) * columns + ((catalogue.x_m - west) // size).astype(
        np.int64
    )
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(columns * rows + 1))
    place, probability, unknown = _weigh(
        subject,
        x_m,
        y_m,
        np.maximum(radius_m, 1.0) / R68,
        hour,
        np.log(np.maximum(minutes, 1.0)),
        catalogue.x_m,
        catalogue.y_m,
        catalogue.radius_m,
        catalogue.kind,
        catalogue.owner,
        catalogue.weight,
        catalogue.open,
        np.log(catalogue.dwell_min),
        catalogue.spread,
        order,
        starts,
        np.array([west, south, size, float(catalogue.radius_m.max())]),
        columns,
        rows,
    )
    return Placed(place, probability, unknown)


@njit(cache=True, nogil=True)
def _weigh(
    subject, x, y, sigma, hour, log_minutes, px, py, pr, kind, owner, weight, opening, log_dwell, spread, order, starts,
    grid, columns, rows,
):  # fmt: skip
    n = len(x)
    place = np.full((n, KEPT), -1, np.int64)
    probability = np.zeros((n, KEPT))
    unknown = np.ones(n)
    west, south, size, widest = grid[0], grid[1], grid[2], grid[3]
    root = math.sqrt(2 * math.pi)
    for i in range(n):
        reach = REACH * sigma[i] + widest
        left = max(0, int((x[i] - reach - west) // size))
        right = min(columns - 1, int((x[i] + reach - west) // size))
        bottom = max(0, int((y[i] - reach - south) // size))
        top = min(rows - 1, int((y[i] + reach - south) // size))
        total, around = 0.0, 0.0
        for own in (False, True):  # what is around has to be known before one's own places are weighed against it
            for row in range(bottom, top + 1):
                if left > right:
                    continue
                for slot in range(starts[row * columns + left], starts[row * columns + right + 1]):
                    p = order[slot]
                    if owner[p] != (subject[i] if own else -1):
                        continue
                    apart = (x[i] - px[p]) ** 2 + (y[i] - py[p]) ** 2
                    if apart > (REACH * sigma[i] + pr[p]) ** 2:
                        continue
                    k = kind[p]
                    variance = sigma[i] * sigma[i] + 0.25 * pr[p] * pr[p]
                    z = (log_minutes[i] - log_dwell[k]) / spread[k]
                    w = weight[k] * opening[k, hour[i]] * math.exp(-0.5 * z * z) / (spread[k] * root)
                    w *= math.exp(-0.5 * apart / variance) / (2 * math.pi * variance)
                    if own:
                        w *= max(around, 1.0)
                    else:
                        around += weight[k]
                    total += w
                    j = KEPT
                    while j > 0 and w > probability[i, j - 1]:
                        j -= 1
                    if j < KEPT:
                        for m in range(KEPT - 1, j, -1):
                            probability[i, m] = probability[i, m - 1]
                            place[i, m] = place[i, m - 1]
                        probability[i, j] = w
                        place[i, j] = p
        long_stay = (log_minutes[i] - math.log(480.0)) / 0.5
        errand = log_minutes[i] - math.log(60.0)
        dwell = 0.5 * (math.exp(-0.5 * long_stay * long_stay) / 0.5 + math.exp(-0.5 * errand * errand)) / root
        total += UNLISTED * max(around, 1.0) * dwell / (math.pi * (REACH * sigma[i]) ** 2)
        for j in range(KEPT):
            probability[i, j] /= total
            unknown[i] -= probability[i, j]
        unknown[i] = max(unknown[i], 0.0)
    return place, probability, unknown
