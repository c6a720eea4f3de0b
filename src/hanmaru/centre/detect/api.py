"""HTTP of the rules, thin: read, write, try over history. Reading asks for ``centre.watch``, writing for
``centre.rules``.

``GET /rules`` → ``{"items": [Entry], "next": null}``; ``GET|PUT|DELETE /rules/{id}``; ``POST /rules`` (201);
``POST /rules/{id}/enable`` and ``…/disable``. An **entry** is the rule's own members (`rules.model.Rule`) and
``version`` (1, 2, …), ``changed`` (RFC 3339), ``changed_by`` (account), ``ready`` (came with the product),
``raised`` (how many of its keys hold now), in the list also ``last`` (when it was last raised, or null). A PUT or
DELETE may carry ``If-Match: "<version>"``; 412 when another was quicker. A refused rule is 400 with one line in
``detail`` that begins with the path of what is wrong
(``when.of[0].value: …``). ``GET /rules/{id}/versions`` → ``{"items": [{"version",
"changed", "changed_by", "ready", "rule"}]}``, newest first, at most 100; ``rule`` null: deleted then.

``GET /rules/vocabulary`` → ``{"types": [{"type", "title": Text, "count", "attrs": [{"name", "label": Text, "unit",
"kind": "number"|"text"|"flag"|"time"|"place", "scale"}]}], "categories": [{"id", "title": Text}]}``. Values in rules
are the hub's own; shown units are ``value × scale``.

``POST /rules/dry-run`` ``{"rule", "start", "end"}`` → server-sent events: ``progress {"done", "of", "seen"}``;
``result {"count", "firings": [{"at", "until", "key", "name", "entities", "values", "location"}], "seen",
"entities", "truncated"}`` (``until`` null: still raised at the end; at most 500 firings); ``error {"detail"}``. Closing
the connection ends it.

``GET /detections?after=0&limit=100&rule=`` → ``{"items": [Detection], "next": seq | null}``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.centre.detect import vocabulary
from hanmaru.centre.detect.dryrun import MOST_DAYS, dry_run
from hanmaru.centre.detect.ready import ready
from hanmaru.centre.detect.store import ClashError, Entry, State
from hanmaru.centre.domain import CentreError
from hanmaru.centre.rules.model import Rule, convert, parse
from hanmaru.hub.client import HubClient
from hanmaru.platform.access import DEFAULT_TENANT
from hanmaru.platform.audit.record import Record
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute, access_of, caller_of
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.platform.services import Context

AT_ONCE = 2
"""Dry runs that one worker has at once."""
PAGE = 500
T = TypeVar("T")


class DryRun(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be tried over which span."""

    rule: dict[str, Any]
    start: datetime
    end: datetime


def shown(entry: Entry, raised: int = 0) -> dict[str, Any]:
    """Return an entry as it is answered; ``from`` and what is at its default are written out by the rule itself."""
    return {
        **msgspec.to_builtins(entry.rule),
        "enabled": entry.rule is not None and entry.rule.enabled,
        "version": entry.version,
        "changed": entry.changed,
        "changed_by": entry.changed_by,
        "ready": entry.ready,
        "raised": raised,
    }


