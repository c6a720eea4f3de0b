"""The road network of a service: directed edges with shape, class, speed limit and forbidden turns, as arrays."""

import dataclasses
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from hanmaru.ride.domain import Bools, Floats, RideError, Rows

CLASSES = (
    "service",
    "living_street",
    "residential",
    "unclassified",
    "tertiary",
    "secondary",
    "primary",
    "trunk",
    "motorway",
)
"""Road classes by OpenStreetMap's names, ascending; ``road_class`` holds their index."""

NO_STOPPING, ACCESSIBLE, INACCESSIBLE, ROUNDABOUT, RAMP = 1, 2, 4, 8, 16
"""Bits of ``flags``: no vehicle may stop (tunnel, bridge, expressway, signed); the kerb is known to take a wheelchair,
or known not to; part of a roundabout; a link road between others."""

CROSSING, BUS_STOP, HYDRANT = 0, 1, 2
"""Kinds of ``obstacles``: what the law keeps stopped vehicles away from."""

_WALK_PIECE_M = 50.0
_NAME_LENGTH = 80
_EQUATOR_M, _E2 = 6378137.0, 0.00669437999014


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """A directed graph of n nodes and m edges, edges sorted by source.

    ``lonlat`` (n, 2) WGS 84; ``source``, ``target`` (m,) int32; ``length_m``, ``limit_kmh`` (m,) float64;
    ``road_class``, ``flags`` (m,) uint8; ``way`` (m,) int64, the edge's number in its source; ``street`` (m,) int32 its
    name among ``streets`` (the first is empty: none). The points between an
    edge's ends are ``shape[shape_first[e]:shape_first[e + 1]]``. ``banned`` holds sequences of edges that nobody may
    drive one after the other: ``banned[banned_first[i]:banned_first[i + 1]]``, two edges for a forbidden turn, more
    where the way between counts. ``obstacles`` (k, 2) lon, lat and ``obstacle_kind`` (k,) are where stopping nearby is
    forbidden. ``walks`` (w, 2) int32 into ``walk_lonlat``, ``walk_m`` (w,) long and ``walk_steps`` (w,) where they are
    stairs: where people walk, either way; none where unknown.
    """

    name: str
    lonlat: Floats
    source: Rows
    target: Rows
    length_m: Floats
    limit_kmh: Floats
    road_class: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    way: npt.NDArray[np.int64]
    street: Rows
    streets: npt.NDArray[np.str_]
    shape_first: npt.NDArray[np.int64]
    shape: Floats
    banned_first: npt.NDArray[np.int64]
    banned: Rows
    obstacles: Floats
    obstacle_kind: npt.NDArray[np.uint8]
    walk_lonlat: Floats
    walks: Rows
    walk_m: Floats
    walk_steps: Bools

    @cached_property
    def first_edge(self) -> npt.NDArray[np.int64]:
        """CSR offsets (n + 1,): the edges out of node i are ``first_edge[i]:first_edge[i + 1]``."""
        return np.searchsorted(self.source, np.arange(len(self.lonlat) + 1))

    @cached_property
    def digest(self) -> str:
        """What tells this network from any other: SHA-256 over all arrays, 16 hexadecimal digits."""
        seal = hashlib.sha256()
        for name, array in self.arrays().items():
            seal.update(f"{name} {array.dtype} {array.shape}".encode())
            seal.update(np.ascontiguousarray(array).tobytes())
        return seal.hexdigest()[:16]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "name"}

    def line(self, edge: int) -> Floats:
        """Return an edge's points (k, 2) lon, lat from end to end."""
        inner = self.shape[self.shape_first[edge] : self.shape_first[edge + 1]]
        return np.vstack((self.lonlat[self.source[edge]], inner, self.lonlat[self.target[edge]]))

    @cached_property
    def segments(self) -> tuple[Rows, Floats, Floats, Floats]:
        """Every straight piece of every edge: its edge, both ends (k, 2) lon, lat, and where on the edge it begins.

        The last is (k, 2): the shares of the edge's length at which the piece begins and ends.
        """
        counts = np.diff(self.shape_first) + 1
        edge = np.repeat(np.arange(len(self.source), dtype=np.int32), counts)
        first = np.cumsum(counts) - counts
        at = np.arange(len(edge)) - first[edge]
        inner = self.shape_first[edge] + at
        last = at == counts[edge] - 1
        a, b = self.lonlat[self.source[edge]].copy(), self.lonlat[self.target[edge]].copy()
        a[at > 0] = self.shape[inner[at > 0] - 1]
        b[~last] = self.shape[inner[~last]]
        length = np.maximum(metres(a, b), 1e-6)
        along = np.cumsum(length)
        before = along - length - (along[first] - length[first])[edge]
        whole = np.bincount(edge, length, len(self.source))[edge]
        return edge, a, b, np.stack((before / whole, (before + length) / whole), axis=1)

    def keep(self, edges: Bools) -> "RoadGraph":
        """Return the graph of some edges (m,), with the nodes at their ends and the forbidden turns among them."""
        used = np.zeros(len(self.lonlat), bool)
        used[self.source[edges]] = used[self.target[edges]] = True
        node = np.cumsum(used, dtype=np.int32) - 1
        number = np.where(edges, np.cumsum(edges) - 1, -1).astype(np.int32)
        counts = np.diff(self.shape_first)
        sizes = np.diff(self.banned_first)
        whole = np.minimum.reduceat(number[self.banned], self.banned_first[:-1]) >= 0 if len(sizes) else sizes > 0
        return dataclasses.replace(
            self,
            lonlat=self.lonlat[used],
            source=node[self.source[edges]],
            target=node[self.target[edges]],
            length_m=self.length_m[edges],
            limit_kmh=self.limit_kmh[edges],
            road_class=self.road_class[edges],
            flags=self.flags[edges],
            way=self.way[edges],
            street=self.street[edges],
            shape_first=offsets(counts[edges]),
            shape=self.shape[np.repeat(edges, counts)],
            banned_first=offsets(sizes[whole]),
            banned=number[self.banned[np.repeat(whole, sizes)]],
        )

    def save(self, path: Path) -> None:
        """Write the graph to a compressed ``.npz`` file, whole or not at all."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, name=np.array(self.name), **self.arrays())
        part.replace(path)


def load(path: Path) -> RoadGraph:
    """Return a graph that `RoadGraph.save` wrote. Raises RideError, naming the file."""
    fields = [f.name for f in dataclasses.fields(RoadGraph)]
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            values = {name: file[name] for name in fields}
    except FileNotFoundError:
        raise RideError(f"{path}: no such file; make it with `hanmaru ride network`") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RideError(
            f"{path}: not a road network that this version wrote ({error}); make it again with `hanmaru ride network`"
        ) from None
    name = str(values.pop("name"))
    return RoadGraph(name=name, **values)


class Edge(msgspec.Struct, gc=False):
    """One directed edge of a network being imported; nodes are dense indices."""

    source: int
    target: int
    length_m: float
    limit_kmh: float
    road_class: int
    flags: int
    way: int
    shape: Floats
    street: str = ""


def assemble(
    name: str,
    lonlat: Floats,
    edges: list[Edge],
    banned: list[tuple[int, ...]],
    *,
    obstacles: Floats | None = None,
    obstacle_kind: npt.NDArray[np.uint8] | None = None,
    walk: tuple[Floats, Rows, Floats, Bools] | None = None,
) -> RoadGraph:
    """Return a graph of edges in any order; ``banned`` counts in that order. Raises RideError where there is none."""
    if not edges:
        raise RideError(f"{name}: no road that a van may drive; is it the right file and area?")
    order: npt.NDArray[np.int64] = np.lexsort(([e.target for e in edges], [e.source for e in edges]))
    rank = np.empty(len(edges), np.int32)
    rank[order] = np.arange(len(edges), dtype=np.int32)
    ordered = [edges[int(i)] for i in order]
    bans = sorted(set(banned))
    shapes = [e.shape.reshape(-1, 2) for e in ordered]
    streets, street = np.unique(["", *(e.street[:_NAME_LENGTH] for e in ordered)], return_inverse=True)
    walk_lonlat, walks, walk_m, walk_steps = no_walks() if walk is None else walk
    return RoadGraph(
        name=name,
        lonlat=np.asarray(lonlat, np.float64).reshape(-1, 2),
        source=np.array([e.source for e in ordered], np.int32),
        target=np.array([e.target for e in ordered], np.int32),
        length_m=np.array([e.length_m for e in ordered], np.float64),
        limit_kmh=np.array([e.limit_kmh for e in ordered], np.float64),
        road_class=np.array([e.road_class for e in ordered], np.uint8),
        flags=np.array([e.flags for e in ordered], np.uint8),
        way=np.array([e.way for e in ordered], np.int64),
        street=street[1:].astype(np.int32),
        streets=streets,
        shape_first=offsets(np.array([len(s) for s in shapes], np.int64)),
        shape=np.concatenate([*shapes, np.empty((0, 2))]),
        banned_first=offsets(np.array([len(b) for b in bans], np.int64)),
        banned=rank[np.array([e for b in bans for e in b], np.int64)],
        obstacles=np.empty((0, 2)) if obstacles is None else obstacles,
        obstacle_kind=np.empty(0, np.uint8) if obstacle_kind is None else obstacle_kind,
        walk_lonlat=walk_lonlat,
        walks=walks,
        walk_m=walk_m,
        walk_steps=walk_steps,
    )


def footpaths(lonlat: Floats, ends: Rows, lines: Sequence[Floats], steps: Bools) -> tuple[Floats, Rows, Floats, Bools]:
    """Return ``walk_lonlat``, ``walks``, ``walk_m`` and ``walk_steps`` of lines between nodes ``ends`` (w, 2).

    Lines are cut into equal pieces of at most 50 m, so that whoever lives along one is near a node.
    """
    if not lines:
        return no_walks()
    whole = lengths(lines)
    count = np.maximum(1, np.ceil(whole / _WALK_PIECE_M)).astype(np.int64)
    line = np.repeat(np.arange(len(lines)), count - 1)
    share = (ranges(np.ones_like(count), count - 1)) / count[line]
    counts = np.array([len(points) for points in lines])
    shapes: Any = shapely.linestrings(np.concatenate(lines), indices=np.repeat(np.arange(len(lines)), counts))
    library: Any = shapely
    inner: Any = library.line_interpolate_point(shapes[line], share, normalized=True)
    points = np.concatenate((lonlat, shapely.get_coordinates(inner)))
    which = np.repeat(np.arange(len(lines)), count)
    at = ranges(np.zeros_like(count), count)
    made = len(lonlat) + (np.cumsum(count - 1) - (count - 1))[which] + at
    first = np.where(at == 0, ends[which, 0], made - 1)
    last = np.where(at == count[which] - 1, ends[which, 1], made)
    return points, np.stack((first, last), axis=1).astype(np.int32), (whole / count)[which], steps[which]


def no_walks() -> tuple[Floats, Rows, Floats, Bools]:
    """Return the footpaths of a source that knows none."""
    return np.empty((0, 2)), np.empty((0, 2), np.int32), np.empty(0), np.empty(0, bool)


def offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return where groups of these sizes (k,) begin and the last ends (k + 1,)."""
    return np.append(0, np.cumsum(counts)).astype(np.int64)


