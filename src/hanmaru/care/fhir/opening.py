"""Opening the files: the room's keys first, then the truth, then the index, made anew where it cannot be used."""

import asyncio
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import apsw
import structlog

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import bodies, extract, index, owners, text, watermark
from hanmaru.care.fhir.database import Database, attach, connect
from hanmaru.care.fhir.schema import SCHEMA, SCHEMA_VERSION
from hanmaru.care.fhir.sealing import Keyring
from hanmaru.platform.disk import locked, private

log = structlog.get_logger()

ROOM: Final = "room"


@dataclass(frozen=True, slots=True)
class Files:
    """Where the records lie."""

    folder: Path

    @property
    def records(self) -> Path:
        """The truth."""
        return self.folder / "records.db"

    @property
    def index(self) -> Path:
        """What is made of it: in no backup, by its name."""
        return self.folder / "care.index.db"

    @property
    def lock(self) -> Path:
        """Held while the files are opened, by one process after the other."""
        return self.folder / "care.lock"


def connected(files: Files, keyring: Keyring) -> Database:
    """Return a connection with the index attached."""
    db = connect(files.records)
    attach(db, files.index, keyring.room["index"].secret)
    return db


async def open_keys(files: Files, keyring: Keyring) -> None:
    """Make ``records.db`` and the room's keys on first use, and open these."""
    subject = await asyncio.to_thread(_prepared, files)
    if subject is None:
        made = await keyring.make_room()
        subject = await asyncio.to_thread(_kept, files, made)
        if subject != made:  # another process was first
            await keyring.desk().destroy(made, "made twice at once")
    await keyring.open_room(subject)


def _prepared(files: Files) -> str | None:
    private(files.records)
    with locked(files.lock):
        db = connect(files.records)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise CareError(f"{files.records} was written by a newer Hanmaru; install that version")
            if version < SCHEMA_VERSION:
                with db:
                    db.execute(SCHEMA)
                    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            row = db.execute("SELECT value FROM fact WHERE name = ?", (ROOM,)).fetchone()
            return row[0] if row else None
        finally:
            db.close()


def _kept(files: Files, made: str) -> str:
    db = connect(files.records)
    try:
        db.execute("INSERT OR IGNORE INTO fact VALUES(?, ?)", (ROOM, made))
        return db.execute("SELECT value FROM fact WHERE name = ?", (ROOM,)).fetchone()[0]
    finally:
        db.close()


def open_index(files: Files, keyring: Keyring) -> None:
    """Make the index's tables; an index that cannot be used is made anew."""
    with locked(files.lock):
        for again in (False, True):
            private(files.index)
            db = connect(files.records)
            try:
                attach(db, files.index, keyring.room["index"].secret)
                if watermark.prepare(db) or again:
                    return
                log.info("the index of the records is of another time and is made anew")
            except (apsw.NotADBError, apsw.CorruptError) as error:
                if again:
                    raise
                log.warning("the index of the records cannot be read and is made anew", problem=str(error))
            finally:
                db.close()
            for path in (files.index, *(files.index.with_name(files.index.name + end) for end in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)


def index_some(db: Database, keyring: Keyring, zone: ZoneInfo, gone: Set[str] = frozenset()) -> int:
    """Index the next resources that the index lacks, in a transaction; return how many, 0 when it is level.

    What belongs to ``gone``, subjects whose keys cannot be had, is left out.
    """
    with db:
        seq, at, marked = db.execute("SELECT s.seq, s.at, w.seq FROM state s, ix.watermark w").fetchone()
        if marked >= seq:
            return 0
        columns = bodies.COLUMNS.replace("v.seq", "v.seq, r.key, r.deleted", 1)
        found = db.execute(
            f"SELECT {columns} FROM resource r JOIN version v ON v.seq = r.seq LEFT JOIN owner o ON o.key = v.owner"
            " WHERE r.seq > ? ORDER BY r.seq LIMIT ?",
            (marked, watermark.BATCH),
        ).fetchall()
        rows = [bodies.Sealed(first, *rest) for first, _, _, *rest in found]
        lost = {row.seq for row in rows if not {*bodies.subjects(db, row)}.isdisjoint(gone)}
        opened = {row.seq: row for row in rows if row.seq not in lost}
        texts = dict(zip(opened, bodies.all_opened(db, keyring, [*opened.values()]), strict=True))
        for seq_of, key, deleted, *_ in found:
            if deleted or seq_of in lost:
                index.remove(db, key)
                continue
            version = texts[seq_of]
            resource = text.decode(version.text)
            made = extract.rows(resource, zone)
            patients = owners.named(resource, frozenset(made.patients))
            made = made._replace(patients=tuple(sorted(patients)))
            index.replace(db, key, version.type, version.id, version.at, made)
        reached = rows[-1].seq if len(rows) == watermark.BATCH else seq
        if reached == seq:  # a destruction may be among what was missed
            orphans = (
                "SELECT key FROM ix.resource i WHERE NOT EXISTS (SELECT 1 FROM main.resource r WHERE r.key = i.key)"
            )
            for (key,) in db.execute(orphans).fetchall():
                index.remove(db, key)
        db.execute("UPDATE ix.watermark SET seq = ?, at = ?", (reached, at))
        return max(len(rows), 1)
