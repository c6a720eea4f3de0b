"""The kernel behind `encounters`: pairs in one bucket of visits, and when they meet. Compiled on first use, cached."""

from typing import NamedTuple, cast

import numpy as np

from hanmaru.city.kernels import draw, kernel, stream
from hanmaru.city.lives import Facts, Person
from hanmaru.city.noise import Bools, Floats, Ints

HOUSEHOLD, NEIGHBOURS, FRIENDS, TABLE, UNIT, REST, APART = range(7)
"""How two people are related at a place; ``APART`` are neighbours in one house."""
_PAIR, _PAIR_DAY, _MEETING = 20, 21, 22
BOUT_S, GAP_OUT_S, GAP_HOME_S = 900.0, 300.0, 2700.0
"""Mean length of a bout of people who are together, and mean time between bouts: out (face to face 3/4 of the time) and
at home (1/4 of the waking time). Assumed; the published networks were measured at work, at meetings and at school."""
ASLEEP_FROM_H, AWAKE_FROM_H = 23.0, 7.0
DEAD_S = 20.0
"""Least time between two meetings of one pair, the resolution of the measured networks."""


class Presence(NamedTuple):
    """v visits sorted by ``bucket``, start (v,): who is where from when to when, the ``party`` in which he is there
    (household, or the one he visits), the day's number and its midnight in Unix seconds.
    """

    person: Ints
    place: Ints
    start: Ints
    end: Ints
    party: Ints
    day: Ints
    midnight: Ints
    bucket: Ints


@kernel
def _relation(a: Person, b: Person, spot: int, same_party: bool) -> int:
    """Return how two people are related at a place: the first sort that holds."""
    if a["home"] == spot and b["home"] == spot:
        return HOUSEHOLD if a["household"] == b["household"] else APART
    if a["work"] == spot and b["work"] == spot:
        return UNIT if a["unit"] == b["unit"] else REST
    if same_party:
        return HOUSEHOLD
    if a["neighbours"] >= 0 and a["neighbours"] == b["neighbours"]:
        return NEIGHBOURS
    if a["friends"] >= 0 and a["friends"] == b["friends"]:
        return FRIENDS
    if a["table"] >= 0 and a["table"] == b["table"]:
        return TABLE
    return UNIT if a["unit"] >= 0 and a["unit"] == b["unit"] else REST


@kernel
def _gamma(shape: float, start: np.uint64) -> float:
    """Return a gamma number of mean 1 (Marsaglia & Tsang 2000, with their power of a uniform one below shape 1)."""
    d = shape + 1.0 - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    k = 1
    while True:
        x = np.sqrt(-2.0 * np.log(draw(start, k))) * np.cos(2.0 * np.pi * draw(start, k + 1))
        w = (1.0 + c * x) ** 3
        k += 3
        if w > 0 and np.log(draw(start, k - 1)) < 0.5 * x * x + d - d * w + d * np.log(w):
            return d * w * draw(start, 0) ** (1.0 / shape) / shape


@kernel
def _beside(first: int, last: int, start: Ints, end: Ints) -> float:
    """Return how many others of a bucket somebody has around him, averaged over the time that people spend there."""
    shared, spent = 0.0, 0.0
    for i in range(first, last):
        spent += end[i] - start[i]
        for j in range(i + 1, last):
            if start[j] >= end[i]:
                break
            shared += 2 * (min(end[i], end[j]) - start[j])
    return shared / spent


@kernel
def _bouts(
    start: np.uint64, low: float, high: float, gap: float, together: bool, scale: float, shape: float, out: Floats
) -> int:
    """Write when a pair meets between two instants (rows of from, to); return how many times."""
    t, n, k = low, 0, 0
    while n < len(out):
        t -= np.log(draw(start, k)) * gap
        if t >= high:
            break
        u = draw(start, k + 1)
        long = (
            60.0 - (BOUT_S - 60.0) * np.log(u)
            if together
            else 20.0 * np.ceil(scale * (u ** (-1.0 / shape) - 1.0) / 20.0)
        )
        out[n, 0], out[n, 1] = t, min(t + long, high)
        t = out[n, 1] + DEAD_S
        n += 1
        k += 2
    return n


@kernel
def _rate(process: Floats, beside: float, seed: int, pair: int, day: int) -> float:
    """Return the meetings of a pair in an hour on a day; ``process`` are the numbers of `encounters.Process`."""
    rate = process[0] / (beside + process[1]) * _gamma(process[2], stream(seed, _PAIR, pair, 0))
    return rate * _gamma(process[3], stream(seed, _PAIR_DAY, pair, day))


@kernel
def _meet(
    at: Presence, sort: int, people: list[Person], chosen: Bools, seed: int, process: Ints, processes: Floats
) -> Ints:
    out, bouts = np.empty((1 << 16, 5), np.int64), np.empty((400, 2))
    e, first, n = 0, 0, len(chosen)
    while first < len(at.bucket):
        last, wanted = first, False
        while last < len(at.bucket) and at.bucket[last] == at.bucket[first]:
            wanted |= chosen[at.person[last]]
            last += 1
        beside = _beside(first, last, at.start, at.end) if wanted and sort >= UNIT else 0.0
        for i in range(first, last if wanted else first):
            for j in range(i + 1, last):
                if at.start[j] >= at.end[i]:
                    break
                a, b = int(min(at.person[i], at.person[j])), int(max(at.person[i], at.person[j]))
                spot = at.place[i]
                if not (chosen[a] or chosen[b]):
                    continue
                if _relation(people[a], people[b], spot, at.party[i] == at.party[j]) != sort:
                    continue
                low, high, pair = float(at.start[j]), float(min(at.end[i], at.end[j])), a * n + b
                at_home = people[a]["home"] == spot and people[b]["home"] == spot
                at_work = people[a]["work"] == spot and people[b]["work"] == spot
                together = sort < REST and not at_work
                gap, scale, shape = GAP_HOME_S if at_home else GAP_OUT_S, 0.0, 0.0
                if not together:
                    row = processes[process[spot] if sort == REST else process[spot] + 3]
                    gap = 3600.0 / max(_rate(row, beside, seed, pair, at.day[j]), 1e-9)
                    scale, shape = row[4], row[5]
                start = stream(seed, _MEETING, pair, at.start[j])
                count = _bouts(start, low, high, gap, together, scale, shape, bouts)
                if e + count > len(out):
                    more = np.empty((2 * len(out), 5), np.int64)
                    more[:e] = out[:e]
                    out = more
                for k in range(count):
                    hour = (bouts[k, 0] - at.midnight[j]) / 3600 % 24
                    if at_home and (hour >= ASLEEP_FROM_H or hour < AWAKE_FROM_H):
                        continue
                    if int(bouts[k, 1]) > int(bouts[k, 0]):
                        out[e, 0], out[e, 1], out[e, 2] = a, b, spot
                        out[e, 3], out[e, 4] = int(bouts[k, 0]), int(bouts[k, 1])
                        e += 1
        first = last
    return out[:e]


def meet(at: Presence, sort: int, facts: Facts, chosen: Bools, seed: int, process: Ints, processes: Floats) -> Ints:
    """Return the encounters, rows of (a, b, place, start, end), of pairs whose relation is ``sort`` in each bucket.

    ``chosen`` (people,) says of whom; ``process`` (places,) is which of the ``processes`` (6, 6) goes on there: rows 0
    to 2 between units, rows 3 to 5 within.
    """
    return _meet(at, sort, cast(list[Person], facts.people), chosen, seed, process, processes)
