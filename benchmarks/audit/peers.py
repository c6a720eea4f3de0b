"""The same records in what one would use instead: a SQLite table, and a log file that is synced after each group."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hanmaru.platform.audit.lines import now_text
from hanmaru.platform.audit.record import Record

Groups = Iterator[list[Record]]


def sqlite(path: Path, groups: Groups) -> list[float]:
    """Append to a table indexed by subject, WAL, synchronous=FULL, a transaction a group; return seconds by group."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE audit (at TEXT, who TEXT, action TEXT, what TEXT, decision TEXT, purpose TEXT, subject TEXT,"
        " place TEXT, request TEXT) STRICT"
    )
    db.execute("CREATE INDEX by_subject ON audit (subject, at)")
    taken: list[float] = []
    for group in groups:
        started = time.perf_counter()
        db.execute("BEGIN")
        for r in group:
            row = (now_text(), r.who, r.action, r.what, r.decision, r.purpose, r.subjects[0], r.where, r.request)
            db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("COMMIT")
        taken.append(time.perf_counter() - started)
    db.close()
    return taken


def sqlite_search(path: Path, subjects: list[str]) -> list[float]:
    """Return the seconds that finding each subject's newest 100 rows takes, with a connection each."""
    taken: list[float] = []
    for subject in subjects:
        started = time.perf_counter()
        db = sqlite3.connect(path)
        db.execute("SELECT * FROM audit WHERE subject = ? ORDER BY at DESC LIMIT 100", (subject,)).fetchall()
        db.close()
        taken.append(time.perf_counter() - started)
    return taken


def log_file(path: Path, groups: Groups) -> list[float]:
    """Append JSON lines by Python's logging, with an fsync after each group; return seconds by group."""
    handler = logging.FileHandler(path)
    logger = logging.Logger("audit")
    logger.addHandler(handler)
    taken: list[float] = []
    for group in groups:
        started = time.perf_counter()
        for record in group:
            logger.info("%s %s", now_text(), msgspec.json.encode(record).decode())
        os.fsync(handler.stream.fileno())
        taken.append(time.perf_counter() - started)
    handler.close()
    return taken
