"""Who probably infected whom: every case's plausible infectors with a probability each, and why.

A case is infected in one *setting*: by a named contact, at home, in a class or at work, at a place visited with others,
in the neighbourhood, in the town, or anywhere. Each setting has a fixed share of infections; within it, each of the m
other members is as likely as the next before onsets are looked at (frequency-dependent transmission), so that sharing
a rare value says much and sharing a common one little, and nothing is counted twice when settings overlap. With the
density f of the interval between two onsets (`onsets`), the weight of j as infector of i is

    w(j, i) = v(j) · sum over settings s of share(s) · f(onset i - onset j) / members(s, i),

against a source outside the list whose density is uniform over the outbreak: the mixture is that of Cauchemez &
Ferguson (2012, J. R. Soc. Interface 9:456). v(j) is the infector's own infectiousness, gamma distributed with shape
`DISPERSION` (Lloyd-Smith et al. 2005, Nature 438:355), whose posterior given everybody's links is found together
with the links: one infector for each, and those who infected many are likelier to have infected more.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# SciPy and Numba bring no types.

import math
from dataclasses import dataclass

import numpy as np

from hanmaru.trace.domain import Floats, Ints, Links
from hanmaru.trace.engine.onsets import DAY_S, Course
from hanmaru.trace.engine.weights import Cases, Settings, candidates, one, settings_of

OUTSIDE = 0.10
"""Prior probability that a case's infector is not in the list."""
DISPERSION = 3.0
"""Shape of individual infectiousness beyond what groups explain."""
PLAUSIBLE = 1e-4
"""Sources below this probability are left out."""
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """What one thing says for a link: ``kind`` "onset", "infectiousness" or a setting, its ``name`` the column's.

    ``log_ratio`` is the natural logarithm of how many times likelier it makes the link than that to a case at random.
    """

    kind: str
    name: str
    log_ratio: float


@dataclass(frozen=True, eq=False, slots=True)
class Inference:
    """The links, each infector's relative ``infectiousness`` (n,), and the settings they rest on."""

    links: Links
    infectiousness: Floats
    settings: Settings


def infer(cases: Cases, course: Course) -> Inference:
    """Return who probably infected whom; the probabilities of a case's sources, the outside among them, sum to 1.

    Infectors below `PLAUSIBLE` are left out. Needs memory for `MOST` infectors per case at most, and time for the
    pairs whose interval is plausible.
    """
    n = len(cases)
    if not n:
        none = np.zeros(0, dtype=np.int64)
        return Inference(Links(none, none, np.zeros(0), none), np.zeros(0), settings_of(cases))
    settings = settings_of(cases)
    infectee, infector, weight, rest = candidates(cases, course, settings)
    days = (int(cases.onset_s.max()) - int(cases.onset_s.min())) / DAY_S + 1
    from_outside = OUTSIDE / days
    alike, probability = np.ones(len(weight)), weight
    imported, count = np.ones(n), np.zeros(n)
    for _ in range(ROUNDS):
        drawn = weight * (1 - OUTSIDE) * alike
        total = np.bincount(infectee, drawn, n) + rest * (1 - OUTSIDE) + from_outside
        probability, imported = drawn / total[infectee], from_outside / total
        count = np.bincount(infector, probability, n)
        # The root of old and new, so that rounds do not swing.
        alike = np.sqrt(alike * (DISPERSION + count[infector] - probability) / (DISPERSION + count.sum() / n))
    infectiousness = (DISPERSION + count) / (DISPERSION + count.sum() / n)
    return Inference(_ranked(n, infectee, infector, probability, imported), infectiousness, settings)


def reasons(cases: Cases, course: Course, inference: Inference, infectee: int, infector: int) -> list[Reason]:
    """Return why ``infector`` may have infected ``infectee``, what says most first; nothing for a link ruled out."""
    parts, background = one(cases, course, inference.settings, infectee, infector)
    if background <= 0 or infectee == infector:
        return []
    days = (int(cases.onset_s.max()) - int(cases.onset_s.min())) / DAY_S + 1
    at_random = background / (len(cases) - 1)
    by_setting: dict[tuple[str, str], float] = {}
    for setting, part in zip(inference.settings.names, parts, strict=True):
        if part > 0 and setting[0] != "community":
            by_setting[setting] = by_setting.get(setting, 0.0) + part
    found = [
        Reason("onset", "", math.log(background * days)),
        Reason("infectiousness", "", math.log(inference.infectiousness[infector])),
        *(Reason(kind, name, math.log1p(part / at_random)) for (kind, name), part in by_setting.items()),
    ]
    return sorted(found, key=lambda reason: -abs(reason.log_ratio))


def _ranked(n: int, infectee: Ints, infector: Ints, probability: Floats, imported: Floats) -> Links:
    """Return the links ranked by probability, small ones left out and their probability shared among the others.

    The first rank answers first whether the source is in the list: one outside it comes first only where it is likelier
    than all in it together.
    """
    infectee = np.concatenate([infectee, np.arange(n)]).astype(np.int64)
    infector = np.concatenate([infector, np.full(n, -1)]).astype(np.int64)
    probability = np.concatenate([probability, imported])
    kept = (probability >= PLAUSIBLE) | (infector < 0)
    infectee, infector, probability = infectee[kept], infector[kept], probability[kept]
    inside = np.where(infector >= 0, probability, 0.0)
    total = np.bincount(infectee, inside, n)
    whole = np.where(total > 0, (1 - imported) / np.where(total > 0, total, 1.0), 1.0)
    probability = np.where(infector >= 0, probability * whole[infectee], np.where(total > 0, imported, 1.0)[infectee])
    best = np.zeros(n)
    np.maximum.at(best, infectee, np.where(infector >= 0, probability, 0.0))
    after = np.where((infector < 0) & (probability < 0.5), best[infectee], 1.0)
    order = np.lexsort((infector, infector < 0, -np.minimum(probability, after), infectee))
    first = np.searchsorted(infectee[order], np.arange(n))
    rank = np.arange(len(order)) - first[infectee[order]] + 1
    return Links(infectee[order], infector[order], probability[order], rank)
