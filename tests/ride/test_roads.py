"""Travel between places: matrices, vans on their way, drawn ways, and putting points on the network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.city.build import build
from hanmaru.city.profile import load
from hanmaru.ride.domain import UNREACHABLE, RideError
from hanmaru.ride.roads import graph as road_graph
from hanmaru.ride.roads import simulated, stops
from hanmaru.ride.roads.matrix import Network, Places

from .roads import graph, helsinki, random_graph

NOON = 1_763_600_000


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(simulated.from_city(build(load("hanbit"))))


def places(edge: list[int], along: list[float]) -> Places:
    return Places(np.array(edge, np.int32), np.array(along, np.float64))


def test_the_matrix_and_the_drawn_way_agree(network: Network) -> None:
    city = build(load("hanbit"))
    metric = network.weigh(simulated.speeds(city, network.graph, NOON))
    chosen = stops.choose(network, city.places.lonlat, np.ones(len(city.places.lonlat)))
    targets = network.targets(chosen.places)
    travel = metric.travel(targets)
    assert (np.diag(travel.time_s) == 0).all()
    assert travel.time_s.max() < UNREACHABLE
    for i in range(0, len(chosen) - 1, 9):
        way = metric.way(chosen.places.take([i]), chosen.places.take([i + 1]))
        assert way is not None
        assert abs(way.at_s[-1] - travel.time_s[i, i + 1]) <= 0.51
        assert abs(way.at_m[-1] - travel.length_m[i, i + 1]) <= 1
        assert road_graph.lengths([way.lonlat])[0] == pytest.approx(way.at_m[-1], rel=0.005)


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(2, 30), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_any_two_places_are_as_far_apart_as_the_way_between_them(seed: int, n: int, m: int, bans: int) -> None:
    roads = random_graph(seed, n, m, bans)
    rng = np.random.default_rng(seed)
    ready = Network(roads)
    metric = ready.weigh(rng.uniform(5, 90, len(roads.source)))
    some = places(rng.integers(0, len(roads.source), 8).tolist(), rng.uniform(0, 1, 8).tolist())
    travel = metric.travel(ready.targets(some), some.take(slice(0, 3)))
    assert travel.time_s.shape == travel.length_m.shape == (11, 8)
    np.testing.assert_array_equal(travel.time_s[8:], travel.time_s[:3])
    for i in range(8):
        for j in range(8):
            way = metric.way(some.take([i]), some.take([j]))
            assert (way is None) == (travel.time_s[i, j] == UNREACHABLE)
            if way is not None:
                assert way.at_s[-1] == pytest.approx(travel.time_s[i, j], abs=0.6)
                assert way.at_m[-1] == pytest.approx(travel.length_m[i, j], abs=1)
                assert (np.diff(way.at_s) >= 0).all()


def test_a_place_just_passed_takes_a_way_round() -> None:
    roads = graph([(0, 0), (1000, 0), (1000, 1000)], [(0, 1), (1, 2), (2, 0)])
    ready = Network(roads)
    metric = ready.weigh(roads.limit_kmh)
    behind = ready.targets(places([0, 0], [0.2, 0.8]))
    time_s, _ = metric.rows(places([0], [0.5]), behind)
    assert time_s[0].tolist() == [pytest.approx(311, abs=1), 30]


def test_vans_are_put_on_the_road_in_the_direction_that_they_drive(network: Network) -> None:
    rng = np.random.default_rng(3)
    truth = places(rng.integers(0, len(network.graph.source), 200).tolist(), rng.uniform(0.1, 0.9, 200).tolist())
    found = network.snap(network.lonlat(truth), bearing_deg=network.bearing(truth))
    np.testing.assert_array_equal(found.edge, truth.edge)
    np.testing.assert_allclose(found.along, truth.along, atol=1e-4)


def test_a_point_at_the_kerb_belongs_to_the_side_that_it_is_on(network: Network) -> None:
    rng = np.random.default_rng(4)
    ends = {(a, b): e for e, (a, b) in enumerate(zip(network.graph.source, network.graph.target, strict=True))}
    opposite = np.array([ends.get((b, a), -1) for a, b in ends])
    edge = rng.permutation(np.flatnonzero(opposite >= 0))[:200]
    truth = places(edge.tolist(), [0.5] * 200)
    left_hand = Network(network.graph, left_hand=True)
    for ready in (network, left_hand):
        found = ready.snap(ready.kerb(truth, np.full(200, 4.0)))
        assert (found.edge == edge).mean() > 0.95, "but for streets that meet at a sharp angle"
        assert not (found.edge == opposite[edge]).any()
    wrong = left_hand.snap(network.kerb(truth, np.full(200, 4.0)))
    assert (wrong.edge == opposite[edge]).mean() > 0.95


def test_new_speeds_make_a_new_metric_and_leave_the_old_one(network: Network) -> None:
    targets = network.targets(places([0, 50, 99, 400], [0.5] * 4))
    slow, quick = network.weigh(network.graph.limit_kmh / 2), network.weigh(network.graph.limit_kmh)
    a, b = slow.travel(targets), quick.travel(targets)
    np.testing.assert_allclose(a.time_s, 2 * b.time_s, atol=1)
    np.testing.assert_array_equal(a.length_m, b.length_m)
    np.testing.assert_array_equal(quick.travel(targets).time_s, b.time_s)


@pytest.mark.parametrize("speed", [0.0, -3.0, np.nan, np.inf])
def test_a_speed_that_is_none_is_refused(network: Network, speed: float) -> None:
    speeds = network.graph.limit_kmh.copy()
    speeds[7] = speed
    with pytest.raises(RideError, match="positive"):
        network.weigh(speeds)


def test_a_network_is_the_same_after_saving(network: Network, tmp_path) -> None:
    network.graph.save(tmp_path / "roads.npz")
    again = road_graph.load(tmp_path / "roads.npz")
    assert again.name == "hanbit"
    assert again.digest == network.graph.digest
    again.limit_kmh[0] += 1
    assert road_graph.RoadGraph(name="x", **again.arrays()).digest != network.graph.digest


def test_a_file_that_is_no_network_says_so(tmp_path) -> None:
    path = tmp_path / "roads.npz"
    for content in (b"", b"PK\x03\x04 not really", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(RideError, match=r"roads\.npz"):
            road_graph.load(path)
    np.savez(path, name=np.array("x"))
    with pytest.raises(RideError, match="make it again"):
        road_graph.load(path)
    with pytest.raises(RideError, match="no such file"):
        road_graph.load(tmp_path / "none.npz")


def test_a_real_extract_hangs_together() -> None:
    city = helsinki()
    ready = Network(city)
    rng = np.random.default_rng(0)
    some = places(rng.integers(0, len(city.source), 80).tolist(), rng.uniform(0, 1, 80).tolist())
    travel = ready.weigh(city.limit_kmh).travel(ready.targets(some))
    assert travel.time_s.max() < 3600
    hours = travel.time_s / 3600
    assert (travel.length_m / 1000 <= hours * 121 + 0.05).all(), "nobody is quicker than the limit"
