"""Risk models against their papers' own figures, and against a second way of computing them."""

import csv
import json
import math
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.care.domain import CareError
from hanmaru.care.risk_command import run
from hanmaru.care.rules import risk
from hanmaru.care.rules.catalogue import RULES, grade
from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import UNKNOWN
from hanmaru.care.rules.risk import diabetes, framingham, pce, prevent, score2
from hanmaru.care.rules.risk.kidney import ckd_epi_2021, known_egfr
from hanmaru.care.rules.risk.scopes import SCOPES, gaps

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
PREVENT = DATA / "care" / "prevent"
MG = 38.67


def people(**columns: float | list[float]) -> Columns:
    return Columns({name: np.atleast_1d(value) for name, value in columns.items()})


WOMAN = {
    **{"age_years": 50, "sex": 1, "sbp_mmhg": 160, "bp_treated": 1, "total_cholesterol_mg_dl": 200, "hdl_mg_dl": 45},
    **{"diabetes": 1, "smoker": 0, "statin": 0, "bmi": 35, "egfr": 90},
}


def test_prevent_gives_the_papers_example() -> None:
    told = [float(prevent.risk(people(**WOMAN), what, years)[0]) for years in (10, 30) for what in prevent.OUTCOMES]
    assert [round(value, 1) for value in told] == [14.7, 9.2, 8.1, 53.0, 35.4, 39.0]


# A second way: scalars, the tables' own row names, one person at a time.
TERMS = {
    "Constant": lambda p: 1,
    "Age": lambda p: (p["age"] - 55) / 10,
    "Age squared": lambda p: ((p["age"] - 55) / 10) ** 2,
    "non-HDL-C": lambda p: 0.02586 * (p["total_c"] - p["hdl_c"]) - 3.5,
    "HDL-C": lambda p: (0.02586 * p["hdl_c"] - 1.3) / 0.3,
    "SBP <110": lambda p: (min(p["sbp"], 110) - 110) / 20,
    "SBP ≥110": lambda p: (max(p["sbp"], 110) - 130) / 20,
    "Diabetes": lambda p: p["dm"],
    "diabetes": lambda p: p["dm"],
    "Current smoking": lambda p: p["smoking"],
    "current smoking": lambda p: p["smoking"],
    "BMI <30": lambda p: (min(p["bmi"], 30) - 25) / 5,
    "BMI 30+": lambda p: (max(p["bmi"], 30) - 30) / 5,
    "eGFR <60": lambda p: (60 - min(p["egfr"], 60)) / 15,
    "eGFR 60+": lambda p: (90 - max(p["egfr"], 60)) / 15,
    "Anti-hypertensive use": lambda p: p["bp_tx"],
    "Statin use": lambda p: p["statin"],
    "Treated SBP ≥110": lambda p: p["bp_tx"] * (max(p["sbp"], 110) - 130) / 20,
    "Treated non-HDL-C": lambda p: p["statin"] * (0.02586 * (p["total_c"] - p["hdl_c"]) - 3.5),
    "SDI decile categories 4-6": lambda p: p["sdi"] in (4, 5, 6),
    "SDI decile categories 7-10": lambda p: p["sdi"] in (7, 8, 9, 10),
    "Missing SDI": lambda p: p["sdi"] is None,
    "ln-ACR": lambda p: math.log(p["uacr"]) if p["uacr"] is not None else 0,
    "Missing ACR/PCR/Dipstick": lambda p: p["uacr"] is None,
    "HbA1c in DM": lambda p: p["hba1c"] - 5.3 if p["hba1c"] is not None and p["dm"] else 0,
    "HbA1c no DM": lambda p: p["hba1c"] - 5.3 if p["hba1c"] is not None and not p["dm"] else 0,
    "Missing HbA1c": lambda p: p["hba1c"] is None,
}
CUT = (",", " per ", " vs. ", " mm")


