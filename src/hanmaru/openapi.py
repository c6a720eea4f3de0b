"""The OpenAPI 3.1 document, made from the routes as they are declared, and the page that shows it without internet."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

from starlette.routing import BaseRoute

from hanmaru.platform.policy import GuardedRoute, walk

_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of the guarded routes.

    An endpoint's docstring gives summary and description, its path the path parameters, its permission the security
    and refusals; the route's ``spec`` adds the rest.
    """
    paths: dict[str, dict[str, Any]] = {}
    for path, route in walk(routes):
        if isinstance(route, GuardedRoute):
            operations = paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
            for method in sorted((route.methods or set()) - {"HEAD"}):
                operations[method.lower()] = _operation(path, route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hanmaru",
            "version": version("hanmaru"),
            "summary": "A smart-city data hub: NGSI-LD and the city services that live on it",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": "hanmaru_session"},
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457 problem details",
                    "required": ["type", "title", "status"],
                    "properties": {
                        "type": {"type": "string", "format": "uri-reference"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            },
        },
    }


def _operation(path: str, route: GuardedRoute, method: str) -> dict[str, Any]:
    summary, _, description = cleandoc(route.endpoint.__doc__ or route.name).partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_')}",
        "summary": " ".join(summary.split()).rstrip("."),
        "tags": [_tag(path)],
        "responses": {"2XX": {"description": "Done"}, "4XX": {"description": "Refused", **_PROBLEM}},
    }
    if description:
        operation["description"] = description
    if route.permission != "public":
        operation["security"] = [{"basic": []}, {"session": []}]
        operation["responses"] |= {
            "401": {"description": "Not signed in", **_PROBLEM},
            "403": {"description": f"No role that grants {route.permission!r}", **_PROBLEM},
        }
    spec = dict(route.spec)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
    if parameters or "parameters" in spec:
        operation["parameters"] = parameters + list(spec.pop("parameters", ()))
    operation["responses"] |= spec.pop("responses", {})
    return operation | spec


def _tag(path: str) -> str:
    if path.startswith("/ngsi-ld/"):
        return "NGSI-LD"
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "api" else "hub"


_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}
details{border-bottom:1px solid #8884}summary{padding:.4rem 0;cursor:pointer}code{font-size:.95em}
b{display:inline-block;min-width:4.5rem}p,ul{margin:.3rem 0 .6rem 4.5rem}small{opacity:.75}.whole{margin:0}
"""
_STYLE_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
"""What the page is sent with: it may load nothing, and is styled by its own style alone."""
_TEXTS = {
    "en": ("HTTP interface", "Everything as an OpenAPI 3.1 document", "without signing in", "permission"),
    "ko": ("HTTP 인터페이스", "OpenAPI 3.1 문서 전체", "로그인 없이", "권한"),
}


def page(routes: Iterable[BaseRoute], language: str) -> str:
    """Return an HTML page of the document in a language (``en`` or ``ko``); endpoints speak English."""
    title, whole, public, permission = _TEXTS.get(language, _TEXTS["en"])
    groups: dict[str, list[str]] = {}
    permissions = {
        (m, p): r.permission for p, r in walk(routes) if isinstance(r, GuardedRoute) for m in r.methods or ()
    }
    for path, method, operation in _operations(document(routes)):
        asked = permissions.get((method, path), "public")
        needs = public if asked == "public" else f"{permission}: {asked}"
        items = "".join(
            f"<li><code>{escape(p['name'])}</code> <small>{escape(p['in'])}</small> {escape(p.get('description', ''))}"
            for p in operation.get("parameters", ())
        )
        described = escape(operation.get("description", ""))
        groups.setdefault(operation["tags"][0], []).append(
            f"<details><summary><b>{method}</b><code>{escape(path)}</code> — {escape(operation['summary'])}</summary>"
            f"<p>{described}</p><ul>{items}</ul><p><small>{escape(needs)}</small></p></details>"
        )
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in groups.items())
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Hanmaru: '
        f"{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
        f'<p class="whole"><a href="/openapi.json">{whole}</a></p>'
        f"{body}</html>"
    )


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation
