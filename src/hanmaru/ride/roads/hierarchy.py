"""Customisable contraction hierarchies (Dibbelt, Strasser & Wagner 2016, doi:10.1145/2886843) over packed weights.

The order of contraction is a nested dissection by RoutingKit's inertial flow, from pyroutingkit. Its own queries are
not used: a weight of 32 bits cannot hold a way's time and its length, and the length of the quickest way is wanted for
every pair. Customisation is the basic one; many-to-many is RPHAST (Delling, Goldberg & Werneck 2011,
doi:10.4230/OASIcs.ATMOS.2011.52) over the elimination tree, sixteen sources a sweep.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyroutingkit as library  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.roads.graph import offsets, ranges
from hanmaru.ride.roads.shortest import NEVER, Packed

_WIDE = 16
Longs = npt.NDArray[np.int64]


def dissect(tail: Rows, head: Rows, lonlat: Floats) -> Rows:
    """Return each state's rank (s,) in the order of contraction."""
    module: Any = library
    topology = module.CCHTopology()
    lon, lat = np.ascontiguousarray(lonlat.T, np.float32)  # it reads memory as it lies, whatever the strides
    topology.build(tail.astype(np.uint32), head.astype(np.uint32), lat, lon, len(lonlat))
    with tempfile.TemporaryDirectory() as folder:  # the order has no other way out
        topology.save(folder)
        return np.fromfile(Path(folder) / "rank", np.uint32).astype(np.int32)


@dataclass(frozen=True, eq=False, slots=True)
class Selection:
    """Targets made ready: the t targets' places among the r states above them, ranks descending, and their arcs."""

    targets: Rows
    place: Rows
    rank: Rows
    first: Rows
    above: Rows
    arc: Rows


class Hierarchy:
    """`Shortest` by a customisable contraction hierarchy."""

    def __init__(self, tail: Rows, head: Rows, lonlat: Floats) -> None:
        """Contract a graph of arcs (a,) between states at ``lonlat`` (s, 2)."""
        size = len(lonlat)
        self.rank = dissect(tail, head, lonlat)
        t, h = self.rank[tail], self.rank[head]
        low, high = np.minimum(t, h), np.maximum(t, h)
        order: Longs = np.lexsort((high, low))
        order = order[low[order] != high[order]]  # a loop is on no quickest way
        begin = np.searchsorted(low[order], np.arange(size + 1)).astype(np.int32)
        self.first, self.above = _contract(begin, high[order].astype(np.int32))
        self.arc, self.upward = order.astype(np.int32), t[order] < h[order]
        lower = np.repeat(np.arange(size), np.diff(self.first))
        self.into = np.searchsorted(lower * size + self.above, low[order].astype(np.int64) * size + high[order])

    def select(self, targets: Rows) -> Selection:
        """Prepare targets (t,), states."""
        ranks = self.rank[targets]
        rank, place = _above(ranks, self.first, self.above)
        counts = (self.first[rank + 1] - self.first[rank]).astype(np.int64)
        arc = ranges(self.first[rank].astype(np.int64), counts).astype(np.int32)
        first = offsets(counts).astype(np.int32)
        return Selection(ranks, place[ranks], rank, first, place[self.above[arc]], arc)

    def weigh(self, weight: Packed) -> "WeightedHierarchy":
        """Customise: return the hierarchy with weights (a,)."""
        return WeightedHierarchy(self, weight)


