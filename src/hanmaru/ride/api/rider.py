"""What riders do: see the service, search, call, take or decline offers, cancel, follow their own trips."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import instant, read
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import invalid_request
from hanmaru.ride.api.live import trips_stream
from hanmaru.ride.api.room import Place, Room, id_of, json, key_of, seconds

MOST_PLACES, MOST_FOUND = 12, 1000
Lon = Annotated[float, Meta(ge=-180, le=180)]
Lat = Annotated[float, Meta(ge=-90, le=90)]


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A place on the map, and what the rider calls it."""

    lon: Lon
    lat: Lat
    label: Annotated[str, Meta(max_length=200)] = ""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "goal": "to"}):
    """A call for a ride. ``when`` is ``"now"`` or has one of ``depart_at`` and ``arrive_by``."""

    start: Point
    goal: Point
    seats: Annotated[int, Meta(ge=0, le=100)] = 1
    wheelchairs: Annotated[int, Meta(ge=0, le=20)] = 0
    when: Literal["now"] | dict[str, str] = "now"
    max_walk_m: Annotated[int, Meta(ge=0, le=5000)] | None = None


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which offer is taken."""

    offer: Annotated[str, Meta(max_length=64)]


class CalledOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a trip is called off."""

    reason: Annotated[str, Meta(max_length=200)] = ""


