"""An event stream ends when whoever reads it may no longer: signed out, locked, other roles, other policies."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from hanmaru import edge
from hanmaru.app import create_app
from hanmaru.config import Settings
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.machines.machines import Machines
from hanmaru.platform.policy import cedar
from tests.asgi import ask, started
from tests.hub.api import Api

PASSWORD = "seven horses over the river"
ENTITY = {"id": "urn:ngsi-ld:Bus:1", "type": "Bus", "speed": {"type": "Property", "value": 1}}
READ_BUSES = """
@id("watchers-see-buses")
permit (principal in Role::"watcher", action == Action::"read", resource == View::"buses");
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    accounts = Accounts(folder)
    accounts.add("kim", PASSWORD, "reader")
    accounts.add("park", PASSWORD, "watcher")
    accounts.add("lee", PASSWORD, "writer")
    accounts.close()
    return folder


@pytest.fixture
async def app(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[ASGIApp]:
    monkeypatch.setattr(edge, "STILL_S", 0.0)
    monkeypatch.setattr(cedar, "LOOK_AGAIN_S", 0.0)
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "city.cedar").write_text(READ_BUSES)
    (policies / "views.toml").write_text('[buses]\ntypes = ["Bus"]')
    async with started(create_app(Settings(data=data, policies=policies, services=("centre",)))) as app:
        yield app


def basic(name: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{PASSWORD}".encode()).decode()}


class Stream:
    """What a client got of an event stream so far, and the task that answers it."""

    def __init__(self) -> None:
        self.body, self.ended, self.status = b"", False, 0
        self.news = asyncio.Event()

    async def holds(self, text: bytes) -> bool:
        """Wait until the text came or the stream ended; return whether the text came."""
        async with asyncio.timeout(20):
            while text not in self.body and not self.ended:
                self.news.clear()
                await self.news.wait()
        return text in self.body


@asynccontextmanager
async def watching(app: ASGIApp, headers: dict[str, str]) -> AsyncGenerator[Stream]:
    stream, sent = Stream(), False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        stream.status = message.get("status", stream.status)
        stream.body += message.get("body", b"")
        stream.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        stream.news.set()

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/centre/v1/live",
        "raw_path": b"/api/centre/v1/live",
        "root_path": "",
        "query_string": b"ids=urn:ngsi-ld:Bus:1",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 8000),
    }
    task = asyncio.create_task(app(scope, receive, send))  # type: ignore[arg-type]
    try:
        assert await stream.holds(b"event: hello")
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def write(app: ASGIApp, speed: int) -> None:
    api = Api(app)
    entity = {**ENTITY, "speed": {"type": "Property", "value": speed}}
    answer = await api("POST", "/entityOperations/upsert", [entity], headers=basic("lee"))
    assert answer.status in (201, 204)


async def cookie_of(app: ASGIApp, name: str) -> dict[str, str]:
    body = b'{"name":"%b","password":"%b"}' % (name.encode(), PASSWORD.encode())
    answer = await ask(app, "/api/session", method="POST", body=body)
    assert answer.status == 201
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def change(data: Path, what: Callable[[Accounts], object]) -> None:
    accounts = Accounts(data)
    what(accounts)
    accounts.close()


@pytest.mark.parametrize(
    "what",
    [
        lambda accounts: accounts.set_locked("kim", True),
        lambda accounts: accounts.set_roles("kim", ["watcher"]),
        lambda accounts: accounts.set_password("kim", "another eight horses stay"),
        lambda accounts: accounts.remove("kim"),
    ],
    ids=["locked", "other roles", "other password", "removed"],
)
@pytest.mark.parametrize("by_cookie", [True, False], ids=["cookie", "basic"])
async def test_a_stream_ends_with_the_right_to_it(
    app: ASGIApp, data: Path, what: Callable[[Accounts], object], by_cookie: bool
) -> None:
    async with watching(app, await cookie_of(app, "kim") if by_cookie else basic("kim")) as stream:
        await write(app, 111)
        assert await stream.holds(b"111")
        await asyncio.to_thread(change, data, what)
        await write(app, 222)
        assert not await stream.holds(b"222")
        assert stream.ended


async def test_a_stream_ends_with_the_session(app: ASGIApp) -> None:
    cookie = await cookie_of(app, "kim")
    async with watching(app, cookie) as stream:
        out = await ask(app, "/api/session", method="DELETE", headers={**cookie, "sec-fetch-site": "same-origin"})
        assert out.status == 204
        await write(app, 222)
        assert not await stream.holds(b"222")
        assert stream.ended


async def test_a_stream_ends_with_a_machines_key(app: ASGIApp, data: Path) -> None:
    machines = Machines(data)
    issued = machines.add("wall display", "key", ["reader"])
    async with watching(app, {"x-api-key": issued.secret}) as stream:
        machines.remove(issued.machine.id)
        await write(app, 222)
        assert not await stream.holds(b"222")
        assert stream.ended
    machines.close()


async def test_a_stream_ends_when_policy_shows_something_else(app: ASGIApp, tmp_path: Path) -> None:
    async with watching(app, basic("park")) as stream:
        await write(app, 111)
        assert await stream.holds(b"111")
        (tmp_path / "policies" / "views.toml").write_text('[buses]\ntypes = ["Bus"]\nattributes = ["line"]')
        for speed in range(222, 232):  # what is on its way while the policies are read may still arrive
            await write(app, speed)
            if not await stream.holds(b"%d" % speed):
                break
        assert stream.ended
