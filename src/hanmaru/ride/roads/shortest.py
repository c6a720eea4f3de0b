"""Quickest ways behind one small interface, with two engines: customisable contraction hierarchies, and SciPy.

A weight is one int64 that holds an arc's time and its length (`pack`): sums of weights are sums of both, and the
smallest is the quickest way, the shortest of equally quick ones. So one search gives the exact time and the exact
length of the same way, and both engines give the same numbers to the last bit.
"""

from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from hanmaru.ride.domain import Floats, Rows

Packed = npt.NDArray[np.int64]
"""Milliseconds times 2**28 plus decimetres."""

SHIFT = 28
NEVER = 1 << 60
"""The weight of no way. Two of them still fit an int64; a sum of one and a way counts as none."""


def pack(time_s: Floats, length_m: Floats) -> Packed:
    """Return weights of times (k,), s, and lengths (k,), m. A way may be 26,000 km long and take 49 days."""
    return (np.rint(time_s * 1000).astype(np.int64) << SHIFT) + np.rint(length_m * 10).astype(np.int64)


def unpack(weight: Packed) -> tuple[Floats, Floats]:
    """Return the seconds and metres of weights below `NEVER`."""
    return (weight >> SHIFT) / 1000, (weight & ((1 << SHIFT) - 1)) / 10


class Weighted(Protocol):
    """A graph with the weights of one moment; never changes, so any number of threads may ask."""

    def many(self, source: Rows, start: Packed, targets: Any) -> Packed:
        """Return the weights (k, t) of the quickest ways from ``source`` (k,) states to selected targets.

        ``start`` (k,) is added to each source's ways; `NEVER` where there is none.
        """
        ...

    def path(self, source: int, target: int) -> Rows | None:
        """Return the arcs of the quickest way between two states, or None where there is none."""
        ...


class Shortest(Protocol):
    """A graph to search, prepared once for all weights."""

    def select(self, targets: Rows) -> Any:
        """Prepare targets (t,), states, for `Weighted.many`; what it returns does not depend on weights."""
        ...

    def weigh(self, weight: Packed) -> Weighted:
        """Return the graph with a weight for each arc (a,), positive."""
        ...


def searcher(tail: Rows, head: Rows, lonlat: Floats) -> Shortest:
    """Return the hierarchy where pyroutingkit is installed, SciPy's search otherwise."""
    try:
        from hanmaru.ride.roads.hierarchy import Hierarchy
    except ImportError:
        return Dijkstra(tail, head, len(lonlat))
    return Hierarchy(tail, head, lonlat)


class Dijkstra:
    """`Shortest` by SciPy: Dijkstra's algorithm from each source, nothing prepared."""

    def __init__(self, tail: Rows, head: Rows, size: int) -> None:
        """Take arcs (a,) between ``size`` states."""
        self.size = size
        self.order = np.lexsort((head, tail))
        self.tail, self.head = tail[self.order], head[self.order]
        new = np.append(True, (np.diff(self.tail) != 0) | (np.diff(self.head) != 0))[: len(tail)]
        self.first = np.flatnonzero(new)  # SciPy adds up parallel arcs: only the quickest may reach it

    def select(self, targets: Rows) -> Rows:
        """Prepare targets (t,)."""
        return targets

    def weigh(self, weight: Packed) -> "WeightedDijkstra":
        """Return the graph with weights (a,)."""
        return WeightedDijkstra(self, weight)


def _dijkstra() -> Any:
    from scipy.sparse import csgraph  # pyright: ignore[reportMissingTypeStubs]

    return cast(Any, csgraph).dijkstra


class WeightedDijkstra:
    """`Weighted` by SciPy. A float64 holds a weight exactly up to nine hours, further than a van drives."""

    def __init__(self, graph: Dijkstra, weight: Packed) -> None:
        """Weigh a graph."""
        from scipy.sparse import csr_array  # pyright: ignore[reportMissingTypeStubs]

        self.graph = graph
        ordered = weight[graph.order]
        least = np.minimum.reduceat(ordered, graph.first) if len(ordered) else ordered
        pairs = (graph.tail[graph.first], graph.head[graph.first])
        loop = pairs[0] == pairs[1]
        data = np.where(loop, 0, least).astype(np.float64)
        self.matrix = csr_array((data, pairs), (graph.size, graph.size))
        self.weight = weight

    def many(self, source: Rows, start: Packed, targets: Rows) -> Packed:
        """Return weights (k, t)."""
        dijkstra = _dijkstra()
        out = np.empty((len(source), len(targets)), np.int64)
        for i in range(0, len(source), 64):  # 64 rows of all states at a time bound the memory
            rows = cast(Floats, dijkstra(self.matrix, indices=source[i : i + 64]))[:, targets]
            found = np.isfinite(rows)
            ways = np.where(found, rows, 0).astype(np.int64) + start[i : i + 64, None]
            out[i : i + 64] = np.where(found, ways, NEVER)
        return out

    def path(self, source: int, target: int) -> Rows | None:
        """Return the arcs of the quickest way."""
        dijkstra = _dijkstra()
        length, before = cast(tuple[Floats, Rows], dijkstra(self.matrix, indices=source, return_predecessors=True))
        if not np.isfinite(length[target]):
            return None
        arcs: list[int] = []
        graph = self.graph
        while target != source:
            here = int(before[target])
            low = np.searchsorted(graph.tail, here), np.searchsorted(graph.tail, here, "right")
            among = graph.order[low[0] : low[1]][graph.head[low[0] : low[1]] == target]
            arcs.append(int(among[self.weight[among].argmin()]))
            target = here
        return np.array(arcs[::-1], np.int32)
