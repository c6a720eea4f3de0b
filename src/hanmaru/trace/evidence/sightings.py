"""Reviewed camera footage: a reviewer saw the subject in a camera's field of view."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.evidence.cameras import Cameras
from hanmaru.trace.evidence.phone import sector
from hanmaru.trace.evidence.rows import Rows, rows

SIGHTINGS: Final = {
    "camera_id": tables.TEXT,
    "time": tables.WHEN,
    "end": tables.MAYBE_WHEN,
    "certainty": tables.MAYBE_TEXT,
    "reviewer": tables.MAYBE_TEXT,
}
WRONG: Final = {"sure": 0.02, "unsure": 0.3}
"""Prior probability that a reviewer saw somebody else; a judgement."""
AROUND_S: Final = 60
"""An instant of footage stands for a minute before and after."""


def read(table: pa.Table, subject: int, cameras: Cameras) -> tuple[Rows, int]:
    """Return sightings of a table as `SIGHTINGS` has it, and how many name a camera nobody knows, or end early."""
    by_id = {id_: i for i, id_ in enumerate(cameras.ids)}
    camera = np.array([by_id.get(id_, -1) for id_ in table["camera_id"].to_pylist()], np.int64)
    start = tables.seconds(table, "time")
    stated = table["end"].cast(pa.int64()).to_pylist()
    end = np.array([s if e is None else e // 1_000_000 for s, e in zip(start.tolist(), stated, strict=True)], np.int64)
    at = np.flatnonzero((camera >= 0) & (end >= start))
    some = camera[at]
    ahead, radius = sector(cameras.range_m[some], cameras.fov_deg[some])
    turn = np.radians(cameras.azimuth_deg[some])
    lon, lat = cameras.plane.lonlat(cameras.x_m[some] + ahead * np.sin(turn), cameras.y_m[some] + ahead * np.cos(turn))
    certainty = table["certainty"].to_pylist()
    found = rows(
        "sighting",
        at + 1,
        np.full(len(at), subject, np.int64),
        start[at],
        end[at],
        lat,
        lon,
        radius,
        [cameras.ids[i] for i in some.tolist()],
        wrong=np.array([WRONG.get(certainty[i] or "sure", WRONG["unsure"]) for i in at.tolist()], np.float64),
        before_s=AROUND_S,
        after_s=AROUND_S,
    )
    return found, len(start) - len(at)
