"""QR check-ins: a person entered a place at an instant."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Ints
from hanmaru.trace.evidence.catalogue import Register
from hanmaru.trace.evidence.rows import Rows, rows

CHECKINS: Final = {"subject": tables.TEXT, "time": tables.WHEN, "place_id": tables.TEXT}
WRONG: Final = 0.01
"""Prior probability that somebody else held the phone, or one person checked a group in; a judgement."""

ENTER_S: Final = 300
"""Check-ins may lie this long before the stay that the phone shows: its events are some six minutes apart."""


def read(table: pa.Table, subject: Ints, register: Register) -> tuple[Rows, int]:
    """Return check-ins of a table as `CHECKINS` has it, and how many rows name a place nobody knows."""
    ids: list[str] = table["place_id"].to_pylist()
    place = np.array([register.place_at.get(id_, register.merchant_at.get(id_, -1)) for id_ in ids], np.int64)
    at = np.flatnonzero(place >= 0)
    some, time_s = place[at], tables.seconds(table, "time")[at]
    before, after = register.around_s(some, paid=False)
    found = rows(
        "checkin",
        at + 1,
        subject[at],
        time_s,
        time_s,
        register.lat[some],
        register.lon[some],
        register.engine.radius_m[some],
        [register.places[p].name for p in some.tolist()],
        place=some,
        wrong=WRONG,
        before_s=np.minimum(before, 120),
        after_s=after,
        early_s=ENTER_S,
    )
    return found, len(place) - len(at)
