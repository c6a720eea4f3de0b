"""Li & Lim's pick-up and delivery instances: fewest vehicles, then least distance, beside the peers at equal time.

Every solver has the same seconds on the clock and two cores: what uses one core only runs twice with different seeds
at once, and the better result counts. Reading, building a model and compiling come before the clock. What anybody
finds is checked by `hanmaru.ride.check`; what breaks a rule counts as nothing found. The best-known values lie
beside the instances and are used for nothing but this report.
"""

import csv
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ride import python
from hanmaru.ride.check import check
from hanmaru.ride.engine.problem import Problem
from hanmaru.ride.instances import read
from tests.running import COMMAND

FOLDER = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "pdptw"
PEERS = {"ortools": 2, "pyvrp": 2, "pyvroom": 1, "commiv": 2}
"""Peers, and as how many processes each has two cores to do."""
SMALL_S, LARGE_S = 10, 60
QUICK_SMALL, QUICK_LARGE, QUICK_S = ("lc103", "lr104", "lrc107"), ("lrc1_2_3",), 5
SAME = 1.0001
"""A distance up to 0.01 % above the best known counts as the best known."""


def run(quick: bool) -> dict[str, Any]:
    """Return, for the 100-customer instances and the larger ones, what we and the peers find."""
    if not FOLDER.exists():
        return {"not run": f"no instances at {FOLDER}; HANMARU_TEST_DATA names their parent folder"}
    with (FOLDER / "best_known.csv").open() as file:
        known = {row["instance"]: (int(row["routes"]), float(row["distance"])) for row in csv.DictReader(file)}
    small = QUICK_SMALL if quick else [name for name in known if "_" not in name]
    large = QUICK_LARGE if quick else [name for name in known if "_" in name]
    return {
        "100 customers": _group(small, known, QUICK_S if quick else SMALL_S, ()),
        "200 to 1,000 customers": _group(large, known, QUICK_S if quick else LARGE_S, PEERS),
    }


def _group(names: Any, known: dict[str, tuple[int, float]], seconds: int, peers: Any) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for name in names:
        problem = read(FOLDER / f"{name}.txt")
        row: dict[str, Any] = {"instance": name, "best known": _said(known[name])}
        found = {"hanmaru": _ours(name, seconds), **{peer: _theirs(peer, problem, seconds) for peer in peers}}
        row |= {who: _said(score) for who, score in found.items()}
        row["gap_percent"] = round(100 * (found["hanmaru"][1] / known[name][1] - 1), 3)
        rows.append(row | {"found": found})
    everybody = ["hanmaru", *peers]
    result: dict[str, Any] = {
        "seconds": seconds,
        "instances": len(rows),
        "best-known vehicles and distance reached": sum(
            row["found"]["hanmaru"] <= (known[row["instance"]][0], known[row["instance"]][1] * SAME) for row in rows
        ),
        "vehicles, best known": sum(known[name][0] for name in names),
    }
    for who in everybody:
        scores = [row["found"][who] for row in rows]
        result[f"vehicles, {who}"] = sum(int(score[0]) for score in scores if score[0] < np.inf)
        if lost := sum(score[0] == np.inf for score in scores):
            result[f"nothing feasible, {who}"] = lost
    for row in rows:
        del row["found"]
    return result | {"each": rows}


def _said(score: tuple[float, float]) -> str:
    return f"{int(score[0])} / {score[1]:.2f}" if score[0] < np.inf else "nothing feasible"


def _ours(name: str, seconds: int) -> tuple[float, float]:
    """Return vehicles and distance of `hanmaru ride solve`."""
    command = [COMMAND, "ride", "solve", str(FOLDER / f"{name}.txt"), "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return (found["vehicles"], found["cost"]) if found["feasible"] else (np.inf, np.inf)


def _theirs(peer: str, problem: Problem, seconds: int) -> tuple[float, float]:
    """Return vehicles and distance of the better of a peer's processes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        arrays = {name: getattr(problem, name) for name in ("open", "close", "service", "travel")}
        np.savez(
            path,
            pickup=problem.pickup,
            delivery=problem.delivery,
            load=problem.load.astype(np.int64),
            vehicles=problem.vehicles,
            capacity=int(problem.capacity),
            **{name: np.ceil(array * 1000 - 1e-6).astype(np.int64) for name, array in arrays.items()},
        )
        script = str(Path(__file__).with_name("pdptw_peers.py"))
        runs = [
            subprocess.Popen(
                [str(python()), script, peer, str(path), str(seconds), str(seed)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for seed in range(1, PEERS[peer] + 1)
        ]
        answers = [(process, *process.communicate()) for process in runs]
    best = (np.inf, np.inf)
    for process, out, error in answers:
        if process.returncode:
            raise RuntimeError(f"{peer} on {problem.name}: {error.strip()[-300:]}")
        report = check(problem, json.loads(out.splitlines()[-1])["routes"])
        if report.feasible:
            best = min(best, (report.vehicles, report.cost))
    return best
