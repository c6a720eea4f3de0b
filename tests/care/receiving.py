"""A hospital's receiver of notifications: a real HTTP server that can be away, refuse, and be slow."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Received:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came in, and how to answer."""

    port: int = 0
    status: int = 200
    came: list[Received] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    tried: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/inbox"

    async def take(self, count: int, within_s: float = 10) -> list[Received]:
        """Wait until so many requests were taken."""
        async with asyncio.timeout(within_s):
            while len(self.came) < count:
                self.news.clear()
                await self.news.wait()
        return self.came

    async def tries(self, count: int, within_s: float = 10) -> None:
        """Wait until there were so many attempts."""
        async with asyncio.timeout(within_s):
            while self.tried < count:
                self.news.clear()
                await self.news.wait()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried += 1
        if self.status < 300:
            self.came.append(Received(request.method, request.path_qs, dict(request.headers), body))
        self.news.set()
        return web.Response(status=self.status)


@asynccontextmanager
async def receiving(receiver: Receiver | None = None) -> AsyncGenerator[Receiver]:
    """Listen for as long as the block lasts; the same receiver again listens at the same port."""
    receiver = receiver or Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", receiver.port)
        await site.start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()
