"""Laying out streets: the pieces that the road graph is put together from, on the sketch of the land.

A layout is nodes and two-way links with a class. Planned dongs get rings and spokes about the ring road, towns get a
turned grid, villages a few lanes; main roads follow the profile's corridors; what is left between them is joined by a
Gabriel graph (Gabriel & Sokal 1969), the usual model of grown country roads.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from hanmaru.city import plane
from hanmaru.city.noise import Bools, Floats, Ints

CLASSES = ("residential", "tertiary", "secondary", "primary", "trunk")
"""Road classes, by OpenStreetMap's names, ascending; arrays hold their index."""

RESIDENTIAL, TERTIARY, SECONDARY, PRIMARY, TRUNK = range(5)


@dataclass(eq=False)
class Layout:
    """Streets under construction: node coordinates and links (from, to, class, corridor or -1)."""

    xy: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    links: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])

    def node(self, x: float, y: float) -> int:
        """Add a node and return its index."""
        self.xy.append((x, y))
        return len(self.xy) - 1

    def nodes(self, points: Floats) -> Ints:
        """Add nodes (n, 2) and return their indices."""
        first = len(self.xy)
        self.xy.extend(map(tuple, points.tolist()))
        return np.arange(first, len(self.xy))

    def link(self, a: int, b: int, kind: int, corridor: int = -1) -> None:
        """Add a two-way link."""
        if a != b:
            self.links.append((a, b, kind, corridor))

    def path(self, a: int, b: int, kind: int, corridor: int = -1, step_m: float = 280) -> None:
        """Link two nodes by nodes every ``step_m``, so that the road can bend with the land."""
        start, end = np.array(self.xy[a]), np.array(self.xy[b])
        n = max(1, round(math.dist(start, end) / step_m))
        between = [self.node(*(start + (end - start) * k / n)) for k in range(1, n)]
        for p, q in zip([a, *between], [*between, b], strict=True):
            self.link(p, q, kind, corridor)


def ring_town(
    layout: Layout,
    rng: np.random.Generator,
    centre: Floats,
    axes: tuple[float, float],
    spacing_m: float,
    inside: BaseGeometry,
    core: BaseGeometry | None,
    water: BaseGeometry,
) -> tuple[Ints, Ints]:
    """Lay rings and spokes about an elliptic ring road; return the ring's nodes in order and all of the town's.

    Streets keep to ``inside`` and out of ``core`` and ``water``; only the ring, and every twelfth spoke, bridge water.
    """
    a, b = axes
    mean = (a + b) / 2
    perimeter = 2 * math.pi * math.sqrt((a * a + b * b) / 2)
    spokes = 12 * round(perimeter / spacing_m / 12)
    step = spacing_m / mean
    inner, outer = -int(0.62 / step), int(1.25 / step)
    theta = 2 * np.pi * np.arange(spokes) / spokes
    rho = 1 + step * np.arange(inner, outer + 1)
    x = centre[0] + a * rho[:, None] * np.cos(theta)
    y = centre[1] + b * rho[:, None] * np.sin(theta)
    wet = _within(water.buffer(12), x, y)
    keep = _within(inside, x, y) & ~wet
    if core is not None:
        keep &= ~_within(core, x, y)
    ring_row = -inner
    keep[ring_row] = True
    trunk_spoke = np.arange(spokes) % 12 == 0
    keep[ring_row:, :] |= _within(inside, x, y)[ring_row:, :] & trunk_spoke & wet[ring_row:, :]
    index = np.full(keep.shape, -1, np.int64)
    index[keep] = layout.nodes(np.stack((x[keep], y[keep]), axis=1))
    sparse = rho < 0.7  # spokes converge inwards: every second one ends
    gone = rng.random((*keep.shape, 2)) < 0.16
    offset = np.arange(inner, outer + 1)
    for i in range(len(rho)):
        along = PRIMARY if offset[i] == 0 else SECONDARY if offset[i] % 6 == 0 else RESIDENTIAL
        for j in range(spokes):
            here, there = int(index[i, j]), int(index[i, (j + 1) % spokes])
            if here < 0:
                continue
            if there >= 0 and not (along == RESIDENTIAL and gone[i, j, 0]) and not (wet[i, j] and along != PRIMARY):
                layout.link(here, there, along)
            if i + 1 < len(rho) and index[i + 1, j] >= 0 and not (sparse[i] and j % 2):
                up = SECONDARY if trunk_spoke[j] else TERTIARY if j % 4 == 0 else RESIDENTIAL
                if not (up == RESIDENTIAL and gone[i, j, 1]):
                    layout.link(here, int(index[i + 1, j]), up)
    return index[ring_row], index[index >= 0]


def grid_town(
    layout: Layout,
    rng: np.random.Generator,
    centre: Floats,
    radius_m: float,
    spacing_m: float,
    inside: BaseGeometry,
    water: BaseGeometry,
) -> Ints:
    """Lay a turned grid of streets within a radius; return its nodes."""
    n = int(radius_m / spacing_m)
    turn = rng.uniform(0, math.pi / 2)
    i, j = np.meshgrid(np.arange(-n, n + 1), np.arange(-n, n + 1), indexing="ij")
    u, v = i * spacing_m, j * spacing_m
    x = centre[0] + u * math.cos(turn) - v * math.sin(turn)
    y = centre[1] + u * math.sin(turn) + v * math.cos(turn)
    reach = radius_m * (0.82 + 0.18 * np.cos(3 * np.arctan2(v, u) + rng.uniform(0, 6.28)))
    keep = (np.hypot(u, v) <= reach) & _within(inside, x, y) & ~_within(water.buffer(12), x, y)
    keep[n, n] = True
    index = np.full(keep.shape, -1, np.int64)
    index[keep] = layout.nodes(np.stack((x[keep], y[keep]), axis=1))
    gone = rng.random((*keep.shape, 2)) < 0.18
    for p, q in np.argwhere(keep).tolist():
        for axis, (dp, dq) in enumerate(((1, 0), (0, 1))):
            if p + dp > 2 * n or q + dq > 2 * n or index[p + dp, q + dq] < 0:
                continue
            line = i[p, q] if axis else j[p, q]
            kind = SECONDARY if line == 0 else TERTIARY if line % 4 == 0 else RESIDENTIAL
            if not (kind == RESIDENTIAL and gone[p, q, axis]):
                layout.link(int(index[p, q]), int(index[p + dp, q + dq]), kind)
    return index[index >= 0]


