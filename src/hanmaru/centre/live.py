"""The live feed: one tail of the hub per distinct access, shared by all of its viewers.

A viewer that is slower than the ring is told to resync and reads the snapshot again, so that memory stays bounded
however many viewers there are and however slow they read.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import msgspec

from hanmaru.centre.frames import Ring, Window
from hanmaru.hub.client import HubClient
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

log = logging.getLogger(__name__)

WINDOW_S = 0.25
BACKLOG = 5000
"""How many of the hub's last changes a new feed begins with, so that viewers resume across a restart."""
HEARTBEAT_S = 15.0
LIFE_S = 600.0
"""How long one stream lasts before the browser connects again, and is asked again who it is."""
LINGER_S = 30.0


def event(name: str, seq: int) -> bytes:
    """Return a control event; ``now`` (seconds since 1970) lets a viewer correct its clock."""
    data = msgspec.json.encode({"seq": seq, "now": time.time()})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class Feed:
    """Tails the hub, makes a frame at most every ``window_s`` seconds and keeps the newest for all viewers."""

    def __init__(self, hub: HubClient, *, window_s: float = WINDOW_S, backlog: int = BACKLOG) -> None:
        """Make a feed of what the client's access sees; `run` has to run for it to move."""
        self.hub = hub
        self.ring = Ring()
        self._window = Window(0)
        self._window_s, self._backlog = window_s, backlog
        self._dirty = asyncio.Event()
        self._news = asyncio.Event()
        self.started = asyncio.Event()

    def _begin(self, after: int) -> None:
        self._window = Window(after)
        self.ring.clear(after)
        self.started.set()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follow the hub until cancelled; begin anew at its head when it no longer keeps what comes next."""
        flusher = asyncio.create_task(self._flush())
        backlog = self._backlog
        try:
            while True:
                try:
                    if not self.started.is_set():
                        self._begin(max(0, await self.hub.head() - backlog))
                    async for changes in self.hub.changes(self._window.last):
                        self._window.add(changes)
                        self._dirty.set()
                except Exception as error:
                    if isinstance(error, Problem) and error.status == 410:
                        self.started.clear()
                        backlog = 0
                        continue
                    log.exception("live feed broke off; trying again")
                    await asyncio.sleep(1)
        finally:
            flusher.cancel()
            with suppress(asyncio.CancelledError):
                await flusher

    async def _flush(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            frame = self._window.take()
            if frame is not None:
                self.ring.append(frame)
                self._wake()
            await asyncio.sleep(self._window_s)

    async def stream(
        self, after: int | None, *, heartbeat_s: float = HEARTBEAT_S, life_s: float = LIFE_S
    ) -> AsyncIterator[bytes]:
        """Yield the event stream for a viewer who has seen ``after``; None begins with what comes next."""
        await self.started.wait()
        ends = time.monotonic() + life_s
        position = self.ring.end if after is None else self.ring.find(after)
        if after is not None and after > self.ring.last and after > await self.hub.head():
            position = None  # it comes from another hub's past
        yield b"retry: 1000\n\n" + event("hello", self.ring.last)
        while time.monotonic() < ends:
            news = self._news
            frames = None if position is None else self.ring.since(position)
            if frames is None:
                position = self.ring.end
                yield b"id: %d\n" % self.ring.last + event("resync", self.ring.last)
            elif frames:
                position = (position or 0) + len(frames)
                yield b"".join(frame.body for frame in frames)
            else:
                try:
                    await asyncio.wait_for(news.wait(), heartbeat_s)
                except TimeoutError:
                    yield event("beat", self.ring.last)


@dataclass(slots=True)
class _Running:
    feed: Feed
    task: asyncio.Task[None]
    viewers: int = 0
    closing: asyncio.TimerHandle | None = None


class Feeds:
    """The running feeds by access; one starts with its first viewer and stops a while after its last."""

    def __init__(self, hub: HubClient, *, make: Callable[[HubClient], Feed] = Feed, linger_s: float = LINGER_S) -> None:
        """Make feeds of a hub, each seen with one access."""
        self._hub, self._make, self._linger_s = hub, make, linger_s
        self._running: dict[Access, _Running] = {}

    @asynccontextmanager
    async def watch(self, access: Access) -> AsyncGenerator[Feed]:
        """Give the feed of what an access sees, for as long as a viewer watches it."""
        running = self._running.get(access)
        if running is None:
            feed = self._make(self._hub.acting(access))
            running = self._running[access] = _Running(feed, asyncio.create_task(feed.run()))
        if running.closing is not None:
            running.closing.cancel()
            running.closing = None
        running.viewers += 1
        try:
            yield running.feed
        finally:
            running.viewers -= 1
            if running.viewers == 0:
                running.closing = asyncio.get_running_loop().call_later(self._linger_s, self._close, access)

    async def close(self) -> None:
        """End every feed."""
        ended = [running.task for running in self._running.values()]
        self._running.clear()
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _close(self, access: Access) -> None:
        if running := self._running.pop(access, None):
            running.task.cancel()
