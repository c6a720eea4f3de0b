"""The events of a city, in one process: people's deeds, detections, time and receipts, each one transaction.

Any number of processes may have the book open: SQLite lets one of them write at a time, and whatever decides is read
within the transaction that acts on it. Nothing lies in memory only, so ``kill -9`` loses nothing that was acknowledged.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from hanmaru.centre.domain import CentreError, Detection, Severity, Text
from hanmaru.centre.events import folding, rows
from hanmaru.centre.events.model import SYSTEM, Act, Entry, Escalation, Event, ProcedureRef, Verb, absorb, change
from hanmaru.centre.procedures import book as procedures
from hanmaru.centre.procedures import engine
from hanmaru.centre.procedures.engine import Progress
from hanmaru.centre.procedures.model import Deed, Procedure, Receipt, Run
from hanmaru.platform.audit.record import Record
from hanmaru.platform.committer import Committer
from hanmaru.platform.problems import Problem, sentence

T = TypeVar("T")
Place = Callable[[Mapping[str, Any] | None], Text | None]
"""Says in words where a geometry lies."""
BATCH = 500
"""Detections or timers that one transaction takes."""
MOST_PROCEDURES = 200
KEPT_KEYS_S = 86_400.0
"""How long an event that was raised under a key is known by it."""


class Book:
    """The book. Close it with `close`."""

    def __init__(self, folder: Path, zone: ZoneInfo, place: Place = lambda _: None) -> None:
        """Open ``events.db`` in the room's folder, making it on first use; blocks."""
        self.zone, self.place, self._folder = zone, place, folder
        self._reader = rows.connect(folder)
        self._reading = threading.Lock()
        self._committer = Committer(lambda: rows.connect(folder))

    async def close(self) -> None:
        """Commit what waits and close the file."""
        await asyncio.to_thread(self._committer.close)
        with self._reading:
            self._reader.close()

    async def read(self, work: Callable[[rows.Db], T]) -> T:
        """Read in a thread. A CentreError becomes Problem 404."""

        def reading() -> T:
            with self._reading:
                self._reader.execute("BEGIN")
                try:
                    return work(self._reader)
                finally:
                    self._reader.execute("COMMIT")

        try:
            return await asyncio.to_thread(reading)
        except CentreError as error:
            raise Problem(404, "Not found", sentence(error)) from None

    async def write(self, work: Callable[[rows.Db], T]) -> T:
        """Run work in a transaction; what it raises it raises before it changes anything. A CentreError becomes
        Problem 409."""

        def writing(db: rows.Db) -> T:
            try:
                return work(db)
            except CentreError as error:
                raise Problem(409, "Not possible now", sentence(error)) from None

        return await self._committer.run(writing)

    # ---- people

    async def raise_by_hand(
        self,
        who: str,
        category: str,
        severity: Severity,
        title: Text,
        location: Mapping[str, Any] | None,
        note: str,
        procedure: str | None,
        once: tuple[str, bytes] | None = None,
    ) -> Event:
        """Begin an event that somebody saw or was told of; it waits for somebody to take it, as others do.

        ``once``: a key of the caller's and a digest of what is asked. The same again within `KEPT_KEYS_S` returns the
        event as it is by then; Problem 422 for a key that came with something else.
        """
        place = await asyncio.to_thread(self.place, location)

        def work(db: rows.Db) -> Event:
            now = time.time()
            if once and (known := _asked(db, who, *once)):
                return known
            chosen = None if procedure is None else _procedure(db, procedure)
            event = Event(
                secrets.token_hex(8),
                _number(db, self.zone, now),
                "open",
                severity,
                category,
                title,
                now,
                now,
                location=location,
                place=place,
                raises=(now,),
                waiting_since=now,
            )
            told = {"en": f"Raised by {who}", "ko": f"{who} 수동 등록"}
            entries = [Entry(now, who, "raised", told)]
            if note:
                entries.append(Entry(now, who, "note", {"en": note, "ko": note}))
            event = _begin(db, event, entries, chosen, who, now)
            db.execute("DELETE FROM asked WHERE at < ?", (now - KEPT_KEYS_S,))
            if once:
                db.execute("INSERT INTO asked VALUES(?,?,?,?,?)", (who, *once, event.id, now))
            return event

        return await self.write(work)

    async def act(self, id: str, verb: Verb, act: Act, who: str, *, may_end: bool) -> Event:
        """Do something with an event; ``may_end``: who does it may close an event whose procedure is not finished."""

        def work(db: rows.Db) -> Event:
            now = time.time()
            event = rows.event(db, id)
            run = rows.run(db, event)
            other = rows.event(db, act.into) if verb == "merge" and act.into else None
            changed, entry = change(event, verb, act, who, now)
            entries = [entry]
            grown: tuple[Event, Entry] | None = absorb(other, event, who, now) if other else None
            if changed.state == "closed" and run is not None and run.state == "running":
                if verb == "close" and not may_end:
                    raise CentreError("finish the procedure's steps first, or have a supervisor close the event")
                progress = engine.end(run, who, act.reason or "merged", now)
                run, entries = progress.run, [*progress.entries, entry]
            if grown:
                rows.put(db, grown[0], [grown[1]])
                db.execute("UPDATE key SET event = ? WHERE event = ?", (grown[0].id, id))
            return rows.put(db, timed(changed, run), entries, run)

        return await self.write(work)

    async def begin_procedure(self, id: str, procedure: str, who: str) -> tuple[Event, Run]:
        """Begin a procedure for an event. One that is finished may be followed by another; a running one not."""

        def work(db: rows.Db) -> tuple[Event, Run]:
            now = time.time()
            event, chosen = rows.event(db, id), _procedure(db, procedure)
            run = rows.run(db, event)
            if event.state == "closed":
                raise CentreError("this event is closed: open it again first")
            if run is not None and run.state == "running":
                raise CentreError("a procedure is running already: finish it, or skip its steps with a reason")
            begun = _begin(db, event, [], chosen, who, now)
            run = rows.run(db, begun)
            assert run is not None
            return begun, run

        return await self.write(work)

    async def step(
        self, id: str, step: str, deed: Deed, who: str, *, may_skip: bool, check: Callable[[Run], None]
    ) -> tuple[Event, Run]:
        """Do something with a step; ``check`` refuses who may not do it, by a Problem."""

        def work(db: rows.Db) -> tuple[Event, Run]:
            now = time.time()
            event = rows.event(db, id)
            if (run := rows.run(db, event)) is None:
                raise CentreError("this event has no procedure: start one first")
            check(run)
            progress = engine.act(run, step, deed, who, now, may_skip=may_skip)
            calm = replace(event, escalated=None) if event.state == "taken" else event
            return _settle(db, calm, progress, now), progress.run

        return await self.write(work)

    # ---- detections, time, receipts

    async def follow(self, found: Sequence[Detection]) -> int:
        """Take in detections, in order, each exactly once however often it is given; return the cursor then."""

        def work(db: rows.Db) -> int:
            cursor = rows.peek(db, "detections")
            for detection in found:
                if detection.seq > cursor:
                    cursor = detection.seq
                    _detected(db, self.zone, self.place, detection)
            return rows.value(db, "detections", cursor)

        return await self.write(work)

    async def advance(self) -> float | None:
        """Let time pass for what is due; return when the next timer runs out (seconds since 1970)."""

        def work(db: rows.Db) -> float | None:
            now = time.time()
            late = db.execute("SELECT id FROM event WHERE due <= ? ORDER BY due LIMIT ?", (now, BATCH)).fetchall()
            for (id,) in late:
                event = rows.event(db, id)
                run = rows.run(db, event)
                event, entries, orders = folding.unattended(event, run, now)
                progress = engine.tick(run, now) if run else None
                if progress:
                    for level, rung in progress.climbed:
                        event = replace(event, escalated=Escalation(level, rung.to, now))
                    entries, orders = [*entries, *progress.entries], [*orders, *progress.orders]
                    run = progress.run
                for entry in entries:
                    if entry.what == "escalated":
                        _owe(db, "centre.escalate", event, entry)
                event = rows.put(db, timed(event, run), entries, run)
                rows.order(db, event, run, orders, now)
            return db.execute("SELECT min(due) FROM event").fetchone()[0]

        return await self.write(work)

    async def receipt(self, receipt: Receipt, due: float | None, *, allowed: str | None = None) -> bool:
        """Note how a hand-over stands, in its row, its step, the timeline and, once, the audit trail.

        ``allowed`` limits it to the hand-overs of one agency. Returns whether this changed anything: the same again
        does not, nor does a late ``accepted`` after ``finished``. Raises Problem 409 for a key that is not there.
        """

        def work(db: rows.Db) -> bool:
            row = db.execute(
                "SELECT event, run, step, state, agency, reason FROM handover WHERE key = ?", (receipt.key,)
            ).fetchone()
            if row is None or (allowed is not None and row[4] != allowed):
                raise CentreError("there is no such hand-over to this agency: send the key that came with it")
            id, run_id, step, was, _, reason = row
            if _ORDER[receipt.state] < _ORDER[was] or (was == receipt.state and receipt.state != "queued"):
                return False
            event = rows.event(db, id)
            run = rows.run(db, event)
            now = time.time()
            progress = engine.receive(run or _NO_RUN, step if run and run.id == run_id else "", receipt, now)
            db.execute(
                "UPDATE handover SET state = ?, attempts = max(attempts, ?), due = ?, reference = ?, reason = ?"
                " WHERE key = ?",
                (receipt.state, receipt.attempts, due, receipt.reference, receipt.text, receipt.key),
            )
            for entry in progress.entries:
                if entry.what.startswith("agency."):
                    _owe(db, "centre.handover", event, entry)
            if receipt.state == "queued" and not reason:
                text = f"not answered yet: {receipt.text}"
                told = {
                    "en": f"{receipt.agency} does {text}; trying again",
                    "ko": f"{receipt.agency} 응답 없음, 재시도: {receipt.text}",
                }
                progress.entries.append(Entry(now, SYSTEM, "agency.waiting", told, {"key": receipt.key}))
            _settle(db, event, progress, now, keep_run=run is not None)
            return True

        return await self.write(work)


