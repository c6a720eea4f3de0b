"""What citizens read of the risk models: classes, sentences, and what each model cannot tell."""

from collections.abc import Mapping
from typing import Final

from hanmaru.care.rules.core import Band, Text, band

_SMALL_KO: Final = "지금처럼 지내고 해마다 검사하세요."
_SMALL_EN: Final = "Keep going as you are, and have it checked every year."
_TALK_KO: Final = "혈압, 콜레스테롤, 흡연 가운데 줄일 수 있는 것을 간호사와 함께 정해 보세요."
_TALK_EN: Final = "Choose with the nurse what you can bring down: blood pressure, cholesterol, smoking."
_SEE_KO: Final = "한 달 안에 의사와 상담해 치료가 필요한지 확인하세요."
_SEE_EN: Final = "See a doctor within a month to find out whether you need treatment."


def _ten_years(low: str, next_: str, high: str, very_high: str) -> tuple[Band, ...]:
    """Four classes of a risk in ten years, with the ranges as people read them."""
    return (
        band(
            "low",
            "good",
            f"10년 위험이 낮습니다({low}). {_SMALL_KO}",
            f"Your ten-year risk is low ({low}). {_SMALL_EN}",
        ),
        band(
            "borderline",
            "watch",
            f"10년 위험이 조금 높습니다({next_}). {_TALK_KO}",
            f"Your ten-year risk is slightly raised ({next_}). {_TALK_EN}",
        ),
        band(
            "intermediate",
            "watch",
            f"10년 위험이 높은 편입니다({high}). {_TALK_KO}",
            f"Your ten-year risk is raised ({high}). {_TALK_EN}",
        ),
        band(
            "high",
            "act",
            f"10년 위험이 높습니다({very_high}). {_SEE_KO}",
            f"Your ten-year risk is high ({very_high}). {_SEE_EN}",
        ),
    )


PREVENT_CUTS: Final = (5.0, 7.5, 20.0)
"""The classes that ACC/AHA guidelines use for ten-year risks (2019, doi:10.1161/CIR.0000000000000678)."""
PREVENT_BANDS: Final = _ten_years("5% 미만 · under 5%", "5–7.4%", "7.5–19.9%", "20% 이상 · 20% and over")
PREVENT_CUTS_30: Final = ()
"""No guideline has classes for thirty years."""
PREVENT_BANDS_30: Final = (
    band(
        "outlook",
        "info",
        "앞으로 30년을 내다본 값입니다. 정해진 등급은 없습니다. 젊을 때 줄인 위험은 오래 갑니다.",
        "A look thirty years ahead. There are no set classes. What you bring down when young pays for long.",
    ),
)
_WHAT: Final[Mapping[str, Text]] = {
    "cvd": {"ko": "심혈관질환", "en": "cardiovascular disease"},
    "ascvd": {"ko": "심근경색·뇌졸중", "en": "heart attack and stroke"},
    "hf": {"ko": "심부전", "en": "heart failure"},
}
PREVENT_TITLES: Final[Mapping[tuple[str, int], Text]] = {
    (outcome, years): {
        "ko": f"{what['ko']} {years}년 위험 (PREVENT)",
        "en": f"Risk of {what['en']} in {years} years (PREVENT)",
    }
    for outcome, what in _WHAT.items()
    for years in (10, 30)
}
PREVENT_CANNOT: Final = {
    "ko": "미국 사람들로 만든 모형입니다. 한국인에게는 실제보다 높게 나올 수 있습니다. 30~79세(30년 위험은 "
    "59세까지), 심혈관질환을 앓은 적이 "
    "없는 사람에게만 씁니다. 내게 일어날지를 맞히는 것이 아니라, 나와 비슷한 100명 가운데 몇 명인지를 말합니다.",
    "en": "Made from people in the United States; it may read too high for Koreans. For ages 30 to 79 (30 years: up "
    "to 59) without "
    "cardiovascular disease so far. It does not say what will happen to you but to how many of 100 people like you.",
}

FRAMINGHAM_CUTS: Final = (10.0, 20.0)
"""Low, intermediate and high as in the paper."""
FRAMINGHAM_TITLE: Final = {
    "ko": "심혈관질환 10년 위험 (프레이밍햄, 피검사 없이)",
    "en": "Ten-year cardiovascular risk without a blood test (Framingham)",
}
FRAMINGHAM_BANDS: Final = (
    band(
        "low",
        "good",
        f"10년 위험이 낮습니다(10% 미만). {_SMALL_KO}",
        f"Your ten-year risk is low (under 10%). {_SMALL_EN}",
    ),
    band(
        "intermediate",
        "watch",
        f"10년 위험이 높은 편입니다(10~20%). {_TALK_KO}",
        f"Your ten-year risk is raised (10 to 20%). {_TALK_EN}",
    ),
    band(
        "high",
        "act",
        "10년 위험이 높습니다(20% 이상). 콜레스테롤 검사를 받고 의사와 상담하세요.",
        "Your ten-year risk is high (20% and over). Have your cholesterol tested and see a doctor.",
    ),
)
FRAMINGHAM_CANNOT: Final = {
    "ko": "피검사 없이 어림한 값이고, 미국 한 도시의 사람들로 만들어 한국인에게는 높게 나옵니다. 30~74세, "
    "심혈관질환을 앓은 적이 없는 사람에게만 씁니다.",
    "en": "A rough figure without a blood test, made from one American town; it reads too high for Koreans. For "
    "ages 30 to 74 without "
    "cardiovascular disease so far.",
}

