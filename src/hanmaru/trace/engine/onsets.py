"""The course of a disease in time: how the interval between two onsets speaks for one case having infected the other.

An infection happens at a time ``x`` after the infector's onset (transmission may precede symptoms: x < 0) and becomes
ill an incubation period later, so that the density of an interval is the sum over x of transmission(x) ·
incubation(interval - x). Keeping x in the table lets exposure windows and isolation cut the sum.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# SciPy brings no types.

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hanmaru.trace.domain import Floats, Ints

DAY_S = 86400
STEP_DAYS = 0.25
STEP_S = int(DAY_S * STEP_DAYS)
NEGLIGIBLE = 1e-3
"""Intervals whose density is below this part of the highest are not considered."""


@dataclass(frozen=True, slots=True)
class Course:
    """A disease: means and standard deviations in days of incubation, of transmission since the infector's onset, and
    of the delay from onset to report of a case found by its symptoms and of one found as a contact. ``silent``: whether
    transmission may precede symptoms.
    """

    incubation: tuple[float, float]
    transmission: tuple[float, float]
    report: tuple[float, float]
    traced_report: tuple[float, float]
    silent: bool


COURSES = {
    "covid-19": Course((5.5, 2.4), (-0.1, 2.8), (4.6, 3.6), (2.7, 2.7), True),
    "mers": Course((6.9, 3.4), (5.7, 3.3), (6.0, 4.0), (4.0, 3.5), False),
    "measles": Course((11.0, 2.0), (0.5, 1.5), (4.0, 2.0), (3.0, 2.0), True),
    "ebola": Course((9.1, 7.3), (6.2, 5.4), (5.0, 4.7), (3.0, 3.0), False),
}
"""Incubation and transmission together give the published serial intervals.

covid-19: incubation Lauer et al. 2020 (median 5.1, 97.5 % by 11.5 days); transmission about the onset, Ferretti et al.
2020 (medRxiv 2020.09.04.20188516: 41 % before the day of onset). A report is taken to come when Bi et al. 2020
(Shenzhen) saw cases isolated, 4.6 days after onset if found by symptoms and 1.9 days sooner if as contacts; confirmed
they were later, after 5.5 days. mers: incubation Virlogeux et al. 2016 (Korea, mean 6.9 days); serial interval Cowling
et al. 2015 (Korea, mean 12.6 days). measles: incubation and generation time both of 11 to 12 days, Klinkenberg &
Nishiura 2011 (households); serial interval 11.7 days, Vink et al. 2014. ebola: serial interval 15.3 (9.3) days, after
single exposures incubation 9.1 (7.3), WHO Ebola Response Team 2014 (NEJM).

