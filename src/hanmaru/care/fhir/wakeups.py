"""Telling who waits that something was committed, by this process or another.

SQLite's ``data_version`` changes when any other connection commits; asking for it costs a few microseconds, so it is
asked `EVERY_S` while somebody waits, and never when nobody does.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from hanmaru.care.fhir import history
from hanmaru.care.fhir.database import Database

EVERY_S: Final = 0.025


class Wakeups:
    """The waiters of one process; for use on one event loop."""

    def __init__(self, db: Database) -> None:
        """Watch through a connection that writes nothing."""
        self._db = db
        self._waiters = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def ticks(self) -> AsyncGenerator[int]:
        """Yield the last commit's seq, at once and whenever it has changed; commits in between are one tick."""
        self._waiters += 1
        try:
            seen = -1
            while True:
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._watch())
                changed = self._changed
                if (seq := history.last(self._db)) != seen:
                    seen = seq
                    yield seq
                else:
                    await changed.wait()
        finally:
            self._waiters -= 1

    def wake(self) -> None:
        """Let the waiters look now: this process has committed."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def close(self) -> None:
        """Stop watching."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        before = None
        while self._waiters:
            now = self._db.execute("PRAGMA main.data_version").fetchone()[0]
            if now != before:
                before = now
                self.wake()
            await asyncio.sleep(EVERY_S)
