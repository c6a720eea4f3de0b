"""Ask an ASGI application directly, without a server."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """A response: status, headers (lower-case names, the last of each) and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def ask(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
    client: str = "127.0.0.1",
    host: str = "localhost",
) -> Answer:
    """Send one request and return its answer; a body given as parts has no declared length."""
    parts = [body] if isinstance(body, bytes) else list(body)
    sent = [{"type": "http.request", "body": part, "more_body": n + 1 < len(parts)} for n, part in enumerate(parts)]
    given = {"host": host, **({"content-length": str(len(body))} if isinstance(body, bytes) else {}), **(headers or {})}
    received: list[Message] = []

    async def receive() -> Message:
        return sent.pop(0) if sent else await asyncio.Event().wait() or {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        received.append(message)

    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": (client, 50000),
        "server": ("localhost", 8000),
    }
    await app(scope, receive, send)
    start = received[0]
    headers_out = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers_out, b"".join(m.get("body", b"") for m in received[1:]))


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncGenerator[ASGIApp]:
    """Run an application's lifespan around the block; raises RuntimeError when it does not start."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, inbox.get, outbox.put))  # type: ignore[arg-type]
    await inbox.put({"type": "lifespan.startup"})
    message = await outbox.get()
    if message["type"] != "lifespan.startup.complete":
        await asyncio.wait([task])
        raise RuntimeError(message.get("message"))
    try:
        yield app
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await outbox.get()
        await task
