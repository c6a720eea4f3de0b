"""Requests: the tracker, the approver's inbox, providers' answers, the signed approval."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.bodies import instant as text
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import Caller, GuardedRoute, caller_of, purpose_of
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.trace.api.common import body_of, desk_of, number
from hanmaru.trace.cases import authority, requests
from hanmaru.trace.cases.cases import existing
from hanmaru.trace.cases.records import IDENTITY, Scope
from hanmaru.trace.cases.room import Room, now
from hanmaru.trace.cases.rows import RequestRow, State

MOST_PAGE = 200


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an approver decides."""

    verdict: Literal["approve", "refuse"]
    reason: str = ""


async def shown(room: Room, caller: Caller, rows: Sequence[RequestRow], purpose: str) -> list[dict[str, Any]]:
    """Return requests as screens get them, those that a caller may know of; the look is audited."""
    seen = [row for row in rows if requests.sees(room, caller, row)]
    if not seen:
        return []
    subjects = tuple(dict.fromkeys(row.case for row in seen))
    await room.tell(caller.name, "trace.requests", f"{len(seen)} requests", subjects, purpose)
    scopes = await requests.scopes(room, seen, purpose)
    labels = {
        case.id: case.label for case in await asyncio.to_thread(lambda: room.book.cases(ids=subjects, limit=1_000))
    }
    return [one(room, caller, row, scope, labels.get(row.case, "")) for row, scope in zip(seen, scopes, strict=True)]


def one(room: Room, caller: Caller, row: RequestRow, scope: Scope | None, label: str) -> dict[str, Any]:
    """Return a request; ``scope`` is None once its case is destroyed."""
    at = now()
    return {
        "id": row.id,
        "case": row.case,
        "case_label": label,
        "kinds": row.kinds,
        "subjects": scope.subjects if scope else [],
        "period": scope.period if scope else None,
        "area": scope.area if scope else None,
        "purpose": scope.purpose if scope else "",
        "because": scope.because if scope else "",
        "asked_by": row.asked_by,
        "asked_at": text(row.asked_at),
        "state": row.state,
        "steps": [requests.shown_step(step, at) for step in row.steps],
        "answers": [
            {
                "kind": each.kind,
                "provider": each.provider,
                "received_at": text(each.at),
                "rows": each.rows,
                "accepted": each.accepted,
                "refused": each.refused,
            }
            for each in row.answers
        ],
        "notify": {
            "due": text(row.notify_due),
            "done_at": text(row.notified_at),
            "by": row.notified_by,
            "overdue": row.notify_due is not None and row.notified_at is None and row.notify_due <= at,
            "escalated_to": row.notify_escalated_to,
        },
        "approved_at": text(row.approved_at),
        "expires": text(row.expires),
        "destroy_on": text(row.destroy_on),
        "reason": row.reason,
        "may": requests.may(room, caller, row),
    }


