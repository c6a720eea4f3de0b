"""The room's nouns. Times are whole seconds (Unix, UTC), distances whole metres, money minor units."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Seconds = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


class RideError(Exception):
    """What cannot be done, in one readable line that says what to do about it."""


@dataclass(frozen=True, eq=False, slots=True)
class Travel:
    """Travel between r places (rows: s stops and depots first, then where each van is) and the s stops (columns).

    ``time_s``, ``length_m`` (r, s) int32: how long and how far it is now; `UNREACHABLE` where there is no way.
    """

    time_s: Rows
    length_m: Rows


UNREACHABLE = 2**30
"""Travel time of what cannot be reached: longer than any plan, and twice of it still fits 32 bits."""
