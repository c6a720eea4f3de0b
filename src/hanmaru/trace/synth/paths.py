"""The way people take between two visits: the quickest path on the city's roads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from hanmaru.city.build import City
from hanmaru.trace.domain import Floats, Ints

Nodes = npt.NDArray[np.int16]

LONGEST = 1000
"""Nodes that a path may have."""


@dataclass(frozen=True, eq=False, slots=True)
class Ways:
    """``xy`` (n, 2) of the road nodes; ``row`` (n,) of each goal or -1; ``towards`` (g, n) the next node on the way to
    each goal, itself at the goal, negative where there is none.
    """

    xy: Floats
    row: Ints
    towards: Nodes


def make(city: City, goals: Ints) -> Ways:
    """Return the quickest ways from everywhere to some nodes, at the roads' speed limits (0.6 ms a goal)."""
    r = city.roads
    n = len(r.xy)
    goals = np.unique(goals)
    towards = np.empty((len(goals), n), np.int16)
    # Backwards from the goal, the node before is the node after. Sparse graphs lose arcs of no length.
    graph = csr_matrix((np.maximum(r.length_m / r.speed_mps, 1e-3), (r.target, r.source)), shape=(n, n))
    for i in range(0, len(goals), 256):
        found = dijkstra(graph, indices=goals[i : i + 256], return_predecessors=True)[1]
        towards[i : i + 256] = np.where(found < 0, -1, found)
    towards[np.arange(len(goals)), goals] = goals
    row = np.full(n, -1)
    row[goals] = np.arange(len(goals))
    return Ways(r.xy, row, towards)


@njit(cache=True, nogil=True)
def walk(
    nodes: Floats, row: Ints, towards: Nodes, source: int, goal: int, ends: Floats, line: Floats, along: Floats
) -> int:
    """Fill ``line`` (LONGEST, 2) and ``along`` (LONGEST,), metres from the start, with the path from ``ends[0]`` by the
    roads to ``ends[1]``; return how many points it has.
    """
    line[0] = ends[0]
    along[0] = 0.0
    k = 1
    here = source
    if row[goal] >= 0:
        while k < LONGEST - 1 and here >= 0:
            line[k] = nodes[here]
            along[k] = along[k - 1] + np.hypot(line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1])
            k += 1
            if here == goal:
                break
            here = towards[row[goal], here]
    line[k] = ends[1]
    along[k] = along[k - 1] + np.hypot(line[k, 0] - line[k - 1, 0], line[k, 1] - line[k - 1, 1])
    return k + 1
