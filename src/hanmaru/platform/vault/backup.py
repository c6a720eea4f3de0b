"""Backups of the wrapped keys, which expire, and the restore that never brings back what was destroyed.

A key backup is a text file: a line that says when it was made, a line per wrapped key, and an HMAC-SHA-256 over both
under a key derived from the master key. It is worth nothing without the master key, which is kept apart, and nothing
after `KEPT_DAYS`: then it is deleted, and refused where it was not. A restore never brings back what the ledger says
is destroyed.
"""

import base64
import hmac
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from hanmaru.platform.disk import replace
from hanmaru.platform.vault import ledger
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.keys import INDEX, Keys

KEPT_DAYS: Final = 7
PATTERN: Final = "keys-*.hkb"
_FORMAT: Final = "hanmaru key backup 1"
_SOON: Final = timedelta(hours=1)


class Wrapped(NamedTuple):
    """A wrapped key as a backup holds it."""

    room: str
    subject: str
    version: int
    made: float
    master: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class KeyBackup:
    """A key backup that was read and whose seal is right."""

    made: datetime
    keys: list[Wrapped]


def backup_keys(keys: Keys, folder: Path) -> Path:
    """Write a key backup and the ledger into a folder, delete the expired ones there, and return its path.

    The hub remembers the folder: what is destroyed later is taken out of the backups in it.
    """
    with keys.exclusively():
        _beside(keys, folder)
        expire(folder)
        return _back_up(keys, folder)


def _back_up(keys: Keys, folder: Path) -> Path:
    made = datetime.now(UTC)
    with keys.db.read() as db:
        rows = db.execute(
            "SELECT room, subject, version, made, master, wrapped FROM key WHERE subject != ? ORDER BY 1, 2, 3",
            (INDEX,),
        )
        found = [Wrapped(*row) for row in rows]
    path = folder / f"keys-{made:%Y%m%dT%H%M%S%fZ}.hkb"
    _write(keys, path, made, found)
    return path


def beside(keys: Keys, folder: Path) -> None:
    """Put a copy of the ledger into a backup's folder, and remember the folder so that the copy is kept up."""
    with keys.exclusively():
        _beside(keys, folder)