_ORDER = {"queued": 0, "sent": 1, "refused": 2, "declined": 2, "accepted": 2, "finished": 3}
"""A receipt never takes a hand-over back."""
_NO_RUN = Run("", "", Procedure("none", {"en": ""}, ()), 0.0, {}, "ended")


def timed(event: Event, run: Run | None) -> Event:
    """Return an event with the instant at which time next changes something."""
    if event.state == "closed":
        return replace(event, due=None)
    times = [folding.due(event, run), engine.due(run) if run else None]
    return replace(event, due=min((each for each in times if each is not None), default=None))


def _settle(db: rows.Db, event: Event, progress: Progress, now: float, *, keep_run: bool = True) -> Event:
    run = progress.run if keep_run else None
    event = rows.put(db, timed(event, run), progress.entries, run)
    rows.order(db, event, run, progress.orders, now)
    return event


def _begin(
    db: rows.Db, event: Event, entries: Sequence[Entry], procedure: Procedure | None, who: str, now: float
) -> Event:
    """Keep an event, with a procedure that begins for it, if any."""
    if procedure is None:
        return rows.put(db, timed(event, None), entries)
    progress = engine.start(procedure, secrets.token_hex(8), event.id, who, now)
    event = replace(event, procedure=ProcedureRef(procedure.id, procedure.name, progress.run.id))
    progress.entries[:0] = entries
    return _settle(db, event, progress, now)


