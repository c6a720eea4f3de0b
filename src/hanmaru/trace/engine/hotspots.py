"""Where and when unusually many cases, or cases and their contacts, were together: a space-time scan.

Kulldorff's scan statistic (1997, Commun. Stat. Theory Methods 26:1481) over cylinders, circles times windows, with the
number expected from where everybody was. How strong a cluster chance alone makes somewhere is learnt by giving the
cases' labels to random people; the tail of those maxima is a Gumbel distribution (Abrams, Kulldorff & Kleinman 2010,
Int. J. Health Geogr. 9:61), so that a hundred draws tell small probabilities.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.trace.domain import Bools, Floats, Ints, Visits
from hanmaru.trace.engine.copresence import RADIUS_TO_SIGMA

RADII_M = (100.0, 300.0, 900.0)
"""Circles that are looked at: a block, a quarter, what a rural cell covers."""
WINDOWS_S = (3 * 3600, 24 * 3600)
"""Windows that are looked at: an evening out, a day."""
LEAST_S = 900
"""How long somebody is in a window to count, seconds."""
DRAWS = 99
REFERENCE_VISITS = 100_000
"""Visits of random people that stand for everybody where there are more."""
LEAST_PEOPLE = 2.0


@dataclass(frozen=True, eq=False, slots=True)
class Hotspots:
    """h hotspots, the strongest first: circles of ``radius_m`` about ``x_m``, ``y_m`` (h,) from ``start_s`` to
    ``end_s``; ``people`` the weight of who was there, ``expected`` by where everybody was, ``probability`` that chance
    alone makes no cluster so strong anywhere (1 - p).
    """

    x_m: Floats
    y_m: Floats
    radius_m: Floats
    start_s: Ints
    end_s: Ints
    people: Floats
    expected: Floats
    probability: Floats

    def __len__(self) -> int:
        """Return how many hotspots there are."""
        return len(self.x_m)

    def take(self, rows: Ints | Bools) -> "Hotspots":
        """Return some of them."""
        return Hotspots(*(getattr(self, name)[rows] for name in Hotspots.__slots__))


def find(
    visits: Visits, weight: Floats, *, seed: int = 0, draws: int = DRAWS, surely: float = 0.95, most: int = 100
) -> Hotspots:
    """Return the hotspots of weighted subjects against everybody's visits; none where everybody is alike.

    ``weight`` (subjects,) by the visits' subject: 1 for a case, a contact's probability, 0 for the others. A visit
    counts in circles that are not smaller than its position's error (standard deviation). Of cylinders that overlap the
    strongest is returned. The same ``seed`` gives the same draws.
    """
    people = _distinct(visits.subject)
    labelled = weight[people]
    rng = np.random.default_rng(seed)
    kept = _sample(visits, people, labelled, rng)
    share = len(people) - np.count_nonzero(labelled)
    here = kept[labelled[kept] == 0]
    scale = share / len(here) if len(here) else 1.0  # how many people each of those stands for
    cylinders, first, bins = _presence(visits, people[kept])
    if not len(cylinders):
        return _none()
    w = labelled[kept]
    each = np.where(w > 0, 1.0, scale)
    total = float(w.sum())
    there = np.bincount(bins, np.repeat(each, np.diff(first)), len(cylinders))
    expected = total * there / len(people)
    count = _count(first, bins, np.arange(len(w)), w, np.zeros(len(cylinders)))
    strength = _strength(count, expected, total)
    best = _best(cylinders, strength)[: 4 * most]
    if not len(best):
        return _none()
    drawn = np.empty(draws)
    carriers = w[w > 0]
    for i in range(draws):
        chosen = rng.choice(len(w), len(carriers), replace=False, p=each / each.sum())
        count = _count(first, bins, chosen, carriers, count)
        drawn[i] = _strength(count, expected, total).max(initial=0.0)
    sure = np.exp(-np.exp(-(strength[best] - _location(drawn)) / _spread(drawn)))
    best, sure = best[sure >= surely][:most], sure[sure >= surely][:most]
    return _described(visits, weight, cylinders[best], expected[best], sure)


def publishable(hotspots: Hotspots, k: int) -> Hotspots:
    """Return what may be shown to everybody: hotspots of at least ``k`` people, placed on a grid of their radius and
    widened to full hours, so that nobody's own position or time shows.
    """
    h = hotspots.take(np.floor(hotspots.people + 1e-9) >= k)
    side = h.radius_m
    return Hotspots(
        x_m=(np.floor(h.x_m / side) + 0.5) * side,
        y_m=(np.floor(h.y_m / side) + 0.5) * side,
        radius_m=h.radius_m * 1.75,  # a circle's own, and the half diagonal by which the grid moved it
        start_s=h.start_s // 3600 * 3600,
        end_s=-(-h.end_s // 3600) * 3600,
        people=np.floor(h.people + 1e-9),
        expected=h.expected,
        probability=h.probability,
    )


def _none() -> Hotspots:
    empty, whole = np.zeros(0), np.zeros(0, np.int64)
    return Hotspots(empty, empty, empty, whole, whole, empty, empty, empty)


def _sample(visits: Visits, people: Ints, labelled: Floats, rng: np.random.Generator) -> Ints:
    """Return who is looked at, ascending: the labelled, and as many random others as the visits allow."""
    others = np.flatnonzero(labelled == 0)
    mean = len(visits) / max(1, len(people))
    some = min(len(others), int(REFERENCE_VISITS / max(mean, 1.0)))
    drawn = others if some == len(others) else rng.choice(others, some, replace=False)
    return np.sort(np.concatenate((np.flatnonzero(labelled > 0), drawn)))


def _presence(visits: Visits, people: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the cylinders (c, 5) that people were in, as (radius, window, column, row, step), and who was in which:
    those of person i are ``bins[first[i]:first[i + 1]]``.
    """
    position = np.full(int(visits.subject.max(initial=-1)) + 1, -1)
    position[people] = np.arange(len(people))
    rows = np.flatnonzero(position[visits.subject] >= 0)
    who = position[visits.subject[rows]]
    origin = int(visits.start_s.min()) // 86400 * 86400 if len(rows) else 0
    found: list[Ints] = []
    for r, radius in enumerate(RADII_M):
        fits = rows[visits.radius_m[rows] * RADIUS_TO_SIGMA <= radius]
        owner = who[visits.radius_m[rows] * RADIUS_TO_SIGMA <= radius]
        for w, window in enumerate(WINDOWS_S):
            found.append(
                _cylinders(
                    owner,
                    visits.x_m[fits],
                    visits.y_m[fits],
                    visits.start_s[fits] - origin,
                    visits.end_s[fits] - origin,
                    radius,
                    window,
                    r * len(WINDOWS_S) + w,
                )
            )
    every = np.concatenate(found)
    # np.unique hashes large arrays, ten times slower than sorting them.
    key = (every[:, 1] << 56) + ((every[:, 2] + (1 << 19)) << 36) + ((every[:, 3] + (1 << 19)) << 16) + every[:, 4] + 2
    order = np.argsort(key)
    new = np.append(True, np.diff(key[order]) != 0)[: len(key)]
    at = order[new]
    bins = np.empty(len(key), np.int64)
    bins[order] = np.cumsum(new) - 1
    pairs = _distinct(np.sort(every[:, 0] * len(at) + bins))
    owner, bins = pairs // max(1, len(at)), pairs % max(1, len(at))
    shape = every[at]
    cylinders = np.stack(
        (shape[:, 1] // len(WINDOWS_S), shape[:, 1] % len(WINDOWS_S), shape[:, 2], shape[:, 3], shape[:, 4]), axis=1
    )
    cylinders = np.column_stack((cylinders, np.full(len(cylinders), origin)))
    return cylinders, np.searchsorted(owner, np.arange(len(people) + 1)), bins


@njit(cache=True)
def _cylinders(
    owner: Ints, x_m: Floats, y_m: Floats, start_s: Ints, end_s: Ints, radius: float, window: int, kind: int
) -> Ints:
    """Return rows (owner, kind, column, row, step) of the cylinders of a kind that each visit is in: circles a side
    sqrt(2) radius apart, so that they cover the plane, and windows half their length apart.
    """
    side, step = radius * 1.4142135623730951, window // 2
    out = np.empty((max(16, 4 * len(owner)), 5), np.int64)
    n = 0
    for i in range(len(owner)):
        if end_s[i] - start_s[i] < LEAST_S:
            continue
        first = (start_s[i] + LEAST_S - window) // step + (1 if (start_s[i] + LEAST_S - window) % step else 0)
        last = (end_s[i] - LEAST_S) // step
        cx, cy = int(np.floor(x_m[i] / side)), int(np.floor(y_m[i] / side))
        for dx in range(-1, 2):
            for dy in range(-1, 2):
                fx, fy = (cx + dx + 0.5) * side - x_m[i], (cy + dy + 0.5) * side - y_m[i]
                if fx * fx + fy * fy > radius * radius:
                    continue
                for k in range(first, last + 1):
                    if n == len(out):
                        more = np.empty((2 * n, 5), np.int64)
                        more[:n] = out
                        out = more
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = owner[i], kind, cx + dx, cy + dy, k
                    n += 1
    return out[:n]


@njit(cache=True, nogil=True)
def _count(first: Ints, bins: Ints, chosen: Ints, weight: Floats, out: Floats) -> Floats:
    """Return the weight in each cylinder of chosen people, in ``out``."""
    out[:] = 0.0
    for i in range(len(chosen)):
        for j in range(first[chosen[i]], first[chosen[i] + 1]):
            out[bins[j]] += weight[i]
    return out


def _strength(count: Floats, expected: Floats, total: float) -> Floats:
    """Return Kulldorff's log likelihood ratio of a Poisson model; 0 for too few people, or no more than expected."""
    out = np.zeros(len(count))
    some = np.flatnonzero((count >= LEAST_PEOPLE - 1e-9) & (count > expected))
    c, e = count[some], expected[some]
    rest, rest_expected = np.maximum(total - c, 0.0), np.maximum(total - e, 1e-12)
    out[some] = c * np.log(c / e) + rest * np.log(np.maximum(rest / rest_expected, 1e-300))
    return out


def _distinct(ascending: Ints) -> Ints:
    return ascending[np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]]


