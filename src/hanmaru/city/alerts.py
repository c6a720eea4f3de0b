"""What calls for attention: emergency bells pressed, and warnings of air, rain, rivers and jams, as ``Alert`` entities.

Like readings, alerts are a pure function of city and time: each five minutes may hold some, always the same ones. Ids
are taken again after a while, so that a demo that runs for weeks keeps the same few dozen entities.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from hanmaru.city.build import City
from hanmaru.city.clock import iso
from hanmaru.city.entities import entity_id
from hanmaru.city.noise import channel, uniform
from hanmaru.city.readings import read
from hanmaru.city.rhythms import STREET_LIFE, daily
from hanmaru.hub.client import JsonObject

SLOT_S = 300
KEPT = 60
BELLS_A_DAY = 7.0


def between(city: City, start_s: float, end_s: float) -> Iterator[JsonObject]:
    """Yield the alerts issued in the half-open span [start, end), oldest first."""
    for slot in range(int(start_s // SLOT_S), int(-(-end_s // SLOT_S))):
        for at_s, alert in _slot(city, slot):
            if start_s <= at_s < end_s:
                yield alert


@lru_cache(maxsize=64)
def _slot(city: City, slot: int) -> tuple[tuple[float, JsonObject], ...]:
    """Return a slot's alerts; kept, for a stream asks for the same five minutes every second."""
    return tuple(sorted(_made(city, slot), key=lambda alert: alert[0]))


def _made(city: City, slot: int) -> Iterator[tuple[float, JsonObject]]:
    t = slot * SLOT_S
    yield from _bells(city, slot, t)
    now = np.array([float(t)])
    before = now - SLOT_S
    sky, earlier = city.weather.at(now), city.weather.at(before)
    centre = city.profile.centre
    # Advisories start when a threshold is crossed: rain 20 mm/h; PM2.5 75 ug/m3 (Korea's advisory level).
    if sky.rain_mmh[0] >= 20 > earlier.rain_mmh[0]:
        text = ("호우: 시간당 20 mm 이상", "Heavy rain: 20 mm/h and more")
        yield t, _alert(city, slot, 0, t, "weather", "rainfall", "high", centre, text, 7200)
    if "AirQualityObserved" in city.sensors:
        station = np.zeros(1, np.int64)
        fine = read(city, "AirQualityObserved", station, now, sky)["pm25"].astype(np.float64)[0]
        was = read(city, "AirQualityObserved", station, before, earlier)["pm25"].astype(np.float64)[0]
        if fine >= 75 > was:
            text = ("초미세먼지 주의보: 75 µg/m³ 이상", "Fine dust advisory: 75 µg/m³ and more")
            yield t, _alert(city, slot, 1, t, "environment", "airPollution", "high", centre, text, 10800)
    yield from _jams(city, slot, t)


def _bells(city: City, slot: int, t: int) -> Iterator[tuple[float, JsonObject]]:
    """An emergency bell is pressed more often when streets are full; which one and when are chance."""
    bells = city.sensors.get("Device")
    if bells is None:
        return
    hour = (city.weather.at(np.array([float(t)]))).local.hour
    expected = BELLS_A_DAY * SLOT_S / 86400 * (0.4 + float(daily(STREET_LIFE, hour)[0]))
    chance, which, when = (float(uniform(city.profile.seed, channel("bell"), slot, k)[0]) for k in range(3))
    if chance < expected:
        i = int(which * len(bells))
        at = t + when * SLOT_S
        lon, lat = bells.lonlat[i].tolist()
        text = ("비상벨 호출", "Emergency bell pressed")
        source = entity_id(city, "Device", i)
        yield at, _alert(city, slot, 2, at, "security", "suspiciousAction", "high", (lon, lat), text, 1800, source)


def _jams(city: City, slot: int, t: int) -> Iterator[tuple[float, JsonObject]]:
    """A detector that crawls at under a quarter of its limit, and did not before, is a jam."""
    flows = city.sensors.get("TrafficFlowObserved")
    if flows is None:
        return
    index = np.arange(len(flows))
    limit = city.roads.speed_mps[flows.site] * 3.6
    slow: list[np.ndarray] = []
    for instant in (t, t - SLOT_S):
        times = np.full(len(flows), float(instant))
        speed = read(city, "TrafficFlowObserved", index, times, city.weather.at(times))["averageVehicleSpeed"]
        slow.append(speed.astype(np.float64) < 0.25 * limit)
    for i in np.flatnonzero(slow[0] & ~slow[1])[:2].tolist():
        lon, lat = flows.lonlat[i].tolist()
        text = ("교통 정체", "Traffic jam")
        source = entity_id(city, "TrafficFlowObserved", i)
        yield t, _alert(city, slot, 3 + i, t, "traffic", "trafficJam", "medium", (lon, lat), text, 2400, source)


def _alert(
    city: City,
    slot: int,
    which: int,
    at: float,
    category: str,
    sub: str,
    severity: str,
    where: tuple[float, float],
    text: tuple[str, str],
    lasts_s: float,
    source: str = "",
) -> JsonObject:
    number = (slot * 7 + which * 13) % KEPT + 1
    stamp = iso(at)

    def plain(value: object) -> JsonObject:
        return {"type": "Property", "value": value, "observedAt": stamp}

    point = {"type": "Point", "coordinates": [round(where[0], 6), round(where[1], 6)]}
    return {
        "id": f"urn:ngsi-ld:Alert:{city.profile.id}:{number}",
        "type": "Alert",
        "category": plain(category),
        "subCategory": plain(sub),
        "severity": plain(severity),
        "description": {
            "type": "LanguageProperty",
            "languageMap": {"ko": text[0], "en": text[1]},
            "observedAt": stamp,
        },
        "name": {"type": "LanguageProperty", "languageMap": {"ko": text[0], "en": text[1]}},
        "location": {"type": "GeoProperty", "value": point, "observedAt": stamp},
        "dateIssued": plain(stamp),
        "validTo": plain(iso(at + lasts_s)),
        "alertSource": plain(source or f"urn:ngsi-ld:City:{city.profile.id}"),
    }
