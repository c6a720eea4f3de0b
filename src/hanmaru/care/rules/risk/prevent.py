"""PREVENT: the American Heart Association's risks of cardiovascular disease, ASCVD and heart failure in 10 and 30
years.

Five models share one shape: the base, and those that add HbA1c, the urine albumin/creatinine ratio, the deprivation
of the area, or all three. Which one applies to somebody follows from what is known of them: none of the three known,
the base; one, that one's model; more, the full model, which allows for what is missing.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Bools, Floats, Result, Rule, parted
from hanmaru.care.rules.risk import prevent_tables, texts
from hanmaru.care.rules.risk.kidney import known_egfr
from hanmaru.care.rules.risk.limits import Limits, spread

Outcome = Literal["cvd", "ascvd", "hf"]
Years = Literal[10, 30]

OUTCOMES: Final[tuple[Outcome, ...]] = ("cvd", "ascvd", "hf")
MODELS: Final = ("base", "hba1c", "uacr", "sdi", "full")

SOURCE: Final = (
    "Khan SS, et al. Development and validation of the American Heart Association's PREVENT equations. "
    "Circulation 2024;149:430-449, doi:10.1161/CIRCULATIONAHA.123.067626"
)

LIMITS: Final[Limits] = {
    "age_years": (30, 79),
    "sbp_mmhg": (90, 180),
    "total_cholesterol_mg_dl": (130, 320),
    "hdl_mg_dl": (20, 100),
    "bmi": (18.5, 39.9),
    "egfr": (15, 140),
}
"""Whom the equations were made from: the paper's table 1 and its footnotes."""

OPTIONAL_LIMITS: Final[Limits] = {"hba1c_pct": (4.5, 15), "uacr_mg_g": (0.1, 25_000), "sdi_decile": (1, 10)}
"""What the three additions may be; a value outside is taken as not known."""

FLAGS: Final[Mapping[Outcome, tuple[str, ...]]] = {
    "cvd": ("smoker", "diabetes", "bp_treated", "statin"),
    "ascvd": ("smoker", "diabetes", "bp_treated", "statin"),
    "hf": ("smoker", "diabetes", "bp_treated"),
}
"""The yes-or-no inputs of each outcome."""

NEEDS: Final[Mapping[Outcome, tuple[str, ...]]] = {
    "cvd": ("age_years", "sbp_mmhg", "total_cholesterol_mg_dl", "hdl_mg_dl", "egfr"),
    "ascvd": ("age_years", "sbp_mmhg", "total_cholesterol_mg_dl", "hdl_mg_dl", "egfr"),
    "hf": ("age_years", "sbp_mmhg", "bmi", "egfr"),
}
"""The measured inputs of each outcome: those whose coefficients are not zero. A value that is known must be within
its limits even where an outcome does not look at it, since the equations were not made from such people."""

TO_MMOL_L: Final = 0.02586
"""Cholesterol from mg/dL to mmol/L, as the equations' own calculator converts."""


def model_of(columns: Columns) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """Return for each person the position in ``MODELS`` of the model that uses all that is known; int8 ``(n,)``."""
    known = [_optional(columns, name) for name in OPTIONAL_LIMITS]
    hba1c, uacr, sdi = (~np.isnan(values) for values in known)
    count = hba1c.astype(np.int8) + uacr + sdi
    single = np.where(hba1c, 1, np.where(uacr, 2, 3))
    return np.where(count == 0, 0, np.where(count == 1, single, 4)).astype(np.int8)


def risk(columns: Columns, outcome: Outcome, years: Years, model: str | None = None) -> Floats:
    """Return the risk in per cent, ``(n,)``; NaN where an input is not known or outside of the model's limits.

    Without ``model``, each person's is the one of :func:`model_of`; with it, that one for all (what it adds and is
    not known is taken as missing where the model allows it, else the risk is NaN). 30 years are told up to the age of
    59.
    """
    able = _able(columns, outcome, years)
    if not able.any():
        return np.full(columns.n, np.nan)
    terms = _Terms(columns, able)
    which = model_of(columns)[able] if model is None else np.full(int(able.sum()), MODELS.index(model), np.int8)
    tables = prevent_tables.TEN_YEARS if years == 10 else prevent_tables.THIRTY_YEARS
    at = OUTCOMES.index(outcome) * 2
    found = np.empty(len(which))
    for number in np.unique(which):
        here = which == number
        woman = terms["sex"][here] == 1
        log_odds = np.zeros(int(here.sum()))
        for name, coefficients in tables[MODELS[number]].items():
            man_s, woman_s = coefficients[at : at + 2]
            if man_s or woman_s:
                log_odds += np.where(woman, woman_s, man_s) * terms[name][here]
        found[here] = 100 / (1 + np.exp(-log_odds))
    return spread(able, found)


def _optional(columns: Columns, name: str) -> Floats:
    """One of the three additions, NaN where it is not known or cannot be used."""
    values = columns[name]
    low, high = OPTIONAL_LIMITS[name]
    return np.where((values >= low) & (values <= high), values, np.nan)


