"""Geometry, decided by one piece of code whatever the store.

Shapely decides shapes, geodesic distance decides ``near``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians
from struct import Struct
from typing import Any, Literal, cast, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from shapely.errors import ShapelyError

from hanmaru.hub.model import LOCATION
from hanmaru.hub.terms import TermMap
from hanmaru.platform.problems import bad_request

GeoRel = Literal["near", "within", "contains", "intersects", "equals", "disjoint", "overlaps"]
GEO_RELATIONS: frozenset[str] = frozenset(get_args(GeoRel))
_WGS84 = Geod(ellps="WGS84")
_TYPES = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"})
_METRES_PER_DEGREE = 110_574.0
_MAX_POSITIONS = 100_000
_POINT = Struct("<BIdd")


@dataclass(frozen=True, slots=True)
class GeoQuery:
    """A geographical condition: ``relation`` of an entity's geometry to ``geometry`` (a GeoJSON text).

    ``max_m`` and ``min_m`` are the distances of ``near``, in metres; ``attribute`` is the expanded name of the
    GeoProperty.
    """

    relation: GeoRel
    geometry: str
    attribute: str
    max_m: float | None = None
    min_m: float | None = None

    def box(self) -> tuple[float, float, float, float] | None:
        """Return west, south, east, north that every match intersects; None when there is no such bound."""
        if self.relation == "disjoint" or (self.relation == "near" and self.max_m is None):
            return None
        west, south, east, north = _bounds(read(self.geometry))
        if self.relation == "near":
            assert self.max_m is not None
            dy = self.max_m / _METRES_PER_DEGREE * 1.01
            south, north = south - dy, north + dy
            farthest = max(abs(south), abs(north))
            dx = dy / cos(radians(farthest)) if farthest < 89 else 360.0  # a pole is near on every meridian
            west, east = west - dx, east + dx
            if west < -180 or east > 180:
                west, east = -180.0, 180.0
        return west, south, east, north

    def matches(self, wkb: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Return for each geometry (WKB) whether the condition holds."""
        if not len(wkb):
            return np.zeros(0, dtype=np.bool_)
        shapes = shapely.from_wkb(np.asarray(wkb, dtype=object))
        reference = read(self.geometry)
        match self.relation:
            case "near":
                distances = distances_m(shapes, reference)
                found = np.ones(len(shapes), dtype=np.bool_)
                if self.max_m is not None:
                    found &= distances <= self.max_m
                if self.min_m is not None:
                    found &= distances >= self.min_m
                return found
            case "within":
                shapely.prepare(reference)
                return shapely.covers(reference, shapes)
            case "contains":
                return shapely.covers(shapes, reference)
            case "intersects":
                shapely.prepare(reference)
                return shapely.intersects(reference, shapes)
            case "equals":
                return shapely.equals(shapes, reference)
            case "disjoint":
                return shapely.disjoint(shapes, reference)
            case "overlaps":
                return shapely.overlaps(shapes, reference)


def parse_geo(params: Mapping[str, Any], terms: TermMap) -> GeoQuery | None:
    """Return the geographical condition of ``georel``, ``geometry``, ``coordinates`` and ``geoproperty``."""
    georel = params.get("georel")
    if georel is None:
        if "geometry" in params or "coordinates" in params:
            raise bad_request("geometry and coordinates need georel, for example georel=near;maxDistance==2000.")
        return None
    relation, *modifiers = str(georel).split(";")
    if relation not in GEO_RELATIONS:
        raise bad_request(f"georel must be one of {', '.join(sorted(GEO_RELATIONS))}, not {relation!r}.")
    distances: dict[str, float] = {}
    for modifier in modifiers:
        name, _, number = modifier.partition("==")
        try:
            distances[name] = float(number)
        except ValueError:
            distances[name] = -1
        if name not in ("maxDistance", "minDistance") or not 0 <= distances[name] < 1e9 or relation != "near":
            raise bad_request(f"georel={georel!r}: only near takes maxDistance==metres or minDistance==metres.")
    if relation == "near" and not distances:
        raise bad_request("georel=near needs maxDistance==metres or minDistance==metres.")
    coordinates = params.get("coordinates")
    if isinstance(coordinates, str):
        try:
            coordinates = msgspec.json.decode(coordinates)
        except msgspec.DecodeError:
            raise bad_request("coordinates must be a JSON array such as [127.289,36.480].") from None
    geometry = check_geometry({"type": params.get("geometry"), "coordinates": coordinates}, "the query")
    attribute = params.get("geoproperty")
    return GeoQuery(
        cast("GeoRel", relation),
        msgspec.json.encode(geometry).decode(),
        terms.expand(attribute) if attribute else LOCATION,
        distances.get("maxDistance"),
        distances.get("minDistance"),
    )


