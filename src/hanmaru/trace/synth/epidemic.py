"""An epidemic on the city's face-to-face encounters, with exact chains: who infected whom, when and where.

Each infected person has an infectivity from a gamma distribution, so that few infect many (Lloyd-Smith et al. 2005,
doi:10.1038/nature04153), and is infectious around his onset. The hazard for whom he meets is proportional to
infectivity, to the time density of infectiousness and to the minutes together. Its constant and the gamma's shape are
solved for so that cases who are not isolated infect `Disease.reproduction` others on average with a dispersion of
`Disease.dispersion`, which contacts that differ from person to person are a part of. From the report on a case infects
nobody: he isolates, though the city's `days` do not know it.
"""
# pyright: reportMissingTypeStubs=false
# SciPy brings no types.

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from hanmaru.city import days as city_days
from hanmaru.city import encounters as city_encounters
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.encounters import Encounters
from hanmaru.city.noise import Bools, Floats, Ints, channel, gaussian, uniform
from hanmaru.trace.domain import TraceError

DAY_S = 86400
NEVER = -1
_CALIBRATION_PEOPLE = 1500


@dataclass(frozen=True, slots=True)
class Disease:
    """How a disease goes. Incubation is log-normal (median, 95th percentile, days); infectiousness is a gamma density
    (``shape``, ``scale_days``) that begins ``lead_days`` before onset; cases infect ``reproduction`` others, negative
    binomial of shape ``dispersion``; a share of cases is ``reported``, a gamma time after onset
    (``report_days``: shape, scale).
    """

    incubation_days: tuple[float, float]
    shape: float
    scale_days: float
    lead_days: float
    reproduction: float
    dispersion: float
    reported: float
    report_days: tuple[float, float]


COVID_19 = Disease((5.1, 10.1), 20.516508, 1 / 1.592124, 12.272481, 2.5, 0.43, 0.8, (2.1, 2.6))
"""COVID-19 of 2020. Incubation: Lauer et al. 2020 (doi:10.7326/M20-0504). Infectiousness: He et al. 2020 as corrected
(doi:10.1038/s41591-020-1016-z), 44 % before onset. Reproduction: 2 to 3 of early studies. Dispersion: 0.43, Adam et al.
2020, Hong Kong (doi:10.1038/s41591-020-1092-0; at their reproduction of 0.58, 19 % cause 80 %). Onset to
confirmation: mean 5.5 days, Bi et al. 2020, Shenzhen, those found by symptoms (doi:10.1016/S1473-3099(20)30287-5). The
reported share is assumed."""


@dataclass(frozen=True, eq=False, slots=True)
class Infections:
    """k infections, sorted by ``time_s``: of ``infectee`` by ``infector`` (k,) at ``place`` (k,), indices into the
    city's people and places; -1 for an infection from outside the city. ``onset_s``, ``reported_s`` (k,) Unix seconds,
    the latter -1 for a case that is never reported. Both may lie after the simulated days.
    """

    infectee: Ints
    infector: Ints
    time_s: Ints
    place: Ints
    onset_s: Ints
    reported_s: Ints

    def __len__(self) -> int:
        """Return how many infections there are."""
        return len(self.infectee)


def make(
    city: City,
    first_day: date,
    days: int,
    people: Ints | None = None,
    *,
    imported: int = 10,
    disease: Disease = COVID_19,
    seed: int = 0,
) -> Infections:
    """Return the infections among people (all when None, else ascending indices) over days of the city's zone.

    ``imported`` of them were infected outside, up to a median incubation before the first day. A day of the city costs
    about as much as its `days`: only what infectious people do is looked at closer. Raises TraceError for no days, or
    for more imported infections than people.
    """
    who = np.arange(len(city.population)) if people is None else people
    if days < 1 or not 0 < imported <= len(who):
        raise TraceError(f"{days} days with {imported} imported infections of {len(who)} people: ask for at least one")
    salt = city.profile.seed * 1_000_003 + seed
    n = len(city.population)
    lives = _week(city)
    constant, shape = _calibrate(city, lives, first_day, who, disease, salt)
    course = _Course(disease, salt, infectivity(shape, uniform(salt, channel("infectivity"), np.arange(n))))
    outside = np.ones(n, np.bool_)
    outside[who] = False
    first = city_days.midnight(city, first_day)
    seeds = np.sort(who[np.argsort(uniform(salt, channel("imported"), who), kind="stable")[:imported]])
    when = first - (uniform(salt, channel("when"), seeds) * disease.incubation_days[0] * DAY_S).astype(np.int64)
    course.infect(seeds, np.full(imported, -1), when, np.full(imported, -1))
    for d in range(days):
        today = first_day + timedelta(d)
        active = course.active(city_days.midnight(city, today), city_days.midnight(city, today + timedelta(1)))
        if not len(active):
            continue
        met = city_encounters.make(city, lives(today), active)
        course.spread(met, constant, outside)
    return course.infections()


