"""The city's rhythms against published measurements; each test prints how close it came (``pytest -s``)."""

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from hanmaru.city import air, rhythms, traffic
from hanmaru.city.build import City
from hanmaru.city.noise import Floats
from hanmaru.city.rhythms import daily
from hanmaru.city.weather import Sky

Published = Callable[[str], Path]
HOUR = 3600.0


def hours(start: datetime, years: float) -> Floats:
    return start.timestamp() + HOUR * np.arange(int(years * 8766))


def by(key: Sequence[int] | np.ndarray, values: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Return the mean of values for each key."""
    key, values = np.asarray(key), np.asarray(values, float)
    good = np.isfinite(values)
    return np.bincount(key[good], values[good], minlength=size) / np.bincount(key[good], minlength=size)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.fixture(scope="module")
def years(sejong: City) -> tuple[Floats, Sky]:
    t = hours(datetime(2019, 1, 1, tzinfo=UTC), 8)
    return t, sejong.weather.at(t)


def test_climate_is_that_of_the_normals(sejong: City, years: tuple[Floats, Sky]) -> None:
    """Eight simulated years against the thirty-year normals of the profile."""
    _, sky = years
    c = sejong.profile.climate
    month = np.minimum((sky.local.year * 12).astype(int), 11)
    day = sky.local.day - sky.local.day[0]
    count = int(day.max()) + 1
    month_of_day = by(day, month, count).round().astype(int)
    high, low = np.full(count, -99.0), np.full(count, 99.0)
    np.maximum.at(high, day, sky.temperature_c)
    np.minimum.at(low, day, sky.temperature_c)
    rain = np.bincount(day, sky.rain_mmh, minlength=count)
    mean = by(month, sky.temperature_c, 12) - c.temperature_c
    highs, lows = by(month_of_day, high, 12) - c.high_c, by(month_of_day, low, 12) - c.low_c
    total = np.bincount(month_of_day, rain, minlength=12) / 8
    wet = np.bincount(month_of_day, rain >= 0.1, minlength=12) / 8
    off = [float(np.abs(x).max()) for x in (mean, highs, lows)]
    print("means, highs, lows off by at most {:.1f}, {:.1f}, {:.1f} K".format(*off))
    print(f"rain {total.sum():.0f} mm a year, normal {sum(c.precipitation_mm):.0f}")
    print(f"wet days {wet.sum():.0f} a year, normal {sum(c.wet_days):.0f}")
    assert np.abs(mean).max() < 1.2
    assert np.abs(highs).max() < 1.5
    assert np.abs(lows).max() < 1.5
    assert total.sum() == pytest.approx(sum(c.precipitation_mm), rel=0.15)
    assert wet.sum() == pytest.approx(sum(c.wet_days), rel=0.12)
    assert likeness(total, np.array(c.precipitation_mm)) > 0.93
    assert by(month, sky.humidity, 12) == pytest.approx(c.humidity, abs=0.05)
    assert by(month, sky.wind_mps, 12) == pytest.approx(c.wind_mps, rel=0.12)


def test_weather_is_like_that_measured_in_sejong(published: Published, years: tuple[Floats, Sky]) -> None:
    """Against station 239, 2019-2021: other years than the normals', so the tolerance is a year's difference."""
    rows = list(csv.reader(published("series/asos_daily_sejong.csv").read_text(encoding="cp949").splitlines()))[1:]
    month = np.array([int(r[2][5:7]) - 1 for r in rows])
    real = {
        k: np.array([float(r[i]) if r[i] else np.nan for r in rows])
        for k, i in (("t", 3), ("low", 4), ("high", 5), ("wind", 7), ("rh", 8), ("p", 9))
    }
    _, sky = years
    ours = np.minimum((sky.local.year * 12).astype(int), 11)
    temperature = by(ours, sky.temperature_c, 12)
    difference = temperature - by(month, real["t"], 12)
    pressure = by(ours, sky.pressure_hpa, 12) - by(month, real["p"], 12)
    humidity = by(ours, sky.humidity, 12) * 100 - by(month, real["rh"], 12)
    wind = by(ours, sky.wind_mps, 12) / by(month, real["wind"], 12)
    span = np.nanmean(real["high"] - real["low"])
    day = sky.local.day - sky.local.day[0]
    daily_mean = by(day, sky.temperature_c, int(day.max()) + 1)
    measured = real["t"][np.isfinite(real["t"])]
    change, made_change = np.std(np.diff(measured)), np.std(np.diff(daily_mean))
    print(f"temperature by month {difference.round(1)} K, r {likeness(temperature, by(month, real['t'], 12)):.3f}")
    print(f"pressure within {np.abs(pressure).max():.1f} hPa, humidity within {np.abs(humidity).max():.0f} points")
    print(f"wind {wind.min():.2f} to {wind.max():.2f} times the measured")
    print(f"daily span {span:.1f} K, from day to day {change:.2f} K measured and {made_change:.2f} K made")
    assert np.abs(difference).max() < 2.6
    assert np.abs(difference).mean() < 1.2
    assert np.abs(pressure).max() < 8, "the station's own height is not the city's"
    assert np.abs(humidity).max() < 12
    assert wind.min() > 0.65
    assert wind.max() < 1.35
    assert made_change == pytest.approx(change, rel=0.45)


def test_air_has_the_season_and_the_day_of_koreas_air(
    sejong: City, published: Published, years: tuple[Floats, Sky]
) -> None:
    """Shapes against Seoul 2018-22, hourly; levels against what Sejong published (18 ug/m3 in 2021, 24.7 in winter)."""
    rows = list(csv.reader(published("series/seoul_air.csv").read_text(encoding="utf-8").splitlines()))[1:]
    hour = np.array([int(r[1][11:13]) % 24 for r in rows])
    month = np.array([int(r[1][5:7]) - 1 for r in rows])
    t, sky = years
    made = air.at(sejong.profile.air, sejong.profile.seed, t, sky, traffic.level(sky.local), np.full(len(t), 0.5))
    our_hour, our_month = sky.local.hour.astype(int), np.minimum((sky.local.year * 12).astype(int), 11)
    for name, column, values, day_r, year_r in (
        ("PM2.5", 2, made.pm25, 0.45, 0.80),
        ("PM10", 3, made.pm10, 0.60, 0.80),
        ("O3", 4, made.o3, 0.85, 0.90),
        ("NO2", 5, made.no2, 0.75, 0.90),
    ):
        real = np.array([float(r[column]) if r[column] else np.nan for r in rows])
        in_day = likeness(by(hour, real, 24), by(our_hour, values, 24))
        in_year = likeness(by(month, real, 12), by(our_month, values, 12))
        print(f"{name}: r {in_day:.2f} over the day, {in_year:.2f} over the year, mean {values.mean():.4g}")
        assert in_day > day_r
        assert in_year > year_r
    winter = np.isin(our_month, (11, 0, 1, 2))
    assert made.pm25.mean() == pytest.approx(18, rel=0.12)
    assert made.pm25[winter].mean() == pytest.approx(24.7, rel=0.12)
    assert likeness(made.pm25, made.pm10) > 0.8


def test_traffic_slows_when_traffic_elsewhere_slows(sejong: City, published: Published) -> None:
    """Against a week of METR-LA (207 detectors, five minutes, from a Thursday): speed over a weekday's hours."""
    speeds = np.loadtxt(published("series/metr_la_week.csv"), delimiter=",", skiprows=1)[:2016]
    speeds = np.where(speeds > 0, speeds, np.nan)
    mean = np.nanmean(speeds.reshape(7, 24, -1), axis=2)
    real = mean[[0, 1, 4, 5, 6]].mean(axis=0)
    monday = datetime(2026, 11, 22, 15, tzinfo=UTC).timestamp()  # midnight in Seoul
    edges = np.flatnonzero(sejong.roads.road_class >= 2)[::23]
    t = np.repeat(monday + 900 * np.arange(96), len(edges))
    flow = sejong.traffic.at(np.tile(edges, 96), t, sejong.weather.at(t))
    made = flow.speed_kmh.reshape(24, -1).mean(axis=1)
    r = likeness(real, made)
    print(f"speed over a weekday: r {r:.2f}; slowest at {real.argmin()} h measured, {made.argmin()} h made")
    assert r > 0.75
    assert made.min() / made.max() < 0.9


def test_accidents_happen_when_and_where_the_city_is_busy(sejong: City, published: Published) -> None:
    """932 accidents of Sejong in 2022: by hour against traffic, by district against people and jobs."""
    rows = list(csv.DictReader(published("series/sejong_accidents.csv").read_text(encoding="utf-8-sig").splitlines()))
    hour = np.array([int(r["사고일시"].split()[-1].rstrip("시")) for r in rows])
    count = np.bincount(hour, minlength=24)
    t = datetime(2022, 1, 2, 15, tzinfo=UTC).timestamp() + HOUR * np.arange(24 * 7)
    level = traffic.level(rhythms.local(sejong.profile.tz, t)).reshape(7, 24).mean(axis=0)
    when = likeness(count, level)
    names = [d.name.ko for d in sejong.profile.districts]
    there = np.zeros(len(names))
    for r in rows:
        for i, name in enumerate(names):
            there[i] += name in r["시군구"]
    activity = np.array([d.population + d.jobs for d in sejong.profile.districts])
    where = likeness(there, activity)
    print(f"accidents with traffic over the day: r {when:.2f}; with people and jobs over districts: r {where:.2f}")
    assert when > 0.75
    assert where > 0.5


def test_works_use_power_when_works_do(published: Published) -> None:
    """Against a steel works of Gwangyang, 2018, every fifteen minutes: a weekday's hours."""
    rows = list(
        csv.DictReader(
            published("series/steel_energy_gwangyang_15min.csv").read_text(encoding="utf-8-sig").splitlines()
        )
    )
    hour = np.array([int(r["NSM"]) // 3600 for r in rows])
    week = np.array([r["WeekStatus"] == "Weekday" for r in rows])
    used = np.array([float(r["Usage_kWh"]) for r in rows])
    real = by(hour[week], used[week], 24)
    r = likeness(real, daily(rhythms.FACTORY_POWER, np.arange(24.0) + 0.5))
    print(f"factory power over a weekday: r {r:.2f}")
    assert r > 0.8, "one works among many"
