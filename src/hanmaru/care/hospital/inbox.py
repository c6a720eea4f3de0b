"""What came in of a city's referrals, and the work on it: ``partner.db``, which knows referrals by their ids only.

A notification is taken once it is on disk. It only says that something happened: what, is fetched, as often as it
takes.
"""

import asyncio
import secrets
import sqlite3
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from hanmaru.care.fhir import text
from hanmaru.care.hospital.partner import City, UnreachableError, open_city, settings_of
from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.platform.vault.database import Database

log = structlog.get_logger()

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS inbox(task TEXT PRIMARY KEY, came INTEGER NOT NULL, count INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS referral(task TEXT PRIMARY KEY, status TEXT NOT NULL, changed INTEGER NOT NULL) STRICT;
"""
LOOK_S: Final = 0.5
WAIT_S: Final = 1.0
WAIT_MAX_S: Final = 60.0
SUBSCRIBE_S: Final = 600.0
MOST: Final = 500


class Waiting(NamedTuple):
    """A referral that something happened to; ``turn`` tells one notification of it from the next."""

    task: str
    turn: int


class Inbox:
    """The file; several processes of the house may have it open. Every method blocks."""

    def __init__(self, folder: Path) -> None:
        """Open ``partner.db``, making it on first use with the token that notifications have to bring."""
        self._db = Database(folder / "partner.db", SCHEMA)
        with self._db.write() as db:
            db.execute("INSERT OR IGNORE INTO fact VALUES('token', ?)", (secrets.token_urlsafe(32),))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def token(self) -> str:
        """Return what the city sends with each notification."""
        with self._db.read() as db:
            return db.execute("SELECT value FROM fact WHERE name = 'token'").fetchone()[0]

    def take(self, tasks: list[str]) -> None:
        """Keep that something happened to these referrals."""
        with self._db.write() as db:
            db.executemany(
                "INSERT INTO inbox VALUES(?, ?, 1) ON CONFLICT(task) DO UPDATE SET count = count + 1",
                [(task, int(time.time())) for task in tasks],
            )

    def waiting(self) -> list[Waiting]:
        """Return what is not seen to yet, oldest first."""
        with self._db.read() as db:
            rows = db.execute("SELECT task, count FROM inbox ORDER BY came, task LIMIT ?", (MOST,))
            return [Waiting(*row) for row in rows]

    def settle(self, waiting: Waiting, status: str | None) -> None:
        """Note a referral's state, None for one that is not to be seen any more; done with this notification of it."""
        with self._db.write() as db:
            _note(db, waiting.task, status)
            db.execute("DELETE FROM inbox WHERE task = ? AND count = ?", waiting)

    def note(self, task: str, status: str | None) -> None:
        """Note a referral's state."""
        with self._db.write() as db:
            _note(db, task, status)

    def referrals(self) -> list[dict[str, Any]]:
        """Return the referrals, latest change first."""
        with self._db.read() as db:
            rows = db.execute("SELECT task, status, changed FROM referral ORDER BY changed DESC LIMIT ?", (MOST,))
            return [{"id": task, "state": status, "changed": changed} for task, status, changed in rows]


def _note(db: sqlite3.Connection, task: str, status: str | None) -> None:
    if status is None:
        db.execute("DELETE FROM referral WHERE task = ?", (task,))
    else:
        db.execute("INSERT OR REPLACE INTO referral VALUES(?, ?, ?)", (task, status, int(time.time())))


def tasks_of(body: bytes) -> list[str]:
    """Return the ids of the Tasks that a notification names. Raises Problem 400 for what is no notification."""
    bundle = text.decode(body)
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "history":
        raise Problem(
            400, "No notification", "Send a Bundle of type history, as the R4 backport of subscriptions has it."
        )
    found: list[str] = []
    for entry in bundle.get("entry") or ():
        response: Any = entry.get("response") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        parts = str(response.get("location", "")).split("/") if isinstance(response, dict) else []  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        if len(parts) >= 2 and parts[0] == "Task" and 0 < len(parts[1]) <= 64:
            found.append(parts[1])
    return found[:MOST]


async def run(context: Context[HubClient]) -> None:
    """Be the hospital: subscribe, fetch what happened, answer; until cancelled."""
    settings = settings_of(context.data_dir)
    if settings is None:
        return
    async with AsyncExitStack() as closing:
        city = await open_city(settings, context.egress, closing)
        inbox = await asyncio.to_thread(Inbox, context.data_dir)
        closing.push_async_callback(asyncio.to_thread, inbox.close)
        await asyncio.gather(_subscribed(city, await asyncio.to_thread(inbox.token)), _worked(city, inbox))


async def _subscribed(city: City, token: str) -> None:
    """See to it that the city tells this hospital, and again whenever it should have forgotten."""
    wait_s, said = WAIT_S, ""
    while True:
        try:
            status = await city.subscribe(token)
            wait_s = SUBSCRIBE_S
        except (UnreachableError, Problem) as error:
            status, wait_s = str(error), min(wait_s * 2, WAIT_MAX_S)
        if status != said:
            log.info("subscription to the city's referrals", status=status)
            said = status
        await asyncio.sleep(wait_s)


async def _worked(city: City, inbox: Inbox) -> None:
    wait_s = LOOK_S
    while True:
        try:
            for waiting in await asyncio.to_thread(inbox.waiting):
                await asyncio.to_thread(inbox.settle, waiting, await _seen_to(city, waiting.task))
            wait_s = LOOK_S
        except UnreachableError as error:
            log.warning("a referral waits for the city", reason=str(error))
            wait_s = min(max(wait_s, WAIT_S) * 2, WAIT_MAX_S)
        await asyncio.sleep(wait_s)


async def _seen_to(city: City, task: str) -> str | None:
    """Fetch a referral and say that it was received; return its state, None where it may not be seen."""
    for _ in range(3):
        try:
            return str((await city.received(await city.read(f"Task/{task}")))["status"])
        except Problem as problem:
            if problem.status in (403, 404, 410):
                return None
            if problem.status not in (409, 412):  # somebody else changed it: look again
                raise UnreachableError(str(problem)) from None
    raise UnreachableError("the referral keeps changing")
