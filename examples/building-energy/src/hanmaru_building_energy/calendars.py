"""Local time of week, and the days on which a working day is none. Pure."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru_building_energy.domain import Ints

DAY_S = 86_400

_FIXED = ((1, 1), (3, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25))
_FIXED_SINCE_2026 = ((5, 1), (7, 17))

_LUNAR_NEW_YEAR = (
    "2018-02-16", "2019-02-05", "2020-01-25", "2021-02-12", "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29",
    "2026-02-17", "2027-02-07", "2028-01-27", "2029-02-13", "2030-02-03",
)  # fmt: skip
_BUDDHA = (
    "2018-05-22", "2019-05-12", "2020-04-30", "2021-05-19", "2022-05-08", "2023-05-27", "2024-05-15", "2025-05-05",
    "2026-05-24", "2027-05-13", "2028-05-02", "2029-05-20", "2030-05-09",
)  # fmt: skip
_CHUSEOK = (
    "2018-09-24", "2019-09-13", "2020-10-01", "2021-09-21", "2022-09-10", "2023-09-29", "2024-09-17", "2025-10-06",
    "2026-09-25", "2027-09-15", "2028-10-03", "2029-09-22", "2030-09-12",
)  # fmt: skip


def korean_holidays() -> frozenset[date]:
    """Return Korea's public holidays of 2018 to 2030, without substitute, temporary and election days.

    Those of the lunar calendar are in Korean time: now and then a day later than in China.
    """
    days = {date(year, month, day) for year in range(2018, 2031) for month, day in _FIXED}
    days |= {date(year, month, day) for year in range(2026, 2031) for month, day in _FIXED_SINCE_2026}
    days |= {date.fromisoformat(text) for text in _BUDDHA}
    for text in (*_LUNAR_NEW_YEAR, *_CHUSEOK):
        middle = date.fromisoformat(text)
        days |= {middle + timedelta(days=shift) for shift in (-1, 0, 1)}
    return frozenset(days)


def slots(times_s: Ints, step_s: int, zone: ZoneInfo, days_off: frozenset[date]) -> Ints:
    """Return the time of week (n,) of instants: whole ``step_s`` since Monday's local midnight; a day off is a Sunday.

    When the clock changes, an hour's slots come twice or not at all, as that hour does.
    """
    local = _local_s(times_s, zone)
    day = np.floor_divide(local, DAY_S)
    weekday = (day + 3) % 7
    off = np.array([(date_ - date(1970, 1, 1)).days for date_ in sorted(days_off)], np.int64)
    weekday = np.where(np.isin(day, off), 6, weekday)
    return (weekday * DAY_S + (local - day * DAY_S)) // step_s


def local_days(times_s: Ints, zone: ZoneInfo) -> Ints:
    """Return the local date (n,) of instants, in days since 1970."""
    return np.floor_divide(_local_s(times_s, zone), DAY_S)


def _local_s(times_s: Ints, zone: ZoneInfo) -> Ints:
    """Return instants as seconds of the local clock.

    Its offset is looked up once for each day, and for each hour of the few days in which it changes.
    """
    hours = np.floor_divide(times_s, 3600)
    days, back = np.unique(np.floor_divide(hours, 24), return_inverse=True)
    known = {day: _offset_s(zone, 24 * day) for day in {*days.tolist(), *(days + 1).tolist()}}
    begins = np.array([known[day] for day in days.tolist()], np.int64)
    ends = np.array([known[day + 1] for day in days.tolist()], np.int64)
    offsets = begins[back]
    changing = np.flatnonzero((begins != ends)[back])
    offsets[changing] = [_offset_s(zone, hour) for hour in hours[changing].tolist()]
    return times_s + offsets


def _offset_s(zone: ZoneInfo, hour: int) -> int:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
