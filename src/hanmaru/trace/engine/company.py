"""What meetings say of each pair who may have had contact: features of every place of the case that they shared.

Being in one place is not contact: of all pairs of people in one venue on one day, 0.2-2.7 % spend 15 minutes face to
face (measured networks of SocioPatterns). What decides is how many others were there. People meet a number of others
that hardly grows with the crowd (frequency-dependent mixing: McCallum, Barlow & Hone 2001, Trends Ecol. Evol. 16:295),
so each place that the case stayed at shares out one unit of evidence among all who may have been there, in proportion
to the probability that they were and to the time. Positions of repeated occasions at one place are pooled first, which
tells neighbours apart whom one night's coarse cells cannot. Who keeps the case's hours at its school or office belongs
there; who lives beside it has hours of his own.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.trace.domain import Bools, Floats, Ints, Meetings, Visits
from hanmaru.trace.engine.copresence import PLACE_M, RADIUS_TO_SIGMA

CONTACT_MINUTES = 15.0
"""A contact: at most 2 m for 15 minutes or more, summed over the period (the case definition of close contact of KDCA
and ECDC, 2020)."""
SAME_ANCHOR = 2.0
"""Standard deviations within which two of a subject's visits are taken to be one place of theirs."""
KINDRED, KINDRED_PART = 0.4, 0.2
"""The share of pairs whose phones err alike (those of one carrier: the sum of the squares of the carriers' shares in
Korea is 0.36), and which part of their error is not the same for both. It alone shrinks as they meet again."""
STRANGE = ((0.5, 0.53), (0.1, 3.2))
"""The shares of the other pairs, and what their variance is of the stated one: most are nearer than the radii say, some
far away for as long as they are there (quantiles of pairs at one home: test city, layout A, seed 1)."""
TOGETHER_S, APART = 300.0, 0.05
"""Who come, or go, together are seen to within some 5 minutes, as events are that far apart; `APART` is what remains of
the likelihood where they do not."""
UNSEEN = 0.05
"""People at a place whom no evidence shows, so that who alone is seen near a case is not taken for its only company."""
LEAST = 1e-5

FEATURES = ("share", "company", "places", "hours")
ROLES = 3
"""Roles of a case's places, by the hours it spent there: the first (a home), the second (work, school), all others."""


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """p pairs with what speaks for contact at the g places of the case that they may have shared.

    ``index``, ``subject`` (p,); ``first`` (p + 1,) their ranges of the m meetings; ``minutes`` (p,) of overlap and
    ``expected_minutes`` (p,) at one place. ``pair`` (g,) whose place it is, ``role`` (g,) one of `ROLES`, ``features``
    (g, f) as `FEATURES` names them, ``group`` (m,) the place of each meeting and ``part`` (m,) its part in that.

    All logarithms: ``share`` of the place's evidence that is the pair's; ``company`` of the greatest share of one visit
    there by who came and went with the case; ``places`` of one more than the places of the case that they may have
    shared; ``hours`` of the time that both were there over the time that either was.
    """

    index: Ints
    subject: Ints
    first: Ints
    minutes: Floats
    expected_minutes: Floats
    pair: Ints
    role: Ints
    features: Floats
    group: Ints
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
    weighed = m.minutes * np.where(same, 1.0, likely[group])
    near[group[same]] = 1.0
    weight = _sums(group, weighed, groups)
    overlap = _sums(group, m.minutes, groups)
    crowd = _sums(where, weight, len(hours)) + UNSEEN * 60 * np.maximum(hours, 1 / 60)
    company = np.zeros(groups)
    np.maximum.at(company, group, _company(v, m, weighed))
    shared = _sums(owner, near * (overlap >= CONTACT_MINUTES), pairs)
    either = hours[where] + _theirs(v, m, group, groups) - overlap / 60
    features = np.stack(
        (
            np.log(weight / crowd[where] + LEAST),
            np.log(company + LEAST),
            np.log1p(shared[owner]),
            np.log(overlap / 60 / np.maximum(either, overlap / 60) + 0.01),
        ),
        axis=1,
    )
    return Evidence(
        index=index[first],
        subject=subject[first],
        first=np.append(first, len(m)),
        minutes=_sums(pair, m.minutes, pairs),
        expected_minutes=_sums(owner, weight, pairs),
        pair=owner,
        role=_role(index, places, hours)[where],
        features=features,
        group=group,
        part=weighed / np.maximum(weight[group], 1e-300),
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
    square, usual = dx**2 + dy**2, count / precision
    likely = np.zeros(groups)
    for part, own in ((KINDRED, KINDRED_PART**2 / precision), *((part, times * usual) for part, times in STRANGE)):
        whole = PLACE_M**2 + own
        likely += part * PLACE_M**2 / whole * np.exp(-0.5 * square / whole)
    return likely, np.exp(-0.5 * square / (PLACE_M**2 + usual))


def _company(visits: Visits, meetings: Meetings, weighed: Floats) -> Floats:
    """Return, for each meeting (m,), its share of the case's visit by who came and went with the case."""
    mine, theirs = meetings.mine, meetings.theirs
    joint = weighed.copy()
    for time_s in (visits.start_s, visits.end_s):
        joint *= APART + np.exp(-np.abs(time_s[mine] - time_s[theirs]) / TOGETHER_S)
    alone = UNSEEN * (visits.end_s[mine] - visits.start_s[mine]) / 60
    return joint / (np.bincount(mine, joint)[mine] + alone)


def _theirs(visits: Visits, meetings: Meetings, group: Ints, groups: int) -> Floats:
    """Return the hours (g,) of all visits of the other that meet the case's at its place."""
    visit = meetings.theirs
    order = np.lexsort((visit, group))
    once = order[_new(group[order]) | _new(visit[order])]
    return _sums(group[once], (visits.end_s - visits.start_s)[visit[once]] / 3600.0, groups)


def _role(index: Ints, places: Ints, hours: Floats) -> Ints:
    """Return the role (a,) of each place, from meetings' subjects (m,) and places (m,)."""
    owner = np.zeros(len(hours), np.int64)
    owner[places] = index
    order = np.lexsort((-hours, owner))
    begin = np.maximum.accumulate(np.where(_new(owner[order]), np.arange(len(order)), 0))
    role = np.empty(len(hours), np.int64)
    role[order] = np.minimum(np.arange(len(order)) - begin, ROLES - 1)
    return role


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
