"""Referrals: the health centre asks a hospital, the hospital answers, and everybody sees where it stands.

One referral is a ServiceRequest (what is asked, of whom, why) and a Task (who has it now). The hospital sets the
Task's state, books an Appointment and writes results, each ``basedOn`` the ServiceRequest; `hanmaru.care.fhir.states`
says what may follow what. What the hospital ends, the room ends in the ServiceRequest.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal
from uuid import uuid4

from hanmaru.care.citizen.visit import code, reference, told
from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.care.fhir import bundle, text
from hanmaru.care.fhir.records import ALL, HEALTH_CENTRE, Change, Reader, Records
from hanmaru.care.fhir.states import REFERRAL, SYSTEM, TASK
from hanmaru.care.fhir.values import ChangeRow, Version
from hanmaru.care.visits.shapes import moment
from hanmaru.platform.problems import Problem

Priority = Literal["routine", "urgent", "asap", "stat"]
Resource = dict[str, Any]
ENDED: Final = frozenset({"rejected", "cancelled", "failed", "completed"})
OPEN: Final = tuple(TASK)
MOST: Final = 100
_REQUEST_AFTER: Final = {"completed": "completed", "cancelled": "revoked", "rejected": "revoked", "failed": "revoked"}
"""What becomes of the ServiceRequest once the Task has ended so."""


async def refer(
    records: Records, reader: Reader, patient: str, to: str, reason: str, priority: Priority, note: str = ""
) -> Resource:
    """Refer a patient to an Organization (its id); return the referral as :func:`listed` shows it.

    Raises Problem 404 for a patient that the reader may not see or an unknown hospital, 409 where the patient has not
    agreed that the hospital sees the record or is referred there already.
    """
    await records.read(reader, "Patient", patient)
    try:
        await records.read(reader, "Organization", to)
    except Problem as problem:
        raise Problem(404, "No such hospital", f"There is no Organization/{to[:64]}.") from problem
    if to == HEALTH_CENTRE:
        raise Problem(409, "Not a hospital", "The health centre does not refer to itself.")
    if not await _agreed(records, patient, to):
        raise Problem(
            409, "No consent", "The patient has not agreed that this hospital sees the record: ask, then refer."
        )
    under_way = [("patient", f"Patient/{patient}"), ("owner", f"Organization/{to}"), ("status", ",".join(OPEN))]
    found = await records.search(reader, "Task", [("code", f"{SYSTEM}|{REFERRAL}"), *under_way, ("_count", "1")])
    if found.matches:
        raise Problem(409, "Referred already", f"Task/{found.matches[0].id} is under way; cancel it or wait for it.")
    answer = await bundle.process(records, reader, await _asked(records, reader, patient, to, reason, priority, note))
    task = str(answer["entry"][1]["response"]["location"]).split("/")[1]
    return await shown(records, reader, task)


async def _agreed(records: Records, patient: str, to: str) -> bool:
    """Whether an organisation sees a patient; nothing of the patient is read for it."""
    query = [("_id", patient), ("_summary", "count")]
    return bool((await records.search(Reader(SYSTEM_NAME, "organisation", to), "Patient", query)).total)


async def _asked(
    records: Records, reader: Reader, patient: str, to: str, reason: str, priority: Priority, note: str
) -> Resource:
    now = moment(time.time_ns() // 1000)
    request = f"urn:uuid:{uuid4()}"
    centre, hospital, subject = (
        {"reference": name} for name in (f"Organization/{HEALTH_CENTRE}", f"Organization/{to}", f"Patient/{patient}")
    )
    newest = [("patient", f"Patient/{patient}"), ("_sort", "-date"), ("_count", "1")]
    reports = (await records.search(reader, "DiagnosticReport", newest)).matches
    about: Resource = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": SYSTEM, "value": request.removeprefix("urn:uuid:")}],
        "status": "active",
        "intent": "order",
        "priority": priority,
        "code": {"coding": [{"system": SYSTEM, "code": REFERRAL}], "text": "진료 의뢰"},
        "subject": subject,
        "authoredOn": now,
        "requester": centre,
        "performer": [hospital],
        "reasonCode": [{"text": reason}],
    }
    if reports:
        about["supportingInfo"] = [{"reference": f"DiagnosticReport/{each.id}"} for each in reports]
    if note:
        about["note"] = [{"text": note}]
    task: Resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": priority,
        "code": {"coding": [{"system": SYSTEM, "code": REFERRAL}]},
        "focus": {"reference": request},
        "for": subject,
        "authoredOn": now,
        "requester": centre,
        "owner": hospital,
        "reasonCode": {"text": reason},
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": request, "resource": about, "request": {"method": "POST", "url": "ServiceRequest"}},
            {
                "fullUrl": f"urn:uuid:{uuid4()}",
                "resource": task,
                "request": {"method": "POST", "url": "Task"},
            },
        ],
    }


async def listed(records: Records, reader: Reader, state: str = "open", patient: str | None = None) -> list[Resource]:
    """Return referrals that a reader may see, newest change first: ``open``, ``ended`` or one of the Task's states."""
    wanted = {"open": ",".join(OPEN), "ended": ",".join(sorted(ENDED))}.get(state, state)
    query = [("code", f"{SYSTEM}|{REFERRAL}"), ("status", wanted), ("_sort", "-_lastUpdated"), ("_count", str(MOST))]
    if patient is not None:
        query.append(("patient", f"Patient/{patient}"))
    found = await records.search(reader, "Task", query)
    return await _shown(records, reader, found.matches)