def village(layout: Layout, rng: np.random.Generator, centre: Floats, size: int) -> int:
    """Lay a few crooked lanes about a village's middle; return the middle's node."""
    middle = layout.node(float(centre[0]), float(centre[1]))
    members = [middle]
    for _ in range(size):
        root = members[int(rng.integers(len(members)))]
        angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(60, 130)
        x, y = layout.xy[root][0] + reach * math.cos(angle), layout.xy[root][1] + reach * math.sin(angle)
        if min(math.dist((x, y), layout.xy[m]) for m in members) > 50:
            members.append(layout.node(x, y))
            layout.link(root, members[-1], RESIDENTIAL)
    return middle


def scatter(
    rng: np.random.Generator, area: BaseGeometry, count: int, apart_m: float, taken: Sequence[Floats]
) -> list[Floats]:
    """Return up to ``count`` random points of an area that keep their distance from each other and from ``taken``."""
    left, bottom, right, top = area.bounds
    shapely.prepare(area)
    others = list(taken)
    found: list[Floats] = []
    for _ in range(count * 40):
        if len(found) == count:
            break
        point = np.array([rng.uniform(left, right), rng.uniform(bottom, top)])
        near = others and np.min(np.hypot(*(np.array(others) - point).T)) < apart_m
        if not near and shapely.contains_xy(area, point[0], point[1]):
            found.append(point)
            others.append(point)
    return found


def gates(points: Floats, nodes: Ints, centre: Floats, count: int) -> Ints:
    """Return the outermost of a town's nodes in each of ``count`` directions."""
    away = points[nodes] - centre
    sector = np.floor((np.arctan2(away[:, 1], away[:, 0]) / (2 * np.pi) % 1) * count).astype(np.int64)
    distance = np.hypot(away[:, 0], away[:, 1])
    order = np.lexsort((-distance, sector))
    _, first = np.unique(sector[order], return_index=True)
    return nodes[order[first]]


def gabriel(points: Floats, group: Ints) -> Ints:
    """Return the Gabriel graph's edges (m, 2) of distinct points: no third point in the circle over an edge.

    Edges within one ``group`` (≥ 0) are left out: a town's gates are joined by its own streets.
    """
    first, second = np.triu_indices(len(points), 1)
    a, b = first.astype(np.int64), second.astype(np.int64)
    tree = plane.tree(points)
    middle, radius = (points[a] + points[b]) / 2, np.hypot(*(points[a] - points[b]).T) / 2
    nearest = plane.nearest(tree, middle)
    free = np.hypot(*(points[nearest] - middle).T) >= radius * (1 - 1e-9)
    apart: Bools = (group[a] != group[b]) | (group[a] < 0)
    return np.stack((a, b), axis=1)[free & apart]


def trodden(points: Floats, edges: Sequence[tuple[int, int]], group: Ints, towns: Floats) -> set[tuple[int, int]]:
    """Return the edges that shortest ways between neighbouring towns take: the country's busier roads.

    ``group`` names each point's town (-1: none); going through a town costs its gates' distance.
    """
    near: dict[int, list[tuple[int, float]]] = {i: [] for i in range(len(points))}
    for a, b in edges:
        metres = math.dist(points[a], points[b])
        near[a].append((b, metres))
        near[b].append((a, metres))
    members = {t: np.flatnonzero(group == t).tolist() for t in range(len(towns))}
    for gates_of in members.values():
        for a in gates_of:
            near[a].extend((b, math.dist(points[a], points[b])) for b in gates_of if b != a)
    taken: set[frozenset[int]] = set()
    pairs = gabriel(towns, np.full(len(towns), -1)) if len(towns) > 2 else np.empty((0, 2), np.int64)
    for s, t in pairs.tolist():
        goals = set(members[t])
        best = dict.fromkeys(members[s], 0.0)
        came: dict[int, int] = {}
        queue = [(0.0, a) for a in members[s]]
        while queue:
            cost, here = heapq.heappop(queue)
            if here in goals:
                while here in came:
                    taken.add(frozenset((here, came[here])))
                    here = came[here]
                break
            if cost > best[here]:
                continue
            for there, metres in near[here]:
                if cost + metres < best.get(there, math.inf):
                    best[there], came[there] = cost + metres, here
                    heapq.heappush(queue, (cost + metres, there))
    return {e for e in edges if frozenset(e) in taken}


def hull(points: Floats, shrink_m: float) -> BaseGeometry:
    """Return the ground that a town's nodes cover, shrunk, through which no country road may run."""
    cells = np.unique(np.floor(points / 250), axis=0) * 250 + 125
    boxes = [box(x - 190, y - 190, x + 190, y + 190) for x, y in cells.tolist()]
    return shapely.union_all(boxes).buffer(-100 - shrink_m, join_style="mitre")


def _within(area: BaseGeometry, x: Floats, y: Floats) -> Bools:
    shapely.prepare(area)
    return shapely.contains_xy(area, x, y)