class Me(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rider says of themselves."""

    name: Annotated[str, Meta(max_length=100)] = ""
    phone: Annotated[str, Meta(max_length=30, pattern=r"^[0-9+() -]*$")] = ""


def find(places: Sequence[tuple[str, Place]], text: str) -> list[Place]:
    """Return at most `MOST_PLACES` places whose names, given in small letters before them, have every word of a text.

    Those that begin with the first word come first, stops and districts before other places, short names before long.
    """
    words = text.casefold().split()
    found = [(names, place) for names, place in places if all(word in names for word in words)][:MOST_FOUND]
    found.sort(key=lambda pair: (words[0] not in _beginnings(pair[0]), pair[1].kind == "place", len(pair[0])))
    return [place for _, place in found[:MOST_PLACES]]


def _beginnings(names: str) -> list[str]:
    return [name.split(" ", 1)[0] for name in names.split("\n")]


def routes(room: Room) -> Sequence[BaseRoute]:
    """Return riders' routes."""

    async def who(request: Request) -> str:
        return await (await room.riders()).pseudonym(caller_of(request).name)

    async def service(request: Request) -> Response:
        """Describe the service: area, hours, limits.

        ``now`` lets a page correct its clock.
        """
        ground = await room.ground()
        return json(msgspec.json.encode({**ground.service, "now": instant(time.time())}))

    async def stops(request: Request) -> Response:
        """Return the virtual stops, those in ``bbox`` (west,south,east,north) where it is given."""
        found = (await room.ground()).stops
        if box := request.query_params.get("bbox", ""):
            try:
                west, south, east, north = map(float, box.split(","))
            except ValueError:
                raise invalid_request("bbox is west,south,east,north in degrees.") from None
            found = [s for s in found if west <= s["lon"] <= east and south <= s["lat"] <= north]
        return json(msgspec.json.encode({"stops": found}))

    async def search(request: Request) -> Response:
        """Search stops and places by name (``q``)."""
        text = request.query_params.get("q", "").strip()
        if not 1 <= len(text) <= 100:
            raise invalid_request("q has to be 1 to 100 characters.")
        return json(msgspec.json.encode({"places": find(await room.places(), text)}))

    async def call(request: Request) -> Response:
        """Call a ride: answers with a trip that has offers, or the reason why there are none."""
        asked = await read(request, Call, "from, to, seats, wheelchairs, when")
        limits = (await room.ground()).service
        if asked.seats + asked.wheelchairs < 1:
            raise invalid_request("Somebody has to ride: seats or wheelchairs is at least 1.")
        if asked.seats > limits["max_seats"] or asked.wheelchairs > limits["max_wheelchairs"]:
            raise invalid_request(
                f"One call is for at most {limits['max_seats']} seats and {limits['max_wheelchairs']} wheelchairs."
            )
        earliest, arrive_by = _when(asked.when)
        rider = await who(request)
        most = limits["max_walk_m"]
        walk = most if asked.max_walk_m is None else min(asked.max_walk_m, most)
        body = await room.client.call(
            "request",
            key=key_of(request, rider),
            rider=rider,
            start=msgspec.to_builtins(asked.start),
            goal=msgspec.to_builtins(asked.goal),
            seats=asked.seats,
            wheelchairs=asked.wheelchairs,
            when=asked.when,
            earliest_s=earliest,
            arrive_by_s=arrive_by,
            max_walk_m=walk,
        )
        return json(body, 201)

    async def accept(request: Request) -> Response:
        """Take an offer."""
        taken, rider = await read(request, Taken, '{"offer": …}'), await who(request)
        key = key_of(request, rider)
        return json(await room.client.call("accept", key=key, rider=rider, id=id_of(request), offer=taken.offer))

    async def decline(request: Request) -> Response:
        """Take none of the offers."""
        rider = await who(request)
        return json(await room.client.call("decline", key=key_of(request, rider), rider=rider, id=id_of(request)))

    async def cancel(request: Request) -> Response:
        """Call a trip off."""
        body = await request.body()
        reason = (await read(request, CalledOff, '{"reason": …}')).reason if body else ""
        rider = await who(request)
        key = key_of(request, rider)
        return json(await room.client.call("cancel", key=key, rider=rider, id=id_of(request), reason=reason))

    async def trips(request: Request) -> Response:
        """Return one's own trips, newest first; with ``active=1`` those that are not over."""
        active = request.query_params.get("active") == "1"
        return json(await room.client.call("trips", rider=await who(request), active=active))

    async def trip(request: Request) -> Response:
        """Return one of one's own trips."""
        return json(await room.client.call("trip", id=id_of(request), rider=await who(request)))

    async def live(request: Request) -> Response:
        """Follow one's own trips as server-sent events."""
        return trips_stream(room, await who(request))

    async def me(request: Request) -> Response:
        """Return what the service knows of oneself."""
        riders = await room.riders()
        return json(msgspec.json.encode(await riders.person(await who(request))))

    async def tell(request: Request) -> Response:
        """Say one's name and phone number, which only a dispatcher with a reason sees."""
        facts = await read(request, Me, '{"name": …, "phone": …}')
        riders = await room.riders()
        said: dict[str, Any] = msgspec.to_builtins(facts)
        return json(msgspec.json.encode(await riders.tell(caller_of(request).name, said)))

    async def forget(request: Request) -> Response:
        """Destroy what the service knows of oneself; trips that are over go with it."""
        rider = await who(request)
        await room.client.call("destroy", rider=rider)
        await (await room.riders()).destroy(caller_of(request).name, "asked for by the rider")
        return Response(status_code=204)

    ride = "ride.ride"
    return [
        GuardedRoute("/service", service, permission="read"),
        GuardedRoute("/stops", stops, permission="read"),
        GuardedRoute("/search", search, permission=ride),
        GuardedRoute("/requests", call, permission=ride, methods=["POST"]),
        GuardedRoute("/requests", trips, permission=ride),
        GuardedRoute("/requests/live", live, permission=ride),
        GuardedRoute("/requests/{id}", trip, permission=ride),
        GuardedRoute("/requests/{id}/accept", accept, permission=ride, methods=["POST"]),
        GuardedRoute("/requests/{id}/decline", decline, permission=ride, methods=["POST"]),
        GuardedRoute("/requests/{id}/cancel", cancel, permission=ride, methods=["POST"]),
        GuardedRoute("/me", me, permission=ride),
        GuardedRoute("/me", tell, permission=ride, methods=["PUT"]),
        GuardedRoute("/me", forget, permission=ride, methods=["DELETE"]),
    ]


def _when(when: str | dict[str, str]) -> tuple[int | None, int | None]:
    """Return when a rider sets out and has to be there, as Unix seconds; raises Problem 400."""
    if isinstance(when, str):
        return None, None
    if when.keys() == {"depart_at"}:
        return seconds(when["depart_at"], "depart_at"), None
    if when.keys() == {"arrive_by"}:
        return None, seconds(when["arrive_by"], "arrive_by")
    raise invalid_request('when is "now", {"depart_at": …} or {"arrive_by": …}.')
