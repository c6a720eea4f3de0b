"""The city's one weather: a function of seed and instant, calibrated to a climate's monthly normals.

A synoptic process (days) moves temperature and pressure, a moisture process (a day) makes cloud and rain, and faster
ones make showers and gusts; all are stationary and Gaussian (`noise.smooth`), so that expected means equal the normals.
"""

import math
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru.city.noise import Floats, Ints, channel, smooth
from hanmaru.city.profile import Climate, Profile
from hanmaru.city.rhythms import Local, local, monthly

_HOUR = 3600.0
_DAY = 86400.0

_DIURNAL = (
    -0.58, -0.68, -0.77, -0.85, -0.93, -0.99, -0.97, -0.76, -0.38, 0.04, 0.40, 0.67,
    0.86, 0.97, 1.02, 1.00, 0.88, 0.66, 0.38, 0.14, -0.05, -0.21, -0.35, -0.47,
)  # fmt: skip
"""The shape of a day's temperature: lowest about sunrise, highest about three in the afternoon; -1 to 1."""


@dataclass(frozen=True, eq=False)
class Sky:
    """Weather at instants, arrays of one shape: air ``temperature_c``, ``humidity`` (0-1), ``pressure_hpa`` at the
    station, ``wind_mps``, ``wind_from_deg``, ``rain_mmh``, ``cloud`` (0-1), ``sun_wm2``, the sun's ``elevation_deg``;
    ``stagnation`` is how still high pressure makes the air, a standard normal.
    """

    local: Local
    temperature_c: Floats
    humidity: Floats
    pressure_hpa: Floats
    wind_mps: Floats
    wind_from_deg: Floats
    rain_mmh: Floats
    cloud: Floats
    sun_wm2: Floats
    elevation_deg: Floats
    stagnation: Floats


@dataclass(frozen=True)
class Weather:
    """Asks for the weather of a city."""

    climate: Climate
    zone: ZoneInfo
    lon: float
    lat: float
    seed: int

    def at(self, t: Floats) -> Sky:
        """Return the weather at instants ``t`` (Unix seconds, any shape)."""
        t = np.asarray(t, np.float64)
        c = self.climate
        when = local(self.zone, t)
        synoptic, wet = self._noise("synoptic", t, 1.6 * _DAY), self._noise("wet", t, 0.42 * _DAY)
        rain = self._rain(t, when, wet)
        cloud = 0.5 * (1 + np.vectorize(math.erf)((0.8 * wet - 0.45 * synoptic) / math.sqrt(2 * 0.8425)))
        winter = 0.5 * (1 + np.cos(2 * np.pi * (when.year - 15 / 365)))
        span = monthly(c.high_c, when.year) - monthly(c.low_c, when.year)
        swing = _daily_shape(when.hour) * span / 2 * (1.42 - 0.84 * cloud)
        temperature = monthly(c.temperature_c, when.year) + swing - synoptic * (1.5 + 1.7 * winter)
        elevation = self._sun(t)
        wind = (
            monthly(c.wind_mps, when.year)
            * (0.91 + 0.51 * np.clip(np.sin(np.pi * (when.hour - 8) / 12), -0.45, 1))
            * np.exp(0.42 * self._noise("wind", t, 5 * _HOUR) - 0.088)
            * (1 + 0.10 * np.minimum(rain, 10) ** 0.5)
        )
        damp = monthly(c.humidity, when.year) + 0.085 * wet - 0.17 * _daily_shape(when.hour) * (1.3 - 0.6 * cloud)
        humidity = np.asarray(np.where(rain > 0.05, np.maximum(damp, 0.86), damp), np.float64)
        return Sky(
            local=when,
            temperature_c=temperature - 0.6 * np.minimum(rain, 6) ** 0.5,
            humidity=np.clip(humidity, 0.12, 0.99),
            pressure_hpa=monthly(c.sea_level_hpa, when.year) - c.elevation_m / 8.3 + 4.6 * synoptic - 1.6 * wet,
            wind_mps=np.clip(wind, 0.05, 30),
            wind_from_deg=(
                235 + 80 * winter + 55 * self._noise("bearing", t, 9 * _HOUR) + 20 * self._noise("veer", t, _HOUR)
            )
            % 360,
            rain_mmh=rain,
            cloud=cloud,
            sun_wm2=np.clip(np.sin(np.radians(elevation)), 0, 1) ** 1.15 * 1060 * (1 - 0.74 * cloud**2.6),
            elevation_deg=elevation,
            stagnation=synoptic,
        )

    def _noise(self, label: str, t: Floats, scale_s: float) -> Floats:
        return smooth(self.seed, channel("weather/" + label), t.ravel(), scale_s).reshape(t.shape)

    def _rain(self, t: Floats, when: Local, wet: Floats) -> Floats:
        """Return rain in mm/h: it falls when moisture exceeds the month's threshold, more the further it does."""
        month = np.minimum((when.year * 12).astype(np.int64), 11)
        days = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        # A day is wet about 2.3 times as often as one of its hours: fitted to this process's own correlation.
        share = np.asarray(self.climate.wet_days) / days / 2.3
        threshold = np.array([_quantile(1 - s) for s in share])
        density = np.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
        excess = density - threshold * share  # E[(w - z)+] of a standard normal w
        rate = np.asarray(self.climate.precipitation_mm) / (days * 24) / excess
        burst = np.exp(0.9 * self._noise("shower", t, 0.6 * _HOUR) - 0.405)
        rain = np.maximum(wet - threshold[month], 0) * rate[month] * burst
        return np.where(rain < 0.02, 0.0, np.minimum(rain, 90.0))

    def _sun(self, t: Floats) -> Floats:
        """Return the sun's elevation in degrees (low-precision formulae of the Astronomical Almanac, to 0.1 degree)."""
        d = t / _DAY + 2440587.5 - 2451545.0
        g = np.radians(357.529 + 0.98560028 * d)
        q = np.radians(280.459 + 0.98564736 * d)
        lam = q + np.radians(1.915 * np.sin(g) + 0.020 * np.sin(2 * g))
        tilt = math.radians(23.439)
        declination = np.arcsin(math.sin(tilt) * np.sin(lam))
        right_ascension = np.arctan2(math.cos(tilt) * np.sin(lam), np.cos(lam))
        sidereal = np.radians((280.46061837 + 360.98564736629 * d + self.lon) % 360)
        phi = math.radians(self.lat)
        hour_angle = np.cos(sidereal - right_ascension)
        return np.degrees(
            np.arcsin(math.sin(phi) * np.sin(declination) + math.cos(phi) * np.cos(declination) * hour_angle)
        )


def of(profile: Profile) -> Weather:
    """Return a profile's weather."""
    return Weather(profile.climate, profile.tz, *profile.centre, profile.seed)


def _daily_shape(hour: Floats) -> Floats:
    i = np.floor(hour).astype(np.int64)
    f = 0.5 - 0.5 * np.cos(np.pi * (hour - i))
    shape = np.asarray(_DIURNAL)
    return shape[i % 24] * (1 - f) + shape[(i + 1) % 24] * f - float(np.mean(shape))


def _quantile(p: float) -> float:
    """Return the standard normal quantile, by bisection of erf."""
    low, high = -6.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < p else (low, middle)
    return (low + high) / 2


def take(sky: Sky, index: Ints) -> Sky:
    """Return the weather at some of a sky's instants."""
    w = sky.local
    when = Local(w.hour[index], w.weekday[index], w.day[index], w.year[index])
    rest = {name: getattr(sky, name)[index] for name in Sky.__dataclass_fields__ if name != "local"}
    return Sky(local=when, **rest)
