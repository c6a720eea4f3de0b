"""What the hub knows of an area over a period, read in a number of steps that does not grow with either."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from hanmaru.centre.reports import figures
from hanmaru.centre.reports.area import Area
from hanmaru.centre.reports.figures import PARTS, Period, Reading, Trend, number_of
from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.platform.services import Attr, Layer

MEASURED: Final = (
    "AirQualityObserved",
    "WeatherObserved",
    "TrafficFlowObserved",
    "WaterObserved",
    "CrowdFlowObserved",
    "NoiseLevelObserved",
)
"""Types whose numbers are told with their trend."""
MOST_ENTITIES: Final = 5_000
"""Entities of a layer whose states are looked at; their number is counted beyond."""
MOST_SENSORS: Final = 40
"""Sensors of a layer, evenly chosen, whose past is read."""
MOST_MARKS: Final = 1_500
MOST_ALERTS: Final = 500
MOST_SILENT: Final = 60
SILENT_AFTER: Final = timedelta(hours=1)
"""A sensor that has told nothing for so long counts as silent: several times the slowest interval of what measures."""
NOW: Final = timedelta(minutes=2)
"""A period that ended no longer ago ends now: the present state is read, which is indexed by place."""
OWN: Final = "urn:ngsi-ld:Alert:centre-"
"""Events of the centre, which a report tells from their own record."""

Json = dict[str, Any]


async def situation(hub: HubClient, layers: Mapping[str, Layer], area: Area, period: Period, *, now: datetime) -> Json:
    """Return the situation of an area over a period as the page shows it, without the centre's events.

    ``hub`` acts for the reader, who is told no more than may be seen elsewhere. For each layer: number of entities,
    states at the end; trends of what `MEASURED` measure, each beside the same hours before; alerts; sensors silent at
    the end; marks of the map.
    """
    end = min(period.end, now)
    shown: list[Json] = []
    silent: list[Json] = []
    marks: list[Json] = []
    sensors: dict[str, list[str]] = {}
    for id, layer in layers.items():
        if layer.type == "Alert":
            continue
        entities, count = await _standing(hub, layer, area, end, now)
        if not entities:
            continue
        last = await _last(hub, layer, end) if layer.type in MEASURED else {}
        quiet = [
            _silent(entity, id, at)
            for entity in entities
            if (at := last.get(entity["id"])) is not None and end - at > SILENT_AFTER
        ]
        silent += quiet
        if layer.type in MEASURED:
            sensors[id] = [entity["id"] for entity in entities]
        marks += _marks(entities, id, layer)
        shown.append(
            {
                "id": id,
                "title": layer.title,
                "type": layer.type,
                "colour": layer.colour,
                "count": count,
                "looked": len(entities),
                "silent": len(quiet),
                "states": [
                    _states(attr, found)
                    for attr in layer.attrs
                    if (found := figures.states([entity.get(attr.name) for entity in entities], attr))
                ],
            }
        )
    alerts = await _alerts(hub, area, Period(period.start, end))
    silent.sort(key=lambda one: one["since"])
    return {
        "area": {"geometry": area.geometry, "name": area.name, "km2": round(area.km2, 3)},
        "start": _iso(period.start),
        "end": _iso(period.end),
        "before": {"start": _iso(period.before().start), "end": _iso(period.before().end)},
        "made": _iso(now),
        "layers": shown,
        "figures": await _figures(hub, layers, sensors, Period(period.start, end), Period(period.start, end).before()),
        "alerts": alerts[:MOST_ALERTS],
        "alerts_more": max(0, len(alerts) - MOST_ALERTS),
        "silent": silent[:MOST_SILENT],
        "silent_more": max(0, len(silent) - MOST_SILENT),
        "marks": _evenly(marks, MOST_MARKS),
    }


async def _standing(
    hub: HubClient, layer: Layer, area: Area, end: datetime, now: datetime
) -> tuple[list[JsonObject], int]:
    """Return a layer's entities in the area at the end, at most `MOST_ENTITIES`, and how many there are."""
    query = Query(type=layer.type, within=area.geometry, limit=1000)
    if now - end <= NOW:
        entities = await _read(hub, query)
        return entities, await hub.count(query) if len(entities) == MOST_ENTITIES else len(entities)
    # What stands still may have told its place once, and after the readings that were loaded into its past.
    known = {entity["id"]: entity for entity in await _read(hub, replace(query, within=None))}
    names = ["name", "location", *(attr.name for attr in layer.attrs)]
    then: list[JsonObject] = []
    async for page in hub.as_of(replace(query, within=None), end, attrs=names):
        then += [{**known.get(entity["id"], {}), **entity} for entity in page]
        if len(then) >= MOST_ENTITIES:
            break
    inside = area.holding([entity.get("location") for entity in then])
    entities = [entity for entity, there in zip(then, inside, strict=True) if there]
    return entities, len(entities)


