"""Cameras that the hub knows already, brought into the register."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from hanmaru.centre.cctv.register import MOST_CAMERAS, Register, new_id
from hanmaru.centre.cctv.shapes import Settings
from hanmaru.centre.domain import CentreError
from hanmaru.hub.client import HubClient, JsonObject, Query

PAGE = 1000
PREFIX = "urn:ngsi-ld:Camera:"


async def import_cameras(hub: HubClient, register: Register) -> int:
    """Register the hub's Camera entities that have a location and are not registered yet; return how many.

    ``direction``, ``fieldOfView`` (degrees) and ``range`` (metres) are taken where an entity has them.
    """
    known = {entity for entity, _ in (await asyncio.to_thread(register.cameras)).values()}
    found: list[tuple[str, str, Settings]] = []
    for offset in range(0, MOST_CAMERAS, PAGE):
        page = await hub.query(Query(type="Camera", limit=PAGE, offset=offset), simplified=True)
        for entity in page:
            if entity["id"] not in known and (settings := _settings(entity)) is not None:
                found.append((_short(entity["id"]), entity["id"], settings))
        if len(page) < PAGE:
            break

    def keep() -> int:
        kept = 0
        for id, entity, settings in found:
            try:
                register.put(id, settings, entity, new=True)
                kept += 1
            except CentreError:
                continue  # another entity's id made the same short one
        return kept

    return await asyncio.to_thread(keep)


def _settings(entity: JsonObject) -> Settings | None:
    given: Any = entity.get("name") or _short(entity["id"])
    names = cast(Mapping[str, Any], given) if isinstance(given, dict) else {"en": str(given)}
    names = cast(Mapping[str, str], names.get("languageMap", names))
    raw: dict[str, Any] = {"name": dict(names), "location": entity.get("location")}
    for key, attr in (("direction_deg", "direction"), ("fov_deg", "fieldOfView"), ("range_m", "range")):
        if isinstance(value := entity.get(attr), int | float):
            raw[key] = value % 360 if key == "direction_deg" else value
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError:
        return None


def _short(urn: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in urn.removeprefix(PREFIX).lower())
    return kept[:64].strip("-") or new_id("cam")
