"""Who meets whom face to face: contacts of at most 2 m within the visits of one place.

Being at one place is not meeting: of all pairs in one building on one day 0.2 to 2.7 % spend 15 minutes face to face in
the measured networks. So each pair that is in one place at one time meets by how it is related there:

- of one household at home, or going out together (household, friends, lunch table, team): in bouts, most of the time;
- of one department or class at work or school: as the departments of the workplace InVS15 (Génois & Barrat 2018,
  doi:10.1140/epjds/s13688-018-0140-1) did;
- else, within a random part of the place that holds up to `CELL` visitors of a day: as people of different departments
  of InVS15 did, and where people gather to be together as those of the conference SFHH (same source).

A pair meets as a Poisson process. Its rate is the place's rate per person-hour, divided among those present, times a
gamma number of the pair that lasts and one of the pair and day; how long is Lomax, in steps of 20 s.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.build import City
from hanmaru.city.days import Days, habits
from hanmaru.city.noise import Bools, Ints, channel, uniform

CELL = 64
"""Visitors of one day who may come near one another in a large place."""


@dataclass(frozen=True, slots=True)
class Process:
    """How pairs meet: ``per_hour`` meetings of a person in an hour with all others, halved where only ``few`` are there;
    gamma shapes of the ``pair`` and of the pair and ``day``; Lomax ``scale_s`` and ``shape`` of a meeting's length.
    """

    per_hour: float
    few: float
    pair: float
    day: float
    scale_s: float
    shape: float


DEPARTMENT = Process(5.5, 4.0, 0.48, 0.58, 31.5, 1.92)
BUILDING = Process(1.9, 4.0, 0.10, 0.19, 31.5, 1.92)
CLASS = Process(9.6, 4.0, 0.48, 0.58, 24.2, 1.50)
GATHERING = Process(13.4, 4.0, 0.06, 1.0, 24.2, 1.50)


@dataclass(frozen=True, eq=False, slots=True)
class Encounters:
    """e face-to-face encounters, sorted by ``start_s``: persons ``a`` < ``b`` (e,), the ``place`` (e,) they are at,
    ``start_s``, ``end_s`` (e,) Unix seconds.
    """

    a: Ints
    b: Ints
    place: Ints
    start_s: Ints
    end_s: Ints

    def __len__(self) -> int:
        """Return how many encounters there are."""
        return len(self.a)


def make(city: City, days: Days, people: Ints | None = None) -> Encounters:
    """Return the encounters within some days' visits: all, or those that any of ``people`` takes part in.

    ``days`` must hold everybody who is at the places of interest; then an encounter does not depend on what is asked for.
    """
    from hanmaru.city import meeting

    chosen = np.ones(len(city.population), np.bool_)
    visits = np.ones(len(days), np.bool_)
    if people is not None:
        chosen[:] = False
        chosen[people] = True
        theirs = np.zeros(len(city.places.kind), np.bool_)
        theirs[days.place[chosen[days.person]]] = True
        visits = theirs[days.place]
    person, spot, start, end = (a[visits] for a in (days.person, days.place, days.start_s, days.end_s))
    parts = [
        meeting.meet(
            *(a[rows] for a in (person, spot, start, end)), bucket, sort, chosen, city.profile.seed, *_facts(city)
        )
        for sort, bucket, rows in _buckets(city, person, spot, start)
    ]
    a, b, where, begin, until = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort((begin - begin.min(initial=0)) * len(chosen) + a, kind="stable")
    return Encounters(a[order], b[order], where[order], begin[order], until[order])


def _facts(city: City) -> tuple[tuple[Ints, ...], Ints, tuple[np.ndarray, ...]]:
    """Return the relations of people, the kind of meeting at each place, and the kinds' parameters."""
    people, (belong, where) = city.population, habits(city)
    relations = (
        people.household,
        belong.neighbours,
        belong.friends,
        belong.table,
        belong.unit,
        people.home,
        people.work,
    )
    kind = city.places.kind
    school = np.isin(kind, (place.KINDERGARTEN, place.ELEMENTARY, place.MIDDLE, place.HIGH, place.UNIVERSITY))
    social = school | np.isin(where.use, (venues.BAR, venues.CHURCH, venues.ACADEMY))
    mood = school.astype(np.int64) + 2 * social
    rows = np.array(
        [[p.per_hour, p.few, p.pair, p.day, p.scale_s, p.shape] for p in (DEPARTMENT, CLASS, BUILDING, GATHERING)]
    )
    return relations, mood, (rows,)


def _buckets(city: City, person: Ints, spot: Ints, start: Ints) -> list[tuple[int, Ints, Ints]]:
    """Return for each sort of relation (0 household ... 5 none) who could be related so: a number for each visit that
    has one, and the visits, sorted by it and start.
    """
    people, (belong, _) = city.population, habits(city)
    kind = city.places.kind[spot]
    home = people.home[person] == spot
    away = kind == place.ELSEWHERE
    seed, day = city.profile.seed, (start + 9 * 3600) // 86400
    crowd = np.bincount(spot, minlength=len(city.places.kind))
    part = np.floor(uniform(seed, channel("cells"), person, spot, day) * np.ceil(crowd[spot] / CELL)).astype(np.int64)
    keys = (
        (people.household[person], ~away),
        (belong.neighbours[person], ~away),
        (belong.friends[person], ~away),
        (belong.table[person], ~away & ~home),
        (belong.unit[person], ~away & ~home),
        (part, ~away & (kind != place.APARTMENT) & (kind != place.HOUSE)),
    )
    out: list[tuple[int, Ints, Ints]] = []
    for sort, (key, use) in enumerate(keys):
        bucket = spot * (int(key.max(initial=0)) + 1) + key
        rows = np.flatnonzero(use & (key >= 0))
        rows = rows[np.lexsort((start[rows], bucket[rows]))]
        rows = rows[_shared(bucket[rows])]
        out.append((sort, bucket[rows], rows))
    return out


def _shared(bucket: Ints) -> Bools:
    """Return which of sorted numbers occur more than once."""
    same = np.append(False, bucket[1:] == bucket[:-1])
    return same | np.append(same[1:], False)
