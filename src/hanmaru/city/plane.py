"""The city's local plane: metres east and north of its centre, and back to WGS 84."""

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from hanmaru.city.noise import Bools, Floats, Ints

G = TypeVar("G", bound=BaseGeometry)


@dataclass(frozen=True, slots=True)
class Plane:
    """An equirectangular plane about a centre: lengths are true to 0.4 % within 30 km of it, which is a city."""

    lon: float
    lat: float

    @property
    def metres_per_degree(self) -> tuple[float, float]:
        """Return metres per degree of longitude and latitude at the centre, on the WGS 84 ellipsoid."""
        phi = math.radians(self.lat)
        e2 = 0.00669437999014
        w = math.sqrt(1 - e2 * math.sin(phi) ** 2)
        prime, meridian = 6378137.0 / w, 6378137.0 * (1 - e2) / w**3
        return math.pi / 180 * prime * math.cos(phi), math.pi / 180 * meridian

    def xy(self, lonlat: npt.ArrayLike) -> Floats:
        """Return plane coordinates (n, 2), metres, of WGS 84 lon, lat (n, 2)."""
        return (np.asarray(lonlat, np.float64).reshape(-1, 2) - (self.lon, self.lat)) * self.metres_per_degree

    def lonlat(self, xy: npt.ArrayLike) -> Floats:
        """Return WGS 84 lon, lat (n, 2) of plane coordinates (n, 2), metres."""
        return np.asarray(xy, np.float64).reshape(-1, 2) / self.metres_per_degree + (self.lon, self.lat)

    def to_wgs84(self, geometry: G) -> G:
        """Return a geometry of the plane in lon, lat."""
        return shapely.transform(geometry, self.lonlat)

    def to_plane(self, geometry: G) -> G:
        """Return a lon, lat geometry in the plane."""
        return shapely.transform(geometry, self.xy)


def contains(area: BaseGeometry, xy: Floats) -> Bools:
    """Return which points (n, 2) lie inside an area."""
    shapely.prepare(area)
    return shapely.contains_xy(area, xy[:, 0], xy[:, 1])


def distances(geometry: BaseGeometry, xy: Floats) -> Floats:
    """Return the distance of each point (n, 2) to a geometry."""
    shapely.prepare(geometry)
    return np.asarray(shapely.distance(geometry, _points(xy)), np.float64)  # pyright: ignore[reportUnknownMemberType]


def tree(xy: Floats) -> shapely.STRtree:
    """Return a spatial index of points (n, 2)."""
    return shapely.STRtree(_points(xy))


def nearest(index: shapely.STRtree, xy: Floats) -> Ints:
    """Return which of an index's geometries is nearest to each point (n, 2)."""
    return np.asarray(index.nearest(_points(xy)), np.int64)


def _points(xy: Floats) -> Any:
    return shapely.points(xy)
