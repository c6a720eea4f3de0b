"""What every NGSI-LD route reads from a request and puts into a response: tenant, @context, view, body, links."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub.compact import Form, View
from hanmaru.hub.contexts import Context
from hanmaru.hub.local import Hub
from hanmaru.hub.terms import CORE_CONTEXT_URL, TermMap
from hanmaru.platform.access import Access
from hanmaru.platform.policy import access_of, caller_of
from hanmaru.platform.problems import CORE_ERRORS, Problem, bad_request, invalid_request

JSON, JSON_LD, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
MERGE_PATCH = "application/merge-patch+json"
CONTEXT_REL = "http://www.w3.org/ns/json-ld#context"
MAX_LIMIT = 1_000
_RESERVED = "%:/?#[]@!$&'()*+,;=~"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its parameters, what the caller may see, and the names it speaks in."""

    request: Request
    params: Mapping[str, str]
    access: Access
    terms: TermMap
    accept: str
    body: Any = None


async def read(request: Request, hub: Hub, *, body: bool = False, accepts: tuple[str, ...] = (JSON, JSON_LD)) -> Call:
    """Read a request; raise a problem for a body, header or @context that is not right."""
    headers = request.headers
    content = context = None
    linked = link_context(headers)
    if body:
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in (JSON, JSON_LD, MERGE_PATCH):
            detail = f"Send {JSON} or {JSON_LD}, not {content_type or 'a body without a content type'}."
            raise Problem(415, "Unsupported media type", detail)
        content = decode(await request.body())
        context = _context_in(content, content_type, linked)
    terms = await hub.contexts.resolve(context if context is not None else linked)
    return Call(request, request.query_params, access(request), terms, accepted(headers, accepts), content)


def decode(raw: bytes) -> Any:
    """Return a body's JSON; raise a 400 problem that says where it is broken."""
    if not raw:
        raise invalid_request("The body is empty; send a JSON document.")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_request(f"The body is not JSON: {error}") from None


def _context_in(content: Any, content_type: str, linked: str | None) -> Context | None:
    items = cast("list[Any]", content) if isinstance(content, list) else [content]
    first: object = items[0] if items else None
    inline = cast("dict[str, Any]", first).get("@context") if isinstance(first, dict) else None
    if content_type == JSON_LD:
        if linked is not None:
            raise bad_request(f"A body of {JSON_LD} carries its own @context: leave the Link header away.")
        if inline is None and isinstance(content, dict):
            raise bad_request(f"A body of {JSON_LD} must have an @context.")
        return inline
    if inline is not None:
        raise bad_request(f"A body with an @context must be sent as {JSON_LD}.")
    return None


def link_context(headers: Headers) -> str | None:
    """Return the URL of the @context that a Link header names."""
    for link in headers.getlist("link"):
        for part in link.split(","):
            target, _, rest = part.partition(";")
            if CONTEXT_REL in rest and target.strip().startswith("<") and target.strip().endswith(">"):
                return target.strip()[1:-1]
    return None


def access(request: Request) -> Access:
    """Return what the caller may see in the tenant that the request names."""
    tenant = request.headers.get("ngsild-tenant", "")
    if tenant and not (len(tenant) <= 128 and tenant.replace("-", "").replace("_", "").isalnum()):
        raise bad_request("NGSILD-Tenant must be letters, digits, hyphens and underscores, at most 128.")
    return access_of(caller_of(request), tenant)


def accepted(headers: Headers, offered: tuple[str, ...]) -> str:
    """Return the media type to answer in; raise a 406 problem when none of the offered ones is accepted."""
    accept = headers.get("accept")
    if not accept or accept == "*/*":
        return offered[0]
    best, weight = "", 0.0
    for part in accept.lower().split(","):
        name, *parameters = (p.strip() for p in part.split(";"))
        quality = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        for media in offered:
            if quality > weight and name in (media, "*/*", "application/*"):
                best, weight = media, quality
    if not best:
        raise Problem(406, "Not acceptable", f"This resource can be had as {', '.join(offered)}.")
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def names(params: Mapping[str, str], member: str, terms: TermMap) -> tuple[str, ...]:
    """Return the expanded names of a comma-separated parameter."""
    text = params.get(member)
    return terms.expand_all(name.strip() for name in text.split(",") if name.strip()) if text else ()


def integer(params: Mapping[str, str], member: str, default: int, *, low: int = 0, high: int = 1 << 31) -> int:
    """Return a whole number parameter; raise a 400 problem outside its bounds."""
    text = params.get(member)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and low <= int(text) <= high):
        raise bad_request(f"{member} must be a whole number from {low} to {high}, not {text!r}.")
    return int(text)


def flag(params: Mapping[str, str], member: str) -> bool:
    """Return a true or false parameter."""
    text = params.get(member, "false")
    if text not in ("true", "false"):
        raise bad_request(f"{member} must be true or false, not {text!r}.")
    return text == "true"


