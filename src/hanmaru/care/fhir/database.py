"""Connections to ``records.db``, with the index attached as ``ix``, and the settings that their promises rest on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, Final, Protocol, cast

import apsw

BUSY_S: Final = 30.0

Bindings = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """What a statement yields."""

    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Database(Protocol):
    """A connection; ``with`` makes a savepoint: all of what is done in it, or nothing."""

    def execute(self, statements: str, bindings: Bindings = (), /) -> Rows: ...
    def executemany(self, statements: str, bindings: Iterable[Bindings], /) -> Rows: ...
    def last_insert_rowid(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> "Database": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


def connect(path: Path) -> Database:
    """Open ``records.db``. ``synchronous=FULL``: an acknowledged commit survives a power cut."""
    connection: Any = apsw.Connection(str(path), statementcachesize=300)
    connection.set_busy_handler(_wait_for_lock)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    connection.execute("PRAGMA cache_size=-32768")
    connection.execute("PRAGMA temp_store=MEMORY")
    return cast("Database", connection)


def attach(db: Database, path: Path, key: bytes) -> None:
    """Attach the index, encrypted as a file by SQLite3 Multiple Ciphers under 32 bytes; ``db`` must be idle.

    Raises apsw.NotADBError for a file of another key. ``synchronous=NORMAL``: a power cut may take its last commits,
    never its soundness, and what it took is indexed again.
    """
    db.execute(f"ATTACH DATABASE ? AS ix KEY 'raw:{key.hex()}'", (str(path),))
    db.execute("PRAGMA ix.journal_mode=WAL")
    db.execute("PRAGMA ix.synchronous=NORMAL")
    db.execute("PRAGMA ix.secure_delete=ON")
    db.execute("PRAGMA ix.cache_size=-32768")


def _wait_for_lock(tries: int) -> bool:
    """Wait a little for another process's commit: short waits, because its groups are short."""
    sleep(0.001)
    return tries * 0.001 < BUSY_S
