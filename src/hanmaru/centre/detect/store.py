"""Rules with their versions, detections, the engine's state and how far it has read: one SQLite file.

Detections, the rows of state that changed and the hub's cursor are committed in one transaction: whatever is killed
when, what was told and what is known belong together. Web workers write rules; one process writes the rest.
"""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import msgspec

from hanmaru.centre.domain import CentreError, Detection
from hanmaru.centre.rules.model import Rule
from hanmaru.centre.rules.state import SEPARATOR, Cell
from hanmaru.platform.disk import private

FILE = "detections.db"
BUSY_MS = 5000
MOST_RULES = 5000
KEPT = 200_000
"""Detections kept; who follows them has read them long before."""
Db: TypeAlias = Any
"""A connection of apsw's, whose own types name things that no type checker finds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rule(
  id TEXT NOT NULL, version INTEGER NOT NULL, changed TEXT NOT NULL, who TEXT NOT NULL, ready INTEGER NOT NULL,
  body BLOB, PRIMARY KEY(id, version)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS detection(seq INTEGER PRIMARY KEY, rule TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS detection_rule ON detection(rule, seq);
CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
"""

_rule = msgspec.json.Decoder(Rule).decode
_rules = msgspec.json.Decoder(list[Rule]).decode
_detection = msgspec.json.Decoder(Detection).decode
_cell = msgspec.msgpack.Decoder(Cell).decode
_json = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True):
    """A rule as it is kept; ``rule`` None: deleted in this version."""

    version: int
    changed: str
    changed_by: str
    ready: bool
    rule: Rule | None


class ClashError(CentreError):
    """Another change of the rule was quicker."""


class _File:
    """A connection that one thread uses at a time."""

    def __init__(self, folder: Path) -> None:
        """Open the file, making it on first use; raises CentreError for what is none."""
        path = folder / FILE
        private(path)
        self._lock = threading.Lock()
        try:
            self._db: Db = apsw.Connection(str(path))
            self._db.set_busy_timeout(BUSY_MS)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            self._db.execute(_SCHEMA)
        except apsw.Error as error:
            raise CentreError(f"{path}: cannot be opened ({error}); restore it from a backup or move it away") from None

    @contextmanager
    def _use(self, *, write: bool = False) -> Generator[Db]:
        with self._lock:
            if not write:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file, once nobody uses it."""
        with self._lock:
            self._db.close()


class DetectionBook(_File):
    """What was detected, for any process; made with the room's folder."""

    def after(self, seq: int, limit: int = 500, rule: str | None = None) -> list[Detection]:
        """Return detections later than ``seq``, oldest first."""
        sql, values = "SELECT body FROM detection WHERE seq>?", [seq]
        if rule is not None:
            sql, values = f"{sql} AND rule=?", [seq, rule]
        with self._use() as db:
            return [_detection(body) for (body,) in db.execute(f"{sql} ORDER BY seq LIMIT ?", (*values, limit))]

    def last(self, rule: str) -> str | None:
        """Return when a rule was last raised, as far as detections are kept."""
        sql = "SELECT body FROM detection WHERE rule=? AND CAST(body AS TEXT) ->> '$.kind'='raise'"
        with self._use() as db:
            body = db.execute(f"{sql} ORDER BY seq DESC LIMIT 1", (rule,)).get
        return None if body is None else _detection(body).at

    def head(self) -> int:
        """Return the newest detection's number, 0 before the first."""
        with self._use() as db:
            return db.execute("SELECT coalesce(max(seq), 0) FROM detection").get


