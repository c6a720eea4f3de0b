"""Risk models beside PyPI's: how far from the papers' own figures, how far apart on 500 inputs, and how quick.

``python -m benchmarks.care risk``. CPU seconds of one process each. The inputs are preventr's 500 at HANMARU_TEST_DATA.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hanmaru.care.rules.columns import Columns
from hanmaru.care.rules.core import Floats
from hanmaru.care.rules.risk import pce, prevent, score2

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "care" / "prevent"
MG = 38.67
PREVENT_SAYS = {"cvd": 14.7, "ascvd": 9.2, "hf": 8.1}
"""Of a woman of 50: SBP 160 treated, total cholesterol 200, HDL 45, diabetes, BMI 35, eGFR 90 (Khan 2024)."""
SCORE2_SAYS = {"male": (5.9, 7.6, 8.1, 14.0), "female": (4.2, 5.1, 6.9, 13.7)}
"""Of a smoker of 50: SBP 140, total cholesterol 5.5, HDL 1.3, in the four regions (SCORE2 2021)."""
PCE_SAYS = {("female", "white"): 2.1, ("female", "black"): 3.0, ("male", "white"): 5.3, ("male", "black"): 6.1}
"""Of people of 55: total cholesterol 213, HDL 50, SBP 120 (ACC/AHA 2013)."""
NAMES = {
    **{"age": "age_years", "sbp": "sbp_mmhg", "total_c": "total_cholesterol_mg_dl", "hdl_c": "hdl_mg_dl"},
    **{"egfr": "egfr", "bmi": "bmi", "bp_tx": "bp_treated", "statin": "statin", "dm": "diabetes", "smoking": "smoker"},
}

PEER = """
import json, sys, time
import pandas as pd
from ascvd import compute_ten_year_score
from cvd_risk import PatientData, SCORE2, Prevent
frame = pd.read_csv(sys.argv[1])
said = {"prevent": {}, "score2": {}, "pce": {}}
for outcome, name in (("cvd", "total_cvd"), ("ascvd", "ascvd"), ("hf", "hf")):
    model = Prevent(outcome=name)
    said["prevent"][outcome] = model.calculate_batch(frame)["risk_score"].tolist()
big = pd.concat([frame] * 200, ignore_index=True)
model = Prevent()
model.calculate_batch(big)
began = time.process_time()
model.calculate_batch(big)
said["per_s"] = len(big) / (time.process_time() - began)
smoker = dict(age=50, systolic_bp=140, total_cholesterol=5.5, hdl_cholesterol=1.3, smoking=True)
for sex in ("male", "female"):
    said["score2"][sex] = [SCORE2().calculate(PatientData(sex=sex, region=region, **smoker)).risk_score
                           for region in ("low", "moderate", "high", "very_high")]
    for group in ("white", "black"):
        told = compute_ten_year_score(sex == "male", group == "black", False, False, False, 55, 120, 213, 50)
        said["pce"][f"{sex} {group}"] = told