def _detected(db: rows.Db, zone: ZoneInfo, place: Place, detection: Detection) -> None:
    at, now = datetime.fromisoformat(detection.at).timestamp(), time.time()
    row = db.execute("SELECT event FROM key WHERE key = ?", (detection.key,)).fetchone()
    known = rows.event(db, row[0]) if row else None
    if detection.kind == "clear":
        if known is not None and known.keys.get(detection.key):
            event, entries = folding.cleared(known, detection.key, at)
            rows.put(db, timed(event, rows.run(db, event)), entries)
        return
    procedure, missing = None, ""
    if detection.procedure:
        try:
            procedure = _procedure(db, detection.procedure)
        except CentreError as error:
            missing = str(error)
    target, opening = _target(db, detection, known, procedure, at)
    floods = False
    if target is None:
        target, floods = _flood(db, detection.rule)
    if target is not None:
        entries: list[Entry] = []
        if opening:
            target, entry = folding.reopened(target, at, now)
            entries.append(entry)
        target, folded = folding.folded(target, detection, at)
        entries += [folded] if folded else []
        rows.put(db, timed(target, rows.run(db, target)), entries)
    else:
        number = _number(db, zone, at)
        target, entry = folding.begun(detection, secrets.token_hex(8), number, place(detection.location), at, now)
        entries = [entry]
        if floods:
            target, entry = folding.gathering(target, at)
            entries.append(entry)
        if missing:
            told = {"en": f"No procedure began: {missing}", "ko": f"절차를 시작하지 못함: {missing}"}
            entries.append(Entry(at, SYSTEM, "procedure.missing", told))
        _begin(db, target, entries, procedure, SYSTEM, now)
    db.execute(
        "INSERT INTO key(key, event) VALUES(?,?) ON CONFLICT(key) DO UPDATE SET event = excluded.event",
        (detection.key, target.id),
    )


