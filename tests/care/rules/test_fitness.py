"""National Fitness 100: each published cut-off at its edge, and the award by the letter of its rules."""

import csv
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.care.rules.catalogue import RULES, grade, one
from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import UNKNOWN
from hanmaru.care.rules.fitness_norms import LESS_IS_BETTER

NFA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[4] / "shared/data")) / "care" / "nfa100"

NAMES = {
    **{"shuttle20": "shuttle20_laps", "vo2max": "step_vo2max", "relGrip": "grip_relative_pct"},
    **{"crossSitup": "cross_sit_ups", "sitReach": "sit_and_reach_cm", "run10x4": "shuttle10x4_s"},
    **{"reaction": "reaction_s", "longJump": "long_jump_cm", "airTime": "air_time_s", "step2min": "two_minute_step"},
    **{"walk6min": "six_minute_walk_m", "chairStand": "chair_stand_reps", "tug3m": "tug3m_s", "fig8": "figure8_s"},
}
SEXES = {"M": 0.0, "F": 1.0}


def rows(kind: str) -> Iterator[dict[str, str]]:
    path = NFA / f"{kind}_cutoffs.csv"
    if not path.exists():
        pytest.skip(f"no published cut-offs at {path}")
    with path.open(newline="") as lines:
        yield from csv.DictReader(lines)


def ages(span: str) -> tuple[float, float]:
    """First and last age of a group, to the day before the birthday that ends it."""
    first, _, last = span.removesuffix("+").partition("-")
    return float(first), float(last or 99) + 0.99


def reached(name: str, values: list[float], people: list[tuple[float, float]]) -> list[str | None]:
    """The level of one test for people of (age, sex). A relative grip is given as kilograms of a body of 100 kg."""
    age, sex = np.array(people).T
    column = (
        {"grip_left_kg": values, "weight_kg": np.full(len(values), 100.0)} if "relative" in name else {name: values}
    )
    rule = RULES[f"nfa100.{name.replace('_', '-')}"]
    bands = grade(Columns({"age_years": age, "sex": sex, **column}), [rule.id])[rule.id].band.tolist()
    return [None if band == UNKNOWN else rule.bands[band].code for band in bands]


@pytest.mark.parametrize("kind", ["adult", "senior"])
def test_every_published_cut_off_at_its_edge(kind: str) -> None:
    checked = 0
    table = [row for row in rows(kind) if row["grade"] in "123"]
    for item, name in NAMES.items():
        having = [row for row in table if row.get(item)]
        cuts = [float(row[item]) for row in having]
        better = -1 if name in LESS_IS_BETTER else 1
        digits = 3 if item in ("reaction", "airTime") else 1
        for age in (0, 1):
            people = [(ages(row["age"])[age], SEXES[row["sex"]]) for row in having]
            if not people:
                continue
            at = reached(name, cuts, people)
            assert at == [f"grade-{row['grade']}" for row in having]
            missed = [round(cut - better * 10.0**-digits, digits) for cut in cuts]
            grades = max(int(row["grade"]) for row in having)
            worse = [f"grade-{int(row['grade']) + 1}" if int(row["grade"]) < grades else "below" for row in having]
            assert reached(name, missed, people) == worse
            checked += len(cuts)
    assert checked == {"adult": 2 * (5 * 54 + 4 * 36), "senior": 2 * 7 * 30}[kind]


def person(row: Mapping[str, str], items: Mapping[str, str], **more: float) -> dict[str, float]:
    """Somebody of the row's group with exactly its cut-offs, and a body of 100 kg."""
    made = {"age_years": ages(row["age"])[0], "sex": SEXES[row["sex"]], "weight_kg": 100.0}
    for item, name in items.items():
        made["grip_left_kg" if item == "relGrip" else name] = float(row[item])
    return made | more


def award(made: Mapping[str, float]) -> str | None:
    band = int(grade(one(made), ["nfa100.award"])["nfa100.award"].band[0])
    return None if band == UNKNOWN else f"{band + 1}"


HEALTH = {item: NAMES[item] for item in ("shuttle20", "relGrip", "crossSitup", "sitReach")}
MOTOR = {item: NAMES[item] for item in ("run10x4", "longJump")}


