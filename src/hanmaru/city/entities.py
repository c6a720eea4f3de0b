"""The city's sensors as NGSI-LD entities: what stays, and readings as attributes.

Names of types and attributes are those of Smart Data Models and expand by the core @context alone. No entity says
anything of a person.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from hanmaru.city import readings
from hanmaru.city.build import City
from hanmaru.city.clock import iso
from hanmaru.city.noise import Floats, Ints
from hanmaru.city.readings import UNITS, Columns, Unit
from hanmaru.city.sensors import TYPES, Sensors
from hanmaru.hub.client import JsonObject

DATED = frozenset(
    {"AirQualityObserved", "WeatherObserved", "TrafficFlowObserved", "NoiseLevelObserved", "WaterObserved"}
)
"""Types whose Smart Data Models schema requires ``dateObserved``."""

_CAMERA_USES = ("SURVEILLANCE", "TRAFFIC", "SURVEILLANCE", "SURVEILLANCE")


def entity_id(city: City, kind: str, index: int) -> str:
    """Return the id of a sensor: ``urn:ngsi-ld:<Type>:<city>:<n>``, n from 1."""
    return f"urn:ngsi-ld:{kind}:{city.profile.id}:{index + 1}"


def statics(city: City) -> Iterator[JsonObject]:
    """Yield every sensor as an entity with what does not change: name, location, address, capacities."""
    for kind, sensors in city.sensors.items():
        for i in range(len(sensors)):
            yield {"id": entity_id(city, kind, i), "type": kind, **_common(city, sensors, i), **_own(city, sensors, i)}


def attributes(city: City, kind: str, index: Ints, t: Floats, columns: Columns) -> list[JsonObject]:
    """Return an entity fragment for each reading: id, type and the attributes that changed, observed at ``t``."""
    if not len(index):
        return []
    units = UNITS[kind]
    values = {name: _values(columns[name], unit) for name, unit in units.items()}
    out: list[JsonObject] = []
    for k, (i, at) in enumerate(zip(index.tolist(), (iso(s) for s in t.tolist()), strict=True)):
        entity: JsonObject = {"id": entity_id(city, kind, i), "type": kind}
        for name, unit in units.items():
            entity[name] = _property(values[name][k], unit, at)
        if kind in DATED:
            entity["dateObserved"] = _property(at, Unit(), at)
        if "lon" in columns:
            point = _point(float(columns["lon"][k]), float(columns["lat"][k]))
            entity["location"] = {"type": "GeoProperty", "value": point, "observedAt": at}
        out.append(entity)
    return out


def histories(
    city: City, kind: str, index: Ints, times: Floats, columns: Columns, names: Sequence[str]
) -> list[JsonObject]:
    """Return the temporal representation of readings: columns are (times, sensors) raveled, one entity a sensor."""
    stamps = [iso(s) for s in times.tolist()]
    values = {n: _values(columns[n], UNITS[kind][n]) for n in names}
    out: list[JsonObject] = []
    for k, i in enumerate(index.tolist()):
        entity: JsonObject = {"id": entity_id(city, kind, i), "type": kind}
        for name in names:
            unit = UNITS[kind][name]
            own = values[name][k :: len(index)]
            entity[name] = [_property(v, unit, at) for v, at in zip(own, stamps, strict=True)]
        out.append(entity)
    return out


def _property(value: object, unit: Unit, at: str) -> JsonObject:
    attribute: JsonObject = {"type": "Property", "value": value, "observedAt": at}
    if unit.code:
        attribute["unitCode"] = unit.code
    return attribute


def _values(column: readings.Column, unit: Unit) -> list[object]:
    """Return a column as JSON values, numbers rounded as their instrument shows them."""
    if column.dtype.kind != "f":
        return column.tolist()
    rounded = np.round(column.astype(np.float64), unit.decimals)
    return (rounded.astype(np.int64) if unit.decimals == 0 else rounded + 0.0).tolist()


def _common(city: City, sensors: Sensors, i: int) -> JsonObject:
    district = city.profile.districts[int(sensors.district[i])].name
    label, number = TYPES[sensors.type], int(sensors.number[i])
    city_name = city.profile.name
    lon, lat = sensors.lonlat[i].tolist()
    names = {"ko": f"{district.ko} {label.ko} {number}", "en": f"{district.en} {label.en} {number}"}
    if sensors.type in ("Vehicle", "PublicTransportStop"):
        names = {"ko": f"{label.ko} {i + 1}", "en": f"{label.en} {i + 1}"}
    address = {"addressCountry": "KR", "addressRegion": city_name.ko, "addressLocality": district.ko}
    common: JsonObject = {
        "name": {"type": "LanguageProperty", "languageMap": names},
        "location": {"type": "GeoProperty", "value": _point(lon, lat)},
    }
    if sensors.type != "Vehicle":
        common["address"] = _fixed(address)
    return common


def _own(city: City, sensors: Sensors, i: int) -> JsonObject:
    """Return what only this type has."""
    trait = float(sensors.trait[i])
    ring = city.profile.roads.ring
    match sensors.type:
        case "Camera":
            use = _CAMERA_USES[int(trait * len(_CAMERA_USES))]
            return {"cameraUsage": _fixed(use), "cameraType": _fixed("FIXED" if trait < 0.7 else "PTZ")}
        case "FloodMonitoring":
            return {"alertLevel": _fixed(5) | {"unitCode": "CMT"}, "dangerLevel": _fixed(15) | {"unitCode": "CMT"}}
        case "Device":
            return {"category": _fixed(["sensor"]), "controlledProperty": _fixed(["emergency"])}
        case "OffStreetParking":
            total = int(readings.spots(sensors)[i])
            return {"totalSpotNumber": _fixed(total), "category": _fixed(["public", "ground"])}
        case "EVChargingStation":
            return {"capacity": _fixed(int(readings.chargers(sensors)[i])), "status": _fixed("working")}
        case "Hospital":
            return {"totalBeds": _fixed(int(readings.beds(sensors)[i]))}
        case "TrafficFlowObserved":
            edge = int(sensors.site[i])
            limit = float(round(city.roads.speed_mps[edge] * 3.6))
            corridor = int(city.roads.corridor[edge])
            own: JsonObject = {"maximumAllowedSpeed": _fixed(limit) | {"unitCode": "KMH"}}
            if city.roads.brt[edge] and ring is not None:
                own["description"] = _text(ring.name.ko, ring.name.en)
            elif corridor >= 0:
                name = city.profile.corridors[corridor].name
                own["description"] = _text(name.ko, name.en)
            return own
        case "ACMeasurement":
            return {"phaseType": _fixed("threePhase")}
        case "WasteContainer":
            return {"storedWasteKind": _fixed(["general"])}
        case "Vehicle":
            return {"vehicleType": _fixed("bus"), "category": _fixed(["public"])}
        case "PublicTransportStop":
            return {"transportationType": _fixed([3])}
        case _:
            return {}


def _fixed(value: object) -> JsonObject:
    return {"type": "Property", "value": value}


def _text(ko: str, en: str) -> JsonObject:
    return {"type": "LanguageProperty", "languageMap": {"ko": ko, "en": en}}


def _point(lon: float, lat: float) -> JsonObject:
    return {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]}
