"""Reminders: who agreed to be reminded is told when a follow-up is due, in the app and, where there is a gateway, by
text.

The outbox is the record itself: a reminder is a Communication that is in ``preparation`` until it was sent. So it
survives whatever stops in between, is sent once the gateway is back, and is in the citizen's own record. What goes over
the telephone network says that there is something to see, and not what.
"""

import asyncio
import random
import time
import tomllib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec import Meta

from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.citizen.visit import reference, told
from hanmaru.care.domain import CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, Change, Records
from hanmaru.care.fhir.values import Version
from hanmaru.care.visits.shapes import COMMUNICATION, TASK, concept, moment, spoken
from hanmaru.care.visits.visit import consents_of
from hanmaru.platform.problems import Problem
from hanmaru.platform.sender import Outcome, Sender
from hanmaru.platform.services import Text

log = structlog.get_logger()

FILE: Final = "reminders.toml"
LOOK_S: Final = 600.0
PAGE: Final = 200
HOURS: Final = (9, 20)
"""Nobody is reminded at night: from nine to eight in the evening, in the city's zone."""
TIMEOUT_S: Final = 30.0
MODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
Resource = dict[str, Any]

SAID: Final[Text] = {
    "ko": "다시 확인할 때가 되었습니다. 가까운 측정 장소에 들러 주세요.",
    "en": "It is time to look again. Come to a measuring place near you.",
}
BY_TEXT: Final = (
    "[건강센터] 새 알림이 있습니다. 앱의 내 건강에서 확인하세요. / You have a notice: see My health in the app."
)


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``reminders.toml``: where texts are handed over, by POST of {"id", "to", "text"}, and the header that lets us."""

    endpoint: str
    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+: [\x20-\x7e]+$")] | None = None


def gateway_of(folder: Path) -> Gateway | None:
    """Read ``reminders.toml``; None where there is none. Raises CareError with what to do about it."""
    path = folder / FILE
    try:
        gateway = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Gateway)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CareError(f"{path} cannot be used: {error}") from None
    if urlsplit(gateway.endpoint).scheme not in ("https", "http"):
        raise CareError(f"{path}: endpoint has to be an address, https://…")
    if gateway.header and path.stat().st_mode & 0o077:
        raise CareError(f"{path} holds a secret: make it readable by its owner only (chmod 600)")
    return gateway


class Reminders:
    """What looks for who is due and sends; exactly one process runs it."""

    def __init__(
        self, records: Records, gateway: Gateway | None, sender: Sender, clock: Callable[[], float] = time.time
    ) -> None:
        """Name what it works with."""
        self._records, self._gateway, self._sender, self._clock = records, gateway, sender, clock

    async def run(self) -> None:
        """Remind until cancelled."""
        while True:
            try:
                if HOURS[0] <= self._now().hour < HOURS[1]:
                    await self.look()
                    await self.send()
            except Exception:
                log.exception("reminders stumbled")
            await asyncio.sleep(LOOK_S * random.uniform(0.9, 1.1))  # noqa: S311 - hubs of a region do not all ask at once

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC).astimezone(self._records.zone)

    async def look(self) -> int:
        """Prepare a reminder for each follow-up that is due, whose citizen agreed; return how many are new."""
        made = 0
        today = self._now().date()
        tomorrow = (today + timedelta(days=1)).isoformat()
        async for task in self._each(
            "Task", ("code", f"{TASK}|follow-up"), ("status", "requested"), ("period", f"lt{tomorrow}")
        ):
            patient = reference(task, "for").rpartition("/")[2]
            if patient:
                made += await self._prepare(task, patient)
        return made

    async def _prepare(self, task: Resource, patient: str) -> bool:
        id = f"reminder-{task['id']}"[:64]
        with suppress(Problem):
            await self._records.read(ALL, "Communication", id)
            return False
        if not await self._agreed(patient):
            return False
        reason = told(task.get("reasonCode"))
        said = {language: f"{reason.get(language, '')} {SAID[language]}".strip() for language in SAID}
        reminder: Resource = {
            "resourceType": "Communication",
            "status": "preparation",
            "category": [concept(COMMUNICATION, "reminder")],
            "medium": [concept(MODE, "SMSWRIT" if self._gateway else "ONLINEWRIT")],
            "subject": {"reference": f"Patient/{patient}"},
            "recipient": [{"reference": f"Patient/{patient}"}],
            "sender": {"reference": CENTRE},
            "about": [{"reference": f"Task/{task['id']}"}],
            "payload": [spoken(said, "contentString")],
        }
        await self._records.commit(ALL, [Change("PUT", "Communication", id, reminder)])
        return True

    async def send(self) -> int:
        """Send what is prepared; return how many went out. A gateway that is away is tried again at the next look."""
        sent = 0
        query = (("category", f"{COMMUNICATION}|reminder"), ("status", "preparation"))
        async for reminder in self._each("Communication", *query):
            patient = reference(reminder, "subject").rpartition("/")[2]
            if not await self._agreed(patient):
                await self._end(reminder, "not-done", "the consent was withdrawn")
                continue
            outcome = await self._hand_over(reminder, patient)
            if outcome is None:
                await self._end(reminder, "not-done", "there is no telephone number")
            elif outcome.verdict == "delivered":
                await self._end(reminder, "completed", "")
                sent += 1
            else:
                log.warning("a reminder waits for the gateway", reason=outcome.reason)
                if outcome.verdict == "failed":  # away for all; one that is refused holds up no other
                    break
        return sent

    async def _hand_over(self, reminder: Resource, patient: str) -> Outcome | None:
        """Hand a reminder to the gateway, if there is one; None where the citizen gave no number."""
        if self._gateway is None:
            return Outcome("delivered")
        person = text.decode((await self._records.read(ALL, "Patient", patient)).text)
        phone = next((str(one["value"]) for one in person.get("telecom", ()) if one.get("system") == "phone"), "")
        if not phone:
            return None
        name, _, value = (self._gateway.header or "").partition(": ")
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(reminder["id"])}
        body = msgspec.json.encode({"id": reminder["id"], "to": phone, "text": BY_TEXT})
        more = {name: value} if name else {}
        return await self._sender.send(self._gateway.endpoint, {**headers, **more}, body, TIMEOUT_S)

    async def _end(self, reminder: Resource, status: str, why: str) -> None:
        ended = {**reminder, "status": status, "sent": moment(int(self._clock() * 1e6))}
        if why:
            ended = {**reminder, "status": status, "statusReason": {"text": why}}
        version = int(reminder["meta"]["versionId"])
        with suppress(Problem):  # changed or destroyed meanwhile
            await self._records.commit(ALL, [Change("PUT", "Communication", reminder["id"], ended, version)])

    async def _agreed(self, patient: str) -> bool:
        said = (await consents_of(self._records, patient)).get(("reminders", CENTRE))
        return said is not None and said.given

    async def _each(self, type: str, *query: tuple[str, str]) -> AsyncGenerator[Resource]:
        """Yield what a search finds, page by page, as it was when its page was read."""
        cursor: list[tuple[str, str]] = []
        while True:
            page = await self._records.search(ALL, type, [*query, ("_count", str(PAGE)), *cursor])
            found: list[Version] = list(page.matches)
            for version in found:
                yield text.decode(version.text)
            if page.next is None:
                return
            cursor = [("_cursor", page.next)]