class RuleBook(_File):
    """The rules, each with every version and who made it."""

    def rules(self) -> dict[str, Entry]:
        """Return the rules of now, by id."""
        return self._entries("WHERE version=(SELECT max(version) FROM rule o WHERE o.id=rule.id) AND body IS NOT NULL")

    def get(self, id: str) -> Entry | None:
        """Return a rule."""
        return next(iter(self.versions(id)[:1]), None)

    def versions(self, id: str) -> list[Entry]:
        """Return a rule's versions, the newest first; none for a rule that is deleted."""
        with self._use() as db:
            rows = list(db.execute(_SELECT + " WHERE id=? ORDER BY version DESC LIMIT 100", (id,)))
        entries = [_entry(row) for row in rows]
        return entries if entries and entries[0].rule is not None else []

    def _entries(self, where: str) -> dict[str, Entry]:
        with self._use() as db:
            return {row[0]: _entry(row) for row in db.execute(f"{_SELECT} {where} ORDER BY id")}

    def put(self, rule: Rule, who: str, *, expected: int | None = None, create: bool = False) -> Entry:
        """Keep a rule's next version. Raises `ClashError` where ``expected`` is not the one before, or it is there."""
        return self._write(rule.id, rule, who, expected, create)

    def delete(self, id: str, who: str, *, expected: int | None = None) -> None:
        """Delete a rule; its versions are kept. Raises `ClashError` where ``expected`` is not the one before."""
        self._write(id, None, who, expected, False)

    def _write(self, id: str, rule: Rule | None, who: str, expected: int | None, create: bool) -> Entry:
        with self._use(write=True) as db:
            row = db.execute(
                "SELECT version, body FROM rule WHERE id=? ORDER BY version DESC LIMIT 1", (id,)
            ).fetchone()
            before = 0 if row is None else row[0]
            there = row is not None and row[1] is not None
            if create and there:
                raise ClashError(f"There is a rule {id!r} already; choose another id.")
            if expected is not None and (not there or before != expected):
                raise ClashError("Somebody else changed this rule meanwhile. Load it again and repeat your change.")
            if rule is not None and not there:
                number = db.execute("SELECT count(DISTINCT id) FROM rule").get
                if number >= MOST_RULES:
                    raise CentreError(f"There are {MOST_RULES} rules already; delete some first.")
            version = before + 1
            _insert(db, id, version, who, False, rule)
            return Entry(version, _now(), who, False, rule)

    def add_ready(self, rules: Sequence[Rule]) -> None:
        """Add the ready-made rules that have never been here; a deleted one stays deleted."""
        with self._use() as db:
            known = {id for (id,) in db.execute("SELECT DISTINCT id FROM rule")}
        if fresh := [rule for rule in rules if rule.id not in known]:
            with self._use(write=True) as db:
                for rule in fresh:
                    if not db.execute("SELECT 1 FROM rule WHERE id=?", (rule.id,)).get:
                        _insert(db, rule.id, 1, "hanmaru", True, rule)

    def raised(self) -> Mapping[str, int]:
        """Return how many keys of each rule hold now."""
        counts: dict[str, int] = {}
        with self._use() as db:
            for key, body in db.execute("SELECT key, body FROM state WHERE key>='c' AND key<'d'"):
                if _cell(body).raised:
                    rule = key.split(SEPARATOR)[1]
                    counts[rule] = counts.get(rule, 0) + 1
        return counts


class State(DetectionBook, RuleBook):
    """The following process's own view: all of it, and the one way to write detections."""

    def rules_version(self) -> int:
        """Return a number that grows with every change of a rule."""
        return self.fact("rules") or 0

    def fact(self, name: str) -> Any:
        """Return a fact kept with the state, None where there is none."""
        with self._use() as db:
            return db.execute("SELECT value FROM fact WHERE name=?", (name,)).get

    def applied(self) -> list[Rule]:
        """Return the rules that the kept state belongs to."""
        return _rules(self.fact("applied") or b"[]")

    def rows(self) -> list[tuple[str, bytes]]:
        """Return the rows of the engine's state."""
        with self._use() as db:
            return list(db.execute("SELECT key, body FROM state ORDER BY key"))

    def commit(
        self,
        detections: Sequence[Detection],
        rows: Mapping[str, bytes | None],
        cursor: int,
        clock_s: float,
        listening_s: float,
        applied: Sequence[Rule] | None = None,
    ) -> None:
        """Keep what was detected with the state that follows, and how far the hub was read, together or not at all.

        Detections are numbered here: their ``seq`` is ignored.
        """
        with self._use(write=True) as db:
            if detections:
                first = db.execute("SELECT coalesce(max(seq), 0) FROM detection").get + 1
                numbered = [msgspec.structs.replace(one, seq=first + i) for i, one in enumerate(detections)]
                db.executemany("INSERT INTO detection VALUES(?,?,?)", [(d.seq, d.rule, _json(d)) for d in numbered])
                db.execute("DELETE FROM detection WHERE seq<=?", (numbered[-1].seq - KEPT,))
            kept = [(key, body) for key, body in rows.items() if body is not None]
            gone = [(key,) for key, body in rows.items() if body is None]
            db.executemany("INSERT INTO state VALUES(?,?) ON CONFLICT(key) DO UPDATE SET body=excluded.body", kept)
            db.executemany("DELETE FROM state WHERE key=?", gone)
            facts: list[tuple[str, Any]] = [("cursor", cursor), ("clock", clock_s), ("listening", listening_s)]
            if applied is not None:
                facts.append(("applied", _json(list(applied))))
            db.executemany("INSERT OR REPLACE INTO fact VALUES(?,?)", facts)


_SELECT = "SELECT id, version, changed, who, ready, body FROM rule"


def _entry(row: tuple[str, int, str, str, int, bytes | None]) -> Entry:
    _, version, changed, who, ready, body = row
    return Entry(version, changed, who, bool(ready), None if body is None else _rule(body))


def _insert(db: Db, id: str, version: int, who: str, ready: bool, rule: Rule | None) -> None:
    body = None if rule is None else _json(rule)
    db.execute("INSERT INTO rule VALUES(?,?,?,?,?,?)", (id, version, _now(), who, ready, body))
    db.execute("INSERT INTO fact VALUES('rules', 1) ON CONFLICT(name) DO UPDATE SET value=value+1")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
