"""What journey planners fetch, without asking who they are: GTFS-Flex and GTFS-Realtime."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.policy import GuardedRoute
from hanmaru.ride.api.room import Room
from hanmaru.ride.dispatch.settings import seconds

ROUTE = "ride"
SPEAKS_OF_DAYS = 60
KEPT_S = 5.0
"""How long a feed is told to others as it is: however many ask, the dispatcher is asked once."""
PROTOBUF = "application/x-protobuf"

Json = dict[str, Any]


def routes(room: Room) -> Sequence[BaseRoute]:
    """Return the feeds' routes."""
    fleet: Callable[[], Awaitable[Json]] = _kept(lambda: room.client.call("fleet"))
    making, made = asyncio.Lock(), list[tuple[object, bytes]]()

    async def flex(request: Request) -> Response:
        """Return the service as a GTFS-Flex feed (a zip file): any virtual stop to any other, booked on call."""
        from hanmaru.ride.feeds import flex

        ground, city = await room.ground(), room.context.city
        told, language = ground.service, city["languages"][0]
        opens, closes = (seconds(told["hours"][end]) for end in ("from", "to"))
        # from yesterday on, so that it is valid today wherever it is read
        first = datetime.now(ZoneInfo(told["time_zone"])).date() - timedelta(days=1)
        service = flex.FlexService(
            id=ROUTE,
            agency=city["name"],
            name=told["name"],
            url=f"{request.base_url}app",
            timezone=told["time_zone"],
            language=language,
            opens_s=opens,
            closes_s=closes if closes > opens else closes + 86_400,
            first=first,
            last=first + timedelta(days=SPEAKS_OF_DAYS),
            detour_factor=told["detour_factor"],
            detour_s=told["detour_s"],
        )
        stops = [flex.FlexStop(s["id"], s["name"][language], s["lon"], s["lat"], s["accessible"]) for s in ground.stops]
        async with making:  # however many ask: one is made at a time, and the last is kept
            if not made or made[0][0] != (service, stops):
                made[:] = [((service, stops), await asyncio.to_thread(flex.feed, service, stops, f"{first:%Y%m%d}"))]
            body = made[0][1]
        name = {"content-disposition": 'attachment; filename="gtfs-flex.zip"'}
        return Response(body, headers=name, media_type="application/zip")

    async def positions(request: Request) -> Response:
        """Return where each van is and how full, as a GTFS-Realtime message."""
        return await vans("vehicle_positions")

    async def updates(request: Request) -> Response:
        """Return each van's tour, unless it serves one booking alone, as a GTFS-Realtime message."""
        return await vans("trip_updates")

    async def vans(kind: str) -> Response:
        from hanmaru.ride.feeds import realtime

        told, seen = (await room.ground()).service, await fleet()
        zone = ZoneInfo(told["time_zone"])
        midnight = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        began_s = int(midnight.timestamp()) + seconds(told["hours"]["from"])
        now_s = _s(seen["figures"]["at"])
        running = [_van(van, began_s, now_s) for van in seen["vans"] if van["status"] not in ("off", "out-of-service")]
        body = getattr(realtime, kind)(running, ROUTE, told["time_zone"], now_s)
        return Response(body, media_type=PROTOBUF)

    return [
        GuardedRoute("/gtfs-flex.zip", flex, permission="public"),
        GuardedRoute("/gtfs-rt/vehicle-positions.pb", positions, permission="public"),
        GuardedRoute("/gtfs-rt/trip-updates.pb", updates, permission="public"),
    ]


def _van(van: Json, began_s: int, now_s: int) -> Any:
    from hanmaru.ride.feeds.realtime import Call, Van

    visits = [visit for visit in van["plan"] if visit["stop"] is not None]
    tour = [
        Call(stop, _s(times[0]), _s(times[-1]))
        for stop, together in groupby(visits, key=lambda visit: visit["stop"]["id"])
        for times in [[visit["at"] for visit in together]]
        if not stop.startswith("depot-")
    ]
    return Van(
        id=van["id"],
        plate=van["plate"],
        lon=van["lon"],
        lat=van["lat"],
        bearing=van["bearing"],
        seen_s=now_s,
        seats=van["seats"],
        aboard=van["aboard"],
        wheelchairs=van["wheelchairs"],
        began_s=began_s,
        tour=tour,
        riders=len({visit["request"] for visit in visits}),
    )


def _kept(ask: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[Json]]:
    """Return a way to ask that asks at most once in `KEPT_S`."""
    lock = asyncio.Lock()
    known: Json = {}
    until = 0.0

    async def get() -> Json:
        nonlocal known, until
        async with lock:
            if time.monotonic() >= until:
                known = msgspec.json.decode(await ask())
                until = time.monotonic() + KEPT_S
            return known

    return get


def _s(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())
