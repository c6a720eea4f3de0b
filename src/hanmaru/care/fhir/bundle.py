"""Batches and transactions (R4, http.html#transaction): a Bundle of requests, answered by a Bundle.

A transaction is one commit: all of it or nothing. Its entries are done in the standard's order (DELETE, POST, PUT,
GET), whatever theirs is. What they say of each other by ``fullUrl``, and of others by a search, is resolved before. A
batch's entries stand for themselves: one that is refused leaves the others as they are.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import msgspec

from hanmaru.care.fhir import operations, targets, text, validate
from hanmaru.care.fhir.operations import Done, Terms
from hanmaru.care.fhir.outcome import outcome, status_line, told
from hanmaru.care.fhir.records import Records
from hanmaru.care.fhir.targets import Target
from hanmaru.care.fhir.values import Change, Reader
from hanmaru.platform.problems import Problem

MOST_ENTRIES: Final = 2000
"""Most entries of a Bundle."""
LARGE: Final = 100_000
"""From how many bytes on a Bundle is read and checked in a thread."""
TOGETHER: Final = 8
"""How many entries of a batch are under way at once."""
_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}
_PART: Final = re.compile(r"Bundle\.entry\[(\d+)\]\.resource(?:\.|$)")
_SEARCHED: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
_REST: Final = re.compile(r"(.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")
_LINKED: Final = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""")


