"""Routes of one van: what a route costs, its best order, the best place for one more rider.

All stops are rows of one table with `schedule`'s columns: request r boards in row 2 r and alights in row 2 r + 1 (a
break begins and ends there), and the place where a van ends its shift is a row behind those. A route is a sequence of
table rows, and PARTNER is the table row of the pick-up. A route's cost is linear in the beginnings of service t::

    drive · seconds driven + Σ price[i] · t[i]

so that a price on pick-ups weighs waiting and one on drop-offs weighs arrival; prices are not negative. The way home
after the shift is not counted. Times count from now, in whole seconds.
"""

from typing import TypeAlias

import numpy as np

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import Floats, Rows, Seconds
from hanmaru.ride.engine.schedule import CHAIRS, CLOSE, COLUMNS, LIMIT, OPEN, PARTNER, ROW, SEATS, SERVICE, schedule

Count: TypeAlias = int | np.int64


@kernel
def copied(n: Count, source: Rows, into: Rows) -> None:
    """Copy the first ``n`` of a route; compiles much sooner than a slice does."""
    for k in range(n):
        into[k] = source[k]


@kernel
def value(
    n: Count,
    route: Rows,
    table: Seconds,
    price: Floats,
    time: Rows,
    van: Seconds,
    drive: float,
    at: Seconds,
    stops: Seconds,
) -> float:
    """Return what a route costs, infinite if it cannot be driven.

    ``route`` (at least n,) rows of ``table`` (m, 8) with ``price`` (m,); ``van`` (7,): where it starts, when it is
    ready, its seats and wheelchair places, how many are taken, and whether the last stop has to stay last. ``at``
    (m,) and ``stops`` (at least n, 8) are working space.
    """
    here, free, seats, chairs = van[0], van[1], van[2] - van[4], van[3] - van[5]
    cost = 0.0
    waited = np.int64(0)
    driven = np.int64(0)
    slack = False
    for k in range(n):
        i = route[k]
        row = table[i, ROW]
        if row >= 0:
            leg = np.int64(time[here, row])
            if k < n - van[6]:
                driven += leg
            free += leg
            here = row
        seats -= table[i, SEATS]
        chairs -= table[i, CHAIRS]
        begin = max(free, table[i, OPEN])
        if begin > table[i, CLOSE] or seats < 0 or chairs < 0:
            return np.inf
        waited += begin - free
        partner = table[i, PARTNER]
        if partner >= 0:
            over = begin - at[partner] - table[partner, SERVICE] - table[i, LIMIT]
            if over > 0:
                if over > waited:  # only a wait after the pick-up can be moved before it
                    return np.inf
                slack = True
        at[i] = begin
        cost += price[i] * begin
        free = begin + table[i, SERVICE]
    if slack:
        for k in range(n):
            i = route[k]
            for c in range(COLUMNS):
                stops[k, c] = table[i, c]
            at[i] = k
            if table[i, PARTNER] >= 0:
                stops[k, PARTNER] = at[table[i, PARTNER]]
        begins = np.empty(n, np.int64)
        if schedule(int(n), stops, time, van[0], van[1], begins) >= 0:
            return np.inf
        cost = 0.0
        for k in range(n):
            cost += price[route[k]] * begins[k]
    return cost + drive * driven


