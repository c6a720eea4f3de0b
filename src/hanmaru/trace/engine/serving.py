"""Stays of phones that are known by their serving cells.

A phone that rests keeps its serving cell for half an hour at a time, and each cell errs its own way: the errors of its
reports repeat instead of averaging out. So only a report of each new cell, and of each half hour, is taken for news,
and a stay's centre is never much surer than one report.
"""

from dataclasses import replace

import numpy as np

from hanmaru.trace.domain import Ints, Points, Stays
from hanmaru.trace.engine import stays
from hanmaru.trace.engine.clean import clean
from hanmaru.trace.engine.stays import Habits

NEWS_S = 1800
"""A report of the same cell is news after this time; with `HABITS` fitted on the test city's layout A (seed 5, 1,500
people, two days: F1 of stays 0.89, against 0.63 with every report taken for news)."""
HABITS = Habits(extent_m=60.0)
REPEATED = 0.85
"""The part of a report's error that a stay's centre keeps, fitted there so that the radius holds 68 % of the errors."""


def find(points: Points, cell: Ints) -> Stays:
    """Return the stays in n phone reports, sorted by subject, time; ``cell`` (n,) are ids of cells, -1: unknown.

    As `stays.find`, with honest radii; ``first``, ``last`` refer to the points as given.
    """
    cleaned = clean(points, cell)
    row, kept = cleaned.row, cleaned.points
    served = cell[row]
    news = np.ones(len(row), np.bool_)
    news[1:] = (
        (kept.subject[1:] != kept.subject[:-1])
        | (served[1:] != served[:-1])
        | (kept.time_s[1:] // NEWS_S != kept.time_s[:-1] // NEWS_S)
    )
    row = row[news]
    some = Points(*(getattr(points, name)[row] for name in Points.__slots__))
    found = stays.find(some, habits=HABITS)
    total = np.append(0.0, np.cumsum(some.radius_m))
    typical = (total[found.last] - total[found.first]) / np.maximum(found.last - found.first, 1)
    return replace(
        found,
        radius_m=np.hypot(found.radius_m, REPEATED * typical),
        first=row[found.first] if len(found) else found.first,
        last=row[found.last - 1] + 1 if len(found) else found.last,
    )