Link = tuple[dict[str, Any], str, str]
"""An object, the name in it, and what it says of another resource."""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry: what it asks for, on what terms, and what it brings."""

    at: int
    method: str
    target: Target
    terms: Terms
    full_url: str
    resource: dict[str, Any] | None


async def process(
    records: Records,
    reader: Reader,
    bundle: bytes | Mapping[str, Any],
    *,
    idempotency: str | None = None,
    prefer: str = "minimal",
    base: str = "",
    lenient: bool = False,
) -> dict[str, Any]:
    """Do what a batch or transaction asks and return the Bundle that answers, its entries in the order of those asked.

    ``bundle`` is JSON text or an object, which stays as it is. With the same ``idempotency`` key it is done once.
    ``prefer`` says what comes back of what was written: ``minimal``, ``representation`` or ``OperationOutcome``.
    ``base`` is this server's address, such as ``https://city.example/fhir/R4``; references that begin with it are kept
    relative. Resources in the answer are `msgspec.Raw`; encode it with `msgspec.json.encode`.

    Raises Problem for a Bundle that is none, and for a transaction that was not done; its ``issues`` say which entry.
    """
    source = bundle if isinstance(bundle, bytes) else text.encode(bundle)
    asked = await asyncio.to_thread(text.decode, source) if len(source) > LARGE else text.decode(source)
    kind = asked.get("type") if asked.get("resourceType") == "Bundle" else None
    if kind not in ("batch", "transaction"):
        raise Problem(400, "Not to be processed", "What is sent here is a Bundle of type batch or transaction.")
    if len(source) > LARGE:
        found = await asyncio.to_thread(validate.check, source, asked, most=len(source))
    else:
        found = validate.check(source, asked, most=len(source))
    wrong = validate.errors(found)
    entries: list[dict[str, Any]] = []
    if isinstance(asked.get("entry"), list):
        entries = cast("list[dict[str, Any]]", asked["entry"])
    if len(entries) > MOST_ENTRIES:
        raise Problem(413, "Too many entries", f"A Bundle has at most {MOST_ENTRIES} entries; send several.")
    if kind == "transaction":
        if wrong:
            raise validate.refusal(wrong)
        steps = [_step(at, each, lenient=lenient) for at, each in enumerate(entries)]
        answers = await _transaction(records, reader, steps, idempotency, base)
    else:
        apart: dict[int, list[validate.Issue]] = {}
        for issue in wrong:
            matched = _PART.match(issue.path)
            if not matched:
                raise validate.refusal(wrong)
            apart.setdefault(int(matched[1]), []).append(issue)
        answers = await _batch(records, reader, entries, apart, idempotency, base, lenient=lenient)
    said = {"resourceType": "Bundle", "type": f"{kind}-response"}
    if answers:
        return {**said, "entry": [_answer(each, prefer, base) for each in answers]}
    return said


def _step(at: int, entry: Mapping[str, Any], *, lenient: bool) -> Step:
    request = cast("Mapping[str, Any]", entry["request"])
    method = str(request["method"])
    try:
        if method not in _ORDER:
            raise Problem(405, "Not answered", "PATCH is not done here: PUT the whole resource.")
        url = str(request["url"])
        if method in ("GET", "HEAD") and "resource" in entry:
            raise Problem(400, "Not understood", "What reads brings no resource.")
        asked = targets.target(method, url)
        terms = Terms(
            request.get("ifMatch"),
            request.get("ifNoneMatch"),
            _http_time(request.get("ifModifiedSince")),
            request.get("ifNoneExist"),
            lenient,
        )
        resource = cast("dict[str, Any] | None", entry.get("resource"))
        return Step(at, method, asked, terms, str(entry.get("fullUrl", "")), resource)
    except Problem as problem:
        raise _of_entry(at, problem) from None


def _http_time(instant: str | None) -> str | None:
    return targets.http_date(targets.moment(instant)) if instant else None


def _of_entry(at: int, problem: Problem) -> Problem:
    """Return a problem as that of an entry."""
    issues = [
        {**issue, "diagnostics": f"entry {at}: {issue.get('diagnostics', '')}", "expression": [f"Bundle.entry[{at}]"]}
        for issue in outcome(problem)["issue"]
    ]
    extra = {name: value for name, value in problem.extra.items() if name != "issues"}
    return Problem(problem.status, problem.title, f"entry {at}: {problem.detail}", **extra, issues=issues)


async def _transaction(
    records: Records, reader: Reader, steps: Sequence[Step], idempotency: str | None, base: str
) -> list[Done | Problem]:
    writes = sorted((step for step in steps if _ORDER[step.method] < 3), key=lambda step: _ORDER[step.method])
    links = {step.at: _links(step.resource) for step in writes if step.resource is not None}
    done: dict[int, Done | Problem] = {}
    for attempt in range(operations.TRIES):
        wanted = [await _wanted(records, reader, step, idempotency) for step in writes]
        _distinct(writes, wanted)
        ready = await _resolved(records, reader, writes, wanted, links, base)
        try:
            made = await records.commit(reader, ready, idempotency) if ready else []
        except Problem as problem:
            if not problem.extra.get("retry") or attempt == operations.TRIES - 1:
                raise
            continue
        done = {
            step.at: operations.done(*pair) for step, pair in zip(writes, zip(ready, made, strict=True), strict=True)
        }
        break
    for step in steps:
        if step.at not in done:
            try:
                done[step.at] = await operations.look(records, reader, step.target, base, step.terms)
            except Problem as problem:
                done[step.at] = problem
    return [done[step.at] for step in steps]


async def _wanted(records: Records, reader: Reader, step: Step, idempotency: str | None) -> Change:
    """Return an entry's change, with the id that its resource has or will have."""
    try:
        change = operations.change(step.target, step.resource, step.terms)
        change = operations.keyed(change, reader, idempotency, step.at)
        if change.search or change.if_none_exist:
            change = await operations.settled(records, reader, change)
        return change
    except Problem as problem:
        raise _of_entry(step.at, problem) from None


def _distinct(steps: Sequence[Step], changes: Sequence[Change]) -> None:
    """Raise Problem 400 where two entries are about one resource."""
    seen: dict[tuple[str, str], int] = {}
    for step, change in zip(steps, changes, strict=True):
        if change.id is None:
            continue
        if (key := (change.type, change.id)) in seen and not (change.if_none_exist and change.method == "POST"):
            raise _of_entry(step.at, Problem(400, "Twice", f"Entry {seen[key]} is about the same resource."))
        seen[key] = step.at


