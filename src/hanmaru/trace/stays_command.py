"""``hanmaru trace stays``: where people were, from a file of positions."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# PyArrow brings no types.

import json
import time
from pathlib import Path

import numpy as np

from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Ints, Points, TraceError
from hanmaru.trace.engine import sliding, stays
from hanmaru.trace.engine.clean import DUPLICATE, LOAD_SHARING, OUTLIER, PING_PONG, clean
from hanmaru.trace.engine.plane import Plane

COLUMNS = {
    "subject": tables.TEXT,
    "time": tables.WHEN,
    "lat": tables.LAT,
    "lon": tables.LON,
    "accuracy_m": tables.MAYBE_METRES,
    "cell_id": tables.MAYBE_TEXT,
}
FLAGS = {"ping_pong": PING_PONG, "load_sharing": LOAD_SHARING, "outlier": OUTLIER, "duplicate": DUPLICATE}


def run(source: Path, out: str, min_minutes: float, distance_m: float | None, as_json: bool) -> None:
    """Write the stays in a file of positions to ``out``, by the classic rule if there is a distance.

    Raises TraceError for what the user can correct.
    """
    if not 0 < min_minutes < 1e6 or (distance_m is not None and not 0 < distance_m < 1e6):
        raise TraceError("--min-minutes and --distance-m are numbers above 0")
    began = time.perf_counter()
    points, cell, subjects, plane = read(source)
    if distance_m is None:
        cleaned = clean(points, cell)
        found = stays.find(cleaned.points, min_minutes=min_minutes)
        flagged = {name: int(np.count_nonzero(cleaned.flags & bit)) for name, bit in FLAGS.items()}
    else:
        found = sliding.find(points, plane, distance_m=distance_m, minutes=min_minutes)
        flagged = {}
    lon, lat = plane.lonlat(found.x_m, found.y_m)
    tables.write(
        out,
        {
            "subject": [subjects[i] for i in found.subject.tolist()],
            "start": tables.times(found.start_s),
            "end": tables.times(found.end_s),
            "lat": np.round(lat, 6),
            "lon": np.round(lon, 6),
            "radius_m": np.round(found.radius_m, 1),
            "confidence": np.round(found.confidence, 3),
        },
    )
    seconds = time.perf_counter() - began
    summary = {"points": len(points), "subjects": len(subjects), "stays": len(found), "flagged": flagged}
    notes = [f"{n:,} points flagged {name.replace('_', '-')}" for name, n in flagged.items() if n]
    tables.tell(
        out,
        json.dumps(summary | {"seconds": round(seconds, 3), "warnings": notes})
        if as_json
        else f"{len(found):,} stays of {len(subjects):,} people in {len(points):,} points, in {seconds:.1f} s"
        + "".join(f"\nnote: {note}" for note in notes),
    )


def read(source: Path) -> tuple[Points, Ints, list[str], Plane]:
    """Return the points of a file, sorted by subject and time, each one's cell or -1, the subjects and the plane."""
    table = tables.read(source, COLUMNS)
    subjects, (subject,) = tables.encode(table["subject"])
    _, (cell,) = tables.encode(table["cell_id"])
    time_s = tables.seconds(table, "time")
    lon, lat, radius = (tables.floats(table, name) for name in ("lon", "lat", "accuracy_m"))
    plane = Plane.about(lon, lat)
    x, y = plane.xy(lon, lat)
    order = _order(subject, time_s, x, y)
    if order is None:
        return Points(subject, time_s, x, y, radius), cell, subjects, plane
    points = Points(subject[order], time_s[order], x[order], y[order], radius[order])
    return points, cell[order], subjects, plane


def _order(subject: Ints, time_s: Ints, x: Floats, y: Floats) -> Ints | None:
    """Return what sorts n rows by subject, time, x, y, equal ones as they stand; None where they are sorted.

    Subject and time are sorted as one number, eight times as quick as `np.lexsort`, which is left the rows of one time.
    """
    if not len(subject):
        return None
    low, high = int(time_s.min()), int(time_s.max())
    span = high - low + 1
    if span * (int(subject.max()) + 1) >= 2**63:
        return np.lexsort((y, x, time_s, subject))
    key = subject * span + (time_s - low)
    step = np.diff(key)
    if (step > 0).all():
        return None
    order = np.arange(len(key)) if (step >= 0).all() else np.argsort(key)
    sorted_key = key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = np.sort(order[tied])
    order[tied] = rows[np.lexsort((y[rows], x[rows], key[rows]))]
    return order
