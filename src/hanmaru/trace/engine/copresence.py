"""Who was where an index case was, at the same time: meetings of their visits with everybody's.

Few visits are indexed (those of the index cases), many are streamed past (everybody's): a scan costs a look-up or two
per visit of the population, and memory follows what is found. Visits are found through a grid for each pair of radius
classes, so that coarse cells and exact places meet at their own scale, and in each grid cell through sorted times.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from hanmaru.trace.domain import Floats, Ints, Meetings, Visits

PLACE_M = 15.0
"""How far apart two people at one place may be (standard deviation on each axis): a building, or a hall."""
RADIUS_TO_SIGMA = 1 / 1.5096
"""A radius that holds 68 % of a two-dimensional normal error is 1.51 standard deviations: sqrt(-2 ln 0.32)."""
REACH = 3.5
"""Standard deviations at which two positions are given up as one: 1 in 450 of true meetings is farther."""
LEAST_S = 60
"""The least overlap that is looked at, seconds."""

_FINEST_M = 16.0
_BLOCK = 1 << 18
_Whole = TypeVar("_Whole", int, Ints)
_Columns = tuple[Ints, Ints, Ints, Floats, Floats, Floats, Ints]
_Index = tuple[Ints, Ints, Ints, Ints, Ints, Floats, Ints]


def together(metres: Floats, radius_m: Floats, other_radius_m: Floats) -> Floats:
    """Return the probability that two uncertain positions are one place; shapes broadcast, all metres.

    The chance, over both normal errors, of two people at a soft-edged place of `PLACE_M`: with v the sum of the two
    variances, E[exp(-D^2 / 2 a^2)] = a^2 / (a^2 + v) exp(-d^2 / 2 (a^2 + v)).
    """
    v = PLACE_M**2 + (radius_m**2 + other_radius_m**2) * RADIUS_TO_SIGMA**2
    return PLACE_M**2 / v * np.exp(-0.5 * metres**2 / v)


def meetings(visits: Visits, index_subjects: Ints, *, least_s: int = LEAST_S) -> Meetings:
    """Return all meetings (m,) of index subjects' visits with others', sorted by index subject, subject, start.

    Two visits meet if they overlap for ``least_s`` seconds or more and are at the same known place or, where one place
    is unknown, within `REACH` standard deviations of each other; two different known places never meet.
    ``together`` is `together`, 1 for the same known place; ``weight`` is 0 until `exposure.rank` gives it. Nobody
    meets themselves. Subjects that have no visits are passed over.
    """
    chosen = np.flatnonzero(np.isin(visits.subject, index_subjects))
    found = _Scan(visits, chosen).run(least_s)
    mine, theirs = chosen[found[0]], found[1]
    start = np.maximum(visits.start_s[mine], visits.start_s[theirs])
    order = np.lexsort((theirs, mine, start, visits.subject[theirs], visits.subject[mine]))
    mine, theirs, start = mine[order], theirs[order], start[order]
    end = np.minimum(visits.end_s[mine], visits.end_s[theirs])
    metres = np.hypot(visits.x_m[mine] - visits.x_m[theirs], visits.y_m[mine] - visits.y_m[theirs])
    likely = together(metres, visits.radius_m[mine], visits.radius_m[theirs])
    same = (visits.place[mine] >= 0) & (visits.place[mine] == visits.place[theirs])
    return Meetings(
        mine=mine,
        theirs=theirs,
        start_s=start,
        end_s=end,
        together=np.where(same, 1.0, likely),
        minutes=(end - start) / 60.0,
        weight=np.zeros(len(mine)),
    )


class _Scan:
    """The index over the chosen visits: entries sorted by key, start, with the latest end so far under each key."""

    def __init__(self, visits: Visits, chosen: Ints) -> None:
        self.visits = visits
        level = _level(visits.radius_m)
        self.level = level.astype(np.int8)
        mine, theirs = np.unique(level[chosen]), np.unique(level)
        # A table for each pair of levels, its cells as wide as the farthest that two such visits can meet.
        self.sides = np.zeros(len(mine) * len(theirs))
        self.first = np.zeros(int(theirs[-1]) + 2 if len(theirs) else 1, np.int64)
        keys: list[Ints] = [-1 - visits.place[chosen]]
        entries: list[Ints] = [np.arange(len(chosen))]
        at = 0
        for b in theirs.tolist():
            self.first[b] = at
            for a in mine.tolist():
                some = np.flatnonzero(level[chosen] == a)
                reach = REACH * np.sqrt(PLACE_M**2 + (_FINEST_M * RADIUS_TO_SIGMA) ** 2 * (4.0**a + 4.0**b))
                self.sides[at] = reach
                cx, cy = (np.floor(v[chosen[some]] / reach).astype(np.int64) for v in (visits.x_m, visits.y_m))
                for dx in (-1, 0, 1):
                    for dy in (-1, 0, 1):
                        keys.append(_key(at, cx + dx, cy + dy))
                        entries.append(some)
                at += 1
            self.first[b + 1] = at
        key, entry = np.concatenate(keys), np.concatenate(entries)
        kept = key != 0  # -1 - place is 0 where the place is unknown
        key, entry = key[kept], entry[kept]
        order = np.lexsort((visits.start_s[chosen[entry]], key))
        self.entry = entry[order]
        self.key, begin = np.unique(key[order], return_index=True)
        self.begin = np.append(begin, len(key))
        self.chosen = chosen
        self.latest = _latest(self.begin, visits.end_s[chosen[self.entry]])
        self.slots = _slots(self.key)

    def run(self, least_s: int) -> tuple[Ints, Ints]:
        """Return what meets: indices among the chosen visits, and among all."""
        visits, chosen = self.visits, self.chosen
        if not len(chosen):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        mine: list[Ints] = []
        theirs: list[Ints] = []
        at, room = 0, _BLOCK
        everybody = _columns(visits, slice(None))
        some = _columns(visits, chosen)
        index = (self.slots, self.key, self.begin, self.entry, self.latest, self.sides, self.first)
        while at < len(visits):
            out = np.empty((2, room), np.int64)
            reached, found = _meet(at, least_s, everybody, self.level, some, index, out)
            if reached == at:  # one visit alone meets more than there is room for
                room *= 2
                continue
            at = reached
            mine.append(out[0, :found].copy())
            theirs.append(out[1, :found].copy())
        return np.concatenate(mine), np.concatenate(theirs)


def _columns(visits: Visits, rows: Ints | slice) -> _Columns:
    v, r = visits, rows
    return v.subject[r], v.start_s[r], v.end_s[r], v.x_m[r], v.y_m[r], v.radius_m[r], v.place[r]


def _level(radius_m: Floats) -> Ints:
    """Return the radius class: the least k with radius <= 16 m x 2^k."""
    return np.ceil(np.log2(np.maximum(radius_m, _FINEST_M) / _FINEST_M)).astype(np.int64)


@njit(cache=True, inline="always")
def _key(table: int, cx: _Whole, cy: _Whole) -> _Whole:
    return ((table + 1) << 44) + ((cx + (1 << 21)) << 22) + (cy + (1 << 21))


@njit(cache=True)
def _latest(begin: Ints, end_s: Ints) -> Ints:
    """Return the latest end among the entries of a key up to and with each."""
    out = end_s.copy()
    for k in range(len(begin) - 1):
        for i in range(begin[k] + 1, begin[k + 1]):
            out[i] = max(out[i], out[i - 1])
    return out


@njit(cache=True, inline="always")
def _hash(key: int, mask: int) -> int:
    return ((key * -7046029254386353131) >> 20) & mask


@njit(cache=True)
def _slots(keys: Ints) -> Ints:
    """Return a hash table, open addressing, of the keys' positions; -1 is empty."""
    size = 16
    while size < 3 * len(keys):
        size *= 2
    out = np.full(size, -1)
    for i in range(len(keys)):
        at = _hash(keys[i], size - 1)
        while out[at] >= 0:
            at = (at + 1) & (size - 1)
        out[at] = i
    return out


