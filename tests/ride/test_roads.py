"""Travel on the simulated city's roads."""

import numpy as np
import pytest

from hanmaru.city.build import build
from hanmaru.city.profile import load
from hanmaru.ride.roads import simulated, stops
from hanmaru.ride.roads.matrix import Network


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(simulated.from_city(build(load("hanbit"))))


def test_the_matrix_and_the_drawn_way_agree(network: Network):
    city = build(load("hanbit"))
    metric = network.weigh(simulated.speeds(city, network.graph, 1_763_600_000))
    chosen = stops.choose(network, city.places.lonlat, np.ones(len(city.places.lonlat)))
    targets = network.targets(chosen.places)
    travel = metric.travel(targets)
    for i in range(0, len(chosen) - 1, 9):
        way = metric.way(chosen.places.take([i]), chosen.places.take([i + 1]))
        assert way is not None
        assert abs(way.at_s[-1] - travel.time_s[i, i + 1]) <= 0.51
        assert abs(way.at_m[-1] - travel.length_m[i, i + 1]) <= 1
    assert (np.diag(travel.time_s) == 0).all()
