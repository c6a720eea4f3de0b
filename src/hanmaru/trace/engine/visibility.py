"""Which cameras could have seen a person: the share of where they may have been that lies in a camera's field of view.

A position with a radius that holds 68 % of its error is a two-dimensional normal distribution; a field of view is a
sector (azimuth clockwise from north, opening angle, range). The probability is the distribution's mass in the sector:
over the sector's area where the distribution is wide, over the distribution's quantiles where it is narrow.
Walls are not known to it: a camera that a building hides is on the list too.
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# pyright: reportMissingTypeStubs=false
# Numba and SciPy bring no types; the kernels' arrays are described where they are made.

import math

import numpy as np
from numba import njit
from scipy.spatial import KDTree

from hanmaru.trace.domain import Floats, Ints
from hanmaru.trace.engine.places import R68, REACH

RINGS, SPOKES = 8, 16


def views(
    x_m: Floats,
    y_m: Floats,
    radius_m: Floats,
    camera_x_m: Floats,
    camera_y_m: Floats,
    azimuth_deg: Floats,
    fov_deg: Floats,
    range_m: Floats,
    least: float = 0.0,
) -> tuple[Ints, Ints, Floats]:
    """Return pairs of position and camera with the probability that the camera sees the position, (k,) each.

    Positions (n,), cameras (c,). Pairs sorted by position, camera; those not above ``least`` are left out.
    """
    none = np.zeros(0, np.int64)
    if not len(x_m) or not len(camera_x_m):
        return none, none, np.zeros(0)
    sigma = np.maximum(radius_m, 1.0) / R68
    tree = KDTree(np.column_stack((camera_x_m, camera_y_m)))
    near = tree.query_ball_point(np.column_stack((x_m, y_m)), REACH * sigma + float(range_m.max()), return_sorted=True)
    counts = np.array([len(each) for each in near], np.int64)
    if not counts.sum():
        return none, none, np.zeros(0)
    who = np.repeat(np.arange(len(x_m)), counts)
    camera = np.concatenate([np.asarray(each, np.int64) for each in near])
    probability = _mass(
        x_m[who] - camera_x_m[camera],
        y_m[who] - camera_y_m[camera],
        sigma[who],
        np.radians(azimuth_deg[camera] % 360),
        np.radians(np.clip(fov_deg[camera], 0.0, 360.0)),
        range_m[camera],
    )
    kept = probability > least
    return who[kept], camera[kept], probability[kept]


@njit(cache=True, nogil=True)
def _mass(dx: Floats, dy: Floats, sigma: Floats, azimuth: Floats, fov: Floats, reach: Floats) -> Floats:
    out = np.zeros(len(dx))
    for i in range(len(dx)):
        s = sigma[i]
        total = 0.0
        if s > 0.4 * reach[i]:
            # Midpoints of the sector's equal areas, times the density there.
            for ring in range(RINGS):
                r = reach[i] * math.sqrt((ring + 0.5) / RINGS)
                for spoke in range(SPOKES):
                    angle = azimuth[i] + fov[i] * ((spoke + 0.5) / SPOKES - 0.5)
                    gx, gy = r * math.sin(angle) - dx[i], r * math.cos(angle) - dy[i]
                    total += math.exp(-0.5 * (gx * gx + gy * gy) / (s * s))
            area = 0.5 * fov[i] * reach[i] * reach[i]
            out[i] = min(1.0, total / (RINGS * SPOKES) * area / (2 * math.pi * s * s))
            continue
        for ring in range(RINGS):
            r = s * math.sqrt(-2 * math.log(1 - (ring + 0.5) / RINGS))
            for spoke in range(SPOKES):
                angle = 2 * math.pi * (spoke + 0.5 * (ring % 2)) / SPOKES
                px, py = dx[i] + r * math.cos(angle), dy[i] + r * math.sin(angle)
                if px * px + py * py > reach[i] * reach[i]:
                    continue
                bearing = math.atan2(px, py) - azimuth[i]
                bearing = abs((bearing + math.pi) % (2 * math.pi) - math.pi)
                if bearing <= 0.5 * fov[i]:
                    total += 1.0
        out[i] = total / (RINGS * SPOKES)
    return out


def windows(
    camera: Ints, start_s: Ints, end_s: Ints, probability: Floats, join_s: int = 120
) -> tuple[Ints, Ints, Ints, Floats]:
    """Return intervals (w,) merged per camera: camera, start, end and the greatest probability, likeliest first.

    Intervals (k,) less than ``join_s`` apart are one. What happens in one minute and the next is nearly the same
    event, so that the greatest probability, not the sum, is the window's.
    """
    if not len(camera):
        return camera, start_s, end_s, probability
    order = np.lexsort((start_s, camera))
    camera, start_s, end_s, probability = camera[order], start_s[order], end_s[order], probability[order]
    group = _groups(camera, start_s, end_s, join_s)
    heads = np.flatnonzero(np.diff(group, prepend=-1))
    greatest = np.maximum.reduceat(probability, heads)
    last = np.maximum.reduceat(end_s, heads)
    best = np.lexsort((start_s[heads], -greatest))
    return camera[heads][best], start_s[heads][best], last[best], greatest[best]


@njit(cache=True, nogil=True)
def _groups(camera: Ints, start_s: Ints, end_s: Ints, join_s: int) -> Ints:
    group = np.zeros(len(camera), np.int64)
    latest = end_s[0]
    for i in range(1, len(camera)):
        apart = camera[i] != camera[i - 1] or start_s[i] > latest + join_s
        group[i] = group[i - 1] + apart
        latest = end_s[i] if apart else max(latest, end_s[i])
    return group
