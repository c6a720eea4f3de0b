"""Which van serves whom, decided for all waiting riders at once: request-trip-vehicle assignment.

After Alonso-Mora, Samaranayake, Wallar, Frazzoli & Rus 2017, *On-demand high-capacity ride-sharing via dynamic
trip-vehicle assignment*, PNAS 114(3): the trips of each van (`trips.grow`), then one integer program that gives each
van one trip and each rider one van at the least cost. Here it starts from what is planned already, which is one of its
solutions: whatever it has found when time is over is never worse, and nobody who was accepted is dropped.
"""

import time as clock
from dataclasses import dataclass
from typing import NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from hanmaru.ride.domain import Bools, Floats, Rows, Seconds, Travel
from hanmaru.ride.engine import trips
from hanmaru.ride.engine.commands import Propose
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.schedule import CHAIRS, CLOSE, COLUMNS, LIMIT, OPEN, PARTNER, ROW, SEATS, SERVICE
from hanmaru.ride.engine.state import BREAK, ON, WAITING, State

HORIZON_S = 1800
"""Requests that need not be picked up for longer than this stay in their vans: before then, too much changes."""
NEAREST = 40
"""Vans that are tried for a request beside its own."""
EXACT, NODES = 10, 300
"""Routes up to this many stops are tried in all orders, in at most so many partial routes."""
WIDTH, MOST = 24, 120
"""Trips kept of each size, and trips in all, for a van."""
CHUNK = 32
"""Vans between two looks at the clock."""
UNSERVED = 1e6
"""Cost of an accepted request without a van: more than any plan, so that it gets one if there is one."""
PRICED = 10_000
"""Columns that the integer program sees at least, or `PRICED_EACH` for each row: those of least reduced cost."""
PRICED_EACH = 12
WHOLE = 1e-6
GAIN = 1.0
"""Driven seconds that a change has to save in all: below this it is not worth telling drivers."""


@dataclass(frozen=True, eq=False, slots=True)
class Waiting:
    """The problem of one moment. Times in seconds from now.

    ``table`` (2 R + V, 8) and ``price`` (2 R + V,) as in `routes`; ``vans`` (V, 7), those not ``free`` keep what they
    have. Van v's front actions that are under way are ``front[v]``; its route after them is ``kept`` and what may not
    leave it is ``base``, both between their ``*_start`` (V + 1,) [v] and [v + 1]. ``movable``: slots of requests.
    """

    table: Seconds
    price: Floats
    vans: Seconds
    free: Rows
    front: list[list[int]]
    kept_start: Rows
    kept: Rows
    base_start: Rows
    base: Rows
    movable: Rows

    @property
    def size(self) -> int:
        """How many slots of requests there are: R."""
        return (len(self.table) - len(self.vans)) // 2


class Trips(NamedTuple):
    """T trips: whose (T,), at what cost (T,), how many stops (T,), and which (T, `trips.LONGEST`)."""

    van: Rows
    cost: Floats
    length: Rows
    route: Rows


def plan(state: State, travel: Travel, now_s: int, weights: Weights, seconds: float = np.inf) -> Propose:
    """Return better plans for some vans, or none. ``seconds``: when to stop (half for trips, half to choose)."""
    start = clock.perf_counter()
    problem = waiting(state, travel, now_s, weights)
    before, worth = np.zeros(len(problem.vans)), np.zeros(problem.size)
    time = travel.time_s
    trips.value_all(
        problem.vans,
        problem.kept_start,
        problem.kept,
        problem.table,
        problem.price,
        time,
        weights.drive,
        before,
        worth,
    )
    worth = np.clip(worth, 0.0, UNSERVED)
    orphans = problem.movable[state.requests.van[problem.movable] < 0]
    worth[orphans] = UNSERVED
    usable = problem.free[np.isfinite(before[problem.free])]
    if not len(usable) or not len(problem.movable):
        return Propose(state.seq, {}, "assignment")
    candidate_start, candidates = nearest(problem, state, time, usable)
    order = newest_first(state, usable, candidate_start, candidates)
    made: list[Trips] = []
    for first in range(0, len(order), CHUNK):
        if first and clock.perf_counter() - start > seconds / 2:
            break
        part = order[first : first + CHUNK]
        made.append(grown(problem, part, candidate_start, candidates, worth, time, weights.drive))
    options = Trips(*(np.concatenate(parts) for parts in zip(*made, strict=True)))
    chosen = choose(problem, before, orphans, options, start + seconds - clock.perf_counter())
    plans: dict[int, tuple[int, ...]] = {}
    for t in chosen:
        v = int(options.van[t])
        line = options.route[t, : options.length[t]]
        actions = tuple(-(int(i) >> 1) - 1 if i & 1 else (int(i) >> 1) + 1 for i in line if i < 2 * problem.size)
        if [*problem.front[v], *actions] != state.vans.actions(v):
            plans[v] = (*problem.front[v], *actions)
    return Propose(state.seq, plans, "assignment")


