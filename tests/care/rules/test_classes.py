"""Every class at its edge, and nothing told that is not known."""

import math

import pytest

from hanmaru.care.rules.catalogue import RULES, explain, grade, one, scale
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.rules.core import UNKNOWN

Value = float | str | bool
MAN: dict[str, Value] = {"age_years": 50, "sex": "male"}
WOMAN: dict[str, Value] = {"age_years": 50, "sex": "female"}
OLD_WOMAN: dict[str, Value] = {"age_years": 72, "sex": "female", "height_cm": 160}


def told(rule: str, person: dict[str, Value]) -> str | None:
    """The class that a rule gives a person, None where it cannot be told."""
    band = int(grade(one(person), [rule])[rule].band[0])
    return None if band == UNKNOWN else RULES[rule].bands[band].code


PRESSURES = {
    (119.9, 79.9): ("normal", "optimal", "normal"),
    (120, 79): ("elevated", "normal", "elevated"),
    (119, 80): ("prehypertension", "normal", "stage-1"),
    (119, 85): ("prehypertension", "high-normal", "stage-1"),
    (129, 79): ("elevated", "normal", "elevated"),
    (130, 70): ("prehypertension", "high-normal", "stage-1"),
    (139, 89): ("prehypertension", "high-normal", "stage-1"),
    (140, 70): ("grade-1", "grade-1", "stage-2"),
    (120, 90): ("grade-1", "grade-1", "stage-2"),
    (159, 99): ("grade-1", "grade-1", "stage-2"),
    (160, 80): ("grade-2", "grade-2", "stage-2"),
    (120, 100): ("grade-2", "grade-2", "stage-2"),
    (179, 109): ("grade-2", "grade-2", "stage-2"),
    (180, 80): ("grade-2", "grade-3", "stage-2"),
    (120, 110): ("grade-2", "grade-3", "stage-2"),
}


@pytest.mark.parametrize("pressure", PRESSURES)
def test_blood_pressure_by_three_guidelines(pressure: tuple[float, float]) -> None:
    person: dict[str, Value] = {"sbp_mmhg": pressure[0], "dbp_mmhg": pressure[1]}
    rules = ("bp.ksh-2022", "bp.esh-2023", "bp.acc-aha-2017")
    assert tuple(told(rule, person) for rule in rules) == PRESSURES[pressure]
    urgent = pressure[0] >= 180 or pressure[1] >= 110
    assert told("bp.urgent", person) == ("urgent" if urgent else "no")


def test_one_pressure_tells_only_what_the_other_cannot_change() -> None:
    assert told("bp.urgent", {"sbp_mmhg": 180}) == "urgent"
    assert told("bp.urgent", {"dbp_mmhg": 110}) == "urgent"
    assert told("bp.urgent", {"sbp_mmhg": 179}) is None
    assert told("bp.ksh-2022", {"sbp_mmhg": 160}) == "grade-2"
    assert told("bp.ksh-2022", {"sbp_mmhg": 159}) is None
    assert told("bp.low", {"sbp_mmhg": 89}) == "low"
    assert told("bp.low", {"sbp_mmhg": 90}) is None


def test_isolated_systolic_and_low_pressure() -> None:
    assert told("bp.isolated-systolic", {"sbp_mmhg": 140, "dbp_mmhg": 89}) == "yes"
    assert told("bp.isolated-systolic", {"sbp_mmhg": 140, "dbp_mmhg": 90}) == "no"
    assert told("bp.isolated-systolic", {"sbp_mmhg": 139, "dbp_mmhg": 60}) == "no"
    assert told("bp.isolated-systolic", {"sbp_mmhg": 150}) is None
    assert told("bp.low", {"sbp_mmhg": 90, "dbp_mmhg": 60}) == "no"
    assert told("bp.low", {"sbp_mmhg": 100, "dbp_mmhg": 59}) == "low"


