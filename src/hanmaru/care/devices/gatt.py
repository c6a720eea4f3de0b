"""What measuring devices send by Bluetooth: blood pressure, weight and body composition, decoded from their bytes.

Blood Pressure Service 1.1.1, Weight Scale Service 1.0.1, Body Composition Service 1.0.1 and GATT Specification
Supplement of the Bluetooth SIG; IEEE 11073-20601 for SFLOAT. Integers are little-endian. Whatever breaks those formats
raises `CareError`; nothing else does.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from hanmaru.care.domain import CareError

BLOOD_PRESSURE: Final = 0x2A35
WEIGHT: Final = 0x2A9D
BODY_COMPOSITION: Final = 0x2A9C

KPA_IN_MMHG: Final = 1 / 0.133322387415
"""A millimetre of mercury is 133.322387415 Pa (ISO 80000-4:2006, annex C)."""
LB_IN_KG: Final = 0.45359237
"""The international pound of 1959."""
INCH_IN_CM: Final = 2.54
UNSUCCESSFUL: Final = 0xFFFF
UNKNOWN_USER: Final = 0xFF


class Special(StrEnum):
    """What an SFLOAT says instead of a number."""

    NAN = "NaN"
    NRES = "NRes"
    RESERVED = "reserved"
    POSITIVE_INFINITY = "+INF"
    NEGATIVE_INFINITY = "-INF"


_SPECIAL: Final = {
    0x07FE: Special.POSITIVE_INFINITY,
    0x07FF: Special.NAN,
    0x0800: Special.NRES,
    0x0801: Special.RESERVED,
    0x0802: Special.NEGATIVE_INFINITY,
}


@dataclass(frozen=True, slots=True)
class BloodPressure:
    """A blood pressure in mmHg and a pulse per minute; None where the device has no value.

    ``time`` is the device's clock, without a zone. ``status`` holds what the device found: `STATUS`.
    """

    systolic_mmhg: float | None
    diastolic_mmhg: float | None
    mean_mmhg: float | None
    pulse_bpm: float | None = None
    time: datetime | None = None
    user: int | None = None
    status: tuple[str, ...] = ()
    unit: str = "mmHg"


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight in kg, with BMI (kg/m²) and height (cm) where the device has them; None when it did not succeed."""

    weight_kg: float | None
    bmi: float | None = None
    height_cm: float | None = None
    time: datetime | None = None
    user: int | None = None
    unit: str = "kg"


@dataclass(frozen=True, slots=True)
class BodyComposition:
    """A body's composition: per cent, kg, cm, kJ, Ω; None where the device sent nothing or did not succeed."""

    body_fat_pct: float | None
    basal_metabolism_kj: float | None = None
    muscle_pct: float | None = None
    muscle_kg: float | None = None
    fat_free_kg: float | None = None
    soft_lean_kg: float | None = None
    water_kg: float | None = None
    impedance_ohm: float | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    time: datetime | None = None
    user: int | None = None
    unit: str = "kg"


STATUS: Final = (
    (0x01, 0x01, "body-moved"),
    (0x02, 0x02, "cuff-loose"),
    (0x04, 0x04, "irregular-pulse"),
    (0x18, 0x08, "pulse-above-range"),
    (0x18, 0x10, "pulse-below-range"),
    (0x20, 0x20, "wrong-position"),
)
"""Mask, value and name of what a blood pressure's measurement status says."""


def sfloat(data: bytes) -> float | Special:
    """Return the number of two bytes: a signed 4-bit exponent of ten over a signed 12-bit mantissa.

    Raises CareError when there are not two bytes.
    """
    if len(data) != 2:
        raise CareError(f"An SFLOAT has 2 bytes, not {len(data)}: read the characteristic again.")
    word = int.from_bytes(data, "little")
    if word in _SPECIAL:
        return _SPECIAL[word]
    mantissa, exponent = word & 0xFFF, word >> 12
    mantissa -= (mantissa & 0x800) << 1
    exponent -= (exponent & 0x8) << 1
    return float(mantissa * 10**exponent) if exponent >= 0 else mantissa / 10**-exponent


