"""What a value cannot be, and what it hardly is.

An impossible value is an error of hand or device: it is flagged and never graded. An unlikely one is graded and
flagged, so that somebody measures again. Unlikely limits are mostly those by which the NCD Risk Factor Collaboration
cleans population surveys; impossible ones are what no device shows or nobody has ever had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns, Floats

FINE: Final = 0
UNLIKELY: Final = 1
IMPOSSIBLE: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Inclusive limits: outside the inner two a value is unlikely, outside the outer two impossible."""

    impossible_low: float
    low: float
    high: float
    impossible_high: float
    source: str


_BP = "NCD-RisC, Lancet 2021;398:957 (70–270, 30–150); cuffs show up to 300 mmHg (ISO 81060-2:2018)"
_BODY = "NCD-RisC, Lancet 2017;390:2627 and eLife 2016;5:e13410 (surveys' cleaning limits); recorded extremes of adults"
_LIPIDS = "NCD-RisC, Nature 2020;582:73 (surveys' cleaning limits); recorded extremes"
_SUGAR = "NCD-RisC, Nature Medicine 2023;29:2885 (surveys' cleaning limits); recorded extremes"
_BIA = "Ranges that body-composition analysers show; essential fat about 3 %"
_TEST = "National Fitness 100's grades with a wide margin; recorded extremes"
_KIDNEY = "KDIGO 2024; recorded extremes"
_ANGLE = "Geometry of the measurement"

LIMITS: Final[Mapping[str, Limits]] = {
    "age_years": Limits(0, 19, 110, 122.5, "Rules are for adults; longest documented life 122 years 164 days"),
    "height_cm": Limits(54, 100, 250, 272, _BODY),
    "weight_kg": Limits(12, 25, 300, 635, _BODY),
    "bmi": Limits(7, 10, 80, 200, _BODY),
    "waist_cm": Limits(30, 45, 200, 300, _BODY),
    "hip_cm": Limits(40, 55, 220, 300, _BODY),
    "sbp_mmhg": Limits(40, 70, 270, 300, _BP),
    "dbp_mmhg": Limits(20, 30, 150, 250, _BP),
    "pulse_bpm": Limits(
        20, 35, 180, 300, "Recorded extremes at rest: 25–27 beats/min awake; flutter conducted 1:1 at 300"
    ),
    "body_fat_pct": Limits(1, 3, 60, 75, _BIA),
    "skeletal_muscle_kg": Limits(3, 8, 65, 120, _BIA),
    "asm_kg": Limits(2, 6, 50, 100, _BIA),
    "water_kg": Limits(5, 12, 90, 250, _BIA),
    "ecw_tbw": Limits(0.2, 0.33, 0.45, 0.7, _BIA),
    "visceral_fat_level": Limits(0, 1, 30, 60, _BIA),
    "grip_left_kg": Limits(0, 3, 80, 120, "Hand dynamometers read to 90–100 kg"),
    "grip_right_kg": Limits(0, 3, 80, 120, "Hand dynamometers read to 90–100 kg"),
    "shuttle20_laps": Limits(0, 1, 150, 247, "The 20 m shuttle run ends with level 21, lap 247 (Léger 1988)"),
    "step_vo2max": Limits(5, 12, 80, 97.5, "Highest published uptake 97.5 mL/kg/min (2012)"),
    "cross_sit_ups": Limits(0, 0, 90, 150, _TEST),
    "sit_and_reach_cm": Limits(-60, -35, 40, 60, _TEST),
    "shuttle10x4_s": Limits(7, 8.5, 30, 120, _TEST),
    "reaction_s": Limits(0.1, 0.15, 1.0, 10, "Below 0.100 s is a false start (World Athletics, technical rule 16.6)"),
    "long_jump_cm": Limits(0, 30, 320, 373, "Longest standing jump 373 cm (2015)"),
    "air_time_s": Limits(0, 0.1, 0.85, 1.2, _TEST),
    "two_minute_step": Limits(0, 10, 200, 400, _TEST),
    "six_minute_walk_m": Limits(0, 50, 900, 2500, _TEST),
    "chair_stand_reps": Limits(0, 0, 45, 80, _TEST),
    "tug3m_s": Limits(2, 3, 60, 600, _TEST),
    "figure8_s": Limits(8, 12, 120, 600, _TEST),
    "gait_speed_m_s": Limits(0, 0.1, 2.5, 12.5, "Walking turns into running at about 2 m/s; fastest sprint 12.4 m/s"),
    "chair_stand5_s": Limits(2, 4, 60, 600, _TEST),
    "sppb_score": Limits(0, 0, 12, 12, "Guralnik 1994: 0–12 points"),
    "total_cholesterol_mg_dl": Limits(20, 68, 500, 1500, _LIPIDS),
    "hdl_mg_dl": Limits(1, 15, 150, 250, _LIPIDS),
    "ldl_mg_dl": Limits(1, 15, 400, 1200, _LIPIDS),
    "triglycerides_mg_dl": Limits(5, 20, 1000, 10000, _LIPIDS),
    "glucose_mg_dl": Limits(10, 36, 540, 2000, _SUGAR),
    "hba1c_pct": Limits(2, 3, 18, 25, _SUGAR),
    "egfr": Limits(0, 5, 150, 250, _KIDNEY),
    "uacr_mg_g": Limits(0, 0, 5000, 50000, _KIDNEY),
    "creatinine_mg_dl": Limits(0.05, 0.2, 15, 80, _KIDNEY),
    "alcohol_drinks_per_day": Limits(0, 0, 30, 100, "Answers to a questionnaire"),
    "diabetes_age_years": Limits(0, 1, 100, 122.5, "As for the age"),
    "sdi_decile": Limits(1, 1, 10, 10, "Deciles"),
    "cva_deg": Limits(0, 25, 75, 90, _ANGLE),
    "head_tilt_deg": Limits(-90, -25, 25, 90, _ANGLE),
    "shoulder_tilt_deg": Limits(-90, -15, 15, 90, _ANGLE),
    "pelvis_tilt_deg": Limits(-90, -15, 15, 90, _ANGLE),
    "trunk_shift_deg": Limits(-90, -15, 15, 90, _ANGLE),
    "knee_deg": Limits(90, 150, 210, 270, _ANGLE),
} | {
    name: Limits(0, 0, 1, 1, "Yes or no")
    for name in (
        *("sex", "smoker", "diabetes", "bp_treated", "statin", "lipid_treated", "glucose_treated"),
        *("family_diabetes", "family_diabetes_second", "physical_activity", "vegetables_daily", "high_glucose_ever"),
    )
}
"""Limits by column; every column has one."""

