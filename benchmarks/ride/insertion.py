"""Insertion: how long it takes to find what can be offered to a rider, with 200 and 1,000 vans in Manhattan.

Streets, vans and trips are Manhattan's (4,333 nodes, every one a stop; trips in an order drawn by seed). Vans are first
loaded with three riders each on average, half of them for the next twenty minutes. Then each request may start at the
three nodes nearest to its origin and end at the three nearest to its destination, so nine pairs of stops are looked
at in every van. Between two requests a second passes and 7 % of the vans report a new place, as with 10,000
requests an hour and a report every five seconds. ``search``: all best insertions, by three measures for nine pairs.
``request``, ``accept``: the dispatcher's whole answers. Milliseconds of processor time.

RidePy's compiled dispatcher gets the same load and trips, with one pair of stops for each, and the plane between the
nodes in place of the streets (its compiled spaces have no directed streets): less to do for each van. ``one pair`` is
ours with one pair of stops.
"""

import json
import subprocess
import time
from typing import Any

import numpy as np

from benchmarks.ride import HERE, python
from benchmarks.ride.fleets import START_S
from benchmarks.ride.manhattan import FOLDER, streets
from hanmaru.ride.domain import Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.insertion import search
from hanmaru.ride.engine.offers import MEASURES, wish
from hanmaru.ride.engine.state import Fleet

SEATS, RIDERS, NEAR, AHEAD_S = 8, 3, 3, 1200


def figures(seconds: list[float]) -> dict[str, float]:
    """Return what calls took, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        name: round(1000 * float(x), 3) for name, x in (("p50_ms", p50), ("p99_ms", p99), ("mean_ms", np.mean(seconds)))
    }


def run(quick: bool) -> dict[str, Any]:
    """Measure 200 and 1,000 vans, 300 or 1,000 requests each, beside RidePy at 200."""
    travel = streets().travel(1000)
    return {
        str(vans): ours(travel, vans, 300 if quick else 1000) | {"RidePy": ridepy(vans, 100 if quick else 300)}
        for vans in (200, 1000)
    }


def ours(travel: Travel, vans: int, requests: int) -> dict[str, Any]:
    """Return the figures of the engine."""
    random = np.random.default_rng(1)
    nodes = travel.time_s.shape[1]
    stop = random.integers(0, nodes, vans)
    fleet = Fleet(
        seats=(SEATS,) * vans,
        wheelchairs=(1,) * vans,
        depot=(-1,) * vans,
        stop=tuple(stop.tolist()),
        shift_from_s=(START_S,) * vans,
        shift_to_s=(START_S + 86_400,) * vans,
    )
    dispatcher = Dispatcher(Config(), fleet, travel)
    trips = random.permutation(np.loadtxt(FOLDER / "Manhattan.2.reqs", dtype=np.int32)[:, 1:])
    near = {int(node): np.argsort(travel.time_s[node], kind="stable")[:NEAR] for node in np.unique(trips)}
    loaded = 0
    times: dict[str, list[float]] = {"search": [], "one pair": [], "request": [], "accept": []}
    for k in range(100_000):
        source, target = trips[k % len(trips)].tolist()
        full = loaded >= RIDERS * vans
        request = c.Request(
            id=str(k),
            origins=tuple(c.Spot(int(node), 60) for node in near[source]),
            destinations=tuple(c.Spot(int(node), 60) for node in near[target]),
            earliest_s=START_S + int(random.integers(0, AHEAD_S)) if random.random() < 0.5 else None,
        )
        now_s = START_S + (len(times["request"]) if full else 0)
        if not full:
            made = dispatcher.handle(request, now_s)[-1]
            if isinstance(made, e.Offered):
                loaded += isinstance(dispatcher.handle(c.Accept(request.id, made.offers[-1].id), now_s)[-1], e.Accepted)
            continue
        moved = random.choice(vans, max(1, vans * 7 // 100), replace=False)
        at = travel.time_s[random.integers(0, nodes, len(moved))]
        for van, row in zip(moved.tolist(), at, strict=True):
            travel.time_s[nodes + van] = row
        dispatcher.handle(c.Moved(tuple(moved.tolist()), tuple((nodes + moved).tolist()), (now_s,) * len(moved)), now_s)
        looked = wish(dispatcher.config, request, travel, now_s)
        plain = c.Request(id="one", origins=(c.Spot(source),), destinations=(c.Spot(target),))
        single = wish(dispatcher.config, plain, travel, now_s)
        allowed = np.ones(vans, np.bool_)
        measures = MEASURES[:1]
        for name, one, by in (("search", looked, MEASURES), ("one pair", single, measures)):
            dispatcher.timetables.dirty[moved] = True
            began = time.process_time()
            search(dispatcher.timetables, now_s, one, allowed, by)
            times[name].append(time.process_time() - began)
        began = time.process_time()
        made = dispatcher.handle(request, now_s)[-1]
        times["request"].append(time.process_time() - began)
        if isinstance(made, e.Offered):
            began = time.process_time()
            dispatcher.handle(c.Accept(request.id, made.offers[0].id), now_s)
            times["accept"].append(time.process_time() - began)
            dispatcher.handle(c.Cancel(request.id), now_s)
        if len(times["request"]) > requests:
            break
    planned = float(dispatcher.state.vans.length.mean())
    return {"planned_stops": round(planned, 1)} | {name: figures(taken[1:]) for name, taken in times.items()}


def ridepy(vans: int, requests: int) -> dict[str, Any]:
    """Return the figures of RidePy."""
    peer = [str(python()), "-P", str(HERE / "insertion_peer.py")]
    arguments = [str(FOLDER), str(vans), str(RIDERS * vans), str(requests)]
    done = subprocess.run([*peer, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"not run": done.stderr.strip().splitlines()[-1]}
    return figures(json.loads(done.stdout))