async def _last(hub: HubClient, layer: Layer, end: datetime) -> dict[str, datetime]:
    """Return when each sensor of a layer last measured before the end: the newest instant of what it measures."""
    found: dict[str, datetime] = {}
    names = [attr.name for attr in layer.attrs]
    async for page in hub.as_of(Query(type=layer.type, limit=1000), end, attrs=names):
        found |= {entity["id"]: figures.instant(str(entity["modifiedAt"])) for entity in page}
        if len(found) >= MOST_ENTITIES:
            break
    return found


async def _read(hub: HubClient, query: Query) -> list[JsonObject]:
    """Return entities as they are now, at most `MOST_ENTITIES`."""
    found: list[JsonObject] = []
    for offset in range(0, MOST_ENTITIES, query.limit):
        page = await hub.query(replace(query, offset=offset), simplified=True, sys_attrs=True)
        found += page
        if len(page) < query.limit:
            break
    return found


async def _figures(
    hub: HubClient, layers: Mapping[str, Layer], sensors: Mapping[str, Sequence[str]], period: Period, before: Period
) -> list[Json]:
    """Return what sensors (ids by layer) showed in a period, and before: so many readings of the past however long."""
    attrs = {
        (layers[id].type, attr.name): attr for id in sensors for attr in layers[id].attrs if attr.decimals is not None
    }
    if not attrs:
        return []
    ids = [one for some in sensors.values() for one in _evenly(some, MOST_SENSORS)]
    during = await _sampled(hub, attrs, ids, period)
    earlier = await _sampled(hub, attrs, ids, before)
    found: list[Json] = []
    for id in sorted(sensors, key=lambda id: MEASURED.index(layers[id].type)):
        for attr in layers[id].attrs:
            key = (layers[id].type, attr.name)
            trend = figures.trend(during.get(key, {}).values(), period)
            past = figures.trend(earlier.get(key, {}).values(), before)
            if trend is not None:
                found.append(
                    {
                        "layer": id,
                        "type": key[0],
                        "attr": attr.name,
                        "title": layers[id].title,
                        "label": attr.label,
                        "unit": attr.unit,
                        "decimals": attr.decimals,
                        "sensors": trend.sensors,
                        "of": len(sensors[id]),
                        **_scaled(trend, attr),
                        "before": past and _scaled(past, attr),
                    }
                )
    return found