EDGES: list[tuple[str, str, dict[str, Value], dict[float, str]]] = [
    (
        "bmi.ksso-2022",
        "bmi",
        MAN,
        {
            18.4: "underweight",
            18.5: "normal",
            22.99: "normal",
            23: "pre-obese",
            25: "obese-1",
            30: "obese-2",
            35: "obese-3",
        },
    ),
    ("waist.ksso-2022", "waist_cm", MAN, {89.9: "normal", 90: "abdominal-obesity"}),
    ("waist.ksso-2022", "waist_cm", WOMAN, {84.9: "normal", 85: "abdominal-obesity"}),
    ("body-fat.sheet", "body_fat_pct", MAN, {9.9: "below", 10: "standard", 20: "standard", 20.1: "above"}),
    ("body-fat.sheet", "body_fat_pct", WOMAN, {17.9: "below", 18: "standard", 28: "standard", 28.1: "above"}),
    ("ecw-tbw.sheet", "ecw_tbw", MAN, {0.359: "below", 0.36: "standard", 0.39: "standard", 0.391: "above"}),
    ("pulse.resting", "pulse_bpm", {}, {59: "slow", 60: "normal", 100: "normal", 101: "fast"}),
    (
        "glucose.kda-2023",
        "glucose_mg_dl",
        {},
        {69: "low", 70: "normal", 99: "normal", 100: "impaired-1", 110: "impaired-2", 126: "diabetes-range"},
    ),
    ("hba1c.kda-2023", "hba1c_pct", {}, {5.6: "normal", 5.7: "prediabetes", 6.4: "prediabetes", 6.5: "diabetes-range"}),
    ("total-cholesterol.ksola-2022", "total_cholesterol_mg_dl", {}, {199: "normal", 200: "borderline", 240: "high"}),
    (
        "ldl.ksola-2022",
        "ldl_mg_dl",
        {},
        {99: "optimal", 100: "normal", 130: "borderline", 160: "high", 190: "very-high"},
    ),
    ("hdl.ksola-2022", "hdl_mg_dl", {}, {39: "low", 40: "normal", 59: "normal", 60: "high"}),
    (
        "triglycerides.ksola-2022",
        "triglycerides_mg_dl",
        {},
        {149: "normal", 150: "borderline", 200: "high", 500: "very-high"},
    ),
    ("grip.awgs-2019", "grip_left_kg", OLD_WOMAN, {17.9: "low", 18: "normal"}),
    ("grip.awgs-2019", "grip_right_kg", {**MAN, "age_years": 65}, {27.9: "low", 28: "normal"}),
    ("performance.awgs-2019", "gait_speed_m_s", OLD_WOMAN, {0.99: "low", 1.0: "normal"}),
    ("performance.awgs-2019", "chair_stand5_s", OLD_WOMAN, {11.9: "normal", 12: "low"}),
    ("performance.awgs-2019", "sppb_score", OLD_WOMAN, {9: "low", 10: "normal"}),
]


@pytest.mark.parametrize(("rule", "column", "person", "classes"), EDGES)
def test_a_class_begins_at_its_edge(
    rule: str, column: str, person: dict[str, Value], classes: dict[float, str]
) -> None:
    assert {value: told(rule, {**person, column: value}) for value in classes} == classes


def test_bmi_and_muscle_are_computed_where_they_are_not_given() -> None:
    assert told("bmi.ksso-2022", {**MAN, "height_cm": 200, "weight_kg": 92}) == "pre-obese"
    assert told("bmi.ksso-2022", {**MAN, "height_cm": 170, "weight_kg": 60, "bmi": 31}) == "obese-2"
    assert told("muscle.awgs-2019", {**OLD_WOMAN, "asm_kg": 5.7 * 1.6**2}) == "normal"
    assert told("muscle.awgs-2019", {**OLD_WOMAN, "asm_kg": 5.69 * 1.6**2}) == "low"
    assert told("waist-to-height.nice-2022", {**MAN, "height_cm": 170, "waist_cm": 85}) == "increased"


@pytest.mark.parametrize("rule", ["bmi.ksso-2022", "waist.ksso-2022", "body-fat.sheet"])
def test_cut_offs_of_adults_are_not_told_of_children(rule: str) -> None:
    measured: dict[str, Value] = {"sex": "male", "bmi": 24, "waist_cm": 80, "body_fat_pct": 15}
    assert told(rule, {**measured, "age_years": 18.9}) is None
    assert told(rule, {**measured, "age_years": 19}) is not None
    assert told(rule, measured) is None


def test_without_a_sex_only_what_both_have_in_common_is_told() -> None:
    assert told("waist.ksso-2022", {"age_years": 40, "waist_cm": 80}) == "normal"
    assert told("waist.ksso-2022", {"age_years": 40, "waist_cm": 87}) is None
    assert told("waist.ksso-2022", {"age_years": 40, "waist_cm": 95}) == "abdominal-obesity"


WEAK: dict[str, Value] = {"grip_left_kg": 15, "grip_right_kg": 16}
STRONG: dict[str, Value] = {"grip_left_kg": 22}
LITTLE: dict[str, Value] = {"asm_kg": 12}
ENOUGH: dict[str, Value] = {"asm_kg": 16}
SLOW: dict[str, Value] = {"gait_speed_m_s": 0.8}
QUICK: dict[str, Value] = {"gait_speed_m_s": 1.2}

SARCOPENIA: list[tuple[dict[str, Value], str | None]] = [
    ({**STRONG, **QUICK}, "none"),
    ({**STRONG, **QUICK, **LITTLE}, "none"),
    (STRONG, None),
    (QUICK, None),
    (LITTLE, None),
    (WEAK, "possible"),
    (SLOW, "possible"),
    ({**WEAK, **ENOUGH}, "low-function"),
    ({**WEAK, **LITTLE}, "sarcopenia"),
    ({**WEAK, **LITTLE, **QUICK}, "sarcopenia"),
    ({**STRONG, **LITTLE, **SLOW}, "sarcopenia"),
    ({**WEAK, **LITTLE, **SLOW}, "severe"),
    ({**WEAK, **LITTLE, **QUICK, "chair_stand5_s": 14}, "severe"),
]


