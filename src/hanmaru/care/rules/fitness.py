"""National Fitness 100: the grade of each test, and the award, by age and sex.

Rules of the award (Ministry of Culture, Sports and Tourism, notice 2025-0027, article 6). Adults reach grade 1 or 2
with endurance, strength, muscular endurance and flexibility all at that grade, and agility or power too; grade 3 with
the four at grade 3 and BMI or body fat in range; grade 4 with endurance and strength at grade 3; grade 5 with one of
the two. People of 65 and more reach grades 1 to 3 with all six of theirs; grade 4 with the figure of eight and one of
grip and chair stands; grade 5 with one of the three. Where a factor has two tests, the better of those taken decides.
"""

from functools import partial
from typing import Final, NamedTuple

import numpy as np

from hanmaru.care.rules.columns import COLUMNS, Columns, Floats
from hanmaru.care.rules.core import UNKNOWN, Band, Bands, Bools, Result, Rule, band, parted
from hanmaru.care.rules.fitness_norms import ADULT, ADULT_AGES, LESS_IS_BETTER, SENIOR, SENIOR_AGES, SENIOR_BASIC

GROUP: Final = "fitness"
SOURCE: Final = (
    "National Fitness 100 (Korea Sports Promotion Foundation), criteria by age and sex; "
    "Ministry of Culture, Sports and Tourism notice 2025-0027, article 6 (2 June 2025)"
)

_ADULTS: Final = 2 * len(ADULT_AGES)
_NOBODY: Final = _ADULTS + 2 * len(SENIOR_AGES)
"""The group of who is too young, or whose age or sex is not known; the groups before it are men, then women."""

_FAT: Final = ((7.0, 27.0), (16.0, 37.0))
"""Body fat in range of grade 3: more than the first and less than the second, men and women, per cent."""


class _Norm(NamedTuple):
    """Cut-offs of one test: float64 ``(grades, groups)``, more is better; and the groups that take it."""

    cuts: Floats
    applies: Bools
    sign: int


def _norm(name: str, *tables: tuple[int, tuple[tuple[float, ...], ...]]) -> _Norm:
    grades = max(len(rows) for _, rows in tables)
    cuts = np.full((grades, _NOBODY + 1), np.nan)
    sign = -1 if name in LESS_IS_BETTER else 1
    for start, rows in tables:
        cuts[: len(rows), start : start + len(rows[0])] = sign * np.asarray(rows)
    return _Norm(cuts, ~np.isnan(cuts[0]), sign)


_NORMS: Final = {
    name: _norm(name, *[(start, table[name]) for start, table in ((0, ADULT), (_ADULTS, SENIOR)) if name in table])
    for name in (*ADULT, *(name for name in SENIOR if name not in ADULT))
}
_BASIC: Final = {name: _norm(name, (_ADULTS, rows)) for name, rows in SENIOR_BASIC.items()}


def _groups(c: Columns) -> Bands:
    """Return each visit's group of age and sex; a group lasts until the next birthday that opens one."""
    age, sex = c["age_years"], c["sex"]
    woman = sex == 1
    adult: Bands = parted(age, ADULT_AGES) + np.where(woman, np.int8(len(ADULT_AGES) - 1), np.int8(-1))
    first = np.where(woman, np.int8(_ADULTS + len(SENIOR_AGES) - 1), np.int8(_ADULTS - 1))
    senior: Bands = parted(age, SENIOR_AGES) + first
    known = (age >= ADULT_AGES[0]) & ((sex == 0) | (sex == 1))
    return np.where(known, np.where(age >= SENIOR_AGES[0], senior, adult), np.int8(_NOBODY))


def _reached(c: Columns, name: str, norm: _Norm) -> Bands:
    """Return 0 for grade 1, 1 for grade 2 … and the number of grades for none; -1 where it cannot be told; ``(n,)``."""
    value = c[name]
    band_ = np.full(c.n, UNKNOWN, np.int8)
    measured = ~np.isnan(value)
    if not measured.any():
        return band_
    group = c.once("fitness.group", _groups)
    count = np.zeros(c.n, np.int8)
    for cuts in norm.cuts:
        count += norm.sign * value >= cuts[group]
    return np.where(measured & norm.applies[group], np.int8(len(norm.cuts)) - count, band_)


