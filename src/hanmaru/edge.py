"""The edge of the process: what every exchange over HTTP gets, whoever answers it.

A request id, limits on the body, the time and how much is under way at once, security headers, a count in the metrics,
a log line when it was slow or failed, and a problem document for every error. Event streams are known by their content
type: they have no time limit, each client holds a bounded number, they end when their client is signed out or given
other roles (``scope["still"]``), and `Edge.end_streams` ends them when the worker stops.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from prometheus_client import Histogram
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanmaru.platform.audit.seal import TrailError
from hanmaru.platform.limits import Streams
from hanmaru.platform.origin import address_of, network
from hanmaru.platform.problems import CORE_ERRORS, Problem
from hanmaru.platform.shell import PERMISSIONS_POLICY
from hanmaru.platform.telemetry import metrics, route_template

log = structlog.get_logger()

PAGE_POLICY = (
    b"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    b"connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
"""What a page may load: what comes from here. A page that needs more, such as a style by its hash, sends its own."""
DATA_POLICY = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For what is no page: opened as one, it may load and run nothing."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", PERMISSIONS_POLICY.encode()),
    (b"cache-control", b"no-store"),
)
"""What every answer has unless it says otherwise itself; the names of OWASP's secure headers project."""
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
TOLD = frozenset({403, 413, 421, 429})
"""Refusals before any endpoint: forged by another site, too large, another host's, too many."""
TOLD_AGAIN_S, MOST_TOLD = 60.0, 1000
NOT_RECORDED = "The audit trail cannot be written, and what is not recorded must not happen. The hub's log says why."
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NGSI_LD_TYPES = {400: "InvalidRequest", 404: "ResourceNotFound", 422: "OperationNotSupported", 500: "InternalError"}
"""The standard's own error types for what happens outside its operations (ETSI GS CIM 009, 5.5.2 and 6.3.2)."""
STILL_S = 1.0
"""For how long an event stream goes on without asking whether its client is still signed in as it was."""
_USABLE_ID = re.compile(rb"[\w.:-]{1,64}")


