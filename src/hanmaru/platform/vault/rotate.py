"""Rotation: another master key, or another data key for a subject, while the vaults are in use.

Each does its work in bounded steps that may be repeated, and begins with what an interrupted one left: run it again.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hanmaru.platform.disk import locked
from hanmaru.platform.vault import lake
from hanmaru.platform.vault.backup import PATTERN, backup_keys, folders
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.files import Room, rooms
from hanmaru.platform.vault.keys import INDEX, Keys, unwrap, wrap
from hanmaru.platform.vault.store import Store

BATCH: Final = 1_000
_LOCK: Final = "rotate.lock"

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


def rotate_master(keys: Keys, progress: Progress = lambda _done, _of: None) -> int:
    """Wrap every key by a new master key and destroy the old one; return how many were wrapped.

    Key backups in remembered folders are made anew, since those of before no longer open. Raises VaultError while
    another rotation runs.
    """
    with _alone(keys):
        new = keys.master_file.next(make=True)
        if new is None:
            raise VaultError("the new master key was removed while it was made; run the rotation again", 500)
        with keys.db.write() as db:
            keys.current(db)  # both are known from here on, here and to whoever reads the files
            db.execute("UPDATE current SET master = ?", (new.id,))
        total = _left(keys, new.id)
        done = 0
        while _left(keys, new.id):
            after: tuple[str, str, int] | None = ("", "", 0)
            while after:
                after, wrapped = _rewrap(keys, new.id, after)
                done += wrapped
                progress(done, total)
        for folder in folders(keys):
            fresh = backup_keys(keys, folder)
            for old in folder.glob(PATTERN):
                if old != fresh:
                    old.unlink()
        keys.master_file.take_over()
        return done


def _left(keys: Keys, new: str) -> int:
    with keys.db.read() as db:
        return db.execute("SELECT count(*) FROM key WHERE master != ?", (new,)).fetchone()[0]


def _rewrap(keys: Keys, new: str, after: tuple[str, str, int]) -> tuple[tuple[str, str, int] | None, int]:
    """Wrap a batch of keys that come after one; return the last of them, None at the end, and how many they were."""
    with keys.db.write() as db:
        rows = db.execute(
            "SELECT room, subject, version, master, wrapped FROM key WHERE (room, subject, version) > (?, ?, ?)"
            " AND master != ? ORDER BY room, subject, version LIMIT ?",
            (*after, new, BATCH),
        ).fetchall()
        fresh: list[tuple[str, bytes, str, str, int]] = []
        for room, subject, version, master, wrapped in rows:
            key = unwrap(keys.wrapper(master), wrapped, room, subject, version)
            fresh.append((new, wrap(keys.wrapper(new), key, room, subject, version), room, subject, version))
        db.executemany("UPDATE key SET master = ?, wrapped = ? WHERE room = ? AND subject = ? AND version = ?", fresh)
    return (rows[-1][:3] if len(rows) == BATCH else None), len(rows)


def rotate_subject(data: Path, keys: Keys, room: str, subject: str) -> None:
    """Give a subject a new key, seal all that is kept of them under it, and delete the old one.

    Raises VaultError for a subject not there, and while another rotation runs.
    """
    with _alone(keys):
        _rotate_subject(data, keys, room, subject)


def rotate_older(data: Path, keys: Keys, days: float, progress: Progress = lambda _done, _of: None) -> int:
    """Rotate every subject whose key is older, and those whose rotation was interrupted; return how many.

    Raises VaultError while another rotation runs.
    """
    with _alone(keys):
        with keys.db.read() as db:
            old = db.execute(
                "SELECT room, subject FROM key WHERE subject != ? GROUP BY 1, 2 HAVING min(made) < ? OR count(*) > 1",
                (INDEX, time.time() - days * 86_400),
            ).fetchall()
        present = {room.name for room in rooms(data)}
        old = [(room, subject) for room, subject in old if room in present]
        done = 0
        for number, (room, subject) in enumerate(old, 1):
            try:
                _rotate_subject(data, keys, room, subject)
                done += 1
            except VaultError as error:
                if error.status not in (404, 410):  # destroyed meanwhile
                    raise
            progress(number, len(old))
        return done


def _rotate_subject(data: Path, keys: Keys, room: str, subject: str) -> None:
    files = Room(data, room)
    if not files.records.exists():
        raise VaultError(f"there is no vault {room!r}", 404)
    store = Store(files, keys)
    try:
        store.key_versions([subject])
        versions = keys.versions(room, subject)
        new = versions[-1] if len(versions) > 1 else (versions or [0])[-1] + 1
        keys.make(room, [subject], new)
        try:
            store.adopt(subject, new)
        except VaultError:
            keys.destroy(room, subject)  # destroyed since it was looked up: no key may stay
            raise
        tables = lake.of(store, subject)
        while not (store.resealed(subject, new) and tables.resealed(new)):
            store.reseal_records(subject, new, BATCH)
            store.reseal_blobs(subject, new)
            tables.reseal(new)
        keys.destroy(room, subject, below=new)
    finally:
        store.close()


@contextmanager
def _alone(keys: Keys) -> Generator[None]:
    try:
        with locked(keys.folder / _LOCK, wait=False):
            yield
    except BlockingIOError:
        raise VaultError("another rotation runs; wait until it is done", 409) from None
