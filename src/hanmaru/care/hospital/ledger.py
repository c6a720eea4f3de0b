"""How far each subscription was served and how it fares: ``hospital.db``, of which no row tells of a person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hanmaru.platform.vault.database import Database

OWN: Final = "*"
"""In place of a subscription's id: how far the log was read for subscriptions themselves."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS subscription(
  id TEXT PRIMARY KEY, seq INTEGER NOT NULL, sent INTEGER NOT NULL DEFAULT 0, withheld INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0, failing_since INTEGER, due INTEGER, error TEXT NOT NULL DEFAULT '',
  sent_at INTEGER) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands: served up to the change ``seq``; times in µs since 1970.

    ``sent`` notifications were taken by the receiver, ``withheld`` were not sent for want of a consent. ``failures``
    attempts in a row failed since ``failing_since`` for the reason ``error``; the next is ``due``.
    """

    id: str
    seq: int
    sent: int = 0
    withheld: int = 0
    failures: int = 0
    failing_since: int | None = None
    due: int | None = None
    error: str = ""
    sent_at: int | None = None


class Ledger:
    """The file, in one process that writes and others that read. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        """Open ``hospital.db`` in the room's folder.

        A power cut may take the last steps: a position falls back and a receiver gets a notification twice.
        """
        self._db = Database(folder / "hospital.db", SCHEMA, "derived")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def all(self) -> list[Standing]:
        """Return how every subscription stands."""
        with self._db.read() as db:
            rows = db.execute("SELECT * FROM subscription WHERE id != ? ORDER BY id", (OWN,))
            return [Standing(*row) for row in rows]

    def get(self, id: str) -> Standing | None:
        """Return how one stands; None for one that is not served."""
        with self._db.read() as db:
            row = db.execute("SELECT * FROM subscription WHERE id = ?", (id,)).fetchone()
            return Standing(*row) if row else None

    def open(self, id: str, seq: int) -> Standing:
        """Serve a subscription from after a change on; one that is served already goes on where it was."""
        with self._db.write() as db:
            db.execute("INSERT OR IGNORE INTO subscription(id, seq) VALUES(?, ?)", (id, seq))
            return Standing(*db.execute("SELECT * FROM subscription WHERE id = ?", (id,)).fetchone())

    def drop(self, id: str) -> None:
        """Serve a subscription no more."""
        with self._db.write() as db:
            db.execute("DELETE FROM subscription WHERE id = ?", (id,))

    def put(self, standing: Standing) -> None:
        """Keep how a subscription stands, unless it was dropped."""
        with self._db.write() as db:
            db.execute(
                "UPDATE subscription SET seq = ?, sent = ?, withheld = ?, failures = ?, failing_since = ?, due = ?,"
                " error = ?, sent_at = ? WHERE id = ?",
                (
                    *(standing.seq, standing.sent, standing.withheld, standing.failures, standing.failing_since),
                    *(standing.due, standing.error, standing.sent_at, standing.id),
                ),
            )
