"""Virtual stops: legal kerb points where a van may halt, and which are near a rider."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from hanmaru.ride.domain import Bools, Floats, Rows
from hanmaru.ride.roads.graph import (
    ACCESSIBLE,
    BUS_STOP,
    CROSSING,
    HYDRANT,
    INACCESSIBLE,
    NO_STOPPING,
    RAMP,
    ROUNDABOUT,
    RoadGraph,
)
from hanmaru.ride.roads.matrix import Network, Places

DETOUR = 1.3
WALK_MPS, ROLL_MPS = 1.2, 0.8
JUNCTION_M, CLEAR_M = 5.0, {CROSSING: 10.0, BUS_STOP: 10.0, HYDRANT: 5.0}


@dataclass(frozen=True, eq=False)
class Stops:
    """k stops: ``ids``, ``names``, ``lonlat`` (k, 2) at the kerb, ``places`` on the network, ``accessible`` (k,).

    ``accessible``: whether a wheelchair can board there.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    lonlat: Floats
    places: Places
    accessible: Bools

    def __len__(self) -> int:
        """Return k."""
        return len(self.ids)

    @cached_property
    def _scale(self) -> Floats:
        lat = np.radians(self.lonlat[:, 1].mean()) if len(self) else 0.0
        return np.array([np.cos(lat), 1.0]) * np.radians(1) * 6371008.8

    @cached_property
    def _trees(self) -> tuple[tuple[KDTree, Rows], tuple[KDTree, Rows]]:
        """Trees of all stops and of the accessible ones, with the stops' numbers."""
        every = np.arange(len(self), dtype=np.int32)
        xy = self.lonlat * self._scale
        return (KDTree(xy), every), (KDTree(xy[self.accessible]), every[self.accessible])

    def near(
        self, lonlat: tuple[float, float], max_walk_m: float, wheelchair: bool = False, most: int = 8
    ) -> list[tuple[int, int, int]]:
        """Return the stops within a walk of a point, nearest first, at most ``most``: (stop, walk_m, walk_s)."""
        tree, number = self._trees[wheelchair]
        if not len(number):
            return []
        point = np.asarray(lonlat) * self._scale
        k = min(most, len(number))
        found: Any = tree.query(point, k=k, distance_upper_bound=max_walk_m / DETOUR)
        speed = ROLL_MPS if wheelchair else WALK_MPS
        pairs = zip(np.atleast_1d(found[1]).tolist(), (np.atleast_1d(found[0]) * DETOUR).tolist(), strict=True)
        return [(int(number[i]), round(m), round(m / speed)) for i, m in pairs if m <= max_walk_m]


def candidates(network: Network, every_m: float = 40.0) -> Places:
    """Return the legal places to stop, about ``every_m`` apart along each edge's kerb."""
    graph = network.graph
    usable = np.flatnonzero((graph.flags & (NO_STOPPING | ROUNDABOUT | RAMP)) == 0).astype(np.int32)
    room = graph.length_m[usable] - 2 * JUNCTION_M
    usable, room = usable[room > 1], room[room > 1]
    count = np.maximum(1, (room / every_m).astype(np.int64))
    edge = np.repeat(usable, count)
    k = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    along = (JUNCTION_M + (k + 0.5) / np.repeat(count, count) * np.repeat(room, count)) / graph.length_m[edge]
    places = Places(edge, along)
    return places.take(_clear(graph, network.lonlat(places)))


def _clear(graph: RoadGraph, lonlat: Floats) -> Bools:
    """Return which points (k, 2) keep the law's distance from crossings, bus stops and hydrants."""
    clear = np.ones(len(lonlat), bool)
    if not len(lonlat):
        return clear
    scale = np.array([np.cos(np.radians(lonlat[:, 1].mean())), 1.0]) * np.radians(1) * 6371008.8
    tree = KDTree(lonlat * scale)
    for kind, away in CLEAR_M.items():
        spots = graph.obstacles[graph.obstacle_kind == kind]
        if len(spots):
            for hit in tree.query_ball_point(spots * scale, away):
                clear[hit] = False
    return clear


def choose(
    network: Network, people: Floats, weight: Floats, *, max_walk_m: float = 300.0, aside_m: float = 4.0
) -> Stops:
    """Return few stops so that people at points (p, 2), ``weight`` (p,) of them, have one within a walk (greedy cover).

    Every further stop is the candidate that most people not yet served can walk to (Chvátal 1979,
    doi:10.1287/moor.4.3.233: within ln p of the fewest). Whom no candidate serves stays unserved.
    """
    graph = network.graph
    places = candidates(network)
    lonlat = network.kerb(places, aside_m)
    accessible = accessibility(graph, places.edge)
    scale = np.array([np.cos(np.radians(graph.lonlat[:, 1].mean())), 1.0]) * np.radians(1) * 6371008.8
    tree = KDTree(people * scale)
    reach: list[Any] = [np.array(r, np.int64) for r in tree.query_ball_point(lonlat * scale, max_walk_m / DETOUR)]
    chosen = _cover(reach, weight * 1.0, accessible)
    kept = places.take(chosen)
    ids = tuple(f"{k + 1:04d}" for k in range(len(chosen)))
    return Stops(ids, ids, lonlat[chosen], kept, accessible[chosen])


def _cover(reach: list[Any], left: Floats, better: Bools) -> Rows:
    """Return candidates that together reach everybody that any reaches: lazily greedy, ``better`` wins ties."""
    import heapq

    heap = [(-float(left[r].sum()), not better[i], i) for i, r in enumerate(reach)]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap:
        _, worse, i = heapq.heappop(heap)
        gain = float(left[reach[i]].sum())
        if gain <= 0:
            continue
        if heap and (-gain, worse, i) > heap[0]:
            heapq.heappush(heap, (-gain, worse, i))
            continue
        chosen.append(i)
        left[reach[i]] = 0.0
    return np.array(sorted(chosen), np.int32)


def accessibility(graph: RoadGraph, edge: Rows) -> Bools:
    """Return whether a wheelchair can board on edges (k,): where the kerb is known to take it."""
    return ((graph.flags[edge] & ACCESSIBLE) > 0) & ((graph.flags[edge] & INACCESSIBLE) == 0)
