"""Guided ejection search: serve everybody with one vehicle fewer.

Nagata & Kobayashi (2010), "Guided ejection search for the pickup and delivery problem with time windows": a route is
given up and its requests go on a stack. The request on top is inserted where it fits. Where it fits nowhere, its
penalty grows and it takes the place of the one to three requests whose penalties sum to the least, which go on the
stack; then random feasible moves shake the plan. Requests that are hard to place come to be left alone.

Which requests must make room is found by leaving out each small set in turn and asking whether the request then fits;
sets that do not hold everybody whom the request clashes with, or whose penalties are no better, are never tried.
"""
# pyright: reportArgumentType=false, reportReturnType=false
# NumPy does not tell the type checker that an element of an array of numbers is a number.

from typing import NamedTuple

import numpy as np

from hanmaru.city.kernels import bare
from hanmaru.ride.domain import Floats, Rows
from hanmaru.ride.engine.pdptw.routes import (
    Chain,
    Instance,
    Plan,
    attach,
    below,
    chain_of,
    clashes,
    detach,
    draw,
    find,
    refresh,
)

MOST_EJECTED = 3
MOST_MOVABLE = 64
"""In a longer route, only requests with the least penalties may have to make room."""


class Desk(NamedTuple):
    """Room to work in: a ``chain`` (see `Chain`), and sets of requests with their penalties."""

    chain: Chain
    out: Rows
    others: Rows
    costs: Floats
    at: Rows
    sums: Floats
    trial: Rows
    chosen: Rows


def desk_of(instance: Instance) -> Desk:
    """Return room to work in."""
    few, many = MOST_EJECTED + 1, MOST_MOVABLE
    return Desk(
        chain=chain_of(instance),
        out=np.zeros(few, np.int32),
        others=np.zeros(many, np.int32),
        costs=np.zeros(many),
        at=np.zeros(few, np.int32),
        sums=np.zeros(few),
        trial=np.zeros(few, np.int32),
        chosen=np.zeros(few, np.int32),
    )


@bare
def give_up(instance: Instance, plan: Plan, route: int, stack: Rows, size: int) -> int:
    """Empty a route onto the stack; return the stack's new size."""
    while plan.first[route] != 0:
        request = instance.request[plan.first[route]]
        detach(instance, plan, request)
        stack[size] = request
        size += 1
    refresh(instance, plan, route)
    return size


@bare
def insert_somewhere(instance: Instance, plan: Plan, request: int) -> bool:
    """Insert a request at one of the places where it fits, by chance; return whether there was one."""
    best, route, i, j = np.inf, -1, 0, 0
    for r in range(len(plan.first)):
        if not clashes(instance, plan, request, r):
            value, found_i, found_j = find(instance, plan.chain, plan.first[r], request, plan.random, 1)
            if value < best:
                best, route, i, j = value, r, found_i, found_j
    if route < 0:
        return False
    attach(instance, plan, request, route, i, j)
    return True


@bare
def leave_out(instance: Instance, plan: Plan, route: int, out: Rows, size: int, scratch: Chain) -> int:
    """Write a route without some requests into the scratch chain; return its first place."""
    after, before, early, late, aboard = scratch
    first = 0
    last = 0
    place = plan.first[route]
    while place != 0:
        kept = True
        for k in range(size):
            kept = kept and out[k] != instance.request[place]
        if kept:
            arrival = early[last] + instance.service[last] + instance.travel[last, place]
            early[place] = max(arrival, instance.open[place])
            aboard[place] = aboard[last] + instance.load[place]
            before[place] = last
            if last == 0:
                first = place
            else:
                after[last] = place
            last = place
        place = plan.chain.after[place]
    if last != 0:
        after[last] = 0
    follower = 0
    while last != 0:
        latest = late[follower] - instance.travel[last, follower] - instance.service[last]
        late[last] = min(latest, instance.close[last])
        follower = last
        last = before[last]
    return first