def term(label: str, person: dict) -> float:
    product = 1.0
    for part in label.split(" * "):
        name = part
        for cut in CUT:
            name = name.split(cut)[0]
        product *= TERMS[name.strip()](person)
    return product


@cache
def table(name: str) -> list[dict[str, str]]:
    with (PREVENT / name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def by_hand(person: dict, years: int, column: str) -> float:
    extra = [name for name in ("hba1c", "uacr", "sdi") if person[name] is not None]
    model = "base" if not extra else extra[0] if len(extra) == 1 else "full"
    rows = table(f"{model}_{years}yr.csv")
    score = sum(float(row[f"{person['sex']}_{column}"] or 0) * term(row["beta_coefficients"], person) for row in rows)
    return 100 / (1 + math.exp(-score))


def inputs() -> Iterator[dict]:
    """Yield the 500 inputs; the decile of a postcode's area is not among them, so its last digit stands in."""
    with (PREVENT / "preventr_500_test_inputs.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            person: dict = {name: float(row[name]) for name in ("age", "sbp", "total_c", "hdl_c", "egfr", "bmi")}
            person |= {name: row[name] == "True" for name in ("bp_tx", "statin", "dm", "smoking")}
            person |= {name: float(row[name]) if row[name] else None for name in ("hba1c", "uacr")}
            person["sdi"] = int(row["zip"][-1]) + 1 if row["zip"].isdecimal() else None
            person["sex"] = {"m": "male", "f": "female"}.get(row["sex"])
            yield person


def usable(person: dict) -> bool:
    """Within the paper's limits. A laboratory value that cannot be used counts as not known, and is made so."""
    for name, low, high in (("hba1c", 4.5, 15), ("uacr", 0.1, 25_000)):
        if person[name] is not None and not low <= person[name] <= high:
            person[name] = None
    limits = {"age": (30, 79), "sbp": (90, 180), "total_c": (130, 320), "hdl_c": (20, 100), "bmi": (18.5, 39.9)}
    return person["sex"] is not None and all(
        low <= person[name] <= high for name, (low, high) in (limits | {"egfr": (15, 140)}).items()
    )


@pytest.mark.skipif(not PREVENT.exists(), reason="the tables of PREVENT are not here")
def test_prevent_agrees_with_a_second_computation_on_all_500_inputs() -> None:
    everybody = list(inputs())
    names = {
        **{"age_years": "age", "sbp_mmhg": "sbp", "total_cholesterol_mg_dl": "total_c", "hdl_mg_dl": "hdl_c"},
        **{"egfr": "egfr", "bmi": "bmi", "hba1c_pct": "hba1c", "uacr_mg_g": "uacr", "sdi_decile": "sdi"},
        **{"bp_treated": "bp_tx", "statin": "statin", "diabetes": "dm", "smoker": "smoking"},
    }
    columns = people(
        sex=[{"male": 0, "female": 1}.get(person["sex"], math.nan) for person in everybody],
        **{
            ours: [math.nan if person[theirs] is None else float(person[theirs]) for person in everybody]
            for ours, theirs in names.items()
        },
    )
    able = [usable(person) for person in everybody]
    assert len(everybody) == 500
    assert 480 < sum(able) < 500  # the inputs hold some that must be refused
    columns_of = {"cvd": "total_cvd", "ascvd": "ascvd", "hf": "heart_failure"}
    for years in (10, 30):
        for outcome, column in columns_of.items():
            told = prevent.risk(columns, outcome, years)
            for person, good, value in zip(everybody, able, told.tolist(), strict=True):
                if good and (years == 10 or person["age"] < 60):
                    assert value == pytest.approx(by_hand(person, years, column), abs=1e-9)
                else:
                    assert math.isnan(value)


def test_the_model_that_uses_all_that_is_known_is_taken() -> None:
    known = people(
        hba1c_pct=[math.nan, 6, math.nan, math.nan, 6, 99],
        uacr_mg_g=[math.nan, math.nan, 30, math.nan, 30, 30],
        sdi_decile=[math.nan, math.nan, math.nan, 3, math.nan, math.nan],
    )
    assert [prevent.MODELS[number] for number in prevent.model_of(known)] == [
        "base",
        "hba1c",
        "uacr",
        "sdi",
        "full",
        "uacr",
    ]


def test_framingham_gives_the_known_case() -> None:
    man = {"age_years": 55, "sex": 0, "bmi": 30, "sbp_mmhg": 140, "bp_treated": 0, "smoker": 0, "diabetes": 0}
    assert framingham.risk(people(**man))[0] == pytest.approx(16.75, abs=0.005)


SMOKER = {"smoker": 1, "diabetes": 0, "sbp_mmhg": 140, "total_cholesterol_mg_dl": 5.5 * MG, "hdl_mg_dl": 1.3 * MG}


@pytest.mark.parametrize(
    ("sex", "europe", "asia", "older"),
    [
        (0, [5.9, 7.6, 8.1, 14.0], [10.3, 12.3, 16.1, 21.6], 18.6),
        (1, [4.2, 5.1, 6.9, 13.7], [5.7, 8.8, 15.2, 21.8], 15.2),
    ],
)
def test_score2_gives_the_papers_smoker_in_every_region(sex: int, europe: list, asia: list, older: float) -> None:
    at_50, at_75 = people(**SMOKER, sex=sex, age_years=50), people(**SMOKER, sex=sex, age_years=75)
    assert [score2.score2(at_50, region)[0] for region in score2.REGIONS] == pytest.approx(europe, abs=0.051)
    told = [score2.score2(at_50, region, score2.ASIA_PACIFIC)[0] for region in score2.REGIONS]
    assert told == pytest.approx(asia, abs=0.051)
    assert score2.older(at_75, "low")[0] == pytest.approx(older, abs=0.05)


@pytest.mark.parametrize(("sex", "figures"), [(0, [6.3, 8.1, 8.8, 15.1]), (1, [4.3, 5.2, 7.1, 14.1])])
def test_score2_gives_the_supplements_worked_example(sex: int, figures: list[float]) -> None:
    person = people(**SMOKER | {"total_cholesterol_mg_dl": 6.3 * MG, "hdl_mg_dl": 1.4 * MG}, sex=sex, age_years=50)
    assert [score2.score2(person, region)[0] for region in score2.REGIONS] == pytest.approx(figures, abs=0.05)


@pytest.mark.parametrize(
    ("sex", "found_at", "hba1c", "egfr", "figures"),
    [
        (0, 60, 50, 90, [8.4, 11.0, 12.5, 20.3]),
        (1, 60, 50, 90, [6.1, 7.6, 11.1, 20.6]),
        (0, 50, 70, 60, [12.9, 17.2, 21.0, 31.2]),
        (1, 50, 70, 60, [9.8, 12.7, 20.4, 34.0]),
    ],
)
def test_score2_diabetes_gives_the_papers_figures(
    sex: int, found_at: int, hba1c: int, egfr: int, figures: list
) -> None:
    person = people(
        **SMOKER | {"smoker": 0, "diabetes": 1, "age_years": 60, "sex": sex, "diabetes_age_years": found_at},
        hba1c_pct=hba1c * 0.09148 + 2.152,
        egfr=egfr,
    )
    assert [score2.diabetes(person, region)[0] for region in score2.REGIONS] == pytest.approx(figures, abs=0.051)


@pytest.mark.parametrize(
    ("sex", "group", "figure"), [(1, "white", 2.1), (1, "black", 3.0), (0, "white", 5.3), (0, "black", 6.1)]
)
def test_the_pooled_cohort_equations_give_the_guidelines_examples(sex: int, group: pce.Group, figure: float) -> None:
    # The guideline rounds each term before it sums; without that the white man's 5.3 is 5.38.
    person = {"age_years": 55, "total_cholesterol_mg_dl": 213, "hdl_mg_dl": 50, "sbp_mmhg": 120}
    told = pce.risk(people(**person, sex=sex, bp_treated=0, smoker=0, diabetes=0), group)
    assert told[0] == pytest.approx(figure, abs=0.1)


def test_the_pooled_cohort_equations_are_in_no_report() -> None:
    assert not {rule.id for rule in risk.COMPARED} & set(RULES)
    assert {rule.id for rule in risk.RULES} <= set(RULES)


def test_kidney_function_comes_from_creatinine_where_no_laboratory_gave_it() -> None:
    creatinine, age, sex = np.array([1.0, 0.8, 1.0, 1.0]), np.array([50, 60, 17, 50]), np.array([0, 1, 0, math.nan])
    assert ckd_epi_2021(creatinine, age, sex) == pytest.approx([91.7, 84.3, math.nan, math.nan], abs=0.1, nan_ok=True)
    given = people(egfr=[60, math.nan], creatinine_mg_dl=[1, 1], age_years=[50, 50], sex=[0, 0])
    assert known_egfr(given) == pytest.approx([60, 91.7], abs=0.1)


NOBODY = {
    **{"age_years": 34, "sex": 0, "waist_cm": 83.9, "sbp_mmhg": 139, "dbp_mmhg": 89, "bp_treated": 0, "smoker": 0},
    **{"family_diabetes": 0, "alcohol_drinks_per_day": 0.9, "diabetes": 0},
}


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({}, 0),
        ({"age_years": 35}, 2),
        ({"age_years": 44.9}, 2),
        ({"age_years": 45}, 3),
        ({"waist_cm": 84}, 2),
        ({"waist_cm": 89.9}, 2),
        ({"waist_cm": 90}, 3),
        ({"sex": 1, "waist_cm": 76.9}, 0),
        ({"sex": 1, "waist_cm": 77}, 2),
        ({"sex": 1, "waist_cm": 84}, 3),
        ({"sbp_mmhg": 140}, 1),
        ({"dbp_mmhg": 90}, 1),
        ({"bp_treated": 1, "sbp_mmhg": math.nan}, 1),
        ({"family_diabetes": 1}, 1),
        ({"smoker": 1}, 1),
        ({"alcohol_drinks_per_day": 1}, 1),
        ({"alcohol_drinks_per_day": 5}, 2),
        (
            {
                "age_years": 70,
                "waist_cm": 120,
                "bp_treated": 1,
                "family_diabetes": 1,
                "smoker": 1,
                "alcohol_drinks_per_day": 6,
            },
            11,
        ),
        ({"age_years": 19}, math.nan),
        ({"diabetes": 1}, math.nan),
        ({"smoker": math.nan}, math.nan),
    ],
)
def test_the_korean_score_counts_as_its_table_does(change: dict[str, float], points: float) -> None:
    assert diabetes.korean_score(people(**NOBODY | change)) == pytest.approx([points], nan_ok=True)


