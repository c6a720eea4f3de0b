"""Who belongs together: departments, classes, lunch tables and friends, stable for the life of the city.

A workplace or a school does not mix as one: measured contact networks fall into departments and classes (Génois et al.
2015, doi:10.1017/nws.2015.10; Stehlé et al. 2011, doi:10.1371/journal.pone.0023176). So each belongs to a unit there.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.noise import Floats, Ints, channel, uniform

NONE = -1
_UNIT_SIZE = {
    place.KINDERGARTEN: 17,
    place.ELEMENTARY: 22,
    place.MIDDLE: 25,
    place.HIGH: 24,
    place.UNIVERSITY: 40,
    place.OFFICE: 18,
    place.GOVERNMENT: 18,
    place.FACTORY: 18,
    place.SHOP: 18,
}
"""Mean people of a class or department. Classes: Korean Educational Statistics 2023, rounded; departments: the 217
people of 12 departments of the InVS15 workplace."""
_TABLE, _FRIENDS = 4, 5
_SCHOOLS = (place.KINDERGARTEN, place.ELEMENTARY, place.MIDDLE, place.HIGH)


@dataclass(frozen=True, eq=False, slots=True)
class Circles:
    """For each of n people (n,): the ``unit`` (department, class) at work or school; the ``table``, the up to four of
    the unit who have lunch together; the ``neighbours``, friends of an age who live in one district; the ``friends``,
    of one school year or of an age and anywhere in the city. ``NONE`` for who has none. Numbers of one column are
    dense; ``neighbours_homes``, ``friends_homes`` (circles, 5) are the members' homes of each circle, ``NONE`` after.
    """

    unit: Ints
    table: Ints
    neighbours: Ints
    friends: Ints
    neighbours_homes: Ints
    friends_homes: Ints


def make(city: City) -> Circles:
    """Return the circles of a city's people, a function of the city alone."""
    people, places = city.population, city.places
    n = len(people)
    shuffle = uniform(city.profile.seed, channel("circles"), np.arange(n))
    unit, table = np.full(n, NONE), np.full(n, NONE)
    inside = np.flatnonzero((people.work != NONE) & (places.kind[people.work] != place.ELSEWHERE))
    kind = places.kind[people.work[inside]]
    year = np.where(np.isin(kind, _SCHOOLS), people.age[inside], 0)
    order = np.lexsort((shuffle[inside], year, people.work[inside]))
    inside, kind = inside[order], kind[order]
    first, size, at = _groups(people.work[inside], year[order])
    mean = np.array([_UNIT_SIZE.get(k, 1) for k in range(len(place.KINDS))])[kind[first]]
    units = np.maximum(1, np.rint(size / mean)).astype(np.int64)
    # Classes are of one size; departments are not: the first of ten is three times the last, as in InVS15.
    bend = np.where(np.isin(kind[first], (*_SCHOOLS, place.UNIVERSITY)), 1.0, 1.5)[at]
    rank = np.arange(len(inside)) - first[at]
    part = np.floor(units[at] * ((rank + 0.5) / size[at]) ** bend).astype(np.int64)
    unit[inside] = (np.cumsum(units) - units)[at] + part
    first, _, at = _groups(unit[inside], np.zeros_like(inside))
    seat = np.arange(len(inside)) - first[at]
    table[inside] = np.cumsum(np.append(True, (np.diff(at) != 0) | (np.diff(seat // _TABLE) != 0))) - 1
    band = people.age // 6
    old = people.age >= 9
    pupil = np.isin(np.where(people.work == NONE, place.ELSEWHERE, places.kind[people.work]), _SCHOOLS)
    neighbours, neighbours_homes = _circle(np.flatnonzero(old), people.district, band, shuffle, people.home)
    friends, friends_homes = _circle(
        np.flatnonzero(old),
        np.where(pupil, people.work, NONE),
        np.where(pupil, people.age, band),
        1 - shuffle,
        people.home,
    )
    return Circles(unit, table, neighbours, friends, neighbours_homes, friends_homes)


def _groups(a: Ints, b: Ints) -> tuple[Ints, Ints, Ints]:
    """Return where runs of equal (a, b) start, their sizes, and the run of each element."""
    new = np.append(True, (np.diff(a) != 0) | (np.diff(b) != 0))[: len(a)]
    first = np.flatnonzero(new)
    return first, np.diff(np.append(first, len(a))), np.cumsum(new) - 1


def _circle(who: Ints, a: Ints, b: Ints, shuffle: Floats, home: Ints) -> tuple[Ints, Ints]:
    """Divide those who are alike in ``a`` and ``b`` into circles of friends; return them with their members' homes."""
    out = np.full(len(a), NONE)
    who = who[np.lexsort((shuffle[who], b[who], a[who]))]
    first, _, at = _groups(a[who], b[who])
    seat = np.arange(len(who)) - first[at]
    circle = np.cumsum(np.append(True, (np.diff(at) != 0) | (np.diff(seat // _FRIENDS) != 0))[: len(who)]) - 1
    out[who] = circle
    homes = np.full((int(circle[-1]) + 1 if len(circle) else 0, _FRIENDS), NONE)
    homes[circle, seat % _FRIENDS] = home[who]
    return out, homes