Not compared with the papers: Ferretti's mean and deviation, deviations for mers and measles, ebola's incubation.
Delays to the report of the last three and all deviations of delays are round figures.
"""


@dataclass(frozen=True, eq=False, slots=True)
class Timing:
    """A course tabulated on quarters of a day; index 1 of ``a`` and ``b`` is a date of report instead of an onset.

    ``incubation`` (2, p) from infection to the infectee's date [a], from `incubation_from` steps on; ``transmission``
    (2, q) from the infector's date [b] to infection, from ``transmission_from`` steps on; both densities per day.
    ``until`` (2, 2, k, q): [a, b, interval, x] the density per day of that interval with infection up to x (inclusive),
    intervals from ``interval_from`` steps on. ``infectious_days``: a flat infectious period of the same concentration.
    """

    incubation: Floats
    incubation_from: int
    transmission: Floats
    transmission_from: int
    until: Floats
    interval_from: int
    infectious_days: float

    def interval(self, infectee_reported: bool = False, infector_reported: bool = False) -> tuple[Floats, Floats]:
        """Return intervals in days (k,) and their density per day (k,)."""
        density = self.until[int(infectee_reported), int(infector_reported), :, -1]
        return (self.interval_from + np.arange(len(density), dtype=np.float64)) * STEP_DAYS, density


@lru_cache(maxsize=16)
def timing(course: Course) -> Timing:
    """Return the tables of a course: gamma laws, for silent transmission a normal one."""
    incubation = _gamma(course.incubation)
    transmission = _normal(course.transmission) if course.silent else _gamma(course.transmission)
    traced, report = _gamma(course.traced_report), _gamma(course.report)
    reversed_report = (-(report[0] + len(report[1]) - 1), report[1][::-1])
    a_from, a = _stack(incubation, _sum(incubation, traced))
    b_from, b = _stack(transmission, _sum(transmission, reversed_report))
    p, q = a.shape[1], b.shape[1]
    parts = np.zeros((2, 2, p + q - 1, q))
    for x in range(q):
        parts[:, :, x : x + p, x] = a[:, None, :] * b[None, :, x, None]
    until = np.cumsum(parts, axis=3)
    concentration = float(np.sum(np.square(b[0]))) / STEP_DAYS
    return Timing(a / STEP_DAYS, a_from, b / STEP_DAYS, b_from, until / STEP_DAYS, a_from + b_from, 1 / concentration)


def agreement(onset_s: Ints, group: Ints, course: Course) -> float:
    """Return the log likelihood of the intervals from each group's first onset to its others under a course.

    ``group`` (n,) -1 for none. As Vink et al. 2014: those others were infected together with the first case, by it, or
    in the second or third generation after it, in parts that are fitted; the means and variances are the course's.
    """
    intervals = [np.diff(np.sort(onset_s[group == value])).cumsum() for value in np.unique(group[group >= 0])]
    days = np.concatenate([np.zeros(0), *intervals]) / DAY_S
    mean = course.incubation[0] + course.transmission[0]
    sd = math.hypot(course.incubation[1], course.transmission[1])
    laws = [2 * _bell(days, 0.0, sd * math.sqrt(2))] + [_bell(days, k * mean, sd * math.sqrt(k)) for k in (1, 2, 3)]
    density = np.stack(laws) + 1e-4  # so that nothing is impossible
    part = np.full(4, 0.25)
    for _ in range(50):
        origin = part[:, None] * density
        part = np.mean(origin / origin.sum(axis=0), axis=1) if len(days) else part
    return float(np.log(part @ density).sum())


def _bell(x: Floats, mean: float, sd: float) -> Floats:
    return np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


Steps = tuple[int, Floats]
"""Probabilities on a grid of quarters of a day, and the step of the first."""


def _gamma(moments: tuple[float, float]) -> Steps:
    """Return a gamma distribution, cut where 1 in 1,000 is left."""
    from scipy.special import gammainc, gammaincinv

    mean, sd = moments
    shape, scale = (mean / sd) ** 2, sd * sd / mean
    last = math.ceil(float(gammaincinv(shape, 0.999)) * scale / STEP_DAYS)
    edges = np.maximum(np.arange(last + 2) - 0.5, 0)
    return 0, _whole(np.diff(gammainc(shape, edges * STEP_DAYS / scale)))


def _normal(moments: tuple[float, float]) -> Steps:
    """Return a normal distribution, cut at three standard deviations."""
    from scipy.special import ndtr

    mean, sd = moments
    first, last = math.floor((mean - 3 * sd) / STEP_DAYS), math.ceil((mean + 3 * sd) / STEP_DAYS)
    edges = np.arange(first, last + 2) - 0.5
    return first, _whole(np.diff(ndtr((edges * STEP_DAYS - mean) / sd)))


def _whole(part: Floats) -> Floats:
    return np.asarray(part / part.sum(), dtype=np.float64)


def _sum(one: Steps, other: Steps) -> Steps:
    return one[0] + other[0], np.convolve(one[1], other[1])


def _stack(one: Steps, other: Steps) -> tuple[int, Floats]:
    first = min(one[0], other[0])
    last = max(one[0] + len(one[1]), other[0] + len(other[1]))
    both = np.zeros((2, last - first))
    for row, (start, values) in zip(both, (one, other), strict=True):
        row[start - first : start - first + len(values)] = values
    return first, both