class Edge:
    """The outermost middleware; one for each web worker."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: int,
        request_s: float,
        slow_request_s: float,
        in_flight: int = 1000,
        streams: tuple[int, int] = (0, 0),
        hosts: Sequence[str] = (),
    ) -> None:
        """Wrap an application; the limits are those of the settings.

        ``streams`` is how many event streams a caller and an address may hold here; ``hosts`` are the names that are
        answered to, such as ``city.example`` or ``*.city.example``, none meaning every name.
        """
        self.app = app
        self.body_bytes, self.request_s, self.slow_request_s = body_bytes, request_s, slow_request_s
        self.most_in_flight, self.in_flight = in_flight, 0
        self.streams: set[Exchange] = set()
        self.stream_counts = Streams(streams[0]), Streams(streams[1])
        self.hosts = frozenset(host.lower() for host in hosts if not host.startswith("*."))
        self.domains = tuple(host[1:].lower() for host in hosts if host.startswith("*."))
        self.latency: dict[tuple[str, str, int], Histogram] = {}
        self.told: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._prefix, self._count = uuid4().hex[:8], count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; nothing but the worker's own stop is ever raised."""
        if scope["type"] == "http":
            await Exchange(self, scope, receive, send).run()
        else:
            await self.app(scope, receive, send)

    def end_streams(self) -> None:
        """End every open event stream, so that its client comes back to the next worker."""
        for exchange in list(self.streams):
            exchange.end()

    def refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        """Return why a request is not even looked at: too many others are under way, or it is not meant for us."""
        if self.in_flight > self.most_in_flight and scope["path"] != "/healthz":
            return Problem(503, "Busy", "Too many requests are under way. Try again soon.", retry_after_s=1)
        if self.hosts or self.domains:
            host = host_name(headers.get(b"host", b"").decode("latin-1").lower())
            if host not in self.hosts and not host.endswith(self.domains or ("\n",)):
                return Problem(421, "Misdirected request", "This hub answers to other names (setting allowed_hosts).")
        return None

    def next_id(self) -> str:
        """Return an id for a request that brought none."""
        return f"{self._prefix}-{next(self._count):x}"

    def tell(self, scope: Scope, problem: Problem) -> None:
        """Log that a guard refused a request, once a minute for each address; wrong credentials audit has already."""
        if problem.status not in TOLD:
            return
        now, key = time.monotonic(), (network(address_of(scope)), problem.title)
        if now - self.told.get(key, -TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return
        self.told[key] = now
        self.told.move_to_end(key)
        while len(self.told) > MOST_TOLD:
            self.told.popitem(last=False)
        log.warning("request refused", reason=problem.title, status=problem.status, path=scope["path"], address=key[0])

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a response's start."""
        route = scope.get("route")
        method = scope["method"] if scope["method"] in METHODS else "other"
        key = (route_template(scope) if route else "(none)", method, status)
        child = self.latency.get(key)
        if child is None:
            child = self.latency[key] = metrics().requests.labels(*key)
        child.observe(seconds)


class Exchange:
    """One request and its response."""

    __slots__ = (
        "asked",
        "deadline",
        "edge",
        "ending",
        "id",
        "keys",
        "receive",
        "refused",
        "scope",
        "sender",
        "started",
        "status",
        "streaming",
        "task",
        "total",
    )

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold what the server gave."""
        self.edge, self.scope, self.receive, self.sender = edge, scope, receive, send
        self.started, self.status, self.total = time.perf_counter(), 0, 0
        self.task = asyncio.current_task()
        self.streaming = self.ending = self.refused = False
        self.asked = 0.0
        self.keys: tuple[str, str] = ("", "")

    async def run(self) -> None:
        """Answer."""
        headers: dict[bytes, bytes] = dict(self.scope["headers"])
        given = headers.get(b"x-request-id")
        self.id = given.decode() if given and _USABLE_ID.fullmatch(given) else self.edge.next_id()
        structlog.contextvars.bind_contextvars(request_id=self.id)
        self.scope["request_id"] = self.id
        receive = self.receive
        self.edge.in_flight += 1
        try:
            if refusal := self.edge.refusal(self.scope, headers):
                raise refusal
            async with asyncio.timeout(self.edge.request_s) as self.deadline:
                if self.scope["method"] not in ("GET", "HEAD"):
                    length = headers.get(b"content-length")
                    if length is None:
                        receive = self.receive_limited
                    elif int(length) > self.edge.body_bytes:
                        raise too_large(self.edge.body_bytes)
                await self.edge.app(self.scope, receive, self.send)
        except Problem as problem:
            self.edge.tell(self.scope, problem)
            await self.refuse(problem)
        except TrailError as error:
            log.critical("audit trail cannot be written", path=self.scope["path"], reason=str(error))
            await self.refuse(Problem(503, "Cannot be recorded", NOT_RECORDED, retry_after_s=10), error)
        except TimeoutError as error:
            if self.deadline.expired():
                log.warning("request timed out", path=self.scope["path"])
                await self.refuse(Problem(503, "Took too long", f"No answer within {self.edge.request_s:g} s."), error)
            else:
                await self.fail(error)
        except asyncio.CancelledError:
            if not self.ending or self.task is None:
                raise  # the worker stops, or the server gave the client up
            self.task.uncancel()
            if self.refused:
                return
            await self.sender({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            log.info("client went away", **self.facts())
        except Exception as error:
            await self.fail(error)
        finally:
            if self.streaming:
                self.edge.streams.discard(self)
                for counts, key in zip(self.edge.stream_counts, self.keys, strict=True):
                    counts.close(key)
                metrics().streams.dec()
            else:
                self.edge.in_flight -= 1
                if (seconds := time.perf_counter() - self.started) > self.edge.slow_request_s:
                    log.warning("slow request", **self.facts(), seconds=round(seconds, 3))

    async def send(self, message: Message) -> None:
        """Pass a message on, completing the response's start."""
        if self.refused:
            return
        if message["type"] == "http.response.start":
            given: list[tuple[bytes, bytes]] = message["headers"]
            names = dict(given)
            content_type = names.get(b"content-type", b"")
            if content_type.startswith(b"text/event-stream") and not self.begin_stream():
                return await self.refuse_stream()
            self.status = status = message["status"]
            self.edge.observe(self.scope, status, time.perf_counter() - self.started)
            headers = [*given, (b"x-request-id", self.id.encode())]
            headers += [header for header in SECURITY_HEADERS if header[0] not in names]
            if b"content-security-policy" not in names:
                policy = PAGE_POLICY if content_type.startswith(b"text/html") else DATA_POLICY
                headers.append((b"content-security-policy", policy))
            if self.scope["scheme"] == "https" and not self.at_home():
                headers.append(STRICT_TRANSPORT)
            message = {**message, "headers": headers}
        elif self.streaming and (self.ending or not await self.still_permitted()):
            return self.end()
        await self.sender(message)

    async def still_permitted(self) -> bool:
        """Return whether an event stream's client is who it was when it began; asked at most once a second."""
        now = time.monotonic()
        if now - self.asked < STILL_S:
            return True
        self.asked = now
        still: Callable[[], Awaitable[bool]] | None = self.scope.get("still")
        return still is None or await still()

    def begin_stream(self) -> bool:
        """Count an event stream, which from now on has no time limit; return whether its client may have one more."""
        caller, address = self.scope.get("caller"), network(address_of(self.scope))
        self.keys = (caller.name if caller else "", address)
        by_caller, by_address = self.edge.stream_counts
        if self.keys[0] and not by_caller.open(self.keys[0]):
            return False
        if not by_address.open(address):
            by_caller.close(self.keys[0])
            return False
        self.deadline.reschedule(None)
        self.streaming = True
        self.asked = time.monotonic()
        self.edge.in_flight -= 1
        self.edge.streams.add(self)
        metrics().streams.inc()
        return True

    async def refuse_stream(self) -> None:
        """Answer 429 in the place of an event stream, and end the endpoint that would have sent it."""
        detail = "You hold too many event streams open (setting limits.streams); close one."
        problem = Problem(429, "Too many event streams", detail, retry_after_s=5)
        self.edge.tell(self.scope, problem)
        await self.refuse(problem)
        self.refused = True
        self.end()

    def at_home(self) -> bool:
        """Whether the request was sent to the loopback name, whose other ports a strict transport would close."""
        return any(name == b"host" and value.startswith(b"localhost") for name, value in self.scope["headers"])

    async def receive_limited(self) -> Message:
        """Receive a body of no declared length, up to the limit."""
        message = await self.receive()
        if message["type"] == "http.request":
            self.total += len(message.get("body", b""))
            if self.total > self.edge.body_bytes:
                raise too_large(self.edge.body_bytes)
        return message

    async def fail(self, error: Exception) -> None:
        """Answer an error that nobody expected, and log it."""
        log.error("request failed", **self.facts(), exc_info=error)
        problem = Problem(500, "Internal error", f"Something went wrong here; the log has it under {self.id}.")
        await self.refuse(problem, error)

    async def refuse(self, problem: Problem, cause: Exception | None = None) -> None:
        """Answer with a problem, or break the connection off when the response has begun."""
        if self.status:
            raise RuntimeError("the response had begun") from cause or problem
        await problem_response(problem, self.scope)(self.scope, self.receive, self.send)

    def facts(self) -> dict[str, Any]:
        """Return what a log line says of the exchange."""
        return {"method": self.scope["method"], "path": self.scope["path"], "status": self.status}

    def end(self) -> None:
        """End the stream."""
        if self.task is not None and not self.ending:
            self.ending = True
            self.task.cancel()


def host_name(host: str) -> str:
    """Return a Host header's name without its port."""
    return host.rpartition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]


