"""The one shell: the manifest of what installed services declare, their static modules, and the built web app.

The web app under ``web_dir`` is a build output. Files are found by resolving inside their folder, so that no path
leads out of it, and leave with a content hash as ``ETag`` and a content security policy without inline scripts.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, not_found
from hanmaru.platform.services import Attr, Layer, Page, Panel, Service

WEB_DIR = Path(__file__).parent.parent / "web"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".svg": "image/svg+xml; charset=utf-8",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
    ".data": "application/octet-stream",
    ".tflite": "application/octet-stream",
    ".binarypb": "application/octet-stream",
}
"""What may be served, by suffix; everything else is not found."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
WORKER_POLICY = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What the worker that keeps pages usable without a line may do: fetch what is from here."""
PERMISSIONS_POLICY = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(self), gyroscope=(), magnetometer=(), "
    "microphone=(), payment=(), usb=()"
)
"""What a page may use of a device; `CAMERA_POLICY` is of the pages that say that they take pictures."""
CAMERA_POLICY = PERMISSIONS_POLICY.replace("camera=()", "camera=(self)")
CITY = ("name", "centre", "zone", "languages", "bounds")
"""What the web app is told of the city."""

PAGES = ("/", "/app", "/setup", "/account", "/manage/{page}")
"""Where the web app's own pages are; it looks at the address itself."""

IMMUTABLE = "public, max-age=31536000, immutable"


def attr_document(attr: Attr) -> dict[str, Any]:
    """Return how an attribute is shown, as the web app reads it."""
    return {
        "name": attr.name,
        "label": dict(attr.label),
        "unit": attr.unit,
        "decimals": attr.decimals,
        "scale": attr.scale,
        "steps": [list(step) for step in attr.steps],
    }


def layer_document(service: str, layer: Layer) -> dict[str, Any]:
    """Return a layer as the web app reads it; its id is ``<service>.<layer>``."""
    return {
        "id": f"{service}.{layer.id}",
        "service": service,
        "title": dict(layer.title),
        "type": layer.type,
        "attrs": [attr_document(attr) for attr in layer.attrs],
        "colour": layer.colour,
        "colourBy": layer.colour_by,
        "icon": layer.icon,
        "visible": layer.visible,
    }


def panel_document(service: str, panel: Panel) -> dict[str, Any]:
    """Return a panel as the web app reads it; a module becomes the address it is loaded from."""
    return {
        "id": f"{service}.{panel.id}",
        "service": service,
        "title": dict(panel.title),
        "kind": panel.kind,
        "place": panel.place,
        "types": list(panel.types),
        "attrs": [attr_document(attr) for attr in panel.attrs],
        "hours": panel.hours,
        "module": f"/services/{service}/{panel.module}" if panel.module else None,
    }


def page_document(service: str, page: Page) -> dict[str, Any]:
    """Return a page as the web app reads it; its module becomes the address it is loaded from."""
    return {
        "id": f"{service}.{page.id}",
        "service": service,
        "title": dict(page.title),
        "path": page.path,
        "permission": page.permission,
        "module": f"/services/{service}/{page.module}",
    }