def ranges(begin: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return ``begin[i], begin[i] + 1, …``, ``counts[i]`` of them, for each i in turn."""
    ends = np.cumsum(counts)
    shift: Any = np.repeat(begin - (ends - counts), counts)
    return shift + np.arange(len(shift))


def metres(a: Floats, b: Floats) -> Floats:
    """Return distances (k,), m, between points (k, 2) lon, lat close to each other.

    On the WGS 84 ellipsoid's plane at each pair's mean latitude: within a millionth of the geodesic in a city.
    """
    a, b = np.radians(a), np.radians(b)
    phi = (a[:, 1] + b[:, 1]) / 2
    w = np.sqrt(1 - _E2 * np.sin(phi) ** 2)
    east = (b[:, 0] - a[:, 0]) * np.cos(phi) * _EQUATOR_M / w
    return np.hypot(east, (b[:, 1] - a[:, 1]) * _EQUATOR_M * (1 - _E2) / w**3)


def lengths(lines: Sequence[Floats]) -> Floats:
    """Return the lengths (k,), m, of lines of points (·, 2) lon, lat."""
    if not lines:
        return np.empty(0)
    counts = np.array([len(line) for line in lines])
    points = np.concatenate(lines)
    step = np.append(metres(points[:-1], points[1:]), 0.0)
    step[np.cumsum(counts) - 1] = 0.0
    return np.add.reduceat(step, np.cumsum(counts) - counts)
