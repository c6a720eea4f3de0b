"""HTTP, thin: which buildings there are, a building's days, and when its measure was."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.policy import GuardedRoute, access_of
from hanmaru.platform.problems import invalid_request, not_found
from hanmaru.platform.services import Context
from hanmaru_building_energy.ledger import Ledger
from hanmaru_building_energy.report import FIGURES
from hanmaru_building_energy.work import BUILDING, COMPLETED, STARTED, buildings, targets


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a measure was taken: what came before ``started`` is the baseline, what comes after ``completed`` is
    judged.
    """

    started: datetime
    completed: datetime


def respond(value: Any) -> Response:
    """Answer in JSON."""
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"cache-control": "no-store"})


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the service's routes; what they show is what the request's caller may see."""
    ledger = Ledger(context.data_dir)

    async def building_of(request: Request) -> JsonObject:
        id = request.path_params["id"]
        found = await context.hub.acting(access_of(request)).retrieve(id, simplified=True)
        if found is None or BUILDING not in targets(found, "type") or "refMeter" not in found:
            raise not_found(f"There is no metered building {id!r}.")
        return found

    async def get_buildings(request: Request) -> Response:
        """List the metered buildings that the caller may see, with what they saved."""
        found = await buildings(context.hub.acting(access_of(request)))
        return respond([{name: one[name] for name in ("id", "name", *FIGURES) if name in one} for one in found])

    async def get_series(request: Request) -> Response:
        """Return a building's days: measured, baseline with its band, and the energy saved so far with its own."""
        building = await building_of(request)
        result = await asyncio.to_thread(ledger.result, building["id"])
        if result is None:
            raise not_found("This building has not been estimated yet; that takes a moment.")
        return respond(result)

    async def put_measure(request: Request) -> Response:
        """Say when a building's measure was taken; its savings are then estimated anew."""
        building = await building_of(request)
        try:
            measure = msgspec.json.decode(await request.body(), type=Measure)
        except msgspec.ValidationError as error:
            raise invalid_request(f"The measure cannot be read: {error}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise invalid_request("The body has to be JSON with started and completed.") from None
        if measure.started.tzinfo is None or measure.completed.tzinfo is None:
            raise invalid_request("started and completed need an offset, such as 2026-03-01T00:00:00+09:00.")
        if measure.completed < measure.started:
            raise invalid_request("A measure cannot be completed before it is started.")
        await context.hub.upsert(
            [
                {
                    "id": building["id"],
                    "type": building["type"],
                    STARTED: date_time(measure.started),
                    COMPLETED: date_time(measure.completed),
                }
            ]
        )
        return Response(status_code=204)

    return [
        GuardedRoute("/buildings", get_buildings, permission="read"),
        GuardedRoute("/buildings/{id:path}/series", get_series, permission="read"),
        GuardedRoute("/buildings/{id:path}/measure", put_measure, permission="energy.manage", methods=("PUT",)),
    ]


def date_time(at: datetime) -> JsonObject:
    """Return an instant as an NGSI-LD property."""
    return {"type": "Property", "value": {"@type": "DateTime", "@value": at.isoformat()}}
