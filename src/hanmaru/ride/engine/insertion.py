"""Insertion over all vans: where a new rider fits best, for every pair of stops, by several measures at once.

For each van, each pick-up stop and place in its plan, then each drop-off stop and place: what cannot be in time
against the van's earliest and latest times, or has no seat, goes in O(1); what is left has a lower bound on its
cost, and only if that beats the best so far, the exact schedule is asked (`schedule`), which also gives what it
really costs. So the result is the optimum over all vans and places, not a guess. Similar to Jaw et al. 1986 with
the slack times of Savelsbergh 1992; the measures are linear in pick-up, arrival and cost.

Exact under the triangle inequality of the travel times, up to the seconds by which rounding breaks it.
"""

from typing import NamedTuple

import numpy as np

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import UNREACHABLE, Bools, Floats, Rows, Seconds
from hanmaru.ride.engine.schedule import CHAIRS, CLOSE, COLUMNS, LIMIT, OPEN, ROW, SEATS, SERVICE, insert, schedule
from hanmaru.ride.engine.timetable import FIXED, READY, START, Timetables

VAN, PICK, DROP, PICKUP_S, DROPOFF_S = range(5)
"""Columns of what is found: the van, before which positions of its plan, and when both begin."""


class Wish(NamedTuple):
    """What is to be inserted: P pick-up and D drop-off stops (int32), and for each pair (P, D) int64 what it must keep.

    ``earliest_s`` and ``latest_s`` bound the pick-up; a pair with ``latest_s`` < ``earliest_s`` is none. Service
    times in seconds.
    """

    pickups: Rows
    dropoffs: Rows
    earliest_s: Seconds
    latest_s: Seconds
    deadline_s: Seconds
    ride_s: Seconds
    seats: int
    wheelchairs: int
    boarding_s: int
    alighting_s: int