FINN = {
    **{"age_years": 44, "sex": 0, "bmi": 24.9, "waist_cm": 93, "physical_activity": 1, "vegetables_daily": 1},
    **{"bp_treated": 0, "high_glucose_ever": 0, "family_diabetes": 0, "diabetes": 0},
}


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({}, 0),
        ({"age_years": 45}, 2),
        ({"age_years": 55}, 3),
        ({"age_years": 64.9}, 3),
        ({"age_years": 65}, 4),
        ({"bmi": 25}, 1),
        ({"bmi": 30}, 1),
        ({"bmi": 30.1}, 3),
        ({"waist_cm": 94}, 3),
        ({"waist_cm": 102}, 3),
        ({"waist_cm": 102.1}, 4),
        ({"sex": 1, "waist_cm": 88}, 3),
        ({"sex": 1, "waist_cm": 79}, 0),
        ({"physical_activity": 0, "vegetables_daily": 0, "bp_treated": 1, "high_glucose_ever": 1}, 10),
        ({"family_diabetes": 1, "family_diabetes_second": 1}, 5),
        ({"family_diabetes_second": 1}, 3),
        ({"waist_cm": math.nan}, math.nan),
    ],
)
def test_findrisc_counts_as_its_form_does(change: dict[str, float], points: float) -> None:
    assert diabetes.findrisc(people(**FINN | change)) == pytest.approx([points], nan_ok=True)


