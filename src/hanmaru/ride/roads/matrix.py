"""Travel between places on the network: matrices for the engine, rows for moving vans, ways to draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from hanmaru.city.plane import Plane
from hanmaru.ride.domain import UNREACHABLE, Bools, Floats, RideError, Rows, Travel
from hanmaru.ride.roads import turns
from hanmaru.ride.roads.graph import RoadGraph, offsets, ranges
from hanmaru.ride.roads.shortest import NEVER, Packed, Shortest, Weighted, pack, searcher, unpack


@dataclass(frozen=True, eq=False, slots=True)
class Places:
    """Where k things are on the network: on which edge (k,) int32, and what share (k,) of it lies behind them.

    A place belongs to its edge's direction: whoever stands there drives on to the edge's end.
    """

    edge: Rows
    along: Floats

    def __len__(self) -> int:
        """Return k."""
        return len(self.edge)

    def take(self, index: Any) -> "Places":
        """Return some of the places."""
        return Places(self.edge[index], self.along[index])


@dataclass(frozen=True, eq=False, slots=True)
class Targets:
    """Places made ready to be driven to; good for all speeds."""

    places: Places
    selection: Any
    column: Rows
    group: Rows
    by_edge: Rows


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """A quickest way: ``lonlat`` (k, 2) from start to end, the seconds ``at_s`` (k,) and metres ``at_m`` (k,) there."""

    lonlat: Floats
    at_s: Floats
    at_m: Floats


class Network:
    """A road graph ready for travel times; never changes. `weigh` gives it speeds.

    Edges are kept as straight segments, too: those of edge e from ``first_segment[e]`` on, ``segment_end`` (k, 2) where
    each ends in the ``plane``, ``shares`` (k, 2) the shares of the edge at which it begins and ends.
    """

    def __init__(self, graph: RoadGraph, *, u_turns: bool = False, left_hand: bool = False) -> None:
        """Prepare a graph.

        ``u_turns``: vans may turn back at every junction, not at dead ends only. ``left_hand``: traffic drives on the
        left, as in Japan; in Korea it drives on the right.
        """
        self.graph = graph
        self.left_hand = left_hand
        self.arcs = turns.expand(graph, u_turns=u_turns)
        self.shortest: Shortest = searcher(self.arcs.tail, self.arcs.head, graph.lonlat[self.arcs.node])
        lon, lat = graph.lonlat.mean(axis=0).tolist()
        self.plane = Plane(lon, lat)
        edge, a, b, self.shares = graph.segments
        self._edge, self._a, self.segment_end = edge, self.plane.xy(a), self.plane.xy(b)
        self._key = edge + np.minimum(self.shares[:, 0], 0.999999999)
        self.first_segment = np.searchsorted(edge, np.arange(len(graph.source) + 1))
        self._tree = shapely.STRtree(shapely.linestrings(np.stack((self._a, self.segment_end), axis=1)))  # pyright: ignore[reportArgumentType]

    def snap(self, lonlat: Floats, *, bearing_deg: Floats | None = None, among: Bools | None = None) -> Places:
        """Return the place on the network nearest to each point (k, 2) lon, lat.

        Of a street's two directions it is the one whose kerb the point is on or, with ``bearing_deg`` (k,) clockwise
        from north, NaN where unknown, the one that a vehicle goes. ``among`` (m,) limits it to some edges.
        Raises RideError where a point is no number or there is no such edge.
        """
        xy = self.plane.xy(lonlat)
        if not np.isfinite(xy).all():
            raise RideError("a point to be put on the network has no finite longitude and latitude")
        if among is None:
            tree, number = self._tree, np.arange(len(self._edge))
        else:
            number = np.flatnonzero(among[self._edge])
            if not len(number):
                raise RideError("no edge of the network may be used for this; loosen the rule or check the import")
            tree = shapely.STRtree(self._tree.geometries[number])
        points: Any = shapely.points(xy)
        asked, distance = tree.query_nearest(points, return_distance=True, all_matches=False)
        least = np.empty(len(xy))
        least[asked[0]] = distance
        who, segment = tree.query(points, predicate="dwithin", distance=least + 0.05)
        segment = number[segment]
        a, along = self._a[segment], self.segment_end[segment] - self._a[segment]
        length2 = np.maximum((along**2).sum(axis=1), 1e-12)
        share = np.clip(((xy[who] - a) * along).sum(axis=1) / length2, 0, 1)
        offset = xy[who] - a
        right = along[:, 1] * offset[:, 0] - along[:, 0] * offset[:, 1]
        wrong = (right < 0) != self.left_hand
        if bearing_deg is not None:
            heading = np.radians(bearing_deg[who])
            against = along[:, 0] * np.sin(heading) + along[:, 1] * np.cos(heading) < 0
            wrong = np.where(np.isnan(heading), wrong, against)
        order = np.lexsort((segment, wrong, who))
        _, first = np.unique(who[order], return_index=True)
        best = order[first]
        low, high = self.shares[segment[best]].T
        return Places(self._edge[segment[best]], low + share[best] * (high - low))

    def lonlat(self, places: Places) -> Floats:
        """Return where places are (k, 2) lon, lat, on the middle of the road."""
        return self.plane.lonlat(self.xy(places))

    def xy(self, places: Places) -> Floats:
        """Return where places are (k, 2) in the network's plane."""
        return self._points(places)[0]

    def kerb(self, places: Places, aside_m: Floats) -> Floats:
        """Return points (k, 2) lon, lat beside places, ``aside_m`` (k,) from the road's middle towards the kerb."""
        xy, ahead = self._points(places)
        side = np.stack((ahead[:, 1], -ahead[:, 0]), axis=1) * (-1 if self.left_hand else 1)
        return self.plane.lonlat(xy + aside_m[:, None] * side)

    def bearing(self, places: Places) -> Floats:
        """Return which way one drives at places (k,), degrees clockwise from north."""
        ahead = self._points(places)[1]
        return np.degrees(np.arctan2(ahead[:, 0], ahead[:, 1])) % 360

    def _points(self, places: Places) -> tuple[Floats, Floats]:
        """Return plane coordinates (k, 2) of places and unit vectors (k, 2) of their roads."""
        segment = np.searchsorted(self._key, places.edge + np.minimum(places.along, 0.999999999), "right") - 1
        low, high = self.shares[segment].T
        share = np.clip((places.along - low) / np.maximum(high - low, 1e-12), 0, 1)
        ahead = self.segment_end[segment] - self._a[segment]
        unit = ahead / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
        return self._a[segment] + share[:, None] * ahead, unit

    def targets(self, places: Places) -> Targets:
        """Make places ready to be driven to. An edge is entered from each state that may turn into it."""
        begin = self.arcs.edge_first[places.edge]
        counts = self.arcs.edge_first[places.edge + 1] - begin
        group = offsets(counts)[:-1].astype(np.int32)
        every = ranges(begin, counts)
        tails = self.arcs.tail[self.arcs.of_edge[every]]
        states, column = np.unique(tails, return_inverse=True)
        return Targets(
            places,
            self.shortest.select(states),
            column.astype(np.int32),
            group,
            np.argsort(places.edge, kind="stable").astype(np.int32),
        )

    def weigh(self, speed_kmh: Floats) -> "Metric":
        """Return the network at speeds (m,), km/h. Raises RideError unless all are positive."""
        return Metric(self, speed_kmh)


