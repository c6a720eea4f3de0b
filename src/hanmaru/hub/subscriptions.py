"""Subscriptions (ETSI GS CIM 009, 5.2.12): from a request's JSON to a typed value that is stored.

Names are expanded when a subscription is made. Texts that are parsed again (``q``, type selections) keep the names they
use with their IRIs, so that neither a restart nor a context server that is away changes what they mean.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from hanmaru.hub.expand import check_uri
from hanmaru.hub.geometry import GeoQuery, parse_geo
from hanmaru.hub.model import NULL
from hanmaru.hub.query import Node, check_pattern, parse_q, parse_scopes, parse_types
from hanmaru.hub.terms import CORE_CONTEXT_URL, TermMap
from hanmaru.hub.times import canonical, micros
from hanmaru.platform.access import DEFAULT_TENANT, Access, Area, Grant
from hanmaru.platform.problems import Problem, bad_request

KIND, STATUS_KIND = "subscription", "subscription_status"
"""The document kinds under which a store keeps subscriptions, and their delivery counters apart from them."""

Trigger = Literal[
    "entityCreated", "entityUpdated", "entityDeleted", "attributeCreated", "attributeUpdated", "attributeDeleted"
]
TRIGGERS: tuple[str, ...] = get_args(Trigger)
DEFAULT_TRIGGERS = ("attributeCreated", "attributeUpdated")
FORMATS = ("normalized", "concise", "keyValues", "simplified")
ACCEPTS = ("application/json", "application/ld+json", "application/geo+json")
ANY_TYPE = "*"
MAX_SELECTORS = 1_000

_TOP = frozenset(
    """id type subscriptionName description entities watchedAttributes notificationTrigger timeInterval q geoQ scopeQ
    lang isActive expiresAt throttling datasetId jsonldContext localOnly notification @context""".split()
)
_READ_ONLY = frozenset({"status", "createdAt", "modifiedAt"})
_NOTIFICATION = frozenset("attributes pick omit format sysAttrs showChanges endpoint".split())
_NOTIFICATION_READ_ONLY = frozenset(
    "status timesSent timesFailed lastNotification lastSuccess lastFailure lastErrorReason".split()
)
_ENDPOINT = frozenset("uri accept timeout cooldown receiverInfo notifierInfo".split())
_GEO = frozenset("geometry coordinates georel geoproperty".split())
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})


class Phrase(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text of the query language as given, with the IRI of each name in it."""

    text: str
    names: dict[str, str] = {}

    def terms(self) -> TermMap:
        """Return the term map by which the text is to be read."""
        return TermMap(self.names, {}, None, None)


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entities of a type selection; with ``id`` that one, with ``id_pattern`` those whose id matches."""

    type: Phrase
    id: str | None = None
    id_pattern: str | None = None


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where notifications go; ``timeout`` and ``cooldown`` in milliseconds, ``receiver_info`` are HTTP headers."""

    uri: str
    accept: str | None = None
    timeout: int | None = None
    cooldown: int | None = None
    receiver_info: tuple[tuple[str, str], ...] = ()


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a notification shows, and where it goes; names are expanded."""

    endpoint: Endpoint
    attributes: tuple[str, ...] = ()
    pick: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    format: str = "normalized"
    sys_attrs: bool = False


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subscription as it is stored.

    Changes up to ``since`` in the outbox are none of its business. ``access`` is what its ``owner`` could see when last
    writing it, which counts where the hub cannot ask what that is now; ``context`` is that request's @context.
    """

    id: str
    tenant: str
    access: Access
    owner: str
    since: int
    created_at: str
    modified_at: str
    notification: Notification
    entities: tuple[Selector, ...] = ()
    watched: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    q: Phrase | None = None
    geo: GeoQuery | None = None
    scope_q: str | None = None
    name: str | None = None
    description: str | None = None
    lang: str | None = None
    is_active: bool | None = None
    expires_at: str | None = None
    throttling_s: float | None = None
    interval_s: float | None = None
    datasets: tuple[str, ...] = ()
    local_only: bool | None = None
    jsonld_context: str | None = None
    context: Any = CORE_CONTEXT_URL

    @property
    def key(self) -> tuple[str, str]:
        """What names it in the whole store."""
        return self.tenant, self.id

    def status(self, now: str) -> Literal["active", "paused", "expired"]:
        """Return whether it notifies at an instant."""
        if self.expires_at is not None and micros(self.expires_at) <= micros(now):
            return "expired"
        return "paused" if self.is_active is False else "active"


