"""What people do all day: where everybody of the city is, when, and how they get there.

A person's day runs from 04:00 to 04:00 and starts and ends at home. It is planned first (work or school, lunch,
errands, meals out, friends, the household's outings), then walked through with travel times, returning home where that
pays. All choices are hashed from the seed, the person (or the household, lunch table or circle of friends that decides
together) and the day, so that a life is the same whoever else is asked for.

Sources. Venues: one returns to a favourite of rank k with probability ~ k^-1.2 (Song et al. 2010,
doi:10.1038/nphys1760); favourites are drawn from the venues around home or work with probability ~ rank^-0.84 (Noulas
et al. 2012, doi:10.1371/journal.pone.0037027). More than half of the pupils have private lessons (57 % of those of
elementary schools, National Travel Survey 2010, Ministry of Land, Korea). Other hours and how often people go out are
assumed, so that a person makes 2 to 3 trips a day, as travel surveys find. Nobody works at night, schools, clinics and
hospitals have no staff (the population has no such jobs), and no day is a holiday but Saturday and Sunday.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.city import circles, venues
from hanmaru.city.build import City
from hanmaru.city.circles import Circles
from hanmaru.city.noise import Ints
from hanmaru.city.population import NONE, Population
from hanmaru.city.venues import Venues

if TYPE_CHECKING:
    from hanmaru.city.lives import Facts

CHUNK = 100_000
"""Person-days made in one go."""


@dataclass(frozen=True, eq=False, slots=True)
class Days:
    """v visits, sorted by person, start: ``person`` (v,) index into the population, ``place`` (v,) index into places,
    ``start_s``, ``end_s`` (v,) Unix seconds. Between one visit's end and the next one's start the person travels.
    """

    person: Ints
    place: Ints
    start_s: Ints
    end_s: Ints

    def __len__(self) -> int:
        """Return how many visits there are."""
        return len(self.person)


@lru_cache(maxsize=4)
def habits(city: City) -> tuple[Circles, Venues]:
    """Return who belongs together in a city and which venues it has, made once."""
    return circles.make(city), venues.make(city)


@lru_cache(maxsize=4)
def facts(city: City) -> "Facts":
    """Return what the kernels need to know of a city, made once."""
    from hanmaru.city.lives import PERSON_TYPE, Facts

    people, (belong, where) = city.population, habits(city)
    rows = np.empty(len(people), PERSON_TYPE)
    for name in ("age", "household", "home", "work"):
        rows[name] = getattr(people, name)
    for name in ("unit", "table", "neighbours", "friends"):
        rows[name] = getattr(belong, name)
    rows["kind"] = np.where(people.work == NONE, NONE, city.places.kind[people.work])
    rows["carer"] = _carers(people)
    rows["carer_kind"] = np.where(rows["carer"] == NONE, NONE, rows["kind"][rows["carer"]])
    homes = belong.neighbours_homes, belong.friends_homes, people.household_home
    return Facts(rows, *homes, city.places.xy, where.cell, where.near, where.count)


def _carers(people: Population) -> Ints:
    """Return for each child under 12 an adult of the household, rather one who stays at home, else ``NONE``."""
    adults = np.flatnonzero(people.age >= 20)
    adults = adults[np.lexsort((people.work[adults] != NONE, people.household[adults]))]
    households, first = np.unique(people.household[adults], return_index=True)
    carer = np.full(len(people.household_home), NONE)
    carer[households] = adults[first]
    return np.where(people.age < 12, carer[people.household], NONE)


def midnight(city: City, day: date) -> int:
    """Return when a day begins in the city's zone, Unix seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=city.profile.tz).timestamp())


def make(city: City, first_day: date, days: int, people: Ints | None = None) -> Days:
    """Return the visits of people (all when None; else indices, ascending) over days of the city's zone.

    The visits cover the time from the first day's midnight to the midnight after the last day, clipped there. A
    person's visits do not depend on who else is asked for, nor on the period but for the clipping. Raises ValueError
    for no days or unknown people.
    """
    parts = list(batches(city, first_day, days, people))
    return Days(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("person", "place", "start_s", "end_s"))
    )


def batches(city: City, first_day: date, days: int, people: Ints | None = None) -> Iterator[Days]:
    """Yield what `make` returns in batches of consecutive people of about `CHUNK` person-days each."""
    from hanmaru.city import lives

    n = len(city.population)
    who = np.arange(n) if people is None else np.asarray(people, np.int64)
    if days < 1:
        raise ValueError(f"{days} days asked for; ask for one or more")
    if len(who) and (who[0] < 0 or who[-1] >= n or (np.diff(who) <= 0).any()):
        raise ValueError(f"people must be ascending indices below {n}")
    dates = [first_day + timedelta(d) for d in range(-1, days + 1)]  # the night before lasts until 04:00
    starts, number = np.array([midnight(city, d) for d in dates]), np.array([d.toordinal() for d in dates])
    step = max(1, CHUNK // (days + 1))
    for first in range(0, max(1, len(who)), step):
        yield Days(*lives.walk(who[first : first + step], number, starts, city.profile.seed, facts(city)).T.copy())
