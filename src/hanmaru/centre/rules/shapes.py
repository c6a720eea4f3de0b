"""Where things are: points of GeoJSON, polygons, distances, and a grid that finds what is near. Pure."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import asin, ceil, cos, floor, radians, sin, sqrt
from typing import Any, cast

import msgspec
import shapely
from shapely.geometry import shape

EARTH_M = 6_371_008.8
"""Mean radius of the Earth (IUGG 1980); distances on the sphere are within 0.6 % of those on the ellipsoid."""
Point = tuple[float, float]


def point_of(location: object) -> Point | None:
    """Return (lon, lat) of a GeoJSON geometry, the centroid of one that is no point; None for what is no geometry."""
    if not isinstance(location, Mapping):
        return None
    geometry = cast(Mapping[str, Any], location)
    try:
        if geometry.get("type") == "Point":
            lon, lat = geometry["coordinates"][:2]
            return float(lon), float(lat)
        centre = shape(dict(geometry)).centroid
        return (centre.x, centre.y) if not centre.is_empty else None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, shapely.GEOSException):
        return None


def metres(a: Point, b: Point) -> float:
    """Return the distance of two points in metres, by the haversine formula."""
    lat_a, lat_b = radians(a[1]), radians(b[1])
    half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(radians(b[0] - a[0]) / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))


class Area:
    """A polygon, ready to be asked often."""

    def __init__(self, polygon: Mapping[str, Any]) -> None:
        """Take a GeoJSON Polygon."""
        self._shape = shape(dict(polygon))
        self._west, self._south, self._east, self._north = self._shape.bounds
        shapely.prepare(self._shape)

    def __contains__(self, point: Point) -> bool:
        """Return whether a point lies in it or on its edge."""
        lon, lat = point
        if not (self._west <= lon <= self._east and self._south <= lat <= self._north):
            return False
        return bool(shapely.intersects_xy(self._shape, lon, lat))


@lru_cache(maxsize=2048)
def _area(text: bytes) -> Area:
    return Area(msgspec.json.decode(text))


def area(polygon: Mapping[str, Any]) -> Area:
    """Return a polygon made ready; the same one only once."""
    return _area(msgspec.json.encode(polygon))


class Grid:
    """Points by name, to find those within one radius of a place."""

    def __init__(self, radius_m: float) -> None:
        """Make an empty grid with cells one radius high."""
        self._radius_m = radius_m
        self._cell_deg = radius_m / EARTH_M * 57.295779513 * 1.01
        self._cells: dict[tuple[int, int], dict[str, Point]] = {}
        self._at: dict[str, Point] = {}

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self._at)

    def _cell(self, point: Point) -> tuple[int, int]:
        return floor(point[0] / self._cell_deg), floor(point[1] / self._cell_deg)

    def put(self, name: str, point: Point) -> None:
        """Put a point, or move it."""
        if self._at.get(name) != point:
            self.drop(name)
            self._at[name] = point
            self._cells.setdefault(self._cell(point), {})[name] = point

    def drop(self, name: str) -> None:
        """Forget a point, where there is one."""
        if (point := self._at.pop(name, None)) is not None:
            cell = self._cell(point)
            del self._cells[cell][name]
            if not self._cells[cell]:
                del self._cells[cell]

    def near(self, point: Point) -> Iterator[str]:
        """Yield the names within the radius, in no particular order."""
        x, y = self._cell(point)
        wide = ceil(1 / max(0.01, cos(radians(min(89.0, abs(point[1]) + self._cell_deg)))))
        if (2 * wide + 1) * 3 > len(self._at):
            candidates = [*self._at.items()]
        else:
            cells = [(x + dx, y + dy) for dx in range(-wide, wide + 1) for dy in (-1, 0, 1)]
            candidates = [one for cell in cells for one in self._cells.get(cell, {}).items()]
        yield from (name for name, there in candidates if metres(point, there) <= self._radius_m)
