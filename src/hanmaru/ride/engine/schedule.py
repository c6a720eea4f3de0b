"""The one exact test of whether a van can drive a sequence of stops, and when: every layer asks these kernels.

A route is an array ``stops`` (n, 8), one row for each position in driving order, after a start (a place and the time at
which the van is ready there). The columns:

- `ROW`: the place, a row of the travel times; -1 is where the van already is (a break).
- `OPEN`, `CLOSE`: when service may begin.  `SERVICE`: how long it takes.
- `PARTNER`: at a drop-off, the position of its pick-up in this route; -1 elsewhere, and for riders who are aboard
  already, whose deadline is part of `CLOSE`.
- `LIMIT`: at a drop-off with a partner, the longest ride: from the end of service at the pick-up to the beginning of
  service at the drop-off (Cordeau & Laporte 2003).
- `SEATS`, `CHAIRS`: how the load changes, in seats and in wheelchair places.

A longest route duration is a ride too: make the first position the departure (service 0), the last one the return, with
the first as its partner and the duration as its limit.

Times are int64 (the live fleet: Unix seconds) or float64 (each compiled on first use); travel times may be of any
number type.

**A fixed sequence** is a system of difference constraints on the beginnings of service t::

    t[i] >= open[i],   t[i] <= close[i],   t[0] >= ready + travel from the start
    t[i] >= t[i - 1] + service[i - 1] + travel[i - 1, i]
    t[p] >= t[d] - limit[d] - service[p]          for a drop-off d with pick-up p

`schedule` gives its least solution: everybody as early as can be, pick-ups delayed where a rider would otherwise sit
too long. `latest` gives the greatest one. Such solutions are longest paths (Bellman 1958), so both are exact.

**Insertion.** Where travel times keep the triangle inequality, more stops only tighten the system, so each feasible
schedule of the longer route has ``early[i] <= t[i] <= late[i]`` at the stops of the shorter one. That prunes in O(1) a
position: go through the pick-up's positions i, carry the arrival forward with the pick-up in place, stop where it
exceeds ``late``. Only what is left and would be better than the best so far is built by `insert` and asked from
`schedule`, which is what counts.
A break directly after what is inserted moves with it to another place, so there only `schedule` can tell.
"""

from typing import Any

import numpy.typing as npt

from hanmaru.city.kernels import bare

Numbers = npt.NDArray[Any]
"""int64 or float64."""

ROW, OPEN, CLOSE, SERVICE, PARTNER, LIMIT, SEATS, CHAIRS = range(8)
COLUMNS = 8
TOLERANCE = 1e-6
"""What two sums of floating-point times may differ by and still be the same time; between whole numbers it is 0."""


@bare
def schedule(n: int, stops: Numbers, time: Numbers, start_row: int, ready: float, out: Numbers) -> int:
    """Write a route's earliest schedule and return -1, or return the first position that the van cannot serve in time.

    ``stops`` (at least n, 8) is the route, ``time`` (rows, places) the travel times, ``ready`` when the van can leave
    the place ``start_row``. ``out`` (at least n,) takes the beginnings of service, valid if -1 is returned.

    Usually O(n); each position is settled by `settle`.
    """
    here = start_row
    free = out.dtype.type(ready)
    for i in range(n):
        if not settle(i, here, free, stops, time, start_row, out):
            return i
        if stops[i, ROW] >= 0:
            here = int(stops[i, ROW])
        free = out[i] + stops[i, SERVICE]
    return -1


@bare
def settle(i: int, here: int, free: float, stops: Numbers, time: Numbers, start_row: int, out: Numbers) -> bool:
    """Add one position to a route whose earlier positions are scheduled; False if the van cannot serve it in time.

    The van can leave the place ``here`` at ``free``. The rest is as in `schedule`.

    A delayed pick-up pushes what follows, which may delay further pick-ups. Sweeps from left to right repeat while
    something moved. A longest path uses each ride limit at most once, so a further sweep means a cycle: a ride that no
    delay shortens. So does a drop-off that its own limit moves, which shows most of them at once.
    """
    tolerance = out.dtype.type(TOLERANCE)
    row = int(stops[i, ROW])
    if row >= 0:
        free += out.dtype.type(time[here, row])
    begin = max(free, stops[i, OPEN])
    if begin > stops[i, CLOSE] + tolerance:
        return False
    out[i] = begin
    pick = int(stops[i, PARTNER])
    if pick < 0:
        return True
    least = begin - stops[i, LIMIT] - stops[pick, SERVICE]
    if least <= out[pick] + tolerance:
        return True
    if least > stops[pick, CLOSE] + tolerance:
        return False
    out[pick] = least
    low, far = pick, pick
    for _ in range(i):  # there are at most i ride limits up to here
        low, far = _push(low, far, i, stops, time, start_row, tolerance, out)
        if low < 0:
            break
    return low == -1


