"""The keys of the vaults: one data key per subject, each wrapped by the master key, in a file of their own.

``keys.db`` never keeps a log after a commit (``journal_mode=TRUNCATE``, ``synchronous=EXTRA``) and overwrites what it
deletes. Destruction then looks through the file's pages, and where one still holds a copy of the deleted key the file
is written anew: a destroyed key is in no file of the folder when `Keys.destroy` returns.
"""

import json
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import RLock
from typing import Final

from hanmaru.platform.disk import locked
from hanmaru.platform.vault.crypto import Key, place
from hanmaru.platform.vault.database import Database
from hanmaru.platform.vault.errors import VaultError, altered, gone
from hanmaru.platform.vault.master import FILE as MASTER_FILE
from hanmaru.platform.vault.master import MasterFile

FILE: Final = "keys.db"
CACHED: Final = 10_000
CACHED_S: Final = 60.0
_LOCK: Final = "keys.lock"
INDEX: Final = ""
"""In the place of a subject: the key of the room's blind index."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key(
  room TEXT NOT NULL, subject TEXT NOT NULL, version INTEGER NOT NULL, made REAL NOT NULL, master TEXT NOT NULL,
  wrapped BLOB NOT NULL, PRIMARY KEY(room, subject, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroying(
  room TEXT NOT NULL, subject TEXT NOT NULL, asked REAL NOT NULL, PRIMARY KEY(room, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folder(path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS current(master TEXT NOT NULL);
"""

Version = tuple[str, int]
"""A subject and the version of its key."""


