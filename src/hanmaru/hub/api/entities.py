"""Entities and their attributes: create, retrieve, query, merge, replace, append, update, delete."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub import compact, expand
from hanmaru.hub.api.queries import entity_query
from hanmaru.hub.api.request import (
    GEO_JSON,
    JSON,
    JSON_LD,
    Call,
    flag,
    location,
    names,
    nothing,
    options,
    paged,
    partly,
    read,
    require_body_object,
    respond,
    view_of,
)
from hanmaru.hub.compact import View
from hanmaru.hub.expand import is_null
from hanmaru.hub.local import Hub
from hanmaru.hub.model import LOCATION, NULL, VALUE_MEMBER, Attribute, Entity
from hanmaru.hub.query import EntityQuery, in_types, parse_types
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import now
from hanmaru.hub.writes import ALL_INSTANCES, Decision, Write
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, bad_request, not_found

BASE = "/ngsi-ld/v1/entities"
READABLE = (JSON, JSON_LD, GEO_JSON)


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes of entities and attributes."""

    async def apply(call: Call, write: Write) -> Decision:
        if call.params.get("type"):
            write = replace(write, types=parse_types(call.params["type"], call.terms))
        (outcome,) = await hub.store.write(call.access, [write])
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    async def create(request: Request) -> Response:
        """Create an entity."""
        call = await read(request, hub, body=True)
        instant = now()
        entity = expand.entity(call.body, call.terms, instant)
        await apply(call, Write("create", entity.id, instant, entity))
        return nothing(call, 201, location(BASE, entity.id))

    async def query(request: Request) -> Response:
        """Query entities by id, type, attributes, values (q), place (georel) and scope."""
        call = await read(request, hub, accepts=READABLE)
        return await answer_query(hub, call, entity_query(call))

    async def retrieve(request: Request) -> Response:
        """Retrieve an entity."""
        call = await read(request, hub, accepts=READABLE)
        id, view = _id(request), view_of(call)
        entity = await hub.store.retrieve(call.access, id)
        if entity and call.params.get("type") and not in_types(parse_types(call.params["type"], call.terms), entity):
            entity = None
        wanted = names(call.params, "attrs", call.terms) if call.params else ()
        if entity is None or (wanted and not any(name in entity.attrs for name in wanted)):
            raise not_found(f"There is no entity {id}" + (" with such attributes." if entity else "."))
        if call.accept == GEO_JSON:
            return respond(call, compact.feature(entity, call.terms, view, _geometry(call)))
        shown = compact.entity(entity, call.terms, view)
        if not shown:
            raise not_found(f"The entity {id} has none of the members asked for.")
        return respond(call, shown)

    async def merge(request: Request) -> Response:
        """Merge a fragment into an entity; urn:ngsi-ld:null deletes."""
        call = await read(request, hub, body=True)
        instant = now()
        content = expand.fragment(call.body, call.terms, instant, nulls=True)
        _same_id(request, content)
        return _updated(call, await apply(call, Write("merge", _id(request), instant, content)), partial=False)

    async def put(request: Request) -> Response:
        """Replace an entity."""
        call = await read(request, hub, body=True)
        instant = now()
        content = expand.fragment(call.body, call.terms, instant)
        _same_id(request, content)
        await apply(call, Write("replace", _id(request), instant, content, must_exist=True))
        return nothing(call)

    async def delete(request: Request) -> Response:
        """Delete an entity; its history stays."""
        call = await read(request, hub)
        await apply(call, Write("delete", _id(request), now()))
        return nothing(call)

    async def append(request: Request) -> Response:
        """Append attributes; options=noOverwrite leaves existing ones alone."""
        call = await read(request, hub, body=True)
        instant = now()
        content = expand.fragment(call.body, call.terms, instant)
        _same_id(request, content)
        overwrite = "noOverwrite" not in options(call.params)
        return _updated(call, await apply(call, Write("append", _id(request), instant, content, overwrite)))

    async def update(request: Request) -> Response:
        """Update attributes: those that exist are replaced, others appended; urn:ngsi-ld:null deletes."""
        call = await read(request, hub, body=True)
        instant = now()
        content = expand.fragment(call.body, call.terms, instant, nulls=True)
        _same_id(request, content)
        return _updated(call, await apply(call, Write("update", _id(request), instant, content)))

    async def patch_attribute(request: Request) -> Response:
        """Change members of one attribute instance."""
        call = await read(request, hub, body=True)
        name, instant = _attribute(request), now()
        attribute = call.terms.expand(name)
        body = require_body_object(call)
        change = _patch(name, body, call.terms, instant)
        dataset = body.get("datasetId") or call.params.get("datasetId")
        write = Write("patch_attribute", _id(request), instant, attribute=attribute, dataset=dataset, patch=change)
        await apply(call, write)
        return nothing(call)

    async def put_attribute(request: Request) -> Response:
        """Replace one attribute instance."""
        call = await read(request, hub, body=True)
        name, instant = _attribute(request), now()
        attribute = call.terms.expand(name)
        made = expand.attribute(name, require_body_object(call), call.terms, instant)
        content = Entity("", (), {attribute: (made,)})
        await apply(call, Write("replace_attribute", _id(request), instant, content, attribute=attribute))
        return nothing(call)

    async def delete_attribute(request: Request) -> Response:
        """Delete an attribute's default instance, the one of datasetId, or with deleteAll=true all."""
        call = await read(request, hub)
        attribute = call.terms.expand(request.path_params["attr"])
        dataset = ALL_INSTANCES if flag(call.params, "deleteAll") else call.params.get("datasetId")
        await apply(call, Write("delete_attribute", _id(request), now(), attribute=attribute, dataset=dataset))
        return nothing(call)

    one, attrs, attr = BASE + "/{id:path}", BASE + "/{id:path}/attrs", BASE + "/{id:path}/attrs/{attr:path}"
    return [
        GuardedRoute(BASE, create, permission="write", methods=["POST"]),
        GuardedRoute(BASE, query, permission="read"),
        GuardedRoute(attr, patch_attribute, permission="write", methods=["PATCH"]),
        GuardedRoute(attr, put_attribute, permission="write", methods=["PUT"]),
        GuardedRoute(attr, delete_attribute, permission="write", methods=["DELETE"]),
        GuardedRoute(attrs, append, permission="write", methods=["POST"]),
        GuardedRoute(attrs, update, permission="write", methods=["PATCH"]),
        GuardedRoute(one, retrieve, permission="read"),
        GuardedRoute(one, merge, permission="write", methods=["PATCH"]),
        GuardedRoute(one, put, permission="write", methods=["PUT"]),
        GuardedRoute(one, delete, permission="write", methods=["DELETE"]),
    ]


