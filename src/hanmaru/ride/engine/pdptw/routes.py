"""Routes as linked lists over flat arrays, and the one question that every search asks: where may a request go?

Place 0, the depot, stands for both ends of every route: nothing is before its opening or after its closing. Times keep
the triangle inequality, so a request only ever delays what follows it, and leaving one out never harms.
"""
# pyright: reportArgumentType=false, reportReturnType=false
# NumPy does not tell the type checker that an element of an array of numbers is a number.

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanmaru.city.kernels import GOLDEN, bare, mixed, unit
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.engine.problem import Problem, Solution

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

EPSILON = 1e-9
"""Times that differ by less are equal: what rounding makes of sums in different orders."""


class Instance(NamedTuple):
    """The problem's arrays (see `Problem`), and what is known of every two requests.

    ``partner``, ``request`` (N,): a place's other place and its request. ``clash`` (n, w): bit b of row a says that no
    vehicle can serve requests a and b. ``near`` (N, k): the other places, nearest first. ``keys`` (6, n): numbers to
    sort requests by.
    """

    travel: Floats
    open: Floats
    close: Floats
    service: Floats
    load: Floats
    pickup: Rows
    delivery: Rows
    partner: Rows
    request: Rows
    clash: Words
    near: Rows
    keys: Floats
    capacity: float


class Chain(NamedTuple):
    """Places in order, (N,): the next and previous one, earliest and latest begin of service, the load on leaving."""

    after: Rows
    before: Rows
    early: Floats
    late: Floats
    aboard: Floats


class Plan(NamedTuple):
    """k routes, some perhaps empty, and requests that are in none.

    Per place (N,): ``route`` (-1: none). Per route (k,): ``first`` place (0: empty), ``length`` driven, ``version`` (a
    number that no other content of any route has had), ``members`` (k, w) as bits. ``random`` (1,), ``stamp`` (1,):
    the states of the random numbers and of versions.
    """

    chain: Chain
    route: Rows
    first: Rows
    length: Floats
    version: Counts
    members: Words
    random: Words
    stamp: Counts


@bare
def draw(state: Words) -> float:
    """Return the next random number in (0, 1)."""
    state[0] += GOLDEN
    return unit(mixed(state[0], 0))


@bare
def below(state: Words, n: int) -> int:
    """Return a random whole number from 0 to n - 1."""
    return min(int(draw(state) * n), n - 1)


@bare
def refresh(instance: Instance, plan: Plan, route: int) -> None:
    """Work out a route's times, loads, length and members from its order, and give it a new version."""
    after, before, early, late, aboard = plan.chain
    travel, service = instance.travel, instance.service
    for w in range(plan.members.shape[1]):
        plan.members[route, w] = 0
    length = 0.0
    last = 0
    place = plan.first[route]
    while place != 0:
        way = travel[last, place]
        length += way
        early[place] = max(early[last] + service[last] + way, instance.open[place])
        aboard[place] = aboard[last] + instance.load[place]
        before[place] = last
        plan.route[place] = route
        request = instance.request[place]
        plan.members[route, request >> 6] |= np.uint64(1) << np.uint64(request & 63)
        last = place
        place = after[place]
    plan.length[route] = length + travel[last, 0]
    place = last
    follower = 0
    while place != 0:
        late[place] = min(late[follower] - travel[place, follower] - service[place], instance.close[place])
        follower = place
        place = before[place]
    plan.stamp[0] += 1
    plan.version[route] = plan.stamp[0]


@bare
def detach(instance: Instance, plan: Plan, request: int) -> None:
    """Take a request out of its route, which has to be refreshed then."""
    after, before = plan.chain.after, plan.chain.before
    for place in (instance.pickup[request], instance.delivery[request]):
        last, follower = before[place], after[place]
        if last == 0:
            plan.first[plan.route[place]] = follower
        else:
            after[last] = follower
        if follower != 0:
            before[follower] = last
        plan.route[place] = -1