async def shown(records: Records, reader: Reader, task: str) -> Resource:
    """Return one referral. Raises Problem 404."""
    return (await _shown(records, reader, [await records.read(reader, "Task", task)]))[0]


async def cancel(records: Records, reader: Reader, task: str, reason: str) -> Resource:
    """Cancel a referral. Raises Problem 404, and 422 for one that has ended."""
    version = await records.read(reader, "Task", task)
    resource = text.decode(version.text) | {"status": "cancelled", "statusReason": {"text": reason}}
    await records.commit(reader, [Change("PUT", "Task", task, resource, version.version)])
    return await shown(records, reader, task)


async def _shown(records: Records, reader: Reader, tasks: Iterable[Version]) -> list[Resource]:
    return await asyncio.gather(*(_one(records, reader, text.decode(task.text)) for task in tasks))


async def _one(records: Records, reader: Reader, task: Resource) -> Resource:
    focus, owner, patient = (reference(task, name) for name in ("focus", "owner", "for"))
    meetings: list[Resource] = []
    results: list[Resource] = []
    if focus:
        for type in ("Appointment", "DiagnosticReport", "Observation"):
            found = await records.search(reader, type, [("based-on", focus), ("_count", "20")])
            (meetings if type == "Appointment" else results).extend(text.decode(one.text) for one in found.matches)
    person = await _read(records, reader, patient)
    hospital = await _read(records, reader, owner)
    meetings.sort(key=lambda one: str(one.get("start", "")))
    booked = next(
        (one for one in reversed(meetings) if one.get("status") not in ("cancelled", "entered-in-error")), None
    )
    return {
        "id": task["id"],
        "request": focus.rpartition("/")[2],
        "patient": {"id": patient.rpartition("/")[2], "name": name_of(person)},
        "to": {"id": owner.rpartition("/")[2], "name": told(hospital, "name")},
        "state": task["status"],
        "reason": told(task.get("reasonCode"), "text")["ko"],
        "why": told(task.get("statusReason"), "text")["ko"] if task.get("statusReason") else "",
        "priority": task.get("priority", "routine"),
        "authored": task.get("authoredOn"),
        "changed": task["meta"]["lastUpdated"],
        "appointment": booked and {"id": booked["id"], "start": booked.get("start"), "status": booked.get("status")},
        "results": [
            {"type": one["resourceType"], "id": one["id"], "text": str(one.get("conclusion", ""))} for one in results
        ],
    }


async def _read(records: Records, reader: Reader, name: str) -> Resource | None:
    type, _, id = name.partition("/")
    if not id:
        return None
    try:
        return text.decode((await records.read(reader, type, id)).text)
    except Problem as problem:
        if problem.status in (404, 410):
            return None
        raise


def name_of(patient: Mapping[str, Any] | None) -> str:
    """Return a Patient's name as it is said; empty where there is none to see."""
    for name in (patient or {}).get("name", ()):
        if name.get("text"):
            return str(name["text"])
        parts = [str(name.get("family", "")), *map(str, name.get("given", ()))]
        return "".join(parts) if all(ord(letter) > 0x2E80 for part in parts for letter in part) else " ".join(parts)
    return ""


async def follow(records: Records, row: ChangeRow) -> None:
    """End the ServiceRequest of a referral whose Task has ended; ``row`` is a change of the log."""
    if row.type != "Task" or row.method == "DELETE":
        return
    with suppress(Problem):  # destroyed meanwhile, or changed by another at the same moment, which is followed, too
        task = text.decode((await records.read(ALL, "Task", row.id)).text)
        after = _REQUEST_AFTER.get(str(task.get("status")))
        if after is None or code(task.get("code"), SYSTEM) != REFERRAL:
            return
        version = await records.read(ALL, "ServiceRequest", reference(task, "focus").rpartition("/")[2])
        request = text.decode(version.text)
        if request.get("status") in ("active", "on-hold"):
            change = Change("PUT", "ServiceRequest", version.id, request | {"status": after}, version.version)
            await records.commit(ALL, [change])
