"""The search index: tables in a database attached as ``ix``, written in the same transaction as the truth.

Every value is kept twice: ordered by (parameter, value, resource) to find resources by a value, and by (resource,
parameter) to look a resource's values up. Nothing here is needed to read a record; all of it can be made anew.
"""

from typing import Final

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.definitions import types
from hanmaru.care.fhir.rows import IndexRows

VERSION: Final = 3
"""Of the tables and of what extraction puts into them: an index of another version is made anew."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS ix.resource(key INTEGER PRIMARY KEY, type INTEGER NOT NULL, id TEXT NOT NULL,
    updated INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS ix.resource_id ON resource(type, id);
CREATE INDEX IF NOT EXISTS ix.resource_updated ON resource(type, updated);
CREATE TABLE IF NOT EXISTS ix.compartment(patient TEXT NOT NULL, key INTEGER NOT NULL,
    PRIMARY KEY(patient, key)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.compartment_key ON compartment(key);
CREATE TABLE IF NOT EXISTS ix.token(number INTEGER NOT NULL, code TEXT NOT NULL, key INTEGER NOT NULL,
    system INTEGER NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY(number, code, key, system, part)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.token_key ON token(key, number);
CREATE TABLE IF NOT EXISTS ix.reference(number INTEGER NOT NULL, id TEXT NOT NULL, key INTEGER NOT NULL,
    type INTEGER NOT NULL, version TEXT NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY(number, id, key, type, version, part)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.reference_key ON reference(key, number);
CREATE TABLE IF NOT EXISTS ix.date(number INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    key INTEGER NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY(number, low, key, high, part)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.date_high ON date(number, high) WHERE part = 0;
CREATE INDEX IF NOT EXISTS ix.date_key ON date(key, number);
CREATE TABLE IF NOT EXISTS ix.quantity(number INTEGER NOT NULL, family INTEGER NOT NULL, first REAL NOT NULL,
    last REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, unit INTEGER NOT NULL, code INTEGER NOT NULL,
    text INTEGER NOT NULL, key INTEGER NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY(number, family, first, key, last, part, low, high)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.quantity_low ON quantity(number, low, high) WHERE part = 0;
CREATE INDEX IF NOT EXISTS ix.quantity_last ON quantity(number, family, last);
CREATE INDEX IF NOT EXISTS ix.quantity_key ON quantity(key, number);
CREATE TABLE IF NOT EXISTS ix.string(number INTEGER NOT NULL, text TEXT NOT NULL, key INTEGER NOT NULL,
    exact TEXT NOT NULL, part INTEGER NOT NULL,
    PRIMARY KEY(number, text, key, exact, part)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix.string_key ON string(key, number);
"""

_VALUES: Final = ("token", "reference", "date", "quantity", "string")

_INSERT: Final = (
    "INSERT OR IGNORE INTO ix.token(key, number, code, system, part) VALUES (?, ?, ?, ?, ?)",
    "INSERT OR IGNORE INTO ix.reference(key, number, id, type, version, part) VALUES (?, ?, ?, ?, ?, ?)",
    "INSERT OR IGNORE INTO ix.date(key, number, low, high, part) VALUES (?, ?, ?, ?, ?)",
    "INSERT OR IGNORE INTO ix.quantity(key, number, family, first, last, low, high, unit, code, text, part)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT OR IGNORE INTO ix.string(key, number, text, exact, part) VALUES (?, ?, ?, ?, ?)",
)


def prepare(db: Database) -> None:
    """Make the tables in the database attached as ``ix``, where they are not there yet."""
    db.execute(_TABLES)


def replace(db: Database, key: int, type: str, id: str, updated_us: int, rows: IndexRows) -> None:
    """Put a resource's rows in place of those it had; in the caller's transaction."""
    if db.execute("SELECT 1 FROM ix.resource WHERE key = ?", (key,)).fetchone():
        remove(db, key)
    add(db, key, type, id, updated_us, rows)


def add(db: Database, key: int, type: str, id: str, updated_us: int, rows: IndexRows) -> None:
    """Put the rows of a resource that has none yet; in the caller's transaction."""
    db.execute("INSERT INTO ix.resource VALUES (?, ?, ?, ?)", (key, types()[type], id, updated_us))
    for patient in rows.patients:
        db.execute("INSERT OR IGNORE INTO ix.compartment VALUES (?, ?)", (patient, key))
    for insert, values in zip(_INSERT, rows[1:], strict=True):
        for value in values:
            db.execute(insert, (key, *value))


def remove(db: Database, key: int) -> None:
    """Take a resource out of the index; in the caller's transaction."""
    for table in ("compartment", *_VALUES):
        db.execute(f"DELETE FROM ix.{table} WHERE key = ?", (key,))
    db.execute("DELETE FROM ix.resource WHERE key = ?", (key,))
