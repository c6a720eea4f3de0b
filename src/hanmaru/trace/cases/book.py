"""The room's book, ``book.db``: pseudonyms, states, times and who decided. Nothing in it says who anybody is.

What a request asks for and why, and everything about a person, lies in the vault. A request moves in one transaction,
which checks what it moves from: two who decide at once cannot both.
"""

import base64
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from hanmaru.platform.problems import Problem, not_found
from hanmaru.platform.vault.database import Database
from hanmaru.trace.cases.country import StepRule
from hanmaru.trace.cases.rows import OPEN, AnswerRow, CaseRow, Event, RequestRow, State, Status, StepRow, require_other

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL, disease TEXT NOT NULL,
  status TEXT NOT NULL, opened_at REAL NOT NULL, opened_by TEXT NOT NULL, closed_at REAL, destroy_on REAL,
  results TEXT, run INTEGER NOT NULL DEFAULT 0, run_state TEXT, run_stage TEXT, run_progress REAL, run_at REAL,
  total INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0, undecided INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS case_status ON cases(status, seq);
CREATE TABLE IF NOT EXISTS request(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, of_case TEXT NOT NULL, kinds TEXT NOT NULL,
  state TEXT NOT NULL, asked_by TEXT NOT NULL, asked_at REAL NOT NULL, approved_at REAL, expires REAL,
  destroy_on REAL, notify_days REAL NOT NULL, retention_days REAL NOT NULL, valid_days REAL NOT NULL, notify_due REAL,
  notified_at REAL, notified_by TEXT, notify_escalated_to TEXT, data TEXT, reason TEXT) STRICT;
CREATE INDEX IF NOT EXISTS request_case ON request(of_case, seq);
CREATE INDEX IF NOT EXISTS request_state ON request(state, seq);
CREATE TABLE IF NOT EXISTS step(
  request TEXT NOT NULL, n INTEGER NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL, since REAL, due REAL, who TEXT,
  at REAL, reason TEXT, escalated_to TEXT, PRIMARY KEY(request, n)) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS step_who ON step(request, who) WHERE who IS NOT NULL;
CREATE TABLE IF NOT EXISTS answer(
  request TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, provider TEXT NOT NULL, at REAL NOT NULL,
  rows INTEGER NOT NULL, accepted INTEGER NOT NULL, refused TEXT NOT NULL, PRIMARY KEY(request, id)) STRICT;
CREATE TABLE IF NOT EXISTS event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, of_case TEXT NOT NULL, request TEXT, at REAL NOT NULL, who TEXT NOT NULL,
  what TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_case ON event(of_case, seq);