def _item(c: Columns, name: str) -> Bands:
    return c.once(f"fitness.{name}", partial(_reached, name=name, norm=_NORMS[name]))


def _test(name: str, c: Columns) -> Result:
    return Result(c[name], _item(c, name))


def _factor(c: Columns, one: str, other: str) -> Bands:
    """The better of two tests of one factor; where one was not taken, the other."""
    a, b = _item(c, one), _item(c, other)
    return np.where((a < 0) | ((b >= 0) & (b < a)), b, a)


def _or_best(band_: Bands) -> Bands:
    return np.maximum(band_, np.int8(0))


def _or_worst(band_: Bands) -> Bands:
    return np.where(band_ < 0, np.int8(3), band_)


def _adult_award(factors: list[Bands], body: Bools) -> Bands:
    """Return the award, 0 for grade 1 to 5 for grade 6, from the six factors in the order of :func:`_adults`."""
    endurance, strength, muscle, flexibility, agility, power = factors
    health = np.maximum(np.maximum(endurance, strength), np.maximum(muscle, flexibility))
    both = np.maximum(health, np.minimum(agility, power))
    award = np.full(len(body), 5, np.int8)
    award[(endurance <= 2) | (strength <= 2)] = 4
    award[(endurance <= 2) & (strength <= 2)] = 3
    award[body & (health <= 2)] = 2
    award[both <= 1] = 1
    award[both == 0] = 0
    return award


def _senior_award(factors: list[Bands], eight: Bools, grip: Bools, stand: Bools) -> Bands:
    worst = np.maximum.reduce(factors)
    award = np.full(len(eight), 5, np.int8)
    award[eight | grip | stand] = 4
    award[eight & (grip | stand)] = 3
    for grade in (2, 1, 0):
        award[worst <= grade] = grade
    return award


def _body_in_range(c: Columns) -> tuple[Bools, Bools]:
    """Return where BMI or body fat is certainly in grade 3's range, and where it may be."""
    bmi, fat, sex = c["bmi"], c["body_fat_pct"], c["sex"]
    low, high = (np.where(sex == 1, _FAT[1][i], _FAT[0][i]) for i in (0, 1))
    certain = ((bmi >= 18.5) & (bmi < 25)) | ((fat > low) & (fat < high))
    return certain, certain | np.isnan(bmi) | np.isnan(fat)


def _told(best: Bands, worst: Bands) -> Bands:
    """An award is told where what was not measured cannot change it."""
    return np.where(best == worst, best, np.int8(UNKNOWN))


def _adults(c: Columns) -> Bands:
    factors = [
        _factor(c, "shuttle20_laps", "step_vo2max"),
        _item(c, "grip_relative_pct"),
        _item(c, "cross_sit_ups"),
        _item(c, "sit_and_reach_cm"),
        _factor(c, "shuttle10x4_s", "reaction_s"),
        _factor(c, "long_jump_cm", "air_time_s"),
    ]
    certain, possible = _body_in_range(c)
    return _told(
        _adult_award([_or_best(factor) for factor in factors], possible),
        _adult_award([_or_worst(factor) for factor in factors], certain),
    )


def _seniors(c: Columns) -> Bands:
    factors = [
        _factor(c, "two_minute_step", "six_minute_walk_m"),
        *(_item(c, name) for name in ("grip_relative_pct", "chair_stand_reps", "sit_and_reach_cm")),
        *(_item(c, name) for name in ("tug3m_s", "figure8_s")),
    ]
    basic = [_reached(c, name, _BASIC[name]) for name in ("figure8_s", "grip_kg", "chair_stand_reps")]
    return _told(
        _senior_award([_or_best(factor) for factor in factors], *[reached <= 0 for reached in basic]),
        _senior_award([_or_worst(factor) for factor in factors], *[reached == 0 for reached in basic]),
    )


