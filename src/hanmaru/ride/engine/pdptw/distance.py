"""Ruin and recreate: drive less with the vehicles that there are.

Slack induction by string removals (Christiaens & Vanden Berghe 2020): strings of places are cut out of routes that
pass near each other, each place with its partner; the requests go back one by one where each costs least, in one of
several orders, now and then blinking at a route; simulated annealing decides. Where a request fits best in a route is
remembered until that route changes, even across a step that is taken back.
"""
# pyright: reportArgumentType=false, reportReturnType=false
# NumPy does not tell the type checker that an element of an array of numbers is a number.

import math
from typing import NamedTuple

import numpy as np

from hanmaru.city.kernels import bare
from hanmaru.ride.domain import Bools, Floats, Rows
from hanmaru.ride.engine.pdptw.pool import WORSE, Pool, record
from hanmaru.ride.engine.pdptw.routes import (
    Counts,
    Instance,
    Plan,
    attach,
    below,
    clashes,
    detach,
    draw,
    find,
    refresh,
)

LONGEST_STRING = 10
"""The most places in a string: Christiaens & Vanden Berghe's."""
SPLIT = 0.5
"""How often a string keeps a few places in its middle."""
KEEP_ON = 0.99
"""How probably no more than the places kept so far are kept."""
BLINK = 0.01
"""How often the best position is overlooked."""
ORDERS = np.array([4, 8, 10, 11, 13, 15, 17])
"""Cumulated weights of the orders: by chance, load, far, near, narrow windows, early pick-up, late delivery."""


class Memory(NamedTuple):
    """Per request and route (n, k): where it fits best, what that costs, and for which version of the route."""

    cost: Floats
    i: Rows
    j: Rows
    version: Counts


class Best(NamedTuple):
    """The best plan so far: ``after`` (N,) and ``first`` (k,) as in `Plan`, and its ``length`` and ``used`` (1,)."""

    after: Rows
    first: Rows
    length: Floats
    used: Counts


class Desk(NamedTuple):
    """Room to work in: routes as they were, ``order`` (k, N) and ``old`` (k, 3), and requests that are in none."""

    order: Rows
    old: Counts
    touched: Bools
    absent: Rows
    keys: Floats


def desk_of(instance: Instance, plan: Plan) -> Desk:
    """Return room to work in."""
    n, k = len(instance.pickup), len(plan.first)
    order = np.zeros((k, len(instance.open)), np.int32)
    return Desk(order, np.zeros((k, 3), np.int64), np.zeros(k, np.bool_), np.zeros(n, np.int32), np.zeros(n))


def memory_of(instance: Instance, plan: Plan) -> Memory:
    """Return a memory that holds nothing."""
    shape = (len(instance.pickup), len(plan.first))
    return Memory(np.zeros(shape), np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int64))


def best_of(plan: Plan) -> Best:
    """Return a plan as the best so far."""
    return Best(
        plan.chain.after.copy(),
        plan.first.copy(),
        np.array([plan.length.sum()]),
        np.array([np.count_nonzero(plan.first)], np.int64),
    )


@bare
def keep_route(plan: Plan, route: int, orders: Rows, old: Counts) -> int:
    """Write down a route before it changes; return how many places it has."""
    count = 0
    place = plan.first[route]
    while place != 0:
        orders[count] = place
        count += 1
        place = plan.chain.after[place]
    old[0], old[1], old[2] = route, plan.version[route], count
    return count


@bare
def put_back(instance: Instance, plan: Plan, orders: Rows, old: Counts) -> None:
    """Make a route what it was when it was written down."""
    route, version, count = old[0], old[1], old[2]
    after = plan.chain.after
    plan.first[route] = orders[0] if count else 0
    for k in range(count):
        after[orders[k]] = orders[k + 1] if k + 1 < count else 0
    refresh(instance, plan, route)
    plan.version[route] = version


@bare
def cut(
    instance: Instance, plan: Plan, orders: Rows, count: int, centre: int, longest: int, absent: Rows, size: int
) -> int:
    """Take a string of a route's places that holds a place, and their partners, out; return the new size of absent."""
    length = 1 + below(plan.random, min(count, longest))
    kept = 0
    if length > 1 and length < count and draw(plan.random) < SPLIT:
        kept = 1
        while length + kept < count and draw(plan.random) > KEEP_ON:
            kept += 1
    at = 0
    while orders[at] != centre:
        at += 1
    span = length + kept
    low, high = max(0, at - span + 1), min(at, count - span)
    start = low + below(plan.random, high - low + 1)
    hole = start + 1 + below(plan.random, length - 1) if kept else -1
    for k in range(start, start + span):
        place = orders[k]
        if (k < hole or k >= hole + kept) and plan.route[place] >= 0:
            request = instance.request[place]
            detach(instance, plan, request)
            absent[size] = request
            size += 1
    return size


