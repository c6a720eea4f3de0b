"""What a backup is: files and a manifest that names each with size and SHA-256, in one tar file or in a folder.

The manifest comes last, as ``manifest.json`` with its own digest beside it. Nothing that an archive says is believed
before every byte of it agrees with the manifest; and only plain files with names that stay inside are taken.
"""

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

import msgspec

from hanmaru.platform.disk import sync_folder

MANIFEST, DIGEST = "manifest.json", "manifest.sha256"
FORMAT = 1
CHUNK = 2**20
MOST_FILES = 1_000_000
MOST_MANIFEST_BYTES = 512 * MOST_FILES
AREA = ".restore-"
OLD = "before-restore-"
RUN = "run"
NEVER = frozenset({RUN, "keys", "lost+found", "demo-accounts.json", MANIFEST, DIGEST})
"""What is of this start or this disk only, opens what is in a backup, or lies there in the clear."""

Progress = Callable[[int], None]
"""Told how many bytes more are done."""


class BackupError(Exception):
    """Why there is no backup or no restore; the text says what to do."""


class Member(msgspec.Struct, frozen=True):
    """A file of a backup: its path in the data folder, its size in bytes and the SHA-256 of its content."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a backup; ``hub`` is how the hub's own data is: a SQLite file, a PostgreSQL dump, or left out."""

    format: int
    version: str
    at: datetime
    hub: Literal["sqlite", "postgresql", "none"]
    files: tuple[Member, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


class Source(Protocol):
    """Where a file's bytes come from."""

    def read(self, size: int = ..., /) -> bytes: ...


class Hashing:
    """A source that is hashed as it is read."""

    def __init__(self, source: Source, progress: Progress) -> None:
        """Read ``source``."""
        self._source, self._progress = source, progress
        self.digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes."""
        data = self._source.read(size)
        self.digest.update(data)
        self.size += len(data)
        self._progress(len(data))
        return data

    def drain(self, into: Callable[[bytes], object] = lambda _: None) -> None:
        """Read to the end."""
        while data := self.read(CHUNK):
            into(data)


class Writer:
    """Writes a backup, as a tar file or a folder; `finish` ends it with its manifest."""

    def __init__(self, path: Path, *, tar: bool, progress: Progress) -> None:
        """Write at ``path``, which must not exist."""
        self._path, self._progress = path, progress
        self.members: list[Member] = []
        self._file: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        if tar:
            self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")
            # Closed by the archive that holds it.
            self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        else:
            path.mkdir(mode=0o700)

    def add(self, name: str, source: Source, size: int) -> None:
        """Add a file of exactly ``size`` bytes; raises OSError when the source has fewer."""
        hashing = Hashing(source, self._progress)
        self._add(name, hashing, size)
        self.members.append(Member(name, size, hashing.digest.hexdigest()))

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and put everything on disk."""
        encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        for name, content in ((MANIFEST, encoded), (DIGEST, hashlib.sha256(encoded).hexdigest().encode())):
            self._add(name, Hashing(_Bytes(content), lambda _: None), len(content))
        if self._tar and self._file:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
        else:
            sync_tree(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _add(self, name: str, source: Hashing, size: int) -> None:
        if self._tar:
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, 0o600
            self._tar.addfile(info, source)  # pyright: ignore[reportArgumentType] - it is read from alone
            return
        with new_file(self._path, name) as file:
            while (left := size - source.size) > 0:
                data = source.read(min(CHUNK, left))
                if not data:
                    raise OSError(f"{name} became shorter while it was copied")
                file.write(data)


class _Bytes:
    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else size
        data, self._content = bytes(self._content[:end]), self._content[end:]
        return data


def read_manifest(path: Path, progress: Progress = lambda _: None) -> Manifest:
    """Return the manifest of a backup, every byte of which has been checked against it.

    Raises BackupError for anything that is not exactly what a backup was when it was written.
    """
    seen: dict[str, Member] = {}
    kept: dict[str, bytes] = {}
    with _readable(path):
        for name, size, source in _members(path):
            if name in seen or name in kept or len(seen) > MOST_FILES:
                raise BackupError(f"{path} is damaged: {name!r} is in it twice")
            hashing = Hashing(source, progress)
            if name in (MANIFEST, DIGEST):
                if size > MOST_MANIFEST_BYTES:
                    raise BackupError(f"{path} is damaged: its manifest is too large")
                kept[name] = hashing.read(size)
            else:
                hashing.drain()
                seen[name] = Member(name, size, hashing.digest.hexdigest())
            if hashing.size != size:
                raise BackupError(f"{path} is cut off in {name!r}")
        if kept.keys() != {MANIFEST, DIGEST}:
            raise BackupError(f"{path} is no backup, or is cut off: it has no manifest")
        if hashlib.sha256(kept[MANIFEST]).hexdigest().encode() != kept[DIGEST]:
            raise BackupError(f"{path} is damaged: its manifest was changed")
        try:
            manifest = msgspec.json.decode(kept[MANIFEST], type=Manifest)
        except (msgspec.DecodeError, RecursionError):
            raise BackupError(f"{path} is damaged: its manifest cannot be read") from None
    if manifest.format != FORMAT:
        raise BackupError(f"{path} was written by Hanmaru {manifest.version}, in a form this version does not read")
    told = {file.name: file for file in manifest.files}
    for name in sorted(told.keys() ^ seen.keys()):
        raise BackupError(f"{path} is damaged: {name!r} is {'missing' if name in told else 'not in its manifest'}")
    for name, file in told.items():
        if file != seen[name]:
            raise BackupError(f"{path} is damaged: {name!r} is not what was written")
        check_name(path, name)
    return manifest


def unpack(path: Path, manifest: Manifest, folder: Path, skip: Callable[[str], bool], progress: Progress) -> None:
    """Write a checked backup's files under a folder and put them on disk, checking them again.

    ``skip`` says which names stay out. Raises BackupError as `read_manifest` does, and OSError for a full disk.
    """
    told = {file.name: file for file in manifest.files}
    with _readable(path):
        for name, _size, source in _members(path):
            if name in (MANIFEST, DIGEST) or skip(name):
                continue
            if name not in told:  # before a file of this name is made: only what is told was checked to stay inside
                raise BackupError(f"{path} changed while it was restored")
            hashing = Hashing(source, progress)
            with new_file(folder, name) as file:
                hashing.drain(file.write)
            if hashing.digest.hexdigest() != told[name].sha256:
                raise BackupError(f"{path} changed while it was restored")
    sync_tree(folder)


def check_name(path: Path, name: str) -> None:
    """Raise BackupError for a name that leads out of the data folder, or to what no backup holds."""
    parts = name.split("/")
    inside = name.isprintable() and "\\" not in name and all(part not in ("", ".", "..") for part in parts)
    if not inside or len(name) > 1024 or parts[0] in NEVER or parts[0].startswith((AREA, OLD)):
        raise BackupError(f"{path} is no backup of a data folder: it holds {name!r}")


def sync_tree(folder: Path) -> None:
    """Put a folder and everything in it on disk."""
    for inside, _folders, files in os.walk(folder):
        for name in files:
            with (Path(inside) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(inside))


@contextmanager
def new_file(folder: Path, name: str) -> Generator[IO[bytes]]:
    """Open a new file under a folder, readable by its owner only, as are the folders that it makes on the way."""
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents):
        (folder / parent).mkdir(exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600), "wb") as file:
        yield file


@contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, OverflowError, LookupError, MemoryError) as error:
        raise BackupError(f"{path} is no backup, or is damaged: {error}") from None


def _members(path: Path) -> Iterator[tuple[str, int, Source]]:
    """Yield every file of a backup with its size; raises BackupError for what is no plain file."""
    if path.is_dir():
        for inside, folders, files in os.walk(path):
            folders.sort()
            for name in (*folders, *files):
                mode = (Path(inside) / name).lstat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise BackupError(f"{path} is no backup: {name!r} is neither a file nor a folder")
            for name in sorted(files):
                full = Path(inside) / name
                with os.fdopen(os.open(full, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                    yield str(PurePosixPath(full.relative_to(path))), os.fstat(file.fileno()).st_size, file
        return
    with tarfile.open(path, mode="r:") as tar:
        for info in tar:
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue] - or a million of them stay in memory
            if not info.isreg() or info.issparse() or info.size < 0:
                raise BackupError(f"{path} is no backup: {info.name!r} is not a plain file")
            source = tar.extractfile(info)
            assert source
            yield info.name, info.size, source
