"""What devices send: the vectors that the kiosk's decoder is tested with, too, and any bytes whatever."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.care.devices import gatt
from hanmaru.care.domain import CareError

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("gatt_vectors.json").read_text("utf-8"))
KINDS = {"blood_pressure": gatt.BLOOD_PRESSURE, "weight": gatt.WEIGHT, "body_composition": gatt.BODY_COMPOSITION}
CASES = [pytest.param(kind, one, id=f"{kind}: {one['name']}") for kind in KINDS for one in VECTORS[kind]]


@pytest.mark.parametrize("one", VECTORS["sfloat"], ids=lambda one: one["name"])
def test_an_sfloat_is_what_it_says(one: dict[str, Any]) -> None:
    value = gatt.sfloat(bytes.fromhex(one["bytes"]))
    assert (value.value if isinstance(value, gatt.Special) else value) == one["value"]


@pytest.mark.parametrize(("kind", "one"), CASES)
def test_what_a_device_sends_is_decoded(kind: str, one: dict[str, Any]) -> None:
    packets = [bytes.fromhex(packet) for packet in one["packets"]]
    if one.get("error"):
        with pytest.raises(CareError):
            gatt.columns(KINDS[kind], packets)
        return
    assert gatt.columns(KINDS[kind], packets) == pytest.approx(one["columns"], abs=1e-4)
    whole: Any = getattr(gatt, kind)(*packets)
    assert whole.unit == one["unit"]
    if "time" in one:
        assert (whole.time and whole.time.isoformat()) == one["time"]
    if "status" in one:
        assert list(whole.status) == one["status"]
    for name in one.keys() - {"name", "packets", "columns", "unit", "time", "status"}:
        assert getattr(whole, name) == one[name]


@given(st.integers(0, 0xFFFF))
def test_every_sfloat_is_its_mantissa_and_exponent_or_special(word: int) -> None:
    value = gatt.sfloat(word.to_bytes(2, "little"))
    mantissa = (word & 0xFFF) - (0x1000 if word & 0x800 else 0)
    exponent = (word >> 12) - (16 if word & 0x8000 else 0)
    if isinstance(value, gatt.Special):
        assert exponent == 0
        assert mantissa in (2046, 2047, -2048, -2047, -2046)
    else:
        assert math.isclose(value, mantissa * 10.0**exponent, rel_tol=1e-12)


@given(st.sampled_from(list(KINDS.values())), st.lists(st.binary(max_size=40), max_size=3))
def test_any_bytes_give_finite_numbers_or_a_clear_error(characteristic: int, packets: list[bytes]) -> None:
    with suppress(CareError):
        assert all(math.isfinite(value) for value in gatt.columns(characteristic, packets).values())


@given(st.integers(0, 2045), st.integers(0, 2045), st.none() | st.integers(0, 2045), st.none() | st.integers(0, 254))
def test_what_is_encoded_by_the_format_is_decoded_to_the_same(
    systolic: int, diastolic: int, pulse: int | None, user: int | None
) -> None:
    flags = (pulse is not None) * 4 + (user is not None) * 8
    fields = [systolic, diastolic, 0, *([pulse] if pulse is not None else [])]
    data = bytes([flags]) + b"".join(field.to_bytes(2, "little") for field in fields)
    found = gatt.blood_pressure(data + (bytes([user]) if user is not None else b""))
    assert (found.systolic_mmhg, found.diastolic_mmhg, found.pulse_bpm, found.user) == (
        *(systolic, diastolic, pulse, user),
    )
