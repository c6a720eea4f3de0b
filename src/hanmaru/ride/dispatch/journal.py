"""The dispatcher's journal, ``journal.db``: every event in order, snapshots, riders' trips, and answers given.

One thread commits. All that came while it flushed goes into the next transaction together, so that a flush to disk
serves everybody who waited. An answer may leave when the future that `Journal.append` returned is done: then its
events survive ``kill -9`` and a power failure. What is here of a person is under a pseudonym, and ends with `forget`.
"""

import asyncio
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import structlog

from hanmaru.platform.disk import private
from hanmaru.platform.problems import Problem
from hanmaru.ride.domain import RideError

log = structlog.get_logger()

Db: TypeAlias = Any
"""A connection of apsw's, whose own types name things that no type checker finds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event(
  seq INTEGER PRIMARY KEY, time_s INTEGER NOT NULL, passing INTEGER NOT NULL, body BLOB NOT NULL,
  sum INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_time ON event(time_s);
CREATE INDEX IF NOT EXISTS event_passing ON event(seq) WHERE passing;
CREATE TABLE IF NOT EXISTS snapshot(seq INTEGER PRIMARY KEY, body BLOB NOT NULL, sum INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trip(
  id TEXT PRIMARY KEY, rider TEXT NOT NULL, open INTEGER NOT NULL, changed_s INTEGER NOT NULL, body BLOB NOT NULL)
  STRICT;
CREATE INDEX IF NOT EXISTS trip_rider ON trip(rider, changed_s);
CREATE INDEX IF NOT EXISTS trip_open ON trip(open, changed_s);
CREATE TABLE IF NOT EXISTS answer(key TEXT PRIMARY KEY, time_s INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS answer_time ON answer(time_s);
CREATE TABLE IF NOT EXISTS figure(time_s INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""
FILE = "journal.db"
BUSY_MS = 10_000
WIPE_MS, WIPES = 20, 10
"""How long, and how often, readers are waited for where the log is to be emptied: commits wait, too."""
PASSING, WALKING = 1, 2
"""What becomes of an event once every snapshot holds it: it is deleted, or stays without the walks in it."""
STEP_S = 300
"""The service's figures are kept every so many seconds."""
SNAPSHOTS = 3
"""How many snapshots are kept: one may be damaged."""
ANSWERS_S = 2 * 86_400
"""For how long an answer is kept for a client that asks the same again."""
MOST_WAITING = 20_000
"""Rows that may wait for a flush; when so many do, the disk has stopped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one decision changes, all or nothing.

    ``events`` are (seq, time_s, passing, body), of which `PASSING` ones are kept only until every snapshot holds them,
    and `WALKING` ones lose then how far somebody walked;
    ``trips`` (id, rider, open, changed_s, body), ``answers`` (key, time_s, body), ``facts`` (name, body), of which only
    the last is kept.
    """

    events: Sequence[tuple[int, int, int, bytes]] = ()
    trips: Sequence[tuple[str, str, bool, int, bytes]] = ()
    answers: Sequence[tuple[str, int, bytes]] = ()
    facts: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class _Group:
    """What one transaction will hold, and who waits for it."""

    durable: asyncio.Future[None]
    events: list[tuple[int, int, int, bytes, int]] = field(default_factory=list[tuple[int, int, int, bytes, int]])
    trips: dict[str, tuple[str, str, bool, int, bytes]] = field(
        default_factory=dict[str, tuple[str, str, bool, int, bytes]]
    )
    answers: list[tuple[str, int, bytes]] = field(default_factory=list[tuple[str, int, bytes]])
    facts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    others: list[Callable[[Db], object]] = field(default_factory=list[Callable[[Db], object]])


