"""The local plane that the engine computes in: metres east and north of a centre."""

import math
from dataclasses import dataclass

import numpy as np

from hanmaru.trace.domain import Floats

EQUATOR_M, SQUARED_ECCENTRICITY = 6378137.0, 0.00669437999014
"""WGS 84."""


@dataclass(frozen=True, slots=True)
class Plane:
    """An equirectangular plane about a centre: lengths are true to 0.4 % within 30 km of it."""

    lon: float
    lat: float

    @classmethod
    def about(cls, lon: Floats, lat: Floats) -> "Plane":
        """Return the plane about the middle (medians) of positions; about 0, 0 where there are none."""
        return cls(float(np.median(lon)), float(np.median(lat))) if len(lon) else cls(0.0, 0.0)

    @property
    def scale(self) -> tuple[float, float]:
        """Metres per degree of longitude and of latitude at the centre."""
        phi = math.radians(self.lat)
        w = math.sqrt(1 - SQUARED_ECCENTRICITY * math.sin(phi) ** 2)
        east = EQUATOR_M / w * math.cos(phi)
        north = EQUATOR_M * (1 - SQUARED_ECCENTRICITY) / w**3
        return math.radians(east), math.radians(north)

    def xy(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Return metres east and north, each of the shape of ``lon``; degrees wrap at the 180th meridian."""
        east, north = self.scale
        turned = lon - self.lon + 180.0
        if np.any(turned < 0.0) or np.any(turned >= 360.0):  # the remainder is slow, and seldom wanted
            turned = turned % 360.0
        return (turned - 180.0) * east, (lat - self.lat) * north

    def lonlat(self, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
        """Return degrees of longitude and latitude of positions in the plane."""
        east, north = self.scale
        return (x_m / east + self.lon + 180.0) % 360.0 - 180.0, y_m / north + self.lat
