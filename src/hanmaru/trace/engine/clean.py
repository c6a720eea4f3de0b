"""Which positions of a track cannot be, or say less than they seem to: every row keeps its flags.

A phone that stands still hops between cells (ping-pong) and is served by a far one when the near are full (load
sharing); a receiver's fix may be far off (outlier). A short excursion that comes back tells them from a trip.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# Numba brings no types.

from dataclasses import dataclass
from math import hypot

import numba
import numpy as np

from hanmaru.trace.domain import Ints, Points

PING_PONG, LOAD_SHARING, OUTLIER, DUPLICATE = 1, 2, 32, 64
DROPPED = LOAD_SHARING | OUTLIER | DUPLICATE
"""Flags of rows that say nothing of where the subject was; those of ping-pong are near it and stay."""
LONGEST = 3
"""Rows of an excursion: longer ones are trips."""
PING_PONG_S = 300
"""Time from leaving a cell to being back in it: our choice, shorter than an errand. That impossible speed and seeing a
cell again are what oscillation is known by: Wu et al. 2014, "Oscillation Resolution for Mobile Phone Cellular Tower
Data to Enable Mobility Modelling" (DECRE)."""
IMPOSSIBLE_MPS = 90.0
"""Faster than Korea's fastest train (305 km/h)."""
HURRIED_MPS = 20.0
"""Faster, there and back, than anybody moves in a city: 72 km/h beyond the errors of both positions."""


@dataclass(frozen=True, eq=False, slots=True)
class Cleaned:
    """The k ``points`` that remain, the ``row`` (k,) that each was among the n given, ``flags`` (n,) of all."""

    points: Points
    row: Ints
    flags: Ints


def clean(points: Points, cell: Ints | None = None) -> Cleaned:
    """Return n points without those that cannot be, and why; ``cell`` (n,) are ids of serving cells, -1 for none.

    A point is a duplicate if one of the same subject, time and position goes before. An outlier's or load-sharing
    row's neighbours are near each other, but it could not be reached from them and left for them in time.
    """
    flags = np.zeros(len(points), np.int64)
    cells = np.full(len(points), -1, np.int64) if cell is None else cell
    subject, t, cells = (np.require(a, np.int64, ["C", "W"]) for a in (points.subject, points.time_s, cells))
    x, y = (np.require(a, np.float64, ["C", "W"]) for a in (points.x_m, points.y_m))
    _flag(subject, t, x, y, np.nan_to_num(points.radius_m, nan=0.0), cells, flags)
    row = np.flatnonzero(flags & DROPPED == 0)
    kept = (getattr(points, name)[row] for name in Points.__slots__)
    return Cleaned(Points(*kept), row, flags)


@numba.njit(cache=True, nogil=True)
def _speed(i, j, t, x, y, radius):
    """Return the speed at which i and j can be reached from one another, of which their errors explain a part."""
    far = hypot(x[i] - x[j], y[i] - y[j]) - 2.0 * (radius[i] + radius[j])
    return max(far, 0.0) / max(abs(t[j] - t[i]), 1)


@numba.njit(cache=True, nogil=True)
def _flag(subject, t, x, y, radius, cell, flags):
    n = len(t)
    i = 1
    before = 0
    while i < n:
        if subject[i] != subject[before]:
            before = i
            i += 1
            continue
        if t[i] == t[before] and x[i] == x[before] and y[i] == y[before]:
            flags[i] |= DUPLICATE
            i += 1
            continue
        end = i  # the excursion is rows i to end - 1
        for after in range(i + 1, min(i + LONGEST, n - 1) + 1):
            if subject[after] != subject[i]:
                break
            there = _speed(before, i, t, x, y, radius)
            back = _speed(after - 1, after, t, x, y, radius)
            slower = min(there, back)
            home = _speed(before, after, t, x, y, radius) < HURRIED_MPS
            same = cell[before] >= 0 and cell[before] == cell[after] and cell[i] != cell[before]
            if home and (slower > IMPOSSIBLE_MPS or (same and slower > HURRIED_MPS)):
                end = after
                flags[i:end] |= LOAD_SHARING if cell[i] >= 0 else OUTLIER
                break
            if same and t[after] - t[before] <= PING_PONG_S:
                end = after
                flags[i:end] |= PING_PONG
                break
        if end == i:
            before = i
            i += 1
        elif flags[i] & DROPPED:
            i = end
        else:
            before = end
            i = end + 1
