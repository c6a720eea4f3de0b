"""The way between stays, with its uncertainty: Brownian bridges between what was observed.

Between two observations a person is somewhere about the straight line; how far off follows from a diffusion *q*: at a
share *a* of an interval of *T* seconds the variance per axis is ``q T a (1 - a)`` beside the ends' own errors (Horne et
al. 2007, Analyzing animal movements using Brownian bridges, Ecology 88: 2354-2363). A Kalman filter and the
Rauch-Tung-Striebel smoother (1965) do this for a whole move at once, each observation with its error.
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# pyright: reportMissingTypeStubs=false
# Numba and SciPy bring no types; the kernels' arrays are described where they are made.

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.trace.domain import Bools, Floats, Ints
from hanmaru.trace.engine.places import R68

DIFFUSION = 300.0
"""Diffusion of a move where too little was observed to fit it, m²/s: half way through six minutes between two phone
events, 164 m per axis: a walk, or a ride that leaves the straight line by a few streets."""
SPREAD = 5.0
_LEAST, _MOST = 10.0, 30_000.0
STEP_S = 60
"""Path vertices are at most this far apart in time, in moves of up to `VERTICES` of them."""
VERTICES = 240
GAP_S = 7200
"""A silence longer than this is a gap: an idle phone that is on reports every 54 minutes (3GPP TS 24.008, timer T3412,
default), so that two reports are missing."""


@dataclass(frozen=True, eq=False, slots=True)
class Moves:
    """m moves: ``start_s``, ``end_s`` (m,), ``gap`` (m,) where a silence (`silent`) touches them; their paths are the
    vertices ``first`` to ``last`` (m,; half open) of ``time_s``, ``x_m``, ``y_m``, ``radius_m`` (v,).
    """

    start_s: Ints
    end_s: Ints
    gap: Bools
    first: Ints
    last: Ints
    time_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats

    def __len__(self) -> int:
        """Return how many moves there are."""
        return len(self.start_s)


def between(
    start_s: Ints, end_s: Ints, x_m: Floats, y_m: Floats, radius_m: Floats, seen: tuple[Ints, Floats, Floats, Floats]
) -> Moves:
    """Return the moves between one person's s stays, sorted and not overlapping, arguments of shape (s,).

    ``seen`` are n observations on the way, sorted: seconds, x, y, radius, (n,) each; those during stays are passed
    over. Two stays that touch have no move between them.
    """
    seen_s, seen_x, seen_y, seen_r = seen
    spans = [(i, int(end_s[i]), int(start_s[i + 1])) for i in range(len(start_s) - 1) if start_s[i + 1] > end_s[i]]
    knots: list[tuple[Ints, Floats, Floats, Floats]] = []
    for i, left, right in spans:
        a, b = np.searchsorted(seen_s, [left + 1, right])
        r = np.concatenate(([radius_m[i]], seen_r[a:b], [radius_m[i + 1]]))
        knots.append(
            (
                np.concatenate(([left], seen_s[a:b], [right])),
                np.concatenate(([x_m[i]], seen_x[a:b], [x_m[i + 1]])),
                np.concatenate(([y_m[i]], seen_y[a:b], [y_m[i + 1]])),
                (np.maximum(r, 1.0) / R68) ** 2,
            )
        )
    q = diffusion(knots)
    paths = [_path(*knot, q) for knot in knots]
    last = np.cumsum([len(path[0]) for path in paths], dtype=np.int64) if paths else np.zeros(0, np.int64)

    none = np.zeros(0)
    return Moves(
        start_s=np.array([left for _, left, _ in spans], np.int64),
        end_s=np.array([right for _, _, right in spans], np.int64),
        gap=np.array([silent(seen_s, left, right) for _, left, right in spans], np.bool_),
        first=np.concatenate(([0], last[:-1])).astype(np.int64) if paths else last,
        last=last,
        time_s=np.concatenate([np.zeros(0, np.int64), *(path[0] for path in paths)]),
        x_m=np.concatenate([none, *(path[1] for path in paths)]),
        y_m=np.concatenate([none, *(path[2] for path in paths)]),
        radius_m=np.concatenate([none, *(path[3] for path in paths)]),
    )


def silent(seen_s: Ints, start_s: int, end_s: int) -> bool:
    """Return whether nothing was observed for longer than `GAP_S` on end, part of it from ``start_s`` to ``end_s``.

    ``seen_s`` (n,) are all observations of the person, sorted.
    """
    a, b = int(np.searchsorted(seen_s, start_s, side="right")), int(np.searchsorted(seen_s, end_s))
    around = np.concatenate((seen_s[max(a - 1, 0) : a] if a else [start_s], seen_s[a:b], seen_s[b : b + 1]))
    around = around if b < len(seen_s) else np.append(around, end_s)
    return bool(len(around) > 1 and np.diff(around).max() > GAP_S)


def diffusion(knots: list[tuple[Ints, Floats, Floats, Floats]]) -> float:
    """Return the diffusion, m²/s, under which leaving out each observation of the moves is best made good (Horne).

    A knot is (seconds, x, y, variance per axis) of a move. The prior is log-normal about `DIFFUSION`, within a factor
    of `SPREAD`, so that few observations leave it nearly as it is.
    """
    off: list[Floats] = []
    grows: list[Floats] = []
    known: list[Floats] = []
    for t, x, y, v in knots:
        if len(t) < 3:
            continue
        before, after = np.diff(t)[:-1].astype(np.float64), np.diff(t)[1:].astype(np.float64)
        whole = np.maximum(before + after, 1.0)
        a = before / whole
        off.append((x[1:-1] - (1 - a) * x[:-2] - a * x[2:]) ** 2 + (y[1:-1] - (1 - a) * y[:-2] - a * y[2:]) ** 2)
        grows.append(before * after / whole)
        known.append(v[1:-1] + (1 - a) ** 2 * v[:-2] + a**2 * v[2:])
    if not off:
        return DIFFUSION
    squared, grow, error = np.concatenate(off), np.concatenate(grows), np.concatenate(known)
    tried = np.geomspace(_LEAST, _MOST, 60)
    variance = tried[:, None] * grow + error
    loss = (np.log(variance) + squared / (2 * variance)).sum(axis=1) + 0.5 * (
        np.log(tried / DIFFUSION) / math.log(SPREAD)
    ) ** 2
    return float(tried[int(np.argmin(loss))])


def _path(t: Ints, x: Floats, y: Floats, variance: Floats, q: float) -> tuple[Ints, Floats, Floats, Floats]:
    """Return a move's vertices: the smoothed knots, and bridges between them in steps."""
    step = max(STEP_S, math.ceil((t[-1] - t[0]) / VERTICES))
    times = np.unique(np.concatenate((t, np.arange(t[0], t[-1], step))))
    at = np.searchsorted(times, t)
    seen_x, seen_y, seen_v = np.zeros(len(times)), np.zeros(len(times)), np.full(len(times), np.inf)
    # Observations of one second are joined by their precision.
    weight = np.zeros(len(times))
    np.add.at(weight, at, 1 / variance)
    np.add.at(seen_x, at, x / variance)
    np.add.at(seen_y, at, y / variance)
    there = weight > 0
    seen_x[there] /= weight[there]
    seen_y[there] /= weight[there]
    seen_v[there] = 1 / weight[there]
    sx, sy, sv = _smooth(times, seen_x, seen_y, seen_v, q)
    return times, sx, sy, R68 * np.sqrt(sv)


