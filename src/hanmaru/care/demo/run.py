"""The demo city's health service: citizens with a year of visits, and somebody who measures every now and then.

Everything goes through the same door as a kiosk's visits: checked, graded and stored as one transaction each.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from hanmaru.care.citizen.consents import CENTRE, consent
from hanmaru.care.demo.people import Citizen, citizens, measured
from hanmaru.care.demo.places import Place, measuring_places
from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.care.fhir.records import HEALTH_CENTRE, Change, Reader, Records, new_id, opened
from hanmaru.care.hospital import referrals
from hanmaru.care.people import bind, bind_card, bind_party, card
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.measures import DeviceInfo, Measurement
from hanmaru.care.visits.visit import Posted, take
from hanmaru.city.build import build
from hanmaru.city.profile import from_context
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context

log = structlog.get_logger()

PEOPLE: Final = 40
HOSPITAL: Final = "hospital-1"
EVERY_S: Final = (240.0, 600.0)
"""Between two visits while the demo runs."""
REFERRED: Final = 0
"""Who is referred to the hospital, and lets it see the record."""
STATES: Final = ("open", "ended")
URGENT: Final = 3
"""Who has, since a moment ago, a blood pressure that wants a doctor today."""
ROOM: Final = Reader(SYSTEM_NAME, "all", purpose="demo")
ANSWERS: Final = ("smoker", "bp_treated", "diabetes")
DEVICE: Final = DeviceInfo("Hanmaru demo station", "DS-1", "0001")


async def run(context: Context[HubClient]) -> None:
    """Make the demo's places, citizens and visits at the first start, then let people measure until cancelled."""
    records = await opened(context)
    profile = from_context(context.city)
    city = await asyncio.to_thread(build, profile)
    places = await asyncio.to_thread(measuring_places, city)
    people = citizens(await asyncio.to_thread(lambda: city.population), profile.seed, PEOPLE)
    people.sort(key=lambda one: not (50 <= one.age < 65 and len(one.visits) > 3))  # whoever has most to see comes first
    if card(records, number(0)) is None:
        await _open(records, places)
        for n, citizen in enumerate(people):
            await _register(records, n, citizen)
    for n, citizen in enumerate(people):
        await _past(records, n, citizen, profile.seed)
    await _refer(records)
    log.info("demo citizens measured", citizens=len(people), places=len(places))
    chance = random.Random(profile.seed)  # noqa: S311 - for show
    while True:
        await asyncio.sleep(chance.uniform(*EVERY_S))
        n = chance.randrange(1, len(people))
        values = measured(people[n], len(people[n].visits), profile.seed + chance.randrange(1 << 20))
        await _visit(records, n, str(uuid.uuid4()), datetime.now(UTC), values)


def number(n: int) -> str:
    """Return the number of a citizen's card."""
    return f"HM-{n + 1:04}"


def kiosk_account(n: int) -> str:
    """Return which kiosk a citizen goes to; the first is the one that the demo account ``kiosk`` speaks for."""
    return "kiosk" if n % 9 == 0 else f"demo-kiosk-{n % 9 + 1}"


async def _open(records: Records, places: Sequence[Place]) -> None:
    made = [kiosks.place(p.id, p.name, p.lon, p.lat, kiosks.Hours(kiosks.DAYS, "00:00", "23:59")) for p in places]
    hospital: dict[str, Any] = {"resourceType": "Organization", "id": HOSPITAL, "active": True, "name": "한마루병원"}
    changes = [Change("PUT", each["resourceType"], each["id"], each) for each in (*made, hospital)]
    await records.commit(ROOM, changes)
    for n, place in enumerate(places):
        await kiosks.bind(records, kiosk_account(n), place.id)
    await bind_party(records, "hospital", HOSPITAL)


async def _register(records: Records, n: int, citizen: Citizen) -> None:
    id, now = new_id(), datetime.now(UTC)
    person: dict[str, Any] = {
        "resourceType": "Patient",
        "id": id,
        "active": True,
        "name": [{"text": citizen.name}],
        "gender": citizen.sex,
        "birthDate": f"{now.year - citizen.age - 1}-{n % 12 + 1:02}-{n % 28 + 1:02}",
        "telecom": [{"system": "phone", "value": f"010-0000-{n:04}"}],
    }
    # Nine in ten let the nurse follow them up.
    given = ("store", *(("follow-up",) if n % 10 != 9 else ()), *(("reminders",) if n % 3 else ()))
    since = (now - timedelta(days=366)).isoformat()
    agreed = [consent(id, each, CENTRE, True, since, new_id()) for each in given]
    if n == REFERRED:
        agreed.append(consent(id, "hospital", f"Organization/{HOSPITAL}", True, since, new_id()))
    changes = [Change("POST", each["resourceType"], each["id"], each) for each in (person, *agreed)]
    await records.commit(ROOM, changes)
    await bind_card(records, number(n), id)
    if n == 0:
        await bind(records, "citizen", id)


async def _past(records: Records, n: int, citizen: Citizen, seed: int) -> None:
    """Bring the visits of the last year; those that are there already change nothing."""
    first = datetime.now(UTC).replace(hour=1, minute=0, second=0, microsecond=0)
    last = len(citizen.visits) - 1
    for visit, days in enumerate(citizen.visits):
        urgent = n == URGENT and visit == last
        at = datetime.now(UTC) - timedelta(minutes=12) if urgent else first - timedelta(days=days, minutes=-7 * n)
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"hanmaru:demo:{n}:{visit}"))
        values = measured(citizen, visit, seed, urgent=urgent)
        await _visit(records, n, id, at, values)


async def _refer(records: Records) -> None:
    """Have a citizen's blood pressure seen to by the hospital, unless that was asked before."""
    physician = Reader("physician", "organisation", HEALTH_CENTRE, "treatment")
    patient = card(records, number(REFERRED))
    if patient is None or any([await referrals.listed(records, physician, each, patient) for each in STATES]):
        return
    await referrals.refer(records, physician, patient, HOSPITAL, "혈압 확인과 진료", "routine")


async def _visit(records: Records, n: int, id: str, at: datetime, values: dict[str, float]) -> None:
    taken = [
        Measurement(name, value, COLUMNS[name].unit, at.isoformat(), "device", DEVICE)
        for name, value in values.items()
        if name not in ANSWERS
    ]
    answers: dict[str, bool | float | None] = {name: bool(values[name]) for name in ANSWERS}
    posted = Posted(id, at.isoformat(), taken, card=number(n), answers=answers)
    now_us = min(time.time_ns() // 1000, int(at.timestamp() * 1e6) + 60_000_000)
    await take(records, kiosk_account(n), posted, now_us)
