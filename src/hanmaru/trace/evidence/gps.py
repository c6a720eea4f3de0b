"""GPS fixes of the subject's own phone or watch: points beside the phone's, with their own accuracy."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Ints, Points
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.evidence.phone import Located

GPS: Final = {
    "subject": tables.TEXT,
    "time": tables.WHEN,
    "lat": tables.LAT,
    "lon": tables.LON,
    "accuracy_m": tables.MAYBE_METRES,
}
ACCURACY_M: Final = 20.0
"""Error of a fix that states none: a phone's in streets between houses (van Diggelen & Enge 2015, ION GNSS+: 4.9 m
under open sky, more beside buildings)."""


def read(table: pa.Table, subject: Ints, plane: Plane) -> Located:
    """Return fixes of a table as `GPS` has it, sorted by subject, time."""
    x, y = plane.xy(tables.floats(table, "lon"), tables.floats(table, "lat"))
    radius = np.maximum(np.nan_to_num(tables.floats(table, "accuracy_m"), nan=ACCURACY_M), 3.0)
    time_s = tables.seconds(table, "time")
    order = np.lexsort((time_s, subject))
    points = Points(subject[order], time_s[order], x[order], y[order], radius[order])
    return Located(points, order, np.full(len(order), -1, np.int64), 0)
