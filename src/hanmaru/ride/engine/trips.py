"""Trips: which sets of waiting riders one van can serve together, in which order, at what cost (Alonso-Mora et al.
2017).

A van's **base** is what stays with it: riders aboard, breaks, bookings too far off to move. On top of it, sets of
movable requests are tried, a set of k + 1 only where a set of k could be served, since with more riders a route
only gets harder. A set's route is the best of all orders where it is short (depth first, bounded by time windows
and by cost); where it is long, the request goes into the kept order of the smaller set at its best place.

All stops are rows of one table with `schedule`'s columns: request r boards in row 2 r and alights in row 2 r + 1 (a
break is its row 2 r alone), and the place where a van ends its shift is a row behind those. A route is a sequence
of table rows, and PARTNER is the table row of the pick-up. A route's cost is linear in the beginnings of service
t::

    drive · seconds driven + Σ price[i] · t[i]

so that a price on pick-ups weighs waiting and one on drop-offs weighs arrival; prices are not negative. The way
home after the shift is not counted. Times count from now, in whole seconds.
"""

from typing import TypeAlias

import numpy as np

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import Bools, Floats, Rows, Seconds
from hanmaru.ride.engine.schedule import CHAIRS, CLOSE, COLUMNS, LIMIT, OPEN, PARTNER, ROW, SEATS, SERVICE, schedule

LONGEST = 40
"""The longest route, in stops, that is considered for a set of requests; a van with more keeps what it has."""
CANDIDATES = 60
"""The most requests that are tried in one van: sets of them are bits of an int64."""
Count: TypeAlias = int | np.int64


@kernel
def _copy(n: Count, source: Rows, into: Rows) -> None:
    for k in range(n):  # compiles much sooner than a slice does
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
    _copy(n, route, items)
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
                _copy(n, line, route)
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
        _copy(i, route, trial)
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
                _copy(n + 2, trial, out)
    return best


@kernel
def grow(
    van: Seconds,
    base: Rows,
    kept: Rows,
    candidates: Rows,
    worth: Floats,
    table: Seconds,
    price: Floats,
    time: Rows,
    drive: float,
    exact: int,
    nodes: int,
    width: int,
    at: Seconds,
    stops: Seconds,
    costs: Floats,
    lengths: Rows,
    routes: Rows,
) -> Count:
    """Write the trips of one van to the last three arrays and return how many; the first is the van's base alone.

    ``base``, ``kept`` are routes: what stays with the van, and all that it has. ``candidates`` (m ≤ 60,) are
    requests, those in ``kept`` first, and ``worth`` (m,) what somebody else would pay to serve them. Routes of up
    to ``exact`` stops are tried in all orders (``nodes`` partial routes at most). Of the sets of one size the
    ``width`` with the highest saving (worth less cost) are kept and grown, and the kept set is tried with one
    request less, more, or other. ``costs`` (c,), ``lengths`` (c,), ``routes`` (c, l): room for c trips of at most l
    stops. Without a feasible base, nothing is written.
    """
    most, longest = routes.shape
    m = len(candidates)
    masks = np.zeros(most, np.int64)
    gains = np.zeros(most)
    together = np.ones((m, m), np.bool_)
    alone = np.zeros(m, np.bool_)
    line = np.empty(longest + 2, np.int32)
    n = len(base)
    _copy(n, base, line)
    empty = value(n, line, table, price, time, van, drive, at, stops)
    if 1 < n <= exact:
        empty = search(n, line, empty, table, price, time, van, drive, nodes, at, stops)
    if empty == np.inf:
        return 0
    costs[0], lengths[0] = empty, n
    _copy(n, line, routes[0])
    count = np.int64(1)
    mine = np.int64(0)
    for c in range(m):
        for k in range(len(kept)):
            if kept[k] == 2 * candidates[c]:
                mine |= np.int64(1) << c
    first, size = 0, 0
    while first < count:
        size += 1
        last, here = count, count
        for parent in range(first, last):
            n = np.int64(lengths[parent])
            if n + 2 > longest:
                continue
            top = -1
            for c in range(m):
                if masks[parent] >> c & 1:
                    top = c
            for c in range(top + 1, m):
                fits = size == 1 or alone[c]
                for other in range(c):
                    if size > 2 and masks[parent] >> other & 1 and not together[other, c]:
                        fits = False
                if not fits:
                    continue
                cost = place(n, routes[parent], 2 * candidates[c], table, price, time, van, drive, line, at, stops)
                if n + 2 <= exact:
                    if cost == np.inf:
                        _copy(n, routes[parent], line)
                        if van[6] == 1:
                            line[n + 1] = line[n - 1]
                        line[n - van[6]], line[n + 1 - van[6]] = 2 * candidates[c], 2 * candidates[c] + 1
                    cost = search(n + 2, line, cost, table, price, time, van, drive, nodes, at, stops)
                if size == 1:
                    alone[c] = cost < np.inf
                elif size == 2:
                    together[top, c] = cost < np.inf
                if cost == np.inf:
                    continue
                gain = gains[parent] + costs[parent] + worth[c] - cost
                slot = count
                if count - here >= width or count == most:
                    slot = here
                    for k in range(here + 1, count):
                        if gains[k] < gains[slot]:
                            slot = k
                    if slot >= count or gains[slot] >= gain:
                        continue
                else:
                    count += 1
                masks[slot] = masks[parent] | np.int64(1) << c
                gains[slot], costs[slot], lengths[slot] = gain, cost, n + 2
                _copy(n + 2, line, routes[slot])
        first = here if count > here else count
        if count == most:
            break
    return neighbours(
        count, mine, van, kept, candidates, alone, table, price, time, drive, at, stops, costs, lengths, routes
    )


