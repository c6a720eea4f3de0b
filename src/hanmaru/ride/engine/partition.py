"""The best plan that can be put together from tours seen before: set partitioning, solved by HiGHS.

Tours that a search drives past fit together better than it notices (Parragh & Schmid 2013 polish a neighbourhood search
for the dial-a-ride problem in this way). Of tours that serve the same riders only the cheapest is kept.
"""

from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from hanmaru.city.kernels import bare, mixed
from hanmaru.ride.domain import Floats
from hanmaru.ride.engine.tours import Ints, Tours

Hashes = npt.NDArray[np.uint64]
WIDEST = 128
"""Longer tours are not kept."""


class Pool(NamedTuple):
    """Up to P tours, found again by a hash of the jobs that they serve."""

    key: Hashes
    """(n,) a random word for each job; a tour's hash is their sum."""
    slot: Ints
    """(S,) open addressing: which tour is here, -1 for none; S is a power of two."""
    hash: Hashes
    """(P,)"""
    route: npt.NDArray[np.int32]
    """(P, `WIDEST`)"""
    length: Ints
    cost: Ints
    size: Ints
    """(1,) how many tours."""


def pool(jobs: int, most: int) -> Pool:
    """Return an empty pool for at most ``most`` tours."""
    key = np.array([mixed(np.uint64(1), job) for job in range(jobs)], np.uint64)
    slots = 1 << (2 * most - 1).bit_length()
    route = np.zeros((most, WIDEST), np.int32)
    length, cost = np.zeros((2, most), np.int64)
    return Pool(
        key, np.full(slots, -1, np.int64), np.zeros(most, np.uint64), route, length, cost, np.zeros(1, np.int64)
    )


@bare
def record(k: int, job_of: Ints, plan: Tours, kept: Pool) -> None:
    """Keep a tour, unless the pool is full or has one with the same jobs that costs no more."""
    m = plan.length[k]
    if m <= 2 or m > WIDEST:
        return
    found = np.uint64(0)
    for x in range(m):
        node = plan.route[k, x]
        if job_of[node] >= 0:
            found += kept.key[job_of[node]]
    at = np.int64(found & np.uint64(len(kept.slot) - 1))
    while kept.slot[at] >= 0 and kept.hash[kept.slot[at]] != found:
        at = (at + 1) & (len(kept.slot) - 1)
    i = kept.slot[at]
    if i >= 0 and kept.cost[i] <= plan.cost[k]:
        return
    if i < 0:
        i = kept.size[0]
        if i == len(kept.hash):
            return
        kept.size[0] += 1
        kept.slot[at] = i
        kept.hash[i] = found
    kept.cost[i] = plan.cost[k]
    kept.length[i] = m
    for x in range(m):
        kept.route[i, x] = plan.route[k, x]


def empty(kept: Pool) -> None:
    """Forget every tour."""
    kept.slot[:] = -1
    kept.size[0] = 0


SIFTED = 400
"""How many tours enter the linear programme in a round."""
ROUNDS = 100
OFFERED = 800
"""How many tours the integer programme chooses from at most."""
NODES = 20
"""How many nodes of its tree HiGHS opens at most: unlike a clock, a limit that gives the same plan on every run."""
MISSING = 10.0
"""What leaving out a job costs, in units of the dearest tour."""


def choose(pools: list[Pool], drop: Ints, vans: int, known: int) -> list[Ints] | None:
    """Return tours that together do each job once and cost less than ``known``, or None if none are found.

    ``drop`` (n,): each job's drop-off. The linear relaxation is solved by sifting: tours enter it while their reduced
    cost is negative. Then only tours whose reduced cost is less than what there is to gain over its value can be part
    of a better plan (Baldacci, Christofides & Mingozzi 2008), and HiGHS sees those alone.
    """
    jobs = len(drop)
    price, length, route = (
        np.concatenate([column[: kept.size[0]] for kept, column in zip(pools, columns, strict=True)])
        for columns in ([p.cost for p in pools], [p.length for p in pools], [p.route for p in pools])
    )
    count = len(price)
    unit = float(price.max(initial=1))  # HiGHS's tolerances are absolute
    cost = price / unit
    job_at = np.full(int(drop.max()) + vans * 2 + 1, -1)
    job_at[drop] = np.arange(jobs)
    inside = np.arange(WIDEST) < length[:, None]
    job = np.where(inside, job_at[route], -1)
    sizes = (job >= 0).sum(1)
    flat = job[job >= 0]
    first = np.cumsum(sizes) - sizes

    def reduced(duals: Floats) -> Floats:
        return cost - duals[jobs] - np.add.reduceat(duals[flat], first)

    def offer(model: highspy.Highs, these: Ints) -> None:
        rows = np.concatenate([np.append(flat[first[i] : first[i] + sizes[i]], jobs) for i in these.tolist()])
        starts = np.cumsum(sizes[these] + 1) - sizes[these] - 1
        zeros, ones = np.zeros(len(these)), np.ones(len(these))
        model.addCols(len(these), cost[these], zeros, ones, len(rows), starts, rows, np.ones(len(rows)))

    relaxed = _model(jobs, vans)
    duals = np.append(np.full(jobs, MISSING), 0.0)
    entered = np.zeros(count, np.bool_)
    for _ in range(ROUNDS):
        of = reduced(duals)
        entering = np.flatnonzero((of < -1e-7) & ~entered)
        if len(entering) == 0:
            break
        entering = entering[np.argsort(of[entering], kind="stable")[:SIFTED]]
        entered[entering] = True
        offer(relaxed, entering)
        relaxed.run()
        duals = np.array(relaxed.getSolution().row_dual)
    of = reduced(duals)
    useful = np.flatnonzero(of < known / unit - relaxed.getInfo().objective_function_value)
    useful = useful[np.argsort(of[useful], kind="stable")[:OFFERED]]
    if len(useful) == 0:
        return None
    whole = _model(jobs, vans)
    offer(whole, useful)
    columns = np.arange(jobs, jobs + len(useful), dtype=np.int32)
    whole.changeColsIntegrality(
        len(columns), columns, np.full(len(columns), int(highspy.HighsVarType.kInteger), np.uint8)
    )
    whole.setOptionValue("mip_max_nodes", NODES)
    whole.setOptionValue("objective_bound", known / unit)
    whole.run()
    value = np.array(whole.getSolution().col_value)
    taken = useful[value[jobs:] > 0.5] if len(value) else useful[:0]
    if len(taken) == 0 or sizes[taken].sum() != jobs or price[taken].sum() >= known:
        return None
    return [route[i, : length[i]].astype(np.int64) for i in taken]


def _model(jobs: int, vans: int) -> highspy.Highs:
    """Return a model with a row for each job, which is done once, and one for the vans; yet all jobs are left out."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    ones = np.ones(jobs)
    none = np.zeros(0, np.int32)
    model.addRows(jobs + 1, np.append(ones, 0), np.append(ones, vans), 0, none, none, np.zeros(0))
    rows = np.arange(jobs, dtype=np.int32)
    model.addCols(jobs, MISSING * ones, 0 * ones, ones, jobs, rows, rows, ones)
    return model
