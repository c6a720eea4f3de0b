"""Times of the source's own format and zone, as UTC instants: ISO 8601 with a final ``Z``.

Formats are written as for ``strptime``; unlike it, 24:00 is the next day's midnight, as air-quality and transport
tables write it, and digits need no padding.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from hanmaru.connectors.errors import BadRow

_MONTHS: Sequence[str] = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?|오전|오후)",
    "b": rf"(?P<b>(?i:{'|'.join(_MONTHS)})[a-z]*\.?)",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "z": r"(?P<z>Z|[+-]\d\d:?\d\d)",
    "%": "%",
}
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).match
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|min|m|h|hour|d|day|w|week)s?", re.ASCII).fullmatch
_SECONDS = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "w": 604800}

Parse = Callable[[object], str]
"""From a source's value to a canonical UTC time; raises `BadRow`."""


def render(instant: datetime) -> str:
    """Return an aware instant as UTC text with a final ``Z``."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def sort_key(text: str) -> str:
    """Return a key that sorts canonical times as instants, with and without fractions of a second."""
    return text[:-1]


def parse_step(text: str) -> timedelta:
    """Return the length of ``5min``, ``1h``, ``1d``…; ValueError when it is none or zero."""
    match = _STEP(text.strip())
    if not match or not float(match[1]):
        raise ValueError(f'{text!r} is not a length of time; write for example "5min", "1h" or "1d"')
    return timedelta(seconds=float(match[1]) * _SECONDS.get(match[2], 604800))


def parser(format: str, zone: tzinfo, midnight: Literal["same-day", "next-day"] = "same-day") -> Parse:
    """Return the parser of a format: ``iso``, ``epoch`` (seconds), ``epoch_ms`` or ``strptime`` directives.

    ``zone`` applies where the text names no offset. A local time that occurs twice is the first of the two.
    ``midnight="next-day"`` reads 00:00 as the end of the day that is written, not its start.
    ValueError for a directive that is not known.
    """
    if format in ("epoch", "epoch_ms"):
        return _epoch(1 if format == "epoch" else 1000)
    read = _iso(zone) if format == "iso" else _pattern(format, zone)
    push = midnight == "next-day"

    def instant(text: str) -> str:
        try:
            local = read(text.strip())
            if push and not (local.hour or local.minute or local.second or local.microsecond):
                local += timedelta(days=1)
            return render(local)
        except (ValueError, OverflowError) as error:
            raise BadRow(f"{text[:80]!r} is not a time of the format {format!r} ({error})") from None

    cached = lru_cache(maxsize=4096)(instant)

    def parse(value: object) -> str:
        if isinstance(value, datetime):
            return render(value if value.tzinfo else value.replace(tzinfo=zone))
        return cached(value if isinstance(value, str) else str(value))

    return parse


def sequence(start: str, step: timedelta, zone: tzinfo) -> Callable[[int], str]:
    """Return the time of the n-th row (from 0) of a series that has only a start and a step."""
    first = _iso(zone)(start).astimezone(UTC)

    def at(row: int) -> str:
        return render(first + row * step)

    return lru_cache(maxsize=16)(at)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by IANA name; ValueError when there is none."""
    try:
        return ZoneInfo(name)
    except Exception:
        raise ValueError(f'there is no time zone {name!r}; write for example "Asia/Seoul" or "UTC"') from None


def _epoch(scale: int) -> Parse:
    def parse(value: object) -> str:
        try:
            return render(_EPOCH + timedelta(microseconds=round(float(str(value)) / scale * 1_000_000)))
        except (ValueError, OverflowError):
            raise BadRow(f"{str(value)[:80]!r} is not a number of {'milli' * (scale > 1)}seconds since 1970") from None

    return parse


def _iso(zone: tzinfo) -> Callable[[str], datetime]:
    def read(text: str) -> datetime:
        if not _ISO_DATE(text):
            raise ValueError("not an ISO 8601 date and time")
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)

    return read


def _pattern(format: str, zone: tzinfo) -> Callable[[str], datetime]:
    parts = re.split(r"%(.)", format.strip())
    unknown = [d for d in parts[1::2] if d not in _DIRECTIVES]
    if unknown or len(set(parts[1::2]) - {"%"}) != len([d for d in parts[1::2] if d != "%"]):
        raise ValueError(f"%{unknown[0]} is not known" if unknown else "a directive occurs twice")
    pattern = "".join(
        _DIRECTIVES[part] if i % 2 else re.sub(r"(\\ )+", r"\\s+", re.escape(part)) for i, part in enumerate(parts)
    )
    match = re.compile(pattern, re.ASCII).fullmatch

    def read(text: str) -> datetime:
        found = match(text)
        if not found:
            raise ValueError("it does not have that shape")
        got = found.groupdict()
        number = {k: int(v) for k, v in got.items() if v and k in "YymdHIMS"}
        year = number["Y"] if "Y" in number else number.get("y", 70) + (2000 if number.get("y", 70) < 69 else 1900)
        month = _MONTHS.index(got["b"][:3].lower()) + 1 if got.get("b") else number.get("m", 1)
        hour = number.get("H", 0)
        if "I" in number:
            hour = number["I"] % 12 + 12 * ((got.get("p") or "am")[0] in "Pp" or got.get("p") == "오후")
        minute, second = number.get("M", 0), number.get("S", 0)
        after = hour == 24 and not minute and not second
        moment = datetime(year, month, number.get("d", 1), 0 if after else hour, minute, second)
        if got.get("f"):
            moment += timedelta(microseconds=int(got["f"][:6].ljust(6, "0")))
        if after:
            moment += timedelta(days=1)
        offset = got.get("z")
        if not offset:
            return moment.replace(tzinfo=zone)
        return datetime.fromisoformat(moment.isoformat() + offset)

    return read
