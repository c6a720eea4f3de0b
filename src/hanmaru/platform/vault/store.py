"""The records of one room, encrypted: ``vaults/<room>.db``.

A row says whose a record is (a pseudonym), its kind, id and version, and which version of the subject's key sealed it;
everything else is ciphertext, authenticated together with that place. ``seq`` numbers the writes of the room, so that
what is derived from the records knows how far it has read.
"""

import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from hanmaru.platform.vault import blobs
from hanmaru.platform.vault.crypto import Key, place
from hanmaru.platform.vault.database import Database
from hanmaru.platform.vault.errors import VaultError, altered, gone
from hanmaru.platform.vault.files import Room
from hanmaru.platform.vault.keys import Keys, Version

MOST_BYTES: Final = 2**20
"""Largest document, as JSON."""

MOST_BATCH: Final = 1_000
"""Most records of one call."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS subject(
  subject TEXT PRIMARY KEY, kind TEXT NOT NULL, key INTEGER NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subject_kind ON subject(kind, subject);
CREATE TABLE IF NOT EXISTS record(
  subject TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, key INTEGER NOT NULL,
  seq INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY(subject, kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_seq ON record(seq);
CREATE TABLE IF NOT EXISTS blob(
  subject TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, key INTEGER NOT NULL, file TEXT NOT NULL,
  PRIMARY KEY(subject, kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written(seq INTEGER NOT NULL);
INSERT INTO written SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM written);
"""

_ROWS = """
FROM json_each(?) w CROSS JOIN record r ON r.subject = json_extract(w.value, '$[0]')
AND r.kind = json_extract(w.value, '$[1]') AND r.id = json_extract(w.value, '$[2]')
"""
_BY_ADDRESS = "SELECT r.subject, r.kind, r.id, r.version, r.key, r.seq, r.sealed" + _ROWS
_VERSIONS = "SELECT r.subject, r.kind, r.id, r.version" + _ROWS

_OLD = "SELECT subject, kind, id, version, key, seq, sealed FROM record WHERE subject = ? AND key != ? LIMIT ?"
_UNDER_OTHER = """
SELECT 1 FROM record WHERE subject = :subject AND key != :key
UNION ALL SELECT 1 FROM blob WHERE subject = :subject AND key != :key LIMIT 1
"""
_RESEAL = "UPDATE record SET key = ?, sealed = ? WHERE subject = ? AND kind = ? AND id = ?"
_BLOB = "SELECT key, file FROM blob WHERE subject = ? AND kind = ? AND id = ?"
_AFTER = """
SELECT subject, kind, id, version, key, seq, sealed FROM record
WHERE seq > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?
"""

Document = Mapping[str, Any]


class Address(NamedTuple):
    """Where a record is within its room."""

    subject: str
    kind: str
    id: str


class Row(NamedTuple):
    """A record as it lies in the file."""

    subject: str
    kind: str
    id: str
    version: int
    key: int
    seq: int
    sealed: bytes

    @property
    def address(self) -> Address:
        """Where the record is."""
        return Address(self.subject, self.kind, self.id)


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that is being written under a version of its subject's key."""

    address: Address
    key: int
    writer: blobs.Writer


