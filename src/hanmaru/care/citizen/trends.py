"""How a citizen's values have gone over visits, and where the healthy range lies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hanmaru.care.citizen import scale
from hanmaru.care.citizen.visit import Measured, taken
from hanmaru.care.rules.catalogue import RULES
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.platform.services import Text


@dataclass(frozen=True, slots=True)
class Point:
    """A value at an instant; ``level`` is what the rule of its column says of it now, empty where none does."""

    at: str
    value: float
    encounter: str
    level: str


@dataclass(frozen=True, slots=True)
class Series:
    """One column's values, oldest first, with the healthy range; None is open, twice None not known."""

    column: str
    title: Text
    unit: Text
    low: float | None
    high: float | None
    points: tuple[Point, ...]


def series(
    values: Iterable[Measured], person: Mapping[str, float], since: datetime | None = None
) -> tuple[Series, ...]:
    """Return every column's values from ``since`` on, in the catalogue's order.

    ``person`` has what ranges depend on: sex, age, height.
    """
    found: dict[str, list[Measured]] = {}
    for one in taken(values):
        if since is None or datetime.fromisoformat(one.at) >= since:
            found.setdefault(one.column, []).append(one)
    return tuple(_series(column, found[column], person) for column in COLUMNS if column in found)


def range_of(column: str, person: Mapping[str, float]) -> scale.Scale | None:
    """Return the scale by which a column is judged: that of its first rule which knows a healthy stretch of it."""
    best: scale.Scale | None = None
    for rule in RULES.values():
        if (not rule.beside and column in rule.inputs) or (column == "bmi" and "weight_kg" in rule.inputs):
            for one in scale.drawn(rule, person):
                if one.column == column and one.healthy and (best is None or len(one.segments) > len(best.segments)):
                    best = one
    return best


def _series(column: str, values: list[Measured], person: Mapping[str, float]) -> Series:
    about, judged = COLUMNS[column], range_of(column, person)
    low, high = (judged.healthy if judged else None) or (None, None)
    return Series(
        column=column,
        title={"ko": about.ko, "en": about.en},
        unit=scale.unit(about.unit),
        low=low,
        high=high,
        points=tuple(
            Point(one.at, one.value, one.encounter, judged.level(one.value) if judged else "") for one in values
        ),
    )
