"""Which of those who were where an index case was had contact: ranked, with calibrated probabilities.

Being in one place is not contact: of all pairs of people in one venue on one day, 0.2-2.7 % spend 15 minutes face to
face (measured networks of SocioPatterns). What decides is how many others were there. People meet a number of others
that hardly grows with the crowd (frequency-dependent mixing: McCallum, Barlow & Hone 2001, Trends Ecol. Evol. 16:295),
so each place that the case stayed at shares out one unit of evidence among all who may have been there, in proportion
to the probability that they were and to the time. Positions of repeated occasions at one place are pooled first, which
tells neighbours apart whom one night's coarse cells cannot. The shares and what else speaks for a pair (a second place
shared, arriving or leaving together, days) enter a logistic model.
"""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from hanmaru.trace.domain import Bools, Floats, Ints, Meetings, Pairs, Visits
from hanmaru.trace.engine import copresence
from hanmaru.trace.engine.copresence import PLACE_M, RADIUS_TO_SIGMA

CONTACT_MINUTES = 15.0
"""A contact: at most 2 m for 15 minutes or more, summed over the period (the case definition of close contact of KDCA
and ECDC, 2020)."""
SAME_ANCHOR = 2.0
"""Standard deviations within which two of a subject's visits are taken to be one place of theirs."""
KINDRED, KINDRED_PART = 0.4, 0.2
"""The share of pairs whose phones err alike (those of one carrier: the sum of the squares of the carriers' shares in
Korea is 0.36), and which part of their error is not the same for both. It alone shrinks as they meet again."""
TOGETHER_S, SURPRISE_S, APART = 300.0, 600, 0.05
"""Who come, or go, together are seen to within some 5 minutes, as events are that far apart; `APART` is what remains of
the likelihood where they do not."""
UNSEEN = 0.05
"""People at a place whom no evidence shows, so that who alone is seen near a case is not taken for its only company."""
LEAST = 1e-6

FEATURES = ("share", "minutes", "company", "arrivals", "places")


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """p pairs with what speaks for contact: ``index``, ``subject`` (p,), ``first`` (p + 1,) their ranges of meetings,
    ``features`` (p, f) as `FEATURES` names them, ``minutes`` (p,) of overlap and ``expected_minutes`` (p,) at one
    place, ``part`` (m,) each meeting's part in its pair's evidence, summing to 1.

    Logarithms: ``share`` of the pair's shares of the case's places, weighted by the root of the hours there;
    ``minutes`` of the overlap over 15; ``company`` of the greatest share of one visit by who came and went with the
    case; ``places`` of one more than the places of the case that they may have shared. ``arrivals``: how surprising it
    is that they came and went together so often (nats).
    """

    index: Ints
    subject: Ints
    first: Ints
    features: Floats
    minutes: Floats
    expected_minutes: Floats
    part: Floats