async def _sampled(
    hub: HubClient, attrs: Mapping[tuple[str, str], Attr], ids: Sequence[str], period: Period
) -> dict[tuple[str, str], dict[str, list[Reading]]]:
    """Return what each sensor showed at the end of each part, by type and attribute and sensor; told of its middle.

    What a sensor said longer ago than a part, and longer than `SILENT_AFTER`, is no reading of that instant.
    """
    step = period.length / PARTS
    old = max(step, SILENT_AFTER)
    names = sorted({name for _, name in attrs})
    query = Query(type=",".join(sorted({kind for kind, _ in attrs})), ids=ids, limit=1000)
    found: dict[tuple[str, str], dict[str, list[Reading]]] = {}
    for part in range(PARTS):
        at, middle = period.start + (part + 1) * step, (period.start + (part + 0.5) * step).timestamp()
        async for page in hub.as_of(query, at, attrs=names):
            for entity in page:
                if at - figures.instant(str(entity["modifiedAt"])) > old:
                    continue
                for name in names:
                    number = number_of(entity.get(name))
                    if number is not None:
                        key = (str(entity["type"]), name)
                        found.setdefault(key, {}).setdefault(entity["id"], []).append((number, middle))
    return found


async def _alerts(hub: HubClient, area: Area, period: Period) -> list[Json]:
    """Return the alerts issued in a period, the newest first, each as it was last told."""
    query = Query(type="Alert", within=area.geometry, limit=1000)
    span = await hub.between(query, period.start, period.end, most=4 * MOST_ALERTS)
    found: dict[tuple[str, str], Json] = {}
    for change in span.changes:
        values = change.values
        issued = figures.value_of(values.get("dateIssued")) or change.at
        if change.id.startswith(OWN) or change.kind == "deleted" or figures.instant(str(issued)) < period.start:
            continue
        found[change.id, str(issued)] = {
            "id": change.id,
            "title": _told(values.get("name")) or _told(values.get("description")),
            "category": values.get("category"),
            "severity": values.get("severity"),
            "issued": _iso(figures.instant(str(issued))),
            "until": figures.value_of(values.get("validTo")),
            "source": values.get("alertSource"),
            "location": values.get("location"),
        }
    return sorted(found.values(), key=lambda one: one["issued"], reverse=True)


def _scaled(trend: Trend, attr: Attr) -> Json:
    parts = [None if part is None else round(part * attr.scale, 4) for part in trend.parts]
    told = {name: getattr(trend, name) * attr.scale for name in ("mean", "low", "high", "latest")}
    return {**told, "trend": parts}


def _evenly(some: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many, evenly from all of them."""
    step = max(1.0, len(some) / most)
    return [some[int(n * step)] for n in range(min(len(some), most))]


def _states(attr: Attr, found: Sequence[tuple[str, int]]) -> Json:
    colours = {figures.step_of(bound, attr): colour for bound, colour in attr.steps}
    values = [{"value": value, "count": count, "colour": colours.get(value)} for value, count in found]
    return {"attr": attr.name, "label": attr.label, "unit": attr.unit, "values": values}


def _silent(entity: JsonObject, layer: str, since: datetime) -> Json:
    return {"id": entity["id"], "name": _told(entity.get("name")), "layer": layer, "since": _iso(since)}


def _marks(entities: Sequence[JsonObject], id: str, layer: Layer) -> list[Json]:
    marks: list[Json] = []
    for entity in entities:
        location = cast("Json", entity.get("location") or {})
        if location.get("type") == "Point":
            lon, lat = location["coordinates"][:2]
            marks.append({"layer": id, "lon": lon, "lat": lat, "colour": _colour(entity, layer)})
    return marks


def _colour(entity: JsonObject, layer: Layer) -> str:
    attr = next((attr for attr in layer.attrs if attr.name == layer.colour_by), None)
    number = number_of(entity.get(attr.name)) if attr else None
    if attr is None or number is None:
        return layer.colour
    below = [colour for bound, colour in attr.steps if bound <= number * attr.scale]
    return below[-1] if below else layer.colour


def _told(text: Any) -> Json | None:
    """Return a text by language: of a simplified LanguageProperty, or of plain words."""
    if isinstance(text, Mapping):
        words = cast("Mapping[str, Any]", text)
        found = {str(k): str(v) for k, v in cast("Mapping[str, Any]", words.get("languageMap", words)).items()}
        return {"en": next(iter(found.values())), **found} if found else None
    return {"en": str(text)} if text else None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
