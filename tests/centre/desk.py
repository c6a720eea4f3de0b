"""The room's events on a real hub in this process, with an agency's desk that answers over HTTP."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from hanmaru.centre.agencies.desk import Desk, application
from hanmaru.centre.domain import Detection
from hanmaru.centre.events import api
from hanmaru.centre.events.process import run
from hanmaru.centre.service import service
from hanmaru.edge import on_problem
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.handover import Handover
from hanmaru.platform.jobs import declared
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.database import url_of
from hanmaru.platform.policy import Caller, Door
from hanmaru.platform.policy.cedar import Policy
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.platform.trust import Locks
from hanmaru.platform.vault import Vaults
from tests.asgi import Answer, ask

SECRET = "0123456789abcdef0123456789abcdef"
HERE = {"type": "Point", "coordinates": [127.28, 36.48]}


@dataclass
class Room:
    """The room's HTTP, its context, and what it writes."""

    context: Context[HubClient]
    app: Starlette

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str = "operator",
        who: str = "",
        kind: Any = "person",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        caller = Caller(who or role, (role,), kind, True)

        async def called(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "caller": caller}, receive, send)

        sent = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return await ask(called, f"/c{path}", method=method, body=sent, headers=headers)

    async def raised(self, **more: Any) -> dict[str, Any]:
        body = {"category": "security", "severity": "high", "title": "A call", "location": HERE, **more}
        answer = await self.ask("POST", "/events", body)
        assert answer.status == 201, answer.body
        return answer.json()

    async def step(self, event: str, step: str, *, role: str = "operator", **deed: Any) -> Answer:
        return await self.ask("POST", f"/events/{event}/procedure/steps/{step}", deed, role=role)


@asynccontextmanager
async def room(folder: Path) -> AsyncGenerator[Room]:
    async with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
        assert service.policies
        policy = Policy([service.policies], actions=list(service.permissions))
        data, keys = folder / "data", folder / "keys"
        with Trail(data, keys, "test") as trail:
            vaults, jobs = Vaults(data, keys, trail, policy), Jobs(url_of(data, "sqlite"), declared([]))
            handover = Handover(data, vaults, trail, policy, jobs)
            trust = Locks(policy, trail, vaults, jobs, handover).of("centre")
            context: Context[HubClient] = Context(hub.client(Access(write=True)), folder, {"zone": "Asia/Seoul"}, trust)
            app = Starlette(
                routes=[Mount("/c", routes=list(api.routes(context)))], exception_handlers={Problem: on_problem}
            )
            app.state.door = Door(trust.policy, trust.audit)
            try:
                yield Room(context, app)
            finally:
                await context.closing.aclose()
                handover.close()
                jobs.close()
                vaults.close()


@asynccontextmanager
async def agency(folder: Path, *, automatic: bool = True) -> AsyncGenerator[tuple[str, Desk]]:
    """Run an agency's desk; yield its endpoint and what it keeps."""
    desk = Desk(folder, SECRET)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application(desk, automatic=automatic), log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([held]))
        try:
            yield f"http://127.0.0.1:{held.getsockname()[1]}/hand-overs", desk
        finally:
            server.should_exit = True
            await serving
            desk.close()


async def until(condition: Callable[[], Awaitable[Any]], most_s: float = 8.0) -> Any:
    """Return what a condition gives once it gives something true; fail when it does not in time."""
    ends = time.monotonic() + most_s
    while time.monotonic() < ends:
        if found := await condition():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to pass")


@asynccontextmanager
async def working(site: Room) -> AsyncGenerator[None]:
    """Do the room's background work meanwhile."""
    task = asyncio.create_task(run(site.context))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def detection(seq: int, kind: Any = "raise", key: str = "rain/1", **more: Any) -> Detection:
    facts: dict[str, Any] = {"severity": "high", "category": "flood", "title": {"en": "Water", "ko": "물"}}
    facts |= {"at": "2026-11-23T09:00:00Z", "location": HERE, **more}
    return Detection(seq, key.partition("/")[0], key, kind, **facts)
