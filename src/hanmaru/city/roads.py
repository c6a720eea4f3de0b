"""The road network: a directed graph as arrays, generated from a profile and its land."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from hanmaru.city import plane, streets
from hanmaru.city.land import Land, locate, ring_axes
from hanmaru.city.noise import Bools, Floats, Ints, generator
from hanmaru.city.profile import Profile
from hanmaru.city.streets import CLASSES, PRIMARY, RESIDENTIAL, SECONDARY, TERTIARY, TRUNK, Layout

SPEED_KMH = (30.0, 50.0, 50.0, 50.0, 80.0)
"""Speed limit by class; the new town's ring is limited to 50 km/h (Korea's urban limit since 2021)."""

LANES = (1, 1, 2, 3, 2)
"""Lanes in one direction by class."""


@dataclass(frozen=True, eq=False)
class Roads:
    """A strongly connected directed graph of n nodes and m edges, edges sorted by source.

    ``xy`` (n, 2) metres in the city's plane, ``lonlat`` (n, 2) WGS 84; ``district`` (n,) index into the profile's
    districts; ``source``, ``target`` (m,) node indices; ``length_m``, ``speed_mps`` (m,); ``road_class`` (m,) index
    into ``CLASSES``; ``corridor`` (m,) index into the profile's corridors or -1; ``brt`` (m,) whether of the ring.
    ``ring`` are the ring's nodes in order (empty without one), ``gateways`` the nodes where main roads leave the city.
    """

    xy: Floats
    lonlat: Floats
    district: Ints
    source: Ints
    target: Ints
    length_m: Floats
    road_class: Ints
    speed_mps: Floats
    corridor: Ints
    brt: Bools
    ring: Ints
    gateways: Ints

    @cached_property
    def first_edge(self) -> Ints:
        """Return CSR offsets (n + 1,): the edges out of node i are ``first_edge[i]:first_edge[i + 1]``."""
        return np.searchsorted(self.source, np.arange(len(self.xy) + 1))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return plane.tree(self.xy)

    def nearest(self, xy: Floats) -> Ints:
        """Return the node nearest to each point (k, 2) of the plane."""
        return plane.nearest(self._tree, xy)

    def midpoints(self) -> Floats:
        """Return the middle of each edge (m, 2) in the plane."""
        return (self.xy[self.source] + self.xy[self.target]) / 2


def make(profile: Profile, land: Land) -> Roads:
    """Return the road network of a profile on its land."""
    rng = generator(profile.seed, "roads")
    layout = Layout()
    water = shapely.union_all(list(land.water))  # bending is weak in towns, where this is asked
    plain = _towns(profile, land, layout, rng, water)
    _country(profile, land, layout, rng, plain)
    return _graph(profile, land, layout, plain.ring, rng)


@dataclass(eq=False)
class _Towns:
    ring: Ints
    centres: list[Floats]
    nodes: list[Ints]
    hulls: list[BaseGeometry]


def _towns(profile: Profile, land: Land, layout: Layout, rng: np.random.Generator, water: BaseGeometry) -> _Towns:
    """Lay out the ring town, the eups and the seats of the myeons."""
    towns = _Towns(np.empty(0, np.int64), [], [], [])
    ring = profile.roads.ring
    seats = land.plane.xy([d.centre for d in profile.districts])

    def add(centre: Floats, nodes: Ints) -> None:
        towns.centres.append(centre)
        towns.nodes.append(nodes)
        towns.hulls.append(streets.hull(np.array(layout.xy)[nodes], 60))

    planned = [i for i, d in enumerate(profile.districts) if d.kind == "dong"]
    if ring is not None:
        dongs = shapely.union_all([land.sketch[i] for i in planned]).buffer(-40)
        cores = [land.sketch[i] for i in planned if profile.districts[i].zone == 0]
        core = shapely.union_all(cores) if cores else None
        centre = land.plane.xy([ring.centre])[0]
        axes = ring_axes(ring)
        towns.ring, nodes = streets.ring_town(layout, rng, centre, axes, profile.roads.streets_m, dongs, core, water)
        add(centre, nodes)
    for i, district in enumerate(profile.districts):
        if district.kind == "dong" and ring is not None:
            continue
        dense = district.kind != "myeon"
        radius = 34 * district.population**0.33 if not dense else 9.5 * district.population**0.5
        spacing = 120.0 if district.kind != "dong" else profile.roads.streets_m
        seat = seats[i]
        if any(plane.contains(h.buffer(radius), seats[i : i + 1])[0] for h in towns.hulls):
            continue
        room = land.sketch[i].buffer(-60)
        add(seat, streets.grid_town(layout, rng, seat, radius, spacing, room, water))
    return towns


def _country(profile: Profile, land: Land, layout: Layout, rng: np.random.Generator, towns: _Towns) -> None:
    """Lay main roads along the corridors, scatter villages, and join everything."""
    built = np.array(layout.xy)
    points: list[int] = []
    group: list[int] = []
    for t, nodes in enumerate(towns.nodes):
        for gate in streets.gates(built, nodes, towns.centres[t], 20 if len(nodes) > 500 else 8):
            points.append(int(gate))
            group.append(t)
    entries, ends = list(points), built[points]
    limits = shapely.union_all(list(land.sketch)).buffer(-120)
    solid = shapely.union_all(towns.hulls)
    around = solid.buffer(150, 2)
    chains: list[tuple[int, int, int]] = []
    for c, corridor in enumerate(profile.corridors):
        chain = _corridor(LineString(land.plane.xy(corridor.points)), limits, around, layout)
        for piece in chain:
            for end in (piece[0], piece[-1]):
                distance = np.hypot(*(ends - layout.xy[end]).T)
                if distance.min() < 900:
                    chains.append((end, entries[int(distance.argmin())], c))
            chains.extend((p, q, c) for p, q in pairwise(piece))
            points.extend(piece)
            group.extend([-1] * len(piece))
    _villages(profile, land, layout, rng, points, group, solid)
    xy = np.array([layout.xy[p] for p in points])
    for p, q, c in chains:
        layout.path(p, q, TRUNK, c)
    main: set[frozenset[int]] = {frozenset((p, q)) for p, q, _ in chains}
    joints: list[tuple[int, int]] = []
    for a, b in streets.gabriel(xy, np.array(group)):
        line = LineString((xy[a], xy[b]))
        if frozenset((points[int(a)], points[int(b)])) not in main and line.intersection(solid).length < 80:
            joints.append((int(a), int(b)))
    known = dict(zip(points, range(len(points)), strict=True))
    trunk = [(known[p], known[q]) for p, q, _ in chains]
    busy = streets.trodden(xy, joints + trunk, np.array(group), np.array(towns.centres))
    for a, b in joints:
        layout.path(points[a], points[b], SECONDARY if (a, b) in busy else TERTIARY)


def _corridor(line: LineString, limits: BaseGeometry, around: BaseGeometry, layout: Layout) -> list[list[int]]:
    """Return a corridor's nodes, about 1.1 km apart, in the pieces that towns leave of it."""
    pieces: list[list[int]] = []
    outside = line.intersection(limits).difference(around)
    for part in shapely.get_parts(outside):
        if isinstance(part, LineString) and part.length > 300:
            n = max(1, round(part.length / 1100))
            along = [part.interpolate(k / n, normalized=True) for k in range(n + 1)]
            pieces.append([layout.node(p.x, p.y) for p in along])
    return pieces


