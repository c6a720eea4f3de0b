"""The columns of a visit: names, units, codes, and what follows from them.

A column is float64 with NaN for "not known"; yes and no are 1 and 0; sex is 0 for male and 1 for female, as on a
record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
T = TypeVar("T", bound=np.generic)

LOINC: Final = "http://loinc.org"
OWN: Final = "urn:hanmaru:care:column"


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity of a visit: ``unit`` as people write it, ``ucum`` as machines do, ``loinc`` where it has a code."""

    name: str
    ko: str
    en: str
    unit: str = ""
    ucum: str = "1"
    loinc: str = ""
    kind: Literal["number", "flag", "sex"] = "number"

    @property
    def system(self) -> str:
        """The code's system."""
        return LOINC if self.loinc else OWN

    @property
    def code(self) -> str:
        """The code of the Observation that carries it."""
        return self.loinc or self.name


def _flag(name: str, ko: str, en: str, loinc: str = "") -> Column:
    return Column(name, ko, en, loinc=loinc, kind="flag")


_ALL: Final = (
    Column("age_years", "나이", "Age", "세", "a", "30525-0"),
    Column("sex", "성별", "Sex", loinc="46098-0", kind="sex"),
    # Body
    Column("height_cm", "키", "Height", "cm", "cm", "8302-2"),
    Column("weight_kg", "몸무게", "Weight", "kg", "kg", "29463-7"),
    Column("bmi", "체질량지수", "Body mass index", "kg/m²", "kg/m2", "39156-5"),
    Column("waist_cm", "허리둘레", "Waist", "cm", "cm", "8280-0"),
    Column("hip_cm", "엉덩이둘레", "Hips", "cm", "cm", "62409-8"),
    # Circulation
    Column("sbp_mmhg", "수축기 혈압", "Systolic blood pressure", "mmHg", "mm[Hg]", "8480-6"),
    Column("dbp_mmhg", "이완기 혈압", "Diastolic blood pressure", "mmHg", "mm[Hg]", "8462-4"),
    Column("pulse_bpm", "맥박", "Pulse", "회/분", "/min", "8867-4"),
    # Body composition
    Column("body_fat_pct", "체지방률", "Body fat", "%", "%", "41982-0"),
    Column("skeletal_muscle_kg", "골격근량", "Skeletal muscle", "kg", "kg"),
    Column("asm_kg", "사지근육량", "Muscle of arms and legs", "kg", "kg"),
    Column("water_kg", "체수분", "Body water", "kg", "kg", "101683-1"),
    Column("ecw_tbw", "세포외수분비", "Extracellular share of body water"),
    Column("visceral_fat_level", "내장지방 레벨", "Visceral fat level"),
    # Strength and fitness
    Column("grip_left_kg", "왼손 악력", "Grip, left hand", "kg", "kg", "83173-5"),
    Column("grip_right_kg", "오른손 악력", "Grip, right hand", "kg", "kg", "83174-3"),
    Column("shuttle20_laps", "20m 왕복오래달리기", "20 m shuttle run", "회", "{laps}"),
    Column("step_vo2max", "최대산소섭취량", "Maximal oxygen uptake", "mL/kg/분", "mL/kg/min"),
    Column("cross_sit_ups", "교차윗몸일으키기", "Cross sit-ups", "회", "{count}"),
    Column("sit_and_reach_cm", "앉아윗몸앞으로굽히기", "Sit and reach", "cm", "cm"),
    Column("shuttle10x4_s", "10m 4회 왕복달리기", "10 m shuttle, four times", "초", "s"),
    Column("reaction_s", "반응시간", "Reaction time", "초", "s"),
    Column("long_jump_cm", "제자리멀리뛰기", "Standing long jump", "cm", "cm"),
    Column("air_time_s", "체공시간", "Time in the air", "초", "s"),
    Column("two_minute_step", "2분 제자리걷기", "Two-minute step", "회", "{count}"),
    Column("six_minute_walk_m", "6분 걷기", "Six-minute walk", "m", "m", "64098-7"),
    Column("chair_stand_reps", "30초 의자에서 일어섰다 앉기", "Chair stands in 30 s", "회", "{count}"),
    Column("tug3m_s", "3m 표적 돌아오기", "3 m up and go", "초", "s"),
    Column("figure8_s", "8자 보행", "Figure-of-eight walk", "초", "s"),
    Column("gait_speed_m_s", "보행 속도", "Gait speed", "m/s", "m/s"),
    Column("chair_stand5_s", "의자에서 5회 일어서기", "Five chair stands", "초", "s"),
    Column("sppb_score", "간이신체수행능력(SPPB)", "Short physical performance battery", "점", "{score}"),
    # Blood and urine
    Column("total_cholesterol_mg_dl", "총콜레스테롤", "Total cholesterol", "mg/dL", "mg/dL", "2093-3"),
    Column("hdl_mg_dl", "HDL 콜레스테롤", "HDL cholesterol", "mg/dL", "mg/dL", "2085-9"),
    Column("ldl_mg_dl", "LDL 콜레스테롤", "LDL cholesterol", "mg/dL", "mg/dL", "13457-7"),
    Column("triglycerides_mg_dl", "중성지방", "Triglycerides", "mg/dL", "mg/dL", "2571-8"),
    Column("glucose_mg_dl", "공복혈당", "Fasting glucose", "mg/dL", "mg/dL", "1558-6"),
    Column("hba1c_pct", "당화혈색소", "HbA1c", "%", "%", "4548-4"),
    Column("egfr", "사구체여과율", "Estimated GFR", "mL/분/1.73m²", "mL/min/{1.73_m2}", "98979-8"),
    Column("uacr_mg_g", "소변 알부민/크레아티닌 비", "Urine albumin/creatinine", "mg/g", "mg/g", "9318-7"),
    Column("creatinine_mg_dl", "크레아티닌", "Creatinine", "mg/dL", "mg/dL", "2160-0"),
    # Answers
    _flag("smoker", "흡연", "Smokes"),
    _flag("diabetes", "당뇨병 진단", "Diabetes diagnosed"),
    _flag("bp_treated", "혈압약 복용", "Takes medicine for blood pressure"),
    _flag("statin", "스타틴 복용", "Takes a statin"),
    _flag("lipid_treated", "이상지질혈증 약 복용", "Takes medicine for blood lipids"),
    _flag("glucose_treated", "혈당약 복용", "Takes medicine for blood sugar"),
    Column("diabetes_age_years", "당뇨병 진단 나이", "Age when diabetes was found", "세", "a"),
    _flag("family_diabetes", "부모·형제·자녀의 당뇨병", "Parent, sibling or child with diabetes"),
    _flag(
        "family_diabetes_second", "조부모·삼촌·이모·사촌의 당뇨병", "Grandparent, aunt, uncle or cousin with diabetes"
    ),
    Column("alcohol_drinks_per_day", "하루 음주량", "Drinks a day", "잔", "{drinks}/d"),
    _flag("physical_activity", "하루 30분 이상 신체활동", "Active 30 minutes a day"),
    _flag("vegetables_daily", "매일 채소·과일 섭취", "Vegetables or fruit every day"),
    _flag("high_glucose_ever", "고혈당 판정 경험", "High blood sugar ever found"),
    Column("sdi_decile", "지역 박탈지수 10분위", "Deprivation decile of the area"),
    # Posture from a photograph
    Column("cva_deg", "두개척추각", "Craniovertebral angle", "°", "deg"),
    Column("head_tilt_deg", "머리 기울기", "Tilt of the head", "°", "deg"),
    Column("shoulder_tilt_deg", "어깨 기울기", "Tilt of the shoulders", "°", "deg"),
    Column("pelvis_tilt_deg", "골반 기울기", "Tilt of the pelvis", "°", "deg"),
    Column("trunk_shift_deg", "몸통 치우침", "Shift of the trunk", "°", "deg"),
    Column("knee_deg", "무릎 각도", "Angle of the knee", "°", "deg"),
)