class _Course:
    """The course of the disease in everybody, as columns over the whole population."""

    def __init__(self, disease: Disease, salt: int, infective: Floats) -> None:
        """Begin with nobody infected; ``infective`` (people,) is individual infectivity."""
        n = len(infective)
        self.disease, self.salt, self.infectivity = disease, salt, infective
        self.time = np.full(n, np.iinfo(np.int64).max)
        self.onset, self.reported = np.full(n, NEVER), np.full(n, NEVER)
        self.infector, self.place = np.full(n, -1), np.full(n, -1)

    def infect(self, who: Ints, by: Ints, when: Ints, where: Ints) -> None:
        """Record infections and draw their onset and report."""
        from scipy.special import gammaincinv

        median, p95 = self.disease.incubation_days
        sigma = np.log(p95 / median) / 1.644854
        incubation = median * np.exp(sigma * gaussian(self.salt, channel("incubation"), who))
        form, scale = self.disease.report_days
        delay = gammaincinv(form, uniform(self.salt, channel("delay"), who)) * scale
        self.time[who], self.infector[who], self.place[who] = when, by, where
        self.onset[who] = when + (incubation * DAY_S).astype(np.int64)
        known = uniform(self.salt, channel("reported"), who) < self.disease.reported
        self.reported[who] = np.where(known, self.onset[who] + (delay * DAY_S).astype(np.int64), NEVER)

    def active(self, start: int, end: int) -> Ints:
        """Return who was infected before a day and may infect others on it."""
        sick = np.flatnonzero(self.time < start)
        low, high = _reach(self.disease)
        onset = self.onset[sick]
        on = (onset + low * DAY_S < end) & (onset + high * DAY_S > start)
        return sick[on & ((self.reported[sick] == NEVER) | (self.reported[sick] > start))]

    def spread(self, met: Encounters, constant: float, outside: Bools) -> None:
        """Let the infected infect whom they meet; the earliest of an infectee's infections counts."""
        source, goal = np.append(met.a, met.b), np.append(met.b, met.a)
        start, end, place = (np.tile(c, 2) for c in (met.start_s, met.end_s, met.place))
        never = np.iinfo(np.int64).max
        known = np.where(self.reported == NEVER, never, self.reported)
        kept = (self.time[source] < start) & (self.time[goal] == never) & (start < known[source])
        kept &= ~outside[source] & ~outside[goal]
        source, goal, start, end, place = (c[kept] for c in (source, goal, start, end, place))
        day = (start - self.onset[source]) / DAY_S
        rate = constant * self.infectivity[source] * density(self.disease, day) / 60  # a second
        waiting = -np.log(uniform(self.salt, channel("hazard"), source, goal, start)) / np.maximum(rate, 1e-300)
        hit = np.flatnonzero(waiting < end - start)
        hit = hit[np.lexsort((source[hit], start[hit] + waiting[hit], goal[hit]))]
        hit = hit[np.append(True, np.diff(goal[hit]) != 0)[: len(hit)]]
        when = start[hit] + waiting[hit].astype(np.int64)
        self.infect(goal[hit], source[hit], when, place[hit])

    def infections(self) -> Infections:
        """Return all infections by time."""
        who = np.flatnonzero(self.onset != NEVER)
        who = who[np.lexsort((who, self.time[who]))]
        columns = (self.infector, self.time, self.place, self.onset, self.reported)
        return Infections(who, *(c[who] for c in columns))


