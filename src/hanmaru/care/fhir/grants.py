"""Which organisation may see whose record: read from the newest version of each Consent.

A Consent gives a grant while its ``status`` is ``active`` and its provision's period holds, if its category is
``follow-up`` (the health centre's nurses) or ``hospital`` of ``urn:hanmaru:care:consent``, its provision permits, and
the provision names organisations as actors. Everything else, and what cannot be understood, gives none.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast
from zoneinfo import ZoneInfo

from hanmaru.care.fhir.database import Database

SYSTEM: Final = "urn:hanmaru:care:consent"
GRANTING: Final = frozenset({"follow-up", "hospital"})
FOR_EVER: Final = 2**62
"""The end of what has none, in µs since 1970."""


class Grant(NamedTuple):
    """An organisation may see from ``since`` to ``until``, both included, in µs since 1970."""

    organisation: str
    since: int
    until: int


def grants(consent: Mapping[str, Any], zone: ZoneInfo) -> list[Grant]:
    """Return what a Consent gives; dates without a time are days of ``zone``."""
    provision = _object(consent.get("provision"))
    if consent.get("status") != "active" or provision.get("type") != "permit" or not _categories(consent) & GRANTING:
        return []
    if provision.get("provision"):  # exceptions within, which are not understood here
        return []
    span = _span(_object(provision.get("period")), zone)
    if span is None:
        return []
    ends = [_object(actor).get("reference") for actor in _list(provision.get("actor"))]
    texts = [text for end in ends if isinstance(text := _object(end).get("reference"), str)]
    return [Grant(text.removeprefix("Organization/"), *span) for text in texts if text.startswith("Organization/")]


def write(db: Database, consent: int, owner: int, found: list[Grant]) -> None:
    """Put a Consent's grants in the place of those that it gave before; ``consent`` and ``owner`` are keys."""
    db.execute("DELETE FROM grants WHERE consent = ?", (consent,))
    for each in found:
        db.execute("INSERT OR REPLACE INTO grants VALUES(?, ?, ?, ?, ?)", (each[0], owner, consent, *each[1:]))


def _categories(consent: Mapping[str, Any]) -> set[str]:
    codings = (coding for concept in _list(consent.get("category")) for coding in _list(_object(concept).get("coding")))
    objects = map(_object, codings)
    return {str(each.get("code")) for each in objects if each.get("system") == SYSTEM}


def _span(period: Mapping[str, Any], zone: ZoneInfo) -> tuple[int, int] | None:
    since, until = 0, FOR_EVER
    try:
        if "start" in period:
            since = _micros(_instant(str(period["start"]), zone)[0])
        if "end" in period:
            until = _micros(_instant(str(period["end"]), zone)[1]) - 1
    except (ValueError, OverflowError):
        return None
    return since, until


def _instant(text: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return where a date or dateTime begins and where it is over."""
    if len(text) <= 10:
        begin = datetime.fromisoformat((text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10])
        begin = begin.replace(tzinfo=zone)
        if len(text) == 4:
            return begin, begin.replace(year=begin.year + 1)
        if len(text) == 7:
            return begin, (begin + timedelta(31)).replace(day=1)
        return begin, begin + timedelta(1)
    begin = datetime.fromisoformat(text)
    if begin.tzinfo is None:
        raise ValueError("a time without a zone")
    return begin, begin + timedelta(seconds=1)


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Iterator[Any]:
    if isinstance(value, list):
        yield from cast("list[Any]", value)
