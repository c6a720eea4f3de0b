"""What the process tells about itself: Prometheus metrics over all workers, OpenTelemetry traces where wanted.

`metrics` makes the metrics on first use. When ``PROMETHEUS_MULTIPROC_DIR`` names a folder, every worker counts in a
file of its own there and whichever worker is asked adds them up.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The project's metrics; the names in the exposition carry the prefix ``hanmaru_``."""

    registry: CollectorRegistry
    requests: Histogram
    """Seconds from a request's arrival to the response's start, by route template, method and status."""
    commits: Counter
    """Accepted changes on disk, by kind (created, updated, deleted)."""
    notifications: Counter
    """Notifications by outcome (delivered, failed)."""
    queue_depth: Gauge
    """Work not yet done, by queue."""
    streams: Gauge
    """Open event streams."""
    task_restarts: Counter
    """Background tasks restarted after a crash, by task."""


@cache
def metrics() -> Metrics:
    """Return this process's metrics."""
    registry = CollectorRegistry()
    return Metrics(
        registry,
        Histogram(
            "hanmaru_http_request_seconds",
            "Seconds from a request's arrival to its response's start",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=registry,
        ),
        Counter("hanmaru_commits", "Accepted changes on disk", ("kind",), registry=registry),
        Counter("hanmaru_notifications", "Notifications sent", ("outcome",), registry=registry),
        Gauge(
            "hanmaru_queue_depth",
            "Work not yet done",
            ("queue",),
            registry=registry,
            multiprocess_mode="livesum",
        ),
        Gauge("hanmaru_streams", "Open event streams", registry=registry, multiprocess_mode="livesum"),
        Counter("hanmaru_task_restarts", "Tasks restarted after a crash", ("task",), registry=registry),
    )


def exposition() -> bytes:
    """Return the metrics of all workers in the Prometheus text format."""
    if MULTIPROCESS_DIR not in os.environ:
        return generate_latest(metrics().registry)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def tracer(endpoint: str, worker: str) -> "Tracer":
    """Return a tracer that sends spans to an OTLP/HTTP collector, such as ``http://localhost:4318``."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "hanmaru", "service.instance.id": worker}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + "/v1/traces")))
    return provider.get_tracer("hanmaru")


class Traced:
    """Middleware that makes one server span of each request, under the caller's ``traceparent`` where there is one."""

    def __init__(self, app: ASGIApp, tracer: "Tracer") -> None:
        """Wrap an application."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.app, self.tracer, self.propagator = app, tracer, TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request inside a span."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        from opentelemetry.trace import SpanKind, StatusCode

        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self.tracer.start_as_current_span(
            scope["method"], context=self.propagator.extract(carrier), kind=SpanKind.SERVER
        ) as span:

            async def traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = route_template(scope)
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attributes(
                        {
                            "http.request.method": scope["method"],
                            "http.route": route,
                            "http.response.status_code": message["status"],
                            "url.path": scope["path"],
                        }
                    )
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await self.app(scope, receive, traced)


def route_template(scope: Scope) -> str:
    """Return the matched route's path template, or ``(none)`` where no route matched."""
    route = scope.get("route")
    if route is None:
        return "(none)"
    return scope.get("root_path", "") + getattr(route, "path", "")
