"""Interview statements: the subject says where they were, from when to when."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.evidence.catalogue import RADIUS_M, Register
from hanmaru.trace.evidence.rows import Rows, rows

STATEMENTS: Final = {
    "start": tables.WHEN,
    "end": tables.WHEN,
    "place_id": tables.MAYBE_TEXT,
    "lat": tables.MAYBE_LAT,
    "lon": tables.MAYBE_LON,
    "text": tables.MAYBE_TEXT,
    "certainty": tables.MAYBE_TEXT,
}
WRONG: Final = {"sure": 0.1, "unsure": 0.35}
"""Prior probability that a statement is wrong: people recall where they were well and when less so; a judgement."""
AROUND_M: Final = 50.0
"""Error of a point that somebody showed on a map."""


def read(table: pa.Table, subject: int, register: Register) -> tuple[Rows, int]:
    """Return statements of a table as `STATEMENTS` has it, and how many say no place that is known, or end early."""
    ids: list[str | None] = table["place_id"].to_pylist()
    place = np.array([-1 if i is None else register.place_at.get(i, -1) for i in ids], np.int64)
    lat = np.where(place >= 0, np.append(register.lat, np.nan)[place], tables.floats(table, "lat"))
    lon = np.where(place >= 0, np.append(register.lon, np.nan)[place], tables.floats(table, "lon"))
    start, end = tables.seconds(table, "start"), tables.seconds(table, "end")
    at = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon) & (end >= start))
    text, certainty = table["text"].to_pylist(), table["certainty"].to_pylist()
    found = rows(
        "statement",
        at + 1,
        np.full(len(at), subject, np.int64),
        start[at],
        end[at],
        lat[at],
        lon[at],
        np.where(place[at] >= 0, np.append(register.engine.radius_m, RADIUS_M)[place[at]], AROUND_M),
        [str(text[i] or "") for i in at.tolist()],
        place=place[at],
        wrong=np.array([WRONG.get(certainty[i] or "sure", WRONG["unsure"]) for i in at.tolist()], np.float64),
    )
    return found, len(start) - len(at)
