"""User @contexts: those the hub hosts, and those it fetched and keeps."""

import time
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub.api.request import JSON, JSON_LD, accepted, decode, flag
from hanmaru.hub.local import Hub
from hanmaru.hub.terms import CORE_CONTEXT_URL, is_core
from hanmaru.hub.times import from_micros
from hanmaru.platform.access import DEFAULT_TENANT
from hanmaru.platform.policy import GuardedRoute, access_of
from hanmaru.platform.problems import Problem, bad_request, invalid_request, not_found

BASE = "/ngsi-ld/v1/jsonldContexts"
KINDS = ("Cached", "Hosted", "ImplicitlyCreated")


def routes(hub: Hub) -> list[GuardedRoute]:
    """Return the routes of user contexts."""

    def url_of(request: Request, id: str) -> str:
        return id if "://" in id else f"{request.url.scheme}://{request.url.netloc}{BASE}/{id}"

    async def add(request: Request) -> Response:
        """Host an @context; its URL comes back in Location."""
        body = decode(await request.body())
        if not isinstance(body, dict) or "@context" not in body:
            raise invalid_request('The body must be a JSON object with "@context".')
        context: dict[str, Any] = {"@context": body["@context"]}
        await hub.contexts.resolve(context["@context"])
        id = uuid4().hex
        record = {"body": context, "kind": "Hosted", "createdAt": time.time(), "id": id}
        await hub.store.put_document("context", "", url_of(request, id), msgspec.json.encode(record))
        return Response(status_code=201, headers={"Location": f"{BASE}/{id}"})

    async def listed(request: Request) -> Response:
        """List contexts by URL; details=true describes each, kind=Cached or kind=Hosted limits."""
        kind = request.query_params.get("kind")
        if kind is not None and kind not in KINDS:
            raise bad_request(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
        documents = [(doc.id, msgspec.json.decode(doc.doc)) for _, doc in await hub.store.documents("context", None)]
        kept = [(url, record) for url, record in documents if kind in (None, record["kind"])]
        if not flag(request.query_params, "details"):
            return _json([url for url, _ in kept])
        return _json([_described(url, record) for url, record in kept])

    async def serve(request: Request) -> Response:
        """Serve a context document; details=true describes it instead."""
        url = url_of(request, request.path_params["id"])
        raw = await hub.store.get_document("context", "", url)
        if raw is None:
            raise not_found(f"The hub keeps no @context {url}.")
        record = msgspec.json.decode(raw)
        if flag(request.query_params, "details"):
            return _json(_described(url, record))
        return Response(msgspec.json.encode(record["body"]), media_type=accepted(request.headers, (JSON_LD, JSON)))

    async def delete(request: Request) -> Response:
        """Delete a context; reload=true fetches a cached one anew instead."""
        if not access_of(request, DEFAULT_TENANT).unrestricted:
            raise Problem(403, "Not permitted", "Others' names mean what it says: only who may write everything may.")
        url = url_of(request, request.path_params["id"])
        if is_core(url):
            raise bad_request(f"The core @context {CORE_CONTEXT_URL} is built in and cannot be deleted.")
        raw = await hub.store.get_document("context", "", url)
        if raw is None:
            raise not_found(f"The hub keeps no @context {url}.")
        if flag(request.query_params, "reload"):
            if msgspec.json.decode(raw)["kind"] != "Cached":
                raise bad_request("Only a cached @context can be reloaded.")
            await hub.contexts.document(url, reload=True)
        else:
            await hub.store.delete_document("context", "", url)
        hub.contexts.forget(url)
        return Response(status_code=204)

    return [
        GuardedRoute(BASE, add, permission="write", methods=["POST"], name="add_context"),
        GuardedRoute(BASE, listed, permission="read", name="list_contexts"),
        GuardedRoute(BASE + "/{id:path}", serve, permission="public", name="serve_context"),
        GuardedRoute(BASE + "/{id:path}", delete, permission="write", methods=["DELETE"], name="delete_context"),
    ]


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type=JSON)


def _described(url: str, record: dict[str, Any]) -> dict[str, Any]:
    made = from_micros(int(record["createdAt"] * 1_000_000))
    return {"URL": url, "localId": record.get("id", url), "kind": record["kind"], "createdAt": made}