def waiting(state: State, travel: Travel, now_s: int, weights: Weights) -> Waiting:
    """Return the problem that a state is in."""
    vans, requests = state.vans, state.requests
    size, fleet = requests.size, len(vans)
    table = np.zeros((2 * size + fleet, COLUMNS), np.int64)
    price = np.zeros(len(table))
    pick, drop, home = table[: 2 * size : 2], table[1 : 2 * size : 2], table[2 * size :]
    seats, chairs = requests.seats[:size], requests.wheelchairs[:size]
    rest = requests.kind[:size] == BREAK
    pick[:, ROW], drop[:, ROW] = requests.origin[:size], requests.destination[:size]
    pick[:, OPEN], pick[:, CLOSE] = requests.earliest_s[:size] - now_s, requests.latest_s[:size] - now_s
    drop[:, CLOSE] = requests.deadline_s[:size] - now_s
    drop[:, OPEN] = -(2**40)
    pick[:, SERVICE], drop[:, SERVICE] = requests.boarding_s[:size], requests.alighting_s[:size]
    pick[:, SEATS], pick[:, CHAIRS], drop[:, SEATS], drop[:, CHAIRS] = seats, chairs, -seats, -chairs
    drop[:, LIMIT] = requests.ride_s[:size]
    table[:, PARTNER] = -1
    drop[:, PARTNER] = np.arange(0, 2 * size, 2)
    price[: 2 * size : 2] = np.where(rest, 0.0, (seats + chairs) * (weights.wait - weights.ride))
    price[1 : 2 * size : 2] = np.where(rest, 0.0, (seats + chairs) * weights.ride)
    home[:, ROW], home[:, OPEN], home[:, CLOSE] = vans.depot, -(2**40), vans.shift_to_s - now_s

    starts = np.zeros((fleet, 7), np.int64)
    starts[:, 0] = vans.row
    starts[:, 1] = np.maximum(np.maximum(vans.ready_s, vans.shift_from_s) - now_s, 0)
    starts[:, 2], starts[:, 3] = vans.seats, vans.wheelchairs
    starts[:, 6] = 1
    soon = (requests.status[:size] == WAITING) & (requests.earliest_s[:size] <= now_s + HORIZON_S) & ~rest
    movable = soon & (requests.van[:size] < 0)
    front: list[list[int]] = [[] for _ in range(fleet)]
    kept: list[list[int]] = [[] for _ in range(fleet)]
    base: list[list[int]] = [[] for _ in range(fleet)]
    for v in range(fleet):
        actions = vans.actions(v)
        under_way = state.fixed(v, now_s) if actions else 0
        front[v] = actions[:under_way]
        if under_way:
            _serve(starts[v], front[v], table, int(max(vans.ready_s[v], vans.shift_from_s[v]) - now_s))
        later = [2 * (a - 1) if a > 0 else -2 * a - 1 for a in actions[under_way:]]
        boarding = {i >> 1 for i in later if not i & 1}
        for i in later:
            if i & 1 and i >> 1 not in boarding:
                slot = i >> 1
                if -slot - 1 not in front[v]:
                    table[i, PARTNER] = -1
                    begun = slot + 1 in front[v]
                    aboard_s = (table[2 * slot, CLOSE] if begun else requests.picked_s[slot] - now_s) + requests.ride_s[
                        slot
                    ]
                    table[i, CLOSE] = min(table[i, CLOSE], aboard_s)
                    starts[v, 4] += seats[slot]
                    starts[v, 5] += chairs[slot]
        kept[v] = [*later, 2 * size + v]
        if vans.status[v] == ON:
            movable[[slot for slot in boarding if soon[slot]]] = True
            base[v] = [i for i in kept[v] if i >= 2 * size or not movable[i >> 1]]
        else:
            base[v] = kept[v]
    free = np.flatnonzero(vans.status == ON).astype(np.int32)
    return Waiting(
        table, price, starts, free, front, *_ragged(kept), *_ragged(base), np.flatnonzero(movable).astype(np.int32)
    )


