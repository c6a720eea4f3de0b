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

from hanmaru.trace.domain import Floats, Ints, Meetings, Pairs, Visits
from hanmaru.trace.engine import copresence
from hanmaru.trace.engine.copresence import PLACE_M, RADIUS_TO_SIGMA

CONTACT_MINUTES = 15.0
"""A contact: at most 2 m for 15 minutes or more, summed over the period (the case definition of close contact of KDCA
and ECDC, 2020)."""
BIAS_M = 20.0
"""Error of a repeated position that repeating does not average out (where a cell's centre lies): standard deviation."""
SAME_ANCHOR = 2.0
"""Standard deviations within which two of a subject's visits are taken to be one place of theirs."""
TOGETHER_S = 600
"""Two who arrive, or leave, within this time may have come or gone together: events are some 6 minutes apart."""
LEAST_SHARE = 1e-6

FEATURES = ("share", "best", "second", "minutes", "days", "arrivals", "precision")


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """p pairs with what speaks for contact: ``index``, ``subject`` (p,), ``first`` (p + 1,) their ranges of meetings,
    ``features`` (p, f) as `FEATURES` names them, ``share`` (m,) each meeting's part in its pair's evidence, summing
    to 1, ``expected_minutes`` (p,) together.

    ``share``: log of the pair's shares of all of the case's places, ``best`` and ``second`` of the best two;
    ``minutes``: log of overlapping minutes over 15; ``days``: log of the days; ``arrivals``: how surprising it is that
    they came and went together as often (nats); ``precision``: log of how sure the best place is to be shared.
    """

    index: Ints
    subject: Ints
    first: Ints
    features: Floats
    share: Floats
    expected_minutes: Floats


def evidence(visits: Visits, meetings: Meetings) -> Evidence:
    """Return what all meetings of some index subjects say of each pair; meetings as `copresence.meetings` has them.

    The meetings of an index subject must be complete: the shares count everybody who was there.
    """
    mine, theirs = meetings.mine, meetings.theirs
    index, subject = visits.subject[mine], visits.subject[theirs]
    first = np.flatnonzero(np.append(True, (np.diff(index) != 0) | (np.diff(subject) != 0))) if len(mine) else mine
    pair = np.cumsum(np.bincount(first, minlength=len(mine))) - 1
    anchor = anchors(visits, np.unique(mine))[mine]
    # One group for each pair and anchor: pooled displacement, minutes.
    key = pair * (int(anchor.max(initial=0)) + 1) + anchor
    groups, group = np.unique(key, return_inverse=True)
    group_pair, group_anchor = groups // (int(anchor.max(initial=0)) + 1), groups % (int(anchor.max(initial=0)) + 1)
    same = (visits.place[mine] >= 0) & (visits.place[mine] == visits.place[theirs])
    metres, sigma = _pooled(visits, meetings, group, len(groups))
    v = PLACE_M**2 + sigma**2
    likely = PLACE_M**2 / v * np.exp(-0.5 * metres**2 / v)
    minutes = np.bincount(group, meetings.minutes, len(groups))
    exact = np.bincount(group, meetings.minutes * same, len(groups))
    # Minutes at the same known place are certain; the rest as likely as the positions say.
    weight = exact + likely * (minutes - exact)
    crowd = np.bincount(group_anchor, weight, int(anchor.max(initial=0)) + 1)
    share = weight / np.maximum(crowd[group_anchor], 1e-12)
    total = np.bincount(group_pair, share, len(first))
    order = np.lexsort((-share, group_pair))
    head = np.searchsorted(group_pair, np.arange(len(first)))
    best, best_group = share[order][head] if len(first) else share, order[head] if len(first) else order
    tail = np.append(head[1:], len(order)) - head > 1
    second = np.where(tail, share[order][np.minimum(head + 1, len(order) - 1)], 0.0) if len(first) else share
    day = meetings.start_s // 86400
    days = np.bincount(pair, np.append(1.0, (np.diff(pair) != 0) | (np.diff(day) != 0))[: len(pair)], len(first))
    compatible = np.where(same, 1.0, np.exp(-0.5 * metres**2 / v)[group])
    features = np.stack(
        (
            np.log(total + LEAST_SHARE),
            np.log(best + LEAST_SHARE),
            np.log(second + LEAST_SHARE),
            np.log(np.bincount(pair, meetings.minutes, len(first)) / CONTACT_MINUTES + 0.01),
            np.log(np.maximum(days, 1.0)),
            np.bincount(pair, compatible * _surprise(visits, meetings), len(first)),
            np.log(weight / minutes)[best_group] if len(first) else best,
        ),
        axis=1,
    )
    part = np.where(same, 1.0, likely[group]) * meetings.minutes / np.maximum(crowd[anchor], 1e-12)
    part = part / np.maximum(np.bincount(pair, part, len(first))[pair], 1e-300)
    return Evidence(
        index=index[first],
        subject=subject[first],
        first=np.append(first, len(mine)),
        features=features,
        share=part,
        expected_minutes=np.bincount(group_pair, weight, len(first)),
    )


