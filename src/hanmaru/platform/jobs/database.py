"""Where DBOS keeps workflows, and what it may log."""

import logging
from pathlib import Path

from hanmaru.platform.disk import private

APPLICATION = "hanmaru"
FILE = "jobs.db"


def url_of(data: Path, store_url: str) -> str:
    """Return where jobs are kept: the hub's PostgreSQL when it has one, else ``jobs.db`` in the data folder."""
    return store_url if store_url.startswith("postgresql://") else f"sqlite:///{data / FILE}"


def prepare(url: str) -> None:
    """Make the database and its tables where they are missing; safe to call from several processes at once."""
    from dbos import DBOS

    quieten()
    if url.startswith("sqlite:///"):
        import sqlite3

        path = Path(url.removeprefix("sqlite:///"))
        private(path)
        db = sqlite3.connect(path, timeout=30)
        db.execute("PRAGMA journal_mode=WAL")  # lasts; readers and the engine do not wait for each other
        db.close()
    DBOS.migrate(url)


def quieten() -> None:
    """Send DBOS's log the way of all others, without what we say ourselves or what may quote an exception's text."""
    theirs = logging.getLogger("dbos")
    theirs.handlers.clear()
    theirs.propagate = True
    theirs.setLevel(logging.WARNING)
    if _fit_to_log not in theirs.filters:
        theirs.addFilter(_fit_to_log)


def _fit_to_log(record: logging.LogRecord) -> bool:
    if record.exc_info:
        kind = type(record.exc_info[1]).__name__
        record.msg, record.args, record.exc_info = f"{record.getMessage()} {kind}", (), None
    return not record.getMessage().startswith(
        (
            "Exception encountered in asynchronous workflow",  # the engine tells it
            "Asyncio task cancelled for workflow",  # the engine stops
            "Workflow ",  # "... is no longer owned by this execution": it was cancelled
        )
    )
