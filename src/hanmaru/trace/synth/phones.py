"""What the carriers record of phones: bursts and periodic reports, the serving cell, the position they make of it.

228 events a phone and day on average, 154-770 between people, as in the data that Korean investigators were given in
May 2020. Every phone and day has a random stream of its own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.kernels import stream
from hanmaru.city.noise import channel, gaussian, uniform
from hanmaru.city.rhythms import local
from hanmaru.trace.domain import Bools, Floats, Ints
from hanmaru.trace.synth import rng
from hanmaru.trace.synth.cells import SHARES, Network
from hanmaru.trace.synth.paths import LONGEST, Nodes, Ways, walk
from hanmaru.trace.synth.spots import DEAD_LOSS, HEARD, SQUARE_M, Singles, Small, Spots

EVENTS_A_DAY, FEWEST, MOST = 228.0, 154.0, 770.0
OFF_SHARE, OFF_H = 0.05, (2.0, 9.0)
"""The share of days on which a phone is off for a span, and for how long."""
LEFT_SHARE = 0.02
"""The share of days on which a phone is left at home."""
PING_PONG, LOAD_SHARING = 0.06, 0.02
"""The share of events in hand-overs back and forth, and on a further cell that shares the load.

Published shares of oscillating records run from a few to some 20 %, by technology and definition."""
PERIODIC_S = 3240
"""3GPP TS 24.008: timer T3412, by which an idle phone reports, is 54 minutes by default."""

OWNERS = ((6, 0.05), (10, 0.75), (15, 0.95), (65, 0.99), (80, 0.96), (200, 0.75))
"""Below each age, who carries a phone (order of the KISA Internet Usage Survey; children's watches count)."""

NORMAL, PINGED, SHARED = 0, 1, 2
"""Why an event is at its cell."""

_AWAKE = (
    0.55, 0.32, 0.20, 0.15, 0.14, 0.20, 0.42, 0.80, 1.02, 1.02, 1.04, 1.10,
    1.22, 1.16, 1.10, 1.10, 1.14, 1.22, 1.28, 1.28, 1.28, 1.30, 1.20, 0.90,
)  # fmt: skip
"""Use by the hour, in the shape of mobile traffic by the hour (Wang et al. 2015, IMC: low at 4-5, high at 22)."""

_STREAM = 11  # the phones' stream of a seed
_SESSION = 6.0  # events in one burst, on average
_GAP_LOG, _GAP_SPREAD = 3.0, 1.2  # seconds between events of a burst: log-normal, median 20 s: heavy-tailed
_BLUR = 0.35  # of a cell's radius: what a carrier's estimate adds to the middle of the cell
_ACCURACY_M, _ACCURACY_BY_RADIUS = 15.0, 0.85  # fitted on layout A so that 68 % of errors are smaller, test_synth.py


@dataclass(frozen=True, eq=False, slots=True)
class Phones:
    """Each person's phone, arrays (n,) over the city's whole population: whether there is one, the ``carrier``, the
    ``rate`` of events on a day, the ``phase_s`` of its periodic reports and ``shift_h`` of its day.
    """

    owned: Bools
    carrier: Ints
    rate: Floats
    phase_s: Floats
    shift_h: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Events:
    """e phone events, sorted by ``subject`` (an index into the population), ``time_s``. ``cell`` (e,) indexes the
    network; ``x_m``, ``y_m`` what the carrier reports, ``radius_m`` its 68 % radius; ``true_x_m``, ``true_y_m`` where
    the person was, ``phone_x_m``, ``phone_y_m`` where the phone was; ``why`` one of NORMAL, PINGED, SHARED.
    """

    subject: Ints
    time_s: Ints
    cell: Small
    x_m: Floats
    y_m: Floats
    radius_m: Floats
    true_x_m: Floats
    true_y_m: Floats
    phone_x_m: Floats
    phone_y_m: Floats
    why: npt.NDArray[np.int8]

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self.time_s)


def make(city: City, seed: int) -> Phones:
    """Return everybody's phones; a household tends to share its carrier."""
    people = city.population
    n = np.arange(len(people))
    edges, shares = zip(*OWNERS, strict=True)
    chance = np.asarray(shares)[np.searchsorted(edges, people.age, side="right")]
    family = uniform(seed, channel("phone/family"), n) < 0.6
    draw = np.where(
        family,
        uniform(seed, channel("phone/household"), people.household),
        uniform(seed, channel("phone/carrier"), n),
    )
    extra = -np.log(uniform(seed, channel("phone/rate"), n)) * (EVENTS_A_DAY - FEWEST)
    return Phones(
        owned=uniform(seed, channel("phone/owner"), n) < chance,
        carrier=np.searchsorted(np.cumsum(SHARES)[:-1], draw),
        rate=np.minimum(FEWEST + extra, MOST),
        phase_s=PERIODIC_S * uniform(seed, channel("phone/phase"), n),
        shift_h=0.8 * gaussian(seed, channel("phone/shift"), n),
    )


