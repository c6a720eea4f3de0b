"""Destruction of a subject: the key first, then what it opened, wherever the hub reaches.

What is asked is noted in ``keys.db`` before anything is destroyed and struck out when all is done; an interrupted
destruction is finished when the vaults are next opened. Every step may be done twice.
"""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hanmaru.platform.vault import ledger
from hanmaru.platform.vault.backup import folders, forget_in_backups
from hanmaru.platform.vault.blind import BlindIndex
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.files import Room, rooms
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.store import Store

_READERS_S: Final = 30.0


def destroy(data: Path, keys: Keys, room: str, subject: str) -> None:
    """Destroy a subject; on return no file within reach opens, finds or holds anything of theirs."""
    with keys.db.write() as db:
        db.execute("INSERT OR IGNORE INTO destroying VALUES(?, ?, ?)", (room, subject, time.time()))
    _carry_out(data, keys, room, subject)


def finish(data: Path, keys: Keys) -> None:
    """Finish the destructions that were interrupted."""
    with keys.db.read() as db:
        unfinished = db.execute("SELECT room, subject FROM destroying").fetchall()
    for room, subject in unfinished:
        _carry_out(data, keys, room, subject)


def replay(data: Path, keys: Keys, destroyed: Iterable[tuple[str, str]]) -> int:
    """Destroy again what a restore brought back of subjects that were destroyed; return how many there were."""
    back: set[tuple[str, str]] = set()
    told = {*destroyed}
    with keys.db.read() as db:
        back.update({*db.execute("SELECT DISTINCT room, subject FROM key")} & told)
    for room in rooms(data):
        store = Store(room, keys)
        back.update({(room.name, subject) for subject in store.all_subjects()} & told)
        store.close()
    for room, subject in sorted(back):
        destroy(data, keys, room, subject)
    return len(back)


def _carry_out(data: Path, keys: Keys, room: str, subject: str) -> None:
    entry: ledger.Destroyed = {(room, subject): ledger.now()}
    with keys.exclusively():
        ledger.append(keys.folder / ledger.FILE, entry)
        keys.destroy(room, subject)
        for folder in folders(keys):
            ledger.append(folder / ledger.FILE, entry)
            forget_in_backups(keys, folder, entry)
    erase(data, keys, room, subject)
    with keys.db.write() as db:
        db.execute("DELETE FROM destroying WHERE room = ? AND subject = ?", (room, subject))


def erase(data: Path, keys: Keys, room: str, subject: str) -> None:
    """Delete what is kept of a subject: records, tokens, files, and what logs still hold of them."""
    files = Room(data, room)
    if files.records.exists():
        _erase_rows(files, keys, subject)
    for folder in (files.blobs(subject), files.lake(subject)):
        while folder.exists():  # again when a writer made a file meanwhile; without a row it cannot do so twice
            shutil.rmtree(folder, ignore_errors=True)


def _erase_rows(files: Room, keys: Keys, subject: str) -> None:
    store = Store(files, keys)
    index = BlindIndex(files.index, store, ()) if files.index.exists() else None
    try:
        store.erase(subject)
        if index:
            index.erase(subject)
            index.db.scrub([subject.encode()])
        deadline = time.monotonic() + _READERS_S
        for file in (store.db, index.db if index else None):
            while file and not file.wipe_log():
                if time.monotonic() > deadline:
                    raise VaultError(
                        f"{files.name}/{subject}: the key is destroyed; a log is still read and is emptied"
                        " when the destruction is asked again or the hub starts",
                        503,
                    )
    finally:
        if index:
            index.close()
        store.close()