@kernel
def search(
    n: Count,
    route: Rows,
    cost: float,
    table: Seconds,
    price: Floats,
    time: Rows,
    van: Seconds,
    drive: float,
    nodes: int,
    at: Seconds,
    stops: Seconds,
) -> float:
    """Replace a route by the best order of its stops and return what that costs; arrays as in `value`.

    ``cost`` is what the route costs as it is (infinite: it cannot be driven), and at most ``nodes`` partial routes
    are looked at. A partial route is left where a stop cannot be reached in time any more, or where all stops, each
    driven to straight away, would cost too much.
    """
    items = np.empty(n, np.int32)
    copied(n, route, items)
    used = np.zeros(n, np.bool_)
    before = np.full(n, -1, np.int64)
    for k in range(n):
        for j in range(n):
            if table[items[k], PARTNER] == items[j]:
                before[k] = j
    chosen = np.full(n + 1, -1, np.int64)
    line = np.empty(n, np.int32)
    here = np.empty(n + 1, np.int64)
    free = np.empty(n + 1, np.int64)
    seats = np.empty(n + 1, np.int64)
    chairs = np.empty(n + 1, np.int64)
    spent = np.zeros(n + 1)
    here[0], free[0], seats[0], chairs[0] = van[0], van[1], van[2] - van[4], van[3] - van[5]
    depth = 0
    while depth >= 0 and nodes > 0:
        k = chosen[depth] + 1
        if chosen[depth] >= 0:
            used[chosen[depth]] = False
        while k < n and (used[k] or (before[k] >= 0 and not used[before[k]]) or (van[6] == 1 and k == n - 1 > depth)):
            k += 1
        if k == n:
            chosen[depth] = -1
            depth -= 1
            continue
        nodes -= 1
        chosen[depth] = k
        used[k] = True
        i = items[k]
        line[depth] = i
        now, place, total = free[depth], here[depth], spent[depth]
        if table[i, ROW] >= 0:
            now += time[place, table[i, ROW]]
            if depth < n - van[6]:
                total += drive * time[place, table[i, ROW]]
            place = table[i, ROW]
        begin = max(now, table[i, OPEN])
        seats[depth + 1] = seats[depth] - table[i, SEATS]
        chairs[depth + 1] = chairs[depth] - table[i, CHAIRS]
        if begin > table[i, CLOSE] or seats[depth + 1] < 0 or chairs[depth + 1] < 0:
            continue
        total += price[i] * begin
        now = begin + table[i, SERVICE]
        bound = total
        farthest = np.int64(0)
        reachable = True
        for j in range(n):
            if used[j]:
                continue
            row = table[items[j], ROW]
            leg = np.int64(time[place, row]) if row >= 0 else np.int64(0)
            soonest = max(now + leg, table[items[j], OPEN])
            if soonest > table[items[j], CLOSE]:
                reachable = False
                break
            bound += price[items[j]] * soonest
            if j < n - van[6]:
                farthest = max(farthest, leg)
        if not reachable or bound + drive * farthest >= cost:
            continue
        if depth == n - 1:
            total = value(n, line, table, price, time, van, drive, at, stops)
            if total < cost:
                cost = total
                copied(n, line, route)
            continue
        depth += 1
        chosen[depth] = -1
        here[depth], free[depth], spent[depth] = place, now, total
    return cost


@kernel
def place(
    n: Count,
    route: Rows,
    pick: int,
    table: Seconds,
    price: Floats,
    time: Rows,
    van: Seconds,
    drive: float,
    out: Rows,
    at: Seconds,
    stops: Seconds,
) -> float:
    """Write to ``out`` (at least n + 2,) a route with a pick-up and its drop-off, the next row, at their best places.

    Return what it costs, infinite if there is no place. Other arrays as in `value`.
    """
    best = np.inf
    trial = np.empty(n + 2, np.int32)
    end = n - van[6]
    for i in range(end + 1):
        free, here = van[1], van[0]
        if i > 0:
            if value(i, route, table, price, time, van, drive, at, stops) == np.inf:
                break
            free = at[route[i - 1]] + table[route[i - 1], SERVICE]
            for k in range(i - 1, -1, -1):
                if table[route[k], ROW] >= 0:
                    here = table[route[k], ROW]
                    break
        if free + time[here, table[pick, ROW]] > table[pick, CLOSE]:
            continue
        copied(i, route, trial)
        trial[i] = pick
        for j in range(i, end + 1):
            for k in range(i, j):
                trial[k + 1] = route[k]
            trial[j + 1] = pick + 1
            for k in range(j, n):
                trial[k + 2] = route[k]
            cost = value(n + 2, trial, table, price, time, van, drive, at, stops)
            if cost < best:
                best = cost
                copied(n + 2, trial, out)
    return best
