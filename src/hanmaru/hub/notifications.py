"""What a subscriber receives (ETSI GS CIM 009, 5.3.1): what is kept of a change until then, its body and headers."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from hanmaru.hub import compact
from hanmaru.hub.compact import Form, View
from hanmaru.hub.contexts import Contexts
from hanmaru.hub.model import LOCATION, NULL, Attribute, Change, Entity
from hanmaru.hub.subscriptions import Subscription
from hanmaru.hub.terms import CORE_TERMS, TermMap
from hanmaru.hub.visibility import attributes_seen, only
from hanmaru.platform.access import Access

JSON, JSON_LD, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
CONTEXT_REL = "http://www.w3.org/ns/json-ld#context"
_FORMS: dict[str, Form] = {"keyValues": "simplified", "simplified": "simplified", "concise": "concise"}


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entity of a notification, and the attributes that the change took from it, as they were."""

    entity: Entity
    gone: dict[str, tuple[Attribute, ...]] = {}


class Parcel(msgspec.Struct, frozen=True):
    """What a stored delivery holds: items of changes ``first`` to ``last``, put together at ``at`` (microseconds).

    ``seen`` is the fingerprint of the access that the items were made for.
    """

    first: int
    last: int
    at: int
    items: list[Item]
    seen: str = ""


decode_parcel = msgspec.json.Decoder(Parcel).decode
_encode = msgspec.json.Encoder().encode


def item_of(change: Change, access: Access, *, removed: bool) -> Item:
    """Return what a subscriber may see of a change; ``removed`` keeps the attributes that it deleted."""
    visible = attributes_seen(access, change.entity)
    entity = only(change.entity, visible)
    if change.kind == "deleted":
        return Item(replace(entity, attrs={}))
    if not removed or not change.gone:
        return Item(entity)
    return Item(entity, {n: i for n, i in change.gone.items() if visible is None or n in visible})


def encode_parcel(first: int, last: int, at: int, items: Sequence[bytes], seen: str) -> bytes:
    """Return a `Parcel` of encoded items."""
    raw = [msgspec.Raw(item) for item in items]
    return _encode({"first": first, "last": last, "at": at, "items": raw, "seen": seen})


def encode_item(item: Item) -> bytes:
    """Return an item as it stands in a parcel."""
    return _encode(item)


async def terms_of(subscription: Subscription, contexts: Contexts) -> TermMap:
    """Return the names that a subscriber speaks; a context that no Link header can name gives way to the core one.

    Raises a 504 problem when the @context cannot be had.
    """
    terms = await contexts.resolve(subscription.jsonld_context or subscription.context)
    linked = subscription.notification.endpoint.accept != JSON_LD
    return CORE_TERMS if linked and not isinstance(terms.reference, str) else terms


def view_of(subscription: Subscription) -> View:
    """Return how a subscription wants its entities."""
    n = subscription.notification
    pick = frozenset({"id", "type", "scope", *n.attributes}) if n.attributes else frozenset(n.pick) or None
    return View(
        form=_FORMS.get(n.format, "normalized"),
        sys_attrs=n.sys_attrs,
        pick=pick,
        omit=frozenset(n.omit),
        lang=subscription.lang,
        datasets=frozenset(None if d == "@none" else d for d in subscription.datasets) or None,
    )


def render(
    subscription: Subscription, terms: TermMap, items: Sequence[Item], id: str, now: str
) -> tuple[dict[str, str], bytes]:
    """Return a notification's headers and body."""
    endpoint, view = subscription.notification.endpoint, view_of(subscription)
    accept = endpoint.accept or JSON
    data: Any
    if accept == GEO_JSON:
        geometry = subscription.geo.attribute if subscription.geo else LOCATION
        data = {"type": "FeatureCollection", "features": [_feature(item, terms, view, geometry) for item in items]}
    else:
        data = [_entity(item, terms, view) for item in items]
    body: dict[str, Any] = {
        "id": id,
        "type": "Notification",
        "subscriptionId": subscription.id,
        "notifiedAt": now,
        "data": data,
    }
    headers = {"Content-Type": accept}
    if subscription.tenant:
        headers["NGSILD-Tenant"] = subscription.tenant
    if accept == JSON_LD:
        body["@context"] = terms.to_show()
    else:
        headers["Link"] = f'<{terms.reference}>; rel="{CONTEXT_REL}"; type="{JSON_LD}"'
    own = {name.lower() for name, _ in endpoint.receiver_info}
    kept = {name: value for name, value in headers.items() if name.lower() not in own}
    return kept | dict(endpoint.receiver_info), _encode(body)


def _entity(item: Item, terms: TermMap, view: View) -> dict[str, Any]:
    entity = item.entity
    attrs = dict(entity.attrs)
    for name, instances in item.gone.items():  # deleted ones are null, with the instant where times are asked for
        gone = [replace(i, value=NULL, attrs={}, observed_at=None, unit_code=None) for i in instances]
        nulls = (replace(instance, deleted_at=entity.modified_at) for instance in gone)
        attrs[name] = (*attrs.get(name, ()), *nulls)
    shown = compact.entity(replace(entity, attrs=attrs), terms, view)
    if entity.deleted_at is not None:
        shown["deletedAt"] = entity.deleted_at
    return shown


def _feature(item: Item, terms: TermMap, view: View, geometry: str) -> Mapping[str, Any]:
    feature = compact.feature(item.entity, terms, view, geometry)
    if view.pick is not None and "id" not in view.pick:
        feature["id"] = item.entity.id
    shown = _entity(item, terms, view)
    shown.pop("id", None)
    return feature | {"properties": shown}
