"""Trips: which sets of waiting riders one van can serve together, in which order, at what cost.

After Alonso-Mora et al. 2017. A van's **base** is what stays with it: riders aboard, breaks, bookings too far off to
move. On top of it, sets of movable requests are tried, a set of k + 1 only where a set of k could be served, since with
more riders a route only gets harder. A set's route is the best of all orders where it is short (depth first, bounded by
time windows and by cost); where it is long, the request goes into the smaller set's route at its best place.
"""

import numpy as np

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import Bools, Floats, Rows, Seconds
from hanmaru.ride.engine.routes import Count, copied, place, search, value
from hanmaru.ride.engine.schedule import COLUMNS

LONGEST = 40
"""The longest route, in stops, that is considered for a set of requests; a van with more keeps what it has."""
CANDIDATES = 60
"""The most requests that are tried in one van: sets of them are bits of an int64."""


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
    stops. Without a base that is feasible and not too long, nothing is written.
    """
    most, longest = routes.shape
    m = len(candidates)
    masks = np.zeros(most, np.int64)
    gains = np.zeros(most)
    together = np.ones((m, m), np.bool_)
    alone = np.zeros(m, np.bool_)
    line = np.empty(longest + 2, np.int32)
    n = len(base)
    if n > longest:
        return 0
    copied(n, base, line)
    empty = value(n, line, table, price, time, van, drive, at, stops)
    if 1 < n <= exact:
        empty = search(n, line, empty, table, price, time, van, drive, nodes, at, stops)
    if empty == np.inf:
        return 0
    costs[0], lengths[0] = empty, n
    copied(n, line, routes[0])
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
                        copied(n, routes[parent], line)
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
                copied(n + 2, line, routes[slot])
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
                copied(n, less, routes[count])
                count += 1
        for c in range(m):
            if count == most or n + 2 > longest or mine >> c & 1 or not alone[c]:
                continue
            cost = place(n, less, 2 * candidates[c], table, price, time, van, drive, line, at, stops)
            if cost < np.inf:
                costs[count], lengths[count] = cost, n + 2
                copied(n + 2, line, routes[count])
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
