"""Diseases, the country's rules, the board, cases and the contacts that somebody names."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.audit.index import MOST_FOUND, Query
from hanmaru.platform.audit.reader import TrailReader
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute, caller_of, purpose_of
from hanmaru.platform.problems import invalid_request, not_found
from hanmaru.trace.api.common import desk_of, number
from hanmaru.trace.api.requests import shown as shown_request
from hanmaru.trace.cases import cases, requests
from hanmaru.trace.cases.records import CaseChange, Line, NewCase, NewContact
from hanmaru.trace.cases.room import Room

STATUSES = ("new", "investigating", "following", "closed", "destroyed")
MOST_PAGE = 500


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a case ended."""

    outcome: Line


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is done: no names."""

    reason: Line


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a contact that was found is, when it becomes a case."""

    new: NewCase | None = None


def routes(room: Room) -> list[BaseRoute]:
    """Return the routes."""

    async def diseases(request: Request) -> Response:
        """List the diseases that have a profile, with their times and where these come from."""
        return answer([*room.profiles.values()])

    async def country(request: Request) -> Response:
        """Show what the law here asks of a request: kinds of data, approvals, times."""
        rules = room.country
        kinds = {
            id: {
                **msgspec.to_builtins(kind),
                "needs_area": kind.others,
                "steps": [msgspec.to_builtins(step) for step in rules.steps_of([id])],
            }
            for id, kind in rules.kinds.items()
        }
        days = {"valid_days": rules.valid_days, "case_retention_days": rules.case_retention_days}
        return answer({"name": rules.name, **days, "kinds": kinds})

    async def board(request: Request) -> Response:
        """List cases, newest first: of a status, a disease, or found by label, name or telephone number (q)."""
        query = request.query_params
        status, disease, q = query.get("status", ""), query.get("disease", ""), query.get("q", "").strip()
        if status and status not in STATUSES:
            raise invalid_request(f"status is one of {', '.join(STATUSES)}.")
        if len(q) > 200:
            raise invalid_request("q has at most 200 characters.")
        before, limit = number(request, "before", 10**15), number(request, "limit", MOST_PAGE) or 200
        return answer(await cases.board(room, desk_of(room, request), status, disease, q, before, limit))

    async def open_(request: Request) -> Response:
        """Open a case with a key of its own; duplicates are cases that may be the same person's."""
        new = await read(request, NewCase, '{"disease": …, "person": {"name": …}, …}')
        desk = desk_of(room, request)
        row = await cases.open_case(room, desk, new)
        found = await desk.duplicates(row.id)
        duplicates = [{"case": one.subject, "exact": one.exact, "sounds": one.phonetic} for one in found]
        return answer({**await cases.whole(room, desk, row.id), "requests": [], "duplicates": duplicates}, 201)

    async def one(request: Request) -> Response:
        """Show a case: person, symptoms, windows, notes, its requests and its log."""
        return answer(await whole(request, request.path_params["id"]))

    async def whole(request: Request, id: str) -> dict[str, object]:
        found = await cases.whole(room, desk_of(room, request), id)
        asked = await asyncio.to_thread(lambda: room.book.requests(cases=[id]))
        return {**found, "requests": await shown_request(room, caller_of(request), asked, purpose_of(request))}

    async def change(request: Request) -> Response:
        """Change what is known of a case; what is left out stays."""
        id = request.path_params["id"]
        await cases.change(room, desk_of(room, request), id, await read(request, CaseChange, '{"symptoms": …, …}'))
        return answer(await whole(request, id))

    async def close(request: Request) -> Response:
        """Close a case; it is destroyed when the time for closed cases is over."""
        outcome = (await read(request, Outcome, '{"outcome": …}')).outcome
        id = request.path_params["id"]
        await cases.close(room, desk_of(room, request), id, outcome)
        return answer(await whole(request, id))

    async def destroy(request: Request) -> Response:
        """Destroy a case, its requests' data and its results now."""
        reason = (await read(request, Reason, '{"reason": …}')).reason
        id = request.path_params["id"]
        await cases.destroy(room, desk_of(room, request), id, reason)
        return Response(status_code=204)

    async def add_contact(request: Request) -> Response:
        """Keep a contact that somebody named."""
        id = request.path_params["id"]
        new = await read(request, NewContact, '{"person": {"name": …}, …}')
        return answer({"id": await cases.add_contact(room, desk_of(room, request), id, new)}, 201)

    async def convert(request: Request) -> Response:
        """Open a case for a contact, linked to this case; of a contact that was found, say in new who they are."""
        new = (await read(request, Conversion, '{"new": {"disease": …, "person": …}} or {}')).new
        id, contact = request.path_params["id"], request.path_params["cid"]
        row = await cases.convert(room, desk_of(room, request), id, contact, new)
        return answer(await whole(request, row.id), 201)

    async def looks(request: Request) -> Response:
        """Return who looked at a case, what for and at what: the audit trail's records, newest first."""
        id = request.path_params["id"]
        row = await asyncio.to_thread(room.book.case, id)
        caller = caller_of(request)
        await room.require(
            caller, "trace.requests", f"case/{id}/looks", [id], purpose_of(request), address_of(request.scope)
        )
        if not requests.may_watch(room, caller):
            raise not_found("There is no such case.")
        vaults = room.context.trust.vault.vaults
        reader = TrailReader(vaults.data, vaults.keys_folder)
        subjects = [id, *([row.results] if row.results else [])]
        found = [
            record
            for subject in subjects
            for record in (await asyncio.to_thread(reader.search, Query(subject=subject, limit=MOST_FOUND))).records
        ]
        entries = sorted((one.entry for one in found), key=lambda entry: entry.at, reverse=True)[:MOST_FOUND]
        names = ("at", "who", "action", "what", "decision", "purpose", "where", "detail")
        return answer({"looks": [{name: getattr(entry, name) for name in names} for entry in entries]})

    return [
        GuardedRoute("/diseases", diseases, permission="trace.requests"),
        GuardedRoute("/country", country, permission="trace.requests"),
        GuardedRoute("/cases", board, permission="trace.read"),
        GuardedRoute("/cases", open_, permission="trace.investigate", methods=["POST"]),
        GuardedRoute("/cases/{id}", one, permission="trace.read"),
        GuardedRoute("/cases/{id}", change, permission="trace.investigate", methods=["PATCH"]),
        GuardedRoute("/cases/{id}/close", close, permission="trace.investigate", methods=["POST"]),
        GuardedRoute("/cases/{id}/destroy", destroy, permission="trace.destroy", methods=["POST"]),
        GuardedRoute("/cases/{id}/contacts", add_contact, permission="trace.investigate", methods=["POST"]),
        GuardedRoute("/cases/{id}/contacts/{cid}/convert", convert, permission="trace.investigate", methods=["POST"]),
        GuardedRoute("/cases/{id}/looks", looks, permission="trace.requests"),
    ]
