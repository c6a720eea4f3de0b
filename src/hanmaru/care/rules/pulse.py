"""The pulse at rest."""

from typing import Final

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Result, Rule, band, over, parted

_CUTS: Final = (60.0, over(100.0))


def _run(c: Columns) -> Result:
    return Result(c["pulse_bpm"], parted(c["pulse_bpm"], _CUTS))


RULES: Final = (
    Rule(
        id="pulse.resting",
        version="1",
        title={"ko": "맥박", "en": "Pulse at rest"},
        group="blood-pressure",
        source="American Heart Association, All About Heart Rate (2024): 60–100 beats a minute at rest",
        inputs=("pulse_bpm",),
        unit="/min",
        bands=(
            band(
                "slow",
                "info",
                "느린 편입니다. 운동을 많이 하면 흔합니다. 어지럽거나 쓰러진 적이 있으면 진료를 받으세요.",
                "On the slow side, as is common in trained people. If you feel dizzy or have fainted, see a doctor.",
            ),
            band("normal", "good", "정상 범위입니다.", "In the normal range."),
            band(
                "fast",
                "watch",
                "빠른 편입니다. 10분 쉬고 다시 재세요. 계속 빠르거나 가슴이 두근거리면 진료를 받으세요.",
                "On the fast side. Rest ten minutes and measure again; if it stays or flutters, see a doctor.",
            ),
        ),
        cannot={
            "ko": "맥박이 고른지는 알 수 없습니다. 심전도가 필요합니다.",
            "en": "Does not tell whether the beat is regular; that takes an electrocardiogram.",
        },
        run=_run,
        cuts=(_CUTS, _CUTS),
    ),
)
"""The rule of this module."""
