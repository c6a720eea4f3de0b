"""Instants: ISO 8601 texts in UTC with a final ``Z`` outside, microseconds since 1970 as integers in indexes."""

import re
from datetime import UTC, datetime, timedelta

from hanmaru.platform.problems import bad_request

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z").fullmatch
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)").fullmatch
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse(text: str) -> datetime:
    """Return the instant that an ISO 8601 text with an offset names; ValueError when it is none."""
    if not _INSTANT(text):
        raise ValueError(f"{text!r} is not an ISO 8601 date and time with a time zone, such as 2026-11-23T06:00:00Z")
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def canonical(text: object, member: str = "the time") -> str:
    """Return an instant in the form kept inside; raise a 400 problem that names ``member`` when it is none."""
    if not isinstance(text, str):
        raise bad_request(f"{member} must be a string with an ISO 8601 date and time")
    try:
        if _CANONICAL(text):
            datetime.fromisoformat(text)
            return text
        return render(parse(text))
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{member}: {error}") from None


def render(instant: datetime) -> str:
    """Return an aware instant as text, without a fraction where it is zero."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def now() -> str:
    """Return the present instant as text."""
    return render(datetime.now(UTC))


def micros(text: str) -> int:
    """Return microseconds since 1970 of a canonical text."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> str:
    """Return the canonical text of microseconds since 1970."""
    return render(_EPOCH + timedelta(microseconds=value))


def sortable(text: str) -> str | None:
    """Return an instant at fixed width, so that texts sort as instants do; None when the text is no instant."""
    if len(text) < 17 or text[4] != "-" or not _INSTANT(text):
        return None
    try:
        return parse(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError):
        return None
