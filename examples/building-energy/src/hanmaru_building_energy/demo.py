"""Buildings for the demo city: places of the simulated city with meters that follow its hours and weather.

Everything is a function of the city's seed and of time, as the city itself is. Among the buildings are one that uses
more since its measure, one that no calendar explains, and one that has not been metered for long enough.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from hanmaru.city import rhythms
from hanmaru.city.build import City, build
from hanmaru.city.noise import channel, smooth
from hanmaru.city.places import ELEMENTARY, FACTORY, GOVERNMENT, HIGH, HOSPITAL, OFFICE, SHOP, name
from hanmaru.city.profile import Profile, from_dict
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.services import Context
from hanmaru_building_energy.calendars import DAY_S, korean_holidays, slots
from hanmaru_building_energy.domain import Floats, Ints
from hanmaru_building_energy.ledger import Ledger, Readings
from hanmaru_building_energy.report import instant
from hanmaru_building_energy.work import COMPLETED, INTERVAL, STARTED, TEMPERATURE

log = structlog.get_logger()

STEP_S = 3600
PAST_S = 560 * DAY_S


@dataclass(frozen=True)
class Kind:
    """A kind of place: the Smart Data Models' category, its day, kWh an hour and person at full use, weather's part of
    it.
    """

    place: int
    category: str
    day: tuple[float, ...]
    kwh: float
    cooling: float
    heating: float
    weekend: float


KINDS = (
    Kind(GOVERNMENT, "civic", rhythms.OFFICE_POWER, 0.35, 0.030, 0.014, 0.30),
    Kind(OFFICE, "office", rhythms.OFFICE_POWER, 0.40, 0.032, 0.012, 0.35),
    Kind(ELEMENTARY, "school", rhythms.OFFICE_POWER, 0.10, 0.016, 0.030, 0.25),
    Kind(HIGH, "school", rhythms.OFFICE_POWER, 0.14, 0.018, 0.028, 0.35),
    Kind(HOSPITAL, "hospital", rhythms.SHOP_POWER, 1.60, 0.020, 0.010, 0.85),
    Kind(SHOP, "retail", rhythms.SHOP_POWER, 2.00, 0.024, 0.006, 1.05),
    Kind(FACTORY, "industrial", rhythms.FACTORY_POWER, 3.00, 0.004, 0.004, 0.15),
)

SAVED = (0.24, 0.12, 0.06, 0.31, 0.17, -0.07, 0.02, 0.14, 0.20, 0.09)
"""What a building truly saves, by its number: what the estimates can be held against."""


@dataclass(frozen=True, eq=False)
class Metered:
    """A demo building: its entity's number, kind and index among the city's places; when its measure was and what it
    saves.
    """

    number: int
    kind: Kind
    place: int
    since_s: int
    saved: float
    from_s: int


async def introduce(context: Context[HubClient]) -> None:
    """Put the demo buildings on the hub, and their meters' past into the ledger; does nothing in a city that is none
    of show.
    """
    if not context.city.get("demo"):
        return
    city = build(profile_of(context))
    now = int(time.time()) // STEP_S * STEP_S
    ledger = Ledger(context.data_dir)
    chosen = await asyncio.to_thread(choose, city, now)
    await asyncio.to_thread(_fill, ledger, city, chosen, now)
    entities = [entity for one in chosen for entity in (meter(city, one, now), building(city, one))]
    result = await context.hub.upsert(entities)
    for failure in result.failures[:1]:
        log.warning("the hub refused a demo building", id=failure.id, title=failure.title, detail=failure.detail)
    log.info("demo buildings are metered", buildings=len(chosen))


async def stream(context: Context[HubClient]) -> None:
    """Read the demo buildings' meters each hour."""
    if not context.city.get("demo"):
        return
    city = build(profile_of(context))
    while True:
        now = time.time()
        await asyncio.sleep(STEP_S - now % STEP_S + 1)
        hour = int(time.time()) // STEP_S * STEP_S
        await context.hub.upsert([meter(city, one, hour) for one in await asyncio.to_thread(choose, city, hour)])


def profile_of(context: Context[HubClient]) -> Profile:
    """Return the profile of the context's city."""
    facts = {field: context.city[field] for field in Profile.__struct_fields__}
    return from_dict({**facts, "services": ()})


