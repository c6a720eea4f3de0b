"""Manhattan: 4,333 nodes, 10,000 taxi trips in four hours, 300 vans; beside RidePy and beside insertion alone.

The file has no times, so the trips, in an order drawn by seed, come at times that are uniform over the four hours, as
those of a Poisson process are. Limits are the same for all: 4 seats, 20 km/h, waits up to 600 s, aboard up to 1.5 times
direct + 300 s (for RidePy, which has no ride limit, within the same latest arrival). RidePy knows no boarding time, so
here it takes none. The weights are those of every service; the seeds are not those that anything was tuned on.
"""

from typing import Any

import numpy as np

from benchmarks.ride.fleets import DATA, Service, ours, ridepy
from hanmaru.ride.engine.config import Config
from hanmaru.ride.sim.scenario import Layers, PolicyName
from hanmaru.ride.sim.world import World, of_links

FOLDER = DATA / "manhattan"
HOURS, SEATS, METRES_PER_S = 4, 4, 20 / 3.6
CONFIG = Config(max_wait_s=600, max_ride_s=7200, detour_factor=1.5, detour_s=300, boarding_s=0, alighting_s=0, offers=1)
SETTINGS = Layers(assignment_every_s=30, rebalancing_every_s=60)


def streets() -> World:
    """Return the network; every node is a stop."""
    nodes = int((FOLDER / "Manhattan.xy").read_text().split(maxsplit=1)[0])
    arcs = np.loadtxt(FOLDER / "Manhattan.d", skiprows=1)
    source, target = arcs[:, :2].astype(np.int32).T
    return of_links(nodes, source, target, arcs[:, 2] / METRES_PER_S, arcs[:, 2], np.arange(nodes, dtype=np.int32))


def day(world: World, seed: int, hours: float) -> Service:
    """Return the first hours of a day."""
    random = np.random.default_rng(seed)
    trips = random.permutation(np.loadtxt(FOLDER / "Manhattan.2.reqs", dtype=np.int32)[:, 1:])
    asked = np.sort(random.uniform(0, HOURS * 3600, len(trips))).astype(np.int64)
    vans = np.loadtxt(FOLDER / "Manhattan.drv", dtype=np.int32)[:, 1]
    first = asked < hours * 3600
    return Service(world, asked[first], trips[first, 0], trips[first, 1], vans, SEATS, CONFIG)


def run(quick: bool) -> dict[str, Any]:
    """Run the first hour, or two days of four hours."""
    world = streets()
    policies: tuple[PolicyName, ...] = ("insertion", "assignment", "full")
    results: dict[str, Any] = {}
    for seed in (1,) if quick else (1, 2):
        service = day(world, seed, 1 if quick else HOURS)
        results[f"seed {seed}"] = {"requests": len(service.asked_s)} | {
            policy: ours(service, policy, SETTINGS) for policy in policies
        }
        results[f"seed {seed}"]["RidePy"] = ridepy(service)
    return results
