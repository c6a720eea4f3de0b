"""Subscriptions over HTTP (ETSI GS CIM 009, 5.8 and 6.10, 6.11): create, list, retrieve, update, delete."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub import subscriptions
from hanmaru.hub.api.request import (
    MAX_LIMIT,
    Call,
    counts,
    integer,
    location,
    nothing,
    options,
    paged,
    read,
    require_body_object,
    respond,
)
from hanmaru.hub.expand import check_uri
from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.local import Hub
from hanmaru.hub.model import LOCATION
from hanmaru.hub.query import And, Has, Node, Or, parse_types
from hanmaru.hub.subscriptions import (
    ANY_TYPE,
    DEFAULT_TRIGGERS,
    KIND,
    STATUS_KIND,
    Notification,
    Selector,
    Status,
    Subscription,
    decode,
    decode_status,
    encode,
)
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import now
from hanmaru.hub.visibility import covers
from hanmaru.platform.access import Access
from hanmaru.platform.policy import GuardedRoute, caller_of, policy_of
from hanmaru.platform.problems import Problem, already_exists, bad_request, not_found

BASE = "/ngsi-ld/v1/subscriptions"
MANAGED = frozenset({"isActive", "expiresAt"})
"""What others than its owner may change of a subscription, which goes on with its owner's rights."""


MayManage = Callable[[Request, str], bool]
"""Whether a request's caller may see and change the subscriptions of an owner other than itself."""


def routes(hub: Hub, may_manage: MayManage | None = None) -> list[GuardedRoute]:
    """Return the routes, with their full paths. A subscription is there for its owner and for who ``may_manage`` it."""
    store = hub.store

    def own(request: Request, subscription: Subscription) -> bool:
        return subscription.owner == caller_of(request).name

    def permitted(request: Request, subscription: Subscription) -> bool:
        return own(request, subscription) or (may_manage is not None and may_manage(request, subscription.owner))

    async def found(request: Request, tenant: str) -> Subscription:
        id = check_uri(request.path_params["id"], "The subscription id")
        document = await store.get_document(KIND, tenant, id)
        if document is None or not permitted(request, subscription := decode(document)):
            raise not_found(f"There is no subscription {id}.")
        return subscription

    def shown(request: Request, subscription: Subscription, status: Status, terms: TermMap) -> dict[str, Any]:
        sys_attrs = "sysAttrs" in options(request.query_params)
        trouble, secrets = hub.owners.trouble(subscription), own(request, subscription)
        return show(subscription, terms, status, now(), sys_attrs=sys_attrs, secrets=secrets, trouble=trouble)

    def access_of(call: Call, owner: str) -> Access:
        """Return what a subscription of the caller may show."""
        if hub.rights is None:
            return call.access
        access = hub.owners.sees(hub.rights, owner, call.access.tenant)
        if access is None:
            raise Problem(403, "Not permitted", "You may see nothing here, so there is nothing to subscribe to.")
        caller = caller_of(call.request)
        if not covers(policy_of(call.request).access(caller, "read", call.access.tenant), access):
            # What is shown follows the owner's roles, and an access token may be for some of them only.
            detail = f"A subscription shows what {owner!r} may see, which is more than you may: ask for all its roles."
            raise Problem(403, "Not permitted", detail)
        return access

    async def status_of(subscription: Subscription) -> Status:
        document = await store.get_document(STATUS_KIND, *subscription.key)
        status = decode_status(document) if document else Status()
        return status if status.of == subscription.created_at else Status()

    async def create(request: Request) -> Response:
        """Create a subscription; 409 where there is one of that id."""
        call = await read(request, hub, body=True)
        members = require_body_object(call)
        owner = caller_of(request).name
        made = subscriptions.parse(members, call.terms, access_of(call, owner), owner, now(), await store.head())
        if made.jsonld_context is not None:
            await hub.contexts.resolve(made.jsonld_context)
        if not await store.put_document(KIND, made.tenant, made.id, encode(made), create=True):
            raise already_exists(f"The subscription {made.id} already exists. Use PATCH, or another id.")
        return nothing(call, 201, location(BASE, made.id))

    async def list_all(request: Request) -> Response:
        """List the tenant's subscriptions by id."""
        call = await read(request, hub)
        limit = integer(call.params, "limit", 20, high=MAX_LIMIT)
        offset = integer(call.params, "offset", 0)
        count = counts(call.params)
        if limit == 0 and not count:
            raise bad_request("limit=0 goes with count=true only.")
        documents = await store.documents(KIND, call.access.tenant)
        every = [s for _, document in documents if permitted(request, s := decode(document.doc))]
        page = every[offset : offset + limit]
        more = limit > 0 and offset + limit < len(every)
        headers = paged(call, limit, offset, len(page), len(every) if count else None, more=more)
        return respond(call, [shown(request, s, await status_of(s), call.terms) for s in page], headers=headers)

    async def retrieve(request: Request) -> Response:
        """Return a subscription with what became of its notifications."""
        call = await read(request, hub)
        subscription = await found(request, call.access.tenant)
        return respond(call, shown(request, subscription, await status_of(subscription), call.terms))

    async def update(request: Request) -> Response:
        """Change a subscription: each member given replaces the old one, ``urn:ngsi-ld:null`` removes it.

        Who may manage others' subscriptions pauses, resumes and ends them.
        """
        call = await read(request, hub, body=True)
        fragment = require_body_object(call)
        old = await found(request, call.access.tenant)
        if not own(request, old) and not fragment.keys() <= MANAGED | {"id", "type", "@context"}:
            detail = f"Of another's subscription you may change {', '.join(sorted(MANAGED))}, or delete it."
            raise Problem(403, "Not permitted", detail)
        access = access_of(call, old.owner) if own(request, old) else old.access
        new = subscriptions.patched(old, fragment, call.terms, access, old.owner, now(), await store.head())
        if new.jsonld_context is not None:
            await hub.contexts.resolve(new.jsonld_context)
        await store.put_document(KIND, new.tenant, new.id, encode(new))
        return nothing(call)

    async def delete(request: Request) -> Response:
        """Delete a subscription; what still waits for delivery is not delivered."""
        call = await read(request, hub)
        subscription = await found(request, call.access.tenant)
        await store.delete_document(KIND, *subscription.key)
        await store.delete_document(STATUS_KIND, *subscription.key)
        return nothing(call)

    one = BASE + "/{id:path}"
    return [
        GuardedRoute(BASE, list_all, permission="read"),
        GuardedRoute(BASE, create, methods=["POST"], permission="write"),
        GuardedRoute(one, retrieve, permission="read"),
        GuardedRoute(one, update, methods=["PATCH"], permission="write"),
        GuardedRoute(one, delete, methods=["DELETE"], permission="write"),
    ]


