"""Virtual stops: where the law lets a van halt, few of them, near everybody, and found quickly."""

import csv
import heapq
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from hanmaru.city.build import build
from hanmaru.city.profile import load
from hanmaru.ride.domain import RideError
from hanmaru.ride.roads import simulated, stops
from hanmaru.ride.roads.graph import BUS_STOP, CROSSING, NO_STOPPING, RAMP, ROUNDABOUT, footpaths, lengths, no_walks
from hanmaru.ride.roads.matrix import Network
from hanmaru.ride.roads.read import imported
from hanmaru.ride.roads.stops import Stops
from hanmaru.ride.roads.walking import DETOUR, ROLL_MPS, WALK_MPS, Footpaths

from .roads import helsinki, published


@pytest.fixture(scope="module")
def network() -> Network:
    """Return a town's roads without footpaths: walks are straight lines with a detour."""
    graph = simulated.from_city(build(load("hanbit")))
    none = dict(zip(("walk_lonlat", "walks", "walk_m", "walk_steps"), no_walks(), strict=True))
    return Network(replace(graph, **none))


@pytest.fixture(scope="module")
def homes() -> tuple[np.ndarray, np.ndarray]:
    city = build(load("hanbit"))
    home, people = np.unique(city.population.home, return_counts=True)
    return city.places.lonlat[home], people.astype(float)


@pytest.fixture(scope="module")
def chosen(network: Network, homes: tuple[np.ndarray, np.ndarray]) -> Stops:
    return stops.choose(network, *homes, max_walk_m=400)


def test_every_candidate_is_legal(network: Network) -> None:
    graph = network.graph
    found = stops.candidates(network)
    assert len(found) > 1000
    assert not (graph.flags[found.edge] & (NO_STOPPING | RAMP | ROUNDABOUT)).any()
    metres = found.along * graph.length_m[found.edge]
    assert (metres > 5).all()
    assert (graph.length_m[found.edge] - metres > 5).all()
    kerb = KDTree(network.plane.xy(stops.kerb(network, found)))
    for kind, away in ((CROSSING, 10.0), (BUS_STOP, 10.0)):
        spots = network.plane.xy(graph.obstacles[graph.obstacle_kind == kind])
        assert not len(spots) or kerb.query(spots)[0].min() >= away


def test_nobody_stops_at_a_crossing_or_a_bus_stop() -> None:
    city = helsinki()
    network = Network(city)
    kerb = KDTree(network.plane.xy(stops.kerb(network, stops.candidates(network))))
    for kind, away in ((CROSSING, 10.0), (BUS_STOP, 10.0)):
        spots = network.plane.xy(city.obstacles[city.obstacle_kind == kind])
        assert len(spots) > 10
        assert kerb.query(spots)[0].min() >= away


def test_everybody_whom_any_legal_place_serves_has_a_stop(
    network: Network, homes: tuple[np.ndarray, np.ndarray], chosen: Stops
) -> None:
    people, _ = homes
    every = KDTree(network.plane.xy(stops.kerb(network, stops.candidates(network))))
    could = every.query(network.plane.xy(people))[0] * DETOUR <= 400
    has = KDTree(network.plane.xy(chosen.lonlat)).query(network.plane.xy(people))[0] * DETOUR <= 400.01
    assert could.mean() > 0.9
    np.testing.assert_array_equal(has, could)
    assert len(chosen) < len(stops.candidates(network)) / 10


def test_wheelchairs_have_a_stop_wherever_a_kerb_takes_one(
    network: Network, homes: tuple[np.ndarray, np.ndarray], chosen: Stops
) -> None:
    people, _ = homes
    found = stops.candidates(network)
    good = found.take(stops.accessibility(network.graph, found.edge))
    could = KDTree(network.plane.xy(stops.kerb(network, good))).query(network.plane.xy(people))[0] * DETOUR <= 400
    for i in np.flatnonzero(could)[::97].tolist():
        near = chosen.near(tuple(people[i]), 401, wheelchair=True)
        assert near
        assert all(chosen.accessible[s] for s, _, _ in near)
    assert 0 < chosen.accessible.sum() < len(chosen)


def test_near_is_what_a_look_at_every_stop_gives(network: Network, chosen: Stops) -> None:
    rng = np.random.default_rng(0)
    low, high = network.graph.lonlat.min(axis=0), network.graph.lonlat.max(axis=0)
    for point in rng.uniform(low, high, (30, 2)):
        away = np.hypot(*(network.plane.xy(chosen.lonlat) - network.plane.xy(point)).T) * DETOUR
        order = [int(i) for i in np.argsort(away) if away[i] <= 900][:5]
        found = chosen.near((point[0], point[1]), 900, most=5)
        assert [s for s, _, _ in found] == order
        for s, metres, seconds in found:
            assert metres == pytest.approx(away[s], abs=1)
            assert seconds == pytest.approx(away[s] / WALK_MPS, abs=1)
        for s, metres, seconds in chosen.near((point[0], point[1]), 900, wheelchair=True):
            assert chosen.accessible[s]
            assert seconds == pytest.approx(metres / ROLL_MPS, abs=1)


def test_walks_follow_footpaths_where_a_city_has_them() -> None:
    city = helsinki()
    network = Network(city)
    points, metres = stops.streets(network)
    chosen = stops.choose(network, points, metres, max_walk_m=300)
    rng = np.random.default_rng(1)
    served = detours = 0
    for i in rng.permutation(len(points))[:60].tolist():
        direct = np.hypot(*(network.plane.xy(chosen.lonlat) - network.plane.xy(points[i])).T)
        found = chosen.near(tuple(points[i]), 1000, most=40)
        assert [m for _, m, _ in found] == sorted(m for _, m, _ in found)
        for s, walk, _ in found:
            assert walk >= direct[s] - 1, "no walk is shorter than the straight line"
            detours += walk > direct[s] * 1.05
        served += any(walk <= 301 for _, walk, _ in found)
    assert served >= 55
    assert detours > 100


