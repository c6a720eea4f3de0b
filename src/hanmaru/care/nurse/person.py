"""One person at the desk: who they are, what was found, what is due, who has talked to them; and talking to them."""

import asyncio
import time
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from hanmaru.care.citizen.consents import TERMS
from hanmaru.care.citizen.mine import Mine
from hanmaru.care.citizen.trends import Series, series
from hanmaru.care.citizen.visit import LEVEL, Grade, code, grades, part, reference
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Change, Reader, Records
from hanmaru.care.nurse.alerts import Json, Places, described, person, today
from hanmaru.care.nurse.worklist import follow_up
from hanmaru.care.rules.catalogue import RULES
from hanmaru.care.visits import shapes
from hanmaru.platform.problems import Problem

MOST_VISITS: Final = 20
MOST_CONTACTS: Final = 50
MOST_FOUND: Final = 20

Kind = Literal["phone", "face", "letter", "message"]
MEDIA: Final[Mapping[Kind, str]] = {"phone": "PHONE", "face": "FACE", "letter": "MAILWRIT", "message": "SMSWRIT"}
"""How somebody was talked to, in HL7's v3-ParticipationMode."""
AGAIN: Final = {"ko": "다시 연락하기로 했습니다.", "en": "It was agreed to talk again."}


async def summary(records: Records, reader: Reader, id: str) -> Json:
    """Return what the desk shows of a person; raises Problem 404 for who is not there, or not to be seen."""
    patient = await records.read(reader, "Patient", id)
    of = ("patient", f"Patient/{id}")
    now = today(records)

    async def found(type: str, *query: tuple[str, str]) -> list[dict[str, Any]]:
        answer = await records.search(reader, type, [of, *query])
        return [text.decode(each.text) for each in answer.matches]

    newest = [("_sort", "-date"), ("_count", str(MOST_VISITS))]
    visits = await found("Encounter", ("type", f"{shapes.CATEGORY}|screening"), *newest)
    reports = await found("DiagnosticReport", ("category", f"{shapes.CATEGORY}|screening"), *newest)
    levels = {reference(each, "encounter"): _level(each) for each in reports}
    last = f"Encounter/{visits[0]['id']}" if visits else ""
    query = [("encounter", last), ("category", f"{shapes.CATEGORY}|grade"), ("_count", "200")]
    graded = [_grade(each) for each in grades(await found("Observation", *query))] if last else []
    tasks = await found("Task", ("code", f"{shapes.TASK}|follow-up"), ("_sort", "-period"), ("_count", "50"))
    talks = [("_sort", "-sent"), ("_count", str(MOST_CONTACTS))]
    contacts = await found("Communication", ("category", f"{shapes.COMMUNICATION}|contact"), *talks)
    alerts = await records.search(reader, "Communication", [of, ("category", f"{shapes.COMMUNICATION}|alert"), *talks])
    places = Places(records)
    return {
        "patient": person(patient.text, records),
        "visits": [
            {
                "encounter": each["id"],
                "at": part(each, "period").get("start"),
                "place": await places.of(_place(each)),
                "level": levels.get(f"Encounter/{each['id']}", "info"),
            }
            for each in visits
        ],
        "grades": sorted(graded, key=lambda one: -shapes.LEVELS.index(one["level"])),
        "follow_ups": [follow_up(each, now) for each in tasks if each["status"] == "requested"],
        "alerts": await described(records, reader, alerts.matches),
        "contacts": [_contact(each) for each in contacts],
    }


async def trends(records: Records, reader: Reader, id: str) -> tuple[Series, ...]:
    """Return how a person's values have gone over all visits; raises Problem 404 as :func:`summary`."""
    await records.read(reader, "Patient", id)
    theirs = Mine(records, reader, records.zone)
    theirs.patient = id
    values = await theirs.values()
    return await asyncio.to_thread(series, values, await theirs.judged_by(values))


async def find(records: Records, reader: Reader, name: str) -> list[Json]:
    """Return people whose name has a text, as far as the reader may see them."""
    query = [("name:contains", name), ("_sort", "name"), ("_count", str(MOST_FOUND))]
    found = await records.search(reader, "Patient", query)
    return [person(each.text, records) for each in found.matches]


async def contact(
    records: Records, reader: Reader, id: str, kind: Kind, note: str, done: list[str], again: date | None
) -> Json:
    """Note that somebody was talked to; end the follow-ups ``done``, and make one for the day to talk ``again``.

    Raises Problem 404 for who or what is not there, or not to be seen.
    """
    await records.read(reader, "Patient", id)
    now_us = time.time_ns() // 1000
    said = _said(id, reader.who, kind, note, now_us)
    changes = [Change("POST", "Communication", None, said)]
    for task in dict.fromkeys(done):
        found = text.decode((await records.read(reader, "Task", task)).text)
        if reference(found, "for") != f"Patient/{id}" or code(found.get("code"), shapes.TASK) != "follow-up":
            raise Problem(404, "Not found", "There is no such follow-up of this person.")
        ended = {**found, "status": "completed", "lastModified": shapes.moment(now_us)}
        changes.append(Change("PUT", "Task", task, ended, int(found["meta"]["versionId"])))
    if again is not None:
        changes.append(Change("POST", "Task", None, shapes.task(_again(), (again, again), f"Patient/{id}", now_us)))
    made = await records.commit(reader, changes)
    return _contact(text.decode(made[0].text))


def _again() -> shapes.Resource:
    codes = [{"system": shapes.FOLLOW_UP, "code": "talk-again"}, {"system": shapes.WHAT, "code": "talk-again"}]
    return {"coding": [*codes, {"system": LEVEL, "code": "watch"}], **shapes.spoken(AGAIN)}


def _said(patient: str, who: str, kind: Kind, note: str, now_us: int) -> shapes.Resource:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [shapes.concept(shapes.COMMUNICATION, "contact")],
        "medium": [shapes.concept(f"{TERMS}v3-ParticipationMode", MEDIA[kind])],
        "subject": shapes.reference(f"Patient/{patient}"),
        "sent": shapes.moment(now_us),
        "sender": {"identifier": {"system": shapes.ACCOUNT, "value": who}},
        "recipient": [shapes.reference(f"Patient/{patient}")],
        "payload": [{"contentString": note}],
    }


def _contact(resource: Mapping[str, Any]) -> Json:
    medium = code(next(iter(resource.get("medium", ())), None), f"{TERMS}v3-ParticipationMode")
    payload = next(iter(resource.get("payload", ())), shapes.Resource())
    return {
        "id": resource["id"],
        "kind": next((kind for kind, one in MEDIA.items() if one == medium), ""),
        "note": payload.get("contentString", ""),
        "at": resource.get("sent"),
        "by": part(part(resource, "sender"), "identifier").get("value"),
    }


def _level(report: Mapping[str, Any]) -> str:
    return next((found for each in report.get("conclusionCode", ()) if (found := code(each, LEVEL))), "info")


def _grade(one: Grade) -> Json:
    rule = RULES.get(one.rule)
    return {
        "rule": one.rule,
        "version": one.version,
        "group": rule.group if rule else "",
        "beside": bool(rule and rule.beside),
        "title": one.title,
        "value": one.value,
        "unit": one.unit,
        "band": one.band,
        "level": one.level,
        "text": one.text,
        "inputs": one.inputs,
    }


def _place(encounter: Mapping[str, Any]) -> str:
    return next((reference(each, "location") for each in encounter.get("location", ())), "")