class Metric:
    """Travel on a network at one moment's speeds; never changes, so a new one is swapped in as a whole."""

    def __init__(self, network: Network, speed_kmh: Floats) -> None:
        """Weigh the network."""
        graph = network.graph
        if speed_kmh.shape != graph.length_m.shape or not (np.isfinite(speed_kmh) & (speed_kmh > 0)).all():
            raise RideError(f"speeds must be {len(graph.length_m)} positive numbers, km/h, one for each edge")
        self.network = network
        self.time_s = graph.length_m / (speed_kmh / 3.6)
        self.weighted: Weighted = network.shortest.weigh(pack(self.time_s, graph.length_m)[network.arcs.edge])

    def travel(self, targets: Targets, vans: Places | None = None) -> Travel:
        """Return travel between all targets' places, and from vans to them: the engine's matrices."""
        places = targets.places
        if vans is not None:
            places = Places(np.concatenate((places.edge, vans.edge)), np.concatenate((places.along, vans.along)))
        return Travel(*self.rows(places, targets))

    def rows(self, places: Places, targets: Targets) -> tuple[Rows, Rows]:
        """Return seconds and metres (k, t) int32 from places to targets, rounded; `UNREACHABLE` where there is no way.

        For vans on their way: put the rows into the `Travel` of the moment.
        """
        weight = self._weights(places, targets)
        none = weight >= NEVER
        time_s, length_m = unpack(np.where(none, 0, weight))
        out = np.rint(time_s).astype(np.int32), np.rint(length_m).astype(np.int32)
        out[0][none] = out[1][none] = UNREACHABLE
        return out

    def _weights(self, places: Places, targets: Targets) -> Packed:
        arcs, goal = self.network.arcs, targets.places
        if not len(places) or not len(goal):
            return np.empty((len(places), len(goal)), np.int64)
        last = arcs.head[arcs.of_edge[arcs.edge_first[places.edge]]]
        ways = self.weighted.many(last, self._part(places.edge, 1 - places.along), targets.selection)
        ways = ways[:, targets.column]
        if len(targets.group) != len(targets.column):
            ways = np.minimum.reduceat(ways, targets.group, axis=1)
        ways = np.minimum(ways + self._part(goal.edge, goal.along), NEVER)
        same = goal.edge[targets.by_edge]
        low, high = np.searchsorted(same, places.edge), np.searchsorted(same, places.edge, "right")
        row = np.repeat(np.arange(len(places)), high - low)
        column = targets.by_edge[ranges(low, high - low)]
        ahead = goal.along[column] - places.along[row]
        row, column, ahead = row[ahead >= 0], column[ahead >= 0], ahead[ahead >= 0]
        ways[row, column] = np.minimum(ways[row, column], self._part(places.edge[row], ahead))
        return ways

    def _part(self, edge: Rows, share: Floats) -> Packed:
        return pack(self.time_s[edge] * share, self.network.graph.length_m[edge] * share)

    def way(self, start: Places, end: Places) -> Way | None:
        """Return the quickest way between two places (one each), or None where there is none."""
        arcs, graph = self.network.arcs, self.network.graph
        a, b = int(start.edge[0]), int(end.edge[0])
        begin, stop = float(start.along[0]), float(end.along[0])
        if a == b and begin <= stop:
            return self._drawn(start.edge, start.along, end.along)
        last = int(arcs.head[arcs.of_edge[arcs.edge_first[a]]])
        best: tuple[int, Rows] | None = None
        for arc in arcs.of_edge[arcs.edge_first[b] : arcs.edge_first[b + 1]].tolist():
            found = self.weighted.path(last, int(arcs.tail[arc]))
            if found is not None:
                edges = arcs.edge[found]
                total = int(pack(self.time_s[edges], graph.length_m[edges]).sum())
                if best is None or total < best[0]:
                    best = total, edges
        if best is None:
            return None
        edge = np.concatenate((start.edge, best[1], end.edge))
        low, high = np.zeros(len(edge)), np.ones(len(edge))
        low[0], high[-1] = begin, stop
        return self._drawn(edge, low, high)

    def _drawn(self, edge: Rows, low: Floats, high: Floats) -> Way:
        """Return the line over pieces of edges (p,), each from a share ``low`` to ``high`` of it."""
        network = self.network
        begin = network.first_segment[edge]
        segment = ranges(begin, network.first_segment[edge + 1] - begin)
        piece = np.repeat(np.arange(len(edge)), network.first_segment[edge + 1] - begin)
        share = network.shares[segment, 1]
        inner = (share > low[piece]) & (share < high[piece])
        ends = Places(np.append(edge, edge[-1]), np.append(low, high[-1]))
        xy = np.concatenate((network.xy(ends), network.segment_end[segment[inner]]))
        which = np.concatenate((np.arange(len(edge)), [len(edge) - 1], piece[inner]))
        at = np.concatenate((ends.along, share[inner]))
        order = np.lexsort((at, which))
        part = (at - low[which])[order]
        which = which[order]
        before = (high - low) * np.stack((self.time_s[edge], network.graph.length_m[edge]))
        gone = np.cumsum(before, axis=1) - before
        return Way(
            network.plane.lonlat(xy[order]),
            gone[0][which] + part * self.time_s[edge][which],
            gone[1][which] + part * network.graph.length_m[edge][which],
        )
