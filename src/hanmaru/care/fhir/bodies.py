"""Versions as they lie in the file, and how they are opened: the quick path of every read."""

from collections.abc import Sequence
from typing import NamedTuple

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.schema import SEVERAL
from hanmaru.care.fhir.sealing import Keyring, KeysWanted, place, unseal
from hanmaru.care.fhir.sight import seen
from hanmaru.care.fhir.values import Method, Reader, Version

COLUMNS = "v.seq, r.type, r.id, v.version, v.at, v.method, v.owner, v.sealed, o.subject"
JOINED = "JOIN resource r ON r.key = v.key LEFT JOIN owner o ON o.key = v.owner"
_CURRENT = f"SELECT {COLUMNS} FROM resource r JOIN version v ON v.seq = r.seq LEFT JOIN owner o ON o.key = v.owner"
_VERSION = f"SELECT {COLUMNS} FROM resource r JOIN version v ON v.key = r.key LEFT JOIN owner o ON o.key = v.owner"


class Sealed(NamedTuple):
    """A version as it lies in the file; ``subject`` is its one patient's, else None."""

    seq: int
    type: str
    id: str
    version: int
    at: int
    method: Method
    owner: int
    sealed: bytes
    subject: str | None


def current(db: Database, type: str, id: str, reader: Reader | None = None, now: int = 0) -> Sealed | None:
    """Return the newest version of a resource, if the reader may see it; None for a reader asks nothing."""
    condition, bindings = seen(reader, "r", now) if reader else ("1", ())
    row = db.execute(f"{_CURRENT} WHERE r.type = ? AND r.id = ? AND {condition}", (type, id, *bindings)).fetchone()
    return Sealed(*row) if row else None


def version(db: Database, type: str, id: str, number: int, reader: Reader | None = None, now: int = 0) -> Sealed | None:
    """Return one version of a resource, if the reader may see that version."""
    condition, bindings = seen(reader, "v", now) if reader else ("1", ())
    row = db.execute(
        f"{_VERSION} WHERE r.type = ? AND r.id = ? AND v.version = ? AND {condition}", (type, id, number, *bindings)
    ).fetchone()
    return Sealed(*row) if row else None


def subjects(db: Database, row: Sealed) -> list[str | None]:
    """Return the subjects whose keys seal a version, in order; None is the room's key."""
    if row.owner != SEVERAL:
        return [row.subject]
    several = "SELECT o.subject FROM owners s JOIN owner o ON o.key = s.owner WHERE s.seq = ? ORDER BY o.key"
    return [subject for (subject,) in db.execute(several, (row.seq,))]


def opened(db: Database, keyring: Keyring, row: Sealed, *, fresh: bool = False) -> Version:
    """Return a version in clear. Raises KeysWanted, and VaultError 500 where it was changed."""
    if row.method == "DELETE":
        return Version(row.type, row.id, row.version, row.at, "DELETE", b"", fresh)
    keys = [keyring.key(subject) for subject in subjects(db, row)]
    plain = unseal(row.sealed, keys, place(row.type, row.id, row.version))
    return Version(row.type, row.id, row.version, row.at, row.method, plain, fresh)


def all_opened(db: Database, keyring: Keyring, rows: list[Sealed]) -> list[Version]:
    """Return versions in clear. Raises KeysWanted with all keys that lack."""
    lacking = {s for row in rows if row.method != "DELETE" for s in subjects(db, row) if s and not keyring.held(s)}
    if lacking:
        raise KeysWanted(sorted(lacking))
    return [opened(db, keyring, row) for row in rows]


def by_keys(db: Database, keys: Sequence[int]) -> list[Sealed]:
    """Return the newest versions of resources that the caller was found to see, in the order of their keys given."""
    return [Sealed(*row) for key in keys for row in db.execute(f"{_CURRENT} WHERE r.key = ?", (key,))]


def people(db: Database, row: Sealed) -> list[tuple[int, str]]:
    """Return the patients whom a version belongs to, as owners' keys and subjects."""
    if row.owner != SEVERAL:
        return [(row.owner, row.subject)] if row.subject else []
    several = "SELECT o.key, o.subject FROM owners s JOIN owner o ON o.key = s.owner WHERE s.seq = ? ORDER BY o.key"
    return db.execute(several, (row.seq,)).fetchall()