def _location(drawn: Floats) -> float:
    return float(drawn.mean()) - 0.5772156649015329 * _spread(drawn)


def _spread(drawn: Floats) -> float:
    """Return a Gumbel distribution's scale by the method of moments."""
    return max(float(drawn.std()) * 6**0.5 / np.pi, 1e-6)


def _best(cylinders: Ints, strength: Floats) -> Ints:
    """Return the cylinders that no stronger one overlaps or follows on, the strongest first."""
    radius, window = np.array(RADII_M)[cylinders[:, 0]], np.array(WINDOWS_S)[cylinders[:, 1]]
    x, y = ((cylinders[:, k] + 0.5) * radius * 2**0.5 for k in (2, 3))
    start = cylinders[:, 4] * (window // 2)
    left = np.flatnonzero(strength > 0)
    left = left[np.lexsort((window[left], radius[left], -strength[left]))]
    out: list[int] = []
    while len(left) and len(out) < 400:
        top = left[0]
        out.append(int(top))
        apart = np.hypot(x[left] - x[top], y[left] - y[top]) >= radius[left] + radius[top]
        apart |= (start[left] > start[top] + window[top]) | (start[top] > start[left] + window[left])
        left = left[apart]
    return np.array(out, np.int64)


def _described(visits: Visits, weight: Floats, cylinders: Ints, expected: Floats, sure: Floats) -> Hotspots:
    """Return cylinders as hotspots: centred on who was there, and narrowed to when at least two of them were."""
    rows: list[tuple[float, float, float, int, int, float]] = []
    carriers = np.flatnonzero(weight[visits.subject] > 0)
    shapes: list[list[int]] = cylinders.tolist()
    for r, w, column, row, step, origin in shapes:
        radius, window = RADII_M[r], WINDOWS_S[w]
        side = radius * 2**0.5
        x, y, start = (column + 0.5) * side, (row + 0.5) * side, origin + step * (window // 2)
        near = np.hypot(visits.x_m[carriers] - x, visits.y_m[carriers] - y) <= radius
        near &= visits.radius_m[carriers] * RADIUS_TO_SIGMA <= radius
        overlap = np.minimum(visits.end_s[carriers], start + window) - np.maximum(visits.start_s[carriers], start)
        there = carriers[near & (overlap >= LEAST_S)]
        subjects = np.unique(visits.subject[there])
        part = weight[visits.subject[there]]
        begins, ends = _busy(
            np.maximum(visits.start_s[there], start), np.minimum(visits.end_s[there], start + window), part
        )
        x, y = (float(np.average(v[there], weights=part)) for v in (visits.x_m, visits.y_m))
        rows.append((x, y, radius, begins, ends, float(weight[subjects].sum())))
    x, y, radius, people = (np.array([r[k] for r in rows], np.float64) for k in (0, 1, 2, 5))
    start, end = (np.array([r[k] for r in rows], np.int64) for k in (3, 4))
    return Hotspots(x, y, radius, start, end, people, expected, sure)


def _busy(start_s: Ints, end_s: Ints, weight: Floats) -> tuple[int, int]:
    """Return from when until when the weight of who is there is more than half of its greatest."""
    times = np.concatenate((start_s, end_s))
    change = np.concatenate((weight, -weight))
    order = np.lexsort((change, times))
    level = np.cumsum(change[order])
    busy = np.flatnonzero(level > 0.5 * level.max())
    return int(times[order][busy[0]]), int(times[order][min(int(busy[-1]) + 1, len(times) - 1)])
