"""A health centre in a folder: a place, a kiosk, a nurse, citizens with cards; and visits of theirs."""

import time
import uuid
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp

from hanmaru.app import create_app
from hanmaru.care import people
from hanmaru.care.citizen.consents import CENTRE, consent
from hanmaru.care.fhir.records import Change, Records, opened
from hanmaru.care.service import service
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.composition import city_document, open_hub, open_locks, service_context
from hanmaru.config import Settings
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.bodies import instant
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.services import installed
from tests.asgi import Answer, ask, started

PASSWORD = "seven horses over the river"
PEOPLE = {"kiosk-1": "kiosk", "kiosk-2": "kiosk", "nari": "nurse", "boss": "care-manager", "minji": "citizen"}


def settle(folder: Path) -> Settings:
    """Make the accounts of a health centre; return its settings."""
    accounts = Accounts(folder)
    for name, role in PEOPLE.items():
        accounts.add(name, PASSWORD, role)
    accounts.close()
    return Settings(data=folder, city="hanbit", services=("care",))


@asynccontextmanager
async def records_of(settings: Settings) -> AsyncGenerator[Records]:
    """Open the records as one more process of the house does."""
    async with open_hub(settings) as hub, AsyncExitStack() as closing:
        audit = closing.enter_context(Trail(settings.data, settings.keys_folder, "tests"))
        locks = closing.enter_context(open_locks(settings, installed(("care",)), audit))
        context = service_context(settings, service, hub.client, city_document(settings), locks, closing)
        yield await opened(context)


async def furnish(records: Records) -> None:
    """Put a kiosk at a place."""
    hours = kiosks.Hours(("mon", "tue", "wed", "thu", "fri"), "09:00", "18:00")
    place = kiosks.place("place-1", {"ko": "솔숲동 건강측정실", "en": "Solsup Health Corner"}, 128.1, 37.1, hours)
    await records.commit(ROOM, [Change("PUT", "Location", "place-1", place)])
    await kiosks.bind(records, "kiosk-1", "place-1")


async def citizen(records: Records, name: str, *allowed: str, born: str = "1961-03-02", sex: str = "male") -> str:
    """Register somebody who allows something; their card has their name for its number. Return the Patient's id."""
    patient = {"resourceType": "Patient", "name": [{"text": name}], "gender": sex, "birthDate": born}
    made = await records.commit(ROOM, [Change("POST", "Patient", None, patient)])
    id, at = made[0].id, instant(time.time()) or ""
    await people.bind_card(records, name, id)
    given = [Change("POST", "Consent", None, consent(id, each, CENTRE, True, at)) for each in allowed]
    if given:
        await records.commit(ROOM, given)
    return id


def posted(systolic: float = 128, diastolic: float = 79, **others: Any) -> dict[str, Any]:
    """Return a visit as a kiosk sends it."""
    at = instant(time.time())

    def typed(column: str, value: float, unit: str) -> dict[str, Any]:
        return {"column": column, "value": value, "unit": unit, "at": at, "how": "manual"}

    measured = [
        typed("height_cm", 170.2, "cm"),
        typed("weight_kg", 71.4, "kg"),
        typed("sbp_mmhg", systolic, "mmHg"),
        typed("dbp_mmhg", diastolic, "mmHg"),
        typed("pulse_bpm", 72, "회/분"),
    ]
    answers = {"smoker": False, "diabetes": False, "bp_treated": False}
    return {"id": str(uuid.uuid4()), "at": at, "measurements": measured, "answers": answers, **others}


class House:
    """People who ask the application."""

    def __init__(self, app: ASGIApp, records: Records) -> None:
        self.app, self.records = app, records

    async def say(self, who: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
        credentials = b64encode(f"{who}:{PASSWORD}".encode()).decode()
        given = {"authorization": f"Basic {credentials}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        sent = b"" if body is None else msgspec.json.encode(body)
        return await ask(self.app, f"/api/care/v1{path}", method=method, headers=given, body=sent)

    async def get(self, who: str, path: str) -> Any:
        answer = await self.say(who, "GET", path)
        assert answer.status == 200, answer.body
        return answer.json()

    async def visit(self, body: dict[str, Any], status: int = 201) -> Any:
        answer = await self.say("kiosk-1", "POST", "/visits", body)
        assert answer.status == status, answer.body
        return answer.json()


@asynccontextmanager
async def centre(folder: Path) -> AsyncGenerator[House]:
    """Open a health centre for as long as the block lasts."""
    settings = settle(folder)
    async with started(create_app(settings)) as app, records_of(settings) as records:
        await furnish(records)
        yield House(app, records)
