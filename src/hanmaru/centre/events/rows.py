"""The file ``events.db``: its tables, and what is read and written within one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import Any, Protocol, TypeVar, cast

import apsw
import msgspec

from hanmaru.centre.domain import CentreError
from hanmaru.centre.events.folding import point_of
from hanmaru.centre.events.model import Entry, Event
from hanmaru.centre.procedures.model import Order, Run
from hanmaru.platform.audit.record import Record
from hanmaru.platform.disk import private

FILE = "events.db"
BUSY_S = 20.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event(
  ord INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, number TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
  severity TEXT NOT NULL, category TEXT NOT NULL, opened REAL NOT NULL, lon REAL, lat REAL, due REAL,
  rule TEXT, seq INTEGER NOT NULL UNIQUE, words TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_state ON event(state, ord);
CREATE INDEX IF NOT EXISTS event_rule ON event(rule) WHERE rule IS NOT NULL AND state != 'closed';
CREATE INDEX IF NOT EXISTS event_due ON event(due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS key(key TEXT PRIMARY KEY, event TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked(
  who TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, event TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY(who, key)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS asked_at ON asked(at);
CREATE TABLE IF NOT EXISTS entry(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
  text BLOB NOT NULL, detail BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entry_event ON entry(event, seq);
CREATE TRIGGER IF NOT EXISTS entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'a timeline only grows'); END;
CREATE TRIGGER IF NOT EXISTS entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'a timeline only grows'); END;
CREATE TABLE IF NOT EXISTS run(id TEXT PRIMARY KEY, event TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS notice(
  seq INTEGER PRIMARY KEY, event TEXT NOT NULL, at REAL NOT NULL, role TEXT NOT NULL, text BLOB NOT NULL,
  seen_by TEXT, seen_at REAL) STRICT;
CREATE TABLE IF NOT EXISTS handover(
  key TEXT PRIMARY KEY, event TEXT NOT NULL, run TEXT, step TEXT NOT NULL, kind TEXT NOT NULL, spec BLOB NOT NULL,
  agency TEXT, body BLOB, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL, due REAL,
  reference TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX IF NOT EXISTS handover_due ON handover(due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS handover_event ON handover(event);
CREATE TABLE IF NOT EXISTS agency(
  id TEXT PRIMARY KEY, name BLOB NOT NULL, kind TEXT NOT NULL, endpoint TEXT NOT NULL, machine TEXT,
  subject TEXT NOT NULL, secret INTEGER NOT NULL, at REAL NOT NULL, by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS procedure(
  id TEXT PRIMARY KEY, toml TEXT NOT NULL, at REAL NOT NULL, by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS owed(id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
"""
"""``event.seq`` and ``notice.seq`` count together, in the order of commits; ``owed`` is what the audit trail is still
to be told; ``asked`` is what was raised by hand under an idempotency key, by a digest of the body."""

T = TypeVar("T")


class Rows(Protocol):
    """What a statement yields."""

    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Db(Protocol):
    """A connection."""

    def execute(self, statements: str, bindings: Iterable[object] = (), /) -> Rows: ...
    def changes(self) -> int: ...
    def close(self) -> None: ...


def connect(folder: Path) -> Db:
    """Open the file, making it on first use. ``synchronous=FULL``: what is acknowledged survives a power cut."""
    path = folder / FILE
    private(path)
    connection: Any = apsw.Connection(str(path))
    connection.set_busy_handler(_wait)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(SCHEMA)
    return cast("Db", connection)


def _wait(tries: int) -> bool:
    """Wait a little for another process's commit; its transactions are short."""
    sleep(0.002)
    return tries * 0.002 < BUSY_S


def counted(db: Db, name: str) -> int:
    """Count up and return the new number."""
    return value(db, name, (peek(db, name)) + 1)


