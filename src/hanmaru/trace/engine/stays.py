"""Stays: where a subject was, from when to when, out of positions with error.

A subject either stays at one place or moves. `find` takes the likeliest sequence of both (a Viterbi path over "at the
place reached at point i", for every i, and "under way"), keeping only the few best hypotheses; then it places each
departure and arrival between the points by the speed of travel. Costs are negative log likelihoods in nats.
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# Numba brings no types; the kernels' arrays are described where they are made.

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from math import hypot, log, sqrt

import numba
import numpy as np

from hanmaru.trace.domain import Floats, Ints, Points, Stays
from hanmaru.trace.engine.confidence import (
    AFTER,
    APART,
    ATOMS,
    BEFORE,
    END,
    FIRST,
    LAST,
    MISFIT,
    PAUSE,
    SIGMA,
    START,
    VARIANCE,
    WIDTH,
    X,
    Y,
    confidence,
)

R68 = 1.5096
"""Radius that holds 68 % of a round Gaussian error, in standard deviations per axis: sqrt(-2 ln 0.32)."""
HYPOTHESES = 6
"""Places that are kept in mind at once; 4 lose 0.01 of F1 with cells, 32 win nothing."""
ATOM_S = 30
"""Points within this time of the first of them are merged: their errors are partly the same."""
SAMPLE = 512
LASTING = 5.0
"""What errors that last multiply the variance of a report by; fitted on the test city (layout A, seed 7)."""
BELIEVED, BELIEVED_CELL = (0.1, 6.0), (0.2, 12.0)
"""Variances in told ones, of scattered errors and of cells', within which told accuracies are believed; beyond, only
their proportions are. Fitted on agents of seed 77: errors that last have 0.3 to 0.5, cells rightly told 0.7 to 5."""
ALONE = 100_000
"""Fewer points are not shared out among threads."""
NEVER = 1e300


@dataclass(frozen=True, slots=True)
class Habits:
    """How people stay and move; defaults fitted on simulated agents of other seeds than those that are scored.

    ``stay_s`` and ``move_s`` are mean durations, ``speed_mps`` the door-to-door speed of trips, ``outlier`` the cost in
    nats of a position that has nothing to do with where the subject is, ``extent_m`` how far people stray within a
    place, per axis.
    """

    stay_s: float = 8000.0
    move_s: float = 1700.0
    speed_mps: float = 4.7
    outlier: float = 12.0
    extent_m: float = 20.0


def find(points: Points, *, min_minutes: float = 15.0, habits: Habits | None = None) -> Stays:
    """Return the stays of at least ``min_minutes`` in n points, sorted by subject, time.

    A ``radius_m`` of NaN is an unknown one and is estimated; known ones are taken up to a common factor per subject,
    which is estimated too, however far from 1. ``radius_m`` of a stay holds 68 % of the error of its centre. Subjects
    do not influence each other.
    """
    subject, kept = rows(points, 60.0 * min_minutes, habits or Habits())
    return Stays(
        subject=subject,
        start_s=np.rint(kept[:, START]).astype(np.int64),
        end_s=np.rint(kept[:, END]).astype(np.int64),
        x_m=kept[:, X].copy(),
        y_m=kept[:, Y].copy(),
        radius_m=R68 * np.sqrt(kept[:, VARIANCE]),
        confidence=confidence(kept),
        first=kept[:, FIRST].astype(np.int64),
        last=kept[:, LAST].astype(np.int64),
    )


def rows(points: Points, shortest_s: float, habits: Habits, workers: int | None = None) -> tuple[Ints, Floats]:
    """Return s stays of at least ``shortest_s`` as the kernel has them: their subjects (s,) and columns (s, WIDTH).

    Many points are shared out among ``workers`` threads, by default one for each processor.
    """
    heads = np.flatnonzero(np.r_[True, points.subject[1:] != points.subject[:-1]][: len(points)])
    bounds = np.r_[heads, len(points)].astype(np.int64)
    shortest_s = max(shortest_s, 1.0)
    lasted = points.time_s[bounds[1:] - 1] - points.time_s[heads]
    room = np.minimum(np.diff(bounds), lasted / shortest_s + 1).astype(np.int64)
    offsets = np.r_[0, np.cumsum(room)].astype(np.int64)
    found = np.empty((offsets[-1], WIDTH))
    counts = np.zeros(len(heads), np.int64)
    t = np.require(points.time_s, np.int64, ["C", "W"])  # other layouts would have the kernel compiled again
    columns = (points.x_m, points.y_m, points.radius_m)
    x, y, radius = (np.require(column, np.float64, ["C", "W"]) for column in columns)
    threads = workers or (1 if len(points) < ALONE else len(os.sched_getaffinity(0)))
    cuts = np.searchsorted(bounds, np.linspace(0, len(points), 8 * threads + 1 if threads > 1 else 2))

    def work(part: int) -> None:
        first, last = int(cuts[part]), int(cuts[part + 1])
        _find(first, last, bounds, t, x, y, radius, astuple(habits), shortest_s, offsets, found, counts)

    if threads == 1:
        work(0)
    else:  # not Numba's own threads: they survive neither a fork nor, everywhere, calls from several threads
        with ThreadPoolExecutor(threads) as pool:
            deque(pool.map(work, range(len(cuts) - 1)), maxlen=0)
    taken = np.arange(offsets[-1]) - np.repeat(offsets[:-1], room) < np.repeat(counts, room)
    return np.repeat(points.subject[heads], counts), found[taken]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _log1p(x):
    """log(1 + x), by Padé's approximant where that is within 1 %."""
    return x * (6.0 + x) / (6.0 + 4.0 * x) if x < 1.0 else log(1.0 + x)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _thin(t, x, y, radius, ax, ay, var, at, until):
    """Merge points within half a minute into atoms; their errors are partly the same. Return how many atoms."""
    m = -1
    count = 0
    for i in range(len(t)):
        if m >= 0 and t[i] - t[at[m]] < ATOM_S:
            count += 1
            ax[m] += (x[i] - ax[m]) / count
            ay[m] += (y[i] - ay[m]) / count
            var[m] += (radius[i] - var[m]) / count
        else:
            if m >= 0:
                var[m] = var[m] * var[m] / sqrt(count)
            m += 1
            count = 1
            at[m] = i
            ax[m], ay[m], var[m] = x[i], y[i], radius[i]
        until[m] = i
    if m >= 0:
        var[m] = var[m] * var[m] / sqrt(count)
    return m + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fifth(ratios, n):
    """Return the variance of a unit of which the lowest fifth of squared differences is what ``ratios`` (n,) have.

    People mostly stay, so that the lowest fifth is of atoms at one place: -2 ln 0.8 units.
    """
    return np.partition(ratios[:n], n // 5)[n // 5] / 0.4463


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scale(m, t, ax, ay, var, at, known):
    """Return what to multiply ``var`` by so that atoms of one stay look like independent errors.

    Successive atoms give the variance; if those an hour apart differ by much more, or successive ones by much less
    than is told, then errors last (a serving cell does) and an atom says little that its predecessor has not said.
    """
    soon, later = np.empty(SAMPLE), np.empty(SAMPLE)
    n = k = still = 0
    far = 0
    for i in range(0, m - 1, max(1, (m - 1) // SAMPLE)):
        if n + still >= SAMPLE:
            break
        if t[at[i + 1]] - t[at[i]] <= 1800:
            dx, dy = ax[i + 1] - ax[i], ay[i + 1] - ay[i]
            if dx == 0.0 and dy == 0.0:
                still += 1
            else:
                soon[n] = (dx * dx + dy * dy) / (var[i] + var[i + 1])
                n += 1
        far = max(far, i + 1)
        while far < m - 1 and t[at[far]] - t[at[i]] < 2700:
            far += 1
        if t[at[far]] - t[at[i]] <= 4500 and k < SAMPLE:
            dx, dy = ax[far] - ax[i], ay[far] - ay[i]
            later[k] = (dx * dx + dy * dy) / (var[i] + var[far])
            k += 1
    cells = still > 0.15 * (n + still)  # a table's positions come again and again, and errors with them
    if n < 10:
        return 900.0 if not known else 2.2 if cells else 1.0
    if cells:
        scale = 0.65 * np.partition(soon[:n], n // 4)[n // 4]
        return 2.2 if known and BELIEVED_CELL[0] < scale < BELIEVED_CELL[1] else scale
    scale = _fifth(soon, n)
    known = known and BELIEVED[0] < scale < BELIEVED[1]
    lasting = (0.75 - 1.0 / sqrt(n) - scale) / 0.2 if known else 0.0
    if k >= 10:
        later_scale = _fifth(later, k) / scale
        sign = (later_scale - 1.3 - 4.0 / sqrt(k)) / 0.35 if known else (later_scale - 1.3 - 2.5 / sqrt(k)) / 0.25
        lasting = max(lasting, sign)
    lasting = min(max(lasting, 0.0), 1.0)
    scale = max(scale, 0.25) if known else scale
    return 0.93 * scale + lasting * (LASTING * (1.0 if known else 2.5 * scale) - scale)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _segment(m, t, ax, ay, var, at, until, habits, came, moved):
    """Find the likeliest sequence of stays: of atoms came[q] to moved[q], both included, from the row it returns."""
    stay_s, move_s, speed, outlier, _ = habits
    cost = np.empty(HYPOTHESES)
    cx = np.empty(HYPOTHESES)
    cy = np.empty(HYPOTHESES)
    v = np.empty(HYPOTHESES)
    start = np.empty(HYPOTHESES, np.int64)
    k = 1
    cost[0], cx[0], cy[0], v[0], start[0] = 0.0, ax[0], ay[0], var[0], 0
    moving = 1.0
    came[0], moved[0] = -2, -2
    log_stay, log_move = log(stay_s), log(move_s)
    for i in range(1, m):
        dt = max(1.0, float(t[at[i]] - t[until[i - 1]]))
        log_dt = log(dt)
        go_on = _log1p(dt / stay_s)
        leave = go_on + log_stay - log_dt
        keep_moving = _log1p(dt / move_s)
        arrive = keep_moving + log_move - log_dt
        s2 = var[i]
        log_s2 = log(s2)
        reach = speed * dt
        reach *= reach
        dx, dy = ax[i] - ax[i - 1], ay[i] - ay[i - 1]
        spread = s2 + var[i - 1] + reach
        step = 1.5 * log(spread + dx * dx + dy * dy) - 0.5 * log(spread)
        on, on_from = moving + keep_moving + step, -1
        new, new_from = moving + arrive + step, -1
        least = log(s2 + reach)
        best = NEVER
        for j in range(k):
            dx, dy = ax[i] - cx[j], ay[i] - cy[j]
            d2 = dx * dx + dy * dy
            base = cost[j] + leave
            if base + least < on or base + least < new:
                spread = s2 + v[j] + reach
                step = 1.5 * log(spread + d2) - 0.5 * log(spread)
                if base + step < on:
                    on, on_from = base + step, start[j]
                if base + step < new:
                    new, new_from = base + step, start[j]
            total = s2 + v[j]
            misfit = 0.5 * d2 / total
            if misfit < outlier:
                gain = v[j] / total
                cost[j] += log_s2 + _log1p(v[j] / s2) + misfit + go_on
                cx[j] += gain * dx
                cy[j] += gain * dy
                v[j] -= gain * v[j]
            else:
                cost[j] += log_s2 + outlier + go_on
            if cost[j] < best:
                best = cost[j]
        came[i], moved[i], moving = new_from, on_from, on
        best = min(best, on, new)
        keep = 0
        for j in range(k):
            if cost[j] < best + 15.0:
                if keep != j:
                    cost[keep], cx[keep], cy[keep], v[keep], start[keep] = cost[j], cx[j], cy[j], v[j], start[j]
                keep += 1
        k = keep
        if k == HYPOTHESES:  # the worst of the older ones goes; the newest have not yet had time to win
            worst = 0
            for j in range(1, HYPOTHESES - 3):
                if cost[j] > cost[worst]:
                    worst = j
            for j in range(worst, k - 1):
                cost[j], cx[j], cy[j], v[j], start[j] = cost[j + 1], cx[j + 1], cy[j + 1], v[j + 1], start[j + 1]
            k -= 1
        cost[k], cx[k], cy[k], v[k], start[k] = new, ax[i], ay[i], s2, i
        k += 1
    last = -1
    lowest = moving
    for j in range(k):
        if cost[j] < lowest:
            lowest, last = cost[j], start[j]
    i, row = m - 1, m
    while i >= 0:
        before = came[last] if last >= 0 else moved[i]
        if last >= 0:
            row -= 1  # row >= last: what is still to be read lies below
            came[row], moved[row] = last, i
            i = last
        i -= 1
        last = before
    return row


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _centre(first, last, ax, ay, var, outlier):
    """Return the robust mean of atoms first to last: x, y, its variance, and the mean squared misfit."""
    half = (last - first) // 2
    cx = np.partition(ax[first : last + 1], half)[half]
    cy = np.partition(ay[first : last + 1], half)[half]
    weight = 0.0
    misfit = 0.0
    for _ in range(2):
        sx = sy = weight = misfit = 0.0
        for i in range(first, last + 1):
            dx, dy = ax[i] - cx, ay[i] - cy
            z = 0.5 * (dx * dx + dy * dy) / var[i]
            w = 1.0 / var[i] if z < 4.0 else 4.0 / (z * var[i])
            sx += w * dx
            sy += w * dy
            weight += w
            misfit += min(z, outlier)
        cx += sx / weight
        cy += sy / weight
    return cx, cy, 1.0 / weight, misfit / (last + 1 - first)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trip(lo, hi, x0, y0, x1, y1, first, last, t, ax, ay, var, at, until):
    """Return when a trip between two places began and ended, within lo and hi: atoms first to last are under way.

    Position along the straight line grows evenly with time; how fast is fitted to the atoms, weighed against what a
    trip of that length usually takes: 1 m/s on foot, or 5 minutes and 6.5 m/s by vehicle.
    """
    dx, dy = x1 - x0, y1 - y0
    length = max(hypot(dx, dy), 1.0)
    usual = min(length, 300.0 + length / 6.5)
    if last < first:
        usual = min(usual, hi - lo)
        return 0.5 * (lo + hi - usual), 0.5 * (lo + hi + usual)
    n = last + 1 - first
    mean_u = mean_t = 0.0
    for i in range(first, last + 1):
        u = min(max(((ax[i] - x0) * dx + (ay[i] - y0) * dy) / (length * length), 0.0), 1.0)
        mean_u += u / n
        mean_t += 0.5 * (t[at[i]] + t[until[i]]) / n
    uu = tu = 0.0
    for i in range(first, last + 1):
        u = min(max(((ax[i] - x0) * dx + (ay[i] - y0) * dy) / (length * length), 0.0), 1.0) - mean_u
        uu += u * u
        tu += u * (0.5 * (t[at[i]] + t[until[i]]) - mean_t)
    lasted = (tu + 0.1 * usual) / (uu + 0.1)
    began = mean_t - lasted * mean_u
    began = min(max(began, lo), float(t[at[first]]))
    return began, max(min(began + lasted, hi), float(t[until[last]]))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subject(t, x, y, radius, habits, shortest_s, offset, found):
    """Find the stays of one subject; write the long ones to found, return how many."""
    outlier, extent = habits[3], habits[4]
    n = len(t)
    total, told = 0.0, 0
    for i in range(n):
        if radius[i] == radius[i]:
            total += radius[i]
            told += 1
    near = 0.25 * extent * extent if told else 0.0  # first: fixes told to 10 m differ by how far people stray too
    usual = total / told / R68 if told else 1.0
    sigma = np.empty(n)
    for i in range(n):
        sigma[i] = max(radius[i] / R68, 1.0) if radius[i] == radius[i] else usual
    ax, ay, var = np.empty(n), np.empty(n), np.empty(n)
    at, until, came, moved = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    m = _thin(t, x, y, sigma, ax, ay, var, at, until)
    var[:m] += near
    scale = _scale(m, t, ax, ay, var, at, told > 0)
    for i in range(m):
        var[i] = max((var[i] - near) * scale + extent * extent, var[i] * scale)
    row = _segment(m, t, ax, ay, var, at, until, habits, came, moved)
    count = 0
    began = float(t[0])
    pcx = pcy = pv = 0.0
    nx = ny = nv = nfit = 0.0
    for q in range(row, m):
        first, last = came[q], moved[q]
        if q == row:
            cx, cy, v, fit = _centre(first, last, ax, ay, var, outlier)
            began = float(t[at[first]])
        else:
            cx, cy, v, fit = nx, ny, nv, nfit
        before = float(t[at[first]] - t[until[first - 1]]) if first > 0 else 0.0
        after = float(t[at[last + 1]] - t[until[last]]) if last + 1 < m else 0.0
        ended = float(t[until[last]])
        apart = NEVER
        if q > row:
            apart = hypot(cx - pcx, cy - pcy) / sqrt(v + pv)
        next_began = ended
        if q + 1 < m:
            nx, ny, nv, nfit = _centre(came[q + 1], moved[q + 1], ax, ay, var, outlier)
            apart = min(apart, hypot(cx - nx, cy - ny) / sqrt(v + nv))
            ended, next_began = _trip(
                ended, float(t[at[came[q + 1]]]), cx, cy, nx, ny, last + 1, came[q + 1] - 1, t, ax, ay, var, at, until
            )
        if ended - began >= shortest_s and count < len(found):
            pause = 0.0
            spread = 0.0
            for i in range(first, last + 1):
                spread += sqrt(var[i])
                if i > first:
                    pause = max(pause, float(t[at[i]] - t[until[i - 1]]))
            out = found[count]
            out[START], out[END], out[X], out[Y], out[VARIANCE] = began, ended, cx, cy, v
            out[FIRST], out[LAST] = offset + at[first], offset + until[last] + 1
            out[ATOMS], out[BEFORE], out[AFTER], out[APART] = last + 1 - first, before, after, min(apart, 1e3)
            out[PAUSE], out[MISFIT], out[SIGMA] = pause, fit, spread / (last + 1 - first)
            count += 1
        pcx, pcy, pv = cx, cy, v
        began = next_began
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _find(first, last, bounds, t, x, y, radius, habits, shortest_s, offsets, found, counts):
    for s in range(first, last):
        a, b = bounds[s], bounds[s + 1]
        rows = found[offsets[s] : offsets[s + 1]]
        counts[s] = _subject(t[a:b], x[a:b], y[a:b], radius[a:b], habits, shortest_s, a, rows)