@bare
def attach(instance: Instance, plan: Plan, request: int, route: int, i: int, j: int) -> None:
    """Put a request into a route, its pick-up after place i (0: first) and its delivery after j, and refresh it."""
    after = plan.chain.after
    pickup, delivery = instance.pickup[request], instance.delivery[request]
    if i == 0:
        after[pickup] = plan.first[route]
        plan.first[route] = pickup
    else:
        after[pickup] = after[i]
        after[i] = pickup
    after[delivery] = after[j]
    after[j] = delivery
    refresh(instance, plan, route)


@bare
def clashes(instance: Instance, plan: Plan, request: int, route: int) -> bool:
    """Tell whether a route serves somebody with whom a request cannot be."""
    shared = np.uint64(0)
    for w in range(plan.members.shape[1]):
        shared |= plan.members[route, w] & instance.clash[request, w]
    return shared != 0


@bare
def find(instance: Instance, chain: Chain, first: int, request: int, state: Words, mode: int) -> tuple[float, int, int]:
    """Return where a request may go into the route that starts with a place: its cost, and i and j as for `attach`.

    Mode 0 finds the cheapest, 1 any one by chance, 2 the first there is. The cost is infinite where there is none.
    Scans pick-up positions in order and, for each, delivery positions while the pick-up's delay is carried along: both
    end as soon as a window or the capacity is passed, because later positions are only later.
    """
    after, _, early, late, aboard = chain
    travel, open_, close, service = instance.travel, instance.open, instance.close, instance.service
    pickup, delivery = instance.pickup[request], instance.delivery[request]
    room = instance.capacity - instance.load[pickup]
    best, best_i, best_j = np.inf, 0, 0
    i = 0
    while True:
        follower = first if i == 0 else after[i]
        at_pickup = max(early[i] + service[i] + travel[i, pickup], open_[pickup])
        if at_pickup > close[pickup] + EPSILON:
            break
        leave = at_pickup + service[pickup]
        at_delivery = max(leave + travel[pickup, delivery], open_[delivery])
        if at_delivery > close[delivery] + EPSILON:
            break
        detour = travel[i, pickup] - travel[i, follower]
        if aboard[i] <= room and (mode != 0 or detour + travel[pickup, follower] < best):
            if at_delivery + service[delivery] + travel[delivery, follower] <= late[follower] + EPSILON:
                cost = detour + travel[pickup, delivery] + travel[delivery, follower] if mode == 0 else draw(state)
                if cost < best:
                    best, best_i, best_j = cost, i, pickup
                    if mode == 2:
                        break
            detour += travel[pickup, follower]
            j = follower
            time = max(leave + travel[pickup, j], open_[j])
            while j != 0:
                if time > late[j] + EPSILON or aboard[j] > room:
                    break
                at_delivery = max(time + service[j] + travel[j, delivery], open_[delivery])
                if at_delivery > close[delivery] + EPSILON:
                    break
                follower_j = after[j]
                onward = travel[delivery, follower_j]
                if at_delivery + service[delivery] + onward <= late[follower_j] + EPSILON:
                    if mode == 0:
                        cost = detour + travel[j, delivery] + onward - travel[j, follower_j]
                    else:
                        cost = draw(state)
                    if cost < best:
                        best, best_i, best_j = cost, i, j
                        if mode == 2:
                            return best, best_i, best_j
                time = max(time + service[j] + travel[j, follower_j], open_[follower_j])
                j = follower_j
        if follower == 0:
            break
        i = follower
    return best, best_i, best_j


def chain_of(instance: Instance) -> Chain:
    """Return a chain of no places but the depot."""
    places = len(instance.open)
    links, times = np.zeros((2, places), np.int32), np.zeros((3, places))
    times[0, 0], times[1, 0] = instance.open[0], instance.close[0]
    return Chain(links[0], links[1], times[0], times[1], times[2])


