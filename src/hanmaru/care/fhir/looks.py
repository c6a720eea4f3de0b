"""Who looked at whose record: a line in the audit trail at once, and one in the patient's own log a moment later.

What an organisation's people are given of a patient's record is audited before it is given; that survives ``kill -9``.
The patient's log says the same in the patient's words, sealed under the patient's key. It is written twice a second for
all who looked, and looks of one person at one record for one purpose within an hour are one line that counts them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.sealing import Keyring
from hanmaru.care.fhir.values import Look, Reader
from hanmaru.platform.audit.record import Audit, Record

log = structlog.get_logger()

FLUSH_S: Final = 0.5
MOST_WAITING: Final = 5_000
"""Most lines that wait to be written; who looks beyond that waits."""
TOGETHER_US: Final = 3_600_000_000
KEPT_US: Final = 3 * 365 * 86_400_000_000
"""How long looks are kept: three years, longer than the two that the standards for securing personal data ask for
(개인정보의 안전성 확보조치 기준, article 8)."""


class _Line(msgspec.Struct):
    who: str
    organisation: str
    purpose: str
    types: dict[str, int]


@dataclass(slots=True)
class _Seen:
    at: int
    types: dict[str, int] = field(default_factory=dict[str, int])


_Key = tuple[int, str, str, str, str]
"""Owner, subject, who, organisation, purpose."""


class Looks:
    """The looks of one process on their way into the patients' logs."""

    def __init__(
        self, keyring: Keyring, audit: Audit, write: Callable[[Callable[[Database], Any]], Awaitable[Any]]
    ) -> None:
        """Begin with nothing waiting; ``write`` runs work in a transaction."""
        self._keyring, self._audit, self._write = keyring, audit, write
        self._waiting: dict[_Key, _Seen] = {}
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()

    def note(
        self, reader: Reader, people: Mapping[int, str], types: Mapping[int, Mapping[str, int]], what: str, at: int
    ) -> None:
        """Note that a reader is about to be given something of people (owners' keys and subjects).

        ``types`` says of what types and how many, by owner; ``what`` is for the trail. Raises OSError when the trail
        cannot be written: then nothing may be given.
        """
        subjects = tuple(people.values())
        self._audit.record(
            Record(reader.who, "care.read", what, purpose=reader.purpose, subjects=subjects, where=reader.where)
        )
        for owner, subject in people.items():
            seen = self._waiting.setdefault((owner, subject, reader.who, reader.id, reader.purpose), _Seen(at))
            seen.at = at
            for type, count in types[owner].items():
                seen.types[type] = seen.types.get(type, 0) + count
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._soon())

    @property
    def crowded(self) -> bool:
        """Whether too many lines wait."""
        return len(self._waiting) > MOST_WAITING

    async def flush(self) -> None:
        """Write what waits; on return it is on disk."""
        async with self._flushing:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                await self._write(lambda db: self._put(db, waiting))

    async def close(self) -> None:
        """Write what waits and stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def _soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.flush()
            except Exception as error:  # the trail has it; the log says so where somebody may mend it
                log.error("looks could not be written into the patients' logs", problem=str(error))

    def _put(self, db: Database, waiting: Mapping[_Key, _Seen]) -> None:
        with db:
            for (owner, subject, who, organisation, purpose), seen in waiting.items():
                if not db.execute("SELECT 1 FROM owner WHERE key = ?", (owner,)).fetchone():
                    continue  # destroyed since
                key = self._keyring.key(subject)
                tag = _tag(who, organisation, purpose, seen.at)
                row = db.execute("SELECT sealed FROM look WHERE owner = ? AND tag = ?", (owner, tag)).fetchone()
                line = _Line(who, organisation, purpose, dict(seen.types))
                place = f"care|look|{owner}|{tag.hex()}"
                if row and (plain := key.open(row[0], place)):
                    before = msgspec.json.decode(plain, type=_Line)
                    for type, count in before.types.items():
                        line.types[type] = line.types.get(type, 0) + count
                sealed = key.seal(msgspec.json.encode(line), place)
                db.execute("INSERT OR REPLACE INTO look VALUES(?, ?, ?, ?)", (owner, tag, seen.at, sealed))
                db.execute("DELETE FROM look WHERE owner = ? AND at < ?", (owner, seen.at - KEPT_US))


def _tag(who: str, organisation: str, purpose: str, at: int) -> bytes:
    text = f"{who}|{organisation}|{purpose}|{at // TOGETHER_US}"
    return hashlib.sha256(text.encode()).digest()[:16]


def page(db: Database, keyring: Keyring, patient: str, before: int, limit: int) -> list[Look]:
    """Return a patient's newest looks before an instant (µs). Raises KeysWanted."""
    rows = db.execute(
        "SELECT o.key, o.subject, l.tag, l.at, l.sealed FROM owner o JOIN look l ON l.owner = o.key"
        " WHERE o.kind = 'patient' AND o.id = ? AND l.at < ? ORDER BY l.at DESC LIMIT ?",
        (patient, before, limit),
    ).fetchall()
    found: list[Look] = []
    for owner, subject, tag, at, sealed in rows:
        if plain := keyring.key(subject).open(sealed, f"care|look|{owner}|{tag.hex()}"):
            line = msgspec.json.decode(plain, type=_Line)
            what = ", ".join(f"{type} ×{count}" if count > 1 else type for type, count in sorted(line.types.items()))
            found.append(Look(at, line.who, line.organisation, what, line.purpose))
    return found
