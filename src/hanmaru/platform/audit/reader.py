"""What the audit page is told: the chains as they stand, records found, and a verification that runs beside."""

import fcntl
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from hanmaru.platform.audit.index import BATCH_LINES, Index, Page, Query
from hanmaru.platform.audit.lines import chains, last_line, segments
from hanmaru.platform.audit.seal import private_key, read_head
from hanmaru.platform.audit.verify import Report, verify
from hanmaru.platform.audit.walk import Brief

log = structlog.get_logger()

BEAT_S = 0.5
DEAD_S = 10.0
PAUSE_S = 0.003
"""Slept every 1,000 lines (some 3 ms of work), so that the requests of the same process are answered meanwhile."""
MOST_BEHIND_LINES = 4 * BATCH_LINES
"""How much a search catches up before it answers; the rest is the background work's."""


class ChainStatus(msgspec.Struct, frozen=True):
    """A chain: how many records, the first and last one's time, and up to which record it is sealed."""

    name: str
    records: int
    first: str | None
    last: str | None
    sealed: int | None


class Running(msgspec.Struct, frozen=True):
    """A verification under way: bytes done and in all, and when it last said so (seconds since 1970)."""

    started: str
    beat: float
    done: int
    total: int


class Verification(msgspec.Struct, frozen=True):
    """The last verification that ended, and the one that runs."""

    last: Report | None = None
    now: Running | None = None
    error: str | None = None


class TrailReader:
    """Reads the trail for one web worker; what it knows of verifications it shares with the others by a file."""

    def __init__(self, data: Path, keys: Path) -> None:
        """Read the trail under ``<data>/audit``, sealed by the keys under ``<keys>/audit``."""
        self._data, self._keys = data, keys
        self.folder = data / "audit"
        self._index = Index(self.folder)
        self._state = self.folder / "verified.json"

    def search(self, query: Query) -> Page:
        """Find records, newest first; raises ValueError for a cursor that is none and TrailError without an index."""
        self._index.catch_up(MOST_BEHIND_LINES)
        return self._index.search(query)

    def actions(self) -> list[str]:
        """Return the actions that occur in the trail."""
        return self._index.actions()

    def chains(self) -> list[ChainStatus]:
        """Return the chains by name. Raises TrailError where a key or a sealed head was changed."""
        key = private_key(self._keys).public_key()
        found: list[ChainStatus] = []
        for name in chains(self.folder):
            files = [path for path in segments(self.folder / name) if path.stat().st_size]
            head = read_head(self._keys, name, key)
            sealed = head.seq if head else None
            if not files:
                found.append(ChainStatus(name, 0, None, None, sealed))
                continue
            with files[0].open("rb") as file:
                first = _brief(file.readline(2**16))
            last = _brief(last_line(files[-1]))
            found.append(
                ChainStatus(
                    name, last.seq if last else 0, first.at if first else None, last.at if last else None, sealed
                )
            )
        return found

    def verification(self) -> Verification:
        """Return the last verification and the running one, whichever worker runs it."""
        try:
            state = msgspec.json.decode(self._state.read_bytes(), type=Verification)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return Verification()
        if state.now and state.now.beat < time.time() - DEAD_S:
            return Verification(state.last, None, "the verification was interrupted; start it again")
        return state

    def start(self) -> bool:
        """Begin a verification in a thread; False when one runs, here or in another process."""
        held = os.open(self.folder / "verify.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return False
        last = self.verification().last
        began = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._write(Verification(last, Running(began, time.time(), 0, 0)))
        threading.Thread(target=self._verify, args=(held, began, last), name="audit verification", daemon=True).start()
        return True

    def _verify(self, held: int, began: str, last: Report | None) -> None:
        beat = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal beat
            if time.time() - beat > BEAT_S:
                beat = time.time()
                self._write(Verification(last, Running(began, beat, done, total)))

        try:
            report = verify(self._data, self._keys, progress=progress, pause_s=PAUSE_S)
            if not report.ok:
                log.critical("the audit trail was changed", findings=[str(each) for each in report.findings[:10]])
            self._write(Verification(report))
        except Exception as error:
            log.exception("verification of the audit trail failed")
            what = str(error) if isinstance(error, OSError) else "the verification failed; the log says why"
            self._write(Verification(last, None, what))
        finally:
            os.close(held)

    def keep(self, report: Report) -> None:
        """Remember a verification that was run elsewhere, such as from the command line."""
        self._write(Verification(report))

    def _write(self, state: Verification) -> None:
        draft = self._state.with_name(f"verified.json.{os.getpid()}")
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(self._state)


def _brief(line: bytes) -> Brief | None:
    try:
        return msgspec.json.decode(line[65:], type=Brief)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