def routes(room: Room) -> list[BaseRoute]:
    """Return the routes."""

    async def respond(request: Request, row: RequestRow, status: int = 200, **more: Any) -> Response:
        found = await shown(room, caller_of(request), [row], purpose_of(request))
        if not found:
            raise not_found("There is no such request.")
        return answer({**found[0], **more}, status)

    async def ask(request: Request) -> Response:
        """Ask for data about a case: kinds, people, period, purpose, and because."""
        scope = await read(request, Scope, '{"kinds": […], "period": {"start", "end"}, "purpose": …, "because": …}')
        id, caller = request.path_params["id"], caller_of(request)
        await existing(room, id)
        desk = desk_of(room, request)
        row = await requests.ask(room, caller, id, scope, desk.purpose, address_of(request.scope))
        return await respond(request, row, 201)

    async def tracker(request: Request) -> Response:
        """List the requests that the caller may know of, newest first.

        ``state`` limits them; ``mine=approve`` to those that wait for the caller, ``mine=asked`` to the caller's own;
        ``before`` is the ``next`` of an earlier page.
        """
        state, mine = request.query_params.get("state", ""), request.query_params.get("mine", "")
        if state and state not in get_args(State):
            raise invalid_request(f"state is one of {', '.join(get_args(State))}.")
        if mine not in ("", "approve", "asked"):
            raise invalid_request("mine is approve or asked.")
        caller, limit = caller_of(request), number(request, "limit", MOST_PAGE) or 100
        states = [cast(State, state)] if state else (["asked"] if mine == "approve" else [])
        found: list[RequestRow] = []
        before = number(request, "before", 10**15)
        while len(found) < limit:
            page = await asyncio.to_thread(room.book.requests, states, None, before, MOST_PAGE)
            for row in page:
                wanted = requests.sees(room, caller, row)
                if mine == "approve":
                    wanted = wanted and "approve" in requests.may(room, caller, row)
                elif mine == "asked":
                    wanted = wanted and row.asked_by == caller.name
                if wanted and len(found) < limit:
                    found.append(row)
            if len(page) < MOST_PAGE:
                before = None
                break
            before = page[-1].seq
        following = found[-1].seq if len(found) == limit else before
        listed = await shown(room, caller, found, purpose_of(request) or "list of lawful requests")
        return answer({"requests": listed, "next": following})

    async def show(request: Request) -> Response:
        """Show a request. Who is to answer it is also told who the people are."""
        caller = caller_of(request)
        row = await requests.visible(room, caller, request.path_params["id"])
        if kinds := requests.answerable(room, caller, row):
            return await respond(request, row, people=await people(caller, row, kinds))
        return await respond(request, row)

    async def people(caller: Caller, row: RequestRow, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """Return the identities that a provider needs to find the records; none where the request names nobody."""
        if all(room.country.kinds[kind].others for kind in kinds):
            return []
        purpose = requests.purpose_of(row.id)
        await room.tell(caller.name, "trace.identify", f"request/{row.id}", [row.case], purpose)
        asked = await room.own_desk(purpose).get(row.case, IDENTITY, row.id)
        return (asked or {"people": []})["people"]

    async def decide(request: Request) -> Response:
        """Approve or refuse the step that waits."""
        decision = await read(request, Decision, '{"verdict": "approve" or "refuse", "reason": …}')
        id, caller = request.path_params["id"], caller_of(request)
        where = address_of(request.scope)
        return await respond(request, await requests.decide(room, caller, id, decision.verdict, decision.reason, where))

    async def withdraw(request: Request) -> Response:
        """Take one's own request back."""
        id = request.path_params["id"]
        row = await requests.withdraw(room, caller_of(request), id, address_of(request.scope))
        return await respond(request, row)

    async def take(request: Request) -> Response:
        """Take a provider's answer, a table as CSV or Parquet; rows outside the approval are counted and dropped."""
        from hanmaru.trace.cases import intake

        id, kind = request.path_params["id"], request.query_params.get("kind", "")
        await requests.visible(room, caller_of(request), id)  # before the body is read
        body = await body_of(request, intake.MOST_BYTES)
        taken = await intake.take(room, caller_of(request), id, kind, body, address_of(request.scope))
        return answer(
            {"kind": taken.kind, "rows": taken.rows, "accepted": taken.accepted, "refused": taken.refused}, 201
        )

    async def notified(request: Request) -> Response:
        """Note that the person was told that data about them was collected."""
        id = request.path_params["id"]
        return await respond(request, await requests.notified(room, caller_of(request), id, address_of(request.scope)))

    async def approval(request: Request) -> Response:
        """Return the signed approval, a compact JSON Web Signature."""
        caller = caller_of(request)
        row = await requests.visible(room, caller, request.path_params["id"])
        if not requests.may_watch(room, caller) and "answer" not in requests.may(room, caller, row):
            raise Problem(403, "Not permitted", "The approval is for who asked and for who answers.")
        await room.tell(caller.name, "trace.approval", f"request/{row.id}", [row.case], purpose_of(request))
        return Response(await requests.approval_of(room, row), media_type="application/jwt", headers=NO_STORE)

    async def pem(request: Request) -> Response:
        """Return the public key that approvals are checked with."""
        return Response(await authority.public_pem(room), media_type="application/x-pem-file")

    base = "/requests/{id}"
    # Which permission a decision asks for, only the request's step says: `requests.decide` asks policy for it.
    return [
        GuardedRoute("/cases/{id}/requests", ask, permission="trace.investigate", methods=["POST"]),
        GuardedRoute("/requests", tracker, permission="trace.requests"),
        GuardedRoute(base, show, permission="trace.requests"),
        GuardedRoute(f"{base}/decision", decide, permission="trace.requests", methods=["POST"]),
        GuardedRoute(f"{base}/withdraw", withdraw, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/answers", take, permission="trace.answer", methods=["POST"]),
        GuardedRoute(f"{base}/notified", notified, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/approval", approval, permission="trace.requests"),
        GuardedRoute("/authority.pem", pem, permission="public"),
    ]


NO_STORE = {"cache-control": "no-store"}
