"""Putting restored data in the place of the present: all of it or nothing, wherever it is interrupted.

Everything that is to come lies unpacked and on disk in a folder of its own inside the data folder before the order to
swap is written, in one atomic step, as ``run/restore.json``. From then on the new state is what counts: whoever opens
the data folder next (a running supervisor at once, else the next start or command) carries the order out. Each step may
be done again, so that one interrupted is simply begun again.
"""

import fcntl
import os
import shutil
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import structlog

from hanmaru.backup import postgres
from hanmaru.backup.archive import AREA, OLD, RUN, BackupError
from hanmaru.config import Settings
from hanmaru.platform.disk import sync_folder
from hanmaru.platform.problems import Problem

log = structlog.get_logger()

ORDER = "restore.json"


class Order(msgspec.Struct, frozen=True):
    """What to swap: the folder with the new data, the folder for the old, the new entries and those that stay.

    ``ledgers`` are copies of the ledger of destructions that lie beside the backup.
    """

    new: str
    old: str
    names: tuple[str, ...]
    stay: tuple[str, ...]
    ledgers: tuple[str, ...] = ()


def order_path(data: Path) -> Path:
    """Return where the order lies."""
    return data / RUN / ORDER


def write_order(data: Path, order: Order) -> None:
    """Decide the swap: on return it will happen, whatever is killed."""
    path = order_path(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{ORDER}.{os.getpid()}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(order))
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def finish(settings: Settings) -> bool:
    """Carry out an order, if there is one and no hub runs that will; return whether it was carried out."""
    if not order_path(settings.data).exists():
        return False
    with held(settings.data) as alone:
        if alone:
            swap(settings)
    return alone


@contextmanager
def held(data: Path) -> Generator[bool]:
    """Hold the lock that a running hub holds; give whether it could be had."""
    with _lock(data / RUN / "lock") as alone:
        yield alone


def swap(settings: Settings) -> None:
    """Carry out the order; the caller holds the lock and nobody works on the data.

    Raises BackupError, and OSError when a folder cannot be changed; then it is to be done again. Where PostgreSQL
    refuses its part, which comes first, nothing has changed and the order is void.
    """
    data = settings.data
    path = order_path(data)
    try:
        order = msgspec.json.decode(path.read_bytes(), type=Order)
    except FileNotFoundError:
        return
    except msgspec.DecodeError as error:
        raise BackupError(f"{path} cannot be read: {error}") from None
    new, old = data / order.new, data / order.old
    dump = new / postgres.DUMP
    if dump.exists():
        try:
            postgres.load(settings.store_url, dump)
        except BackupError:
            if not old.exists():
                path.unlink()
            raise
    old.mkdir(mode=0o700, exist_ok=True)
    waiting = {entry.name for entry in new.iterdir()} if new.exists() else set[str]()
    for entry in sorted(data.iterdir()):
        came = entry.name in order.names and entry.name not in waiting
        if not came and not stays(entry.name, order.stay):
            move(entry, old / entry.name)
    for name in sorted(waiting - {postgres.DUMP}):
        move(new / name, data / name)
    for folder in (old, data):
        sync_folder(folder)
    _settle(settings, old, [Path(ledger) for ledger in order.ledgers])
    path.unlink()
    sync_folder(path.parent)
    shutil.rmtree(new, ignore_errors=True)


def stays(name: str, stay: Iterable[str]) -> bool:
    """Whether an entry of the data folder is left alone by a swap."""
    return name in stay or name.startswith((AREA, OLD))


def move(path: Path, to: Path) -> None:
    """Rename an entry of the data folder."""
    path.rename(to)


def _settle(settings: Settings, old: Path, ledgers: Sequence[Path]) -> None:
    """Let nothing that was destroyed come back, neither in the new data nor in the old that is kept.

    What is encrypted is closed by the destruction of its key, there as everywhere; a blind index is not, so the old
    ones go.
    """
    from hanmaru.platform.vault.backup import heed
    from hanmaru.platform.vault.destroy import replay
    from hanmaru.platform.vault.keys import Keys

    for index in (old / "vaults").glob("*.index.db*"):
        index.unlink()
    if not Keys.exist(settings.keys_folder):
        return
    try:
        with closing(Keys(settings.keys_folder, make=False)) as keys:
            replay(settings.data, keys, heed(keys, ledgers))
    except Problem as error:
        log.error("rests of destroyed subjects stay, closed for good without their keys", reason=str(error))


@contextmanager
def restoring(data: Path) -> Generator[None]:
    """Be the one restore of a data folder, and remove what interrupted ones had unpacked before they were decided.

    Raises BackupError while another is under way.
    """
    with _lock(data / RUN / "restore.lock") as alone:
        if not alone:
            raise BackupError("another restore of this data folder is under way")
        if not order_path(data).exists():
            for folder in data.glob(f"{AREA}*"):
                shutil.rmtree(folder, ignore_errors=True)
        yield


@contextmanager
def _lock(path: Path) -> Generator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
