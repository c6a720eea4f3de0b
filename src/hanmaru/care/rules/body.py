"""The body's shape and composition: BMI, waist, fat and water by the cut-offs for Koreans."""

from typing import Final

from hanmaru.care.rules.columns import Columns, Floats
from hanmaru.care.rules.core import Result, Rule, band, over, parted, parted_by_sex

GROUP: Final = "body"

_KSSO: Final = (
    "Korean Society for the Study of Obesity 2022 (Kim KK et al., J Obes Metab Syndr 2023;32:1–24); "
    "WHO Western Pacific Region, The Asia-Pacific perspective (2000)"
)
_BMI: Final = (18.5, 23.0, 25.0, 30.0, 35.0)
_WAIST: Final = ((90.0,), (85.0,))
_HEIGHT_SHARE: Final = (0.4, 0.5, 0.6)
_FAT: Final = ((10.0, over(20.0)), (18.0, over(28.0)))
_WATER: Final = (0.36, over(0.39))


def _adults(c: Columns, value: Floats, cuts: tuple[float, ...]) -> Result:
    """Cut-offs of adults; a child's or an unknown age cannot be told."""
    band_ = parted(value, cuts)
    band_[~(c["age_years"] >= 19)] = -1
    return Result(value, band_)


def _bmi(c: Columns) -> Result:
    return _adults(c, c["bmi"], _BMI)


def _waist(c: Columns) -> Result:
    band_ = parted_by_sex(c["waist_cm"], c["sex"], *_WAIST)
    band_[~(c["age_years"] >= 19)] = -1
    return Result(c["waist_cm"], band_)


def _waist_to_height(c: Columns) -> Result:
    return _adults(c, c["waist_to_height"], _HEIGHT_SHARE)


def _fat(c: Columns) -> Result:
    band_ = parted_by_sex(c["body_fat_pct"], c["sex"], *_FAT)
    band_[~(c["age_years"] >= 19)] = -1
    return Result(c["body_fat_pct"], band_)


def _water(c: Columns) -> Result:
    return _adults(c, c["ecw_tbw"], _WATER)


_DISEASE: Final = {
    "ko": "근육이 많은 사람과 마른 비만은 가려내지 못합니다. 임신 중에는 맞지 않습니다.",
    "en": "Does not tell muscle from fat, and does not hold in pregnancy.",
}
_ELECTRIC: Final = {
    "ko": "몸에 약한 전기를 흘려 어림한 값입니다. 물을 마신 뒤나 운동 직후, 부종이 있을 때는 어긋납니다.",
    "en": "Estimated with a weak current through the body; off after drinking or exercise, and with swelling.",
}

