"""Accounts and browser sessions in one small SQLite file that every worker reads.

Passwords are kept as argon2id hashes, session tokens as SHA-256. The whole table of accounts is held in memory and
read again when another process changed the file, so that asking who a name is costs microseconds and a removed
account or session is refused by every worker at once.
"""

import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hanmaru.platform.policy import Caller, Role

FILE = "accounts.db"
DEMO_FILE = "demo-accounts.json"
SESSION_S = 12 * 3600
MOST_SESSIONS = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account(name TEXT PRIMARY KEY, hash TEXT NOT NULL, roles TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session(digest BLOB PRIMARY KEY, name TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
"""


class AccountError(Exception):
    """A change to the accounts that cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in: a name, an argon2id hash and the caller that a request of theirs carries."""

    name: str
    hash: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo, with its password in the clear: it exists to be told to whoever tries the demo."""

    name: str
    password: str
    role: Role


class Accounts:
    """The accounts of one data folder. Not for use from several threads, except `verify`."""

    def __init__(self, folder: Path) -> None:
        """Open the accounts, making the file (readable by its owner only) on first use."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self._version = -1
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[bytes, tuple[Account, float]] = {}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def all(self) -> list[Account]:
        """Return the accounts by name."""
        self._refresh()
        return [self._accounts[name] for name in sorted(self._accounts)]

    def find(self, name: str) -> Account | None:
        """Return an account, or None."""
        self._refresh()
        return self._accounts.get(name)

    def add(self, name: str, password: str, role: Role) -> None:
        """Add an account.

        Raises AccountError for a name that is taken or holds a colon or control characters, and for a password of
        fewer than 8 characters.
        """
        if not name or ":" in name or not name.isprintable():
            raise AccountError("an account's name is printable text without a colon")
        if self.find(name):
            raise AccountError(f"there is already an account {name!r}")
        self._db.execute("INSERT INTO account VALUES(?, ?, ?)", (name, self._hash(password), role))
        self._changed()

    def set_password(self, name: str, password: str) -> None:
        """Change a password and end the account's sessions; raises AccountError as `add` does."""
        if not self.find(name):
            raise AccountError(f"there is no account {name!r}")
        with self._transaction():
            self._db.execute("UPDATE account SET hash = ? WHERE name = ?", (self._hash(password), name))
            self._db.execute("DELETE FROM session WHERE name = ?", (name,))
        self._changed()

    def remove(self, name: str) -> None:
        """Remove an account and its sessions; raises AccountError when there is none."""
        if not self.find(name):
            raise AccountError(f"there is no account {name!r}")
        with self._transaction():
            self._db.execute("DELETE FROM account WHERE name = ?", (name,))
            self._db.execute("DELETE FROM session WHERE name = ?", (name,))
        self._changed()

    def verify(self, account: Account | None, password: str) -> bool:
        """Return whether the password is the account's; takes as long for no account.

        Takes some 50 ms: call it in a thread.
        """
        try:
            return self._hasher.verify(account.hash if account else self._nobody, password) and account is not None
        except (VerificationError, InvalidHashError):
            return False

    def start_session(self, name: str) -> str:
        """Start a session of `SESSION_S` seconds and return its token; expired ones are forgotten."""
        token, now = secrets.token_urlsafe(32), time.time()
        with self._transaction():
            self._db.execute("DELETE FROM session WHERE expires < ?", (now,))
            self._db.execute("INSERT INTO session VALUES(?, ?, ?)", (_digest(token), name, now + SESSION_S))
            self._db.execute(
                "DELETE FROM session WHERE digest IN"
                " (SELECT digest FROM session ORDER BY expires DESC LIMIT -1 OFFSET ?)",
                (MOST_SESSIONS,),
            )
        self._changed()
        return token

    def session(self, token: str) -> Account | None:
        """Return whose session a token is, or None for an unknown or expired one."""
        self._refresh()
        digest = _digest(token)
        known = self._sessions.get(digest)
        if known is None:
            row = self._db.execute("SELECT name, expires FROM session WHERE digest = ?", (digest,)).fetchone()
            account = self._accounts.get(row[0]) if row else None
            if row is None or account is None:
                return None
            known = self._sessions[digest] = (account, float(row[1]))
        return known[0] if known[1] > time.time() else None

    def end_session(self, token: str) -> None:
        """End a session; an unknown token is ignored."""
        self._db.execute("DELETE FROM session WHERE digest = ?", (_digest(token),))
        self._changed()

    def _hash(self, password: str) -> str:
        if len(password) < 8:
            raise AccountError("a password has at least 8 characters")
        return self._hasher.hash(password)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def _changed(self) -> None:
        self._version = -1

    def _refresh(self) -> None:
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        self._version = version
        self._sessions.clear()
        self._accounts = {
            name: Account(name, hash, Caller(name, tuple(role for role in get_args(Role) if role in roles.split())))
            for name, hash, roles in self._db.execute("SELECT name, hash, roles FROM account")
        }


def demo_accounts(folder: Path) -> list[DemoAccount]:
    """Return the demo's accounts of a data folder, making them with new passwords at the first start.

    An account whose password somebody changed since is left alone and not returned.
    """
    path = folder / DEMO_FILE
    accounts = Accounts(folder)
    try:
        if not path.exists():
            made = [{"name": role, "password": secrets.token_urlsafe(9), "role": role} for role in get_args(Role)]
            with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(made, file)
        demo = [DemoAccount(**entry) for entry in json.loads(path.read_text("utf-8"))]
        for entry in demo:
            if not accounts.find(entry.name):
                accounts.add(entry.name, entry.password, entry.role)
        return [entry for entry in demo if accounts.verify(accounts.find(entry.name), entry.password)]
    finally:
        accounts.close()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
