"""The city's clock: real time, or time that runs faster, going on across restarts."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class CityClock:
    """City time as a line through (``real_s``, ``city_s``), both Unix seconds, with slope ``speed``."""

    speed: float = 1.0
    real_s: float = 0.0
    city_s: float = 0.0
    source: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        """Refuse a clock that stands still or runs backwards."""
        if not self.speed > 0:
            raise ValueError(f"the city clock's speed must be positive, not {self.speed}")

    def now_s(self) -> float:
        """Return the city's time as Unix seconds."""
        return self.city_s + (self.source() - self.real_s) * self.speed

    def now(self) -> datetime:
        """Return the city's time as a UTC instant."""
        return datetime.fromtimestamp(self.now_s(), UTC)


class _Anchor(msgspec.Struct):
    speed: float
    real_s: float
    city_s: float


def resume(path: Path, *, speed: float = 1.0, source: Callable[[], float] = time.time) -> CityClock:
    """Return the clock kept in a file, so that city time goes on after a restart; start and keep one if there is none.

    Where another speed is asked for than the kept one, city time goes on from what it is now at the new speed. A clock
    at speed 1 is real time: it needs no file, and returning to it returns to now.
    """
    if speed == 1.0:
        return CityClock(source=source)
    now = source()
    clock = CityClock(speed, now, now, source)
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Anchor)
        clock = CityClock(kept.speed, kept.real_s, kept.city_s, source)
        if kept.speed == speed:
            return clock
        clock = CityClock(speed, now, clock.now_s(), source)
    except (OSError, msgspec.DecodeError):
        pass
    save(path, _Anchor(clock.speed, clock.real_s, clock.city_s))
    return clock


def save(path: Path, value: object) -> None:
    """Write a small JSON file so that a crash leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(value))
    os.replace(part, path)  # noqa: PTH105 - the name of the guarantee


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 UTC with milliseconds and a final ``Z``."""
    return datetime.fromtimestamp(round(seconds, 3), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