def test_walks_are_the_shortest_over_the_footpaths() -> None:
    city = helsinki()
    network = Network(city)
    paths = Footpaths(city, network.plane, steps=False)
    source = city.lonlat[:3]
    found = paths.reach(source, 500.0)
    node, away = paths.join(source)
    near: dict[int, list[tuple[int, float]]] = {}
    for (a, b), metres, stairs in zip(city.walks.tolist(), city.walk_m.tolist(), city.walk_steps, strict=True):
        if not stairs:
            near.setdefault(a, []).append((b, metres))
            near.setdefault(b, []).append((a, metres))
    for i in range(3):
        best: dict[int, float] = {}
        queue = [(float(m), int(u)) for u, m in zip(node[i], away[i], strict=True) if u >= 0]
        heapq.heapify(queue)
        while queue:
            here, u = heapq.heappop(queue)
            if here <= 500 and u not in best:
                best[u] = here
                for v, metres in near.get(u, []):
                    heapq.heappush(queue, (here + metres, v))
        mine = slice(found.first[i], found.first[i + 1])
        assert dict(zip(found.item[mine].tolist(), found.metres[mine].tolist(), strict=True)) == pytest.approx(best)
    assert city.walk_steps.any()


def test_footpaths_are_cut_into_pieces_that_one_lives_near() -> None:
    lines = [
        np.array([[127.0, 36.0], [127.001, 36.0005], [127.003, 36.0]]),
        np.array([[127.0, 36.0], [127.0001, 36.0]]),
    ]
    ends = np.array([[0, 1], [0, 2]], np.int32)
    nodes = np.array([lines[0][0], lines[0][-1], lines[1][-1]])
    lonlat, walks, metres, steps = footpaths(nodes, ends, lines, np.array([True, False]))
    assert metres.max() <= 50
    assert metres[steps].sum() == pytest.approx(lengths(lines)[0])
    assert metres[~steps].sum() == pytest.approx(lengths(lines)[1])
    chain = walks[steps]
    assert (chain[0, 0], chain[-1, 1]) == (0, 1)
    np.testing.assert_array_equal(chain[1:, 0], chain[:-1, 1])
    assert len(lonlat) == 3 + len(chain) - 1
    corner = np.hypot(*((lonlat - lines[0][1]) * (89_000, 111_000)).T).min()
    assert corner < 26, "pieces follow the line"


@pytest.mark.parametrize("name", ["stops.geojson", "stops.csv"])
def test_stops_are_the_same_after_saving(network: Network, chosen: Stops, tmp_path: Path, name: str) -> None:
    chosen.save(tmp_path / name)
    again, left_out = stops.read(tmp_path / name, network)
    assert left_out == []
    assert (again.ids, again.names) == (chosen.ids, chosen.names)
    np.testing.assert_allclose(again.lonlat, chosen.lonlat, atol=1e-7)
    np.testing.assert_array_equal(again.accessible, chosen.accessible)
    assert (again.places.edge == chosen.places.edge).mean() > 0.97


def test_a_real_towns_own_stops() -> None:
    network = Network(imported(str(published("fleet/sejong/public_Link.geojson"))).graph)
    path = published("fleet/sejong/public_Station.geojson")
    own, left_out = stops.read(path, network)
    assert len(own) + len(left_out) == len(json.loads(path.read_text())["features"]) == 167
    assert len(own) > 150
    travel = network.weigh(network.graph.limit_kmh).travel(network.targets(own.places))
    assert travel.time_s.max() < 1800


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,A,36.5,x,yes", "line 2, column lon: 'x'"),
        ("1,A,96.5,127,yes", "line 2, column lat: '96.5'"),
        ("1,A,36.5,,yes", "line 2: stop 1 has no point"),
        (",A,36.5,127,yes", "no value in column id"),
        ("1,A,36.5,127,maybe", "column accessible: 'maybe'"),
        ("1,A,36.5,127,yes\n1,B,36.5,127,no", "line 3: stop 1 is there twice"),
        ("", "no stops"),
    ],
)
def test_a_wrong_list_of_stops_names_the_row(network: Network, tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"id,name,lat,lon,accessible\n{row}\n")
    with pytest.raises(RideError, match=r"own\.csv") as caught:
        stops.read(path, network)
    assert why in str(caught.value)


def test_stops_far_from_any_road_are_left_out(network: Network, tmp_path: Path) -> None:
    lon, lat = network.graph.lonlat[0].tolist()
    path = tmp_path / "own.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("stop_id", "lat", "lon"), ("near", lat, lon), ("far", lat + 2, lon)])
    own, left_out = stops.read(path, network)
    assert (own.ids, left_out) == (("near",), ["far"])


def test_stops_are_named_after_their_streets() -> None:
    city = helsinki()
    network = Network(city)
    chosen = stops.choose(network, *stops.streets(network), max_walk_m=150)
    streets = city.streets[city.street[chosen.places.edge]]
    assert (streets != "").mean() > 0.5
    for id, name, street in zip(chosen.ids, chosen.names, streets.tolist(), strict=True):
        assert name.startswith(street) if street else name == id
    assert len(set(chosen.names)) == len(chosen)
