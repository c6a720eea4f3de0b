"""Cases and their contacts: opened, shown, changed, closed, destroyed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hanmaru.platform.bodies import instant as text
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.platform.vault import Desk
from hanmaru.trace.cases import findings
from hanmaru.trace.cases.book import new_id
from hanmaru.trace.cases.profiles import Window
from hanmaru.trace.cases.records import (
    CLINICAL,
    CONTACT,
    DECISION,
    LINK,
    NOTES,
    OUTCOME,
    PERSON,
    CaseChange,
    Clinical,
    NewCase,
    NewContact,
    plain,
)
from hanmaru.trace.cases.requests import shown_step
from hanmaru.trace.cases.room import Room, now
from hanmaru.trace.cases.rows import CaseRow, RequestRow

CASE = "case"
WORKFLOW = "case"
MOST_SHOWN = 500


async def open_case(room: Room, desk: Desk, new: NewCase, link: Mapping[str, str] | None = None) -> CaseRow:
    """Open a case with a key of its own. Raises Problem 400 for a disease without a profile, 403."""
    if new.disease not in room.profiles:
        raise invalid_request(f"There is no profile {new.disease!r}; the diseases are {', '.join(room.profiles)}.")
    case = await desk.open_subject(CASE)
    await asyncio.to_thread(room.book.doom, case, now() + findings.UNFINISHED_S)
    clinical = Clinical(new.symptoms, new.onset, new.lab)
    records = [(case, PERSON, PERSON, plain(new.person)), (case, CLINICAL, CLINICAL, plain(clinical))]
    if new.notes:
        records.append((case, NOTES, NOTES, {"text": new.notes}))
    if link is not None:
        records.append((case, LINK, LINK, {**link}))
    await desk.put_many(records)
    at = now()
    year = datetime.fromtimestamp(at, room.zone).year
    return await asyncio.to_thread(room.book.open_case, case, new.disease, desk.caller.name, at, year)


async def existing(room: Room, id: str) -> CaseRow:
    """Return a case that is not destroyed; raises Problem 404 for another as for none."""
    row = await asyncio.to_thread(room.book.case, id)
    if row.status == "destroyed":
        raise not_found("There is no such case.")
    return row


async def board(
    room: Room, desk: Desk, status: str = "", disease: str = "", q: str = "", before: int | None = None,
    limit: int = 200,
) -> dict[str, Any]:  # fmt: skip
    """Return a page of case cards, newest first, how many cases there are by status, and where the next page begins.

    ``q`` is a label, or part of one, or a whole name (also as it sounds) or telephone number.
    """
    await desk.ask("vault.read", "board")
    ids: list[str] | None = None
    label = q if any(sign.isdigit() for sign in q) and len(q) <= 12 else ""
    if q:
        rows = await asyncio.to_thread(lambda: room.book.cases(label=label)) if label else []
        known = {row.id for row in rows}
        for field in ("name", "phone"):
            known |= {*await desk.find(field, q)}
        known |= {*await desk.find("name", q, phonetic=True)}
        ids = [*known]
    rows = await asyncio.to_thread(
        lambda: room.book.cases(status, disease, ids=ids, before=before, limit=min(limit, MOST_SHOWN))
    )
    counts = await asyncio.to_thread(room.book.counts)
    following = rows[-1].seq if len(rows) == min(limit, MOST_SHOWN) else None
    return {"cases": await cards(room, desk, rows), "counts": counts, "next": following}


async def cards(room: Room, desk: Desk, rows: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """Return the cards of cases: what the book has, and of each one document from the vault."""
    alive = [row.id for row in rows if row.status != "destroyed"]
    documents = await desk.get_many([(id, CLINICAL, CLINICAL) for id in alive]) if alive else []
    clinical = {id: msgspec.convert(one, Clinical) for id, one in zip(alive, documents, strict=True) if one is not None}
    asked = await asyncio.to_thread(lambda: room.book.requests(["asked"], alive, limit=2_000)) if alive else []
    return [card(row, clinical.get(row.id), [one for one in asked if one.case == row.id]) for row in rows]


def card(row: CaseRow, clinical: Clinical | None, asked: Sequence[RequestRow]) -> dict[str, Any]:
    """Return a case's card."""
    at = now()
    steps = [(request, request.step) for request in asked if request.step is not None]
    return {
        "id": row.id,
        "label": row.label,
        "disease": row.disease,
        "status": row.status,
        "onset": clinical.onset if clinical else None,
        "confirmed": clinical.confirmed if clinical else None,
        "opened_at": text(row.opened_at),
        "opened_by": row.opened_by,
        "closed_at": text(row.closed_at),
        "destroy_on": text(row.destroy_on),
        "waiting": [
            {
                "request": request.id,
                "kind": ", ".join(request.kinds),
                "step": step.n,
                **{name: shown_step(step, at)[name] for name in ("role", "title", "since", "due", "overdue")},
            }
            for request, step in steps
        ],
        "contacts": {"total": row.total, "undecided": row.undecided, "accepted": row.accepted},
        "investigation": investigation(row),
    }


