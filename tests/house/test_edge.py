"""What every exchange gets at the edge, whoever answers it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from hanmaru.edge import Edge, on_http_exception, on_problem
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.policy import Caller, Door, GuardedRoute, Policy
from hanmaru.platform.problems import Problem, not_found
from hanmaru.platform.telemetry import exposition
from tests.asgi import ask

edges: list[Edge] = []


def edge(app: Starlette) -> Edge:
    edges.append(Edge(app, body_bytes=10, request_s=0.2, slow_request_s=5))
    return edges[-1]


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="text/plain")


async def page(request: Request) -> Response:
    return HTMLResponse("<p>")


async def missing(request: Request) -> Response:
    raise not_found("There is no such thing.")


async def broken(request: Request) -> Response:
    raise ValueError("a secret detail")


async def hanging(request: Request) -> Response:
    return await asyncio.Event().wait() or Response()


async def stream(request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def app() -> Starlette:
    edges.clear()
    endpoints = {"/page": page, "/missing": missing, "/broken": broken, "/hanging": hanging, "/stream": stream}
    return Starlette(
        routes=[
            GuardedRoute("/echo", echo, permission="public", methods=["POST"]),
            GuardedRoute("/ngsi-ld/v1/broken", broken, permission="public"),
            *(GuardedRoute(path, endpoint, permission="public") for path, endpoint in endpoints.items()),
        ],
        middleware=[Middleware(edge)],
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
    )


async def test_every_answer_has_a_request_id_and_security_headers(app: Starlette) -> None:
    first, second = await ask(app, "/page"), await ask(app, "/page")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in first.headers["content-security-policy"]
    given = await ask(app, "/page", headers={"x-request-id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    injected = await ask(app, "/page", headers={"x-request-id": "not usable"})
    assert injected.headers["x-request-id"] != "not usable"


@pytest.mark.parametrize(
    ("path", "method", "status", "kind"),
    [
        ("/missing", "GET", 404, "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound"),
        ("/nowhere", "GET", 404, "about:blank"),
        ("/page", "POST", 405, "about:blank"),
        ("/broken", "GET", 500, "about:blank"),
        ("/hanging", "GET", 503, "about:blank"),
        ("/ngsi-ld/v1/broken", "GET", 500, "https://uri.etsi.org/ngsi-ld/errors/InternalError"),
        ("/ngsi-ld/v1/nowhere", "GET", 404, "https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound"),
    ],
)
async def test_every_error_is_a_problem_document(
    app: Starlette, path: str, method: str, status: int, kind: str
) -> None:
    answer = await ask(app, path, method=method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (status, kind)
    assert problem["title"]
    assert "secret" not in answer.body.decode()


async def test_a_405_says_what_is_allowed(app: Starlette) -> None:
    assert (await ask(app, "/echo")).headers["allow"] == "POST"


async def test_a_body_is_limited_with_and_without_a_declared_length(app: Starlette) -> None:
    assert (await ask(app, "/echo", method="POST", body=b"x" * 10)).body == b"x" * 10
    assert (await ask(app, "/echo", method="POST", body=b"x" * 11)).status == 413
    assert (await ask(app, "/echo", method="POST", body=[b"x" * 5, b"x" * 5])).body == b"x" * 10
    assert (await ask(app, "/echo", method="POST", body=[b"x" * 5, b"x" * 6])).status == 413


async def test_a_stream_has_no_time_limit_and_ends_whole_when_the_worker_stops(app: Starlette) -> None:
    answering = asyncio.create_task(ask(app, "/stream"))
    await asyncio.wait([answering], timeout=0.5)  # longer than request_s
    assert not answering.done()
    edges[0].end_streams()
    answer = await asyncio.wait_for(answering, 5)
    assert answer.body == b"data: 1\n\n"
    assert not edges[0].streams


async def test_requests_are_counted_by_route_template(app: Starlette) -> None:
    await ask(app, "/page")
    await ask(app, "/a-path-that-somebody-made-up")
    counted = exposition().decode()
    assert 'hanmaru_http_request_seconds_count{method="GET",route="/page",status="200"}' in counted
    assert 'route="(none)",status="404"' in counted
    assert "made-up" not in counted


async def test_what_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    done: list[str] = []

    async def act(request: Request) -> Response:
        done.append("acted")
        return Response()

    app = Starlette(
        routes=[GuardedRoute("/act", act, permission="accounts.manage", methods=["POST"])],
        middleware=[Middleware(Edge, body_bytes=1000, request_s=10, slow_request_s=5)],
    )
    trail = Trail(tmp_path, tmp_path / "keys", "web-1")
    app.state.door = Door(Policy(demo=True), trail)
    trail.close()

    async def as_admin(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "caller": Caller("lee", ("admin",))}, receive, send)

    answer = await ask(as_admin, "/act", method="POST")
    assert answer.status == 503
    assert answer.json()["title"] == "Cannot be recorded"
    assert done == []