def show(
    subscription: Subscription,
    terms: TermMap,
    status: Status,
    now: str,
    *,
    sys_attrs: bool,
    secrets: bool,
    trouble: str = "",
) -> dict[str, Any]:
    """Return a subscription as JSON; without ``secrets`` the values of receiverInfo are left out.

    ``trouble`` says why it cannot notify, whatever became of its notifications before.
    """
    s, compact = subscription, terms.compact
    geo = s.geo
    shown: dict[str, Any] = {
        "id": s.id,
        "type": "Subscription",
        "subscriptionName": s.name,
        "description": s.description,
        "entities": [_show_selector(selector, terms) for selector in s.entities],
        "watchedAttributes": [compact(name) for name in s.watched],
        "notificationTrigger": list(s.triggers or (DEFAULT_TRIGGERS if s.interval_s is None else ())),
        "timeInterval": _whole(s.interval_s),
        "throttling": _whole(s.throttling_s),
        "q": s.q.text if s.q else None,
        "geoQ": _show_geo(geo, terms) if geo else None,
        "scopeQ": s.scope_q,
        "lang": s.lang,
        "datasetId": list(s.datasets),
        "localOnly": s.local_only,
        "isActive": s.is_active,
        "expiresAt": s.expires_at,
        "status": "paused" if trouble and s.status(now) == "active" else s.status(now),
        "jsonldContext": s.jsonld_context or (s.context if isinstance(s.context, str) else None),
        "notification": _show_notification(s.notification, terms, status, secrets, trouble),
    }
    if sys_attrs:
        shown |= {"createdAt": s.created_at, "modifiedAt": s.modified_at}
    return _given(shown)


def _whole(seconds: float | None) -> float | None:
    """Return 5 for 5.0, as it was given."""
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in members.items() if value is not None and value != []}


def _show_selector(selector: Selector, terms: TermMap) -> dict[str, Any]:
    text = selector.type.text
    if text != ANY_TYPE:
        text = _show_types(parse_types(text, selector.type.terms()), terms)
    return _given({"type": text, "id": selector.id, "idPattern": selector.id_pattern})


def _show_types(node: Node, terms: TermMap) -> str:
    match node:
        case Has(name):
            return terms.compact(name)
        case Or(parts):
            return "|".join(_show_types(part, terms) for part in parts)
        case And(parts):
            shown = ((_show_types(part, terms), isinstance(part, Or)) for part in parts)
            return ";".join(f"({text})" if nested else text for text, nested in shown)
        case _:
            raise TypeError(node)


def _show_geo(geo: GeoQuery, terms: TermMap) -> dict[str, Any]:
    geometry = msgspec.json.decode(geo.geometry)
    relation = geo.relation + "".join(
        f";{name}=={metres:g}"
        for name, metres in (("maxDistance", geo.max_m), ("minDistance", geo.min_m))
        if metres is not None
    )
    shown = {"geometry": geometry["type"], "coordinates": geometry["coordinates"], "georel": relation}
    return shown if geo.attribute == LOCATION else {**shown, "geoproperty": terms.compact(geo.attribute)}


def _show_notification(n: Notification, terms: TermMap, status: Status, secrets: bool, trouble: str) -> dict[str, Any]:
    endpoint, reason = n.endpoint, trouble or status.reason
    attempted = status.last_notification is not None
    headers = [{"key": key, "value": value} if secrets else {"key": key} for key, value in endpoint.receiver_info]
    return _given(
        {
            "attributes": [terms.compact(name) for name in n.attributes],
            "pick": [terms.compact(name) for name in n.pick],
            "omit": [terms.compact(name) for name in n.omit],
            "format": n.format,
            "sysAttrs": n.sys_attrs or None,
            "endpoint": _given(
                {
                    "uri": endpoint.uri,
                    "accept": endpoint.accept,
                    "timeout": endpoint.timeout,
                    "cooldown": endpoint.cooldown,
                    "receiverInfo": headers,
                }
            ),
            "status": "failed" if reason else "ok" if attempted else None,
            "timesSent": status.sent or None,
            "timesFailed": status.failed or None,
            "lastNotification": status.last_notification,
            "lastSuccess": status.last_success,
            "lastFailure": status.last_failure,
            "lastErrorReason": reason,
        }
    )