@bare
def _push(
    low: int, far: int, last: int, stops: Numbers, time: Numbers, start_row: int, tolerance: float, out: Numbers
) -> tuple[int, int]:
    """Carry delays, the first at ``low`` and the last at ``far``, to the right as far as they go.

    Returns the first and the last of the pick-ups that this delays in turn; -1 if none; -2 if it cannot be. Reaching
    ``last`` with a delay is a cycle, since ``last`` was the cause.
    """
    here = _place(low, stops, start_row)
    first, end = last, -1
    for i in range(low + 1, last + 1):
        free = out[i - 1] + stops[i - 1, SERVICE]
        row = int(stops[i, ROW])
        if row >= 0:
            free += out.dtype.type(time[here, row])
            here = row
        if free <= out[i]:
            if i > far:
                break
            continue
        if i == last:
            if free > out[i] + tolerance:
                return -2, -2
            break
        if free > stops[i, CLOSE] + tolerance:
            return -2, -2
        out[i] = free
        pick = int(stops[i, PARTNER])
        if pick < 0:
            continue
        least = free - stops[i, LIMIT] - stops[pick, SERVICE]
        if least > out[pick] + tolerance:
            if least > stops[pick, CLOSE] + tolerance:
                return -2, -2
            out[pick] = least
            first = min(first, pick)
            end = max(end, pick)
    return (first, end) if end >= 0 else (-1, -1)


@bare
def _place(i: int, stops: Numbers, start_row: int) -> int:
    """Return where the van is at a position."""
    while i >= 0:
        if stops[i, ROW] >= 0:
            return int(stops[i, ROW])
        i -= 1
    return start_row


@bare
def latest(n: int, stops: Numbers, time: Numbers, start_row: int, out: Numbers) -> None:
    """Write to ``out`` the latest schedule of a route for which `schedule` returned -1; arrays as there."""
    tolerance = out.dtype.type(TOLERANCE)
    for i in range(n):
        out[i] = stops[i, CLOSE]
    for _ in range(n + 1):  # a route that can be driven has no cycle: one round for each ride limit at most
        for i in range(n - 2, -1, -1):
            late = out[i + 1] - stops[i, SERVICE]
            there = int(stops[i + 1, ROW])
            if there >= 0:
                late -= out.dtype.type(time[_place(i, stops, start_row), there])
            out[i] = min(out[i], late)
        moved = False
        for i in range(n):
            pick = int(stops[i, PARTNER])
            if pick >= 0:
                most = out[pick] + stops[pick, SERVICE] + stops[i, LIMIT]
                if out[i] > most + tolerance:
                    out[i] = most
                    moved = True
        if not moved:
            break


@bare
def overloaded(n: int, stops: Numbers, seats: int, chairs: int, seats_aboard: int, chairs_aboard: int) -> int:
    """Return the first position after which more is aboard than the van has places for, or -1."""
    taken, wheels = seats_aboard, chairs_aboard
    for i in range(n):
        taken += int(stops[i, SEATS])
        wheels += int(stops[i, CHAIRS])
        if taken > seats or wheels > chairs:
            return i
    return -1


@bare
def insert(n: int, stops: Numbers, pick: Numbers, drop: Numbers, i: int, j: int, merged: Numbers) -> None:
    """Write to ``merged`` (n + 2, 8) a route with a pick-up before position ``i`` and its drop-off before ``j`` >= i.

    Positions are those of ``stops``; n is the end. ``pick`` and ``drop`` (8,) are the new rows, the partner set here.
    """
    for k in range(n + 2):
        if k == i:
            for c in range(COLUMNS):
                merged[k, c] = pick[c]
        elif k == j + 1:
            for c in range(COLUMNS):
                merged[k, c] = drop[c]
            merged[k, PARTNER] = i
        else:
            old = k - (k > i) - (k > j + 1)
            for c in range(COLUMNS):
                merged[k, c] = stops[old, c]
            at = int(stops[old, PARTNER])
            if at >= 0:
                merged[k, PARTNER] = at + (at >= i) + (at >= j)
