"""What is not yet fixed in the live fleet's plans, improved in the background by the neighbourhood search.

A snapshot's vans go through in groups that are near each other. Within a group accepted riders move between vans and
change their order; what is under way, who is aboard and breaks stay with their vans. The promises are the windows, so
each plan found can be driven as promised, and it is proposed only if it costs less.
"""

import time as clock
from typing import NamedTuple

import numpy as np

from hanmaru.ride.domain import Rows, Travel
from hanmaru.ride.engine.commands import Propose
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.neighbourhood import anneal, begin, total
from hanmaru.ride.engine.partition import pool
from hanmaru.ride.engine.schedule import CHAIRS, CLOSE, COLUMNS, LIMIT, OPEN, PARTNER, ROW, SEATS
from hanmaru.ride.engine.state import BREAK, ON, State
from hanmaru.ride.engine.timetable import ABOARD_CHAIRS, ABOARD_SEATS, FIXED, READY, START, Timetables
from hanmaru.ride.engine.tours import Ints, Network, alike

GROUP = 30
"""Vans that are searched together."""
STEPS = 2000
"""Steps of the search in each group."""
LOOKS = 20
"""How often in these the clock is looked at."""
HOT_S, COLD_S = 60.0, 3.0
"""Temperatures of the annealing, in driven seconds."""
GAIN_S = 1.0
"""What a group's new plans have to save, in driven seconds: below this it is not worth telling drivers."""
UNIT = 1000
"""Costs are whole numbers of this part of a driven second."""
UNSERVED_S = 10**7
"""Cost of leaving out an accepted rider, in driven seconds: more than any plan."""
ANY_S = 2**40
"""A time after all others."""
AGO_S = 86_400
"""Vans that stand somewhere have come there since."""

Plans = dict[int, list[int]]
"""Vans' plans as the state has them: ``+(slot + 1)`` pick up, ``-(slot + 1)`` drop off."""


class Group(NamedTuple):
    """Some vans' problem; ``action`` (N,): what each node is in a plan, 0 for starts and ends."""

    net: Network
    routes: list[list[int]]
    van: Ints
    action: Ints


