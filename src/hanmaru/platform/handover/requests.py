"""Requests for hand-over and what became of them, in ``handover.db``: ids, pseudonyms and purposes, no content."""

import base64
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from hanmaru.platform.problems import Problem
from hanmaru.platform.vault.database import Database
from hanmaru.platform.vault.errors import check as vault_check

FILE = "handover.db"
ANNEX = "-received"
"""Ends the name of the part of a room's vault that holds what was handed over to it."""
MOST_RECORDS = 500
"""How many records one hand-over takes."""

State = Literal["requested", "refused", "approved", "delivered", "failed", "expired", "revoked"]
ENDED: tuple[State, ...] = ("refused", "failed", "expired", "revoked")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, giving TEXT NOT NULL, receiving TEXT NOT NULL,
  subject TEXT NOT NULL, asked TEXT NOT NULL, purpose TEXT NOT NULL, requested_by TEXT NOT NULL,
  until TEXT NOT NULL, state TEXT NOT NULL, copy TEXT, receipt TEXT, destroyed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS request_state ON request(state, seq);
CREATE TABLE IF NOT EXISTS event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL, at TEXT NOT NULL, who TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_request ON event(request, seq);
"""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"giving": "from", "receiving": "to"}):
    """What somebody asks for.

    Records of one subject in the giving room, by kind and id or whole kinds, and files by kind and id; what for, on
    which legal basis, until when. ``keep_after_source`` says that the law requires keeping the copy when the
    giving room's data is destroyed.
    """

    giving: str
    receiving: str
    subject: str
    purpose: str
    legal_basis: str
    until: datetime
    records: Sequence[tuple[str, str]] = ()
    kinds: Sequence[str] = ()
    blobs: Sequence[tuple[str, str]] = ()
    keep_after_source: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """One thing that was delivered: SHA-256 over the hand-over's salt and the record as sorted JSON or the file."""

    kind: str
    id: str
    sha256: str
    form: Literal["record", "blob"] = "record"


class Event(msgspec.Struct, frozen=True):
    """A line of a request's timeline."""

    at: datetime
    who: str
    state: State
    reason: str


class Request(Asked, frozen=True, kw_only=True, rename={"giving": "from", "receiving": "to"}):
    """A request as it stands. ``copy`` is the pseudonym of the copy in the receiving room."""

    id: str
    requested_by: str
    state: State
    copy: str | None = None
    receipt: Sequence[Receipt] = ()
    timeline: Sequence[Event] = ()


class Requests(msgspec.Struct, frozen=True):
    """A page of requests, newest first; ``next`` is the ``before`` of the following page."""

    requests: Sequence[Request]
    next: int | None


def check(asked: Asked, most_days: float) -> None:
    """Refuse, by Problem 400, what cannot be carried out; the text quotes nothing."""
    for room in (asked.giving, asked.receiving):
        if vault_check("room", room).endswith(ANNEX) or len(room + ANNEX) > 32:
            raise Problem(400, "Invalid request", "That is no room that data is handed over from or to.")
    vault_check("subject", asked.subject)
    for kind, id in (*asked.records, *asked.blobs):
        vault_check("kind", kind)
        vault_check("id", id)
    for kind in asked.kinds:
        vault_check("kind", kind)
    if asked.giving == asked.receiving:
        raise Problem(400, "Invalid request", "A room has its own data already.")
    if not 0 < len(asked.records) + len(asked.kinds) + len(asked.blobs) <= MOST_RECORDS:
        raise Problem(400, "Invalid request", f"Ask for 1 to {MOST_RECORDS} records, kinds and blobs.")
    for name, text in (("purpose", asked.purpose), ("legal_basis", asked.legal_basis)):
        if not text.strip() or len(text) > 200 or not text.isprintable():
            raise Problem(400, "Invalid request", f"{name} is 1 to 200 printable characters.")
    now = datetime.now(UTC)
    if asked.until.tzinfo is None or not now < asked.until <= now + timedelta(days=most_days):
        raise Problem(
            400, "Invalid request", f"until is an instant with its zone, at most {most_days:g} days from now."
        )


