"""SCORE2 and its family: 10-year risk of a first heart attack or stroke, fatal or not, set to the level of a region.

One shape serves all: a linear predictor around a centre, a baseline survival, and two numbers by which a region's own
rates set its level. SCORE2 (40-69) and SCORE2-OP (70-89) are set to four regions of Europe; SCORE2-Diabetes (40-69,
type 2 diabetes) uses the same regions; SCORE2 Asia-Pacific keeps SCORE2's predictor and is set to four regions of
Asia and Oceania. Europe's regions do not list Korea, so that only Asia-Pacific's low region (below 100 cardiovascular
deaths per 100,000 person-years by that paper's rule) is made for Koreans here; the European ones stand beside it.
"""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Bools, Floats, Result, Rule, parted
from hanmaru.care.rules.risk import texts
from hanmaru.care.rules.risk.kidney import known_egfr
from hanmaru.care.rules.risk.limits import MG_DL_PER_MMOL_L, Limits, spread, told

Region = Literal["low", "moderate", "high", "very-high"]
REGIONS: Final[tuple[Region, ...]] = ("low", "moderate", "high", "very-high")

SOURCE: Final = (
    "SCORE2 working group and ESC Cardiovascular Risk Collaboration. Eur Heart J 2021;42:2439-2454, "
    "doi:10.1093/eurheartj/ehab309"
)
SOURCE_OP: Final = (
    "SCORE2-OP working group and ESC Cardiovascular Risk Collaboration. Eur Heart J 2021;42:2455-2467, "
    "doi:10.1093/eurheartj/ehab312"
)
SOURCE_DIABETES: Final = (
    "SCORE2-Diabetes working group and ESC Cardiovascular Risk Collaboration. Eur Heart J 2023;44:2544-2556, "
    "doi:10.1093/eurheartj/ehad260"
)
SOURCE_ASIA: Final = (
    "SCORE2 Asia-Pacific writing group, Hageman SHJ, et al. Eur Heart J 2025;46:702-715, doi:10.1093/eurheartj/ehae609"
)

LIMITS: Final[Limits] = {
    "age_years": (40, 69),
    "sbp_mmhg": (80, 220),
    "total_cholesterol_mg_dl": (100, 400),
    "hdl_mg_dl": (15, 150),
}
"""The models' ages; the others keep out what no laboratory reports of a person without disease."""

DIABETES_LIMITS: Final[Limits] = {"hba1c_pct": (4.5, 15), "egfr": (15, 140)}

Coefficients = Mapping[str, tuple[float, float]]
"""For each term men's and women's coefficient."""

SCORE2: Final[Coefficients] = {
    "age": (0.3742, 0.4648),
    "smoker": (0.6012, 0.7744),
    "sbp": (0.2777, 0.3131),
    "total": (0.1458, 0.1002),
    "hdl": (-0.2698, -0.2606),
    "age×smoker": (-0.0755, -0.1088),
    "age×sbp": (-0.0255, -0.0277),
    "age×total": (-0.0281, -0.0226),
    "age×hdl": (0.0426, 0.0613),
}
"""Supplementary table 2 (age in 5 years around 60, SBP in 20 mmHg around 120, total cholesterol around 6 mmol/L, HDL
in 0.5 around 1.3). Diabetes has coefficients there for setting levels only: people with diabetes are SCORE2-Diabetes'
and are not told here."""

OLDER: Final[Coefficients] = {
    "age": (0.0634, 0.0789),
    "smoker": (0.3524, 0.4921),
    "sbp": (0.0094, 0.0102),
    "total": (0.0850, 0.0605),
    "hdl": (-0.3564, -0.3040),
    "age×smoker": (-0.0247, -0.0255),
    "age×sbp": (-0.0005, -0.0004),
    "age×total": (0.0073, -0.0009),
    "age×hdl": (0.0091, 0.0154),
}
"""SCORE2-OP, supplementary table 3 (age around 73, SBP around 150, total cholesterol around 6, HDL around 1.4)."""

DIABETES: Final[Coefficients] = {
    "age": (0.5368, 0.6624),
    "smoker": (0.4774, 0.6139),
    "sbp": (0.1322, 0.1421),
    "total": (0.1102, 0.1127),
    "hdl": (-0.1087, -0.1568),
    "diabetes": (0.6457, 0.8096),
    "age×smoker": (-0.0672, -0.1122),
    "age×sbp": (-0.0268, -0.0167),
    "age×total": (-0.0181, -0.0200),
    "age×hdl": (0.0095, 0.0186),
    "age×diabetes": (-0.0983, -0.1272),
    "diagnosed": (-0.0998, -0.1180),
    "hba1c": (0.0955, 0.1173),
    "egfr": (-0.0591, -0.0640),
    "egfr×egfr": (0.0058, 0.0062),
    "age×hba1c": (-0.0134, -0.0196),
    "age×egfr": (0.0115, 0.0169),
}
"""Supplementary table 2 there (age at diagnosis in 5 years around 50, HbA1c in 9.34 mmol/mol around 31, ln eGFR in
0.15 around 4.5)."""

