"""Where vans drive in a simulation: a road graph seen from its stops, so that each van stands at a node of it.

A van can be turned round at the next node it comes to. Its times to the stops from there are exact, and its way there
is the one that they belong to.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# SciPy brings no types.

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import UNREACHABLE, Floats, RideError, Rows, Travel

Singles = npt.NDArray[np.float32]
CHUNK = 256
"""Stops searched from in one go: bounds the memory of the search."""


@dataclass(frozen=True, eq=False, slots=True)
class World:
    """n nodes, s of them stops.

    ``stop`` (s,) the node of each stop; ``time_s``, ``length_m`` (n, s) float32 how long and how far it is from each
    node to each stop, inf where there is no way; ``step`` (n, s) int32 the next node on the way, at the stop itself.
    """

    stop: Rows
    time_s: Singles
    length_m: Singles
    step: Rows

    def travel(self, vans: int) -> Travel:
        """Return the stops' travel times in whole seconds with a row for each of some vans, yet to be filled."""
        rows, stops = len(self.stop) + vans, len(self.stop)
        travel = Travel(np.full((rows, stops), UNREACHABLE, np.int32), np.full((rows, stops), UNREACHABLE, np.int32))
        for out, exact in ((travel.time_s, self.time_s), (travel.length_m, self.length_m)):
            for first in range(0, stops, CHUNK):  # no second copy of a large matrix
                out[first : min(first + CHUNK, stops)] = whole(exact[self.stop[first : first + CHUNK]])
        return travel


def whole(exact: Singles) -> Rows:
    """Return seconds or metres rounded, `UNREACHABLE` for inf."""
    return np.where(np.isfinite(exact), np.rint(exact), UNREACHABLE).astype(np.int32)


def of_matrix(time_s: npt.ArrayLike, length_m: npt.ArrayLike) -> World:
    """Return a world of stops alone, (s, s) seconds and metres: vans are turned round only at stops."""
    time, length = np.array(time_s, np.float32), np.array(length_m, np.float32)
    if time.ndim != 2 or time.shape[0] != time.shape[1] or time.shape != length.shape:
        raise RideError(f"times {time.shape} and lengths {length.shape} must be square matrices of one size")
    s = len(time)
    return World(np.arange(s, dtype=np.int32), time, length, np.tile(np.arange(s, dtype=np.int32), (s, 1)))


def of_links(
    nodes: int, source: npt.ArrayLike, target: npt.ArrayLike, time_s: Floats, length_m: Floats, stops: npt.ArrayLike
) -> World:
    """Return the world of m directed links between nodes, with some nodes as stops.

    ``source``, ``target`` (m,) nodes; ``time_s``, ``length_m`` (m,) of each link, times above 0. Of links between the
    same nodes the quickest counts. Raises RideError for a stop that no other stop reaches.
    """
    tail, head, stop = (np.asarray(a, np.int32) for a in (source, target, stops))
    order = np.lexsort((time_s, tail, head))
    first = np.append(True, (np.diff(head[order]) != 0) | (np.diff(tail[order]) != 0))
    order = order[first]
    tail, head, time, length = tail[order], head[order], time_s[order], length_m[order]
    backwards = csr_array((time, (head, tail)), shape=(nodes, nodes))  # by head, then tail: the order of `order`
    times = np.empty((nodes, len(stop)), np.float32)
    lengths = np.empty((nodes, len(stop)), np.float32)
    steps = np.empty((nodes, len(stop)), np.int32)
    start = np.searchsorted(head, np.arange(nodes + 1)).astype(np.int64)
    for low in range(0, len(stop), CHUNK):
        some = stop[low : low + CHUNK]
        found, after = cast(
            "tuple[Floats, Rows]", dijkstra(backwards, directed=True, indices=some, return_predecessors=True)
        )
        after[np.arange(len(some)), some] = some
        rank = np.argsort(found, axis=1, kind="stable").astype(np.int32)
        lengths[:, low : low + CHUNK] = _along(rank, after, start, tail, length).T
        times[:, low : low + CHUNK], steps[:, low : low + CHUNK] = found.T, after.T
    world = World(stop, times, lengths, steps)
    alone = np.flatnonzero(np.isfinite(times[stop]).sum(axis=0) < 2)
    if len(stop) > 1 and len(alone):
        raise RideError(f"no way leads to stop {alone[0]} (node {stop[alone[0]]}); leave it out or mend the network")
    return world


@kernel
def _along(rank: Rows, after: Rows, start: npt.NDArray[np.int64], tail: Rows, length: Floats) -> Floats:
    """Return how far each node is from each stop along the quickest way: nodes in order of time, each after its next.

    ``rank`` (k, n) nodes by time, ``after`` (k, n) next nodes, links by head: ``start`` (n + 1,), ``tail``, ``length``.
    """
    out = np.full(rank.shape, np.inf)
    for k in range(rank.shape[0]):
        for at in range(rank.shape[1]):
            node = rank[k, at]
            following = after[k, node]
            if following == node:
                out[k, node] = 0.0
            elif following >= 0:
                low, high = start[following], start[following + 1]
                link = low + np.searchsorted(tail[low:high], node)
                out[k, node] = out[k, following] + length[link]
    return out
