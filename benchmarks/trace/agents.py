"""Agents whose stays are known, seen with error: what the stay engine is fitted on and scored with, seeds apart.

They sleep at home, work, run errands near and far and walk or drive between; days and distances vary in the ranges of
household travel surveys, not after one city. Positions in metres, times in seconds from 0.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from hanmaru.trace.domain import Bools, Floats, Ints, Points, Stays
from hanmaru.trace.engine.stays import R68

DAY_S = 86400
MEAN = 1.2533
"""Mean of a round Gaussian error, in standard deviations per axis: sqrt(pi / 2)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How agents are seen: ``error_m`` is the mean error, or the deviation per axis where ``per_axis``.

    ``noise``: gauss, heavy (a tenth of errors four times as wide), t3 (Student's t), cells (the mast heard best).
    ``gaps``: poisson, bursty (log-normal), diurnal (a quarter as many at night). ``near`` is the share of errands
    within 200 to 800 m, ``known`` whether the error is told; with ``every_s``, a receiver's fix every so many seconds.
    """

    error_m: float = 100.0
    per_axis: bool = False
    noise: str = "gauss"
    gaps: str = "poisson"
    near: float = 0.3
    known: bool = True
    per_day: float = 228.0
    every_s: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Truth:
    """Stays that agents made, sorted: ``subject``, ``start_s``, ``end_s``, ``x_m``, ``y_m`` (k,)."""

    subject: Ints
    start_s: Floats
    end_s: Floats
    x_m: Floats
    y_m: Floats


class Agent:
    """One agent's days: ``stays`` (start, end, x, y) and the knots of the path, ``knot_s`` and ``knots``."""

    def __init__(self, rng: np.random.Generator, days: int, near: float) -> None:
        self.rng, self.near = rng, near
        self.t, self.home = 0.0, 8000.0 * np.sqrt(rng.uniform()) * self._direction()
        self.at = self.home
        self.stays: list[tuple[float, float, float, float]] = []
        self.knot_s, self.knots = [0.0], [self.home]
        work = self.home + np.exp(rng.normal(np.log(4000.0), 0.8)) * self._direction()
        works, self.pace = rng.random() < 0.75, rng.uniform(0.8, 1.1)
        for day in range(days):
            self._stay(max(self.t + 1200, day * DAY_S + 3600 * rng.uniform(6.5, 9.5)))
            errands = rng.poisson(3.0)
            if works and day % 7 < 5:
                self._working_day(work, errands)
            else:
                self._free_day(max(errands, 1))
            self._go(self.home)
        self._stay(max(self.t + 3600, days * DAY_S))

    def _direction(self) -> Floats:
        angle = self.rng.uniform(0, 2 * np.pi)
        return np.array([np.cos(angle), np.sin(angle)])

    def _working_day(self, work: Floats, errands: int) -> None:
        before = self.rng.binomial(errands, 0.15)
        for _ in range(before):
            self._errand()
        self._go(work)
        self._stay(self.t + 3600 * self.rng.uniform(2.5, 5))
        if self.rng.random() < 0.6:
            self._errand()
            self._go(work)
            self._stay(self.t + 3600 * self.rng.uniform(2.5, 4.5))
        for _ in range(errands - before):
            self._errand()

    def _free_day(self, errands: int) -> None:
        for i in range(errands):
            self._errand()
            if i + 1 < errands and self.rng.random() < 0.4:
                self._go(self.home)
                self._stay(self.t + 3600 * self.rng.uniform(0.3, 2.5))

    def _errand(self) -> None:
        """Go somewhere for 4 to 15 minutes (a quarter), 15 to 40 (near half) or 40 to 150."""
        rng = self.rng
        far = rng.uniform(200, 800) if rng.random() < self.near else np.exp(rng.normal(np.log(2000.0), 0.6))
        self._go(self.at + far * self._direction())
        low, high = (4, 15) if rng.random() < 0.25 else (15, 40) if rng.random() < 0.6 else (40, 150)
        self._stay(self.t + 60 * rng.uniform(low, high))

    def _stay(self, until: float) -> None:
        self.stays.append((self.t, until, *self.at.tolist()))
        self.t = until
        self.knot_s.append(until)
        self.knots.append(self.at)

    def _go(self, to: Floats) -> None:
        """Walk below a kilometre, else drive, along a crooked path."""
        rng = self.rng
        far = float(np.hypot(*(to - self.at)))
        walks = far < 1000
        speed, detour = rng.uniform(1.0, 1.5) if walks else rng.uniform(5, 13) * self.pace, rng.uniform(1.1, 1.45)
        n = max(2, int(far // 500) + 1)
        path = self.at + np.linspace(0, 1, n + 1)[:, None] * (to - self.at)
        path[1:-1] += rng.normal(0, 0.15 * far / np.sqrt(n), (n - 1, 2))
        legs = np.hypot(*np.diff(path, axis=0).T)
        takes = np.cumsum(legs) / legs.sum() * max(legs.sum(), far * detour) / speed
        self.knot_s += (self.t + takes).tolist()
        self.knots += list(path[1:])
        self.t, self.at = self.knot_s[-1], to


def simulate(seed: int, subjects: int, days: int, setting: Setting) -> tuple[Points, Truth, Ints]:
    """Return what is seen of agents (n points), what they did and the cell of each point, (n,), -1 without cells."""
    seen: list[tuple[Ints, Floats, Floats, Ints]] = []
    truth: list[tuple[float, ...]] = []
    sigma = setting.error_m if setting.per_axis else setting.error_m / MEAN
    for subject in range(subjects):
        rng = np.random.default_rng([seed, subject])
        agent = Agent(rng, days, setting.near)
        truth += [(subject, *stay) for stay in agent.stays]
        t = _times(rng, agent.t, setting)
        for day in range(days):  # on a tenth of days the phone is off for 1 to 4 hours
            if rng.random() < 0.1:
                off = day * DAY_S + rng.uniform(0, DAY_S)
                t = t[(t < off) | (t > off + rng.uniform(1, 4) * 3600)]
        x, y = (np.interp(t, agent.knot_s, column) for column in np.array(agent.knots).T)
        seen.append((t, *_seen(rng, x, y, sigma, setting.noise)))
    t, x, y, cell = (np.concatenate(column) for column in zip(*seen, strict=True))
    subject = np.repeat(np.arange(subjects), [len(one[0]) for one in seen])
    radius = np.full(len(t), sigma * R68 if setting.known else np.nan)
    columns = np.array(truth).T
    return Points(subject, t, x, y, radius), Truth(columns[0].astype(np.int64), *columns[1:]), cell


def _times(rng: np.random.Generator, until: float, setting: Setting) -> Ints:
    if setting.every_s:
        return np.arange(0, until, setting.every_s).astype(np.int64)
    n = int(rng.poisson(setting.per_day * until / DAY_S))
    if setting.gaps == "bursty":
        gaps = np.exp(rng.normal(0, 1.2, n))
        t = np.cumsum(gaps) / gaps.sum() * until
    else:
        t = rng.uniform(0, until, 4 * n)
        if setting.gaps == "diurnal":
            t = t[rng.random(len(t)) < np.where(t % DAY_S < 7 * 3600, 0.25, 1.0)]
        t = t[:n]
    return np.unique(np.clip(t, 0, until - 1).astype(np.int64))


def _seen(rng: np.random.Generator, x: Floats, y: Floats, sigma: float, noise: str) -> tuple[Floats, Floats, Ints]:
    n = len(x)
    if noise == "cells":
        return _masts(rng, x, y, sigma * MEAN / 0.45)
    wide = np.ones(n)
    if noise == "heavy":
        wide = np.where(rng.random(n) < 0.1, 4.0, 1.0) / 1.3
    elif noise == "t3":
        wide = 1.0 / np.sqrt(rng.chisquare(3, n) / 3) / 1.25
    return x + rng.normal(0, sigma, n) * wide, y + rng.normal(0, sigma, n) * wide, np.full(n, -1)


def _masts(rng: np.random.Generator, x: Floats, y: Floats, spacing_m: float) -> tuple[Floats, Floats, Ints]:
    """Return the mast that each position hears best: of a jittered grid, with fading, loth to change."""
    out = np.empty((len(x), 2))
    cell = np.empty(len(x), np.int64)
    for i in range(len(x)):
        best = np.inf
        for k in range(9):
            gx, gy = int(x[i] // spacing_m) + k // 3 - 1, int(y[i] // spacing_m) + k % 3 - 1
            mixed = (gx * 73856093 ^ gy * 19349663) & 0xFFFF
            mast = (gx + 0.2 + 0.6 * (mixed & 255) / 255) * spacing_m, (gy + 0.2 + 0.6 * (mixed >> 8) / 255) * spacing_m
            far = np.hypot(mast[0] - x[i], mast[1] - y[i]) * np.exp(rng.normal(0, 0.25))
            id_ = (gx + 10_000) * 100_000 + gy + 10_000
            if i and id_ == cell[i - 1]:
                far *= 0.75
            if far < best:
                best, chosen, chosen_id = far, mast, id_
        out[i], cell[i] = chosen, chosen_id
    return out[:, 0], out[:, 1], cell


def matches(truth: Truth, found: Stays, min_s: float = 900.0) -> tuple[Bools, int]:
    """Return which found stays match a true one of at least ``min_s``, and how many of those there are.

    Matched one to one by decreasing intersection over union of their times, at least 0.5.
    """
    by: dict[int, list[int]] = defaultdict(list)
    for i, subject in enumerate(found.subject.tolist()):
        by[subject].append(i)
    wanted = np.flatnonzero(truth.end_s - truth.start_s >= min_s)
    overlaps: list[tuple[float, int, int]] = []
    for j in wanted.tolist():
        start, end = truth.start_s[j], truth.end_s[j]
        for i in by[int(truth.subject[j])]:
            both = min(found.end_s[i], end) - max(found.start_s[i], start)
            share = both / (max(found.end_s[i], end) - min(found.start_s[i], start))
            if share >= 0.5:
                overlaps.append((share, i, j))
    matched = np.zeros(len(found), np.bool_)
    taken: set[int] = set()
    for _, i, j in sorted(overlaps, reverse=True):
        if not matched[i] and j not in taken:
            matched[i] = True
            taken.add(j)
    return matched, len(wanted)


def f1(truth: Truth, found: Stays) -> float:
    """Return the F1 of found stays of at least 15 minutes."""
    matched, wanted = matches(truth, found)
    return float(2 * matched.sum() / max(len(found) + wanted, 1))