ASIA_CUTS: Final = (5.0, 10.0, 20.0)
"""Low, moderate, high and very high as the European guideline for diabetes parts ten-year risks
(doi:10.1093/eurheartj/ehad192)."""
ASIA_TITLE: Final = {
    "ko": "심근경색·뇌졸중 10년 위험 (SCORE2 아시아·태평양)",
    "en": "Ten-year risk of heart attack and stroke (SCORE2 Asia-Pacific)",
}
ASIA_BANDS: Final = (
    band(
        "low",
        "good",
        f"10년 위험이 낮습니다(5% 미만). {_SMALL_KO}",
        f"Your ten-year risk is low (under 5%). {_SMALL_EN}",
    ),
    band(
        "moderate",
        "watch",
        f"10년 위험이 중간입니다(5~9.9%). {_TALK_KO}",
        f"Your ten-year risk is moderate (5 to 9.9%). {_TALK_EN}",
    ),
    band(
        "high",
        "act",
        f"10년 위험이 높습니다(10~19.9%). {_SEE_KO}",
        f"Your ten-year risk is high (10 to 19.9%). {_SEE_EN}",
    ),
    band(
        "very-high",
        "act",
        f"10년 위험이 매우 높습니다(20% 이상). {_SEE_KO}",
        f"Your ten-year risk is very high (20% and over). {_SEE_EN}",
    ),
)
ASIA_CANNOT: Final = {
    "ko": "아시아·태평양의 저위험 나라 수준에 맞춘 값입니다. 40~69세, 당뇨병과 심혈관질환이 없는 사람에게만 씁니다. "
    "혈압약·고지혈증약의 효과는 따로 보지 않습니다.",
    "en": "Set to the level of Asia-Pacific's low-risk countries. For ages 40 to 69 without diabetes or "
    "cardiovascular disease. It does "
    "not look at medicines.",
}

SCORE2_CUTS: Final = ((2.5, 7.5), (5.0, 10.0), (7.5, 15.0))
"""Under 50, 50 to 69, from 70: low to moderate, high, very high (2021 ESC guideline, doi:10.1093/eurheartj/ehab484,
table 5)."""
SCORE2_TITLE: Final = {
    "ko": "심근경색·뇌졸중 10년 위험 (SCORE2, 유럽 저위험국)",
    "en": "Ten-year risk of heart attack and stroke (SCORE2, Europe's low-risk region)",
}
_BESIDE_KO: Final = "유럽 나라들에 맞춘 값이라 견주어 보는 데만 쓰세요."
_BESIDE_EN: Final = "Set to European countries: for comparison only."
SCORE2_BANDS: Final = (
    band("low", "info", f"나이에 비해 낮거나 보통입니다. {_BESIDE_KO}", f"Low to moderate for the age. {_BESIDE_EN}"),
    band("high", "info", f"나이에 비해 높습니다. {_BESIDE_KO}", f"High for the age. {_BESIDE_EN}"),
    band("very-high", "info", f"나이에 비해 매우 높습니다. {_BESIDE_KO}", f"Very high for the age. {_BESIDE_EN}"),
)
SCORE2_CANNOT: Final = {
    "ko": "유럽의 저위험 나라에 맞춘 모형이라 한국인에게 맞는지 확인되지 않았습니다. 40~89세, 당뇨병과 심혈관질환이 "
    "없는 사람에게만 씁니다.",
    "en": "Set to Europe's low-risk countries; not set to Korea. For ages 40 to 89 without diabetes or "
    "cardiovascular disease.",
}
SCORE2_DIABETES_TITLE: Final = {
    "ko": "당뇨병이 있는 사람의 심근경색·뇌졸중 10년 위험 (SCORE2-Diabetes)",
    "en": "Ten-year risk of heart attack and stroke with diabetes (SCORE2-Diabetes)",
}
SCORE2_DIABETES_BANDS: Final = (
    band("low", "info", f"5% 미만입니다. {_BESIDE_KO}", f"Under 5%. {_BESIDE_EN}"),
    band("moderate", "info", f"5~9.9%입니다. {_BESIDE_KO}", f"5 to 9.9%. {_BESIDE_EN}"),
    band("high", "info", f"10~19.9%입니다. {_BESIDE_KO}", f"10 to 19.9%. {_BESIDE_EN}"),
    band("very-high", "info", f"20% 이상입니다. {_BESIDE_KO}", f"20% and over. {_BESIDE_EN}"),
)
SCORE2_DIABETES_CANNOT: Final = {
    "ko": "유럽의 저위험 나라에 맞춘 모형이라 한국인에게 맞는지 확인되지 않았습니다. 40~69세, 2형 당뇨병이 있고 "
    "심혈관질환이 없는 사람에게만 씁니다.",
    "en": "Set to Europe's low-risk countries; not set to Korea. For ages 40 to 69 with type 2 diabetes and without "
    "cardiovascular disease.",
}