@kernel
def neighbours(
    count: Count,
    mine: Count,
    van: Seconds,
    kept: Rows,
    candidates: Rows,
    alone: Bools,
    table: Seconds,
    price: Floats,
    time: Rows,
    drive: float,
    at: Seconds,
    stops: Seconds,
    costs: Floats,
    lengths: Rows,
    routes: Rows,
) -> Count:
    """Add the kept route with one of its movable requests less, one more, or one for another; arrays as in `grow`.

    Sets of one or two were there already, so this is for a van whose kept set is larger than what can be grown from
    nothing.
    """
    most, longest = routes.shape
    m = len(candidates)
    size = 0
    for c in range(m):
        size += mine >> c & 1
    if size < 2 or len(kept) > longest:
        return count
    line = np.empty(longest + 2, np.int32)
    less = np.empty(longest, np.int32)
    for without in range(-1, m):
        if without >= 0 and not mine >> without & 1:
            continue
        n = np.int64(0)
        for k in range(len(kept)):
            if without < 0 or kept[k] >> 1 != candidates[without]:
                less[n] = kept[k]
                n += 1
        if without >= 0 and count < most:
            cost = value(n, less, table, price, time, van, drive, at, stops)
            if cost < np.inf:
                costs[count], lengths[count] = cost, n
                _copy(n, less, routes[count])
                count += 1
        for c in range(m):
            if count == most or n + 2 > longest or mine >> c & 1 or not alone[c]:
                continue
            cost = place(n, less, 2 * candidates[c], table, price, time, van, drive, line, at, stops)
            if cost < np.inf:
                costs[count], lengths[count] = cost, n + 2
                _copy(n + 2, line, routes[count])
                count += 1
    return count


@kernel
def grow_all(
    chosen: Rows,
    vans: Seconds,
    base_start: Rows,
    bases: Rows,
    kept_start: Rows,
    keepings: Rows,
    candidate_start: Rows,
    candidates: Rows,
    worth: Floats,
    table: Seconds,
    price: Floats,
    time: Rows,
    drive: float,
    exact: int,
    nodes: int,
    width: int,
    most: int,
    owner: Rows,
    costs: Floats,
    lengths: Rows,
    routes: Rows,
) -> Count:
    """Write the trips of some vans, at most ``most`` each, to the last four arrays and return how many.

    ``chosen`` vans of ``vans`` (V, 7). What `grow` takes for van v is between ``*_start`` (V + 1,) [v] and [v + 1].
    """
    at = np.zeros(len(table), np.int64)
    stops = np.empty((routes.shape[1] + 2, COLUMNS), np.int64)
    count = 0
    for v in chosen:
        own = candidates[candidate_start[v] : candidate_start[v + 1]]
        last = min(count + most, len(owner))
        made = grow(
            vans[v],
            bases[base_start[v] : base_start[v + 1]],
            keepings[kept_start[v] : kept_start[v + 1]],
            own,
            worth[own],
            table,
            price,
            time,
            drive,
            exact,
            nodes,
            width,
            at,
            stops,
            costs[count:last],
            lengths[count:last],
            routes[count:last],
        )
        for k in range(count, count + made):
            owner[k] = v
        count += made
    return count


@kernel
def value_all(
    vans: Seconds,
    start: Rows,
    rows: Rows,
    table: Seconds,
    price: Floats,
    time: Rows,
    drive: float,
    costs: Floats,
    worth: Floats,
) -> None:
    """Write what each van's kept route costs to ``costs`` (V,), and to ``worth`` (R,) what leaving one of its
    requests out saves.
    """
    at = np.zeros(len(table), np.int64)
    stops = np.empty((len(rows) + 2, COLUMNS), np.int64)
    less = np.empty(len(rows) + 2, np.int32)
    for v in range(len(vans)):
        kept = rows[start[v] : start[v + 1]]
        costs[v] = value(len(kept), kept, table, price, time, vans[v], drive, at, stops)
        for k in range(len(kept)):
            if kept[k] & 1 or kept[k] >= 2 * len(worth):
                continue
            n = np.int64(0)
            for i in kept:
                if i >> 1 != kept[k] >> 1:
                    less[n] = i
                    n += 1
            worth[kept[k] >> 1] = costs[v] - value(n, less, table, price, time, vans[v], drive, at, stops)
