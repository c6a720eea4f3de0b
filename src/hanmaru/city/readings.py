"""What sensors read at an instant: one function for each entity type, over arrays, all from one sky and one traffic.

Readings are a pure function of city, sensor and instant, so that history filled in afterwards and readings streamed
live are the same curve, and a restart goes on where it would have been.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanmaru.city import air, rhythms, traffic, transit
from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.noise import Floats, Ints, channel, smooth, uniform
from hanmaru.city.rhythms import daily
from hanmaru.city.sensors import Sensors
from hanmaru.city.weather import Sky

Column = npt.NDArray[np.generic]
Columns = dict[str, Column]


@dataclass(frozen=True, slots=True)
class Unit:
    """How an attribute is written: UN/CEFACT Recommendation 20 code (empty: none) and decimals."""

    code: str = ""
    decimals: int = 0


UNITS: Mapping[str, Mapping[str, Unit]] = {
    "AirQualityObserved": {
        "pm25": Unit("GQ", 1),
        "pm10": Unit("GQ", 1),
        "no2": Unit("59", 4),
        "o3": Unit("59", 4),
        "co": Unit("59", 2),
        "so2": Unit("59", 4),
        "airQualityIndex": Unit(),
    },
    "WeatherObserved": {
        "temperature": Unit("CEL", 1),
        "relativeHumidity": Unit("C62", 2),
        "atmosphericPressure": Unit("A97", 1),
        "windSpeed": Unit("MTS", 1),
        "windDirection": Unit("DD", 0),
        "precipitation": Unit("MMT", 1),
        "solarRadiation": Unit("D54", 0),
    },
    "TrafficFlowObserved": {
        "averageVehicleSpeed": Unit("KMH", 1),
        "intensity": Unit("C62", 0),
        "occupancy": Unit("C62", 3),
        "congested": Unit(),
    },
    "NoiseLevelObserved": {"LAeq": Unit("2N", 1)},
    "WaterObserved": {"height": Unit("MTR", 2), "flow": Unit("MQS", 1)},
    "FloodMonitoring": {"currentLevel": Unit("CMT", 1)},
    "Camera": {"on": Unit()},
    "Device": {"batteryLevel": Unit("C62", 2), "deviceState": Unit()},
    "Streetlight": {"powerState": Unit(), "illuminanceLevel": Unit("C62", 2)},
    "ACMeasurement": {"totalActivePower": Unit("KWT", 1)},
    "WasteContainer": {"fillingLevel": Unit("C62", 2)},
    "OffStreetParking": {"availableSpotNumber": Unit("C62", 0)},
    "EVChargingStation": {"availableCapacity": Unit("C62", 0)},
    "CrowdFlowObserved": {"peopleCount": Unit("C62", 0)},
    "Hospital": {"availableBeds": Unit("C62", 0), "emergencyWaitingTime": Unit("MIN", 0)},
    "Vehicle": {"speed": Unit("KMH", 1), "bearing": Unit("DD", 0), "serviceStatus": Unit()},
    "PublicTransportStop": {},
}
"""The attributes that change, by type, with units. Shares lie between 0 and 1, as Smart Data Models has them."""


def read(city: City, kind: str, index: Ints, t: Floats, sky: Sky) -> Columns:
    """Return the readings of sensors ``index`` (k,) of one type at instants ``t`` (k,), s, under a sky (k,).

    Columns are named as the attributes of ``UNITS``; a ``Vehicle`` has ``lon`` and ``lat`` besides.
    """
    return _READ[kind](_Question(city, city.sensors[kind], index, t, sky)) if kind in _READ else {}


@dataclass(frozen=True, eq=False, slots=True)
class _Question:
    city: City
    sensors: Sensors
    index: Ints
    t: Floats
    sky: Sky

    @property
    def seed(self) -> int:
        return self.city.profile.seed

    @property
    def trait(self) -> Floats:
        return self.sensors.trait[self.index]

    @property
    def site(self) -> Ints:
        return self.sensors.site[self.index]

    def drift(self, label: str, scale_s: float) -> Floats:
        """A standard normal process of each sensor's own."""
        return smooth(self.seed, self.index * 64 + channel(self.sensors.type + label) % 1_000_003, self.t, scale_s)

    def dense(self) -> Floats:
        """How built up the sensor's surroundings are: 1 in a dong, less in the country."""
        weight = {"dong": 1.0, "eup": 0.85, "myeon": 0.35}
        return np.array([weight[d.kind] for d in self.city.profile.districts])[self.sensors.district[self.index]]


