"""What one client may ask, and what a request may look like before it is understood."""

import asyncio
import json
import re
import socket
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.app import create_app
from hanmaru.config import Settings
from hanmaru.edge import Edge, on_problem
from hanmaru.platform.limits import Limited, Rate, Streams
from hanmaru.platform.origin import network
from hanmaru.platform.policy import Caller, GuardedRoute, walk
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask, started
from tests.running import Running, running


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    rate = Rate(2, 4, "caller", clock)
    assert [rate.take("kim") for _ in range(5)] == [0, 0, 0, 0, pytest.approx(0.5)]
    assert rate.take("lee") == 0
    clock.now += 0.5
    assert rate.take("kim") == 0
    assert rate.take("kim") == pytest.approx(0.5)
    clock.now += 3600
    assert [rate.take("kim") > 0 for _ in range(5)] == [False] * 4 + [True]


def test_zero_is_no_limit() -> None:
    rate = Rate(0, 1, "caller")
    assert not any(rate.take("kim") for _ in range(1000))


def test_the_table_of_buckets_is_bounded_and_keeps_who_came_last() -> None:
    rate = Rate(0.001, 1, "address", Clock(), most=100)
    for n in range(1000):
        rate.take(str(n))
    assert len(rate._full) <= 101  # pyright: ignore[reportPrivateUsage]
    assert rate.take("999") > 0


def test_a_look_costs_about_a_microsecond() -> None:
    rate = Rate(1e9, 10**9, "caller")
    began = time.perf_counter()
    for _ in range(100_000):
        rate.take("kim")
    each_us = (time.perf_counter() - began) * 10
    print(f"a look at a bucket takes {each_us:.2f} µs")
    assert each_us < 5  # on a busy machine


def test_addresses_are_counted_by_network() -> None:
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("::ffff:192.0.2.7") == "192.0.2.7"


def test_streams_are_counted_by_every_key() -> None:
    streams = Streams(2)
    assert streams.open("kim")
    assert streams.open("kim")
    assert not streams.open("kim")
    streams.close("kim")
    assert streams.open("kim")


