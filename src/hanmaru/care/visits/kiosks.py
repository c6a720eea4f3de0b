"""Measuring places and their kiosks, as Location and Device; and what a kiosk is told when it starts."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from hanmaru.care.citizen import consents
from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.citizen.visit import part, reference, told
from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Change, Reader, Records
from hanmaru.care.visits.shapes import ACCOUNT, Resource, kiosk_id, spoken
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Text

ROOM: Final = Reader(SYSTEM_NAME, "all")
"""The room itself: what it writes for a visit, and what it reads to make one."""

MEASURES: Final = (
    *("height-weight", "blood-pressure", "body-composition", "waist", "grip", "sit-and-reach", "chair-stand", "tug"),
    *("walk", "posture"),
)
"""What is measured at a place, in this order; a kiosk leaves out what it has no device for."""

ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
"""A FHIR id (R4, datatypes)."""

ASKED: Final = ("store", "follow-up", "reminders")
"""What a kiosk asks whether the citizen allows it; the rest is asked in the app."""


DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Hours:
    """When a place is open: on days of `DAYS`, from and until a time such as ``09:00``."""

    days: tuple[str, ...]
    opens: str
    closes: str


def place(id: str, name: Text, lon: float, lat: float, hours: Hours | None = None) -> Resource:
    """Return a measuring place (Location)."""
    open_ = (
        {"daysOfWeek": [*hours.days], "openingTime": f"{hours.opens}:00", "closingTime": f"{hours.closes}:00"}
        if hours
        else None
    )
    return {
        "resourceType": "Location",
        "id": id,
        "status": "active",
        **spoken(name, "name"),
        "mode": "instance",
        "position": {"longitude": lon, "latitude": lat},
        "managingOrganization": {"reference": CENTRE},
        **({"hoursOfOperation": [open_]} if open_ else {}),
    }


def kiosk(account: str, place: str, name: str = "", active: bool = True) -> Resource:
    """Return a kiosk (Device) that an account speaks for, at a measuring place (a Location's id)."""
    return {
        "resourceType": "Device",
        "id": kiosk_id(account),
        "identifier": [{"system": ACCOUNT, "value": account}],
        "status": "active" if active else "inactive",
        "deviceName": [{"name": name or account, "type": "user-friendly-name"}],
        "type": {"text": "kiosk"},
        "owner": {"reference": CENTRE},
        "location": {"reference": f"Location/{place}"},
    }


async def bind(records: Records, account: str, place: str, name: str = "") -> Resource:
    """Let an account's kiosk stand at a place; raises Problem 404 for a place that there is not."""
    await records.read(ROOM, "Location", place)
    made = kiosk(account, place, name)
    await records.commit(ROOM, [Change("PUT", "Device", made["id"], made)])
    return made


async def revoke(records: Records, account: str) -> None:
    """End a kiosk; raises Problem 404 where there is none of the account."""
    found = text.decode((await records.read(ROOM, "Device", kiosk_id(account))).text)
    await records.commit(ROOM, [Change("PUT", "Device", found["id"], {**found, "status": "inactive"})])


async def kiosk_of(records: Records, account: str) -> Resource:
    """Return the kiosk that an account speaks for; raises Problem 403 where there is none in service."""
    try:
        found = text.decode((await records.read(ROOM, "Device", kiosk_id(account))).text)
    except Problem as problem:
        if problem.status not in (404, 410):
            raise
        found = {"status": "inactive"}
    if found.get("status") != "active":
        detail = f"The account {account!r} has no kiosk in service: a manager puts it at a place under /care/manage."
        raise Problem(403, "No kiosk", detail)
    return found


async def described(records: Records, account: str, simulated: bool) -> dict[str, Any]:
    """Return what a kiosk needs to work, also while it is offline; raises Problem 403."""
    found = await kiosk_of(records, account)
    where = reference(found, "location").removeprefix("Location/")
    location = text.decode((await records.read(ROOM, "Location", where)).text)
    return {
        "place": {"id": where, "name": told(location, "name")},
        "kiosk": found["id"],
        "measures": MEASURES,
        "consent_texts": _consent_texts(),
        **await asyncio.to_thread(_rules),
        "simulated": simulated,
    }


def hours(location: Mapping[str, Any]) -> list[Hours]:
    """Return a place's opening hours."""
    return [
        Hours(tuple(each["daysOfWeek"]), each["openingTime"][:5], each["closingTime"][:5])
        for each in location.get("hoursOfOperation", ())
        if each.keys() >= {"daysOfWeek", "openingTime", "closingTime"}
    ]


def lonlat(location: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return where a place is."""
    position = part(location, "position")
    return (float(position["longitude"]), float(position["latitude"])) if "longitude" in position else None


def _consent_texts() -> list[dict[str, Any]]:
    words = consents.words()
    return [
        {"id": each, "title": words[each].title, "text": words[each].text, "off": words[each].off, "required": False}
        for each in ASKED
    ]


@cache
def _rules() -> dict[str, Any]:
    from hanmaru.care.rules.catalogue import RULES
    from hanmaru.care.rules.columns import COLUMNS
    from hanmaru.care.rules.plausibility import LIMITS

    shown = {
        name: {
            "low": limits.low,
            "high": limits.high,
            "impossible_low": limits.impossible_low,
            "impossible_high": limits.impossible_high,
            "unit": COLUMNS[name].unit,
        }
        for name, limits in LIMITS.items()
    }
    return {"plausibility": shown, "norms": {rule.id: rule.version for rule in RULES.values()}}