def plan_of(instance: Instance, routes: Iterable[Iterable[int]], seed: int, size: int) -> Plan:
    """Return a plan of ``size`` routes that begins with the given ones; whom they leave out is in none."""
    n, places = len(instance.pickup), len(instance.open)
    chain = chain_of(instance)
    plan = Plan(
        chain=chain,
        route=np.full(places, -1, np.int32),
        first=np.zeros(size, np.int32),
        length=np.zeros(size),
        version=np.zeros(size, np.int64),
        members=np.zeros((size, (n + 63) // 64), np.uint64),
        random=np.array([mixed(np.uint64(seed), 0)], np.uint64),
        stamp=np.zeros(1, np.int64),
    )
    for number, route in enumerate(routes):
        order = [*route, 0]
        plan.first[number] = order[0]
        chain.after[order[:-1]] = order[1:]
    for number in range(size):
        refresh(instance, plan, number)
    return plan


def solution_of(plan: Plan) -> Solution:
    """Return a plan's routes that are not empty."""
    after = plan.chain.after
    routes: list[tuple[int, ...]] = []
    for first in plan.first.tolist():
        route: list[int] = []
        while first:
            route.append(first)
            first = int(after[first])
        if route:
            routes.append(tuple(route))
    return Solution(tuple(routes))


def instance_of(problem: Problem) -> Instance:
    """Return a problem's arrays with what the searches look up."""
    places = len(problem.open)
    partner, request = np.zeros(places, np.int32), np.zeros(places, np.int32)
    partner[problem.pickup], partner[problem.delivery] = problem.delivery, problem.pickup
    request[problem.pickup] = request[problem.delivery] = np.arange(len(problem.pickup))
    pickup, delivery = problem.pickup, problem.delivery
    keys = np.stack(
        [
            -problem.load[pickup],
            -problem.travel[0, pickup],
            problem.travel[0, pickup],
            problem.close[pickup] - problem.open[pickup] + problem.close[delivery] - problem.open[delivery],
            problem.open[pickup],
            -problem.close[delivery],
        ]
    )
    return Instance(
        travel=np.ascontiguousarray(problem.travel),
        open=problem.open,
        close=problem.close,
        service=problem.service,
        load=problem.load,
        pickup=pickup,
        delivery=delivery,
        partner=partner,
        request=request,
        clash=_clashes(problem),
        near=_near(problem),
        keys=keys,
        capacity=problem.capacity,
    )


NEIGHBOURS = 200


def _near(problem: Problem) -> Rows:
    """Return each place's neighbours but the depot, by distance."""
    order = np.argsort(problem.travel + np.diag(np.full(len(problem.open), -1.0)), axis=1, kind="stable")
    rows = [row[row != 0][:NEIGHBOURS] for row in order]
    return np.stack(rows).astype(np.int32)


def _clashes(problem: Problem) -> Words:
    """Return, as bits, which two requests no order of their four places serves alone."""
    n = len(problem.pickup)
    p, d = problem.pickup, problem.delivery
    a, b = np.arange(n)[:, None], np.arange(n)[None, :]

    def possible(order: tuple[npt.NDArray[np.int32], ...]) -> npt.NDArray[np.bool_]:
        time = np.full((n, n), problem.open[0])
        fits = np.ones((n, n), np.bool_)
        load = np.zeros((n, n))
        last = np.zeros((1, 1), np.int32)
        for place in order:
            time = np.maximum(time + problem.service[last] + problem.travel[last, place], problem.open[place])
            load = load + problem.load[place]
            fits &= (time <= problem.close[place] + EPSILON) & (load <= problem.capacity)
            last = place
        return fits & (time + problem.service[last] + problem.travel[last, 0] <= problem.close[0] + EPSILON)

    pa, da, pb, db = p[a], d[a], p[b], d[b]
    one_first = possible((pa, da, pb, db)) | possible((pa, pb, da, db)) | possible((pa, pb, db, da))
    together = one_first | one_first.T
    np.fill_diagonal(together, True)
    bits = np.zeros((n, (n + 63) // 64 * 64), np.bool_)
    bits[:, :n] = ~together
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