def _villages(
    profile: Profile,
    land: Land,
    layout: Layout,
    rng: np.random.Generator,
    points: list[int],
    group: list[int],
    solid: BaseGeometry,
) -> None:
    away = [shapely.union_all(list(land.water)).buffer(150, 2), *land.green, solid.buffer(300, 2)]
    closed = shapely.union_all(away)
    for i, district in enumerate(profile.districts):
        if district.kind == "dong":
            continue
        count = round(district.population * profile.roads.villages_per_1000 / 1000)
        if district.kind == "eup":
            count = min(count, round(district.area_km2))
        room = land.sketch[i].buffer(-200).difference(closed)
        if room.is_empty:
            continue
        taken = [np.array(layout.xy[p]) for p in points]
        apart = 0.55 * (room.area / max(count, 1)) ** 0.5
        for centre in streets.scatter(rng, room, count, max(350.0, min(apart, 1100.0)), taken):
            points.append(streets.village(layout, rng, centre, int(rng.integers(5, 15))))
            group.append(-1)


def _graph(profile: Profile, land: Land, layout: Layout, ring: Ints, rng: np.random.Generator) -> Roads:
    """Bend the layout onto the land, keep what hangs together and lies in the city, and make it directed."""
    xy = land.bend(np.array(layout.xy))
    links = np.array(layout.links, np.int64)
    inside = plane.contains(land.boundary.buffer(-15), xy)
    links = links[inside[links[:, 0]] & inside[links[:, 1]]]
    low, high = np.minimum(links[:, 0], links[:, 1]), np.maximum(links[:, 0], links[:, 1])
    order = np.lexsort((-links[:, 2], high, low))
    low, high, links = low[order], high[order], links[order]
    first = np.append(True, (np.diff(low) != 0) | (np.diff(high) != 0))
    links = links[first]
    one_way = (links[:, 2] == RESIDENTIAL) & (rng.random(len(links)) < 0.05)
    forward = np.column_stack((links, np.zeros(len(links), np.int64)))
    backward = forward[~one_way][:, [1, 0, 2, 3, 4]]
    arcs = np.concatenate((forward, backward))
    root = int(ring[0]) if len(ring) else int(links[np.argmax(links[:, 2]), 0])
    reach = _reached(len(xy), arcs[:, 0], arcs[:, 1], root) & _reached(len(xy), arcs[:, 1], arcs[:, 0], root)
    arcs = arcs[reach[arcs[:, 0]] & reach[arcs[:, 1]]]
    number = np.cumsum(reach) - 1
    kept = np.flatnonzero(reach)
    arcs[:, :2] = number[arcs[:, :2]]
    arcs = arcs[np.lexsort((arcs[:, 1], arcs[:, 0]))]
    xy = xy[kept]
    lonlat = land.plane.lonlat(xy)
    source, target, kind = arcs[:, 0], arcs[:, 1], arcs[:, 2]
    district = locate(land.districts, xy)
    stray = np.flatnonzero(district < 0)
    if len(stray):  # in a crack between two districts
        district[stray] = plane.nearest(shapely.STRtree(list(land.districts)), xy[stray])
    on_ring = np.zeros(len(layout.xy), bool)
    on_ring[ring] = True
    on_ring = on_ring[kept]
    rural = np.array([d.kind == "myeon" for d in profile.districts])[district[source]]
    speed = np.asarray(SPEED_KMH)[kind] + 10.0 * (rural & (kind == TERTIARY)) + 10.0 * (rural & (kind == SECONDARY))
    return Roads(
        xy=xy,
        lonlat=lonlat,
        district=district,
        source=source,
        target=target,
        length_m=np.hypot(*(xy[source] - xy[target]).T),
        road_class=kind,
        speed_mps=speed / 3.6,
        corridor=arcs[:, 3],
        brt=(kind == PRIMARY) & on_ring[source] & on_ring[target],
        ring=number[ring[reach[ring]]] if len(ring) else ring,
        gateways=_gateways(land, xy, source, kind),
    )


