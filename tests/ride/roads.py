"""Road graphs for the tests: at random, from published extracts, and the plainest possible search to check against."""

import heapq
import os
from pathlib import Path

import numpy as np
import pytest

from hanmaru.ride.roads.graph import Edge, RoadGraph, assemble
from hanmaru.ride.roads.read import imported

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()


def published(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the published data {name} is not at {DATA} (set HANMARU_TEST_DATA)")
    return path


def helsinki() -> RoadGraph:
    return imported(str(published("roads/Helsinki.osm.pbf")), country="FI").graph


def graph(
    points: list[tuple[float, float]], edges: list[tuple[int, int]], banned: list[tuple[int, ...]] | None = None
) -> RoadGraph:
    """Return straight roads at 36 km/h between points given in metres about Sejong; bans count in ``edges``' order."""
    lonlat = np.array([(127.28 + x / 89_700, 36.5 + y / 110_960) for x, y in points])
    made = [
        Edge(a, b, float(np.hypot(*np.subtract(points[a], points[b]))) or 1.0, 36.0, 2, 0, i, np.empty((0, 2)))
        for i, (a, b) in enumerate(edges)
    ]
    return assemble("test", lonlat, made, banned or [])


def random_graph(seed: int, n: int, m: int, bans: int = 0) -> RoadGraph:
    """Return a random graph; its bans are sequences of two to four edges that really follow each other."""
    rng = np.random.default_rng(seed)
    points = [tuple(p) for p in rng.uniform(0, 1000, (n, 2)).tolist()]
    edges = [(int(a), int(b)) for a, b in rng.integers(0, n, (m, 2)) if a != b]
    edges += [(b, a) for a, b in edges if rng.random() < 0.5]
    if not edges:
        edges = [(0, 1)]
    banned = []
    for _ in range(bans):
        sequence = [int(rng.integers(len(edges)))]
        for _ in range(int(rng.integers(1, 4))):
            following = [i for i, (a, _) in enumerate(edges) if a == edges[sequence[-1]][1]]
            if not following:
                break
            sequence.append(int(rng.choice(following)))
        if len(sequence) > 1:
            banned.append(tuple(sequence))
    return graph(points, edges, banned)


def plain_costs(graph: RoadGraph, cost: np.ndarray, first: int, u_turns: bool = True) -> dict[int, int]:
    """Return the least cost of having driven each edge, from the end of edge ``first``, by the definition.

    A state is the last edges driven, as many as the longest ban has; a way is allowed if no ban is part of it.
    """
    bans = [tuple(graph.banned[a:b].tolist()) for a, b in zip(graph.banned_first, graph.banned_first[1:], strict=False)]
    if not u_turns:
        for e in range(len(graph.source)):
            ways_on = np.flatnonzero(graph.source == graph.target[e])
            back = [int(f) for f in ways_on if graph.target[f] == graph.source[e]]
            back = [f for f in back if abs(graph.length_m[f] - graph.length_m[e]) <= 0.01 * graph.length_m[e]]
            if len(ways_on) > 1:
                bans += [(e, f) for f in back]
    memory = max([len(b) for b in bans], default=1)
    after: dict[int, list[int]] = {}
    for f, a in enumerate(graph.source.tolist()):
        after.setdefault(a, []).append(f)
    queue = [(0, (first,))]
    done: set[tuple[int, ...]] = set()
    best: dict[int, int] = {}
    while queue:
        here, last = heapq.heappop(queue)
        if last in done:
            continue
        done.add(last)
        best.setdefault(last[-1], here)
        for f in after.get(int(graph.target[last[-1]]), []):
            way = (*last, f)
            if not any(way[-len(b) :] == b for b in bans):
                heapq.heappush(queue, (here + int(cost[f]), way[-memory:]))
    return best