def investigation(row: CaseRow) -> dict[str, Any]:
    """Return how a case's investigation stands."""
    return {"state": row.run_state, "progress": row.run_progress, "stage": row.run_stage, "at": text(row.run_at)}


async def whole(room: Room, desk: Desk, id: str) -> dict[str, Any]:
    """Return all of a case but its results and requests. Raises Problem 404."""
    row = await existing(room, id)
    person, clinical, notes, link, outcome = await desk.get_many(
        [(id, kind, kind) for kind in (PERSON, CLINICAL, NOTES, LINK, OUTCOME)]
    )
    if person is None or clinical is None:
        raise not_found("There is no such case.")
    asked = await asyncio.to_thread(lambda: room.book.requests(["asked"], [id]))
    facts = msgspec.convert(clinical, Clinical)
    profile = room.profiles.get(row.disease)
    windows = room.windows(row.disease, facts.reference) if profile and facts.reference else None
    events = await asyncio.to_thread(room.book.events, id)
    return {
        **card(row, facts, asked),
        "person": person,
        "symptoms": facts.symptoms,
        "lab": facts.lab,
        "notes": (notes or {}).get("text", ""),
        "outcome": (outcome or {}).get("text", ""),
        "linked_to": link,
        "exposure_window": span(windows.exposure) if windows else None,
        "infectious_window": span(windows.infectious) if windows else None,
        "named_contacts": await contacts(desk, id),
        "log": [{"at": text(one.at), "who": one.who, "what": one.what, "request": one.request} for one in events],
    }


def span(window: Window) -> dict[str, str]:
    """Return a window as screens get it."""
    return {"start": window.start.isoformat(), "end": window.end.isoformat()}


async def change(room: Room, desk: Desk, id: str, what: CaseChange) -> None:
    """Change what is known of a case. Raises Problem 404, and 409 for one that is closed."""
    row = await existing(room, id)
    if row.status == "closed":
        raise Problem(409, "Not in this state", "The case is closed.")
    records: list[tuple[str, str, str, dict[str, Any]]] = []
    if what.person is not None:
        records.append((id, PERSON, PERSON, plain(what.person)))
    if what.symptoms is not None or what.onset is not msgspec.UNSET or what.lab is not None:
        before = msgspec.convert(await desk.get(id, CLINICAL, CLINICAL) or {}, Clinical)
        onset = before.onset if isinstance(what.onset, msgspec.UnsetType) else what.onset
        symptoms = before.symptoms if what.symptoms is None else what.symptoms
        records.append((id, CLINICAL, CLINICAL, plain(Clinical(symptoms, onset, what.lab or before.lab))))
    if what.notes is not None:
        records.append((id, NOTES, NOTES, {"text": what.notes}))
    if records:
        await desk.put_many(records)
    columns: dict[str, Any] = {"status": what.status} if what.status else {}
    await asyncio.to_thread(lambda: room.book.change_case(id, desk.caller.name, now(), "changed", **columns))


async def close(room: Room, desk: Desk, id: str, outcome: str) -> CaseRow:
    """Close a case; it is destroyed when the country's time for closed cases is over. Its approvals end now."""
    if (await existing(room, id)).status != "closed":  # else what was said of it stays
        await desk.put(id, OUTCOME, OUTCOME, {"text": outcome})
    at = now()
    ends = at + room.country.case_retention_days * 86_400
    row = await asyncio.to_thread(room.book.close_case, id, desk.caller.name, at, ends)
    await room.context.trust.jobs.start(WORKFLOW, id, id)
    return row