SURVIVAL: Final = (0.9605, 0.9776)
SURVIVAL_OLDER: Final = (0.7576, 0.8082)
MEAN_OLDER: Final = (0.0929, 0.2290)

Scales = Mapping[Region, tuple[tuple[float, float], tuple[float, float]]]
"""For each region men's and women's pair of numbers that set the level."""

EUROPE: Final[Scales] = {
    "low": ((-0.5699, 0.7476), (-0.7380, 0.7019)),
    "moderate": ((-0.1565, 0.8009), (-0.3143, 0.7701)),
    "high": ((0.3207, 0.9360), (0.5710, 0.9369)),
    "very-high": ((0.5836, 0.8294), (0.9412, 0.8329)),
}
EUROPE_OLDER: Final[Scales] = {
    "low": ((-0.34, 1.19), (-0.52, 1.01)),
    "moderate": ((0.01, 1.25), (-0.10, 1.10)),
    "high": ((0.08, 1.15), (0.38, 1.09)),
    "very-high": ((0.05, 0.70), (0.38, 0.69)),
}
ASIA_PACIFIC: Final[Scales] = {
    "low": ((-0.375229965, 0.62020875), (-0.986572446, 0.536743779)),
    "moderate": ((0.284885676, 0.778128607), (0.08278687, 0.718980326)),
    "high": ((0.778231091, 0.844985356), (0.611474287, 0.703624072)),
    "very-high": ((0.608975204, 0.679014197), (0.502751798, 0.555577072)),
}


def score2(columns: Columns, region: Region, scales: Scales = EUROPE) -> Floats:
    """Return SCORE2 (``scales`` EUROPE) or SCORE2 Asia-Pacific (ASIA_PACIFIC) in per cent, ``(n,)``, for 40-69
    without diabetes, else NaN."""
    able = _able(columns, 40, 70) & (columns["diabetes"] == 0)
    terms = _terms(columns, able, (60, 5), (120, 20), (1.3, 0.5))
    return spread(able, _level(columns, able, _sum(columns, able, SCORE2, terms), SURVIVAL, scales[region]))


def older(columns: Columns, region: Region) -> Floats:
    """Return SCORE2-OP in per cent, ``(n,)``, for 70-89 without diabetes, else NaN."""
    able = _able(columns, 70, 90) & (columns["diabetes"] == 0)
    terms = _terms(columns, able, (73, 1), (150, 1), (1.4, 1))
    predictor = _sum(columns, able, OLDER, terms) - _by_sex(columns, able, MEAN_OLDER)
    return spread(able, _level(columns, able, predictor, SURVIVAL_OLDER, EUROPE_OLDER[region]))


def diabetes(columns: Columns, region: Region) -> Floats:
    """Return SCORE2-Diabetes in per cent, ``(n,)``, for 40-69 with type 2 diabetes, else NaN.

    Also needs HbA1c, eGFR (or creatinine) and the age at which the diabetes was found. HbA1c in % becomes mmol/mol by
    the master equation of IFCC and NGSP: (HbA1c - 2.152) / 0.09148.
    """
    egfr, found_at, hba1c = known_egfr(columns), columns["diabetes_age_years"], columns["hba1c_pct"]
    able = (
        _able(columns, 40, 70)
        & (columns["diabetes"] == 1)
        & (egfr >= 15)
        & (egfr <= 140)
        & (hba1c >= 4.5)
        & (hba1c <= 15)
    )
    able &= (found_at >= 0) & (found_at <= columns["age_years"])
    terms = _terms(columns, able, (60, 5), (120, 20), (1.3, 0.5))
    terms["diabetes"] = np.ones(int(able.sum()))
    terms["diagnosed"] = (found_at[able] - 50) / 5
    terms["hba1c"] = ((hba1c[able] - 2.152) / 0.09148 - 31) / 9.34
    terms["egfr"] = (np.log(egfr[able]) - 4.5) / 0.15
    return spread(able, _level(columns, able, _sum(columns, able, DIABETES, terms), SURVIVAL, EUROPE[region]))


