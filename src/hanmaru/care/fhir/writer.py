"""A transaction of changes: all of them or none, decided inside it.

What a change depends on (the version it is over, what a search finds, whether somebody may) is looked at in the same
transaction that writes, which no other process shares; so two that race cannot both win.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from hanmaru.care.fhir import bodies, extract, grants, index, owners, query, states, text, watermark
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.definitions import types
from hanmaru.care.fhir.schema import EVERYONE, ROOM, SEVERAL
from hanmaru.care.fhir.sealing import Keyring, Person, place, seal
from hanmaru.care.fhir.sight import seen
from hanmaru.care.fhir.values import Change, Method, Reader, Version
from hanmaru.platform.problems import Problem

KEPT_US: Final = 30 * 86_400_000_000
"""For how long the answer to an idempotency key is kept."""

_EPOCH: Final = datetime(1970, 1, 1)
_META: Final = ("versionId", "lastUpdated")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def instant(at: int) -> str:
    """Return µs since 1970 as a FHIR instant."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds") + "Z"


@dataclass(frozen=True, slots=True)
class Body:
    """A resource made ready to be written, except for its version and time."""

    resource: dict[str, Any]
    head: bytes
    tail: bytes
    rows: extract.IndexRows
    patients: frozenset[str]

    def text(self, version: int, at: int) -> bytes:
        """Return the JSON of a version."""
        return b'%s"versionId":"%d","lastUpdated":"%s"%s' % (self.head, version, instant(at).encode(), self.tail)


def body(type: str, id: str, given: Mapping[str, Any], zone: ZoneInfo) -> Body:
    """Make a resource ready. Raises Problem 400 for what cannot be written."""
    if type not in types() or not _ID.fullmatch(id):
        raise Problem(
            400, "Not a place", "A resource has a type of R4 and an id of A-Z, a-z, 0-9, '-' and '.', up to 64."
        )
    if given.get("resourceType", type) != type:
        raise Problem(400, "Another type", f"This is not a {type}: its resourceType says otherwise.")
    had: Any = given.get("meta", {})
    if not isinstance(had, dict):
        raise Problem(400, "Not readable", "meta is an object.")
    meta = {name: value for name, value in cast("dict[str, Any]", had).items() if name not in _META}
    rest = {name: value for name, value in given.items() if name not in ("resourceType", "id", "meta")}
    resource: dict[str, Any] = {"resourceType": type, "id": id, **({"meta": meta} if meta else {}), **rest}
    head = b'{"resourceType":"%s","id":"%s","meta":{' % (type.encode(), id.encode())
    tail = b"".join(
        (b"," if meta else b"", text.encode(meta)[1:-1], b"}", b"," if rest else b"", text.encode(rest)[1:])
    )
    rows = extract.rows(resource, zone)
    patients = owners.named(resource, frozenset(rows.patients))
    return Body(resource, head, tail, rows._replace(patients=tuple(sorted(patients))), patients)


def changed_meanwhile(type: str) -> Problem:
    """Say that a condition finds something else now than when its id was settled; ``retry`` says to settle it again."""
    return Problem(409, "Changed meanwhile", f"The condition on {type} finds another resource now.", retry=True)


