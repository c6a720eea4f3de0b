"""What an auditor tries against a whole hub: odd requests, forged addresses, sessions and a city that asks for more."""

import json
import re
import socket
from collections.abc import AsyncGenerator, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette

from hanmaru.app import create_app
from hanmaru.config import Settings
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.policy import GuardedRoute, walk
from hanmaru.platform.policy.cedar import Caller, Policy
from tests.asgi import ask, started
from tests.platform.people import noted
from tests.platform.test_identity import basic
from tests.running import Running, running

ROOT = Path(__file__).parents[2]
PASSWORD = "seven horses over the river"


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Starlette]:
    monkeypatch.setattr("hanmaru.ride.dispatch.client.WAIT_S", 0.0)  # for a dispatcher that nobody has started
    made = create_app(Settings(data=tmp_path, auth="off"))
    async with started(made):
        yield made


async def test_no_answer_may_be_embedded_extended_or_read_by_another_site(app: Starlette) -> None:
    for path, route in walk(app.routes):
        if not isinstance(route, GuardedRoute) or path.endswith("/live"):
            continue
        filled = re.sub(r"{(\w+)(?::\w+)?}", r"\1", path)
        for method in route.methods or ():
            answer = await ask(app, filled, method=method, headers={"origin": "https://evil.example"})
            policy = answer.headers["content-security-policy"]
            assert "base-uri 'none'" in policy, (method, path)
            assert "object-src 'none'" in policy or "default-src 'none'" in policy, (method, path)
            assert "access-control-allow-origin" not in answer.headers, (method, path)
            kind = answer.headers.get("content-type", "")
            if answer.body and ("text/" in kind or "xml" in kind):
                assert "charset=utf-8" in kind, (method, path)


async def test_trace_is_not_answered(app: Starlette) -> None:
    for path in ("/", "/ngsi-ld/v1/entities", "/api/session", "/nowhere"):
        answer = await ask(app, path, method="TRACE", headers={"x-secret": "reflected"})
        assert answer.status in (404, 405)
        assert b"reflected" not in answer.body


async def test_folders_are_not_listed_nor_hidden_files_given(app: Starlette) -> None:
    for path in ("/assets/", "/assets", "/assets/.git/config", "/.git/config", "/services/centre/", "/hanmaru.toml"):
        assert (await ask(app, path)).status == 404, path


async def test_questions_that_would_cost_too_much_are_refused(app: Starlette) -> None:
    for query in ("q=" + "a;" * 5000 + "a", "q=" + "(" * 40 + "a" + ")" * 40, "limit=1001", "q=a~=%22(%22"):
        answer = await ask(app, f"/ngsi-ld/v1/entities?type=T&{query}")
        assert 400 <= answer.status < 500, query[:20]


def sent(hub: Running, request: bytes) -> bytes:
    """Return everything that a hub answers to raw bytes until it closes the connection, or for two seconds."""
    parts = urlsplit(hub.url)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=2) as client:
        client.sendall(request)
        try:
            while part := client.recv(65536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
    return received


SMUGGLED = b"GET /api/shell/v1/city HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub behind a proxy on this machine."""
    with running(tmp_path_factory.mktemp("hub"), WEB_WORKERS="1", TRUSTED_PROXIES="127.0.0.1") as made:
        yield made


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        b"Content-Length: 6\r\nContent-Length: 7\r\n",
        b"Content-Length: +6\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 6\r\n folded: chunked\r\n",
    ],
)
def test_a_request_whose_length_is_in_doubt_is_refused_whole(hub: Running, head: bytes) -> None:
    first = b"POST /api/session HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n"
    answers = sent(hub, first + b"0\r\n\r\n" + SMUGGLED)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answers)) == 1
    assert b"base-uri 'none'" in answers


def test_a_client_that_goes_away_is_no_error(hub: Running) -> None:
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as client:
        client.sendall(b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert hub.logged("client went away")["path"] == "/api/session"
    assert not [line for line in hub.logs if line["event"] == "request failed"]


def test_what_a_hub_keeps_is_its_users_alone(hub: Running) -> None:
    others = [path for path in hub.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    inside = {path.relative_to(hub.data).parts[0] for path in others}
    assert inside <= {"city", "run"}  # the map, which everybody may see, and what belongs to this start


def test_what_a_guard_refuses_is_logged_once_a_minute(hub: Running) -> None:
    forged = b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\n"
    for _ in range(3):
        assert sent(hub, forged + b"Content-Length: 2\r\n\r\n{}").startswith(b"HTTP/1.1 403 ")
    said = hub.logged("request refused")
    assert (said["reason"], said["address"]) == ("Cross-site request refused", "127.0.0.1")
    assert len([line for line in hub.logs if line["event"] == "request refused"]) == 1


def refused_sign_in(hub: Running, name: str, **headers: str) -> dict[str, str]:
    """Sign in wrongly; return the headers of the answer."""
    parts = urlsplit(hub.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    body = json.dumps({"name": name, "password": "a guess that is wrong"})
    sent = {"Host": "hub.example", "Content-Type": "application/json", **headers}
    connection.request("POST", "/api/session", body, sent)
    answer = connection.getresponse()
    assert answer.status == 401
    found = {key.lower(): value for key, value in answer.getheaders()}
    connection.close()
    return found


def addresses(hub: Running) -> list[str]:
    """Return where the refused came from, as the audit trail has it."""
    return [record["where"] for record in noted(hub.data) if record["action"] == "session.refuse"]


def test_a_trusted_proxy_says_where_a_request_comes_from(hub: Running) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.66, 203.0.113.9", "X-Forwarded-Proto": "https"}
    headers = refused_sign_in(hub, "kim", **forwarded)
    assert addresses(hub)[-1] == "203.0.113.9"  # what the proxy saw, not what the client wrote before it
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_nobody_else_says_where_a_request_comes_from(tmp_path: Path) -> None:
    with running(tmp_path, WEB_WORKERS="1") as hub:
        headers = refused_sign_in(hub, "kim", **{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
        assert addresses(hub) == ["127.0.0.1"]
        assert "strict-transport-security" not in headers


async def test_a_city_can_ask_everybody_for_a_second_factor(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "production.md").read_text("utf-8")
    (policy,) = re.findall(r"```cedar\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "everybody.cedar").write_text(policy)
    accounts = Accounts(tmp_path)
    accounts.add("kim", PASSWORD, "writer", "admin")
    accounts.close()
    app = create_app(Settings(data=tmp_path, policies=folder))
    async with started(app):
        for path, route in walk(app.routes):
            if isinstance(route, GuardedRoute) and route.permission not in ("public", "account"):
                filled = re.sub(r"\{(\w+)(?::(\w+))?\}", lambda part: "1" if part[2] == "int" else part[1], path)
                for method in route.methods or ():
                    answer = await ask(app, filled, method=method, headers=basic("kim", PASSWORD))
                    assert answer.status == 403, (method, path)
        assert (await ask(app, "/api/account", headers=basic("kim", PASSWORD))).status == 200  # to add one
    rules = Policy([folder])
    assert rules.access(Caller("kim", ("writer",), second_factor=True), "write").grants
    assert rules.access(Caller("feed", ("writer",), "machine"), "write").grants
    assert not rules.access(Caller("kim", ("writer",)), "read").grants
