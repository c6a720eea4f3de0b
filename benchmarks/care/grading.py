"""Grading: visits a second by all rules and risk models, the command from file to file, and a peer on one model.

CPU seconds of one process. ``python -m benchmarks.care grading``; ``QUICK=1`` takes fewer visits. The peer is PyPI's
``cvd-risk``: SCORE2 for one region on the same people, by its table function and by its function of one person.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hanmaru.care.rules.catalogue import RULES, grade
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.rules.core import UNKNOWN, Floats
from hanmaru.care.rules.plausibility import LIMITS, WHOLE

AIM = 100_000
SCORE2 = "score2-low.esc-2021"

PEER = """
import json, sys, time
import numpy as np, pandas as pd
from cvd_risk import PatientData, SCORE2
frame = pd.read_csv(sys.argv[1])
model = SCORE2()
model.calculate_batch(frame)
began = time.process_time()
scores = model.calculate_batch(frame)["risk_score"].to_numpy()
table = time.process_time() - began
rows = frame.head(5000).to_dict("records")
began = time.process_time()
for row in rows:
    model.calculate(PatientData(**row))
one = time.process_time() - began
print(json.dumps({"table": len(frame) / table, "one": len(rows) / one, "mean": float(np.nanmean(scores))}))
"""


def visits(n: int, known: float = 1.0) -> dict[str, Floats]:
    """Return visits with every column of the catalogue, within likely limits; ``known`` is the share filled in."""
    chance = np.random.default_rng(7)
    made: dict[str, Floats] = {}
    for name, limits in LIMITS.items():
        drawn = chance.uniform(limits.low, limits.high, n)
        values = np.round(drawn) if name in WHOLE else np.round(drawn, 2)
        made[name] = np.where(chance.random(n) < known, values, np.nan)
    made["dbp_mmhg"] = np.round(made["sbp_mmhg"] * 0.6, 1)
    return made


def _rate(count: int, work: Callable[[], object]) -> int:
    """Return how many a CPU second, the median of three."""
    took: list[float] = []
    for _ in range(3):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return round(count / sorted(took)[1])


def run(quick: bool) -> dict[str, Any]:
    """Return the figures."""
    n = 100_000 if quick else 1_000_000
    full, part = Columns(visits(n)), Columns(visits(n, 0.5))
    grade(Columns(visits(100)))
    rate = _rate(n, lambda: grade(full))
    with tempfile.TemporaryDirectory(prefix="hanmaru-grading-") as folder:
        return {
            "name": "grading",
            "rules": len(RULES),
            "visits": n,
            "visits_per_s": rate,
            "visits_per_s_half_known": _rate(n, lambda: grade(part)),
            "meets_100k": rate >= AIM,
            "file": _file(Path(folder), 20_000 if quick else 100_000),
            "SCORE2": _score2(Path(folder), 20_000 if quick else 100_000),
        }


def _file(folder: Path, n: int) -> dict[str, int]:
    """Return the command's speed from file to file, every column filled in."""
    made = visits(n)
    words = {"sex": ("male", "female")}
    texts = [
        [words.get(name, ("no", "yes"))[int(v)] if COLUMNS[name].kind != "number" else f"{v:g}" for v in made[name]]
        for name in made
    ]
    source = folder / "in.csv"
    lines = [",".join(made), *(",".join(row) for row in zip(*texts, strict=True))]
    source.write_text("\n".join(lines), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("hanmaru")), "care", "grade", str(source), "--json"]
    done = subprocess.run([*command, "--out", str(folder / "out.csv")], capture_output=True, check=True, text=True)
    told = json.loads(done.stdout)
    return {"visits": told["visits"], "visits_per_s": round(told["visits"] / told["seconds"])}


def _score2(folder: Path, n: int) -> dict[str, Any]:
    """Return both sides' speed on SCORE2 alone, and their mean risks, which must agree."""
    chance = np.random.default_rng(11)
    people = {
        "age": np.floor(chance.uniform(40, 70, n)),
        "systolic_bp": np.round(chance.uniform(100, 180, n)),
        "total_cholesterol": np.round(chance.uniform(3.5, 8, n), 2),
        "hdl_cholesterol": np.round(chance.uniform(0.8, 2, n), 2),
        "smoking": (chance.random(n) < 0.3).astype(float),
    }
    woman = (chance.random(n) < 0.5).astype(float)
    source = folder / "people.csv"
    heads = [*people, "sex", "region"]
    rows = zip(*[values.tolist() for values in people.values()], woman.tolist(), strict=True)
    lines = [
        ",".join([f"{a:g},{b:g},{c:g},{d:g},{e == 1}", ("male", "female")[int(w)], "low"]) for a, b, c, d, e, w in rows
    ]
    source.write_text("\n".join([",".join(heads), *lines]), encoding="utf-8")
    ours = Columns(
        {
            "age_years": people["age"],
            "sex": woman,
            "sbp_mmhg": people["systolic_bp"],
            "total_cholesterol_mg_dl": people["total_cholesterol"] * 38.67,
            "hdl_mg_dl": people["hdl_cholesterol"] * 38.67,
            "smoker": people["smoking"],
            "diabetes": np.zeros(n),
        }
    )
    result = grade(ours, [SCORE2])[SCORE2]
    assert result.value is not None
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / "peer/bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "peer")], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "cvd-risk==0.1.48"], check=True)
    told = subprocess.run([str(python), "-c", PEER, str(source)], capture_output=True, check=True, text=True)
    peer = json.loads(told.stdout)
    return {
        "people": n,
        "told": int((result.band != UNKNOWN).sum()),
        "ours_per_s": _rate(n, lambda: grade(ours, [SCORE2])),
        "cvd-risk table_per_s": round(peer["table"]),
        "cvd-risk one by one_per_s": round(peer["one"]),
        "mean risk ours": round(float(np.nanmean(result.value)), 3),
        "mean risk cvd-risk": round(peer["mean"], 3),
    }