def test_adults_awards_at_every_groups_cut_offs() -> None:
    for row in rows("adult"):
        fit = {"bmi": 24.9}
        if row["grade"] != "3":
            made = person(row, HEALTH | MOTOR)
            assert award(made) == row["grade"]
            assert award(made | {"shuttle10x4_s": 60, "bmi": 24}) == row["grade"]
            clumsy = {"shuttle10x4_s": 60.0, "long_jump_cm": 50.0}
            assert award(made | clumsy | fit) == "3"
            continue
        motor = {"shuttle10x4_s": 60.0, "long_jump_cm": 50.0}
        made = person(row, HEALTH, **motor)
        assert award(made | fit) == "3"
        assert award(made | {"bmi": 25, "body_fat_pct": 26.9}) == "3"
        assert award(made | {"bmi": 25, "body_fat_pct": 40}) == "4"
        assert award(made | {"bmi": 25}) is None
        assert award(made | fit | {"cross_sit_ups": 0}) == "4"
        assert award(made | fit | {"cross_sit_ups": 0, "grip_left_kg": 10}) == "5"
        assert award(made | fit | {"cross_sit_ups": 0, "shuttle20_laps": 1}) == "5"
        assert award(made | fit | {"grip_left_kg": 10, "shuttle20_laps": 1}) == "6"


SIX = {item: NAMES[item] for item in ("step2min", "relGrip", "chairStand", "sitReach", "tug3m", "fig8")}


def test_older_peoples_awards_at_every_groups_cut_offs() -> None:
    table = list(rows("senior"))
    basic = {(row["sex"], row["age"]): row for row in table if row["grade"] == "4-5"}
    for row in table:
        if row["grade"] == "4-5":
            continue
        made = person(row, SIX)
        assert award(made) == row["grade"]
        limits = basic[row["sex"], row["age"]]
        weak = {"two_minute_step": 5.0, "grip_left_kg": 4.0, "figure8_s": 100.0, "chair_stand_reps": 0.0}
        eight, grip = {"figure8_s": float(limits["fig8"])}, {"grip_left_kg": float(limits["absGrip"])}
        stand = {"chair_stand_reps": float(limits["chairStand"])}
        assert award(made | weak | eight | grip) == "4"
        assert award(made | weak | eight | stand) == "4"
        assert award(made | weak | eight) == award(made | weak | grip) == award(made | weak | stand) == "5"
        assert award(made | weak) == "6"
        under = {"grip_left_kg": round(grip["grip_left_kg"] - 0.1, 1)}
        assert award(made | weak | eight | under) == "5"


def test_nobody_outside_the_ages_is_given_a_grade() -> None:
    fit = {"shuttle20_laps": 100.0, "sex": 0.0, "weight_kg": 60.0, "grip_left_kg": 60.0}
    assert award(fit | {"age_years": 18.99}) is None
    assert award(fit) is None
    assert reached("shuttle20_laps", [100, 100, 100, 100], [(18.9, 0), (19, 0), (64.9, 1), (65, 1)]) == [
        *(None, "grade-1", "grade-1", None)
    ]


RANGES = {
    **{"shuttle20_laps": (5, 70), "cross_sit_ups": (5, 60), "sit_and_reach_cm": (-5, 25), "shuttle10x4_s": (9, 18)},
    **{"long_jump_cm": (90, 240), "grip_left_kg": (20, 50), "two_minute_step": (30, 130), "tug3m_s": (5, 12)},
    **{"chair_stand_reps": (5, 28), "figure8_s": (20, 45), "bmi": (17, 32), "body_fat_pct": (5, 45)},
}
TAKEN = st.fixed_dictionaries({name: st.one_of(st.none(), st.integers(*span)) for name, span in RANGES.items()})


@settings(max_examples=60, deadline=None)
@given(TAKEN, st.integers(19, 90), st.sampled_from([0.0, 1.0]))
def test_an_award_that_is_told_holds_whatever_the_missing_tests_give(
    taken: dict[str, int | None], age: int, sex: float
) -> None:
    known = {name: float(value) for name, value in taken.items() if value is not None}
    base = {"age_years": float(age), "sex": sex, "weight_kg": 70.0, **known}
    told = award(base)
    missing = [name for name in RANGES if name not in known]
    extremes = itertools.islice(itertools.product(*[RANGES[name] for name in missing]), 64)
    later = [{**base, **dict(zip(missing, map(float, values), strict=True))} for values in extremes]
    awards = {award(made) for made in later}
    if told is not None:
        assert awards == {told}
    assert None not in awards
