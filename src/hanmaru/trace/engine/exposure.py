"""Which of those who were where an index case was had contact: ranked, with calibrated probabilities.

Each place of the case may be where they met. What `company` says of a pair there gives that place a hazard, and contact
is missed only if it is missed at all of them: 1 - exp(-sum of hazards).
"""

from dataclasses import dataclass, replace

import numpy as np

from hanmaru.trace.domain import Floats, Ints, Meetings, Pairs, Visits
from hanmaru.trace.engine import company, copresence
from hanmaru.trace.engine.company import CONTACT_MINUTES, Evidence


@dataclass(frozen=True, slots=True)
class Model:
    """For each role of a place (`company.ROLES`) an intercept and a weight, none below 0, for each of
    `company.FEATURES`; then the ``curve`` that makes of a probability the share that were contacts in training, as
    points that straight lines join, ascending.
    """

    roles: tuple[tuple[float, ...], ...]
    curve: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 0.999))

    def hazards(self, evidence: Evidence) -> Floats:
        """Return what each of a pair's places (g,) adds to -log(1 - probability of contact): log(1 + e^score)."""
        weights = np.array(self.roles)[evidence.role]
        return np.logaddexp(0, weights[:, 0] + (evidence.features * weights[:, 1:]).sum(axis=1))

    def probability(self, evidence: Evidence) -> Floats:
        """Return the probability (p,) of contact; none where the overlap cannot make one (times err by minutes)."""
        p = -np.expm1(-np.bincount(evidence.pair, self.hazards(evidence), len(evidence.index)))
        curve = np.array(self.curve)
        p = np.interp(p, curve[:, 0], curve[:, 1])
        return np.where(evidence.minutes < CONTACT_MINUTES / 2, 0.0, p)


MODEL = Model(
    roles=(
        (-0.174, 0.974, 0.0, 1.086, 0.278),
        (-3.459, 0.0, 0.345, 1.607, 1.455),
        (-4.536, 0.0, 0.482, 5.355, 4.217),
    ),
    curve=(
        (0.0, 0.0), (0.1, 0.1), (0.138, 0.146), (0.244, 0.224), (0.342, 0.42), (0.448, 0.568), (0.546, 0.625),
        (0.647, 0.758), (0.752, 0.851), (0.849, 0.892), (1.0, 0.999),
    ),
)  # fmt: skip
"""Fitted by ``python -m benchmarks.trace.contacts fit``: test city, layout A, people of even numbers, seven samples of
5,000 to 12,000 people and two to seven days, with phones alone and with cards and QR check-ins."""

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
    e = company.evidence(visits, meetings)
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
    hazard = model.hazards(e)
    whole = np.bincount(e.pair, hazard, len(e.index))[order]
    p = probability[order]
    raised = np.maximum(np.log(p / (1 - p) / CHANCE), 0.0) / whole
    behind = _take(meetings, rows, np.repeat(raised, size) * hazard[e.group[rows]] * e.part[rows])
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
