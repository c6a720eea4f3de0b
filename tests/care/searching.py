"""A small index in memory to ask, with the tables of the truth that a reader's sight is told by."""

from collections.abc import Sequence
from typing import Any

import apsw

from hanmaru.care.fhir import extract, index, query, schema
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.vault.crypto import Key

ROOM = Reader("room", "all")
SECRET = Key.make("test")
NOW = 1_700_000_000_000_000  # 2023-11-14T22:13:20Z
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
Pairs = Sequence[tuple[str, str]]


class Store:
    """Resources by ``Type/id``, searchable; each belongs to its only patient, to several, or to everybody."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute("ATTACH ':memory:' AS ix")
        self.db.execute(schema.SCHEMA)
        index.prepare(self.db)
        self.names: dict[int, str] = {}
        self.keys: dict[str, int] = {}

    def put(self, *resources: dict[str, Any]) -> "Store":
        for resource in resources:
            kind, id = resource["resourceType"], resource["id"]
            key = self.keys.setdefault(f"{kind}/{id}", len(self.keys) + 1)
            self.names[key] = id
            rows = extract.rows(resource)
            index.replace(self.db, key, kind, id, NOW + key, rows)
            owners = [self.owner(p) for p in rows.patients]
            owner = schema.EVERYONE if not owners else owners[0] if len(owners) == 1 else schema.SEVERAL
            self.db.execute(
                "INSERT OR REPLACE INTO resource VALUES(?, ?, ?, ?, 1, ?, 1, 0)", (key, kind, id, key, owner)
            )
            self.db.execute("DELETE FROM owners WHERE seq = ?", (key,))
            for each in owners:
                self.db.execute("INSERT INTO owners VALUES(?, ?)", (key, each))
        return self

    def owner(self, patient: str) -> int:
        self.db.execute("INSERT OR IGNORE INTO owner(kind, id) VALUES('patient', ?)", (patient,))
        row = self.db.execute("SELECT key FROM owner WHERE kind = 'patient' AND id = ?", (patient,)).fetchone()
        assert row
        return row[0]

    def grant(self, patient: str, organisation: str, until: int = 1 << 62) -> None:
        owner = self.owner(patient)
        self.db.execute("INSERT OR REPLACE INTO grants VALUES(?, ?, ?, 0, ?)", (organisation, owner, owner, until))

    def remove(self, name: str) -> None:
        key = self.keys.pop(name)
        index.remove(self.db, key)
        self.db.execute("UPDATE resource SET deleted = 1 WHERE key = ?", (key,))

    def find(self, kind: str | None, pairs: Pairs, reader: Reader = ROOM, **more: Any) -> query.Found:
        return query.search(self.db, query.compile(kind, pairs, reader, NOW, **more), pairs, SECRET)

    def ids(self, kind: str | None, *pairs: tuple[str, str], reader: Reader = ROOM) -> list[str]:
        return [self.names[key] for key in self.find(kind, pairs, reader).matches]

    def pages(self, kind: str, pairs: Pairs, reader: Reader = ROOM) -> list[list[str]]:
        """Return all pages, to the last."""
        pages: list[list[str]] = []
        cursor: list[tuple[str, str]] = []
        while True:
            found = self.find(kind, [*pairs, *cursor], reader)
            pages.append([self.names[key] for key in found.matches])
            if found.next is None:
                return pages
            cursor = [("_cursor", found.next)]


def observation(id: str, of: str = "Patient/kim", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": of}, **more}


def coded(code: str, system: str | None = LOINC, display: str | None = None) -> dict[str, Any]:
    return {"coding": [{k: v for k, v in (("system", system), ("code", code), ("display", display)) if v}]}


def quantity(value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def patient(id: str, family: str, given: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"family": family, "given": [given], "text": family + given}],
        **more,
    }
