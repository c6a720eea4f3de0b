"""Readings are valid, hang together, and are a function of sensor and instant alone."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.city.air import cai
from hanmaru.city.build import City
from hanmaru.city.noise import gaussian, smooth, uniform
from hanmaru.city.readings import UNITS, beds, chargers, read, spots
from hanmaru.city.rhythms import local

LIMITS = {
    "pm25": (0, 400),
    "pm10": (0, 700),
    "no2": (0.001, 0.2),
    "o3": (0.001, 0.2),
    "co": (0, 5),
    "so2": (0.001, 0.02),
    "airQualityIndex": (0, 500),
    "temperature": (-30, 45),
    "relativeHumidity": (0, 1),
    "atmosphericPressure": (950, 1060),
    "windSpeed": (0, 40),
    "windDirection": (0, 360),
    "precipitation": (0, 400),
    "solarRadiation": (0, 1300),
    "averageVehicleSpeed": (2, 130),
    "intensity": (0, 8000),
    "occupancy": (0, 1),
    "LAeq": (30, 95),
    "height": (0, 20),
    "flow": (0, 5000),
    "currentLevel": (0, 450),
    "batteryLevel": (0, 1),
    "illuminanceLevel": (0, 1),
    "totalActivePower": (0, 20_000),
    "fillingLevel": (0, 1),
    "availableSpotNumber": (0, 300),
    "availableCapacity": (0, 12),
    "peopleCount": (0, 1000),
    "availableBeds": (0, 40),
    "emergencyWaitingTime": (0, 240),
    "speed": (0, 70),
    "bearing": (0, 360),
}

instants = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(tzinfo=UTC).timestamp())


def everyone(city: City, kind: str, t: float) -> dict[str, np.ndarray]:
    index = np.arange(len(city.sensors[kind]))
    times = np.full(len(index), t)
    return read(city, kind, index, times, city.weather.at(times))


@given(instants)
@settings(max_examples=15, deadline=None)
def test_every_reading_at_any_instant_is_possible(sejong: City, t: float) -> None:
    for kind in sejong.sensors:
        columns = everyone(sejong, kind, t)
        assert set(UNITS[kind]) <= set(columns)
        for name in UNITS[kind]:
            column = columns[name]
            assert len(column) == len(sejong.sensors[kind])
            if column.dtype.kind == "f":
                low, high = LIMITS[name]
                assert np.isfinite(column).all(), name
                assert column.min() >= low, (name, column.min())
                assert column.max() <= high, (name, column.max())
    for kind, name, most in (
        ("OffStreetParking", "availableSpotNumber", spots),
        ("EVChargingStation", "availableCapacity", chargers),
        ("Hospital", "availableBeds", beds),
    ):
        assert (everyone(sejong, kind, t)[name] <= most(sejong.sensors[kind])).all()


@given(instants, st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_a_reading_asked_for_alone_is_the_one_of_the_sweep(sejong: City, t: float, pick: int) -> None:
    for kind, sensors in sejong.sensors.items():
        i = np.array([pick % len(sensors)])
        times = np.array([t])
        alone = read(sejong, kind, i, times, sejong.weather.at(times))
        sweep = everyone(sejong, kind, t)
        for name, column in alone.items():
            if column.dtype.kind == "f":  # vectorised logarithms differ in the last bit with an array's length
                assert np.isclose(column[0], sweep[name][i[0]], rtol=1e-9, atol=1e-9), (kind, name)
            else:
                assert column[0] == sweep[name][i[0]], (kind, name)


@given(st.integers(0, 2**40), st.integers(-(2**40), 2**40), st.floats(-1e9, 2e9), st.floats(1, 1e6))
@settings(max_examples=100, deadline=None)
def test_noise_is_smooth_and_the_same_whoever_asks(seed: int, key: int, t: float, scale: float) -> None:
    around = t + scale * np.linspace(-0.01, 0.01, 5)
    values = smooth(seed, key, around, scale)
    assert values[2] == pytest.approx(smooth(seed, key, around[2], scale)[0], rel=1e-9, abs=1e-9)
    assert np.abs(np.diff(values)).max() < 0.2


def test_noise_is_standard_normal_at_every_instant_and_between_channels() -> None:
    at = smooth(7, np.arange(20_000), 1234.5, 100.0)
    along = smooth(7, 3, np.arange(200_000) * 350.0, 100.0)
    for sample in (at, along, gaussian(7, np.arange(20_000))):
        assert sample.mean() == pytest.approx(0, abs=0.03)
        assert sample.std() == pytest.approx(1, abs=0.03)
    u = uniform(1, np.arange(50_000))
    assert np.histogram(u, 10, (0, 1))[0] / 5000 == pytest.approx(np.ones(10), abs=0.06)
    assert u.min() > 0
    assert u.max() < 1


@pytest.fixture(scope="module")
def year(sejong: City) -> np.ndarray:
    return datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 1800.0 * np.arange(2 * 8766)


def test_rain_slows_traffic_and_wind_and_rain_clear_the_air(sejong: City, year: np.ndarray) -> None:
    sky = sejong.weather.at(year)
    edge = np.full(len(year), int(sejong.sensors["TrafficFlowObserved"].site[0]))
    speed = sejong.traffic.at(edge, year, sky).speed_kmh
    noon = (sky.local.hour > 11) & (sky.local.hour < 15) & ~sky.local.weekend
    wet, dry = noon & (sky.rain_mmh > 2), noon & (sky.rain_mmh == 0)
    loss = 1 - speed[wet].mean() / speed[dry].mean()
    print(f"rain over 2 mm/h costs {loss:.1%} of speed")
    assert 0.02 < loss < 0.2
    index = np.zeros(len(year), int)
    pm = read(sejong, "AirQualityObserved", index, year, sky)["pm25"].astype(float)
    winter = np.isin(np.minimum((sky.local.year * 12).astype(int), 11), (0, 1, 11))
    calm, windy = sky.wind_mps < np.quantile(sky.wind_mps, 0.3), sky.wind_mps > np.quantile(sky.wind_mps, 0.8)
    assert pm[winter & calm].mean() > 1.15 * pm[winter & windy].mean()
    assert pm[sky.rain_mmh > 1].mean() < 0.9 * pm[sky.rain_mmh == 0].mean()


def test_the_day_runs_through_all_sensors(sejong: City) -> None:
    """A weekday in November: rush hours, evening power, night lights, parking and beds."""
    midnight = datetime(2026, 11, 23, 15, tzinfo=UTC)  # Tuesday in Seoul

    def mean(kind: str, name: str, hour: float) -> float:
        t = (midnight + timedelta(hours=hour)).timestamp()
        assert local(sejong.profile.tz, np.array([t])).hour[0] == pytest.approx(hour % 24)
        return float(everyone(sejong, kind, t)[name].astype(float).mean())

    assert mean("TrafficFlowObserved", "averageVehicleSpeed", 8.3) < 0.93 * mean(
        "TrafficFlowObserved", "averageVehicleSpeed", 3
    )
    assert mean("TrafficFlowObserved", "intensity", 18) > 5 * mean("TrafficFlowObserved", "intensity", 3)
    assert mean("NoiseLevelObserved", "LAeq", 18) > mean("NoiseLevelObserved", "LAeq", 3) + 4
    assert mean("AirQualityObserved", "no2", 20) > mean("AirQualityObserved", "no2", 14)
    assert mean("AirQualityObserved", "o3", 15) > mean("AirQualityObserved", "o3", 6)
    assert mean("Streetlight", "illuminanceLevel", 21) > 0.9
    assert mean("Streetlight", "illuminanceLevel", 13) == 0
    assert mean("CrowdFlowObserved", "peopleCount", 18) > 5 * mean("CrowdFlowObserved", "peopleCount", 3)
    assert mean("WasteContainer", "fillingLevel", 22) > mean("WasteContainer", "fillingLevel", 8.5)
    assert mean("Vehicle", "speed", 12) > 10
    assert mean("Vehicle", "speed", 3) == 0
    power = [mean("ACMeasurement", "totalActivePower", h) for h in (4, 15, 20)]
    assert power[0] < min(power[1:]), "the night is low"


def test_buses_keep_to_the_ring_and_do_not_jump(sejong: City) -> None:
    noon = datetime(2026, 11, 24, 3, tzinfo=UTC).timestamp()
    loop = sejong.roads.xy[np.append(sejong.roads.ring, sejong.roads.ring[:1])]
    last = None
    for second in range(0, 300, 3):
        at = everyone(sejong, "Vehicle", noon + second)
        xy = sejong.land.plane.xy(np.stack((at["lon"], at["lat"]), axis=1).astype(float))
        off = [np.min(np.hypot(*(loop - p).T)) for p in xy]
        assert max(off) < 250, "between two nodes of the ring at most"
        if last is not None:
            assert np.hypot(*(xy - last).T).max() < 3 * 21, "under 75 km/h"
        last = xy


def test_cai_follows_the_published_breakpoints() -> None:
    zero = np.zeros(5)
    index, level = cai(np.array([0.0, 15.0, 35.0, 75.0, 76.0]), zero, zero, zero)
    assert index.tolist()[:4] == [0, 50, 100, 250]
    assert level.tolist() == [1, 1, 2, 3, 4]