@pytest.mark.parametrize(("measured", "stage"), SARCOPENIA)
def test_sarcopenia_by_the_steps_of_the_working_group(measured: dict[str, Value], stage: str | None) -> None:
    assert told("sarcopenia.awgs-2019", {**OLD_WOMAN, **measured}) == stage
    assert told("sarcopenia.awgs-2019", {**OLD_WOMAN, **measured, "age_years": 64.9}) is None


UNTREATED: dict[str, Value] = {"bp_treated": False, "glucose_treated": False, "lipid_treated": False}
HEALTHY: dict[str, Value] = {
    **{
        "waist_cm": 80,
        "triglycerides_mg_dl": 100,
        "hdl_mg_dl": 55,
        "sbp_mmhg": 120,
        "dbp_mmhg": 75,
        "glucose_mg_dl": 90,
    },
    **UNTREATED,
}


def test_metabolic_syndrome_is_three_of_five() -> None:
    man = {**MAN, **HEALTHY}
    syndrome = "metabolic-syndrome.ncep-korea"
    assert told(syndrome, man) == "no"
    two: dict[str, Value] = {**man, "waist_cm": 90, "dbp_mmhg": 85}
    assert told(syndrome, two) == "no"
    for third in ({"triglycerides_mg_dl": 150}, {"hdl_mg_dl": 39}, {"glucose_mg_dl": 100}, {"glucose_treated": True}):
        assert told(syndrome, {**two, **third}) == "yes"
    assert told(syndrome, {**two, "hdl_mg_dl": 49}) == "no"
    assert told(syndrome, {**two, "sex": "female", "hdl_mg_dl": 49}) == "yes"


def test_metabolic_syndrome_is_told_as_soon_as_it_is_decided() -> None:
    syndrome = "metabolic-syndrome.ncep-korea"
    three: dict[str, Value] = {"waist_cm": 95, "sbp_mmhg": 135, "glucose_mg_dl": 110}
    assert told(syndrome, {**MAN, **three}) == "yes"
    fine: dict[str, Value] = {"waist_cm": 80, "sbp_mmhg": 120, "dbp_mmhg": 75, "bp_treated": False}
    assert told(syndrome, {**MAN, **fine}) is None
    assert told(syndrome, {**MAN, **fine, "glucose_mg_dl": 90, "glucose_treated": False}) == "no"
    assert told(syndrome, {**MAN, **HEALTHY, "waist_cm": 95, "sbp_mmhg": 150, "lipid_treated": True}) is None


def test_explaining_gives_words_reasons_and_what_was_used() -> None:
    graded = {answer.rule: answer for answer in explain({**WOMAN, "height_cm": 160, "weight_kg": 70, "waist_cm": None})}
    bmi = graded["bmi.ksso-2022"]
    assert (bmi.band, bmi.level, bmi.unit) == ("obese-1", "watch", "kg/m²")
    assert bmi.value is not None
    assert math.isclose(bmi.value, 27.34375)
    assert bmi.inputs == {"height_cm": 160, "weight_kg": 70, "bmi": bmi.value, "age_years": 50}
    assert "2022" in bmi.source
    assert bmi.cannot["ko"]
    assert bmi.text["en"]
    assert not {"waist.ksso-2022", "bp.ksh-2022"} & set(graded)


def test_a_scale_is_drawn_by_sex_with_the_edges_that_people_know() -> None:
    men = scale(RULES["body-fat.sheet"], "male")
    women = scale(RULES["body-fat.sheet"], "female")
    assert men is not None
    assert women is not None
    assert [(step.start, step.end, step.band.code) for step in men] == [
        (None, 10, "below"),
        (10, 20, "standard"),
        (20, None, "above"),
    ]
    assert [step.end for step in women] == [18, 28, None]
    assert scale(RULES["nfa100.award"], "male") is None


def test_every_rule_has_words_a_source_and_limits() -> None:
    for rule in RULES.values():
        assert rule.source
        assert rule.version
        assert set(rule.title) == set(rule.cannot) == {"ko", "en"}
        assert all(set(band.text) == {"ko", "en"} and all(band.text.values()) for band in rule.bands)
        assert len({band.code for band in rule.bands}) == len(rule.bands)
        assert set(rule.inputs) <= set(COLUMNS)
        if rule.cuts is not None:
            assert all(list(cuts) == sorted(cuts) and len(cuts) == len(rule.bands) - 1 for cuts in rule.cuts)
    assert [rule.id for rule in RULES.values() if any(band.level == "urgent" for band in rule.bands)] == ["bp.urgent"]


def test_a_person_with_an_unknown_name_or_a_word_for_a_number_is_refused() -> None:
    with pytest.raises(KeyError, match="weight_lb"):
        explain({"weight_lb": 150})
    with pytest.raises(ValueError, match="sbp_mmhg must be a number"):
        explain({"sbp_mmhg": "high"})
