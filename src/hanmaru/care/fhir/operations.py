"""The interactions by themselves, over records: what HTTP's routes and a Bundle's entries both ask for."""

import hashlib
import uuid
from dataclasses import replace
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import msgspec

from hanmaru.care.fhir import subset, targets, validate
from hanmaru.care.fhir.outcome import status_line, told
from hanmaru.care.fhir.records import Records, new_id
from hanmaru.care.fhir.targets import Query
from hanmaru.care.fhir.values import Change, Found, Page, Reader, Version
from hanmaru.platform.problems import Problem

MOST_PAGE = 1000
"""Most entries of a page."""
USUAL_PAGE = 50
TRIES = 3


class Done(NamedTuple):
    """What an interaction led to: the HTTP status, the version that is now, or a Bundle to send.

    ``looked``: it was read, not written.
    """

    status: int
    version: Version | None = None
    body: bytes = b""
    looked: bool = False


class Terms(NamedTuple):
    """On what terms an interaction is asked for: the headers of HTTP, or the same of a Bundle's entry."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_none_exist: str | None = None
    lenient: bool = False


NO_TERMS = Terms()


def about(type: str, resource: dict[str, Any]) -> None:
    """Raise Problem 400 where a resource is not of the type that its address names."""
    if resource.get("resourceType") != type:
        raise Problem(400, "Another type", f"The address is of {type}, and the resource says another resourceType.")


def checked(source: bytes, resource: dict[str, Any]) -> None:
    """Raise Problem 400 or 422 where a resource is not R4."""
    if found := validate.errors(validate.check(source, resource)):
        raise validate.refusal(found)


def change(target: targets.Target, resource: dict[str, Any] | None, terms: Terms) -> Change:
    """Return the change that a create, update or delete asks for. Raises Problem 400 and 412."""
    over = targets.version_of(terms.if_match) if terms.if_match else None
    search = "&".join(_quoted(target.query)) or None
    if target.kind == "delete":
        return Change("DELETE", target.type, target.id or None, if_match=over, search=search)
    if resource is None:
        raise Problem(400, "No resource", "This comes with a resource.")
    about(target.type, resource)
    if target.kind == "create":
        wanted = terms.if_none_exist
        once = "&".join(_quoted(targets.condition(wanted))) if wanted else None
        return Change("POST", target.type, new_id(), resource, if_none_exist=once)
    if target.id and resource.get("id") != target.id:
        raise Problem(400, "Another id", "An update's resource has the id that its address names.", code="value")
    if search and "id" in resource:
        targets.identifier(str(resource["id"]))
    return Change("PUT", target.type, target.id or None, resource, if_match=over, search=search)


def _quoted(query: Query) -> list[str]:
    return [f"{quote(name, safe=':-_.')}={quote(value, safe=':-_.,|$/')}" for name, value in query]


async def settled(records: Records, reader: Reader, wanted: Change) -> Change:
    """Return a conditional change with the id of the one resource that it speaks of, or that it will make.

    So references to it can be written before it is. What is found may change until the commit, which looks again.
    Raises Problem 412 for several matches, 400 where the resource has another id.
    """
    search = wanted.if_none_exist if wanted.method == "POST" else wanted.search
    if search is None:
        return wanted
    found = await matches(records, reader, wanted.type, targets.parsed(search))
    if len(found) > 1:
        raise several(wanted.type)
    id = found[0] if found else None
    if wanted.method == "PUT":
        own = cast("str | None", (wanted.resource or {}).get("id"))
        if id and own not in (None, id):
            raise Problem(400, "Another id", "The condition finds a resource of another id than this one has.")
        id = id or own or new_id()
    elif wanted.method == "POST":
        id = id or wanted.id
    return Change(wanted.method, wanted.type, id, wanted.resource, wanted.if_match, wanted.if_none_exist, wanted.search)


async def matches(records: Records, reader: Reader, type: str, query: Query) -> list[str]:
    """Return the ids of what a condition finds, two at most."""
    found = await records.search(reader, type, (*query, ("_count", "2"), ("_total", "none")))
    return [each.id for each in found.matches]


def several(type: str) -> Problem:
    """Refuse a condition that more than one resource meets."""
    return Problem(
        412, "Several matches", f"The condition on {type} matches more than one resource.", code="multiple-matches"
    )


async def write(
    records: Records,
    reader: Reader,
    target: targets.Target,
    resource: dict[str, Any] | None,
    terms: Terms = NO_TERMS,
    idempotency: str | None = None,
) -> Done:
    """Create, update or delete; the resource has been checked. With the same key it is done once. Raises Problem."""
    wanted = keyed(change(target, resource, terms), reader, idempotency)
    if terms.if_none_match is not None and target.kind == "update":
        await _absent(records, reader, wanted, terms.if_none_match)
    for attempt in range(TRIES):
        try:
            ready = await settled(records, reader, wanted) if wanted.search or wanted.if_none_exist else wanted
            (made,) = await records.commit(reader, [ready], idempotency)
            return done(wanted, made)
        except Problem as problem:
            if not problem.extra.get("retry") or attempt == TRIES - 1:
                raise
    raise AssertionError


def keyed(wanted: Change, reader: Reader, key: str | None, at: int = 0) -> Change:
    """Return a creation with the id that an idempotency key gives it, the same each time; ``at`` is its entry."""
    if key is None or wanted.method != "POST":
        return wanted
    digest = hashlib.sha256(f"{reader.who}\0{key}\0{at}".encode()).digest()
    return replace(wanted, id=str(uuid.UUID(bytes=digest[:16], version=4)))


async def _absent(records: Records, reader: Reader, wanted: Change, tag: str) -> None:
    if tag.strip() != "*":
        raise Problem(400, "Not understood", "An update takes If-None-Match: * only, which asks that nothing is there.")
    try:
        await records.read(reader, wanted.type, wanted.id or "")
    except Problem as problem:
        if problem.status not in (404, 410):
            raise
        return
    raise Problem(412, "Exists", f"There is a {wanted.type} of this id already.")


def done(wanted: Change, made: Version) -> Done:
    """Return what a change led to."""
    if wanted.method == "DELETE":
        return Done(204, made if made.version else None)
    return Done(201 if made.fresh and made.version == 1 else 200, made)


async def look(records: Records, reader: Reader, target: targets.Target, base: str, terms: Terms = NO_TERMS) -> Done:
    """Read, read a version, search, or return a history. Raises Problem."""
    if target.kind == "search":
        target = _narrowed(target)
        found = await records.search(reader, target.type or None, target.query, strict=not terms.lenient, base=base)
        return Done(200, body=searchset(found, base, target.type, target.query), looked=True)
    if target.kind == "history":
        return Done(200, body=await history(records, reader, target, base), looked=True)
    if target.kind == "vread":
        version = await records.vread(reader, target.type, target.id, target.version)
    else:
        version = await records.read(reader, target.type, target.id)
    if targets.unchanged(version.version, version.at, terms.if_none_match, terms.if_modified_since):
        return Done(304, version, looked=True)
    if target.query and (asked := subset.asked(target.query)):
        version = version._replace(text=subset.apply(version.text, asked))
    return Done(200, version, looked=True)


def _narrowed(target: targets.Target) -> targets.Target:
    """Return a search of all types that says it wants one as a search of that one, which takes all its parameters."""
    wanted = [value for name, value in target.query if name == "_type"]
    if target.type or len(wanted) != 1 or wanted[0] not in validate.TYPES:
        return target
    return target._replace(type=wanted[0], query=tuple(pair for pair in target.query if pair[0] != "_type"))


def searchset(found: Found, base: str, type: str, query: Query) -> bytes:
    """Return a search's results as a Bundle."""
    asked = subset.asked(query)
    entries = [entry(each, base, {"mode": "match"}, asked) for each in found.matches]
    entries += [entry(each, base, {"mode": "include"}, asked) for each in found.included]
    if found.ignored:
        said = told(f"Not understood, and left out: {', '.join(found.ignored)[:400]}", "warning", "not-supported")
        entries.append({"resource": said, "search": {"mode": "outcome"}})
    links = [{"relation": "self", "url": address(base, type, query)}]
    if found.next:
        kept = [pair for pair in query if pair[0] != "_cursor"]
        links.append({"relation": "next", "url": address(base, type, (*kept, ("_cursor", found.next)))})
    return bundle("searchset", entries, found.total, links)


