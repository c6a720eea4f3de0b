"""One SQLite file shared by threads: a few connections, one writer at a time, deleted bytes overwritten."""

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Final, Literal

from hanmaru.platform.disk import private

WAIT_S: Final = 15
"""How long a transaction waits for another process's."""

CONNECTIONS: Final = 4

Kind = Literal["durable", "derived", "traceless"]


class Database:
    """A SQLite file with ``secure_delete``, readable by its owner only.

    ``durable`` flushes a write-ahead log once a commit; ``derived`` only when it empties the log, for what can be made
    again. ``traceless`` keeps no log after a commit: what a transaction deleted is in no file when it returns.
    """

    def __init__(self, path: Path, schema: str, kind: Kind = "durable") -> None:
        """Open a file, making it on first use; ``schema`` must be repeatable."""
        self.path = path
        private(path)
        self._wal = kind != "traceless"
        self._synchronous = {"durable": "FULL", "derived": "NORMAL", "traceless": "EXTRA"}[kind]
        self._writing = threading.Lock()
        self._idle: LifoQueue[sqlite3.Connection | None] = LifoQueue()
        for _ in range(CONNECTIONS - 1):
            self._idle.put(None)
        first = self._connect()
        first.executescript(schema)
        self._idle.put(first)

    def close(self) -> None:
        """Close the connections; waits for those in use."""
        for _ in range(CONNECTIONS):
            if connection := self._idle.get():
                connection.close()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """Give a connection with one unchanging view of the file."""
        with self._borrowed() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("COMMIT")

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """Give a connection in a transaction: committed at the end of the block, rolled back on an exception."""
        with self._writing, self._borrowed() as db:
            db.execute("BEGIN IMMEDIATE")
            with db:
                yield db

    def wipe_log(self) -> bool:
        """Empty the write-ahead log, so that what was deleted is in no file; False when readers did not let go."""
        if not self._wal:
            return True
        with self.alone() as db:
            return db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0

    def scrub(self, needles: Sequence[bytes]) -> None:
        """Write the file anew when a page of it still holds what was deleted.

        ``secure_delete`` misses copies that SQLite leaves behind when it moves rows between pages.
        """
        with self.alone() as db:
            pages = db.serialize()
            if any(needle in pages for needle in needles):
                db.execute("VACUUM")

    @contextmanager
    def alone(self) -> Generator[sqlite3.Connection]:
        """Give a connection outside a transaction, while no thread of this process writes."""
        with self._writing, self._borrowed() as db:
            yield db

    @contextmanager
    def _borrowed(self) -> Generator[sqlite3.Connection]:
        connection = self._idle.get()
        try:
            connection = connection or self._connect()
            yield connection
        finally:
            self._idle.put(connection)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA temp_store=MEMORY")
        db.execute(f"PRAGMA journal_mode={'WAL' if self._wal else 'TRUNCATE'}")
        db.execute(f"PRAGMA synchronous={self._synchronous}")
        return db
