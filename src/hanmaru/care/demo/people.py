"""Citizens of the simulated city and what is measured of them, visit after visit. Pure.

Age and sex are those of the city's own people. Bodies follow simple lines over age and sex, at about the means that the
Korea National Health and Nutrition Examination Survey finds (rounded; for a demo, not for a study).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hanmaru.care.domain import Sex
from hanmaru.city.noise import generator
from hanmaru.city.population import Population

Values = dict[str, float]
"""Measurements and answers by column."""

YOUNGEST, OLDEST = 25, 88
SENIOR: Final = 65
"""From this age on the tests of strength and fitness are those for older people (National Fitness 100)."""
WHOLE: Final = ("sbp_mmhg", "dbp_mmhg", "pulse_bpm", "chair_stand_reps", "two_minute_step")
"""What devices show in whole numbers."""
FAMILY: Final = "김이박최정강조윤장임한오서신권황안송류홍"
GIVEN: Final[Mapping[Sex, tuple[str, ...]]] = {
    "male": ("서준", "도현", "예준", "성호", "영수", "상철", "광수", "병철", "민재", "재욱"),
    "female": ("하윤", "서연", "지안", "은주", "현정", "미경", "영자", "정숙", "순자", "명희"),
}


@dataclass(frozen=True, slots=True)
class Citizen:
    """Someone who comes to be measured; ``visits`` are the days before today, oldest first."""

    name: str
    sex: Sex
    age: int
    visits: tuple[int, ...]
    traits: Mapping[str, float]


def citizens(people: Population, seed: int, count: int) -> list[Citizen]:
    """Return who comes: ``count`` people of the city, older ones more often, as people who go to check-ups are."""
    rng = generator(seed, "care citizens")
    adults = np.flatnonzero((people.age >= YOUNGEST) & (people.age <= OLDEST))
    weight = (people.age[adults] - 15.0) / (people.age[adults] - 15.0).sum()
    chosen = rng.choice(adults, min(count, len(adults)), replace=False, p=weight)
    return [_citizen(int(people.age[i]), bool(people.male[i]), rng) for i in chosen]


def _citizen(age: int, male: bool, rng: np.random.Generator) -> Citizen:
    bmi = float(np.clip((24.4 if male else 22.4 + 0.04 * (age - 40)) + rng.normal(0, 3.0), 17, 38))
    traits = {
        "height": (172.0 - 0.14 * (age - 35) if male else 159.5 - 0.15 * (age - 35)) + rng.normal(0, 5.5),
        "bmi": bmi,
        "pressure": 114 + 0.4 * (age - 30) + 1.3 * (bmi - 23) + (5 if male else 0) + rng.normal(0, 10),
        "diastolic": 73 + 0.7 * (bmi - 23) + (4 if male else 0) - 0.15 * max(0, age - 60) + rng.normal(0, 6),
        "strength": rng.normal(0, 1),
        "fitness": rng.normal(0, 1),
        "smoker": float(rng.random() < (0.33 if male else 0.06)),
        "treated": float(rng.random() < max(0.0, (age - 40) / 75)),
        "effort": rng.normal(0.3, 0.6),
    }
    first = int(rng.integers(150, 360))
    days = np.unique(np.round(np.linspace(first, rng.integers(1, 40), int(rng.integers(2, 6)))).astype(int))[::-1]
    sex: Sex = "male" if male else "female"
    name = str(rng.choice([*FAMILY])) + str(rng.choice(GIVEN[sex]))
    return Citizen(name, sex, age, tuple(days.tolist()), traits)


def measured(citizen: Citizen, visit: int, seed: int, *, urgent: bool = False) -> Values:
    """Return what is measured and answered at the ``visit``-th visit; who makes an effort gets better each time."""
    rng = generator(seed, f"care visit {citizen.name} {citizen.age} {visit}")
    t, age, male = citizen.traits, citizen.age, citizen.sex == "male"
    progress = t["effort"] * visit
    bmi = t["bmi"] - 0.25 * progress + rng.normal(0, 0.15)
    height = t["height"]
    weight = bmi * (height / 100) ** 2
    fat = 1.2 * bmi + 0.23 * age - (10.8 if male else 0) - 5.4  # Deurenberg, Weststrate and Seidell 1991
    asm = ((7.9 if male else 6.1) - 0.018 * (age - 40) + 0.35 * t["strength"] + 0.06 * (bmi - 23)) * (height / 100) ** 2
    grip = (42 - 0.3 * (age - 40) if male else 25.5 - 0.18 * (age - 40)) + 4 * t["strength"] + 0.5 * progress
    values = {
        "height_cm": height,
        "weight_kg": weight,
        "waist_cm": (2.35 if male else 2.2) * bmi + (28 if male else 26) + 0.08 * (age - 40) + rng.normal(0, 2),
        "sbp_mmhg": 186 if urgent else t["pressure"] - 1.6 * progress + rng.normal(0, 5),
        "dbp_mmhg": 112 if urgent else t["diastolic"] - 1.0 * progress + rng.normal(0, 4),
        "pulse_bpm": 71 - 1.5 * t["fitness"] + rng.normal(0, 6),
        "body_fat_pct": fat,
        "skeletal_muscle_kg": 1.25 * asm + 2,
        "asm_kg": asm,
        "water_kg": weight * (1 - fat / 100) * 0.73,
        "grip_left_kg": grip - 1.5,
        "grip_right_kg": grip,
        "sit_and_reach_cm": (8 if male else 13) - 0.08 * (age - 40) + 6 * t["fitness"] + progress,
    }
    if age >= SENIOR:
        values |= {
            "chair_stand_reps": 19 - 0.35 * (age - 65) + 3 * t["strength"] + progress,
            "two_minute_step": 112 - 1.2 * (age - 65) + 10 * t["fitness"] + 2 * progress,
            "tug3m_s": 5.6 + 0.09 * (age - 65) - 0.5 * t["fitness"],
            "figure8_s": 24 + 0.45 * (age - 65) - 2 * t["fitness"],
        }
    lowest = {"body_fat_pct": 6.0, "grip_left_kg": 8.0, "grip_right_kg": 8.0, "chair_stand_reps": 4.0}
    answers = {"smoker": t["smoker"], "bp_treated": t["treated"], "diabetes": 0.0}
    taken = {name: max(value, lowest.get(name, value)) for name, value in values.items()}
    return {name: round(float(value), 0 if name in WHOLE else 1) for name, value in taken.items()} | answers