class WeightedHierarchy:
    """`Weighted` by a customised hierarchy: ``up`` and ``down`` weights of its arcs, and what each stands for."""

    def __init__(self, graph: Hierarchy, weight: Packed) -> None:
        """Customise."""
        self.graph = graph
        size = len(graph.above)
        self.up, self.down = np.full(size, NEVER), np.full(size, NEVER)
        self.up_by, self.down_by = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
        _weigh(graph.arc, graph.upward, graph.into, weight, self.up, self.down, self.up_by, self.down_by)
        _customise(graph.first, graph.above, self.up, self.down, self.up_by, self.down_by)

    def many(self, source: Rows, start: Packed, targets: Selection) -> Packed:
        """Return weights (k, t)."""
        g, s = self.graph, targets
        out = np.empty((len(source), len(s.targets)), np.int64)
        ranks = g.rank[source]
        _sweep(ranks, start, g.first, g.above, self.up, self.down[s.arc], s.rank, s.first, s.above, s.place, out)
        return out

    def path(self, source: int, target: int) -> Rows | None:
        """Return the arcs of the quickest way."""
        g = self.graph
        if source == target:
            return np.empty(0, np.int32)
        arcs = _path(
            int(g.rank[source]), int(g.rank[target]), g.first, g.above, self.up, self.down, self.up_by, self.down_by
        )
        return arcs if len(arcs) else None


@kernel
def _contract(begin: Rows, high: Rows) -> tuple[Rows, Rows]:
    """Return the chordal graph (CSR upwards, ascending) of arcs low → ``high[begin[low]:begin[low + 1]]``."""
    size = len(begin) - 1
    first = np.zeros(size + 1, np.int32)
    above = np.empty(max(4 * len(high), 16), np.int32)
    stamp = np.full(size, -1, np.int32)
    child, sibling = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    for u in range(size):
        end = first[u]
        need = begin[u + 1] - begin[u]
        c = child[u]
        while c >= 0:
            need += first[c + 1] - first[c]
            c = sibling[c]
        if end + need > len(above):
            larger = np.empty(max(2 * len(above), end + need), np.int32)
            larger[:end] = above[:end]
            above = larger
        for i in range(begin[u], begin[u + 1]):
            v = high[i]
            if stamp[v] != u:
                stamp[v] = u
                above[end] = v
                end += 1
        c = child[u]
        while c >= 0:
            for i in range(first[c], first[c + 1]):
                v = above[i]
                if v != u and stamp[v] != u:
                    stamp[v] = u
                    above[end] = v
                    end += 1
            c = sibling[c]
        for i in range(first[u] + 1, end):  # by insertion: the lists are short
            v, j = above[i], i
            while j > first[u] and above[j - 1] > v:
                above[j] = above[j - 1]
                j -= 1
            above[j] = v
        if end > first[u]:
            parent = above[first[u]]
            sibling[u] = child[parent]
            child[parent] = u
        first[u + 1] = end
    return first, above[: first[size]].copy()


@kernel
def _weigh(
    arc: Rows,
    upward: npt.NDArray[np.bool_],
    into: Longs,
    weight: Longs,
    up: Longs,
    down: Longs,
    up_by: Rows,
    down_by: Rows,
) -> None:
    """Give the hierarchy's arcs the roads' weights; ``*_by`` = -2 - arc remembers which."""
    for i in range(len(arc)):
        w, x = weight[arc[i]], into[i]
        if upward[i]:
            if w < up[x]:
                up[x] = w
                up_by[x] = -2 - arc[i]
        elif w < down[x]:
            down[x] = w
            down_by[x] = -2 - arc[i]


@kernel
def _customise(first: Rows, above: Rows, up: Longs, down: Longs, up_by: Rows, down_by: Rows) -> None:
    """Relax every lower triangle u, v, w (u lowest), in order of u; ``*_by`` = u remembers it."""
    for u in range(len(first) - 1):
        for i in range(first[u], first[u + 1]):
            v = above[i]
            x = first[v]
            for j in range(i + 1, first[u + 1]):
                w = above[j]
                while above[x] < w:
                    x += 1
                there = down[i] + up[j]
                if there < up[x]:
                    up[x] = there
                    up_by[x] = u
                back = down[j] + up[i]
                if back < down[x]:
                    down[x] = back
                    down_by[x] = u


