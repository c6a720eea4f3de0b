"""Strength, movement and muscle of older people: sarcopenia by the Asian working group."""

from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import UNKNOWN, Bands, Bools, Floats, Result, Rule, band, either, parted_by_sex

GROUP: Final = "muscle"
OLDER: Final = 65
"""Age in years from which the working group's cut-offs are applied in Korea."""

_AWGS: Final = "AWGS 2019 (Chen LK et al., J Am Med Dir Assoc 2020;21:300–307)"
_GRIP: Final = ((28.0,), (18.0,))
_MUSCLE: Final = ((7.0,), (5.7,))


def _older(c: Columns) -> Bools:
    return c["age_years"] >= OLDER


def _above(c: Columns, value: Floats, cuts: tuple[tuple[float, ...], tuple[float, ...]]) -> Bands:
    """Return 0 below the sex's cut-off, 1 from it on, for older people."""
    return np.where(_older(c), parted_by_sex(value, c["sex"], *cuts), np.int8(UNKNOWN))


def _grip(c: Columns) -> Result:
    return Result(c["grip_kg"], _above(c, c["grip_kg"], _GRIP))


def _muscle(c: Columns) -> Result:
    return Result(c["asm_index"], _above(c, c["asm_index"], _MUSCLE))


def _low_performance(c: Columns) -> tuple[Bools, Bools]:
    """Return where performance is certainly low and where not: any one test suffices, any low one decides."""
    walk, stand, sppb = c["gait_speed_m_s"], c["chair_stand5_s"], c["sppb_score"]
    low = (walk < 1.0) | (stand >= 12) | (sppb <= 9)
    return low, ((walk >= 1.0) | (stand < 12) | (sppb > 9)) & ~low


def _performance(c: Columns) -> Result:
    low, fine = _low_performance(c)
    return Result(None, np.where(_older(c), either(fine, low), np.int8(UNKNOWN)))


NONE, LOW_FUNCTION, POSSIBLE, SARCOPENIA, SEVERE = range(5)


def _sarcopenia(c: Columns) -> Result:
    """The working group's steps; what is told holds at least, whatever the missing tests would say."""
    strength, muscle = _above(c, c["grip_kg"], _GRIP), _above(c, c["asm_index"], _MUSCLE)
    low, fine = _low_performance(c)
    weak = (strength == 0) | low
    band_ = np.full(c.n, UNKNOWN, np.int8)
    band_[(strength == 1) & fine] = NONE
    band_[weak & (muscle == 1)] = LOW_FUNCTION
    band_[weak & (muscle == UNKNOWN)] = POSSIBLE
    band_[weak & (muscle == 0)] = SARCOPENIA
    band_[(strength == 0) & low & (muscle == 0)] = SEVERE
    band_[~_older(c)] = UNKNOWN
    return Result(None, band_)


_OLDER_ONLY: Final = {
    "ko": "65세 이상에게만 맞는 기준입니다. 손이나 무릎이 아프면 힘이 있어도 낮게 나옵니다.",
    "en": "Holds from 65 years on. A painful hand or knee lowers the result of a strong person.",
}

