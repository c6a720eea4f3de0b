"""RidePy's own simulation with its insertion dispatcher, run by the peers' Python: ``ridepy_peer.py PROBLEM.npz``.

The dispatcher, the vehicles and the fleet are RidePy's classes. Its compiled transport space knows undirected graphs
only, so the travel times come from a transport space of ours over one matrix, and with it go the classes in Python,
which decide the same. One thing is changed: copies of plans are shallow instead of deep, or a run would take hours.
RidePy has no boarding times and no limit for rides, only the time windows. Prints figures as JSON.
"""
# pyright: basic

import json
import sys
import time
import types
import warnings
from copy import copy
from itertools import pairwise
from typing import Any

warnings.filterwarnings("ignore")
try:
    import pkg_resources  # noqa: F401
except ModuleNotFoundError:  # RidePy asks setuptools for its version, which newer ones no longer answer
    stand_in = types.ModuleType("pkg_resources")
    version = types.SimpleNamespace(version="")
    vars(stand_in).update(DistributionNotFound=Exception, get_distribution=lambda name: version)
    sys.modules["pkg_resources"] = stand_in

import numpy as np  # noqa: E402
import ridepy.util.dispatchers.ridepooling as ridepooling  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.data_structures import TransportationRequest, TransportSpace  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.fleet_state import SlowSimpleFleetState  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.vehicle_state import VehicleState  # noqa: E402 # pyright: ignore[reportMissingImports]

ridepooling.deepcopy = lambda stops: [copy(stop) for stop in stops]


class Matrix(TransportSpace):
    """Nodes, with times and lengths from each to each stop, and the next node on the way."""

    n_dim = 1

    def __init__(self, time_s: np.ndarray, length_m: np.ndarray, step: np.ndarray, stop: np.ndarray) -> None:
        self.rows = time_s.tolist()
        self.length_m, self.step = length_m, step
        self.column = {int(node): k for k, node in enumerate(stop)}

    def t(self, u: int, v: int) -> float:
        return self.rows[u][self.column[v]]

    def d(self, u: int, v: int) -> float:
        return float(self.length_m[u, self.column[v]])

    def interp_time(self, u: int, v: int, time_to_dest: float) -> tuple[int, float]:
        k = self.column[v]
        while u != v:
            left = self.rows[u][k]
            if left <= time_to_dest + 1e-6:
                return u, max(0.0, time_to_dest - left)
            u = int(self.step[u, k])
        return v, max(0.0, time_to_dest)

    def interp_dist(self, origin: int, destination: int, dist_to_dest: float) -> Any:
        raise NotImplementedError

    def random_point(self) -> int:
        return next(iter(self.column))

    def asdict(self) -> dict[str, Any]:
        return {}


class Vehicle(VehicleState):
    """Counts metres: from where it was, over the stops that it has served, to where it is, or is about to be."""

    driven_m = 0.0

    def fast_forward_time(self, t: float) -> Any:
        before = self.stoplist[1:]
        way = [self.stoplist[0].location]
        to = [stop.location for stop in before]
        events = super().fast_forward_time(t)
        served = len(before) + 1 - len(self.stoplist)
        way += to[:served]
        length = sum(self.space.d(a, b) for a, b in pairwise(way))
        here = self.stoplist[0].location
        if here != way[-1]:
            length += self.space.d(way[-1], to[served]) - self.space.d(here, to[served])
        Vehicle.driven_m += length
        return events


def main() -> None:
    """Run a problem."""
    problem = np.load(sys.argv[1])
    space = Matrix(problem["time_s"], problem["length_m"], problem["step"], problem["stop"])
    fleet = SlowSimpleFleetState(
        initial_locations={van: int(node) for van, node in enumerate(problem["vans"])},
        space=space,
        dispatcher=ridepooling.BruteForceTotalTravelTimeMinimizingDispatcher(),
        seat_capacities=int(problem["seats"]),
        vehicle_state_class=Vehicle,
    )
    requests = [
        TransportationRequest(
            request_id=k,
            creation_timestamp=float(asked),
            origin=int(origin),
            destination=int(destination),
            pickup_timewindow_min=float(asked),
            pickup_timewindow_max=float(asked + problem["wait_s"]),
            delivery_timewindow_min=0.0,
            delivery_timewindow_max=float(deadline),
        )
        for k, (asked, origin, destination, deadline) in enumerate(
            zip(problem["asked_s"], problem["origin"], problem["destination"], problem["deadline_s"], strict=True)
        )
    ]
    began = time.process_time()
    at: dict[str, dict[int, float]] = {"PickupEvent": {}, "DeliveryEvent": {}}
    for event in fleet.simulate(iter(requests)):
        if event["event_type"] in at:
            at[event["event_type"]][event["request_id"]] = event["timestamp"]
    picked, dropped = at["PickupEvent"], at["DeliveryEvent"]
    figures = {
        "served_percent": 100 * len(dropped) / len(requests),
        "wait_mean_s": float(np.mean([picked[k] - requests[k].creation_timestamp for k in dropped])),
        "vehicle_km": Vehicle.driven_m / 1000,
        "ride_mean_s": float(np.mean([dropped[k] - picked[k] for k in dropped])),
        "cpu_s": time.process_time() - began,
    }
    json.dump({name: round(value, 2) for name, value in figures.items()}, sys.stdout)


if __name__ == "__main__":
    main()