class Book:
    """The file of requests. Blocks: call it from a thread."""

    def __init__(self, data: Path) -> None:
        """Name the data folder; the file is opened on first use."""
        self._path = data / FILE
        self._opened: Database | None = None

    @property
    def _db(self) -> Database:
        if self._opened is None:
            self._opened = Database(self._path, _SCHEMA)
        return self._opened

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def add(self, asked: Asked, who: str) -> Request:
        """Note a request; return it with its id."""
        id = base64.b32encode(os.urandom(10)).decode().lower()
        with self._db.write() as db:
            db.execute(
                "INSERT INTO request(id, giving, receiving, subject, asked, purpose, requested_by, until, state)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'requested')",
                (
                    id,
                    asked.giving,
                    asked.receiving,
                    asked.subject,
                    msgspec.json.encode(asked).decode(),
                    asked.purpose,
                    who,
                    asked.until.isoformat(),
                ),
            )
            _note(db, id, who, "requested", "")
            return _request(db, _row(db, id))

    def get(self, id: str) -> Request:
        """Return a request with its timeline; raises Problem 404 when there is none."""
        with self._db.read() as db:
            request = _request(db, _row(db, id))
            rows = db.execute("SELECT at, who, state, reason FROM event WHERE request = ? ORDER BY seq", (id,))
            timeline = [Event(datetime.fromisoformat(at), *rest) for at, *rest in rows]
        return msgspec.structs.replace(request, timeline=timeline)

    def list(
        self, states: Sequence[State] = (), room: str = "", limit: int = 100, before: int | None = None
    ) -> Requests:
        """Return requests, newest first: of some states, to or from a room, made before another."""
        where, values = ["seq < ?"], list[Any]([before if before is not None else 2**62])
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        if room:
            where.append("? IN (giving, receiving)")
            values.append(room)
        with self._db.read() as db:
            sql = f"SELECT * FROM request WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own
            rows = db.execute(sql, (*values, limit)).fetchall()
            return Requests([_request(db, row) for row in rows], rows[-1][0] if len(rows) == limit else None)

    def move(
        self, id: str, of: Sequence[State], to: State, who: str, reason: str = "", **columns: str | None
    ) -> Request:
        """Change a request's state, and ``copy`` and ``receipt`` where given; raises Problem 409 from another state."""
        with self._db.write() as db:
            request = _request(db, _row(db, id))
            if request.state not in of:
                raise Problem(409, "Not in this state", f"The hand-over is {request.state}; this asks for {of[0]}.")
            changes = {"state": to, **columns}
            sets = ", ".join(f"{column} = ?" for column in changes)
            db.execute(f"UPDATE request SET {sets} WHERE id = ?", (*changes.values(), id))  # noqa: S608 - our own
            if to != request.state:
                _note(db, id, who, to, reason)
            return _request(db, _row(db, id))

    def undestroyed(self) -> Sequence[Request]:
        """Return the requests that have ended and whose copy has not been destroyed for certain."""
        with self._db.read() as db:
            marks = ", ".join("?" * len(ENDED))
            # The marks are question marks; values are bound.
            sql = f"SELECT * FROM request WHERE destroyed = 0 AND copy IS NOT NULL AND state IN ({marks})"  # noqa: S608
            return [_request(db, row) for row in db.execute(sql, ENDED).fetchall()]

    def destroyed(self, id: str) -> None:
        """Note that a request's copy is destroyed."""
        with self._db.write() as db:
            db.execute("UPDATE request SET destroyed = 1 WHERE id = ?", (id,))


def _note(db: sqlite3.Connection, id: str, who: str, state: State, reason: str) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    db.execute("INSERT INTO event(request, at, who, state, reason) VALUES(?, ?, ?, ?, ?)", (id, at, who, state, reason))


def _row(db: sqlite3.Connection, id: str) -> tuple[Any, ...]:
    row = db.execute("SELECT * FROM request WHERE id = ?", (id,)).fetchone() if id.isprintable() else None
    if row is None:
        raise Problem(404, "Resource not found", "There is no such hand-over.")
    return row


def _request(_db: sqlite3.Connection, row: tuple[Any, ...]) -> Request:
    _seq, id, _giving, _receiving, _subject, asked, _purpose, requested_by, _until, state, copy, receipt, _ = row
    return Request(
        **msgspec.structs.asdict(msgspec.json.decode(asked, type=Asked)),
        id=id,
        requested_by=requested_by,
        state=state,
        copy=copy,
        receipt=msgspec.json.decode(receipt, type=list[Receipt]) if receipt else (),
    )