def _reached(n: int, source: Ints, target: Ints, root: int) -> Bools:
    """Return which of n nodes can be reached from the root along the arcs (breadth first, one level a turn)."""
    order = np.argsort(source, kind="stable")
    target = target[order]
    first = np.searchsorted(source[order], np.arange(n + 1))
    seen = np.zeros(n, bool)
    seen[root] = True
    front: npt.NDArray[np.int64] = np.array([root])
    while len(front):
        counts = first[front + 1] - first[front]
        starts = np.repeat(first[front] - np.append(0, np.cumsum(counts)[:-1]), counts)
        found = np.unique(target[starts + np.arange(counts.sum())])
        front = found[~seen[found]]
        seen[front] = True
    return seen


def _gateways(land: Land, xy: Floats, source: Ints, kind: Ints) -> Ints:
    """Return the nodes of main roads that lie within 700 m of the limits, one for each place where one leaves."""
    main = np.unique(source[kind >= SECONDARY])
    limits = land.boundary.boundary
    edge = plane.distances(limits, xy[main])
    chosen: list[int] = []
    for k in np.argsort(edge):
        if edge[k] > 700:
            break
        if all(np.hypot(*(xy[main[k]] - xy[c])) > 1500 for c in chosen):
            chosen.append(int(main[k]))
    if not chosen:
        chosen = [int(np.argmin(plane.distances(limits, xy)))]
    return np.array(sorted(chosen))


__all__ = ["CLASSES", "LANES", "SPEED_KMH", "Roads", "make"]
