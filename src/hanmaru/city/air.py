"""Air quality from season, weather and traffic: wind dilutes, rain washes out, still air collects, traffic adds."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city.noise import Floats, channel, smooth
from hanmaru.city.profile import Air
from hanmaru.city.rhythms import TRAFFIC_WEEKDAY, daily, monthly
from hanmaru.city.weather import Sky

_HOUR = 3600.0

_PM_DAY = (
    0.93, 0.92, 0.91, 0.91, 0.91, 0.91, 0.92, 0.95, 1.00, 1.05, 1.10, 1.14,
    1.15, 1.15, 1.14, 1.12, 1.10, 1.08, 1.05, 1.03, 1.01, 0.99, 0.96, 0.94,
)  # fmt: skip
"""What fine dust does by the clock beside what wind and traffic do to it: it forms in the day (flat in the mean)."""


@dataclass(frozen=True, eq=False)
class Breath:
    """Air at instants: ``pm25``, ``pm10`` ug/m3; ``no2``, ``o3``, ``co``, ``so2`` ppm; ``index`` CAI, ``level`` 1-4."""

    pm25: Floats
    pm10: Floats
    no2: Floats
    o3: Floats
    co: Floats
    so2: Floats
    index: Floats
    level: Floats


def at(air: Air, seed: int, t: Floats, sky: Sky, traffic: Floats, exposure: Floats) -> Breath:
    """Return the air at instants ``t`` (s) under a sky.

    ``traffic`` is the city's traffic level (1 at the weekday's peak), ``exposure`` how near a site is to traffic (0-1).
    """
    year, hour = sky.local.year, sky.local.hour
    episode = smooth(seed, channel("air/episode"), t, 1.1 * 86400)
    spring = np.clip(np.cos(2 * np.pi * (year - 95 / 365)), 0, 1) ** 2
    dilution = 1.55 / (0.55 + sky.wind_mps**0.75)
    washout = 1 / (1 + 0.22 * np.minimum(sky.rain_mmh, 12))
    common = np.exp(0.50 * episode + 0.22 * sky.stagnation - 0.130) * (0.62 + 0.38 * dilution) * washout
    pm25 = monthly(air.pm25_ugm3, year) * common * daily(_PM_DAY, hour) * (0.95 + 0.10 * exposure)
    pm25 = np.maximum(pm25 * (0.97 + 0.07 * traffic), 1.0)
    # Yellow dust: a few spring days carry coarse dust and little fine dust.
    dust = 110 * spring * np.maximum(smooth(seed, channel("air/dust"), t, 0.8 * 86400) - 2.0, 0)
    fine, coarse = monthly(air.pm25_ugm3, year), monthly(air.pm10_ugm3, year) - monthly(air.pm25_ugm3, year)
    pm10 = np.maximum(pm25 + coarse * (0.5 + 0.5 * pm25 / fine) * washout + dust, pm25 + 1)
    sunny = np.clip(sky.sun_wm2 / 900, 0, 1)
    # Exhaust collects under the night's low mixing layer: NO2 answers to traffic now and to that of hours ago.
    collected = 0.45 * traffic + 0.55 * daily(TRAFFIC_WEEKDAY, (hour - 3.0) % 24) * np.where(sky.local.weekend, 0.8, 1)
    mixing = 1.06 - 0.42 * np.cos(2 * np.pi * (hour - 15) / 24) - 0.08 * sunny
    no2 = monthly(air.no2_ppm, year) * (0.60 + 0.40 * dilution) * np.exp(0.20 * episode - 0.02)
    no2 = no2 * (0.52 + 0.95 * collected * (0.60 + 0.55 * exposure)) * mixing
    o3 = monthly(air.o3_ppm, year) * (0.60 + 1.08 * _lagged_sun(hour, sky))
    o3 = o3 * (1.12 - 0.34 * np.minimum(traffic, 1.2) * exposure) * (1 - 0.18 * (sky.rain_mmh > 0.1))
    o3 = o3 * np.exp(0.18 * smooth(seed, channel("air/ozone"), t, 0.9 * 86400) - 0.016)
    co = 0.24 + 0.006 * pm25 + 0.16 * traffic * exposure * dilution * 0.8
    so2 = 0.0022 + 0.0007 * dilution + 0.0003 * smooth(seed, channel("air/so2"), t, 5 * _HOUR)
    index, level = cai(pm25, pm10, no2, o3)
    return Breath(
        pm25, pm10, np.clip(no2, 0.001, 0.2), np.clip(o3, 0.001, 0.2), co, np.clip(so2, 0.001, 0.02), index, level
    )


def _lagged_sun(hour: Floats, sky: Sky) -> Floats:
    """Return how far ozone's day has gone: it follows the sun by about two hours and fades in the night."""
    day = np.clip(np.cos(2 * np.pi * (hour - 15.2) / 24), -1, 1)
    return np.clip(0.5 + 0.5 * day, 0, 1) ** 1.3 * (1.05 - 0.45 * sky.cloud)


# Breakpoints of Korea's Comprehensive Air-quality Index (Korea Environment Corporation): good, moderate, bad, very bad.
_INDEX = np.array([0.0, 50.0, 100.0, 250.0, 500.0])
_BREAKS = {
    "pm25": np.array([0.0, 15.0, 35.0, 75.0, 500.0]),
    "pm10": np.array([0.0, 30.0, 80.0, 150.0, 600.0]),
    "no2": np.array([0.0, 0.03, 0.06, 0.2, 2.0]),
    "o3": np.array([0.0, 0.03, 0.09, 0.15, 0.6]),
}


def cai(pm25: Floats, pm10: Floats, no2: Floats, o3: Floats) -> tuple[Floats, Floats]:
    """Return the Comprehensive Air-quality Index and its level: 1 good, 2 moderate, 3 bad, 4 very bad."""
    parts = {"pm25": pm25, "pm10": pm10, "no2": no2, "o3": o3}
    worst = np.max([np.interp(v, _BREAKS[k], _INDEX) for k, v in parts.items()], axis=0)
    index = np.asarray(np.round(worst), np.float64)
    return index, np.searchsorted(_INDEX[1:4], index, side="left") + np.ones_like(index)
