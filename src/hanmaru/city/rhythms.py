"""How the city's day and year go: local time, and the daily profiles that demand of all kinds follows.

Profiles are 24 values, the level at each full hour; between them they go smoothly. Their shapes are those that Korean
sources publish: road traffic with peaks at 8 and 18 (KOTI, traffic volume by time of day), electricity by contract type
(KEPCO load patterns: homes peak in the evening, offices by day, factories in working hours with a dip at noon).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from hanmaru.city.noise import Floats, Ints

DAY_S = 86400.0


@dataclass(frozen=True, eq=False)
class Local:
    """Local time of instants: ``hour`` in [0, 24), ``weekday`` 0 to 6, ``day`` since 1970, ``year`` gone in [0, 1)."""

    hour: Floats
    weekday: Ints
    day: Ints
    year: Floats

    @property
    def weekend(self) -> npt.NDArray[np.bool_]:
        """Whether it is Saturday or Sunday."""
        return self.weekday >= 5


def local(zone: ZoneInfo, t: Floats) -> Local:
    """Return the local time of instants ``t`` (Unix seconds) in a zone; offsets are looked up hour by hour."""
    hours, back = np.unique(np.floor(t / 3600).astype(np.int64), return_inverse=True)
    offsets = np.array([_offset(zone, int(h)) for h in hours])
    seconds = t + offsets[back].reshape(t.shape)
    day = np.floor(seconds / DAY_S).astype(np.int64)
    dates = day.astype("datetime64[D]")
    first = dates.astype("datetime64[Y]")
    length = (first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")
    passed = (dates - first.astype("datetime64[D]")).astype(np.float64) + (seconds / DAY_S - day)
    return Local((seconds - day * DAY_S) / 3600, (day + 3) % 7, day, passed / length.astype(np.float64))


def _offset(zone: ZoneInfo, hour: int) -> float:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset()
    return offset.total_seconds() if offset else 0.0


def daily(profile: Sequence[float], hour: Floats) -> Floats:
    """Return a 24-value profile at hours of the day, smooth between full hours (periodic Catmull-Rom)."""
    values = np.asarray(profile, np.float64)
    i = np.floor(hour).astype(np.int64)
    f = hour - i
    a, b, c, d = (values[(i + k) % 24] for k in (-1, 0, 1, 2))
    return b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


def monthly(values: Sequence[float], year: Floats) -> Floats:
    """Return twelve monthly means at fractions of the year, smooth and periodic (three harmonics)."""
    spectrum = np.fft.rfft(np.asarray(values, np.float64)) / 12
    phase = 2 * np.pi * (year - 0.5 / 12)
    out = np.full_like(phase, spectrum[0].real)
    for k in (1, 2, 3):
        out = out + 2 * (spectrum[k].real * np.cos(k * phase) - spectrum[k].imag * np.sin(k * phase))
    return out


TRAFFIC_WEEKDAY = (
    0.16, 0.10, 0.07, 0.07, 0.10, 0.22, 0.48, 0.88, 1.00, 0.80, 0.70, 0.70,
    0.70, 0.72, 0.74, 0.78, 0.86, 0.97, 1.00, 0.80, 0.58, 0.48, 0.38, 0.26,
)  # fmt: skip
TRAFFIC_WEEKEND = (
    0.20, 0.13, 0.09, 0.07, 0.08, 0.13, 0.24, 0.36, 0.48, 0.60, 0.70, 0.76,
    0.78, 0.80, 0.82, 0.83, 0.82, 0.80, 0.74, 0.62, 0.50, 0.42, 0.34, 0.26,
)  # fmt: skip
HOME_POWER = (
    0.62, 0.55, 0.50, 0.48, 0.48, 0.52, 0.62, 0.74, 0.74, 0.66, 0.62, 0.62,
    0.64, 0.64, 0.62, 0.62, 0.66, 0.76, 0.88, 0.97, 1.00, 0.98, 0.90, 0.76,
)  # fmt: skip
OFFICE_POWER = (
    0.30, 0.29, 0.28, 0.28, 0.28, 0.30, 0.36, 0.52, 0.78, 0.94, 0.98, 0.98,
    0.92, 0.97, 1.00, 1.00, 0.98, 0.92, 0.72, 0.56, 0.48, 0.42, 0.36, 0.32,
)  # fmt: skip
FACTORY_POWER = (
    0.20, 0.20, 0.19, 0.19, 0.20, 0.22, 0.28, 0.46, 0.82, 1.00, 1.00, 0.96,
    0.66, 0.90, 1.00, 1.00, 0.98, 0.88, 0.62, 0.48, 0.40, 0.32, 0.26, 0.22,
)  # fmt: skip
SHOP_POWER = (
    0.36, 0.33, 0.31, 0.30, 0.30, 0.31, 0.34, 0.42, 0.54, 0.70, 0.84, 0.94,
    1.00, 0.98, 0.95, 0.94, 0.95, 0.98, 1.00, 0.98, 0.92, 0.80, 0.62, 0.45,
)  # fmt: skip
STREET_LIFE = (
    0.06, 0.03, 0.02, 0.02, 0.03, 0.08, 0.20, 0.45, 0.60, 0.48, 0.50, 0.66,
    0.84, 0.74, 0.68, 0.72, 0.82, 0.95, 1.00, 0.92, 0.76, 0.52, 0.30, 0.14,
)  # fmt: skip
OFFICE_STAY = (
    0.05, 0.05, 0.05, 0.05, 0.05, 0.06, 0.12, 0.38, 0.80, 0.96, 1.00, 0.98,
    0.88, 0.96, 1.00, 0.98, 0.94, 0.84, 0.50, 0.28, 0.18, 0.12, 0.08, 0.06,
)  # fmt: skip
HOME_STAY = (
    0.98, 1.00, 1.00, 1.00, 1.00, 0.97, 0.90, 0.70, 0.46, 0.38, 0.36, 0.36,
    0.37, 0.36, 0.36, 0.37, 0.40, 0.48, 0.62, 0.75, 0.83, 0.90, 0.94, 0.97,
)  # fmt: skip
EMERGENCY = (
    0.62, 0.52, 0.46, 0.42, 0.40, 0.42, 0.48, 0.58, 0.74, 0.86, 0.92, 0.90,
    0.86, 0.86, 0.86, 0.86, 0.88, 0.92, 0.98, 1.00, 1.00, 0.96, 0.86, 0.74,
)  # fmt: skip