@bare
def makes_room(
    instance: Instance,
    plan: Plan,
    request: int,
    route: int,
    most: int,
    best: float,
    penalty: Floats,
    desk: Desk,
) -> float:
    """Return the least sum of penalties below ``best`` for which a route has room, with its set in ``desk.trial``.

    That is filled up with -1. Returns ``best`` and leaves it alone where there is no such set.
    """
    scratch, out, others, costs, at, sums, trial, _ = desk
    forced = 0
    total = 0.0
    count = 0
    place = plan.first[route]
    while place != 0:
        other = instance.request[place]
        if instance.pickup[other] == place:
            # A little noise decides between equal sums.
            cost = penalty[other] + 0.01 * draw(plan.random)
            if instance.clash[request, other >> 6] >> np.uint64(other & 63) & np.uint64(1):
                if forced == most:
                    return best
                out[forced] = other
                forced += 1
                total += cost
            elif count < len(others) or cost < costs[count - 1]:
                count = min(count + 1, len(others))
                k = count - 1
                while k > 0 and costs[k - 1] > cost:
                    costs[k], others[k] = costs[k - 1], others[k - 1]
                    k -= 1
                costs[k], others[k] = cost, other
        place = plan.chain.after[place]
    if total >= best:
        return best
    # Depth-first over sets in the order of penalties: where one is too dear, so are those after it.
    depth = forced
    at[depth] = 0
    sums[depth] = total
    fresh = forced > 0
    while True:
        if fresh:
            first = leave_out(instance, plan, route, out, depth, scratch)
            value, _, _ = find(instance, scratch, first, request, plan.random, 2)
            if value < np.inf:
                best = sums[depth]
                for k in range(len(trial)):
                    trial[k] = out[k] if k < depth else -1
                fresh = False
                if depth == forced:
                    return best
                depth -= 1
                continue
        fresh = False
        if depth < most and at[depth] < count and sums[depth] + costs[at[depth]] < best:
            k = at[depth]
            at[depth] += 1
            out[depth] = others[k]
            sums[depth + 1] = sums[depth] + costs[k]
            depth += 1
            at[depth] = k + 1
            fresh = True
        elif depth == forced:
            return best
        else:
            depth -= 1


@bare
def shake(instance: Instance, plan: Plan, moves: int) -> None:
    """Make random feasible moves: a request to another route, or two requests of two routes each to the other's."""
    n = len(instance.pickup)
    last_of = plan.chain.before
    for move in range(moves):
        a = below(plan.random, n)
        route_a = plan.route[instance.pickup[a]]
        if route_a < 0:
            continue
        if move & 1:
            route_b = below(plan.random, len(plan.first))
            if route_b == route_a or plan.first[route_b] == 0 or clashes(instance, plan, a, route_b):
                continue
            value, i, j = find(instance, plan.chain, plan.first[route_b], a, plan.random, 1)
            if value < np.inf:
                detach(instance, plan, a)
                refresh(instance, plan, route_a)
                attach(instance, plan, a, route_b, i, j)
            continue
        b = below(plan.random, n)
        route_b = plan.route[instance.pickup[b]]
        if route_b < 0 or route_b == route_a:
            continue
        if others_clash(instance, plan, a, b) or others_clash(instance, plan, b, a):
            continue
        i_a, j_a = last_of[instance.pickup[a]], last_of[instance.delivery[a]]
        i_b, j_b = last_of[instance.pickup[b]], last_of[instance.delivery[b]]
        detach(instance, plan, a)
        detach(instance, plan, b)
        refresh(instance, plan, route_a)
        refresh(instance, plan, route_b)
        k, m = 0, 0
        value, i, j = find(instance, plan.chain, plan.first[route_b], a, plan.random, 1)
        if value < np.inf:
            value, k, m = find(instance, plan.chain, plan.first[route_a], b, plan.random, 1)
        if value < np.inf:
            attach(instance, plan, a, route_b, i, j)
            attach(instance, plan, b, route_a, k, m)
        else:
            attach(instance, plan, a, route_a, i_a, j_a)
            attach(instance, plan, b, route_b, i_b, j_b)


@bare
def others_clash(instance: Instance, plan: Plan, a: int, b: int) -> bool:
    """Tell whether request a clashes with somebody in b's route, b left out."""
    route = plan.route[instance.pickup[b]]
    shared = np.uint64(0)
    for w in range(plan.members.shape[1]):
        both = plan.members[route, w] & instance.clash[a, w]
        if w == b >> 6:
            both &= ~(np.uint64(1) << np.uint64(b & 63))
        shared |= both
    return shared != 0


@bare
def eject(
    instance: Instance,
    plan: Plan,
    stack: Rows,
    size: int,
    penalty: Floats,
    desk: Desk,
    most: int,
    moves: int,
    rounds: int,
) -> int:
    """Place the requests on the stack, for at most some rounds; return how many are left on it."""
    chosen, trial = desk.chosen, desk.trial
    for _ in range(rounds):
        if size == 0:
            break
        size -= 1
        request = stack[size]
        if insert_somewhere(instance, plan, request):
            continue
        penalty[request] += 1
        best, route = np.inf, -1
        start = below(plan.random, len(plan.first))
        for k in range(len(plan.first)):
            r = (start + k) % len(plan.first)
            value = makes_room(instance, plan, request, r, most, best, penalty, desk)
            if value < best:
                best, route = value, r
                for m in range(len(trial)):
                    chosen[m] = trial[m]
        if route < 0:
            for k in range(size, 0, -1):
                stack[k] = stack[k - 1]
            stack[0] = request
            size += 1
        else:
            for k in range(len(chosen)):
                if chosen[k] >= 0:
                    detach(instance, plan, chosen[k])
                    stack[size] = chosen[k]
                    size += 1
            refresh(instance, plan, route)
            _, i, j = find(instance, plan.chain, plan.first[route], request, plan.random, 1)
            attach(instance, plan, request, route, i, j)
        shake(instance, plan, moves)
    return size
