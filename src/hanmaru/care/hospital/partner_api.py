"""Over HTTP, where this Hanmaru is the hospital: the city's notifications come in, staff answer referrals."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import targets
from hanmaru.care.hospital.inbox import Inbox, tasks_of
from hanmaru.care.hospital.partner import TOKEN_HEADER, City, UnreachableError, open_city, settings_of
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import MOST_BYTES, answer, read
from hanmaru.platform.policy import GuardedRoute, audit_of, record_of
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

Resource = dict[str, Any]


class Booking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the patient is seen: an instant with its zone."""

    start: Annotated[datetime, Meta(tz=True)]
    minutes: Annotated[int, Meta(ge=5, le=480)] = 20


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it cannot be taken."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Conclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of it."""

    conclusion: Annotated[str, Meta(min_length=1, max_length=4000)]


class Desk:
    """What the routes share, opened when it is first asked for."""

    def __init__(self, context: Context[HubClient]) -> None:
        """Open nothing yet."""
        self._context = context
        self._opening = asyncio.Lock()
        self._open: tuple[City, Inbox] | None = None

    async def parts(self) -> tuple[City, Inbox]:
        """Return the city and the inbox. Raises Problem 404 where this is no city's hospital."""
        async with self._opening:
            if self._open is None:
                self._open = await self._opened()
            return self._open

    async def _opened(self) -> tuple[City, Inbox]:
        try:
            settings = await asyncio.to_thread(settings_of, self._context.data_dir)
        except CareError as error:
            raise Problem(503, "Not ready", str(error)) from None
        if settings is None:
            raise Problem(404, "No partner", "This Hanmaru is no city's hospital: it has no partner.toml.")
        closing: AsyncExitStack = self._context.closing
        city = await open_city(settings, self._context.egress, closing)
        inbox = await asyncio.to_thread(Inbox, self._context.data_dir)
        closing.push_async_callback(asyncio.to_thread, inbox.close)
        return city, inbox


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the hospital's routes."""
    desk = Desk(context)

    async def notified(request: Request) -> Response:
        """Take a notification of the city; it is kept before it is answered."""
        _, inbox = await desk.parts()
        token = await asyncio.to_thread(inbox.token)
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
            raise Problem(403, "Not permitted", f"Notifications bring the token of the subscription in {TOKEN_HEADER}.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise Problem(413, "Body too large", f"Send at most {MOST_BYTES} bytes here.")
        await asyncio.to_thread(inbox.take, tasks_of(body))
        return Response(status_code=204)

    async def listed(request: Request) -> Response:
        """Return the referrals to this hospital, without whom they are about."""
        _, inbox = await desk.parts()
        return answer({"referrals": await asyncio.to_thread(inbox.referrals)})

    async def shown(request: Request) -> Response:
        """Return a referral with the patient and the reports, fetched now from the city."""
        city, _ = await desk.parts()
        if audit := audit_of(request):
            await audit.commit(record_of(request, "care.read"))
        return answer(await _asked(lambda: _whole(city, request.path_params["id"])))

    def act(work: Callable[[City, Resource, Request], Awaitable[None]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            """Answer a referral: accept it with an appointment, reject it, begin, or write the result."""
            city, inbox = await desk.parts()

            async def done() -> Resource:
                task = await city.read(f"Task/{targets.identifier(request.path_params['id'])}")
                await work(city, task, request)
                return await city.read(f"Task/{task['id']}")

            task = await _asked(done)
            await asyncio.to_thread(inbox.note, str(task["id"]), str(task["status"]))
            return answer({"id": task["id"], "state": task["status"]})

        return endpoint

    async def accept(city: City, task: Resource, request: Request) -> None:
        booking = await read(request, Booking, '{"start": "2027-01-04T10:00:00+09:00"}')
        await city.accept(task, booking.start, booking.minutes)

    async def reject(city: City, task: Resource, request: Request) -> None:
        await city.move(task, "rejected", (await read(request, Why, '{"reason": …}')).reason)

    async def begin(city: City, task: Resource, request: Request) -> None:
        await city.move(task, "in-progress")

    async def complete(city: City, task: Resource, request: Request) -> None:
        await city.complete(task, (await read(request, Conclusion, '{"conclusion": …}')).conclusion)

    one, may = "/partner/referrals/{id}", "care.treat"
    return [
        GuardedRoute("/partner/notifications", notified, permission="public", methods=["POST"]),
        GuardedRoute("/partner/referrals", listed, permission=may),
        GuardedRoute(one, shown, permission=may),
        GuardedRoute(f"{one}/accept", act(accept), permission=may, methods=["POST"]),
        GuardedRoute(f"{one}/reject", act(reject), permission=may, methods=["POST"]),
        GuardedRoute(f"{one}/begin", act(begin), permission=may, methods=["POST"]),
        GuardedRoute(f"{one}/complete", act(complete), permission=may, methods=["POST"]),
    ]


async def _whole(city: City, task: str) -> Resource:
    return await city.whole(await city.read(f"Task/{targets.identifier(task)}"))


async def _asked(work: Callable[[], Awaitable[Resource]]) -> Resource:
    try:
        return await work()
    except UnreachableError as error:
        raise Problem(502, "The city does not answer", f"{error}. Nothing was changed; try again.") from None
