"""The demo city's cases: three at several stages, and providers who answer whatever request is approved.

People and records are the simulated city's; everything goes the lawful way, by the demo's accounts.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
# PyArrow brings no types.

import asyncio
import json
import os
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from hanmaru.hub.client import HubClient
from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.trace.cases import cases, intake, investigation, requests
from hanmaru.trace.cases.demo_records import PEOPLE
from hanmaru.trace.cases.records import Area, Lab, NewCase, Period, Person, Point, Scope, Symptom
from hanmaru.trace.cases.room import Room, now, room
from hanmaru.trace.cases.rows import CaseRow, RequestRow

log = structlog.get_logger()

SAMPLE, DAYS = 1500, 14
AFTER_S = 20.0
"""The city itself comes up first: making records takes a processor for half a minute, once."""
LOOK_S = 3.0
PURPOSE = "시연"


def account(role: str) -> Caller:
    """Return the demo's account of a role."""
    return Caller(role, (role,))


async def demo(context: Context[HubClient]) -> None:
    """Bring the demo's cases at the first start, then answer approved requests until cancelled."""
    if not context.city.get("demo"):
        return
    here = await room(context)
    await asyncio.sleep(AFTER_S)
    folder = here.folder / "demo"
    if not await asyncio.to_thread((folder / "made.json").exists):
        if status := await _make(folder, str(context.city["id"]), _today(here).isoformat()):
            return log.error("demo records could not be made: there are no demo cases", status=status)
        reference = here.folder / "reference"
        if not await asyncio.to_thread(reference.exists):
            await asyncio.to_thread((folder / "reference").rename, reference)
    await introduce(here, folder)
    while True:
        await answer_all(here, folder)
        await asyncio.sleep(LOOK_S)


async def introduce(room: Room, folder: Path) -> None:
    """Open the demo's cases, once."""
    if await asyncio.to_thread(room.book.known, "demo") is not None:
        return
    await asyncio.to_thread(room.book.once, "demo", "made")
    first = await _open(room, folder, 0, "covid-19", "김가상", 3)
    second = await _open(room, folder, 1, "covid-19", "이시범", 2)
    await _open(room, folder, 2, "measles", "박모의", 1)
    about = await asyncio.to_thread(_facts, folder, 0)
    busiest = Area(about["busiest"]["lat"], about["busiest"]["lon"], 600.0)
    whole = await _ask(room, first, ["location", "card", "checkin"], "기억하지 못하는 시간의 동선 확인")
    crowd = await _ask(room, first, ["cell-presence"], "오래 머문 곳의 접촉자 확인", busiest)
    for id in (whole, crowd):
        await _approve(room, id)
        await answer_one(room, folder, await asyncio.to_thread(room.book.request, id))
    await investigation.begin(room, account("investigator"), await asyncio.to_thread(room.book.case, first.id))
    waiting = await _ask(room, second, ["location", "card"], "노출 장소 확인")
    await _approve(room, waiting, most=1)
    log.info("demo cases are open", cases=3)


async def answer_all(room: Room, folder: Path) -> int:
    """Answer the approved requests that nobody answered yet; return how many answers that were."""
    answered = 0
    for request in await requests.all_requests(room, ("approved", "answering")):
        answered += await answer_one(room, folder, request)
    return answered


async def answer_one(room: Room, folder: Path, request: RequestRow) -> int:
    """Answer those kinds of a request that the city has records for; return how many."""
    person = await _person(room, request.case)
    count = 0
    for kind in {*request.kinds} - {answer.kind for answer in request.answers}:
        body = await asyncio.to_thread(_records, room, folder / str(person), request, kind)
        if body is None:
            continue
        try:
            await intake.take_dropped(room, request.id, kind, body, f"{kind}.parquet")
            count += 1
        except Problem as problem:
            log.warning("demo request not answered", request=request.id, status=problem.status)
    return count


async def _open(room: Room, folder: Path, person: int, disease: str, name: str, days: int) -> CaseRow:
    facts = await asyncio.to_thread(_facts, folder, person)
    today = _today(room)
    onset = today - timedelta(days)
    who = Person(
        name=name,
        phone=f"010-0000-{person:04}",
        home=Point(**facts["home"]),
        work=Point(**facts["work"]) if "work" in facts else None,
    )
    symptoms = [Symptom("fever", onset), Symptom("cough", onset)]
    new = NewCase(disease, who, symptoms, onset, Lab("PCR", "positive", today, today), "시연용 가상 인물")
    row = await cases.open_case(room, room.desk(account("investigator"), PURPOSE), new)
    await asyncio.to_thread(room.book.once, f"demo {row.id}", str(person))
    return row


async def _ask(room: Room, case: CaseRow, kinds: list[str], because: str, area: Area | None = None) -> str:
    end = datetime.combine(_today(room) + timedelta(1), datetime.min.time(), room.zone)
    period = Period(end - timedelta(DAYS), end)
    scope = Scope(kinds, period, "역학조사", because, [], area)
    return (await requests.ask(room, account("investigator"), case.id, scope, PURPOSE)).id


async def _approve(room: Room, id: str, most: int = 9) -> None:
    for _ in range(most):
        step = (await asyncio.to_thread(room.book.request, id)).step
        if step is None:
            return
        await requests.decide(room, account(step.rule.role), id, "approve", "확진 확인")


async def _person(room: Room, case: str) -> int:
    """Return which of the demo's people a case is: those that somebody opens are given one, too."""
    known = await asyncio.to_thread(room.book.known, f"demo {case}")
    if known is None:
        row = await asyncio.to_thread(room.book.case, case)
        known = await asyncio.to_thread(room.book.once, f"demo {case}", str(row.seq % PEOPLE))
    return int(known)


def _records(room: Room, folder: Path, request: RequestRow, kind: str) -> bytes | None:
    """Return what a provider has for a kind of data, its person under the case's pseudonym; None where it has none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rule = room.country.kinds[kind]
    path = folder / ("others" if rule.others else "") / f"{rule.table}.parquet"
    if not path.is_file():
        return None
    table: Any = pq.read_table(path)
    if not rule.others:
        at = table.column_names.index("subject")
        table = table.set_column(at, "subject", pa.array([request.case] * len(table), pa.string()))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _facts(folder: Path, person: int) -> dict[str, Any]:
    return json.loads((folder / str(person) / "person.json").read_text("utf-8"))


def _today(room: Room) -> date:
    return datetime.fromtimestamp(now(), room.zone).date()


async def _make(folder: Path, profile: str, last: str) -> int:
    """Make the records in a process of its own, of low priority, which ends with this task; return its status."""
    module = "hanmaru.trace.cases.demo_records"
    arguments = [sys.executable, "-m", module, str(folder), profile, str(SAMPLE), str(DAYS), last]
    process = await asyncio.create_subprocess_exec(*arguments, preexec_fn=lambda: os.nice(10))
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