RULES: Final = (
    Rule(
        id="bmi.ksso-2022",
        version="1",
        title={"ko": "체질량지수 (대한비만학회)", "en": "Body mass index (Korean cut-offs)"},
        group=GROUP,
        source=_KSSO,
        inputs=("height_cm", "weight_kg", "bmi", "age_years"),
        unit="kg/m²",
        bands=(
            band(
                "underweight",
                "watch",
                "저체중입니다. 까닭 없이 몸무게가 줄었다면 진료를 받으세요. 단백질과 끼니를 챙기세요.",
                "Underweight. If you have lost weight without meaning to, see a doctor. Mind meals and protein.",
            ),
            band("normal", "good", "알맞은 몸무게입니다.", "A healthy weight."),
            band(
                "pre-obese",
                "watch",
                "비만 전단계(과체중)입니다. 지금 1~2kg만 줄여도 도움이 됩니다.",
                "Pre-obese (overweight). Losing one or two kilograms now already helps.",
            ),
            band(
                "obese-1",
                "watch",
                "1단계 비만입니다. 6개월에 몸무게의 5%를 줄이는 것부터 시작해 보세요.",
                "Obesity class I. Start with losing 5 % of your weight over six months.",
            ),
            band(
                "obese-2",
                "act",
                "2단계 비만입니다. 병원이나 보건소의 비만 상담을 받으세요.",
                "Obesity class II. Ask a clinic or the health centre for weight counselling.",
            ),
            band(
                "obese-3",
                "act",
                "3단계 비만입니다. 건강에 큰 부담이 됩니다. 진료를 받으세요.",
                "Obesity class III, a heavy load on health. See a doctor.",
            ),
        ),
        cannot=_DISEASE,
        run=_bmi,
        cuts=(_BMI, _BMI),
    ),
    Rule(
        id="waist.ksso-2022",
        version="1",
        title={"ko": "허리둘레", "en": "Waist"},
        group=GROUP,
        source=_KSSO + ": abdominal obesity from 90 cm (men), 85 cm (women)",
        inputs=("waist_cm", "sex", "age_years"),
        unit="cm",
        bands=(
            band("normal", "good", "복부비만이 아닙니다.", "No abdominal obesity."),
            band(
                "abdominal-obesity",
                "watch",
                "복부비만입니다. 뱃속 지방은 혈압과 혈당을 올립니다. 걷기와 덜 단 음식부터 시작하세요.",
                "Abdominal obesity. Fat in the belly raises blood pressure and sugar; start with walks and less sugar.",
            ),
        ),
        cannot={
            "ko": "재는 높이와 숨에 따라 몇 cm 달라집니다. 임신 중에는 맞지 않습니다.",
            "en": "Varies by some centimetres with height of tape and breath; does not hold in pregnancy.",
        },
        run=_waist,
        cuts=_WAIST,
    ),
    Rule(
        id="waist-to-height.nice-2022",
        version="1",
        title={"ko": "허리-키 비율", "en": "Waist to height"},
        group=GROUP,
        source="NICE CG189, update of 2022, recommendation 1.2: 0.4–0.49, 0.5–0.59, 0.6 or more",
        inputs=("waist_cm", "height_cm", "age_years"),
        unit="",
        bands=(
            band("low", "info", "허리가 키에 비해 가는 편입니다.", "A slender waist for your height."),
            band("healthy", "good", "허리가 키의 절반보다 가늡니다. 좋습니다.", "Less than half your height. Good."),
            band(
                "increased",
                "watch",
                "허리가 키의 절반을 넘습니다. 절반 아래를 목표로 하세요.",
                "More than half your height. Aim for less than half.",
            ),
            band(
                "high",
                "watch",
                "허리가 키에 비해 매우 굵습니다. 허리를 줄일 방법을 상담하세요.",
                "Very wide for your height. Ask for advice on reducing it.",
            ),
        ),
        cannot=_DISEASE,
        run=_waist_to_height,
        cuts=(_HEIGHT_SHARE, _HEIGHT_SHARE),
    ),
    Rule(
        id="body-fat.sheet",
        version="1",
        title={"ko": "체지방률", "en": "Body fat"},
        group=GROUP,
        source="Standard range of body-composition sheets: 10–20 % (men), 18–28 % (women)",
        inputs=("body_fat_pct", "sex", "age_years"),
        unit="%",
        bands=(
            band("below", "info", "표준보다 낮습니다.", "Below the standard range."),
            band("standard", "good", "표준 범위입니다.", "In the standard range."),
            band(
                "above",
                "watch",
                "표준보다 높습니다. 근력 운동과 걷기를 함께 하세요.",
                "Above the standard range. Combine strength training with walking.",
            ),
        ),
        cannot=_ELECTRIC,
        run=_fat,
        cuts=_FAT,
    ),
    Rule(
        id="ecw-tbw.sheet",
        version="1",
        title={"ko": "세포외수분비", "en": "Extracellular share of body water"},
        group=GROUP,
        source="Standard range of body-composition sheets: 0.36–0.39",
        inputs=("ecw_tbw", "age_years"),
        unit="",
        bands=(
            band("below", "info", "표준보다 낮습니다.", "Below the standard range."),
            band("standard", "good", "몸속 물의 균형이 좋습니다.", "Body water is well balanced."),
            band(
                "above",
                "watch",
                "표준보다 높습니다. 다리가 붓거나 숨이 차면 진료를 받으세요.",
                "Above the standard range. If legs swell or breath is short, see a doctor.",
            ),
        ),
        cannot=_ELECTRIC,
        run=_water,
        cuts=(_WATER, _WATER),
    ),
)
"""The rules of this module."""
