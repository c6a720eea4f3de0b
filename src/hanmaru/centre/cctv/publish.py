"""What the hub is told: which cameras work, and counts by line, zone and minute. Nothing of any person."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from hanmaru.centre.cctv.register import stamp
from hanmaru.centre.cctv.shapes import Counts, Live, Settings
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.problems import Problem

if TYPE_CHECKING:
    from hanmaru.centre.cctv.process import Process

log = structlog.get_logger()

MINUTE_S = 60
AGAIN_S = 5.0


async def states(process: "Process") -> None:
    """Tell the hub each camera's state when it changes; a hub that does not answer is told later."""
    waiting: set[str] = set(process.stations)
    while True:
        if not waiting:
            waiting.add(await process.changed.get())
        while not process.changed.empty():
            waiting.add(process.changed.get_nowait())
        cameras = await asyncio.to_thread(process.register.cameras)
        known = {id: one for id in waiting if (one := process.stations.get(id)) and id in cameras}
        entities = [camera_entity(cameras[id][0], cameras[id][1], one.live) for id, one in known.items()]
        if await _told(process.ctx.hub, entities):
            waiting.clear()
        else:
            await asyncio.sleep(AGAIN_S)


async def counts(process: "Process") -> None:
    """Keep each minute's counts, and tell the hub."""
    while True:
        ends = (int(time.time()) // MINUTE_S + 1) * MINUTE_S
        await asyncio.sleep(max(0.0, ends - time.time()))
        await count(process, ends - MINUTE_S)


async def count(process: "Process", minute_s: int) -> None:
    """Keep and tell the counts gathered since the last time, as those of a minute (Unix seconds of its beginning)."""
    at, found, entities = stamp(minute_s), list[Counts](), list[JsonObject]()
    cameras = await asyncio.to_thread(process.register.cameras)
    for id, station in process.stations.items():
        analyser = station.analyser
        if id not in cameras or analyser is None or analyser.counting is None or station.live.state != "live":
            continue
        taken = analyser.counting.take()
        made = [Counts(id, place, kind, at, values) for (place, kind), values in taken.items()]
        found += made
        entities += count_entities(id, cameras[id][0], station.settings, made)
    if found:
        await asyncio.to_thread(process.register.add_counts, found)
        await _told(process.ctx.hub, entities)


def camera_entity(entity: str, settings: Settings, live: Live) -> JsonObject:
    """Return a camera as smart data models' ``Camera``."""
    since: dict[str, Any] = {"observedAt": live.since} if live.since else {}
    return {
        "id": entity,
        "type": "Camera",
        "name": {"type": "LanguageProperty", "languageMap": dict(settings.name)},
        "location": {"type": "GeoProperty", "value": _point(settings)},
        "cameraUsage": {"type": "Property", "value": settings.use},
        "on": {"type": "Property", "value": live.state == "live", **since},
        "state": {"type": "Property", "value": live.state, **since},
    }


def count_entities(camera: str, entity: str, settings: Settings, counts: Iterable[Counts]) -> Sequence[JsonObject]:
    """Return counts as ``CrowdFlowObserved`` (persons) and ``TrafficFlowObserved`` (vehicles), one per line or zone.

    ``intensity`` is vehicles an hour, as smart data models have it: a minute's count times 60.
    """
    names = {place.id: place.name for place in (*settings.lines, *settings.zones)}
    entities: list[JsonObject] = []
    for one in counts:
        type = "CrowdFlowObserved" if one.kind == "person" else "TrafficFlowObserved"
        values = _person_values(one.values) if one.kind == "person" else _vehicle_values(one.values)
        properties = {
            name: {"type": "Property", "value": value, "observedAt": one.at} for name, value in values.items()
        }
        entities.append(
            {
                "id": f"urn:ngsi-ld:{type}:{camera}:{one.place}",
                "type": type,
                "name": {"type": "LanguageProperty", "languageMap": {"en": names.get(one.place, one.place)}},
                "location": {"type": "GeoProperty", "value": _point(settings)},
                "refDevice": {"type": "Relationship", "object": entity},
                **properties,
            }
        )
    return entities


def _person_values(values: Mapping[str, float]) -> Mapping[str, float]:
    if "mean" in values:
        return {"peopleCount": values["mean"], "peopleCountMaximum": values["most"]}
    return {
        "peopleCount": values["in"] + values["out"],
        "peopleCountTowards": values["in"],
        "peopleCountAway": values["out"],
    }


def _vehicle_values(values: Mapping[str, float]) -> Mapping[str, float]:
    if "mean" in values:
        return {"vehicleCount": values["mean"], "vehicleCountMaximum": values["most"]}
    return {"intensity": (values["in"] + values["out"]) * 60, "vehiclesIn": values["in"], "vehiclesOut": values["out"]}


def _point(settings: Settings) -> JsonObject:
    return {"type": "Point", "coordinates": list(settings.location.coordinates)}


async def _told(hub: HubClient, entities: Sequence[JsonObject]) -> bool:
    try:
        result = await hub.upsert(entities) if entities else None
    except Problem as problem:
        log.warning("the hub is not told of cameras", reason=problem.detail)
        return False
    for failure in result.failures[:1] if result else ():
        log.warning("the hub refuses an entity of a camera", id=failure.id, reason=failure.detail)
    return True
