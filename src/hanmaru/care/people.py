"""Who is whom: which account and which card is which Patient, and for which Organization somebody works.

Accounts and cards are kept as keyed digests, whose key lies in the vault: the file does not say who has a record.
"""

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.records import Records
from hanmaru.platform.problems import Problem

_FIND = "SELECT o.id FROM person p JOIN owner o ON o.key = p.owner WHERE p.tag = ?"


def patient_of(records: Records, account: str) -> str | None:
    """Return the id of an account's Patient, or None. Takes microseconds; safe on the event loop."""
    return _found(records, "account", account)


def subject_of(records: Records, patient: str) -> str:
    """Return the pseudonym under which the audit trail knows a Patient; empty for one who is not here."""
    row = records.inline.execute("SELECT subject FROM owner WHERE kind = 'patient' AND id = ?", (patient,)).fetchone()
    return row[0] if row else ""


async def bind(records: Records, account: str, patient: str) -> None:
    """Say that an account is a Patient's. Raises Problem 404 for no such Patient, 409 where either has another."""
    await _bind(records, "account", account, patient)


async def unbind(records: Records, account: str) -> None:
    """Say that an account is nobody's any more."""
    tag = records.keyring.tag("account", account)
    await records.write(lambda db: db.execute("DELETE FROM person WHERE tag = ?", (tag,)))


def card(records: Records, number: str) -> str | None:
    """Return the id of the Patient whose card has a number, or None. Takes microseconds; safe on the event loop."""
    return _found(records, "card", _plain(number))


async def bind_card(records: Records, number: str, patient: str) -> None:
    """Give a card to a Patient, who may have several. Raises Problem 404, and 409 for another's card."""
    await _bind(records, "card", _plain(number), patient)


async def unbind_card(records: Records, number: str) -> None:
    """Make a lost card nobody's."""
    tag = records.keyring.tag("card", _plain(number))
    await records.write(lambda db: db.execute("DELETE FROM person WHERE tag = ?", (tag,)))


def party_of(records: Records, name: str) -> str | None:
    """Return the id of the Organization that a caller works for, or None for one of whom nothing is said."""
    row = records.inline.execute("SELECT organisation FROM party WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def parties(records: Records, limit: int = 1_000) -> dict[str, str]:
    """Return Organization ids by the callers' names."""
    return dict(records.inline.execute("SELECT name, organisation FROM party ORDER BY name LIMIT ?", (limit,)))


async def bind_party(records: Records, name: str, organisation: str) -> None:
    """Say for which Organization a caller works. Raises Problem 404 where there is no such Organization."""

    def work(db: Database) -> None:
        here = "SELECT 1 FROM resource WHERE type = 'Organization' AND id = ? AND deleted = 0"
        if not db.execute(here, (organisation,)).fetchone():
            raise Problem(404, "No such organisation", f"There is no Organization/{organisation}; make it first.")
        db.execute("INSERT OR REPLACE INTO party VALUES(?, ?)", (name, organisation))

    await records.write(work)


async def unbind_party(records: Records, name: str) -> None:
    """Say that a caller works for nobody any more."""
    await records.write(lambda db: db.execute("DELETE FROM party WHERE name = ?", (name,)))


def _plain(number: str) -> str:
    """Return a card's number as every reader gives it: without blanks and hyphens, in capitals."""
    return "".join(number.split()).replace("-", "").upper()


def _found(records: Records, kind: str, name: str) -> str | None:
    row = records.inline.execute(_FIND, (records.keyring.tag(kind, name),)).fetchone()
    return row[0] if row else None


async def _bind(records: Records, kind: str, name: str, patient: str) -> None:
    tag = records.keyring.tag(kind, name)

    def work(db: Database) -> None:
        row = db.execute("SELECT key FROM owner WHERE kind = 'patient' AND id = ?", (patient,)).fetchone()
        if row is None:
            raise Problem(404, "No such patient", f"There is no Patient/{patient}.")
        kept = db.execute("SELECT owner FROM person WHERE tag = ?", (tag,)).fetchone()
        other = "SELECT 1 FROM person WHERE owner = ? AND kind = 'account' AND tag <> ?"
        if (kept and kept != row) or (kind == "account" and db.execute(other, (row[0], tag)).fetchone()):
            raise Problem(409, "Bound already", f"This {kind} or this patient is bound to another; unbind that first.")
        db.execute("INSERT OR IGNORE INTO person VALUES(?, ?, ?)", (tag, kind, row[0]))

    await records.write(work)
