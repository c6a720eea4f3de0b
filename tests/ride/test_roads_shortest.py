"""The contract of quickest ways, kept by both engines and checked against each other."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.roads.graph import metres
from hanmaru.ride.roads.hierarchy import Hierarchy
from hanmaru.ride.roads.matrix import Network, Places
from hanmaru.ride.roads.shortest import NEVER, Dijkstra, Shortest, pack, unpack

from .roads import helsinki


def engines(tail: np.ndarray, head: np.ndarray, lonlat: np.ndarray) -> list[Shortest]:
    return [Hierarchy(tail, head, lonlat), Dijkstra(tail, head, len(lonlat))]


def check(tail: np.ndarray, head: np.ndarray, lonlat: np.ndarray, weight: np.ndarray, states: np.ndarray) -> None:
    start = np.arange(len(states)) * 1000
    found = []
    for engine in engines(tail, head, lonlat):
        weighted = engine.weigh(weight)
        many = weighted.many(states, start, engine.select(states))
        found.append(many)
        for i, s in enumerate(states.tolist()):
            assert many[i, i] == start[i]
            t = int(states[(i * 7 + 3) % len(states)])
            way = weighted.path(s, t)
            column = (i * 7 + 3) % len(states)
            if way is None:
                assert many[i, column] == NEVER
                continue
            assert start[i] + weight[way].sum() == many[i, column]
            ends = [s, *head[way].tolist()]
            assert tail[way].tolist() == ends[:-1]
            assert ends[-1] == t
    np.testing.assert_array_equal(*found)


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_both_engines_find_the_same_on_any_graph(seed: int, n: int, m: int) -> None:
    """Any graph: in pieces, with loops, with parallel arcs of other weights."""
    rng = np.random.default_rng(seed)
    tail, head = rng.integers(0, n, (2, m)).astype(np.int32)
    weight = pack(rng.integers(1, 50, m) / 10.0, rng.integers(1, 30, m) * 1.0)
    states = rng.integers(0, n, min(n, 20)).astype(np.int32)
    check(tail, head, rng.uniform((127, 36), (128, 37), (n, 2)), weight, states)


def test_both_engines_agree_on_a_real_city() -> None:
    city = helsinki()
    rng = np.random.default_rng(1)
    for _ in range(2):
        weight = pack(city.length_m / rng.uniform(3, 20, len(city.source)), city.length_m)
        states = rng.integers(0, len(city.lonlat), 60).astype(np.int32)
        check(city.source, city.target, city.lonlat, weight, states)


def test_time_comes_first_and_the_shorter_of_equally_quick_ways_wins() -> None:
    tail, head = np.array([0, 0, 1, 2], np.int32), np.array([1, 2, 3, 3], np.int32)
    weight = pack(np.array([10.0, 5.0, 10.0, 15.0]), np.array([300.0, 100.0, 300.0, 400.0]))
    lonlat = np.array([[127.0, 36.0], [127.1, 36.1], [127.1, 36.0], [127.2, 36.0]])
    for engine in engines(tail, head, lonlat):
        weighted = engine.weigh(weight)
        found = weighted.many(np.array([0], np.int32), np.zeros(1, np.int64), engine.select(np.array([3], np.int32)))
        time_s, length_m = unpack(found)
        assert (time_s[0, 0], length_m[0, 0]) == (20.0, 500.0)


def test_a_long_way_does_not_overflow() -> None:
    n = 200
    tail, head = np.arange(n - 1, dtype=np.int32), np.arange(1, n, dtype=np.int32)
    weight = pack(np.full(n - 1, 3600.0), np.full(n - 1, 100_000.0))
    lonlat = np.stack((np.linspace(126, 129, n), np.full(n, 36.0)), axis=1)
    hierarchy = Hierarchy(tail, head, lonlat)
    target = hierarchy.select(np.array([n - 1, 0], np.int32))
    found = hierarchy.weigh(weight).many(np.array([0], np.int32), np.zeros(1, np.int64), target)
    assert unpack(found[:, :1])[0][0, 0] == 3600.0 * (n - 1)
    assert unpack(found[:, :1])[1][0, 0] == 100_000.0 * (n - 1)


@pytest.mark.parametrize("lat", [0.0, 36.5, 60.2])
def test_lengths_are_those_of_the_ellipsoid(lat: float) -> None:
    from pyproj import Geod

    rng = np.random.default_rng(2)
    a = np.stack((rng.uniform(126, 128, 50), np.full(50, lat)), axis=1)
    b = a + rng.uniform(-0.02, 0.02, (50, 2))
    truth = Geod(ellps="WGS84").inv(*a.T, *b.T)[2]
    np.testing.assert_allclose(metres(a, b), truth, rtol=2e-6)


def test_without_the_library_the_service_is_slower_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    city = helsinki()
    some = Places(np.arange(0, 400, 9, dtype=np.int32), np.full(45, 0.3))
    quick = Network(city)
    monkeypatch.setitem(sys.modules, "hanmaru.ride.roads.hierarchy", None)
    slow = Network(city)
    assert isinstance(slow.shortest, Dijkstra)
    assert isinstance(quick.shortest, Hierarchy)
    found = [n.weigh(city.limit_kmh).travel(n.targets(some)) for n in (quick, slow)]
    np.testing.assert_array_equal(found[0].time_s, found[1].time_s)
    np.testing.assert_array_equal(found[0].length_m, found[1].length_m)
