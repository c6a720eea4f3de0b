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
from hanmaru.platform.policy import ANYONE, access_of, caller_of, tenant_of
from hanmaru.platform.problems import CORE_ERRORS, Problem, bad_request, invalid_request

JSON, JSON_LD, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
MERGE_PATCH = "application/merge-patch+json"
CONTEXT_REL = "http://www.w3.org/ns/json-ld#context"
MAX_LIMIT = 1_000
_PARAMETERS = frozenset(
    """id type idPattern attrs pick omit q geometry georel coordinates geoproperty geometryProperty scopeQ lang
    datasetId limit offset count options format sysAttrs local expandValues jsonKeys csf splitEntities entityMap
    entityMapLifetime deleteAll timerel timeAt endTimeAt timeproperty lastN aggrMethods aggrPeriodDuration details
    join joinLevel containedBy orderBy orderFrom orderGeometry collation""".split()
)
_LATER = ("join", "joinLevel", "containedBy", "orderBy", "orderFrom", "orderGeometry", "collation")
_OPTIONS = frozenset(
    """keyValues simplified normalized concise sysAttrs count temporalValues aggregatedValues noOverwrite update
    replace""".split()
)
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
    if request.query_params:
        _check(request.query_params)
    content = context = None
    linked = link_context(headers)
    if body:
        if "content-length" not in headers:
            raise Problem(411, "Length required", "Send the length of the body in Content-Length.")
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in (JSON, JSON_LD, MERGE_PATCH):
            detail = f"Send {JSON} or {JSON_LD}, not {content_type or 'a body without a content type'}."
            raise Problem(415, "Unsupported media type", detail)
        content = decode(await request.body())
        context = _context_in(content, content_type, linked)
    named = context if context is not None else linked
    if named is not None and caller_of(request) is ANYONE and not await hub.contexts.known(named):
        # What a view shows to the world is no reason to ask other servers for whatever the world names.
        raise Problem(401, "Sign in first", "Who has not signed in may name an @context that the hub has, by its URL.")
    terms = await hub.contexts.resolve(named)
    return Call(request, request.query_params, access(request), terms, accepted(headers, accepts), content)


def _check(params: Mapping[str, str]) -> None:
    """Refuse parameters and options that mean nothing (6.3.20), and those that this hub would have to leave out."""
    if unknown := params.keys() - _PARAMETERS:
        raise invalid_request(f"There is no parameter {', '.join(sorted(unknown))}.")
    if unknown := options(params) - _OPTIONS:
        raise invalid_request(f"{', '.join(sorted(unknown))} is none of the options {', '.join(sorted(_OPTIONS))}.")
    for name in _LATER:
        if params.get(name, "@none") != "@none":
            raise not_supported(f"{name} is not offered yet: leave it away.")


def not_supported(detail: str) -> Problem:
    """Refuse what the standard knows and this hub does not do."""
    return Problem(422, "Operation not supported", detail, type=CORE_ERRORS + "OperationNotSupported")


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
    return access_of(request, tenant_of(request))


def accepted(headers: Headers, offered: tuple[str, ...]) -> str:
    """Return the media type to answer in; raise a 406 problem when none of the offered ones is accepted."""
    accept = headers.get("accept")
    if not accept or accept == "*/*":
        return offered[0]
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, *parameters = (p.strip() for p in part.split(";"))
        weights[name] = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)

    def weight(media: str) -> float:
        return next((weights[name] for name in (media, "application/*", "*/*") if name in weights), 0.0)

    best = max(offered, key=weight)  # the first of equals, as the standard wants
    if weight(best) <= 0:
        raise Problem(406, "Not acceptable", f"This resource can be had as {', '.join(offered)}.")
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def names(params: Mapping[str, str], member: str, terms: TermMap) -> tuple[str, ...]:
    """Return the expanded names of a comma-separated parameter."""
    given = [name.strip() for name in params.get(member, "").split(",") if name.strip()]
    if "id" in given or "type" in given:
        raise bad_request(f"{member} names attributes; for id and type use pick.")
    return terms.expand_all(given)


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


def view_of(call: Call, params: Mapping[str, str] | None = None) -> View:
    """Return how the entities of a response are to be shown; ``params`` stand in for the request's own."""
    params, terms = call.params if params is None else params, call.terms
    if not params:
        return View()
    picked = names(params, "attrs", terms)
    pick = frozenset(picked) | {"id", "type", "scope"} if picked else None
    if picked and ("pick" in params or "omit" in params):
        raise bad_request("Give attrs, or pick and omit, not both.")
    if "pick" in params:
        pick = _members(params, "pick", terms)
    omit = _members(params, "omit", terms) if "omit" in params else frozenset[str]()
    if pick and not pick.isdisjoint(omit):
        raise bad_request("A member cannot be both picked and omitted.")
    if "geometryProperty" in params and call.accept != GEO_JSON:
        raise bad_request(f"geometryProperty goes with Accept: {GEO_JSON} only.")
    datasets = params.get("datasetId")
    return View(
        form=form_of(params),
        sys_attrs="sysAttrs" in options(params) or params.get("sysAttrs") == "true",
        pick=pick,
        omit=omit,
        lang=params.get("lang"),
        datasets=frozenset(None if d == "@none" else d for d in datasets.split(",")) if datasets else None,
    )


def _members(params: Mapping[str, str], member: str, terms: TermMap) -> frozenset[str]:
    given = (name.strip() for name in params[member].split(","))
    return frozenset(name if name in ("id", "type", "scope") else terms.expand(name) for name in given)


def respond(call: Call, content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with JSON, with the @context inside or in a Link header as the accepted media type asks (6.3.6)."""
    headers = dict(headers or {})
    if call.access.tenant:
        headers["NGSILD-Tenant"] = call.access.tenant
    inside = call.accept == JSON_LD
    if call.accept == GEO_JSON:
        inside = "body=json" not in call.request.headers.get("prefer", "").replace(" ", "").split(",")
    if inside:
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


def partly(call: Call, content: dict[str, Any]) -> Response:
    """Answer what succeeded only in part: always JSON, names as IRIs because no @context goes with it (6.3.6)."""
    headers = {"NGSILD-Tenant": call.access.tenant} if call.access.tenant else None
    return Response(_encode(content), 207, headers, JSON)


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
    return f'<{call.request.url.path.rstrip("/")}?{urlencode(params)}>;rel="{rel}";type="{call.accept}"'


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
    items = cast("list[Any]", body)
    if None in items:
        raise bad_request("No item of the array may be null.")
    return items
