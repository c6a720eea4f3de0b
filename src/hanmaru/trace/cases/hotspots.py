"""Hotspots over all open cases, k-anonymous: for investigators, and on the hub for everybody who may read it.

A hotspot is shown where at least `K` other people were, without saying whose investigation found it; what the hub gets
is rounded to about a hundred metres, to the day, and to fives.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hanmaru.hub.client import HubClient, Query
from hanmaru.platform.vault import Desk
from hanmaru.trace.cases.room import Room

KIND = "hotspots"
TYPE = "EpidemicHotspot"
K = 5
"""Fewest people of a hotspot that is shown (k-anonymity: Sweeney, Int J Uncertain Fuzziness 2002;10:557-570)."""
OWN = ("home", "work")
"""Kinds of a case's own places: a hotspot at one would tell where somebody lives."""
MOST_CASES = 500
MOST_OF_A_CASE = 200


def of(results: dict[str, Any], disease: str) -> dict[str, Any]:
    """Return the document that is kept of a case's hotspots."""
    kept = ("lat", "lon", "radius_m", "start", "end", "people", "expected", "probability", "place")
    spots = [{name: one.get(name) for name in kept} for one in results.get("hotspots", ())]
    spots = [one for one in spots if (one["people"] or 0) >= K and not (one["place"] and one["place"]["kind"] in OWN)]
    return {"disease": disease, "hotspots": spots[:MOST_OF_A_CASE]}


async def shared(room: Room, desk: Desk, since: datetime | None = None) -> list[dict[str, Any]]:
    """Return the hotspots of open cases, those at one place as one; those that ended before ``since`` are left out."""
    rows = await asyncio.to_thread(lambda: room.book.cases(limit=MOST_CASES))
    subjects = [row.results for row in rows if row.results and row.status not in ("closed", "destroyed")]
    if not subjects:
        return []
    documents = await desk.get_many([(subject, KIND, KIND) for subject in subjects])
    return joined([one for one in documents if one is not None], since)


def joined(documents: Sequence[dict[str, Any]], since: datetime | None = None) -> list[dict[str, Any]]:
    """Return the hotspots of several cases, those at one place as one: the most people, the whole span of time."""
    places: dict[str, dict[str, Any]] = {}
    for document in documents:
        here: set[str] = set()
        for spot in document["hotspots"]:
            if since is not None and datetime.fromisoformat(spot["end"]) < since:
                continue
            place: dict[str, Any] = spot["place"] or {}
            key = f"{document['disease']} {place.get('id') or (round(spot['lat'], 3), round(spot['lon'], 3))}"
            known = places.setdefault(key, {**spot, "disease": document["disease"], "cases": 0, "id": _id(key)})
            known["start"], known["end"] = min(known["start"], spot["start"]), max(known["end"], spot["end"])
            if spot["people"] > known["people"]:
                known.update({name: spot[name] for name in ("people", "expected", "probability", "radius_m")})
            here.add(key)
        for key in here:
            places[key]["cases"] += 1
    return sorted(places.values(), key=lambda one: (-one["cases"], -(one["probability"] or 0), one["id"]))


def entity(spot: dict[str, Any]) -> dict[str, Any]:
    """Return a hotspot as the hub gets it."""
    start, end = (datetime.fromisoformat(spot[name]).astimezone(UTC).date().isoformat() for name in ("start", "end"))
    where = {"type": "Point", "coordinates": [round(spot["lon"], 3), round(spot["lat"], 3)]}
    facts = {"peopleCount": spot["people"] // K * K, "disease": spot["disease"], "validFrom": start, "validTo": end}
    return {
        "id": f"urn:ngsi-ld:{TYPE}:{spot['id']}",
        "type": TYPE,
        "location": {"type": "GeoProperty", "value": where},
        **{name: {"type": "Property", "value": value} for name, value in facts.items()},
    }


async def publish(room: Room, desk: Desk) -> int:
    """Put the hotspots on the hub, and take those away that are none any more; return how many there are."""
    hub: HubClient = room.context.hub
    entities = [entity(spot) for spot in await shared(room, desk)]
    there = [one["id"] for one in await hub.query(Query(type=TYPE, limit=1_000), simplified=True)]
    if entities:
        await hub.upsert(entities, replace=True)
    if stale := sorted({*there} - {one["id"] for one in entities}):
        await hub.delete(stale)
    return len(entities)


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]