def evidence(visits: Visits, meetings: Meetings) -> Evidence:
    """Return what all meetings of some index subjects say of each pair; meetings as `copresence.meetings` has them.

    The meetings of an index subject must be complete: the shares count everybody who was there.
    """
    m, v = meetings, visits
    index, subject = v.subject[m.mine], v.subject[m.theirs]
    first = np.flatnonzero(_new(index) | _new(subject))
    pairs = len(first)
    pair = np.cumsum(np.bincount(first, minlength=len(m))) - 1
    places, hours = anchors(v, m.mine)
    # A group is all meetings of a pair at one place of the case.
    group, groups = _numbered(pair * (len(hours) + 1) + places)
    owner, where = np.empty(groups, np.int64), np.empty(groups, np.int64)
    owner[group], where[group] = pair, places
    likely, near = _alike(v, m, group, groups)
    same = (v.place[m.mine] >= 0) & (v.place[m.mine] == v.place[m.theirs])
    likely_here = np.where(same, 1.0, likely[group])
    weighed = m.minutes * likely_here
    weight = _sums(group, weighed, groups)
    crowd = _sums(where, weight, len(hours)) + UNSEEN * 60 * np.maximum(hours, 1 / 60)
    share = weight / crowd[where]
    company, arrivals = _synchrony(v, m, weighed)
    minutes = _sums(pair, m.minutes, pairs)
    overlap = _sums(group, m.minutes, groups)
    part = weighed * (hours**0.5 / crowd)[places]
    features = np.stack(
        (
            np.log(_sums(owner, share * hours[where] ** 0.5, pairs) + LEAST),
            np.log(minutes / CONTACT_MINUTES + 0.01),
            np.log(_greatest(company, first) + LEAST),
            _sums(pair, np.where(same, 1.0, near[group]) * arrivals, pairs),
            np.log1p(_sums(owner, near * (overlap >= CONTACT_MINUTES), pairs)),
        ),
        axis=1,
    )
    return Evidence(
        index=index[first],
        subject=subject[first],
        first=np.append(first, len(m)),
        features=features,
        minutes=minutes,
        expected_minutes=_sums(owner, weight, pairs),
        part=part / np.maximum(_sums(pair, part, pairs)[pair], 1e-300),
    )


def _sums(group: Ints, values: Floats, groups: int) -> Floats:
    return np.bincount(group, values, groups).astype(np.float64)


def _new(ascending: Ints) -> Bools:
    return np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]


def _numbered(key: Ints) -> tuple[Ints, int]:
    """Return keys as numbers from 0, and how many differ (np.unique hashes, which is slow for so many)."""
    order = np.argsort(key, kind="stable")
    rank = np.cumsum(_new(key[order])) - 1
    out = np.empty(len(key), np.int64)
    out[order] = rank
    return out, int(rank[-1]) + 1 if len(key) else 0


