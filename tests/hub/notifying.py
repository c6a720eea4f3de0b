"""Real receivers of notifications on loopback, and a hub with its notifier, for tests that read like a conversation."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace

from hanmaru.hub import notifier, subscriptions
from hanmaru.hub.lanes import Limits
from hanmaru.hub.local import Hub
from hanmaru.hub.subscriptions import KIND, STATUS_KIND, Status, Subscription
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.times import now
from hanmaru.platform.access import Access

EVERYTHING = Access(write=True)
QUICK = Limits(backoff_s=0.05, backoff_max_s=0.2, timeout_s=2)
WITHIN_S = 10.0


@dataclass(frozen=True)
class Note:
    """One notification as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def ids(self) -> list[str]:
        return [entity["id"] for entity in self.body["data"]]


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent; ``answers`` maps a path to a status or to what makes one."""

    answers: dict[str, int | Callable[[], Awaitable[int]]] = field(default_factory=dict)
    got: list[Note] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str = "/") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Note]:
        return [note for note in self.got if note.path == path]

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.tried.append(request.path)
        answer = self.answers.get(request.path, 200)
        status = answer if isinstance(answer, int) else await answer()
        async with self.news:
            if 200 <= status < 300:
                self.got.append(Note(request.path, dict(request.headers), msgspec.json.decode(raw)))
            self.news.notify_all()
        return web.Response(status=status)

    async def until(self, condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        """Wait until what was received fulfils a condition."""
        async with asyncio.timeout(within_s), self.news:
            await self.news.wait_for(condition)

    async def notes(self, number: int, path: str = "/") -> list[Note]:
        """Wait for so many notifications and return all that came."""
        await self.until(lambda: len(self.at(path)) >= number)
        return self.at(path)


@asynccontextmanager
async def receiving(
    receiver: Receiver, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Receiver]:
    """Run a receiver."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    receiver.scheme = "https" if tls else "http"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def notifying(hub: Hub, limits: Limits = QUICK, **options: Any) -> AsyncGenerator[None]:
    """Run the notifier; it has begun when the block does."""
    task = asyncio.create_task(notifier.run(hub, limits=limits, **options))
    try:
        await eventually(lambda: has_begun(hub), task)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task  # raises what it crashed of


async def has_begun(hub: Hub) -> bool:
    return await hub.store.cursor(notifier.CONSUMER) is not None


async def eventually(
    condition: Callable[[], Awaitable[bool]], task: "asyncio.Task[Any] | None" = None, within_s: float = WITHIN_S
) -> None:
    """Wait until a condition holds; fail at once when ``task`` ended."""
    async with asyncio.timeout(within_s):
        while not await condition():
            if task is not None and task.done():
                await task
            await asyncio.sleep(0.005)


def document(uri: str, **members: Any) -> dict[str, Any]:
    """Return a subscription to rooms; ``notification`` members and others can be given."""
    notification = {"endpoint": {"uri": uri}} | members.pop("notification", {})
    if "endpoint" in members:
        notification["endpoint"] |= members.pop("endpoint")
    if not {"entities", "watchedAttributes"} & members.keys():
        members["entities"] = [{"type": "Room"}]
    return {"type": "Subscription", "notification": notification, **members}


async def subscribe(hub: Hub, uri: str, *, access: Access = EVERYTHING, **members: Any) -> Subscription:
    """Store a subscription as the API does."""
    made = subscriptions.parse(document(uri, **members), CORE_TERMS, access, "test", now(), await hub.store.head())
    assert await hub.store.put_document(KIND, made.tenant, made.id, subscriptions.encode(made), create=True)
    return made


async def change(hub: Hub, subscription: Subscription, **fields: Any) -> Subscription:
    """Store a changed subscription."""
    new = replace(subscription, modified_at=now(), **fields)
    await hub.store.put_document(KIND, new.tenant, new.id, subscriptions.encode(new))
    return new


async def status(hub: Hub, subscription: Subscription) -> Status:
    """Return a subscription's delivery counters as they are stored."""
    raw = await hub.store.get_document(STATUS_KIND, *subscription.key)
    return subscriptions.decode_status(raw) if raw else Status()


def room(n: int, /, **values: Any) -> dict[str, Any]:
    """Return a room in simplified form."""
    return {"id": f"urn:ngsi-ld:Room:{n}", "type": "Room", **values}