async def answer_query(hub: Hub, call: Call, query: EntityQuery, view: View | None = None) -> Response:
    """Answer a query with one page, its count and the links to its neighbours."""
    page = await hub.store.query(call.access, replace(query, limit=query.limit + 1 if query.limit else 0))
    entities = page.entities[: query.limit]
    headers = paged(
        call, query.limit, query.offset, len(entities), page.count, more=len(page.entities) > query.limit > 0
    )
    view = view or view_of(call)
    if call.accept == GEO_JSON:
        features = [compact.feature(entity, call.terms, view, _geometry(call)) for entity in entities]
        return respond(call, {"type": "FeatureCollection", "features": features}, headers=headers)
    return respond(call, [compact.entity(entity, call.terms, view) for entity in entities], headers=headers)


def _id(request: Request) -> str:
    return expand.check_uri(request.path_params["id"], "The entity id")


def _attribute(request: Request) -> str:
    if (name := request.path_params["attr"]) in ("id", "type", "scope", "@context"):
        raise bad_request(f"{name} is no attribute: change it with the entity.")
    return name


def _same_id(request: Request, content: Entity) -> None:
    if content.id and content.id != _id(request):
        raise bad_request(f"The body's id {content.id} is not the one in the path.")


def _geometry(call: Call) -> str:
    name = call.params.get("geometryProperty")
    return call.terms.expand(name) if name else LOCATION


def _updated(call: Call, decision: Decision, *, partial: bool = True) -> Response:
    if not decision.skipped or not partial:
        return nothing(call)
    touched = decision.change.touched + decision.change.removed if decision.change else ()
    result: dict[str, Any] = {
        "updated": list(dict.fromkeys(touched)),
        "notUpdated": [{"attributeName": name, "reason": why} for name, why in decision.skipped],
    }
    return partly(call, result)


def _patch(name: str, body: dict[str, Any], terms: TermMap, instant: str) -> Callable[[Attribute], Attribute | None]:
    """Return the function that changes an instance's members; None from it deletes the instance."""

    def change(old: Attribute) -> Attribute | None:
        shown = compact.attribute(old, terms)
        if body.get("type", old.kind) != old.kind:
            raise bad_request(f"The attribute {name} is a {old.kind}; a partial update cannot change that.")
        shown |= body
        if is_null(shown[VALUE_MEMBER[old.kind]]):
            return None
        return expand.attribute(name, {k: v for k, v in shown.items() if v != NULL}, terms, instant)

    return change
