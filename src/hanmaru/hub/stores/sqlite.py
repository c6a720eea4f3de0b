"""The embedded store: SQLite in WAL mode, ``synchronous=FULL``, grouped commits, a writer and some readers a process.

Several processes may open the same file. A write is acknowledged when its group is on disk. ``benchmarks/hub`` measures
what it costs.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from hanmaru.hub.model import Change, Entity, decode_change
from hanmaru.hub.past import PastPage, SpanPage
from hanmaru.hub.query import EntityQuery, Has, TemporalQuery
from hanmaru.hub.stores import sqlite_history, sqlite_past, sqlite_read
from hanmaru.hub.stores.base import (
    Delivery,
    Document,
    Page,
    TemporalEntity,
    TemporalPage,
    TypeInfo,
    count_commits,
    outbox_gone,
)
from hanmaru.hub.stores.sqlite_db import Database, connect
from hanmaru.hub.stores.sqlite_schema import DATASETS, SCHEMA, SCHEMA_VERSION
from hanmaru.hub.stores.sqlite_write import Writer
from hanmaru.hub.writes import Decision, Write
from hanmaru.platform.access import Access
from hanmaru.platform.committer import Committer
from hanmaru.platform.problems import Problem

T = TypeVar("T")
READERS = 2
PAST_READERS = 4
"""Readers of many entities' past: they wait for the disk more than they compute, and hold up no other reader."""


