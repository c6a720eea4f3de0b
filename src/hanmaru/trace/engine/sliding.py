"""The classic stay: positions within a distance of the first of them, for long enough.

Li et al. 2008, "Mining user similarity based on location history", with the gap rule of trackintel's
``generate_staypoints(method="sliding")``, whose stays it finds exactly.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# Numba brings no types.

from math import acos, cos

import numba
import numpy as np

from hanmaru.trace.domain import Points, Stays
from hanmaru.trace.engine.plane import Plane

SPHERE_M = 6371000.0
GAP_MINUTES = 15.0


def find(
    points: Points, plane: Plane, *, distance_m: float = 100.0, minutes: float = 15.0, gap_minutes: float = GAP_MINUTES
) -> Stays:
    """Return the stays in n points, sorted by subject, time; distances are great-circle ones on a sphere.

    A stay ends at the first position ``distance_m`` or more from its first; one that lasts ``minutes`` counts. Where
    no position comes for more than ``gap_minutes``, what was begun is forgotten, as is a stay that the track ends in.
    ``confidence`` is 1, ``radius_m`` the distance from the centre that holds 68 % of the positions.
    """
    lon, lat = plane.lonlat(points.x_m, points.y_m)
    first, last = _find(
        points.subject, points.time_s, np.radians(lon), np.radians(lat), distance_m, 60.0 * minutes, 60.0 * gap_minutes
    )
    x, y, radius = np.empty(len(first)), np.empty(len(first)), np.empty(len(first))
    for i, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        places = np.unique(np.column_stack([points.x_m[a:b], points.y_m[a:b]]), axis=0)
        x[i], y[i] = places.mean(axis=0)
        radius[i] = np.quantile(np.hypot(points.x_m[a:b] - x[i], points.y_m[a:b] - y[i]), 0.68)
    return Stays(
        points.subject[first], points.time_s[first], points.time_s[last], x, y, radius, np.ones(len(first)), first, last
    )


@numba.njit(cache=True, nogil=True)
def _find(subject, t, lon, lat, distance_m, long_s, gap_s):
    first = np.empty(len(t), np.int64)
    last = np.empty(len(t), np.int64)
    count = start = 0
    for i in range(1, len(t)):
        if subject[i] != subject[start] or t[i] - t[i - 1] > gap_s:
            start = i
            continue
        c = cos(lat[start] - lat[i]) - cos(lat[start]) * cos(lat[i]) * (1.0 - cos(lon[start] - lon[i]))
        if SPHERE_M * acos(min(c, 1.0)) >= distance_m:
            if t[i] - t[start] >= long_s:
                first[count], last[count] = start, i
                count += 1
            start = i
    return first[:count].copy(), last[:count].copy()
