"""Measuring places as everyone with access to the hub may see them: where, when open, about how busy. Nobody's health.

How many were measured today is told in steps of `AT_LEAST`, rounded down: neither one visit nor a change from one to
the next shows, and fewer than that are told as none.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.citizen.visit import reference, told
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Records, opened
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.kiosks import DAYS, ROOM
from hanmaru.care.visits.shapes import ACCOUNT, CATEGORY
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.bodies import instant
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

log = structlog.get_logger()

EVERY_S: Final = 60.0
AT_LEAST: Final = 5
"""Fewest people of whom a count is told (k-anonymity), and its steps."""
MOST: Final = 500

TYPE: Final = "HealthScreeningPlace"


async def publish(context: Context[HubClient]) -> None:
    """Keep the hub's entities as the places are, until cancelled."""
    records = await opened(context)
    while True:
        try:
            found = await places(records)
            result = await context.hub.upsert(found) if found else None
            for failure in result.failures[:1] if result else ():
                log.warning("the hub refuses a measuring place", id=failure.id, reason=failure.detail)
        except Problem as problem:
            log.warning("measuring places are not told to the hub", reason=problem.detail)
        await asyncio.sleep(EVERY_S)


async def places(records: Records) -> list[JsonObject]:
    """Return the entities of all measuring places, as they are now."""
    count = ("_count", str(MOST))
    locations = await records.search(ROOM, "Location", [("organization", CENTRE), count])
    devices = await records.search(ROOM, "Device", [("identifier", f"{ACCOUNT}|"), ("status", "active"), count])
    at = [reference(text.decode(each.text), "location") for each in devices.matches]
    made: list[JsonObject] = []
    for each in locations.matches:
        where = f"Location/{each.id}"
        made.append(entity(text.decode(each.text), at.count(where), await _measured_today(records, where)))
    return made


async def _measured_today(records: Records, place: str) -> int:
    """Return how many visits a place has had on the city's day."""
    now = datetime.now(records.zone)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    since = midnight.strftime("%Y-%m-%dT%H:%M:%SZ")
    query = [("location", place), ("date", f"ge{since}"), ("type", f"{CATEGORY}|screening")]
    found = await records.search(ROOM, "Encounter", [*query, ("_total", "accurate"), ("_count", "1")])
    return found.total or 0


def entity(location: Mapping[str, Any], kiosks_here: int, measured: int) -> JsonObject:
    """Return a place's entity; of ``measured`` people it tells a step."""
    at = instant(time.time())
    position, hours = kiosks.lonlat(location), kiosks.hours(location)
    known = measured - measured % AT_LEAST
    point = {"type": "Point", "coordinates": list(position or ())}
    return {
        "id": f"urn:ngsi-ld:{TYPE}:care:{location['id']}",
        "type": TYPE,
        "name": {"type": "LanguageProperty", "languageMap": told(location, "name")},
        **({"location": {"type": "GeoProperty", "value": point}} if position else {}),
        **({"openingHours": _value([_open(each) for each in hours])} if hours else {}),
        "kiosksInService": _value(kiosks_here),
        "measuredToday": {**_value(known), "observedAt": at},
    }


def _open(hours: kiosks.Hours) -> str:
    """Return opening hours as Schema.org writes them: ``Mo,Tu 09:00-18:00``."""
    days: Sequence[str] = sorted(hours.days, key=DAYS.index)
    return f"{','.join(day[:2].capitalize() for day in days)} {hours.opens}-{hours.closes}"


def _value(value: object) -> JsonObject:
    return {"type": "Property", "value": value}