RULES: Final = (
    Rule(
        id="grip.awgs-2019",
        version="1",
        title={"ko": "악력", "en": "Grip strength"},
        group=GROUP,
        source=_AWGS + ": low below 28 kg (men), 18 kg (women), the stronger hand",
        inputs=("grip_left_kg", "grip_right_kg", "sex", "age_years"),
        unit="kg",
        bands=(
            band(
                "low",
                "act",
                "쥐는 힘이 약합니다. 근력 운동과 단백질을 늘리고, 건강센터에서 근육을 더 살펴보세요.",
                "Weak grip. Train strength, eat more protein, and have your muscles looked at in the health centre.",
            ),
            band("normal", "good", "쥐는 힘이 충분합니다.", "Strong enough."),
        ),
        cannot=_OLDER_ONLY,
        run=_grip,
        cuts=_GRIP,
    ),
    Rule(
        id="muscle.awgs-2019",
        version="1",
        title={"ko": "사지근육량 지수", "en": "Muscle of arms and legs"},
        group=GROUP,
        source=_AWGS + ": low below 7.0 (men), 5.7 kg/m² (women) by bioimpedance",
        inputs=("asm_kg", "height_cm", "sex", "age_years"),
        unit="kg/m²",
        bands=(
            band(
                "low",
                "watch",
                "팔다리 근육이 적습니다. 일주일에 두 번 근력 운동을 하고 끼니마다 단백질을 드세요.",
                "Little muscle. Train strength twice a week and eat protein with every meal.",
            ),
            band("normal", "good", "팔다리 근육이 충분합니다.", "Enough muscle."),
        ),
        cannot={
            "ko": "몸에 약한 전기를 흘려 어림한 값입니다. 65세 이상에게만 맞는 기준입니다.",
            "en": "Estimated with a weak current through the body; holds from 65 years on.",
        },
        run=_muscle,
        cuts=_MUSCLE,
    ),
    Rule(
        id="performance.awgs-2019",
        version="1",
        title={"ko": "걷기와 일어서기", "en": "Walking and standing up"},
        group=GROUP,
        source=_AWGS + ": low if gait < 1.0 m/s, five chair stands ≥ 12 s, or SPPB ≤ 9",
        inputs=("gait_speed_m_s", "chair_stand5_s", "sppb_score", "age_years"),
        unit="",
        bands=(
            band(
                "low",
                "watch",
                "걷거나 일어서는 것이 느립니다. 넘어지지 않게 다리 힘과 균형을 기르세요.",
                "Slow at walking or standing up. Train legs and balance, so that you do not fall.",
            ),
            band("normal", "good", "잘 걷고 잘 일어섭니다.", "Walks and stands up well."),
        ),
        cannot=_OLDER_ONLY,
        run=_performance,
    ),
    Rule(
        id="sarcopenia.awgs-2019",
        version="1",
        title={"ko": "근감소증", "en": "Sarcopenia"},
        group=GROUP,
        source=_AWGS,
        inputs=(
            *("grip_left_kg", "grip_right_kg", "asm_kg", "height_cm", "gait_speed_m_s", "chair_stand5_s"),
            *("sppb_score", "sex", "age_years"),
        ),
        unit="",
        bands=(
            band("none", "good", "근감소증이 아닙니다.", "No sarcopenia."),
            band(
                "low-function",
                "watch",
                "근육량은 충분하지만 힘이나 움직임이 약합니다. 근력 운동을 시작하세요.",
                "Enough muscle, but weak or slow. Start strength training.",
            ),
            band(
                "possible",
                "act",
                "근감소증일 수 있습니다. 근육량을 재어 확인하고, 근력 운동과 단백질을 늘리세요.",
                "Sarcopenia is possible. Have your muscle measured; more strength training and protein.",
            ),
            band(
                "sarcopenia",
                "act",
                "근감소증에 해당합니다. 진료를 받고 운동과 식사 지도를 받으세요.",
                "In the range of sarcopenia. See a doctor and get guidance on exercise and food.",
            ),
            band(
                "severe",
                "act",
                "심한 근감소증에 해당합니다. 넘어질 위험이 큽니다. 빠른 시일 안에 진료를 받으세요.",
                "In the range of severe sarcopenia, with a high risk of falls. See a doctor soon.",
            ),
        ),
        cannot={
            "ko": "65세 이상에게만 맞습니다. 왜 근육이 줄었는지(병, 약, 영양)는 말하지 않습니다. "
            "재지 않은 검사가 있으면 더 심한 단계일 수 있습니다.",
            "en": "Holds from 65 years on and does not say why muscle is lost (disease, medicine, food). "
            "Where a test is missing, the stage may be a higher one.",
        },
        run=_sarcopenia,
    ),
)
"""The rules of this module."""