def _alike(visits: Visits, meetings: Meetings, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """Return how likely (g,) it is that a group's visits are at one place, as `copresence.together` from the
    precision-weighted mean displacement, and how near they are for their error, exp(-d^2 / 2 v).

    Errors that two phones share do not separate them; what they do not share shrinks with each meeting.
    """
    mine, theirs = meetings.mine, meetings.theirs
    variance = (visits.radius_m[mine] ** 2 + visits.radius_m[theirs] ** 2) * RADIUS_TO_SIGMA**2 + 1.0
    count, precision = np.bincount(group, minlength=groups), np.bincount(group, 1 / variance, groups)
    dx, dy = (
        np.bincount(group, (a[theirs] - a[mine]) / variance, groups) / precision for a in (visits.x_m, visits.y_m)
    )
    square, whole = dx**2 + dy**2, PLACE_M**2 + count / precision
    own = PLACE_M**2 + KINDRED_PART**2 / precision
    near = np.exp(-0.5 * square / whole)
    kindred = PLACE_M**2 / own * np.exp(-0.5 * square / own)
    return KINDRED * kindred + (1 - KINDRED) * PLACE_M**2 / whole * near, near


def _synchrony(visits: Visits, meetings: Meetings, weighed: Floats) -> tuple[Floats, Floats]:
    """Return, for each meeting (m,), its share of the visit by who came and went with the case; and minus the log of
    how many of those who overlap the visit come, or go, as near its start and end as they do, 0 where they do not.
    """
    mine, theirs = meetings.mine, meetings.theirs
    size = int(mine.max(initial=-1)) + 1
    everybody = np.bincount(mine, minlength=size)
    joint, surprise = weighed.copy(), np.zeros(len(mine))
    for time_s in (visits.start_s, visits.end_s):
        apart = np.abs(time_s[mine] - time_s[theirs])
        joint *= APART + np.exp(-apart / TOGETHER_S)
        near = apart <= SURPRISE_S
        rate = (np.bincount(mine, near, size) + 1.0) / (everybody + 2.0)
        surprise -= np.where(near, np.log(rate)[mine], 0.0)
    alone = UNSEEN * (visits.end_s[mine] - visits.start_s[mine]) / 60
    return joint / (np.bincount(mine, joint, size)[mine] + alone), surprise


def _greatest(values: Floats, first: Ints) -> Floats:
    return np.maximum.reduceat(values, first) if len(first) else values


def anchors(visits: Visits, mine: Ints) -> tuple[Ints, Floats]:
    """Return, for visits ``mine`` (m,), the place of its own subject that each belongs to, from 0, and the hours (a,)
    that the subjects spent at each in those visits.

    Visits at one known place share it; others join the nearest within `SAME_ANCHOR` deviations, the surest first.
    """
    here = np.zeros(len(visits), np.bool_)
    here[mine] = True
    chosen = np.flatnonzero(here)
    order = chosen[np.lexsort((visits.start_s[chosen], visits.radius_m[chosen], visits.subject[chosen]))]
    label = _anchors(
        visits.subject[order],
        visits.x_m[order],
        visits.y_m[order],
        visits.radius_m[order] * RADIUS_TO_SIGMA,
        visits.place[order],
    )
    out = np.zeros(len(visits), np.int64)
    out[order] = label
    return out[mine], _sums(
        label, (visits.end_s[order] - visits.start_s[order]) / 3600.0, int(label.max(initial=-1)) + 1
    )


@njit(cache=True)
def _anchors(subject: Ints, x_m: Floats, y_m: Floats, sigma: Floats, place: Ints) -> Ints:
    n = len(subject)
    label = np.empty(n, np.int64)
    x, y, precision = np.empty(n), np.empty(n), np.empty(n)
    known = np.empty(n, np.int64)
    count, first = 0, 0
    for i in range(n):
        if i and subject[i] != subject[i - 1]:
            first = count
        least, at = SAME_ANCHOR, -1
        for k in range(first, count):
            if place[i] >= 0 and known[k] >= 0:
                if place[i] == known[k]:
                    at = k
                    break
                continue
            variance = sigma[i] ** 2 + 1 / precision[k] + PLACE_M**2
            far = np.sqrt(((x_m[i] - x[k]) ** 2 + (y_m[i] - y[k]) ** 2) / variance)
            if far < least:
                least, at = far, k
        p = 1 / (sigma[i] ** 2 + 1.0)
        if at < 0:
            at = count
            count += 1
            x[at], y[at], precision[at], known[at] = x_m[i], y_m[i], p, place[i]
        else:
            precision[at] += p
            x[at] += (x_m[i] - x[at]) * p / precision[at]
            y[at] += (y_m[i] - y[at]) * p / precision[at]
            if known[at] < 0:
                known[at] = place[i]
        label[i] = at
    return label


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A logistic model of contact: ``intercept`` and a weight for each of `FEATURES`, none below 0."""

    intercept: float
    weights: tuple[float, ...]

    def log_odds(self, features: Floats) -> Floats:
        """Return the log odds (p,) of contact for features (p, f)."""
        return self.intercept + features @ np.array(self.weights)

    def probability(self, evidence: Evidence) -> Floats:
        """Return the probability (p,) of contact; none where the overlap cannot make one (times err by minutes)."""
        p = 1 / (1 + np.exp(-self.log_odds(evidence.features)))
        return np.where(evidence.minutes < CONTACT_MINUTES / 2, 0.0, p)


MODEL = Model(-3.314, (0.669, 0.079, 0.174, 0.111, 1.509))
"""Weights of `FEATURES`, fitted by ``python -m benchmarks.trace.contacts fit``: test city, layout A, seeds 1 and 2,
people of even numbers, two days and five, with phones alone, with cards, and with QR check-ins."""

CHANCE = 1e-4
"""The odds of contact for somebody of whom nothing is known: a few tens among a city's people."""
PER_CONTACT = 50.0
_BATCH = 500


def rank(
    visits: Visits, meetings: Meetings, *, per_contact: float = PER_CONTACT, model: Model = MODEL
) -> tuple[Pairs, Meetings]:
    """Return the pairs that are worth reporting, the likeliest of each index subject first, and the meetings behind
    them in the order of the pairs, with their weights.

    Reported are, for each index subject, as many people as ``per_contact`` times the contacts to be expected (the sum
    of the probabilities). A meeting's weight is its part in what raises the pair's log odds above `CHANCE`.
    """
    e = evidence(visits, meetings)
    log_odds = model.log_odds(e.features)
    probability = model.probability(e)
    order = np.lexsort((e.subject, -e.expected_minutes, -probability, e.index))
    _, begin, group = np.unique(e.index[order], return_index=True, return_inverse=True)
    position = np.arange(len(order)) - begin[group] + 1
    wanted = np.ceil(per_contact * np.bincount(group, probability[order]))
    kept = (position <= wanted[group]) & (probability[order] > 0)
    order, position = order[kept], position[kept]
    size = np.diff(e.first)[order]
    last = np.cumsum(size)
    rows = np.repeat(e.first[:-1][order] - (last - size), size) + np.arange(int(last[-1]) if len(last) else 0)
    raised = np.repeat(np.maximum(log_odds[order] - np.log(CHANCE), 0.0), size)
    behind = _take(meetings, rows, raised * e.part[rows])
    top = _likeliest(behind, last - size, last)
    x, y = _middle(visits, behind.mine[top], behind.theirs[top])
    pairs = Pairs(
        index=e.index[order],
        subject=e.subject[order],
        probability=probability[order],
        minutes=e.expected_minutes[order],
        start_s=behind.start_s[top],
        end_s=behind.end_s[top],
        x_m=x,
        y_m=y,
        rank=position,
        first=last - size,
        last=last,
    )
    return pairs, behind


def contacts(visits: Visits, index_subjects: Ints, *, per_contact: float = PER_CONTACT) -> tuple[Pairs, Meetings]:
    """Return `rank` of everybody whom the index subjects met, some index subjects at a time to bound the memory."""
    index = np.unique(index_subjects)
    count = np.bincount(visits.subject[np.isin(visits.subject, index)], minlength=int(index.max(initial=0)) + 1)[index]
    parts = [
        rank(visits, copresence.meetings(visits, some), per_contact=per_contact)
        for some in np.split(index, np.flatnonzero(np.diff(np.cumsum(count) // _BATCH)) + 1)
    ]
    return _joined(parts)


def _joined(parts: list[tuple[Pairs, Meetings]]) -> tuple[Pairs, Meetings]:
    before = np.cumsum([0] + [len(m) for _, m in parts])
    shifted = [
        replace(p, first=p.first + b, last=p.last + b) for (p, _), b in zip(parts, before[:-1].tolist(), strict=True)
    ]
    pairs = Pairs(*(np.concatenate([getattr(p, name) for p in shifted]) for name in Pairs.__slots__))
    return pairs, Meetings(*(np.concatenate([getattr(m, name) for _, m in parts]) for name in Meetings.__slots__))


def _take(meetings: Meetings, rows: Ints, weight: Floats) -> Meetings:
    m = meetings
    return Meetings(
        m.mine[rows], m.theirs[rows], m.start_s[rows], m.end_s[rows], m.together[rows], m.minutes[rows], weight
    )


def _likeliest(meetings: Meetings, first: Ints, last: Ints) -> Ints:
    """Return the meeting of the greatest weight in each range, the earliest of equals."""
    pair = np.repeat(np.arange(len(first)), last - first)
    return np.lexsort((meetings.start_s, -meetings.weight, pair))[first]


def _middle(visits: Visits, mine: Ints, theirs: Ints) -> tuple[Floats, Floats]:
    """Return the precision-weighted mean position of visits that meet."""
    a, b = 1 / (visits.radius_m[mine] ** 2 + 1.0), 1 / (visits.radius_m[theirs] ** 2 + 1.0)
    x, y = ((v[mine] * a + v[theirs] * b) / (a + b) for v in (visits.x_m, visits.y_m))
    return x, y