print(json.dumps(said))
"""


def people() -> dict[str, Floats]:
    """Return the 500 inputs and, first, the paper's example; by the tables' names, sex 0 for male, 1 for female."""
    with (DATA / "preventr_500_test_inputs.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    example = {"age": 50, "sbp": 160, "total_c": 200, "hdl_c": 45, "egfr": 90, "bmi": 35}
    flags = {"bp_tx": 1, "statin": 0, "dm": 1, "smoking": 0}
    made = {name: [float(first), *(float(row[name]) for row in rows)] for name, first in example.items()}
    made |= {name: [float(first), *(float(row[name] == "True") for row in rows)] for name, first in flags.items()}
    made["sex"] = [1.0, *({"m": 0.0, "f": 1.0}.get(row["sex"], np.nan) for row in rows)]
    return {name: np.array(values) for name, values in made.items()}


def _ours(given: dict[str, Floats]) -> Columns:
    return Columns({NAMES.get(name, name): values for name, values in given.items()})


def _peer(given: dict[str, Floats], folder: Path) -> dict[str, Any]:
    source = folder / "people.csv"
    heads = {"age": "age", "sbp": "systolic_bp", "egfr": "egfr", "bmi": "bmi", "bp_tx": "antihypertensive"}
    heads |= {"statin": "statin_use", "dm": "diabetes", "smoking": "smoking"}
    made = {ours: given[name] for name, ours in heads.items()}
    made |= {"total_cholesterol": given["total_c"] * 0.02586, "hdl_cholesterol": given["hdl_c"] * 0.02586}
    sex = ["female" if woman else "male" for woman in given["sex"]]
    with source.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow([*made, "sex"])
        writer.writerows(zip(*(values.tolist() for values in made.values()), sex, strict=True))
    python, uv = folder / "peer/bin/python", str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "peer")], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "cvd-risk==0.1.48", "ascvd==0.5"]
    subprocess.run(install, check=True)
    told = subprocess.run(
        [str(python), "-W", "ignore", "-c", PEER, str(source)], capture_output=True, check=True, text=True
    )
    return json.loads(told.stdout)


def run(quick: bool) -> dict[str, Any]:
    """Return the figures; percentage points where it says so."""
    everybody = people()
    told = {outcome: prevent.risk(_ours(everybody), outcome, 10, "base") for outcome in prevent.OUTCOMES}
    able = ~np.isnan(told["cvd"]) & ~np.isnan(told["hf"])
    usable = {name: values[able] for name, values in everybody.items()}
    with tempfile.TemporaryDirectory(prefix="hanmaru-risk-") as folder:
        peer = _peer(usable, Path(folder))
    apart = {o: np.abs(np.array(peer["prevent"][o]) - told[o][able]) for o in prevent.OUTCOMES}
    smoker = {"age_years": 50, "smoker": 1, "diabetes": 0, "sbp_mmhg": 140}
    smoker |= {"total_cholesterol_mg_dl": 5.5 * MG, "hdl_mg_dl": 1.3 * MG}
    cases = {"age_years": 55, "total_cholesterol_mg_dl": 213, "hdl_mg_dl": 50, "sbp_mmhg": 120}
    cases |= {"bp_treated": 0, "smoker": 0, "diabetes": 0}

    def one(values: dict[str, float], sex: str) -> Columns:
        return Columns({**{name: [float(value)] for name, value in values.items()}, "sex": [float(sex == "female")]})

    ours_score2 = {
        sex: [float(score2.score2(one(smoker, sex), region)[0]) for region in score2.REGIONS] for sex in SCORE2_SAYS
    }
    ours_pce = {
        key: float(pce.risk(one(cases, key[0]), "white" if key[1] == "white" else "black")[0]) for key in PCE_SAYS
    }
    big = _ours({name: np.tile(values, 20 if quick else 200) for name, values in usable.items()})
    prevent.risk(big, "cvd", 10)
    began = time.process_time()
    prevent.risk(big, "cvd", 10)
    took = time.process_time() - began
    return {
        "name": "risk",
        "inputs": int(able.sum()) - 1,
        "PREVENT, from the paper's example, points": {
            "ours": round(max(abs(float(told[o][0]) - PREVENT_SAYS[o]) for o in PREVENT_SAYS), 2),
            "cvd-risk": round(max(abs(peer["prevent"][o][0] - PREVENT_SAYS[o]) for o in PREVENT_SAYS), 2),
        },
        "PREVENT base, cvd-risk away from ours, points": {
            o: {"mean": round(float(gap.mean()), 2), "most": round(float(gap.max()), 2)} for o, gap in apart.items()
        },
        "SCORE2, from the paper's eight figures, points": {
            "ours": round(_most(ours_score2), 2),
            "cvd-risk": round(_most(peer["score2"]), 2),
        },
        "PCE, from the guideline's four figures, points": {
            "ours": round(max(abs(ours_pce[key] - PCE_SAYS[key]) for key in PCE_SAYS), 2),
            "ascvd": round(max(abs(peer["pce"][" ".join(key)] - PCE_SAYS[key]) for key in PCE_SAYS), 2),
        },
        "PREVENT, people a CPU second": {"ours": round(big.n / took), "cvd-risk table": round(peer["per_s"])},
    }


def _most(told: dict[str, list[float]]) -> float:
    return max(abs(a - b) for sex in SCORE2_SAYS for a, b in zip(told[sex], SCORE2_SAYS[sex], strict=True))
