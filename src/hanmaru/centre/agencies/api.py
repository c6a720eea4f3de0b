"""HTTP of agencies: the register, the hand-overs of an event, and receipts that agencies' machines send later."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.centre.agencies.delivery import plain
from hanmaru.centre.agencies.register import Agency, Draft, Register, of_machine
from hanmaru.centre.domain import CentreError
from hanmaru.centre.events import rows
from hanmaru.centre.events.book import Book
from hanmaru.centre.events.shapes import Json, instant
from hanmaru.centre.procedures.model import Receipt
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import Problem, invalid_request, not_found, sentence
from hanmaru.platform.services import Context


class Named(Draft, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /agencies``."""

    id: str


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /agencies/receipts``: ``key`` came with the hand-over."""

    key: str
    state: Literal["accepted", "declined", "finished"]
    reference: str = ""
    text: str = ""


def routes(ctx: Context[HubClient], opened: Callable[[], Awaitable[Book]]) -> Sequence[BaseRoute]:
    """Return the routes."""
    registers: list[Register] = []

    async def register() -> Register:
        if not registers:
            registers.append(Register(await opened(), ctx.trust.vault))
        return registers[0]

    async def listed(request: Request) -> Response:
        """Return the agencies, without their secrets."""
        return answer({"items": [shown(one) for one in await (await register()).all()], "next": None})

    async def made(request: Request) -> Response:
        """Register an agency."""
        body = await read(request, Named, '{"id", "name", "kind", "endpoint", "machine"?, "secret"}')
        draft = Draft(body.name, body.kind, body.endpoint, body.machine, body.secret)
        return answer(shown(await kept(body.id, draft, caller_of(request).name, new=True)), 201)

    async def changed(request: Request) -> Response:
        """Change an agency, or register it."""
        draft = await read(request, Draft, '{"name", "kind", "endpoint", "machine"?, "secret"?}')
        return answer(shown(await kept(request.path_params["id"], draft, caller_of(request).name, new=False)))

    async def kept(id: str, draft: Draft, who: str, *, new: bool) -> Agency:
        try:
            return await (await register()).put(id, draft, who, new=new)
        except CentreError as error:
            raise invalid_request(sentence(error)) from None

    async def dropped(request: Request) -> Response:
        """Strike an agency off."""
        if not await (await register()).drop(request.path_params["id"]):
            raise not_found("There is no such agency.")
        return Response(status_code=204)

    async def handovers(request: Request) -> Response:
        """Return an event's hand-overs, oldest first."""
        id, book = request.path_params["id"], await opened()

        def find(db: rows.Db) -> list[Json]:
            rows.event(db, id)
            return [
                _handover(row)
                for row in db.execute(
                    "SELECT key, step, kind, agency, state, attempts, at, reference, reason, body FROM handover"
                    " WHERE event = ? ORDER BY at LIMIT 500",
                    (id,),
                )
            ]

        return answer({"items": await book.read(find), "next": None})

    async def told(request: Request) -> Response:
        """Take an agency's receipt; the same one again changes nothing."""
        body = await read(request, Told, '{"key", "state": "accepted|declined|finished", "reference"?, "text"?}')
        caller, book = caller_of(request), await opened()
        machine = caller.name.removeprefix("client:") if caller.kind == "machine" else ""
        agencies = await book.read(lambda db: of_machine(db, machine)) if machine else []
        whose = await book.read(
            lambda db: db.execute("SELECT agency FROM handover WHERE key = ?", (body.key[:200],)).fetchone()
        )
        if whose is None or whose[0] not in agencies:
            raise Problem(404, "Not found", "There is no such hand-over to you: send the key that came with it.")
        reference, text = plain(body.reference, 100), plain(body.text, 500)
        receipt = Receipt(body.key, whose[0], body.state, time.time(), 0, reference, text)
        return answer({"changed": await book.receipt(receipt, None, allowed=whose[0])})

    return [
        GuardedRoute("/agencies", listed, permission="centre.watch"),
        GuardedRoute("/agencies", made, permission="centre.rules", methods=["POST"]),
        GuardedRoute("/agencies/receipts", told, permission="centre.agency", methods=["POST"]),
        GuardedRoute("/agencies/{id}", changed, permission="centre.rules", methods=["PUT"]),
        GuardedRoute("/agencies/{id}", dropped, permission="centre.rules", methods=["DELETE"]),
        GuardedRoute("/events/{id}/handovers", handovers, permission="centre.watch"),
    ]


def shown(agency: Agency) -> Json:
    """Return an agency as HTTP shows it: never its secret."""
    return {
        "id": agency.id,
        "name": dict(agency.name),
        "kind": agency.kind,
        "endpoint": agency.endpoint,
        "machine": agency.machine,
        "changed": instant(agency.at),
        "by": agency.by,
    }


def _handover(row: Any) -> Json:
    key, step, kind, agency, state, attempts, at, reference, reason, body = row
    return {
        "key": key,
        "step": step or None,
        "kind": kind,
        "agency": agency,
        "state": state,
        "attempts": attempts,
        "at": instant(at),
        "reference": reference,
        "text": reason,
        "sent": body and msgspec.json.decode(body),
    }
