"""Who meets whom face to face: contacts of at most 2 m within the visits of one place.

Being at one place is not meeting: of all pairs in one building on one day 0.2 to 2.7 % spend 15 minutes face to face in
the measured networks. So each pair that is at one place at one time meets by how it is related there:

- of one household at home, or together out (household and who it visits, friends, lunch table, team): in bouts;
- of one department or class at work or school: as the departments of the workplace InVS15 did (Génois & Barrat 2018,
  doi:10.1140/epjds/s13688-018-0140-1);
- else, within a random part of the place, of up to `PART_H` hours of visits a day: as people of different departments
  of InVS15 did, and where people come to be together as those of the conference SFHH did (same source).

A pair meets as a Poisson process. Its rate is the meetings of a person in an hour, shared among those around, times a
gamma number of the pair that stays for life and one of the pair and day; a meeting's length is Lomax, in steps of 20 s.
Neighbours in one house, passengers of one bus and who works out of town do not meet.
"""

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.build import City
from hanmaru.city.days import Days, facts, habits
from hanmaru.city.noise import Bools, Ints, channel, uniform
from hanmaru.city.population import NONE
from hanmaru.city.rhythms import local

if TYPE_CHECKING:
    from hanmaru.city.meeting import Presence

PART_H = 1040.0
"""Hours that people spend in a part of a place on a day, within which anybody may meet anybody: those of InVS15."""
_EPOCH = 719163  # the ordinal of 1970-01-01


@dataclass(frozen=True, slots=True)
class Process:
    """How pairs meet: the meetings of a person with others ``per_hour``, half as many if only ``half_at`` others are
    there; the gamma shapes of the ``pair`` and of the pair and ``day``; Lomax ``scale_s`` and ``shape`` of the length.

    Rates are counts over person-hours between somebody's first and last meeting of a day (``half_at``: least squares
    over departments); shapes solve for how many pairs meet on a day and on both of two days; lengths are of maximum
    likelihood. The tests compute them again from the published files.
    """

    per_hour: float
    half_at: float
    pair: float
    day: float
    scale_s: float
    shape: float