def _unstamped(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource without what writing it added."""
    meta = {name: value for name, value in resource["meta"].items() if name not in _META}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def not_here(type: str, id: str) -> Problem:
    """Say that a resource is not there, or not there to see."""
    return Problem(404, "Not found", f"There is no {type}/{id} here, or none that you may see.")


def gone(type: str, id: str) -> Problem:
    """Say that a resource was deleted."""
    return Problem(410, "Deleted", f"{type}/{id} was deleted.")


CITIZENS: Final = frozenset({"Consent", "Goal", "Observation", "QuestionnaireResponse"})
"""What citizens may write of themselves: nothing that a desk takes for an alert, a referral or a treatment."""


class _Row:
    """A resource as it is when a change comes to it."""

    __slots__ = ("author", "deleted", "key", "owner", "seen", "seq", "version")

    def __init__(self, row: Sequence[int]) -> None:
        self.key, self.seq, self.version, self.owner, self.author, self.deleted, self.seen = row


@dataclass(slots=True)
class Transaction:
    """The work of one commit; run it with the writer's connection, more than once if it asks for keys."""

    keyring: Keyring
    reader: Reader
    changes: Sequence[tuple[Change, Body | None]]
    zone: ZoneInfo
    idempotency: bytes | None = None
    asked: bytes = b""
    taken: dict[str, Person] = field(default_factory=dict[str, Person])
    used: set[str] = field(default_factory=set[str])
    mine: set[int] = field(default_factory=set[int])
    now: int = 0
    seq: int = 0
    author: int = ROOM

    def __call__(self, db: Database) -> list[Version]:
        """Do it, all or nothing. Raises Problem; KeysWanted says what to open before it is run again."""
        with db:
            self.used.clear()
            self.mine.clear()
            self.seq, last = watermark.state(db)
            self.now = max(time.time_ns() // 1000, last + 1)
            if self.idempotency and (before := self._before(db)) is not None:
                return before
            self.author = self._author(db)
            made: list[Version | None] = [None] * len(self.changes)
            for later in (False, True):  # what names nobody may belong to whom what comes beside it belongs to
                for at, (change, ready) in enumerate(self.changes):
                    if (ready is not None and not ready.patients) is later:
                        made[at] = self._one(db, change, ready)
            answer = [version for version in made if version is not None]
            if any(version.fresh for version in answer):
                watermark.mark(db, self.seq, self.now)
            if self.idempotency:
                keys = json.dumps([[each.type, each.id, each.version] for each in answer])
                row = (self.idempotency, self.asked, self.now, keys)
                db.execute("INSERT INTO idempotency VALUES(?, ?, ?, ?)", row)
                db.execute("DELETE FROM idempotency WHERE at < ?", (self.now - KEPT_US,))
            return answer

    def _one(self, db: Database, change: Change, ready: Body | None) -> Version:
        if change.method == "POST":
            assert ready
            if change.if_none_exist is not None and (found := self._find(db, change, change.if_none_exist)):
                return self._current(db, change.type, found)
            return self._write(db, change, ready, None)
        id = change.id
        if change.search is not None:
            if found := self._find(db, change, change.search):
                id = found
            elif change.method == "DELETE":
                return Version(change.type, "", 0, self.now, "DELETE", b"")
            elif id is None:
                assert ready
                id = str(ready.resource["id"])
        assert id
        row = self._row(db, change.type, id)
        if change.if_match is not None and (row is None or row.deleted or row.version != change.if_match):
            have = f"version {row.version}" if row and not row.deleted else "none"
            raise Problem(412, "Another version", f"{change.type}/{id}: version {change.if_match} asked, {have} here.")
        if change.method == "DELETE":
            return self._delete(db, change.type, id, row)
        assert change.resource is not None
        if ready is None or ready.resource["id"] != id:
            ready = body(change.type, id, change.resource, self.zone)
        if row and not row.deleted:
            now = self._current(db, change.type, id)
            before = text.decode(now.text)
            if text.same(ready.resource, _unstamped(before)):
                return now
            states.check(self.reader, before, ready.resource)
        return self._write(db, change, ready, row)

    def _find(self, db: Database, change: Change, search: str) -> str | None:
        """Return the id of the one resource that a conditional change speaks of. Raises Problem 412 for several."""
        asked = parse_qsl(search.removeprefix("?"), keep_blank_values=True)
        keys = query.keys(db, self.reader, change.type, asked, self.now, 2, self.zone)
        if len(keys) > 1:
            raise Problem(412, "Several matches", f"The condition on {change.type} matches more than one resource.")
        if not keys:
            return None
        found = db.execute("SELECT id FROM resource WHERE key = ?", (keys[0],)).fetchone()[0]
        if change.id not in (None, found):
            raise changed_meanwhile(change.type)
        return found

    def _row(self, db: Database, type: str, id: str) -> _Row | None:
        """Return a resource as it is now. Raises Problem 404 for one that the caller may not see."""
        condition, bindings = seen(self.reader, "r", self.now)
        found = db.execute(
            f"SELECT key, seq, version, owner, author, deleted, {condition} FROM resource r WHERE type = ? AND id = ?",
            (*bindings, type, id),
        ).fetchone()
        if found is None:
            return None
        row = _Row(found)
        if not row.seen:
            raise not_here(type, id)
        return row

    def _current(self, db: Database, type: str, id: str) -> Version:
        """Return the newest version."""
        found = bodies.current(db, type, id)
        assert found
        return bodies.opened(db, self.keyring, found)

    def _delete(self, db: Database, type: str, id: str, row: _Row | None) -> Version:
        if row is None:
            raise not_here(type, id)
        if row.deleted:
            version, at = db.execute("SELECT version, at FROM version WHERE seq = ?", (row.seq,)).fetchone()
            return Version(type, id, version, at, "DELETE", b"")
        self._may_change(type, id, row)
        if type in states.STATES:
            states.check_deletion(self.reader, text.decode(self._current(db, type, id).text))
        version = self._append(db, type, row.key, row.version + 1, "DELETE", row.owner, b"")
        if row.owner == SEVERAL:
            db.execute("INSERT INTO owners SELECT ?, owner FROM owners WHERE seq = ?", (self.seq, row.seq))
        db.execute("UPDATE resource SET seq = ?, version = ?, deleted = 1 WHERE key = ?", (self.seq, version, row.key))
        index.remove(db, row.key)
        if type == "Consent":
            grants.write(db, row.key, row.owner, [])
        return Version(type, id, version, self.now, "DELETE", b"", fresh=True)

    def _write(self, db: Database, change: Change, ready: Body, row: _Row | None) -> Version:
        type, id, method = change.type, str(ready.resource["id"]), change.method
        if row:
            self._may_change(type, id, row)
        elif method == "POST" and self._row(db, type, id):
            if change.if_none_exist is not None:
                raise changed_meanwhile(type)
            raise Problem(409, "Exists", f"There is a {type}/{id} already.")
        owner, people = self._owner(db, type, ready)
        number = row.version + 1 if row else 1
        full = ready.text(number, self.now)
        keys = [self.keyring.key(subject) for _, subject in sorted(people.items())] or [self.keyring.key(None)]
        sealed = seal(full, keys, place(type, id, number))
        key = row.key if row else self._add(db, type, id, owner)
        self._append(db, type, key, number, method, owner, sealed)
        if owner == SEVERAL:
            db.executemany("INSERT INTO owners VALUES(?, ?)", [(self.seq, each) for each in people])
        db.execute(
            "UPDATE resource SET seq = ?, version = ?, owner = ?, deleted = 0 WHERE key = ?",
            (self.seq, number, owner, key),
        )
        index.replace(db, key, type, id, self.now, ready.rows)
        if type == "Consent":
            given = grants.grants(ready.resource, self.zone) if owner > ROOM else []
            grants.write(db, key, owner, given)
        return Version(type, id, number, self.now, method, full, fresh=True)

    def _add(self, db: Database, type: str, id: str, owner: int) -> int:
        db.execute(
            "INSERT INTO resource(type, id, seq, version, owner, author, deleted) VALUES(?, ?, 0, 0, ?, ?, 0)",
            (type, id, owner, self.author),
        )
        return db.last_insert_rowid()

    def _append(
        self, db: Database, type: str, key: int, version: int, method: Method, owner: int, sealed: bytes
    ) -> int:
        self.seq += 1
        row = (self.seq, key, type, version, self.now, method, owner, sealed)
        db.execute("INSERT INTO version VALUES(?, ?, ?, ?, ?, ?, ?, ?)", row)
        return version

    def _owner(self, db: Database, type: str, ready: Body) -> tuple[int, dict[int, str | None]]:
        """Return whose a resource will be, and the owners under whose keys it is sealed; decides whether one may."""
        reader, id = self.reader, ready.resource["id"]
        if type == "Consent" and reader.kind == "organisation":
            raise forbidden("A consent is given and withdrawn by the person it is about.")
        if reader.kind == "patient" and type not in CITIZENS:
            raise forbidden(f"A citizen writes {', '.join(sorted(CITIZENS))}; a {type} is made by who treats you.")
        if type == "Patient" and reader.kind != "all" and ready.patients != frozenset({str(id)}):
            raise forbidden("A Patient here is one person's: only the room links records.")
        people: dict[int, str | None] = {}
        for patient in sorted(ready.patients):
            key, subject = self._person(db, patient, makes=type == "Patient" and patient == id)
            people[key] = subject
        public = owners.public(type, ready.resource)
        if not people and not public:
            for key in owners.inherited(db, ready.resource):
                people[key] = db.execute("SELECT subject FROM owner WHERE key = ?", (key,)).fetchone()[0]
                self._may_write_about(db, key)
        if people:
            return (SEVERAL if len(people) > 1 else next(iter(people))), people
        if public:
            if reader.kind == "patient":
                raise forbidden(f"A citizen's {type} has to name the citizen.")
            return EVERYONE, {}
        subject = db.execute("SELECT subject FROM owner WHERE key = ?", (self.author,)).fetchone()[0]
        return self.author, {self.author: subject}

    def _person(self, db: Database, patient: str, *, makes: bool) -> tuple[int, str]:
        """Return a patient's key and subject; one who is not known yet is let in. Raises Problem 403 and 410."""
        row = db.execute("SELECT key, subject FROM owner WHERE kind = 'patient' AND id = ?", (patient,)).fetchone()
        if row:
            self._may_write_about(db, row[0])
            return row
        if self.reader.kind == "patient" or (self.reader.kind == "organisation" and not makes):
            raise _no_grant()  # before the next question: whether somebody had a record here is not theirs to know
        if db.execute("SELECT 1 FROM destroyed WHERE tag = ?", (self.keyring.tag("patient", patient),)).fetchone():
            raise Problem(410, "Destroyed", f"All that was kept of Patient/{patient} was destroyed; nothing is added.")
        if patient not in self.taken:
            self.taken[patient] = self.keyring.take()
        self.used.add(patient)
        subject = self.taken[patient].subject
        db.execute("INSERT INTO owner(kind, id, subject) VALUES('patient', ?, ?)", (patient, subject))
        self.mine.add(key := db.last_insert_rowid())
        return key, subject

    def _may_write_about(self, db: Database, owner: int) -> None:
        reader = self.reader
        if reader.kind == "all" or owner in self.mine or (reader.kind == "patient" and owner == self.author):
            return
        granted = "SELECT 1 FROM grants WHERE organisation = ? AND owner = ? AND ? BETWEEN since AND until"
        asked = (reader.id, owner, self.now)
        if reader.kind == "patient" or not db.execute(granted, asked).fetchone():
            raise _no_grant()

    def _may_change(self, type: str, id: str, row: _Row) -> None:
        """Decide whether the caller may change what they see. Raises Problem 403."""
        reader = self.reader
        if reader.kind == "all" or row.author == self.author:
            return
        if type == "Subscription":  # what is sent is what its author may see
            raise forbidden(f"Subscription/{id} is another's: its author changes it.")
        if reader.kind == "patient" and type != "Consent":
            raise forbidden("What others wrote in your record is theirs to correct: ask the health centre.")
        if reader.kind == "organisation" and type == "Consent":
            raise forbidden("A consent is given and withdrawn by the person it is about.")
        if row.owner == EVERYONE and (type, id) != ("Organization", reader.id):
            raise forbidden(f"{type}/{id} is another's: its author changes it.")

    def _author(self, db: Database) -> int:
        reader = self.reader
        if reader.kind == "all":
            return ROOM
        own = "SELECT key FROM owner WHERE kind = ? AND id = ?"
        if row := db.execute(own, (reader.kind, reader.id)).fetchone():
            return row[0]
        if reader.kind == "patient":
            raise forbidden("Nothing is kept of you here.")
        db.execute("INSERT INTO owner(kind, id) VALUES(?, ?)", (reader.kind, reader.id))
        return db.last_insert_rowid()

    def _before(self, db: Database) -> list[Version] | None:
        """Return what an idempotency key was answered before. Raises Problem 422 where it came with other changes."""
        row = db.execute("SELECT asked, made FROM idempotency WHERE tag = ?", (self.idempotency,)).fetchone()
        if row is None:
            return None
        if row[0] != self.asked:
            raise Problem(
                422, "Key used before", "This idempotency key came with other changes before; take a new one."
            )
        found = [bodies.version(db, *each) for each in json.loads(row[1])]
        if None in found:
            raise Problem(410, "Destroyed", "What this key led to was destroyed since.")
        return [bodies.opened(db, self.keyring, each) for each in found if each]


def forbidden(detail: str) -> Problem:
    """Say what the caller may not do."""
    return Problem(403, "Not permitted", detail)


def _no_grant() -> Problem:
    return forbidden("There is no consent in force that lets you write into this person's record.")
