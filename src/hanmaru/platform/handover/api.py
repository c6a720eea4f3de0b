"""The HTTP interface to hand-overs: ask, decide, take back, look."""

from collections.abc import Awaitable, Callable
from typing import cast, get_args

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.handover.handover import Handover
from hanmaru.platform.handover.requests import Asked, Request, State
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import Caller, GuardedRoute, caller_of
from hanmaru.platform.problems import Problem

Decide = Callable[[Caller, str, str, str], Awaitable[Request]]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody decides as they do: at most 200 printable characters, no names."""

    reason: str


def routes(handover: Handover) -> list[BaseRoute]:
    """Return the routes under ``/api/handover/v1``. Who may ask and decide, policy says for each vault."""

    async def requests(request: HttpRequest) -> Response:
        """List requests, newest first."""
        state = request.query_params.get("state", "")
        before = request.query_params.get("before", "")
        if state and state not in get_args(State):
            raise Problem(400, "Invalid request", f"state is one of {', '.join(get_args(State))}.")
        if before and not (before.isascii() and before.isdecimal() and len(before) < 18):
            raise Problem(400, "Invalid request", "before is the 'next' of an earlier page.")
        only = cast("State | None", state or None)
        return answer(await handover.list(only, before=int(before) if before else None))

    async def ask(request: HttpRequest) -> Response:
        """Ask for data of another room; somebody there decides."""
        asked = await read(request, Asked, '{"from": …, "to": …, "subject": …, "purpose": …, …}')
        return answer(await handover.request(caller_of(request), asked, address_of(request.scope)), 201)

    async def one(request: HttpRequest) -> Response:
        """Show a request with its timeline."""
        return answer(await handover.get(request.path_params["id"]))

    async def approve(request: HttpRequest) -> Response:
        """Approve somebody else's request; the data is then copied."""
        return await _decide(request, handover.approve)

    async def refuse(request: HttpRequest) -> Response:
        """Refuse a request."""
        return await _decide(request, handover.refuse)

    async def revoke(request: HttpRequest) -> Response:
        """Take back what was approved: the copy's key is destroyed."""
        return await _decide(request, handover.revoke)

    base = "/api/handover/v1/requests"
    # Which vault is asked about, only the body or the request says; the hand-over itself asks policy about it.
    return [
        GuardedRoute(base, requests, permission="handover.read"),
        GuardedRoute(base, ask, permission="handover.read", methods=["POST"]),
        GuardedRoute(f"{base}/{{id}}", one, permission="handover.read"),
        GuardedRoute(f"{base}/{{id}}/approve", approve, permission="handover.read", methods=["POST"]),
        GuardedRoute(f"{base}/{{id}}/refuse", refuse, permission="handover.read", methods=["POST"]),
        GuardedRoute(f"{base}/{{id}}/revoke", revoke, permission="handover.read", methods=["POST"]),
    ]


async def _decide(request: HttpRequest, decide: Decide) -> Response:
    reason = (await read(request, Reason, '{"reason": …}')).reason
    return answer(await decide(caller_of(request), request.path_params["id"], reason, address_of(request.scope)))
