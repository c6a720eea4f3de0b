"""Cordeau's dial-a-ride instances: routing cost over the best known, beside OR-Tools at equal time.

Of the peers only OR-Tools can state a longest ride (PyVRP and VROOM have windows and durations of routes only, and so
has commiv). Each solver has the same seconds on the clock; OR-Tools uses one of the two cores, as its routing library
does. Reading, building a model and compiling come before the clock. What anybody finds is checked by
`hanmaru.ride.check`; what breaks a rule counts as nothing found. The best-known values lie beside the instances and are
used for nothing but this report.
"""

import csv
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.ride import python
from hanmaru.ride.check import check
from hanmaru.ride.engine.problem import Problem
from hanmaru.ride.instances import read
from tests.running import COMMAND

FOLDER = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "darp"
A_S, PR_S, QUICK_S = 15, 60, 5
QUICK = {"a": ("a2-16", "a4-48", "a8-96"), "pr": ("pr01", "pr03")}


def run(quick: bool) -> dict[str, Any]:
    """Return, for the instances ``a`` (Cordeau 2006) and ``pr`` (Cordeau & Laporte 2003), what we and OR-Tools find."""
    if not FOLDER.exists():
        return {"not run": f"no instances at {FOLDER}; HANMARU_TEST_DATA names their parent folder"}
    known: dict[str, float] = {}
    with (FOLDER / "best_known.csv").open() as file:
        for row in csv.DictReader(file):
            known[row["instance"]] = min(float(row["cost"]), known.get(row["instance"], np.inf))
    return {
        name: _group(QUICK[kind] if quick else [i for i in known if i.startswith(kind)], known, seconds)
        for name, kind, seconds in (
            ("a2-16 to a8-96", "a", QUICK_S if quick else A_S),
            ("pr01 to pr10", "pr", QUICK_S if quick else PR_S),
        )
    }


def _group(names: Any, known: dict[str, float], seconds: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    gaps: dict[str, list[float]] = {"hanmaru": [], "ortools": []}
    for name in names:
        path = FOLDER / ("cordeau_2006" if name.startswith("a") else "cordeau_laporte_2003") / name
        path = path if path.exists() else path.with_suffix(".txt")
        found = {"hanmaru": _ours(path, seconds), "ortools": _theirs(read(path), seconds)}
        row: dict[str, Any] = {"instance": name, "best known": known[name]}
        for who, cost in found.items():
            row[who] = round(cost, 2) if cost < np.inf else "nothing feasible"
            gaps[who].append(100 * (cost / known[name] - 1))
            if cost < np.inf:
                row[f"gap, {who} %"] = round(gaps[who][-1], 2)
        rows.append(row)
    result: dict[str, Any] = {"seconds": seconds, "instances": len(rows)}
    for who, of in gaps.items():
        finite = [gap for gap in of if gap < np.inf]
        result[f"feasible, {who}"] = len(finite)
        if finite:
            result |= {
                f"mean gap, {who} %": round(float(np.mean(finite)), 3),
                f"largest, {who} %": round(max(finite), 2),
            }
    return result | {"each": rows}


def _ours(path: Path, seconds: int) -> float:
    """Return the cost that `hanmaru ride solve` finds."""
    command = [COMMAND, "ride", "solve", str(path), "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return np.inf
    found = json.loads(done.stdout)
    return found["cost"] if found["feasible"] else np.inf


def _theirs(problem: Problem, seconds: int) -> float:
    """Return the cost that OR-Tools finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        exact = ("open", "close", "service", "travel", "max_ride", "max_route")
        arrays = {name: np.ceil(np.array(getattr(problem, name)) * 1000 - 1e-6).astype(np.int64) for name in exact}
        arrays |= {name: np.array(getattr(problem, name), np.int64) for name in ("load", "vehicles", "capacity")}
        np.savez(path, pickup=problem.pickup, delivery=problem.delivery, **cast(Any, arrays))
        script = str(Path(__file__).with_name("darp_peers.py"))
        command = [str(python()), script, str(path), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ortools on {problem.name}: {done.stderr.strip()[-300:]}")
    report = check(problem, json.loads(done.stdout.splitlines()[-1])["routes"])
    return report.cost if report.feasible else np.inf
