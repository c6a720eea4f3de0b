"""The metabolic syndrome: three of five, decided as soon as what is known decides it."""

from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Bands, Bools, Floats, Result, Rule, band, either

_THREE: Final = 3


def _reached(value: Floats, edge: float) -> Bands:
    return either(value >= edge, value < edge)


def _by_sex(sex: Floats, men: Bands, women: Bands) -> Bands:
    return np.where(sex == 0, men, np.where((sex == 1) | (men == women), women, np.int8(-1)))


def _or(one: Bands, other: Bands) -> Bands:
    """Yes if either is, no if both are not."""
    return either((one == 1) | (other == 1), (one == 0) & (other == 0))


def _unless(value: Bands, treated: Floats) -> Bands:
    """What is met stays met; what is not, while a medicine may be the reason, cannot be told."""
    yes: Bools = value == 1
    return either(yes, (value == 0) & (treated == 0))


def components(c: Columns) -> tuple[Bands, ...]:
    """Return for waist, triglycerides, HDL, pressure and glucose: 1 met, 0 not, -1 cannot be told; each ``(n,)``."""
    sex, hdl = c["sex"], c["hdl_mg_dl"]
    pressure = _or(_reached(c["sbp_mmhg"], 130), _reached(c["dbp_mmhg"], 85))
    low_hdl = _by_sex(sex, either(hdl < 40, hdl >= 40), either(hdl < 50, hdl >= 50))
    return (
        _by_sex(sex, _reached(c["waist_cm"], 90), _reached(c["waist_cm"], 85)),
        _unless(_reached(c["triglycerides_mg_dl"], 150), c["lipid_treated"]),
        _unless(low_hdl, c["lipid_treated"]),
        _or(pressure, _reached(c["bp_treated"], 1)),
        _or(_reached(c["glucose_mg_dl"], 100), _reached(c["glucose_treated"], 1)),
    )


def _run(c: Columns) -> Result:
    met = np.zeros(c.n, np.int8)
    possible = np.zeros(c.n, np.int8)
    for component in components(c):
        met += component == 1
        possible += component != 0
    told = either(met >= _THREE, possible < _THREE)
    told[~(c["age_years"] >= 19)] = -1
    return Result(np.where(met == possible, met.astype(np.float64), np.nan), told)


RULES: Final = (
    Rule(
        id="metabolic-syndrome.ncep-korea",
        version="1",
        title={"ko": "대사증후군", "en": "Metabolic syndrome"},
        group="body",
        source="Modified NCEP ATP III (Grundy SM et al., Circulation 2005;112:2735–2752) with the Korean waist "
        "90/85 cm (Lee SY et al., Diabetes Res Clin Pract 2007;75:72–80)",
        inputs=(
            *("waist_cm", "triglycerides_mg_dl", "hdl_mg_dl", "sbp_mmhg", "dbp_mmhg", "glucose_mg_dl"),
            *("lipid_treated", "bp_treated", "glucose_treated", "sex", "age_years"),
        ),
        unit="{components}",
        bands=(
            band("no", "good", "대사증후군이 아닙니다.", "No metabolic syndrome."),
            band(
                "yes",
                "act",
                "다섯 가지 가운데 세 가지 이상이 기준을 넘어 대사증후군입니다. 허리를 줄이면 나머지도 함께 좋아집니다. "
                "보건소나 병원에서 상담하세요.",
                "Three or more of five are over their limit: metabolic syndrome. A slimmer waist improves the others. "
                "Ask the health centre or a doctor for advice.",
            ),
        ),
        cannot={
            "ko": "다섯 가지가 모인 것을 셀 뿐, 심장병 위험이 얼마인지는 말하지 않습니다. "
            "이상지질혈증 약이 어느 지질 때문인지 모르면 그 항목은 판단하지 않습니다.",
            "en": "Counts what comes together; does not say how high the risk of heart disease is. What a lipid "
            "medicine is taken for is not known, so those two are then not told.",
        },
        run=_run,
    ),
)
"""The rule of this module."""