DEPARTMENT = Process(5.9, 2.9, 0.24, 0.73, 31.5, 1.92)
"""Within a department of InVS15: 217 people of 12 departments, ten days."""
BUILDING = Process(1.9, 2.9, 0.20, 0.054, 31.5, 1.92)
"""Between departments of InVS15."""
GATHERING = Process(13.5, 2.9, 0.27, 0.23, 24.2, 1.50)
"""At the conference SFHH: 403 people, two days."""
CLASS = Process(0.72 * 13.5, 2.9, 0.24, 0.73, 24.2, 1.50)
SCHOOL = Process(0.28 * 13.5, 2.9, 0.20, 0.054, 24.2, 1.50)
"""Within and between classes: as often and as long as at SFHH, and as in InVS15 72 % of it within, with its shapes.
Pupils measured at a primary school (for comparison alone) meet three times as often."""


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

    ``days`` must hold everybody who is at the places of interest; then an encounter does not depend on who is asked
    for, nor on which days are made together.
    """
    from hanmaru.city import meeting

    chosen = np.ones(len(city.population), np.bool_)
    rows = np.arange(len(days))
    if people is not None:
        chosen[:] = False
        chosen[people] = True
        theirs = np.zeros(len(city.places.kind), np.bool_)
        theirs[days.place[chosen[days.person]]] = True
        rows = np.flatnonzero(theirs[days.place])
    at = _presence(city, Days(days.person[rows], days.place[rows], days.start_s[rows], days.end_s[rows]))
    known, process, processes = facts(city), _process(city), np.array([astuple(p) for p in _PROCESSES])
    parts: list[Ints] = []
    visit = _numbered(at.place, at.day)
    for sort, key in enumerate(_keys(city, at, visit)):
        bucket = _numbered(visit, key)
        kept = np.flatnonzero(key >= 0)
        kept = kept[np.lexsort((at.start[kept], bucket[kept]))]
        kept = kept[_shared(bucket[kept])]
        mine = meeting.Presence(*(column[kept] for column in (*at[:-1], bucket)))
        parts.append(meeting.meet(mine, sort, known, chosen, city.profile.seed, process, processes))
    found = np.concatenate(parts)
    order = np.argsort(found[:, 3] * len(chosen) + found[:, 0], kind="stable")
    return Encounters(*(found[order, k] for k in range(5)))


_PROCESSES = (BUILDING, SCHOOL, GATHERING, DEPARTMENT, CLASS, DEPARTMENT)
"""Those between units of a workplace, school or meeting place, then those within."""


def _process(city: City) -> Ints:
    """Return for each place whether it is a workplace (or like one) 0, a school 1, or where people gather 2."""
    school = np.isin(
        city.places.kind, (place.KINDERGARTEN, place.ELEMENTARY, place.MIDDLE, place.HIGH, place.UNIVERSITY)
    )
    gathering = np.isin(habits(city)[1].use, (venues.BAR, venues.CHURCH, venues.ACADEMY))
    return school + 2 * gathering


def _presence(city: City, days: Days) -> "Presence":
    """Return visits, cut at midnight so that a day is the same alone and among others, with who is whose guest."""
    from hanmaru.city.lives import hosts
    from hanmaru.city.meeting import Presence

    person, spot, start, end = days.person, days.place, days.start_s, days.end_s
    pieces: list[tuple[Ints, ...]] = []
    while len(start) or not pieces:
        clock = local(city.profile.tz, start.astype(np.float64))
        midnight = start - np.rint(clock.hour * 3600).astype(np.int64)
        following = midnight + 86400
        pieces.append((person, spot, start, np.minimum(end, following), clock.day, midnight))
        person, spot, start, end = (a[end > following] for a in (person, spot, following, end))
    person, spot, start, end, day, midnight = (np.concatenate(p) for p in zip(*pieces, strict=True))
    people = city.population
    party = people.household[person]
    guest = np.flatnonzero(_home(city, spot) & (people.home[person] != spot))
    host = hosts(city.profile.seed, party[guest], day[guest] + _EPOCH, len(people.household_home))
    visited = people.household_home[host] == spot[guest]
    party[guest[visited]] = host[visited]
    return Presence(person, spot, start, end, party, day, midnight, party)


def _home(city: City, spot: Ints) -> Bools:
    return (city.places.kind[spot] == place.APARTMENT) | (city.places.kind[spot] == place.HOUSE)


def _numbered(a: Ints, b: Ints) -> Ints:
    """Return a number for each pair of numbers, the second of which are from -1."""
    low = int(b.min(initial=0))
    return a * (int(b.max(initial=0)) - low + 1) + b - low


def _keys(city: City, at: "Presence", visit: Ints) -> tuple[Ints, ...]:
    """Return for each sort of relation, as `meeting` numbers them, what those so related share, -1 for nothing."""
    belong, home = habits(city)[0], _home(city, at.place)
    elsewhere = city.places.kind[at.place] == place.ELSEWHERE
    _, which = np.unique(visit, return_inverse=True)
    parts = np.ceil(np.bincount(which, (at.end - at.start) / 3600)[which] / PART_H)
    part = np.floor(uniform(city.profile.seed, channel("parts"), at.person, at.place, at.day) * parts).astype(np.int64)
    return (
        np.where(elsewhere, NONE, at.party),
        np.where(elsewhere, NONE, belong.neighbours[at.person]),
        np.where(elsewhere, NONE, belong.friends[at.person]),
        np.where(elsewhere | home, NONE, belong.table[at.person]),
        np.where(elsewhere | home, NONE, belong.unit[at.person]),
        np.where(elsewhere | home, NONE, part),
    )


def _shared(bucket: Ints) -> Bools:
    """Return which of sorted numbers occur more than once."""
    same = bucket[1:] == bucket[:-1]
    out = np.zeros(len(bucket), np.bool_)
    out[1:] |= same
    out[:-1] |= same
    return out
