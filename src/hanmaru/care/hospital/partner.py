"""The hospital's side, where this Hanmaru is the hospital: what it asks of a city's Hanmaru, over FHIR and nothing
else.

``partner.toml`` in the room's folder names the city. Nothing of a patient is kept here but the ids of referrals: what
somebody looks at is fetched when they look, so that a consent withdrawn in the city counts here at once.
"""

import asyncio
import time
import tomllib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hanmaru.care.citizen.visit import reference
from hanmaru.care.domain import CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.states import REFERRAL, SYSTEM
from hanmaru.care.hospital.subscriptions import CONTENT_EXTENSION, JSON
from hanmaru.care.visits.shapes import moment
from hanmaru.platform.egress import Egress
from hanmaru.platform.problems import Problem

FILE: Final = "partner.toml"
TOKEN_HEADER: Final = "X-Partner-Token"  # noqa: S105 - a header's name
TIMEOUT_S: Final = 15.0
MOST_ANSWER: Final = 4 << 20
Resource = dict[str, Any]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``partner.toml``: the city's address, this hospital's id there, its machine, and where notifications come in."""

    city: str
    organisation: str
    client_id: str
    client_secret: str
    endpoint: str


def settings_of(folder: Path) -> Settings | None:
    """Read ``partner.toml``; None where this city has no such partner. Raises CareError with what to do about it."""
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        if path.stat().st_mode & 0o077:
            raise CareError(f"{path} holds a secret: make it readable by its owner only (chmod 600)")
        settings = msgspec.convert(document, Settings)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CareError(f"{path} cannot be used: {error}") from None
    for name, address in (("city", settings.city), ("endpoint", settings.endpoint)):
        if urlsplit(address).scheme not in ("https", "http") or not urlsplit(address).hostname:
            raise CareError(f"{path}: {name} has to be an address, https://…")
    return settings


class UnreachableError(Exception):
    """The city does not answer, or not with what was asked; worth trying again."""


@dataclass(slots=True)
class _Token:
    text: str = ""
    until: float = 0.0


class City:
    """The city's FHIR face, as this hospital's machine sees it."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession) -> None:
        """Ask through a session; `open_city` makes one."""
        self.settings, self._session = settings, session
        self._token = _Token()
        self._asking = asyncio.Lock()

    async def read(self, name: str) -> Resource:
        """Return ``Type/id``. Raises Problem as the city answers (404, 410) and UnreachableError."""
        return await self._ask("GET", f"/fhir/R4/{name}")

    async def search(self, type: str, **query: str) -> list[Resource]:
        """Return what a search finds, its first page."""
        bundle = await self._ask("GET", f"/fhir/R4/{type}", query=query)
        return [entry["resource"] for entry in bundle.get("entry", ())]

    async def put(self, resource: Resource) -> Resource:
        """Write a resource over the version that was read. Raises Problem (412 where it was changed) and
        UnreachableError."""
        version = resource.get("meta", {}).get("versionId")
        match = {"If-Match": f'W/"{version}"'} if version else {}
        return await self._ask("PUT", f"/fhir/R4/{resource['resourceType']}/{resource['id']}", resource, headers=match)

    async def transaction(self, entries: list[Resource], key: str) -> Resource:
        """Do several writes or none; the same ``key`` again does them once."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return await self._ask("POST", "/fhir/R4", bundle, headers={"Idempotency-Key": key})

    async def _ask(
        self,
        method: str,
        path: str,
        body: Resource | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Resource:
        for again in (True, False):
            sent = {
                "Authorization": f"Bearer {await self._access()}",
                "Accept": JSON,
                "Prefer": "return=representation",
            }
            status, found = await self._send(
                method, path, query, {**sent, **({"Content-Type": JSON} if body else {}), **(headers or {})}, body
            )
            if status == 401 and again:
                self._token = _Token()
                continue
            if status < 300:
                return found
            if status in (401, 408, 429) or status >= 500:
                raise UnreachableError(f"{self._host} answered {status}")
            issues: list[Resource] = found.get("issue") or [{}]
            raise Problem(status, "The city refused", str(issues[0].get("diagnostics", ""))[:500])
        raise AssertionError

    async def _access(self) -> str:
        async with self._asking:
            if time.monotonic() > self._token.until:
                login = aiohttp.encode_basic_auth(self.settings.client_id, self.settings.client_secret)
                form = aiohttp.FormData({"grant_type": "client_credentials"})
                status, found = await self._send("POST", "/oauth2/token", None, {"Authorization": login}, form)
                if status != 200 or not isinstance(found.get("access_token"), str):
                    raise UnreachableError(f"{self._host} gives no token ({status}); check client_id and client_secret")
                until = time.monotonic() + max(float(found.get("expires_in", 0)) - 60, 0)
                self._token = _Token(found["access_token"], until)
            return self._token.text

    @property
    def _host(self) -> str:
        return urlsplit(self.settings.city).netloc

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: Resource | aiohttp.FormData | None,
    ) -> tuple[int, Resource]:
        data = text.encode(body) if isinstance(body, dict) else body
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        url = f"{self.settings.city.rstrip('/')}{path}"
        try:
            async with self._session.request(
                method, url, params=query, headers=headers, data=data, timeout=timeout, allow_redirects=False
            ) as answer:
                raw = await answer.content.read(MOST_ANSWER + 1)
                while len(raw) <= MOST_ANSWER and (more := await answer.content.read(MOST_ANSWER)):
                    raw += more
                if len(raw) > MOST_ANSWER:
                    raise UnreachableError(f"{self._host} answered more than {MOST_ANSWER} bytes")
                return answer.status, text.decode(raw) if raw.lstrip().startswith(b"{") else {}
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{self._host} cannot be reached: {type(error).__name__}") from None
        except Problem:
            raise UnreachableError(f"{self._host} answered what is no JSON") from None

    # ---- what a hospital does

    def subscription(self, token: str) -> Resource:
        """Return this hospital's Subscription to the referrals that it is asked to take."""
        extension = [{"url": CONTENT_EXTENSION, "valueCode": "id-only"}]
        return {
            "resourceType": "Subscription",
            "id": f"referrals-{self.settings.organisation}"[:64],
            "status": "requested",
            "reason": "Referrals to this hospital",
            "criteria": f"Task?owner=Organization/{self.settings.organisation}&code={SYSTEM}|{REFERRAL}",
            "channel": {
                "type": "rest-hook",
                "endpoint": self.settings.endpoint,
                "payload": JSON,
                "_payload": {"extension": extension},
                "header": [f"{TOKEN_HEADER}: {token}"],
            },
        }

    async def subscribe(self, token: str) -> str:
        """Have the city tell this hospital of referrals; return how the subscription stands."""
        wanted = self.subscription(token)
        try:
            there = await self.read(f"Subscription/{wanted['id']}")
        except Problem as problem:
            if problem.status not in (404, 410):
                raise
            there = {}
        same = all(there.get(name) == wanted[name] for name in ("criteria", "channel"))
        if same and there.get("status") in ("requested", "active", "error"):
            return str(there["status"])
        return str((await self.put(wanted))["status"])

    async def received(self, task: Resource) -> Resource:
        """Tell the city that a referral has arrived, unless it has gone on already."""
        return await self.put(task | {"status": "received"}) if task["status"] == "requested" else task

    async def accept(self, task: Resource, start: datetime, minutes: int) -> None:
        """Accept a referral and book the appointment, in one transaction."""
        meeting: Resource = {
            "resourceType": "Appointment",
            "status": "booked",
            "basedOn": [task["focus"]],
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=minutes)).isoformat(),
            "participant": [
                {"actor": task["for"], "status": "accepted"},
                {"actor": {"reference": "#service"}, "status": "accepted"},
            ],
            "contained": [{"resourceType": "HealthcareService", "id": "service", "providedBy": task["owner"]}],
        }
        await self._step(task, "accepted", [_entry(meeting, "POST", "Appointment")])

    async def move(self, task: Resource, status: str, reason: str = "") -> None:
        """Set a referral's state: rejected, in-progress, on-hold, failed."""
        more = {"statusReason": {"text": reason}} if reason else {}
        await self._step(task | more, status, [])

    async def complete(self, task: Resource, conclusion: str) -> None:
        """Write the result and end the referral, in one transaction."""
        now = moment(time.time_ns() // 1000)
        report: Resource = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "basedOn": [task["focus"]],
            "code": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}], "text": "진료 결과"},
            "subject": task["for"],
            "effectiveDateTime": now,
            "issued": now,
            "performer": [task["owner"]],
            "conclusion": conclusion,
        }
        await self._step(task, "completed", [_entry(report, "POST", "DiagnosticReport")])

    async def _step(self, task: Resource, status: str, entries: list[Resource]) -> None:
        name, version = f"Task/{task['id']}", task["meta"]["versionId"]
        put = _entry(task | {"status": status}, "PUT", name, ifMatch=f'W/"{version}"')
        await self.transaction([put, *entries], f"{task['id']}-{version}-{status}")

    async def whole(self, task: Resource) -> Resource:
        """Return a referral with what the city lets this hospital see of it."""
        request = await self.read(reference(task, "focus"))
        patient = await self.read(reference(task, "for"))
        reports = [await self.read(one["reference"]) for one in request.get("supportingInfo", ())]
        return {"task": task, "request": request, "patient": patient, "reports": reports}


def _entry(resource: Resource, method: str, url: str, **more: str) -> Resource:
    return {"resource": resource, "request": {"method": method, "url": url, **more}}


async def open_city(settings: Settings, egress: Egress, closing: AsyncExitStack) -> City:
    """Return the city, with a connection that ``closing`` ends."""
    session = aiohttp.ClientSession(connector=egress.connector(limit=8), cookie_jar=aiohttp.DummyCookieJar())
    closing.push_async_callback(session.close)
    return City(settings, session)
