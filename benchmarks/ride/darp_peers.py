"""OR-Tools on one dial-a-ride problem, by the peers' Python: ``darp_peers.py PROBLEM.npz SECONDS``.

Prints the routes as JSON. Numbers are whole thousandths of the instance's, legs rounded up, so that what is feasible
here is feasible there. A ride's limit is a constraint between the times at its two ends, a route's a bound on the span
of the time dimension.
"""

import json
import sys
from typing import Any

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

LEFT_OUT = 10**8
"""What leaving a request out costs, in thousandths: without that choice hardly any first solution is found."""


def solve(problem: Any, seconds: float) -> list[list[int]]:
    """Routing library: cheapest insertions (in parallel, they find nothing here), then guided local search."""
    travel, service, load = problem["travel"], problem["service"], problem["load"]
    vehicles = int(problem["vehicles"])
    manager = pywrapcp.RoutingIndexManager(len(travel), vehicles, 0)
    model = pywrapcp.RoutingModel(manager)
    model.SetArcCostEvaluatorOfAllVehicles(model.RegisterTransitMatrix(travel.tolist()))
    horizon = int(problem["close"].max())
    time = model.RegisterTransitMatrix((travel + service[:, None]).tolist())
    model.AddDimension(time, horizon, horizon, False, "time")
    model.AddDimension(model.RegisterUnaryTransitVector(load.tolist()), 0, int(problem["capacity"]), True, "load")
    times = model.GetDimensionOrDie("time")
    for vehicle in range(vehicles):
        times.SetSpanUpperBoundForVehicle(int(problem["max_route"]), vehicle)
    for place in range(1, len(travel)):
        index = manager.NodeToIndex(place)
        times.CumulVar(index).SetRange(int(problem["open"][place]), int(problem["close"][place]))
    for pickup, delivery in zip(problem["pickup"].tolist(), problem["delivery"].tolist(), strict=True):
        a, b = manager.NodeToIndex(pickup), manager.NodeToIndex(delivery)
        model.AddPickupAndDelivery(a, b)
        model.solver().Add(model.VehicleVar(a) == model.VehicleVar(b))
        model.solver().Add(times.CumulVar(a) <= times.CumulVar(b))
        model.AddDisjunction([a], LEFT_OUT)
        model.AddDisjunction([b], LEFT_OUT)
        longest = int(problem["max_ride"]) + int(service[pickup])
        model.solver().Add(times.CumulVar(b) - times.CumulVar(a) <= longest)
    search = pywrapcp.DefaultRoutingSearchParameters()
    search.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.LOCAL_CHEAPEST_INSERTION
    search.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    search.time_limit.FromMilliseconds(int(seconds * 1000))
    found = model.SolveWithParameters(search)
    routes: list[list[int]] = []
    for vehicle in range(vehicles if found is not None else 0):
        index, route = found.Value(model.NextVar(model.Start(vehicle))), []
        while not model.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = found.Value(model.NextVar(index))
        routes.append(route)
    return routes


if __name__ == "__main__":
    path, seconds = sys.argv[1:3]
    print(json.dumps({"routes": [route for route in solve(dict(np.load(path)), float(seconds)) if route]}))
