"""What a FHIR request is for, told by its method and address; the same over HTTP and in a Bundle's entries.

Also the small things that both write alike: entity tags, times, conditions.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl

from hanmaru.care.fhir.validate import TYPES
from hanmaru.platform.problems import Problem

Kind = Literal["read", "vread", "history", "search", "create", "update", "delete"]
Query = tuple[tuple[str, str], ...]

MOST_QUERY: Final = 100
"""Most parameters of one search."""
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ETAG: Final = re.compile(r'(?:W/)?"?(\d{1,18})"?')
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RESULTS: Final = frozenset(
    "_sort _count _include _revinclude _summary _total _elements _contained _containedType _cursor _format "
    "_pretty".split()
)


class Target(NamedTuple):
    """What is asked: the interaction, a resource type or "", an id or "", a version or 0, a search's parameters."""

    kind: Kind
    type: str = ""
    id: str = ""
    version: int = 0
    query: Query = ()


def target(method: str, url: str) -> Target:
    """Return what a Bundle's entry asks for. Raises Problem 400, 404 or 405 with what is answered instead."""
    path, _, search = url.partition("?")
    query = parsed(search)
    parts = [part for part in path.strip("/").split("/") if part]
    if any(part.startswith("$") for part in parts):
        raise Problem(405, "Not in a Bundle", "Operations such as $everything are asked for by themselves.")
    if method in ("GET", "HEAD"):
        return _looked_for(parts, query)
    if parts:
        known(parts[0])
    if method == "POST" and len(parts) == 1 and not query:
        return Target("create", parts[0])
    if method in ("PUT", "DELETE"):
        kind: Kind = "update" if method == "PUT" else "delete"
        if len(parts) == 2 and not query:
            return Target(kind, parts[0], identifier(parts[1]))
        if len(parts) == 1 and query:
            return Target(kind, parts[0], query=condition(search))
    raise Problem(
        405,
        "Not answered",
        "An entry is POST Type, PUT or DELETE Type/id or Type?search, GET Type/id[/_history[/version]] or Type?…",
    )


def _looked_for(parts: list[str], query: Query) -> Target:
    match parts:
        case []:
            return Target("search", query=query)
        case ["_history"]:
            return Target("history", query=query)
        case [type]:
            return Target("search", known(type), query=query)
        case [type, "_history"]:
            return Target("history", known(type), query=query)
        case [type, id]:
            return Target("read", known(type), identifier(id), query=query)
        case [type, id, "_history"]:
            return Target("history", known(type), identifier(id), query=query)
        case [type, id, "_history", version]:
            return Target("vread", known(type), identifier(id), number(version))
        case _:
            raise Problem(
                404, "Not found", "A GET is of Type?…, Type/id, Type/id/_history or Type/id/_history/version."
            )


def known(type: str) -> str:
    """Return a resource type that R4 has. Raises Problem 404 for another."""
    if type not in TYPES:
        raise Problem(404, "Unknown type", "R4 (4.0.1) has no such resource type.", code="not-supported")
    return type


def identifier(id: str) -> str:
    """Return an id of the standard's form. Raises Problem 400 for another."""
    if not _ID.fullmatch(id):
        raise Problem(400, "Not an id", "An id is 1 to 64 letters, digits, hyphens and dots.", code="value")
    return id


def number(version: str) -> int:
    """Return a version's number. Raises Problem 404 for what is none: there is no such version."""
    if not (version.isascii() and version.isdigit() and len(version) <= 18):
        raise Problem(404, "Not found", "There is no such version: they are numbered from 1.")
    return int(version)


def parsed(search: str) -> Query:
    """Return a search's parameters in order. Raises Problem 400 for too many or for what is no text."""
    try:
        found = parse_qsl(search, keep_blank_values=True, max_num_fields=MOST_QUERY, errors="strict")
    except UnicodeDecodeError:
        raise Problem(400, "Not readable", "The parameters are not percent-encoded UTF-8.") from None
    except ValueError:
        raise Problem(
            400, "Too much asked", f"A search has at most {MOST_QUERY} parameters.", code="too-long"
        ) from None
    return tuple(found)


def condition(search: str) -> Query:
    """Return the parameters that one resource is to be found by. Raises Problem 400 where they say nothing."""
    query = parsed(search.partition("?")[2] if "?" in search else search)
    if not query or any(not value for _, value in query):
        raise Problem(400, "No condition", "A condition names at least one search parameter, each with a value.")
    if any(name.partition(":")[0] in _RESULTS for name, _ in query):
        raise Problem(400, "Not a condition", "A condition has search parameters only, none about its results.")
    return query


def etag(version: int) -> str:
    """Return a version as an entity tag."""
    return f'W/"{version}"'


def version_of(tag: str) -> int:
    """Return the version of If-Match. Raises Problem 400 for what no entity tag of ours is."""
    if matched := _ETAG.fullmatch(tag.strip()):
        return int(matched[1])
    raise Problem(400, "Not an entity tag", 'If-Match is the ETag of a version, such as W/"3".', code="value")


def unchanged(version: int, at: int, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Return whether a reader has this version already (RFC 9110, 13.1)."""
    if if_none_match:
        return if_none_match.strip() == "*" or any(
            (matched := _ETAG.fullmatch(one.strip())) and int(matched[1]) == version for one in if_none_match.split(",")
        )
    if if_modified_since:
        try:
            since = parsedate_to_datetime(if_modified_since)
        except ValueError:
            return False
        return at // 1_000_000 <= since.timestamp() if since.tzinfo else False
    return False


def http_date(at: int) -> str:
    """Return µs since 1970 as HTTP has dates."""
    return format_datetime(_EPOCH + timedelta(seconds=at // 1_000_000), usegmt=True)


def instant(at: int) -> str:
    """Return µs since 1970 as a FHIR instant."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> int:
    """Return a FHIR dateTime or instant as µs since 1970, its beginning. Raises Problem 400 for what is none."""
    filled = text + "0001-01-01"[len(text) :] if len(text) in (4, 7) else text
    try:
        found = datetime.fromisoformat(filled.replace(" ", "+"))
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return (found - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Problem(400, "Not a time", "_since is an instant such as 2026-03-01T00:00:00Z.", code="value") from None