def too_large(limit: int) -> Problem:
    """Refuse a body over the limit."""
    return Problem(413, "Body too large", f"A request's body is at most {limit} bytes (setting limits.body_bytes).")


def problem_response(problem: Problem, scope: Scope) -> Response:
    """Return a problem as a response, with the standard's error type where the standard names one."""
    document = problem.document()
    if document["type"] == "about:blank" and scope["path"].startswith("/ngsi-ld/"):
        standard = NGSI_LD_TYPES.get(problem.status)
        document["type"] = CORE_ERRORS + standard if standard else "about:blank"
    response = Response(msgspec.json.encode(document), problem.status, media_type="application/problem+json")
    if problem.status == 401 and b"sec-fetch-site" not in dict(scope["headers"]):
        # A browser would ask for a password in a window of its own; it gets the sign-in page instead.
        bearer = dict(scope["headers"]).get(b"authorization", b"")[:7].lower() == b"bearer "
        basic = 'Basic realm="Hanmaru", charset="UTF-8"'
        response.headers["www-authenticate"] = 'Bearer realm="Hanmaru", error="invalid_token"' if bearer else basic
    extra = problem.extra
    if "retry_after_s" in extra:
        response.headers["retry-after"] = str(extra["retry_after_s"])
    if "window_s" in extra:  # draft-ietf-httpapi-ratelimit-headers-11
        response.headers["ratelimit-policy"] = f'"{extra["limit"]}";q={extra["quota"]};w={extra["window_s"]}'
        response.headers["ratelimit"] = f'"{extra["limit"]}";r=0;t={extra["retry_after_s"]}'
    if problem.status == 413:
        response.headers["connection"] = "close"
    return response


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that an endpoint raised."""
    assert isinstance(error, Problem)
    return problem_response(error, request.scope)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        problem = Problem(404, "Not found", f"Nothing is at {request.url.path}.")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem(405, "Method not allowed", f"{request.url.path} answers {allowed}.")
    else:
        problem = Problem(error.status_code, error.detail)
    response = problem_response(problem, request.scope)
    response.headers.update(error.headers or {})
    return response
