"""Forbidden turns, exactly: the graph that is searched has a state for each history that a ban depends on.

A driver's state at a node is the longest end of the way driven so far that begins a banned sequence of edges: the
Aho-Corasick automaton (1975, doi:10.1145/360825.360855) of the sequences. Only nodes where a ban applies are split, so
a city's searched graph is a few per cent larger than its roads. Bans of any length (turn, or over ways between) cost
the same code.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hanmaru.ride.domain import Bools, Rows
from hanmaru.ride.roads.graph import RoadGraph, offsets, ranges


@dataclass(frozen=True, eq=False, slots=True)
class Arcs:
    """What shortest-path searches run on: a arcs between s states; state i < n is node i without a history.

    ``tail``, ``head`` (a,) int32 states; ``edge`` (a,) the road edge that an arc drives; ``node`` (s,) each state's
    node. Arcs of edge e are ``of_edge[edge_first[e]:edge_first[e + 1]]``, first the one without a history.
    """

    tail: Rows
    head: Rows
    edge: Rows
    node: Rows
    edge_first: npt.NDArray[np.int64]
    of_edge: Rows


def expand(graph: RoadGraph, *, u_turns: bool = False) -> Arcs:
    """Return the graph to search; without ``u_turns`` nobody turns back the way they came but at a dead end."""
    n, m = len(graph.lonlat), len(graph.source)
    bans = [tuple(graph.banned[a:b].tolist()) for a, b in zip(graph.banned_first, graph.banned_first[1:], strict=False)]
    if not u_turns:
        bans.extend(_turning_back(graph))
    after, fail, bad = _automaton(bans)
    source, target, first = graph.source.tolist(), graph.target.tolist(), graph.first_edge.tolist()
    number: dict[tuple[int, int], int] = {}
    states: list[tuple[int, int]] = []

    def state(edge: int, history: int) -> int:
        if history == 0:
            return target[edge]
        key = (target[edge], history)
        if key not in number:
            number[key] = n + len(states)
            states.append(key)
        return number[key]

    head = graph.target.copy()
    for (root, edge), history in after.items():
        if root == 0:
            head[edge] = state(edge, history)
    more: list[tuple[int, int, int]] = []
    at = 0
    while at < len(states):
        node, history = states[at]
        for edge in range(first[node], first[node + 1]):
            back = history
            while back and (back, edge) not in after:
                back = fail[back]
            following = after.get((back, edge), 0)
            if not bad[following]:
                more.append((n + at, state(edge, following), edge))
        at += 1
    extra = np.array(more, np.int32).reshape(-1, 3)
    edge = np.concatenate((np.arange(m, dtype=np.int32), extra[:, 2]))
    node = np.concatenate((np.arange(n, dtype=np.int32), np.array([s[0] for s in states], np.int32)))
    return Arcs(
        tail=np.concatenate((np.array(source, np.int32), extra[:, 0])),
        head=np.concatenate((head, extra[:, 1])),
        edge=edge,
        node=node,
        edge_first=offsets(np.bincount(edge, minlength=m)),
        of_edge=np.argsort(edge, kind="stable").astype(np.int32),
    )


def _automaton(bans: list[tuple[int, ...]]) -> tuple[dict[tuple[int, int], int], list[int], list[bool]]:
    """Return the automaton of banned sequences: moves by (state, edge), where to fall back, which states are banned."""
    after: dict[tuple[int, int], int] = {}
    bad = [False]
    for ban in bans:
        at = 0
        for edge in ban:
            if (at, edge) not in after:
                after[at, edge] = len(bad)
                bad.append(False)
            at = after[at, edge]
        bad[at] = True
    fail = [0] * len(bad)
    below: dict[int, list[tuple[int, int]]] = {}
    for (parent, edge), child in after.items():
        below.setdefault(parent, []).append((edge, child))
    queue = deque(child for _, child in below.get(0, []))
    while queue:
        at = queue.popleft()
        bad[at] |= bad[fail[at]]
        for edge, child in below.get(at, []):
            back = fail[at]
            while back and (back, edge) not in after:
                back = fail[back]
            fail[child] = after.get((back, edge), 0)
            queue.append(child)
    return after, fail, bad


def _turning_back(graph: RoadGraph) -> list[tuple[int, int]]:
    """Return every pair of edges that goes back the way it came where another way on exists.

    The way back is an edge between the same nodes and, since two roads may join them, as long to a hundredth.
    """
    n = len(graph.lonlat)
    there = graph.source.astype(np.int64) * n + graph.target
    back = graph.target.astype(np.int64) * n + graph.source
    order = np.argsort(there, kind="stable")
    low, high = np.searchsorted(there[order], back), np.searchsorted(there[order], back, "right")
    first = np.repeat(np.arange(len(back)), high - low)
    second = order[ranges(low, high - low)]
    same = np.abs(graph.length_m[first] - graph.length_m[second]) <= 0.01 * graph.length_m[first]
    choice = same & (np.diff(graph.first_edge)[graph.target[first]] > 1)
    return list(zip(first[choice].tolist(), second[choice].tolist(), strict=True))


def connected(graph: RoadGraph, *, u_turns: bool = False) -> Bools:
    """Return which edges (m,) belong to the largest part where every edge can be driven to from every other."""
    from scipy.sparse import coo_array, csgraph  # pyright: ignore[reportMissingTypeStubs]

    arcs = expand(graph, u_turns=u_turns)
    size = len(arcs.node)
    matrix = coo_array((np.ones(len(arcs.tail), np.int8), (arcs.tail, arcs.head)), (size, size))
    module: Any = csgraph
    part: Rows = module.connected_components(matrix, directed=True, connection="strong")[1]
    inside = part[arcs.tail] == part[arcs.head]
    largest = np.bincount(part[arcs.tail[inside]], graph.length_m[arcs.edge[inside]]).argmax() if inside.any() else -1
    keep = np.zeros(len(graph.source), bool)
    keep[arcs.edge[inside & (part[arcs.tail] == largest)]] = True
    return keep