@njit(cache=True, nogil=True)
def _meet(
    at: int,
    least_s: int,
    theirs: _Columns,
    level: npt.NDArray[np.int8],
    mine: _Columns,
    index: _Index,
    out: Ints,
) -> tuple[int, int]:
    """Stream visits from ``at`` past the index until ``out`` is full; return the next visit and how many are found."""
    subject, start_s, end_s, x_m, y_m, radius_m, place = theirs
    my_subject, my_start_s, my_end_s, my_x_m, my_y_m, my_radius_m, my_place = mine
    slots, keys, begin, entry, latest, sides, first = index
    scale = (REACH * RADIUS_TO_SIGMA) ** 2
    floor = (REACH * PLACE_M) ** 2
    found, mask = 0, len(slots) - 1
    for v in range(at, len(subject)):
        before = found
        low, high = first[level[v]], first[level[v] + 1]
        for t in range(low - (place[v] >= 0), high):
            if t < low:  # by place
                key = -1 - place[v]
            else:
                side = sides[t]
                key = _key(t, int(np.floor(x_m[v] / side)), int(np.floor(y_m[v] / side)))
            slot = _hash(key, mask)
            while slots[slot] >= 0 and keys[slots[slot]] != key:
                slot = (slot + 1) & mask
            k = slots[slot]
            if k < 0:
                continue
            # Entries that start early enough, from the last backwards, until none before ends late enough.
            bottom, top = begin[k], begin[k + 1]
            while bottom < top:
                middle = (bottom + top) // 2
                if my_start_s[entry[middle]] <= end_s[v] - least_s:
                    bottom = middle + 1
                else:
                    top = middle
            for j in range(bottom - 1, begin[k] - 1, -1):
                if latest[j] - start_s[v] < least_s:
                    break
                m = entry[j]
                if my_subject[m] == subject[v]:
                    continue
                if min(my_end_s[m], end_s[v]) - max(my_start_s[m], start_s[v]) < least_s:
                    continue
                if t >= low:
                    if place[v] >= 0 and my_place[m] >= 0:
                        continue
                    dx, dy = my_x_m[m] - x_m[v], my_y_m[m] - y_m[v]
                    if dx * dx + dy * dy > floor + scale * (my_radius_m[m] ** 2 + radius_m[v] ** 2):
                        continue
                if found == out.shape[1]:
                    return v, before
                out[0, found], out[1, found] = m, v
                found += 1
    return len(subject), found