def test_nobody_is_told_more_than_to_mind_a_posture() -> None:
    posture = [rule for rule in RULES.values() if rule.group == "posture"]
    assert len(posture) == 6
    assert {band.level for rule in posture for band in rule.bands} == {"good", "watch"}
    told = grade(people(cva_deg=[45.4, 45.5, 50], shoulder_tilt_deg=[-3.1, 3, 0], knee_deg=[186, 185, math.nan]))
    assert told["posture.head-forward"].band.tolist() == [0, 1, 2]
    assert told["posture.shoulder-tilt"].band.tolist() == [1, 0, 0]
    assert told["posture.knee"].band.tolist() == [1, 0, UNKNOWN]


NUMBERS = {
    **{"age_years": st.floats(15, 95), "sbp_mmhg": st.floats(60, 240), "dbp_mmhg": st.floats(40, 130)},
    **{"total_cholesterol_mg_dl": st.floats(80, 420), "hdl_mg_dl": st.floats(10, 160), "bmi": st.floats(12, 62)},
    **{"egfr": st.floats(5, 160), "hba1c_pct": st.floats(3, 16), "uacr_mg_g": st.floats(0.01, 30_000)},
    **{"sdi_decile": st.integers(0, 11), "waist_cm": st.floats(50, 150), "alcohol_drinks_per_day": st.floats(0, 9)},
    "diabetes_age_years": st.floats(0, 100),
}
YES_OR_NO = (
    *("sex", "smoker", "diabetes", "bp_treated", "statin", "family_diabetes", "family_diabetes_second"),
    *("physical_activity", "vegetables_daily", "high_glucose_ever"),
)
PERSON = st.fixed_dictionaries(
    {name: st.one_of(st.just(math.nan), value) for name, value in NUMBERS.items()}
    | {name: st.sampled_from([0.0, 1.0, 1.0, 0.0, math.nan]) for name in YES_OR_NO}
)


