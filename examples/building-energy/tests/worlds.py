"""Made-up buildings whose truth is known, and the real series of a steel works."""

import csv
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hanmaru_building_energy.domain import Floats, Series

SEOUL = ZoneInfo("Asia/Seoul")
MONDAY = int(datetime(2024, 1, 1, tzinfo=SEOUL).timestamp())
WEEK = 168


def ar1(rng: np.random.Generator, n: int, rho: float, sd: float) -> Floats:
    """A process of first order with a standard deviation, begun in its stationary state."""
    shocks = rng.normal(0, sd * np.sqrt(1 - rho**2), n)
    out = np.empty(n)
    x = rng.normal(0, sd)
    for i in range(n):
        x = rho * x + shocks[i]
        out[i] = x
    return out


def office(rng: np.random.Generator, weeks: int, *, weather: bool = True) -> tuple[Series, Floats]:
    """An office's hourly energy and the hours' outdoor temperature; errors go together within hours and within days."""
    n = weeks * WEEK
    hour, weekday = np.arange(n) % 24, (np.arange(n) // 24) % 7
    open_ = (weekday < 5) & (hour >= 8) & (hour < 19)
    season = 13 - 13 * np.cos(2 * np.pi * (np.arange(n) / 24 - 20) / 365.25)
    air = season + 5 * np.sin(2 * np.pi * (hour - 9) / 24) + np.repeat(ar1(rng, n // 24, 0.7, 3.0), 24)
    kwh = 60 + 80 * open_ + ar1(rng, n, 0.8, 8.0) + np.repeat(ar1(rng, n // 24, 0.4, 5.0), 24)
    if weather:
        kwh += np.where(open_, 2.4, 0.8) * np.maximum(air - 18.3, 0) + np.where(open_, 1.5, 1.0) * np.maximum(
            12.8 - air, 0
        )
    return Series(MONDAY, 3600, np.maximum(kwh, 1)), air


def divided(series: Series, weeks: int) -> tuple[Series, Series]:
    """The first weeks, and the others."""
    at = series.start_s + weeks * 7 * 86_400
    return series.between(series.start_s, at), series.between(at, series.end_s)


@pytest.fixture(scope="session")
def steel() -> Series:
    """A year of quarter hours at a steel works (kWh), read where it lies."""
    folder = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    path = folder / "series" / "steel_energy_gwangyang_15min.csv"
    if not path.is_file():
        pytest.skip("the steel works' series is not there: set HANMARU_TEST_DATA")
    with path.open(encoding="utf-8-sig", newline="") as file:
        kwh = np.array([float(row["Usage_kWh"]) for row in csv.DictReader(file)])
    return Series(int(datetime(2018, 1, 1, tzinfo=SEOUL).timestamp()), 900, kwh)
