"""Machines: API keys and OAuth 2 clients with their access tokens, in one small SQLite file that every worker reads.

Secrets are 256 random bits, so that there is nothing to guess or to look up in a table: SHA-256 keeps them as safely as
argon2 keeps a password that a person chose, and verifying one costs microseconds. Each is shown once and kept as its
digest. What is verified is held in memory; a worker reads again what another process changed before it answers the next
request, so that a removed machine or a revoked token is refused everywhere at once.
"""

import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hanmaru.platform.disk import private

FILE = "machines.db"
DAY_S = 86_400
DAYS, MOST_DAYS = 365, 1825
OVERLAP_H = 24.0
TOKEN_S = 3600
MOST_MACHINES = 1000
MOST_TOKENS = 50
MOST_ROLES = 20
CACHED_TOKENS = 4096
KEY, SECRET, TOKEN = "hmk_", "hms_", "hmt_"
"""What each kind of secret begins with, so that people and secret scanners know it when they see it."""

Kind = Literal["oauth", "key"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS machine(
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, roles TEXT NOT NULL, days INTEGER NOT NULL,
    created REAL NOT NULL, expires REAL NOT NULL, digest BLOB NOT NULL, old_digest BLOB NOT NULL DEFAULT x'',
    old_until REAL NOT NULL DEFAULT 0) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS token(
    digest BLOB PRIMARY KEY, machine TEXT NOT NULL, roles TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS token_machine ON token(machine, expires);
CREATE TABLE IF NOT EXISTS used(machine TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID, STRICT;
"""
_ROLE = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)
_COLUMNS = "id, name, kind, roles, days, created, expires, digest, old_digest, old_until"


class MachineError(Exception):
    """A change to the machines that cannot be made; the text says why."""


class WrongSecret(Exception):  # noqa: N818 - it is what a caller sent, not a failure of ours
    """A secret that opens nothing; ``machine`` is whose it is or claims to be, ``reason`` may be told to the caller."""

    def __init__(self, reason: str, machine: "Machine | None" = None, *, proven: bool = False) -> None:
        """Say why; ``proven`` means that the secret was the machine's."""
        super().__init__(reason)
        self.reason, self.machine, self.proven = reason, machine, proven


@dataclass(frozen=True, slots=True)
class Machine:
    """Something that acts without a person. Times are seconds since the epoch; a secret is good for ``days``."""

    id: str
    name: str
    kind: Kind
    roles: tuple[str, ...]
    days: int
    created: float
    expires: float
    digest: bytes
    old_digest: bytes = b""
    old_until: float = 0.0

    @property
    def caller_name(self) -> str:
        """What audit and policy call it: no account's name holds a colon."""
        return f"client:{self.name}"


@dataclass(frozen=True, slots=True)
class Issued:
    """A machine with its new secret, which is not kept: show it now or never. A key's secret is the whole key."""

    machine: Machine
    secret: str


class Machines:
    """The machines of one data folder.

    `find`, `check`, `by_key` and `by_token` are for one thread, an event loop's: they read memory. Everything else
    waits for the disk and may be called from any thread.
    """

    def __init__(self, folder: Path) -> None:
        """Open the file, making it (readable by its owner only) on first use."""
        path = folder / FILE
        private(path)
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        # A connection is told of changes by others only, so one of its own reads what this process writes, too.
        self._reader = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._seen = self._revision = -1
        self._machines: dict[str, Machine] = {}
        self._tokens: OrderedDict[bytes, tuple[Machine, tuple[str, ...], float]] = OrderedDict()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._db.close()

    def add(self, name: str, kind: Kind, roles: Sequence[str], days: int = DAYS) -> Issued:
        """Add a machine whose secret is good for ``days``.

        Raises MachineError for a name that is taken or not short printable text, roles that are none, and days out of
        bounds.
        """
        if not 1 <= len(name) <= 100 or not name.isprintable() or ":" in name:
            raise MachineError("a machine's name is printable text without a colon, at most 100 characters")
        if not 1 <= len(roles) <= MOST_ROLES or not all(_ROLE.fullmatch(role) for role in roles):
            raise MachineError("a machine has at least one role, named by letters, digits and . - _")
        if not 1 <= days <= MOST_DAYS:
            raise MachineError(f"a secret is good for 1 to {MOST_DAYS} days")
        now, id = time.time(), secrets.token_hex(8)
        secret, digest = _secret(kind, id)
        machine = Machine(id, name, kind, tuple(dict.fromkeys(roles)), days, now, now + days * DAY_S, digest)
        with self._change():
            (count,) = self._db.execute("SELECT count(*) FROM machine").fetchone()
            if count >= MOST_MACHINES:
                raise MachineError(f"there are {count} machines already; remove one")
            try:
                self._db.execute(
                    f"INSERT INTO machine({_COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (id, name, kind, " ".join(machine.roles), days, now, machine.expires, digest, b"", 0.0),
                )
            except sqlite3.IntegrityError:
                raise MachineError(f"there is already a machine {name!r}") from None
        return Issued(machine, secret)

    def rotate(self, id: str, overlap_h: float = OVERLAP_H) -> Issued:
        """Give a machine a new secret, good for its days from now on; the old one stays good for ``overlap_h`` hours.

        Without overlap its access tokens end, too. Raises MachineError for no such machine and more than 24 hours.
        """
        if not 0 <= overlap_h <= OVERLAP_H:
            raise MachineError(f"the old secret stays good for 0 to {OVERLAP_H:g} hours")
        with self._change():
            old = self._one(id)
            now = time.time()
            secret, digest = _secret(old.kind, id)
            until = min(now + overlap_h * 3600, old.expires)
            self._db.execute(
                "UPDATE machine SET digest = ?, expires = ?, old_digest = ?, old_until = ? WHERE id = ?",
                (digest, now + old.days * DAY_S, old.digest, until, id),
            )
            if not overlap_h:
                self._db.execute("DELETE FROM token WHERE machine = ?", (id,))
            return Issued(self._one(id), secret)

    def remove(self, id: str) -> Machine:
        """Remove a machine and its tokens; raises MachineError when there is none."""
        with self._change():
            machine = self._one(id)
            for table, column in (("machine", "id"), ("token", "machine"), ("used", "machine")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (id,))  # noqa: S608 - our own names
            return machine

    def all(self) -> list[tuple[Machine, float | None]]:
        """Return the machines by name, each with when it was last used."""
        with self._lock:
            rows = self._db.execute(
                # The columns are our own.
                f"SELECT {_COLUMNS}, at FROM machine LEFT JOIN used ON machine = id ORDER BY name"  # noqa: S608
            ).fetchall()
        return [(_machine(row[:-1]), row[-1]) for row in rows]

    def issue_token(self, machine: Machine, roles: Sequence[str]) -> str:
        """Return a new access token of `TOKEN_S` seconds; of a machine's tokens the newest `MOST_TOKENS` are good."""
        token, now = TOKEN + secrets.token_urlsafe(32), time.time()
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM token WHERE expires < ?", (now,))
            self._db.execute(
                "INSERT INTO token SELECT ?, id, ?, ? FROM machine WHERE id = ?",
                (_digest(token), " ".join(roles), now + TOKEN_S, machine.id),
            )
            dropped = self._db.execute(
                "DELETE FROM token WHERE digest IN"
                " (SELECT digest FROM token WHERE machine = ? ORDER BY expires DESC LIMIT -1 OFFSET ?)",
                (machine.id, MOST_TOKENS),
            ).rowcount
            if dropped:
                self._bump()
        return token

    def revoke_token(self, token: str, machine: Machine) -> bool:
        """End a machine's access token; return False when it is another machine's. An unknown one is ignored."""
        with self._change():
            row = self._db.execute("SELECT machine FROM token WHERE digest = ?", (_digest(token),)).fetchone()
            if row and row[0] == machine.id:
                self._db.execute("DELETE FROM token WHERE digest = ?", (_digest(token),))
            return not row or row[0] == machine.id

    def note_use(self, id: str, at: float) -> None:
        """Write down when a machine was last used."""
        with self._lock:
            self._db.execute(
                "INSERT INTO used SELECT id, ? FROM machine WHERE id = ?"
                " ON CONFLICT(machine) DO UPDATE SET at = max(at, excluded.at)",
                (at, id),
            )

    def find(self, id: str) -> Machine | None:
        """Return a machine, or None."""
        self._refresh()
        return self._machines.get(id)

    def roles_of(self, caller_name: str) -> tuple[str, ...] | None:
        """Return the roles of the machine that requests call so; None when it is gone or has expired."""
        self._refresh()
        now = time.time()
        named = (m for m in self._machines.values() if m.caller_name == caller_name and now < m.expires)
        return next((machine.roles for machine in named), None)

    def by_key(self, key: str) -> Machine:
        """Return whose API key this is; raises WrongSecret."""
        if not key.startswith(KEY):
            raise WrongSecret("this is no API key")
        return self.check(key[len(KEY) :].partition("_")[0], key, "key")

    def check(self, id: str, secret: str, kind: Kind) -> Machine:
        """Return the machine whose secret this is; raises WrongSecret."""
        machine, now, digest = self.find(id), time.time(), _digest(secret)
        right = hmac.compare_digest(digest, machine.digest if machine else bytes(32))
        old = machine is not None and hmac.compare_digest(digest, machine.old_digest)
        if machine is None or machine.kind != kind or not (right or old):
            raise WrongSecret("no machine has this secret", machine)
        if now >= (machine.expires if right else machine.old_until):
            raise WrongSecret("this secret has expired", machine, proven=True)
        return machine

    def by_token(self, token: str) -> tuple[Machine, tuple[str, ...]]:
        """Return whose access token this is and which roles it carries; raises WrongSecret."""
        self._refresh()
        digest = _digest(token)
        known = self._tokens.get(digest)
        if known is None:
            row = self._reader.execute(
                "SELECT machine, roles, expires FROM token WHERE digest = ?", (digest,)
            ).fetchone()
            machine = self._machines.get(row[0]) if row else None
            if row is None or machine is None:
                raise WrongSecret("this access token is unknown, expired or revoked")
            known = self._tokens[digest] = (machine, tuple(row[1].split()), row[2])
            if len(self._tokens) > CACHED_TOKENS:
                self._tokens.popitem(last=False)
        machine, roles, expires = known
        if time.time() >= min(expires, machine.expires):
            raise WrongSecret("this access token has expired", machine, proven=True)
        return machine, roles

    def _one(self, id: str) -> Machine:
        # The columns are our own; values are bound.
        row = self._db.execute(f"SELECT {_COLUMNS} FROM machine WHERE id = ?", (id,)).fetchone()  # noqa: S608
        if row is None:
            raise MachineError(f"there is no machine {id!r}")
        return _machine(row)

    @contextmanager
    def _change(self) -> Generator[None]:
        """Hold a transaction after which every process forgets what it remembered."""
        with self._lock, self._transaction():
            yield
            self._bump()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def _bump(self) -> None:
        (revision,) = self._db.execute("PRAGMA user_version").fetchone()
        self._db.execute(f"PRAGMA user_version = {(revision + 1) % 2**31}")

    def _refresh(self) -> None:
        """Read the machines again if some process changed them; new tokens and notes of use do not count."""
        (seen,) = self._reader.execute("PRAGMA data_version").fetchone()
        if seen == self._seen:
            return
        self._seen = seen
        (revision,) = self._reader.execute("PRAGMA user_version").fetchone()
        if revision == self._revision:
            return
        self._revision = revision
        self._tokens.clear()
        rows = self._reader.execute(f"SELECT {_COLUMNS} FROM machine").fetchall()  # noqa: S608 - our own text
        self._machines = {row[0]: _machine(row) for row in rows}


def _machine(row: tuple[str, str, Kind, str, int, float, float, bytes, bytes, float]) -> Machine:
    return Machine(row[0], row[1], row[2], tuple(row[3].split()), *row[4:])


def _secret(kind: Kind, id: str) -> tuple[str, bytes]:
    secret = (f"{KEY}{id}_" if kind == "key" else SECRET) + secrets.token_urlsafe(32)
    return secret, _digest(secret)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