class Journal:
    """The file, written by the one process that holds the lock. For use from the event loop that made it."""

    def __init__(self, path: Path, bare: Callable[[bytes], bytes] = bytes) -> None:
        """Open a file, making it on first use; raises RideError for one that cannot be used.

        ``bare`` returns an event without how far somebody walked: two or three walks tell where they live.
        """
        self._bare = bare
        self._wipe = False
        self._loop = asyncio.get_running_loop()
        self._db = connect(path)
        self._news = threading.Condition()
        self._group = _Group(self._loop.create_future())
        self._waiting = 0
        self._closing = False
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Ends with the error of a transaction that could not be committed: nothing more will be."""
        self._durable: asyncio.Future[None] = self._loop.create_future()
        self._durable.set_result(None)
        self._thread = threading.Thread(target=self._run, name="ride journal", daemon=True)
        self._thread.start()

    def append(self, entry: Entry) -> asyncio.Future[None]:
        """Take a decision into the next transaction; the future is done when it is on disk.

        Raises Problem 503 once the journal has `failed`.
        """
        if self.failed.done():
            raise Problem(503, "The dispatcher is away", "It will be back in a moment. Try again.", retry_after_s=2)
        with self._news:
            group = self._group
            group.events += [(seq, at, passing, body, zlib.crc32(body)) for seq, at, passing, body in entry.events]
            for trip in entry.trips:
                group.trips[trip[0]] = trip
            group.answers += entry.answers
            group.facts.update(entry.facts)
            self._waiting += 1
            self._news.notify()
        self._durable = group.durable
        return group.durable

    def fail(self, error: Exception) -> None:
        """Take nothing more: a decision was made and cannot be written, so what follows would not fit."""
        if not self.failed.done():
            self.failed.set_exception(error)

    def durable(self) -> asyncio.Future[None]:
        """Return the future that is done when everything that was appended is on disk."""
        return self._durable

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that nothing more should be begun."""
        return self._waiting > MOST_WAITING

    def snapshot(self, seq: int, body: bytes) -> None:
        """Keep a snapshot of everything up to an event, instead of the oldest of `SNAPSHOTS`."""

        def work(db: Db) -> None:
            packed = zlib.compress(body, 1)
            db.execute("INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?)", (seq, packed, zlib.crc32(packed)))
            db.execute(
                "DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?)",
                (SNAPSHOTS,),
            )
            held = "passing AND passing = ? AND seq <= (SELECT min(seq) FROM snapshot)"
            db.execute(f"DELETE FROM event WHERE {held}", (PASSING,))  # noqa: S608 - our own words
            walks = [
                (body, zlib.crc32(body), seq)
                for seq, walk in list(db.execute(f"SELECT seq, body FROM event WHERE {held}", (WALKING,)))  # noqa: S608
                for body in (self._bare(walk),)
            ]
            db.executemany("UPDATE event SET passing = 0, body = ?, sum = ? WHERE seq = ?", walks)

        self._also(work)

    def forget(self, before_s: int, now_s: int) -> None:
        """Delete what ended before an instant: events that every snapshot holds, trips that are over, old answers."""

        def work(db: Db) -> None:
            db.execute(
                "DELETE FROM event WHERE time_s < ? AND seq <= (SELECT coalesce(min(seq), 0) FROM snapshot)",
                (before_s,),
            )
            db.execute("DELETE FROM trip WHERE NOT open AND changed_s < ?", (before_s,))
            db.execute("DELETE FROM answer WHERE time_s < ?", (now_s - ANSWERS_S,))
            db.execute("DELETE FROM figure WHERE time_s < ?", (before_s,))
            self._wipe = True

        self._also(work)

    def rewrite(self, before_s: int, anew: Callable[[bytes], bytes | None]) -> None:
        """Write trips that were over before an instant anew, once each, those of `STEP_S` at a time.

        What ``anew`` makes None of is deleted.
        """

        def work(db: Db) -> None:
            done = next((int(body) for (body,) in db.execute("SELECT body FROM fact WHERE name = 'rewritten'")), 0)
            ((first,),) = list(db.execute("SELECT min(changed_s) FROM trip WHERE open = 0 AND changed_s >= ?", (done,)))
            if first is None or first >= before_s:
                return
            upto = min(first + STEP_S, before_s)
            sql = "SELECT body, id FROM trip WHERE open = 0 AND changed_s >= ? AND changed_s < ?"
            rows = [(anew(body), id) for body, id in list(db.execute(sql, (first, upto)))]
            db.executemany("UPDATE trip SET body = ? WHERE id = ?", [row for row in rows if row[0] is not None])
            db.executemany("DELETE FROM trip WHERE id = ?", [(id,) for body, id in rows if body is None])
            db.execute("INSERT OR REPLACE INTO fact VALUES('rewritten', ?)", (str(upto).encode(),))

        self._also(work)

    def destroy(self, rider: str) -> asyncio.Future[None]:
        """Delete a person's trips that are over, and the answers that lead to trips.

        The future is done when they are gone from the file and its log. Events stay: they tell of stops, and nothing
        leads from a trip's id to a person any more.
        """

        def work(db: Db) -> None:
            db.execute("DELETE FROM trip WHERE rider = ? AND NOT open", (rider,))
            db.execute("DELETE FROM answer WHERE key >= ? || ' ' AND key < ? || '!'", (rider, rider))
            self._wipe = True

        return self._also(work)

    def note(self, name: str, body: bytes) -> asyncio.Future[None]:
        """Keep a fact under a name."""
        return self.append(Entry(facts=[(name, body)]))

    def figure(self, at_s: int, body: bytes) -> None:
        """Keep the figures of a time."""
        self._also(lambda db: db.execute("INSERT OR REPLACE INTO figure VALUES(?, ?)", (at_s, body)))

    def begin_anew(self) -> asyncio.Future[None]:
        """Forget events, snapshots, facts and answers, since numbers begin anew; no trip is open any more."""

        def work(db: Db) -> None:
            for table in ("event", "snapshot", "fact", "answer"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            db.execute("UPDATE trip SET open = 0")

        return self._also(work)

    def _also(self, work: Callable[[Db], object]) -> asyncio.Future[None]:
        with self._news:
            self._group.others.append(work)
            self._news.notify()
        self._durable = self._group.durable
        return self._durable

    def close(self) -> None:
        """Commit what waits and close the file; blocks."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._closing and not self._has_work():
                    self._news.wait()
                if not self._has_work():
                    return
                group, self._waiting = self._group, 0
                self._group = _Group(self._loop.create_future())
            try:
                self._commit(group)
            except Exception as error:
                log.critical("the ride journal cannot be written", error=str(error))
                self._tell(group.durable, error)
                return
            self._tell(group.durable, None)

    def _has_work(self) -> bool:
        group = self._group
        return self._waiting > 0 or bool(group.others)

    def _commit(self, group: _Group) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            if group.events:
                db.executemany("INSERT INTO event VALUES(?, ?, ?, ?, ?)", group.events)
            if group.trips:
                db.executemany("INSERT OR REPLACE INTO trip VALUES(?, ?, ?, ?, ?)", group.trips.values())
            if group.answers:
                db.executemany("INSERT OR IGNORE INTO answer VALUES(?, ?, ?)", group.answers)
            if group.facts:
                db.executemany("INSERT OR REPLACE INTO fact VALUES(?, ?)", group.facts.items())
            for work in group.others:
                work(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        if self._wipe:
            self._empty_log()

    def _empty_log(self) -> None:
        """Bring the log into the file and empty it; the next transaction tries again if readers do not let go."""
        self._db.set_busy_timeout(WIPE_MS)
        for _ in range(WIPES):
            with suppress(apsw.Error):
                self._wipe = bool(next(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))[0])
            if not self._wipe:
                break
            time.sleep(WIPE_MS / 1000)  # another checkpoint is not waited for by SQLite itself
        self._db.set_busy_timeout(BUSY_MS)

    def _tell(self, durable: "asyncio.Future[None]", error: Exception | None) -> None:
        def tell() -> None:
            if error is None:
                if not durable.done():
                    durable.set_result(None)
                return
            for future in (durable, self.failed):
                if not future.done():
                    future.set_exception(error)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tell)


class Reader:
    """The file as whoever may not write it reads it: the standby, what looks back. Blocks; one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it on first use; raises RideError for one that cannot be used."""
        self._path, self._db = path, connect(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def checkpoint(self) -> None:
        """Bring the log's pages into the file, as far as that keeps nobody waiting."""
        self._rows("PRAGMA wal_checkpoint(PASSIVE)")

    def snapshots(self) -> list[tuple[int, bytes]]:
        """Return the snapshots as (seq, body), the newest first; a damaged one is logged and left out."""
        found: list[tuple[int, bytes]] = []
        for seq, packed, sum in self._rows("SELECT seq, body, sum FROM snapshot ORDER BY seq DESC"):
            if zlib.crc32(packed) == sum:
                found.append((seq, zlib.decompress(packed)))
            else:
                log.error("a snapshot of the ride journal is damaged; an older one is used", seq=seq)
        return found

    def events(self, after: int, most: int = 10_000) -> list[tuple[int, int, bytes]]:
        """Return events after a number as (seq, time_s, body), at most ``most``.

        Raises RideError for one that is damaged or missing: what comes after it cannot be applied.
        """
        found: list[tuple[int, int, bytes]] = []
        rows = self._rows("SELECT seq, time_s, body, sum FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, most))
        for seq, time_s, body, sum in rows:
            if seq != after + 1 + len(found) or zlib.crc32(body) != sum:
                raise RideError(
                    f"{self._path}: event {after + 1 + len(found)} is damaged or missing;"
                    " restore the file from a backup"
                )
            found.append((seq, time_s, body))
        return found

    def last_events(self, since: int, most: int) -> list[bytes]:
        """Return the last ``most`` events after a number but passing ones, newest first."""
        sql = "SELECT body FROM event WHERE seq > ? AND passing <> ? ORDER BY seq DESC LIMIT ?"
        return [body for (body,) in self._rows(sql, (since, PASSING, most))]

    def figures(self, since_s: int) -> list[bytes]:
        """Return the figures that were kept since, oldest first."""
        return [body for (body,) in self._rows("SELECT body FROM figure WHERE time_s >= ? ORDER BY time_s", (since_s,))]

    def open_trips(self) -> list[bytes]:
        """Return the trips that are not over."""
        return [body for (body,) in self._rows("SELECT body FROM trip WHERE open")]

    def trip(self, id: str) -> bytes | None:
        """Return a trip."""
        return next((body for (body,) in self._rows("SELECT body FROM trip WHERE id = ?", (id,))), None)

    def trips_of(self, rider: str, most: int) -> list[bytes]:
        """Return a rider's last trips, newest first."""
        sql = "SELECT body FROM trip WHERE rider = ? ORDER BY changed_s DESC LIMIT ?"
        return [body for (body,) in self._rows(sql, (rider, most))]

    def trips(self, since_s: int, most: int) -> list[bytes]:
        """Return everybody's trips that changed since, newest first."""
        sql = "SELECT body FROM trip WHERE changed_s >= ? ORDER BY changed_s DESC LIMIT ?"
        return [body for (body,) in self._rows(sql, (since_s, most))]

    def answer(self, key: str) -> bytes | None:
        """Return what was answered to a key."""
        return next((body for (body,) in self._rows("SELECT body FROM answer WHERE key = ?", (key,))), None)

    def fact(self, name: str) -> bytes | None:
        """Return what was last kept under a name."""
        return next((body for (body,) in self._rows("SELECT body FROM fact WHERE name = ?", (name,))), None)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return list(self._db.execute(sql, tuple(values)))
        except apsw.Error as error:
            raise RideError(f"{self._path}: cannot be read ({error}); restore the file from a backup") from None


def connect(path: Path) -> Db:
    """Open a journal, making it on first use; raises RideError for what is none."""
    private(path)
    try:
        db: Db = apsw.Connection(str(path))
        db.set_busy_timeout(BUSY_MS)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA wal_autocheckpoint=0")  # `Reader.checkpoint` does, so that no commit waits for it
        db.execute(_SCHEMA)
    except apsw.Error as error:
        raise RideError(f"{path}: not a ride journal ({error}); restore it from a backup, or move it away") from None
    return db
