"""The service as everyone with access to the hub may see it: its vans, stops and figures. Nothing is about a rider.

Vans are ``Vehicle`` in the manner of Smart Data Models, and ``DemandResponsiveVehicle`` to tell them from others.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import structlog

from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.bodies import instant
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.ride.api.room import Ground
from hanmaru.ride.dispatch.client import Client

log = structlog.get_logger()

EVERY_S = 1.0
A_SECOND = 100
"""Vans that are written to the hub in a second at most: those of a larger fleet are told in turns."""
FIGURES_S = 15.0
AGAIN_S = 5.0
BATCH = 500
STATUS: Mapping[str, str] = {
    "driving": "onRoute",
    "at-stop": "onRoute",
    "ready": "parked",
    "held": "parked",
    "break": "parked",
    "broken": "broken",
    "off": "garaged",
    "out-of-service": "garaged",
}
"""What a van does, in the words of Smart Data Models' Vehicle."""


class Van(msgspec.Struct, frozen=True):
    """A van as the dispatcher tells it."""

    id: str
    plate: str
    lon: float
    lat: float
    bearing: float | None
    speed_kmh: float
    status: str
    seats: int
    aboard: int
    reckoned: bool


class Now(msgspec.Struct, frozen=True):
    """The vans, the figures and the stops' ids."""

    vans: list[Van]
    figures: dict[str, Any]


def vehicle(van: Van, at: str) -> JsonObject:
    """Return a van's entity."""
    return {
        "id": f"urn:ngsi-ld:Vehicle:ride:{van.id}",
        "type": ["Vehicle", "DemandResponsiveVehicle"],
        "location": _position(van.lon, van.lat, at),
        "bearing": _value(van.bearing if van.bearing is not None else 0, at),
        "speed": _value(round(van.speed_kmh), at) | {"unitCode": "KMH"},
        "serviceStatus": _value(STATUS.get(van.status, "parked"), at),
        "occupancy": _value(round(van.aboard / van.seats, 2), at),
        "vehiclePlateIdentifier": _value(van.plate),
        "vehicleType": _value("minibus"),
        "category": _value(["public"]),
    }


def stop_entity(stop: Mapping[str, Any]) -> JsonObject:
    """Return a virtual stop's entity."""
    return {
        "id": f"urn:ngsi-ld:PublicTransportStop:ride:{stop['id']}",
        "type": ["PublicTransportStop", "VirtualStop"],
        "name": {"type": "LanguageProperty", "languageMap": dict(stop["name"])},
        "location": _position(stop["lon"], stop["lat"]),
        "transportationType": _value([3]),
        "wheelchairAccessible": _value(stop["accessible"]),
    }


def figures_entity(figures: Mapping[str, Any], name: Mapping[str, str], at: str) -> JsonObject:
    """Return the service's figures of the last hour; times in seconds. What is not known is left out."""
    known = {
        "waiting": figures["waiting"],
        "aboard": figures["aboard"],
        "served": figures["served"],
        "refused": figures["refused"],
        "late": figures["late"],
        "vehiclesInService": figures["vans_on"],
        "meanWaitingTime": figures["mean_wait_s"],
        "p95WaitingTime": figures["p95_wait_s"],
        "ridersPerVehicleHour": figures["riders_per_van_hour"],
    }
    return {
        "id": "urn:ngsi-ld:DemandResponsiveService:ride",
        "type": "DemandResponsiveService",
        "name": {"type": "LanguageProperty", "languageMap": dict(name)},
        **{key: _value(value, at) for key, value in known.items() if value is not None},
    }


async def publish(context: Context[HubClient]) -> None:
    """Keep the hub's entities as the service is, until cancelled."""
    client = Client(context.data_dir)
    context.closing.push_async_callback(client.close)
    told: dict[str, tuple[Any, ...]] = {}
    ground: Ground | None = None
    figured = 0.0
    while True:
        try:
            if ground is None:
                ground = msgspec.json.decode(await client.call("ground"), type=Ground)
                await _write(context.hub, map(stop_entity, ground.stops))
            now = msgspec.json.decode(await client.call("vans"), type=Now)
            at = instant(time.time()) or ""
            changed = [van for van in now.vans if told.get(van.id) != _seen(van)][:A_SECOND]
            await _write(context.hub, (vehicle(van, at) for van in changed))
            told.update({van.id: _seen(van) for van in changed})
            if time.monotonic() - figured > FIGURES_S:
                figured = time.monotonic()
                await _write(context.hub, [figures_entity(now.figures, ground.service["name"], at)])
        except Problem as problem:
            if problem.status != 503:
                log.warning("the service is not told to the hub", reason=problem.detail)
            ground = None
            await asyncio.sleep(AGAIN_S)
        await asyncio.sleep(EVERY_S)


async def _write(hub: HubClient, entities: Iterable[JsonObject]) -> None:
    every = list(entities)
    for first in range(0, len(every), BATCH):
        result = await hub.upsert(every[first : first + BATCH])
        for failure in result.failures[:1]:
            log.warning("the hub refuses an entity of the service", id=failure.id, reason=failure.detail)


def _seen(van: Van) -> tuple[Any, ...]:
    """Return what of a van is worth telling: its place to about 10 m, and what it does."""
    return round(van.lon, 4), round(van.lat, 4), van.status, van.aboard


def _value(value: object, at: str = "") -> JsonObject:
    return {"type": "Property", "value": value, **({"observedAt": at} if at else {})}


def _position(lon: float, lat: float, at: str = "") -> JsonObject:
    point = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "GeoProperty", "value": point, **({"observedAt": at} if at else {})}
