"""Speeds by hour: how fast traffic drives on each class of road, as a share of its limit."""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np

from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.roads.graph import CLASSES, RoadGraph

_LEAST, _MOST = 0.05, 2.0


@dataclass(frozen=True, eq=False, slots=True)
class Speeds:
    """Shares of the speed limit: ``shares`` (9,) by road class over the day, ``workday``, ``weekend`` (24,) by hour."""

    shares: Floats
    workday: Floats
    weekend: Floats

    def at(self, graph: RoadGraph, when_s: float, zone: ZoneInfo) -> Floats:
        """Return the speed (m,), km/h, on every edge at an instant (Unix seconds), between the hours' middles.

        Saturdays and Sundays are the weekend; a public holiday is taken for the day of the week that it is.
        """
        local = datetime.fromtimestamp(when_s, zone)
        hours = self.weekend if local.weekday() >= 5 else self.workday
        hour = local.hour + local.minute / 60 + local.second / 3600
        bend = float(np.interp(hour, np.arange(24) + 0.5, hours, period=24))
        return graph.limit_kmh * np.minimum(self.shares[graph.road_class] * bend, 1.0)


@cache
def usual() -> Speeds:
    """Return the shares of ``speeds.toml``, which names its sources."""
    text = (files("hanmaru.ride.roads") / "speeds.toml").read_text(encoding="utf-8")
    return _parse("speeds.toml", text)


def read(path: Path) -> Speeds:
    """Return a city's own shares, from a file like ``speeds.toml``. Raises RideError, naming file and key."""
    try:
        return _parse(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RideError(f"{path}: {error}") from None


def _parse(label: str, text: str) -> Speeds:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RideError(f"{label}: not valid TOML: {error}") from None
    if unknown := set(raw) - {"shares", "workday", "weekend"}:
        raise RideError(f"{label}: unknown key {min(unknown)!r}; there are shares, workday and weekend")
    table: Any = raw.get("shares")
    if not isinstance(table, dict) or set(cast("dict[str, Any]", table)) != set(CLASSES):
        raise RideError(f"{label}: [shares] needs exactly the classes {', '.join(CLASSES)}")
    shares = [cast("dict[str, Any]", table)[name] for name in CLASSES]
    return Speeds(
        _numbers(label, "shares", shares, len(CLASSES)),
        _numbers(label, "workday", raw.get("workday"), 24),
        _numbers(label, "weekend", raw.get("weekend"), 24),
    )


def _numbers(label: str, key: str, found: Any, count: int) -> Floats:
    given = cast("list[Any]", found) if isinstance(found, list) else []
    good = [float(v) for v in given if isinstance(v, int | float) and _LEAST <= v <= _MOST]
    if len(given) != count or len(good) != count:
        raise RideError(f"{label}: {key} needs {count} numbers from {_LEAST:g} to {_MOST:g}")
    return np.array(good)