WHOLE: Final = frozenset(
    {"sex", "sdi_decile", *(name for name, limits in LIMITS.items() if limits.source == "Yes or no")}
)
"""Columns of which only whole numbers are possible."""

Flags = np.ndarray[tuple[int], np.dtype[np.int8]]


def flags(columns: Columns) -> dict[str, Flags]:
    """Return, for each given column with anything to say, 0 fine, 1 unlikely or 2 impossible; int8 ``(n,)``.

    A diastolic pressure that is not below the systolic one makes both impossible, as the two were mixed up or misread.
    """
    found: dict[str, Flags] = {}
    for name, value in columns.given().items():
        flag = _flag(value, LIMITS[name])
        if name in WHOLE:
            flag[(value != np.floor(value)) & ~np.isnan(value)] = IMPOSSIBLE
        found[name] = flag
    if "sbp_mmhg" in found and "dbp_mmhg" in found:
        crossed = columns["dbp_mmhg"] >= columns["sbp_mmhg"]
        found["sbp_mmhg"][crossed] = IMPOSSIBLE
        found["dbp_mmhg"][crossed] = IMPOSSIBLE
    return {name: flag for name, flag in found.items() if flag.any()}


def _flag(value: Floats, limits: Limits) -> Flags:
    flag = ((value < limits.low) | (value > limits.high)).astype(np.int8)
    flag += (value < limits.impossible_low) | (value > limits.impossible_high)
    return flag


def possible(columns: Columns) -> Columns:
    """Return the columns with what is impossible made not known."""
    flagged = flags(columns)
    if not flagged:
        return columns
    return Columns(
        {
            name: np.where(flagged[name] == IMPOSSIBLE, np.nan, value) if name in flagged else value
            for name, value in columns.given().items()
        },
        columns.n,
    )
