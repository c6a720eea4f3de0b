"""PostgreSQL connections as the store uses them: settings, errors as problems, names by number, columns as arrays."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, cast

import psycopg
from psycopg import OperationalError, errors
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from hanmaru.hub.stores.base import no_tenant
from hanmaru.platform.problems import Problem, bad_request

Connection = psycopg.AsyncConnection[TupleRow]
Cursor = psycopg.AsyncCursor[TupleRow]
Pool = AsyncConnectionPool[Connection]
Row = tuple[Any, ...]

POOL_SIZE = 10
WAIT_S = 20.0
_MEMO_LIMIT = 200_000

SETTINGS = """
SET statement_timeout='60s'; SET lock_timeout='30s'; SET idle_in_transaction_session_timeout='60s'; SET jit=off;
SET enable_hashjoin=off; SET enable_mergejoin=off; SET enable_seqscan=off; SET enable_bitmapscan=off;
SET join_collapse_limit=1; SET from_collapse_limit=1; SET cursor_tuple_fraction=0.01;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit')='off'
"""
"""No statement runs for ever, an acknowledged write is on disk, and a query starts where the store says it starts:
from an index, then look-up by look-up, so that plans do not change with the statistics of the day."""


def make_pool(url: str) -> Pool:
    """Return a pool that is still to be opened."""

    async def configure(connection: Connection) -> None:
        await connection.execute(SETTINGS)

    kwargs = {"autocommit": True, "application_name": "hanmaru"}
    return AsyncConnectionPool(
        url, kwargs=kwargs, min_size=2, max_size=POOL_SIZE, open=False, timeout=WAIT_S, configure=configure
    )


async def execute(
    connection: Connection, sql: str, params: Sequence[Any] = (), *, prepare: bool | None = True
) -> Cursor:
    """Run a statement whose parameters are ``?``; columns come as binary. ``prepare=False`` plans it anew."""
    text = cast("LiteralString", sql.replace("?", "%s"))
    return await connection.execute(text, params, prepare=prepare, binary=True)


async def fetch(
    connection: Connection, sql: str, params: Sequence[Any] = (), *, prepare: bool | None = True
) -> list[Row]:
    """Return the rows of a statement."""
    return await (await execute(connection, sql, params, prepare=prepare)).fetchall()


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncGenerator[None]:
    """Read one state of the database for as long as the block lasts."""
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    except BaseException:
        await connection.rollback()
        raise
    await connection.execute("COMMIT")


class Lost(Problem):
    """The connection broke; whether what was being written was kept is unknown."""

    def __init__(self) -> None:
        """Say so."""
        detail = "The database went away. Read before you write again: what was being written may have been kept."
        super().__init__(503, "Database lost", detail)


TRANSIENT = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
"""Errors after which nothing was kept and another try may go well."""


@asynccontextmanager
async def connected(pool: Pool) -> AsyncGenerator[Connection]:
    """Lend a connection and turn the database's own refusals into problems."""
    try:
        async with pool.connection() as connection:
            yield connection
    except (errors.DataError, errors.ProgramLimitExceeded) as error:
        raise bad_request(f"The database cannot keep or compare this: {_line(error)}") from error
    except (PoolTimeout, TooManyRequests) as error:
        raise Problem(503, "Overloaded", "Too many requests wait for the database. Try again in a second.") from error
    except errors.QueryCanceled as error:
        raise Problem(503, "Too long", "The database took too long. Ask for less at once.") from error
    except TRANSIENT:
        raise
    except OperationalError as error:
        with contextlib.suppress(OperationalError):
            await pool.check()  # the other idle connections may be lost too
        raise Lost() from error


def _line(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).partition("\n")[0]


def integers(values: Iterable[int | None]) -> str:
    """Return numbers as an array in PostgreSQL's text form, which is the quickest way there."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


class Names:
    """The numbers of tenants and names: given once, never changed, so remembered for good."""

    def __init__(self, pool: Pool) -> None:
        """Start with nothing remembered."""
        self._pool = pool
        self._terms: dict[tuple[int, str], int] = {}
        self._tenants: dict[str, int] = {}
        self._lock = asyncio.Lock()

    async def tenant(self, connection: Connection, name: str) -> int:
        """Return a tenant's number; raise a 404 problem when there is no such tenant."""
        if name not in self._tenants:
            rows = await fetch(connection, "SELECT id FROM tenant WHERE name=?", (name,))
            if not rows:
                raise no_tenant(name)
            self._tenants[name] = rows[0][0]
        return self._tenants[name]

    async def make_tenant(self, connection: Connection, name: str) -> int:
        """Return a tenant's number; a tenant comes into being here."""
        if name not in self._tenants:
            await execute(connection, "INSERT INTO tenant (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        return await self.tenant(connection, name)

    async def known(self, connection: Connection, tenant: int, texts: Iterable[str]) -> dict[str, int]:
        """Return the numbers of the names that are known."""
        texts = set(texts)
        missing = [text for text in texts if (tenant, text) not in self._terms]
        if missing:
            await self._look_up(connection, [(tenant, text) for text in missing])
        return {text: self._terms[tenant, text] for text in texts if (tenant, text) in self._terms}

    async def make(self, names: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """Return the numbers of (tenant, name) pairs; a name gets its number here, in a transaction of its own."""
        names = set(names)
        missing = sorted(name for name in names if name not in self._terms)
        if missing:
            async with self._lock, self._pool.connection() as connection:
                sql = "INSERT INTO term (tenant, text) SELECT * FROM unnest(?::int[], ?::text[]) ON CONFLICT DO NOTHING"
                await execute(connection, sql, (integers(t for t, _ in missing), [text for _, text in missing]))
                await self._look_up(connection, missing)
        return {name: self._terms[name] for name in names}

    async def _look_up(self, connection: Connection, names: Sequence[tuple[int, str]]) -> None:
        sql = "SELECT tenant, text, id FROM unnest(?::int[], ?::text[]) d(t, x) JOIN term ON tenant=t AND text=x"
        rows = await fetch(connection, sql, (integers(t for t, _ in names), [text for _, text in names]))
        if len(self._terms) > _MEMO_LIMIT:
            self._terms.clear()
        self._terms.update(((tenant, text), number) for tenant, text, number in rows)