class Book:
    """The rules' file in a web worker, opened when it is first needed; every call in a thread."""

    def __init__(self, context: Context[HubClient]) -> None:
        """Open nothing yet."""
        self._context, self._state, self._opening = context, None, asyncio.Lock()

    async def call(self, work: Callable[[State], T]) -> T:
        """Work with the file; what it refuses is a problem."""
        try:
            async with self._opening:
                if self._state is None:
                    self._state = await asyncio.to_thread(self._open)
            return await asyncio.to_thread(work, self._state)
        except ClashError as error:
            raise Problem(412, "Changed meanwhile", str(error)) from None
        except CentreError as error:
            raise invalid_request(str(error)) from None

    def _open(self) -> State:
        state = State(self._context.data_dir)
        state.add_ready(ready())
        return state

    async def close(self) -> None:
        """Close the file."""
        if self._state is not None:
            await asyncio.to_thread(self._state.close)


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes of the rules."""
    book = Book(ctx)
    ctx.closing.push_async_callback(book.close)
    running = asyncio.Semaphore(AT_ONCE)

    async def audit(request: Request, what: str, **detail: str) -> None:
        caller = caller_of(request)
        record = Record(
            caller.name, "centre.rules.change", f"centre:rule/{what}", where=address_of(request.scope), detail=detail
        )
        await ctx.trust.audit.commit(record)

    async def get_rules(request: Request) -> Response:
        def look(state: State) -> list[dict[str, Any]]:
            raised = state.raised()
            return [shown(one, raised.get(id, 0)) | {"last": state.last(id)} for id, one in state.rules().items()]

        return answer({"items": await book.call(look), "next": None})

    async def entry_of(id: str) -> Entry:
        entry = await book.call(lambda state: state.get(id))
        if entry is None:
            raise not_found(f"There is no rule {id!r}.")
        return entry

    async def get_rule(request: Request) -> Response:
        id = request.path_params["id"]
        raised = await book.call(lambda state: state.raised())
        entry = await entry_of(id)
        return answer(shown(entry, raised.get(id, 0)), headers={"etag": f'"{entry.version}"'})

    async def get_versions(request: Request) -> Response:
        id = request.path_params["id"]
        await entry_of(id)
        entries = await book.call(lambda state: state.versions(id))
        return answer({"items": entries, "next": None})

    async def rule_in(request: Request, id: str | None) -> Rule:
        raw = await read(request, msgspec.Raw, "a rule")
        try:
            rule = parse(bytes(raw))
        except CentreError as error:
            raise invalid_request(str(error)) from None
        if id is not None and rule.id != id:
            raise invalid_request(f"id: has to be {id!r}, as in the address")
        return rule

    async def post_rule(request: Request) -> Response:
        rule, who = await rule_in(request, None), caller_of(request).name
        await audit(request, rule.id, change="create")
        entry = await book.call(lambda state: state.put(rule, who, create=True))
        return answer(shown(entry), 201, {"etag": f'"{entry.version}"'})

    async def put_rule(request: Request) -> Response:
        id, who = request.path_params["id"], caller_of(request).name
        rule, expected = await rule_in(request, id), expected_of(request)
        await entry_of(id)
        await audit(request, id, change="update")
        entry = await book.call(lambda state: state.put(rule, who, expected=expected))
        return answer(shown(entry), headers={"etag": f'"{entry.version}"'})

    async def delete_rule(request: Request) -> Response:
        id, who, expected = request.path_params["id"], caller_of(request).name, expected_of(request)
        await entry_of(id)
        await audit(request, id, change="delete")
        await book.call(lambda state: state.delete(id, who, expected=expected))
        return Response(status_code=204)

    async def enable(request: Request) -> Response:
        return await switch(request, True)

    async def disable(request: Request) -> Response:
        return await switch(request, False)

    async def switch(request: Request, on: bool) -> Response:
        id, who = request.path_params["id"], caller_of(request).name
        entry = await entry_of(id)
        if entry.rule is not None and entry.rule.enabled != on:
            rule, version = msgspec.structs.replace(entry.rule, enabled=on), entry.version
            await audit(request, id, change="enable" if on else "disable")
            entry = await book.call(lambda state: state.put(rule, who, expected=version))
        return answer(shown(entry), headers={"etag": f'"{entry.version}"'})

    async def get_vocabulary(request: Request) -> Response:
        hub = ctx.hub.acting(access_of(request, DEFAULT_TENANT))
        return answer(await vocabulary.vocabulary(hub, ctx.city.get("services")))

    async def post_dry_run(request: Request) -> Response:
        asked = await read(request, DryRun, '{"rule": …, "start": …, "end": …}')
        try:
            rule = convert(asked.rule)
        except CentreError as error:
            raise invalid_request(str(error)) from None
        if asked.start.tzinfo is None or asked.end.tzinfo is None or not asked.start < asked.end:
            raise invalid_request("start and end are instants with their zone, start the earlier.")
        if asked.end - asked.start > timedelta(days=MOST_DAYS):
            raise invalid_request(f"A dry run goes over at most {MOST_DAYS} days.")
        if running.locked():
            detail = "Two dry runs are going on here already. Try again when one has ended."
            raise Problem(503, "Busy", detail, retry_after_s=10)
        hub = ctx.hub.acting(access_of(request, DEFAULT_TENANT))
        end = min(asked.end, datetime.now(UTC))

        async def events() -> AsyncIterator[bytes]:
            async with running:
                try:
                    async for name, data in dry_run(hub, rule, asked.start, max(asked.start, end)):
                        yield b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))
                except (Problem, CentreError) as error:
                    detail = error.detail if isinstance(error, Problem) else str(error)
                    yield b"event: error\ndata: %b\n\n" % msgspec.json.encode({"detail": detail})

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    async def get_detections(request: Request) -> Response:
        given = request.query_params
        try:
            after, limit = int(given.get("after", 0)), int(given.get("limit", 100))
        except ValueError:
            raise invalid_request("after and limit are whole numbers.") from None
        if not (0 <= after < 2**62 and 1 <= limit <= PAGE):
            raise invalid_request(f"after is 0 or more, limit 1 to {PAGE}.")
        rule = given.get("rule")
        found = await book.call(lambda state: state.after(after, limit, rule))
        return answer({"items": found, "next": found[-1].seq if len(found) == limit else None})

    return [
        GuardedRoute("/rules", get_rules, permission="centre.watch"),
        GuardedRoute("/rules", post_rule, permission="centre.rules", methods=("POST",)),
        GuardedRoute("/rules/vocabulary", get_vocabulary, permission="centre.watch"),
        GuardedRoute("/rules/dry-run", post_dry_run, permission="centre.rules", methods=("POST",)),
        GuardedRoute("/rules/{id}/versions", get_versions, permission="centre.watch"),
        GuardedRoute("/rules/{id}/enable", enable, permission="centre.rules", methods=("POST",)),
        GuardedRoute("/rules/{id}/disable", disable, permission="centre.rules", methods=("POST",)),
        GuardedRoute("/rules/{id}", get_rule, permission="centre.watch"),
        GuardedRoute("/rules/{id}", put_rule, permission="centre.rules", methods=("PUT",)),
        GuardedRoute("/rules/{id}", delete_rule, permission="centre.rules", methods=("DELETE",)),
        GuardedRoute("/detections", get_detections, permission="centre.watch"),
    ]


def expected_of(request: Request) -> int | None:
    """Return the version in If-Match; raises Problem 400 for another form."""
    given = request.headers.get("if-match")
    if given is None or given == "*":
        return None
    number = given.strip().strip('"')
    if not number.isdecimal() or len(number) > 9:
        raise invalid_request('If-Match is the version that you have, such as "3".')
    return int(number)
