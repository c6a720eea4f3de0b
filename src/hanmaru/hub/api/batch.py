"""Batch operations: create, upsert, update, merge, delete, query. Each entity is accepted or refused by itself."""

from collections.abc import Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub import expand
from hanmaru.hub.api.entities import READABLE, answer_query
from hanmaru.hub.api.queries import posted_query, posted_view
from hanmaru.hub.api.request import (
    JSON_LD,
    Call,
    nothing,
    options,
    partly,
    read,
    require_body_list,
    require_body_object,
    respond,
)
from hanmaru.hub.local import Hub
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import now
from hanmaru.hub.writes import Decision, Operation, Write
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, bad_request

BASE = "/ngsi-ld/v1/entityOperations"


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes of batch operations."""

    async def writes_of(
        call: Call, operation: Operation, *, nulls: bool = False, whole: bool = True, overwrite: bool = True
    ) -> tuple[list[Write], list[dict[str, Any]]]:
        instant = now()
        writes: list[Write] = []
        errors: list[dict[str, Any]] = []
        for document in require_body_list(call):
            try:
                terms = await _terms(hub, call, document)
                if whole:
                    content = expand.entity(document, terms, instant)
                else:
                    content = expand.fragment(document, terms, instant, nulls=nulls)
                    expand.check_uri(content.id, "id")
                writes.append(Write(operation, content.id, instant, content, overwrite))
            except Problem as problem:
                errors.append(_error(document, problem))
        return writes, errors

    async def apply(call: Call, writes: Sequence[Write], errors: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
        created: list[str] = []
        updated: list[str] = []
        outcomes = await hub.store.write(call.access, writes) if writes else []
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Decision) and outcome.skipped:
                left = "; ".join(f"{name}: {why}" for name, why in outcome.skipped)
                errors.append({"entityId": write.id, "error": bad_request(f"Not updated: {left}.").document()})
            elif isinstance(outcome, Decision):
                (updated if outcome.existed else created).append(write.id)
            else:
                errors.append({"entityId": write.id, "error": outcome.document()})
        return created, updated

    async def create(request: Request) -> Response:
        """Create entities."""
        call = await read(request, hub, body=True)
        writes, errors = await writes_of(call, "create")
        created, _ = await apply(call, writes, errors)
        if errors:
            return partly(call, {"success": created, "errors": errors})
        return _created(call, created)

    async def upsert(request: Request) -> Response:
        """Create entities or replace them; options=update appends to existing ones instead."""
        call = await read(request, hub, body=True)
        operation: Operation = "upsert" if "update" in options(call.params) else "replace"
        writes, errors = await writes_of(call, operation)
        created, updated = await apply(call, writes, errors)
        if errors:
            return partly(call, {"success": [*created, *updated], "errors": errors})
        return _created(call, created) if created else nothing(call)

    async def update(request: Request) -> Response:
        """Append to entities that exist; options=noOverwrite leaves existing attributes alone."""
        call = await read(request, hub, body=True)
        overwrite = "noOverwrite" not in options(call.params)
        writes, errors = await writes_of(call, "append", whole=False, overwrite=overwrite)
        return await updated(call, writes, errors)

    async def merge(request: Request) -> Response:
        """Merge fragments into entities that exist."""
        call = await read(request, hub, body=True)
        writes, errors = await writes_of(call, "merge", whole=False, nulls=True)
        return await updated(call, writes, errors)

    async def delete(request: Request) -> Response:
        """Delete entities, given a list of ids."""
        call = await read(request, hub, body=True)
        instant = now()
        ids = [expand.check_uri(_id(item), "id") for item in require_body_list(call)]
        return await updated(call, [Write("delete", id, instant) for id in ids], [])

    async def updated(call: Call, writes: Sequence[Write], errors: list[dict[str, Any]]) -> Response:
        _, done = await apply(call, writes, errors)
        if errors:
            return partly(call, {"success": done, "errors": errors})
        return nothing(call)

    async def query(request: Request) -> Response:
        """Query entities with a Query document."""
        call = await read(request, hub, body=True, accepts=READABLE)
        body = require_body_object(call)
        return await answer_query(hub, call, posted_query(body, call), posted_view(body, call))

    return [
        GuardedRoute(f"{BASE}/create", create, permission="write", methods=["POST"], name="batch_create"),
        GuardedRoute(f"{BASE}/upsert", upsert, permission="write", methods=["POST"], name="batch_upsert"),
        GuardedRoute(f"{BASE}/update", update, permission="write", methods=["POST"], name="batch_update"),
        GuardedRoute(f"{BASE}/merge", merge, permission="write", methods=["POST"], name="batch_merge"),
        GuardedRoute(f"{BASE}/delete", delete, permission="write", methods=["POST"], name="batch_delete"),
        GuardedRoute(f"{BASE}/query", query, permission="read", methods=["POST"], name="batch_query"),
    ]


async def _terms(hub: Hub, call: Call, document: object) -> TermMap:
    """Return the names one entity of a batch speaks in: in JSON-LD each carries its own @context."""
    content_type = call.request.headers.get("content-type", "")
    if not content_type.startswith(JSON_LD) or not isinstance(document, dict):
        return call.terms
    context = cast("dict[str, Any]", document).get("@context")
    if context is None:
        raise bad_request(f"Every entity of a body of {JSON_LD} must have an @context.")
    return await hub.contexts.resolve(context)


def _created(call: Call, ids: list[str]) -> Response:
    return respond(call, ids, status=201)


def _id(item: object) -> object:
    return cast("dict[str, object]", item).get("id") if isinstance(item, dict) else item


def _error(document: object, problem: Problem) -> dict[str, Any]:
    id = cast("dict[str, Any]", document).get("id") if isinstance(document, dict) else None
    return {"entityId": id, "error": problem.document()}
