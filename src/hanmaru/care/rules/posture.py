"""Posture from a photograph: screening only. An angle never asks for more than to mind it.

What the angles are (degrees):
``cva_deg``: from the side, between the horizontal and the line from the seventh neck vertebra to the ear's tragus.
``head_tilt_deg``, ``shoulder_tilt_deg``, ``pelvis_tilt_deg``: from the front, of the line through both eyes (ears),
both shoulders, both hips against the horizontal; signed, the sign is not judged.
``trunk_shift_deg``: from the front, of the line from the middle of the hips to the middle of the shoulders against the
vertical; signed.
``knee_deg``: from the side, between thigh and shank; 180 is straight, more is bent backwards.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Result, Rule, Text, band, over, parted

GROUP: Final = "posture"
CANNOT: Final[Text] = {
    "ko": "사진 한 장으로 본 어림값입니다. 엑스레이와는 약하게만 맞으며, 병을 찾거나 진단하지 못합니다. "
    "옷, 서 있는 자세, 카메라 위치에 따라 달라집니다.",
    "en": "A rough look from one photograph. It agrees only weakly with X-rays and neither finds nor rules out "
    "disease. "
    "Clothes, stance and the camera change it.",
}
SOURCE_HEAD: Final = (
    "Lee HS, Chung HK, Park SW. J Korean Soc Phys Med 2015 (45.5° parts slight from marked forward "
    "head); "
    "Oakley PA, et al. J Clin Med 2024;13:2149 (50° corresponds to 20 mm on the X-ray; weak correlation, R² 0.30)"
)
SOURCE_LEVEL: Final = (
    "No published cut-off. 3° is our own edge, beyond what placing two landmarks in a photograph varies by; "
    "reliability "
    "and missing validity: Singla D, et al. J Chiropr Med 2017;16:131-138"
)
SOURCE_KNEE: Final = (
    "Loudon JK, Goist HL, Loudon KL. Genu recurvatum syndrome. J Orthop Sports Phys Ther 1998;27:361-367 (more than 5°)"
)
SLOPE: Final = 3.0


def _head(columns: Columns) -> Result:
    value = columns["cva_deg"]
    return Result(value, parted(value, (45.5, 50)))


def _level(name: str) -> Callable[[Columns], Result]:
    def run(columns: Columns) -> Result:
        value = np.abs(columns[name])
        return Result(value, parted(value, (over(SLOPE),)))

    return run


def _knee(columns: Columns) -> Result:
    value = columns["knee_deg"]
    return Result(value, parted(value, (over(185),)))


def _slope(name: str, ko: str, en: str) -> Rule:
    return Rule(
        id=f"posture.{name.removesuffix('_deg').replace('_', '-')}",
        version="1",
        title={"ko": ko, "en": en},
        group=GROUP,
        source=SOURCE_LEVEL,
        inputs=(name,),
        unit="°",
        bands=(
            band("even", "good", "사진에서는 거의 바릅니다.", "Close to level in the photograph."),
            band(
                "uneven",
                "watch",
                "사진에서 3°보다 더 기울어 보입니다. 다시 찍어 보고, 아프거나 불편하면 상담하세요.",
                "It leans by more than 3° in the photograph. Take it again; if something hurts, ask for advice.",
            ),
        ),
        cannot=CANNOT,
        run=_level(name),
        cuts=((over(SLOPE),), (over(SLOPE),)),
    )


RULES: Final = (
    Rule(
        id="posture.head-forward",
        version="1",
        title={"ko": "목 앞으로 나온 정도 (두개척추각)", "en": "Head forward (craniovertebral angle)"},
        group=GROUP,
        source=SOURCE_HEAD,
        inputs=("cva_deg",),
        unit="°",
        bands=(
            band(
                "marked",
                "watch",
                "머리가 앞으로 많이 나와 있습니다. 화면을 눈높이로 올리고 목 운동을 해 보세요. 아프면 상담하세요.",
                "The head is well forward. Raise your screen to eye level and exercise the neck; if it hurts, ask "
                "for advice.",
            ),
            band(
                "slight",
                "watch",
                "머리가 조금 앞으로 나와 있습니다. 한 시간에 한 번 일어나 목과 어깨를 펴세요.",
                "The head is slightly forward. Get up once an hour and stretch neck and shoulders.",
            ),
            band("upright", "good", "머리와 목의 자세가 바릅니다.", "Head and neck are upright."),
        ),
        cannot=CANNOT,
        run=_head,
        cuts=((45.5, 50.0), (45.5, 50.0)),
    ),
    _slope("head_tilt_deg", "머리 기울기", "Tilt of the head"),
    _slope("shoulder_tilt_deg", "어깨 기울기", "Tilt of the shoulders"),
    _slope("pelvis_tilt_deg", "골반 기울기", "Tilt of the pelvis"),
    _slope("trunk_shift_deg", "몸통 치우침", "Shift of the trunk"),
    Rule(
        id="posture.knee",
        version="1",
        title={"ko": "무릎이 뒤로 젖혀진 정도", "en": "Knee bent backwards"},
        group=GROUP,
        source=SOURCE_KNEE,
        inputs=("knee_deg",),
        unit="°",
        bands=(
            band("straight", "good", "무릎이 뒤로 젖혀지지 않았습니다.", "The knee is not bent backwards."),
            band(
                "recurvatum",
                "watch",
                "무릎이 5°보다 더 뒤로 젖혀져 보입니다. 무릎을 살짝 굽혀 서 보세요. 아프면 상담하세요.",
                "The knee looks bent backwards by more than 5°. Stand with it slightly bent; if it hurts, ask for "
                "advice.",
            ),
        ),
        cannot=CANNOT,
        run=_knee,
        cuts=((over(185),), (over(185),)),
    ),
)
