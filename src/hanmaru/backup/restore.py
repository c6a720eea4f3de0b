"""Restoring a backup: check all of it, unpack it beside the data, then have it swapped in.

While a hub runs, its supervisor stops the workers, swaps, and starts them again; without one, it happens here. The
audit trail of the present stays, because what happened is not undone by a restore; so do the keys, and the demo's
passwords.
"""

import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hanmaru.backup import postgres
from hanmaru.backup.archive import AREA, NEVER, OLD, BackupError, Manifest, Progress, read_manifest, unpack
from hanmaru.backup.swap import Order, finish, order_path, restoring, stays, write_order
from hanmaru.backup.take import AUDIT, HUB
from hanmaru.config import Settings

SPARE_BYTES = 64 * 2**20
SWAP_S = 120
LEDGER = "destroyed.log"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: what the backup held, where the data of before lies, and whether a hub was running."""

    manifest: Manifest
    before: Path
    running: bool


def restore(
    settings: Settings, source: Path, *, begin: Callable[[int], Progress] = lambda _: lambda _: None
) -> Restored:
    """Put a backup in the place of the data folder's content.

    Raises BackupError for a backup that is not whole and unchanged, for a disk without room, and for data that cannot
    be swapped; nothing has changed then.
    """
    data = settings.data
    if not source.exists():
        raise BackupError(f"there is no {source}")
    try:
        progress = begin(2 * _size(source))
        manifest = read_manifest(source, progress)
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with restoring(data):
            _carry_out(settings)  # what an earlier one decided comes first
            before = data / _decide(settings, source, manifest, progress)
            running = _carry_out(settings)
    except OSError as error:
        raise BackupError(f"cannot restore {source}: {error}") from None
    if not before.exists():
        raise BackupError("PostgreSQL did not take its part, so nothing was restored; the hub's log says why")
    return Restored(manifest, before, running)


def _decide(settings: Settings, source: Path, manifest: Manifest, progress: Progress) -> str:
    """Unpack beside the data and write the order to swap; return the name of the folder for the old data."""
    data = settings.data
    stay = _staying(settings, manifest)
    _require_swappable(data, stay)
    free = shutil.disk_usage(data).free
    if free < manifest.size + SPARE_BYTES:
        raise BackupError(f"{manifest.size:,} bytes are needed beside {data}, and {free:,} are free")
    new = data / f"{AREA}{secrets.token_hex(6)}"
    new.mkdir(mode=0o700)
    try:
        unpack(source, manifest, new, lambda name: name.partition("/")[0] in stay, progress)
        names = tuple(sorted(entry.name for entry in new.iterdir() if entry.name != postgres.DUMP))
        old = f"{OLD}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{new.name.removeprefix(AREA)[:4]}"
        ledgers = tuple(str(path.absolute()) for path in source.absolute().parent.glob(LEDGER))
        write_order(data, Order(new.name, old, names, stay, ledgers))
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return old


def _carry_out(settings: Settings) -> bool:
    """Swap if that was decided, or wait until a running hub has; return whether one did."""
    deadline = time.monotonic() + SWAP_S
    running = False
    while order_path(settings.data).exists() and not finish(settings):
        running = True
        if time.monotonic() > deadline:
            raise BackupError(f"the hub has not swapped the data in {SWAP_S} s; it will when it is started again")
        time.sleep(0.1)
    return running


def _require_swappable(data: Path, stay: tuple[str, ...]) -> None:
    device = data.stat().st_dev
    for entry in data.iterdir():
        if not stays(entry.name, stay) and entry.lstat().st_dev != device:
            raise BackupError(f"{entry} is a file system of its own, which cannot be swapped; restore it by itself")


def _staying(settings: Settings, manifest: Manifest) -> tuple[str, ...]:
    """Return the entries of the data folder that a restore leaves alone."""
    data, keys, stay = settings.data, settings.keys_folder, [*NEVER]
    if keys.is_relative_to(data):
        inside = keys.relative_to(data).parts
        if len(inside) != 1:
            raise BackupError(f"the keys in {keys} lie deep inside the data folder; move them out of it (setting keys)")
        stay += inside
    if (data / AUDIT).is_dir():
        stay.append(AUDIT)
    sqlite = settings.store_url.startswith("sqlite:")
    if manifest.hub == "postgresql":
        if sqlite:
            raise BackupError("the hub of this backup is in PostgreSQL; set store to a postgresql:// address")
        postgres.require("pg_restore")
    elif manifest.hub == "sqlite" and settings.store_url != f"sqlite:///{data / HUB}":
        raise BackupError("the hub of this backup is in SQLite; set store to sqlite")
    elif manifest.hub == "none":
        stay += [HUB, f"{HUB}-wal", f"{HUB}-shm"]
    return tuple(stay)


def _size(source: Path) -> int:
    if source.is_file():
        return source.stat().st_size
    return sum(path.lstat().st_size for path in source.rglob("*"))
