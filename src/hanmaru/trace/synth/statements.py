"""What a case says in an interview: some of the visits, with times rounded and now and then a place mixed up."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.noise import Bools, Ints, channel, gaussian, uniform
from hanmaru.trace.synth import near

REMEMBERED, MIXED_UP = 0.7, 0.08
"""The share of visits of 20 minutes or more that somebody tells of, and of those told with a wrong place; assumed."""
_SHORTEST_S, _ROUNDED_S, _OFF_S = 1200, 1800, 900


@dataclass(frozen=True, eq=False, slots=True)
class Statements:
    """k statements, sorted by ``start_s``: from when to when the case was at a ``place`` (k,), and whether ``sure``."""

    start_s: Ints
    end_s: Ints
    place: Ints
    sure: Bools


def make(city: City, days: Days, person: int, start_s: int, end_s: int, seed: int) -> Statements:
    """Return what a person says of a period, from the true visits; not of home, nor of what is out of town."""
    p = city.places
    known = p.kind[days.place] != place.ELSEWHERE
    told = (
        known
        & (days.person == person)
        & (days.start_s >= start_s)
        & (days.end_s <= end_s)
        & (days.end_s - days.start_s >= _SHORTEST_S)
        & (days.place != city.population.home[days.person])
    )
    v = np.flatnonzero(told)
    begin = days.start_s[v]
    v = v[uniform(seed, channel("told"), person, begin) < REMEMBERED]
    begin, until, where = days.start_s[v], days.end_s[v], days.place[v]
    mixed = uniform(seed, channel("told/mixed"), person, begin) < MIXED_UP
    if mixed.any():
        where = where.copy()
        for i in np.flatnonzero(mixed).tolist():
            same = np.flatnonzero(p.kind == p.kind[where[i]])
            where[i] = same[near.nearest(p.xy[same], p.xy[where[i : i + 1]], 2)[0, -1]]
    sure = uniform(seed, channel("told/sure"), person, begin) < np.where(mixed, 0.4, 0.75)
    first = begin + _OFF_S * gaussian(seed, channel("told/start"), person, begin)
    last = until + _OFF_S * gaussian(seed, channel("told/end"), person, begin)
    first = np.round(first / _ROUNDED_S).astype(np.int64) * _ROUNDED_S
    last = np.maximum(np.round(last / _ROUNDED_S).astype(np.int64) * _ROUNDED_S, first + _ROUNDED_S)
    return Statements(first, last, where, sure)