def infectivity(shape: float, u: Floats) -> Floats:
    """Return individual infectivity, gamma of mean 1, at quantiles."""
    from scipy.special import gammaincinv

    return gammaincinv(shape, u) / shape


def density(disease: Disease, days: Floats) -> Floats:
    """Return the density of infectiousness (1/day) some days after onset (negative: before)."""
    from scipy.special import gammaln

    x = np.maximum((days + disease.lead_days) / disease.scale_days, 1e-12)
    return np.exp((disease.shape - 1) * np.log(x) - x - gammaln(disease.shape)) / disease.scale_days


def _reach(disease: Disease) -> tuple[float, float]:
    """Return the days from onset between which 99.9 % of the infectiousness lies."""
    from scipy.special import gammaincinv

    low, high = gammaincinv(disease.shape, [0.0005, 0.9995]) * disease.scale_days - disease.lead_days
    return float(low), float(high)


def _calibrate(
    city: City, lives: Callable[[date], Days], first: date, who: Ints, disease: Disease, salt: int
) -> tuple[float, float]:
    """Return the hazard a minute at infectivity and density 1, and the shape of infectivity, that give the disease's
    reproduction number and dispersion.

    Solved for on whom a sample meets in a week, with the infectious time beginning on any of its days. Nobody is
    isolated or immune. Raises TraceError where people meet too few.
    """
    sample = np.sort(who[np.argsort(uniform(salt, channel("sample"), who), kind="stable")[:_CALIBRATION_PEOPLE]])
    inside = np.isin(np.arange(len(city.population)), who)
    low, high = _reach(disease)
    daily = density(disease, np.arange(low, high) + 0.5)
    weight = np.bincount(np.arange(len(daily)) % 7, daily, minlength=7)
    begins = (uniform(salt, channel("begins"), sample) * 7).astype(np.int64)
    pairs: list[Ints] = []
    exposures: list[Floats] = []
    for d in range(7):
        met = city_encounters.make(city, lives(first + timedelta(d)), sample)
        source, goal = np.append(met.a, met.b), np.append(met.b, met.a)
        kept = np.isin(source, sample) & inside[goal]
        case = np.searchsorted(sample, source[kept])
        pairs.append(case * len(inside) + goal[kept])
        exposures.append(np.tile((met.end_s - met.start_s) / 60, 2)[kept] * weight[(d - begins[case]) % 7])
    pair, back = np.unique(np.concatenate(pairs), return_inverse=True)
    exposure, case = np.bincount(back, np.concatenate(exposures)), pair // len(inside)
    # Quantiles in random order: every sample has the whole distribution.
    quantile = (np.argsort(uniform(salt, channel("quantile"), sample)) + 0.5) / len(sample)

    def outcome(constant: float, infective: Floats) -> tuple[float, float]:
        """Return the mean number of others that cases infect, and its variance."""
        p = -np.expm1(-constant * infective[case] * exposure)
        mean = np.bincount(case, p, minlength=len(sample))
        return float(mean.mean()), float(mean.var() + (p * (1 - p)).sum() / len(sample))

    def solve(infective: Floats) -> float:
        small, large = 1e-9, 1e6
        for _ in range(40):
            middle = (small * large) ** 0.5
            small, large = (middle, large) if outcome(middle, infective)[0] < disease.reproduction else (small, middle)
        if large > 1e5:
            raise TraceError("these people meet too few others for an epidemic; take more people")
        return large

    few, many = 0.05, 20.0
    for _ in range(10):
        shape = (few * many) ** 0.5
        infective = infectivity(shape, quantile)
        mean, variance = outcome(solve(infective), infective)
        even = variance - mean < mean**2 / disease.dispersion  # more even than the disease: infectivity varies more
        few, many = (few, shape) if even else (shape, many)
    return solve(infectivity(few, quantile)), few


def _week(city: City) -> Callable[[date], Days]:
    """Return how everybody's days are made; those of a week are kept."""

    @lru_cache(maxsize=7)
    def lives(day: date) -> Days:
        return city_days.make(city, day, 1)

    return lives
