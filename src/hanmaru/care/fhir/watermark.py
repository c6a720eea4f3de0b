"""How far the index has come: a mark in it that is written with every commit, and its way back where it lags.

SQLite commits two files in write-ahead mode one after the other, ``records.db`` first. So the index is never ahead; it
is behind after a power cut between the two, when it is new, or when its file was lost. Then the newest versions after
the mark are indexed again, in transactions of `BATCH`.
"""

from typing import Final

from hanmaru.care.fhir import index
from hanmaru.care.fhir.database import Database
from hanmaru.platform.problems import Problem

BATCH: Final = 200

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS ix.watermark(
  one INTEGER PRIMARY KEY CHECK(one = 1), seq INTEGER NOT NULL, at INTEGER NOT NULL, epoch TEXT NOT NULL,
  version INTEGER NOT NULL) STRICT;
"""


class IndexBehind(Problem):
    """Raised in a transaction that finds the index behind the truth: let it catch up and run it again."""

    def __init__(self) -> None:
        """Say so in words for a caller who must not wait for it."""
        super().__init__(503, "Not ready", "The index is being made. Try again in a few seconds.")


def prepare(db: Database) -> bool:
    """Make the index's tables; return False for an index of other records or of another version, to be made anew."""
    with db:
        index.prepare(db)
        db.execute(_TABLE)
        db.execute("INSERT OR IGNORE INTO ix.watermark SELECT 1, 0, 0, epoch, ? FROM state", (index.VERSION,))
        return (
            db.execute(
                "SELECT w.epoch = s.epoch AND w.seq <= s.seq AND w.version = ? FROM ix.watermark w, state s",
                (index.VERSION,),
            ).fetchone()[0]
            == 1
        )


def state(db: Database) -> tuple[int, int]:
    """Return seq and time of the last commit; raises IndexBehind where the index does not hold it."""
    seq, at, marked = db.execute("SELECT s.seq, s.at, w.seq FROM state s, ix.watermark w").fetchone()
    if marked != seq:
        raise IndexBehind
    return seq, at


def mark(db: Database, seq: int, at: int) -> None:
    """Note, in the commit's transaction, that truth and index have come so far."""
    db.execute("UPDATE state SET seq = ?, at = ?", (seq, at))
    db.execute("UPDATE ix.watermark SET seq = ?, at = ?", (seq, at))
