"""The room's records: FHIR resources in versions, sealed per person, seen by whom a consent lets.

One `Records` in a process; several processes share the files. A commit is one transaction and acknowledged once it is
on disk; commits that wait together share one flush. Reads by id run on the event loop, on a connection of their own:
they take microseconds, a change of thread several times as long. Whatever may take longer has a thread.
"""

import asyncio
import hashlib
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import structlog

from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.care.fhir import bodies, destruction, history, looks, opening, query, text
from hanmaru.care.fhir.bodies import Sealed
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.sealing import Keyring, KeysWanted
from hanmaru.care.fhir.values import Change, ChangeRow, Found, Look, Page, Reader, Version
from hanmaru.care.fhir.wakeups import Wakeups
from hanmaru.care.fhir.watermark import IndexBehind
from hanmaru.care.fhir.writer import Body, Transaction, body, gone, not_here
from hanmaru.hub.client import HubClient
from hanmaru.platform.audit.record import Audit
from hanmaru.platform.committer import Committer
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.platform.vault import Vault

log = structlog.get_logger()

__all__ = ["Change", "ChangeRow", "Found", "Look", "Page", "Reader", "Records", "Version", "new_id", "opened"]

T = TypeVar("T")

HEALTH_CENTRE: Final = "health-centre"
"""The Organization that the city's own nurses work for."""
INLINE: Final = 8
"""Most changes that are made ready on the event loop; more go to a thread."""
TRIES: Final = 8
READERS: Final = 2
ALL: Final = Reader(SYSTEM_NAME, "all")
"""The room itself."""


def new_id() -> str:
    """Return an id for a new resource."""
    return str(uuid.uuid4())


def now_us() -> int:
    """Return the present instant in µs since 1970."""
    return time.time_ns() // 1000