class _Bytes:
    """Takes fields from the front of a characteristic's value."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._at, self._name = data, 0, name

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise CareError(f"The {self._name} ends after {len(self._data)} bytes, within a field: measure again.")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def number(self) -> float | None:
        """Take an SFLOAT; None for what is no finite number."""
        value = sfloat(self.take(2))
        return None if isinstance(value, Special) else value

    def time(self) -> datetime | None:
        """Take a Date Time (0x2A08); None where the device does not know the year, the month or the day."""
        year, *rest = struct.unpack("<H5B", self.take(7))
        month, day, hour, minute, second = rest
        if not year or not month or not day:
            return None
        try:
            return datetime(year, month, day, hour, minute, second)
        except ValueError:
            raise CareError(f"The {self._name} has a time that there is not: set the device's clock.") from None

    def user(self) -> int | None:
        user = self.u8()
        return None if user == UNKNOWN_USER else user

    def end(self) -> None:
        if left := len(self._data) - self._at:
            raise CareError(f"The {self._name} has {left} bytes more than its flags say: measure again.")


def blood_pressure(data: bytes) -> BloodPressure:
    """Decode a Blood Pressure Measurement (0x2A35); raises CareError."""
    taken = _Bytes(data, "blood pressure")
    flags = taken.u8()
    kpa = bool(flags & 0x01)
    systolic, diastolic, mean = (_mmhg(taken.number(), kpa) for _ in range(3))
    time = taken.time() if flags & 0x02 else None
    pulse = taken.number() if flags & 0x04 else None
    user = taken.user() if flags & 0x08 else None
    status = taken.u16() if flags & 0x10 else 0
    taken.end()
    found = tuple(name for mask, value, name in STATUS if status & mask == value)
    return BloodPressure(systolic, diastolic, mean, pulse, time, user, found, "kPa" if kpa else "mmHg")


def weight(data: bytes) -> Weight:
    """Decode a Weight Measurement (0x2A9D); raises CareError."""
    taken = _Bytes(data, "weight")
    flags = taken.u8()
    imperial = bool(flags & 0x01)
    measured = taken.u16()
    time = taken.time() if flags & 0x02 else None
    user = taken.user() if flags & 0x04 else None
    bmi, height = (taken.u16() / 10, _cm(taken.u16(), imperial)) if flags & 0x08 else (None, None)
    taken.end()
    kg = None if measured == UNSUCCESSFUL else _kg(measured, imperial)
    return Weight(kg, bmi, height, time, user, "lb" if imperial else "kg")


def body_composition(*packets: bytes) -> BodyComposition:
    """Decode a Body Composition Measurement (0x2A9C), of one packet or of several that say that there are more.

    Raises CareError, also for packets of which one contradicts another.
    """
    if not packets:
        raise CareError("A body composition has at least one packet: measure again.")
    parts = [_composition(packet, len(packets) > 1) for packet in packets]
    first = parts[0]
    for part in parts[1:]:
        for name, value in part.items():
            if first.get(name) is None:
                first[name] = value
            elif value is not None and value != first[name]:
                raise CareError("The packets of the body composition are of two measurements: measure again.")
    return BodyComposition(**first)  # pyright: ignore[reportArgumentType] - `_composition` gives its fields


def _composition(data: bytes, several: bool) -> dict[str, float | datetime | str | None]:
    taken = _Bytes(data, "body composition")
    flags = taken.u16()
    imperial = bool(flags & 0x0001)
    if several and not flags & 0x1000:
        raise CareError("A packet of the body composition says that it is the only one: measure again.")
    fat = taken.u16()
    found: dict[str, float | datetime | str | None] = {"body_fat_pct": None if fat == UNSUCCESSFUL else fat / 10}
    if flags & 0x0002:
        found["time"] = taken.time()
    if flags & 0x0004:
        found["user"] = taken.user()
    if flags & 0x0008:
        found["basal_metabolism_kj"] = float(taken.u16())
    if flags & 0x0010:
        found["muscle_pct"] = taken.u16() / 10
    for bit, name in ((0x0020, "muscle_kg"), (0x0040, "fat_free_kg"), (0x0080, "soft_lean_kg"), (0x0100, "water_kg")):
        if flags & bit:
            found[name] = _kg(taken.u16(), imperial)
    if flags & 0x0200:
        found["impedance_ohm"] = taken.u16() / 10
    if flags & 0x0400:
        found["weight_kg"] = _kg(taken.u16(), imperial)
    if flags & 0x0800:
        found["height_cm"] = _cm(taken.u16(), imperial)
    taken.end()
    return found | {"unit": "lb" if imperial else "kg"}


def _mmhg(value: float | None, kpa: bool) -> float | None:
    return value * KPA_IN_MMHG if kpa and value is not None else value


def _kg(value: int, imperial: bool) -> float:
    """Return a mass: in steps of 0.005 kg or of 0.01 lb."""
    return value / 100 * LB_IN_KG if imperial else value / 200


def _cm(value: int, imperial: bool) -> float:
    """Return a height: in steps of 0.001 m or of 0.1 inch."""
    return value / 10 * INCH_IN_CM if imperial else value / 10


def columns(characteristic: int, packets: Sequence[bytes]) -> Mapping[str, float]:
    """Return what a device sent as columns of a visit, without what it has no value for.

    ``muscle_kg`` is no column: the standard does not say that it is skeletal muscle alone. Raises CareError, also for
    several packets where there is one and for a characteristic that is not known.
    """
    if characteristic == BODY_COMPOSITION:
        body = body_composition(*packets)
        found = {name: getattr(body, name) for name in ("body_fat_pct", "water_kg", "weight_kg", "height_cm")}
    elif characteristic not in (BLOOD_PRESSURE, WEIGHT):
        raise CareError(f"0x{characteristic:04X} is no characteristic that a visit has.")
    elif len(packets) != 1:
        raise CareError("This measurement has one packet: measure again.")
    elif characteristic == WEIGHT:
        scale = weight(packets[0])
        found = {"weight_kg": scale.weight_kg, "bmi": scale.bmi, "height_cm": scale.height_cm}
    else:
        cuff = blood_pressure(packets[0])
        found = {"sbp_mmhg": cuff.systolic_mmhg, "dbp_mmhg": cuff.diastolic_mmhg, "pulse_bpm": cuff.pulse_bpm}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
