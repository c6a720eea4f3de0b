"""Where idle vans should wait: near the riders who will probably call next.

Stops are gathered into zones. In a zone where λ riders are expected, the k-th van standing there is of use with the
probability that at least k riders call, P(N ≥ k) for N ~ Poisson(λ): each further van is worth less, as each further
copy is to a newsvendor. A van that is of use saves its rider the time that the next one would take to come. Idle vans
are given to these places, or left where they are, so that what they are worth less what the way there costs is
greatest: a transport problem, as in Zhang & Pavone 2016 (IJRR 35) and Alonso-Mora et al. 2017, but with values instead
of quotas, so that no van drives about for a rider who is unlikely. As an assignment problem it is solved exactly.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# SciPy brings no types.

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import pdtrc

from hanmaru.ride.domain import UNREACHABLE, Floats, Rows, Seconds, Travel
from hanmaru.ride.engine.commands import Reposition
from hanmaru.ride.engine.config import Weights
from hanmaru.ride.engine.state import ON, State

ZONE_S = 90
"""Every stop is this near to the middle of its zone: what a rider hardly notices."""
HORIZON_S = 300
"""How far ahead riders are expected: about as far as a van can be away and still be of use to them."""
MEMORY_S = 3600
"""Where there is no week of history yet, how long what was seen is believed (e-folding time)."""
SMOOTH_S = 1800
"""Calls so much before or after the same time of the week count as of the same time."""
WEEK_S = 7 * 86_400
APPROACH = 0.5
"""Share of the next van's way to a rider that counts as driving saved: on its own way it may meet other riders."""
CHANCE = 0.02
"""Places where a van would be of use less often than this are not looked at."""


def zones(travel: Travel, zone_s: int = ZONE_S) -> tuple[Rows, Rows]:
    """Return the stops that are middles of zones (z,), and for each stop (s,) the zone it belongs to.

    Stops become middles in turn, each time the one farthest from all middles so far (Gonzalez 1985), until every stop
    is within ``zone_s`` of one.
    """
    stops = travel.time_s.shape[1]
    time = travel.time_s[:stops]
    middles = [int(np.argmin(np.minimum(time, UNREACHABLE).sum(axis=1, dtype=np.int64)))]
    distance = time[middles[0]].copy()
    zone = np.zeros(stops, np.int32)
    while distance.max() > zone_s:
        middle = int(np.argmax(distance))
        nearer = time[middle] < distance
        zone[nearer] = len(middles)
        distance[nearer] = time[middle, nearer]
        distance[middle] = 0
        zone[middle] = len(middles)
        middles.append(middle)
    return np.array(middles, np.int32), zone


def expected(asked_s: Seconds, zone: Rows, count: int, now_s: int, horizon_s: int = HORIZON_S) -> Floats:
    """Return how many riders will probably call in each of ``count`` zones within a horizon.

    ``asked_s``, ``zone`` (n,): when and where riders called before. With at least a week of history, the mean of the
    same time in past weeks; with less, what was seen of late.
    """
    past = asked_s < now_s
    age, zone = now_s - asked_s[past], zone[past]
    weeks = int(age.max(initial=0)) // WEEK_S
    if weeks:
        since = (age + horizon_s + SMOOTH_S) % WEEK_S
        same = (since <= horizon_s + 2 * SMOOTH_S) & (age >= SMOOTH_S + horizon_s) & (age <= weeks * WEEK_S + SMOOTH_S)
        counts = np.bincount(zone[same], minlength=count) / weeks
        return counts * (horizon_s / (horizon_s + 2 * SMOOTH_S))
    weight = np.exp(-age / MEMORY_S)
    span = MEMORY_S * -np.expm1(-float(age.max(initial=1)) / MEMORY_S)
    return np.bincount(zone, weight, minlength=count) * (horizon_s / max(span, 1.0))


def plan(
    state: State,
    travel: Travel,
    now_s: int,
    middles: Rows,
    demand: Floats,
    weights: Weights,
    horizon_s: int = HORIZON_S,
) -> Reposition | None:
    """Return where idle vans should go, or None if all stay.

    ``middles`` (z,): stops; ``demand`` (z,): riders expected in each zone within ``horizon_s``. Vans that will be free
    in half the horizon count where they will be then, and those on their way to a stop count there.
    """
    vans, time = state.vans, travel.time_s
    on = (vans.status == ON) & (vans.shift_to_s > now_s + horizon_s)
    idle = np.flatnonzero(on & (vans.length == 0) & (vans.target < 0))
    if not len(idle) or not demand.sum() > 0:
        return None
    free = (_free_at(state, time, int(v), now_s + horizon_s // 2) for v in np.flatnonzero(on))
    later = np.array([stop for stop in free if stop >= 0], np.int32)
    to = np.minimum(np.concatenate((time[np.ix_(vans.row[idle], middles)], time[np.ix_(later, middles)])), UNREACHABLE)
    home = to.argmin(axis=1)
    taken = np.bincount(home[len(idle) :], minlength=len(middles))
    place, rank = np.nonzero(pdtrc(taken[:, None] + np.arange(len(idle)), demand[:, None]) > CHANCE)
    chance = pdtrc(taken[place] + rank, demand[place])
    others = np.where(home[:, None] == np.arange(len(middles)), UNREACHABLE, to).min(axis=0)
    others = np.minimum(others, time[np.ix_(middles, middles)].max(axis=0, initial=0))
    saved = (weights.wait + APPROACH * weights.drive) * others
    way = to[: len(idle)].astype(np.float64)
    way[np.arange(len(idle)), home[: len(idle)]] = 0.0
    go = (saved[place] * chance) - weights.drive * way[:, place]
    van, column = linear_sum_assignment(np.hstack((go, np.zeros((len(idle), len(idle))))), maximize=True)
    moves = [
        (int(idle[i]), int(middles[place[j]]))
        for i, j in zip(van, column, strict=True)
        if j < len(place) and place[j] != home[i]
    ]
    return Reposition(tuple(v for v, _ in moves), tuple(stop for _, stop in moves)) if moves else None


def _free_at(state: State, time: Rows, van: int, until_s: int) -> int:
    """Return the stop at which a van that is busy, or sent to a stop, will be free by a time, or -1."""
    vans, requests = state.vans, state.requests
    if not vans.length[van]:
        return int(vans.target[van])
    here, free = int(vans.row[van]), int(vans.ready_s[van])
    for action in vans.actions(van):
        slot = abs(action) - 1
        stop = int((requests.origin if action > 0 else requests.destination)[slot])
        if stop < 0:
            continue
        free += int(time[here, stop])
        if action > 0:
            free = max(free, int(requests.earliest_s[slot]))
        free += int((requests.boarding_s if action > 0 else requests.alighting_s)[slot])
        here = stop
    return here if free <= until_s and here < time.shape[1] else -1