def _award(c: Columns) -> Result:
    group = c.once("fitness.group", _groups)
    award = np.where(group < _ADULTS, _adults(c), _seniors(c))
    return Result(None, np.where(group < _NOBODY, award, np.int8(UNKNOWN)))


_ITEM_BANDS: Final = (
    band("grade-1", "good", "1등급 수준입니다. 훌륭합니다.", "At the level of grade 1. Excellent."),
    band("grade-2", "good", "2등급 수준입니다. 좋습니다.", "At the level of grade 2. Good."),
    band(
        "grade-3",
        "info",
        "3등급 수준입니다. 조금씩 더 해 보세요.",
        "At the level of grade 3. Try a little more each week.",
    ),
)


def _below(grades: int) -> Band:
    return band(
        "below",
        "watch" if grades == 3 else "info",
        f"{grades}등급 기준에 못 미칩니다. 무리하지 말고 꾸준히 늘려 보세요.",
        f"Below the level of grade {grades}. Build up gently and steadily.",
    )


_CANNOT: Final = {
    "ko": "그날의 몸 상태와 연습에 따라 달라집니다. 병이 있는지는 말하지 않습니다.",
    "en": "Varies with the day and with practice; says nothing about disease.",
}
_TITLES: Final = {
    "grip_relative_pct": {"ko": "상대악력", "en": "Grip relative to body weight"},
}


def _test_rule(name: str) -> Rule:
    grades = len(_NORMS[name].cuts)
    column = COLUMNS.get(name)
    return Rule(
        id=f"nfa100.{name.replace('_', '-')}",
        version="2025",
        title=_TITLES[name] if column is None else {"ko": column.ko, "en": column.en},
        group=GROUP,
        source=SOURCE,
        inputs=(*(("grip_left_kg", "grip_right_kg", "weight_kg") if column is None else (name,)), "sex", "age_years"),
        unit="%" if column is None else column.unit,
        bands=(*_ITEM_BANDS[:grades], _below(grades)),
        cannot=_CANNOT,
        run=partial(_test, name),
    )


RULES: Final = (
    Rule(
        id="nfa100.award",
        version="2025",
        title={"ko": "국민체력100 등급", "en": "National Fitness 100 grade"},
        group=GROUP,
        source=SOURCE,
        inputs=(
            *dict.fromkeys(name for name in _NORMS if name in COLUMNS),
            *("grip_left_kg", "grip_right_kg", "weight_kg", "height_cm", "bmi", "body_fat_pct", "sex", "age_years"),
        ),
        unit="",
        bands=(
            band("grade-1", "good", "1등급 체력입니다. 훌륭합니다.", "Grade 1. Excellent."),
            band("grade-2", "good", "2등급 체력입니다. 좋습니다.", "Grade 2. Good."),
            band("grade-3", "good", "3등급 체력입니다. 일상생활에 넉넉합니다.", "Grade 3. Enough for everyday life."),
            band(
                "grade-4",
                "info",
                "4등급 체력입니다. 유연성과 근지구력 운동을 더해 보세요.",
                "Grade 4. Add stretching and muscular endurance.",
            ),
            band(
                "grade-5",
                "watch",
                "5등급 체력입니다. 걷기와 가벼운 근력 운동부터 꾸준히 하세요.",
                "Grade 5. Start with walking and light strength training, and keep at it.",
            ),
            band(
                "grade-6",
                "watch",
                "6등급 체력입니다. 가까운 체력인증센터에서 운동 처방을 받아 보세요.",
                "Grade 6. Ask a fitness centre for an exercise plan.",
            ),
        ),
        cannot={
            "ko": "인증서가 아니라 같은 기준으로 본 등급입니다. 공식 인증은 체력인증센터에서 받습니다.",
            "en": "The grade by the same criteria, not the certificate: that is issued by the certification centres.",
        },
        run=_award,
    ),
    *(_test_rule(name) for name in _NORMS),
)
"""The award, then each test."""
