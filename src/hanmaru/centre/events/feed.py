"""Changes of events as server-sent events: ``event {id, seq}`` whichever process made the change, and ``notice`` to
those whom it is for. Who connects again with ``Last-Event-ID`` gets what changed meanwhile, each event once.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Set
from typing import Any

import msgspec
import structlog

from hanmaru.centre.events import rows
from hanmaru.centre.events.book import Book
from hanmaru.centre.events.shapes import Json, instant

log = structlog.get_logger()

LOOK_S = 0.2
"""How often one process looks for changes, for all of its viewers."""
HEARTBEAT_S = 15.0
LIFE_S = 600.0
"""How long one stream lasts before the browser connects again, and is asked again who it is."""
PAGE = 500


class Tail:
    """The newest change, as one process knows it; it looks only while somebody watches."""

    def __init__(self, book: Book) -> None:
        """Follow a book."""
        self.book, self.head, self._viewers = book, 0, 0
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Look no more."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def stream(self, after: int | None, roles: Callable[[], Set[str]]) -> AsyncGenerator[bytes]:
        """Yield the stream for who has seen ``after`` (None: from now on); it ends when ``roles`` are none."""
        head = await self.book.read(lambda db: rows.peek(db, "seq"))
        position = head if after is None else after
        yield b"retry: 1000\n\n" + _event("hello", min(position, head), {"seq": head, "now": instant(time.time())})
        if position > head:  # of another city's past
            position = head
            yield _event("resync", head, {"seq": head})
        self._viewers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        ends = time.monotonic() + LIFE_S
        try:
            while time.monotonic() < ends and (whose := roles()):
                news = self._news
                changes = await self.book.read(lambda db, since=position: _changes(db, since))
                for seq, name, data, role in changes:
                    if role in ("", "all") or role in whose:
                        yield _event(name, seq, data)
                    position = seq
                if not changes:
                    try:
                        async with asyncio.timeout(HEARTBEAT_S):
                            await news.wait()
                    except TimeoutError:
                        yield b'event: beat\ndata: {"now":"%b"}\n\n' % (instant(time.time()) or "").encode()
        finally:
            self._viewers -= 1

    async def _look(self) -> None:
        while self._viewers:
            try:
                head = await self.book.read(lambda db: rows.peek(db, "seq"))
            except Exception:
                log.exception("events cannot be followed; trying again")
                head = self.head
            if head != self.head:
                self.head = head
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(LOOK_S)


Change = tuple[int, str, Json, str]


def _changes(db: rows.Db, after: int) -> list[Change]:
    events = db.execute("SELECT seq, id FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, PAGE)).fetchall()
    notices = db.execute(f"SELECT {NOTICE} WHERE n.seq > ? ORDER BY n.seq LIMIT ?", (after, PAGE)).fetchall()
    full = [found[-1][0] for found in (events, notices) if len(found) == PAGE]
    found: list[Change] = [(seq, "event", {"id": id, "seq": seq}, "") for seq, id in events]
    found += [(row[0], "notice", notice(row), row[4]) for row in notices]
    last = min(full, default=None)  # beyond it, one kind may have more than the other was asked for
    return sorted((one for one in found if last is None or one[0] <= last), key=lambda one: one[0])


NOTICE = (
    "n.seq, n.event, e.number, n.at, n.role, n.text, n.seen_by, n.seen_at FROM notice n JOIN event e ON e.id = n.event"
)


def notice(row: Any) -> Json:
    """Return a message to people, as HTTP shows it."""
    seq, event, number, at, role, text, seen_by, seen_at = row
    return {
        "seq": seq,
        "event": event,
        "number": number,
        "at": instant(at),
        "to": role,
        "text": msgspec.json.decode(text),
        "seen_by": seen_by,
        "seen_at": instant(seen_at),
    }


def _event(name: str, seq: int, data: Json) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name.encode(), msgspec.json.encode(data))
