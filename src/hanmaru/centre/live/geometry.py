"""Web Mercator, as tiles use it: positions as fractions of the world from its north-west corner. Pure."""

from collections.abc import Iterator, Mapping
from math import asinh, atan, degrees, pi, radians, sinh, tan
from typing import Any, cast

MAX_LAT = 85.051129
MAX_ZOOM = 18

Box = tuple[float, float, float, float]
"""West, north, east, south, as fractions of the world."""


def project(lon: float, lat: float) -> tuple[float, float]:
    """Return (x, y) in [0, 1) of a position in degrees (spherical Mercator, EPSG:3857)."""
    lat = min(max(lat, -MAX_LAT), MAX_LAT)
    x, y = lon / 360 + 0.5, 0.5 - asinh(tan(radians(lat))) / (2 * pi)
    return min(max(x, 0.0), 1 - 1e-12), min(max(y, 0.0), 1 - 1e-12)


def unproject(x: float, y: float) -> tuple[float, float]:
    """Return longitude and latitude in degrees."""
    return (x - 0.5) * 360, degrees(atan(sinh(pi * (1 - 2 * y))))


def tile_box(z: int, x: int, y: int) -> Box:
    """Return a tile's box."""
    n = 1 << z
    return x / n, y / n, (x + 1) / n, (y + 1) / n


def meet(a: Box, b: Box) -> bool:
    """Whether two boxes have a place in common."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def positions(geometry: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Yield a GeoJSON geometry's positions in degrees; what is none is passed over."""
    parts: list[Any] = [geometry]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            inside = cast(Mapping[str, Any], part)
            parts.extend([inside.get("coordinates"), *(inside.get("geometries") or ())])
        elif isinstance(part, list | tuple):
            values = cast(list[Any], part)
            if len(values) > 1 and all(isinstance(value, int | float) for value in values[:2]):
                yield float(values[0]), float(values[1])
            else:
                parts.extend(values)


def box_of(geometry: Mapping[str, Any] | None) -> Box | None:
    """Return the box around a GeoJSON geometry; None where it has no position."""
    found = [project(*position) for position in positions(geometry)] if geometry else []
    if not found:
        return None
    xs, ys = [x for x, _ in found], [y for _, y in found]
    return min(xs), min(ys), max(xs), max(ys)
