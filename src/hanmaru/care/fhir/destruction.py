"""Destroying a person's record: the key first, then every row, here at once and in old backups by the key's absence.

What is asked is noted before anything is destroyed and struck out when all is done, so an interrupted destruction is
finished when the records are next opened. What a restored backup brings back of people whom the vault's ledger knows
as destroyed goes the same way. A digest of the Patient's id stays, so that nothing is added to what is no more.
"""

import json
import time
from typing import Final

import structlog

from hanmaru.care.fhir import index, watermark
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.sealing import Keyring

log = structlog.get_logger()

TRIES: Final = 50
PAUSE_S: Final = 0.1


def ask(db: Database, patient: str, reason: str) -> tuple[int, str] | None:
    """Note that a patient is to be destroyed; return owner and subject, None for one who is not here."""
    row = db.execute("SELECT key, subject FROM owner WHERE kind = 'patient' AND id = ?", (patient,)).fetchone()
    if row:
        db.execute("INSERT OR IGNORE INTO destroying VALUES(?, ?)", (row[0], reason))
    return row


def unfinished(db: Database, keyring: Keyring) -> list[tuple[int, str, str]]:
    """Return (owner, subject, reason) of destructions that are not done, and of who came back by a restore."""
    found = db.execute(
        "SELECT d.owner, o.subject, d.reason FROM destroying d JOIN owner o ON o.key = d.owner"
    ).fetchall()
    known = {subject for _, subject, _ in found}
    for room, subject in keyring.destroyed():
        row = db.execute("SELECT key FROM owner WHERE subject = ?", (subject,)).fetchone()
        if row and room == "care" and subject not in known:
            found.append((row[0], subject, "destroyed before this backup was restored"))
    return found


def erase(db: Database, keyring: Keyring, owner: int) -> int:
    """Delete all rows of a person in the caller's transaction; return how many resources that were.

    Raises IndexBehind. Counts as a commit of its own, so that an index that misses it is known to.
    """
    seq, at = watermark.state(db)
    watermark.mark(db, seq + 1, max(time.time_ns() // 1000, at + 1))
    whose = "SELECT seq FROM version WHERE owner = :owner UNION SELECT seq FROM owners WHERE owner = :owner"
    bound = {"owner": owner}
    keys = db.execute(f"SELECT key FROM resource WHERE seq IN ({whose})", bound).fetchall()
    named = f"SELECT r.type, r.id FROM resource r JOIN version v ON v.key = r.key WHERE v.seq IN ({whose})"
    _forget_answers(db, set(db.execute(named, bound)))
    db.execute(f"DELETE FROM version WHERE seq IN ({whose})", bound)
    for (key,) in keys:
        index.remove(db, key)
        db.execute("DELETE FROM grants WHERE consent = ?", (key,))
        db.execute("DELETE FROM version WHERE key = ?", (key,))
        db.execute("DELETE FROM resource WHERE key = ?", (key,))
    db.execute("DELETE FROM owners WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.seq = owners.seq)")
    for table in ("grants", "look", "person"):
        db.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))
    row = db.execute("SELECT kind, id FROM owner WHERE key = ?", (owner,)).fetchone()
    if row:
        db.execute("INSERT OR IGNORE INTO destroyed VALUES(?, ?)", (keyring.tag(*row), time.time_ns() // 1000))
        db.execute("DELETE FROM owner WHERE key = ?", (owner,))
    db.execute("DELETE FROM destroying WHERE owner = ?", (owner,))
    return len(keys)


def _forget_answers(db: Database, gone: set[tuple[str, str]]) -> None:
    """Delete the answers to idempotency keys that name a resource of ``gone`` (type, id)."""
    answers = db.execute("SELECT tag, made FROM idempotency").fetchall()
    tags = [(tag,) for tag, made in answers if not gone.isdisjoint((type, id) for type, id, _ in json.loads(made))]
    db.executemany("DELETE FROM idempotency WHERE tag = ?", tags)


def empty_logs(db: Database) -> None:
    """Empty both write-ahead logs, which still hold what was deleted; waits for readers, ``db`` must be idle."""
    for name in ("main", "ix"):
        for _ in range(TRIES):
            if db.execute(f"PRAGMA {name}.wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
                break
            time.sleep(PAUSE_S)
        else:
            log.warning("a log of the records is still read and keeps sealed rows of somebody destroyed", file=name)
