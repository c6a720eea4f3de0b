"""Tours of a fleet that a search changes: their schedules, their costs, and the cheapest place for a rider in one.

A *node* is a place with its window, load and service, a row of `Network.nodes` with the columns of `schedule`; in it,
`ROW` is the node itself (or -1, a break) and `PARTNER` the pick-up's node. A *job* is what moves as one: a rider's
pick-up and drop-off, or a drop-off or break alone that is tied to its van. Every tour begins with its van's start node
and ends with its end node.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanmaru.city.kernels import bare
from hanmaru.ride.engine.schedule import (
    CHAIRS,
    CLOSE,
    COLUMNS,
    LIMIT,
    OPEN,
    PARTNER,
    ROW,
    SEATS,
    SERVICE,
    latest,
    schedule,
    settle,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER = 2**60
"""The cost of what cannot be."""


class Network(NamedTuple):
    """What a search does not change: N nodes, n jobs, K vans."""

    nodes: Ints
    """(N, 8)"""
    time: Ints
    """(N, N) travel times between nodes, with the triangle inequality."""
    cost: Ints
    """(N, N) what driving costs."""
    weight: Ints
    """(N,) what a unit of time costs by which service begins later; 0 or more."""
    joined: Flags
    """(N, N) whether a feasible tour may drive from one node directly to another."""
    pick: Ints
    """(n,) a job's pick-up node, -1 if it has none."""
    drop: Ints
    """(n,) a job's drop-off node."""
    tied: Ints
    """(n,) the van that alone can do the job, -1 if any can."""
    near: Ints
    """(n, n - 1) for each job, the others, most alike first."""
    places: Ints
    """(K, 2) seats and wheelchair places of the vans."""
    timed: bool
    """Whether any weight is more than 0."""
    alike: bool
    """Whether idle vans can be told apart by nothing."""
    locked: Ints
    """(K,) how many nodes at the beginning of a tour stay where they are; at least the start."""


class Tours(NamedTuple):
    """A plan and what follows from it; K tours of at most M nodes."""

    route: Ints
    """(K, M) nodes in driving order."""
    length: Ints
    """(K,) how many nodes."""
    early: Ints
    """(K, M) earliest beginnings of service."""
    late: Ints
    """(K, M) latest beginnings of service."""
    load: Ints
    """(K, M, 2) seats and wheelchair places taken after each node."""
    cost: Ints
    """(K,) what each tour costs."""
    version: Ints
    """(K,) a number for what a tour is; another tour has another."""
    van: Ints
    """(n,) which van does each job, -1 for none."""


class Memory(NamedTuple):
    """The cheapest insertion of each job into each tour (n, K), as of the tour's version."""

    version: Ints
    cost: Ints
    """The added cost; if ``drop`` is -1, a bound below which there is no insertion."""
    pick: Ints
    """Before which position the pick-up goes."""
    drop: Ints
    """Before which position the drop-off goes, -1 if there is no insertion."""


class Scratch(NamedTuple):
    """Room to work in."""

    stops: Ints
    """(M + 2, 8)"""
    begin: Ints
    """(M + 2,)"""
    where: Ints
    """(N,) the position at which a node was laid last."""


def tours(routes: list[list[int]], van: Ints, most: int) -> Tours:
    """Return tours of given nodes, yet without schedules: `refresh` each of them. ``most`` is M."""
    k = len(routes)
    route = np.zeros((k, most), np.int64)
    for i, nodes in enumerate(routes):
        route[i, : len(nodes)] = nodes
    length = np.array([len(nodes) for nodes in routes], np.int64)
    early, late = np.zeros((2, k, most), np.int64)
    cost, version = np.zeros((2, k), np.int64)
    return Tours(route, length, early, late, np.zeros((k, most, 2), np.int64), cost, version, van.copy())


def memory(jobs: int, vans: int) -> Memory:
    """Return a memory that knows nothing yet."""
    version, cost, pick, drop = np.full((4, jobs, vans), -1, np.int64)
    return Memory(version, cost, pick, drop)


def scratch(nodes: int, most: int) -> Scratch:
    """Return room for N nodes and tours of at most M."""
    return Scratch(np.zeros((most + 2, COLUMNS), np.int64), np.zeros(most + 2, np.int64), np.zeros(nodes, np.int64))


def alike(pick: Ints, drop: Ints, nodes: Ints, time: Ints) -> Ints:
    """Return (n, n - 1) for each job the others, most alike in place and time first; arrays as in `Network`."""
    first = np.where(pick >= 0, pick, drop)
    middle = (nodes[:, OPEN] + nodes[:, CLOSE]) // 2
    score = np.zeros((len(drop), len(drop)), np.int64)
    for of in (first, drop):
        score += time[np.ix_(of, of)] + np.abs(middle[of][:, None] - middle[of]) // 4
    np.fill_diagonal(score, -1)
    return np.argsort(score, axis=1, kind="stable")[:, 1:].astype(np.int64)


