"""The grown store: PostgreSQL 15 or later, without extensions. Needs ``pip install hanmaru[postgres]``.

Any number of processes may open the same database. A write is acknowledged when its transaction is on disk.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from msgspec.structs import replace

from hanmaru.hub.model import Change, Entity, decode_change
from hanmaru.hub.past import PastPage, SpanPage
from hanmaru.hub.query import EntityQuery, TemporalQuery
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
from hanmaru.hub.stores.postgres_schema import DATASETS, SCHEMA, SCHEMA_VERSION
from hanmaru.hub.writes import Decision, Write
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

try:
    from hanmaru.hub.stores import postgres_history, postgres_past, postgres_read
    from hanmaru.hub.stores.postgres_db import Connection, Names, connected, execute, fetch, integers, make_pool
    from hanmaru.hub.stores.postgres_groups import Groups
    from hanmaru.hub.stores.postgres_write import Job
except ImportError as error:
    raise ImportError("the PostgreSQL store needs its driver: pip install 'hanmaru[postgres]'") from error

SCHEMA_LOCK = 0x4841_4E53
"""``HANS``: the advisory lock under which tables are made."""

MAX_BATCH = 5_000
TRIM_STEP = 2_000


class PostgresStore:
    """`hanmaru.hub.stores.base.Store` on one PostgreSQL database. Belongs to the event loop that opened it."""

    def __init__(self, url: str) -> None:
        """Name the database (a libpq URL); nothing is opened yet."""
        self.url = url

    async def open(self) -> None:
        """Connect, and make the tables where there are none."""
        self._pool = make_pool(self.url)
        await self._pool.open()
        try:
            async with self._connection() as connection, connection.transaction():
                await _create(connection)
        except BaseException:
            await self._pool.close()
            raise
        self._names = Names(self._pool)
        self._groups = Groups(self._pool, self._names)

    async def close(self) -> None:
        """Commit what waits and close every connection."""
        await self._groups.close()
        await self._pool.close()

    def _connection(self) -> AbstractAsyncContextManager[Connection]:
        return connected(self._pool)

    async def _fetch(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        async with self._connection() as connection:
            return await fetch(connection, sql, params)

    async def write(self, access: Access, writes: Sequence[Write]) -> list[Decision | Problem]:
        """Apply writes in order, each by itself; a batch is one transaction (of 5,000 writes at most)."""
        outcomes: list[Decision | Problem] = []
        for start in range(0, len(writes) or 1, MAX_BATCH):
            job = Job(access, writes[start : start + MAX_BATCH])
            outcomes += cast("list[Decision | Problem]", await self._groups.run(job))
        count_commits(outcomes)
        return outcomes

    async def record(self, access: Access, entities: Sequence[Entity]) -> list[Problem | None]:
        """Append instances to history."""
        outcomes: list[Problem | None] = []
        for start in range(0, len(entities), MAX_BATCH):
            job = Job(access, records=entities[start : start + MAX_BATCH])
            outcomes += cast("list[Problem | None]", await self._groups.run(job))
        return outcomes

    async def retrieve(self, access: Access, id: str) -> Entity | None:
        """Return an entity."""
        async with self._connection() as connection:
            return await postgres_read.retrieve(connection, self._names, access, id)

    async def query(self, access: Access, query: EntityQuery) -> Page:
        """Return one page of the visible entities that match."""
        async with self._connection() as connection:
            return await postgres_read.query(connection, self._names, access, query)

    async def types(self, access: Access, only: str | None = None) -> list[TypeInfo]:
        """Return the visible types."""
        async with self._connection() as connection:
            return await postgres_read.types(connection, self._names, access, only)

    async def history(self, access: Access, id: str, query: TemporalQuery) -> TemporalEntity | None:
        """Return one entity's history."""
        async with self._connection() as connection:
            return await postgres_history.history(connection, self._names, access, id, query)

    async def query_history(self, access: Access, query: EntityQuery, temporal: TemporalQuery) -> TemporalPage:
        """Return histories of one page of entities."""
        async with self._connection() as connection:
            return await postgres_history.query_history(connection, self._names, access, query, temporal)

    async def as_of(
        self, access: Access, query: EntityQuery, at: int, attrs: Sequence[str] = (), after: int = -1
    ) -> PastPage:
        """Return a page of entities as they were."""
        async with self._connection() as connection:
            return await postgres_past.as_of(connection, self._names, access, query, at, attrs, after)

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
        span = (start, end)
        async with self._connection() as connection:
            return await postgres_past.between(connection, self._names, access, query, span, attrs, after, rows)

    async def delete_history(
        self, access: Access, id: str, attribute: str | None = None, instance: str = "", dataset: str | None = None
    ) -> bool:
        """Delete history that the caller may see."""
        what = attribute, instance, dataset
        async with self._connection() as connection:
            return await postgres_history.delete_history(connection, self._names, access, id, *what)

    async def tenants(self) -> list[str]:
        """Return the names of the tenants."""
        return [name for (name,) in await self._fetch("SELECT name FROM tenant ORDER BY name")]

    async def head(self) -> int:
        """Return the sequence number of the newest change."""
        ((seq,),) = await self._fetch(
            "SELECT coalesce((SELECT max(seq) FROM outbox), (SELECT value FROM counter WHERE name='trimmed'), 0)"
        )
        return seq

    async def changes(self, after: int, limit: int = 500, tenant: str | None = None) -> list[Change]:
        """Return changes later than ``after``: numbers follow commits, so none comes to light later on."""
        async with self._connection() as connection:
            number = None if tenant is None else await self._names.tenant(connection, tenant)
            rows = await fetch(
                connection,
                "SELECT c.trimmed, o.seq, o.name, o.doc FROM "
                "(SELECT coalesce((SELECT value FROM counter WHERE name='trimmed'), 0) AS trimmed) c LEFT JOIN LATERAL "
                "(SELECT o.seq, t.name, o.doc FROM outbox o JOIN tenant t ON t.id=o.tenant WHERE o.seq>? "
                "AND (?::int IS NULL OR o.tenant=?) ORDER BY o.seq LIMIT ?) o ON true ORDER BY o.seq",
                (after, number, number, limit),
            )
        if rows[0][0] > after:
            raise outbox_gone(after)
        return [replace(decode_change(row[3]), seq=row[1], tenant=row[2]) for row in rows if row[1] is not None]

    async def trim(self, before: int) -> None:
        """Forget changes up to ``before``, in pieces so that others wait little."""
        removed = TRIM_STEP
        while removed == TRIM_STEP:
            sql = (
                "WITH gone AS (DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE seq<=? ORDER BY seq "
                "LIMIT ?) RETURNING seq), kept AS (INSERT INTO counter SELECT 'trimmed', max(seq) FROM gone "
                "HAVING count(*)>0 ON CONFLICT (name) DO UPDATE SET value=greatest(counter.value, excluded.value)) "
                "SELECT count(*) FROM gone"
            )
            ((removed,),) = await self._fetch(sql, (before, TRIM_STEP))

    async def forget(self, before: int) -> int:
        """Forget old instances, some entities at a time so that others wait little."""
        forgotten, key = 0, -1
        while key is not None:
            sql = (
                "WITH step AS (SELECT key FROM entity WHERE key>? ORDER BY key LIMIT 500), gone AS ("
                "DELETE FROM instance i USING step WHERE i.entity=step.key AND i.at<? AND i.at<("
                "SELECT max(n.at) FROM instance n WHERE n.entity=i.entity AND n.attr=i.attr) RETURNING 1) "
                "SELECT (SELECT count(*) FROM gone), (SELECT max(key) FROM step)"
            )
            ((gone, key),) = await self._fetch(sql, (key, before))
            forgotten += gone
        return forgotten

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None:
        """Return a document."""
        rows = await self._fetch("SELECT doc FROM document WHERE kind=? AND tenant=? AND id=?", (kind, tenant, id))
        return rows[0][0] if rows else None

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes, *, create: bool = False) -> bool:
        """Put a document."""
        conflict = "NOTHING" if create else "UPDATE SET doc=excluded.doc"
        sql = f"INSERT INTO document VALUES (?,?,?,%b) ON CONFLICT (kind, tenant, id) DO {conflict} RETURNING 1"
        async with self._connection() as connection:
            await self._names.make_tenant(connection, tenant)
            return await _change_document(connection, kind, sql, (kind, tenant, id, doc))

    async def delete_document(self, kind: str, tenant: str, id: str) -> bool:
        """Delete a document."""
        sql = "DELETE FROM document WHERE kind=? AND tenant=? AND id=? RETURNING 1"
        async with self._connection() as connection:
            return await _change_document(connection, kind, sql, (kind, tenant, id))

    async def documents(self, kind: str, tenant: str | None) -> list[tuple[str, Document]]:
        """Return every document of a kind."""
        async with self._connection() as connection:
            if tenant is not None:
                await self._names.tenant(connection, tenant)
            where = "kind=? AND (?::text IS NULL OR tenant=?) ORDER BY tenant, id"
            sql = f"SELECT tenant, id, doc FROM document WHERE {where}"
            rows = await fetch(connection, sql, (kind, tenant, tenant))
        return [(owner, Document(id, doc)) for owner, id, doc in rows]

    async def document_version(self, kind: str) -> int:
        """Return a number that grows with every change of a document of the kind."""
        rows = await self._fetch("SELECT value FROM counter WHERE name=?", ("version:" + kind,))
        return rows[0][0] if rows else 0

    async def cursor(self, consumer: str) -> int | None:
        """Return how far a consumer has come."""
        rows = await self._fetch("SELECT value FROM counter WHERE name=?", ("cursor:" + consumer,))
        return rows[0][0] if rows else None

    async def advance(self, consumer: str, seq: int, deliveries: Sequence[Delivery] = ()) -> Sequence[int]:
        """Move a consumer's cursor and keep its deliveries."""
        ids: list[int] = []
        async with self._connection() as connection, connection.transaction():
            sql = "INSERT INTO counter VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value=excluded.value"
            await execute(connection, sql, ("cursor:" + consumer, seq))
            if deliveries:
                rows = await fetch(
                    connection,
                    "INSERT INTO delivery (tenant, subscription, due, attempts, doc) "
                    "SELECT d.tenant, d.subscription, d.due, d.attempts, d.doc FROM "
                    "unnest(%b::text[], %b::text[], ?::bigint[], ?::int[], %b::bytea[]) WITH ORDINALITY "
                    "d(tenant, subscription, due, attempts, doc, n) ORDER BY d.n RETURNING id",
                    (
                        [d.tenant for d in deliveries],
                        [d.subscription for d in deliveries],
                        integers(d.due for d in deliveries),
                        integers(d.attempts for d in deliveries),
                        [d.doc for d in deliveries],
                    ),
                )
                ids = sorted(id for (id,) in rows)
        return ids

    async def waiting(self) -> list[tuple[str, str, int]]:
        """Return how many deliveries wait for each subscription."""
        sql = "SELECT tenant, subscription, count(*) FROM delivery GROUP BY tenant, subscription"
        return [(tenant, subscription, count) for tenant, subscription, count in await self._fetch(sql)]

    async def deliveries(self, tenant: str, subscription: str, after: int = 0, limit: int = 100) -> list[Delivery]:
        """Return a subscription's deliveries in order."""
        sql = f"{_DELIVERY} WHERE tenant=? AND subscription=? AND id>? ORDER BY id LIMIT ?"
        return [Delivery(*row) for row in await self._fetch(sql, (tenant, subscription, after, limit))]

    async def settle(self, done: Sequence[int] = (), retry: Sequence[Delivery] = ()) -> None:
        """Forget what is done, put back what is to be tried again."""
        async with self._connection() as connection, connection.transaction():
            if done:
                await execute(connection, "DELETE FROM delivery WHERE id=ANY(?::bigint[])", (integers(done),))
            if retry:
                sql = (
                    "UPDATE delivery SET due=d.due, attempts=d.attempts FROM "
                    "unnest(?::bigint[], ?::bigint[], ?::int[]) d(id, due, attempts) WHERE delivery.id=d.id"
                )
                columns = ([d.id for d in retry], [d.due for d in retry], [d.attempts for d in retry])
                await execute(connection, sql, tuple(map(integers, columns)))