class Keys:
    """The keys folder of one hub. For use from threads; every call may read or write a file."""

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """Open the folder, making it and (with ``make``) the master key on first use.

        ``master.key`` may be a link to another disk.

        Raises VaultError when there are wrapped keys and no master key.
        """
        self.folder = folder
        self.db = Database(folder / FILE, _SCHEMA, "traceless")
        self._lock = RLock()
        self._cache: OrderedDict[tuple[str, str, int], tuple[Key, float]] = OrderedDict()
        self._generation = -1
        self.master_file = MasterFile((folder / MASTER_FILE).resolve())
        self._masters: dict[str, Key] = {}
        self._wrappers: dict[str, Key] = {}
        with self.db.write() as db:
            self.current(db, make=make)

    @staticmethod
    def exist(folder: Path) -> bool:
        """Return whether a folder holds keys."""
        return (folder / FILE).exists()

    def close(self) -> None:
        """Close the file and forget the keys in memory."""
        self.forget()
        self.db.close()

    def exclusively(self) -> AbstractContextManager[None]:
        """Hold what destruction, key backup and restore do one after the other, in all processes; not reentrant."""
        return locked(self.folder / _LOCK)

    def forget(self) -> None:
        """Forget the keys in memory."""
        with self._lock:
            self._cache.clear()

    def make(self, room: str, subjects: Iterable[str], version: int = 1) -> None:
        """Make a key for each subject in one transaction; one that exists stays."""
        with self.db.write() as db:
            master, now = self.current(db), time.time()
            by = self.wrapper(master)
            rows = [
                (room, subject, version, now, master, wrap(by, Key.make(""), room, subject, version))
                for subject in subjects
            ]
            db.executemany("INSERT OR IGNORE INTO key VALUES(?, ?, ?, ?, ?, ?)", rows)

    def get(self, room: str, subject: str, version: int) -> Key:
        """Return one key; raises VaultError as `get_many` does."""
        return self.get_many(room, [(subject, version)])[subject, version]

    def get_many(self, room: str, wanted: Sequence[Version], *, missing: bool = False) -> dict[Version, Key]:
        """Return keys by subject and version.

        Raises VaultError 410 for one that is not there, unless ``missing`` leaves it out.
        """
        with self._lock, self.db.read() as db:
            (generation,) = db.execute("PRAGMA user_version").fetchone()
            if generation != self._generation:
                self._cache.clear()
                self._generation = generation
            now = time.monotonic()
            while self._cache and next(iter(self._cache.values()))[1] <= now:
                self._cache.popitem(last=False)
            found: dict[Version, Key] = {}
            for subject, version in wanted:
                if kept := self._cache.get((room, subject, version)):
                    found[subject, version] = kept[0]
            if lacking := [list(one) for one in {*wanted} - found.keys()]:
                rows = db.execute(
                    "SELECT k.subject, k.version, k.master, k.wrapped FROM json_each(?) w CROSS JOIN key k"
                    " ON k.room = ? AND k.subject = json_extract(w.value, '$[0]')"
                    " AND k.version = json_extract(w.value, '$[1]')",
                    (json.dumps(lacking), room),
                )
                for subject, version, master, wrapped in rows:
                    key = unwrap(self.wrapper(master), wrapped, room, subject, version)
                    found[subject, version] = key
                    self._cache[room, subject, version] = key, now + CACHED_S
                while len(self._cache) > CACHED:
                    self._cache.popitem(last=False)
        if not missing:
            for subject, version in wanted:
                if (subject, version) not in found:
                    raise gone(room, subject)
        return found

    def index_key(self, room: str) -> Key:
        """Return the key of a room's blind index, making it on first use."""
        if not (found := self.get_many(room, [(INDEX, 1)], missing=True)):
            self.make(room, [INDEX])
            found = self.get_many(room, [(INDEX, 1)])
        return found[INDEX, 1]

    def versions(self, room: str, subject: str) -> list[int]:
        """Return the versions of a subject's key, ascending."""
        with self.db.read() as db:
            rows = db.execute("SELECT version FROM key WHERE room = ? AND subject = ? ORDER BY 1", (room, subject))
            return [version for (version,) in rows]

    def destroy(self, room: str, subject: str, below: int | None = None) -> None:
        """Delete a subject's wrapped keys, of versions under ``below`` or all; nothing to delete is no error."""
        rows = "FROM key WHERE room = ? AND subject = ? AND version < ?"
        which = (room, subject, below if below is not None else 2**62)
        with self._lock:
            with self.db.write() as db:
                wrapped = [row[0] for row in db.execute(f"SELECT wrapped {rows}", which)]
                db.execute(f"DELETE {rows}", which)
                _next_generation(db)
            self._cache.clear()
            self.db.scrub(wrapped)

    def current(self, db: sqlite3.Connection, *, make: bool = True) -> str:
        """Return the id of the master key that wraps new keys; call it in a transaction of `db`."""
        row = db.execute("SELECT master FROM current").fetchone()
        if row is None:
            master = self.master_file.load(make=make)
            db.execute("INSERT INTO current VALUES(?)", (master.id,))
            row = (master.id,)
        self.wrapper(row[0])
        return row[0]

    def current_master(self) -> str:
        """Return the id of the master key that wraps new keys."""
        with self.db.write() as db:
            return self.current(db)

    def sealer(self, master: str) -> Key:
        """Return the key that seals key backups made under a master key; raises VaultError when that is not here."""
        self.wrapper(master)
        return self._masters[master].derive("key-backup")

    def wrapper(self, master: str) -> Key:
        """Return what a master key wraps with; the file is read again for one that is not known yet.

        Raises VaultError when the master key is not here.
        """
        for _ in range(2):  # twice, for a rotation may end between the look at one file and at the other
            if master not in self._wrappers:
                here = [self.master_file.load(make=False)]
                if following := self.master_file.next():
                    here.append(following)
                self._masters = {key.id: key for key in here}
                self._wrappers = {key.id: key.derive("wrap") for key in here}
            if master in self._wrappers:
                return self._wrappers[master]
        raise VaultError(f"keys are wrapped by master key {master}, which {self.master_file.path} is not", 500)


def _next_generation(db: sqlite3.Connection) -> None:
    (generation,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {(generation + 1) % 2**31}")


def wrap(by: Key, key: Key, room: str, subject: str, version: int) -> bytes:
    """Return a data key sealed by a master key's wrapper (60 bytes), bound to whose it is."""
    return by.seal(key.secret, place("data-key", room, subject, version))


def unwrap(by: Key, wrapped: bytes, room: str, subject: str, version: int) -> Key:
    """Return a data key; raises VaultError when it was changed, moved, or wrapped by another master key."""
    secret = by.open(wrapped, place("data-key", room, subject, version))
    if secret is None:
        raise altered(f"the wrapped key {room}/{subject} version {version}")
    return Key(f"{room}/{subject}/{version}", secret)
