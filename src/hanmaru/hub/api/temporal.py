"""The temporal evolution of entities: retrieve, query, add, delete."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub import compact, expand
from hanmaru.hub.api.queries import entity_query, posted_query, posted_view, temporal_query
from hanmaru.hub.api.request import (
    Call,
    flag,
    location,
    names,
    nothing,
    options,
    paged,
    read,
    require_body_object,
    respond,
    view_of,
)
from hanmaru.hub.compact import View
from hanmaru.hub.local import Hub
from hanmaru.hub.model import Entity
from hanmaru.hub.query import EntityQuery, TemporalQuery
from hanmaru.hub.stores.base import TemporalEntity
from hanmaru.hub.times import now
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, bad_request, not_found

BASE = "/ngsi-ld/v1/temporal/entities"


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes of temporal evolutions."""

    async def record(call: Call, entity: Entity) -> None:
        (problem,) = await hub.store.record(call.access, [entity])
        if isinstance(problem, Problem):
            raise problem

    async def create(request: Request) -> Response:
        """Add instances to an entity's evolution, creating the evolution where there is none."""
        call = await read(request, hub, body=True)
        entity = expand.entity(call.body, call.terms, now(), history=True)
        created = not await known(call, entity.id)
        await record(call, entity)
        return nothing(call, 201 if created else 204, location(BASE, entity.id))

    async def known(call: Call, id: str) -> bool:
        try:
            return await hub.store.history(call.access, id, TemporalQuery(last_n=1, limit=1)) is not None
        except Problem as problem:
            if problem.status != 404:  # 404: the tenant comes into being with this request
                raise
            return False

    async def append(request: Request) -> Response:
        """Add instances of attributes to an entity's evolution."""
        call = await read(request, hub, body=True)
        id = expand.check_uri(request.path_params["id"], "The entity id")
        entity = await found(call, id, TemporalQuery(last_n=1, limit=1))
        attrs = expand.attributes(require_body_object(call), call.terms, now(), history=True)
        await record(call, Entity(id, entity.types, attrs, entity.scopes, entity.created_at, now()))
        return nothing(call)

    async def found(call: Call, id: str, query: TemporalQuery) -> TemporalEntity:
        entity = await hub.store.history(call.access, id, query)
        if entity is None:
            raise not_found(f"There is no history of {id}.")
        return entity

    async def retrieve(request: Request) -> Response:
        """Retrieve an entity's evolution."""
        call = await read(request, hub)
        id = expand.check_uri(request.path_params["id"], "The entity id")
        query = temporal_query(call.params, call.terms, names(call.params, "attrs", call.terms))
        entity = await found(call, id, query)
        shown = _shown(call, entity, query, view_of(call))
        unknown = query.attrs and not entity.attrs and not (await found(call, id, _any_time(query))).attrs
        if unknown or not shown:
            raise not_found(f"The history of {id} has none of the members asked for.")
        return _answer(call, shown, [entity], query)

    async def query(request: Request) -> Response:
        """Query evolutions by type, id, attributes, values, place and time."""
        call = await read(request, hub)
        attrs = names(call.params, "attrs", call.terms)
        if "timerel" not in call.params and "lastN" not in call.params:
            raise bad_request("A temporal query needs timerel and timeAt, or lastN.")
        temporal = temporal_query(call.params, call.terms, attrs)
        return await answer(call, entity_query(call), temporal, view_of(call))

    async def post_query(request: Request) -> Response:
        """Query evolutions with a Query document that has a temporalQ."""
        call = await read(request, hub, body=True)
        body = require_body_object(call)
        if not isinstance(body.get("temporalQ"), dict):
            raise bad_request("temporalQ must be an object with timerel and timeAt.")
        condition: dict[str, Any] = body["temporalQ"]
        entities = posted_query(body, call)
        temporal = temporal_query(condition, call.terms, entities.attrs)
        return await answer(call, entities, temporal, posted_view(body, call))

    async def answer(call: Call, entities: EntityQuery, temporal: TemporalQuery, view: View) -> Response:
        wider = replace(entities, attrs=(), limit=entities.limit + 1 if entities.limit else 0)
        page = await hub.store.query_history(call.access, wider, temporal)
        kept = page.entities[: entities.limit]
        headers = paged(
            call, entities.limit, entities.offset, len(kept), page.count, more=len(page.entities) > entities.limit > 0
        )
        return _answer(call, [_shown(call, entity, temporal, view) for entity in kept], kept, temporal, headers)

    async def delete(request: Request) -> Response:
        """Delete an entity's evolution, one instance, or that of an attribute.

        Of an attribute go the instances without datasetId, those of ``datasetId``, or with deleteAll=true all.
        """
        call = await read(request, hub)
        id = expand.check_uri(request.path_params["id"], "The entity id")
        attribute = request.path_params.get("attr")
        instance = request.path_params.get("instance", "")
        name = call.terms.expand(attribute) if attribute else None
        dataset = call.params.get("datasetId", "") if name and not instance else None
        if flag(call.params, "deleteAll"):
            dataset = None
        if not await hub.store.delete_history(call.access, id, name, instance, dataset):
            raise not_found(f"There is no such history of {id}.")
        return nothing(call)

    one = BASE + "/{id:path}"
    query_path = "/ngsi-ld/v1/temporal/entityOperations/query"
    return [
        GuardedRoute(BASE, create, permission="write", methods=["POST"], name="temporal_create"),
        GuardedRoute(BASE, query, permission="read", name="temporal_query"),
        GuardedRoute(query_path, post_query, permission="read", methods=["POST"], name="temporal_post_query"),
        GuardedRoute(one + "/attrs", append, permission="write", methods=["POST"], name="temporal_append"),
        GuardedRoute(
            one + "/attrs/{attr}/{instance:path}",
            delete,
            permission="write",
            methods=["DELETE"],
            name="delete_instance",
        ),
        GuardedRoute(
            one + "/attrs/{attr:path}", delete, permission="write", methods=["DELETE"], name="delete_attribute_history"
        ),
        GuardedRoute(one, retrieve, permission="read", name="temporal_retrieve"),
        GuardedRoute(one, delete, permission="write", methods=["DELETE"], name="delete_history"),
    ]


def _any_time(query: TemporalQuery) -> TemporalQuery:
    """Return a query for some instance of the same attributes, whenever it was."""
    return TemporalQuery("modifiedAt", attrs=query.attrs, last_n=1, limit=1)


def _shown(call: Call, entity: TemporalEntity, query: TemporalQuery, view: View) -> dict[str, Any]:
    values = bool(options(call.params) & {"temporalValues", "simplified", "keyValues"})
    return compact.temporal(entity, call.terms, view, values=values, time=query.property)


def _answer(
    call: Call,
    content: Any,
    entities: Sequence[TemporalEntity],
    query: TemporalQuery,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer; when the limit cut instances off, with 206 and the span of time that the answer covers."""
    if not any(entity.more for entity in entities):
        return respond(call, content, headers=headers)
    instants = [
        (i.observed_at if query.property == "observedAt" else i.modified_at) or ""
        for entity in entities
        for instances in entity.attrs.values()
        for i in instances
    ]
    first, last = min(instants), max(instants)
    if query.last_n is not None:
        first, last = last, first
    return respond(
        call, content, status=206, headers={**(headers or {}), "Content-Range": f"DateTime {first}-{last}/*"}
    )