def _able(columns: Columns, youngest: int, below: int) -> Bools:
    return told(columns, ("smoker", "diabetes"), {**LIMITS, "age_years": (youngest, below - 1)})


def _terms(
    columns: Columns, able: Bools, age: tuple[float, float], sbp: tuple[float, float], hdl: tuple[float, float]
) -> dict[str, Floats]:
    """The plain terms of those who are able, each around its centre in its step."""
    return {
        "age": (columns["age_years"][able] - age[0]) / age[1],
        "smoker": columns["smoker"][able],
        "sbp": (columns["sbp_mmhg"][able] - sbp[0]) / sbp[1],
        "total": columns["total_cholesterol_mg_dl"][able] / MG_DL_PER_MMOL_L - 6,
        "hdl": (columns["hdl_mg_dl"][able] / MG_DL_PER_MMOL_L - hdl[0]) / hdl[1],
    }


def _by_sex(columns: Columns, able: Bools, pair: tuple[float, float]) -> Floats:
    return np.where(columns["sex"][able] == 1, pair[1], pair[0])


def _sum(columns: Columns, able: Bools, coefficients: Coefficients, terms: dict[str, Floats]) -> Floats:
    total = np.zeros(int(able.sum()))
    for name, pair in coefficients.items():
        first, cross, second = name.partition("×")
        total += _by_sex(columns, able, pair) * (terms[first] * terms[second] if cross else terms[name])
    return total


def _level(
    columns: Columns,
    able: Bools,
    predictor: Floats,
    survival: tuple[float, float],
    scale: tuple[tuple[float, float], tuple[float, float]],
) -> Floats:
    """Per cent from the predictor: the model's own risk, set to the region's level on the complementary log-log
    scale."""
    hazard = -np.log(_by_sex(columns, able, survival)) * np.exp(predictor)
    intercept = _by_sex(columns, able, (scale[0][0], scale[1][0]))
    slope = _by_sex(columns, able, (scale[0][1], scale[1][1]))
    return 100 * -np.expm1(-np.exp(intercept + slope * np.log(hazard)))


def _europe(columns: Columns) -> Floats:
    """SCORE2 and, from 70, SCORE2-OP, set to Europe's low region."""
    return np.fmax(score2(columns, "low"), older(columns, "low"))


def _by_age(columns: Columns, value: Floats) -> Result:
    """Europe's classes: their edges rise with age (under 50, 50 to 69, from 70)."""
    age = columns["age_years"]
    under, middle, above = (parted(value, cuts) for cuts in texts.SCORE2_CUTS)
    return Result(value, np.where(age < 50, under, np.where(age < 70, middle, above)))


def _run_asia(columns: Columns) -> Result:
    value = score2(columns, "low", ASIA_PACIFIC)
    return Result(value, parted(value, texts.ASIA_CUTS))


def _run_diabetes(columns: Columns) -> Result:
    value = diabetes(columns, "low")
    return Result(value, parted(value, texts.ASIA_CUTS))


_LIPIDS: Final = ("sex", *LIMITS, "smoker", "diabetes")

RULES: Final = (
    Rule(
        id="score2-asia-pacific-low.2025",
        version="1",
        title=texts.ASIA_TITLE,
        group="risk",
        source=SOURCE_ASIA,
        inputs=_LIPIDS,
        unit="%",
        bands=texts.ASIA_BANDS,
        cannot=texts.ASIA_CANNOT,
        run=_run_asia,
        cuts=(texts.ASIA_CUTS, texts.ASIA_CUTS),
    ),
    Rule(
        id="score2-low.esc-2021",
        version="1",
        title=texts.SCORE2_TITLE,
        group="risk",
        source=f"{SOURCE}; {SOURCE_OP}",
        inputs=_LIPIDS,
        unit="%",
        bands=texts.SCORE2_BANDS,
        cannot=texts.SCORE2_CANNOT,
        run=lambda columns: _by_age(columns, _europe(columns)),
        beside=True,
    ),
    Rule(
        id="score2-diabetes-low.esc-2023",
        version="1",
        title=texts.SCORE2_DIABETES_TITLE,
        group="risk",
        source=SOURCE_DIABETES,
        inputs=(*_LIPIDS, "hba1c_pct", "egfr", "diabetes_age_years"),
        unit="%",
        bands=texts.SCORE2_DIABETES_BANDS,
        cannot=texts.SCORE2_DIABETES_CANNOT,
        run=_run_diabetes,
        cuts=(texts.ASIA_CUTS, texts.ASIA_CUTS),
        beside=True,
    ),
)
