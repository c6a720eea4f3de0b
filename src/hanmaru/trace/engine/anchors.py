"""Exact evidence (payments, check-ins, statements, sightings) against phone positions, and joined to stays.

An anchor says that a subject was at a place at an instant. It may be wrong: somebody else paid, or the time is that of
a late posting. `judge` weighs that by where the phone was; `spans` says for how long around the instant the phone
allows it; `fuse` cuts stays at anchors, gives whole stays to them, and makes stays where the phone shows none.
"""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUntypedFunctionDecorator=false
# pyright: reportMissingTypeStubs=false
# Numba and SciPy bring no types; the kernels' arrays are described where they are made.

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from hanmaru.trace.domain import Floats, Ints, Points, Stays
from hanmaru.trace.engine.places import R68
from hanmaru.trace.engine.route import DIFFUSION

DELAYS_S = 60 * np.array([0, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1080, 1440])
"""By how much a posting may be late: tried from at once to a day."""
TAIL, WIDER = 0.03, 3.0
"""This share of phone positions is `WIDER` times as far off as they say (cells over water, on hills, shared load)."""
ELSEWHERE_M2 = math.pi * 10_000.0**2
"""Somebody else's card is equally likely anywhere within a city of 10 km radius."""
SILENT_S = 12 * 3600
"""A phone silent for longer around an instant says nothing of it."""
JOIN_S = 600
"""Anchors at one place whose spans are no farther apart are one visit: twice the mean time between phone events."""
LEAST_S = 300
"""Remainders of a cut stay shorter than this join their neighbour."""


@dataclass(frozen=True, eq=False, slots=True)
class Anchors:
    """a anchors, sorted by subject, start; (a,) each: where a subject is said to have been from ``start_s`` to
    ``end_s`` (equal for an instant).

    ``place`` indexes a catalogue or is -1; ``wrong`` is the prior probability that it was not the subject, ``late``
    that the time is that of a later posting; ``before_s``, ``after_s`` say how long around people usually are there;
    ``early_s`` by how much it may lie before the stay that it belongs to.
    """

    subject: Ints
    start_s: Ints
    end_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats
    place: Ints
    wrong: Floats
    late: Floats
    before_s: Ints
    after_s: Ints
    early_s: Ints

    def __len__(self) -> int:
        """Return how many anchors there are."""
        return len(self.start_s)

    def take(self, which: Ints) -> "Anchors":
        """Return some of the anchors, in that order."""
        return Anchors(*(getattr(self, name)[which] for name in self.__slots__))


def bridge(points: Points, subject: Ints, time_s: Ints) -> tuple[Floats, Floats, Floats]:
    """Return where phones were at instants: x, y, variance per axis, (n,) each; an infinite variance where silent.

    Between two points a Brownian bridge of `route.DIFFUSION`; beyond the last one a free Brownian motion.
    """
    n = len(subject)
    if not len(points):
        return np.zeros(n), np.zeros(n), np.full(n, np.inf)
    origin = int(min(points.time_s.min(), time_s.min())) if n else 0
    key = (points.subject << 40) + points.time_s - origin
    after = np.searchsorted(key, (subject << 40) + time_s - origin, side="left")
    before = after - 1
    has_after = (after < len(points)) & (points.subject[np.minimum(after, len(points) - 1)] == subject)
    has_before = (before >= 0) & (points.subject[before] == subject)
    a, b = np.where(has_before, before, after), np.where(has_after, after, before)
    some = has_before | has_after
    a, b = np.where(some, a, 0), np.where(some, b, 0)
    left, right = np.abs(time_s - points.time_s[a]).astype(float), np.abs(points.time_s[b] - time_s).astype(float)
    whole = np.maximum(left + right, 1.0)
    share = np.where(has_before & has_after, left / whole, 0.0)
    grown = DIFFUSION * np.where(has_before & has_after, left * right / whole, left)
    variances = (np.maximum(points.radius_m, 1.0) / R68) ** 2
    x = (1 - share) * points.x_m[a] + share * points.x_m[b]
    y = (1 - share) * points.y_m[a] + share * points.y_m[b]
    variance = (1 - share) ** 2 * variances[a] + share**2 * variances[b] + grown
    return x, y, np.where(some & (np.minimum(left, right) < SILENT_S), variance, np.inf)


