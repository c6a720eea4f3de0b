"""Nearest points of the plane: SciPy's k-d tree, with types."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false, reportUnknownArgumentType=false
# SciPy brings no types.

from typing import cast

import numpy as np
from scipy.spatial import cKDTree

from hanmaru.trace.domain import Floats, Ints


def nearest(points: Floats, at: Floats, count: int, within_m: float = np.inf) -> Ints:
    """Return which of the points (n, 2) are nearest to each spot (k, 2): (k, count), nearest first, -1 for none."""
    metres, which = cKDTree(points).query(at, np.arange(1, count + 1), distance_upper_bound=within_m, workers=-1)
    return cast(Ints, np.where(np.isfinite(metres), which, -1))


def around(points: Floats, at: Floats, metres: Floats) -> list[Ints]:
    """Return which of the points (n, 2) lie within some distance (k,) of each spot (k, 2)."""
    return [np.asarray(found, np.int64) for found in cKDTree(points).query_ball_point(at, metres)]
