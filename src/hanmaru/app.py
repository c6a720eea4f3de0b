"""The composition: the hub's HTTP API, the shell, and whichever services are installed, behind one edge."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from hanmaru import openapi
from hanmaru.banner import demo_made, open_accounts
from hanmaru.composition import city_document, open_hub, service_context
from hanmaru.config import Settings
from hanmaru.edge import Edge, on_http_exception, on_problem
from hanmaru.hub.client import HubClient
from hanmaru.locks import open_gates, open_locks, rights_of
from hanmaru.platform import shell, telemetry
from hanmaru.platform.audit.api import routes as audit_routes
from hanmaru.platform.audit.reader import TrailReader
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.handover.api import routes as handover_routes
from hanmaru.platform.i18n import preferred
from hanmaru.platform.identity.api import routes as identity_routes
from hanmaru.platform.identity.identity import Identified, Identity
from hanmaru.platform.jobs.api import routes as jobs_routes
from hanmaru.platform.limits import Limited, Rate, share
from hanmaru.platform.policy import Door, GuardedRoute, walk
from hanmaru.platform.policy.routes import routes as policy_routes
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context, Service, installed

log = structlog.get_logger()


def create_app(settings: Settings, worker: str = "web") -> Starlette:
    """Return the ASGI application; its routes are there once its lifespan has begun, which opens the hub."""
    accounts = open_accounts(settings) if settings.auth == "on" else None
    who = Identity(accounts, public_url=settings.public_url, idle_s=settings.session_idle_minutes * 60)
    edges: list[Edge] = []
    limits, workers = settings.limits, settings.web_workers if settings.auth == "on" else 0
    streams = share(limits.streams, workers) if workers else 0
    callers = Rate(limits.requests_per_s / workers if workers else 0, share(limits.burst, workers or 1), "caller")
    addresses = Rate(
        limits.anonymous_per_s / workers if workers else 0, share(limits.anonymous_burst, workers or 1), "address"
    )

    def edge(app: ASGIApp) -> Edge:
        edges.append(
            Edge(
                app,
                body_bytes=settings.limits.body_bytes,
                request_s=settings.limits.request_s,
                slow_request_s=settings.log.slow_request_s,
                in_flight=limits.in_flight,
                streams=(streams, streams),
                hosts=settings.allowed_hosts,
            )
        )
        return edges[-1]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with open_hub(settings) as hub, AsyncExitStack() as closing:
            city = city_document(settings)
            services = installed(city["services"])
            audit = closing.enter_context(Trail(settings.data, settings.keys_folder, worker))
            locks = closing.enter_context(open_locks(settings, services, audit))
            app.state.door = Door(locks.policy, audit, settings.audit_reads)
            who.audit, who.demo = audit, tuple(demo_made(settings))
            if accounts:
                hub.keep_to(closing.enter_context(rights_of(settings, locks.policy)))
            gates = closing.enter_context(open_gates(settings, who, audit))
            others: list[BaseRoute] = [
                *hub.routes(),
                *identity_routes(who),
                *gates,
                *policy_routes(services),
                *jobs_routes(locks.jobs, city["zone"]),
                *handover_routes(locks.handover),
                *audit_routes(TrailReader(settings.data, settings.keys_folder)),
                *shell.routes(services, city),
            ]
            mounts = service_routes(
                services, lambda service: service_context(settings, service, hub.client, city, locks, closing), others
            )
            # Routes are tried one after the other: few mounts come before many routes.
            app.router.routes[:] = [*mounts, *others, *own_routes([*mounts, *others], hub.client)]
            yield
        if accounts:
            accounts.close()

    traced: list[Middleware] = []
    if settings.otel_endpoint:
        traced.append(Middleware(telemetry.Traced, telemetry.tracer(settings.otel_endpoint, worker)))
    app = Starlette(
        lifespan=lifespan,
        middleware=[
            *traced,
            Middleware(edge),
            Middleware(Identified, who),
            Middleware(Limited, callers, addresses),
        ],
        exception_handlers={Problem: on_problem, HTTPException: on_http_exception},
    )
    app.router.redirect_slashes = False
    app.state.edges = edges
    return app


def service_routes(
    services: Sequence[Service[Any]],
    context: Callable[[Service[Any]], Context[HubClient]],
    others: Sequence[BaseRoute] = (),
) -> list[BaseRoute]:
    """Return the services' routes under ``/api/<name>/v1`` and their faces, made with the service's context.

    A service with a route that asks for no permission is logged and has none: nothing is open by mistake. So is one
    with a face where ``others`` answer below the same first word.
    """
    taken = {path.split("/")[1] for path, _ in walk(others)} | {"api"}
    mounts: list[BaseRoute] = []
    for service in services:
        if not (service.routes or service.faces):
            continue
        made = context(service)
        routes = list(service.routes(made)) if service.routes else []
        own = [Mount(f"/api/{service.name}/v1", routes=routes)] if routes else []
        faces = service.faces(made) if service.faces else ()
        if shadowing := [face.path for face in faces if face.path.split("/")[1] in taken]:
            log.error("routes of a service left out: its faces are taken", service=service.name, by=shadowing)
            continue
        own += faces
        unguarded = [path for path, route in walk(own) if not isinstance(route, GuardedRoute)]
        if unguarded:
            log.error("routes of a service left out: each has to be a GuardedRoute", service=service.name, by=unguarded)
        else:
            mounts += own
    return mounts


def own_routes(others: Sequence[BaseRoute], hub: HubClient) -> list[BaseRoute]:
    """Return the routes about the process itself; the OpenAPI document covers them and the others."""
    every: list[BaseRoute] = []

    async def alive(request: Request) -> Response:
        """Tell that the process answers."""
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def ready(request: Request) -> Response:
        """Tell whether the store answers; 503 where it does not."""
        try:
            async with asyncio.timeout(5):
                await hub.head()
        except Exception as error:
            raise Problem(503, "Not ready", "The store does not answer.", retry_after_s=1) from error
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def metrics(request: Request) -> Response:
        """Return the metrics of all workers in the Prometheus text format."""
        return Response(await asyncio.to_thread(telemetry.exposition), headers={"content-type": telemetry.CONTENT_TYPE})

    async def document(request: Request) -> Response:
        """Return this document."""
        return Response(msgspec.json.encode(openapi.document(every)), media_type="application/json")

    async def docs(request: Request) -> Response:
        """Show the HTTP interface as a page."""
        language = preferred(request.headers.get("accept-language", ""), ("en", "ko"))
        return HTMLResponse(openapi.page(every, language), headers=openapi.PAGE_HEADERS)

    own: list[BaseRoute] = [
        GuardedRoute("/healthz", alive, permission="public"),
        GuardedRoute("/readyz", ready, permission="public"),
        GuardedRoute("/metrics", metrics, permission="metrics.read"),
        GuardedRoute("/openapi.json", document, permission="public"),
        GuardedRoute("/docs", docs, permission="public"),
    ]
    every += [*others, *own]
    return own
