"""Forbidden turns: the searched graph against the definition, played out edge by edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.roads.matrix import Network, Places
from hanmaru.ride.roads.shortest import NEVER, pack
from hanmaru.ride.roads.turns import connected, expand

from .roads import graph, plain_costs, random_graph


@given(st.integers(0, 2**32), st.integers(2, 9), st.integers(1, 18), st.integers(0, 8), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_way_is_the_quickest_that_no_ban_forbids(seed: int, n: int, m: int, bans: int, u_turns: bool) -> None:
    roads = random_graph(seed, n, m, bans)
    network = Network(roads, u_turns=u_turns)
    metric = network.weigh(roads.limit_kmh)
    edges = np.arange(len(roads.source), dtype=np.int32)
    ends = Places(edges, np.ones(len(edges)))
    weight = metric._weights(ends, network.targets(ends))
    cost = pack(metric.time_s, roads.length_m)
    for e in edges.tolist():
        truth = plain_costs(roads, cost, e, u_turns)
        expected = [truth.get(f, NEVER) for f in edges.tolist()]
        assert weight[e].tolist() == expected


def test_a_forbidden_left_turn_sends_one_round_the_block() -> None:
    #  3 - 2      0 → 1, then left to 2 is forbidden: on to 4, 5 and back over 3
    #  |   |
    #  0 - 1 - 4
    points = [(0, 0), (100, 0), (100, 100), (0, 100), (200, 0)]
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 4)]
    both = pairs + [(b, a) for a, b in pairs]
    roads = graph(points, both, [(0, 1)])
    edge = {(a, b): i for i, (a, b) in enumerate(zip(roads.source.tolist(), roads.target.tolist(), strict=True))}
    network = Network(roads)
    metric = network.weigh(roads.limit_kmh)
    way = metric.way(
        Places(np.array([edge[0, 1]], np.int32), np.zeros(1)),
        end := Places(np.array([edge[1, 2]], np.int32), np.ones(1)),
    )
    assert way is not None
    assert way.at_m[-1] == pytest.approx(400, abs=2), "to the dead end at 4, back, and then right"
    free = Network(graph(points, both)).weigh(roads.limit_kmh)
    straight = free.way(Places(np.array([edge[0, 1]], np.int32), np.zeros(1)), end)
    assert straight is not None
    assert straight.at_m[-1] == pytest.approx(200, abs=1)


def test_only_nodes_with_bans_are_split() -> None:
    plain = random_graph(5, 30, 90)
    assert len(expand(plain, u_turns=True).node) == 30
    banned = random_graph(5, 30, 90, bans=3)
    assert 30 < len(expand(banned, u_turns=True).node) <= 30 + 3 * 3


def test_what_cannot_be_left_or_reached_is_dropped() -> None:
    points = [(0, 0), (100, 0), (100, 100), (300, 0), (300, 100)]
    roads = graph(points, [(0, 1), (1, 2), (2, 0), (1, 3), (4, 0)])
    kept = roads.keep(connected(roads))
    assert len(kept.source) == 3
    assert len(kept.lonlat) == 3
