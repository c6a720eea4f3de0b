"""Finding records quickly: an SQLite index over the trail, made from it and never trusted.

The index says where a record lies; what is shown is read from the trail's files and its hash checked. It can be deleted
at any time: `Index.catch_up` makes it again. Checkpoints are not in it: they say nothing of anybody.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from hanmaru.platform.audit.lines import (
    CHECKPOINT,
    GENESIS,
    LINE_BYTES,
    RECOVERED,
    Entry,
    chains,
    last_line,
    link,
    segment,
)
from hanmaru.platform.audit.record import Outcome
from hanmaru.platform.audit.seal import TrailError

VERSION = 1
BATCH_LINES = 5000
MOST_FOUND = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = f"""
CREATE TABLE chains (id INTEGER PRIMARY KEY, name TEXT UNIQUE, segment INTEGER NOT NULL, byte INTEGER NOT NULL) STRICT;
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT;
CREATE TABLE actions (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT;
CREATE TABLE records (
  at INTEGER, chain INTEGER, seq INTEGER, segment INTEGER, byte INTEGER, who INTEGER, action INTEGER, decision TEXT,
  PRIMARY KEY (at, chain, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_who ON records (who);
CREATE INDEX by_action ON records (action);
CREATE INDEX by_both ON records (who, action);
CREATE INDEX by_denial ON records (decision) WHERE decision = 'deny';
CREATE TABLE subjects (
  subject TEXT, at INTEGER, chain INTEGER, seq INTEGER, PRIMARY KEY (subject, at, chain, seq)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


class Query(msgspec.Struct, frozen=True):
    """Which records to find, newest first: those that fit every member given.

    ``since`` (included) and ``until`` (not) are microseconds since 1970; ``before`` is a `Page.next`.
    """

    subject: str | None = None
    who: str | None = None
    action: str | None = None
    decision: Outcome | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 100
    before: str | None = None


class Found(msgspec.Struct, frozen=True):
    """A record as the trail's files have it; ``sound`` tells whether it is unchanged and where the index says."""

    entry: Entry
    hash: str
    sound: bool


class Page(msgspec.Struct, frozen=True):
    """Records found, newest first; ``next`` continues after them; ``behind`` bytes of the trail are not indexed yet."""

    records: tuple[Found, ...]
    next: str | None
    behind: int


def instant(text: str) -> int:
    """Return a date or time that somebody typed as microseconds since 1970; one without a zone is UTC.

    Raises ValueError that says how to write one.
    """
    try:
        time = datetime.fromisoformat(text)
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; write 2026-11-23 or 2026-11-23T09:30:00+09:00") from None


def micros(at: str) -> int:
    """Return an RFC 3339 time as microseconds since 1970. Raises ValueError for another text or one without zone."""
    time = datetime.fromisoformat(at)
    if time.tzinfo is None:
        raise ValueError(f"{at!r} has no zone")
    return (time - _EPOCH) // timedelta(microseconds=1)


class _Line(msgspec.Struct, frozen=True):
    seq: int
    at: str
    who: str
    action: str
    decision: Outcome
    subjects: tuple[str, ...] = ()


class Index:
    """The index of the trail in a folder; every call opens it anew, so that several processes may use it."""

    def __init__(self, folder: Path) -> None:
        """Use ``<folder>/index.db``, which is made when it is first needed."""
        self.folder, self.path = folder, folder / "index.db"

    def rebuild(self) -> None:
        """Forget everything, so that the next `catch_up` begins at the beginning."""
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)

    def behind(self) -> int:
        """Return how many bytes of the trail are not indexed yet."""
        with self._open() as db:
            return self._behind(db)

    def catch_up(self, most: int | None = None, progress: Callable[[int], None] = lambda taken: None) -> int:
        """Index what the trail has more, at most about ``most`` lines; return how many lines that were.

        ``progress`` is told how many bytes a batch took. Raises TrailError where the index cannot be written.
        """
        lines = 0
        with self._open() as db:
            for name in chains(self.folder):
                while (most is None or lines < most) and self._behind(db, name):
                    taken, size = self._batch(db, name)
                    if not size:
                        break
                    lines += taken
                    progress(size)
        return lines

    def search(self, query: Query) -> Page:
        """Find records. Raises ValueError for a cursor that is none, TrailError where the index cannot be read."""
        with self._open() as db:
            rows = self._rows(db, query)
            behind = self._behind(db)
        more = len(rows) > query.limit
        found = [self._read(query, *row) for row in rows[: query.limit]]
        last = rows[query.limit - 1] if more else None
        return Page(tuple(found), f"{last[0]}.{last[1]}.{last[2]}" if last else None, behind)

    def actions(self) -> list[str]:
        """Return the actions that occur in the trail, sorted."""
        with self._open() as db:
            return [name for (name,) in db.execute("SELECT name FROM actions ORDER BY name")]

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """Give a connection; an index that is damaged or of another version is made anew."""
        if not self.folder.is_dir():
            raise TrailError(f"no audit trail in {self.folder}")
        try:
            try:
                db = self._connect()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.rebuild()
                db = self._connect()
            with closing(db):
                yield db
        except sqlite3.Error as error:
            raise TrailError(
                f"cannot use the audit trail's index {self.path}: {error}; it may be deleted, it is made again"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")  # what a power failure damages is made again
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"version {version}")
            if version == 0:
                db.execute("BEGIN IMMEDIATE")
                if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA.strip().split(";\n"):
                        db.execute(statement)
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _behind(self, db: sqlite3.Connection, *names: str) -> int:
        at = {name: (number, byte) for name, number, byte in db.execute("SELECT name, segment, byte FROM chains")}
        behind = 0
        for name in names or chains(self.folder):
            number, byte = at.get(name, (1, 0))
            with suppress(FileNotFoundError):
                behind -= byte
                while True:
                    behind += segment(self.folder / name, number).stat().st_size
                    number += 1
        return max(0, behind)

    def _batch(self, db: sqlite3.Connection, name: str) -> tuple[int, int]:
        """Index up to `BATCH_LINES` lines of a chain, all or none; return lines and bytes."""
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("INSERT OR IGNORE INTO chains (name, segment, byte) VALUES (?, 1, 0)", (name,))
            chain, number, byte = db.execute("SELECT id, segment, byte FROM chains WHERE name = ?", (name,)).fetchone()
            lines, taken = self._lines(segment(self.folder / name, number), byte)
            self._insert(db, chain, number, byte, lines)
            if not lines and segment(self.folder / name, number + 1).exists():
                # A line without an end at the end of a segment is nobody's; the next segment follows.
                number, byte, taken = number + 1, 0, 1
            else:
                byte += taken
            db.execute("UPDATE chains SET segment = ?, byte = ? WHERE id = ?", (number, byte, chain))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        return len(lines), taken

    def _lines(self, path: Path, byte: int) -> tuple[list[bytes], int]:
        lines: list[bytes] = []
        taken = 0
        with suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(byte)
            while len(lines) < BATCH_LINES and (line := file.readline(LINE_BYTES + 1)):
                if len(line) <= LINE_BYTES and not line.endswith(b"\n"):
                    break  # it is being written
                lines.append(line)
                taken += len(line)
        return lines, taken

    def _insert(self, db: sqlite3.Connection, chain: int, number: int, byte: int, lines: list[bytes]) -> None:
        records: list[tuple[int, int, int, int, int, str, str, str]] = []
        subjects: list[tuple[str, int, int, int]] = []
        decoder = msgspec.json.Decoder(_Line)
        for raw in lines:
            with suppress(msgspec.DecodeError, UnicodeDecodeError, ValueError):  # not a record: verification says so
                line = decoder.decode(raw[65:])
                if line.action != CHECKPOINT:
                    at = micros(line.at)
                    records.append((at, chain, line.seq, number, byte, line.who, line.action, line.decision))
                    subjects += ((subject, at, chain, line.seq) for subject in line.subjects)
            byte += len(raw)
        people = self._ids(db, "people", {record[5] for record in records})
        actions = self._ids(db, "actions", {record[6] for record in records})
        db.executemany(
            "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((*record[:5], people[record[5]], actions[record[6]], record[7]) for record in records),
        )
        db.executemany("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?, ?)", subjects)

    def _ids(self, db: sqlite3.Connection, table: str, names: set[str]) -> dict[str, int]:
        # The table is one of our own; values are bound.
        db.executemany(f"INSERT OR IGNORE INTO {table} (name) VALUES (?)", ((name,) for name in sorted(names)))  # noqa: S608
        find = f"SELECT id FROM {table} WHERE name = ?"  # noqa: S608 - the table's name is ours
        return {name: db.execute(find, (name,)).fetchone()[0] for name in names}

    def _rows(self, db: sqlite3.Connection, query: Query) -> list[tuple[int, str, int, int, int]]:
        where: list[str] = []
        values: list[Any] = []

        def limit(condition: str, *bound: Any) -> None:
            where.append(condition)
            values.extend(bound)

        source, key = "records r", "r"
        if query.subject is not None:
            # The join's order is forced: a subject has few records, a person or an action may have millions.
            source, key = "subjects s CROSS JOIN records r USING (at, chain, seq)", "s"
            limit("s.subject = ?", query.subject)
        if query.who is not None:
            limit("r.who = (SELECT id FROM people WHERE name = ?)", query.who)
        if query.action is not None:
            limit("r.action = (SELECT id FROM actions WHERE name = ?)", query.action)
        if query.decision is not None:
            limit(f"r.decision = '{query.decision}'")
        if query.since is not None:
            limit(f"{key}.at >= ?", query.since)
        if query.until is not None:
            limit(f"{key}.at < ?", query.until)
        if query.before is not None:
            at, chain, seq = _cursor(query.before)
            limit("(r.at, r.chain, r.seq) < (?, (SELECT id FROM chains WHERE name = ?), ?)", at, chain, seq)
            limit(f"{key}.at <= ?", at)
        sql = f"""
            SELECT r.at, c.name, r.seq, r.segment, r.byte FROM {source} JOIN chains c ON c.id = r.chain
            {"WHERE " + " AND ".join(where) if where else ""}
            ORDER BY {key}.at DESC, {key}.chain DESC, {key}.seq DESC LIMIT ?
        """  # noqa: S608 - every text joined in is ours; values are bound
        return db.execute(sql, (*values, query.limit + 1)).fetchall()

    def _read(self, query: Query, at: int, chain: str, seq: int, number: int, byte: int) -> Found:
        """Read a record back from the trail, and check that it is unchanged and the one that was looked for."""
        digest, body, sound = read_line(self.folder / chain, number, byte)
        try:
            entry = msgspec.json.decode(body, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            when = (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds")[:-6] + "Z"
            return Found(Entry(seq, when, chain, "", "", f"{chain}/{number:06}.log", "deny"), "", False)
        fits = (
            (entry.chain, entry.seq, micros(entry.at)) == (chain, seq, at)
            and (query.subject is None or query.subject in entry.subjects)
            and query.who in (None, entry.who)
            and query.action in (None, entry.action)
            and query.decision in (None, entry.decision)
        )
        return Found(entry, digest.decode(errors="replace"), sound and fits)


def read_line(chain: Path, number: int, byte: int) -> tuple[bytes, bytes, bool]:
    """Return the hash and body of the line at a place, and whether the hash fits them and the line before."""
    path = segment(chain, number)
    try:
        with path.open("rb") as file:
            start = max(0, byte - 2 * LINE_BYTES)
            file.seek(start)
            before, line = file.read(byte - start), file.readline(LINE_BYTES + 1)
        if not byte:
            before = last_line(segment(chain, number - 1)) if number > 1 else GENESIS + b" \n"
    except FileNotFoundError:
        return b"", b"", False
    digest, body = line[:64], line[65:-1]
    previous = before.splitlines()[-1:]
    if f'"action":"{RECOVERED}"'.encode() in body:
        # It follows the last sound line, after which there may be an unfinished one.
        previous = before.splitlines()
    return digest, body, any(link(each[:64], body) == digest for each in previous)


def _cursor(text: str) -> tuple[int, str, int]:
    at, _, rest = text.partition(".")
    chain, _, seq = rest.rpartition(".")
    if not (chain and at.isascii() and at.isdigit() and len(at) < 19 and seq.isdigit() and len(seq) < 19):
        raise ValueError(f"{text!r} is not where a page ended")
    return int(at), chain, int(seq)


async def keep_index(data: Path, every_s: float = 2.0) -> None:
    """Keep the index near the trail's end until cancelled: background work for one process."""
    index = Index(data / "audit")
    while True:
        if not index.folder.is_dir() or not await asyncio.to_thread(index.catch_up, BATCH_LINES):
            await asyncio.sleep(every_s)
