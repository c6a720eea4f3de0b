"""Virtual stops: legal kerb points where a van may halt, few of them, and which are near a rider."""

import csv
import heapq
import io
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.city.plane import Plane
from hanmaru.ride.domain import Bools, Floats, RideError, Rows
from hanmaru.ride.roads import tables
from hanmaru.ride.roads.graph import (
    ACCESSIBLE,
    BUS_STOP,
    CLASSES,
    CROSSING,
    HYDRANT,
    INACCESSIBLE,
    NO_STOPPING,
    RAMP,
    ROUNDABOUT,
    RoadGraph,
    ranges,
)
from hanmaru.ride.roads.matrix import Network, Places
from hanmaru.ride.roads.walking import DETOUR, ROLL_MPS, WALK_MPS, Footpaths, Reach, straight

JUNCTION_M = 5.0
"""No stopping within 5 m of a junction's edge or a street's corner: Korea's Road Traffic Act Art. 32 no. 2."""

CLEAR_M = {CROSSING: 10.0, BUS_STOP: 10.0, HYDRANT: 5.0}
"""No stopping within 10 m of a crossing (no. 5), 10 m of a bus stop (no. 4), 5 m of fire-fighting water (no. 6)."""

HALF_ROAD_M = (3.0, 3.0, 3.5, 3.5, 4.0, 8.0, 10.0, 10.0, 12.0)
"""From a road's middle to its kerb, by class: one lane of 3-3.5 m, then two and three each way."""

_LIMIT_M = 1500.0
_KEPT = 16
_CLOSE_M = 60.0
_FAR_M = 50.0


class _Tables:
    """Stops by footpath node: the nearest `_KEPT` of each node, as ``stop`` and ``metres`` (n, 16), -1 for none."""

    def __init__(self, paths: Footpaths, lonlat: Floats, number: Rows) -> None:
        found = paths.reach(lonlat, _LIMIT_M)
        stop = np.repeat(number, np.diff(found.first))
        order = np.lexsort((found.metres, found.item))
        node, stop, metres = found.item[order], stop[order], found.metres[order]
        rank = np.arange(len(node)) - np.searchsorted(node, node)
        few = rank < _KEPT
        self.paths = paths
        self.stop = np.full((paths.size, _KEPT), -1, np.int32)
        self.metres = np.full((paths.size, _KEPT), np.inf)
        self.stop[node[few], rank[few]] = stop[few]
        self.metres[node[few], rank[few]] = metres[few]


@dataclass(frozen=True, eq=False)
class Stops:
    """k stops: ``ids``, ``names``, ``lonlat`` (k, 2) at the kerb, ``places`` on the network, ``accessible`` (k,).

    ``accessible``: whether a wheelchair can board there. ``graph`` brings the footpaths; without, walks are straight
    lines with a detour.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    lonlat: Floats
    places: Places
    accessible: Bools
    graph: RoadGraph | None = None

    def __len__(self) -> int:
        """Return k."""
        return len(self.ids)

    @cached_property
    def _plane(self) -> Plane:
        lon, lat = self.lonlat.mean(axis=0).tolist() if len(self) else (0.0, 0.0)
        return Plane(lon, lat)

    @cached_property
    def _trees(self) -> tuple[tuple[Any, Rows], tuple[Any, Rows]]:
        """Trees of all stops and of the accessible ones, with the stops' numbers."""
        every = np.arange(len(self), dtype=np.int32)
        xy = self._plane.xy(self.lonlat)
        return (KDTree(xy), every), (KDTree(xy[self.accessible]), every[self.accessible])

    @cached_property
    def _walks(self) -> tuple[_Tables, _Tables] | None:
        graph = self.graph
        if graph is None or not len(graph.walks):
            return None
        every = np.arange(len(self), dtype=np.int32)
        some = every[self.accessible]
        return (
            _Tables(Footpaths(graph, self._plane, steps=True), self.lonlat, every),
            _Tables(Footpaths(graph, self._plane, steps=False), self.lonlat[some], some),
        )

    def near(
        self, lonlat: tuple[float, float], max_walk_m: float, wheelchair: bool = False, most: int = 8
    ) -> list[tuple[int, int, int]]:
        """Return the stops within a walk of a point, nearest first, at most ``most``: (stop, walk_m, walk_s).

        Over footpaths where they are known near the point (walks of up to 1,500 m), else straight with a detour.
        """
        tree, number = self._trees[wheelchair]
        if not len(number):
            return []
        xy = self._plane.xy(lonlat)[0]
        found = tree.query(xy, k=min(most, len(number)), distance_upper_bound=max_walk_m / DETOUR)
        walk = {
            int(number[i]): m * DETOUR
            for m, i in zip(np.atleast_1d(found[0]).tolist(), np.atleast_1d(found[1]).tolist(), strict=True)
            if m * DETOUR <= max_walk_m
        }
        if self._walks is not None:
            table = self._walks[wheelchair]
            node, away = table.paths.join(np.asarray(lonlat, np.float64).reshape(1, 2))
            joined = node[0] >= 0
            if joined.any():
                walk = {s: m for s, m in walk.items() if m <= _CLOSE_M * DETOUR}
                stop, metres = table.stop[node[0, joined]], table.metres[node[0, joined]] + away[0, joined, None]
                for s, m in zip(stop.ravel().tolist(), metres.ravel().tolist(), strict=True):
                    if m <= max_walk_m and m < walk.get(s, np.inf):
                        walk[s] = m
        speed = ROLL_MPS if wheelchair else WALK_MPS
        nearest = sorted(walk.items(), key=lambda pair: (pair[1], pair[0]))[:most]
        return [(s, round(m), round(m / speed)) for s, m in nearest]

    def save(self, path: Path) -> None:
        """Write the stops as GeoJSON, or as CSV where the file's name ends so; `read` reads both."""
        rows = [
            {"id": id, "name": name, "lon": round(lon, 7), "lat": round(lat, 7), "accessible": bool(ok)}
            for id, name, (lon, lat), ok in zip(
                self.ids, self.names, self.lonlat.tolist(), self.accessible.tolist(), strict=True
            )
        ]
        if path.suffix.lower() == ".csv":
            text = io.StringIO()
            columns = ("id", "name", "lat", "lon", "accessible")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([*(r[c] for c in columns[:-1]), "yes" if r["accessible"] else "no"] for r in rows)
            path.write_text(text.getvalue(), encoding="utf-8")
            return
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [r["lon"], r["lat"]]},
                "properties": {k: r[k] for k in ("id", "name", "accessible")},
            }
            for r in rows
        ]
        path.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))


