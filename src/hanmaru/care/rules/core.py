"""What a rule is, and the few array operations that every rule is made of.

A rule takes the columns of ``n`` visits and says, for each, one band or that it cannot be told. One implementation
serves one person at a kiosk and a million rows of a file: the same arrays, the same comparisons, the same answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanmaru.care.rules.columns import Columns

Level = Literal["info", "good", "watch", "act", "urgent"]
"""What a band asks for: nothing, to go on, to mind it, to have it seen to, to have it seen to today."""

Text = Mapping[str, str]
"""A text for citizens by language: ``ko``, ``en``."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bands = NDArray[np.int8]

UNKNOWN: Final = -1
"""The band of what cannot be told."""


@dataclass(frozen=True, slots=True)
class Band:
    """One answer of a rule: its code, what it asks for, and the sentence that a citizen reads."""

    code: str
    level: Level
    text: Text


def band(code: str, level: Level, ko: str, en: str) -> Band:
    """Return a band with its sentence in both languages."""
    return Band(code, level, {"ko": ko, "en": en})


class Result(NamedTuple):
    """A rule's answers for ``n`` visits.

    ``value`` is float64 ``(n,)`` in the rule's unit (NaN where not known), or None where a rule judges several values
    at once. ``band`` is int8 ``(n,)``: positions in the rule's bands, -1 where it cannot be told.
    """

    value: Floats | None
    band: Bands


@dataclass(frozen=True, slots=True)
class Rule:
    """A published rule, as a function over columns with what people must know about it.

    ``id`` names guideline and year, ``version`` our reading of it. ``inputs`` are the columns that it looks at.
    ``cannot`` says what it cannot tell. ``cuts`` are the lower edges of its second and further bands for men and for
    women, where it parts one value by fixed edges (so that a screen can draw the scale). ``beside`` marks what stands
    beside another rule for comparison, such as other countries' classes, and is no advice of its own.
    """

    id: str
    version: str
    title: Text
    group: str
    source: str
    inputs: tuple[str, ...]
    unit: str
    bands: tuple[Band, ...]
    cannot: Text
    run: Callable[[Columns], Result]
    cuts: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    beside: bool = False


def over(edge: float) -> float:
    """Return the smallest number above ``edge``: ``x >= over(20)`` says ``x > 20``, where the edge still belongs."""
    return float(np.nextafter(edge, np.inf))


def parted(value: Floats, cuts: Sequence[float]) -> Bands:
    """Return how many of the rising ``cuts`` each value reaches (``>=``), or -1 where it is not known; ``(n,)``."""
    band = np.zeros(len(value), np.int8)
    for cut in cuts:
        band += value >= cut
    band[np.isnan(value)] = UNKNOWN
    return band


def parted_by_sex(value: Floats, sex: Floats, men: Sequence[float], women: Sequence[float]) -> Bands:
    """As :func:`parted`, with each sex's own cuts; -1 too where the sex is not known and they would differ."""
    male, female = parted(value, men), parted(value, women)
    return np.where(sex == 0, male, np.where((sex == 1) | (male == female), female, np.int8(UNKNOWN)))


def worse(one: Bands, other: Bands, worst: int) -> Bands:
    """Return the higher of two bands; where one is not known, the other decides only if it is the ``worst`` already."""
    band = np.maximum(one, other)
    band[((one < 0) | (other < 0)) & (band != worst)] = UNKNOWN
    return band


def either(yes: Bools, no: Bools) -> Bands:
    """Return 1 where ``yes``, 0 where ``no``, -1 where neither is certain."""
    return np.where(yes, np.int8(1), np.where(no, np.int8(0), np.int8(UNKNOWN)))
