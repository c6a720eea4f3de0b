"""FHIR's dates as half-open ranges of instants: ``2013`` is the whole year, in the city's zone.

R4, search, "date": a value stands for all instants that its precision leaves open; a date without an offset is
read in the server's zone.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

KOREA: Final = ZoneInfo("Asia/Seoul")
FIRST: Final = -(1 << 62)
LAST: Final = 1 << 62
"""Before and after every instant: the ends of a period that is open, microseconds."""

_TEXT: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)

Range = tuple[int, int]
"""[first instant, first instant after), Unix microseconds."""


@lru_cache(maxsize=8192)
def bounds(text: str, zone: tzinfo = KOREA) -> Range | None:
    """Return the instants that a date, dateTime or instant stands for, or None where it is none of them."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        if hour is None:
            low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=zone)
            return _us(low), _us(_after(low, month, day))
        width = 1_000_000 if second else 60_000_000
        extra = 0
        if fraction:
            extra, width = int(fraction.ljust(6, "0")[:6]), max(1, 10 ** (6 - min(6, len(fraction))))
        tz = zone if offset is None else UTC if offset == "Z" else _offset(offset)
        seconds = min(int(second or 0), 59)  # a leap second, which neither Python nor POSIX time has
        low_us = _us(datetime(int(year), int(month), int(day), int(hour), int(minute), seconds, tzinfo=tz)) + extra
        return low_us, low_us + width
    except (ValueError, OverflowError):
        return None


def _after(low: datetime, month: str | None, day: str | None) -> datetime:
    if day is not None:
        return low + timedelta(days=1)
    if month is not None and low.month < 12:
        return low.replace(month=low.month + 1)
    return low.replace(year=low.year + 1, month=1)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _US


@lru_cache(maxsize=256)
def _offset(text: str) -> tzinfo:
    return datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo or UTC
