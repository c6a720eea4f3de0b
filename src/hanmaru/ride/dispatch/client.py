"""A web worker's end of the dispatcher's socket.

A call whose connection breaks is sent again on the next one until its time is over: the dispatcher that died may have
decided it or not, and the one that took over knows by the call's key. So every call that changes something has a key.
"""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanmaru.platform.problems import Problem
from hanmaru.ride.dispatch.wire import Call, News, Reply, address, frame, read_frame

log = structlog.get_logger()

WAIT_S = 5.0
"""How long a call may take, a change of dispatchers included, before its caller is told to come back."""
AGAIN_S = 0.05
MOST_CALLS = 2000

_Message = Reply | News


class Client:
    """One connection for all calls of a process, made anew whenever it breaks; `close` it."""

    def __init__(self, folder: Path) -> None:
        """Name the room's folder; the first call connects."""
        self._folder = folder
        self._numbers = itertools.count(1)
        self._calls: dict[int, tuple[bytes, asyncio.Future[Reply]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self.watchers: set[Callable[[News | None], None]] = set()
        """Called with what changed, and with None when changes may have been missed."""

    async def call(self, method: str, **params: Any) -> bytes:
        """Return the JSON answer of the dispatcher; raises Problem as it says, or 503 where it is away or busy."""
        if len(self._calls) >= MOST_CALLS:
            raise Problem(503, "Busy", "Too many calls wait for the dispatcher. Try again soon.", retry_after_s=1)
        self.connect()
        number = next(self._numbers)
        message = frame(Call(number, method, params))
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls[number] = (message, answered)
        try:
            if self._writer is not None:
                self._writer.write(message)
            async with asyncio.timeout(WAIT_S):
                reply = await answered
        except TimeoutError:
            raise Problem(
                503, "The dispatcher is away", "It will be back in a moment. Try again.", retry_after_s=2
            ) from None
        finally:
            del self._calls[number]
        if reply.status != 200:
            raise problem_of(reply.body)
        return reply.body

    def connect(self) -> None:
        """Begin to keep a connection, unless that has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="ride dispatcher's client")

    async def close(self) -> None:
        """End the connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _keep(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(address(self._folder))
            except OSError:
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                for message, _ in self._calls.values():
                    writer.write(message)
                self._writer = writer
                self._tell(None)
                await self._read(reader)
            except (ConnectionError, msgspec.DecodeError):
                log.info("the connection to the dispatcher ended")
            finally:
                self._writer = None
                writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            message = _decode(await read_frame(reader))
            if isinstance(message, News):
                self._tell(message)
            elif (waiting := self._calls.get(message.id)) and not waiting[1].done():
                waiting[1].set_result(message)

    def _tell(self, news: News | None) -> None:
        for watcher in list(self.watchers):
            watcher(news)


_reply, _news = msgspec.msgpack.Decoder(Reply), msgspec.msgpack.Decoder(News)


def _decode(body: bytes) -> _Message:
    """Return a message; News begins with the number 0, which no call has: the second byte of its array."""
    return _news.decode(body) if body[1] == 0 else _reply.decode(body)


def problem_of(body: bytes) -> Problem:
    """Return a problem from its JSON document."""
    members = msgspec.json.decode(body, type=dict[str, Any])
    known = {name: members.pop(name, "") for name in ("status", "title", "detail", "type")}
    return Problem(known["status"], known["title"], known["detail"], type=known["type"] or "about:blank", **members)