class Known:
    """Takes a caller's name as the header says, in the place of identity."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["caller"] = Caller(dict(scope["headers"]).get(b"x-name", b"").decode(), ())
        await self.app(scope, receive, send)


async def hello(request: Request) -> Response:
    return Response("hello")


async def stream(request: Request) -> Response:
    async def events() -> AsyncGenerator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


async def hanging(request: Request) -> Response:
    return await asyncio.Event().wait() or Response()


def small(**limits: object) -> tuple[Starlette, list[Edge]]:
    """Return an application with small limits, and its edge once it has been asked."""
    edges: list[Edge] = []

    def edge(app: ASGIApp) -> Edge:
        edges.append(Edge(app, body_bytes=100, request_s=1, slow_request_s=5, **limits))  # type: ignore[arg-type]
        return edges[-1]

    endpoints = {"/hello": hello, "/stream": stream, "/hanging": hanging, "/healthz": hello}
    limited = Middleware(Limited, Rate(1, 3, "caller"), Rate(1, 2, "address"))
    return Starlette(
        routes=[GuardedRoute(path, endpoint, permission="public") for path, endpoint in endpoints.items()],
        middleware=[Middleware(edge), Middleware(Known), limited],
        exception_handlers={Problem: on_problem},
    ), edges


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    app, _ = small()
    assert [(await ask(app, "/hello")).status for _ in range(3)] == [200, 200, 429]
    assert [(await ask(app, "/hello", headers={"x-name": "kim"})).status for _ in range(4)] == [200, 200, 200, 429]
    assert (await ask(app, "/hello", client="192.0.2.9")).status == 200
    refused = await ask(app, "/hello")
    assert refused.json()["title"] == "Too many requests"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"address";r=0;t=1'
    assert refused.headers["ratelimit-policy"] == '"address";q=2;w=2'


async def test_more_than_a_worker_can_carry_is_refused_but_health_is_told() -> None:
    app, _ = small(in_flight=2)
    waiting = [asyncio.create_task(ask(app, "/hanging", client=f"192.0.2.{n}")) for n in range(2)]
    await asyncio.sleep(0)
    refused = await ask(app, "/hello")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (await ask(app, "/healthz")).status == 200
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [503, 503]
    assert (await ask(app, "/hello")).status == 200


async def test_a_client_holds_a_bounded_number_of_streams() -> None:
    app, edges = small(streams=(1, 2))
    kim, lee = {"x-name": "kim"}, {"x-name": "lee"}
    first = asyncio.create_task(ask(app, "/stream", headers=kim))
    await asyncio.wait([first], timeout=0.1)
    refused = await ask(app, "/stream", headers=kim)
    assert (refused.status, refused.json()["title"]) == (429, "Too many event streams")
    second = asyncio.create_task(ask(app, "/stream", headers=lee))
    await asyncio.wait([second], timeout=0.1)
    assert (await ask(app, "/stream", headers={"x-name": "park"})).status == 429  # the address has its two
    edges[0].end_streams()
    assert [(await task).status for task in (first, second)] == [200, 200]
    again = asyncio.create_task(ask(app, "/stream", headers=kim))
    await asyncio.wait([again], timeout=0.1)
    assert len(edges[0].streams) == 1
    edges[0].end_streams()
    await again
    assert edges[0].in_flight == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("hub.example", 200),
        ("HUB.example:8443", 200),
        ("a.city.example", 200),
        ("city.example", 421),
        ("hub.example.evil.example", 421),
        ("evil.example", 421),
        ("", 421),
        ("[::1]:8000", 200),
    ],
)
async def test_only_allowed_hosts_are_answered_to(host: str, status: int) -> None:
    app, _ = small(hosts=("hub.example", "*.city.example", "::1"))
    assert (await ask(app, "/hello", host=host)).status == status


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Starlette]:
    monkeypatch.setattr("hanmaru.ride.dispatch.client.WAIT_S", 0.0)  # for a dispatcher that nobody has started
    made = create_app(Settings(data=tmp_path, auth="off"))
    async with started(made):
        yield made


EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


async def test_every_route_answers_with_strict_headers(app: Starlette) -> None:
    for path, route in walk(app.routes):
        if not isinstance(route, GuardedRoute) or path.endswith("/live"):
            continue  # a stream, which would not end; its headers are those of every other answer
        filled = re.sub(r"{(\w+)(?::\w+)?}", r"\1", path)
        for method in (route.methods or set()) | {"TRACE"}:
            answer = await ask(app, filled, method=method)
            assert answer.headers.items() >= EVERYWHERE.items(), (method, path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy or "default-src 'self'" in policy, (method, path)
            assert "frame-ancestors 'none'" in policy, (method, path)
            assert "unsafe" not in policy, (method, path)
            assert answer.headers["cache-control"], (method, path)
            assert "geolocation=" in answer.headers["permissions-policy"]


async def test_the_reference_page_is_styled_by_its_own_style_alone(app: Starlette) -> None:
    page = await ask(app, "/docs")
    style = page.body.partition(b"<style>")[2].partition(b"</style>")[0]
    digest = b64encode(sha256(style).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in page.headers["content-security-policy"]
    assert page.body.count(b"<style>") == 1
    assert b"style=" not in page.body
    assert b"<script" not in page.body


async def every_post(app: Starlette, body: bytes, kind: str) -> list[tuple[str, Answer]]:
    answers: list[tuple[str, Answer]] = []
    for path, route in walk(app.routes):
        if isinstance(route, GuardedRoute):
            filled = re.sub(r"{(\w+)(?::\w+)?}", r"urn:x:\1", path)
            for method in (route.methods or set()) & {"POST", "PATCH", "PUT"}:
                headers = {"content-type": kind, "host": "localhost"}
                answers.append((f"{method} {path}", await ask(app, filled, method=method, headers=headers, body=body)))
    return answers


@pytest.mark.parametrize("depth", [100, 1000, 100_000])
@pytest.mark.parametrize("kind", ["application/json", "application/ld+json"])
async def test_deeply_nested_json_is_a_clear_4xx(app: Starlette, depth: int, kind: str) -> None:
    value = b"[" * depth + b"]" * depth
    members = b'{"a":' * depth + b"1" + b"}" * depth
    for inside in (value, members):
        entity = b'{"id":"urn:x:1","type":"T","p":{"type":"Property","value":' + inside + b"}}"
        for body in (inside, entity, b"[" + entity + b"]"):
            for route, answer in await every_post(app, body, kind):
                assert answer.status < 500, (route, depth, body[:60], answer.body)
    assert (await ask(app, "/ngsi-ld/v1/entities?type=T")).status == 200


async def test_forms_are_not_taken_for_json(app: Starlette) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{"id":"urn:x:1","type":"T"}\r\n--x--\r\n'
    for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
        for route, answer in await every_post(app, form, kind):
            assert answer.status // 100 in (2, 4), (route, answer)
            if answer.status // 100 == 2:
                assert route == "POST /api/session"  # login is off: what is sent is not looked at


@contextmanager
def raw(hub: Running) -> Iterator[socket.socket]:
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as client:
        yield client


def whole(client: socket.socket) -> bytes:
    """Return everything until the hub closes the connection."""
    received = b""
    try:
        while part := client.recv(65536):
            received += part
    except ConnectionError:
        pass
    return received


def trickle(client: socket.socket, content: bytes) -> None:
    """Send a byte five times a second."""
    for byte in content:
        client.sendall(bytes([byte]))
        time.sleep(0.2)


def test_heads_and_bodies_are_bounded_in_size_and_time(tmp_path: Path) -> None:
    limits = {"LIMITS__HEAD_S": "1", "LIMITS__REQUEST_S": "2", "LIMITS__HEAD_BYTES": "4096"}
    with running(tmp_path, AUTH="off", SERVICES="", **limits) as hub:
        with raw(hub) as client:  # one long header that never ends
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 5000)
            assert whole(client).startswith(b"HTTP/1.1 431 ")
        with raw(hub) as client:  # a head that comes whole
            client.sendall(b"GET /healthz?" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = whole(client)
            assert answer.startswith(b"HTTP/1.1 431 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 431
        with raw(hub) as client:  # hidden behind a good one
            first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            client.sendall(first + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 5000 + b"\r\n\r\n")
            assert b"HTTP/1.1 200" not in whole(client).partition(b"alive")[2]
        with raw(hub) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 200 + b"\r\n")
            assert whole(client).startswith(b"HTTP/1.1 431 ")
        with raw(hub) as client:
            client.sendall(b"\x16\x03\x01\x02\x00\x01")  # TLS to a plain port
            assert whole(client).startswith(b"HTTP/1.1 400 ")
        with raw(hub) as client:  # nothing at all
            assert whole(client) == b""
        with raw(hub) as client:  # a head that comes a byte at a time
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                trickle(client, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100)
            assert time.monotonic() - began < 5
        with raw(hub) as client:  # a body that comes a byte at a time
            client.sendall(
                b"POST /ngsi-ld/v1/entities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1000\r\n\r\n"
            )
            with pytest.raises(ConnectionError):
                trickle(client, b" " * 100)
        with raw(hub) as client:  # a client that keeps its connection, with a large body and then another request
            request = b"POST /ngsi-ld/v1/entities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            client.sendall(request + b"Content-Length: 20000\r\n\r\n" + b" " * 20000)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers = whole(client)
            assert answers.startswith(b"HTTP/1.1 400 ")
            assert b"HTTP/1.1 200 " in answers
        parts = urlsplit(hub.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
