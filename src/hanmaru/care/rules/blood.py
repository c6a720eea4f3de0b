"""Blood sugar and blood lipids by the Korean guidelines."""

from typing import Final

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Band, Result, Rule, band, parted

GROUP: Final = "blood"

_KDA: Final = "Korean Diabetes Association 2023 (Choi JH et al., Diabetes Metab J 2023;47:575–594)"
_KSOLA: Final = "Korean Society of Lipid and Atherosclerosis, Guidelines for Dyslipidemia, 5th ed. (2022)"

_ONE_SAMPLE: Final = {
    "ko": "한 번의 피검사로 당뇨병을 진단할 수 없습니다. 8시간 이상 굶지 않았다면 맞지 않습니다.",
    "en": "One sample cannot diagnose diabetes, and does not count unless taken after eight hours without food.",
}
_RED_CELLS: Final = {
    "ko": "빈혈, 신장병, 임신, 수혈 뒤에는 실제와 다를 수 있습니다.",
    "en": "Misleading in anaemia, kidney disease, pregnancy and after a transfusion.",
}
_LIPIDS: Final = {
    "ko": "목표 수치는 심장병, 당뇨병 같은 다른 위험에 따라 사람마다 다릅니다.",
    "en": "The value to aim for differs between people by heart disease, diabetes and other risks.",
}


def _rule(
    id: str,
    ko: str,
    en: str,
    source: str,
    column: str,
    cuts: tuple[float, ...],
    bands: tuple[Band, ...],
    cannot: dict[str, str],
) -> Rule:
    def run(c: Columns) -> Result:
        return Result(c[column], parted(c[column], cuts))

    return Rule(
        id=id,
        version="1",
        title={"ko": ko, "en": en},
        group=GROUP,
        source=source,
        inputs=(column,),
        unit="%" if column == "hba1c_pct" else "mg/dL",
        bands=bands,
        cannot=cannot,
        run=run,
        cuts=(cuts, cuts),
    )


RULES: Final = (
    _rule(
        "glucose.kda-2023",
        "공복혈당",
        "Fasting glucose",
        _KDA + "; hypoglycaemia < 70 mg/dL",
        "glucose_mg_dl",
        (70, 100, 110, 126),
        (
            band(
                "low",
                "act",
                "혈당이 낮습니다. 떨리거나 식은땀이 나면 바로 단것을 드세요. 당뇨약을 드신다면 의사에게 알리세요.",
                "Low. If you tremble or sweat, take something sweet now. If you take diabetes medicine, tell a doctor.",
            ),
            band("normal", "good", "정상입니다.", "Normal."),
            band(
                "impaired-1",
                "watch",
                "공복혈당장애(1단계)입니다. 단 음료를 줄이고 걷기를 늘리세요. 1년 안에 다시 검사하세요.",
                "Impaired fasting glucose, stage 1. Fewer sweet drinks, more walking; test again within a year.",
            ),
            band(
                "impaired-2",
                "watch",
                "공복혈당장애(2단계)입니다. 당화혈색소나 당부하 검사를 상담하세요.",
                "Impaired fasting glucose, stage 2. Ask about HbA1c or a glucose tolerance test.",
            ),
            band(
                "diabetes-range",
                "act",
                "당뇨병 범위의 수치입니다. 병원에서 다시 검사하세요. 이미 치료 중이면 담당 의사와 상의하세요.",
                "In the range of diabetes. Have it tested again by a doctor; if already treated, talk to your doctor.",
            ),
        ),
        _ONE_SAMPLE,
    ),
    _rule(
        "hba1c.kda-2023",
        "당화혈색소",
        "HbA1c",
        _KDA,
        "hba1c_pct",
        (5.7, 6.5),
        (
            band("normal", "good", "정상입니다.", "Normal."),
            band(
                "prediabetes",
                "watch",
                "당뇨병 전단계입니다. 몸무게의 5%를 줄이면 당뇨병을 늦추거나 막을 수 있습니다.",
                "Prediabetes. Losing 5 % of your weight can delay or prevent diabetes.",
            ),
            band(
                "diabetes-range",
                "act",
                "당뇨병 범위의 수치입니다. 병원에서 확인하세요. 이미 치료 중이면 담당 의사와 상의하세요.",
                "In the range of diabetes. Have it confirmed; if already treated, talk to your doctor.",
            ),
        ),
        _RED_CELLS,
    ),
    _rule(
        "total-cholesterol.ksola-2022",
        "총콜레스테롤",
        "Total cholesterol",
        _KSOLA,
        "total_cholesterol_mg_dl",
        (200, 240),
        (
            band("normal", "good", "적정합니다.", "Desirable."),
            band(
                "borderline",
                "watch",
                "경계입니다. 기름진 고기와 튀김을 줄이세요.",
                "Borderline. Less fatty meat and fried food.",
            ),
            band(
                "high",
                "act",
                "높습니다. 진료를 받아 위험을 함께 따져 보세요.",
                "High. See a doctor to weigh your risk.",
            ),
        ),
        _LIPIDS,
    ),
    _rule(
        "ldl.ksola-2022",
        "LDL 콜레스테롤",
        "LDL cholesterol",
        _KSOLA,
        "ldl_mg_dl",
        (100, 130, 160, 190),
        (
            band("optimal", "good", "적정합니다.", "Optimal."),
            band("normal", "good", "정상입니다.", "Normal."),
            band("borderline", "watch", "경계입니다. 포화지방을 줄이세요.", "Borderline. Less saturated fat."),
            band("high", "act", "높습니다. 진료를 받으세요.", "High. See a doctor."),
            band(
                "very-high",
                "act",
                "매우 높습니다. 가족성일 수 있으니 진료를 받으세요.",
                "Very high. It may run in the family; see a doctor.",
            ),
        ),
        _LIPIDS,
    ),
    _rule(
        "hdl.ksola-2022",
        "HDL 콜레스테롤",
        "HDL cholesterol",
        _KSOLA,
        "hdl_mg_dl",
        (40, 60),
        (
            band("low", "watch", "낮습니다. 담배를 끊고 걸으면 오릅니다.", "Low. Not smoking and walking raise it."),
            band("normal", "good", "보통입니다.", "In the middle."),
            band("high", "good", "높습니다. 대체로 좋은 신호입니다.", "High, mostly a good sign."),
        ),
        _LIPIDS,
    ),
    _rule(
        "triglycerides.ksola-2022",
        "중성지방",
        "Triglycerides",
        _KSOLA,
        "triglycerides_mg_dl",
        (150, 200, 500),
        (
            band("normal", "good", "적정합니다.", "Desirable."),
            band("borderline", "watch", "경계입니다. 술과 단것을 줄이세요.", "Borderline. Less alcohol and sugar."),
            band(
                "high",
                "act",
                "높습니다. 술과 단것을 끊고 진료를 받으세요.",
                "High. Stop alcohol and sweets; see a doctor.",
            ),
            band(
                "very-high",
                "act",
                "매우 높습니다. 췌장염 위험이 있습니다. 1주 안에 진료를 받으세요.",
                "Very high, with a risk of pancreatitis. See a doctor within a week.",
            ),
        ),
        {
            "ko": "식사 뒤에는 크게 오릅니다. 12시간 굶고 잰 값이어야 합니다.",
            "en": "Rises strongly after meals; counts only after twelve hours without food.",
        },
    ),
)
"""The rules of this module."""
