"""What there is: entity types and attributes."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub.api.request import Call, flag, read, respond
from hanmaru.hub.local import Hub
from hanmaru.hub.query import EntityQuery
from hanmaru.hub.stores.base import TypeInfo
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import not_found


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes of discovery."""

    async def types(request: Request) -> Response:
        """List entity types; details=true gives the attributes of each."""
        call = await read(request, hub)
        found = await hub.store.types(call.access)
        name = call.terms.compact
        if flag(call.params, "details"):
            return respond(call, [_entity_type(call, info) for info in found])
        names = [name(info.name) for info in found]
        return respond(call, {"id": "urn:ngsi-ld:EntityTypeList:1", "type": "EntityTypeList", "typeList": names})

    async def one_type(request: Request) -> Response:
        """Describe an entity type: how many entities, which attributes of which kinds."""
        call = await read(request, hub)
        wanted = call.terms.expand(request.path_params["type"])
        found = await hub.store.types(call.access, wanted)
        if not found:
            raise not_found(f"There are no entities of type {request.path_params['type']}.")
        info = found[0]
        details = [
            {
                "id": name,
                "type": "Attribute",
                "attributeName": call.terms.compact(name),
                "attributeTypes": sorted(kinds),
            }
            for name, kinds in sorted(info.attributes.items())
        ]
        answer = {
            "id": info.name,
            "type": "EntityTypeInfo",
            "typeName": call.terms.compact(info.name),
            "entityCount": info.count,
            "attributeDetails": details,
        }
        return respond(call, answer)

    async def attributes(request: Request) -> Response:
        """List attributes; details=true gives the types that have each."""
        call = await read(request, hub)
        found = _by_attribute(await hub.store.types(call.access))
        name = call.terms.compact
        if flag(call.params, "details"):
            listed = [
                {"id": n, "type": "Attribute", "attributeName": name(n), "typeNames": sorted(map(name, infos))}
                for n, (infos, _) in sorted(found.items())
            ]
            return respond(call, listed)
        names = sorted(map(name, found))
        return respond(call, {"id": "urn:ngsi-ld:AttributeList:1", "type": "AttributeList", "attributeList": names})

    async def one_attribute(request: Request) -> Response:
        """Describe an attribute: how many entities have it, of which types and kinds."""
        call = await read(request, hub)
        wanted = call.terms.expand(request.path_params["attr"])
        found = _by_attribute(await hub.store.types(call.access)).get(wanted)
        if found is None:
            raise not_found(f"No entity has the attribute {request.path_params['attr']}.")
        page = await hub.store.query(call.access, EntityQuery(attrs=(wanted,), limit=0, count=True))
        name = call.terms.compact
        answer = {
            "id": wanted,
            "type": "Attribute",
            "attributeName": name(wanted),
            "attributeCount": page.count,
            "attributeTypes": sorted(found[1]),
            "typeNames": sorted(map(name, found[0])),
        }
        return respond(call, answer)

    base = "/ngsi-ld/v1"
    return [
        GuardedRoute(f"{base}/types", types, permission="read"),
        GuardedRoute(f"{base}/types/{{type:path}}", one_type, permission="read"),
        GuardedRoute(f"{base}/attributes", attributes, permission="read"),
        GuardedRoute(f"{base}/attributes/{{attr:path}}", one_attribute, permission="read"),
    ]


def _entity_type(call: Call, info: TypeInfo) -> dict[str, Any]:
    name = call.terms.compact
    names = sorted(map(name, info.attributes))
    return {"id": info.name, "type": "EntityType", "typeName": name(info.name), "attributeNames": names}


def _by_attribute(types: list[TypeInfo]) -> dict[str, tuple[list[str], set[str]]]:
    found: dict[str, tuple[list[str], set[str]]] = {}
    for info in types:
        for name, kinds in info.attributes.items():
            infos, all_kinds = found.setdefault(name, ([], set()))
            infos.append(info.name)
            all_kinds.update(kinds)
    return found