def _pooled(visits: Visits, meetings: Meetings, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """Return how far apart two people are on the precision-weighted mean of their meetings at a place, and its error
    (standard deviation on each axis), metres (g,).
    """
    mine, theirs = meetings.mine, meetings.theirs
    variance = (visits.radius_m[mine] ** 2 + visits.radius_m[theirs] ** 2) * RADIUS_TO_SIGMA**2 + 1.0
    total = np.bincount(group, 1 / variance, groups)
    x = np.bincount(group, (visits.x_m[theirs] - visits.x_m[mine]) / variance, groups) / total
    y = np.bincount(group, (visits.y_m[theirs] - visits.y_m[mine]) / variance, groups) / total
    single = groups and np.bincount(group, minlength=groups) == 1
    return np.hypot(x, y), np.sqrt(1 / total + np.where(single, 0.0, BIAS_M**2))


def _surprise(visits: Visits, meetings: Meetings) -> Floats:
    """Return, for each meeting, minus the log of how many of those who overlap a visit come, and go, as near its start
    and end as they do; 0 where they do not come or go together.
    """
    mine, theirs = meetings.mine, meetings.theirs
    out = np.zeros(len(mine))
    size = int(mine.max(initial=-1)) + 1
    everybody = np.bincount(mine, minlength=size)
    for a in (visits.start_s, visits.end_s):
        near = np.abs(a[mine] - a[theirs]) <= TOGETHER_S
        rate = (np.bincount(mine, near, size) + 1.0) / (everybody + 2.0)
        out += np.where(near, -np.log(rate[mine]), 0.0)
    return out


def anchors(visits: Visits, chosen: Ints) -> Ints:
    """Return, for all visits (v,), the place of its own subject that each ``chosen`` visit belongs to, from 0; -1 for
    the others. Visits at one known place share it; others join the nearest within `SAME_ANCHOR` deviations, the
    surest positions first.
    """
    order = chosen[np.lexsort((visits.start_s[chosen], visits.radius_m[chosen], visits.subject[chosen]))]
    labels = _anchors(
        visits.subject[order],
        visits.x_m[order],
        visits.y_m[order],
        visits.radius_m[order] * RADIUS_TO_SIGMA,
        visits.place[order],
    )
    out = np.full(len(visits), -1)
    out[order] = labels
    return out


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


MODEL = Model(-1.0, (0.8, 0.2, 0.1, 0.3, 0.1, 0.1, 0.0))

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
    probability = 1 / (1 + np.exp(-log_odds))
    probability = np.where(np.exp(e.features[:, 3]) * CONTACT_MINUTES < CONTACT_MINUTES / 2, 0.0, probability)
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
    behind = _take(meetings, rows, raised * e.share[rows])
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