@bare
def _put(node: int, at: int, nodes: Ints, room: Scratch) -> None:
    """Lay a node at a position; its pick-up, if any, has been laid before."""
    for c in range(COLUMNS):
        room.stops[at, c] = nodes[node, c]
    room.where[node] = at
    if nodes[node, PARTNER] >= 0:
        room.stops[at, PARTNER] = room.where[nodes[node, PARTNER]]


@bare
def _lay(route: Ints, first: int, last: int, net: Network, room: Scratch) -> None:
    """Lay the nodes of a tour from one position to before another."""
    for x in range(first, last):
        _put(route[x], x, net.nodes, room)


@bare
def _fits(k: int, pick: int, i: int, drop: int, j: int, net: Network, plan: Tours, room: Scratch) -> int:
    """Schedule a tour, of which i stops are laid, with ``pick`` (-1: none) before position i and ``drop`` before j.

    Returns -1 if it cannot be driven, else how many positions were scheduled. What the tour had begins no earlier than
    before; where a stop behind the drop-off begins no later either, all behind it does as before. That is not so if a
    break is moved elsewhere.
    """
    route, early, nodes = plan.route[k], plan.early[k], net.nodes
    moved = nodes[route[j], ROW] < 0 or (pick >= 0 and nodes[route[i], ROW] < 0)
    here = 0
    for x in range(i):
        room.begin[x] = early[x]
        if nodes[route[x], ROW] >= 0:
            here = route[x]
    free = early[i - 1] + nodes[route[i - 1], SERVICE]
    at = i
    for x in range(i, plan.length[k]):
        for part in range(3):
            if part == 0:
                if x > i or pick < 0:
                    continue
                node = pick
            elif part == 1:
                if x != j:
                    continue
                node = drop
            else:
                node = route[x]
            _put(node, at, nodes, room)
            if part == 2 and not moved:
                room.stops[at, OPEN] = max(room.stops[at, OPEN], early[x])
            if not settle(at, here, free, room.stops, net.time, route[0], room.begin):
                return -1
            if nodes[node, ROW] >= 0:
                here = node
            free = room.begin[at] + nodes[node, SERVICE]
            at += 1
        if x >= j and not moved and room.begin[at - 1] == early[x] and here == route[x]:
            break
    return at


@bare
def refresh(k: int, version: int, net: Network, plan: Tours, room: Scratch) -> bool:
    """Work out a tour's schedule, load and cost; False if it cannot be driven in time (loads are not judged)."""
    m = plan.length[k]
    route = plan.route[k]
    _lay(route, 0, m, net, room)
    if schedule(m, room.stops, net.time, route[0], 0, plan.early[k]) != -1:
        return False
    latest(m, room.stops, net.time, route[0], plan.late[k])
    seats, chairs, cost = 0, 0, 0
    here = route[0]
    for i in range(m):
        node = route[i]
        seats += net.nodes[node, SEATS]
        chairs += net.nodes[node, CHAIRS]
        plan.load[k, i, 0] = seats
        plan.load[k, i, 1] = chairs
        if net.nodes[node, ROW] >= 0:
            cost += net.cost[here, node]
            here = node
        cost += net.weight[node] * plan.early[k, i]
    plan.cost[k] = cost
    plan.version[k] = version
    return True


@bare
def _later(n: int, k: int, pick: int, i: int, drop: int, j: int, net: Network, plan: Tours, room: Scratch) -> int:
    """Return what the times of a tour, its first n just scheduled, cost more than without an insertion."""
    total, at = 0, 0
    for x in range(plan.length[k]):
        if at == n:
            break
        if x == i and pick >= 0:
            total += net.weight[pick] * room.begin[at]
            at += 1
        if x == j:
            total += net.weight[drop] * room.begin[at]
            at += 1
        total += net.weight[plan.route[k, x]] * (room.begin[at] - plan.early[k, x])
        at += 1
    return total


@bare
def _full(k: int, i: int, seats: int, chairs: int, net: Network, plan: Tours) -> bool:
    """Return whether after position i a tour has no room for so many more."""
    return plan.load[k, i, 0] + seats > net.places[k, 0] or plan.load[k, i, 1] + chairs > net.places[k, 1]


@bare
def _stop_after(route: Ints, i: int, net: Network) -> int:
    """Return the first position from i on that is no break."""
    while net.nodes[route[i], ROW] < 0:
        i += 1
    return i