def grown(
    problem: Waiting, part: Rows, start: Rows, candidates: Rows, worth: Floats, time: Rows, drive: float
) -> Trips:
    """Return the trips of some vans; ``start``, ``candidates`` as from `nearest`, ``worth`` (R,) as in `trips.grow`."""
    room = len(part) * MOST
    out = Trips(
        np.empty(room, np.int32), np.empty(room), np.empty(room, np.int32), np.empty((room, trips.LONGEST), np.int32)
    )
    count = trips.grow_all(
        part,
        problem.vans,
        problem.base_start,
        problem.base,
        problem.kept_start,
        problem.kept,
        start,
        candidates,
        worth,
        problem.table,
        problem.price,
        time,
        drive,
        EXACT,
        NODES,
        WIDTH,
        MOST,
        *out,
    )
    return Trips(out.van[:count], out.cost[:count], out.length[:count], out.route[:count])


def _serve(van: Seconds, front: list[int], table: Seconds, ready: int) -> None:
    """Move a van's start behind what it does at its stop; CLOSE of a pick-up there becomes when boarding is over."""
    for action in front:
        i = 2 * (action - 1) if action > 0 else -2 * action - 1
        ready = int(max(ready, table[i, OPEN]) + table[i, SERVICE])
        if table[i, ROW] >= 0:
            van[0] = table[i, ROW]
        if action > 0:
            table[i, CLOSE] = ready
    van[1] = max(ready, 0)


def _ragged(lists: list[list[int]]) -> tuple[Rows, Rows]:
    return _starts([len(one) for one in lists]), np.array([i for one in lists for i in one], np.int32)


def _starts(lengths: npt.ArrayLike) -> Rows:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)


def nearest(problem: Waiting, state: State, time: Rows, usable: Rows) -> tuple[Rows, Rows]:
    """Return for each van the requests to try, its own first, then the nearest: where each van's start, and slots."""
    slots = problem.movable
    reach = time[problem.vans[usable, 0]][:, problem.table[2 * slots, ROW]] + problem.vans[usable, 1][:, None]
    reach = np.maximum(reach, problem.table[2 * slots, OPEN])
    possible = reach <= problem.table[2 * slots, CLOSE]
    rank = np.argsort(np.argsort(np.where(possible, reach, 2**40), axis=0, kind="stable"), axis=0)
    own = state.requests.van[slots] == usable[:, None]
    tried = (possible & (rank < NEAREST)) | own
    lists: list[list[int]] = [[] for _ in range(len(problem.vans))]
    for k, v in enumerate(usable):
        column = np.flatnonzero(tried[k])
        order = np.lexsort((reach[k, column], ~own[k, column]))
        lists[v] = slots[column[order[: trips.CANDIDATES]]].tolist()
    return _ragged(lists)


def newest_first(state: State, usable: Rows, start: Rows, candidates: Rows) -> Rows:
    """Return the vans in order of the latest news of those that they could serve: time may not suffice for all."""
    changed_s = state.requests.changed_s
    news = [int(changed_s[candidates[start[v] : start[v + 1]]].max(initial=0)) for v in usable]
    return usable[np.argsort(-np.array(news, np.int64), kind="stable")]


