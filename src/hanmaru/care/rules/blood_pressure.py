"""Blood pressure: the Korean classes, the European and American ones beside them, and what must be seen to today."""

from typing import Final

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Band, Result, Rule, band, either, parted, worse

GROUP: Final = "blood-pressure"
INPUTS: Final = ("sbp_mmhg", "dbp_mmhg")
CANNOT: Final = {
    "ko": "한 번 잰 혈압으로 고혈압을 진단할 수 없습니다. 긴장, 운동, 카페인만으로도 오릅니다. "
    "다른 날 다시 재어 확인합니다.",
    "en": "One reading cannot diagnose hypertension: nerves, exercise or coffee raise it. "
    "It is confirmed by measuring on other days.",
}


def _classes(c: Columns, systolic: tuple[float, ...], diastolic: tuple[float, ...]) -> Result:
    """The higher of the two pressures' classes."""
    return Result(None, worse(parted(c["sbp_mmhg"], systolic), parted(c["dbp_mmhg"], diastolic), len(systolic)))


def _ksh(c: Columns) -> Result:
    # "Elevated" has no diastolic range of its own: from 80 on it is prehypertension, hence the edge given twice.
    return _classes(c, (120, 130, 140, 160), (80, 80, 90, 100))


def _esh(c: Columns) -> Result:
    return _classes(c, (120, 130, 140, 160, 180), (80, 85, 90, 100, 110))


def _acc(c: Columns) -> Result:
    return _classes(c, (120, 130, 140), (80, 80, 90))


def _isolated(c: Columns) -> Result:
    systolic, diastolic = c["sbp_mmhg"], c["dbp_mmhg"]
    return Result(None, either((systolic >= 140) & (diastolic < 90), (systolic < 140) | (diastolic >= 90)))


def _urgent(c: Columns) -> Result:
    systolic, diastolic = c["sbp_mmhg"], c["dbp_mmhg"]
    return Result(None, either((systolic >= 180) | (diastolic >= 110), (systolic < 180) & (diastolic < 110)))


def _low(c: Columns) -> Result:
    systolic, diastolic = c["sbp_mmhg"], c["dbp_mmhg"]
    return Result(None, either((systolic < 90) | (diastolic < 60), (systolic >= 90) & (diastolic >= 60)))


def _beside(code: str, ko: str, en: str) -> Band:
    return band(
        code,
        "info",
        f"{ko}. 나라마다 기준이 조금 다릅니다. 한국 기준을 먼저 보세요.",
        f"{en}. Countries draw the line differently; go by the Korean class first.",
    )