@bare
def sort(instance: Instance, plan: Plan, absent: Rows, keys: Floats, size: int) -> None:
    """Sort requests by one of the orders."""
    which = below(plan.random, ORDERS[-1])
    order = 0
    while which >= ORDERS[order]:
        order += 1
    for k in range(size):
        request = absent[k]
        key = draw(plan.random) if order == 0 else instance.keys[order - 1, request]
        m = k
        while m > 0 and keys[m - 1] > key:
            keys[m], absent[m] = keys[m - 1], absent[m - 1]
            m -= 1
        keys[m], absent[m] = key, request


@bare
def cheapest(instance: Instance, plan: Plan, memory: Memory, request: int, spare: bool) -> int:
    """Return the route where a request costs least, -1 if there is none; an empty one only if vehicles are to spare."""
    best, route = np.inf, -1
    blink = int(math.log(draw(plan.random)) / math.log(1 - BLINK))
    for r in range(len(plan.first)):
        if plan.first[r] == 0:
            if not spare:
                continue
            spare = False
        if clashes(instance, plan, request, r):
            continue
        if memory.version[request, r] != plan.version[r]:
            cost, i, j = find(instance, plan.chain, plan.first[r], request, plan.random, 0)
            memory.cost[request, r], memory.i[request, r], memory.j[request, r] = cost, i, j
            memory.version[request, r] = plan.version[r]
        if memory.cost[request, r] < best:
            blink -= 1
            if blink != 0:
                best, route = memory.cost[request, r], r
    return route


@bare
def search(
    instance: Instance,
    plan: Plan,
    memory: Memory,
    best: Best,
    pool: Pool,
    desk: Desk,
    removed: float,
    temperature: float,
    rounds: int,
) -> None:
    """Ruin and recreate for some rounds; ``removed`` places are cut out of a plan on average."""
    n, k = len(instance.pickup), len(plan.first)
    orders, old, touched, absent, keys = desk
    used = 0
    length = 0.0
    for r in range(k):
        used += plan.first[r] != 0
        length += plan.length[r]
    for _ in range(rounds):
        threshold = length - temperature * math.log(draw(plan.random))
        longest = min(LONGEST_STRING, int(2 * n / used))
        strings = 1 + below(plan.random, max(1, int(4 * removed / (1 + longest))))
        size, olds = 0, 0
        seed = instance.pickup[below(plan.random, n)]
        if draw(plan.random) < 0.5:
            seed = instance.partner[seed]
        for m in range(-1, instance.near.shape[1]):
            place = seed if m < 0 else instance.near[seed, m]
            route = plan.route[place]
            if route < 0 or touched[route]:
                continue
            touched[route] = True
            count = keep_route(plan, route, orders[olds], old[olds])
            size = cut(instance, plan, orders[olds], count, place, longest, absent, size)
            olds += 1
            if olds == strings:
                break
        now = length
        now_used = used
        for m in range(olds):
            route = old[m, 0]
            now -= plan.length[route]
            refresh(instance, plan, route)
            now += plan.length[route]
            now_used -= plan.first[route] == 0
        sort(instance, plan, absent, keys, size)
        done = True
        for m in range(size):
            request = absent[m]
            route = cheapest(instance, plan, memory, request, now_used < best.used[0])
            if route < 0 or now + memory.cost[request, route] >= threshold:
                done = False
                break
            if not touched[route]:
                touched[route] = True
                keep_route(plan, route, orders[olds], old[olds])
                olds += 1
            now_used += plan.first[route] == 0
            now += memory.cost[request, route]
            attach(instance, plan, request, route, memory.i[request, route], memory.j[request, route])
        for m in range(olds):
            touched[old[m, 0]] = False
        if not done:
            for m in range(olds):
                put_back(instance, plan, orders[m], old[m])
            continue
        length = now
        used = now_used
        if size > 0 and length < WORSE * best.length[0]:
            for m in range(olds):
                if plan.first[old[m, 0]] != 0:
                    record(instance, plan, old[m, 0], pool)
        if used < best.used[0] or (used == best.used[0] and length < best.length[0] - 1e-7):
            best.used[0], best.length[0] = used, length
            for place in range(len(best.after)):
                best.after[place] = plan.chain.after[place]
            for r in range(k):
                best.first[r] = plan.first[r]