@kernel
def _above(targets: Rows, first: Rows, above: Rows) -> tuple[Rows, Rows]:
    """Return all ranks on the elimination tree's ways up from the targets, descending, and each rank's place there."""
    size = len(first) - 1
    place = np.full(size, -1, np.int32)
    for t in targets:
        while place[t] < 0:
            place[t] = 0
            if first[t] == first[t + 1]:
                break
            t = above[first[t]]
    rank = np.flatnonzero(place >= 0)[::-1].astype(np.int32)
    for i in range(len(rank)):
        place[rank[i]] = i
    return rank, place


@kernel
def _sweep(
    source: Rows,
    start: Longs,
    first: Rows,
    above: Rows,
    up: Longs,
    down: Longs,
    rank: Rows,
    part: Rows,
    place_above: Rows,
    place: Rows,
    out: Longs,
) -> None:
    """Climb from each source, then sweep down over the selected ranks, `_WIDE` sources at a time."""
    size = len(first) - 1
    away = np.full(size, NEVER)
    best = np.empty((len(rank), _WIDE), np.int64)
    least = np.empty(_WIDE, np.int64)
    at = np.full(size, -1, np.int32)
    for i in range(len(rank)):
        at[rank[i]] = i
    for begin in range(0, len(source), _WIDE):
        many = min(_WIDE, len(source) - begin)
        best[:] = NEVER
        for k in range(many):
            u = source[begin + k]
            away[u] = start[begin + k]
            while True:
                here = away[u]
                if at[u] >= 0:
                    best[at[u], k] = here
                away[u] = NEVER
                if here < NEVER:
                    for x in range(first[u], first[u + 1]):
                        away[above[x]] = min(away[above[x]], here + up[x])
                if first[u] == first[u + 1]:
                    break
                u = above[first[u]]
        for i in range(len(rank)):
            for k in range(_WIDE):
                least[k] = best[i, k]
            for x in range(part[i], part[i + 1]):
                row, w = best[place_above[x]], down[x]
                for k in range(_WIDE):
                    least[k] = min(least[k], row[k] + w)
            for k in range(_WIDE):
                best[i, k] = least[k]
        for k in range(many):
            for j in range(len(place)):
                out[begin + k, j] = min(best[place[j], k], NEVER)


@kernel
def _path(
    source: int, target: int, first: Rows, above: Rows, up: Longs, down: Longs, up_by: Rows, down_by: Rows
) -> Rows:
    """Return the road arcs of the quickest way between two ranks, none where there is none."""
    size = len(first) - 1
    ahead, behind = np.full(size, NEVER), np.full(size, NEVER)
    ahead_by, behind_by = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
    ahead[source] = behind[target] = 0
    u = source
    while first[u] < first[u + 1]:
        for x in range(first[u], first[u + 1]):
            if ahead[u] + up[x] < ahead[above[x]]:
                ahead[above[x]] = ahead[u] + up[x]
                ahead_by[above[x]] = u
        u = int(above[first[u]])
    u = target
    best, meet = NEVER, -1
    while True:
        if ahead[u] + behind[u] < best:
            best, meet = ahead[u] + behind[u], u
        if first[u] == first[u + 1]:
            break
        for x in range(first[u], first[u + 1]):
            if behind[u] + down[x] < behind[above[x]]:
                behind[above[x]] = behind[u] + down[x]
                behind_by[above[x]] = u
        u = int(above[first[u]])
    ways = [0 for _ in range(0)]
    if meet < 0:
        return np.empty(0, np.int32)
    stack = [(0, 0) for _ in range(0)]
    u = meet
    while u != target:
        stack.append((u, int(behind_by[u])))
        u = int(behind_by[u])
    stack.reverse()
    u = meet
    while u != source:
        stack.append((int(ahead_by[u]), u))
        u = int(ahead_by[u])
    while len(stack) > 0:
        a, b = stack.pop()
        low, high = min(a, b), max(a, b)
        x = int(first[low])
        while above[x] < high:
            x += 1
        by = int(up_by[x]) if a < b else int(down_by[x])
        if by < -1:
            ways.append(-2 - by)
        else:
            stack.append((by, b))
            stack.append((a, by))
    return np.array(ways, dtype=np.int32)
