"""The kernel behind `encounters`: pairs in one bucket of visits, and when they meet. Compiled on first use, cached."""

import numpy as np
from numba import njit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from hanmaru.city.lives import chance
from hanmaru.city.noise import Bools, Ints

HOUSEHOLD, NEIGHBOURS, FRIENDS, TABLE, UNIT, REST, APART = range(7)
_PAIR = 6
BOUT_S, GAP_OUT_S, GAP_HOME_S = 900.0, 300.0, 2700.0
"""Mean length of a bout of people who are together, and of the time between bouts, out (3/4 of the time face to face)
and at home (1/4 of the waking time): assumed."""
ASLEEP_FROM_H, ASLEEP_TO_H = 23, 7


@njit(cache=True)
def _sort(a: int, b: int, spot: int, relations) -> int:  # type: ignore[no-untyped-def]
    """Return how two people are related at a place: the first sort that holds."""
    household, neighbours, friends, table, unit, home, work = relations
    if home[a] == spot and home[b] == spot:
        return HOUSEHOLD if household[a] == household[b] else APART
    if work[a] == spot and work[b] == spot:
        return UNIT if unit[a] == unit[b] else REST
    if household[a] == household[b]:
        return HOUSEHOLD
    if neighbours[a] >= 0 and neighbours[a] == neighbours[b]:
        return NEIGHBOURS
    if friends[a] >= 0 and friends[a] == friends[b]:
        return FRIENDS
    if table[a] >= 0 and table[a] == table[b]:
        return TABLE
    if unit[a] >= 0 and unit[a] == unit[b]:
        return UNIT
    return REST


@njit(cache=True)
def _gamma(shape: float, seed: int, owner: int, day: int, what: int) -> float:
    """Return a gamma number of mean 1 (Marsaglia & Tsang 2000, with their power of a uniform one below shape 1)."""
    d = shape + 1.0 - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    k = what
    while True:
        u, v = chance(seed, _PAIR, owner, day, k), chance(seed, _PAIR, owner, day, k + 1)
        x = np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * v)
        w = (1.0 + c * x) ** 3
        k += 3
        if w > 0 and np.log(chance(seed, _PAIR, owner, day, k - 1)) < 0.5 * x * x + d - d * w + d * np.log(w):
            return d * w * chance(seed, _PAIR, owner, day, what + 999) ** (1.0 / shape) / shape


@njit(cache=True)
def _meet(person, spot, start, end, bucket, sort, chosen, seed, relations, mood, rows, first_out):  # type: ignore[no-untyped-def]
    home, work = relations[5], relations[6]
    out = first_out
    e = 0
    n = len(chosen)
    first = 0
    while first < len(bucket):
        last = first
        wanted = False
        while last < len(bucket) and bucket[last] == bucket[first]:
            wanted |= chosen[person[last]]
            last += 1
        if not wanted:
            first = last
            continue
        # How many others a person has beside him, on average over the time that people spend there.
        others = 0.0
        if sort >= UNIT:
            shared, spent = 0.0, 0.0
            for i in range(first, last):
                spent += end[i] - start[i]
                for j in range(i + 1, last):
                    if start[j] >= end[i]:
                        break
                    shared += 2 * (min(end[i], end[j]) - start[j])
            others = shared / spent
        for i in range(first, last):
            for j in range(i + 1, last):
                if start[j] >= end[i]:
                    break
                if not (chosen[person[i]] or chosen[person[j]]):
                    continue
                a, b, where = min(person[i], person[j]), max(person[i], person[j]), spot[i]
                if _sort(a, b, where, relations) != sort:
                    continue
                t, until = float(max(start[i], start[j])), float(min(end[i], end[j]))
                pair, began = a * n + b, start[j]
                at_home = home[a] == where and home[b] == where
                at_work = work[a] == where and work[b] == where
                together = sort < REST and not at_work
                gap, scale, shape = GAP_HOME_S if at_home else GAP_OUT_S, 0.0, 0.0
                if not together:
                    row = rows[mood[where] & 1 if sort == UNIT else 2 + (mood[where] >> 1)]
                    today = (began + 32400) // 86400
                    rate = row[0] / (others + row[1]) * _gamma(row[2], seed, pair, 0, 0)
                    rate *= _gamma(row[3], seed, pair, today, 2000)
                    gap, scale, shape = 3600.0 / max(rate, 1e-9), row[4], row[5]
                k = 5000
                while True:
                    t += -np.log(chance(seed, _PAIR, pair, began, k)) * gap
                    if t >= until:
                        break
                    u = chance(seed, _PAIR, pair, began, k + 1)
                    if together:
                        long = 60.0 - BOUT_S * np.log(u)
                    else:
                        long = 20.0 * np.ceil(scale * (u ** (-1.0 / shape) - 1.0) / 20.0)
                    stop = min(t + long, until)
                    k += 2
                    hour = (t + 32400) % 86400 / 3600
                    asleep = at_home and (hour >= ASLEEP_FROM_H or hour < ASLEEP_TO_H)
                    if stop - t >= 1 and not asleep:
                        if e == len(out):
                            more = np.empty((2 * len(out), 5), np.int64)
                            more[:e] = out
                            out = more
                        out[e, 0], out[e, 1], out[e, 2], out[e, 3], out[e, 4] = a, b, where, int(t), int(stop)
                        e += 1
                    t = stop + 20
        first = last
    return out[:e]


def meet(  # type: ignore[no-untyped-def]
    person: Ints,
    spot: Ints,
    start: Ints,
    end: Ints,
    bucket: Ints,
    sort: int,
    chosen: Bools,
    seed: int,
    relations,
    mood,
    more,
) -> tuple[Ints, ...]:
    """Return the encounters (a, b, place, start, end) of pairs whose relation is ``sort``, within buckets of visits."""
    out = _meet(
        person, spot, start, end, bucket, sort, chosen, seed, relations, mood, more[0], np.empty((1 << 16, 5), np.int64)
    )
    return tuple(out[:, k].copy() for k in range(5))
