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

import structlog

from hanmaru.platform.vault import ledger
from hanmaru.platform.vault.disk import replace
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.keys import INDEX, Keys

log = structlog.get_logger()

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
    old = [path for path in folder.glob(PATTERN) if _made(path) < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def read_backup(keys: Keys, path: Path, at: datetime | None = None) -> KeyBackup:
    """Return what a key backup holds.

    Raises VaultError for one that is older than `KEPT_DAYS`, was changed, or is of another master key.
    """
    backup, sound = _read(keys, path)
    if not sound:
        raise VaultError(f"{path} was changed, or was made under another master key", 400)
    now = at or datetime.now(UTC)
    if not now - timedelta(days=KEPT_DAYS) <= backup.made <= now + _SOON:
        raise VaultError(f"{path} is of {backup.made:%Y-%m-%d}; a key backup is good for {KEPT_DAYS} days", 400)
    return backup


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


def forget_in_backups(keys: Keys, folder: Path, destroyed: ledger.Destroyed) -> None:
    """Take destroyed subjects out of a folder's key backups; call it exclusively."""
    for path in folder.glob(PATTERN):
        try:
            backup, sound = _read(keys, path)
        except VaultError as error:
            log.warning("key backup left as it is", problem=str(error))
            continue
        left = [key for key in backup.keys if (key.room, key.subject) not in destroyed]
        if len(left) < len(backup.keys):
            _write(keys, path, backup.made, left, sealed=sound)


def _write(keys: Keys, path: Path, made: datetime, found: list[Wrapped], *, sealed: bool = True) -> None:
    head = {"format": _FORMAT, "made": made.isoformat(), "master": keys.current_master()}
    lines = [json.dumps(head), *(_line(key) for key in found)]
    body = "".join(line + "\n" for line in lines).encode()
    mac = _mac(keys, head["master"], body) if sealed else "unsealed"
    replace(path, body + f"{mac}\n".encode())


def _line(key: Wrapped) -> str:
    wrapped = base64.b64encode(key.wrapped).decode()
    return f"{key.room} {key.subject} {key.version} {key.made!r} {key.master} {wrapped}"


def _mac(keys: Keys, master: str, body: bytes) -> str:
    return hmac.digest(keys.sealer(master).secret, body, "sha256").hex()


def _read(keys: Keys, path: Path) -> tuple[KeyBackup, bool]:
    """Return a backup and whether its seal is right."""
    try:
        body, _, mac = path.read_bytes().rstrip(b"\n").rpartition(b"\n")
        first, *lines = body.decode("ascii").split("\n")
        head = json.loads(first)
        made = datetime.fromisoformat(head["made"])
        found = [_parse(line) for line in lines]
        if head["format"] != _FORMAT or made.tzinfo is None:
            raise ValueError
        master = str(head["master"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VaultError(f"{path} is not a key backup") from None
    try:
        sound = hmac.compare_digest(_mac(keys, master, body + b"\n"), mac.decode("ascii", "replace"))
    except (VaultError, TypeError):
        sound = False
    return KeyBackup(made, found), sound


def _parse(line: str) -> Wrapped:
    room, subject, version, made, master, wrapped = line.split(" ")
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