def _air(q: _Question) -> Columns:
    near = 0.25 + 0.5 * q.trait * q.dense()
    b = air.at(q.city.profile.air, q.seed, q.t, q.sky, traffic.level(q.sky.local), near)
    own = np.exp(0.06 * q.drift("", 2400) + 0.10 * (q.trait - 0.5))
    pm25, pm10 = b.pm25 * own, b.pm10 * own * np.exp(0.05 * (q.trait - 0.5))
    index, _ = air.cai(pm25, pm10, b.no2, b.o3)
    no2 = np.clip(b.no2 * np.exp(0.08 * q.drift("no2", 1800)), 0.001, 0.2)
    return {"pm25": pm25, "pm10": pm10, "no2": no2, "o3": b.o3, "co": b.co, "so2": b.so2, "airQualityIndex": index}


def _weather(q: _Question) -> Columns:
    night = np.clip(-q.sky.elevation_deg / 20, 0, 1)
    warm = 0.9 * (q.dense() - 0.6) * (0.4 + night) + 0.8 * (q.trait - 0.5) + 0.2 * q.drift("", 1800)
    shower = np.exp(0.45 * q.drift("rain", 1200) - 0.1)
    return {
        "temperature": q.sky.temperature_c + warm,
        "relativeHumidity": np.clip(q.sky.humidity - 0.02 * warm, 0.1, 0.99),
        "atmosphericPressure": q.sky.pressure_hpa + 3 * (0.5 - q.trait),
        "windSpeed": q.sky.wind_mps * np.exp(0.22 * q.drift("wind", 600)) * (1.15 - 0.3 * q.dense()),
        "windDirection": (q.sky.wind_from_deg + 14 * q.drift("vane", 900)) % 360,
        "precipitation": q.sky.rain_mmh * shower,
        "solarRadiation": np.maximum(q.sky.sun_wm2 * (1 + 0.03 * q.drift("sun", 900)), 0),
    }


def _traffic(q: _Question) -> Columns:
    flow = q.city.traffic.at(q.site, q.t, q.sky)
    limit = q.city.roads.speed_mps[q.site] * 3.6
    return {
        "averageVehicleSpeed": flow.speed_kmh,
        "intensity": flow.count_5min * 12,
        "occupancy": flow.occupancy,
        "congested": flow.speed_kmh < 0.5 * limit,
    }


def _noise(q: _Question) -> Columns:
    flow = q.city.traffic.at(q.site, q.t, q.sky)
    road = 10 * np.log10(np.maximum(flow.count_5min * 12, 4)) + 20 * np.log10(np.maximum(flow.speed_kmh, 10) / 30)
    rain = 3.5 * (1 - np.exp(-q.sky.rain_mmh / 3))
    return {"LAeq": np.clip(31 + 0.95 * road + rain + 3 * (q.trait - 0.5) + 1.1 * q.drift("", 300), 32, 92)}


def _water(q: _Question) -> Columns:
    """River level follows the rain of the last two days (a linear store with a lag of hours)."""
    lags = np.arange(0.0, 48.0, 3.0)
    weight = lags * np.exp(-lags / 9.0)
    past = np.stack([q.city.weather.at(q.t - lag * 3600).rain_mmh for lag in lags])
    soaked = (past * (weight / weight.sum())[:, None]).sum(axis=0)
    size = 0.4 + 1.2 * q.trait
    height = 0.45 + 0.5 * q.trait + size * soaked**0.7 + 0.015 * q.drift("", 3600)
    return {"height": np.maximum(height, 0.05), "flow": 18 * size * np.maximum(height, 0.05) ** 1.67}