@kernel
def scan(
    now: int,
    allowed: Bools,
    capacity: Rows,
    places: Rows,
    length: Rows,
    stops: Seconds,
    heads: Seconds,
    early: Seconds,
    late: Seconds,
    seats: Rows,
    chairs: Rows,
    place: Rows,
    leg: Rows,
    price: Floats,
    good: Bools,
    time: Rows,
    pickups: Rows,
    dropoffs: Rows,
    earliest: Seconds,
    latest: Seconds,
    deadline: Seconds,
    ride: Seconds,
    load: tuple[int, int],
    service: tuple[int, int],
    weights: tuple[float, float, float],
    measures: Floats,
    score: Floats,
    found: Seconds,
) -> None:
    """Write the best insertion by each of C measures for each pair of stops.

    ``allowed`` (V,): who may; ``capacity``, ``places`` (V,): seats and wheelchair places; then a `Timetables`, then
    a `Wish` (load and service as pairs). ``weights``: of driving, wait, ride. ``measures`` (C, 3): weights of
    pick-up, arrival and cost, all in seconds after ``now``. ``score`` (C, P, D) infinite where there is none,
    ``found`` (C, P, D, 5).
    """
    drive = weights[0]
    wait, aboard = weights[1] * (load[0] + load[1]), weights[2] * (load[0] + load[1])
    boarding, alighting = service
    width = early.shape[1] + 2
    merged = np.empty((width, COLUMNS), np.int64)
    begins = np.empty(width, np.int64)
    pick = np.zeros(COLUMNS, np.int64)
    drop = np.zeros(COLUMNS, np.int64)
    pick[4] = -1
    pick[SERVICE], drop[SERVICE] = boarding, alighting
    pick[SEATS], pick[CHAIRS] = load
    drop[SEATS], drop[CHAIRS] = -load[0], -load[1]
    score[:] = np.inf
    for v in range(len(allowed)):
        if not allowed[v] or not good[v] or load[0] > capacity[v] or load[1] > places[v]:
            continue
        n = length[v]
        fixed = heads[v, FIXED]
        for p in range(len(pickups)):
            last = latest[p].max()
            first = earliest[p].min()
            for i in range(fixed, n + 1):
                if i == 0:
                    free, here = max(heads[v, READY], now), heads[v, START]
                else:
                    free, here = early[v, i - 1] + stops[v, i - 1, SERVICE], np.int64(place[v, i - 1])
                    if i == fixed:
                        free = max(free, now)
                if free > last:
                    break
                if late[v, i] < first and stops[v, i, ROW] >= 0:
                    continue
                if seats[v, i] + load[0] > capacity[v] or chairs[v, i] + load[1] > places[v]:
                    continue
                to = np.int64(time[here, pickups[p]])
                arrive = free + to
                if arrive > last or to >= UNREACHABLE:
                    continue
                for d in range(len(dropoffs)):
                    begin = max(arrive, earliest[p, d])
                    if begin > latest[p, d]:
                        continue
                    at = np.int64(pickups[p])
                    end = begin + boarding
                    moving = np.int64(0)
                    pushed = 0.0
                    before = to
                    for j in range(i, n + 1):
                        across = np.int64(time[at, dropoffs[d]])
                        arrival = end + across
                        if arrival > deadline[p, d] or moving + across > ride[p, d]:
                            break
                        row = stops[v, j, ROW]
                        m, then = j, arrival + alighting
                        on_time = j == n or row >= 0 or then <= stops[v, j, CLOSE]
                        while m < n and stops[v, m, ROW] < 0:  # a break is held where the drop-off is
                            then += stops[v, m, SERVICE]
                            m += 1
                        on = np.int64(time[dropoffs[d], stops[v, m, ROW]]) if stops[v, m, ROW] >= 0 else np.int64(0)
                        if on_time and then + on <= late[v, m]:
                            extra = before + across
                            if m < n:
                                extra += on - leg[v, m]
                            cost = (
                                drive * extra
                                + pushed
                                + wait * (begin - earliest[p, d])
                                + aboard * (arrival - begin - boarding)
                            )
                            better = False
                            for c in range(len(measures)):
                                bound = (
                                    measures[c, 0] * (begin - now)
                                    + measures[c, 1] * (arrival - now)
                                    + measures[c, 2] * cost
                                )
                                better = better or bound < score[c, p, d]
                            if better:
                                pick[ROW], pick[OPEN], pick[CLOSE] = pickups[p], begin, latest[p, d]
                                drop[ROW], drop[CLOSE], drop[LIMIT] = dropoffs[d], deadline[p, d], ride[p, d]
                                insert(n + 1, stops[v], pick, drop, i, j, merged)
                                ready = max(heads[v, READY], now) if fixed == 0 else heads[v, READY]
                                if schedule(n + 3, merged, time, heads[v, START], ready, begins) < 0:
                                    cost = drive * extra + wait * (begins[i] - earliest[p, d])
                                    cost += aboard * (begins[j + 1] - begins[i] - boarding)
                                    for k in range(n):
                                        if price[v, k] > 0.0:
                                            cost += price[v, k] * (begins[k + (k >= i) + (k >= j)] - early[v, k])
                                    for c in range(len(measures)):
                                        exact = (
                                            measures[c, 0] * (begins[i] - now)
                                            + measures[c, 1] * (begins[j + 1] - now)
                                            + measures[c, 2] * cost
                                        )
                                        if exact < score[c, p, d]:
                                            score[c, p, d] = exact
                                            found[c, p, d, VAN] = v
                                            found[c, p, d, PICK] = i
                                            found[c, p, d, DROP] = j
                                            found[c, p, d, PICKUP_S] = begins[i]
                                            found[c, p, d, DROPOFF_S] = begins[j + 1]
                        if j == n or seats[v, j + 1] + load[0] > capacity[v] or chairs[v, j + 1] + load[1] > places[v]:
                            break
                        step = np.int64(time[at, row]) if row >= 0 else np.int64(0)
                        then = max(end + step, early[v, j])
                        if then > late[v, j]:
                            break
                        if j == i:
                            before += step - leg[v, j]
                        pushed += price[v, j] * (then - early[v, j])
                        moving += step + stops[v, j, SERVICE]
                        end = then + stops[v, j, SERVICE]
                        at = np.int64(place[v, j]) if row >= 0 else at


class Found(NamedTuple):
    """The best insertions: ``score`` (C, P, D), infinite where there is none, and ``at`` (C, P, D, 5) as `VAN` …"""

    score: Floats
    at: Seconds


def search(timetables: Timetables, now_s: int, wish: Wish, allowed: Bools, measures: Floats) -> Found:
    """Return the best insertions of a wish into the plans of the ``allowed`` vans (V,) by C ``measures`` (see
    `scan`).
    """
    timetables.refresh(now_s)
    vans, weights = timetables.state.vans, timetables.weights
    shape = (len(measures), len(wish.pickups), len(wish.dropoffs))
    score, at = np.empty(shape), np.zeros((*shape, 5), np.int64)
    scan(
        now_s,
        allowed,
        vans.seats,
        vans.wheelchairs,
        timetables.plans.length,
        timetables.stops,
        timetables.heads,
        timetables.early,
        timetables.late,
        timetables.seats,
        timetables.chairs,
        timetables.place,
        timetables.leg,
        timetables.price,
        timetables.good,
        timetables.travel.time_s,
        wish.pickups,
        wish.dropoffs,
        wish.earliest_s,
        wish.latest_s,
        wish.deadline_s,
        wish.ride_s,
        (wish.seats, wish.wheelchairs),
        (wish.boarding_s, wish.alighting_s),
        (weights.drive, weights.wait, weights.ride),
        measures,
        score,
        at,
    )
    return Found(score, at)


def spliced(plan: list[int], slot: int, pick: int, drop: int) -> tuple[int, ...]:
    """Return a plan with a request's pick-up before position ``pick`` and its drop-off before ``drop`` >= ``pick``."""
    return (*plan[:pick], slot + 1, *plan[pick:drop], -slot - 1, *plan[drop:])
