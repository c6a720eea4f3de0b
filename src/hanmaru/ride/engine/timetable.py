"""Every van's plan as the stops that `schedule` reads, with its earliest and latest times: kept, and made anew
where something changed.

A timetable holds as long as its van's plan, riders, place and travel times do, and as long as the van can still
leave late enough to begin at its next stop when the timetable says (``until_s``); a van that waits costs nothing to
look at again.
"""

from collections.abc import Iterable

import numpy as np

from hanmaru.city.kernels import kernel
from hanmaru.ride.domain import UNREACHABLE, Bools, Floats, Rows, Seconds, Travel
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.holds import Holds
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
    overloaded,
    schedule,
)
from hanmaru.ride.engine.state import FOREVER, RESTING, RIDE, Requests, State, Vans

START, READY, FIXED, ABOARD_SEATS, ABOARD_CHAIRS = range(5)


def columns_of(vans: Vans, requests: Requests) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return the arrays that the kernels read, in the order in which they do."""
    return (
        (vans.row, vans.stop, vans.ready_s, vans.shift_from_s, vans.shift_to_s, vans.depot, vans.status),
        (
            requests.origin,
            requests.destination,
            requests.earliest_s,
            requests.latest_s,
            requests.deadline_s,
            requests.ride_s,
            requests.seats,
            requests.wheelchairs,
            requests.boarding_s,
            requests.alighting_s,
            requests.picked_s,
        ),
    )


@kernel
def fill(
    van: int,
    actions: Rows,
    n: int,
    now: int,
    vans: tuple[np.ndarray, ...],
    requests: tuple[np.ndarray, ...],
    time: Rows,
    where: Rows,
    stops: Seconds,
    head: Seconds,
) -> None:
    """Write a plan of n ``actions`` for a van as stops (at least n + 1, 8), the last of them the end of its shift.

    ``head`` (5,) takes where and when the van starts, how many actions are under way and how many seats and wheelchair
    places are taken at the start. ``where`` (requests,) is working space, all -1, and is left so.

    What is under way at the stop where a van stands began when it came; only what follows it begins from now on.
    """
    row, stop, ready_s, shift_from, shift_to, depot, status = vans
    origin, destination, earliest, late, deadline, ride, seats, chairs, boarding, alighting, picked = requests
    head[:] = 0
    head[START] = row[van]
    fixed = 2 if status[van] == RESTING else 0
    standing = stop[van] >= 0 and fixed == 0
    for k in range(n):
        action = actions[k]
        slot = abs(action) - 1
        stops[k, PARTNER] = -1
        stops[k, LIMIT] = 0
        if action > 0:
            where[slot] = k
            stops[k, ROW] = origin[slot]
            stops[k, OPEN] = earliest[slot]
            stops[k, CLOSE] = late[slot]
            stops[k, SERVICE] = boarding[slot]
            stops[k, SEATS] = seats[slot]
            stops[k, CHAIRS] = chairs[slot]
        else:
            stops[k, ROW] = destination[slot]
            stops[k, OPEN] = 0
            stops[k, CLOSE] = deadline[slot]
            stops[k, SERVICE] = alighting[slot]
            stops[k, SEATS] = -seats[slot]
            stops[k, CHAIRS] = -chairs[slot]
            if where[slot] >= 0:
                stops[k, PARTNER] = where[slot]
                stops[k, LIMIT] = ride[slot]
            else:
                stops[k, CLOSE] = min(deadline[slot], picked[slot] + ride[slot])
                head[ABOARD_SEATS] += seats[slot]
                head[ABOARD_CHAIRS] += chairs[slot]
        if standing and fixed == k and stops[k, ROW] == stop[van] and stops[k, OPEN] <= now:
            fixed = k + 1
    for k in range(n):
        where[abs(actions[k]) - 1] = -1
    stops[n, :] = 0
    stops[n, ROW] = depot[van]
    stops[n, CLOSE] = shift_to[van]
    stops[n, PARTNER] = -1
    fixed = min(fixed, n)
    head[FIXED] = fixed
    head[READY] = max(ready_s[van], shift_from[van])
    if fixed == 0:
        head[READY] = max(head[READY], now)
        return
    for k in range(fixed):
        stops[k, CLOSE] = FOREVER
        stops[k, PARTNER] = -1
    if status[van] == RESTING:  # perhaps before its window
        stops[0, OPEN] = 0
    after = stops[fixed, ROW]
    leg = np.int64(time[row[van], after]) if after >= 0 else np.int64(0)
    if leg < UNREACHABLE:
        stops[fixed, OPEN] = max(stops[fixed, OPEN], now + leg)


@kernel
def refresh(
    now: int,
    dirty: Bools,
    plan: Rows,
    length: Rows,
    vans: tuple[np.ndarray, ...],
    requests: tuple[np.ndarray, ...],
    time: Rows,
    where: Rows,
    pick_price: float,
    drop_price: float,
    kind: np.ndarray,
    stops: Seconds,
    heads: Seconds,
    early: Seconds,
    late: Seconds,
    seats: Rows,
    chairs: Rows,
    place: Rows,
    leg: Rows,
    price: Floats,
    until: Seconds,
    good: Bools,
) -> None:
    """Bring the timetables of all vans up to date that are ``dirty`` or over.

    For V vans and W >= their longest plan + 1 positions: ``stops`` (V, W, 8), ``heads`` (V, 5), and (V, W): ``early``,
    ``late`` beginnings, ``seats``, ``chairs`` taken before a position, ``place`` the row where the van then is,
    ``leg`` the travel time to it, ``price`` what a second later costs there. ``good`` (V,): the plan can be driven.
    """
    for v in range(len(dirty)):
        if not dirty[v] and now <= until[v]:
            continue
        n = length[v]
        fill(v, plan[v], n, now, vans, requests, time, where, stops[v], heads[v])
        head = heads[v]
        good[v] = schedule(n + 1, stops[v], time, head[START], head[READY], early[v]) < 0
        if good[v]:
            latest(n + 1, stops[v], time, head[START], late[v])
        here = head[START]
        taken, wheels = head[ABOARD_SEATS], head[ABOARD_CHAIRS]
        for k in range(n + 1):
            seats[v, k] = taken
            chairs[v, k] = wheels
            row = stops[v, k, ROW]
            leg[v, k] = time[here, row] if row >= 0 else 0
            if row >= 0:
                here = row
            place[v, k] = here
            taken += stops[v, k, SEATS]
            wheels += stops[v, k, CHAIRS]
            price[v, k] = 0.0
            if k < n and kind[abs(plan[v, k]) - 1] == RIDE:
                riders = abs(stops[v, k, SEATS]) + abs(stops[v, k, CHAIRS])
                price[v, k] = riders * (pick_price if plan[v, k] > 0 else drop_price)
        dirty[v] = False
        fixed = head[FIXED]
        after = stops[v, fixed, ROW]
        until[v] = FOREVER  # what cannot be driven now cannot be driven later
        if good[v]:
            until[v] = early[v, fixed] - (np.int64(time[head[START], after]) if after >= 0 else 0)


@kernel
def forced(n: int, stops: Seconds, time: Rows, start: int, ready: int, out: Seconds) -> None:
    """Write when service begins at a route's stops (n, 8) if the van drives it as quickly as it can, however late."""
    here, free = start, ready
    for i in range(n):
        row = stops[i, ROW]
        if row >= 0:
            free += np.int64(time[here, row])
            here = row
        out[i] = max(free, stops[i, OPEN])
        free = out[i] + stops[i, SERVICE]