def _able(columns: Columns, outcome: Outcome, years: Years) -> Bools:
    able = (columns["sex"] == 0) | (columns["sex"] == 1)
    for name in FLAGS[outcome]:
        able &= ~np.isnan(columns[name])
    age = np.floor(columns["age_years"])
    for name, (low, high) in LIMITS.items():
        values = age if name == "age_years" else known_egfr(columns) if name == "egfr" else columns[name]
        within = (values >= low) & (values <= high)
        able &= within if name in NEEDS[outcome] else within | np.isnan(values)
    return able & (age <= 59) if years == 30 else able


class _Terms:
    """The terms of the equations for the people who are able, each made when first asked; ``(able.sum(),)``.

    Centres, knots and scales are the paper's: age 55 by 10 years, non-HDL 3.5 mmol/L, HDL 1.3 by 0.3, SBP by 20 with
    a knot at 110 (centre 130 above it), BMI by 5 with a knot at 30 (centre 25 below it), eGFR by -15 with a knot at
    60 (centre 90 above it).
    """

    def __init__(self, columns: Columns, able: Bools) -> None:
        self._columns, self._able = columns, able
        self._made: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        if name not in self._made:
            first, cross, second = name.partition("×")
            self._made[name] = self[first] * self[second] if cross else self._term(name)
        return self._made[name]

    def _column(self, name: str) -> Floats:
        if name in OPTIONAL_LIMITS:
            return _optional(self._columns, name)[self._able]
        return (known_egfr(self._columns) if name == "egfr" else self._columns[name])[self._able]

    def _term(self, name: str) -> Floats:
        make = _MAKE.get(name)
        return self._column(name) if make is None else make(self._column)


def _none_if_missing(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=0.0)


_MAKE: Final[Mapping[str, Callable[[Callable[[str], Floats]], Floats]]] = {
    "constant": lambda c: np.ones_like(c("age_years")),
    "age": lambda c: (c("age_years") - 55) / 10,
    "age²": lambda c: np.square((c("age_years") - 55) / 10),
    "non_hdl": lambda c: (c("total_cholesterol_mg_dl") - c("hdl_mg_dl")) * TO_MMOL_L - 3.5,
    "hdl": lambda c: (c("hdl_mg_dl") * TO_MMOL_L - 1.3) / 0.3,
    "sbp_low": lambda c: (np.minimum(c("sbp_mmhg"), 110) - 110) / 20,
    "sbp_high": lambda c: (np.maximum(c("sbp_mmhg"), 110) - 130) / 20,
    "bmi_low": lambda c: (np.minimum(c("bmi"), 30) - 25) / 5,
    "bmi_high": lambda c: (np.maximum(c("bmi"), 30) - 30) / 5,
    "egfr_low": lambda c: (np.minimum(c("egfr"), 60) - 60) / -15,
    "egfr_high": lambda c: (np.maximum(c("egfr"), 60) - 90) / -15,
    "sdi_4_to_6": lambda c: ((c("sdi_decile") >= 4) & (c("sdi_decile") < 7)).astype(float),
    "sdi_7_to_10": lambda c: (c("sdi_decile") >= 7).astype(float),
    "sdi_unknown": lambda c: np.isnan(c("sdi_decile")).astype(float),
    "ln_uacr": lambda c: _none_if_missing(np.log(c("uacr_mg_g"))),
    "uacr_unknown": lambda c: np.isnan(c("uacr_mg_g")).astype(float),
    "hba1c_diabetes": lambda c: _none_if_missing(c("hba1c_pct") - 5.3) * c("diabetes"),
    "hba1c_none": lambda c: _none_if_missing(c("hba1c_pct") - 5.3) * (1 - c("diabetes")),
    "hba1c_unknown": lambda c: np.isnan(c("hba1c_pct")).astype(float),
}


def _run(columns: Columns, outcome: Outcome, years: Years) -> Result:
    value = risk(columns, outcome, years)
    return Result(value, parted(value, texts.PREVENT_CUTS if years == 10 else texts.PREVENT_CUTS_30))


def _rule(outcome: Outcome, years: Years) -> Rule:
    return Rule(
        id=f"prevent-{outcome}-{years}.aha-2023",
        version="1",
        title=texts.PREVENT_TITLES[outcome, years],
        group="risk",
        source=SOURCE,
        inputs=("sex", *NEEDS[outcome], *FLAGS[outcome], *OPTIONAL_LIMITS),
        unit="%",
        bands=texts.PREVENT_BANDS if years == 10 else texts.PREVENT_BANDS_30,
        cannot=texts.PREVENT_CANNOT,
        run=partial(_run, outcome=outcome, years=years),
        cuts=(texts.PREVENT_CUTS, texts.PREVENT_CUTS)
        if years == 10
        else (texts.PREVENT_CUTS_30, texts.PREVENT_CUTS_30),
    )


RULES: Final = tuple(_rule(outcome, years) for years in (10, 30) for outcome in OUTCOMES)
