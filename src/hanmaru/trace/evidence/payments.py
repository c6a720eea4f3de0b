"""Payments by card and taps of transit cards: at a merchant's or a station's place at an instant, if it was them.

Orders online say nothing of where somebody was. A terminal that was offline posts late, and then the time may be the
posting's; whether it is, and whether somebody else paid, the phone decides (`engine.anchors.judge`).
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from typing import Final

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Bools, Ints
from hanmaru.trace.evidence.catalogue import Register
from hanmaru.trace.evidence.rows import ONLINE, Rows, rows

CARDS: Final = {
    "subject": tables.TEXT,
    "time": tables.WHEN,
    "merchant_id": tables.TEXT,
    "amount_krw": tables.MAYBE_NUMBER,
    "kind": tables.MAYBE_TEXT,
    "posted": tables.MAYBE_WHEN,
    "channel": tables.MAYBE_TEXT,
}
WRONG: Final = {"in-person": 0.06, "unknown": 0.15, "": 0.1, "transit": 0.01}
"""Prior probability that a row does not say where its subject was, by channel: family members share cards, shops have
their head office's address, deliveries are paid from home. Judgements."""
LATE: Final = 0.05
"""Prior probability that a row's time is that of a later posting, where nothing in the row says otherwise."""
LATE_STATED: Final = 0.01
"""The same where the row was posted more than `PROMPT_S` after its time, so that its time is the terminal's."""
PROMPT_S: Final = 120
FIRST_S: Final = 300
"""Who pays first may do so this long before the stay that the phone shows: its events are some six minutes apart."""


def read(table: pa.Table, subject: Ints, register: Register) -> tuple[Rows, Rows, int]:
    """Return payments and taps of a table as `CARDS` has it, and how many rows name a merchant nobody knows."""
    transit = np.array([kind == "transit" for kind in table["kind"].to_pylist()], np.bool_)
    merchants: list[str] = table["merchant_id"].to_pylist()
    place = np.array([register.merchant_at.get(m, -1) for m in merchants], np.int64)
    channels: list[str | None] = table["channel"].to_pylist()
    online = np.array(
        [
            channel == "online" or (channel != "in-person" and m in register.online)
            for m, channel in zip(merchants, channels, strict=True)
        ],
        np.bool_,
    )
    time_s = tables.seconds(table, "time")
    posted = np.array([t is not None for t in table["posted"].to_pylist()], np.bool_)
    if posted.any():
        stated = table["posted"].cast(pa.int64()).fill_null(0).to_numpy() // 1_000_000
        posted &= stated - time_s > PROMPT_S
    unknown = ~online & (place < 0)
    channel = ["transit" if tap else c or "" for c, tap in zip(channels, transit.tolist(), strict=True)]
    wrong = np.array([WRONG.get(c, WRONG["unknown"]) for c in channel], np.float64)
    label = [register.merchant_names.get(m, m) for m in merchants]
    place = np.where(online, -1, place)

    def of(kind: str, which: Bools) -> Rows:
        at = np.flatnonzero(which & ~unknown)
        some = place[at]
        before, after = register.around_s(some, paid=True)
        return rows(
            kind,
            at + 1,
            subject[at],
            time_s[at],
            time_s[at],
            np.where(some >= 0, np.append(register.lat, np.nan)[some], np.nan),
            np.where(some >= 0, np.append(register.lon, np.nan)[some], np.nan),
            np.append(register.engine.radius_m, 1.0)[some],
            [label[i] for i in at.tolist()],
            place=some,
            wrong=wrong[at],
            late=np.where(posted[at], LATE_STATED, LATE) if kind == "card" else 0.0,
            before_s=before if kind == "card" else 0,
            after_s=after if kind == "card" else 0,
            early_s=np.where(before < after, FIRST_S, 0) if kind == "card" else 0,
            flags=np.where(online[at], ONLINE, 0),
        )

    return of("card", ~transit), of("transit", transit), int(unknown.sum())
