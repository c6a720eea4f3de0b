"""Why a model says nothing of somebody: what it needs, and within what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.risk import diabetes, framingham, pce, prevent, score2
from hanmaru.care.rules.risk.kidney import known_egfr
from hanmaru.care.rules.risk.limits import Limits


@dataclass(frozen=True, slots=True)
class Gap:
    """One column that keeps a model from speaking: not known, or outside ``low`` to ``high``."""

    column: str
    why: Literal["missing", "outside"]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a model must know besides the sex, and the limits that hold for what is known."""

    needs: tuple[str, ...]
    limits: Limits


def _prevent(outcome: prevent.Outcome, oldest: int) -> Scope:
    return Scope((*prevent.NEEDS[outcome], *prevent.FLAGS[outcome]), {**prevent.LIMITS, "age_years": (30, oldest)})


_SCORE2: Final = (*score2.LIMITS, "smoker", "diabetes")
SCOPES: Final[Mapping[str, Scope]] = {
    **{
        f"prevent-{outcome}-{years}.aha-2023": _prevent(outcome, oldest)
        for years, oldest in ((10, 79), (30, 59))
        for outcome in prevent.OUTCOMES
    },
    "score2-asia-pacific-low.2025": Scope(_SCORE2, {**score2.LIMITS, "diabetes": (0, 0)}),
    "score2-low.esc-2021": Scope(_SCORE2, {**score2.LIMITS, "age_years": (40, 89), "diabetes": (0, 0)}),
    "score2-diabetes-low.esc-2023": Scope(
        (*_SCORE2, "hba1c_pct", "egfr", "diabetes_age_years"),
        {**score2.LIMITS, **score2.DIABETES_LIMITS, "diabetes": (1, 1)},
    ),
    "framingham-office.2008": Scope((*framingham.LIMITS, *framingham.FLAGS), framingham.LIMITS),
    "diabetes-score.korea-2012": Scope(
        (
            "age_years",
            "waist_cm",
            "alcohol_drinks_per_day",
            "family_diabetes",
            "smoker",
            "sbp_mmhg",
            "dbp_mmhg",
            "bp_treated",
        ),
        {"age_years": (20, np.inf), "diabetes": (0, 0)},
    ),
    "findrisc.2003": Scope(
        (
            *(
                "age_years",
                "bmi",
                "waist_cm",
                "physical_activity",
                "vegetables_daily",
                "bp_treated",
                "high_glucose_ever",
            ),
            "family_diabetes",
        ),
        {"age_years": (18, np.inf), "diabetes": (0, 0)},
    ),
    "pce.acc-aha-2013": Scope((*pce.LIMITS, *pce.FLAGS), pce.LIMITS),
}
"""Each model's scope by its rule's id."""


_KOREAN: Final = "diabetes-score.korea-2012"
_PRESSURES: Final = ("sbp_mmhg", "dbp_mmhg", "bp_treated")
"""One of them alone may say yes to hypertension."""


def gaps(rule: str, columns: Columns) -> list[Gap]:
    """Return what keeps the model from speaking of the first person; empty where it speaks."""
    scope = SCOPES[rule]
    spared = _PRESSURES if rule == _KOREAN and not np.isnan(diabetes.hypertension(columns)[0]) else ()
    found = [Gap("sex", "missing")] if np.isnan(columns["sex"][0]) else []
    for name in dict.fromkeys((*scope.needs, *scope.limits)):
        value = float((known_egfr(columns) if name == "egfr" else columns[name])[0])
        low, high = scope.limits.get(name, (-np.inf, np.inf))
        if np.isnan(value):
            if name in scope.needs and name not in spared:
                found.append(Gap(name, "missing"))
        elif not low <= (np.floor(value) if name == "age_years" else value) <= high:
            found.append(Gap(name, "outside", low, None if np.isinf(high) else high))
    return found