def read(path: Path, network: Network) -> tuple[Stops, list[str]]:
    """Return a city's own stops from CSV or GeoJSON, and the ids of those over 50 m from every road, left out.

    Columns ``id``, ``name``, ``lat`` and ``lon`` (or the GeoJSON point), ``accessible`` (yes, no; else the road's kerb
    decides). Raises RideError, naming file and row.
    """
    ids: list[str] = []
    names: list[str] = []
    points: list[Floats] = []
    said: list[str] = []
    known: set[str] = set()
    for row in tables.rows(path):
        id = row.must("id", "stop_id", "StationID")
        if id in known:
            raise RideError(f"{row.where}: stop {id} is there twice")
        if row.points is None or len(row.points) != 1:
            raise RideError(f"{row.where}: stop {id} has no point; give lat and lon")
        word = (row.text("accessible", "wheelchair_boarding") or "").lower()
        if word not in _WORDS:
            raise RideError(f"{row.where}, column accessible: {word[:20]!r} is neither yes nor no")
        known.add(id)
        ids.append(id)
        names.append(row.text("name", "stop_name", "StaName") or id)
        points.append(row.points[0])
        said.append(word)
    if not ids:
        raise RideError(f"{path}: no stops")
    lonlat = np.array(points)
    places = network.snap(lonlat)
    away = np.hypot(*(network.plane.xy(network.lonlat(places)) - network.plane.xy(lonlat)).T)
    kerb = accessibility(network.graph, places.edge)
    accessible = np.array([k if _WORDS[w] is None else _WORDS[w] for w, k in zip(said, kerb.tolist(), strict=True)])
    keep = np.flatnonzero(away <= _FAR_M)
    kept = Stops(
        tuple(ids[i] for i in keep),
        tuple(names[i] for i in keep),
        lonlat[keep],
        places.take(keep),
        accessible[keep].astype(bool),
        network.graph,
    )
    return kept, [ids[i] for i in np.flatnonzero(away > _FAR_M)]


_WORDS = {"": None, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "2": False}


def candidates(network: Network, every_m: float = 40.0) -> Places:
    """Return the legal places to stop, about ``every_m`` apart along each edge's kerb.

    None on expressways, ramps and roundabouts, in tunnels and on bridges, within 5 m of an edge's ends, or too near to
    what `CLEAR_M` names. An edge's ends are junctions' middles, so half a crossing road is added where streets meet.
    """
    graph = network.graph
    usable = np.flatnonzero((graph.flags & (NO_STOPPING | ROUNDABOUT | RAMP)) == 0).astype(np.int32)
    half = np.array(HALF_ROAD_M)
    widest = np.zeros(len(graph.lonlat))
    np.maximum.at(widest, graph.target, half[graph.road_class])
    np.maximum.at(widest, graph.source, half[graph.road_class])
    before, after = (JUNCTION_M + widest[end[usable]] for end in (graph.source, graph.target))
    room = graph.length_m[usable] - before - after
    fits = room > 1
    usable, room, before = usable[fits], room[fits], before[fits]
    count = np.maximum(1, (room / every_m).astype(np.int64))
    which = np.repeat(np.arange(len(usable)), count)
    k = ranges(np.zeros_like(count), count)
    metres = before[which] + (k + 0.5) / count[which] * room[which]
    places = Places(usable[which], metres / graph.length_m[usable[which]])
    return places.take(_clear(network, places))


