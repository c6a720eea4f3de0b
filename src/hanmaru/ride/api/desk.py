"""What the dispatcher's desk does: watch the fleet, see trips and decisions, decide otherwise, look somebody up."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import instant, read
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute, caller_of, purpose_of
from hanmaru.platform.problems import invalid_request
from hanmaru.ride.api.live import FleetFeed, stream
from hanmaru.ride.api.room import Room, id_of, json, key_of
from hanmaru.ride.dispatch import trips as t
from hanmaru.ride.dispatch.journal import FILE, Reader
from hanmaru.ride.engine import events as e

MOST_TRIPS, MOST_EVENTS = 500, 500
Text = Annotated[str, Meta(max_length=64)]
_event = msgspec.msgpack.Decoder(e.AnyEvent)


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person at the desk decides."""

    kind: Literal["assign", "unassign", "cancel", "hold", "release", "out-of-service", "back", "stop-at"]
    van: Text = ""
    request: Text = ""
    stop: Text = ""
    reason: Annotated[str, Meta(max_length=200)] = ""


def routes(room: Room) -> Sequence[BaseRoute]:
    """Return the desk's routes."""
    feed = FleetFeed(room)

    async def fleet(request: Request) -> Response:
        """Return every van with its plan, promises at risk, and the figures."""
        return json(await room.client.call("fleet"))

    async def live(request: Request) -> Response:
        """Follow the fleet as server-sent events, at most one a second."""
        return stream(feed.stream())

    async def figures(request: Request) -> Response:
        """Return the figures of the last ``hours``."""
        return json(await room.client.call("figures", hours=_number(request, "hours", 1, 168)))

    async def trips(request: Request) -> Response:
        """Return trips without who takes them: by ``state``, whose id holds ``q``; of the last day, newest first."""
        state, text = request.query_params.get("state", ""), request.query_params.get("q", "")

        def find() -> list[dict[str, Any]]:
            reader = Reader(room.context.data_dir / FILE)
            try:
                rows = reader.trips(int(time.time()) - 86_400, 20_000)
            finally:
                reader.close()
            found = [trip for trip in map(t.decode, rows) if text in trip.id and state in ("", trip.state)]
            return [_listed(trip) for trip in found[:MOST_TRIPS]]

        return json(msgspec.json.encode({"trips": await asyncio.to_thread(find)}))

    async def trip(request: Request) -> Response:
        """Return a trip without who takes it."""
        return json(await room.client.call("trip", id=id_of(request)))

    async def person(request: Request) -> Response:
        """Return who takes a trip, for the purpose in ``Hanmaru-Purpose``; the audit trail has it."""
        id, purpose = id_of(request), purpose_of(request)
        riders = await room.riders()
        riders.desk(purpose)
        rider = msgspec.json.decode(await room.client.call("rider_of", id=id))["rider"]
        found = await riders.look_up(caller_of(request), rider, purpose, address_of(request.scope), f"ride:trip/{id}")
        return json(msgspec.json.encode(found))

    async def override(request: Request) -> Response:
        """Decide otherwise than the engine did: answers with what followed."""
        decision = await read(request, Decision, '{"kind": …, "van": …, "request": …}')
        key = key_of(request, caller_of(request).name)
        return json(await room.client.call("override", key=key, **msgspec.to_builtins(decision)))

    async def log(request: Request) -> Response:
        """Return decisions after the number ``since``, with their reasons; at most the last 500."""
        since = int(_number(request, "since", 0, 2**53))

        def find() -> list[dict[str, Any]]:
            reader = Reader(room.context.data_dir / FILE)
            try:
                rows = reader.last_events(since, MOST_EVENTS)
            finally:
                reader.close()
            return [t.described(_event.decode(body)) for _, _, body in rows]

        events = await asyncio.to_thread(find)
        return json(msgspec.json.encode({"events": events, "seq": events[-1]["seq"] if events else since}))

    look, act = "ride.read", "ride.dispatch"
    return [
        GuardedRoute("/fleet", fleet, permission=look),
        GuardedRoute("/fleet/live", live, permission=look),
        GuardedRoute("/figures", figures, permission=look),
        GuardedRoute("/log", log, permission=look),
        GuardedRoute("/trips", trips, permission=look),
        GuardedRoute("/trips/{id}", trip, permission=look),
        GuardedRoute("/trips/{id}/person", person, permission=act),
        GuardedRoute("/override", override, permission=act, methods=["POST"]),
    ]


def _listed(trip: t.Trip) -> dict[str, Any]:
    return {
        "id": trip.id,
        "state": trip.state,
        "made_at": instant(trip.made_s),
        "seats": trip.seats,
        "wheelchairs": trip.wheelchairs,
        "when": trip.when,
        "code": trip.code,
        "alias": trip.alias,
        "reason": trip.reason or None,
        "at_risk": trip.at_risk_s > 0,
        "pickup_from": instant(trip.promise.promise.from_s) if trip.promise else None,
        "pickup_to": instant(trip.promise.promise.to_s) if trip.promise else None,
        "arrive_by": instant(trip.promise.promise.by_s) if trip.promise else None,
    }


def _number(request: Request, name: str, least: float, most: float) -> float:
    given = request.query_params.get(name, "")
    try:
        value = float(given or least)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise invalid_request(f"{name} is a number from {least:g} to {most:g}.")
    return value