@bare
def cheapest(job: int, k: int, bound: int, net: Network, plan: Tours, seen: Memory, room: Scratch) -> int:
    """Return the least cost that a job adds to a tour if it is less than ``bound``, else `NEVER`; remember where."""
    if seen.version[job, k] == plan.version[k]:
        if seen.cost[job, k] >= bound:
            return NEVER
        if seen.drop[job, k] >= 0:
            return seen.cost[job, k]
    seen.version[job, k] = plan.version[k]
    seen.cost[job, k] = bound
    seen.drop[job, k] = -1
    if net.tied[job] >= 0 and net.tied[job] != k:
        return NEVER
    route, early, late = plan.route[k], plan.early[k], plan.late[k]
    nodes, time, cost = net.nodes, net.time, net.cost
    pick, drop = net.pick[job], net.drop[job]
    last = plan.length[k] - 1
    seats = nodes[pick, SEATS] if pick >= 0 else 0
    chairs = nodes[pick, CHAIRS] if pick >= 0 else 0
    here = route[0]
    laid = 0
    for i in range(1, last + 1):
        before = route[i - 1]
        if nodes[before, ROW] >= 0:
            here = before
        if i < net.locked[k]:
            continue
        to = _stop_after(route, i, net)
        clock = early[i - 1] + nodes[before, SERVICE]
        base, added, ride, waited = here, 0, -nodes[drop, LIMIT], 0
        if pick >= 0:
            clock = max(clock + time[here, pick], nodes[pick, OPEN])
            if clock > nodes[pick, CLOSE]:
                break
            waited = net.weight[pick] * clock
            added = cost[here, pick] - cost[here, route[to]] + waited
            clock += nodes[pick, SERVICE]
            if added >= seen.cost[job, k] or not net.joined[here, pick] or _full(k, i - 1, seats, chairs, net, plan):
                continue
            if to == i and clock + time[pick, route[i]] > late[i]:
                continue
            base = pick
        for j in range(i, last + 1):
            after = route[to]
            bypass = 0 if base == pick else cost[base, after]
            total = added + cost[base, drop] + cost[drop, after] - bypass
            begin = max(clock + time[base, drop], nodes[drop, OPEN])
            leave = begin + nodes[drop, SERVICE]
            if (
                total + net.weight[drop] * begin < seen.cost[job, k]
                and begin <= nodes[drop, CLOSE]
                and ride + time[base, drop] <= 0
                and (to != j or leave + time[drop, after] <= late[j])
                and net.joined[base, drop]
                and net.joined[drop, after]
            ):
                _lay(route, laid, i, net, room)
                laid = i
                n = _fits(k, pick, i, drop, j, net, plan, room)
                if n >= 0:
                    if net.timed:
                        total += _later(n, k, pick, i, drop, j, net, plan, room) - waited
                    if total < seen.cost[job, k]:
                        seen.cost[job, k] = total
                        seen.pick[job, k] = i
                        seen.drop[job, k] = j
            # on to the next position: the stop at j comes before the drop-off
            if j == last or _full(k, j, seats, chairs, net, plan):
                break
            node = route[j]
            if to == j:
                clock += time[base, node]
                ride += time[base, node]
                if base == pick:
                    if not net.joined[pick, node]:
                        break
                    added += cost[pick, node]
                base = node
                to = _stop_after(route, j + 1, net)
            clock = max(clock, nodes[node, OPEN])
            if pick < 0:
                clock = max(clock, early[j])
            elif nodes[node, ROW] >= 0 and clock > late[j]:
                break
            clock += nodes[node, SERVICE]
            ride += nodes[node, SERVICE]
            if ride > 0 and pick >= 0:
                break
        if pick < 0:
            break
    return seen.cost[job, k] if seen.drop[job, k] >= 0 else NEVER


@bare
def put_in(job: int, k: int, i: int, j: int, version: int, net: Network, plan: Tours, room: Scratch) -> bool:
    """Insert a job into a tour, its pick-up before position i, its drop-off before j; False if it cannot be driven."""
    shift = 2 if net.pick[job] >= 0 else 1
    route = plan.route[k]
    m = plan.length[k]
    for x in range(m - 1, -1, -1):
        if x >= j:
            route[x + shift] = route[x]
        elif x >= i and shift == 2:
            route[x + 1] = route[x]
    if shift == 2:
        route[i] = net.pick[job]
    route[j + shift - 1] = net.drop[job]
    plan.length[k] = m + shift
    plan.van[job] = k
    return refresh(k, version, net, plan, room)


@bare
def take_out(job: int, net: Network, plan: Tours) -> None:
    """Take a job out of its tour, which then needs `refresh`."""
    k = plan.van[job]
    to = 0
    for x in range(plan.length[k]):
        node = plan.route[k, x]
        if node != net.pick[job] and node != net.drop[job]:
            plan.route[k, to] = node
            to += 1
    plan.length[k] = to
    plan.van[job] = -1
