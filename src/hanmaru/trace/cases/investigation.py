"""An investigation of a case in the vault: its evidence gathered and decrypted, worked out, the results kept.

The engine worker runs it as a workflow. Tables are in memory only; the book tells how far it has come.
"""

# pyright: basic
# (pyarrow has no types)

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, lake
from hanmaru.trace.cases import findings, requests
from hanmaru.trace.cases.records import PERSON, SIGHTING, STATEMENT, Person, Scope, Sighting, Statement
from hanmaru.trace.cases.room import Room, now
from hanmaru.trace.cases.rows import CaseRow, RequestRow
from hanmaru.trace.cases.stripping import OTHERS
from hanmaru.trace.cases.work import Run
from hanmaru.trace.domain import TraceError

if TYPE_CHECKING:
    import pyarrow as pa

    from hanmaru.trace.evidence.inputs import CaseInputs

WORKFLOW = "investigate"
RUNNING = ("queued", "running")
DEAD_S = 600.0
"""An investigation that has told nothing for so long is taken to have ended."""


async def begin(room: Room, caller: Caller, row: CaseRow) -> tuple[str, CaseRow]:
    """Start an investigation of a case and return its job's id; one that runs is left alone."""
    at = now()
    if row.run_state not in RUNNING or at - (row.run_at or 0) > DEAD_S:
        row = await asyncio.to_thread(
            lambda: room.book.change_case(
                row.id,
                caller.name,
                at,
                "investigation.asked",
                ("new", "investigating", "following"),
                status="investigating" if row.status == "new" else row.status,
                run=row.run + 1,
                run_state="queued",
                run_progress=0.0,
                run_stage="queued",
                run_at=at,
            )
        )
    id = await room.context.trust.jobs.start(WORKFLOW, Run(row.id, row.run), f"{row.id}.{row.run}")
    return id, row


async def run(room: Room, wanted: Run) -> str:
    """Investigate a case; return how that ended. A run that a later one has overtaken does nothing."""
    row = await asyncio.to_thread(room.book.case, wanted.case)
    if row.run != wanted.run or row.status in ("closed", "destroyed"):
        return "overtaken"

    def tell(state: str, stage: str, progress: float) -> None:
        values = {"run_state": state, "run_stage": stage, "run_progress": progress, "run_at": now()}
        room.book.change_case(wanted.case, "system:trace", now(), "", **values)

    await asyncio.to_thread(tell, "running", "decrypting", 0.0)
    try:
        inputs, whose = await gather(room, row)

        def work() -> dict[str, Any]:
            from hanmaru.trace.evidence.investigate import investigate

            return investigate(inputs, lambda stage, share: tell("running", stage, share))

        results = await asyncio.to_thread(work)
        results[OTHERS] = _brought(whose, results)
    except TraceError as error:
        await asyncio.to_thread(tell, "failed", str(error)[:200], 0.0)
        return "failed"
    await findings.keep(room, wanted.case, results)
    await forget_destroyed(room, wanted.case)
    await asyncio.to_thread(tell, "done", "done", 1.0)
    return "done"


async def gather(room: Room, row: CaseRow) -> "tuple[CaseInputs, dict[str, set[str]]]":
    """Return what a case's investigation works on, and by request whose rows of other people it brought.

    Only what is approved now is worked with (`RequestRow.usable`). Raises TraceError when nothing has come that it
    could work on.
    """
    desk = room.own_desk(findings.PURPOSE)
    asked = await asyncio.to_thread(lambda: room.book.requests(cases=[row.id], limit=1_000))
    at = now()
    late = [one for one in asked if one.data is not None and not one.usable(at)]
    asked = [one for one in asked if one.usable(at)]
    scopes = [scope for scope in await requests.scopes(room, asked) if scope is not None]
    statements = [msgspec.convert(one, Statement) for one in await findings.documents(desk, row.id, STATEMENT)]
    sightings = [msgspec.convert(one, Sighting) for one in await findings.documents(desk, row.id, SIGHTING)]
    person = msgspec.convert(await desk.get(row.id, PERSON, PERSON) or {"name": "?"}, Person)
    parts = [part for request in asked for part in await _tables(desk, request)]
    refused = sum((Counter(answer.refused) for request in asked for answer in request.answers), Counter[str]())
    if expired := sum(answer.accepted for request in late for answer in request.answers):
        refused["approval_expired"] = expired
        if not parts and not statements and not sightings:
            raise TraceError("the approval has expired: nothing new is worked out from what it brought; ask anew")
    inputs = await asyncio.to_thread(_inputs, room, row, person, scopes, parts, statements, sightings)
    whose: dict[str, set[str]] = {}
    for request, _, table in parts:
        if "subject" in table.column_names:
            whose.setdefault(request, set()).update({*table["subject"].unique().to_pylist()} - {row.id})
    return dataclasses.replace(inputs, refused=dict(refused)), whose


