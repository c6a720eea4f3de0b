"""Walks to and from stops: over the footpaths where a source has them, else straight with a detour."""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.city.kernels import kernel
from hanmaru.city.plane import Plane
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.roads.graph import RoadGraph

DETOUR = 1.3
"""Metres walked for a metre as the crow flies, where no footpaths are known: between the 1.2 of a grown street network
(Newell 1980; O'Sullivan & Morrall 1996 found 1.21-1.23 about stations) and the 1.41 at worst of a grid."""

WALK_MPS = 1.2
"""Design walking speed at crossings of the US Manual on Uniform Traffic Control Devices before 2009 (4 ft/s); Korea's
signal manual takes 1.0, and 0.8 where children and the old cross."""

ROLL_MPS = 0.8
"""A wheelchair, kerbs and slopes included: as Korea's signal manual takes for the slow."""

_NODES = 3
_AWAY_M = 150.0


@dataclass(frozen=True, eq=False, slots=True)
class Reach:
    """What each of k sources reaches: ``item[first[i]:first[i + 1]]`` and how far, ``metres``."""

    first: npt.NDArray[np.int64]
    item: Rows
    metres: Floats


class Footpaths:
    """Where people walk, as an undirected graph; a point joins it at its three nearest nodes within 150 m."""

    def __init__(self, graph: RoadGraph, plane: Plane, *, steps: bool) -> None:
        """Take a graph's footpaths, with stairs or without."""
        usable = np.ones(len(graph.walk_m), bool) if steps else ~graph.walk_steps
        a, b = graph.walks[usable].T
        tail, head = np.concatenate((a, b)), np.concatenate((b, a))
        order = np.argsort(tail, kind="stable")
        size = len(graph.walk_lonlat)
        self._plane = plane
        self._first = np.searchsorted(tail[order], np.arange(size + 1))
        self._to, self._m = head[order].astype(np.int32), np.tile(graph.walk_m[usable], 2)[order]
        self._tree: Any = KDTree(plane.xy(graph.walk_lonlat))
        self.size = size

    def join(self, lonlat: Floats) -> tuple[Rows, Floats]:
        """Return each point's (k, 2) nodes (k, 3), -1 for none, and how far they are (k, 3)."""
        found = self._tree.query(self._plane.xy(lonlat), k=min(_NODES, self.size), distance_upper_bound=_AWAY_M)
        shape = (len(lonlat), min(_NODES, self.size))
        away: Floats = np.asarray(found[0]).reshape(shape)
        return np.where(np.isfinite(away), np.asarray(found[1]).reshape(shape), -1).astype(np.int32), away

    def reach(self, sources: Floats, limit_m: float, items: Floats | None = None) -> Reach:
        """Return what sources (k, 2) lon, lat reach within a walk: points (p, 2), or the nodes themselves."""
        node, away = self.join(sources)
        if items is None:
            first, item, far = np.arange(self.size + 1), np.arange(self.size, dtype=np.int32), np.zeros(self.size)
        else:
            at, off = self.join(items)
            whose = np.repeat(np.arange(len(items), dtype=np.int32), at.shape[1])
            order = np.argsort(at.ravel(), kind="stable")[int((at < 0).sum()) :]
            first = np.searchsorted(at.ravel()[order], np.arange(self.size + 1))
            item, far = whose[order], off.ravel()[order]
        many = self.size if items is None else len(items)
        return Reach(*_reach(self._first, self._to, self._m, node, away, limit_m, first, item, far, many))


def straight(plane: Plane, sources: Floats, items: Floats, limit_m: float) -> Reach:
    """Return which points (p, 2) sources (k, 2) reach within a walk where no footpaths are known."""
    xy, other = plane.xy(sources), plane.xy(items)
    tree: Any = KDTree(other)
    found: list[list[int]] = tree.query_ball_point(xy, limit_m / DETOUR).tolist()
    first = np.append(0, np.cumsum([len(f) for f in found])).astype(np.int64)
    item = np.fromiter((i for f in found for i in f), np.int32, int(first[-1]))
    source = np.repeat(np.arange(len(sources)), np.diff(first))
    return Reach(first, item, np.hypot(*(xy[source] - other[item]).T) * DETOUR)


@kernel
def _reach(
    first: npt.NDArray[np.int64],
    to: Rows,
    metres: Floats,
    node: Rows,
    away: Floats,
    limit: float,
    item_first: npt.NDArray[np.int64],
    item: Rows,
    item_m: Floats,
    many: int,
) -> tuple[npt.NDArray[np.int64], Rows, Floats]:
    """Search from each source up to a limit (Dijkstra) and gather the items at the nodes."""
    best = np.full(len(first) - 1, np.inf)
    nearest = np.full(many, np.inf)
    begin = np.zeros(len(node) + 1, np.int64)
    out, out_m = np.empty(1024, np.int32), np.empty(1024, np.float64)
    end = 0
    for i in range(len(node)):
        queue = [(0.0, np.int64(0))]
        queue.pop()
        seen = [np.int64(0)]
        seen.pop()
        for j in range(node.shape[1]):
            u = node[i, j]
            if u >= 0 and away[i, j] <= limit and away[i, j] < best[u]:
                best[u] = away[i, j]
                heappush(queue, (away[i, j], np.int64(u)))
                seen.append(np.int64(u))
        while len(queue) > 0:
            here, u = heappop(queue)
            if here > best[u]:
                continue
            for x in range(item_first[u], item_first[u + 1]):
                far = here + item_m[x]
                if far <= limit and far < nearest[item[x]]:
                    if nearest[item[x]] == np.inf:
                        if end == len(out):
                            more, more_m = np.empty(2 * end, np.int32), np.empty(2 * end, np.float64)
                            more[:end], more_m[:end] = out, out_m
                            out, out_m = more, more_m
                        out[end] = item[x]
                        end += 1
                    nearest[item[x]] = far
            for x in range(first[u], first[u + 1]):
                there = here + metres[x]
                v = to[x]
                if there <= limit and there < best[v]:
                    if best[v] == np.inf:
                        seen.append(np.int64(v))
                    best[v] = there
                    heappush(queue, (there, np.int64(v)))
        for x in range(begin[i], end):
            out_m[x] = nearest[out[x]]
            nearest[out[x]] = np.inf
        for u in seen:
            best[u] = np.inf
        begin[i + 1] = end
    return begin, out[:end].copy(), out_m[:end].copy()