def judge(anchors: Anchors, points: Points) -> tuple[Floats, Floats, Ints]:
    """Return, for each anchor (a,): the probability that it was the subject, that it was posted late, and by how much.

    With L(t) the density of the phone's position at the anchor's place, the subject's own anchor has the likelihood
    ``(1 - late) L(t) + late mean(L(t - delay))``, somebody else's ``1 / ELSEWHERE_M2``.
    """
    like = np.empty((len(DELAYS_S), len(anchors)))
    middle = (anchors.start_s + anchors.end_s) // 2
    own = (np.maximum(anchors.radius_m, 1.0) / R68) ** 2
    for i, delay in enumerate(DELAYS_S.tolist()):
        x, y, variance = bridge(points, anchors.subject, middle - delay)
        squared = (x - anchors.x_m) ** 2 + (y - anchors.y_m) ** 2
        like[i] = np.where(
            np.isinf(variance),
            1 / ELSEWHERE_M2,
            (1 - TAIL) * _density(squared, variance + own) + TAIL * _density(squared, WIDER**2 * variance + own),
        )
    like[0] *= 1 - anchors.late
    like[1:] *= anchors.late / (len(DELAYS_S) - 1)
    mine = like.sum(axis=0) * (1 - anchors.wrong)
    others = anchors.wrong / ELSEWHERE_M2
    late = like[1:].sum(axis=0)
    whole = np.maximum(late + like[0], 1e-300)
    by = DELAYS_S[1 + np.argmax(like[1:], axis=0)]
    return mine / np.maximum(mine + others, 1e-300), late / whole, by


def _density(squared: Floats, variance: Floats) -> Floats:
    return np.exp(-0.5 * squared / variance) / (2 * np.pi * variance)


def spans(anchors: Anchors, points: Points) -> tuple[Ints, Ints]:
    """Return from when to when (a,) each anchor holds: its usual time around, cut where the phone was elsewhere.

    Elsewhere is farther than three standard deviations and the place's own radius.
    """
    if not len(points):
        return anchors.start_s - anchors.before_s, anchors.end_s + anchors.after_s
    return _spans(
        anchors.subject,
        anchors.start_s,
        anchors.end_s,
        anchors.x_m,
        anchors.y_m,
        anchors.radius_m,
        anchors.before_s,
        anchors.after_s,
        np.searchsorted(points.subject, anchors.subject, side="left"),
        np.searchsorted(points.subject, anchors.subject, side="right"),
        points.time_s,
        points.x_m,
        points.y_m,
        points.radius_m,
    )