def plan(
    state: State,
    travel: Travel,
    now_s: int,
    weights: Weights,
    seconds: float = np.inf,
    seed: int = 0,
    rounds: int | None = None,
) -> Propose:
    """Return better plans for some vans, or none.

    Goes on for ``rounds`` groups, by default as many as take every van about once, or until ``seconds`` are over;
    without a limit of seconds the same seed gives the same plans.
    """
    end = clock.perf_counter() + seconds
    tables = Timetables(state, travel, weights)
    tables.refresh(now_s)
    able = (state.vans.status == ON) & tables.good
    usable = np.array([v for v in range(len(able)) if able[v]], np.int32)
    plans: Plans = {v: state.vans.actions(v) for v in range(len(able)) if able[v]}
    busy = [v for v, actions in plans.items() if len(actions) > int(tables.heads[v, FIXED])]
    random = np.random.default_rng(seed)
    for _ in range(-(-len(busy) // (GROUP // 3)) if rounds is None else rounds):
        if not busy or clock.perf_counter() > end:
            break
        around = _near(busy[int(random.integers(len(busy)))], usable, tables, travel)
        plans |= _search(around, plans, state, tables, now_s, weights, int(random.integers(1 << 60)), end)
    changed = {v: tuple(actions) for v, actions in plans.items() if actions != state.vans.actions(v)}
    cheaper: dict[int, tuple[int, ...]] = {}
    for vans in _exchanges(changed, state):
        gain = 0.0
        for v in vans:
            gain += _worth(v, tuple(state.vans.actions(v)), tables, now_s) - _worth(v, changed[v], tables, now_s)
        if gain >= GAIN_S:
            cheaper |= {v: changed[v] for v in vans}
    return Propose(state.seq, cheaper, "improvement")


def _exchanges(plans: dict[int, tuple[int, ...]], state: State) -> list[list[int]]:
    """Return the smallest sets of vans between which nobody moves."""
    of = {v: v for v in plans}
    for v, actions in plans.items():
        for other in {int(state.requests.van[abs(a) - 1]) for a in actions} & of.keys():
            of = {u: of[v] if to == of[other] else to for u, to in of.items()}
    return [[v for v in plans if of[v] == one] for one in sorted(set(of.values()))]


def _worth(v: int, actions: tuple[int, ...], tables: Timetables, now_s: int) -> float:
    """Return what a van's plan costs, by the dispatcher's own measure; infinite if it cannot be driven."""
    begins = tables.begins(v, now_s, actions)
    return np.inf if begins is None else tables.cost(v, actions, begins)


def _near(van: int, usable: Rows, tables: Timetables, travel: Travel) -> list[int]:
    """Return vans that come soonest to where one goes next, that one among them."""
    target = int(tables.stops[van, tables.heads[van, FIXED], ROW])
    there = travel.time_s[tables.heads[usable, START], max(target, 0)] + tables.heads[usable, READY]
    there[usable == van] = -1
    return usable[np.argsort(there, kind="stable")[:GROUP]].tolist()


def _search(
    vans: list[int],
    plans: Plans,
    state: State,
    tables: Timetables,
    now_s: int,
    weights: Weights,
    seed: int,
    end: float,
) -> Plans:
    """Return better plans for a group of vans, or none."""
    group = problem(vans, plans, state, tables, now_s, weights)
    if not len(group.net.drop):
        return {}
    search = begin(group.net, group.routes, group.van, UNSERVED_S * UNIT, seed)
    if search is None:
        return {}
    before = total(search.best, search.absent)
    seen = pool(len(group.net.drop), 1)
    for share in np.linspace(0.0, 1.0, LOOKS, endpoint=False):
        heat = HOT_S * (COLD_S / HOT_S) ** share * UNIT
        anneal(STEPS // LOOKS, heat, heat, group.net, search, seen)
        if clock.perf_counter() > end:
            break
    best = search.best
    if total(best, search.absent) > before - GAIN_S * UNIT:
        return {}
    routes = (group.action[best.route[k, : best.length[k]]].tolist() for k in range(len(vans)))
    return {v: [action for action in route if action] for v, route in zip(vans, routes, strict=True)}


def problem(vans: list[int], plans: Plans, state: State, tables: Timetables, now_s: int, weights: Weights) -> Group:
    """Return the problem of some vans with certain plans. Its times are seconds from `AGO_S` before now."""
    rows: list[Ints] = []
    place: list[int] = []
    action: list[int] = []
    routes: list[list[int]] = []
    locked: list[int] = []
    jobs: list[tuple[int, int, int, int]] = []

    def add(stop: Ints, act: int) -> None:
        rows.append(stop)
        place.append(int(stop[ROW]))
        action.append(act)

    for k, v in enumerate(vans):
        stops, head = tables.route(v, now_s, plans[v])
        fixed, first = int(head[FIXED]), len(rows)
        add(_begin(int(head[READY]), int(head[START]), int(head[ABOARD_SEATS]), int(head[ABOARD_CHAIRS])), 0)
        node_of: list[int] = []
        for x, (stop, act) in enumerate(zip(stops, [*plans[v], 0], strict=True)):
            if x == fixed:
                if fixed:  # what comes next is left for from now on
                    stop[OPEN] = state.requests.earliest_s[act - 1] if act > 0 else 0
                    add(_begin(now_s, -1, 0, 0), 0)
                locked.append(len(rows) - first)
            partner = int(stop[PARTNER])
            if partner >= 0:
                stop[PARTNER] = node_of[partner]
            elif act < 0:
                stop[LIMIT] = ANY_S
            if act < 0 and x >= fixed and state.requests.kind[-act - 1] != BREAK:
                free = partner >= fixed
                jobs.append((node_of[partner] if free else -1, len(rows), -1 if free else k, k))
            node_of.append(len(rows))
            add(stop, act)
        routes.append(list(range(first, len(rows))))
    nodes, row, act = np.array(rows), np.array(place), np.array(action)
    starts = np.array([route[0] for route in routes])
    ends = np.array([route[-1] for route in routes])
    nodes[:, [OPEN, CLOSE]] -= now_s - AGO_S
    time = tables.travel.time_s[row][:, np.where(np.isin(np.arange(len(row)), starts), 0, row)].astype(np.int64)
    time[:, starts] = 0
    time[:, ends[row[ends] < 0]] = 0
    cost = np.rint(time * (weights.drive * UNIT)).astype(np.int64)
    cost[:, ends] = 0
    stay = (row < 0) & ~np.isin(np.arange(len(row)), ends)
    nodes[:, ROW] = np.where(stay, -1, np.arange(len(row)))
    rides = np.flatnonzero(act)
    rides = rides[state.requests.kind[np.abs(act[rides]) - 1] != BREAK]
    weight = np.zeros(len(row), np.int64)
    weight[rides] = np.rint(np.where(act[rides] > 0, weights.wait - weights.ride, weights.ride) * UNIT)
    pick, drop, tied, van = np.array(jobs, np.int64).reshape(-1, 4).T.copy()
    places = np.stack([state.vans.seats[vans], state.vans.wheelchairs[vans]], 1).astype(np.int64)
    net = Network(
        nodes=nodes,
        time=time,
        cost=cost,
        weight=weight,
        joined=np.ones(time.shape, np.bool_),
        pick=pick,
        drop=drop,
        tied=tied,
        near=alike(pick, drop, nodes, time),
        places=places,
        timed=bool(weight.any()),
        alike=False,
        locked=np.array(locked),
    )
    return Group(net, routes, van, act)


def _begin(ready: int, row: int, seats: int, chairs: int) -> Ints:
    """Return a node at which a van begins or goes on: not before it is ready."""
    node = np.zeros(COLUMNS, np.int64)
    node[[ROW, OPEN, CLOSE, PARTNER, SEATS, CHAIRS]] = row, ready, ANY_S, -1, seats, chairs
    return node