async def tend(room: Room, id: str) -> float:
    """Destroy a closed case whose date has come; return in how many seconds to look again, 0 when it is destroyed."""
    row = await asyncio.to_thread(room.book.case, id)
    if row.status == "destroyed":
        await findings.destroy_doomed(room, "the case was destroyed")
        return 0
    if row.status != "closed" or row.destroy_on is None:
        return 0
    if row.destroy_on > now():
        return max(0.05, row.destroy_on - now())
    await destroy(room, room.own_desk("destruction at its date"), id, "its date has come")
    return 0


async def destroy(room: Room, desk: Desk, id: str, reason: str) -> None:
    """Destroy a case with its requests' data and its results: on return nothing opens any of it.

    Raises Problem 403 when policy refuses the caller ``vault.destroy``. Once begun it is finished whatever happens.
    """
    if not reason.strip() or not reason.isprintable():  # before anything is done that cannot be undone
        raise Problem(400, "State the reason", "Say why it is destroyed, in at most 200 printable characters.")
    row = await asyncio.to_thread(room.book.case, id)
    await desk.ask("vault.destroy", f"{id}/everything", [id], {"reason": reason})
    requests = await asyncio.to_thread(lambda: room.book.requests(cases=[id], limit=10_000))
    await asyncio.to_thread(room.book.destroy_case, row.id, desk.caller.name, now())
    await desk.destroy(id, reason)
    await findings.destroy_doomed(room, "the case was destroyed")
    await asyncio.to_thread(_clear, room, [request.id for request in requests])


def bury(room: Room) -> None:
    """Note of cases that have no key any more that they are destroyed: a restored backup may have had them; blocks."""
    keys, before = room.context.trust.vault.vaults.keys, None
    while rows := room.book.cases(before=before, limit=MOST_SHOWN):
        for row in rows:
            if row.status != "destroyed" and not keys.versions("trace", row.id):
                room.book.destroy_case(row.id, "system:trace", now())
        before = rows[-1].seq


def _clear(room: Room, requests: Sequence[str]) -> None:
    import shutil

    for id in requests:
        shutil.rmtree(room.inbox / id, ignore_errors=True)


# ---- contacts that somebody names


async def contacts(desk: Desk, case: str) -> list[dict[str, Any]]:
    """Return the contacts that somebody named, with what was decided of each."""
    ids = await desk.list(case, CONTACT)
    if not ids:
        return []
    found = await desk.get_many([(case, CONTACT, id) for id in ids[:MOST_SHOWN]])
    decisions = await desk.get_many([(case, DECISION, id) for id in ids[:MOST_SHOWN]])
    return [
        {"id": id, **(one or {}), "decision": decision if findings.decides(decision) else None}
        for id, one, decision in zip(ids[:MOST_SHOWN], found, decisions, strict=True)
    ]


async def add_contact(room: Room, desk: Desk, case: str, new: NewContact) -> str:
    """Keep a contact that somebody named; return its id."""
    await existing(room, case)
    id = "n-" + new_id()
    await desk.put(case, CONTACT, id, plain(new))
    await asyncio.to_thread(lambda: room.book.change_case(case, desk.caller.name, now(), "contact.named"))
    await findings.count(room, case, desk)
    return id


async def convert(room: Room, desk: Desk, case: str, contact: str, new: NewCase | None) -> CaseRow:
    """Open a case for a contact of another, linked to it.

    Of a contact that somebody named the person is known; of one that was found ``new`` has to say it. Raises Problem
    400, 404.
    """
    row = await existing(room, case)
    named = await desk.get(case, CONTACT, contact)
    results = await findings.read(room, row, desk) or {}
    if named is None and not any(one["id"] == contact for one in results.get("contacts", ())):
        raise not_found("This case has no such contact.")
    if new is None:
        if named is None:
            raise invalid_request("Say who this is: send disease and person, as for a new case.")
        new = NewCase(row.disease, msgspec.convert(named, NewContact).person)
    made = await open_case(room, desk, new, {"case": case, "contact": contact})
    what = f"contact.converted {made.label}"
    await asyncio.to_thread(lambda: room.book.change_case(case, desk.caller.name, now(), what))
    return made