def _brought(whose: Mapping[str, set[str]], results: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return by request which of the contacts it brought."""
    contacts = {one["subject"] for one in results["contacts"]}
    return {request: sorted(contacts & subjects) for request, subjects in whose.items() if subjects}


async def forget_destroyed(room: Room, case: str) -> None:
    """Take out of new results what was destroyed while they were worked out: its destruction saw those before."""
    keys = room.context.trust.vault.vaults.keys
    for one in await asyncio.to_thread(lambda: room.book.requests(cases=[case], limit=1_000)):
        if one.data is None or not await asyncio.to_thread(keys.versions, "trace", one.data):
            await findings.forget(room, case, one.id)


async def _tables(desk: Desk, request: RequestRow) -> "list[tuple[str, str, pa.Table]]":
    """Return what a request brought as (request, kind, table)."""
    assert request.data is not None
    kinds = {answer.id: answer.kind for answer in request.answers}
    found: list[tuple[str, str, pa.Table]] = []
    for name in await lake.names(desk, request.data):
        kind = kinds.get(name.rpartition("-")[2])
        if kind is not None:
            found.append((request.id, kind, await lake.read_table(desk, request.data, name)))
    return found


def _inputs(
    room: Room,
    row: CaseRow,
    person: Person,
    scopes: Sequence[Scope],
    parts: "Sequence[tuple[str, str, pa.Table]]",
    statements: Sequence[Statement],
    sightings: Sequence[Sighting],
) -> "CaseInputs":
    import pyarrow as pa

    from hanmaru.trace import tables
    from hanmaru.trace.cases.intake import reference
    from hanmaru.trace.evidence.inputs import EVIDENCE, REFERENCE, Case, CaseInputs

    spans = [(scope.period.start.timestamp(), scope.period.end.timestamp()) for scope in scopes]
    spans += [(one.start.timestamp(), one.end.timestamp()) for one in statements]
    if not spans:
        raise TraceError("nothing has come yet: ask for data, or write down what the person says")
    own: dict[str, list[pa.Table]] = {}
    others: dict[str, list[pa.Table]] = {}
    behind: dict[str, set[str]] = {}
    for request, kind, table in parts:
        name = room.country.kinds[kind].table
        mine = table
        if "subject" in table.column_names:
            of_case = [subject == row.id for subject in table["subject"].to_pylist()]
            mine, theirs = table.filter(pa.array(of_case)), table.filter(pa.array([not one for one in of_case]))
            if len(theirs):
                others.setdefault(name, []).append(theirs)
        if len(mine):
            own.setdefault(name, []).append(mine)
            behind.setdefault(name, set()).add(request)
    for name, said in (("statements", statements), ("sightings", sightings)):
        if said:
            own.setdefault(name, []).append(_table(EVIDENCE[name], [msgspec.structs.asdict(one) for one in said]))
    references = {
        name: tables.read(path, columns)
        for name, columns in REFERENCE.items()
        if (path := reference(room, name)) is not None
    }
    places = {"home": person.home, "work": person.work}
    return CaseInputs(
        Case(
            row.id,
            row.id,
            int(min(start for start, _ in spans)),
            int(max(end for _, end in spans)),
            {kind: (at.lat, at.lon) for kind, at in places.items() if at is not None},
            row.disease,
            str(room.zone),
        ),
        references,
        {name: pa.concat_tables(some) for name, some in own.items()},
        {name: pa.concat_tables(some) for name, some in others.items()},
        {name: ",".join(sorted(ids)) for name, ids in behind.items()},
    )


def _table(columns: "Mapping[str, Any]", rows: Sequence[Mapping[str, Any]]) -> "pa.Table":
    import pyarrow as pa

    from hanmaru.trace.tables import TYPES

    return pa.table(
        {name: pa.array([row.get(name) for row in rows], TYPES[column.kind]) for name, column in columns.items()}
    )