@settings(max_examples=30, deadline=None)
@given(st.lists(PERSON, min_size=1, max_size=8))
def test_a_crowd_is_told_what_each_would_be_and_who_is_not_told_is_told_why(crowd: list[dict[str, float]]) -> None:
    together = people(**{name: [person[name] for person in crowd] for name in crowd[0]})
    with np.errstate(all="ignore"):
        for rule in (*risk.RULES, *risk.COMPARED):
            value, band = rule.run(together)
            assert value is not None
            assert ((value >= 0) & (value <= 100) | np.isnan(value)).all()
            assert ((band == UNKNOWN) == np.isnan(value)).all()
            for place, person in enumerate(crowd):
                alone = people(**person)
                assert rule.run(alone)[0] == pytest.approx([value[place]], nan_ok=True, rel=1e-12)
                told = not math.isnan(value[place])
                late = rule.id.startswith("score2-diabetes") and person["diabetes_age_years"] > person["age_years"]
                assert told == (not gaps(rule.id, alone) and not late), (rule.id, person)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(30, 79),
    st.sampled_from([0, 1]),
    st.floats(110, 178),
    st.floats(130, 320),
    st.floats(20, 100),
    st.floats(15, 140),
)
def test_smoking_and_pressure_never_lower_a_risk_of_prevent(
    age: float, sex: int, sbp: float, total: float, hdl: float, egfr: float
) -> None:
    person = {"age_years": age, "sex": sex, "total_cholesterol_mg_dl": total, "hdl_mg_dl": hdl, "egfr": egfr, "bmi": 24}
    three = people(
        **{name: [value] * 3 for name, value in person.items()},
        sbp_mmhg=[sbp, sbp, sbp + 2],
        smoker=[0, 1, 0],
        **{name: [0, 0, 0] for name in ("diabetes", "bp_treated", "statin")},
    )
    for outcome in prevent.OUTCOMES:
        plain, smoking, higher = prevent.risk(three, outcome, 10)
        assert plain < smoking
        assert plain < higher