async def _resolved(
    records: Records,
    reader: Reader,
    steps: Sequence[Step],
    changes: Sequence[Change],
    links: Mapping[int, Sequence[Link]],
    base: str,
) -> list[Change]:
    """Return the changes with what they say of each other, and of what a search finds, as ``Type/id``.

    ``links`` are what they said, by entry: each time that the transaction is worked out, ids may be others.
    """
    ids: dict[str, str] = {}
    for step, change in zip(steps, changes, strict=True):
        if step.full_url and change.id and change.method != "DELETE":
            ids[step.full_url] = f"{change.type}/{change.id}"
    found: dict[str, str] = {}
    ready: list[Change] = []
    for step, change in zip(steps, changes, strict=True):
        prefix = matched[1] or "" if (matched := _REST.fullmatch(step.full_url)) else ""
        for holder, name, given in links.get(step.at, ()):
            if name == "div":
                holder[name] = _LINKED.sub(
                    lambda link: f"{link[1]}{link[2]}{ids.get(link[3], link[3])}{link[2]}", given
                )
            elif name != "reference":
                holder[name] = ids.get(given, given)
            else:
                if _SEARCHED.fullmatch(given) and given not in found:
                    try:
                        found[given] = await _searched(records, reader, given)
                    except Problem as problem:
                        raise _of_entry(step.at, problem) from None
                holder[name] = _local(found.get(given) or ids.get(given) or ids.get(prefix + given) or given, base)
        if change.resource is not None and change.search and change.id:
            change = replace(change, resource={**change.resource, "id": change.id})
        ready.append(change)
    return ready


def _links(resource: dict[str, Any]) -> list[Link]:
    """Return where a resource may say something of other entries, and what it says."""
    links = [(holder, name, str(holder[name])) for holder, name in validate.addresses(resource)]
    told = [one for one in validate.narratives(resource) if isinstance(one.get("div"), str)]
    return links + [(one, "div", one["div"]) for one in told]


def _local(reference: str, base: str) -> str:
    return reference[len(base) + 1 :] if base and reference.startswith(base + "/") else reference


def relative(resource: dict[str, Any], base: str) -> None:
    """Make a resource's references to what is kept here relative: they are about the same whatever our address is."""
    for holder, name in validate.addresses(resource):
        if name == "reference":
            holder[name] = _local(holder[name], base)


async def _searched(records: Records, reader: Reader, reference: str) -> str:
    matched = _SEARCHED.fullmatch(reference)
    assert matched
    type = targets.known(matched[1])
    found = await operations.matches(records, reader, type, targets.condition(matched[2]))
    if len(found) > 1:
        raise operations.several(type)
    if not found:
        raise Problem(412, "No match", f"A reference by a search of {type} finds nothing.", code="not-found")
    return f"{type}/{found[0]}"


async def _batch(
    records: Records,
    reader: Reader,
    entries: Sequence[Mapping[str, Any]],
    wrong: Mapping[int, list[validate.Issue]],
    idempotency: str | None,
    base: str,
    *,
    lenient: bool,
) -> list[Done | Problem]:
    turn = asyncio.Semaphore(TOGETHER)
    done: list[Done | Problem | None] = [None] * len(entries)

    async def one(step: Step) -> None:
        async with turn:
            try:
                if _ORDER[step.method] == 3:
                    done[step.at] = await operations.look(records, reader, step.target, base, step.terms)
                else:
                    if step.resource is not None:
                        relative(step.resource, base)
                    key = f"{idempotency}/{step.at}" if idempotency else None
                    done[step.at] = await operations.write(records, reader, step.target, step.resource, step.terms, key)
            except Problem as problem:
                done[step.at] = problem

    steps: list[Step] = []
    for at, entry in enumerate(entries):
        try:
            if at in wrong:
                raise validate.refusal(wrong[at])
            steps.append(_step(at, entry, lenient=lenient))
        except Problem as problem:
            done[at] = problem
    for order in range(4):
        await asyncio.gather(*(one(step) for step in steps if _ORDER[step.method] == order))
    return [each for each in done if each is not None]


def _answer(done: Done | Problem, prefer: str, base: str) -> dict[str, Any]:
    if isinstance(done, Problem):
        return {"response": {"status": status_line(done.status), "outcome": outcome(done)}}
    said: dict[str, Any] = {"status": status_line(done.status)}
    version = done.version
    if version is None:
        return {"resource": msgspec.Raw(done.body), "response": said} if done.body else {"response": said}
    said["etag"] = targets.etag(version.version)
    said["lastModified"] = targets.instant(version.at)
    if done.status in (200, 201) and not done.looked:
        said["location"] = f"{version.type}/{version.id}/_history/{version.version}"
    if prefer == "OperationOutcome" and not done.looked:
        said["outcome"] = told("Done.")
    answer: dict[str, Any] = {"response": said}
    if version.text and done.status != 304 and (prefer == "representation" or done.looked):
        answer = {"fullUrl": f"{base}/{version.type}/{version.id}", "resource": msgspec.Raw(version.text), **answer}
    return answer
