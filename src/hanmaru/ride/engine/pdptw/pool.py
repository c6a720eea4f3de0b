"""Routes seen on the way, and the best solution that can be put together from them: set partitioning, by HiGHS.

A walk drives past good routes that never meet in one plan. Curtois et al. (2018) and Sartori & Buriol (2020) join them
in this way. Of routes that serve the same requests only the shortest is kept. The linear relaxation's reduced costs
then say which routes can be in a solution better than the one known; only those go into the integer programme.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportArgumentType=false
# HiGHS brings no types; NumPy does not tell that an element of an array of numbers is a number.

from collections.abc import Callable
from typing import NamedTuple

import highspy
import numpy as np

from hanmaru.city.kernels import bare, mixed
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.engine.pdptw.routes import Counts, Instance, Plan, Words
from hanmaru.ride.engine.problem import Solution

MOST = 1 << 17
"""Routes that a pool holds; beyond, no further ones are kept."""
WORSE = 1.02
"""Plans longer than this times the best so far leave nothing in the pool."""


class Pool(NamedTuple):
    """Distinct routes: ``length``, and ``size`` places from ``start`` on in ``places``; found by ``hash`` in ``slot``.

    ``used`` (2,): how many routes and places there are. ``key`` (n,): a random word for each request; a route's hash is
    the sum of its requests' ones.
    """

    key: Words
    slot: Rows
    hash: Words
    length: Floats
    start: Counts
    size: Rows
    places: Rows
    used: Counts


def pool_of(instance: Instance) -> Pool:
    """Return an empty pool."""
    n = len(instance.pickup)
    return Pool(
        key=np.array([mixed(np.uint64(1), request) for request in range(n)], np.uint64),
        slot=np.full(4 * MOST, -1, np.int32),
        hash=np.zeros(MOST, np.uint64),
        length=np.zeros(MOST),
        start=np.zeros(MOST, np.int64),
        size=np.zeros(MOST, np.int32),
        places=np.zeros(32 * MOST, np.int32),
        used=np.zeros(2, np.int64),
    )


@bare
def record(instance: Instance, plan: Plan, route: int, pool: Pool) -> None:
    """Keep a route of a plan, unless one that serves the same requests is no longer, or the pool is full."""
    code = np.uint64(0)
    count = 0
    place = plan.first[route]
    while place != 0:
        code += pool.key[instance.request[place]]
        count += 1
        place = plan.chain.after[place]
    code >>= np.uint64(1)  # every request is counted twice
    mask = np.uint64(len(pool.slot) - 1)
    at = code & mask
    while pool.slot[at] >= 0 and pool.hash[pool.slot[at]] != code:
        at = (at + np.uint64(1)) & mask
    index = pool.slot[at]
    if index < 0:
        index = pool.used[0]
        if index == len(pool.hash) or pool.used[1] + count > len(pool.places):
            return
        pool.slot[at] = index
        pool.hash[index] = code
        pool.start[index], pool.size[index] = pool.used[1], count
        pool.used[0] += 1
        pool.used[1] += count
    elif pool.length[index] <= plan.length[route]:
        return
    pool.length[index] = plan.length[route]
    at_place = pool.start[index]
    place = plan.first[route]
    while place != 0:
        pool.places[at_place] = place
        at_place += 1
        place = plan.chain.after[place]


def join(instance: Instance, pools: list[Pool], known: Solution, length: float, stop: Callable[[], bool]) -> Solution:
    """Return the shortest solution with as many of the pools' routes as a known one has, or the known one.

    ``length`` is the known one's; its routes are in the pools. ``stop`` is asked now and then, and ends the search.
    """
    n = len(instance.pickup)
    lengths = np.concatenate([pool.length[: pool.used[0]] for pool in pools])
    counts = np.concatenate([pool.size[: pool.used[0]] for pool in pools])
    places = np.concatenate([pool.places[: pool.used[1]] for pool in pools])
    starts = np.concatenate([[0], np.cumsum(counts)])
    picks = places[instance.pickup[instance.request[places]] == places]
    rows = instance.request[picks]
    ends = np.concatenate([[0], np.cumsum(counts // 2)])
    everything = np.arange(len(lengths))
    solver = _solver(lengths, ends, rows, everything, n, len(known.routes), integer=False)
    _run(solver, stop)
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return known
    bound = solver.getInfo().objective_function_value
    reduced = np.array(solver.getSolution().col_dual)
    columns = everything[reduced < length - bound]
    solver = _solver(lengths, ends, rows, columns, n, len(known.routes), integer=True)
    solver.setOptionValue("objective_bound", length)
    _run(solver, stop)
    values = np.array(solver.getSolution().col_value)
    if len(values) != len(columns) or solver.getInfo().objective_function_value >= length - 1e-7:
        return known
    chosen = columns[values > 0.5]
    routes = [tuple(places[starts[c] : starts[c + 1]].tolist()) for c in chosen]
    if sorted(place for route in routes for place in route) != list(range(1, 2 * n + 1)):
        return known
    return Solution(tuple(routes))


def _solver(
    lengths: Floats, ends: Counts, rows: Rows, columns: Counts, n: int, vehicles: int, *, integer: bool
) -> highspy.Highs:
    """Return the programme over some columns: every request once, and as many routes as there are vehicles."""
    sizes = ends[columns + 1] - ends[columns]
    takes = np.repeat(ends[columns] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())
    programme = highspy.HighsLp()
    programme.num_col_, programme.num_row_ = len(columns), n + 1
    programme.col_cost_ = lengths[columns]
    programme.col_lower_, programme.col_upper_ = np.zeros(len(columns)), np.ones(len(columns))
    programme.row_lower_ = np.append(np.ones(n), vehicles).astype(np.float64)
    programme.row_upper_ = programme.row_lower_
    with_count = sizes + 1
    index = np.full(int(with_count.sum()), n, np.int32)
    first = np.concatenate([[0], np.cumsum(with_count)])
    keep = np.ones(len(index), np.bool_)
    keep[first[1:] - 1] = False
    index[keep] = rows[takes]
    matrix = programme.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.start_, matrix.index_, matrix.value_ = first.astype(np.int32), index, np.ones(len(index))
    if integer:
        programme.integrality_ = [highspy.HighsVarType.kInteger] * len(columns)
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.passModel(programme)
    return solver


def _run(solver: highspy.Highs, stop: Callable[[], bool]) -> None:
    """Solve, and look now and then whether to stop."""

    def ask(event: highspy.highs.HighsCallbackEvent) -> None:
        if stop():
            event.interrupt()

    solver.cbSimplexInterrupt.subscribe(ask)
    solver.cbMipInterrupt.subscribe(ask)
    solver.run()