class Records:
    """The records of one folder, in one process. Open it with `opened`."""

    def __init__(self, folder: Path, vault: Vault, audit: Audit, zone: ZoneInfo) -> None:
        """Name the files; nothing is opened yet."""
        self.files, self.zone = opening.Files(folder), zone
        self.keyring = Keyring(vault)
        self._looks = looks.Looks(self.keyring, audit, self.write)
        self._local = threading.local()
        self._connections: list[Database] = []

    async def open(self) -> None:
        """Open the files, make what is missing, finish what was interrupted, and let the index catch up."""
        await opening.open_keys(self.files, self.keyring)
        await asyncio.to_thread(opening.open_index, self.files, self.keyring)
        self._cursors = self.keyring.room["index"].derive("care search cursor")
        self._committer = Committer(self._connect)
        self.inline = self._connect()
        self._wakeups = Wakeups(self.inline)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="care reader")
        await self.catch_up()
        for owner, subject, reason in await self._read_apart(lambda db: destruction.unfinished(db, self.keyring)):
            try:
                await self._destroy(owner, subject, reason)
            except Problem as problem:  # the others' records are opened all the same; the next start tries again
                log.error("a destruction could not be finished", subject=subject, problem=str(problem))
        await self.keyring.ready()
        await self._first_start()

    async def close(self) -> None:
        """Commit what waits and close the files."""
        await self._wakeups.close()
        await self._looks.close()
        await self.keyring.close()
        await asyncio.to_thread(self._committer.close)
        self._readers.shutdown(wait=True)
        for db in (*self._connections, self.inline):
            db.close()

    # ---- one resource

    async def read(self, reader: Reader, type: str, id: str) -> Version:
        """Return the newest version. Raises Problem 404 (not there, or not to be seen) and 410 (deleted)."""
        return await self._one(lambda: bodies.current(self.inline, type, id, reader, now_us()), reader, type, id)

    async def vread(self, reader: Reader, type: str, id: str, version: int) -> Version:
        """Return one version, if the reader may see that version. Raises as `read` does."""
        return await self._one(
            lambda: bodies.version(self.inline, type, id, version, reader, now_us()),
            reader,
            type,
            f"{id}/_history/{version}",
        )

    async def _one(self, find: Callable[[], Sealed | None], reader: Reader, type: str, id: str) -> Version:
        try:
            row, found = self._opened(find(), type, id)
        except KeysWanted as wanted:
            await self._open_keys(wanted)
            row, found = self._opened(find(), type, id)
        if found.method == "DELETE":
            raise gone(type, id)
        if reader.kind == "organisation":
            await self._note(reader, [row], f"care:{type}/{id}")
        return found

    def _opened(self, row: Sealed | None, type: str, id: str) -> tuple[Sealed, Version]:
        if row is None:
            raise not_here(type, id)
        return row, bodies.opened(self.inline, self.keyring, row)

    # ---- many

    async def history(
        self,
        reader: Reader,
        type: str | None = None,
        id: str | None = None,
        since: int | None = None,
        count: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return a page of versions, newest first, of a resource, a type, or all that may be seen.

        ``since`` in µs since 1970. Raises Problem 404 where a resource has no version to be seen, 400 for a cursor that
        is none.
        """

        def work(db: Database) -> tuple[list[Sealed], list[Version], str | None]:
            rows, following = history.page(db, reader, type, id, since, count, cursor, now_us())
            if id and not rows and not history.page(db, reader, type, id, None, 1, None, now_us())[0]:
                raise not_here(str(type), id)
            return rows, bodies.all_opened(db, self.keyring, rows), following

        rows, versions, following = await self._with_keys_apart(work)
        await self._note(reader, rows, f"care:{'/'.join(filter(None, (type, id, '_history')))}")
        return Page(versions, following)

    async def search(
        self, reader: Reader, type: str | None, asked: Sequence[tuple[str, str]], *, strict: bool = True, base: str = ""
    ) -> Found:
        """Search a type, or all; ``asked`` are names and values, ``base`` this server's address.

        The next page: the same with ``("_cursor", found.next)`` added. Raises Problem 400 for what is not understood.
        """
        plan = query.compile(type, asked, reader, now_us(), strict=strict, zone=self.zone, base=base)

        def work(db: Database) -> tuple[list[Sealed], int, list[Version], query.Found]:
            found = query.search(db, plan, asked, self._cursors)
            rows = bodies.by_keys(db, found.matches), bodies.by_keys(db, found.included)
            versions = bodies.all_opened(db, self.keyring, [*rows[0], *rows[1]])
            return [*rows[0], *rows[1]], len(rows[0]), versions, found

        rows, many, versions, found = await self._with_keys_apart(work)
        await self._note(reader, rows, f"care:{type or ''}?")
        return Found(versions[:many], versions[many:], found.total, found.next, found.ignored)

    # ---- writing

    async def commit(self, reader: Reader, changes: Sequence[Change], idempotency: str | None = None) -> list[Version]:
        """Make changes in one transaction, all or none; return what each led to, once it is on disk.

        A POST without an id gets a new one. Where nothing had to change, the version that was there is returned, not
        ``fresh``. The same ``idempotency`` key of the same caller with the same changes is done once and answered alike
        for 30 days. Raises Problem 400 (not writable), 403 (no consent, or another's), 404 (hidden, or nothing to
        delete), 409 (id taken; with ``retry`` where a condition finds another id than was given), 410 (the person's
        record was destroyed), 412 (another version, several matches), 422 (key used for something else).
        """
        prepared = (
            [self._ready(change) for change in changes]
            if len(changes) <= INLINE
            else await asyncio.to_thread(lambda: [self._ready(change) for change in changes])
        )
        work = Transaction(self.keyring, reader, prepared, self.zone)
        if idempotency:
            work.idempotency = self.keyring.tag("idempotency", f"{reader.who}|{idempotency}")
            work.asked = _digest(changes)
        done = False
        try:
            made = await self.write(work, 4 * len(changes))
            done = True
        finally:
            for patient, person in work.taken.items():
                if not done or patient not in work.used:
                    self.keyring.give_back(person)
        self.keyring.top_up()
        self._wakeups.wake()
        return made

    def _ready(self, change: Change) -> tuple[Change, Body | None]:
        if change.method == "DELETE":
            return change, None
        if change.resource is None:
            raise Problem(400, "No resource", f"A {change.method} of {change.type} comes with a resource.")
        return change, body(change.type, change.id or new_id(), change.resource, self.zone)

    async def write(self, work: Callable[[Database], T], cost: int = 1) -> T:
        """Run work in a transaction, and again with the keys or the index that it wants; for the room's own tables."""
        for _ in range(TRIES):
            try:
                return await self._committer.run(work, cost)
            except KeysWanted as wanted:
                await self._open_keys(wanted)
            except IndexBehind:
                await self.catch_up()
        raise Problem(503, "Not ready", "The records' keys or index are not ready. Try again in a few seconds.")

    async def purge(self, patient: str, reason: str = "asked for by the person") -> bool:
        """Destroy a patient's record for good: the key, then every row. Returns False where there was none.

        On return nothing opens what was sealed, here or in a backup. ``reason`` is for the audit trail, at most 200
        printable characters without names; raises Problem 400 for another.
        """
        if not (0 < len(reason.strip()) <= len(reason) <= 200 and reason.isprintable()):
            raise Problem(400, "State the reason", "Say why it is destroyed, in at most 200 printable characters.")
        row = await self.write(lambda db: destruction.ask(db, patient, reason))
        if row is None:
            return False
        await self._destroy(*row, reason)
        return True

    async def _destroy(self, owner: int, subject: str, reason: str) -> None:
        await self.keyring.desk().destroy(subject, reason)
        self.keyring.forget(subject)
        await self.write(lambda db: destruction.erase(db, self.keyring, owner))
        await self._read_apart(destruction.empty_logs)

    # ---- the change log

    async def changes(self, after: int, limit: int = 500) -> list[ChangeRow]:
        """Return what was committed after a seq, in order; whoever passes it on asks what the receiver may see."""
        return await self._read_apart(lambda db: history.changes(db, after, limit))

    async def head(self) -> int:
        """Return the seq of the last commit."""
        return history.last(self.inline)

    async def position(self, name: str) -> int:
        """Return how far a reader of the change log has come; 0 for one that has not begun."""
        return history.position(self.inline, name)

    async def advance(self, name: str, seq: int) -> None:
        """Note on disk how far a reader of the change log has come; it never goes back."""
        await self.write(lambda db: history.advance(db, name, seq))

    def ticks(self) -> AsyncGenerator[int]:
        """Yield the last commit's seq, at once and whenever any process has committed."""
        return self._wakeups.ticks()

    async def changed(self, after: int, timeout_s: float) -> int:
        """Wait until something is committed after a seq, or so long; return the last commit's seq."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), aclosing(self.ticks()) as ticks:
                async for seq in ticks:
                    if seq > after:
                        return seq
        return history.last(self.inline)

    async def author(self, type: str, id: str) -> Reader:
        """Return as whom a resource was first written. Raises Problem 404 where there is none."""
        row = self.inline.execute(
            "SELECT o.kind, o.id FROM resource r JOIN owner o ON o.key = r.author WHERE r.type = ? AND r.id = ?",
            (type, id),
        ).fetchone()
        if row is None:
            raise not_here(type, id)
        return ALL if row[0] == "room" else Reader(SYSTEM_NAME, row[0], row[1])

    # ---- who looked

    async def looks(self, patient: str, before: int | None = None, limit: int = 50) -> list[Look]:
        """Return who looked at a patient's record, newest first; ``before`` in µs since 1970."""
        await self._looks.flush()
        upto = 2**62 if before is None else before
        return await self._with_keys_apart(lambda db: looks.page(db, self.keyring, patient, upto, limit))

    async def _note(self, reader: Reader, rows: Sequence[Sealed], what: str) -> None:
        """Note that a reader is about to be given versions; only an organisation's people look at others' records."""
        if reader.kind != "organisation" or not rows:
            return
        types: dict[int, dict[str, int]] = {}
        people: dict[int, str] = {}
        for row in rows:
            for owner, subject in bodies.people(self.inline, row):
                people[owner] = subject
                of = types.setdefault(owner, {})
                of[row.type] = of.get(row.type, 0) + 1
        if people:
            self._looks.note(reader, people, types, what, now_us())
            if self._looks.crowded:
                await self._looks.flush()

    async def catch_up(self) -> int:
        """Index what the index lacks; return how many resources that were."""
        done, lost = 0, set[str]()
        while True:
            try:
                count = await self._committer.run(lambda db: opening.index_some(db, self.keyring, self.zone, lost))
            except KeysWanted as wanted:
                await self.keyring.open(wanted.subjects)
                lost.update(each for each in wanted.subjects if not self.keyring.held(each))
                continue
            if not count:
                return done
            done += count

    def _connect(self) -> Database:
        return opening.connected(self.files, self.keyring)

    async def _read_apart(self, work: Callable[[Database], T]) -> T:
        """Run work in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, work)

    def _read_here(self, work: Callable[[Database], T]) -> T:
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            self._connections.append(db)
        return work(db)

    async def _with_keys_apart(self, work: Callable[[Database], T]) -> T:
        """Run work in a reader's thread on one unchanging view, and again with the keys that it wants."""

        def whole(db: Database) -> T:
            with db:
                return work(db)

        return await self._tried(lambda: self._read_apart(whole))

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TRIES):
            try:
                return await work()
            except KeysWanted as wanted:
                await self._open_keys(wanted)
        raise Problem(503, "Not ready", "The records' keys cannot be opened. Try again in a few seconds.")

    async def _open_keys(self, wanted: KeysWanted) -> None:
        await self.keyring.open(wanted.subjects)
        await self.keyring.ready(wanted.spares)
        if any(not self.keyring.held(each) for each in wanted.subjects):
            raise Problem(410, "Destroyed", "This belongs to somebody whose record was destroyed.")

    async def _first_start(self) -> None:
        if not bodies.current(self.inline, "Organization", HEALTH_CENTRE):
            centre = {"active": True, "name": "건강센터", "alias": ["Health centre"]}
            await self.commit(ALL, [Change("PUT", "Organization", HEALTH_CENTRE, centre)])


def _digest(changes: Sequence[Change]) -> bytes:
    digest = hashlib.sha256()
    for each in changes:
        parts = (each.method, each.type, each.id, each.if_match, each.if_none_exist, each.search)
        digest.update(repr(parts).encode())
        digest.update(text.encode(each.resource) if each.resource is not None else b"-")
    return digest.digest()


_opened: WeakKeyDictionary[AsyncExitStack, "asyncio.Task[Records]"] = WeakKeyDictionary()


async def opened(context: Context[HubClient]) -> Records:
    """Return the process's records, opening them on first use; they are closed with the context."""
    task = _opened.get(context.closing)
    if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
        task = _opened[context.closing] = asyncio.create_task(_open(context))
    return await asyncio.shield(task)


async def _open(context: Context[HubClient]) -> Records:
    zone = ZoneInfo(context.city.get("zone", "Asia/Seoul"))
    records = Records(context.data_dir, context.trust.vault, context.trust.audit, zone)
    await records.open()
    context.closing.push_async_callback(records.close)
    return records
