"""What was: histories, newest first, and the change log, in the order of commits.

A version's ``seq`` is its place in the change log, given inside its transaction; later commits have higher ones, so a
reader that keeps the last seq it has dealt with misses nothing.
"""

import re
from typing import Final

from hanmaru.care.fhir.bodies import COLUMNS, JOINED, Sealed
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.schema import SEVERAL
from hanmaru.care.fhir.sight import seen
from hanmaru.care.fhir.values import ChangeRow, Reader
from hanmaru.platform.problems import Problem

MOST: Final = 1_000
"""Most versions or changes of one page."""

_CURSOR: Final = re.compile(r"[0-9]{1,18}")


def page(
    db: Database,
    reader: Reader,
    type: str | None,
    id: str | None,
    since: int | None,
    count: int,
    cursor: str | None,
    now: int,
) -> tuple[list[Sealed], str | None]:
    """Return a page of versions, newest first, of a resource, a type or all, and where the next page begins.

    ``since`` is in µs since 1970. Raises Problem 400 for a cursor that is none.
    """
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise Problem(400, "No such page", "This cursor is not one of a history's; begin at its first page.")
    condition, bindings = seen(reader, "v", now)
    where, values = [condition], list(bindings)
    for sql, value in (
        ("v.type = ?", type),
        ("r.type = v.type AND r.id = ?", id),
        ("v.at >= ?", since),
        ("v.seq < ?", int(cursor) if cursor else None),
    ):
        if value is not None:
            where.append(sql)
            values.append(value)
    count = max(0, min(count, MOST))
    start = "FROM resource r CROSS JOIN version v ON v.key = r.key" if id else f"FROM version v {_RESOURCE}"
    sql = f"SELECT {COLUMNS} {start} LEFT JOIN owner o ON o.key = v.owner WHERE {' AND '.join(where)}"
    order = "v.version" if id else "v.seq"
    rows = db.execute(f"{sql} ORDER BY {order} DESC LIMIT ?", (*values, count + 1)).fetchall()
    found = [Sealed(*row) for row in rows[:count]]
    return found, str(found[-1].seq) if len(rows) > count and found else None


_RESOURCE: Final = "JOIN resource r ON r.key = v.key"


def changes(db: Database, after: int, limit: int) -> list[ChangeRow]:
    """Return what was committed after a seq, in order."""
    rows = db.execute(
        "SELECT v.seq, v.type, r.id, v.version, v.method, v.owner, o.id, v.at"
        f" FROM version v {JOINED} AND o.kind = 'patient' WHERE v.seq > ? ORDER BY v.seq LIMIT ?",
        (after, max(0, min(limit, MOST))),
    ).fetchall()
    found: list[ChangeRow] = []
    for seq, type, id, version, method, owner, patient, at in rows:
        patients: tuple[str, ...] = (patient,) if patient else ()
        if owner == SEVERAL:
            several = "SELECT o.id FROM owners s JOIN owner o ON o.key = s.owner WHERE s.seq = ? ORDER BY o.id"
            patients = tuple(each for (each,) in db.execute(several, (seq,)))
        found.append(ChangeRow(seq, type, id, version, method, patients, at))
    return found


def last(db: Database) -> int:
    """Return the seq of the last commit."""
    return db.execute("SELECT seq FROM state").fetchone()[0]


def position(db: Database, name: str) -> int:
    """Return how far a reader of the change log has come; 0 for one that has not begun."""
    row = db.execute("SELECT seq FROM position WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def advance(db: Database, name: str, seq: int) -> None:
    """Note how far a reader of the change log has come; it never goes back."""
    db.execute(
        "INSERT INTO position VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET seq = max(seq, excluded.seq)", (name, seq)
    )