def peek(db: Db, name: str) -> int:
    """Return a number that is kept by name; 0 before it is."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def value(db: Db, name: str, number: int) -> int:
    """Keep a number by name, and return it."""
    db.execute(
        "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        (name, number),
    )
    return number


def event(db: Db, id: str) -> Event:
    """Return an event. Raises CentreError where there is none."""
    row = db.execute("SELECT body, seq FROM event WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise CentreError("there is no such event: look it up in the list again")
    return decoded(*row)


def decoded(body: bytes, seq: int) -> Event:
    """Return an event as a row has it."""
    return msgspec.structs.replace(_events.decode(body), seq=seq)


def run(db: Db, found: Event) -> Run | None:
    """Return the run that an event follows."""
    if found.procedure is None:
        return None
    return _runs.decode(db.execute("SELECT body FROM run WHERE id = ?", (found.procedure.run,)).fetchone()[0])


def timeline(db: Db, id: str, after: int = 0, limit: int = 2000) -> list[Entry]:
    """Return entries of an event's timeline, oldest first."""
    rows = db.execute(
        "SELECT at, who, what, text, detail, seq FROM entry WHERE event = ? AND seq > ? ORDER BY seq LIMIT ?",
        (id, after, limit),
    )
    return [
        Entry(at, who, what, msgspec.json.decode(text), msgspec.json.decode(detail), seq)
        for at, who, what, text, detail, seq in rows
    ]


def put(db: Db, found: Event, entries: Sequence[Entry] = (), going: Run | None = None) -> Event:
    """Keep an event as it is now, with new entries of its timeline and its run; return it with its new ``seq``."""
    found = msgspec.structs.replace(found, seq=counted(db, "seq"))
    point = point_of(found.location) or (None, None)
    words = " ".join(
        (found.number, found.category, *found.title.values(), *(found.place or {}).values(), *found.entities[:20])
    )
    db.execute(
        "INSERT INTO event(id, number, state, severity, category, opened, lon, lat, due, rule, seq, words, body)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET state=excluded.state,"
        " severity=excluded.severity, due=excluded.due, seq=excluded.seq, words=excluded.words, body=excluded.body",
        (
            *(found.id, found.number, found.state, found.severity, found.category, found.opened, *point),
            *(found.due, found.rule, found.seq, words.casefold(), msgspec.json.encode(found)),
        ),
    )
    for one in entries:
        db.execute(
            "INSERT INTO entry(event, at, who, what, text, detail) VALUES(?,?,?,?,?,?)",
            (
                *(found.id, one.at, one.who, one.what),
                *(msgspec.json.encode(one.text), msgspec.json.encode(one.detail)),
            ),
        )
    if going is not None:
        db.execute(
            "INSERT INTO run(id, event, body) VALUES(?,?,?) ON CONFLICT(id) DO UPDATE SET body = excluded.body",
            (going.id, going.event, msgspec.json.encode(going)),
        )
    return found


def order(db: Db, found: Event, going: Run | None, orders: Sequence[Order], now: float) -> None:
    """Keep what is to be sent: messages to people, which are read in the desk, and hand-overs."""
    for one in orders:
        if one.kind == "message":
            text = msgspec.json.encode(one.text)
            db.execute(
                "INSERT INTO notice(seq, event, at, role, text) VALUES(?,?,?,?,?)",
                (counted(db, "seq"), found.id, now, one.to, text),
            )
        else:
            db.execute(
                "INSERT OR IGNORE INTO handover(key, event, run, step, kind, spec, state, at, due)"
                " VALUES(?,?,?,?,?,?,'queued',?,?)",
                (one.key, found.id, going and going.id, one.step, one.to, msgspec.json.encode(one), now, now),
            )


def owe(db: Db, record: Record) -> None:
    """Keep what the audit trail is to be told of this transaction."""
    db.execute("INSERT INTO owed(record) VALUES(?)", (msgspec.json.encode(record),))


_events = msgspec.json.Decoder(Event)
_runs = msgspec.json.Decoder(Run)