class SQLiteStore:
    """`hanmaru.hub.stores.base.Store` on one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        """Name the database file; nothing is opened yet."""
        self.path = Path(path)
        self._local = threading.local()
        self._opened: list[Database] = []

    async def open(self) -> None:
        """Open the file, creating it and its tables where there are none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._create)
        self._writer = Writer()
        self._committer = Committer(self._connect)
        self._committer.on_rollback(self._writer.forget)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._past_readers = ThreadPoolExecutor(PAST_READERS, thread_name_prefix="past")
        self._inline = self._connect()

    async def close(self) -> None:
        """Commit what waits and close every connection."""
        await asyncio.to_thread(self._committer.close)
        self._readers.shutdown(wait=True)
        self._past_readers.shutdown(wait=True)
        for connection in (*self._opened, self._inline):
            connection.close()

    def _create(self) -> None:
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchall()[0]
            if version < SCHEMA_VERSION:
                connection.execute(DATASETS if version else SCHEMA)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
            if version > SCHEMA_VERSION:
                raise RuntimeError(
                    f"{self.path} was written by a newer Hanmaru (schema {version}); install that version"
                )
        finally:
            connection.close()

    def _connect(self) -> Database:
        return connect(self.path)

    async def _read(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, work, args)

    async def _read_past(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._past_readers, self._read_here, work, args)

    def _read_here(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        connection: Database | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._opened.append(connection)
        return work(connection, *args)

    async def write(self, access: Access, writes: Sequence[Write]) -> list[Decision | Problem]:
        """Apply writes in order, each by itself."""
        outcomes = await self._committer.run(lambda db: self._writer.write_all(db, access, writes), len(writes))
        count_commits(outcomes)
        return outcomes

    async def record(self, access: Access, entities: Sequence[Entity]) -> list[Problem | None]:
        """Append instances to history."""
        cost = sum(len(instances) for entity in entities for instances in entity.attrs.values()) // 4
        return await self._committer.run(lambda db: self._writer.record(db, access, entities), cost)

    async def retrieve(self, access: Access, id: str) -> Entity | None:
        """Return an entity; a look-up by id is quicker than a change of thread, so it runs in place."""
        return sqlite_read.retrieve(self._inline, access, id)

    async def query(self, access: Access, query: EntityQuery) -> Page:
        """Return one page of the visible entities that match."""
        if access.unrestricted and _is_a_short_walk(query):  # quicker than a change of thread
            return sqlite_read.query(self._inline, access, query)
        return await self._read(sqlite_read.query, access, query)

    async def types(self, access: Access, only: str | None = None) -> list[TypeInfo]:
        """Return the visible types."""
        return await self._read(sqlite_read.types, access, only)

    async def history(self, access: Access, id: str, query: TemporalQuery) -> TemporalEntity | None:
        """Return one entity's history."""
        return await self._read(sqlite_history.history, access, id, query)

    async def query_history(self, access: Access, query: EntityQuery, temporal: TemporalQuery) -> TemporalPage:
        """Return histories of one page of entities."""
        return await self._read(sqlite_history.query_history, access, query, temporal)

    async def as_of(
        self, access: Access, query: EntityQuery, at: int, attrs: Sequence[str] = (), after: int = -1
    ) -> PastPage:
        """Return a page of entities as they were."""
        return await self._read_past(sqlite_past.as_of, access, query, at, attrs, after)

    async def between(
        self,
        access: Access,
        query: EntityQuery,
        start: int,
        end: int,
        attrs: Sequence[str] = (),
        after: int = -1,
        rows: int = 50_000,
    ) -> SpanPage:
        """Return a page of what changed in a span."""
        return await self._read_past(sqlite_past.between, access, query, (start, end), attrs, after, rows)

    async def delete_history(
        self, access: Access, id: str, attribute: str | None = None, instance: str = "", dataset: str | None = None
    ) -> bool:
        """Delete history that the caller may see."""
        delete = partial(sqlite_history.delete_history, access=access, id=id, attribute=attribute)
        return await self._committer.run(partial(delete, instance=instance, dataset=dataset))

    async def tenants(self) -> list[str]:
        """Return the names of the tenants."""
        return [name for (name,) in self._inline.execute("SELECT name FROM tenant ORDER BY name").fetchall()]

    async def head(self) -> int:
        """Return the sequence number of the newest change."""
        row = self._inline.execute("SELECT seq FROM sqlite_sequence WHERE name='outbox'").fetchone()
        return row[0] if row else 0

    async def changes(self, after: int, limit: int = 500, tenant: str | None = None) -> list[Change]:
        """Return changes later than ``after``."""
        return await self._read(_changes, after, limit, tenant)

    async def trim(self, before: int) -> None:
        """Forget changes up to ``before``, in pieces so that writers wait little."""
        while await self._committer.run(lambda db: _trim(db, before)):
            pass

    async def forget(self, before: int) -> int:
        """Forget old instances, some entities at a time so that writers wait little."""
        forgotten, key = 0, -1
        while key is not None:
            gone, key = await self._committer.run(partial(sqlite_history.forget, before=before, after_key=key))
            forgotten += gone
        return forgotten

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None:
        """Return a document."""
        sql = "SELECT doc FROM document WHERE kind=? AND tenant=? AND id=?"
        row = self._inline.execute(sql, (kind, tenant, id)).fetchone()
        return row[0] if row else None

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes, *, create: bool = False) -> bool:
        """Put a document."""
        return await self._committer.run(lambda db: self._put(db, kind, tenant, id, doc, create))

    def _put(self, db: Database, kind: str, tenant: str, id: str, doc: bytes, create: bool) -> bool:
        self._writer.tenant(db, tenant)
        conflict = "NOTHING" if create else "UPDATE SET doc=excluded.doc"
        db.execute(f"INSERT INTO document VALUES (?,?,?,?) ON CONFLICT DO {conflict}", (kind, tenant, id, doc))
        return _bump(db, kind)

    async def delete_document(self, kind: str, tenant: str, id: str) -> bool:
        """Delete a document."""

        def work(db: Database) -> bool:
            db.execute("DELETE FROM document WHERE kind=? AND tenant=? AND id=?", (kind, tenant, id))
            return _bump(db, kind)

        return await self._committer.run(work)

    async def documents(self, kind: str, tenant: str | None) -> list[tuple[str, Document]]:
        """Return every document of a kind."""
        if tenant is not None:
            sqlite_read.tenant_number(self._inline, tenant)
        sql = "SELECT tenant, id, doc FROM document WHERE kind=? AND (?2 IS NULL OR tenant=?2) ORDER BY tenant, id"
        rows = self._inline.execute(sql, (kind, tenant)).fetchall()
        return [(owner, Document(id, doc)) for owner, id, doc in rows]

    async def document_version(self, kind: str) -> int:
        """Return a number that grows with every change of a document of the kind."""
        row = self._inline.execute("SELECT value FROM counter WHERE name=?", ("version:" + kind,)).fetchone()
        return row[0] if row else 0

    async def cursor(self, consumer: str) -> int | None:
        """Return how far a consumer has come."""
        row = self._inline.execute("SELECT value FROM counter WHERE name=?", ("cursor:" + consumer,)).fetchone()
        return row[0] if row else None

    async def advance(self, consumer: str, seq: int, deliveries: Sequence[Delivery] = ()) -> Sequence[int]:
        """Move a consumer's cursor and keep its deliveries."""

        def work(db: Database) -> list[int]:
            db.execute("INSERT OR REPLACE INTO counter VALUES (?,?)", ("cursor:" + consumer, seq))
            sql = "INSERT INTO delivery (tenant, subscription, due, attempts, doc) VALUES (?,?,?,?,?)"
            ids: list[int] = []
            for d in deliveries:
                db.execute(sql, (d.tenant, d.subscription, d.due, d.attempts, d.doc))
                ids.append(db.last_insert_rowid())
            return ids

        return await self._committer.run(work, 1 + len(deliveries))

    async def waiting(self) -> list[tuple[str, str, int]]:
        """Return how many deliveries wait for each subscription."""
        sql = "SELECT tenant, subscription, count(*) FROM delivery GROUP BY tenant, subscription"

        def work(db: Database) -> list[tuple[str, str, int]]:
            return [(tenant, subscription, number) for tenant, subscription, number in db.execute(sql)]

        return await self._read(work)

    async def deliveries(self, tenant: str, subscription: str, after: int = 0, limit: int = 100) -> list[Delivery]:
        """Return a subscription's deliveries in order."""
        sql = (
            "SELECT tenant, subscription, doc, due, attempts, id FROM delivery "
            "WHERE tenant=? AND subscription=? AND id>? ORDER BY id LIMIT ?"
        )
        where = (tenant, subscription, after, limit)

        def work(db: Database) -> list[Delivery]:
            return [Delivery(*row) for row in db.execute(sql, where)]

        return await self._read(work)

    async def settle(self, done: Sequence[int] = (), retry: Sequence[Delivery] = ()) -> None:
        """Forget what is done, put back what is to be tried again."""

        def work(db: Database) -> None:
            db.executemany("DELETE FROM delivery WHERE id=?", [(id,) for id in done])
            sql = "UPDATE delivery SET due=?, attempts=? WHERE id=?"
            db.executemany(sql, [(delivery.due, delivery.attempts, delivery.id) for delivery in retry])

        await self._committer.run(work, 1 + len(done) + len(retry))


