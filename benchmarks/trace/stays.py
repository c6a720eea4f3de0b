"""Stays: F1 on agents of seeds never fitted on, calibration, speed; trackintel and movingpandas in the same run.

``python -m benchmarks.trace.stays`` prints the figures; with ``fit``, the weights of a stay's confidence.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trace.agents import Setting, f1, matches, simulate
from hanmaru.trace import tables
from hanmaru.trace.domain import Floats, Points, Stays
from hanmaru.trace.engine import sliding, stays
from hanmaru.trace.engine.confidence import features
from hanmaru.trace.engine.plane import Plane

SETTINGS = {
    "100 m mean error": Setting(),
    "100 m per axis": Setting(per_axis=True),
    "100 m, error not told": Setting(known=False),
    "100 m, heavy tails": Setting(noise="heavy"),
    "100 m, Student t3": Setting(noise="t3"),
    "100 m, masts": Setting(noise="cells"),
    "100 m, bursts": Setting(gaps="bursty"),
    "100 m, few at night": Setting(gaps="diurnal"),
    "100 m, errands near": Setting(near=0.8),
    "250 m mean error": Setting(250.0),
    "250 m per axis": Setting(250.0, per_axis=True),
    "250 m, error not told": Setting(250.0, known=False),
    "250 m, heavy tails": Setting(250.0, noise="heavy"),
    "250 m, masts": Setting(250.0, noise="cells"),
    "250 m, bursts": Setting(250.0, gaps="bursty"),
    "GPS every minute": Setting(8.0, every_s=60.0),
}
FITTED_SEED, SCORED_SEED = 11, 101
PLANE = Plane(127.29, 36.48)
PEERS = ("trackintel", "movingpandas")
GEOLIFE = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")) / "trajectories/skmob_geolife_sample.txt.gz"


def run(quick: bool) -> dict[str, Any]:
    """Return the figures; ``quick`` takes a fifth of the agents and no movingpandas, which takes minutes."""
    subjects = 40 if quick else 200
    scores, bins = _scores(subjects)
    with tempfile.TemporaryDirectory(prefix="hanmaru-stays-") as folder:
        peers = _peers(Path(folder), PEERS[:1] if quick else PEERS)
    return {"name": "stays", "f1": scores, "calibration": bins, "points_per_s": _speed(quick)} | peers


def _scores(subjects: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    scores: dict[str, float] = {}
    said: list[Floats] = []
    true: list[Floats] = []
    for name, setting in SETTINGS.items():
        days = 1 if setting.every_s else 5
        points, truth, _ = simulate(SCORED_SEED, subjects, days, setting)
        found = stays.find(points)
        scores[name] = round(f1(truth, found), 3)
        said.append(found.confidence)
        true.append(matches(truth, found)[0].astype(np.float64))
    every, hit = np.concatenate(said), np.concatenate(true)
    bins: list[dict[str, float]] = []
    for low in np.arange(0.0, 1.0, 0.1).round(1).tolist():
        those = (every >= low) & (every < low + 0.1 + (low == 0.9))
        if those.sum() >= 20:
            bins.append(
                {"from": low, "stays": int(those.sum())}
                | {"said": round(float(every[those].mean()), 3), "true": round(float(hit[those].mean()), 3)}
            )
    return scores, bins


def _speed(quick: bool) -> dict[str, float]:
    """Return points/s of the kernel, best of five, on one thread and on all."""
    points, _, _ = simulate(SCORED_SEED, 60, 13, Setting(250.0))
    times = 10 if quick else 100
    many = Points(
        np.concatenate([points.subject + 60 * k for k in range(times)]),
        *(np.tile(column, times) for column in (points.time_s, points.x_m, points.y_m, points.radius_m)),
    )
    stays.find(points)
    out: dict[str, float] = {"points": len(many)}
    for used in sorted({1, os.cpu_count() or 1}):
        best, cpu = np.inf, np.inf
        for _ in range(5):
            wall, spent = time.perf_counter(), time.process_time()
            stays.rows(many, 900.0, stays.Habits(), used)
            best, cpu = min(best, time.perf_counter() - wall), min(cpu, time.process_time() - spent)
        out[f"{used} threads"] = round(len(many) / best)
        out[f"{used} threads, per second of processor time"] = round(len(many) / cpu)
    return out


def _peers(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what peers find and how fast, on agents and on real tracks, beside the classic rule and ours."""
    python = _environment(folder, names)
    points, truth, _ = simulate(SCORED_SEED, 10, 5, Setting())
    out: dict[str, Any] = {}
    for name in names:
        figures, found = _peer(python, folder, points, PLANE, name, 300.0, 60.0)
        rate = round(figures["points"] / figures["seconds"])
        out[name] = {"points_per_s": rate, "f1 at 100 m": round(f1(truth, found), 3), "distance_m": 300}
    out["ours on the same"] = round(f1(truth, stays.find(points)), 3)
    if GEOLIFE.exists():
        points, plane = geolife()
        figures, theirs = _peer(python, folder, points, plane, "trackintel", 100.0, 15.0)
        sliding.find(points, plane)
        began = time.perf_counter()
        ours = sliding.find(points, plane, distance_m=100.0, minutes=15.0)
        seconds = time.perf_counter() - began
        mine, his = (set(zip(s.subject, s.start_s, s.end_s, strict=True)) for s in (ours, theirs))
        out["geolife"] = {
            "points": len(points),
            "trackintel stays": len(his),
            "ours by the same rule": len(mine),
            "the same": len(mine & his),
            "trackintel_points_per_s": round(figures["points"] / figures["seconds"]),
            "ours_points_per_s": round(len(points) / seconds),
        }
    return out


