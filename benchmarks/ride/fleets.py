"""What `fleetpy` and `manhattan` share: a service on a network, run by our policies and by RidePy."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ride import python
from hanmaru.ride.domain import Rows, Seconds
from hanmaru.ride.engine.commands import Spot
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.state import Fleet
from hanmaru.ride.sim.loop import Demand, simulate
from hanmaru.ride.sim.outcome import measures
from hanmaru.ride.sim.policies import layers
from hanmaru.ride.sim.scenario import Layers, PolicyName
from hanmaru.ride.sim.world import World

DATA = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "fleet"
START_S = 1_800_000_000


@dataclass(frozen=True, eq=False, slots=True)
class Service:
    """n trips, asked for from 0 on (n,) seconds, between stops (n,); vans that stand at stops; the service's limits."""

    world: World
    asked_s: Seconds
    origin: Rows
    destination: Rows
    vans: Rows
    seats: int
    config: Config


def ours(service: Service, policy: PolicyName, settings: Layers, seed: int = 1) -> dict[str, float]:
    """Return the figures of one of our policies; riders take the one offer that leaves all that the limits allow."""
    n, vans = len(service.asked_s), len(service.vans)
    asked = START_S + service.asked_s
    origins, destinations = ([(Spot(int(stop)),) for stop in stops] for stops in (service.origin, service.destination))
    demand = Demand(asked, asked, origins, destinations, np.ones(n, np.int32), np.zeros(n, np.int32))
    fleet = Fleet(
        seats=(service.seats,) * vans,
        wheelchairs=(0,) * vans,
        depot=(-1,) * vans,
        stop=tuple(service.vans.tolist()),
        shift_from_s=(START_S,) * vans,
        shift_to_s=(START_S + 10 * 86_400,) * vans,
    )
    began = time.process_time()
    behind = layers(policy, settings, service.config, service.world, demand)
    found = measures(simulate(service.world, fleet, service.config, demand, layers=behind, seed=seed), 300)
    figures = {
        "served_percent": 100 * found["served"],
        "wait_mean_s": found["wait_mean_s"],
        "vehicle_km": found["vehicle_km"],
        "ride_mean_s": found["ride_mean_s"],
        "cpu_s": time.process_time() - began,
    }
    return {name: round(value, 2) for name, value in figures.items()}


def ridepy(service: Service) -> dict[str, Any]:
    """Return the figures of RidePy on the same service, but for boarding times and ride limits, which it lacks."""
    world, config = service.world, service.config
    direct = np.rint(world.time_s[world.stop[service.origin], service.destination]).astype(int)
    ride = np.array([config.ride_limit_s(int(one)) for one in direct])
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        np.savez(
            problem,
            time_s=world.time_s,
            length_m=world.length_m,
            step=world.step,
            stop=world.stop,
            vans=world.stop[service.vans],
            seats=service.seats,
            asked_s=service.asked_s,
            origin=world.stop[service.origin],
            destination=world.stop[service.destination],
            wait_s=config.max_wait_s,
            deadline_s=service.asked_s + config.max_wait_s + config.boarding_s + ride,
        )
        peer = str(Path(__file__).with_name("ridepy_peer.py"))
        # -P: beside the script lies http.py, which is not the standard library's
        done = subprocess.run([str(python()), "-P", peer, str(problem)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"not run": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout)