@njit(cache=True, nogil=True)
def _spans(
    subject: Ints, start: Ints, end: Ints, x: Floats, y: Floats, radius: Floats, before: Ints, after: Ints,
    left: Ints, right: Ints, time_s: Ints, px: Floats, py: Floats, pr: Floats,
) -> tuple[Ints, Ints]:  # fmt: skip
    n = len(start)
    lo, hi = start - before, end + after
    for i in range(n):
        a, b = left[i], right[i]
        if a == b:
            continue
        at = a + np.searchsorted(time_s[a:b], start[i])
        for p in range(at - 1, a - 1, -1):
            if time_s[p] <= lo[i]:
                break
            limit = 3 * pr[p] / R68 + radius[i]
            if (px[p] - x[i]) ** 2 + (py[p] - y[i]) ** 2 > limit * limit:
                lo[i] = min((time_s[p] + time_s[p + 1]) // 2 if p + 1 < at else (time_s[p] + start[i]) // 2, start[i])
                break
        for p in range(at, b):
            if time_s[p] >= hi[i]:
                break
            if time_s[p] < end[i]:
                continue
            limit = 3 * pr[p] / R68 + radius[i]
            if (px[p] - x[i]) ** 2 + (py[p] - y[i]) ** 2 > limit * limit:
                hi[i] = max(
                    (max(time_s[p - 1], end[i]) + time_s[p]) // 2 if p > at else (time_s[p] + end[i]) // 2, end[i]
                )
                break
    return lo, hi


@dataclass(frozen=True, eq=False, slots=True)
class Fused:
    """f stays after the anchors were joined: `Stays`, and for each the ``place`` (f,) an anchor gives, else -1, with
    the probability ``held`` (f,) of it, and the stay it is ``part`` (f,) of, -1 where the phone shows none;
    ``stay_of`` (a,) is the fused stay of each anchor, -1 for none.
    """

    stays: Stays
    place: Ints
    held: Floats
    part: Ints
    stay_of: Ints


def fuse(stays: Stays, anchors: Anchors, held: Floats, lo_s: Ints, hi_s: Ints, known: Floats, long_s: Floats) -> Fused:
    """Return stays cut at, given to and made by anchors that hold (all of these do: leave out what does not).

    ``held`` (a,) is the probability of each, ``lo_s``, ``hi_s`` (a,) its span; ``known`` (s,) the probability that a
    stay is at a home or work that the subject is known to have; ``long_s`` (a,) the longest usual stay at each anchor's
    place. An anchor within a stay has all of it, unless that is too long for its place, or is rather the known home or
    work: then it cuts out its span. Two places within one stay share it. What people buy in passing, just before or
    after a stay, says nothing of the stay: only within it, or up to ``early_s`` before (who enters, who pays first), is
    an anchor the stay's.
    """
    room = len(stays) + 3 * len(anchors)
    ints, reals = np.full((7, room), -1, np.int64), np.zeros((5, room))
    count, stay_of = _fuse(
        stays.subject,
        stays.start_s,
        stays.end_s,
        np.vstack((stays.x_m, stays.y_m, stays.radius_m, stays.confidence)),
        np.vstack((stays.first, stays.last)),
        known,
        anchors.subject,
        anchors.start_s,
        anchors.end_s,
        np.vstack((anchors.x_m, anchors.y_m, anchors.radius_m, held)),
        anchors.place,
        anchors.early_s,
        lo_s,
        hi_s,
        long_s,
        ints,
        reals,
    )
    ints, reals = ints[:, :count], reals[:, :count]
    return Fused(
        Stays(*ints[:3], *reals[:4], ints[3], ints[4]),  # type: ignore[arg-type]
        place=ints[5],
        held=reals[4],
        part=ints[6],
        stay_of=stay_of,
    )


@njit(cache=True, nogil=True)
def _push(o, ints, reals, subject, start, end, x, y, radius, confidence, first, last, place, held, part):
    ints[0, o], ints[1, o], ints[2, o], ints[3, o], ints[4, o] = subject, start, end, first, last
    ints[5, o], ints[6, o] = place, part
    reals[0, o], reals[1, o], reals[2, o], reals[3, o], reals[4, o] = x, y, radius, confidence, held
    return o + 1


@njit(cache=True, nogil=True)
def _fuse(
    s_subject, s_start, s_end, s_real, s_range, known, a_subject, a_start, a_end, a_real, a_place, early, lo, hi,
    long_s, ints, reals,
):  # fmt: skip
    stays, anchors = len(s_start), len(a_start)
    stay_of = np.full(anchors, -1, np.int64)
    o, i, a = 0, 0, 0
    while i < stays or a < anchors:
        alone = a < anchors and (
            i == stays
            or a_subject[a] < s_subject[i]
            or (a_subject[a] == s_subject[i] and a_start[a] < s_start[i] - early[a])
        )
        if alone:
            begin, end = lo[a], hi[a]
            if i < stays and s_subject[i] == a_subject[a]:
                end = min(end, s_start[i])
            if o > 0 and ints[0, o - 1] == a_subject[a]:
                same = a_place[a] >= 0 and ints[5, o - 1] == a_place[a] and begin <= ints[2, o - 1] + JOIN_S
                if same:
                    ints[2, o - 1] = max(ints[2, o - 1], end)
                    reals[4, o - 1] = max(reals[4, o - 1], a_real[3, a])
                    stay_of[a] = o - 1
                    a += 1
                    continue
                begin = max(begin, ints[2, o - 1])
            if end - begin >= 60:
                stay_of[a] = o
                o = _push(
                    o, ints, reals, a_subject[a], begin, end, a_real[0, a], a_real[1, a], a_real[2, a], a_real[3, a],
                    -1, -1, a_place[a], a_real[3, a], -1,
                )  # fmt: skip
            elif o > 0 and ints[0, o - 1] == a_subject[a] and a_start[a] <= ints[2, o - 1]:
                stay_of[a] = o - 1
            a += 1
            continue
        b = a
        while b < anchors and a_subject[b] == s_subject[i] and a_start[b] <= s_end[i]:
            b += 1
        start, end = s_start[i], s_end[i]
        if o > 0 and ints[0, o - 1] == s_subject[i]:
            start = max(start, ints[2, o - 1])
        x, y, radius, confidence = s_real[0, i], s_real[1, i], s_real[2, i], s_real[3, i]
        first, last = s_range[0, i], s_range[1, i]
        if start >= end:
            for j in range(a, b):
                stay_of[j] = o - 1
            a = b
            i += 1
            continue
        single = b > a and a_place[a] >= 0
        for j in range(a + 1, b):
            single = single and a_place[j] == a_place[a]
        home = known[i] > 0.5
        if b == a or (single and not home and end - start <= long_s[a]):
            held, place = 0.0, -1
            if b > a:
                miss = 1.0
                for j in range(a, b):
                    miss *= 1 - a_real[3, j]
                    stay_of[j] = o
                held, place = 1 - miss, a_place[a]
                x, y, radius = a_real[0, a], a_real[1, a], a_real[2, a]
            o = _push(
                o, ints, reals, s_subject[i], start, end, x, y, radius, confidence, first, last, place, held, i
            )  # fmt: skip
            a = b
            i += 1
            continue
        cursor = start
        while a < b:
            run = a + 1
            while run < b and a_place[a] >= 0 and a_place[run] == a_place[a] and lo[run] <= hi[run - 1] + JOIN_S:
                run += 1
            begin = max(cursor, lo[a])
            stop = min(end, hi[run - 1])
            bound = end
            if run < b:
                bound = max(begin, min(end, (max(a_end[run - 1], lo[run]) if not home else a_start[run])))
            if not home and a_place[a] >= 0:
                if min(a_start[a], end) - cursor <= long_s[a] // 2:
                    begin = cursor
                if bound - begin <= long_s[a]:
                    stop = bound
            stop = max(begin, min(stop, bound))
            if begin - cursor < LEAST_S:
                begin = cursor
            else:
                o = _push(
                    o, ints, reals, s_subject[i], cursor, begin, x, y, radius, confidence, first, last, -1, 0.0, i
                )
            if run == b and end - stop < LEAST_S:
                stop = end
            if stop > begin:
                miss = 1.0
                for j in range(a, run):
                    miss *= 1 - a_real[3, j]
                o = _push(
                    o, ints, reals, s_subject[i], begin, stop, a_real[0, a], a_real[1, a], a_real[2, a], confidence,
                    first, last, a_place[a], 1 - miss, i,
                )  # fmt: skip
            for j in range(a, run):
                stay_of[j] = o - 1
            cursor = stop
            a = run
        if cursor < end:
            o = _push(o, ints, reals, s_subject[i], cursor, end, x, y, radius, confidence, first, last, -1, 0.0, i)
        i += 1
    return o, stay_of