_DELIVERY = "SELECT tenant, subscription, doc, due, attempts, id FROM delivery"


async def _create(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
    ((encoding, release),) = await fetch(
        connection, "SELECT current_setting('server_encoding'), current_setting('server_version_num')::int"
    )
    if encoding != "UTF8" or release < 150_000:
        raise RuntimeError(f"the database must be PostgreSQL 15 or later with encoding UTF8, not {release} {encoding}")
    await connection.execute("CREATE TABLE IF NOT EXISTS hanmaru_schema (version integer NOT NULL)")
    rows = await fetch(connection, "SELECT version FROM hanmaru_schema")
    if not rows:
        await connection.execute(SCHEMA)
        await connection.execute("INSERT INTO hanmaru_schema VALUES (%s)", (SCHEMA_VERSION,))
    elif rows[0][0] < SCHEMA_VERSION:
        await connection.execute(DATASETS)
        await connection.execute("UPDATE hanmaru_schema SET version=%s", (SCHEMA_VERSION,))
    elif rows[0][0] > SCHEMA_VERSION:
        raise RuntimeError(f"the database was written by a newer Hanmaru (schema {rows[0][0]}); install that version")


async def _change_document(connection: Connection, kind: str, sql: str, params: Sequence[Any]) -> bool:
    async with connection.transaction():
        changed = bool(await fetch(connection, sql, params))
        if changed:
            bump = "INSERT INTO counter VALUES (?,1) ON CONFLICT (name) DO UPDATE SET value=counter.value+1"
            await execute(connection, bump, ("version:" + kind,))
    return changed
