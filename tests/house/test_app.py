"""The composed application: every route is guarded, and every installed service is on it."""

import re
from base64 import b64encode
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hanmaru.app import create_app
from hanmaru.config import Limits, Settings
from hanmaru.hub.client import HubClient
from hanmaru.platform import services
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.policy import Caller, GuardedRoute, walk
from hanmaru.platform.services import Context, Service
from tests.asgi import ask, started

PUBLIC = {
    "GET /",
    "GET /.well-known/oauth-authorization-server",
    "GET /account",
    "GET /api/policy/v1/mine",
    "DELETE /api/session",
    "GET /api/session",
    "POST /api/session",
    "POST /api/session/passkey",
    "POST /api/session/passkey/options",
    "POST /api/setup",
    "GET /api/shell/v1/city",
    "GET /assets/{file:path}",
    "GET /docs",
    "GET /favicon.svg",
    "GET /healthz",
    "GET /manage/{page}",
    "GET /ngsi-ld/v1/jsonldContexts/{id:path}",
    "POST /oauth2/revoke",
    "POST /oauth2/token",
    "GET /openapi.json",
    "GET /readyz",
    "GET /services/{service}/{file:path}",
    "GET /setup",
    "GET /worker.js",
    *(f"GET /api/ride/v1/{f}" for f in ("gtfs-flex.zip", "gtfs-rt/vehicle-positions.pb", "gtfs-rt/trip-updates.pb")),
    "GET /api/trace/v1/authority.pem",
    "GET /fhir/R4/.well-known/smart-configuration",
    "GET /fhir/R4/metadata",
    "GET /trace",
    "GET /trace/{rest:path}",
    *(f"GET /trace/{page}{rest}" for page in ("requests", "chain", "hotspots") for rest in ("", "/{rest:path}")),
    "GET /app",
    "POST /api/care/v1/partner/notifications",  # its secret is in a header that the city was given
    *(f"GET /{page}{rest}" for page in ("app/health", "care", "care/manage", "kiosk") for rest in ("", "/{rest:path}")),
    *(f"GET /{page}{rest}" for page in ("events", "cctv", "board", "rules", "report") for rest in ("", "/{rest:path}")),
    *(f"GET /{page}{rest}" for page in ("app/ride", "driver", "ride") for rest in ("", "/{rest:path}")),
}
"""The routes that answer whoever asks: signing in and setting up, tokens, the front end, @contexts, a balancer's."""


@pytest.fixture
async def app(tmp_path: Path) -> AsyncGenerator[Starlette]:
    limits = Limits(anonymous_per_s=0)  # every route is asked, at once, from one address
    made = create_app(Settings(data=tmp_path, limits=limits))
    async with started(made):
        yield made


def filled_in(path: str) -> str:
    """Return an address that a route answers at."""
    return re.sub(r"\{(\w+)(?::(\w+))?\}", lambda part: "1" if part[2] == "int" else part[1], path)


async def test_every_route_asks_for_a_permission(app: Starlette) -> None:
    routes = list(walk(app.routes))
    assert len(routes) > 10
    unguarded = [path for path, route in routes if not isinstance(route, GuardedRoute)]
    assert unguarded == []


async def test_what_is_public_is_so_on_purpose(app: Starlette) -> None:
    public = {
        f"{method} {path}"
        for path, route in walk(app.routes)
        if isinstance(route, GuardedRoute) and route.permission == "public"
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert public == PUBLIC


def test_the_walk_finds_an_unguarded_route_inside_a_mount() -> None:
    async def endpoint(request: Request) -> Response:
        return Response()

    found = list(walk([Mount("/api", routes=[Mount("/x", routes=[Route("/y", endpoint)])])]))
    assert [(path, isinstance(route, GuardedRoute)) for path, route in found] == [("/api/x/y", False)]


async def test_nothing_is_answered_without_signing_in(app: Starlette) -> None:
    for path, route in walk(app.routes):
        if isinstance(route, GuardedRoute) and route.permission != "public":
            filled = filled_in(path)
            for method in route.methods or ():
                answer = await ask(app, filled, method=method)
                assert answer.status == 401, (method, filled)


async def test_every_permission_is_an_action_that_some_role_has(app: Starlette) -> None:
    policy = app.state.door.policy
    asked = {route.permission for _, route in walk(app.routes) if isinstance(route, GuardedRoute)} - {"public"}
    assert asked <= policy.actions
    resources = ["", 'View::"everything"', 'Vault::"centre"']
    for permission in asked:
        kinds = [Caller("x", (role,), "person", second_factor=True) for role in policy.roles]
        assert any(policy.allows(c, permission, r, "work") for c in kinds for r in resources), permission


async def test_whoever_has_no_role_gets_no_further_than_their_own_account(app: Starlette, tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("nobody", "seven horses over the river")
    accounts.close()
    headers = {"authorization": "Basic " + b64encode(b"nobody:seven horses over the river").decode()}
    for path, route in walk(app.routes):
        if isinstance(route, GuardedRoute) and route.permission not in ("public", "account"):
            filled = filled_in(path)
            for method in route.methods or ():
                answer = await ask(app, filled, method=method, headers=headers)
                assert answer.status == 403, (method, filled)


async def test_the_process_tells_how_it_is(app: Starlette) -> None:
    assert (await ask(app, "/healthz")).json() == {"status": "alive"}
    assert (await ask(app, "/readyz")).json() == {"status": "ready"}


async def test_the_interface_describes_itself(app: Starlette) -> None:
    document = (await ask(app, "/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    operation = document["paths"]["/metrics"]["get"]
    assert operation["summary"] == "Return the metrics of all workers in the Prometheus text format"
    assert operation["security"] == [{"basic": []}, {"session": []}]
    ids = [o["operationId"] for operations in document["paths"].values() for o in operations.values()]
    assert len(ids) == len(set(ids))
    page = await ask(app, "/docs", headers={"accept-language": "ko-KR,ko;q=0.9"})
    assert '<html lang="ko">' in page.body.decode()
    assert "/metrics" in page.body.decode()
    assert "http://" not in page.body.decode().replace("http://localhost", "")


class EntryPoint:
    """What `importlib.metadata` gives for an installed package's entry point."""

    def __init__(self, name: str, value: object) -> None:
        self.name, self.value = name, value

    def load(self) -> object:
        return self.value


async def test_a_strangers_service_is_mounted_and_guarded_like_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def routes(context: Context[HubClient]) -> list[GuardedRoute]:
        async def count(request: Request) -> Response:
            """Count the city's bicycles."""
            return Response(str(await context.hub.head()))

        return [GuardedRoute("/bicycles/{id}", count, permission="read")]

    stranger: Service[Any] = Service("bikes", {"en": "Bikes"}, routes=routes)
    monkeypatch.setattr(services, "entry_points", lambda group: [EntryPoint("bikes", stranger)])
    app = create_app(Settings(data=tmp_path, services=("bikes",), auth="off"))
    async with started(app):
        assert (await ask(app, "/api/bikes/v1/bicycles/7")).status == 200
        operation = (await ask(app, "/openapi.json")).json()["paths"]["/api/bikes/v1/bicycles/{id}"]["get"]
        assert operation["summary"] == "Count the city's bicycles"
        assert operation["parameters"][0]["name"] == "id"
    assert (tmp_path / "services" / "bikes").is_dir()