@njit(cache=True, nogil=True)
def _smooth(time_s: Ints, x: Floats, y: Floats, variance: Floats, q: float) -> tuple[Floats, Floats, Floats]:
    """Return smoothed x, y, variance per axis of a Brownian motion; an infinite variance is no observation."""
    n = len(time_s)
    fx, fy, fv = np.empty(n), np.empty(n), np.empty(n)
    px, py, pv = x[0], y[0], 1e12
    for i in range(n):
        if i > 0:
            pv = fv[i - 1] + q * (time_s[i] - time_s[i - 1])
        if math.isinf(variance[i]):
            fx[i], fy[i], fv[i] = px, py, pv
        else:
            gain = pv / (pv + variance[i])
            fx[i] = px + gain * (x[i] - px)
            fy[i] = py + gain * (y[i] - py)
            fv[i] = (1 - gain) * pv
        px, py = fx[i], fy[i]
    for i in range(n - 2, -1, -1):
        ahead = fv[i] + q * (time_s[i + 1] - time_s[i])
        gain = fv[i] / ahead if ahead > 0 else 1.0
        new = fv[i] + gain * gain * (fv[i + 1] - ahead)
        fx[i] += gain * (fx[i + 1] - fx[i])
        fy[i] += gain * (fy[i + 1] - fy[i])
        fv[i] = max(new, 0.0)
    return fx, fy, fv