PCE_TITLE: Final = {
    "ko": "심근경색·뇌졸중 10년 위험 (PCE 2013, 비교용)",
    "en": "Ten-year risk of heart attack and stroke (PCE 2013, for comparison)",
}
_PCE_KO: Final = "한국인에게는 실제보다 훨씬 높게 나오므로 비교에만 씁니다."
_PCE_EN: Final = "It reads far too high for Koreans and is kept for comparison only."
PCE_BANDS: Final = (
    band("low", "info", f"5% 미만입니다. {_PCE_KO}", f"Under 5%. {_PCE_EN}"),
    band("borderline", "info", f"5~7.4%입니다. {_PCE_KO}", f"5 to 7.4%. {_PCE_EN}"),
    band("intermediate", "info", f"7.5~19.9%입니다. {_PCE_KO}", f"7.5 to 19.9%. {_PCE_EN}"),
    band("high", "info", f"20% 이상입니다. {_PCE_KO}", f"20% and over. {_PCE_EN}"),
)
PCE_CANNOT: Final = {
    "ko": "미국의 백인과 흑인으로 만들었습니다. 한국 남성에게는 약 1.5배 높게 나옵니다. 40~79세에만 씁니다.",
    "en": "Made from white and black Americans. For Korean men it reads about one and a half times too high. For "
    "ages 40 to 79.",
}

KOREAN_CUTS: Final = (5.0,)
KOREAN_TITLE: Final = {"ko": "한국인 당뇨병 위험 점수", "en": "Korean diabetes score"}
KOREAN_BANDS: Final = (
    band(
        "low",
        "good",
        "당뇨병 위험이 높지 않습니다(4점 이하). 1년에 한 번 다시 확인하세요.",
        "Your risk of diabetes is not raised (up to 4 points). Check again once a year.",
    ),
    band(
        "high",
        "watch",
        "당뇨병이 있을 위험이 높습니다(5점 이상). 공복 혈당 검사를 받아 보세요.",
        "You are at high risk of having diabetes (5 points or more). Have your fasting blood sugar tested.",
    ),
)
KOREAN_CANNOT: Final = {
    "ko": "당뇨병이 있는지는 혈당 검사로만 알 수 있습니다. 5점 이상인 100명 가운데 실제로 당뇨병인 사람은 "
    "6명쯤이고, 당뇨병인 100명 가운데 19명쯤은 "
    "5점 미만입니다. 20세 이상, 당뇨병 진단을 받지 않은 사람에게 씁니다.",
    "en": "Only a blood test shows diabetes. Of 100 people with 5 points or more about 6 have it, and about 19 of "
    "100 who have it score "
    "less. For ages 20 and over without known diabetes.",
}
FINDRISC_CUTS: Final = (7.0, 12.0, 15.0, 21.0)
"""Low under 7, slightly raised 7 to 11, moderate 12 to 14, high 15 to 20, very high above 20, as on the form."""
FINDRISC_TITLE: Final = {"ko": "10년 안 당뇨병 위험 점수 (핀란드)", "en": "Diabetes within ten years (FINDRISC)"}
_TEST_KO: Final = "공복 혈당 검사를 받아 보세요."
_TEST_EN: Final = "Have your fasting blood sugar tested."
FINDRISC_BANDS: Final = (
    band("low", "good", "위험이 낮습니다(100명 중 1명).", "Low: about 1 in 100."),
    band(
        "slight",
        "good",
        "위험이 조금 있습니다(25명 중 1명). 자주 걷고 채소를 드세요.",
        "Slightly raised: about 1 in 25. Walk more and eat vegetables.",
    ),
    band("moderate", "watch", f"위험이 중간입니다(6명 중 1명). {_TEST_KO}", f"Moderate: about 1 in 6. {_TEST_EN}"),
    band("high", "watch", f"위험이 높습니다(3명 중 1명). {_TEST_KO}", f"High: about 1 in 3. {_TEST_EN}"),
    band(
        "very-high",
        "act",
        f"위험이 매우 높습니다(2명 중 1명). 빨리 {_TEST_KO}",
        f"Very high: about 1 in 2. {_TEST_EN} Do so soon.",
    ),
)
FINDRISC_CANNOT: Final = {
    "ko": "핀란드 사람들로 만든 설문입니다. 허리둘레 기준이 한국과 다릅니다. 당뇨병인지는 혈당 검사로만 알 수 "
    "있습니다.",
    "en": "A questionnaire made from people in Finland, whose waist limits differ from Korea's. Only a blood test "
    "shows diabetes.",
}
