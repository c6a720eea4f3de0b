"""What holds for every rule: one is as many, nothing known is never a grade, worse is never graded better."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.care.rules.catalogue import BLOCK, RULES, grade, one, plausible
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.rules.core import UNKNOWN
from hanmaru.care.rules.plausibility import IMPOSSIBLE, LIMITS, UNLIKELY, WHOLE


def visits(n: int, seed: int, known: float = 0.7) -> dict[str, np.ndarray]:
    """Random visits within likely limits; every value is missing in some."""
    chance = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}
    for name, limits in LIMITS.items():
        drawn = chance.uniform(limits.low, limits.high, n)
        values = np.round(drawn) if name in WHOLE else np.round(drawn, 2)
        made[name] = np.where(chance.random(n) < known, values, np.nan)
    return made


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_one_person_is_graded_as_among_many(seed: int) -> None:
    made = visits(5, seed)
    many = grade(Columns(made))
    for i in range(5):
        alone = grade(Columns({name: values[i : i + 1] for name, values in made.items()}))
        for name, result in many.items():
            assert alone[name].band[0] == result.band[i], name
            np.testing.assert_equal(
                None if result.value is None else result.value[i],
                None if (value := alone[name].value) is None else value[0],
            )


def test_blocks_meet_without_a_seam() -> None:
    made = visits(BLOCK + 3, 7)
    whole = grade(Columns(made))
    for name, values in grade(Columns({name: values[BLOCK - 2 :] for name, values in made.items()})).items():
        np.testing.assert_array_equal(values.band, whole[name].band[BLOCK - 2 :])


def test_nothing_known_is_never_a_grade() -> None:
    for nothing in (Columns({}, 3), Columns({name: np.full(3, np.nan) for name in COLUMNS})):
        assert all((result.band == UNKNOWN).all() for result in grade(nothing).values())
    assert all(len(result.band) == 0 for result in grade(Columns({"sbp_mmhg": []})).values())


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(LIMITS)))
@settings(max_examples=60, deadline=None)
def test_taking_a_value_away_never_makes_up_another_class(seed: int, name: str) -> None:
    """What is still told without a value is what was told with it."""
    if name in ("bmi", "grip_left_kg", "grip_right_kg"):
        return  # computed from height and weight; the other hand
    made = visits(40, seed, known=0.95)
    with_it = grade(Columns(made))
    without = grade(Columns({**made, name: np.full(40, np.nan)}))
    for rule, result in without.items():
        if rule in TAKES_WHAT_THERE_IS or RULES[rule].group == "risk":
            continue
        told = (result.band != UNKNOWN) & (with_it[rule].band != UNKNOWN)
        np.testing.assert_array_equal(result.band[told], with_it[rule].band[told], err_msg=rule)


TAKES_WHAT_THERE_IS = {"performance.awgs-2019", "sarcopenia.awgs-2019", "nfa100.award"}
"""Rules that judge by whichever of several tests were taken, as risk models by whichever predictors are known."""

MORE_IS_WORSE = {
    "bp.ksh-2022": ("sbp_mmhg", "dbp_mmhg"),
    "bp.esh-2023": ("sbp_mmhg", "dbp_mmhg"),
    "bp.acc-aha-2017": ("sbp_mmhg", "dbp_mmhg"),
    "bp.urgent": ("sbp_mmhg", "dbp_mmhg"),
    "bmi.ksso-2022": ("bmi",),
    "waist.ksso-2022": ("waist_cm",),
    "body-fat.sheet": ("body_fat_pct",),
    "glucose.kda-2023": ("glucose_mg_dl",),
    "hba1c.kda-2023": ("hba1c_pct",),
    "ldl.ksola-2022": ("ldl_mg_dl",),
    "triglycerides.ksola-2022": ("triglycerides_mg_dl",),
    "metabolic-syndrome.ncep-korea": ("waist_cm", "triglycerides_mg_dl", "sbp_mmhg", "glucose_mg_dl"),
    "nfa100.figure8-s": ("figure8_s",),
    "nfa100.tug3m-s": ("tug3m_s",),
}


@pytest.mark.parametrize("rule", MORE_IS_WORSE)
def test_a_higher_value_is_never_in_a_lower_class(rule: str) -> None:
    for column in MORE_IS_WORSE[rule]:
        made = visits(400, 3, known=1)
        limits = LIMITS[column]
        top = min(limits.high, 149) if column == "dbp_mmhg" else limits.high
        made["sbp_mmhg"] = made["sbp_mmhg"] + 150 if column == "dbp_mmhg" else made["sbp_mmhg"]
        made["dbp_mmhg"] = np.full(400, 30.5) if column == "sbp_mmhg" else made["dbp_mmhg"]
        made["sbp_mmhg"] = np.minimum(made["sbp_mmhg"], 299)
        ladder = np.linspace(limits.low + 1, top, 400)
        first = {name: np.repeat(values[:1], 400) for name, values in made.items()}
        bands = grade(Columns({**first, column: ladder}), [rule])[rule].band
        known = bands[bands != UNKNOWN]
        assert (np.diff(known) >= 0).all(), column


def test_every_column_has_limits_in_order_with_a_source() -> None:
    assert set(LIMITS) == set(COLUMNS)
    for limits in LIMITS.values():
        assert limits.impossible_low <= limits.low < limits.high <= limits.impossible_high
        assert limits.source


@pytest.mark.parametrize("name", sorted(set(LIMITS) - WHOLE))
def test_flags_begin_just_outside_the_limits(name: str) -> None:
    limits = LIMITS[name]
    inside = [limits.low, limits.high]
    beyond = [np.nextafter(limits.impossible_low, -np.inf), np.nextafter(limits.impossible_high, np.inf)]
    assert plausible(Columns({name: inside})) == {}
    assert plausible(Columns({name: beyond}))[name].tolist() == [IMPOSSIBLE] * 2
    if limits.impossible_high > limits.high:
        assert plausible(one({name: limits.impossible_high}))[name].tolist() == [UNLIKELY]


def test_impossible_values_are_not_graded_and_unlikely_ones_are() -> None:
    pressures = Columns({"sbp_mmhg": [80, 301, 290, np.inf], "dbp_mmhg": [80, 90, 100, 70]})
    assert plausible(pressures)["sbp_mmhg"].tolist() == [IMPOSSIBLE, IMPOSSIBLE, UNLIKELY, 0]
    assert plausible(pressures)["dbp_mmhg"].tolist() == [IMPOSSIBLE, 0, 0, 0]
    assert grade(pressures, ["bp.ksh-2022"])["bp.ksh-2022"].band.tolist() == [UNKNOWN, UNKNOWN, 4, UNKNOWN]
    assert plausible(one({"smoker": 0.5}))["smoker"].tolist() == [IMPOSSIBLE]


def test_columns_of_another_length_or_name_are_refused() -> None:
    with pytest.raises(ValueError, match="dbp_mmhg has"):
        Columns({"sbp_mmhg": [120, 130], "dbp_mmhg": [80]})
    with pytest.raises(KeyError, match="sbp is no column"):
        Columns({"sbp": [120]})
    assert all(rule in RULES for rule in MORE_IS_WORSE)
