"""A peer on one pick-up and delivery problem, by the peers' Python: ``pdptw_peers.py PEER PROBLEM.npz SECONDS SEED``.

Prints the routes as JSON. Numbers are whole thousandths of the instance's, legs rounded up, so that what is feasible
here is feasible there. Each peer is told that a vehicle costs more than any distance, in the way it has for that.
"""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np

VEHICLE = 10**9
"""What a vehicle costs, in thousandths: more than any plan's distance."""


def ortools(problem: Any, seconds: float, seed: int) -> list[list[int]]:
    """Routing library: cheapest insertions in parallel, then guided local search."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    travel, service, load = problem["travel"], problem["service"], problem["load"]
    manager = pywrapcp.RoutingIndexManager(len(travel), int(problem["vehicles"]), 0)
    model = pywrapcp.RoutingModel(manager)
    cost = model.RegisterTransitMatrix(travel.tolist())
    model.SetArcCostEvaluatorOfAllVehicles(cost)
    model.SetFixedCostOfAllVehicles(VEHICLE)
    horizon = int(problem["close"].max())
    time = model.RegisterTransitMatrix((travel + service[:, None]).tolist())
    model.AddDimension(time, horizon, horizon, False, "time")
    model.AddDimension(model.RegisterUnaryTransitVector(load.tolist()), 0, int(problem["capacity"]), True, "load")
    times = model.GetDimensionOrDie("time")
    for place in range(1, len(travel)):
        index = manager.NodeToIndex(place)
        times.CumulVar(index).SetRange(int(problem["open"][place]), int(problem["close"][place]))
    for pickup, delivery in zip(problem["pickup"].tolist(), problem["delivery"].tolist(), strict=True):
        a, b = manager.NodeToIndex(pickup), manager.NodeToIndex(delivery)
        model.AddPickupAndDelivery(a, b)
        model.solver().Add(model.VehicleVar(a) == model.VehicleVar(b))
        model.solver().Add(times.CumulVar(a) <= times.CumulVar(b))
    search = pywrapcp.DefaultRoutingSearchParameters()
    search.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    search.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    search.time_limit.FromMilliseconds(int(seconds * 1000))
    found = model.SolveWithParameters(search)
    if found is None:
        return []
    routes: list[list[int]] = []
    for vehicle in range(int(problem["vehicles"])):
        index, route = found.Value(model.NextVar(model.Start(vehicle))), []
        while not model.IsEnd(index):
            route.append(manager.IndexToNode(index))
            index = found.Value(model.NextVar(index))
        routes.append(route)
    return routes


def pyvrp(problem: Any, seconds: float, seed: int) -> list[list[int]]:
    """Half of the time its own fleet minimisation, then iterated local search with the fleet found."""
    from pyvrp import Model, minimise_fleet, solve
    from pyvrp.stop import MaxRuntime

    travel, service, load = problem["travel"], problem["service"], problem["load"]
    open_, close = problem["open"].tolist(), problem["close"].tolist()
    model = Model()
    places = [model.add_location(0, 0) for _ in travel]
    depot = model.add_depot(places[0])
    model.add_vehicle_type(
        int(problem["vehicles"]),
        capacity=int(problem["capacity"]),
        start_depot=depot,
        end_depot=depot,
        fixed_cost=VEHICLE,
        tw_early=open_[0],
        tw_late=close[0],
    )
    requests = list(zip(problem["pickup"].tolist(), problem["delivery"].tolist(), strict=True))
    for p, d in requests:
        model.add_shipment(
            places[p],
            places[d],
            open_[p],
            close[p],
            int(service[p]),
            open_[d],
            close[d],
            int(service[d]),
            amount=int(load[p]),
        )
    for a, one in enumerate(places):
        for b, other in enumerate(places):
            if a != b:
                model.add_edge(one, other, int(travel[a, b]), int(travel[a, b]))
    data = model.data()
    fleet = minimise_fleet(data, MaxRuntime(seconds / 2), seed=seed)
    found = solve(data.replace(vehicle_types=[fleet]), MaxRuntime(seconds / 2), seed=seed, display=False)
    if not found.best.is_feasible():
        return []
    return [
        [requests[visit.idx][0 if visit.is_pickup() else 1] for visit in route if visit.is_shipment()]
        for route in found.best.routes()
    ]


def pyvroom(problem: Any, seconds: float, seed: int) -> list[list[int]]:
    """Its deepest exploration on two threads; it has no seed."""
    import vroom

    travel, service, load = problem["travel"], problem["service"], problem["load"]
    open_, close = problem["open"].tolist(), problem["close"].tolist()
    model = vroom.Input()
    model.set_durations_matrix("car", travel.astype(np.uint32))
    model.set_costs_matrix("car", travel.astype(np.uint32))
    for number in range(int(problem["vehicles"])):
        model.add_vehicle(
            vroom.Vehicle(
                number,
                start=0,
                end=0,
                capacity=[int(problem["capacity"])],
                time_window=vroom.TimeWindow(open_[0], close[0]),
                costs=vroom.VehicleCosts(fixed=VEHICLE // 100),
            )
        )

    def step(place: int) -> Any:
        window = vroom.TimeWindow(open_[place], close[place])
        return vroom.ShipmentStep(place, place, default_service=int(service[place]), time_windows=[window])

    for pickup, delivery in zip(problem["pickup"].tolist(), problem["delivery"].tolist(), strict=True):
        model.add_shipment(step(pickup), step(delivery), amount=vroom.Amount([int(load[pickup])]))
    found = model.solve(5, 2, timeout=timedelta(seconds=seconds)).to_dict()
    return [
        [each["location_index"] for each in route["steps"] if each["type"] in ("pickup", "delivery")]
        for route in found["routes"]
    ]


def commiv(problem: Any, seconds: float, seed: int) -> list[list[int]]:
    """Its driver that minimises vehicles first."""
    from commiv import solve_pdptw

    pickup = problem["pickup"]
    found = solve_pdptw(
        problem["travel"],
        pickup.tolist(),
        problem["delivery"].tolist(),
        problem["load"][pickup].tolist(),
        int(problem["capacity"]),
        problem["open"].tolist(),
        problem["close"].tolist(),
        problem["service"].tolist(),
        seed=seed,
        fleet_min=True,
        wall_ms=int(seconds * 1000),
    )
    return [[int(place) for place in route if place] for route in found.routes]


PEERS: dict[str, Callable[[Any, float, int], list[list[int]]]] = {
    "ortools": ortools,
    "pyvrp": pyvrp,
    "pyvroom": pyvroom,
    "commiv": commiv,
}


if __name__ == "__main__":
    name, path, limit, start = sys.argv[1:]
    print(json.dumps({"routes": PEERS[name](np.load(path), float(limit), int(start))}))