def streets(network: Network, every_m: float = 50.0) -> tuple[Floats, Floats]:
    """Return points (p, 2) lon, lat along the streets that people live on, and the metres (p,) that each stands for.

    For `choose` where nobody knows where people are. Expressways and ramps are left out.
    """
    graph = network.graph
    lived = np.flatnonzero(
        ((graph.flags & RAMP) == 0) & (graph.road_class < CLASSES.index("trunk")) & (graph.length_m > 0)
    ).astype(np.int32)
    count = np.maximum(1, np.rint(graph.length_m[lived] / every_m).astype(np.int64))
    which = np.repeat(np.arange(len(lived)), count)
    k = ranges(np.zeros_like(count), count)
    edge = lived[which]
    return network.lonlat(Places(edge, (k + 0.5) / count[which])), graph.length_m[edge] / count[which]


def _clear(network: Network, places: Places) -> Bools:
    """Return which places (k,) keep the law's distances from crossings, bus stops and hydrants."""
    graph = network.graph
    clear = np.ones(len(places), bool)
    if not len(places):
        return clear
    tree: Any = KDTree(network.plane.xy(kerb(network, places)))
    for kind, away in CLEAR_M.items():
        spots = graph.obstacles[graph.obstacle_kind == kind]
        if len(spots):
            for hit in tree.query_ball_point(network.plane.xy(spots), away + _SLACK_M[kind]):
                clear[hit] = False
    return clear


_SLACK_M = {CROSSING: 4.0, BUS_STOP: 0.0, HYDRANT: 0.0}
"""A crossing is mapped as a point in the road's middle: half of its usual width of 4-8 m comes on top."""


def kerb(network: Network, places: Places) -> Floats:
    """Return where people stand (k, 2) lon, lat: beside places, on the side of the kerb."""
    aside = np.array(HALF_ROAD_M)[network.graph.road_class[places.edge]]
    return network.kerb(places, aside)


def accessibility(graph: RoadGraph, edge: Rows) -> Bools:
    """Return whether a wheelchair can board on edges (k,): where the kerb is known to take it."""
    return ((graph.flags[edge] & ACCESSIBLE) > 0) & ((graph.flags[edge] & INACCESSIBLE) == 0)


def choose(network: Network, people: Floats, weight: Floats, *, max_walk_m: float = 300.0) -> Stops:
    """Return few stops so that people at points (p, 2), ``weight`` (p,) of them, have one within a walk (greedy cover).

    First accessible ones for whoever can be served by one, then any for the rest. Every further stop is the candidate
    that most people not yet served can walk to (Chvátal 1979, doi:10.1287/moor.4.3.233: within ln p of the fewest).
    Whom no candidate serves stays unserved; ``weight`` stays as it is. Raises RideError where nobody may stop.
    """
    graph = network.graph
    places = candidates(network)
    if not len(places):
        raise RideError(f"{graph.name}: no legal place to stop; see the rules in docs/explanation/ride-roads.md")
    lonlat = kerb(network, places)
    accessible = accessibility(graph, places.edge)
    left = np.array(weight, np.float64)
    easy = np.flatnonzero(accessible)
    chosen = np.concatenate(
        (
            easy[_cover(_reach(network, lonlat[easy], people, max_walk_m, steps=False), left)],
            _cover(_reach(network, lonlat, people, max_walk_m, steps=True), left),
        )
    )
    chosen = np.unique(chosen)
    ids = tuple(f"{k + 1:04d}" for k in range(len(chosen)))
    return Stops(
        ids, _names(graph, places.edge[chosen], ids), lonlat[chosen], places.take(chosen), accessible[chosen], graph
    )


def _names(graph: RoadGraph, edge: Rows, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name for each stop: its street's, numbered where it has several, or its id where it has none."""
    streets: list[str] = graph.streets[graph.street[edge]].tolist()
    several, count = Counter(streets), Counter[str]()
    names: list[str] = []
    for id, street in zip(ids, streets, strict=True):
        count[street] += 1
        names.append(id if not street else f"{street} {count[street]}" if several[street] > 1 else street)
    return tuple(names)


def _reach(network: Network, sources: Floats, people: Floats, limit_m: float, *, steps: bool) -> Reach:
    if not len(sources) or not len(people):
        return Reach(np.zeros(len(sources) + 1, np.int64), np.empty(0, np.int32), np.empty(0))
    if len(network.graph.walks):
        return Footpaths(network.graph, network.plane, steps=steps).reach(sources, limit_m, people)
    return straight(network.plane, sources, people, limit_m)


def _cover(reach: Reach, left: Floats) -> Rows:
    """Return sources that together reach everybody that any reaches, lazily greedy; ``left`` becomes 0 for them."""
    heap = [
        (-float(left[reach.item[a:b]].sum()), i)
        for i, (a, b) in enumerate(zip(reach.first.tolist(), reach.first[1:].tolist(), strict=False))
    ]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap:
        _, i = heapq.heappop(heap)
        mine = reach.item[reach.first[i] : reach.first[i + 1]]
        gain = float(left[mine].sum())
        if gain <= 0:
            continue
        if heap and (-gain, i) > heap[0]:
            heapq.heappush(heap, (-gain, i))
            continue
        chosen.append(i)
        left[mine] = 0.0
    return np.array(sorted(chosen), np.int32)
