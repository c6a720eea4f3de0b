"""What a kiosk sends of a visit, checked: units, the devices' own bytes, what a body can have. Pure.

Nothing is stored unless all of it holds; what does not is told by column, so that it can be measured or typed again.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from statistics import fmean
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from hanmaru.care.devices import gatt
from hanmaru.care.domain import CareError
from hanmaru.care.rules import plausibility
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.platform.services import Text

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Short = Annotated[str, Meta(max_length=100)]
MOST_RAW: Final = 400

RAW_TOLERANCE: Final = 0.05
"""How far a value may be from what its bytes say, in the column's unit: less than any device shows."""

UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "mm[Hg]": {"kPa": gatt.KPA_IN_MMHG},
    "kg": {"lb": gatt.LB_IN_KG, "[lb_av]": gatt.LB_IN_KG},
    "cm": {"m": 100.0, "mm": 0.1, "in": gatt.INCH_IN_CM, "[in_i]": gatt.INCH_IN_CM},
}
"""By a column's UCUM unit: other units that devices show, and what one of them is in the column's."""

SOURCES: Final[Mapping[str, tuple[int, ...]]] = {
    **dict.fromkeys(("sbp_mmhg", "dbp_mmhg", "pulse_bpm"), (gatt.BLOOD_PRESSURE,)),
    **dict.fromkeys(("weight_kg", "height_cm"), (gatt.WEIGHT, gatt.BODY_COMPOSITION)),
    "bmi": (gatt.WEIGHT,),
    **dict.fromkeys(("body_fat_pct", "water_kg"), (gatt.BODY_COMPOSITION,)),
}
"""Which characteristics a column's bytes may be of."""

MEAN: Final = frozenset({"sbp_mmhg", "dbp_mmhg", "pulse_bpm"})
"""Several readings count by their mean (Korean Society of Hypertension 2022: two or more, a minute or two apart)."""
LEAST: Final = frozenset({"shuttle10x4_s", "reaction_s", "tug3m_s", "figure8_s", "chair_stand5_s"})
MOST: Final = frozenset(
    {
        *("grip_left_kg", "grip_right_kg", "shuttle20_laps", "cross_sit_ups", "sit_and_reach_cm", "long_jump_cm"),
        *("air_time_s", "two_minute_step", "six_minute_walk_m", "chair_stand_reps", "gait_speed_m_s"),
    }
)
"""Of several tries the best counts, as National Fitness 100 has it; of anything else the last."""


class DeviceInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of itself."""

    name: Name
    model: Short = ""
    serial: Short = ""
    address: Short = ""


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reading as the kiosk sends it. ``raw`` is hexadecimal, packets parted by a space."""

    column: Name
    value: float
    unit: Annotated[str, Meta(max_length=32)]
    at: Name
    how: Literal["device", "manual"]
    device: DeviceInfo | None = None
    raw: Annotated[str, Meta(max_length=MOST_RAW)] | None = None
    repeat: Annotated[int, Meta(ge=1, le=10)] | None = None


