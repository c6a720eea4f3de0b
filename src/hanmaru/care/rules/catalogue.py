"""All rules by name, and grading by them: a million visits at once or one person with the reasons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hanmaru.care.rules import (
    blood,
    blood_pressure,
    body,
    fitness,
    metabolic,
    muscle,
    plausibility,
    posture,
    pulse,
    risk,
)
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.rules.core import UNKNOWN, Band, Level, Result, Rule, Text

_MODULES: Final = (blood_pressure, pulse, body, muscle, blood, metabolic, fitness, risk, posture)

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for module in _MODULES for rule in module.RULES}
"""Every rule by its id, in the order of a report."""

BLOCK: Final = 8192
"""Visits graded at a time: as many as stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Graded:
    """One rule's answer for one person: ``value`` in ``unit`` (None where it judges several), ``inputs`` as used."""

    rule: str
    version: str
    group: str
    title: Text
    value: float | None
    unit: str
    band: str
    level: Level
    text: Text
    cannot: Text
    source: str
    beside: bool
    inputs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a rule's scale: ``start`` ≤ value < ``end``; None is open."""

    start: float | None
    end: float | None
    band: Band


def grade(columns: Columns, rules: Iterable[str] | None = None) -> dict[str, Result]:
    """Grade ``n`` visits by all rules, or by those named. Impossible values are graded as not known.

    Raises:
        KeyError: for a rule that is not in the catalogue.
    """
    chosen = [RULES[name] for name in (RULES if rules is None else rules)]
    parts = [_grade(part, chosen) for part in _blocks(columns)]
    if len(parts) == 1:
        return parts[0]
    return {rule.id: _joined([part[rule.id] for part in parts]) for rule in chosen}


def _grade(columns: Columns, rules: list[Rule]) -> dict[str, Result]:
    with np.errstate(all="ignore"):  # NaN means "not known" here, and is carried along on purpose
        clean = plausibility.possible(columns)
        return {rule.id: rule.run(clean) for rule in rules}


def _blocks(columns: Columns) -> Iterable[Columns]:
    given = columns.given()
    for start in range(0, max(columns.n, 1), BLOCK):
        end = min(start + BLOCK, columns.n)
        yield Columns({name: values[start:end] for name, values in given.items()}, end - start)


def _joined(parts: list[Result]) -> Result:
    values = [part.value for part in parts if part.value is not None]
    return Result(np.concatenate(values) if values else None, np.concatenate([part.band for part in parts]))


def one(person: Mapping[str, float | str | bool | None]) -> Columns:
    """Return the columns of one person; ``sex`` may be ``male`` or ``female``, None is not known.

    Raises:
        KeyError: for a name that is no column.
        ValueError: for a value that is no number.
    """
    given = {name: value for name, value in person.items() if value is not None}
    return Columns({name: _number(name, value) for name, value in given.items()}, 1)


def _number(name: str, value: float | str | bool) -> float:
    if name == "sex" and value in ("male", "female"):
        return float(value == "female")
    if isinstance(value, str):
        raise ValueError(f"{name} must be a number, not {value[:40]!r}")
    return float(value)


def explain(person: Mapping[str, float | str | bool | None]) -> list[Graded]:
    """Grade one person by every rule that can be told, with words and reasons; the same answers as :func:`grade`.

    Raises:
        KeyError, ValueError: as :func:`one`.
    """
    columns = one(person)
    clean = plausibility.possible(columns)
    return [
        graded for name, result in grade(columns).items() if (graded := _graded(RULES[name], result, clean)) is not None
    ]


def _graded(rule: Rule, result: Result, columns: Columns) -> Graded | None:
    position = int(result.band[0])
    if position == UNKNOWN:
        return None
    band = rule.bands[position]
    value = None if result.value is None or np.isnan(result.value[0]) else float(result.value[0])
    used = {name: float(columns[name][0]) for name in rule.inputs if not np.isnan(columns[name][0])}
    return Graded(
        rule=rule.id,
        version=rule.version,
        group=rule.group,
        title=rule.title,
        value=value,
        unit=rule.unit,
        band=band.code,
        level=band.level,
        text=band.text,
        cannot=rule.cannot,
        source=rule.source,
        beside=rule.beside,
        inputs=used,
    )


def plausible(columns: Columns) -> dict[str, plausibility.Flags]:
    """Return the flags of :func:`plausibility.flags`: per column 0 fine, 1 unlikely, 2 impossible."""
    return plausibility.flags(columns)


def scale(rule: Rule, sex: str) -> list[Step] | None:
    """Return the scale that a rule's value is read on, for ``male`` or ``female``; None where it has none."""
    if rule.cuts is None:
        return None
    cuts = [_shown(cut) for cut in rule.cuts[sex == "female"]]
    edges = [None, *cuts, None]
    return [Step(edges[i], edges[i + 1], band) for i, band in enumerate(rule.bands)]


def _shown(cut: float) -> float:
    """Return the edge as people write it: what :func:`core.over` put a hair above it is taken off."""
    return float(np.round(cut, 9))


assert all(name in COLUMNS for rule in RULES.values() for name in rule.inputs)
