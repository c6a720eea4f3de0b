"""HTTP of replay, thin: the stream of the past, and what the time slider draws."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.centre.live.api import access_for, respond, wanted_of
from hanmaru.centre.live.feed import declared
from hanmaru.centre.replay.session import Replay, Stated
from hanmaru.centre.replay.span import DAYS, Kept, span
from hanmaru.centre.streams import Places, Stream
from hanmaru.hub.client import HubClient
from hanmaru.platform.access import Access
from hanmaru.platform.policy import GuardedRoute, caller_of, policy_of
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.services import Context, installed

MOST_SESSIONS = 8
"""Replays at a time in a process: each holds a city of its own."""
MOST_OF_ONE = 4
"""Replays that one person may watch at a time."""
MOST_SPEED = 60.0
RETRY_S = 10


def instant(request: Request) -> datetime:
    """Return the instant that a request asks for; raises Problem 400 for none, or one that history does not reach."""
    try:
        at = datetime.fromisoformat(request.query_params.get("at", "").replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise invalid_request("at has to be a date and time with its zone, such as 2026-11-23T06:00:00Z.")
    at, now = at.astimezone(UTC), datetime.now(UTC)
    if not now - timedelta(days=DAYS, hours=1) <= at <= now:
        raise invalid_request(f"at has to lie within the last {DAYS} days.")
    return at


def speed_of(request: Request) -> float:
    """Return how fast to play: 0 stands still, else seconds of history in a second."""
    try:
        speed = float(request.query_params.get("speed", "1"))
    except ValueError:
        speed = -1.0
    if not (speed == 0 or 1 <= speed <= MOST_SPEED):
        raise invalid_request(f"speed has to be 0 (standing still) or a number from 1 to {MOST_SPEED:g}.")
    return speed


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes of replay; everything is read with the access of the request's caller."""
    shown = declared(installed(ctx.city.get("services")))
    layers = [id for id, _ in shown.layers]
    running: set[Replay] = set()
    places = Places(MOST_OF_ONE)
    stated: dict[Access, Stated] = {}
    kept = Kept()

    def stated_for(access: Access, hub: HubClient) -> Stated:
        if access not in stated and len(stated) >= MOST_SESSIONS:
            stated.pop(next(iter(stated)))
        return stated.setdefault(access, Stated(hub))

    async def get_stream(request: Request) -> Response:
        wanted, at, speed = wanted_of(request, layers), instant(request), speed_of(request)
        caller, policy, access = caller_of(request), policy_of(request), access_for(request)
        if len(running) >= MOST_SESSIONS:
            detail = f"{MOST_SESSIONS} replays are being watched already. Try again in {RETRY_S} seconds."
            raise Problem(503, "Too many replays", detail, retry_after_s=RETRY_S)
        give_back = places.take(caller.name)
        hub = ctx.hub.acting(access)
        replay = Replay(hub, shown, wanted, at, speed, stated=stated_for(access, hub))
        running.add(replay)

        def over() -> None:
            running.discard(replay)
            give_back()

        try:
            await replay.load()
        except BaseException:
            over()
            raise

        async def events() -> AsyncIterator[bytes]:
            async with aclosing(replay.stream()) as stream:
                async for chunk in stream:
                    if policy.access(caller, "read", access.tenant) != access:
                        return  # policy changed: the browser connects again and sees what it may now
                    yield chunk

        return Stream(events(), "text/event-stream", over)

    async def get_span(request: Request) -> Response:
        access = access_for(request)
        hub = ctx.hub.acting(access)
        return await respond(request, await kept.get(access, lambda: span(hub, shown, datetime.now(UTC))))

    return [
        GuardedRoute("/replay/stream", get_stream, permission="centre.watch"),
        GuardedRoute("/replay/span", get_span, permission="centre.watch"),
    ]