def _environment(folder: Path, names: tuple[str, ...]) -> str:
    """Return the interpreter of a new environment with the peers in it."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "peers")], check=True)
    python = str(folder / "peers/bin/python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *names], check=True)
    return python


def _peer(
    python: str, folder: Path, points: Points, plane: Plane, name: str, distance_m: float, gap_minutes: float
) -> tuple[dict[str, float], Stays]:
    lon, lat = plane.lonlat(points.x_m, points.y_m)
    source, out = folder / "points.csv", folder / "stays.csv"
    subject = points.subject.astype(str)
    tables.write(source, {"subject": subject, "time": tables.times(points.time_s), "lat": lat, "lon": lon})
    script = str(Path(__file__).with_name("stay_peers.py"))
    told = subprocess.run(
        [python, script, str(source), name, str(distance_m), "15", str(gap_minutes), str(out)],
        capture_output=True,
        check=True,
        text=True,
    )
    table = tables.read(out, {"subject": tables.TEXT, "start": tables.WHEN, "end": tables.WHEN})
    ids = np.array([int(subject) for subject in table["subject"].to_pylist()], np.int64)
    none = np.zeros(len(ids))
    start, end = tables.seconds(table, "start"), tables.seconds(table, "end")
    return json.loads(told.stdout.splitlines()[-1]), Stays(ids, start, end, *[none] * 4, ids, ids)


def geolife() -> tuple[Points, Plane]:
    """Return the real tracks of two people, without repeated rows, and their plane."""
    with gzip.open(GEOLIFE) as file:
        table = tables.read(
            file.read().replace(b"lng,datetime,uid", b"lon,time,subject").replace(b",0", b"Z,0"),
            {"subject": tables.TEXT, "time": tables.WHEN, "lat": tables.LAT, "lon": tables.LON},
        )
    _, (subject,) = tables.encode(table["subject"])
    time_s, lon, lat = tables.seconds(table, "time"), tables.floats(table, "lon"), tables.floats(table, "lat")
    order = np.lexsort((time_s, subject))
    rows = np.column_stack([subject, time_s, lon, lat])[order]
    _, first = np.unique(rows, axis=0, return_index=True)
    kept = order[np.sort(first)]
    plane = Plane.about(lon, lat)
    x, y = plane.xy(lon[kept], lat[kept])
    return Points(subject[kept], time_s[kept], x, y, np.full(len(kept), np.nan)), plane


def fit() -> Floats:
    """Return the logistic weights of a stay's confidence, from agents of the seed that is not scored."""
    rows: list[Floats] = []
    hits: list[Floats] = []
    for name, setting in SETTINGS.items():
        points, truth, _ = simulate(FITTED_SEED, 60, 1 if "GPS" in name else 5, setting)
        rows.append(features(stays.rows(points, 900.0, stays.Habits())[1]))
        hits.append(matches(truth, stays.find(points))[0].astype(np.float64))
    x, y = np.concatenate(rows), np.concatenate(hits)
    weights = np.zeros(x.shape[1])
    for _ in range(30):  # Newton's method, with a little ridge
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x.T * (p * (1 - p))) @ x + np.eye(len(weights))
        weights += np.linalg.solve(hessian, x.T @ (y - p) - weights)
    return weights


if __name__ == "__main__":
    if sys.argv[1:] == ["fit"]:
        print(fit().round(3).tolist())
    else:
        print(json.dumps(run(bool(os.environ.get("QUICK"))), indent=2))
