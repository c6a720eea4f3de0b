"""The small SQLite file of accounts, sessions and factors that every worker reads, and the key beside it.

Reading happens on one connection and costs microseconds; writing happens on another and waits for the disk, so
coroutines call whatever writes in a thread. A counter in the file tells every process when what it remembers is no
longer so.
"""

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from hanmaru.platform.disk import private, write_once

FILE = "accounts.db"
KEYS = "keys"
KEY_FILE = "identity.key"

_SCHEMA = """
CREATE TABLE account(
  name TEXT PRIMARY KEY, hash TEXT, roles TEXT NOT NULL, provider INTEGER NOT NULL DEFAULT 0,
  locked INTEGER NOT NULL DEFAULT 0, handle BLOB NOT NULL, created REAL NOT NULL, last_sign_in REAL,
  totp BLOB, totp_step INTEGER NOT NULL DEFAULT 0, totp_offer BLOB, title TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE session(
  digest BLOB PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, second_factor INTEGER NOT NULL, started REAL NOT NULL,
  seen REAL NOT NULL, expires REAL NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_name ON session(name);
CREATE TABLE passkey(
  id BLOB PRIMARY KEY, name TEXT NOT NULL, title TEXT NOT NULL, key BLOB NOT NULL, count INTEGER NOT NULL,
  party TEXT NOT NULL, created REAL NOT NULL, last_used REAL
) WITHOUT ROWID;
CREATE INDEX passkey_name ON passkey(name);
CREATE TABLE recovery(digest BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spent(digest BLOB PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE setup(digest BLOB PRIMARY KEY, name TEXT, roles TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE failure(key BLOB PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE known(key BLOB PRIMARY KEY, name TEXT NOT NULL, seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE generation(n INTEGER NOT NULL);
INSERT INTO generation VALUES(0);
"""
_VERSION = 2


class KeyFileError(Exception):
    """The key file is not what it must be; the text says which and what to do."""


class AccountsFile:
    """The file of one data folder. For use from several threads."""

    def __init__(self, folder: Path, keys: Path | None = None) -> None:
        """Open the file, making it (readable by its owner only) on first use; the key lies in ``keys``."""
        path = folder / FILE
        private(path)
        self._keys = keys or folder / KEYS
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._writer = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=FULL")
        self._writer.execute("PRAGMA secure_delete=ON")
        with self.write() as db:
            _make(db)
        self._reader = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._reader.execute("PRAGMA query_only=ON")
        self._data_version = -1
        self._generation = -1

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    def read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._reading:
            return self._reader.execute(sql, values).fetchall()

    @contextmanager
    def write(self, *, changes: bool = False) -> Generator[sqlite3.Connection]:
        """Give a connection inside a transaction; ``changes`` what other processes remember."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            with self._writer:
                yield self._writer
                if changes:
                    self._writer.execute("UPDATE generation SET n = n + 1")

    def generation(self) -> int:
        """Return a number that is another one after every change that matters to what is remembered."""
        with self._reading:
            (version,) = self._reader.execute("PRAGMA data_version").fetchone()
            if version != self._data_version:
                self._data_version = version
                (self._generation,) = self._reader.execute("SELECT n FROM generation").fetchone()
            return self._generation

    def key(self, use: str) -> bytes:
        """Return 32 secret bytes for one use; raises KeyFileError."""
        return hmac.digest(self._key, use.encode(), "sha256")

    @cached_property
    def _key(self) -> bytes:
        path = self._keys / KEY_FILE
        if not path.exists():
            write_once(path, secrets.token_bytes(32))
        key = path.read_bytes()
        if len(key) != 32:
            raise KeyFileError(f"{path} must hold 32 bytes, not {len(key)}; bring it back from the backup of the keys")
        return key


def digest(token: str) -> bytes:
    """Return what is kept of a token that has enough randomness of its own."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _make(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version >= _VERSION:
        return
    if version == 1:
        db.execute("ALTER TABLE account ADD COLUMN title TEXT NOT NULL DEFAULT ''")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        return
    older = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'account'").fetchone()
    if older:  # the form of 0.1: account(name, hash, roles), session(digest, name, expires)
        db.execute("ALTER TABLE account RENAME TO account_0")
        db.execute("DROP TABLE session")
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            db.execute(statement)
    if older:
        db.execute(
            "INSERT INTO account(name, hash, roles, handle, created)"
            " SELECT name, hash, roles, randomblob(32), unixepoch() FROM account_0"
        )
        db.execute("DROP TABLE account_0")
    db.execute(f"PRAGMA user_version = {_VERSION}")
