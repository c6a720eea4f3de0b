"""Writing the trail: one chain of files for each writing process, appended to and never changed.

`Trail.record` writes its line before it returns, so a killed process loses nothing. A thread puts what was written on
disk at least every second, and at once where somebody waits in `Trail.commit`, all who wait together. After that it
seals: the chain's head is signed and kept in the folder of keys, where an intruder in the data cannot change it, and
once a second a checkpoint with a signature goes into the chain itself.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec
import structlog

from hanmaru.platform.audit.lines import (
    BODY_BYTES,
    CHECKPOINT,
    GENESIS,
    RECOVERED,
    fitted,
    last_line,
    link,
    now_text,
    place,
    segment,
    segments,
)
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.seal import (
    Head,
    SealedHead,
    TrailError,
    head_path,
    read_head,
    signed,
    signing_key,
)
from hanmaru.platform.audit.walk import Brief, Walker
from hanmaru.platform.disk import sync_folder

log = structlog.get_logger()

SEGMENT_BYTES = 64 * 2**20
SEAL_S = 1.0
MOST_WRITERS = 64
SELF = "system:audit"


class Trail:
    """One process's chain of the audit trail, open for writing; may be used from every thread."""

    def __init__(self, data: Path, keys: Path, name: str) -> None:
        """Continue the chain ``name`` under ``<data>/audit``, or begin it; sign with the key under ``<keys>/audit``.

        Where another process writes that chain, take ``<name>.2``, ``<name>.3``, … Raises TrailError when the trail
        cannot be written.
        """
        self.folder = data / "audit"
        try:
            self._open(keys, name)
        except TrailError:
            raise
        except OSError as error:
            raise TrailError(f"cannot write the audit trail in {self.folder}: {error}") from error

    def _open(self, keys: Path, name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = signing_key(keys, self.folder)
        self.name, self._held = _hold(self.folder, name)
        self._chain = self.folder / self.name
        path = head_path(keys, self.name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._head = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._wake, self._urgent = threading.Event(), threading.Event()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._broken: str | None = None
        self._closing = False
        self._next_seal = 0.0
        self._unsigned = 0
        self._continue(keys)
        self._thread = threading.Thread(target=self._keep, name="audit trail", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the trail."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def record(self, record: Record) -> None:
        """Append a record; on return it survives ``kill -9``, and within a second a power failure.

        Raises TrailError, an OSError, when it cannot be written: what is not audited must not happen.
        """
        with self._lock:
            self._append(record)
        if not self._wake.is_set():
            self._wake.set()

    async def commit(self, record: Record) -> None:
        """Append a record; on return it is on disk and sealed. Raises TrailError when it is not."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._append(record)
            first = not self._waiters or self._waiters[-1][0] is not loop
            self._waiters.append((loop, future))
        if first:
            # Once the loop has run everybody who is ready: what they commit shares one sync.
            loop.call_soon(self._rouse)
        await future

    def _rouse(self) -> None:
        self._urgent.set()
        self._wake.set()

    def close(self) -> None:
        """Put everything on disk, sign and seal it, and let the chain go."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._rouse()
        self._thread.join()
        for fd in (self._file, self._head, self._held):
            os.close(fd)

    def _append(self, record: Record) -> None:
        """Write a record's lines; the lock is held."""
        if self._broken:
            raise TrailError(self._broken)
        if self._closing and threading.current_thread() is not self._thread:
            raise TrailError(f"the audit trail {self.name} is closed")
        at = now_text()
        try:
            body = place(record, self._seq + 1, at, self.name)
        except UnicodeEncodeError:
            body = b""
        if body and len(body) <= BODY_BYTES:
            self._write((body,))
        else:
            records = fitted(record)
            self._write(place(each, self._seq + n, at, self.name) for n, each in enumerate(records, 1))

    def _write(self, bodies: Iterable[bytes]) -> None:
        hash, lines, count = self._hash, b"", 0
        for body in bodies:
            hash = link(hash, body)
            lines += b"%b %b\n" % (hash, body)
            count += 1
        try:
            written = os.write(self._file, lines)
            if written != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            # A piece of a line that nobody was told is written must not stay before the next line.
            try:
                os.ftruncate(self._file, self._size)
            except OSError as second:
                self._broken = f"the audit trail {self._chain} is damaged: {second}"
            raise TrailError(error.errno, f"cannot write the audit trail: {error.strerror}") from error
        self._hash = hash
        self._seq += count
        self._unsigned += count
        self._size += written
        if self._size >= SEGMENT_BYTES:
            self._urgent.set()

    def _keep(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._urgent.wait(max(0.0, self._next_seal - time.monotonic()))
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Put what was written on disk, seal it, and tell who waits for that."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
            self._urgent.clear()
            if self._closing or time.monotonic() >= self._next_seal:
                self._wake.clear()
                self._next_seal = time.monotonic() + SEAL_S
                with contextlib.suppress(OSError):  # a full disk; what was written before is sealed all the same
                    self._checkpoint()
            seq, hash = self._seq, self._hash
        try:
            os.fdatasync(self._file)
            self._seal(seq, hash)
            if self._size >= SEGMENT_BYTES:
                self._rotate()
        except OSError as error:
            # After a failed sync nobody knows what is on disk, and a second one would not tell.
            self._broken = f"the audit trail {self._chain} could not be put on disk: {error}; start this process again"
            log.critical("audit trail cannot be put on disk", chain=self.name, error=str(error))
        _answer(waiters, TrailError(self._broken) if self._broken else None)

    def _checkpoint(self) -> None:
        """Append a signed statement of the head, if anything came after the last; the lock is held."""
        if not self._unsigned or self._broken:
            return
        at = now_text()
        seal = signed(self._key, Head(self.name, self._seq, self._hash.decode(), at))
        record = Record(SELF, CHECKPOINT, "", detail={"signature": seal.signature})
        self._write((place(record, self._seq + 1, at, self.name),))
        self._unsigned = 0

    def _seal(self, seq: int, hash: bytes) -> None:
        sealed: SealedHead = signed(self._key, Head(self.name, seq, hash.decode(), now_text()))
        os.pwrite(self._head, sealed.encode(), 0)

    def _rotate(self) -> None:
        """Begin the next segment once the one before is on disk and sealed as it is."""
        with self._lock:
            try:
                self._checkpoint()
                new = _new_segment(self._chain, self._number + 1)
            except OSError as error:
                log.warning("audit trail cannot begin a segment", chain=self.name, error=str(error))
                return  # this one grows on until there is room
            os.fdatasync(self._file)
            self._seal(self._seq, self._hash)
            os.close(self._file)
            self._file, self._number, self._size = new, self._number + 1, 0

    def _continue(self, keys: Path) -> None:
        """Find the chain's end; where it is not what was sealed, or unfinished, say so in a ``recovered`` record."""
        existing = segments(self._chain)
        try:
            sealed = read_head(keys, self.name, self._key.public_key())
        except TrailError:
            sealed = None
        self._seq, self._hash, self._size, self._number = 0, GENESIS, 0, 1
        if not existing:
            if sealed is None:
                self._seal(0, GENESIS)
                os.fsync(self._head)
                sync_folder(head_path(keys, self.name).parent)
            self._file = _new_segment(self._chain, 1)
            sync_folder(self.folder)
            if sealed and sealed.seq:
                self._recovered({"sealed": str(sealed.seq)})
            return
        path = existing[-1]
        self._number = int(path.stem)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = os.fstat(self._file).st_size
        end = last_line(path)
        if sealed and end[:64] == sealed.hash.encode() and end.endswith(b"\n"):
            self._seq, self._hash = sealed.seq, end[:64]
            return
        detail = self._recover(existing, sealed)
        if sealed is None:
            detail["sealed"] = ""
        if detail:
            self._recovered(detail)

    def _recover(self, existing: list[Path], sealed: Head | None) -> dict[str, str]:
        """Walk from the sealed head's segment to the end, and return what a ``recovered`` record should say."""
        walker = Walker(self.name, lambda finding: None)
        first = len(existing) - 1
        while first and (sealed is None or _seq_of(last_line(existing[first - 1])) > sealed.seq):
            first -= 1
        if first:
            before = last_line(existing[first - 1])
            walker.follow(_seq_of(before), before[:64])
        found = sealed is None or sealed.hash.encode() == walker.hash
        for path in existing[first:]:
            for _ in walker.walk(path):
                if sealed and walker.seq == sealed.seq:
                    found = found or walker.hash == sealed.hash.encode()
        self._seq, self._hash = walker.seq, walker.hash
        detail: dict[str, str] = {}
        if walker.unended:
            os.write(self._file, b"\n")
            detail["bytes"] = "0"
        elif damage := walker.damage:
            if not damage.ended:
                os.write(self._file, b"\n")
                damage.digest.update(b"\n")
                damage.bytes += 1
            detail |= {"bytes": str(damage.bytes), "sha256": damage.digest.hexdigest()}
        self._size = os.fstat(self._file).st_size
        if sealed and not found:
            detail["sealed"] = str(sealed.seq)
        return detail

    def _recovered(self, detail: dict[str, str]) -> None:
        log.warning("audit trail was not closed as it should be", chain=self.name, **detail)
        body = place(Record(SELF, RECOVERED, "", detail=detail), self._seq + 1, now_text(), self.name)
        self._write((body,))


def _hold(folder: Path, name: str) -> tuple[str, int]:
    """Return the first free chain's name and the descriptor that holds it for this process."""
    for number in range(1, MOST_WRITERS + 1):
        chain = name if number == 1 else f"{name}.{number}"
        (folder / chain).mkdir(exist_ok=True, mode=0o700)
        fd = os.open(folder / chain, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
        else:
            return chain, fd
    raise TrailError(f"{MOST_WRITERS} processes already write the audit trail as {name!r}")


def _new_segment(chain: Path, number: int) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(segment(chain, number), flags, 0o600)
    sync_folder(chain)
    return fd


def _seq_of(line: bytes) -> int:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(line[65:], type=Brief).seq
    return 0


def _answer(waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]], error: TrailError | None) -> None:
    """Tell those who wait in `Trail.commit`, each loop once."""

    def tell(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_exception(error) if error else future.set_result(None)

    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for loop, future in waiters:
        by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(tell, futures)
