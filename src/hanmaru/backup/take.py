"""Taking a backup while the hub runs and writes.

Every database is copied by SQLite itself, as it is at one instant. The order lets nothing dangle: what refers to
something is copied before it (positions before the hub they are positions in, jobs before the vaults), files of a
vault before and after the rows that name them, and the audit trail last, so that it tells at least of everything else.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from hanmaru.backup import postgres
from hanmaru.backup.archive import (
    AREA,
    FORMAT,
    NEVER,
    OLD,
    BackupError,
    Manifest,
    Progress,
    Writer,
)
from hanmaru.config import Settings
from hanmaru.platform.disk import sync_folder
from hanmaru.platform.problems import Problem

HUB = "hub.db"
AUDIT = "audit"
VAULTS = "vaults"
FORGOTTEN = {"accounts.db": ("session", "setup"), "machines.db": ("token",), "oidc.db": ("login",)}
"""Tables that a copy has empty: who was signed in then is not signed in by a restore."""
_DERIVED = (".index.db", "audit/index.db")
_BESIDE = ("-wal", "-shm", "-journal")
_LINES = (".log", ".jsonl")
_SQLITE = b"SQLite format 3\0"
_PAGES = 2_000


def take(
    settings: Settings,
    target: Path,
    *,
    without_hub: bool = False,
    begin: Callable[[int], Progress] = lambda _: lambda _: None,
) -> Manifest:
    """Write a backup of the data folder to ``target``, a folder or a file that ends in ``.tar``, and say what is in it.

    The folder of keys stays out. ``begin`` is told how many bytes there are and returns what is told how many are done.
    Raises BackupError; what was begun is removed then.
    """
    data = settings.data
    if not data.is_dir():
        raise BackupError(f"there is no data folder {data}")
    if target.exists():
        raise BackupError(f"{target} exists; name a file or folder that does not")
    if target.resolve().is_relative_to(data.resolve()):
        raise BackupError(f"{target} is inside the data folder; a backup belongs elsewhere, best on another disk")
    tar = target.suffix == ".tar"
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    copies = target.with_name(f".{target.name}.{os.getpid()}.copies")
    hub = _hub(settings, without_hub)
    files = _Files(data, settings.keys_folder, hub)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copies.mkdir(mode=0o700)
        progress = begin(sum(_size(path) for path in files.all()))
        with closing(Writer(part, tar=tar, progress=progress)) as writer:
            at = datetime.now(UTC)
            _copy(writer, files, copies)
            if hub == "postgresql":
                dump = copies / postgres.DUMP
                postgres.dump(settings.store_url, dump)
                _add(writer, postgres.DUMP, dump)
            _copy_last(writer, files)
            manifest = Manifest(FORMAT, version("hanmaru"), at, hub, tuple(writer.members))
            writer.finish(manifest)
        _leave_ledger(settings, target.parent)
        part.rename(target)
        sync_folder(target.parent)
        return manifest
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"cannot back up to {target}: {error}") from None
    finally:
        for left in (part, copies):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


class _Files:
    """The files that a backup takes, by their paths in the data folder."""

    def __init__(self, data: Path, keys: Path, hub: str) -> None:
        self.data, self._keys, self._no_hub = data, keys.resolve(), hub != "sqlite"

    def all(self) -> list[Path]:
        """Return them as they are now, sorted."""
        return sorted(self._walk(self.data))

    def name(self, path: Path) -> str:
        """Return a file's name in the backup."""
        return path.relative_to(self.data).as_posix()

    def _walk(self, folder: Path) -> Iterator[Path]:
        for path in folder.iterdir():
            top = folder == self.data
            if path.is_symlink() or path.resolve() == self._keys or (top and path.name.startswith((AREA, OLD))):
                continue
            if top and (path.name in NEVER or (self._no_hub and path.name == HUB)):
                continue
            if path.is_dir():
                yield from self._walk(path)
            elif path.is_file() and not self.name(path).endswith((*_DERIVED, *_BESIDE, ".lock")):
                yield path


def _copy(writer: Writer, files: _Files, copies: Path) -> None:
    """Copy everything but the audit trail."""
    found = [path for path in files.all() if files.name(path).partition("/")[0] != AUDIT]
    databases = [path for path in found if _is_sqlite(path)]
    plain = [path for path in found if path not in set(databases)]
    done = set(plain)
    for path in plain:
        _add(writer, files.name(path), path)
    for path in sorted(databases, key=lambda path: _turn(files.name(path))):
        _add_database(writer, files.name(path), path, copies)
    for path in files.all():
        if files.name(path).startswith(f"{VAULTS}/") and path not in done and not _is_sqlite(path):
            _add(writer, files.name(path), path)


def _copy_last(writer: Writer, files: _Files) -> None:
    for path in files.all():
        if files.name(path).partition("/")[0] == AUDIT:
            _add(writer, files.name(path), path)


def _turn(name: str) -> tuple[int, str]:
    first: Sequence[str] = ("jobs.db", "handover.db", HUB)
    last: Sequence[str] = (VAULTS, "accounts.db", "machines.db")
    top = name.partition("/")[0]
    return (first.index(top) if top in first else 10 + last.index(top) if top in last else 5), name


def _add(writer: Writer, name: str, path: Path) -> None:
    """Add a plain file as long as it is now, a file of lines up to the end of its last whole line."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if path.suffix in _LINES:
                size = _last_line_end(file.fileno(), size)
            writer.add(name, file, size)
    except FileNotFoundError:
        return  # replaced or removed since it was listed


def _add_database(writer: Writer, name: str, path: Path, copies: Path) -> None:
    copy = copies / "copy.db"
    copy.unlink(missing_ok=True)
    try:
        copy_database(path, copy, FORGOTTEN.get(name, ()))
    except sqlite3.Error as error:
        raise BackupError(f"cannot copy {name}: {error}") from None
    _add(writer, name, copy)
    copy.unlink()


def copy_database(path: Path, copy: Path, forget: Sequence[str] = ()) -> None:
    """Copy a SQLite database as it is at one instant, while others write to it; leave the tables ``forget`` empty."""
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as into,
    ):
        # Inside one read transaction, no writer's commit makes the copy begin again.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(into, pages=_PAGES)
        source.execute("COMMIT")
        into.execute("PRAGMA journal_mode=DELETE")
        present = {name for (name,) in into.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if emptied := [table for table in forget if table in present]:
            for table in emptied:
                into.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            into.execute("VACUUM")


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def _last_line_end(file: int, size: int) -> int:
    """Return where the last whole line ends within the first ``size`` bytes."""
    end = size
    while end > 0:
        begin = max(0, end - 65_536)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _leave_ledger(settings: Settings, folder: Path) -> None:
    """Let a copy of the ledger of destructions lie beside the backup, and be kept up from now on."""
    from hanmaru.platform.vault.backup import beside
    from hanmaru.platform.vault.keys import Keys

    if Keys.exist(settings.keys_folder):
        try:
            with closing(Keys(settings.keys_folder, make=False)) as keys:
                beside(keys, folder)
        except Problem as error:
            raise BackupError(f"the ledger of destructions cannot be copied beside the backup: {error}") from None


def _hub(settings: Settings, without: bool) -> Literal["sqlite", "postgresql", "none"]:
    if without:
        return "none"
    if settings.store_url.startswith("sqlite:///"):
        path = Path(settings.store_url.removeprefix("sqlite:///")).absolute()
        if path != settings.data / HUB:
            raise BackupError(f"the store {path} is not in the data folder: copy it yourself and give --without-hub")
        return "sqlite"
    postgres.require("pg_dump")
    return "postgresql"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
