"""Two questionnaires that find who should have the blood sugar tested: the Korean score and the Finnish one."""

from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Bools, Floats, Result, Rule, over, parted, parted_by_sex
from hanmaru.care.rules.risk import texts

SOURCE_KOREAN: Final = (
    "Lee YH, Bang H, Kim HC, Kim HM, Park SW, Kim DJ. A simple screening score for diabetes for the Korean population. "
    "Diabetes Care 2012;35:1723-1730, doi:10.2337/dc11-2347"
)
SOURCE_FINDRISC: Final = (
    "Lindström J, Tuomilehto J. The diabetes risk score. Diabetes Care 2003;26:725-731, doi:10.2337/diacare.26.3.725, "
    "with the points of the Finnish Diabetes Association's form (age over 64, relatives)"
)


def korean_score(columns: Columns) -> Floats:
    """Return the Korean diabetes score, 0 to 11 points, ``(n,)``; NaN where an answer is missing, under 20, or with
    known diabetes.

    Age 35-44 2, from 45 3; parent or sibling with diabetes 1; hypertension (140/90 or medicine) 1; waist 84 to 89.9
    cm (women 77 to 83.9) 2, more 3; smoker 1; 1 to 4.9 drinks a day 1, from 5 2.
    """
    c = columns
    score = _points(c["age_years"], (35, 45), (0, 2, 3))
    score += _points_by_sex(c, "waist_cm", (84, 90), (77, 84), (0, 2, 3))
    score += _points(c["alcohol_drinks_per_day"], (1, 5), (0, 1, 2))
    score += c["family_diabetes"] + c["smoker"] + hypertension(c)
    return np.where((c["age_years"] >= 20) & _asked(c), score, np.nan)


def findrisc(columns: Columns) -> Floats:
    """Return FINDRISC, 0 to 26 points, ``(n,)``; NaN where an answer is missing, under 18, or with known diabetes.

    Age 45-54 2, 55-64 3, over 64 4; BMI 25 to 30 1, over 30 3; waist 94 to 102 cm (women 80 to 88) 3, more 4; not
    active every day 2; not vegetables or fruit every day 1; medicine for blood pressure 2; high blood sugar ever
    found 5; diabetes of a parent, brother, sister or child 5, of a grandparent, aunt, uncle or cousin 3 (asked apart;
    not asked counts as none).
    """
    c = columns
    age = np.floor(c["age_years"])
    score = _points(age, (45, 55, 65), (0, 2, 3, 4)) + _points(c["bmi"], (25, over(30)), (0, 1, 3))
    score += _points_by_sex(c, "waist_cm", (94, over(102)), (80, over(88)), (0, 3, 4))
    score += (
        2 * (1 - c["physical_activity"])
        + (1 - c["vegetables_daily"])
        + 2 * c["bp_treated"]
        + 5 * c["high_glucose_ever"]
    )
    score += np.where(c["family_diabetes"] == 0, 3.0 * (c["family_diabetes_second"] == 1), 5 * c["family_diabetes"])
    return np.where((age >= 18) & _asked(c), score, np.nan)


def _asked(c: Columns) -> Bools:
    """Whom the questionnaires are for: a known sex, no known diabetes."""
    return ~np.isnan(c["sex"]) & ~(c["diabetes"] == 1)


def _points(values: Floats, cuts: tuple[float, ...], points: tuple[float, ...]) -> Floats:
    band = parted(values, cuts)
    return np.where(band < 0, np.nan, np.asarray(points)[band])


def _points_by_sex(
    columns: Columns, name: str, men: tuple[float, ...], women: tuple[float, ...], points: tuple[float, ...]
) -> Floats:
    band = parted_by_sex(columns[name], columns["sex"], men, women)
    return np.where(band < 0, np.nan, np.asarray(points)[band])


def hypertension(c: Columns) -> Floats:
    """1 from 140/90 or with medicine, 0 where all three say no, else NaN."""
    yes: Bools = (c["sbp_mmhg"] >= 140) | (c["dbp_mmhg"] >= 90) | (c["bp_treated"] == 1)
    no: Bools = (c["sbp_mmhg"] < 140) & (c["dbp_mmhg"] < 90) & (c["bp_treated"] == 0)
    return np.where(yes, 1.0, np.where(no, 0.0, np.nan))


def _run_korean(columns: Columns) -> Result:
    value = korean_score(columns)
    return Result(value, parted(value, texts.KOREAN_CUTS))


def _run_findrisc(columns: Columns) -> Result:
    value = findrisc(columns)
    return Result(value, parted(value, texts.FINDRISC_CUTS))


RULES: Final = (
    Rule(
        id="diabetes-score.korea-2012",
        version="1",
        title=texts.KOREAN_TITLE,
        group="risk",
        source=SOURCE_KOREAN,
        inputs=(
            *("age_years", "sex", "waist_cm", "sbp_mmhg", "dbp_mmhg", "bp_treated", "family_diabetes"),
            *("smoker", "alcohol_drinks_per_day", "diabetes"),
        ),
        unit="점",
        bands=texts.KOREAN_BANDS,
        cannot=texts.KOREAN_CANNOT,
        run=_run_korean,
        cuts=(texts.KOREAN_CUTS, texts.KOREAN_CUTS),
    ),
    Rule(
        id="findrisc.2003",
        version="1",
        title=texts.FINDRISC_TITLE,
        group="risk",
        source=SOURCE_FINDRISC,
        inputs=(
            *(
                "age_years",
                "sex",
                "bmi",
                "waist_cm",
                "physical_activity",
                "vegetables_daily",
                "bp_treated",
                "high_glucose_ever",
            ),
            *("family_diabetes", "family_diabetes_second", "diabetes"),
        ),
        unit="점",
        bands=texts.FINDRISC_BANDS,
        cannot=texts.FINDRISC_CANNOT,
        run=_run_findrisc,
        cuts=(texts.FINDRISC_CUTS, texts.FINDRISC_CUTS),
    ),
)