REMEMBERED_BYTES = 256 << 10
"""A longer geometry is read each time: requests may hold any number of them."""


def distances_m(shapes: npt.NDArray[Any], reference: shapely.Geometry) -> npt.NDArray[np.float64]:
    """Return geodesic distances in metres from ``reference`` to each shape (of its nearest points, on the plane)."""
    lines = cast("Any", shapely).shortest_line(shapes, reference)
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
    _, _, metres = _WGS84.inv(ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 0], ends[:, 1, 1])
    return np.asarray(metres, dtype=np.float64)


def read(geojson: str) -> shapely.Geometry:
    """Return a geometry from GeoJSON text, a small one remembered; ValueError when it is none."""
    return _remembered(geojson) if len(geojson) <= REMEMBERED_BYTES else _read(geojson)


def _read(geojson: str) -> shapely.Geometry:
    try:
        shape = shapely.from_geojson(geojson)
    except ShapelyError as error:
        raise ValueError(str(error)) from None
    if shape.is_empty:
        raise ValueError("the geometry is empty")
    return shape


_remembered = lru_cache(maxsize=256)(_read)


def check_geometry(value: object, name: str) -> dict[str, Any]:
    """Return a GeoJSON geometry as given; raise a 400 problem when it is none."""
    if not isinstance(value, dict):
        raise bad_request(f"The GeoProperty {name} must hold a GeoJSON geometry")
    geometry = cast("dict[str, Any]", value)
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise bad_request(f"The GeoProperty {name} must be one of {', '.join(sorted(_TYPES))}, not {kind!r}")
    if kind == "Point":
        if not (
            isinstance(coordinates, list)
            and 2 <= len(cast("list[Any]", coordinates)) <= 3
            and _is_position(cast("list[Any]", coordinates))
        ):
            raise bad_request(f"The coordinates of {name} must be [longitude, latitude] in degrees (WGS 84)")
        return geometry
    if not _positions_ok(coordinates):
        raise bad_request(f"The coordinates of {name} must be longitude, latitude pairs in degrees (WGS 84)")
    try:
        read(msgspec.json.encode({"type": kind, "coordinates": coordinates}).decode())
    except (ValueError, TypeError) as error:
        raise bad_request(f"The GeoProperty {name} is not a valid {kind}: {error}") from None
    return geometry


def _is_position(position: list[Any]) -> bool:
    return (
        all(isinstance(number, int | float) and not isinstance(number, bool) for number in position)
        and -180 <= position[0] <= 180
        and -90 <= position[1] <= 90
    )


def _positions_ok(coordinates: object) -> bool:
    stack: list[object] = [coordinates]
    seen = 0
    while stack:
        item = stack.pop()
        if not isinstance(item, list) or not item or seen > _MAX_POSITIONS:
            return False
        items = cast("list[Any]", item)
        if isinstance(items[0], list):
            stack.extend(items)
        elif not 2 <= len(items) <= 3 or not _is_position(items):
            return False
        seen += 1
    return True


def to_wkb(geometry: dict[str, Any]) -> bytes:
    """Return a checked GeoJSON geometry as WKB."""
    if geometry["type"] == "Point":
        return _point(float(geometry["coordinates"][0]), float(geometry["coordinates"][1]))
    return shapely.to_wkb(read(msgspec.json.encode(geometry).decode()), output_dimension=2)


def _point(lon: float, lat: float) -> bytes:
    return _POINT.pack(1, 1, lon, lat)


def bounds(wkb: bytes) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a geometry."""
    if len(wkb) == 21:
        _, _, lon, lat = _POINT.unpack(wkb)
        return lon, lat, lon, lat
    return _bounds(shapely.from_wkb(wkb))


def _bounds(shape: shapely.Geometry) -> tuple[float, float, float, float]:
    west, south, east, north = cast("Any", shapely).bounds(shape).tolist()
    return west, south, east, north