def test_every_model_says_whom_it_is_for_in_both_languages() -> None:
    for rule in (*risk.RULES, *risk.COMPARED):
        assert rule.id in SCOPES
        assert "doi:" in rule.source
        for text in (rule.title, rule.cannot, *(band.text for band in rule.bands)):
            assert text["ko"]
            assert text["en"]


def test_the_command_tells_one_persons_risks_and_why_a_model_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["age_years=55", "sex=male", "bmi=30", "sbp_mmhg=140", "bp_treated=no", "smoker=no", "diabetes=no"]
    run(words, None, False, True)
    told = json.loads(capsys.readouterr().out)
    assert [(one["rule"], round(one["value"], 2)) for one in told["risks"]] == [("framingham-office.2008", 16.75)]
    why = {one["rule"]: [gap["column"] for gap in one["gaps"]] for one in told["untold"]}
    assert why["prevent-hf-10.aha-2023"] == ["egfr"]
    assert why["score2-low.esc-2021"] == ["total_cholesterol_mg_dl", "hdl_mg_dl"]
    assert "pce.acc-aha-2013" not in why
    run(words, None, True, False)
    shown = capsys.readouterr().out
    assert "16.7 %" in shown
    assert "PCE" in shown


def test_the_command_carries_a_files_columns_over(tmp_path: Path) -> None:
    source, out = tmp_path / "people.csv", tmp_path / "risks.csv"
    facts = "50,여,160,yes,200,45,yes,no,no,35,90"
    source.write_text(
        "id,age_years,sex,sbp_mmhg,bp_treated,total_cholesterol_mg_dl,hdl_mg_dl,diabetes,smoker,statin,bmi,egfr\n"
        f"a,{facts}\nb,,,,,,,,,,,\n",
        encoding="utf-8",
    )
    run([str(source)], out, False, True)
    first, second = csv.DictReader(out.read_text("utf-8").splitlines())
    assert first["id"] == "a"
    assert float(first["prevent-cvd-10.aha-2023"]) == pytest.approx(14.68, abs=0.01)
    assert first["prevent-cvd-10.aha-2023:class"] == "intermediate"
    assert {name: cell for name, cell in second.items() if cell} == {"id": "b"}


def test_what_cannot_be_read_in_a_file_is_told_and_loses_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "people.csv", tmp_path / "risks.csv"
    source.write_text("나이,bmi,sex\n50,much,여\n60,22\n70,22,male\n", encoding="utf-8")
    run([str(source)], out, False, True)
    said = capsys.readouterr()
    assert (json.loads(said.out)["people"], json.loads(said.out)["problems"]) == (3, 2)
    assert "row 2, column bmi" in said.err
    assert len(out.read_text("utf-8").splitlines()) == 4


@pytest.mark.parametrize(
    ("people", "reason"),
    [
        (["age=55"], "there is no column 'age'"),
        (["sex=king"], "male or female"),
        (["bmi=much"], "bmi: 'much' is not a number"),
        (["a.csv", "b.csv"], "one CSV file"),
        (["nowhere.csv"], "cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, people: list[str], reason: str) -> None:
    with pytest.raises(CareError, match=reason):
        run(people, tmp_path / "out.csv" if people[0].endswith(".csv") else None, False, False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "id,name\na,b\n", "weight_lb\n150\n"])
def test_a_file_that_cannot_be_used_is_one_readable_line_and_leaves_nothing(tmp_path: Path, text: str) -> None:
    source, out = tmp_path / "people.csv", tmp_path / "risks.csv"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(CareError, match=re.escape(str(source))):
        run([str(source)], out, False, False)
    assert list(tmp_path.iterdir()) == [source]