def events(
    city: City,
    network: Network,
    spots: Spots,
    ways: Ways,
    phones: Phones,
    days: Days,
    people: Ints,
    day_s: int,
    seed: int,
) -> Events:
    """Return the events of some people (sorted) in the 24 hours from ``day_s``, the city's midnight.

    ``days`` must hold their visits; who has none, or no phone, has no events.
    """
    people = people[phones.owned[people]]
    first, last = np.searchsorted(days.person, people), np.searchsorted(days.person, people, side="right")
    people, first, last = people[first < last], first[first < last], last[first < last]
    low, high = (int(first.min()), int(last.max())) if len(people) else (0, 0)
    spot = spots.of(city.profile.seed, days.person[low:high], days.place[low:high])
    hours = local(city.profile.tz, np.array([float(day_s)])).day
    # What is lost while a phone is off (in the mean of OFF_H) or without signal is added to the others.
    lost = OFF_SHARE * sum(OFF_H) / 48 + 0.9 * 0.01
    steady = np.exp(0.1 * gaussian(seed, channel("phone/day"), people, hours) - 0.005)
    budget = np.rint(phones.rate[people] * steady / (1 - lost)).astype(np.int64)
    slot = np.append(0, np.cumsum(budget))
    n = int(slot[-1])
    shape = np.append(0.0, np.cumsum(np.repeat(_AWAKE, 2)))
    who, time, cell = np.empty(n, np.int64), np.empty(n, np.int64), np.full(n, -1, np.int32)
    at, why = np.empty((6, n)), np.empty(n, np.int8)
    _record(
        seed, day_s, people, slot, first - low, last - low, spot, days.start_s[low:high], days.end_s[low:high],
        city.population.home[people], phones.carrier[people], phones.phase_s[people], phones.shift_h[people],
        shape / shape[-1], spots.xy, spots.node, spots.cell, spots.below, spots.further, spots.dead, spots.square,
        spots.low, ways.xy, ways.row, ways.towards, network.anchor, network.radius_m, who, time, cell, at, why,
    )  # fmt: skip
    kept = cell >= 0
    cell = cell[kept]
    at = at[:, kept]
    radius = np.round(_ACCURACY_M + _ACCURACY_BY_RADIUS * network.radius_m[cell])
    return Events(who[kept], time[kept], cell, at[0], at[1], radius, at[2], at[3], at[4], at[5], why[kept])


def fates(people: Ints, day_s: int, seed: int) -> tuple[Ints, Ints, Bools]:
    """Return from when to when each phone (n,) is off on a day (0, 0: never), and whether it is left at home."""
    out = np.empty((len(people), 2), np.int64)
    left = np.empty(len(people), np.bool_)
    _fates(seed, day_s, people, out, left)
    return out[:, 0], out[:, 1], left


@njit(cache=True, nogil=True)
def _fates(seed: int, day_s: int, people: Ints, off: Ints, left: Bools) -> None:
    state = np.empty(1, np.uint64)
    for p in range(len(people)):
        state[0] = stream(seed, _STREAM, people[p], day_s)
        off[p, 0], off[p, 1], left[p] = _fate(state, day_s)


@njit(cache=True, nogil=True)
def _fate(state: rng.State, day_s: int) -> tuple[int, int, bool]:
    """Return from when to when a phone is off, and whether it is left at home: the first numbers of its stream."""
    a, b, c, d = rng.uniform(state), rng.uniform(state), rng.uniform(state), rng.uniform(state)
    off_from, off_to = 0, 0
    if a < OFF_SHARE:
        off_from = day_s + int(b * 86400)
        off_to = off_from + int((OFF_H[0] + (OFF_H[1] - OFF_H[0]) * c) * 3600)
    return off_from, off_to, d < LEFT_SHARE


