"""What an investigation found, in the vault under a key of its own, and what people decided of the contacts in it.

Results are one JSON file. Decisions lie with the case, by the contact's subject, so that a further run loses none. When
the data of a request is destroyed, what rests on it leaves the results (`stripping`), which get a new key: the old one
opens nothing then.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from hanmaru.platform.problems import not_found
from hanmaru.platform.vault import Desk
from hanmaru.trace.cases import chain, hotspots
from hanmaru.trace.cases.records import CONTACT, DECISION, Verdict
from hanmaru.trace.cases.room import Room, instant, now
from hanmaru.trace.cases.rows import CaseRow
from hanmaru.trace.cases.stripping import without

RESULTS = "results"
UNFINISHED_S = 900.0
"""What is written and not in the book after so long was interrupted; the sweep destroys it."""
PURPOSE = "results of an investigation"
Results = dict[str, Any]


async def keep(room: Room, case: str, results: Results, what: str = "investigated", over: str | None = None) -> bool:
    """Keep results in the place of those that are there; with ``over`` only of those, and return whether it was."""
    desk = room.own_desk(PURPOSE)
    for contact in results.get("contacts", ()):
        contact["id"] = contact_id(contact["subject"])
    subject = await desk.open_subject(RESULTS)
    await asyncio.to_thread(room.book.doom, subject, now() + UNFINISHED_S)
    await desk.put_blob(subject, RESULTS, RESULTS, _parts(msgspec.json.encode(results)))
    row = await asyncio.to_thread(room.book.case, case)
    shared = [
        (subject, hotspots.KIND, hotspots.KIND, hotspots.of(results, row.disease)),
        (subject, chain.VISITS, chain.VISITS, chain.visits_of(results)),
    ]
    await desk.put_many(shared)
    kept = await asyncio.to_thread(room.book.found, case, subject, now(), what, over)
    if not kept:
        await asyncio.to_thread(room.book.doom, subject, now())
    await destroy_doomed(room, "newer results took their place")
    await count(room, case, desk)
    return kept


async def read(room: Room, row: CaseRow, desk: Desk) -> Results | None:
    """Return a case's results without what was decided of them, None where there are none."""
    if row.results is None or (parts := await desk.get_blob(row.results, RESULTS, RESULTS)) is None:
        return None
    body = b"".join([part async for part in parts])
    return await asyncio.to_thread(msgspec.json.decode, body)


async def decided(room: Room, row: CaseRow, desk: Desk) -> Results:
    """Return a case's results with each contact's ``decision``, and the contacts that somebody named.

    Raises Problem 404 before anything was investigated.
    """
    results = await read(room, row, desk)
    if results is None:
        raise not_found("This case has no results yet; investigate it first.")
    decisions = {one["subject"]: one for one in await documents(desk, row.id, DECISION) if decides(one)}
    for contact in results.get("contacts", ()):
        contact["decision"] = decisions.get(contact["subject"])
    return results


async def decide(room: Room, row: CaseRow, desk: Desk, id: str, verdict: Verdict) -> dict[str, Any]:
    """Keep what somebody decides of a contact; raises Problem 404 for a contact that is not there."""
    results = await read(room, row, desk)
    found = [contact["subject"] for contact in (results or {}).get("contacts", ()) if contact["id"] == id]
    named = await desk.get(row.id, CONTACT, id)
    if not found and named is None:
        raise not_found("This case has no such contact.")
    decision = {
        "subject": found[0] if found else id,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "by": desk.caller.name,
        "at": instant(now()).isoformat(timespec="seconds"),
    }
    await desk.put(row.id, DECISION, id, decision)
    await count(room, row.id, desk)
    return decision


def decides(document: dict[str, Any] | None) -> bool:
    """Return whether a decision is in force, not taken back."""
    return document is not None and document["verdict"] != "undecided"


async def documents(desk: Desk, subject: str, kind: str) -> list[dict[str, Any]]:
    """Return all of a subject's documents of a kind, in the order of their ids."""
    ids = await desk.list(subject, kind)
    found: list[dict[str, Any]] = []
    for first in range(0, len(ids), 1_000):
        page = await desk.get_many([(subject, kind, id) for id in ids[first : first + 1_000]])
        found += [document for document in page if document is not None]
    return found


async def forget(room: Room, case: str, request: str) -> None:
    """Take what rests on a request out of a case's results, which then have a new key."""
    while True:  # until nobody kept other results meanwhile
        row = await asyncio.to_thread(room.book.case, case)
        results = await read(room, row, room.own_desk(PURPOSE))
        if results is None or (stripped := without(results, request)) is None:
            return
        if await keep(room, case, stripped, "results.stripped", row.results):
            return


def retrieval(results: Results) -> str:
    """Return the cameras to retrieve footage from as CSV, a line for each span of time, the likeliest camera first."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["camera_id", "start", "end", "probability", "lat", "lon"])
    for camera in results.get("cameras", ()):
        for span in camera["windows"]:
            where = camera.get("lat"), camera.get("lon")
            lines.writerow([plain_cell(camera["camera_id"]), span["start"], span["end"], span["probability"], *where])
    return text.getvalue()


def plain_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, CSV injection: an apostrophe before it)."""
    return "'" + text if text[:1] in tuple("=+-@\t\r\n") else text


async def count(room: Room, case: str, desk: Desk) -> None:
    """Count a case's contacts for the board."""
    row = await asyncio.to_thread(room.book.case, case)
    results = await read(room, row, desk) or {}
    found = {contact["id"] for contact in results.get("contacts", ())} | {*await desk.list(case, CONTACT)}
    decisions = [
        (id, one)
        for id, one in zip(await desk.list(case, DECISION), await documents(desk, case, DECISION), strict=True)
    ]
    taken = {id for id, one in decisions if one["verdict"] == "accepted"} & found
    open_ = found - {id for id, one in decisions if decides(one)}
    await asyncio.to_thread(
        lambda: room.book.change_case(
            case, "system:trace", now(), "", total=len(found), accepted=len(taken), undecided=len(open_)
        )
    )


async def destroy_doomed(room: Room, reason: str) -> None:
    """Destroy what is doomed in the book, and what an interruption left of it."""
    for subject in await asyncio.to_thread(room.book.doomed, now()):
        await room.own_desk(PURPOSE).destroy(subject, reason)
        await asyncio.to_thread(room.book.gone, subject)


def contact_id(subject: str) -> str:
    """Return the id of a contact that was found: the same in every run."""
    return "c-" + hashlib.sha256(subject.encode()).hexdigest()[:16]


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(body), 2**20):
        yield body[first : first + 2**20]