def choose(city: City, now_s: int) -> list[Metered]:
    """Return the demo buildings: of each kind the largest few, measured half a year ago, on the first of a month.

    The last but one has been metered for six weeks only.
    """
    found: list[Metered] = []
    for kind in KINDS:
        places = city.places.of(kind.place)
        largest = places[np.argsort(-city.places.capacity[places], kind="stable")]
        for place in largest[:: max(1, len(largest) // 40)][: 2 if kind.place != HOSPITAL else 1].tolist():
            number = len(found)
            month = np.datetime64(now_s - (130 + 17 * (number % 5)) * DAY_S, "s").astype("datetime64[M]")
            since = int(month.astype("datetime64[s]").astype(np.int64))
            from_s = since - 42 * DAY_S if number == 9 else now_s - PAST_S
            found.append(Metered(number + 1, kind, int(place), since, SAVED[number % len(SAVED)], from_s))
    return found


def energy(city: City, one: Metered, ends_s: Ints) -> Floats:
    """Return what a building's meter read (n,), in kWh, of the hours that end at instants."""
    begins = ends_s - STEP_S
    t = begins.astype(np.float64)
    slot = slots(begins, STEP_S, city.profile.tz, korean_holidays())
    weekday, hour = slot // 24, (slot % 24).astype(np.float64)
    kind, seed, key = one.kind, city.profile.seed, channel(f"building-energy/{one.number}")
    open_ = np.where(weekday >= 5, kind.weekend, 1.0)
    use = rhythms.daily(kind.day, hour) * open_ + 0.12
    air = city.weather.at(t + STEP_S / 2).temperature_c
    weather = kind.cooling * np.maximum(air - 18.3, 0) + kind.heating * np.maximum(12.8 - air, 0)
    level = use * (1 + weather * 1.4)
    unrest = 0.05 * smooth(seed, key, t, 1.5 * DAY_S) + 0.05 * smooth(seed, key + 1, t, 2 * STEP_S)
    if kind.place == FACTORY:  # orders come and go, and no calendar knows
        unrest = 0.9 * smooth(seed, key, t, 2.5 * DAY_S) + 0.4 * smooth(seed, key + 1, t, 3 * STEP_S)
    people = float(city.places.capacity[one.place])
    after = np.where(begins >= one.since_s, 1 - one.saved, 1.0)
    return np.round(kind.kwh * people * level * np.exp(unrest) * after, 2)


def _fill(ledger: Ledger, city: City, chosen: list[Metered], now_s: int) -> None:
    for one in chosen:
        ends = np.arange(one.from_s // STEP_S * STEP_S, now_s + 1, STEP_S, dtype=np.int64)
        past = Readings(ends, energy(city, one, ends))
        ledger.keep(meter_id(city, one), INTERVAL, ledger.readings(meter_id(city, one), INTERVAL).merged(past))
    hours = np.arange(now_s - PAST_S, now_s + 1, STEP_S, dtype=np.int64)
    air = Readings(hours, city.weather.at(hours.astype(np.float64)).temperature_c)
    ledger.keep(weather_id(city), TEMPERATURE, air)


def meter_id(city: City, one: Metered) -> str:
    """Return the id of a building's meter."""
    return f"urn:ngsi-ld:ACMeasurement:{city.profile.id}:building-{one.number}"


def weather_id(city: City) -> str:
    """Return the id of the city's first weather station."""
    return f"urn:ngsi-ld:WeatherObserved:{city.profile.id}:1"


def meter(city: City, one: Metered, hour_s: int) -> JsonObject:
    """Return a building's meter as it reads at a full hour."""
    kwh = float(energy(city, one, np.array([hour_s], np.int64))[0])
    at = instant(hour_s)
    return {
        "id": meter_id(city, one),
        "type": "ACMeasurement",
        "name": _names(city, one, " 전력량계", " Meter"),
        "location": _point(city, one),
        INTERVAL: {"type": "Property", "value": kwh, "unitCode": "KWH", "observedAt": at},
        "totalActivePower": {"type": "Property", "value": kwh, "unitCode": "KWT", "observedAt": at},
    }


def building(city: City, one: Metered) -> JsonObject:
    """Return a building."""
    since = {"type": "Property", "value": {"@type": "DateTime", "@value": instant(one.since_s)}}
    return {
        "id": f"urn:ngsi-ld:Building:{city.profile.id}:energy-{one.number}",
        "type": "Building",
        "name": _names(city, one),
        "category": {"type": "Property", "value": [one.kind.category]},
        "location": _point(city, one),
        "refMeter": {"type": "Relationship", "object": meter_id(city, one)},
        "refWeather": {"type": "Relationship", "object": weather_id(city)},
        STARTED: since,
        COMPLETED: since,
    }


def _names(city: City, one: Metered, ko: str = "", en: str = "") -> dict[str, Any]:
    found = name(city.places, city.profile, one.place)
    return {"type": "LanguageProperty", "languageMap": {"ko": found.ko + ko, "en": found.en + en}}


def _point(city: City, one: Metered) -> dict[str, Any]:
    lon, lat = city.places.lonlat[one.place].round(6).tolist()
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}}