def counts(params: Mapping[str, str]) -> bool:
    """Whether the number of all matches is asked for, by ``count=true`` or as some clients do by ``options=count``."""
    return flag(params, "count") or "count" in options(params)


def options(params: Mapping[str, str]) -> frozenset[str]:
    """Return the values of ``options`` and ``format``."""
    both = f"{params.get('options', '')},{params.get('format', '')}"
    return frozenset(option.strip() for option in both.split(",")) - {""}


def form_of(params: Mapping[str, str]) -> Form:
    """Return the representation that is asked for."""
    wanted = options(params)
    if wanted & {"keyValues", "simplified"}:
        return "simplified"
    return "concise" if "concise" in wanted else "normalized"


def view_of(call: Call) -> View:
    """Return how the entities of a response are to be shown."""
    params, terms = call.params, call.terms
    if not params:
        return View()
    picked = (*names(params, "attrs", terms),)
    pick = frozenset(picked) | {"id", "type", "scope"} if picked else None
    if "pick" in params:
        pick = frozenset(_members(params, "pick", terms))
    datasets = params.get("datasetId")
    return View(
        form=form_of(params),
        sys_attrs="sysAttrs" in options(params) or params.get("sysAttrs") == "true",
        pick=pick,
        omit=frozenset(_members(params, "omit", terms)),
        lang=params.get("lang"),
        datasets=frozenset(None if d == "@none" else d for d in datasets.split(",")) if datasets else None,
    )


def _members(params: Mapping[str, str], member: str, terms: TermMap) -> list[str]:
    given = [name.strip() for name in params.get(member, "").split(",") if name.strip()]
    return [name if name in ("id", "type", "scope") else terms.expand(name) for name in given]


def respond(call: Call, content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, with the @context inside or in a Link header as the accepted media type asks."""
    headers = dict(headers or {})
    if call.access.tenant:
        headers["NGSILD-Tenant"] = call.access.tenant
    if call.accept == JSON_LD:
        context = call.terms.to_show()
        if isinstance(content, list):
            items = cast("list[Any]", content)
            content = [{**item, "@context": context} if isinstance(item, dict) else item for item in items]
        else:
            content = {**content, "@context": context}
    else:
        pages = headers.get("Link")
        headers["Link"] = f"{pages}, {link_header(call.terms)}" if pages else link_header(call.terms)
    return Response(_encode(content), status, headers, call.accept)


def link_header(terms: TermMap) -> str:
    """Return the Link header of a response; an inline @context can only be named by the core one."""
    url = terms.reference if isinstance(terms.reference, str) else CORE_CONTEXT_URL
    return f'<{quote(url, safe=_RESERVED)}>; rel="{CONTEXT_REL}"; type="{JSON_LD}"'


def nothing(call: Call, status: int = 204, headers: dict[str, str] | None = None) -> Response:
    """Answer without a body."""
    headers = dict(headers or {})
    if call.access.tenant:
        headers["NGSILD-Tenant"] = call.access.tenant
    return Response(status_code=status, headers=headers)


def location(base: str, id: str) -> dict[str, str]:
    """Return the header that says where a new resource is."""
    escaped = quote(id, safe=":/@!$&'()*+,;=~")
    return {"Location": f"{base}/{escaped}"}


def paged(call: Call, limit: int, offset: int, got: int, count: int | None, *, more: bool) -> dict[str, str]:
    """Return the headers of a page: the count when asked for, links to the neighbours where there are any."""
    headers: dict[str, str] = {}
    if count is not None:
        headers["NGSILD-Results-Count"] = str(count)
    links: list[str] = []
    if offset > 0:
        links.append(_page_link(call, max(offset - limit, 0), limit, "prev"))
    if more:
        links.append(_page_link(call, offset + got, limit, "next"))
    if links:
        headers["Link"] = ", ".join(links)
    return headers


def _page_link(call: Call, offset: int, limit: int, rel: str) -> str:
    params = {**dict(call.params), "offset": str(offset), "limit": str(limit)}
    return f'<{call.request.url.path}?{urlencode(params)}>; rel="{rel}"; type="{call.accept}"'


def require_body_object(call: Call) -> dict[str, Any]:
    """Return the body as an object; raise a 400 problem when it is none."""
    body: object = call.body
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return cast("dict[str, Any]", body)


def require_body_list(call: Call) -> list[Any]:
    """Return the body as a list with something in it; raise a 400 problem when it is none."""
    body: object = call.body
    if not isinstance(body, list) or not body:
        raise bad_request("The body must be a JSON array with at least one item.")
    return cast("list[Any]", body)


def too_many(what: str) -> Problem:
    """Refuse a page that is too large."""
    return Problem(403, "Too many results", what, type=CORE_ERRORS + "TooManyResults")
