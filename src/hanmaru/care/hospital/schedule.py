"""When somebody is to be looked at again, by what was found: the earliest sensible day, and the day it is overdue.
Pure.

Each interval is the guideline's that the finding itself comes from, so that the sentence which a citizen reads and the
day in the nurse's list say the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from hanmaru.care.rules.catalogue import Graded
from hanmaru.platform.services import Text

What = Literal["see-today", "see-doctor", "measure-again", "blood-test", "check-up"]


@dataclass(frozen=True, slots=True)
class Interval:
    """What is due, from so many days after the visit on, and overdue after so many; with the source of both."""

    what: What
    days: int
    by: int
    source: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What is due for one group of rules: why, as the citizen was told, and when."""

    group: str
    level: str
    text: Text
    what: What
    days: int
    by: int
    rule: str
    source: str


_KSH: Final = "Korean Society of Hypertension 2022, Clin Hypertens 2023;29:11, doi:10.1186/s40885-023-00234-9"
_ACC: Final = "2017 ACC/AHA guideline, doi:10.1161/HYP.0000000000000065, recommendations for follow-up (section 8.1.3)"
_ADA: Final = "ADA Standards of Care 2024, Diabetes Care 47(Suppl 1):S20, doi:10.2337/dc24-S002"
_LIPID: Final = (
    "2018 AHA/ACC cholesterol guideline, doi:10.1161/CIR.0000000000000625 (lipids again after 4 to 12 weeks)"
)
_ESC: Final = "2021 ESC prevention guideline, doi:10.1093/eurheartj/ehab484"
_OWN: Final = "the centre's own: a programme of 24 weeks with check-ups at its start, middle and end"

INTERVALS: Final[Mapping[tuple[str, str], Interval]] = {
    ("bp.urgent", "urgent"): Interval("see-today", 1, 1, _KSH),
    ("bp.ksh-2022", "grade-2"): Interval("see-doctor", 7, 14, f"{_KSH}; {_ACC}: within a month for stage 2"),
    ("bp.ksh-2022", "grade-1"): Interval("see-doctor", 14, 30, f"{_KSH}; {_ACC}: one month"),
    ("bp.isolated-systolic", "yes"): Interval("see-doctor", 14, 30, _KSH),
    ("bp.ksh-2022", "prehypertension"): Interval("measure-again", 90, 180, f"{_ACC}: three to six months"),
    ("bp.ksh-2022", "elevated"): Interval("measure-again", 180, 365, _KSH),
    ("diabetes-score.korea-2012", "high"): Interval("blood-test", 30, 90, _ADA),
    ("findrisc.2003", "moderate"): Interval("blood-test", 90, 365, _ADA),
    ("findrisc.2003", "high"): Interval("blood-test", 30, 90, _ADA),
    ("findrisc.2003", "very-high"): Interval("blood-test", 14, 30, _ADA),
    ("score2-asia-pacific-low.2025", "moderate"): Interval("check-up", 180, 365, _ESC),
}
"""What a single finding asks for, where its guideline says so."""

BY_GROUP: Final[Mapping[tuple[str, str], Interval]] = {
    ("blood-pressure", "act"): Interval("see-doctor", 14, 30, _KSH),
    ("blood", "act"): Interval("see-doctor", 14, 30, f"{_ADA}: a second test without delay; {_LIPID}"),
    ("blood", "watch"): Interval("blood-test", 90, 365, f"{_ADA}: prediabetes at least yearly; {_LIPID}"),
    ("risk", "act"): Interval("see-doctor", 14, 30, _ESC),
    ("risk", "watch"): Interval("check-up", 90, 365, _ESC),
}
BY_LEVEL: Final[Mapping[str, Interval]] = {
    "urgent": Interval("see-today", 1, 1, _OWN),
    "act": Interval("see-doctor", 14, 30, _OWN),
    "watch": Interval("check-up", 84, 168, _OWN),
}
"""What any other finding asks for by its level."""


def interval(rule: str, group: str, band: str, level: str) -> Interval | None:
    """Return when a finding is to be looked at again; None for one that asks for nothing."""
    if level not in BY_LEVEL:
        return None
    return INTERVALS.get((rule, band)) or BY_GROUP.get((group, level)) or BY_LEVEL[level]


def follow_ups(grades: Iterable[Graded]) -> list[FollowUp]:
    """Return what is due after a visit: for each group of rules the finding that is due first, most pressing first.

    Posture is screening and asks for nothing; what stands beside for comparison does not either.
    """
    first: dict[str, FollowUp] = {}
    for graded in grades:
        if graded.beside or graded.group == "posture":
            continue
        found = interval(graded.rule, graded.group, graded.band, graded.level)
        if found is None:
            continue
        made = FollowUp(
            group=graded.group,
            level=graded.level,
            text=graded.text,
            what=found.what,
            days=found.days,
            by=found.by,
            rule=graded.rule,
            source=found.source,
        )
        held = first.get(graded.group)
        if held is None or (made.by, made.days) < (held.by, held.days):
            first[graded.group] = made
    return sorted(first.values(), key=lambda one: (one.by, one.days))