def _target(
    db: rows.Db, detection: Detection, known: Event | None, procedure: Procedure | None, at: float
) -> tuple[Event | None, bool]:
    """Return the event that an alarm folds into, if any, and whether it is to be opened again."""
    if known is not None and known.state != "closed":
        return known, False
    if (
        known is not None
        and known.closed is not None
        and at - known.closed <= folding.AGAIN_S
        and _by_itself(db, known.id)
    ):
        return known, True
    if procedure is not None and procedure.fold_m > 0:
        found = db.execute(
            "SELECT body, seq FROM event WHERE state != 'closed' AND category = ? ORDER BY ord DESC LIMIT 500",
            (detection.category,),
        )
        for body, seq in found.fetchall():
            event = rows.decoded(body, seq)
            if folding.near(event, detection, at, procedure.fold_m, procedure.fold_s):
                return event, False
    return None, False


def _flood(db: rows.Db, rule: str) -> tuple[Event | None, bool]:
    """Return the event that gathers a rule's alarms, if there is one with room, and whether the rule floods."""
    found = db.execute("SELECT body, seq FROM event WHERE rule = ? AND state != 'closed'", (rule,)).fetchall()
    if len(found) < folding.FLOOD:
        return None, False
    gathering = (event for event in (rows.decoded(*one) for one in found) if event.gathers)
    return next((event for event in gathering if len(event.keys) < folding.MOST_GATHERED), None), True


def _asked(db: rows.Db, who: str, key: str, body: bytes) -> Event | None:
    row = db.execute("SELECT body, event FROM asked WHERE who = ? AND key = ?", (who, key)).fetchone()
    if row is None:
        return None
    if row[0] != body:
        raise Problem(422, "Key used before", "This Idempotency-Key was sent with another event. Make a new one.")
    return rows.event(db, row[1])


def _by_itself(db: rows.Db, id: str) -> bool:
    last = db.execute(
        "SELECT who FROM entry WHERE event = ? AND what = 'closed' ORDER BY seq DESC LIMIT 1", (id,)
    ).fetchone()
    return last is not None and last[0] == SYSTEM


def _number(db: rows.Db, zone: ZoneInfo, at: float) -> str:
    """Return the next number of a year in the city's zone, such as 2026-0012."""
    year = datetime.fromtimestamp(at, zone).year
    return f"{year}-{rows.counted(db, f'number:{year}'):04d}"


def _procedure(db: rows.Db, id: str) -> Procedure:
    """Return a procedure: the city's own, else the ready one. Raises CentreError where there is none."""
    if row := db.execute("SELECT toml FROM procedure WHERE id = ?", (id,)).fetchone():
        return procedures.parse(row[0])
    if found := procedures.ready().get(id):
        return found[0]
    raise CentreError(f"there is no procedure {id[:60]!r}: choose one from the list")


def _owe(db: rows.Db, action: str, event: Event, entry: Entry) -> None:
    detail = {name: str(entry.detail[name]) for name in ("step", "agency", "key", "level", "to", "reference")
              if name in entry.detail}  # fmt: skip
    detail["what"] = entry.what
    rows.owe(db, Record(entry.who, action, f"centre:events/{event.number}", detail=detail))
