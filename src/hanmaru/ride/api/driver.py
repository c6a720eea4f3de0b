"""What drivers do: see their van's plan, follow it, and say what happened, however late the message comes."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import read
from hanmaru.platform.policy import GuardedRoute, caller_of, policy_of
from hanmaru.platform.problems import Problem
from hanmaru.ride.api.live import driver_stream
from hanmaru.ride.api.rider import Lat, Lon
from hanmaru.ride.api.room import Id, Room, json, seconds

MOST_ACTIONS = 500
Kind = Literal["position", "arrived", "boarded", "no-show", "alighted", "break-start", "break-end", "breakdown", "back"]


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that happened at a time, known by an id that the driver's device gave it."""

    id: Id
    at: str
    kind: Kind
    stop: Annotated[str, Meta(max_length=64)] | None = None
    request: Annotated[str, Meta(max_length=64)] | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    bearing: Annotated[float, Meta(ge=0, le=360)] | None = None


class Actions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened, in order."""

    actions: Annotated[list[Action], Meta(max_length=MOST_ACTIONS)]


def routes(room: Room) -> Sequence[BaseRoute]:
    """Return drivers' routes."""

    async def van_of(request: Request) -> str:
        """Return the van that the caller drives, or that a dispatcher speaks for."""
        asked = request.query_params.get("van", "")
        caller = caller_of(request)
        own = (await room.ground()).drivers.get(caller.name)
        if asked and asked != own:
            if not policy_of(request).allows(caller, "ride.dispatch"):
                raise Problem(403, "Not permitted", "You drive another van.")
            return asked
        if own is None:
            raise Problem(
                409, "No van", f"No van has {caller.name!r} for its driver; it is set in the service's settings."
            )
        return own

    async def driver(request: Request) -> Response:
        """Return the plan of the van that one drives."""
        return json(await room.client.call("driver", van=await van_of(request)))

    async def live(request: Request) -> Response:
        """Follow the plan of the van that one drives as server-sent events."""
        return driver_stream(room, await van_of(request))

    async def actions(request: Request) -> Response:
        """Say what happened; an action that came before is not taken again."""
        said = await read(request, Actions, '{"actions": [{"id": …, "at": …, "kind": …}]}')
        told: list[dict[str, Any]] = []
        for action in said.actions:
            if action.kind == "position" and (action.lon is None or action.lat is None):
                raise Problem(400, "Invalid request", f"The position {action.id!r} needs lon and lat.")
            facts = msgspec.to_builtins(action)
            facts["at_s"] = seconds(facts.pop("at"), "at")
            told.append(facts)
        return json(await room.client.call("actions", van=await van_of(request), actions=told))

    drive = "ride.drive"
    return [
        GuardedRoute("/driver", driver, permission=drive),
        GuardedRoute("/driver/live", live, permission=drive),
        GuardedRoute("/driver/actions", actions, permission=drive, methods=["POST"]),
    ]