def _is_a_short_walk(query: EntityQuery) -> bool:
    """Whether a query reads no more than a few rows beside the page it returns."""
    if query.count or query.limit > 100 or query.offset > 1_000 or not (query.ids or isinstance(query.types, Has)):
        return False
    return len(query.ids) <= 100 and not (query.q or query.geo or query.scopes or query.attrs or query.id_pattern)


def _changes(db: Database, after: int, limit: int, tenant: str | None) -> list[Change]:
    with db:
        number = None if tenant is None else sqlite_read.tenant_number(db, tenant)
        rows = db.execute(
            "SELECT o.seq, t.name, o.doc FROM outbox o JOIN tenant t ON t.id=o.tenant "
            "WHERE o.seq>?1 AND (?3 IS NULL OR o.tenant=?3) ORDER BY o.seq LIMIT ?2",
            (after, limit, number),
        ).fetchall()
        trimmed = db.execute("SELECT value FROM counter WHERE name='trimmed'").fetchone()
    if trimmed is not None and trimmed[0] > after:
        raise outbox_gone(after)
    return [replace(decode_change(doc), seq=seq, tenant=name) for seq, name, doc in rows]


def _trim(db: Database, before: int) -> bool:
    sql = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE seq<=? ORDER BY seq LIMIT 2000) RETURNING seq"
    removed = db.execute(sql, (before,)).fetchall()
    if removed:
        db.execute("INSERT OR REPLACE INTO counter VALUES ('trimmed', ?)", max(removed))
    return len(removed) == 2_000


def _bump(db: Database, kind: str) -> bool:
    changed = db.changes() > 0
    if changed:
        sql = "INSERT INTO counter VALUES (?,1) ON CONFLICT DO UPDATE SET value=value+1"
        db.execute(sql, ("version:" + kind,))
    return changed
