"""A report's figures: readings in equal parts of a period, set beside the same hours before; states counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final, cast

import msgspec

from hanmaru.platform.services import Attr

PARTS: Final = 48
"""Points of a trend: as many as a chart of a hand's width can show."""
MOST_STATES: Final = 8
"""More different words than this are names or remarks, no states."""

Reading = tuple[float, float]
"""A value and its instant in seconds since 1970."""


class Period(msgspec.Struct, frozen=True):
    """A half-open span of time, both ends in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start

    def before(self) -> "Period":
        """Return the same hours of days before it, so that night is set beside night; the two never overlap."""
        shift = timedelta(days=ceil(self.length / timedelta(days=1)))
        return Period(self.start - shift, self.end - shift)


class Trend(msgspec.Struct, frozen=True):
    """What an attribute did over a period.

    Each sensor counts alike, however often it reports: ``parts`` are the means, over the sensors that reported, of
    their means in each of `PARTS` equal parts of the period; ``mean`` is that of the sensors' means over the whole.
    """

    sensors: int
    readings: int
    mean: float
    low: float
    high: float
    latest: float
    parts: tuple[float | None, ...]


def trend(sensors: Iterable[Sequence[Reading]], period: Period, parts: int = PARTS) -> Trend | None:
    """Return the trend of some sensors' readings, those within the period; None where there are none."""
    start, length = period.start.timestamp(), period.length.total_seconds()
    means: list[float] = []
    cells: list[list[float]] = [[] for _ in range(parts)]
    count, low, high, latest = 0, float("inf"), float("-inf"), (float("-inf"), 0.0)
    for readings in sensors:
        own: list[list[float]] = [[] for _ in range(parts)]
        for value, at in readings:
            part = int((at - start) / length * parts)
            if at >= start and part < parts:
                own[part].append(value)
                low, high, latest = min(low, value), max(high, value), max(latest, (at, value))
        if values := [value for part in own for value in part]:
            count += len(values)
            means.append(sum(values) / len(values))
        for cell, part in zip(cells, own, strict=True):
            if part:
                cell.append(sum(part) / len(part))
    if not means:
        return None
    drawn = tuple(sum(cell) / len(cell) if cell else None for cell in cells)
    return Trend(len(means), count, sum(means) / len(means), low, high, latest[1], drawn)


def value_of(value: Any) -> Any:
    """Return a simplified attribute's value: of a typed one (``@type``, ``@value``: an instant) the value alone."""
    if isinstance(value, Mapping):
        one = cast("Mapping[str, Any]", value)
        return one.get("@value", one)
    return value


def number_of(value: Any) -> float | None:
    """Return a number, None for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def states(values: Sequence[Any], attr: Attr) -> list[tuple[str, int]]:
    """Return how many entities are in each state of an attribute, the most common first; nothing where it has none.

    Words and truths count as they are; numbers by the attribute's colour steps, ``"<lower>..<upper>"`` in its own unit.
    """
    found: Counter[str] = Counter()
    for value in values:
        number = number_of(value)
        if isinstance(value, bool):
            found["true" if value else "false"] += 1
        elif isinstance(value, str):
            found[value] += 1
        elif number is not None and attr.steps:
            found[step_of(number * attr.scale, attr)] += 1
    if attr.name.endswith("Identifier") or attr.name == "name":
        return []
    if not attr.steps and (len(found) > MOST_STATES or (len(found) > 2 and found.most_common(1)[0][1] == 1)):
        return []
    return found.most_common()


def step_of(shown: float, attr: Attr) -> str:
    """Return the colour step that a shown number is in, as ``"<lower>..<upper>"``; an open end is empty."""
    bounds = [step[0] for step in attr.steps]
    above = [bound for bound in bounds if bound > shown]
    below = [bound for bound in bounds if bound <= shown]
    return f"{below[-1]:g}..{above[0]:g}" if below and above else (f"{below[-1]:g}.." if below else f"..{above[0]:g}")


def instant(text: str) -> datetime:
    """Return an RFC 3339 instant in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
