"""Roads: importing a city, weighing its graph again, matrices of times and lengths, vans on their way, stops nearby.

Beside our engine on the same graph: pyroutingkit's own queries (times alone; 32 bits hold no length beside them) and
SciPy's Dijkstra. Seconds are CPU seconds of this process, the best of several runs, kernels compiled before.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyroutingkit

from hanmaru.ride.domain import UNREACHABLE
from hanmaru.ride.roads import stops
from hanmaru.ride.roads.graph import RoadGraph, metres
from hanmaru.ride.roads.hierarchy import Hierarchy
from hanmaru.ride.roads.matrix import Network, Places
from hanmaru.ride.roads.read import imported
from hanmaru.ride.roads.shortest import Dijkstra, pack, unpack

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")).resolve()
MANY = 1000


def cpu(function: Callable[[], Any], times: int) -> float:
    """Return the least CPU seconds of some runs, after one to warm up."""
    function()
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return best


def every_point(graph: RoadGraph) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the arcs of a graph whose nodes are all points of its roads: tail, head, lonlat, and each arc's edge.

    That is how a graph looks that is not made of junctions alone: the same streets, several times the nodes.
    """
    edge, a, b, _ = graph.segments
    whose = graph.way[edge]
    inner = np.concatenate((np.column_stack((a, whose)), np.column_stack((b, whose))))
    junctions = {tuple(p) for p in graph.lonlat.tolist()}
    for row in inner:
        if (row[0], row[1]) in junctions:
            row[2] = -1
    points, number = np.unique(inner, axis=0, return_inverse=True)
    return (
        number[: len(edge)].astype(np.int32),
        number[len(edge) :].astype(np.int32),
        points[:, :2].copy(),
        edge,
    )


def run(quick: bool) -> dict[str, Any]:
    """Measure on Heidelberg's extract; ``{"name", "skipped"}`` where it is absent."""
    name = "roads"
    path = DATA / "roads/heidelberg.osm.pbf"
    if not path.exists():
        return {"name": name, "skipped": f"{path.name} is not at {DATA / 'roads'} (set HANMARU_TEST_DATA)"}
    times = 3 if quick else 9
    began = time.process_time()
    found = imported(str(path), country="DE")
    import_s = time.process_time() - began
    graph = found.graph
    return {
        "name": name,
        "import": {
            "file": path.name,
            "cpu_s": round(import_s, 2),
            "nodes": len(graph.lonlat),
            "edges": len(graph.source),
            "forbidden_turns": len(graph.banned_first) - 1,
        },
        "every_point": _every_point(graph, times, quick),
        "network": _network(graph, times),
    }


def _every_point(graph: RoadGraph, times: int, quick: bool) -> dict[str, Any]:
    tail, head, lonlat, edge = every_point(graph)
    time_s = metres(lonlat[tail], lonlat[head]) / (graph.limit_kmh[edge] / 3.6)
    weight = pack(np.maximum(time_s, 0.001), metres(lonlat[tail], lonlat[head]))
    began = time.process_time()
    hierarchy = Hierarchy(tail, head, lonlat)
    prepare_s = time.process_time() - began
    states = np.random.default_rng(1).choice(len(lonlat), MANY, replace=False).astype(np.int32)
    start = np.zeros(MANY, np.int64)
    weighted, selected = hierarchy.weigh(weight), hierarchy.select(states)
    ours = weighted.many(states, start, selected)

    topology = pyroutingkit.CCHTopology()
    lon, lat = np.ascontiguousarray(lonlat.T, np.float32)
    topology.build(tail.astype(np.uint32), head.astype(np.uint32), lat, lon, len(lonlat))
    metric = pyroutingkit.CCHMetric(topology)
    milliseconds = (weight >> 28).astype(np.uint32)
    library_s = cpu(lambda: metric.customize(milliseconds), times)
    ids = states.astype(np.uint32)
    theirs = metric.distances_many_to_many(ids, ids)
    np.testing.assert_array_equal(np.asarray(theirs).reshape(MANY, MANY), np.rint(unpack(ours)[0] * 1000))

    few = 20 if quick else 100
    plain = Dijkstra(tail, head, len(lonlat)).weigh(weight)
    began = time.process_time()
    some = plain.many(states[:few], start[:few], states)
    scipy_s = (time.process_time() - began) * MANY / few
    np.testing.assert_array_equal(some, ours[:few])
    return {
        "nodes": len(lonlat),
        "arcs": len(tail),
        "prepare_cpu_s": round(prepare_s, 2),
        "reweigh_cpu_ms": round(1000 * cpu(lambda: hierarchy.weigh(weight), times), 2),
        "many_to_many": f"{MANY} x {MANY}",
        "times_and_lengths_cpu_s": round(cpu(lambda: weighted.many(states, start, selected), times), 4),
        "select_targets_cpu_ms": round(1000 * cpu(lambda: hierarchy.select(states), times), 2),
        "peers": {
            "pyroutingkit, times alone": {
                "reweigh_cpu_ms": round(1000 * library_s, 2),
                "cpu_s": round(cpu(lambda: metric.distances_many_to_many(ids, ids), times), 4),
            },
            f"scipy, {few} of {MANY} sources, scaled": {"cpu_s": round(scipy_s, 2)},
        },
        "same_results": True,
    }


def _network(graph: RoadGraph, times: int) -> dict[str, Any]:
    """Measure the network as the dispatcher uses it: forbidden turns, no turning back, stops beside the road."""
    network = Network(graph)
    speeds = graph.limit_kmh
    metric = network.weigh(speeds)
    rng = np.random.default_rng(2)
    some = Places(rng.integers(0, len(graph.source), MANY).astype(np.int32), rng.uniform(0, 1, MANY))
    targets = network.targets(some)
    vans = some.take(slice(0, 200))
    travel = metric.travel(targets)
    chosen = stops.choose(network, *stops.streets(network), max_walk_m=300)
    points = stops.streets(network)[0][:: max(1, len(stops.streets(network)[0]) // 500)]

    def ways() -> None:
        for i in range(100):
            metric.way(some.take([i]), some.take([i + 1]))

    def near() -> None:
        for lon, lat in points.tolist():
            chosen.near((lon, lat), 400)

    return {
        "states": len(network.arcs.node),
        "reweigh_cpu_ms": round(1000 * cpu(lambda: network.weigh(speeds), times), 2),
        "travel_cpu_s": round(cpu(lambda: metric.travel(targets), times), 4),
        "van_cpu_ms": round(1000 * cpu(lambda: metric.rows(vans.take([0]), targets), times), 2),
        "vans_200_cpu_ms": round(1000 * cpu(lambda: metric.rows(vans, targets), times), 2),
        "drawn_way_cpu_ms": round(10 * cpu(ways, times), 2),
        "unreachable": int((travel.time_s == UNREACHABLE).sum()),
        "stops": len(chosen),
        "near_cpu_us": round(1e6 * cpu(near, times) / len(points), 1),
    }


if __name__ == "__main__":
    import json

    print(json.dumps(run(quick=os.environ.get("QUICK") == "1"), indent=1))
