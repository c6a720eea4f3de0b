"""HTTP of the live city, thin: the stream, a layer as a table, one entity, its history, search, the basemap."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.centre.domain import CentreError
from hanmaru.centre.live.feed import Feed, Feeds, Wanted, declared
from hanmaru.centre.live.filters import parse_filter
from hanmaru.centre.live.geometry import MAX_ZOOM
from hanmaru.centre.live.rows import rows
from hanmaru.centre.series import series
from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.access import DEFAULT_TENANT, Access
from hanmaru.platform.policy import GuardedRoute, access_of, caller_of, policy_of
from hanmaru.platform.problems import invalid_request, not_found
from hanmaru.platform.services import Context, installed

MAX_ROWS = 200
MAX_TILES, MAX_TYPES, MAX_IDS = 64, 16, 16
MAX_HOURS = 24 * 366
MAX_POINTS = 1500
MAX_HITS = 20
BASEMAP = ("boundary", "dongs", "water", "green", "buildings", "rail", "roads")
_TILE = re.compile(r"(\d{1,2})/(\d{1,6})/(\d{1,6})")


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


def several(request: Request, name: str, most: int) -> tuple[str, ...]:
    """Return the parts of a list in the query string, or refuse the request."""
    found = tuple(dict.fromkeys(part for part in request.query_params.get(name, "").split(",") if part))
    if len(found) > most:
        raise invalid_request(f"{name} has to name at most {most}.")
    return found


def wanted_of(request: Request, layers: Sequence[str]) -> Wanted:
    """Return what a request for the stream, live or replayed, looks at; raises Problem 400 for what is none."""
    tiles: list[tuple[int, int, int]] = []
    for text in several(request, "tiles", MAX_TILES):
        found = _TILE.fullmatch(text)
        z, x, y = map(int, found.groups()) if found else (99, 0, 0)
        if z > MAX_ZOOM or max(x, y) >= 1 << z:
            raise invalid_request(f"tiles has to be like 12/3489/1592, with zooms up to {MAX_ZOOM}.")
        tiles.append((z, x, y))
    held: dict[str, int] = {}
    for text in several(request, "held", MAX_TILES + MAX_TYPES + MAX_IDS):
        name, _, seq = text.rpartition("@")
        if not (name and seq.isdecimal() and len(seq) < 19):
            raise invalid_request("held has to be like 12/3489/1592@4711: a view's name and the number it is at.")
        held[name] = int(seq)
    chosen = several(request, "layers", 1000)
    if unknown := sorted({*chosen} - {*layers}):
        raise invalid_request(f"There is no layer {unknown[0]!r}.")
    text = request.query_params.get("filter", "")
    try:
        filter = parse_filter(text) if text else None
    except CentreError as error:
        raise invalid_request(str(error)) from None
    return Wanted(
        tuple(tiles),
        several(request, "types", MAX_TYPES),
        several(request, "ids", MAX_IDS),
        frozenset(chosen) if "layers" in request.query_params else None,
        filter,
        held,
    )


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the live city's routes; everything is read with the access of the request's caller."""
    shown = declared(installed(ctx.city.get("services")))
    layers = dict(shown.layers)
    feeds = Feeds(ctx.hub, lambda hub: Feed(hub, shown))
    ctx.closing.push_async_callback(feeds.close)
    languages: Sequence[str] = ctx.city.get("languages", ())
    basemap_cache: list[tuple[bytes, str]] = []

    async def get_layer(request: Request) -> Response:
        """Answer a page of a layer's entities, sorted and narrowed as the query string says."""
        type = layers.get(request.path_params["id"])
        if type is None:
            raise not_found(f"There is no layer {request.path_params['id']!r}.")
        query = request.query_params
        text = query.get("text", "").strip()
        if len(text) > 100:
            raise invalid_request("text has to be at most 100 characters.")
        first, most = query.get("after", "0"), int(number(request, "limit", 50, MAX_ROWS))
        if not first.isdecimal() or len(first) > 9:
            raise invalid_request("after has to be the next of an answer before.")
        filter = wanted_of(request, [*layers]).filter
        async with feeds.watch(access_for(request)) as feed, feed.narrow(filter) as selection:
            await feed.ready.wait()
            found = await asyncio.to_thread(
                rows,
                list(feed.world.by_type[type].values()),
                by=query.get("sort", "name"),
                down=query.get("down") == "1",
                text=text,
                language=query.get("lang", "en"),
                selection=selection,
            )
        after = int(first)
        page = found[after : after + max(1, most)]
        items = [{"id": one.id, "types": one.types, "values": one.values} for one in page]
        more = after + len(page) < len(found)
        next = str(after + len(page)) if more else None
        return await respond(request, {"items": items, "next": next, "count": len(found), "seq": feed.world.seq})

    async def get_live(request: Request) -> Response:
        wanted = wanted_of(request, [*layers])
        caller, policy, access = caller_of(request), policy_of(request), access_for(request)
        if wanted.filter is not None:
            async with feeds.watch(access) as feed, feed.narrow(wanted.filter):
                pass  # what the hub refuses is refused before the stream begins

        async def events() -> AsyncIterator[bytes]:
            async with feeds.watch(access) as feed, aclosing(feed.stream(wanted)) as stream:
                async for chunk in stream:
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
