"""Where a value lies: a rule's bands along one column, found by asking the rule itself: no drawing can disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.rules.core import UNKNOWN, Rule
from hanmaru.platform.services import Text

POINTS: Final = 4_001
MOST_SEGMENTS: Final = 9
MARGIN: Final = 0.3
"""What is drawn beyond the outer edges, as a share of what lies between them."""

AXES: Final[Mapping[str, tuple[float, float, float]]] = {
    "bmi": (10, 60, 0.1),
    "waist_cm": (40, 160, 0.1),
    "sbp_mmhg": (60, 260, 1),
    "dbp_mmhg": (30, 160, 1),
    "pulse_bpm": (30, 200, 1),
    "body_fat_pct": (2, 70, 0.1),
    "grip_right_kg": (2, 90, 0.1),
    "ecw_tbw": (0.3, 0.5, 0.001),
    "visceral_fat_level": (0, 40, 1),
    "shuttle20_laps": (0, 160, 1),
    "step_vo2max": (10, 80, 0.1),
    "cross_sit_ups": (0, 100, 1),
    "sit_and_reach_cm": (-40, 50, 0.1),
    "shuttle10x4_s": (7, 40, 0.1),
    "reaction_s": (0.1, 2, 0.001),
    "long_jump_cm": (0, 350, 0.1),
    "air_time_s": (0.05, 1.2, 0.001),
    "two_minute_step": (0, 220, 1),
    "six_minute_walk_m": (0, 1000, 1),
    "chair_stand_reps": (0, 60, 1),
    "tug3m_s": (2, 40, 0.1),
    "figure8_s": (8, 120, 0.1),
    "gait_speed_m_s": (0.1, 2.5, 0.01),
    "total_cholesterol_mg_dl": (60, 400, 1),
    "hdl_mg_dl": (10, 120, 1),
    "ldl_mg_dl": (20, 300, 1),
    "triglycerides_mg_dl": (20, 800, 1),
    "glucose_mg_dl": (40, 400, 1),
    "hba1c_pct": (3, 15, 0.1),
    "cva_deg": (20, 80, 0.1),
    "head_tilt_deg": (-45, 45, 0.1),
    "shoulder_tilt_deg": (-30, 30, 0.1),
    "pelvis_tilt_deg": (-30, 30, 0.1),
    "trunk_shift_deg": (-30, 30, 0.1),
    "knee_deg": (140, 220, 0.1),
}
"""From where to where a column is looked at, and its smallest step: wide enough for every cut-off."""

ENGLISH: Final[Mapping[str, str]] = {
    "세": "years",
    "회/분": "/min",
    "회": "times",
    "초": "s",
    "점": "points",
    "잔": "drinks",
    "mL/kg/분": "mL/kg/min",
    "mL/분/1.73m²": "mL/min/1.73 m²",
}
"""Units that the catalogue writes in Korean."""
UNITS: Final[Mapping[str, Text]] = {
    "": {"ko": "", "en": ""},
    "1": {"ko": "", "en": ""},
    "/min": {"ko": "회/분", "en": "/min"},
    "{components}": {"ko": "개 해당 (5개 중)", "en": "of 5 signs"},
}

GRIPS: Final = frozenset({"grip_left_kg", "grip_right_kg"})
"""Of both hands the stronger counts: it is looked at as if it were the right one."""

CALM: Final[Mapping[str, Mapping[str, float]]] = {"sbp_mmhg": {"dbp_mmhg": 60}, "dbp_mmhg": {"sbp_mmhg": 100}}
"""What the rest is while one of two values is looked at: of what no class is high by itself."""


def unit(text: str) -> Text:
    """Return a unit in both languages; the catalogue writes it in Korean."""
    return UNITS.get(text) or {"ko": text, "en": ENGLISH.get(text, text)}


@dataclass(frozen=True, slots=True)
class Segment:
    """One band's stretch of a scale; an end that is None is open."""

    low: float | None
    high: float | None
    band: str
    level: str
    text: Text

    def has(self, value: float) -> bool:
        """Return whether a value lies in it."""
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


