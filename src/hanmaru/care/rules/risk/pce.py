"""The Pooled Cohort Equations of 2013, kept for comparison: among Korean men they tell about half as much again as
happens."""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Floats, Result, Rule, parted
from hanmaru.care.rules.risk import texts
from hanmaru.care.rules.risk.limits import Limits, spread, told

SOURCE: Final = (
    "Goff DC Jr, et al. 2013 ACC/AHA guideline on the assessment of cardiovascular risk. "
    "Circulation 2014;129(25 suppl 2):S49-S73, doi:10.1161/01.cir.0000437741.48606.98, table A"
)
LIMITS: Final[Limits] = {
    "age_years": (40, 79),
    "total_cholesterol_mg_dl": (130, 320),
    "hdl_mg_dl": (20, 100),
    "sbp_mmhg": (90, 200),
}
FLAGS: Final = ("smoker", "diabetes", "bp_treated")

Group = Literal["white", "black"]

_TERMS: Final = (
    *("age", "age²", "total", "age×total", "hdl", "age×hdl", "treated", "age×treated", "untreated", "age×untreated"),
    *("smoker", "age×smoker", "diabetes"),
)
COEFFICIENTS: Final[Mapping[Group, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "white": (
        (12.344, 0, 11.853, -2.664, -7.990, 1.769, 1.797, 0, 1.764, 0, 7.837, -1.795, 0.658),
        (-29.799, 4.884, 13.540, -3.114, -13.578, 3.149, 2.019, 0, 1.957, 0, 7.574, -1.665, 0.661),
    ),
    "black": (
        (2.469, 0, 0.302, 0, -0.307, 0, 1.916, 0, 1.809, 0, 0.549, 0, 0.645),
        (17.114, 0, 0.940, 0, -18.920, 4.475, 29.291, -6.432, 27.820, -6.087, 0.691, 0, 0.874),
    ),
}
"""Men's and women's coefficients of ln age, its square, ln total cholesterol, ln HDL, ln treated and untreated SBP
and the rest."""
SURVIVAL: Final[Mapping[Group, tuple[float, float]]] = {"white": (0.9144, 0.9665), "black": (0.8954, 0.9533)}
MEAN: Final[Mapping[Group, tuple[float, float]]] = {"white": (61.18, -29.18), "black": (19.54, 86.61)}


def risk(columns: Columns, group: Group = "white") -> Floats:
    """Return the 10-year risk of ASCVD in per cent, ``(n,)``; NaN where it cannot be told.

    The guideline has two groups and takes everybody else as white.
    """
    able = told(columns, FLAGS, LIMITS)
    woman = columns["sex"][able] == 1
    age, treated = np.log(columns["age_years"][able]), columns["bp_treated"][able]
    sbp = np.log(columns["sbp_mmhg"][able])
    plain = {
        "age": age,
        "total": np.log(columns["total_cholesterol_mg_dl"][able]),
        "hdl": np.log(columns["hdl_mg_dl"][able]),
        "treated": sbp * treated,
        "untreated": sbp * (1 - treated),
        "smoker": columns["smoker"][able],
        "diabetes": columns["diabetes"][able],
    }
    score = -np.where(woman, MEAN[group][1], MEAN[group][0])
    for name, man_s, woman_s in zip(_TERMS, *COEFFICIENTS[group], strict=True):
        if man_s or woman_s:
            term = age * age if name == "age²" else age * plain[name[4:]] if name.startswith("age×") else plain[name]
            score = score + np.where(woman, woman_s, man_s) * term
    return spread(able, 100 * (1 - np.where(woman, SURVIVAL[group][1], SURVIVAL[group][0]) ** np.exp(score)))


def _run(columns: Columns) -> Result:
    value = risk(columns)
    return Result(value, parted(value, texts.PREVENT_CUTS))


RULES: Final = (
    Rule(
        id="pce.acc-aha-2013",
        version="1",
        title=texts.PCE_TITLE,
        group="risk",
        source=SOURCE,
        inputs=("sex", *LIMITS, *FLAGS),
        unit="%",
        bands=texts.PCE_BANDS,
        cannot=texts.PCE_CANNOT,
        run=_run,
        cuts=(texts.PREVENT_CUTS, texts.PREVENT_CUTS),
        beside=True,
    ),
)
