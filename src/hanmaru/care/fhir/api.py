"""The FHIR R4 face at ``/fhir/R4``: thin routes over the interactions."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from hanmaru.care import access
from hanmaru.care.fhir import bundle, capability, everything, negotiation, operations, targets, validate
from hanmaru.care.fhir.operations import Done, Terms
from hanmaru.care.fhir.outcome import JSON, on_http_exception, on_problem, told
from hanmaru.care.fhir.records import Records, opened
from hanmaru.care.fhir.targets import Target
from hanmaru.hub.client import HubClient
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

PERMISSION: Final = "care.fhir"
PATH: Final = "/fhir/R4"
TOKENS: Final = "/oauth2/token"
MOST_KEY: Final = 200
"""Longest idempotency key."""


def faces(context: Context[HubClient]) -> list[Mount]:
    """Return the face, with its own errors."""
    face = Face(context)
    catching = Middleware(ExceptionMiddleware, handlers={Problem: on_problem, HTTPException: on_http_exception})
    return [Mount("/fhir", routes=face.routes(), middleware=[catching])]


class Face:
    """The endpoints, over one context."""

    def __init__(self, context: Context[HubClient]) -> None:
        """Open nothing yet."""
        self._context = context
        self._records: Records | None = None

    async def records(self) -> Records:
        """Return the records."""
        if self._records is None:
            self._records = await opened(self._context)
        return self._records

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes below ``/fhir``."""

        def route(path: str, endpoint: Any, *methods: str, permission: str = PERMISSION, id: str = "") -> GuardedRoute:
            spec = {"operationId": id} if id else None
            return GuardedRoute(f"/R4{path}", endpoint, permission=permission, methods=methods or ("GET",), spec=spec)

        return [
            route("/metadata", self.metadata, permission="public"),
            route("/.well-known/smart-configuration", self.smart, permission="public"),
            route("", self.all),
            route("", self.process, "POST"),
            route("/", self.all, id="search_at_the_slash"),
            route("/", self.process, "POST", id="process_at_the_slash"),
            route("/_search", self.search, "POST"),
            route("/_history", self.history),
            route("/$validate", self.validate, "POST"),
            route("/{type}", self.type, "GET", "POST", "PUT", "DELETE"),
            route("/{type}/_search", self.search, "POST"),
            route("/{type}/_history", self.history),
            route("/{type}/$validate", self.validate, "POST"),
            route("/{type}/{id}", self.instance, "GET", "PUT", "DELETE"),
            route("/Patient/{id}/$everything", self.everything, "GET", "POST"),
            route("/{type}/{id}/_history", self.history),
            route("/{type}/{id}/_history/{version}", self.vread),
            route("/{type}/{id}/$validate", self.validate, "POST"),
            route("/Patient/{patient}/{type}", self.compartment),
        ]

    async def metadata(self, request: Request) -> Response:
        """Return the CapabilityStatement: what this FHIR server can."""
        negotiation.agree(request, negotiation.query(request))
        base = base_of(request)
        said = await asyncio.to_thread(capability.statement, base, base.removesuffix(PATH) + TOKENS)
        return Response(msgspec.json.encode(said), media_type=JSON)

    async def smart(self, request: Request) -> Response:
        """Return where and how applications get tokens (SMART App Launch 2.2, backend services)."""
        home = base_of(request).removesuffix(PATH)
        said = {
            "issuer": home,
            "token_endpoint": home + TOKENS,
            "revocation_endpoint": f"{home}/oauth2/revoke",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "capabilities": ["client-confidential-symmetric", "permission-v2"],
        }
        return Response(msgspec.json.encode(said), media_type="application/json")

    async def all(self, request: Request) -> Response:
        """Search all types."""
        return await self._look(request, Target("search", query=negotiation.query(request)))

    async def process(self, request: Request) -> Response:
        """Do a batch or transaction."""
        negotiation.agree(request, negotiation.query(request))
        source = await negotiation.body(request)
        records = await self.records()
        reader = await access.reader(records, request)
        answer = await bundle.process(
            records,
            reader,
            source,
            idempotency=_key(request),
            prefer=negotiation.preferred(request) or "minimal",
            base=base_of(request),
            lenient=negotiation.lenient(request),
        )
        return Response(msgspec.json.encode(answer), media_type=JSON)

    async def type(self, request: Request) -> Response:
        """Search a type (GET), create (POST), or update or delete what a search finds (PUT, DELETE)."""
        type = targets.known(request.path_params["type"])
        if request.method in ("GET", "HEAD"):
            return await self._look(request, Target("search", type, query=negotiation.query(request)))
        if request.method == "POST":
            return await self._write(request, Target("create", type))
        found = request.scope["query_string"].decode("latin-1")
        kind = "update" if request.method == "PUT" else "delete"
        return await self._write(request, Target(kind, type, query=targets.condition(found)))

    async def instance(self, request: Request) -> Response:
        """Read, update or delete a resource."""
        type, id = _named(request)
        if request.method in ("GET", "HEAD"):
            return await self._look(request, Target("read", type, id, query=negotiation.query(request)))
        return await self._write(request, Target("update" if request.method == "PUT" else "delete", type, id))

    async def vread(self, request: Request) -> Response:
        """Read one version of a resource."""
        type, id = _named(request)
        version = targets.number(request.path_params["version"])
        return await self._look(request, Target("vread", type, id, version, negotiation.query(request)))

    async def history(self, request: Request) -> Response:
        """Return the versions of a resource, of a type, or of all, newest first."""
        type, id = request.path_params.get("type", ""), request.path_params.get("id", "")
        if type:
            targets.known(type)
        if id:
            targets.identifier(id)
        return await self._look(request, Target("history", type, id, query=negotiation.query(request)))

    async def search(self, request: Request) -> Response:
        """Search by a form: nothing of what is looked for stands in an address."""
        type = request.path_params.get("type", "")
        if type:
            targets.known(type)
        query = (*negotiation.query(request), *await negotiation.form(request))
        if len(query) > negotiation.MOST_QUERY:
            raise Problem(400, "Too much asked", f"A search has at most {negotiation.MOST_QUERY} parameters.")
        return await self._look(request, Target("search", type, query=query))

    async def compartment(self, request: Request) -> Response:
        """Search a type within a patient's record."""
        patient, type = targets.identifier(request.path_params["patient"]), targets.known(request.path_params["type"])
        query = (*negotiation.query(request), ("_compartment", f"Patient/{patient}"))
        return await self._look(request, Target("search", type, query=query))

    async def validate(self, request: Request) -> Response:
        """Say what is wrong with a resource, without keeping it."""
        negotiation.agree(request, negotiation.query(request))
        type = request.path_params.get("type", "")
        if type:
            targets.known(type)
        source, given = await negotiation.resource(request)
        resource = validate.given(given)
        if resource is not given:
            source = b""
        if type and resource.get("resourceType") != type:
            raise Problem(400, "Another type", "The address is of another type than the resource.")
        found = await asyncio.to_thread(validate.check, source or resource, resource)
        issues = [validate.outcome_issue(issue) for issue in found]
        said = {"resourceType": "OperationOutcome", "issue": issues} if issues else told("This is valid R4.")
        return Response(msgspec.json.encode(said), media_type=JSON)

    async def everything(self, request: Request) -> Response:
        """Return all of a patient's record that the caller may see, in pages."""
        query = negotiation.query(request)
        if request.method == "POST":
            query = (*query, *await everything.parameters(request))
        negotiation.agree(request, query)
        records = await self.records()
        reader = await access.reader(records, request)
        id = targets.identifier(request.path_params["id"])
        body = await everything.page(records, reader, id, query, base_of(request))
        return Response(body, media_type=JSON)

    async def _look(self, request: Request, target: Target) -> Response:
        negotiation.agree(request, target.query)
        records = self._records or await self.records()
        reader = await access.reader(records, request)
        terms = Terms(
            if_none_match=negotiation.header(request, b"if-none-match"),
            if_modified_since=negotiation.header(request, b"if-modified-since"),
            lenient=negotiation.lenient(request),
        )
        done = await operations.look(records, reader, target, base_of(request), terms)
        if done.version is None:
            return Response(done.body, media_type=JSON)
        body = b"" if done.status == 304 else done.version.text
        return Response(body, done.status, _headers(done), JSON)

    async def _write(self, request: Request, target: Target) -> Response:
        negotiation.agree(request)
        records = self._records or await self.records()
        reader = await access.reader(records, request)
        resource = None
        if target.kind != "delete":
            source, resource = await negotiation.resource(request)
            operations.about(target.type, resource)
            if len(source) > negotiation.LARGE:
                await asyncio.to_thread(operations.checked, source, resource)
            else:
                operations.checked(source, resource)
            bundle.relative(resource, base_of(request))
        terms = Terms(
            if_match=negotiation.header(request, b"if-match"),
            if_none_match=negotiation.header(request, b"if-none-match"),
            if_none_exist=negotiation.header(request, b"if-none-exist"),
        )
        done = await operations.write(records, reader, target, resource, terms, _key(request))
        headers = _headers(done)
        wanted = negotiation.preferred(request)
        if done.status in (200, 201) and done.version:
            at = f"{base_of(request)}/{done.version.type}/{done.version.id}/_history/{done.version.version}"
            headers["location"] = at
        if done.status == 204 and wanted != "OperationOutcome":
            return Response(status_code=204, headers=headers)
        if wanted == "OperationOutcome":
            said = msgspec.json.encode(told("Done."))
            return Response(said, 200 if done.status == 204 else done.status, headers, JSON)
        body = b"" if wanted == "minimal" or done.version is None else done.version.text
        return Response(body, done.status, headers, JSON)


def base_of(request: Request) -> str:
    """Return the face's address as the caller knows it."""
    host = negotiation.header(request, b"host") or "localhost"
    return f"{request.scope['scheme']}://{host}{PATH}"


def _key(request: Request) -> str | None:
    """Return the request's idempotency key. Raises Problem 400 for one that is none."""
    key = negotiation.header(request, b"idempotency-key")
    if key is not None and not (0 < len(key) <= MOST_KEY and key.isprintable()):
        raise Problem(400, "Not a key", f"Idempotency-Key is printable, at most {MOST_KEY} characters.")
    return key


def _named(request: Request) -> tuple[str, str]:
    return targets.known(request.path_params["type"]), targets.identifier(request.path_params["id"])


def _headers(done: Done) -> dict[str, str]:
    version = done.version
    if version is None:
        return {}
    return {"etag": targets.etag(version.version), "last-modified": targets.http_date(version.at)}
