"""Small pick-up and delivery problems drawn by seed, and their texts in both published formats."""

import numpy as np

from hanmaru.ride.engine.problem import Problem


def drawn(
    seed: int, n: int, *, window: float = 120.0, max_ride: float = np.inf, max_route: float = np.inf, vehicles: int = 50
) -> Problem:
    """Return n requests in a square of 100, each with windows wide enough to serve it alone."""
    rng = np.random.default_rng(seed)
    xy = rng.integers(0, 101, (2 * n + 1, 2)).astype(float)
    travel = np.hypot(xy[:, :1] - xy[:, 0], xy[:, 1:] - xy[:, 1])
    pickup, delivery = np.arange(1, n + 1, dtype=np.int32), np.arange(n + 1, 2 * n + 1, dtype=np.int32)
    service = np.append(0.0, np.full(2 * n, 5.0))
    load = np.append(0, rng.integers(1, 5, n)).astype(float)
    open_, close = np.zeros(2 * n + 1), np.full(2 * n + 1, 1000.0)
    open_[pickup] = np.ceil(travel[0, pickup]) + rng.integers(0, 300, n)
    close[pickup] = open_[pickup] + rng.integers(0, int(window) + 1, n)
    open_[delivery] = np.ceil(open_[pickup] + 5 + travel[pickup, delivery])
    close[delivery] = np.ceil(close[pickup] + 5 + travel[pickup, delivery]) + rng.integers(0, int(window) + 1, n)
    return Problem(
        name=f"drawn-{seed}",
        pickup=pickup,
        delivery=delivery,
        open=open_,
        close=close,
        service=service,
        load=np.concatenate([load, -load[1:]]),
        travel=travel,
        vehicles=vehicles,
        capacity=6.0,
        max_ride=max_ride,
        max_route=max_route,
        fleet_first=max_ride == np.inf,
    )


LILIM = """\
2\t10\t1
0\t0\t0\t0\t0\t100\t0\t0\t0
1\t3\t4\t2\t0\t50\t1\t0\t3
2\t6\t8\t3\t0\t50\t1\t0\t4
3\t0\t5\t-2\t0\t90\t1\t1\t0
4\t5\t0\t-3\t0\t90\t1\t2\t0
"""
"""Two requests, 1 to 3 and 2 to 4, in Li & Lim's format."""

CORDEAU = """\
2 2 100 3 30
0 0.0 0.0 0 0 0 100
1 3.0 4.0 1 1 0 50
2 6.0 8.0 1 1 0 50
3 0.0 5.0 1 -1 0 90
4 5.0 0.0 1 -1 0 90
5 0.0 0.0 0 0 0 100
"""
"""The same places in Cordeau's format of 2006."""