class Timetables:
    """The timetables of a state's vans under given travel times; arrays as in `refresh`. With ``holds``: of the plans
    with those who are held.
    """

    def __init__(self, state: State, travel: Travel, weights: Weights, holds: Holds | None = None) -> None:
        """Know nothing yet: everything is made on the first `refresh`."""
        self.state, self.weights, self.holds = state, weights, holds
        self.travel = travel
        self.dirty = np.ones(len(state.vans), np.bool_)
        self._where = np.full(0, -1, np.int32)
        self._size(0)

    def _size(self, width: int) -> None:
        size = len(self.state.vans)
        self.stops = np.zeros((size, width, COLUMNS), np.int64)
        self.heads = np.zeros((size, 5), np.int64)
        self.early, self.late = np.zeros((size, width), np.int64), np.zeros((size, width), np.int64)
        self.seats, self.chairs = np.zeros((size, width), np.int32), np.zeros((size, width), np.int32)
        self.place, self.leg = np.zeros((size, width), np.int32), np.zeros((size, width), np.int32)
        self.price = np.zeros((size, width))
        self.until = np.zeros(size, np.int64)
        self.good = np.zeros(size, np.bool_)
        self.dirty[:] = True

    def touch(self, vans: Iterable[int]) -> None:
        """Say that something about some vans has changed."""
        for van in vans:
            self.dirty[van] = True

    def retime(self, travel: Travel) -> None:
        """Use other travel times from now on."""
        self.travel = travel
        self.dirty[:] = True

    def _space(self) -> Rows:
        requests = self.state.requests
        if len(self._where) < len(requests.status):
            self._where = np.full(len(requests.status), -1, np.int32)
        return self._where

    @property
    def plans(self) -> Vans | Holds:
        """The plans that these timetables are of."""
        return self.state.vans if self.holds is None else self.holds

    def refresh(self, now_s: int) -> None:
        """Bring all timetables up to date."""
        if self.holds is None:
            self._refresh(now_s)
            return
        self.holds.sync(self.dirty, lambda van, plan: self.begins(van, now_s, plan))
        self._refresh(now_s)
        late = sorted({van for van in self.holds.vans.values() if not self.good[van]})
        for van in late:
            self.holds.drop(van)
        if late:
            self.touch(late)
            self._refresh(now_s)

    def _refresh(self, now_s: int) -> None:
        vans, requests, plans = self.state.vans, self.state.requests, self.plans
        if plans.plan.shape[1] >= self.early.shape[1]:
            self._size(plans.plan.shape[1] + 1)
        weights = self.weights
        refresh(
            now_s,
            self.dirty,
            plans.plan,
            plans.length,
            *columns_of(vans, requests),
            self.travel.time_s,
            self._space(),
            weights.wait - weights.ride,
            weights.ride,
            requests.kind,
            self.stops,
            self.heads,
            self.early,
            self.late,
            self.seats,
            self.chairs,
            self.place,
            self.leg,
            self.price,
            self.until,
            self.good,
        )

    def route(self, van: int, now_s: int, plan: Iterable[int] | None = None) -> tuple[Seconds, Seconds]:
        """Return a van's plan (or another one) as the stops (n + 1, 8) that `schedule` reads, and its head as in
        `fill`.
        """
        vans = self.state.vans
        actions = vans.plan[van, : vans.length[van]] if plan is None else np.array(tuple(plan), np.int32)
        stops, head = np.zeros((len(actions) + 1, COLUMNS), np.int64), np.zeros(5, np.int64)
        columns = columns_of(vans, self.state.requests)
        fill(van, actions, len(actions), now_s, *columns, self.travel.time_s, self._space(), stops, head)
        return stops, head

    def begins(self, van: int, now_s: int, plan: Iterable[int] | None = None) -> Seconds | None:
        """Return when service begins at each stop of a van's plan (or another one) and at the end of its shift, or
        None if it cannot be driven in time or with the places that the van has.
        """
        stops, head = self.route(van, now_s, plan)
        out = np.zeros(len(stops), np.int64)
        if schedule(len(stops), stops, self.travel.time_s, int(head[START]), int(head[READY]), out) >= 0:
            return None
        vans = self.state.vans
        limits = int(vans.seats[van]), int(vans.wheelchairs[van]), int(head[ABOARD_SEATS]), int(head[ABOARD_CHAIRS])
        return None if overloaded(len(stops), stops, *limits) >= 0 else out

    def late_begins(self, van: int, now_s: int, plan: Iterable[int] | None = None) -> Seconds:
        """Return when service begins at each stop of a plan, and at its end, if it is driven however late it is."""
        stops, head = self.route(van, now_s, plan)
        out = np.zeros(len(stops), np.int64)
        forced(len(stops), stops, self.travel.time_s, int(head[START]), int(head[READY]), out)
        return out

    def cost(self, van: int, plan: Iterable[int], begins: Seconds) -> float:
        """Return what a plan with these beginnings costs, in driven seconds, counted from the epoch (compare only plans
        for the same riders).
        """
        weights, kind = self.weights, self.state.requests.kind
        here, driven, cost = int(self.state.vans.row[van]), 0, 0.0
        stops, _ = self.route(van, 0, plan)
        for k, action in enumerate(plan):
            if kind[abs(action) - 1] == RIDE:
                riders = abs(int(stops[k, SEATS])) + abs(int(stops[k, CHAIRS]))
                cost += riders * float(begins[k]) * (weights.wait - weights.ride if action > 0 else weights.ride)
            row = int(stops[k, ROW])
            if row >= 0:
                driven += int(self.travel.time_s[here, row])
                here = row
        return cost + weights.drive * driven