def _underpass(q: _Question) -> Columns:
    """Water stands in an underpass when it rains more within the hour than its pumps lift, 12 to 30 mm/h."""
    ago = np.arange(0.0, 60.0, 5.0)
    rain = np.stack([q.city.weather.at(q.t - minutes * 60).rain_mmh for minutes in ago])
    pumped = 12 + 18 * q.trait
    stood = np.maximum(rain - pumped, 0).mean(axis=0)
    return {"currentLevel": np.clip(2.0 * stood + 0.3 * np.abs(q.drift("", 1800)), 0, 450)}


def _camera(q: _Question) -> Columns:
    broken = uniform(q.seed, channel("camera/off"), q.index, np.floor(q.t / 21600).astype(np.int64)) < 0.006
    return {"on": ~broken}


def _device(q: _Question) -> Columns:
    worn = (q.t / 86400 + q.trait * 700) % 700 / 700  # batteries last about two years
    dead = uniform(q.seed, channel("device/off"), q.index, np.floor(q.t / 21600).astype(np.int64)) < 0.005
    return {"batteryLevel": np.clip(1 - 0.93 * worn, 0.03, 1), "deviceState": np.where(dead, "offline", "ok")}


def _light(q: _Question) -> Columns:
    dusk = q.sky.elevation_deg < -1.5 + 1.2 * (q.trait - 0.5) - 3.0 * (q.sky.cloud < 0.3)
    late = (q.sky.local.hour < 5) | (q.sky.local.hour >= 23.5)
    broken = uniform(q.seed, channel("light/broken"), q.index, np.floor(q.t / 259200).astype(np.int64)) < 0.008
    lit = dusk & ~broken
    return {
        "powerState": np.where(lit, "on", "off"),
        "illuminanceLevel": np.where(lit, np.where(late, 0.6, 1.0), 0.0),
    }


def _power(q: _Question) -> Columns:
    kind, size = q.city.places.kind[q.site], q.city.places.capacity[q.site].astype(float)
    hour, week = q.sky.local.hour, ~q.sky.local.weekend
    home, shop = daily(rhythms.HOME_POWER, hour) * np.where(week, 1.0, 1.06), daily(rhythms.SHOP_POWER, hour)
    office = np.where(week, daily(rhythms.OFFICE_POWER, hour), 0.34)
    works = np.where(week, daily(rhythms.FACTORY_POWER, hour), 0.30)
    cases = [kind == place.APARTMENT, kind == place.FACTORY, kind == place.SHOP]
    shape = np.select(cases, [home, works, shop], office)
    per_head_kw = np.select(cases, [0.42, 4.6, 1.5], 0.75)  # peak kW for each resident or job
    hot, cold = np.maximum(q.sky.temperature_c - 24, 0), np.maximum(6 - q.sky.temperature_c, 0)
    comfort = 1 + np.where(kind == place.FACTORY, 0.25, 1.0) * (0.055 * hot + 0.018 * cold)
    own = np.exp(0.05 * q.drift("", 900) + 0.3 * (q.trait - 0.5))
    return {"totalActivePower": np.maximum(size * per_head_kw * shape * comfort * own, 0.1)}


def _waste(q: _Question) -> Columns:
    """Containers fill by day and are emptied early on every second day or third day."""
    when = q.sky.local
    every = 2 + (q.trait > 0.6)
    emptied_h = 5 + 3 * q.trait
    days = (when.day + np.floor(q.trait * 997) + (when.hour - emptied_h) / 24) % every
    since = days / every
    steps = 0.9 * since + 0.1 * np.clip(np.sin(np.pi * np.clip((when.hour - 6) / 16, 0, 1)), 0, 1) * since
    return {"fillingLevel": np.clip(steps * (0.55 + 0.55 * q.trait) + 0.01 * q.drift("", 7200), 0, 1)}


def spots(sensors: Sensors) -> Ints:
    """Return how many spaces each car park has."""
    return (30 + 270 * sensors.trait**2).astype(np.int64)


def chargers(sensors: Sensors) -> Ints:
    """Return how many chargers each station has."""
    return (2 + 10 * sensors.trait**2).astype(np.int64)


