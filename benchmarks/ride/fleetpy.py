"""FleetPy's 400-request example with its own fleet and limits.

24 vans of 4 seats (its tests give 12 to the 200-request file) start at random stops; waits up to 300 s; up to 40 %
more time than direct, boarding of 30 s included on both sides; 30 s for every boarding and, as at its stops, every
alighting (where several get on at one stop, FleetPy takes 30 s for all, here each takes 30 s). As FleetPy reads the
file, requests are made at full minutes, those of a minute at its beginning; ``exact times`` takes them as they stand.
Vans' starts are drawn by seed; figures are means over seeds, with the worst beside them.
"""

import csv
from typing import Any

import numpy as np

from benchmarks.ride.fleets import DATA, Service, ours, ridepy
from hanmaru.ride.engine.config import Config
from hanmaru.ride.sim.scenario import Layers, PolicyName
from hanmaru.ride.sim.world import World, of_links

FOLDER = DATA / "fleetpy" / "data"
VANS, SEATS, MINUTE_S = 24, 4, 60
CONFIG = Config(
    max_wait_s=300, max_ride_s=7200, detour_factor=1.4, detour_s=12, boarding_s=30, alighting_s=30, offers=1
)
"""1.4 times (direct + 30 s) from the beginning of boarding is 1.4 times direct + 12 s from its end."""
SETTINGS = Layers(assignment_every_s=MINUTE_S, search_every_s=10 * MINUTE_S, rebalancing_every_s=MINUTE_S)
TARGET = {"served_percent": 100.0, "wait_mean_s": 54.0, "vehicle_km": 703.0, "cpu_s": 2.0}
FLEETPY = {
    "PoolingIRSOnly": {"served_percent": 100.0, "wait_mean_s": 88.24, "vehicle_km": 725.98},
    "batch InsertionHeuristic": {"served_percent": 100.0, "wait_mean_s": 51.05, "vehicle_km": 705.69},
    "batch AlonsoMora (Gurobi)": {"served_percent": 100.0, "wait_mean_s": 43.38, "vehicle_km": 696.59},
}
"""Measured once with FleetPy (e4a5bae; constant_config_pool and constant_config_ir of its example study, seed 0)."""


def example(seed: int, step_s: int) -> Service:
    """Return the example with requests known at multiples of ``step_s``."""
    world, stop = network()
    with (FOLDER / "demand/example_demand/matched/example_network/example_400.csv").open() as file:
        rows = [(int(row["rq_time"]), stop[int(row["start"])], stop[int(row["end"])]) for row in csv.DictReader(file)]
    asked, origin, destination = np.array(rows).T
    vans = np.random.default_rng(seed).integers(0, len(stop), VANS).astype(np.int32)
    ends = origin.astype(np.int32), destination.astype(np.int32)
    return Service(world, asked // step_s * step_s, *ends, vans, SEATS, CONFIG)


def network() -> tuple[World, dict[int, int]]:
    """Return the network, and the number of each node that is a stop."""
    base = FOLDER / "networks/example_network/base"
    with (base / "nodes.csv").open() as file:
        nodes = list(csv.DictReader(file))
    stops = [int(node["node_index"]) for node in nodes if node["is_stop_only"] == "True"]
    edges = np.genfromtxt(base / "edges.csv", delimiter=",", skip_header=1, usecols=(0, 1, 2, 3))
    source, target = edges[:, :2].astype(np.int32).T
    world = of_links(len(nodes), source, target, np.maximum(edges[:, 3], 1e-3), edges[:, 2], stops)
    return world, {node: number for number, node in enumerate(stops)}


def run(quick: bool) -> dict[str, Any]:
    """Run insertion alone and all layers; RidePy beside them, for which boarding takes no time."""
    seeds = range(1 if quick else 5)
    ours(example(99, MINUTE_S), "full", SETTINGS)  # compiles
    results: dict[str, Any] = {"target": TARGET, "FleetPy itself": FLEETPY}
    cases: tuple[tuple[str, PolicyName, int], ...] = (
        ("insertion", "insertion", MINUTE_S),
        ("assignment", "assignment", MINUTE_S),
        ("full", "full", MINUTE_S),
        ("full, exact times", "full", 1),
    )
    for name, policy, step in cases:
        runs = [ours(example(seed, step), policy, SETTINGS) for seed in seeds]
        results[name] = {key: round(float(np.mean([one[key] for one in runs])), 2) for key in runs[0]}
        results[name]["worst"] = {
            key: (min if key == "served_percent" else max)(one[key] for one in runs) for key in TARGET
        }
    results["RidePy"] = ridepy(example(0, MINUTE_S))
    return results