def _beside(keys: Keys, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with keys.db.write() as db:
        db.execute("INSERT OR IGNORE INTO folder VALUES(?)", (str(folder.absolute()),))
    ledger.add(folder / ledger.FILE, ledger.read([keys.folder / ledger.FILE]))


def folders(keys: Keys) -> list[Path]:
    """Return the remembered folders that are within reach now: there, and writable."""
    with keys.db.read() as db:
        paths = [Path(path) for (path,) in db.execute("SELECT path FROM folder")]
    return [path for path in paths if path.is_dir() and os.access(path, os.W_OK)]


def expire(folder: Path, at: datetime | None = None) -> list[Path]:
    """Delete a folder's key backups that are older than `KEPT_DAYS`; return them."""
    oldest = (at or datetime.now(UTC)) - timedelta(days=KEPT_DAYS)
    old = [path for path in folder.glob(PATTERN + "*") if _made(path) < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def read_backup(keys: Keys, path: Path, at: datetime | None = None) -> KeyBackup:
    """Return what a key backup holds.

    Raises VaultError for one that is older than `KEPT_DAYS`, was changed, or is of another master key.
    """
    lines = path.read_bytes().split(b"\n")
    if not _is_sound(keys, lines):
        raise VaultError(f"{path} is no key backup, was changed, or was made under another master key", 400)
    made = datetime.fromisoformat(json.loads(lines[0])["made"])
    now = at or datetime.now(UTC)
    if not now - timedelta(days=KEPT_DAYS) <= made <= now + _SOON:
        raise VaultError(f"{path} is of {made:%Y-%m-%d}; a key backup is good for {KEPT_DAYS} days", 400)
    return KeyBackup(made, [_parse(line) for line in lines[1:-2]])


def restore_keys(keys: Keys, path: Path, ledgers: Sequence[Path] = (), at: datetime | None = None) -> int:
    """Bring back the keys of a backup that are not here, except those that any ledger says are destroyed.

    The ledgers are the present one, the one beside the backup, and ``ledgers``. What they say is destroyed is taken
    out of the backup too. Returns how many keys came back; raises VaultError as `read_backup` does.
    """
    with keys.exclusively():
        backup = read_backup(keys, path, at)
        destroyed = _heed(keys, [path.parent / ledger.FILE, *ledgers])
        back = [key for key in backup.keys if (key.room, key.subject) not in destroyed]
        if len(back) < len(backup.keys):
            _write(keys, path, backup.made, back)
        with keys.db.write() as db:
            before = db.total_changes
            db.executemany("INSERT OR IGNORE INTO key VALUES(?, ?, ?, ?, ?, ?)", back)
            return db.total_changes - before


def heed(keys: Keys, ledgers: Iterable[Path]) -> ledger.Destroyed:
    """Add what other ledgers say to the present one, and return what they say together."""
    with keys.exclusively():
        return _heed(keys, ledgers)


def _heed(keys: Keys, ledgers: Iterable[Path]) -> ledger.Destroyed:
    own = keys.folder / ledger.FILE
    destroyed = ledger.read([own, *ledgers])
    ledger.add(own, destroyed)
    return destroyed


def forget_in_backups(keys: Keys, folder: Path, destroyed: Iterable[tuple[str, str]]) -> None:
    """Take destroyed subjects out of a folder's key backups, whole or not; call it exclusively."""
    for unfinished in folder.glob(PATTERN + ".new"):
        unfinished.unlink()
    gone = {(room.encode(), subject.encode()) for room, subject in destroyed}
    for path in folder.glob(PATTERN):
        lines = path.read_bytes().split(b"\n")
        left = [line for line in lines if tuple(line.split(b" ", 2)[:2]) not in gone]
        if len(left) < len(lines):
            sound = _is_sound(keys, lines)
            _write_lines(keys, path, left[:-2], mac=None if sound else left[-2])


def _write(keys: Keys, path: Path, made: datetime, found: Iterable[Wrapped]) -> None:
    head = {"format": _FORMAT, "made": made.isoformat(), "master": keys.current_master()}
    _write_lines(keys, path, [json.dumps(head).encode(), *(_line(key) for key in found)])


def _write_lines(keys: Keys, path: Path, lines: Sequence[bytes], mac: bytes | None = None) -> None:
    """Write a backup's lines and its seal, or ``mac`` where the seal was not right before."""
    replace(path, b"\n".join([*lines, mac or _mac(keys, lines), b""]))


def _line(key: Wrapped) -> bytes:
    wrapped = base64.b64encode(key.wrapped).decode()
    return f"{key.room} {key.subject} {key.version} {key.made!r} {key.master} {wrapped}".encode()


def _mac(keys: Keys, lines: Sequence[bytes]) -> bytes:
    key = keys.sealer(str(json.loads(lines[0])["master"]))
    return hmac.digest(key.secret, b"\n".join(lines), "sha256").hex().encode()


def _is_sound(keys: Keys, lines: Sequence[bytes]) -> bool:
    """Return whether a file's lines end with the right seal."""
    try:
        return lines[-1] == b"" and hmac.compare_digest(_mac(keys, lines[:-2]), lines[-2])
    except (VaultError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return False


def _parse(line: bytes) -> Wrapped:
    room, subject, version, made, master, wrapped = line.decode("ascii").split(" ")
    return Wrapped(room, subject, int(version), float(made), master, base64.b64decode(wrapped, validate=True))


def _made(path: Path) -> datetime:
    """Return when a backup says it was made; when it was last written where it says nothing readable."""
    with path.open("rb") as file:
        first = file.readline(1_000)
    if found := re.search(rb'"made": "([^"]+)"', first):
        try:
            return datetime.fromisoformat(found[1].decode("ascii")).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
