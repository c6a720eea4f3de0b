"""What a hospital subscribes to: R4's Subscription with a rest-hook channel, understood and checked.

What may be asked for, beside the standard's own empty notification and its PUT of the resource, is what the R4 backport
of topic-based subscriptions has: a Bundle that names what happened (``id-only``) or carries it (``full-resource``), by
the extension ``backport-payload-content`` on ``channel.payload``.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import query
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem

Content = Literal["none", "resource", "empty", "id-only", "full-resource"]
"""``none``: a POST without a body. ``resource``: a PUT of the resource below the endpoint. The rest: a Bundle by
POST."""

CONTENT_EXTENSION: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
JSON: Final = "application/fhir+json"
_JSON: Final = frozenset({JSON, "application/json", "json"})
MOST_HEADERS: Final = 20
MOST_HEADER: Final = 4096
MOST_CRITERIA: Final = 2000
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
OURS: Final = frozenset(
    (
        *(
            "host",
            "content-length",
            "content-type",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "keep-alive",
        ),
        *("upgrade", "te", "trailer", "expect", "via", "forwarded", "user-agent", "cookie", "accept-encoding"),
    )
)
"""Headers that say how a request is sent, which is not the subscriber's to say; all of ``Proxy-`` and ``Hanmaru-``,
too."""
_OWN: Final = ("proxy-", "hanmaru-", "x-forwarded-", "sec-")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ROOM: Final = Reader("system:care", "all")


@dataclass(frozen=True, slots=True)
class Watch:
    """A subscription as it is worked with. ``query`` is its criteria's, ``end`` µs since 1970 or None for no end."""

    id: str
    type: str
    query: tuple[tuple[str, str], ...]
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    content: Content
    end: int | None


def parsed(resource: Mapping[str, Any]) -> Watch:
    """Understand a Subscription. Raises CareError, in words for who made it, for what cannot be done."""
    channel = _object(resource.get("channel"))
    if channel.get("type") != "rest-hook":
        raise CareError("channel.type has to be rest-hook")
    type, wanted = _criteria(resource.get("criteria"))
    content = _content(channel)
    return Watch(
        id=str(resource.get("id", "")),
        type=type,
        query=wanted,
        endpoint=_endpoint(channel.get("endpoint"), content),
        headers=_headers(channel.get("header", [])),
        content=content,
        end=_end(resource.get("end")),
    )


def _criteria(text: object) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not isinstance(text, str) or not text or len(text) > MOST_CRITERIA:
        raise CareError(
            f"criteria has to be a search such as Task?owner=Organization/1, of at most {MOST_CRITERIA} characters"
        )
    type, _, asked = text.partition("?")
    try:
        pairs = tuple(parse_qsl(asked, keep_blank_values=True, strict_parsing=bool(asked), max_num_fields=50))
    except ValueError:
        raise CareError("criteria cannot be read as a search: Type?name=value&name=value") from None
    for name, _ in pairs:
        plain = name.partition(":")[0]
        if "." in name or plain.startswith(
            ("_has", "_include", "_revinclude", "_sort", "_count", "_cursor", "_total", "_summary", "_elements")
        ):
            raise CareError(f"criteria may use what a resource itself says, and not {plain[:40]}")
    try:
        query.compile(type, pairs, _ROOM, time.time_ns() // 1000)
    except Problem as problem:
        raise CareError(f"criteria: {problem.detail or problem.title}") from None
    return type, pairs


def _content(channel: Mapping[str, Any]) -> Content:
    asked = [
        _object(extension).get("valueCode")
        for extension in _list(_object(channel.get("_payload")).get("extension"))
        if _object(extension).get("url") == CONTENT_EXTENSION
    ]
    payload = channel.get("payload")
    if payload is not None and (not isinstance(payload, str) or payload not in _JSON):
        raise CareError(f"channel.payload has to be {JSON}, or absent for a notification without one")
    match asked:
        case []:
            return "none" if payload is None else "resource"
        case ["empty"]:
            return "empty"
        case ["id-only"]:
            return "id-only"
        case ["full-resource"]:
            return "full-resource"
        case _:
            raise CareError("channel.payload's content has to be empty, id-only or full-resource")


def _endpoint(text: object, content: Content) -> str:
    if not isinstance(text, str) or len(text) > 2000 or not _VALUE.fullmatch(text) or " " in text:
        raise CareError("channel.endpoint has to be an address, https://…")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise CareError("channel.endpoint cannot be read as an address") from None
    if parts.scheme not in ("https", "http") or not host:
        raise CareError("channel.endpoint has to begin with https:// or http://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise CareError("channel.endpoint has no name, password or #; a secret belongs into channel.header")
    if parts.query and content == "resource":
        raise CareError("channel.endpoint has no ? where resources are put below it")
    if parts.scheme == "http" and content in ("resource", "full-resource") and host not in _LOOPBACK:
        raise CareError("whole resources go to https:// only; ask for id-only, or give an https:// endpoint")
    return text


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    lines = _list(given)
    if len(lines) > MOST_HEADERS:
        raise CareError(f"channel.header has at most {MOST_HEADERS} lines")
    found: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = str(line).partition(":")
        value = value.strip(" ")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or len(value) > MOST_HEADER:
            raise CareError("a line of channel.header has to be Name: value, in printable ASCII")
        if name.lower() in OURS or name.lower().startswith(_OWN):
            raise CareError(f"channel.header may not set {name}")
        found.append((name, value))
    return tuple(found)


def _end(text: object) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(str(text))
        if at.tzinfo is None:
            raise ValueError
        return int(at.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise CareError("end has to be an instant with a zone, such as 2027-01-01T00:00:00+09:00") from None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] - JSON