def manifest(services: Sequence[Service[Any]], city: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the shell draws: the city, the services, and their layers, panels, pages and entity types."""
    return {
        "city": {key: city[key] for key in CITY if key in city},
        "services": [{"name": service.name, "title": dict(service.title)} for service in services],
        "types": {kind.name: dict(kind.title) for service in services for kind in service.entity_types},
        "layers": [layer_document(service.name, layer) for service in services for layer in service.layers],
        "panels": [panel_document(service.name, panel) for service in services for panel in service.panels],
        "pages": [page_document(service.name, page) for service in services for page in service.pages],
    }


@lru_cache(maxsize=1024)
def _read(path: Path, _modified: int, _size: int) -> tuple[bytes, str]:
    body = path.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def _find(root: Path, name: str, gzip: bool) -> tuple[Path, bytes, str, bool] | None:
    """Return a file's path, content, ETag and whether the content is the gzipped sibling that the build left."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or path.suffix not in TYPES or not path.is_file():
        return None
    packed = path.with_name(path.name + ".gz")
    chosen = packed if gzip and packed.is_file() else path
    status = chosen.stat()
    body, etag = _read(chosen, status.st_mtime_ns, status.st_size)
    return path, body, etag, chosen is packed


async def send_file(request: Request, root: Path, name: str, *, cache: str = "no-cache") -> Response:
    """Answer with a file of a folder, or with 304 where the browser has it; a 404 problem for anything else."""
    try:
        found = await asyncio.to_thread(_find, root, name, "gzip" in request.headers.get("accept-encoding", ""))
    except (OSError, ValueError):  # names that no file system takes
        found = None
    if found is None:
        raise not_found(f"There is no file {name!r} here.")
    path, body, etag, packed = found
    headers = {"etag": etag, "cache-control": cache, "vary": "accept-encoding"}
    if path.suffix == ".html":
        headers["content-security-policy"] = CONTENT_SECURITY_POLICY
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if packed:
        headers["content-encoding"] = "gzip"
    headers["content-type"] = TYPES[path.suffix]
    return Response(body, headers=headers)


def routes(services: Sequence[Service[Any]], city: Mapping[str, Any], *, web_dir: Path = WEB_DIR) -> list[BaseRoute]:
    """Return the shell's routes.

    ``city`` is what the web app knows of the city: ``name`` (text by language), ``centre`` (lon, lat), ``zone`` (IANA
    time zone), ``languages``, and optionally ``bounds`` (west, south, east, north).
    """
    document = msgspec.json.encode(manifest(services, city))
    public = msgspec.json.encode({key: city[key] for key in ("name", "languages", "zone") if key in city})
    statics = {service.name: service.static for service in services if service.static is not None}
    plain = {"cache-control": "no-cache"}
    fences = {(service.name, file): fence for service in services for file, fence in service.fences.items()}
    pages = {page.path: page.camera for service in services for page in service.pages}

    async def get_manifest(request: Request) -> Response:
        return Response(document, media_type="application/json", headers=plain)

    async def get_city(request: Request) -> Response:
        return Response(public, media_type="application/json", headers=plain)

    async def module(request: Request) -> Response:
        root = statics.get(request.path_params["service"])
        if root is None:
            raise not_found("There is no such service, or it ships no files.")
        answer = await send_file(request, root, request.path_params["file"])
        if fence := fences.get((request.path_params["service"], request.path_params["file"])):
            answer.headers["content-security-policy"] = fence
        return answer

    async def index(request: Request) -> Response:
        if not (web_dir / "index.html").is_file():
            raise Problem(503, "The screen has not been built", "Run: python tools/build_web.py")
        return await send_file(request, web_dir, "index.html")

    async def index_with_camera(request: Request) -> Response:
        answer = await index(request)
        answer.headers["permissions-policy"] = CAMERA_POLICY
        return answer

    async def asset(request: Request) -> Response:
        return await send_file(request, web_dir / "assets", request.path_params["file"], cache=IMMUTABLE)

    async def icon(request: Request) -> Response:
        return await send_file(request, web_dir, "favicon.svg")

    async def worker(request: Request) -> Response:
        answer = await send_file(request, web_dir, "worker.js")
        answer.headers["content-security-policy"] = WORKER_POLICY
        return answer

    return [
        GuardedRoute("/api/shell/v1/manifest", get_manifest, permission="read"),
        GuardedRoute("/api/shell/v1/city", get_city, permission="public"),
        GuardedRoute("/services/{service}/{file:path}", module, permission="public"),
        GuardedRoute("/assets/{file:path}", asset, permission="public"),
        GuardedRoute("/favicon.svg", icon, permission="public"),
        GuardedRoute("/worker.js", worker, permission="public"),
        *(GuardedRoute(path, index, permission="public") for path in PAGES),
        *(
            GuardedRoute(path + below, index_with_camera if camera else index, permission="public")
            for path, camera in pages.items()
            for below in ("", "/{rest:path}")
        ),
    ]
