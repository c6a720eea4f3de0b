"""The dispatcher's end of the socket: has each call decided at once, and answers when what it changed is on disk."""

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanmaru.platform.problems import Problem
from hanmaru.ride.dispatch.wire import Call, News, Reply, address, frame, read_frame
from hanmaru.ride.domain import RideError

log = structlog.get_logger()

MOST_CONNECTIONS = 64
MOST_UNSENT = 64 * 2**20
"""Bytes that a reader may leave unread before it is cut off; it comes back and reads anew."""

Answer = tuple[bytes, "asyncio.Future[None]"]
"""A call's JSON answer, and the future that is done when it may leave."""
Decide = Callable[[str, dict[str, Any]], "Answer | Awaitable[Answer]"]


class Server:
    """Listens in a folder for as long as it is open; there is one in a folder at a time, who holds the lock."""

    def __init__(self, folder: Path, decide: Decide) -> None:
        """Name the folder and what decides."""
        self._folder, self._how = folder, decide
        self._writers: set[StreamWriter] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._server: asyncio.Server | None = None
        self._decoder = msgspec.msgpack.Decoder(Call)

    async def open(self) -> None:
        """Begin to listen."""
        path = address(self._folder)
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - a socket that a killed dispatcher left
        self._server = await asyncio.start_unix_server(self._serve, path, backlog=MOST_CONNECTIONS)
        os.chmod(path, 0o600)  # noqa: PTH101 - a path that may lead through an open folder

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        if self._server is not None:
            await self._server.wait_closed()

    def tell(self, news: News) -> None:
        """Tell every connection what changed."""
        message = frame(news)
        for writer in list(self._writers):
            self._send(writer, message)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._writers) >= MOST_CONNECTIONS:
            return writer.close()
        self._writers.add(writer)
        try:
            while True:
                self._decide(self._decoder.decode(await read_frame(reader)), writer)
        except (ConnectionError, msgspec.DecodeError, RecursionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _decide(self, call: Call, writer: StreamWriter) -> None:
        try:
            answer = self._how(call.method, call.params)
        except Exception as error:
            return self._send(writer, frame(_refusal(call, error)))
        if isinstance(answer, tuple):
            return self._reply(call, answer, writer)
        task = asyncio.ensure_future(self._later(call, answer, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, call: Call, answer: "Awaitable[Answer]", writer: StreamWriter) -> None:
        try:
            self._reply(call, await answer, writer)
        except Exception as error:
            self._send(writer, frame(_refusal(call, error)))

    def _reply(self, call: Call, answer: Answer, writer: StreamWriter) -> None:
        body, durable = answer
        message = frame(Reply(call.id, 200, body))
        if durable.done():
            return self._send(writer, message)
        durable.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else self._send(writer, message)
        )

    def _send(self, writer: StreamWriter, message: bytes) -> None:
        if writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > MOST_UNSENT:
            log.error("a web worker does not read what the dispatcher answers; it is cut off")
            return writer.transport.abort()
        writer.write(message)


def _refusal(call: Call, error: Exception) -> Reply:
    """Return what is answered to a call that is refused, or failed."""
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, RideError):
        problem = Problem(409, "Not possible", str(error))
    else:
        log.error("a call to the dispatcher failed", method=call.method, exc_info=error)
        problem = Problem(500, "Internal error", "Something went wrong in the dispatcher; its log has it.")
    return Reply(call.id, problem.status, problem.encode())