def address(base: str, path: str, query: Query) -> str:
    """Return the address of a search."""
    whole = f"{base}/{path}" if path else base
    return f"{whole}?{'&'.join(_quoted(query))}" if query else whole


def entry(version: Version, base: str, search: dict[str, str], asked: subset.Asked | None = None) -> dict[str, Any]:
    """Return a Bundle's entry of a version."""
    body = subset.apply(version.text, asked) if asked else version.text
    return {"fullUrl": f"{base}/{version.type}/{version.id}", "resource": msgspec.Raw(body), "search": search}


async def history(records: Records, reader: Reader, target: targets.Target, base: str) -> bytes:
    """Return a page of a history as a Bundle. Raises Problem 400 for what it cannot be asked."""
    given = dict(target.query)
    if unknown := sorted(given.keys() - {"_count", "_since", "_cursor", "_format", "_pretty"}):
        raise Problem(
            400, "Not understood", f"A history takes _count, _since and _cursor, not {', '.join(unknown)[:80]}."
        )
    since = targets.moment(given["_since"]) if "_since" in given else None
    page: Page = await records.history(
        reader, target.type or None, target.id or None, since, count(given.get("_count")), given.get("_cursor")
    )
    path = "/".join(part for part in (target.type, target.id, "_history") if part)
    links = [{"relation": "self", "url": address(base, path, target.query)}]
    if page.next:
        kept = [pair for pair in target.query if pair[0] != "_cursor"]
        links.append({"relation": "next", "url": address(base, path, (*kept, ("_cursor", page.next)))})
    return bundle("history", [_past(each, base) for each in page.versions], None, links)


def _past(version: Version, base: str) -> dict[str, Any]:
    said: dict[str, Any] = {"fullUrl": f"{base}/{version.type}/{version.id}"}
    if version.method != "DELETE":
        said["resource"] = msgspec.Raw(version.text)
    made = version.method == "POST" or (version.method == "PUT" and version.version == 1)
    status = 204 if version.method == "DELETE" else 201 if made else 200
    url = version.type if version.method == "POST" else f"{version.type}/{version.id}"
    said["request"] = {"method": version.method, "url": url}
    said["response"] = {
        "status": status_line(status),
        "etag": targets.etag(version.version),
        "lastModified": targets.instant(version.at),
    }
    return said


def count(text: str | None) -> int:
    """Return how many entries a page may have. Raises Problem 400 for what is no count."""
    if text is None:
        return USUAL_PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise Problem(400, "Not a count", f"_count is a number from 1 to {MOST_PAGE}.", code="value")
    return min(int(text), MOST_PAGE)


def bundle(type: str, entries: list[dict[str, Any]], total: int | None, links: list[dict[str, str]]) -> bytes:
    """Return a Bundle as JSON; an entry's resource may be `msgspec.Raw`, which goes in as it lies in the file."""
    said: dict[str, Any] = {"resourceType": "Bundle", "type": type}
    if total is not None:
        said["total"] = total
    if links:
        said["link"] = links
    if entries:
        said["entry"] = entries
    return msgspec.json.encode(said)
