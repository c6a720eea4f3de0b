"""What the dispatcher's desk does: watch the fleet, see trips and decisions, decide otherwise, look somebody up."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
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
from hanmaru.ride.api.room import Ground, Room, id_of, json, key_of
from hanmaru.ride.dispatch import trips as t
from hanmaru.ride.dispatch.journal import FILE, STEP_S, Reader
from hanmaru.ride.engine import events as e

MOST_TRIPS, MOST_SEARCHED, MOST_EVENTS = 200, 20_000, 500
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
        """Return the figures of the last ``hours`` as a series, and those of now."""
        hours = _number(request, "hours", 1, 168, 24)

        def find() -> list[Any]:
            with closing(Reader(room.context.data_dir / FILE)) as reader:
                return reader.figures(int(time.time() - hours * 3600))

        rows, now = await asyncio.gather(asyncio.to_thread(find), room.client.call("figures", hours=hours))
        points = [msgspec.json.decode(body) for body in rows]
        return json(msgspec.json.encode({"step_s": STEP_S, "points": points, "now": msgspec.Raw(now)}))

    async def trips(request: Request) -> Response:
        """Return trips of the last day without who takes them, newest first.

        By ``state``, and where ``q`` is in the id, alias, plate or a stop's name.
        """
        state, text = request.query_params.get("state", ""), request.query_params.get("q", "").casefold()
        ground = await room.ground()

        def find() -> list[dict[str, Any]]:
            with closing(Reader(room.context.data_dir / FILE)) as reader:
                rows = reader.trips(int(time.time()) - 86_400, MOST_SEARCHED)
            found: list[dict[str, Any]] = []
            for trip in map(t.decode, rows):
                if state in ("", trip.state):
                    row = _listed(trip, ground)
                    if text in _words(row):
                        found.append(row)
                        if len(found) == MOST_TRIPS:
                            break
            return found

        return json(msgspec.json.encode({"trips": await asyncio.to_thread(find)}))

    async def trip(request: Request) -> Response:
        """Return a trip without who takes it."""
        return json(await room.client.call("desk_trip", id=id_of(request)))

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
        key = key_of(request, f"desk/{caller_of(request).name}")  # no van's id or rider's pseudonym has a slash
        return json(await room.client.call("override", key=key, **msgspec.to_builtins(decision)))

    async def log(request: Request) -> Response:
        """Return the last decisions after the number ``since``, newest first, at most ``limit``."""
        since, limit = int(_number(request, "since", 0, 2**53, 0)), int(_number(request, "limit", 1, MOST_EVENTS, 200))
        vans = [van["id"] for van in (await room.ground()).vans]

        def find() -> list[dict[str, Any]]:
            with closing(Reader(room.context.data_dir / FILE)) as reader:
                events = map(_event.decode, reader.last_events(since, limit))
            return [t.described(event, vans) for event in events if not isinstance(event, t.QUIET)]

        return json(msgspec.json.encode({"entries": await asyncio.to_thread(find)}))

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


def _listed(trip: t.Trip, ground: Ground) -> dict[str, Any]:
    """Return a row of the list: stops, never where exactly somebody lives."""

    def stop(number: int | None) -> dict[str, Any] | None:
        return ground.stops[number] if number is not None and 0 <= number < len(ground.stops) else None

    offer = trip.promise
    start, goal = (
        stop(spot.stop if spot else next(iter(walks), None))
        for spot, walks in ((offer and offer.pickup, trip.walks[0]), (offer and offer.dropoff, trip.walks[1]))
    )
    waits = trip.state in ("booked", "offered", "asked")
    promised = None if offer is None else offer.promise.to_s if waits else offer.promise.by_s
    done_s = trip.dropped_s or None
    late_s = trip.at_risk_s or (max(0, done_s - promised) if done_s and promised else None)
    return {
        "id": trip.id,
        "state": trip.state,
        "alias": trip.alias,
        "from": {"stop": start, **({"lon": start["lon"], "lat": start["lat"]} if start else {})},
        "to": {"stop": goal, **({"lon": goal["lon"], "lat": goal["lat"]} if goal else {})},
        "seats": trip.seats,
        "wheelchairs": trip.wheelchairs,
        "when": trip.when,
        "made_at": instant(trip.made_s),
        "van": ground.vans[trip.van] if 0 <= trip.van < len(ground.vans) else None,
        "promise": None if promised is None else instant(promised),
        "expected": None if offer is None else instant(offer.pickup_s if waits else done_s or offer.dropoff_s),
        "late_s": late_s,
        "reason": trip.reason or None,
    }


def _words(row: dict[str, Any]) -> str:
    stops = [row[end]["stop"] for end in ("from", "to") if row[end]["stop"]]
    names = [name for stop in stops for name in stop["name"].values()]
    return " ".join([row["id"], row["alias"], *(row["van"].values() if row["van"] else ()), *names]).casefold()


def _number(request: Request, name: str, least: float, most: float, default: float) -> float:
    try:
        value = float(request.query_params.get(name) or default)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise invalid_request(f"{name} is a number from {least:g} to {most:g}.")
    return value