class Status(msgspec.Struct, omit_defaults=True):
    """What became of a subscription's notifications; ``of`` is the instant at which that subscription was created."""

    of: str = ""
    sent: int = 0
    failed: int = 0
    last_notification: str | None = None
    last_success: str | None = None
    last_failure: str | None = None
    reason: str | None = None


class _FirstAccess(msgspec.Struct):
    """An access as subscriptions were first stored with it: one grant, its members beside the rest."""

    tenant: str = DEFAULT_TENANT
    types: frozenset[str] | None = None
    scopes: tuple[str, ...] | None = None
    attributes: frozenset[str] | None = None
    area: Area | None = None
    write: bool = False
    grants: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Stored(msgspec.Struct):
    access: _FirstAccess


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Subscription).decode
_decode_stored = msgspec.json.Decoder(_Stored).decode
decode_status = msgspec.json.Decoder(Status).decode


def decode(document: bytes) -> Subscription:
    """Return a subscription as it was stored, by whichever version."""
    found, old = _decode(document), _decode_stored(document).access
    if old.grants is not msgspec.UNSET:
        return found
    grant = Grant(old.types, old.scopes, old.attributes, old.area)
    return replace(found, access=Access(old.tenant, (grant,), old.write))


def parse(
    document: Mapping[str, Any], terms: TermMap, access: Access, owner: str, now: str, since: int
) -> Subscription:
    """Return a new subscription; raise a 400 problem that says what is wrong and what to do about it."""
    _known(document, _TOP | _READ_ONLY, "a subscription")
    if document.get("type") != "Subscription":
        raise bad_request('The body must have "type": "Subscription".')
    if "notification" not in document:
        raise bad_request("A subscription needs a notification with an endpoint: where is it to be sent?")
    id = check_uri(document["id"], "id") if "id" in document else f"urn:ngsi-ld:Subscription:{uuid4()}"
    fields = _fields(document, terms)
    made = Subscription(
        id=id,
        tenant=access.tenant,
        access=access,
        owner=owner,
        since=since,
        created_at=now,
        modified_at=now,
        context=terms.reference,
        **fields,
    )
    return _checked(made, now)


def patched(
    old: Subscription, fragment: Mapping[str, Any], terms: TermMap, access: Access, owner: str, now: str, head: int
) -> Subscription:
    """Return a subscription changed by a fragment: each member given replaces, ``urn:ngsi-ld:null`` removes.

    Changes up to ``head`` are forgotten when this makes it active.
    """
    _known(fragment, _TOP | _READ_ONLY, "a subscription")
    if fragment.get("type", "Subscription") != "Subscription":
        raise bad_request('The "type" of a subscription is "Subscription".')
    if fragment.get("id", old.id) != old.id:
        raise bad_request("The id of a subscription cannot change; delete it and create another.")
    fields = _fields({m: v for m, v in fragment.items() if v != NULL}, terms)
    for member in (member for member, value in fragment.items() if value == NULL):
        if member not in _FIELDS or member == "notification":
            raise bad_request(f"{member} cannot be removed from a subscription.")
        fields[_FIELDS[member][0]] = getattr(_EMPTY, _FIELDS[member][0])
    if terms.reference != CORE_CONTEXT_URL:
        fields["context"] = terms.reference
    new = replace(old, access=access, owner=owner, modified_at=now, **fields)
    if new.status(now) == "active" and old.status(now) != "active":
        new = replace(new, since=head)
    return _checked(new, now, expires="expiresAt" in fragment)


def _checked(made: Subscription, now: str, *, expires: bool = True) -> Subscription:
    """Return a subscription whose members go together."""
    if made.interval_s is not None:
        if made.watched or made.throttling_s is not None or made.triggers:
            raise bad_request(
                "timeInterval notifies periodically whatever changes: leave it away, or leave watchedAttributes, "
                "notificationTrigger and throttling away."
            )
        if not made.entities:
            raise bad_request("A subscription with timeInterval needs entities: which ones are to be reported?")
    if not made.entities and not made.watched:
        raise bad_request("Give at least one of entities and watchedAttributes: what is to be watched?")
    if expires and made.expires_at is not None and micros(made.expires_at) <= micros(now):
        raise bad_request(f"expiresAt {made.expires_at} is in the past; give a later instant or leave it away.")
    shown = made.notification
    if shown.attributes and (shown.pick or shown.omit):
        raise bad_request("notification: give attributes, or pick and omit, not both.")
    if both := set(shown.pick) & set(shown.omit):
        raise bad_request(f"notification: {', '.join(sorted(both))} is both picked and omitted.")
    return made


