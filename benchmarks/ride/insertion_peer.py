"""RidePy's compiled insertion, run by the peers' Python: ``insertion_peer.py FOLDER VANS LOADED REQUESTS``.

Prints the seconds that each request took, as JSON.
"""
# pyright: basic

import json
import sys
import time
import types
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
try:
    import pkg_resources  # noqa: F401
except ModuleNotFoundError:  # RidePy asks setuptools for its version, which newer ones no longer answer
    stand_in = types.ModuleType("pkg_resources")
    stand_in.DistributionNotFound = Exception
    stand_in.get_distribution = lambda name: types.SimpleNamespace(version="")
    sys.modules["pkg_resources"] = stand_in

import numpy as np  # noqa: E402
from ridepy.data_structures_cython import TransportationRequest  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.data_structures_cython.data_structures import LocType  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.fleet_state import SlowSimpleFleetState  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.util.dispatchers_cython import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    BruteForceTotalTravelTimeMinimizingDispatcher,
)
from ridepy.util.spaces_cython import Euclidean2D  # noqa: E402 # pyright: ignore[reportMissingImports]
from ridepy.vehicle_state_cython import VehicleState  # noqa: E402 # pyright: ignore[reportMissingImports]

KM_PER_S = 20 / 3600


def main() -> None:
    """Load the vans, then time requests."""
    folder, vans, loaded, requests = Path(sys.argv[1]), *map(int, sys.argv[2:])
    random = np.random.default_rng(1)
    place = np.loadtxt(folder / "Manhattan.xy", skiprows=1)[:, -2:]
    trips = random.permutation(np.loadtxt(folder / "Manhattan.2.reqs", dtype=np.int32)[:, 1:])
    fleet = SlowSimpleFleetState(
        initial_locations={van: tuple(place[random.integers(len(place))]) for van in range(vans)},
        space=Euclidean2D(velocity=KM_PER_S),
        dispatcher=BruteForceTotalTravelTimeMinimizingDispatcher(LocType.R2LOC),
        seat_capacities=8,
        vehicle_state_class=VehicleState,
    )
    fleet.t = 0.0
    accepted, taken = 0, []
    for k in range(100_000):
        source, target = trips[k % len(trips)]
        full = accepted >= loaded
        earliest = 0.0 if full or random.random() < 0.5 else float(random.integers(0, 1200))
        direct = float(np.hypot(*(place[source] - place[target]))) / KM_PER_S
        request = TransportationRequest(
            request_id=k,
            creation_timestamp=0.0,
            origin=tuple(place[source]),
            destination=tuple(place[target]),
            pickup_timewindow_min=earliest,
            pickup_timewindow_max=earliest + 900,
            delivery_timewindow_min=0.0,
            delivery_timewindow_max=earliest + 900 + min(3600, 1.5 * direct + 600),
        )
        began = time.process_time()
        answer = fleet.handle_transportation_request(request)
        if full:
            taken.append(time.process_time() - began)
        else:
            accepted += answer["event_type"] == "RequestAcceptanceEvent"
        if len(taken) >= requests:
            break
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()
