"""Roads from tables of links, as CSV or GeoJSON: Korea's standard node-link, and what resembles it.

Korea's (국토교통부 표준노드링크, rule 지능형교통체계 표준 노드·링크 구축기준): a link is one direction of
a road between two nodes; ``TURNINFO`` lists the turns at nodes that are not as they seem. Files of link pairs
(``LinkID``, ``ToLink``) say instead which link may follow which; what they do not list is forbidden.
"""

import zlib
from collections import defaultdict
from pathlib import Path

import numpy as np

from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.roads import limits, tables
from hanmaru.ride.roads.graph import CLASSES, NO_STOPPING, RAMP, Edge, RoadGraph, assemble, lengths

_RANK = {
    "101": "motorway",
    "102": "motorway",
    "103": "trunk",
    "104": "secondary",
    "105": "primary",
    "106": "secondary",
    "107": "tertiary",
    "108": "residential",
}
"""ROAD_RANK: expressway, urban expressway, national road, metropolitan road, state-aided and local provincial road,
city road, other."""

_FORBIDDEN = {"2", "3", "101", "102", "103"}
"""TURN_TYPE: for buses only, no turn, no left turn, no straight on, no right turn. 1, 11 and 12 allow turns."""

_STRUCTURES = {"1", "2", "3", "4"}
"""ROAD_TYPE: overpass, underpass, bridge, tunnel; 0 is a plain road."""

_SAME = 6
"""Digits of a degree (0.1 m) to which ends of links must agree to meet where no nodes are named."""


def read(path: Path, *, country: str = "KR", turns: Path | None = None) -> tuple[RoadGraph, dict[str, int]]:
    """Return the roads of a file of links, and how much of what was read.

    Columns, in any case and with or without underscores: ``LINK_ID``; ``F_NODE``, ``T_NODE`` (else ends that coincide
    meet); ``MAX_SPD`` km/h, ``LENGTH`` m, ``ROAD_RANK``, ``ROAD_TYPE``, ``ROAD_USE`` (1: closed), ``ROAD_NAME``,
    ``CONNECT`` (not 000: a ramp), ``ONEWAY`` (no: also driven backwards), ``ToLink`` (the link that may follow; such
    files repeat links).
    ``turns`` is the table of turns: ``ST_LINK``, ``ED_LINK``, ``TURN_TYPE``. Raises RideError, naming file and row.
    """
    known = limits.of_country(country)
    edges: list[Edge] = []
    number: dict[object, int] = {}
    places: list[Floats] = []
    at: dict[str, list[int]] = {}
    pairs: set[tuple[str, str]] = set()
    listed = False
    closed = 0

    def node(name: object, point: Floats) -> int:
        if name not in number:
            number[name] = len(places)
            places.append(point)
        return number[name]

    for row in tables.rows(path):
        id = row.must("LINK_ID", "LinkID", "id")
        after = row.text("ToLink")
        listed |= "tolink" in row.values
        if after is not None:
            pairs.add((id, after))
        if id in at:
            if not listed:
                raise RideError(f"{row.where}: link {id} is there twice")
            continue
        if row.text("ROAD_USE") == "1":
            closed += 1
            continue
        line = row.points
        if line is None or len(line) < 2 or not np.isfinite(line).all():
            raise RideError(f"{row.where}: link {id} has no line; give a LineString or a wkt column")
        names = [row.text(*n) for n in (("F_NODE", "from", "source"), ("T_NODE", "to", "target"))]
        ends = [
            node(name if name is not None else (round(float(point[0]), _SAME), round(float(point[1]), _SAME)), point)
            for name, point in zip(names, (line[0], line[-1]), strict=True)
        ]
        rank = (row.text("ROAD_RANK") or "").lstrip("0")
        kind = _RANK.get(rank) or row.text("highway", "class") or "unclassified"
        if kind not in CLASSES:
            raise RideError(f"{row.where}: {kind!r} is no road class; take one of {', '.join(CLASSES)}")
        length = row.number("LENGTH", low=0.01, high=1e6) or float(lengths([line])[0])
        limit = row.number("MAX_SPD", "maxspeed", low=0, high=200) or known[kind]
        structure = (row.text("ROAD_TYPE") or "").lstrip("0") in _STRUCTURES
        flags = (NO_STOPPING if structure or kind == "motorway" else 0) | (
            RAMP if (row.text("CONNECT") or "0").strip("0") else 0
        )
        way = int(id) if id.isdecimal() and len(id) < 18 else zlib.crc32(id.encode())
        street = row.text("ROAD_NAME", "name") or ""
        street = "" if street == "-" else street
        at[id] = [len(edges)]
        if length > 0 and ends[0] != ends[1]:
            edges.append(Edge(ends[0], ends[1], length, limit, CLASSES.index(kind), flags, way, line[1:-1], street))
            if (row.text("ONEWAY") or "yes").lower() in ("no", "0", "false"):
                at[id].append(len(edges))
                edges.append(
                    Edge(ends[1], ends[0], length, limit, CLASSES.index(kind), flags, way, line[-2:0:-1], street)
                )
        else:
            at[id] = []
    banned = _unlisted(edges, at, pairs) if listed else []
    forbidden = _forbidden(turns, edges, at, pairs) if turns is not None else []
    graph = assemble(path.stem, np.array(places), edges, banned + forbidden)
    return graph, {"links": len(at), "closed links": closed, "forbidden turns": len(set(banned + forbidden))}


def _unlisted(edges: list[Edge], at: dict[str, list[int]], pairs: set[tuple[str, str]]) -> list[tuple[int, ...]]:
    """Return the turns between links that meet and that the file does not list."""
    out_of: dict[int, list[str]] = defaultdict(list)
    for id, mine in at.items():
        for e in mine:
            out_of[edges[e].source].append(id)
    return [
        (e, f)
        for id, mine in at.items()
        for e in mine
        for other in out_of[edges[e].target]
        if (id, other) not in pairs
        for f in at[other]
        if edges[f].source == edges[e].target
    ]


def _forbidden(
    path: Path, edges: list[Edge], at: dict[str, list[int]], listed: set[tuple[str, str]]
) -> list[tuple[int, ...]]:
    """Return the turns that a table of turns forbids, but for listed ones; turns of links elsewhere are passed over."""
    out: list[tuple[int, ...]] = []
    for row in tables.rows(path):
        kind = row.must("TURN_TYPE").lstrip("0") or "0"
        first, second = row.must("ST_LINK", "StartLink"), row.must("ED_LINK", "EndLink")
        if kind in _FORBIDDEN and (first, second) not in listed:
            out.extend(
                (e, f) for e in at.get(first, []) for f in at.get(second, []) if edges[e].target == edges[f].source
            )
    return out