@dataclass(frozen=True, slots=True)
class Scale:
    """A column's bands from ``low`` to ``high``, what is drawn, and where the value is."""

    column: str
    title: Text
    unit: Text
    value: float | None
    low: float
    high: float
    segments: tuple[Segment, ...]

    @property
    def healthy(self) -> tuple[float | None, float | None] | None:
        """The stretch that is good, None where there is none or more than one."""
        good = [i for i, segment in enumerate(self.segments) if segment.level == "good"]
        if not good or good[-1] - good[0] != len(good) - 1:
            return None
        return self.segments[good[0]].low, self.segments[good[-1]].high

    def level(self, value: float) -> str:
        """Return the level of the stretch that a value lies in; nothing where no stretch has it."""
        return next((one.level for one in self.segments if one.has(value)), "")


def drawn(rule: Rule, person: Mapping[str, float]) -> tuple[Scale, ...]:
    """Return a rule's scales for a person (columns by name): one for each measured column that it looks at.

    None for a rule of several values that are no blood pressure: no single line shows those.
    """
    looked = {name for name in rule.inputs if _measured(name)}
    if looked == {"sbp_mmhg", "dbp_mmhg"}:
        names = ["sbp_mmhg", "dbp_mmhg"]
    elif looked in ({"weight_kg"}, {"weight_kg", "bmi"}) and "height_cm" in rule.inputs:
        names = ["bmi"]
    elif looked >= GRIPS and looked <= {*GRIPS, "weight_kg"}:
        names = ["grip_right_kg"]
    else:
        names = [*looked] if len(looked) == 1 and looked <= AXES.keys() and "height_cm" not in rule.inputs else []
    found = (scale(rule, person, name) for name in names)
    return tuple(one for one in found if one is not None)


def _measured(name: str) -> bool:
    return name in COLUMNS and COLUMNS[name].kind == "number" and name not in ("age_years", "height_cm")


def scale(rule: Rule, person: Mapping[str, float], column: str) -> Scale | None:
    """Return a rule's bands along one column for a person; None where it tells no two values of it apart."""
    low, high, step = AXES[column]
    points = np.round(np.arange(low, high + step / 2, step), 6)
    person, about = {**person, **CALM.get(column, {})}, {"ko": COLUMNS[column].ko, "en": COLUMNS[column].en}
    if column == "bmi":  # given as itself, not as what it is computed from
        height, weight = person.pop("height_cm", None), person.pop("weight_kg", None)
        if height and weight:
            person["bmi"] = weight / (height / 100) ** 2
    if column == "grip_right_kg":
        about = {"ko": "악력 (센 손)", "en": "Grip, stronger hand"}
        hands = [person.pop(name) for name in GRIPS if name in person]
        person |= {column: max(hands)} if hands else {}
    value = person.get(column)
    arrays = {name: np.full(len(points), given) for name, given in person.items()}
    arrays[column] = points
    with np.errstate(all="ignore"):  # what is not known is NaN
        bands = rule.run(Columns(arrays)).band
    edges = np.flatnonzero(np.diff(bands)) + 1
    if not len(edges) or len(edges) >= MOST_SEGMENTS or (bands == UNKNOWN).all():
        return None
    starts, ends = [0, *edges.tolist()], [*edges.tolist(), None]
    segments = [
        Segment(
            low=None if start == 0 else float(points[start]),
            high=None if end is None else float(points[end]),
            band=rule.bands[band].code,
            level=rule.bands[band].level,
            text=rule.bands[band].text,
        )
        for start, end in zip(starts, ends, strict=True)
        if (band := int(bands[start])) != UNKNOWN
    ]
    return of_segments(column, about, COLUMNS[column].unit, value, tuple(segments))


def of_segments(column: str, title: Text, of: str, value: float | None, segments: tuple[Segment, ...]) -> Scale:
    """Return the scale of some segments, drawn as far as its edges, the value and some air need."""
    edges = [edge for segment in segments for edge in (segment.low, segment.high) if edge is not None]
    shown = [*edges, *([] if value is None else [value])]
    margin = (max(shown) - min(shown)) * MARGIN or abs(shown[0]) * MARGIN
    low = min(shown) - margin
    return Scale(
        column, title, unit(of), value, max(low, 0.0) if min(shown) >= 0 else low, max(shown) + margin, segments
    )