def _fields(members: Mapping[str, Any], terms: TermMap) -> dict[str, Any]:
    return {
        field: read(members[member], member, terms) for member, (field, read) in _FIELDS.items() if member in members
    }


def _known(members: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    for member in members:
        if member not in known:
            raise bad_request(f"{member!r} is no member of {what}. Its members are: {', '.join(sorted(known))}.")


def _text(value: object, member: str, terms: TermMap) -> str:
    if not isinstance(value, str) or not value:
        raise bad_request(f"{member} must be a text, not {value!r}.")
    return value


def _flag(value: object, member: str, terms: TermMap) -> bool:
    if not isinstance(value, bool):
        raise bad_request(f"{member} must be true or false, not {value!r}.")
    return value


def _seconds(value: object, member: str, terms: TermMap) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise bad_request(f"{member} must be a number of seconds greater than 0, not {value!r}.")
    return value


def _milliseconds(value: object, member: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 86_400_000:
        raise bad_request(f"{member} must be a whole number of milliseconds greater than 0, not {value!r}.")
    return value


def _object(value: object, member: str, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_request(f"{member} must be an object.")
    members = cast("dict[str, Any]", value)
    _known(members, known, member)
    return members


def _texts(value: object, member: str) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not items or not all(isinstance(item, str) and item for item in items):
        raise bad_request(f"{member} must be a list with at least one name.")
    return tuple(dict.fromkeys(cast("list[str]", items)))


def _names(value: object, member: str, terms: TermMap) -> tuple[str, ...]:
    return terms.expand_all(_texts(value, member))


def _members(value: object, member: str, terms: TermMap) -> tuple[str, ...]:
    """Return expanded names among which ``id``, ``type`` and ``scope`` stand for themselves."""
    return tuple(n if n in ("id", "type", "scope") else terms.expand(n) for n in _texts(value, member))


def _triggers(value: object, member: str, terms: TermMap) -> tuple[str, ...]:
    for trigger in (found := _texts(value, member)):
        if trigger not in TRIGGERS:
            raise bad_request(f"{member}: {trigger!r} is none of {', '.join(TRIGGERS)}.")
    return found


def _datasets(value: object, member: str, terms: TermMap) -> tuple[str, ...]:
    return tuple(d if d == "@none" else check_uri(d, member) for d in _texts(value, member))


def _instant(value: object, member: str, terms: TermMap) -> str:
    return canonical(value, member)


def _uri(value: object, member: str, terms: TermMap) -> str:
    return check_uri(value, member)


class _Recorder(TermMap):
    """Expands as another term map does, and remembers each name that was asked for."""

    __slots__ = ("_other", "names")

    def __init__(self, other: TermMap) -> None:
        self._other, self.names = other, dict[str, str]()

    def expand(self, term: str) -> str:
        iri = self.names[term] = self._other.expand(term)
        return iri


def _phrase(text: str, terms: TermMap, parse: Callable[[str, TermMap], Node]) -> Phrase:
    recorder = _Recorder(terms)
    parse(text, recorder)
    return Phrase(text, recorder.names)


def _q(value: object, member: str, terms: TermMap) -> Phrase:
    return _phrase(_text(value, member, terms), terms, parse_q)


def _scope_q(value: object, member: str, terms: TermMap) -> str:
    parse_scopes(text := _text(value, member, terms))
    return text


def _geo(value: object, member: str, terms: TermMap) -> GeoQuery:
    members = _object(value, member, _GEO)
    found = parse_geo(members, terms)
    if found is None:
        raise bad_request(f"{member} needs georel, geometry and coordinates.")
    return found


def _selectors(value: object, member: str, terms: TermMap) -> tuple[Selector, ...]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not 0 < len(items) <= MAX_SELECTORS:
        raise bad_request(f"{member} must be a list of 1 to {MAX_SELECTORS} objects with a type, and id or idPattern.")
    return tuple(_selector(item, terms) for item in items)


def _selector(value: object, terms: TermMap) -> Selector:
    members = _object(value, "an item of entities", frozenset({"id", "idPattern", "type"}))
    if "type" not in members:
        raise bad_request("Each item of entities needs a type; * stands for any.")
    text = _text(members["type"], "type", terms)
    return Selector(
        Phrase(text) if text == ANY_TYPE else _phrase(text, terms, parse_types),
        check_uri(members["id"], "id") if "id" in members else None,
        check_pattern(_text(members["idPattern"], "idPattern", terms), "idPattern") if "idPattern" in members else None,
    )


def _notification(value: object, member: str, terms: TermMap) -> Notification:
    members = _object(value, member, _NOTIFICATION | _NOTIFICATION_READ_ONLY)
    if "endpoint" not in members:
        raise bad_request("notification needs an endpoint with a uri: where is it to be sent?")
    if members.get("showChanges", False) is not False:
        detail = "showChanges is not offered yet: notifications carry the new values only. Leave it away."
        raise Problem(501, "Not implemented", detail)
    form = members.get("format", "normalized")
    if form not in FORMATS:
        raise bad_request(f"notification.format must be one of {', '.join(FORMATS)}, not {form!r}.")
    return Notification(
        _endpoint(members["endpoint"]),
        _names(members["attributes"], "notification.attributes", terms) if "attributes" in members else (),
        _members(members["pick"], "notification.pick", terms) if "pick" in members else (),
        _members(members["omit"], "notification.omit", terms) if "omit" in members else (),
        form,
        _flag(members.get("sysAttrs", False), "notification.sysAttrs", terms),
    )


def _endpoint(value: object) -> Endpoint:
    members = _object(value, "notification.endpoint", _ENDPOINT)
    accept = members.get("accept")
    if accept is not None and accept not in ACCEPTS:
        raise bad_request(f"endpoint.accept must be one of {', '.join(ACCEPTS)}, not {accept!r}.")
    if members.get("notifierInfo"):
        raise bad_request("endpoint.notifierInfo sets up MQTT; an http or https endpoint takes none.")
    return Endpoint(
        check_endpoint(members.get("uri")),
        accept,
        _milliseconds(members["timeout"], "endpoint.timeout") if "timeout" in members else None,
        _milliseconds(members["cooldown"], "endpoint.cooldown") if "cooldown" in members else None,
        tuple(_header(item) for item in _pairs(members.get("receiverInfo", []))),
    )


def check_endpoint(uri: object) -> str:
    """Return an endpoint's address; raise a 400 problem when notifications cannot go there.

    Any host is accepted, loopback and private addresses included, because a city's receivers stand there: only callers
    who may write can subscribe, redirects are not followed, and an answer's body is never shown to anybody.
    """
    if not isinstance(uri, str):
        raise bad_request("endpoint.uri must be an http or https address.")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise bad_request(f"endpoint.uri {uri!r} is no address: {error}.") from None
    if parts.scheme in ("mqtt", "mqtts"):
        raise bad_request("Notifications over MQTT are not offered yet: give an http or https endpoint.")
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() or not c.isprintable() for c in uri):
        raise bad_request(f"endpoint.uri must be an http or https address with a host, not {uri!r}.")
    if parts.username is not None or parts.password is not None:
        raise bad_request("endpoint.uri must not carry a password: put an Authorization header into receiverInfo.")
    return uri


def _pairs(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise bad_request('receiverInfo must be a list of {"key": …, "value": …}.')
    return cast("list[object]", value)


def _header(value: object) -> tuple[str, str]:
    members = _object(value, "an item of receiverInfo", frozenset({"key", "value"}))
    key, text = members.get("key"), members.get("value")
    if not isinstance(key, str) or not _HEADER(key) or key.lower() in _OURS:
        raise bad_request(f"receiverInfo: {key!r} is no name of an HTTP header that a subscriber can set.")
    if not isinstance(text, str) or not all(c.isprintable() or c == "\t" for c in text):
        raise bad_request(f"receiverInfo: the value of {key} must be a text of one line.")
    return key, text


_FIELDS: dict[str, tuple[str, Callable[[object, str, TermMap], Any]]] = {
    "subscriptionName": ("name", _text),
    "description": ("description", _text),
    "entities": ("entities", _selectors),
    "watchedAttributes": ("watched", _names),
    "notificationTrigger": ("triggers", _triggers),
    "timeInterval": ("interval_s", _seconds),
    "throttling": ("throttling_s", _seconds),
    "q": ("q", _q),
    "geoQ": ("geo", _geo),
    "scopeQ": ("scope_q", _scope_q),
    "lang": ("lang", _text),
    "isActive": ("is_active", _flag),
    "expiresAt": ("expires_at", _instant),
    "datasetId": ("datasets", _datasets),
    "localOnly": ("local_only", _flag),
    "jsonldContext": ("jsonld_context", _uri),
    "notification": ("notification", _notification),
}
_EMPTY = Subscription("", "", Access(), "", 0, "", "", Notification(Endpoint("")))
