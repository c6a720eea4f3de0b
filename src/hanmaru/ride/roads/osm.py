"""Roads from OpenStreetMap: what a van may drive, which way, how fast, and which turns it may not make.

Follows the tagging documented on wiki.openstreetmap.org (Key:access, Key:oneway, Key:maxspeed, Relation:restriction).
A van is a ``motorcar``. Ways are cut at junctions; what lies between is an edge's shape.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import osmium
from osmium.filter import KeyFilter

from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.roads import limits
from hanmaru.ride.roads.bans import Restriction, bans
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
    Edge,
    RoadGraph,
    assemble,
    footpaths,
    lengths,
)

Tags = Mapping[str, str]

_MODES = ("motorcar", "motor_vehicle", "vehicle", "access")
_SHUT = {"no", "private", "agricultural", "forestry", "emergency", "delivery", "military", "customers", "permit"}
_YARDS = {"parking_aisle", "driveway", "drive-through", "emergency_access", "parking"}
_SOLID = {
    "bollard",
    "block",
    "jersey_barrier",
    "log",
    "debris",
    "cycle_barrier",
    "kissing_gate",
    "stile",
    "turnstile",
} | {*("wall", "fence", "motorcycle_barrier", "full-height_turnstile", "sump_buster", "bus_trap")}
_FOOT = {"footway", "path", "pedestrian", "steps", "track", "corridor", "cycleway", "bridleway"}
_NO_FOOT = {"motorway", "trunk"}
_PAVED_BADLY = {"unpaved", "gravel", "ground", "dirt", "grass", "sand", "mud", "cobblestone", "unhewn_cobblestone"}
_LEAST_PAVEMENT_M = 1.2
"""Effective width of a pavement for a wheelchair where the usual 2 m are impossible: Enforcement Rule of Korea's Act on
the Promotion of the Transportation Convenience of Mobility Disadvantaged Persons, annexed table 1."""


@dataclass(slots=True)
class _Way:
    id: int
    tags: dict[str, str]
    nodes: list[int]
    lonlat: Floats


@dataclass(slots=True)
class _Raw:
    roads: list[_Way] = field(default_factory=list[_Way])
    paths: list[_Way] = field(default_factory=list[_Way])
    barriers: set[int] = field(default_factory=set[int])
    obstacles: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])
    restrictions: list[Restriction] = field(default_factory=list[Restriction])
    counts: Counter[str] = field(default_factory=Counter[str])


def read(path: Path, *, country: str = "KR") -> tuple[RoadGraph, dict[str, int]]:
    """Return the roads of an OpenStreetMap file (PBF or XML), and how much of what was read.

    ``country`` gives the limits where roads carry none. Raises RideError, naming the file.
    """
    known = limits.of_country(country)
    if not path.is_file():
        raise RideError(f"{path}: no such file")
    try:
        raw = _parse(path)
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise RideError(f"{path}: not a readable OpenStreetMap file: {error}") from None
    return _build(path, raw, known)


def _parse(path: Path) -> _Raw:
    raw = _Raw()
    keys = KeyFilter("highway", "barrier", "emergency", "type")
    items: Iterator[Any] = iter(osmium.FileProcessor(str(path)).with_locations().with_filter(keys))
    for item in items:
        tags: dict[str, str] = dict(item.tags)
        if item.is_node():
            _node(raw, item, tags)
        elif item.is_way():
            _way(raw, item, tags)
        elif item.is_relation() and tags.get("type") == "restriction":
            _restriction(raw, item, tags)
    return raw


def _node(raw: _Raw, item: Any, tags: Tags) -> None:
    barrier = tags.get("barrier")
    if barrier is not None:
        access = _access(tags)
        if access in _SHUT or (barrier in _SOLID and access is None):
            raw.barriers.add(item.id)
    kind = {"crossing": CROSSING, "bus_stop": BUS_STOP}.get(tags.get("highway", ""))
    if tags.get("emergency") == "fire_hydrant":
        kind = HYDRANT
    if kind is not None and item.location.valid():
        raw.obstacles.append((item.lon, item.lat, kind))


def _way(raw: _Raw, item: Any, tags: dict[str, str]) -> None:
    drivable, walkable = _drivable(tags), _walkable(tags)
    if not (drivable or walkable):
        return
    nodes: list[int] = []
    points: list[tuple[float, float]] = []

    def close() -> None:
        if len(nodes) > 1:
            way = _Way(item.id, tags, list(nodes), np.array(points))
            if drivable:
                raw.roads.append(way)
            if walkable:
                raw.paths.append(way)
        nodes.clear()
        points.clear()

    for node in item.nodes:
        if not node.location.valid():  # the extract was cut here
            raw.counts["way nodes outside the extract"] += 1
            close()
        elif not nodes or nodes[-1] != node.ref:
            nodes.append(node.ref)
            points.append((node.location.lon, node.location.lat))
    close()


def _restriction(raw: _Raw, item: Any, tags: Tags) -> None:
    kind = tags.get("restriction:motorcar", tags.get("restriction:motor_vehicle", tags.get("restriction")))
    if kind is None:
        raw.counts["restrictions for other vehicles or times"] += 1
        return
    if {"motorcar", "motor_vehicle"} & set(tags.get("except", "").replace(" ", "").split(";")):
        raw.counts["restrictions that except cars"] += 1
        return
    roles: dict[str, list[tuple[str, int]]] = {"from": [], "via": [], "to": []}
    for member in item.members:
        if member.role in roles:
            roles[member.role].append((member.type, member.ref))
    via = roles["via"]
    raw.restrictions.append(
        Restriction(
            item.id,
            kind,
            tuple(ref for what, ref in roles["from"] if what == "w"),
            next((ref for what, ref in via if what == "n"), None),
            tuple(ref for what, ref in via if what == "w"),
            tuple(ref for what, ref in roles["to"] if what == "w"),
        )
    )


def _access(tags: Tags, modes: tuple[str, ...] = _MODES) -> str | None:
    """Return the most specific access value for a mode of travel."""
    return next((tags[mode] for mode in modes if mode in tags), None)


def _drivable(tags: Tags) -> bool:
    kind = tags.get("highway", "").removesuffix("_link")
    if (kind not in CLASSES and kind != "road") or tags.get("area") == "yes":
        return False
    if tags.get("service") in _YARDS or tags.get("oneway") == "reversible":
        return False
    return _access(tags) not in _SHUT


def _walkable(tags: Tags) -> bool:
    kind = tags.get("highway", "").removesuffix("_link")
    foot = _access(tags, ("foot", "access"))
    if foot in _SHUT:
        return False
    if kind in ("cycleway", "bridleway") or kind in _NO_FOOT:
        return foot is not None or tags.get("sidewalk", "no") not in ("no", "none")
    return kind in _FOOT or kind in CLASSES or kind == "road"


def _directions(tags: Tags) -> tuple[bool, bool]:
    """Return whether a van may drive along a way, and against it."""
    oneway = tags.get("oneway:motorcar", tags.get("oneway:motor_vehicle", tags.get("oneway")))
    if oneway in ("yes", "true", "1"):
        return True, False
    if oneway in ("-1", "reverse"):
        return False, True
    if oneway is None and (
        tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway"
    ):  # implied: wiki.openstreetmap.org/wiki/Key:oneway
        return True, False
    return True, True


def _limit(tags: Tags, direction: str, kind: str, known: Mapping[str, float]) -> float:
    for key in (f"maxspeed:{direction}", "maxspeed", "zone:maxspeed", "maxspeed:type", "source:maxspeed"):
        if key in tags and (limit := limits.parse(tags[key], known)) is not None:
            return limit
    usual = known[kind]
    return min(usual, 60.0) if tags.get("highway", "").endswith("_link") else usual


def _flags(tags: Tags, side: str, kind: str, limit: float) -> int:
    """Return an edge's flags; ``side`` is the kerb's, seen along the way as it is drawn."""
    sided = {key: tags.get(f"{key}:{side}", tags.get(f"{key}:both", tags.get(key))) for key in ("sidewalk", "parking")}
    stopping = tags.get(f"parking:{side}:restriction", tags.get("parking:both:restriction"))
    out = 0
    expressway = kind == "motorway" or tags.get("motorroad") == "yes" or (kind == "trunk" and limit >= 80)
    covered = tags.get("tunnel", "no") != "no" or tags.get("bridge", "no") != "no"
    if expressway or covered or stopping in ("no_stopping", "no_standing") or "ford" in tags:
        out |= NO_STOPPING
    if tags.get("junction") in ("roundabout", "circular"):
        out |= ROUNDABOUT
    if tags.get("highway", "").endswith("_link"):
        out |= RAMP
    pavement = sided["sidewalk"]
    has = pavement in ("yes", "both", side, "separate") or kind == "living_street"
    width = _metres(tags.get(f"sidewalk:{side}:width", tags.get("sidewalk:both:width", tags.get("sidewalk:width"))))
    kerb = tags.get(f"sidewalk:{side}:kerb", tags.get("sidewalk:both:kerb", tags.get("kerb")))
    narrow = width is not None and width < _LEAST_PAVEMENT_M
    if (
        tags.get("wheelchair") == "no"
        or narrow
        or kerb == "raised"
        or tags.get("surface") in _PAVED_BADLY
        or (pavement is not None and not has)
    ):
        out |= INACCESSIBLE
    elif has:
        out |= ACCESSIBLE
    return out


def _metres(text: str | None) -> float | None:
    try:
        return float((text or "").removesuffix("m"))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Piece:
    way: _Way
    start: int
    end: int
    lonlat: Floats


def _pieces(ways: list[_Way], barriers: set[int], number: dict[int, int], places: list[Floats]) -> Iterator[_Piece]:
    """Cut ways at junctions and barriers; ``number`` gives nodes dense indices into ``places``.

    Nobody drives through a barrier: the pieces on its sides end at nodes of their own.
    """
    uses = Counter(n for way in ways for n in way.nodes)
    for way in ways:
        for end in (way.nodes[0], way.nodes[-1]):
            uses[end] += 1

    def node(ref: int, at: Floats) -> int:
        if ref in barriers or ref not in number:
            if ref not in barriers:
                number[ref] = len(places)
            places.append(at)
            return len(places) - 1
        return number[ref]

    for way in ways:
        last = 0
        start = node(way.nodes[0], way.lonlat[0])
        for i in range(1, len(way.nodes)):
            ref = way.nodes[i]
            if uses[ref] > 1 or ref in barriers or (i - last > 1 and ref in way.nodes[last:i]):
                end = node(ref, way.lonlat[i])
                yield _Piece(way, start, end, way.lonlat[last : i + 1])
                start = node(ref, way.lonlat[i]) if ref in barriers else end
                last = i


def _build(path: Path, raw: _Raw, known: Mapping[str, float]) -> tuple[RoadGraph, dict[str, int]]:
    number: dict[int, int] = {}
    places: list[Floats] = []
    edges: list[Edge] = []
    pieces = list(_pieces(raw.roads, raw.barriers, number, places))
    for piece, length in zip(pieces, lengths([p.lonlat for p in pieces]).tolist(), strict=True):
        tags = piece.way.tags
        kind = tags["highway"].removesuffix("_link")
        kind = "unclassified" if kind == "road" else kind
        inner = piece.lonlat[1:-1]
        for ahead, direction, side in zip(_directions(tags), ("forward", "backward"), ("right", "left"), strict=True):
            if ahead and length > 0:
                limit = _limit(tags, direction, kind, known)
                ends = (piece.start, piece.end) if direction == "forward" else (piece.end, piece.start)
                shape = inner if direction == "forward" else inner[::-1]
                flags = _flags(tags, side, kind, limit)
                street = tags.get("name", tags.get("ref", ""))
                edges.append(Edge(*ends, length, limit, CLASSES.index(kind), flags, piece.way.id, shape, street))
    banned, unusable = bans(edges, raw.restrictions, number)
    foot: dict[int, int] = {}
    foot_places: list[Floats] = []
    paths = list(_pieces(raw.paths, set(), foot, foot_places))
    spots = np.array(raw.obstacles).reshape(-1, 3)
    graph = assemble(
        path.name.removesuffix(".pbf").removesuffix(".osm"),
        np.array(places),
        edges,
        banned,
        obstacles=spots[:, :2],
        obstacle_kind=spots[:, 2].astype(np.uint8),
        walk=footpaths(
            np.array(foot_places).reshape(-1, 2),
            np.array([(p.start, p.end) for p in paths], np.int32).reshape(-1, 2),
            [p.lonlat for p in paths],
            np.array([p.way.tags.get("highway") == "steps" for p in paths], bool),
        ),
    )
    counts = {
        "ways": len(raw.roads),
        "restrictions": len(raw.restrictions) - unusable,
        "restrictions that touch no road here": unusable,
        "barriers": len(raw.barriers),
        **raw.counts,
    }
    return graph, counts
