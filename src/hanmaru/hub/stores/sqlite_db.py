"""SQLite connections as the store uses them, with types and the settings that its promises rest on."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, Protocol, cast

import apsw

from hanmaru.hub.query import pattern_found

BUSY_TIMEOUT_S = 30.0
Row = tuple[Any, ...]


class Rows(Protocol):
    """What a statement yields."""

    def __iter__(self) -> Iterator[Row]: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...


class Database(Protocol):
    """A connection; ``with`` makes a savepoint, and so a snapshot for what is read in it."""

    def execute(self, statements: str, bindings: Sequence[Any] = (), /) -> Rows: ...
    def executemany(self, statements: str, bindings: Iterable[Sequence[Any]], /) -> Rows: ...
    def changes(self) -> int: ...
    def last_insert_rowid(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> "Database": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


def connect(path: Path) -> Database:
    """Open a connection. ``synchronous=FULL`` is what makes an acknowledged write survive a power cut."""
    connection: Any = apsw.Connection(str(path), statementcachesize=300)
    connection.set_busy_handler(_wait_for_lock)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=8000")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.create_scalar_function("pattern_found", pattern_found, 2, deterministic=True)
    return cast("Database", connection)


def _wait_for_lock(tries: int) -> bool:
    """Wait a little for another process's commit: short waits, because its groups are short."""
    sleep(0.001)
    return tries * 0.001 < BUSY_TIMEOUT_S