def beds(sensors: Sensors) -> Ints:
    """Return how many emergency beds each hospital has."""
    return (10 + 24 * sensors.trait).astype(np.int64)


def _parking(q: _Question) -> Columns:
    kind, hour, week = q.city.places.kind[q.site], q.sky.local.hour, ~q.sky.local.weekend
    office = np.where(week, daily(rhythms.OFFICE_STAY, hour), 0.12)
    leisure = daily(rhythms.STREET_LIFE, hour) * np.where(week, 0.8, 1.0) * (1 - 0.3 * (q.sky.rain_mmh > 0.5))
    use = np.where(np.isin(kind, (place.OFFICE, place.GOVERNMENT, place.HOSPITAL)), office, leisure)
    total = spots(q.sensors)[q.index]
    taken = np.clip(use * (0.72 + 0.34 * q.trait) + 0.04 * q.drift("", 1800), 0.01, 1.0)
    return {"availableSpotNumber": np.round(total * (1 - taken))}


def _charging(q: _Question) -> Columns:
    home = q.city.places.kind[q.site] == place.APARTMENT
    hour = q.sky.local.hour
    use = np.where(home, daily(rhythms.HOME_STAY, hour) * 0.75, daily(rhythms.OFFICE_STAY, hour) * 0.7 + 0.1)
    total = chargers(q.sensors)[q.index]
    busy = np.clip(use * (0.55 + 0.7 * q.trait) + 0.14 * q.drift("", 3000), 0, 1)
    return {"availableCapacity": np.round(total * (1 - busy))}


def _crowd(q: _Question) -> Columns:
    kind, when = q.city.places.kind[q.site], q.sky.local
    week = ~when.weekend
    desk = np.where(week, daily(rhythms.OFFICE_STAY, when.hour), 0.08)
    out = daily(rhythms.STREET_LIFE, when.hour) * np.where(week, 0.75, 1.15)
    wet = 1 / (1 + 0.5 * np.minimum(q.sky.rain_mmh, 8))
    cold = np.clip(1 - np.abs(q.sky.temperature_c - 18) / 45, 0.35, 1)
    park = kind == place.PARK
    level = np.where(
        np.isin(kind, (place.GOVERNMENT, place.UNIVERSITY)), desk, out * np.where(park, wet * cold, wet**0.3)
    )
    size = 25 + 160 * q.trait**2
    people = size * level * np.exp(0.16 * q.drift("", 1200))
    return {"peopleCount": np.floor(people + uniform(q.seed, q.index, np.floor(q.t).astype(np.int64)))}


def _hospital(q: _Question) -> Columns:
    when, total = q.sky.local, beds(q.sensors)[q.index]
    busy = daily(rhythms.EMERGENCY, when.hour) * np.where(when.weekend, 1.12, 1.0) * (0.72 + 0.16 * q.trait)
    busy = np.clip(busy + 0.12 * q.drift("", 5400), 0.05, 1.0)
    return {
        "availableBeds": np.round(total * (1 - busy)),
        "emergencyWaitingTime": np.round(6 + 70 * np.maximum(busy - 0.45, 0) ** 1.5),
    }


def _bus(q: _Question) -> Columns:
    buses = transit.at(q.city, q.index, q.t)
    return {
        "lon": buses.lonlat[:, 0],
        "lat": buses.lonlat[:, 1],
        "speed": buses.speed_kmh,
        "bearing": np.floor(buses.bearing_deg),
        "serviceStatus": np.where(buses.running, "onRoute", "garaged"),
    }


_READ: Mapping[str, Callable[[_Question], Columns]] = {
    "AirQualityObserved": _air,
    "WeatherObserved": _weather,
    "TrafficFlowObserved": _traffic,
    "NoiseLevelObserved": _noise,
    "WaterObserved": _water,
    "FloodMonitoring": _underpass,
    "Camera": _camera,
    "Device": _device,
    "Streetlight": _light,
    "ACMeasurement": _power,
    "WasteContainer": _waste,
    "OffStreetParking": _parking,
    "EVChargingStation": _charging,
    "CrowdFlowObserved": _crowd,
    "Hospital": _hospital,
    "Vehicle": _bus,
}
