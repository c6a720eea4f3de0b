"""The room as a city runs it, in a folder: real policies, trail, vault, book and jobs, and its HTTP interface.

``python rooms.py FOLDER`` is an engine of it that a test may kill.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.edge import on_problem
from hanmaru.platform.audit.lines import Entry, chains, segments
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
from hanmaru.trace.cases.room import Room, room_of
from hanmaru.trace.service import service
from tests.asgi import Answer, ask

PURPOSE = "역학조사 2026-0001"

KIM = Caller("kim", ("investigator",), second_factor=True)
LEE = Caller("lee", ("health-approver",), second_factor=True)
PARK = Caller("park", ("police-approver",), second_factor=True)
CHOI = Caller("choi", ("card-approver",), second_factor=True)
DIRECTOR = Caller("seo", ("health-director",), second_factor=True)
PRIVACY = Caller("oh", ("privacy",), second_factor=True)
CARRIER = Caller("client:carrier", ("telecom-provider",), "machine")
CARDS = Caller("client:cards", ("card-provider",), "machine")

NAME, PHONE = "선우하윤슬", "010-7351-9264"
NEW_CASE = {
    "disease": "covid-19",
    "person": {"name": NAME, "birth_date": "1990-02-03", "sex": "female", "phone": PHONE, "address": "한누리대로 2130"},
    "symptoms": [{"code": "fever", "onset": "2026-11-20"}],
    "onset": "2026-11-20",
    "lab": {"test": "PCR", "result": "positive", "sampled": "2026-11-21", "reported": "2026-11-22"},
    "notes": "혼자 거주",
}
PERIOD = {"start": "2026-11-08T00:00:00+09:00", "end": "2026-11-22T00:00:00+09:00"}
LOCATION = {"kinds": ["location"], "period": PERIOD, "purpose": "동선 확인", "because": "기억이 분명하지 않음"}


class Seen:
    """Lets a test say who asks."""

    def __init__(self, app: ASGIApp, callers: dict[str, Caller]) -> None:
        self.app, self.callers = app, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"]).get(b"x-caller", b"").decode()
            if name:
                scope["caller"] = self.callers[name]
        await self.app(scope, receive, send)


@dataclass
class City:
    """A city with the room; ``client`` asks its HTTP interface as somebody."""

    folder: Path
    context: Context[Any]
    locks: Locks
    app: Starlette
    callers: dict[str, Caller]

    @property
    def room(self) -> Room:
        return room_of(self.context)

    async def ask(
        self,
        who: Caller,
        path: str,
        body: object = None,
        method: str = "",
        purpose: str = PURPOSE,
        raw: bytes | None = None,
    ) -> Answer:
        self.callers[who.name] = who
        headers = {"x-caller": who.name}
        if purpose:
            headers["Hanmaru-Purpose"] = purpose
        sent = raw if raw is not None else (msgspec.json.encode(body) if body is not None else b"")
        verb = method or ("POST" if body is not None or raw is not None else "GET")
        raw_headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        return await ask(_Latin(self.app), "/api/trace/v1" + path, method=verb, headers=raw_headers, body=sent)

    async def json(self, who: Caller, path: str, body: object = None, **more: Any) -> Any:
        answer = await self.ask(who, path, body, **more)
        assert answer.status < 300, answer.body.decode()
        return answer.json() if answer.body else None

    async def refused(self, who: Caller, path: str, body: object = None, **more: Any) -> tuple[int, str]:
        """Return the status and detail of a refusal."""
        answer = await self.ask(who, path, body, **more)
        assert answer.status >= 400, answer.body.decode()
        document = answer.json()
        return answer.status, document.get("detail", document["title"])

    # ---- what tests do again and again

    async def open_case(self, **changes: Any) -> str:
        return (await self.json(KIM, "/cases", {**NEW_CASE, **changes}))["id"]

    async def approved(
        self, case: str, scope: Mapping[str, Any] = LOCATION, by: tuple[Caller, ...] = (LEE, PARK)
    ) -> str:
        id = (await self.json(KIM, f"/cases/{case}/requests", scope))["id"]
        for who in by:
            await self.json(who, f"/requests/{id}/decision", {"verdict": "approve", "reason": "확진"})
        return id

    def trail(self) -> list[Entry]:
        return audited(self.folder)


class _Latin:
    """Headers as a browser sends them: UTF-8 bytes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [(name, value.decode().encode("latin-1")) for name, value in scope["headers"]]
        await self.app(scope, receive, send)


