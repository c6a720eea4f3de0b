"""The tables of ``records.db``: the truth, of which the index is made.

What lies in clear: a resource's type and id, who it belongs to as a number, versions and times. What it says is sealed.
"""

from typing import Final

SCHEMA_VERSION: Final = 1

EVERYONE: Final = 0
"""The owner of what tells of nobody: an Organization, a Questionnaire."""
SEVERAL: Final = -1
"""The owner of what belongs to several people; ``owners`` says to whom."""
ROOM: Final = 1
"""The room itself, as an owner."""

# owner: a patient (with a subject in the vault), an organisation or the room (1).
# resource: the newest version of each; owner and seq are that version's.
# version: append-only, and by its seq the change log of all commits.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS state(one INTEGER PRIMARY KEY CHECK(one = 1), seq INTEGER NOT NULL, at INTEGER NOT NULL,
  epoch TEXT NOT NULL) STRICT;
INSERT OR IGNORE INTO state VALUES(1, 0, 0, lower(hex(randomblob(16))));
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner(
  key INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, subject TEXT UNIQUE,
  UNIQUE(kind, id)) STRICT;
INSERT OR IGNORE INTO owner(key, kind, id) VALUES(1, 'room', '');
CREATE TABLE IF NOT EXISTS resource(
  key INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL,
  version INTEGER NOT NULL, owner INTEGER NOT NULL, author INTEGER NOT NULL, deleted INTEGER NOT NULL,
  UNIQUE(type, id)) STRICT;
CREATE INDEX IF NOT EXISTS resource_owner ON resource(owner);
CREATE TABLE IF NOT EXISTS version(
  seq INTEGER PRIMARY KEY, key INTEGER NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
  method TEXT NOT NULL, owner INTEGER NOT NULL, sealed BLOB NOT NULL, UNIQUE(key, version)) STRICT;
CREATE INDEX IF NOT EXISTS version_type ON version(type, seq);
CREATE INDEX IF NOT EXISTS version_owner ON version(owner, seq);
CREATE TABLE IF NOT EXISTS owners(
  seq INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY(seq, owner)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owners_owner ON owners(owner);
CREATE TABLE IF NOT EXISTS grants(
  organisation TEXT NOT NULL, owner INTEGER NOT NULL, consent INTEGER NOT NULL, since INTEGER NOT NULL,
  until INTEGER NOT NULL, PRIMARY KEY(organisation, owner, consent)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS grants_consent ON grants(consent);
CREATE INDEX IF NOT EXISTS grants_owner ON grants(owner);
CREATE TABLE IF NOT EXISTS position(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency(
  tag BLOB PRIMARY KEY, asked BLOB NOT NULL, at INTEGER NOT NULL, made TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_at ON idempotency(at);
CREATE TABLE IF NOT EXISTS look(
  owner INTEGER NOT NULL, tag BLOB NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY(owner, tag)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS look_at ON look(owner, at);
CREATE TABLE IF NOT EXISTS person(
  tag BLOB PRIMARY KEY, kind TEXT NOT NULL, owner INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS person_owner ON person(owner);
CREATE TABLE IF NOT EXISTS party(name TEXT PRIMARY KEY, organisation TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroyed(tag BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS destroying(owner INTEGER PRIMARY KEY, reason TEXT NOT NULL) STRICT;
"""