@njit(cache=True, nogil=True)
def _times(state: rng.State, t: Ints, day_s: int, phase: float, shift: float, shape: Floats, gaps: Ints) -> None:
    """Fill ``t`` (sorted) with a phone's day: periodic reports, hand-overs on the way, and bursts for the rest.

    ``gaps`` (g, 2) are the spans on the way, in seconds.
    """
    n, k = len(t), 0
    at = phase
    while at < 86400 and k < n:
        t[k] = day_s + int(at)
        at += PERIODIC_S
        k += 1
    for g in range(len(gaps)):
        low, high = gaps[g, 0], gaps[g, 1]
        more = min(int((high - low) / 75.0 + rng.uniform(state)), n // 6)
        for _ in range(more):
            if k < n:
                t[k] = low + int(rng.uniform(state) * (high - low))
                k += 1
    while k < n:
        slot = np.searchsorted(shape, rng.uniform(state)) - 1
        at = (slot + rng.uniform(state)) * 1800.0 + shift * 3600.0
        count = 1 + int(-np.log(rng.uniform(state)) * (_SESSION - 0.5))
        for _ in range(min(count, n - k)):
            t[k] = day_s + int(at % 86400.0)
            at += np.exp(_GAP_LOG + _GAP_SPREAD * rng.normal(state))
            k += 1
    t.sort()


@njit(cache=True, nogil=True)
def _record(
    seed: int, day_s: int, people: Ints, slot: Ints, first: Ints, last: Ints, spot: Ints, start: Ints, end: Ints,
    home: Ints, carrier: Ints, phase: Floats, shift: Floats, shape: Floats, spot_xy: Floats, spot_node: Ints,
    heard: Small, below: Singles, further: Small, dead: Bools, square: Small, low: Floats, node_xy: Floats, row: Ints,
    towards: Nodes, anchor: Floats, cell_radius: Floats, who: Ints, time: Ints, cell: Small, at: Floats,
    why: npt.NDArray[np.int8],
) -> None:  # fmt: skip
    """Fill ``who``, ``time``, ``cell`` (-1: no event), ``at`` (6, e): reported, person, phone; and ``why``."""
    state = np.empty(1, np.uint64)
    line, along, ends = np.empty((LONGEST, 2)), np.empty(LONGEST), np.empty((2, 2))
    gaps = np.empty((200, 2), np.int64)
    for p in range(len(people)):
        state[0] = stream(seed, _STREAM, people[p], day_s)
        off_from, off_to, left = _fate(state, day_s)
        v, n_gaps = first[p], 0
        while v + 1 < last[p] and start[v + 1] <= day_s:
            v += 1
        for w in range(v, last[p] - 1):
            if end[w] < day_s + 86400 and start[w + 1] > day_s and n_gaps < len(gaps):
                gaps[n_gaps, 0], gaps[n_gaps, 1] = max(end[w], day_s), min(start[w + 1], day_s + 86400)
                n_gaps += 1
        t = time[slot[p] : slot[p + 1]]
        _times(state, t, day_s, phase[p], shift[p], shape, gaps[: 0 if left else n_gaps])
        k = carrier[p]
        path_of, points, step = -1, 0, 0
        here_before, before, base, other, pinging, sharing, shared = -1, 0, 0, 0, 0, 0, 0
        for j in range(len(t)):
            i = slot[p] + j
            now = t[j]
            while v + 1 < last[p] and now >= start[v + 1]:
                v += 1
            x, y, here = spot_xy[spot[v], 0], spot_xy[spot[v], 1], spot[v]
            if now >= end[v] and v + 1 < last[p]:
                if path_of != v:
                    ends[0], ends[1] = spot_xy[spot[v]], spot_xy[spot[v + 1]]
                    points = walk(
                        node_xy, row, towards, int(spot_node[spot[v]]), int(spot_node[spot[v + 1]]), ends, line, along
                    )
                    path_of, step = v, 0
                gone = along[points - 1] * (now - end[v]) / max(1, start[v + 1] - end[v])
                while step + 2 < points and along[step + 1] < gone:
                    step += 1
                f = (gone - along[step]) / max(1e-6, along[step + 1] - along[step])
                f = min(1.0, max(0.0, f))
                x = line[step, 0] + (line[step + 1, 0] - line[step, 0]) * f
                y = line[step, 1] + (line[step + 1, 1] - line[step, 1]) * f
                sx, sy = int((x - low[0]) // SQUARE_M), int((y - low[1]) // SQUARE_M)
                here = spot[v] if f < 0.5 else spot[v + 1]
                if 0 <= sx < square.shape[0] and 0 <= sy < square.shape[1] and square[sx, sy] >= 0:
                    here = square[sx, sy]
            at[2, i], at[3, i] = x, y
            if left:
                here = home[p]
                x, y = spot_xy[here, 0], spot_xy[here, 1]
            at[4, i], at[5, i] = x, y
            if off_from <= now < off_to or (dead[k, here] and rng.uniform(state) < DEAD_LOSS):
                continue
            if here != here_before or now - before > 1800 or rng.uniform(state) < 0.1:
                if here != here_before:
                    pinging = 0
                u = rng.uniform(state)
                base = 0
                while base < HEARD - 1 and u > below[k, here, base]:
                    base += 1
                other = 1 if base == 0 else 0
            which, reason = base, NORMAL
            if pinging > 0 and now - before <= 120:
                pinging -= 1
                if pinging % 2 == 0:
                    which = other
                reason = PINGED
            else:
                pinging = 0
                if here == here_before and now - before <= 60 and rng.uniform(state) < PING_PONG * 0.47:
                    pinging = 4 + 2 * int(rng.uniform(state) * 4)
                    which, reason = other, PINGED
            chosen = heard[k, here, which]
            if sharing == 0 and rng.uniform(state) < LOAD_SHARING / 2.0:
                sharing = 1 + int(rng.uniform(state) * 3)
                shared = int(rng.uniform(state) * further.shape[2])
            if sharing > 0:
                sharing -= 1
                chosen, reason = further[k, here, shared], SHARED
            here_before, before = here, now
            blur = _BLUR * cell_radius[chosen]
            who[i], cell[i], why[i] = people[p], chosen, reason
            at[0, i] = anchor[chosen, 0] + blur * rng.normal(state)
            at[1, i] = anchor[chosen, 1] + blur * rng.normal(state)