COLUMNS: Final[Mapping[str, Column]] = {column.name: column for column in _ALL}
"""Every column by name, in the order of a form."""


class Columns:
    """The columns of ``n`` visits, and what is computed from them (once, when first asked).

    A column that is absent is NaN throughout. Infinite values are not known.

    Raises:
        KeyError: for a name that is neither a column nor derived.
        ValueError: for a column of another length.
    """

    __slots__ = ("_arrays", "_made", "_nothing", "n")

    def __init__(self, arrays: Mapping[str, ArrayLike], n: int | None = None) -> None:
        taken = {name: np.atleast_1d(np.asarray(values, np.float64)) for name, values in arrays.items()}
        self.n = n if n is not None else len(next(iter(taken.values()), ()))
        for name, values in taken.items():
            if name not in COLUMNS:
                raise KeyError(f"{name} is no column of a visit")
            if values.shape != (self.n,):
                raise ValueError(f"{name} has {values.shape} values where {self.n} visits are graded")
            if np.isinf(values).any():
                taken[name] = np.where(np.isinf(values), np.nan, values)
        self._arrays: dict[str, Floats] = taken
        self._made: dict[str, NDArray[Any]] = {}
        self._nothing = np.full(self.n, np.nan)

    def __getitem__(self, name: str) -> Floats:
        make = DERIVED.get(name)
        if make is not None:
            return self.once(name, make)
        if name not in COLUMNS:
            raise KeyError(name)
        return self._arrays.get(name, self._nothing)

    def once(self, key: str, make: "Callable[[Columns], NDArray[T]]") -> NDArray[T]:
        """Return what ``make`` computes from these columns, computed when first asked for."""
        if key not in self._made:
            self._made[key] = make(self)
        return self._made[key]

    def __contains__(self, name: str) -> bool:
        """Whether the column was given."""
        return name in self._arrays

    def given(self) -> dict[str, Floats]:
        """Return the columns that were given."""
        return dict(self._arrays)


def _exact(value: Floats) -> Floats:
    """Take off what binary division leaves behind, so that 62.6 kg of 100 kg is 62.6 % and not a hair below it."""
    return np.round(value, 9)


def _bmi(c: Columns) -> Floats:
    """BMI as measured, else weight / height² (kg, m)."""
    computed = _exact(c["weight_kg"] / np.square(c["height_cm"] / 100))
    given = c.given().get("bmi")
    return computed if given is None else np.where(np.isnan(given), computed, given)


def _grip_relative(c: Columns) -> Floats:
    """The stronger hand's grip, per cent of body weight, rounded to 0.1 as National Fitness 100 records it."""
    return np.floor(_exact(c["grip_kg"] / c["weight_kg"] * 1000) + 0.5) / 10


DERIVED: Final[Mapping[str, Callable[[Columns], Floats]]] = {
    "bmi": _bmi,
    "waist_to_height": lambda c: _exact(c["waist_cm"] / c["height_cm"]),
    "grip_kg": lambda c: np.fmax(c["grip_left_kg"], c["grip_right_kg"]),
    "grip_relative_pct": _grip_relative,
    "asm_index": lambda c: _exact(c["asm_kg"] / np.square(c["height_cm"] / 100)),
}
"""What follows from columns: kg/m², ratio, the stronger hand (kg), per cent of body weight, kg/m²."""
