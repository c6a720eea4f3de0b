"""Real series of city sensors, and labelled faults put into them by a fixed seed."""

import csv
import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, pstdev
from typing import NamedTuple

SERIES = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "series"
DAY_S = 86_400
KINDS = ("spike", "shift", "drift", "noise", "stuck", "dropout")


class Series(NamedTuple):
    """Readings of one sensor; times in seconds since 1970, in their order."""

    name: str
    times: list[float]
    values: list[float]


class Fault(NamedTuple):
    """Readings ``start`` to ``end`` (exclusive, as indices) are wrong."""

    kind: str
    start: int
    end: int


def _series(name: str, rows: list[tuple[datetime, str]]) -> Series:
    known = sorted(
        (at.replace(tzinfo=UTC).timestamp() - 9 * 3600, float(text)) for at, text in rows if text.strip(" -")
    )
    return Series(name, [at for at, _ in known], [value for _, value in known])


def bikes(column: int = 1) -> list[Series]:
    """Rentals an hour in Seoul, or one column of its weather, a year."""
    with (SERIES / "seoul_bike_hourly.csv").open(encoding="latin-1") as file:
        head, *rows = list(csv.reader(file))
    at = [datetime.strptime(r[0], "%d/%m/%Y") + timedelta(hours=int(r[2])) for r in rows]
    name = head[column].split("(")[0].strip().lower()
    return [_series(name, list(zip(at, (r[column] for r in rows), strict=True)))]


def steel(column: int) -> list[Series]:
    """One column of a steel works' energy every 15 minutes, a year."""
    with (SERIES / "steel_energy_gwangyang_15min.csv").open(encoding="utf-8-sig") as file:
        head, *rows = list(csv.reader(file))
    # a row's time is the end of its quarter; the midnight that ends a day carries its date and 0
    return [
        _series(
            f"steel {head[column].split('_')[0].split('(')[0].lower()}",
            [
                (datetime.strptime(r[0][:10], "%d-%m-%Y") + timedelta(seconds=int(r[7]) or DAY_S), r[column])
                for r in rows
            ],
        )
    ]


def city_air(column: int, year: str) -> list[Series]:
    """One pollutant as Seoul's hourly mean, a year."""
    names = ("", "", "PM2.5", "PM10", "O3", "NO2", "CO", "SO2")
    with (SERIES / "seoul_air.csv").open(encoding="utf-8") as file:
        rows = [r for r in list(csv.reader(file))[1:] if r[1].startswith(year)]
    # hours run from 01:00 to 24:00
    ended = [datetime.fromisoformat(r[1][:10]) + timedelta(hours=int(r[1][11:13])) for r in rows]
    return [_series(f"city {names[column]}", list(zip(ended, (r[column] for r in rows), strict=True)))]


def traffic(every: int) -> list[Series]:
    """Speeds on the roads of Los Angeles every 5 minutes, a week; each ``every``-th of 207 sensors."""
    with (SERIES / "metr_la_week.csv").open() as file:
        head, *rows = list(csv.reader(file))
    began = datetime(2012, 3, 1, tzinfo=UTC).timestamp()
    return [
        Series(f"road {head[i]}", [began + 300 * k for k in range(len(rows))], [float(r[i]) for r in rows])
        for i in range(0, len(head), every)
    ]


def spread(series: Series) -> float:
    """Return how far readings lie from the median of their hour of the day: the standard deviation, extremes cut."""
    hours: dict[int, list[float]] = defaultdict(list)
    for at, value in zip(series.times, series.values, strict=True):
        hours[int(at // 3600 % 24)].append(value)
    middle = {hour: median(values) for hour, values in hours.items()}
    off = sorted(v - middle[int(at // 3600 % 24)] for at, v in zip(series.times, series.values, strict=True))
    cut = len(off) // 50
    return pstdev(off[cut:-cut])


def inject(series: Series, kind: str, count: int, quiet_s: float, seed: str) -> tuple[list[float], list[Fault]]:
    """Return the values with up to ``count`` faults of a kind after ``quiet_s``, far from each other, and the faults.

    In units of `spread`: spikes of 4 to 8 for one reading; shifts of 2.5 to 5 for 12 to 24 h; drifts that end at 3 to 6
    after 24 to 48 h; noise of 2 to 4 for 6 h. Stuck: the same value for 6 to 12 h; dropout: zero for 1 to 3 h, two
    readings at least. Where a series is never below zero, nothing is put below zero (nor cut to zero, which would make
    a dropout of it). A place where a fault would change nothing is not used.
    """
    draw = random.Random(f"{seed} {series.name} {kind}")
    unit, step_s = spread(series), median(b - a for a, b in zip(series.times, series.times[1:], strict=False))
    values = list(series.values)
    positive = min(values) >= 0
    first = next(i for i, at in enumerate(series.times) if at >= series.times[0] + quiet_s)
    room = (len(values) - first) // count
    faults: list[Fault] = []
    for k in range(count):
        hours = {
            "spike": step_s / 3600,
            "shift": draw.uniform(12, 24),
            "drift": draw.uniform(24, 48),
            "noise": 6,
            "stuck": draw.uniform(6, 12),
            "dropout": max(draw.uniform(1, 3), 2 * step_s / 3600),
        }[kind]
        length = max(1, round(hours * 3600 / step_s))
        if room <= length + 2:
            continue
        start = first + k * room + draw.randrange(room - length)
        old = values[start : start + length]
        low, high = {"spike": (4, 8), "shift": (2.5, 5), "drift": (3, 6), "noise": (2, 4)}.get(kind, (0, 0))
        size = draw.choice((-1, 1)) * unit * draw.uniform(low, high)
        if positive and min(old) + size < 0:
            size = -size
        match kind:
            case "spike" | "shift":
                new = [x + size for x in old]
            case "drift":
                new = [x + size * (i + 1) / length for i, x in enumerate(old)]
            case "noise":
                new = [x + size * draw.gauss(0, 1) for x in old]
                new = [abs(x) for x in new] if positive else new
            case "stuck":
                new = old[:1] * length
            case _:
                new = [0.0] * length
        if sum(abs(a - b) for a, b in zip(new, old, strict=True)) < 0.5 * unit:
            continue
        values[start : start + length] = new
        faults.append(Fault(kind, start, start + length))
    return values, faults