@asynccontextmanager
async def city(folder: Path, chain: str = "test", rules: str = "", demo: bool = False) -> AsyncGenerator[City]:
    """Open a city in a folder; ``rules`` is a country file of its own."""
    data, keys = folder / "data", folder / "keys"
    own = data / "services" / "trace"
    own.mkdir(parents=True, exist_ok=True)
    if rules:
        (own / "country.toml").write_text(rules, "utf-8")
    assert service.policies
    policy = Policy([service.policies], actions=list(service.permissions), demo=demo)
    with Trail(data, keys, chain) as trail:
        vaults = await asyncio.to_thread(Vaults, data, keys, trail, policy)
        jobs = Jobs(url_of(data, "sqlite"), declared([("trace", service.workflows, service.schedules)]))
        handover = Handover(data, vaults, trail, policy, jobs)
        locks = Locks(policy, trail, vaults, jobs, handover)
        try:
            async with AsyncExitStack() as closing:
                context: Context[Any] = Context(
                    None, own, {"zone": "Asia/Seoul", "demo": demo}, locks.of("trace"), closing
                )
                callers: dict[str, Caller] = {}
                assert service.routes
                app = Starlette(
                    routes=[Mount("/api/trace/v1", routes=[*service.routes(context)])],
                    middleware=[Middleware(Seen, callers)],
                    exception_handlers={Problem: on_problem},
                )
                app.state.door = Door(policy, trail)
                yield City(folder, context, locks, app, callers)
        finally:
            handover.close()
            jobs.close()
            vaults.close()


@asynccontextmanager
async def engine(city: City) -> AsyncGenerator[None]:
    """Run the city's workflows in this process."""
    from hanmaru.platform.jobs.engine import run_jobs

    url = url_of(city.folder / "data", "sqlite")
    running = asyncio.create_task(run_jobs(url, city.locks.jobs, lambda _room: city.context))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def audited(folder: Path) -> list[Entry]:
    """Read the whole trail."""
    lines = [
        line.split(b" ", 1)[1]
        for chain in chains(folder / "data" / "audit")
        for segment in segments(folder / "data" / "audit" / chain)
        for line in segment.read_bytes().splitlines()
    ]
    return sorted((msgspec.json.decode(line, type=Entry) for line in lines), key=lambda entry: entry.at)


async def until(condition: Callable[[], Any], *, within_s: float = 30) -> Any:
    """Wait for a condition to hold and return what it gives; coroutines are awaited."""
    end = asyncio.get_running_loop().time() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


def phone_rows(subject: str, *times: str) -> bytes:
    """Return an answer with a row at each time."""
    rows = "".join(f"{subject},{time},36.48,127.26,120\n" for time in times)
    return b"subject,time,lat,lon,accuracy_m\n" + rows.encode()


async def main(folder: Path) -> None:
    """Run an engine until it is killed; with a file ``die`` in the folder it kills itself before it destroys."""
    import signal

    from hanmaru.platform.jobs.engine import run_jobs
    from hanmaru.platform.vault.desk import Desk

    destroy = Desk.destroy

    async def destroy_or_die(self: Desk, subject: str, reason: str) -> None:
        if (folder / "die").exists():
            (folder / "die").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        await destroy(self, subject, reason)

    Desk.destroy = destroy_or_die  # type: ignore[method-assign]
    async with city(folder, "engine") as here:
        url = url_of(folder / "data", "sqlite")
        print(json.dumps({"up": True}), flush=True)
        await run_jobs(url, here.locks.jobs, lambda _room: here.context)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