CREATE TABLE IF NOT EXISTS doomed(subject TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS once(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class Book:
    """The file. Blocks: call it from a thread."""

    def __init__(self, folder: Path) -> None:
        """Open ``book.db`` in a folder, making it on first use."""
        self._db = Database(folder / "book.db", _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ---- cases

    def open_case(self, id: str, disease: str, who: str, at: float, year: int) -> CaseRow:
        """Note a new case under its pseudonym; its label is the year and a number."""
        with self._db.write() as db:
            (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM cases").fetchone()
            db.execute("DELETE FROM doomed WHERE subject = ?", (id,))
            db.execute(
                "INSERT INTO cases(id, label, disease, status, opened_at, opened_by) VALUES(?, ?, ?, 'new', ?, ?)",
                (id, f"{year}-{last + 1:04}", disease, at, who),
            )
            _note(db, id, None, at, who, "opened")
            return _case(db, id)

    def case(self, id: str) -> CaseRow:
        """Return a case; raises Problem 404 when there is none."""
        with self._db.read() as db:
            return _case(db, id)

    def cases(
        self, status: str = "", disease: str = "", label: str = "", ids: Sequence[str] | None = None,
        before: int | None = None, limit: int = 200,
    ) -> list[CaseRow]:  # fmt: skip
        """Return cases, newest first, at most ``limit``: of a status, a disease, whose label holds a text, of ids."""
        where, values = ["seq < ?"], list[Any]([before if before is not None else 2**62])
        for column, value in (("status", status), ("disease", disease)):
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        if label:
            where.append("instr(label, ?) > 0")
            values.append(label)
        if ids is not None:
            where.append("id IN (SELECT value FROM json_each(?))")
            values.append(_json(ids))
        with self._db.read() as db:
            # what is joined is our own; values are bound
            sql = f"SELECT * FROM cases WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"  # noqa: S608
            return [CaseRow(*row) for row in db.execute(sql, (*values, limit))]

    def counts(self) -> dict[str, int]:
        """Return how many cases there are by status."""
        with self._db.read() as db:
            return dict(db.execute("SELECT status, count(*) FROM cases GROUP BY status").fetchall())

    def change_case(
        self, id: str, who: str, at: float, what: str, of: Sequence[Status] = (), **columns: Any
    ) -> CaseRow:
        """Change a case's columns and log it; raises Problem 409 when its status is none of ``of``."""
        with self._db.write() as db:
            case = _case(db, id)
            if case.status == "destroyed" or (of and case.status not in of):
                raise Problem(409, "Not in this state", f"The case is {case.status}.")
            _set(db, "cases", id, columns)
            if what:
                _note(db, id, None, at, who, what)
            return _case(db, id)

    def close_case(self, id: str, who: str, at: float, destroy_on: float) -> CaseRow:
        """Close a case; its approvals end with what they were for. Raises Problem 409 when it is closed."""
        with self._db.write() as db:
            if (case := _case(db, id)).status in ("closed", "destroyed"):
                raise Problem(409, "Not in this state", f"The case is {case.status}.")
            _set(db, "cases", id, {"status": "closed", "closed_at": at, "destroy_on": destroy_on})
            db.execute(
                "UPDATE request SET expires = min(coalesce(expires, ?1), ?1)"
                " WHERE of_case = ?2 AND state IN ('asked', 'approved', 'answering', 'answered')",
                (at, id),
            )
            _note(db, id, None, at, who, "closed")
            return _case(db, id)

    def found(self, id: str, results: str, at: float, what: str, over: str | None = None) -> bool:
        """Note the pseudonym that a case's results lie under now; the one before is doomed.

        With ``over``, only in the place of those: returns whether it was done. Raises Problem 409 for a destroyed case.
        """
        with self._db.write() as db:
            case = _case(db, id)
            if over is not None and case.results != over:
                return False
            if case.status == "destroyed":
                raise Problem(409, "Not in this state", "The case is destroyed.")
            if case.results is not None:
                db.execute("INSERT OR REPLACE INTO doomed VALUES(?, ?)", (case.results, at))
            db.execute("DELETE FROM doomed WHERE subject = ?", (results,))
            _set(db, "cases", id, {"results": results})
            if what:
                _note(db, id, None, at, "system:trace", what)
            return True

    def destroy_case(self, id: str, who: str, at: float) -> CaseRow:
        """Doom a case with all that lies apart from it, and end its requests; again is no error."""
        with self._db.write() as db:
            case = _case(db, id)
            apart = db.execute("SELECT data FROM request WHERE of_case = ? AND data IS NOT NULL", (id,)).fetchall()
            doomed = [id, *([case.results] if case.results else ()), *(data for (data,) in apart)]
            db.executemany("INSERT OR REPLACE INTO doomed VALUES(?, ?)", [(subject, at) for subject in doomed])
            db.execute("UPDATE request SET state = 'destroyed', data = NULL WHERE of_case = ?", (id,))
            if case.status != "destroyed":
                _set(db, "cases", id, {"status": "destroyed", "results": None, "run_state": None, "destroy_on": at})
                _note(db, id, None, at, who, "destroyed")
            # what people wrote as reasons was to be without names; it goes all the same
            db.execute(
                "UPDATE step SET reason = NULL WHERE request IN (SELECT id FROM request WHERE of_case = ?)", (id,)
            )
            db.execute("UPDATE request SET reason = NULL WHERE of_case = ?", (id,))
            case = _case(db, id)
        self._db.wipe_log()
        return case

    def doom(self, subject: str, at: float) -> None:
        """Have a pseudonym destroyed at a time, unless `open_case` or `found` takes it over before."""
        with self._db.write() as db:
            db.execute("INSERT OR REPLACE INTO doomed VALUES(?, ?)", (subject, at))

    def doomed(self, at: float) -> list[str]:
        """Return the pseudonyms that are to be destroyed by now and may not be yet."""
        with self._db.read() as db:
            return [subject for (subject,) in db.execute("SELECT subject FROM doomed WHERE at <= ?", (at,))]

    def gone(self, subject: str) -> None:
        """Note that a pseudonym is destroyed."""
        with self._db.write() as db:
            db.execute("DELETE FROM doomed WHERE subject = ?", (subject,))

    def events(self, case: str, limit: int = 500) -> list[Event]:
        """Return a case's log, oldest first, the last ``limit`` lines."""
        with self._db.read() as db:
            rows = db.execute(
                "SELECT at, who, what, request FROM event WHERE of_case = ? ORDER BY seq DESC LIMIT ?", (case, limit)
            )
            return [Event(*row) for row in rows][::-1]

    def last_event(self) -> int:
        """Return the number of the last line of any log."""
        with self._db.read() as db:
            return db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]

    # ---- requests

    def ask(
        self, case: str, kinds: Sequence[str], steps: Sequence[StepRule], who: str, at: float, *, id: str,
        valid_days: float, retention_days: float, notify_days: float,
    ) -> RequestRow:  # fmt: skip
        """Note a request for kinds of data about a case, which the steps have to approve one after another."""
        with self._db.write() as db:
            if (row := _case(db, case)).status in ("closed", "destroyed"):
                raise Problem(409, "Not in this state", f"The case is {row.status}; nothing more is asked for it.")
            db.execute(
                "INSERT INTO request(id, of_case, kinds, state, asked_by, asked_at, valid_days, retention_days,"
                " notify_days) VALUES(?, ?, ?, 'asked', ?, ?, ?, ?, ?)",
                (id, case, _json(kinds), who, at, valid_days, retention_days, notify_days),
            )
            for n, rule in enumerate(steps):
                since, due = (at, at + rule.within_hours * 3600) if n == 0 else (None, None)
                db.execute(
                    "INSERT INTO step(request, n, rule, state, since, due) VALUES(?, ?, ?, 'waiting', ?, ?)",
                    (id, n, _json(rule), since, due),
                )
            _note(db, case, id, at, who, "request.asked")
            return _request(db, id)

    def request(self, id: str) -> RequestRow:
        """Return a request; raises Problem 404 when there is none."""
        with self._db.read() as db:
            return _request(db, id)

    def requests(
        self, states: Sequence[str] = (), cases: Sequence[str] | None = None, before: int | None = None,
        limit: int = 200,
    ) -> list[RequestRow]:  # fmt: skip
        """Return requests, newest first: of some states, of some cases."""
        where, values = ["seq < ?"], list[Any]([before if before is not None else 2**62])
        for column, wanted in (("state", states or None), ("of_case", cases)):
            if wanted is not None:
                where.append(f"{column} IN (SELECT value FROM json_each(?))")  # noqa: S608 - our own
                values.append(_json(wanted))
        with self._db.read() as db:
            sql = f"SELECT id FROM request WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - as above
            return [_request(db, id) for (id,) in db.execute(sql, (*values, limit)).fetchall()]

    def decide(
        self, id: str, n: int, who: str, verdict: Literal["approved", "refused"], reason: str, at: float
    ) -> RequestRow:
        """Decide a step; the last approval approves the request.

        Raises Problem 403 for who asked or decided an earlier step, 409 when another step or none is waited for, or
        nobody decided in time.
        """
        with self._db.write() as db:
            request = _request(db, id)
            if request.state == "asked" and at >= request.ends:
                raise Problem(409, "Not in this state", "The request has expired; it has to be asked anew.")
            if (step := request.step) is None or step.n != n:
                raise Problem(409, "Not in this state", f"This step is not waited for; the request is {request.state}.")
            require_other(request, who)
            db.execute(
                "UPDATE step SET state = ?, who = ?, at = ?, reason = ? WHERE request = ? AND n = ?",
                (verdict, who, at, reason, id, n),
            )
            _note(db, request.case, id, at, who, f"request.{verdict}")
            if verdict == "refused":
                _set(db, "request", id, {"state": "refused", "reason": reason})
            elif n + 1 < len(request.steps):
                due = at + request.steps[n + 1].rule.within_hours * 3600
                db.execute("UPDATE step SET since = ?, due = ? WHERE request = ? AND n = ?", (at, due, id, n + 1))
            else:
                ends = at + request.valid_days * 86_400, at + request.retention_days * 86_400
                _set(
                    db,
                    "request",
                    id,
                    {"state": "approved", "approved_at": at, "expires": ends[0], "destroy_on": ends[1]},
                )
            return _request(db, id)

    def move(
        self, id: str, of: Sequence[State], to: State, who: str, at: float, reason: str | None = None
    ) -> RequestRow:
        """Change a request's state; raises Problem 409 from a state that is none of ``of``."""
        with self._db.write() as db:
            request = _request(db, id)
            if request.state not in of:
                raise Problem(409, "Not in this state", f"The request is {request.state}.")
            if request.state != to:
                _set(db, "request", id, {"state": to, **({"reason": reason} if reason else {})})
                _note(db, request.case, id, at, who, f"request.{to}")
            return _request(db, id)

    def escalate(self, id: str, n: int, at: float) -> None:
        """Note that a step is overdue and who hears of it; nothing when that was done, or it is not waited for."""
        with self._db.write() as db:
            request = _request(db, id)
            if (step := request.step) is not None and step.n == n and not step.escalated_to:
                to = step.rule.escalates_to
                db.execute("UPDATE step SET escalated_to = ? WHERE request = ? AND n = ?", (to, id, n))
                _note(db, request.case, id, at, "system:trace", "request.escalated")

    def keep_under(self, id: str, data: str) -> str:
        """Note the pseudonym that a request's answers lie under, if there is none yet; return the one that counts.

        What is noted is not doomed any more. Raises Problem 409 when the request takes no answers.
        """
        with self._db.write() as db:
            if (state := _request(db, id).state) not in OPEN:
                raise Problem(409, "Not in this state", f"The request is {state}; it takes no answers now.")
            db.execute("UPDATE request SET data = ? WHERE id = ? AND data IS NULL", (data, id))
            kept = _request(db, id).data or ""
            db.execute("DELETE FROM doomed WHERE subject = ?", (kept,))
            return kept

    def answered(self, id: str, answer: AnswerRow) -> RequestRow:
        """Note an answer once; raises Problem 409 when the request takes none any more."""
        with self._db.write() as db:
            request = _request(db, id)
            if any(answer.id == known.id for known in request.answers):
                return request
            if not request.takes_answers(answer.at):
                raise Problem(409, "Not in this state", f"The request is {request.state}; it takes no answers now.")
            db.execute(
                "INSERT INTO answer VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                (id, answer.id, answer.kind, answer.provider, answer.at, answer.rows, answer.accepted,
                 _json(answer.refused)),
            )  # fmt: skip
            kinds = {answer.kind, *(known.kind for known in request.answers)}
            state: State = "answered" if kinds >= set(request.kinds) else "answering"
            due = request.notify_due or answer.at + request.notify_days * 86_400
            _set(db, "request", id, {"state": state, "notify_due": due})
            _note(db, request.case, id, answer.at, answer.provider, "request.answered")
            return _request(db, id)

    def change_request(self, id: str, who: str, at: float, what: str, **columns: Any) -> RequestRow:
        """Change a request's columns but its state, and log it."""
        with self._db.write() as db:
            request = _request(db, id)
            _set(db, "request", id, columns)
            _note(db, request.case, id, at, who, what)
            return _request(db, id)

    def once(self, name: str, value: str) -> str:
        """Keep a value under a name, if there is none yet; return the one that is kept."""
        with self._db.write() as db:
            db.execute("INSERT OR IGNORE INTO once VALUES(?, ?)", (name, value))
            return db.execute("SELECT value FROM once WHERE name = ?", (name,)).fetchone()[0]

    def known(self, name: str) -> str | None:
        """Return what `once` keeps under a name."""
        with self._db.read() as db:
            row = db.execute("SELECT value FROM once WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None


def new_id() -> str:
    """Return an id that nobody guesses."""
    return base64.b32encode(os.urandom(10)).decode().lower()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _set(db: sqlite3.Connection, table: str, id: str, columns: Mapping[str, Any]) -> None:
    if columns:
        sets = ", ".join(f"{column} = ?" for column in columns)
        db.execute(f"UPDATE {table} SET {sets} WHERE id = ?", (*columns.values(), id))  # noqa: S608 - our own names


def _note(db: sqlite3.Connection, case: str, request: str | None, at: float, who: str, what: str) -> None:
    values = (case, request, at, who, what)
    db.execute("INSERT INTO event(of_case, request, at, who, what) VALUES(?, ?, ?, ?, ?)", values)


def _case(db: sqlite3.Connection, id: str) -> CaseRow:
    row = db.execute("SELECT * FROM cases WHERE id = ?", (id,)).fetchone() if id.isprintable() else None
    if row is None:
        raise not_found("There is no such case.")
    return CaseRow(*row)


def _request(db: sqlite3.Connection, id: str) -> RequestRow:
    row = db.execute("SELECT * FROM request WHERE id = ?", (id,)).fetchone() if id.isprintable() else None
    if row is None:
        raise not_found("There is no such request.")
    steps = db.execute(
        "SELECT n, rule, state, since, due, who, at, reason, escalated_to FROM step WHERE request = ? ORDER BY n", (id,)
    ).fetchall()
    answers = db.execute(
        "SELECT id, kind, provider, at, rows, accepted, refused FROM answer WHERE request = ? ORDER BY at, id", (id,)
    ).fetchall()
    seq, id, case, kinds, *rest = row
    return RequestRow(
        seq,
        id,
        case,
        msgspec.json.decode(kinds, type=list[str]),
        *rest,
        steps=[StepRow(n, msgspec.json.decode(rule, type=StepRule), *others) for n, rule, *others in steps],
        answers=[_answer(*answer) for answer in answers],
    )


def _answer(id: str, kind: str, provider: str, at: float, rows: int, accepted: int, refused: str) -> AnswerRow:
    return AnswerRow(id, kind, provider, at, rows, accepted, msgspec.json.decode(refused, type=dict[str, int]))