class Store:
    """The encrypted records of one room. For use from threads; every call reads or writes files."""

    def __init__(self, files: Room, keys: Keys) -> None:
        """Open a room's file, making it on first use."""
        self.files, self.room, self.keys = files, files.name, keys
        self.db = Database(files.records, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def open_subjects(self, kind: str, subjects: Sequence[str]) -> None:
        """Make subjects, each with a key of its own."""
        self.keys.make(self.room, subjects)
        with self.db.write() as db:
            rows = [(subject, kind, 1, time.time()) for subject in subjects]
            db.executemany("INSERT OR IGNORE INTO subject VALUES(?, ?, ?, ?)", rows)

    def subjects(self, kind: str, after: str, limit: int) -> list[str]:
        """Return the pseudonyms of a kind's subjects that come after one, in order."""
        with self.db.read() as db:
            rows = db.execute(
                "SELECT subject FROM subject WHERE kind = ? AND subject > ? ORDER BY subject LIMIT ?",
                (kind, after, limit),
            )
            return [subject for (subject,) in rows]

    def all_subjects(self) -> Iterator[str]:
        """Yield every subject's pseudonym."""
        with self.db.read() as db:
            for (subject,) in db.execute("SELECT subject FROM subject"):
                yield subject

    def counts(self) -> dict[str, int]:
        """Return how many subjects, records and blobs there are."""
        with self.db.read() as db:
            row = db.execute(
                "SELECT (SELECT count(*) FROM subject), (SELECT count(*) FROM record), (SELECT count(*) FROM blob)"
            ).fetchone()
        return dict(zip(("subjects", "records", "blobs"), row, strict=True))

    def key_versions(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the version of the key that seals for each subject; raises VaultError 404 for one not there."""
        with self.db.read() as db:
            return self._key_versions(db, {*subjects})

    def put(self, records: Sequence[tuple[Address, Document]]) -> None:
        """Write records in one transaction, each over the one that is there.

        Raises VaultError for a document that cannot be JSON or is over `MOST_BYTES`, and for a subject not there.
        """
        encoded = {address: encode(document) for address, document in records}
        with self.db.write() as db:
            current = self._key_versions(db, {address.subject for address in encoded})
            keys = self.keys.get_many(self.room, list(current.items()))
            before = {Address(*row[:3]): row[3] for row in db.execute(_VERSIONS, (json.dumps(list(encoded)),))}
            (seq,) = db.execute("SELECT seq FROM written").fetchone()
            rows: list[Row] = []
            for address, plain in encoded.items():
                version, used = before.get(address, 0) + 1, current[address.subject]
                sealed = keys[address.subject, used].seal(plain, self.place(address, version))
                rows.append(Row(*address, version, used, seq := seq + 1, sealed))
            db.executemany("INSERT OR REPLACE INTO record VALUES(?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("UPDATE written SET seq = ?", (seq,))

    def get(self, addresses: Sequence[Address]) -> dict[Address, dict[str, Any]]:
        """Return the documents that are there; raises VaultError for one that does not open."""
        for last in (False, True):
            with self.db.read() as db:
                rows = [Row(*row) for row in db.execute(_BY_ADDRESS, (json.dumps(addresses),))]
            wanted = [(row.subject, row.key) for row in rows]
            keys = self.keys.get_many(self.room, wanted, missing=not last)
            if all(one in keys for one in wanted):  # else rotation or destruction came between: look again
                return {row.address: self.opened(row, keys) for row in rows}
        raise AssertionError("unreachable")

    def of_subject(self, subject: str) -> dict[Address, dict[str, Any]]:
        """Return all documents of a subject."""
        with self.db.read() as db:
            rows = db.execute("SELECT subject, kind, id FROM record WHERE subject = ?", (subject,))
            addresses = [Address(*row) for row in rows]
        return self.get(addresses)

    def written(self) -> int:
        """Return the number of the last write."""
        with self.db.read() as db:
            return db.execute("SELECT seq FROM written").fetchone()[0]

    def written_after(self, seq: int, kinds: Sequence[str], limit: int) -> tuple[list[Row], int]:
        """Return rows of some kinds that were written after a number, in order, and up to where these are all."""
        with self.db.read() as db:
            rows = [Row(*row) for row in db.execute(_AFTER, (seq, json.dumps(kinds), limit))]
            (written,) = db.execute("SELECT seq FROM written").fetchone()
        return rows, rows[-1].seq if len(rows) == limit else written

    def ids(self, subject: str, kind: str) -> list[str]:
        """Return the ids of a subject's records of a kind, in order; raises VaultError 404 for a subject not there."""
        with self.db.read() as db:
            self._key_versions(db, {subject})
            rows = db.execute("SELECT id FROM record WHERE subject = ? AND kind = ? ORDER BY id", (subject, kind))
            return [id for (id,) in rows]

    def erase(self, subject: str) -> None:
        """Delete a subject and its rows; none there is no error."""
        with self.db.write() as db:
            db.execute("DELETE FROM record WHERE subject = ?", (subject,))
            db.execute("DELETE FROM blob WHERE subject = ?", (subject,))
            db.execute("DELETE FROM subject WHERE subject = ?", (subject,))

    def begin_blob(self, address: Address) -> Blob:
        """Begin a blob under the subject's key; raises VaultError 404 for a subject not there."""
        version = self.key_versions([address.subject])[address.subject]
        key = self.keys.get(self.room, address.subject, version)
        return Blob(address, version, blobs.Writer(self.files.blobs(address.subject), key, self.blob_place(address)))

    def end_blob(self, blob: Blob, over: str | None = None) -> None:
        """Put a finished blob in the place of the one that is there; with ``over``, only if that is its file.

        Raises VaultError 409 when the subject's key was destroyed or rotated meanwhile.
        """
        blob.writer.finish()
        try:
            with self.holding(blob.address.subject, blob.key) as db:
                old = db.execute(_BLOB, blob.address).fetchone()
                if over and (old is None or old[1] != over):
                    return blob.writer.abandon()
                row = (*blob.address, blob.key, blob.writer.path.name)
                db.execute("INSERT OR REPLACE INTO blob VALUES(?, ?, ?, ?, ?)", row)
        except BaseException:
            blob.writer.abandon()
            raise
        if old:
            (blob.writer.path.parent / old[1]).unlink(missing_ok=True)

    def has_blob(self, address: Address) -> bool:
        """Return whether there is a blob."""
        return self._blob(address) is not None

    def read_blob(self, address: Address) -> Iterator[bytes]:
        """Yield a blob's bytes in chunks, each verified; raises VaultError as `blobs.read` does."""
        what = f"the blob {self.room}/{'/'.join(address)}"
        for last in (False, True):
            if (row := self._blob(address)) is None:
                raise gone(self.room, address.subject)
            key = self.keys.get(self.room, address.subject, row[0])
            path = self.files.blobs(address.subject) / row[1]
            if path.exists() or last:  # else it was replaced since: look again
                yield from blobs.read(path, key, self.blob_place(address), what)
                return

    def _blob(self, address: Address) -> tuple[int, str] | None:
        with self.db.read() as db:
            return db.execute(_BLOB, address).fetchone()

    @contextmanager
    def holding(self, subject: str, version: int) -> Generator[sqlite3.Connection]:
        """Give a transaction in which a version of a subject's key is the one that seals, and stays so.

        Raises VaultError 409 when it is not, because the key was destroyed or rotated.
        """
        with self.db.write() as db:
            if db.execute("SELECT key FROM subject WHERE subject = ?", (subject,)).fetchone() != (version,):
                raise VaultError(f"the key of {self.room}/{subject} changed meanwhile; try again", 409)
            yield db

    def adopt(self, subject: str, version: int) -> None:
        """Seal by another version of a subject's key from here on; raises VaultError 404 for a subject not there."""
        with self.db.write() as db:
            self._key_versions(db, {subject})
            db.execute("UPDATE subject SET key = ? WHERE subject = ?", (version, subject))

    def reseal_records(self, subject: str, version: int, limit: int) -> None:
        """Seal records again that are not under a version of the key, at most some in each transaction."""
        while True:
            with self.holding(subject, version) as db:
                rows = [Row(*row) for row in db.execute(_OLD, (subject, version, limit))]
                keys = self.keys.get_many(self.room, [(subject, row.key) for row in rows] + [(subject, version)])
                for row in rows:
                    plain, at = self._plain(row, keys), self.place(row.address, row.version)
                    sealed = keys[subject, version].seal(plain, at)
                    db.execute(_RESEAL, (version, sealed, *row.address))
            if len(rows) < limit:
                return

    def reseal_blobs(self, subject: str, version: int) -> None:
        """Write blobs again that are not under a version of the key."""
        with self.db.read() as db:
            which = "SELECT kind, id, file FROM blob WHERE subject = ? AND key != ?"
            old = db.execute(which, (subject, version)).fetchall()
        for kind, id, file in old:
            address = Address(subject, kind, id)
            blob = self.begin_blob(address)
            try:
                for part in self.read_blob(address):
                    blob.writer.add(part)
                self.end_blob(blob, over=file)
            except BaseException:
                blob.writer.abandon()
                raise

    def resealed(self, subject: str, version: int) -> bool:
        """Return whether all records and blobs are under a version of the key."""
        with self.db.read() as db:
            return not db.execute(_UNDER_OTHER, {"subject": subject, "key": version}).fetchone()

    def blob_place(self, address: Address) -> str:
        """Return what a blob is authenticated together with."""
        return place("blob", self.room, *address)

    def opened(self, row: Row, keys: Mapping[Version, Key]) -> dict[str, Any]:
        """Return a row's document; raises VaultError when it is not what was put there."""
        return msgspec.json.decode(self._plain(row, keys))

    def _plain(self, row: Row, keys: Mapping[Version, Key]) -> bytes:
        plain = keys[row.subject, row.key].open(row.sealed, self.place(row.address, row.version))
        if plain is None:
            raise altered(f"record {self.room}/{row.subject}/{row.kind}/{row.id}")
        return plain

    def place(self, address: Address, version: int) -> str:
        """Return what a record is authenticated together with."""
        return place("record", self.room, *address, version)

    def _key_versions(self, db: sqlite3.Connection, subjects: set[str]) -> dict[str, int]:
        rows = db.execute(
            "SELECT s.subject, s.key FROM json_each(?) w CROSS JOIN subject s ON s.subject = w.value",
            (json.dumps(sorted(subjects)),),
        )
        found: dict[str, int] = dict(rows.fetchall())
        if missing := subjects - found.keys():
            raise VaultError(f"there is no subject {self.room}/{min(missing)}", 404)
        return found


def encode(document: Document) -> bytes:
    """Return a document as JSON; raises VaultError when it is none or too large. What it says is not quoted."""
    try:
        plain = msgspec.json.encode(document)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise VaultError("a document holds what JSON cannot") from None
    if len(plain) > MOST_BYTES:
        raise VaultError(f"a document has at most {MOST_BYTES:,} bytes as JSON; this has {len(plain):,}", 413)
    return plain
