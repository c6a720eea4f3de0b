"""Kidney function from creatinine, as an input of other models."""

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Floats


def ckd_epi_2021(creatinine_mg_dl: Floats, age_years: Floats, sex: Floats) -> Floats:
    """Return the estimated GFR in mL/min/1.73 m², ``(n,)``; NaN for those under 18, whom the equation was not made for.

    Source: Inker LA, Eneanya ND, Coresh J, et al. New creatinine- and cystatin C-based equations to estimate GFR
    without race. N Engl J Med 2021;385:1737-1749: 142 · min(Scr/κ, 1)^α · max(Scr/κ, 1)^-1.200 · 0.9938^age · 1.012
    for women; κ 0.9 and α -0.302 for men, 0.7 and -0.241 for women.
    """
    woman = sex == 1
    kappa, alpha = np.where(woman, 0.7, 0.9), np.where(woman, -0.241, -0.302)
    usable = (creatinine_mg_dl > 0) & (age_years >= 18) & (woman | (sex == 0))
    ratio = np.where(usable, creatinine_mg_dl, np.nan) / kappa
    low, high = np.minimum(ratio, 1) ** alpha, np.maximum(ratio, 1) ** -1.2
    return 142 * low * high * 0.9938**age_years * np.where(woman, 1.012, 1.0)


def known_egfr(columns: Columns) -> Floats:
    """Return the eGFR as reported by the laboratory, else from creatinine, age and sex; ``(n,)``, NaN where neither
    is known."""
    given = columns["egfr"]
    missing = np.isnan(given) & ~np.isnan(columns["creatinine_mg_dl"])
    if not missing.any():
        return given
    return np.where(missing, ckd_epi_2021(columns["creatinine_mg_dl"], columns["age_years"], columns["sex"]), given)
