"""HTTP of the centre, thin: layer snapshots, the live stream, one entity, its history, search, the basemap."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.centre.frames import compact
from hanmaru.centre.live import Feeds
from hanmaru.centre.series import series
from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.access import DEFAULT_TENANT, Access
from hanmaru.platform.policy import GuardedRoute, access_of, caller_of, policy_of
from hanmaru.platform.problems import invalid_request, not_found
from hanmaru.platform.services import Context, Layer, installed

PAGE = 1000
MAX_FEATURES = 50_000
MAX_HOURS = 24 * 366
MAX_POINTS = 1500
MAX_HITS = 20
BASEMAP = ("boundary", "dongs", "water", "green", "buildings", "rail", "roads")


def access_for(request: Request) -> Access:
    """Return what the request's caller may see."""
    return access_of(request, DEFAULT_TENANT)


async def respond(request: Request, value: Any, *, headers: dict[str, str] | None = None) -> Response:
    """Answer in JSON, gzipped where that is accepted and worth it."""
    body = msgspec.json.encode(value)
    headers = {"cache-control": "no-store", "vary": "accept-encoding", **(headers or {})}
    if len(body) > 4096 and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(gzip.compress, body, 1)
        headers["content-encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)


async def snapshot(hub: HubClient, type: str) -> JsonObject:
    """Return all entities of a type as GeoJSON, with the ``seq`` that they are at or ahead of.

    Properties are the attributes that ``compact`` leaves. An entity without a location is a feature without geometry.
    ``truncated`` is true beyond ``MAX_FEATURES``.
    """
    seq = await hub.head()
    features: list[JsonObject] = []
    page: list[JsonObject] = []
    for offset in range(0, MAX_FEATURES, PAGE):
        page = await hub.query(Query(type=type, limit=PAGE, offset=offset), simplified=True, sys_attrs=True)
        for entity in page:
            properties = compact(entity)
            geometry = properties.pop("location", None)
            properties["modifiedAt"] = entity.get("modifiedAt")
            features.append({"type": "Feature", "id": entity["id"], "geometry": geometry, "properties": properties})
        if len(page) < PAGE:
            break
    return {"type": "FeatureCollection", "seq": seq, "truncated": len(page) == PAGE, "features": features}


async def search(hub: HubClient, text: str, languages: Sequence[str]) -> list[JsonObject]:
    """Return at most ``MAX_HITS`` entities whose id or name contains the text: id, type, name, location."""
    pattern = "(?i)" + re.escape(text).replace('"', r"\"")
    names = ["name", *(f"name[{language}]" for language in languages)]
    by_name = Query(q="|".join(f'{name}~="{pattern}"' for name in names), limit=MAX_HITS)
    by_id = Query(id_pattern=f"(?i).*{re.escape(text)}.*", limit=MAX_HITS)
    hits: dict[str, JsonObject] = {}
    for query in (by_name, by_id):
        for entity in await hub.query(query, simplified=True):
            hits.setdefault(entity["id"], {key: entity.get(key) for key in ("id", "type", "name", "location")})
    return list(hits.values())[:MAX_HITS]


def basemap(folder: Path) -> tuple[bytes, str]:
    """Return the GeoJSON collections of a folder, those of ``BASEMAP``, as one gzipped object, and its ETag."""
    parts = {
        name: msgspec.Raw((folder / f"{name}.geojson").read_bytes())
        for name in BASEMAP
        if (folder / f"{name}.geojson").is_file()
    }
    body = msgspec.json.encode(parts)
    return gzip.compress(body, 6, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def number(request: Request, name: str, default: float, most: float) -> float:
    """Return a positive number from the query string, or refuse the request."""
    try:
        value = float(request.query_params.get(name, default))
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise invalid_request(f"{name} has to be a number above 0 and at most {most:g}.")
    return value


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the centre's routes; everything is read with the access of the request's caller."""
    feeds = Feeds(ctx.hub)
    ctx.closing.push_async_callback(feeds.close)
    layers: dict[str, Layer] = {
        f"{service.name}.{layer.id}": layer
        for service in installed(ctx.city.get("services"))
        for layer in service.layers
    }
    languages: Sequence[str] = ctx.city.get("languages", ())
    basemap_cache: list[tuple[bytes, str]] = []

    async def get_layer(request: Request) -> Response:
        layer = layers.get(request.path_params["id"])
        if layer is None:
            raise not_found(f"There is no layer {request.path_params['id']!r}.")
        return await respond(request, await snapshot(ctx.hub.acting(access_for(request)), layer.type))

    async def get_live(request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("after")
        try:
            after = int(seen) if seen else None
        except ValueError:
            raise invalid_request("Last-Event-ID (or after) has to be a sequence number.") from None

        caller, policy, access = caller_of(request), policy_of(request), access_for(request)

        async def events() -> AsyncIterator[bytes]:
            async with feeds.watch(access) as feed:
                async for chunk in feed.stream(after):
                    if policy.access(caller, "read", access.tenant) != access:
                        return  # policy changed: the browser connects again and sees what it may now
                    yield chunk

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    async def get_entity(request: Request) -> Response:
        id = request.path_params["id"]
        entity = await ctx.hub.acting(access_for(request)).retrieve(id, sys_attrs=True)
        if entity is None:
            raise not_found(f"There is no entity {id!r}.")
        return await respond(request, entity)

    async def get_history(request: Request) -> Response:
        id = request.path_params["id"]
        names = [name for name in request.query_params.get("attrs", "").split(",") if name]
        hours = number(request, "hours", 24, MAX_HOURS)
        now = datetime.now(UTC)
        hub = ctx.hub.acting(access_for(request))
        found = await hub.history(id, attrs=names, start=now - timedelta(hours=hours), temporal_values=True)
        attrs = series({key: value for key, value in (found or {}).items() if not names or key in names}, MAX_POINTS)
        return await respond(request, {"id": id, "hours": hours, "attrs": attrs})

    async def get_search(request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        if not 1 <= len(text) <= 100:
            raise invalid_request("q has to be 1 to 100 characters.")
        return await respond(request, await search(ctx.hub.acting(access_for(request)), text, languages))

    async def get_basemap(request: Request) -> Response:
        if not basemap_cache:
            folder = Path(ctx.city.get("basemap_path", ctx.data_dir / "basemap"))
            basemap_cache.append(await asyncio.to_thread(basemap, folder))
        body, etag = basemap_cache[0]
        headers = {"etag": etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        else:
            body = await asyncio.to_thread(gzip.decompress, body)
        return Response(body, media_type="application/json", headers=headers)

    return [
        GuardedRoute("/layers/{id}", get_layer, permission="read"),
        GuardedRoute("/live", get_live, permission="read"),
        GuardedRoute("/entities/{id:path}/history", get_history, permission="read"),
        GuardedRoute("/entities/{id:path}", get_entity, permission="read"),
        GuardedRoute("/search", get_search, permission="read"),
        GuardedRoute("/basemap", get_basemap, permission="read"),
    ]
