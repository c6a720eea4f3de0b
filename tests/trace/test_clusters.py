"""Clusters from links."""

import numpy as np

from hanmaru.trace.domain import Links
from hanmaru.trace.engine.clusters import clusters


def links(rows) -> Links:
    infectee, infector, probability = (np.array(column) for column in zip(*rows, strict=True))
    return Links(infectee, infector, probability, np.ones(len(rows), dtype=np.int64))


def test_sure_links_make_chains_and_unsure_ones_do_not():
    found = clusters(
        5,
        links(
            [
                (0, -1, 1.0),
                (1, 0, 0.95),
                (1, -1, 0.05),
                (2, 1, 0.9),
                (2, -1, 0.1),
                (3, -1, 1.0),
                (4, 3, 0.2),
                (4, -1, 0.8),
            ]
        ),
    )
    assert [cluster.cases.tolist() for cluster in found] == [[0, 1, 2], [3], [4]]
    assert found[0].probability > 0.85
    assert found[0].membership.min() > 0.85
    assert found[1].probability == 1


def test_either_of_two_infectors_within_a_chain_is_enough():
    """Nobody knows whether 0 or 1 infected 2, yet all three are of one chain."""
    found = clusters(3, links([(0, -1, 1.0), (1, 0, 1.0), (2, 0, 0.5), (2, 1, 0.5)]))
    assert [cluster.cases.tolist() for cluster in found] == [[0, 1, 2]]
    assert found[0].probability == 1


def test_the_same_links_give_the_same_clusters_and_none_give_none():
    some = links([(0, -1, 1.0), (1, 0, 0.6), (1, -1, 0.4)])
    one, other = clusters(2, some), clusters(2, some)
    assert [c.probability for c in one] == [c.probability for c in other]
    assert clusters(0, some) == []


def test_two_cases_that_may_each_have_infected_the_other_are_one_chain():
    found = clusters(2, links([(0, 1, 0.5), (0, -1, 0.5), (1, 0, 0.5), (1, -1, 0.5)]))
    assert len(found) == 1
    assert 0.6 < found[0].probability < 0.9
