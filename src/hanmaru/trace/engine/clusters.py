"""Clusters: cases that probably belong to one chain of infection."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# SciPy and Numba bring no types.

from dataclasses import dataclass

import numpy as np

from hanmaru.trace.domain import Floats, Ints, Links

TREES = 200
TOGETHER = 0.5
"""Part of the trees in which two neighbours share a chain, from which they are of one cluster."""
WEAK = 0.02
"""Links below this probability do not make neighbours."""
SEED = 0


@dataclass(frozen=True, eq=False, slots=True)
class Cluster:
    """The ``cases`` (m,) of a cluster, each with the ``membership`` (m,) that it was infected within the cluster or
    began it, and the ``probability`` that two of its cases, on average, are both of its main chain.
    """

    cases: Ints
    membership: Floats
    probability: float


def clusters(n: int, links: Links) -> list[Cluster]:
    """Return the n cases in clusters, the largest first: those that share a chain in at least a part `TOGETHER` of
    `TREES` trees drawn from the links, which are sorted by infectee.

    In each tree every case has one source; a chain ends at a source outside the list. Neighbours in the graph of links
    are grouped where they are in one chain often enough; a case that hangs together with none is a cluster of itself.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if n == 0:
        return []
    chain = _chains(n, links, np.random.default_rng(SEED))
    known = links.infector >= 0
    a, b = links.infectee[known], links.infector[known]
    strong = links.probability[known] >= WEAK
    a, b = a[strong], b[strong]
    shared = np.zeros(len(a))
    for tree in chain:
        shared += tree[a] == tree[b]
    near = shared >= TOGETHER * TREES
    graph = coo_array((np.ones(int(near.sum())), (a[near], b[near])), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    made: list[Cluster] = []
    for cases in np.split(order, np.searchsorted(label[order], np.arange(1, count))):
        if len(cases) == 1:
            made.append(Cluster(cases.astype(np.int64), np.ones(1), 1.0))
            continue
        mine = chain[:, cases]
        inside = mine == np.array([np.bincount(row).argmax() for row in mine])[:, None]
        size = inside.sum(axis=1)
        pairs = float(np.mean(size * (size - 1)) / (len(cases) * (len(cases) - 1)))
        made.append(Cluster(cases.astype(np.int64), inside.mean(axis=0), pairs))
    return sorted(made, key=lambda cluster: (-len(cluster.cases), int(cluster.cases[0])))


def _chains(n: int, links: Links, random: np.random.Generator) -> Ints:
    """Return (trees, n) the number of each case's chain in trees drawn from the links."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = np.searchsorted(links.infectee, np.arange(n + 1))
    upto = np.concatenate([[0.0], np.cumsum(links.probability)])
    own, one = np.arange(n), np.ones(n)
    chain = np.empty((TREES, n), dtype=np.int64)
    for tree in chain:
        drawn = upto[first[:-1]] + random.random(n) * (upto[first[1:]] - upto[first[:-1]])
        at = np.clip(np.searchsorted(upto, drawn, "right") - 1, first[:-1], first[1:] - 1)
        source = np.where(links.infector[at] >= 0, links.infector[at], own)
        tree[:] = connected_components(coo_array((one, (own, source)), shape=(n, n)), directed=False)[1]
    return chain