def choose(problem: Waiting, before: Floats, orphans: Rows, options: Trips, seconds: float) -> list[int]:
    """Return the trips that vans should do instead of what they have: set partitioning, by HiGHS.

    Columns: what each van has, at cost ``before`` (V,); the trips; each orphan unserved. Rows: each van once, each
    movable request once. Its linear relaxation is solved first, and is often whole already. Else the integer program is
    solved on the columns of least reduced cost, among them what there is now.
    """
    fleet, many = len(problem.vans), len(options.van)
    cost, start, index = columns(problem, before, orphans, options)
    first = np.zeros(len(cost), np.bool_)
    first[:fleet] = first[fleet + many :] = True
    end = clock.perf_counter() + seconds
    rows = fleet + len(problem.movable)
    found, reduced = solve(cost, start, index, rows, None, seconds)
    if not len(found):
        return []
    if np.any((found > WHOLE) & (found < 1 - WHOLE)):
        reduced[first] = -np.inf
        some = np.sort(np.argsort(reduced, kind="stable")[: max(PRICED, PRICED_EACH * rows)])
        own = np.diff(start)
        within = np.repeat(np.isin(np.arange(len(cost)), some), own)
        found = np.zeros(len(cost))
        part = solve(cost[some], _starts(own[some]), index[within], rows, first[some], end - clock.perf_counter())[0]
        if not len(part):
            return []
        found[some] = part
    if cost @ np.rint(found) > cost[first].sum() - GAIN:
        return []
    return np.flatnonzero(found[fleet : fleet + many] > 0.5).tolist()


def columns(problem: Waiting, before: Floats, orphans: Rows, options: Trips) -> tuple[Floats, Rows, Rows]:
    """Return the columns of the program: what each costs, where each starts in the last array, and its rows."""
    fleet, size = len(problem.vans), problem.size
    row_of = np.full(size, -1, np.int32)
    row_of[problem.movable] = np.arange(fleet, fleet + len(problem.movable), dtype=np.int32)
    owner = np.repeat(np.arange(fleet, dtype=np.int32), np.diff(problem.kept_start))
    picks = (problem.kept & 1 == 0) & (problem.kept < 2 * size)
    rows = np.where(picks, row_of[np.where(picks, problem.kept >> 1, 0)], -1) if size else problem.kept * 0 - 1
    kept = [np.concatenate(([v], rows[(owner == v) & (rows >= 0)])) for v in range(fleet)]
    there = np.less(np.arange(trips.LONGEST), options.length[:, None])
    picks = there & (options.route & 1 == 0) & (options.route < 2 * size)
    rows = np.where(picks, row_of[np.where(picks, options.route >> 1, 0)], -1)
    table = np.hstack((options.van[:, None], rows))
    used = table >= 0
    index = np.concatenate((*kept, table[used], row_of[orphans])).astype(np.int32)
    counts = np.concatenate(([len(one) for one in kept], used.sum(axis=1), np.ones(len(orphans)))).astype(np.int64)
    cost = np.concatenate((np.where(np.isfinite(before), before, 0.0), options.cost, np.full(len(orphans), UNSERVED)))
    return cost, _starts(counts), index


def solve(
    cost: Floats, start: Rows, index: Rows, rows: int, first: Bools | None, seconds: float
) -> tuple[Floats, Floats]:
    """Return the values and the reduced costs of a partitioning program's columns, both empty if there was no time.

    ``start`` (c + 1,), ``index``: in which rows each column is. With ``first`` (c,), a solution to start from, the
    columns are whole; without, it is the relaxation.
    """
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), rows
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), np.ones(len(cost))
    lp.row_lower_ = lp.row_upper_ = np.ones(rows)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = start, index, np.ones(len(index))
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("mip_rel_gap", 0.0)  # of a whole fleet's cost, the usual share would be hours
    solver.setOptionValue("mip_abs_gap", GAIN)
    if np.isfinite(seconds):
        solver.setOptionValue("time_limit", max(seconds, 0.01))
    solver.setOptionValue("presolve", "off")  # takes longer than it saves on set partitioning
    if first is None:
        solver.setOptionValue("solver", "simplex")
        solver.passModel(lp)
    else:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
        solver.passModel(lp)
        known = highspy.HighsSolution()
        known.col_value = first.astype(np.float64)
        solver.setSolution(known)
    solver.run()
    solution = solver.getSolution()
    if first is None and solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return np.empty(0), np.empty(0)
    return np.array(solution.col_value), np.array(solution.col_dual)