RULES: Final = (
    Rule(
        id="bp.urgent",
        version="1",
        title={"ko": "오늘 진료가 필요한 혈압", "en": "Blood pressure that needs a doctor today"},
        group=GROUP,
        source="Korean Society of Hypertension 2022 (Kim HL et al., Clin Hypertens 2023;29:11), severe hypertension "
        "≥ 180/110 mmHg; ESH 2023 (Mancia G et al., J Hypertens 2023;41:1874), grade 3",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            band("no", "good", "오늘 당장 진료가 필요한 혈압은 아닙니다.", "It does not need a doctor today."),
            band(
                "urgent",
                "urgent",
                "혈압이 매우 높습니다. 5분 앉아 쉰 뒤 다시 재고, 그래도 높으면 오늘 진료를 받으세요. "
                "가슴 통증, 심한 두통, 숨참, 마비가 있으면 바로 119에 전화하세요.",
                "Your blood pressure is very high. Sit quietly for five minutes and measure again; if it is still "
                "high, see a doctor today. With chest pain, severe headache, breathlessness or weakness call 119 now.",
            ),
        ),
        cannot=CANNOT,
        run=_urgent,
    ),
    Rule(
        id="bp.ksh-2022",
        version="1",
        title={"ko": "혈압 (대한고혈압학회)", "en": "Blood pressure (Korean Society of Hypertension)"},
        group=GROUP,
        source="Korean Society of Hypertension 2022 (Kim HL et al., Clin Hypertens 2023;29:11), classes of 2018 "
        "(Lee HY et al., Clin Hypertens 2019;25:20)",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            band("normal", "good", "정상 혈압입니다. 지금처럼 지내세요.", "Normal. Keep going as you are."),
            band(
                "elevated",
                "watch",
                "주의혈압입니다. 덜 짜게 먹고 자주 걸으세요. 1년 안에 다시 재세요.",
                "Elevated. Eat less salt, walk more, and measure again within a year.",
            ),
            band(
                "prehypertension",
                "watch",
                "고혈압 전단계입니다. 소금, 술, 몸무게를 줄이고 3~6개월 뒤 다시 재세요.",
                "Prehypertension. Cut down salt, alcohol and weight; measure again in three to six months.",
            ),
            band(
                "grade-1",
                "act",
                "고혈압 1기에 해당하는 수치입니다. 집에서 며칠 재어 적고, 한 달 안에 진료를 받으세요.",
                "In the range of grade 1 hypertension. Note readings at home and see a doctor within a month.",
            ),
            band(
                "grade-2",
                "act",
                "고혈압 2기에 해당하는 수치입니다. 1~2주 안에 진료를 받으세요.",
                "In the range of grade 2 hypertension. See a doctor within one or two weeks.",
            ),
        ),
        cannot=CANNOT,
        run=_ksh,
    ),
    Rule(
        id="bp.isolated-systolic",
        version="1",
        title={"ko": "수축기 단독 고혈압", "en": "Isolated systolic hypertension"},
        group=GROUP,
        source="Korean Society of Hypertension 2022 (Kim HL et al., Clin Hypertens 2023;29:11): ≥ 140 and < 90 mmHg",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            band("no", "good", "해당하지 않습니다.", "Does not apply."),
            band(
                "yes",
                "act",
                "위 혈압만 높습니다. 나이가 들며 혈관이 굳을 때 흔합니다. 진료를 받아 확인하세요.",
                "Only the upper pressure is high, as is common when arteries stiffen with age. "
                "Have it checked by a doctor.",
            ),
        ),
        cannot=CANNOT,
        run=_isolated,
    ),
    Rule(
        id="bp.low",
        version="1",
        title={"ko": "낮은 혈압", "en": "Low blood pressure"},
        group=GROUP,
        source="US National Heart, Lung, and Blood Institute, Low Blood Pressure (2022): below 90/60 mmHg",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            band("no", "good", "낮지 않습니다.", "Not low."),
            band(
                "low",
                "info",
                "혈압이 낮은 편입니다. 증상이 없으면 괜찮습니다. 어지럽거나 쓰러진 적이 있으면 진료를 받으세요.",
                "On the low side. Without symptoms this is fine; if you feel dizzy or have fainted, see a doctor.",
            ),
        ),
        cannot={
            "ko": "낮은 혈압이 해로운지는 증상이 말해 줍니다. 수치만으로는 알 수 없습니다.",
            "en": "Whether a low pressure does harm is told by symptoms, not by the number.",
        },
        run=_low,
    ),
    Rule(
        id="bp.esh-2023",
        version="1",
        title={"ko": "혈압 (유럽고혈압학회)", "en": "Blood pressure (European Society of Hypertension)"},
        group=GROUP,
        source="2023 ESH Guidelines (Mancia G et al., J Hypertens 2023;41:1874–2071)",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            _beside("optimal", "유럽 기준 최적 혈압", "Optimal in Europe"),
            _beside("normal", "유럽 기준 정상 혈압", "Normal in Europe"),
            _beside("high-normal", "유럽 기준 높은 정상 혈압", "High-normal in Europe"),
            _beside("grade-1", "유럽 기준 고혈압 1단계", "Grade 1 hypertension in Europe"),
            _beside("grade-2", "유럽 기준 고혈압 2단계", "Grade 2 hypertension in Europe"),
            _beside("grade-3", "유럽 기준 고혈압 3단계", "Grade 3 hypertension in Europe"),
        ),
        cannot=CANNOT,
        run=_esh,
        beside=True,
    ),
    Rule(
        id="bp.acc-aha-2017",
        version="1",
        title={"ko": "혈압 (미국심장학회)", "en": "Blood pressure (ACC/AHA)"},
        group=GROUP,
        source="2017 ACC/AHA Guideline (Whelton PK et al., Hypertension 2018;71:e13–e115)",
        inputs=INPUTS,
        unit="mmHg",
        bands=(
            _beside("normal", "미국 기준 정상 혈압", "Normal in the United States"),
            _beside("elevated", "미국 기준 상승 혈압", "Elevated in the United States"),
            _beside("stage-1", "미국 기준 고혈압 1단계", "Stage 1 hypertension in the United States"),
            _beside("stage-2", "미국 기준 고혈압 2단계", "Stage 2 hypertension in the United States"),
        ),
        cannot=CANNOT,
        run=_acc,
        beside=True,
    ),
)
"""The rules of this module."""
