"""The same records in plain SQLite, with an ordinary index: what envelope encryption is measured against."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hanmaru.platform.vault.database import Database
from hanmaru.platform.vault.store import Address, Document

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record(
  subject TEXT, kind TEXT, id TEXT, document TEXT, PRIMARY KEY(subject, kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS value(value TEXT, subject TEXT, kind TEXT, id TEXT,
  PRIMARY KEY(value, subject, kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS value_subject ON value(subject, kind, id);
"""
_BY_ADDRESS = """
SELECT r.document FROM json_each(?) w CROSS JOIN record r ON r.subject = json_extract(w.value, '$[0]')
AND r.kind = json_extract(w.value, '$[1]') AND r.id = json_extract(w.value, '$[2]')
"""


class Plain:
    """Documents in the clear, in a file with the vault's settings."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self.db = Database(path, _SCHEMA)

    async def put_many(self, records: Sequence[tuple[str, str, str, Document]]) -> None:
        """Write documents and the values that they are looked up by, in one transaction."""
        await asyncio.to_thread(self._put, records)

    async def get_many(self, addresses: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
        """Return documents."""

        def work() -> list[dict[str, Any]]:
            with self.db.read() as db:
                return [msgspec.json.decode(row[0]) for row in db.execute(_BY_ADDRESS, (json.dumps(addresses),))]

        return await asyncio.to_thread(work)

    async def find(self, value: str) -> list[str]:
        """Return whose a value is."""

        def work() -> list[str]:
            with self.db.read() as db:
                return [row[0] for row in db.execute("SELECT subject FROM value WHERE value = ?", (value,))]

        return await asyncio.to_thread(work)

    async def destroy(self, subject: str) -> None:
        """Delete what is kept of a subject."""

        def work() -> None:
            with self.db.write() as db:
                db.execute("DELETE FROM record WHERE subject = ?", (subject,))
                db.execute("DELETE FROM value WHERE subject = ?", (subject,))

        await asyncio.to_thread(work)

    def _put(self, records: Sequence[tuple[str, str, str, Document]]) -> None:
        with self.db.write() as db:
            for subject, kind, id, document in records:
                address = Address(subject, kind, id)
                db.execute(
                    "INSERT OR REPLACE INTO record VALUES(?, ?, ?, ?)", (*address, msgspec.json.encode(document))
                )
                self._index(db, address, document)

    def _index(self, db: sqlite3.Connection, address: Address, document: Document) -> None:
        db.execute("DELETE FROM value WHERE subject = ? AND kind = ? AND id = ?", address)
        for name in ("name", "phone"):
            if name in document:
                db.execute("INSERT OR IGNORE INTO value VALUES(?, ?, ?, ?)", (document[name], *address))
