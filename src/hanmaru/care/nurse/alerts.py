"""Alerts that somebody must acknowledge: what they say, who took them when with which note, and when they escalate.

An alert is a Communication of the category ``alert``: ``in-progress`` until somebody acknowledges it. A call for help
from a kiosk is one, too, of the category ``help``, and about nobody.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

import structlog

from hanmaru.care.citizen.visit import code, reference, told
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Change, Reader, Records, opened
from hanmaru.care.fhir.values import Version
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.care.visits.shapes import COMMUNICATION, Resource, moment
from hanmaru.care.visits.visit import age
from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

log = structlog.get_logger()

MOST: Final = 200
"""Most alerts that one list has; the longest waiting come first."""
ESCALATE_S: Final = 600
"""After how long an alert that nobody acknowledged is escalated: twice the five minutes of rest before a pressure is
measured again."""
LOOK_S: Final = 15
KINDS: Final = ("alert", "help")

Json = dict[str, Any]


async def listed(records: Records, reader: Reader, state: str = "open") -> list[Json]:
    """Return the alerts that a reader may see, escalated ones first, then those that wait longest.

    ``open``, or ``done``: the last that were acknowledged, newest first.
    """
    category = ",".join(f"{COMMUNICATION}|{kind}" for kind in KINDS)
    status, order = ("in-progress", "sent") if state == "open" else ("completed", "-received")
    query = [("category", category), ("status", status), ("_sort", order), ("_count", str(MOST))]
    found = await records.search(reader, "Communication", query)
    alerts = await described(records, reader, found.matches)
    return sorted(alerts, key=lambda one: (not one["escalated"], one["kind"] == "help")) if state == "open" else alerts


async def described(records: Records, reader: Reader, versions: Iterable[Version]) -> list[Json]:
    """Return alerts as the desk shows them: with whose they are, as far as the reader may see that, and where."""
    people, places = People(records, reader), Places(records)
    made: list[Json] = []
    for version in versions:
        alert = text.decode(version.text)
        kind = next((found for each in alert.get("category", ()) if (found := code(each, COMMUNICATION))), "")
        if kind in KINDS:
            made.append(
                _told(alert, kind, await people.of(alert, "subject"), await places.of(reference(alert, "sender")))
            )
    return made


def _told(alert: Mapping[str, Any], kind: str, patient: Json | None, place: Json | None) -> Json:
    note = next(iter(alert.get("note", ())), None)
    payload = next(iter(alert.get("payload", ())), None)
    return {
        "id": alert["id"],
        "kind": kind,
        "patient": patient,
        "place": place,
        "text": told(payload, "contentString"),
        "level": "urgent" if kind == "alert" else "info",
        "sent": alert.get("sent"),
        "escalated": alert.get("priority") == "stat",
        "state": "open" if alert.get("status") == "in-progress" else "done",
        "acknowledged": None
        if note is None
        else {"by": note.get("authorString"), "at": note.get("time"), "note": note.get("text")},
        "encounter": reference(alert, "encounter").removeprefix("Encounter/") or None,
    }


async def acknowledge(records: Records, reader: Reader, id: str, note: str) -> Json:
    """Take an alert, with a note; return it as it is then. Who was first is kept: a second one gets Problem 409.

    Raises Problem 404 for one that is not there, or of somebody who no longer lets the reader see it.
    """
    found = text.decode((await records.read(reader, "Communication", id)).text)
    kinds = {code(each, COMMUNICATION) for each in found.get("category", ())}
    if not kinds & {*KINDS}:
        raise Problem(404, "Not found", "There is no such alert here, or none that you may see.")
    if found.get("status") != "in-progress":
        raise taken(found)
    now = moment(time.time_ns() // 1000)
    noted = [{"authorString": reader.who, "time": now, "text": note}]
    done = {**found, "status": "completed", "received": now, "note": noted}
    try:
        change = Change("PUT", "Communication", id, done, int(found["meta"]["versionId"]))
        made = await records.commit(reader, [change])
    except Problem as problem:
        if problem.status != 412:
            raise
        return await acknowledge(records, reader, id, note)  # it was escalated meanwhile, or somebody was first
    return (await described(records, reader, made))[0]


def taken(alert: Mapping[str, Any]) -> Problem:
    """Say that somebody has acknowledged an alert before."""
    note = next(iter(alert.get("note", ())), Resource())
    who, at = note.get("authorString", "somebody"), note.get("time", "")
    return Problem(409, "Acknowledged already", f"{who} has acknowledged this alert at {at}.", by=who, at=at)


async def escalate(context: Context[HubClient]) -> None:
    """Escalate what nobody acknowledges, until cancelled."""
    records = await opened(context)
    while True:
        try:
            await escalated(records, time.time_ns() // 1000)
        except Problem as problem:
            log.warning("alerts are not looked after", reason=problem.detail)
        await asyncio.sleep(LOOK_S)


async def escalated(records: Records, now_us: int) -> int:
    """Escalate the alerts that wait too long at an instant; return how many."""
    before = moment(now_us - ESCALATE_S * 1_000_000)
    query = [("category", f"{COMMUNICATION}|alert"), ("status", "in-progress"), ("sent", f"lt{before}")]
    found = await records.search(ROOM, "Communication", [*query, ("_count", "500")])
    waiting = [alert for each in found.matches if (alert := text.decode(each.text)).get("priority") != "stat"]
    for alert in waiting:
        change = Change(
            "PUT", "Communication", alert["id"], {**alert, "priority": "stat"}, int(alert["meta"]["versionId"])
        )
        try:
            await records.commit(ROOM, [change])
        except Problem as problem:
            if problem.status != 412:  # somebody acknowledged it meanwhile
                raise
        else:
            log.warning("an alert waits for somebody to acknowledge it", id=alert["id"], after_s=ESCALATE_S)
    return len(waiting)


class People:
    """Whom a reader sees in one answer: each is read, and their look noted, once."""

    def __init__(self, records: Records, reader: Reader) -> None:
        """Begin with nobody."""
        self._records, self._reader = records, reader
        self._known: dict[str, Json | None] = {}

    async def of(self, resource: Mapping[str, Any], element: str) -> Json | None:
        """Return whom a resource is about: id, name, age, sex, phone; None where that is nobody to be seen."""
        id = reference(resource, element).removeprefix("Patient/")
        if id and id not in self._known:
            try:
                self._known[id] = person((await self._records.read(self._reader, "Patient", id)).text, self._records)
            except Problem as problem:
                if problem.status not in (404, 410):
                    raise
                self._known[id] = None
        return self._known.get(id)


def person(body: bytes, records: Records) -> Json:
    """Return what the desk shows of a Patient."""
    found = text.decode(body)
    name = next(iter(found.get("name", ())), Resource())
    phones = [each.get("value") for each in found.get("telecom", ()) if each.get("system") == "phone"]
    return {
        "id": found["id"],
        "name": name.get("text") or "".join(filter(None, (name.get("family"), *name.get("given", ())))),
        "birth_date": found.get("birthDate"),
        "age_years": age(str(found.get("birthDate", "")), today(records)),
        "sex": found.get("gender"),
        "phone": phones[0] if phones else None,
    }


def today(records: Records) -> date:
    """Return the city's day."""
    return datetime.now(records.zone).date()


class Places:
    """The measuring places of one answer."""

    def __init__(self, records: Records) -> None:
        """Begin with none."""
        self._records = records
        self._known: dict[str, Json | None] = {}

    async def of(self, kiosk: str) -> Json | None:
        """Return where a kiosk (``Device/…``) stands, or what a ``Location/…`` is; None for neither."""
        if kiosk not in self._known:
            try:
                where = kiosk
                if kiosk.startswith("Device/"):
                    device = await self._records.read(ROOM, "Device", kiosk.removeprefix("Device/"))
                    where = reference(text.decode(device.text), "location")
                found = await self._records.read(ROOM, "Location", where.removeprefix("Location/"))
                self._known[kiosk] = {"id": found.id, "name": told(text.decode(found.text), "name")}
            except Problem:
                self._known[kiosk] = None
        return self._known[kiosk]
