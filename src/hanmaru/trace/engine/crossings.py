"""Where cases' visits cross: the encounters that `links` weighs as visits to a shared place."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# SciPy and Numba bring no types.

import numpy as np

from hanmaru.trace.domain import Floats, Ints, Visits
from hanmaru.trace.engine.onsets import DAY_S
from hanmaru.trace.engine.weights import Encounters

REACH_M = 100.0
"""Distance at which a visit elsewhere counts e times less than one to the same spot; three times that is the limit."""
BUSIEST = 2000
"""Visits near one another on one day that are still compared pair by pair; of more, every k-th is."""


def crossings(visits: Visits) -> Encounters:
    """Return the encounters (a < b) of subjects who were at one place or within `REACH_M` at overlapping times.

    ``visits`` are of cases, by index. An encounter's weight falls with the distance, and is split over the pairs that
    crossed there that day, so that a hospital where all cases went says little.
    """
    from scipy.spatial import cKDTree

    empty = np.zeros(0, dtype=np.int64)
    found: list[tuple[Ints, Ints, Ints, Floats]] = [(empty, empty, empty, np.zeros(0))]
    known = np.isfinite(visits.x_m) & np.isfinite(visits.y_m)
    first, last = visits.start_s // DAY_S, np.maximum(visits.end_s - 1, visits.start_s) // DAY_S
    for day in np.unique(first):
        today = np.nonzero((first <= day) & (day <= last))[0]
        pairs = [_same_place(visits.place, today)]
        near = today[known[today]]
        tree = cKDTree(np.stack([visits.x_m[near], visits.y_m[near]], axis=1))
        if tree.count_neighbors(tree, 3 * REACH_M) > BUSIEST * BUSIEST:
            near = near[:: len(near) // BUSIEST + 1]
            tree = cKDTree(np.stack([visits.x_m[near], visits.y_m[near]], axis=1))
        pairs.append(near[tree.query_pairs(3 * REACH_M, output_type="ndarray")])
        i, j = np.concatenate(pairs).T
        both = np.minimum(visits.end_s[i], visits.end_s[j]) >= np.maximum(visits.start_s[i], visits.start_s[j])
        new = np.maximum(first[i], first[j]) == day  # visits over midnight cross on the day on which they begin to
        met = both & new & (visits.subject[i] != visits.subject[j])
        i, j = i[met], j[met]
        same = (visits.place[i] == visits.place[j]) & (visits.place[i] >= 0)
        away = np.where(same, 0.0, np.hypot(visits.x_m[i] - visits.x_m[j], visits.y_m[i] - visits.y_m[j]))
        near_by = np.exp(-away / REACH_M)
        company = np.bincount(np.concatenate([i, j]), np.concatenate([near_by, near_by]), len(visits))
        middle = (
            np.maximum(visits.start_s[i], visits.start_s[j]) // 2 + np.minimum(visits.end_s[i], visits.end_s[j]) // 2
        )
        weight = near_by / np.sqrt(np.maximum(company[i], 1e-9) * np.maximum(company[j], 1e-9))
        found.append((visits.subject[i], visits.subject[j], middle, weight))
    a, b, time_s, weight = (np.concatenate(column) for column in zip(*found, strict=True))
    return Encounters("visit", np.minimum(a, b), np.maximum(a, b), time_s, weight)


def _same_place(place: Ints, today: Ints) -> Ints:
    """Return pairs (p, 2) of today's visits to the same place, of the busiest places only `BUSIEST` visits."""
    known = today[place[today] >= 0]
    order = known[np.argsort(place[known], kind="stable")]
    pairs = [np.zeros((0, 2), dtype=np.int64)]
    for group in np.split(order, np.nonzero(np.diff(place[order]))[0] + 1):
        kept = group[:: len(group) // BUSIEST + 1]
        i, j = np.triu_indices(len(kept), 1)
        pairs.append(np.stack([kept[i], kept[j]], axis=1))
    return np.concatenate(pairs)
