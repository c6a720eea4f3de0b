"""Framingham's general cardiovascular risk from what an office can measure without a laboratory."""

from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Floats, Result, Rule, parted
from hanmaru.care.rules.risk import texts
from hanmaru.care.rules.risk.limits import Limits, spread, told

SOURCE: Final = (
    "D'Agostino RB Sr, et al. General cardiovascular risk profile for use in primary care: the Framingham Heart Study. "
    "Circulation 2008;117:743-753, doi:10.1161/CIRCULATIONAHA.107.699579 (model with BMI in place of lipids)"
)
LIMITS: Final[Limits] = {"age_years": (30, 74), "sbp_mmhg": (80, 220), "bmi": (15, 60)}
"""Ages as in the cohort; the other two keep out what is no adult's measurement."""
FLAGS: Final = ("smoker", "diabetes", "bp_treated")
MEN: Final = (3.11296, 0.79277, 1.85508, 1.92672, 0.70953, 0.53160, 0.88431, 23.9388)
WOMEN: Final = (2.72107, 0.51125, 2.81291, 2.88267, 0.61868, 0.77763, 0.94833, 26.0145)
"""ln age, ln BMI, ln SBP untreated, ln SBP treated, smoker, diabetes; survival of ten years at the mean, and the
mean."""


def risk(columns: Columns) -> Floats:
    """Return the risk of a cardiovascular event in 10 years in per cent, ``(n,)``; NaN where it cannot be told."""
    able = told(columns, FLAGS, LIMITS)
    woman = columns["sex"][able] == 1
    age, bmi, untreated, treated, smoker, diabetes, survival, mean = (
        np.where(woman, woman_s, man_s) for man_s, woman_s in zip(MEN, WOMEN, strict=True)
    )
    sbp = np.where(columns["bp_treated"][able] == 1, treated, untreated)
    score = (
        age * np.log(columns["age_years"][able])
        + bmi * np.log(columns["bmi"][able])
        + sbp * np.log(columns["sbp_mmhg"][able])
    )
    score += smoker * columns["smoker"][able] + diabetes * columns["diabetes"][able]
    return spread(able, 100 * (1 - survival ** np.exp(score - mean)))


def _run(columns: Columns) -> Result:
    value = risk(columns)
    return Result(value, parted(value, texts.FRAMINGHAM_CUTS))


RULES: Final = (
    Rule(
        id="framingham-office.2008",
        version="1",
        title=texts.FRAMINGHAM_TITLE,
        group="risk",
        source=SOURCE,
        inputs=("sex", *LIMITS, *FLAGS),
        unit="%",
        bands=texts.FRAMINGHAM_BANDS,
        cannot=texts.FRAMINGHAM_CANNOT,
        run=_run,
        cuts=(texts.FRAMINGHAM_CUTS, texts.FRAMINGHAM_CUTS),
    ),
)