class Posture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Angles that were computed from a photograph at the kiosk, which keeps no image."""

    angles: Annotated[dict[Name, float], Meta(max_length=20)]
    model: Name


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading that holds: its value in the column's unit, and as it was sent."""

    column: str
    value: float
    at_us: int
    how: Literal["device", "manual", "photo"]
    repeat: int = 1
    sent: tuple[float, str] | None = None
    device: DeviceInfo | None = None
    raw: str = ""
    unlikely: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a reading cannot be kept."""

    column: str
    code: Literal["impossible", "unit", "raw-mismatch", "unknown-column"]
    text: Text


def readings(
    measured: Sequence[Measurement], posture: Posture | None, at_us: int, instant: Callable[[str], int]
) -> tuple[list[Reading], list[Trouble]]:
    """Return the readings of a visit and what is wrong with it; ``instant`` reads a time as µs since 1970."""
    found: list[Reading] = []
    troubles: list[Trouble] = []
    for one in measured:
        reading = _reading(one, instant)
        (found if isinstance(reading, Reading) else troubles).append(reading)  # pyright: ignore[reportArgumentType]
    for column, value in posture.angles.items() if posture else ():
        if column.endswith("_deg") and column in COLUMNS:
            found.append(Reading(column, value, at_us, "photo", model=posture.model if posture else ""))
        else:
            troubles.append(_unknown(column))
    kept: list[Reading] = []
    for reading, flag in zip(found, _flags(found), strict=True):
        if flag == plausibility.IMPOSSIBLE:
            troubles.append(_impossible(reading))
        else:
            kept.append(replace(reading, unlikely=flag == plausibility.UNLIKELY))
    return kept, troubles


def combined(readings: Iterable[Reading]) -> dict[str, float]:
    """Return a value per column: the mean of pressures, the best of tries, the last of anything else."""
    by_column: dict[str, list[float]] = {}
    for reading in sorted(readings, key=lambda one: (one.repeat, one.at_us)):
        by_column.setdefault(reading.column, []).append(reading.value)
    return {column: _combine(column)(values) for column, values in by_column.items()}


def _combine(column: str) -> Callable[[Sequence[float]], float]:
    if column in MEAN:
        return fmean
    return min if column in LEAST else max if column in MOST else itemgetter(-1)


def _reading(one: Measurement, instant: Callable[[str], int]) -> Reading | Trouble:
    column = COLUMNS.get(one.column)
    if column is None or column.kind != "number" or one.column == "age_years":
        return _unknown(one.column)
    factor = 1.0 if one.unit in ("", column.unit, column.ucum) else UNITS.get(column.ucum, {}).get(one.unit)
    if factor is None:
        ko, en = f"{column.ko}의 단위를 알 수 없습니다.", f"{column.en} has a unit that is not known."
        return Trouble(
            one.column, "unit", {"ko": f"{ko} {column.unit}로 넣어 주세요.", "en": f"{en} Use {column.unit}."}
        )
    value = one.value * factor
    if one.raw and not _agrees(one.column, value, one.raw):
        ko = f"{column.ko}: 기기가 보낸 값과 다릅니다. 다시 재 주세요."
        en = f"{column.en}: this is not what the device sent. Please measure again."
        return Trouble(one.column, "raw-mismatch", {"ko": ko, "en": en})
    sent = None if factor == 1.0 else (one.value, one.unit)
    return Reading(
        *(one.column, round(value, 9), instant(one.at), one.how, one.repeat or 1, sent, one.device, one.raw or "")
    )


def _agrees(column: str, value: float, raw: str) -> bool:
    """Return whether the bytes, decoded here again, say the value."""
    try:
        packets = [bytes.fromhex(packet) for packet in raw.split()]
    except ValueError:
        return False
    for characteristic in SOURCES.get(column, ()):
        with suppress(CareError):
            said = gatt.columns(characteristic, packets).get(column)
            if said is not None and abs(said - value) <= RAW_TOLERANCE:
                return True
    return False


def _flags(found: Sequence[Reading]) -> list[int]:
    """Return what each reading is: fine, unlikely or impossible; pressures are looked at in pairs."""
    by_repeat: dict[int, dict[str, float]] = {}
    for reading in found:
        by_repeat.setdefault(reading.repeat, {})[reading.column] = reading.value
    flags = {
        (repeat, column): int(flag[0])
        for repeat, values in by_repeat.items()
        for column, flag in plausibility.flags(Columns({c: [v] for c, v in values.items()}, 1)).items()
    }
    return [
        flags.get((one.repeat, one.column), plausibility.FINE) if math.isfinite(one.value) else plausibility.IMPOSSIBLE
        for one in found
    ]


def _unknown(column: str) -> Trouble:
    ko, en = "알 수 없는 측정 항목입니다.", "This is nothing that is measured here."
    return Trouble(column, "unknown-column", {"ko": ko, "en": en})


def _impossible(reading: Reading) -> Trouble:
    column = COLUMNS[reading.column]
    shown = f"{reading.value:g} {column.unit}".strip()
    ko = f"{column.ko} {shown}은(는) 있을 수 없는 값입니다. 다시 재거나 다시 넣어 주세요."
    en = f"{column.en} of {shown} cannot be. Please measure or type it again."
    return Trouble(reading.column, "impossible", {"ko": ko, "en": en})
