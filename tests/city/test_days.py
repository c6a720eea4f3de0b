"""People live plausible days, the same ones whoever else is asked for."""

from datetime import date
from functools import lru_cache

import numpy as np
import pytest

from hanmaru.city import days, lives, profile, venues
from hanmaru.city import places as place
from hanmaru.city.build import City, build
from hanmaru.city.days import Days

WEDNESDAY, SATURDAY = date(2026, 5, 6), date(2026, 5, 9)
MIDNIGHT = 1_777_993_200  # of Wednesday in Korea


@lru_cache(maxsize=2)
def whole(day: date) -> Days:
    return days.make(build(profile.load("sejong")), day, 1)


def between(visits: Days) -> tuple[np.ndarray, np.ndarray]:
    """Return the visits (as indices) that are followed by another of the same person, and the seconds between."""
    first = np.flatnonzero(visits.person[1:] == visits.person[:-1])
    return first, visits.start_s[first + 1] - visits.end_s[first]


def test_a_life_is_the_same_whoever_else_and_whichever_days_are_asked_for(hanbit: City) -> None:
    week = days.make(hanbit, WEDNESDAY, 7)
    some = np.arange(5, len(hanbit.population), 997)
    alone = days.make(hanbit, WEDNESDAY, 7, some)
    mine = np.isin(week.person, some)
    for name in ("person", "place", "start_s", "end_s"):
        assert (getattr(week, name)[mine] == getattr(alone, name)).all()
    friday = days.make(hanbit, date(2026, 5, 8), 1, some)
    low, high = MIDNIGHT + 2 * 86400, MIDNIGHT + 3 * 86400
    cut = np.flatnonzero((alone.start_s < high) & (alone.end_s > low))
    assert (friday.person == alone.person[cut]).all()
    assert (friday.place == alone.place[cut]).all()
    assert (friday.start_s == np.maximum(alone.start_s[cut], low)).all()
    assert (friday.end_s == np.minimum(alone.end_s[cut], high)).all()


@pytest.mark.parametrize("day", [WEDNESDAY, SATURDAY])
def test_nobody_is_at_two_places_or_faster_than_traffic(sejong: City, day: date) -> None:
    visits = whole(day)
    assert (visits.end_s > visits.start_s).all()
    first, gap = between(visits)
    xy = sejong.places.xy
    metres = np.hypot(*(xy[visits.place[first + 1]] - xy[visits.place[first]]).T)
    assert (visits.place[first] != visits.place[first + 1]).all()
    assert (gap >= 60).all()
    assert (metres / gap).max() < lives.DRIVE_MPS
    assert np.quantile(gap, 0.99) < 3600 + 900


@pytest.mark.parametrize("day", [WEDNESDAY, SATURDAY])
def test_everybody_is_somewhere_all_day(sejong: City, day: date) -> None:
    visits = whole(day)
    people = np.arange(len(sejong.population))
    assert (np.unique(visits.person) == people).all()
    low = MIDNIGHT + (86400 * (day - WEDNESDAY).days)
    first, gap = between(visits)
    travel = np.bincount(visits.person[first], gap, minlength=len(people))
    spent = np.bincount(visits.person, visits.end_s - visits.start_s)
    # All of the day, but for those who are on their way at one of its midnights.
    whole_day = spent + travel == 86400
    assert whole_day.mean() > 0.985
    assert visits.start_s.min() == low
    assert visits.end_s.max() == low + 86400


@pytest.mark.parametrize("day", [WEDNESDAY, SATURDAY])
def test_trips_work_and_nights_are_those_of_a_city(sejong: City, day: date) -> None:
    """2 to 3 trips a person and day are what travel surveys find; commuters sleep at home and work by day."""
    people, visits = sejong.population, whole(day)
    begins, ends = ((t - MIDNIGHT) / 3600 - 24 * (day - WEDNESDAY).days for t in (visits.start_s, visits.end_s))

    def share(which: np.ndarray, hour: float) -> float:
        return float((which & (begins <= hour) & (ends > hour)).sum() / len(people))

    trips = len(between(visits)[0]) / len(people)
    home, job = visits.place == people.home[visits.person], visits.place == people.work[visits.person]
    print(
        f"{day:%a}: {trips:.2f} trips; at home at 03 {share(home, 3):.1%}, 10:30 {share(home, 10.5):.1%}, "
        f"20 {share(home, 20):.1%}; at work or school at 10:30 {share(job, 10.5):.1%}"
    )
    assert 2.3 < trips < 3.1
    assert share(home, 3) > 0.97
    assert share(job, 3) == 0
    if day == SATURDAY:
        assert share(job, 10.5) < 0.12
        return
    assert 0.5 < share(job, 10.5) < 0.7
    away = np.isin(people.work, sejong.places.of(place.ELSEWHERE))
    assert share(job & away[visits.person], 14) == pytest.approx(0.93 * away.mean(), rel=0.05)


def test_households_go_out_together(sejong: City) -> None:
    """Of Saturday's visits to restaurants by people who live with somebody, many are in the household's company."""
    visits, people = whole(SATURDAY), sejong.population
    use = days.habits(sejong)[1].use
    eating = np.flatnonzero(use[visits.place] == venues.RESTAURANT)
    family = people.household[visits.person[eating]]
    with_family = np.bincount(people.household)[family] > 1
    _, back, count = np.unique(visits.place[eating] * len(people) + family, return_inverse=True, return_counts=True)
    assert (count[back][with_family] > 1).mean() > 0.4


def test_small_children_do_not_go_out_alone(sejong: City) -> None:
    """Who is under 3 goes where somebody grown of the household is."""
    visits, people = whole(WEDNESDAY), sejong.population
    out = visits.place != people.home[visits.person]
    small = np.flatnonzero(out & (people.age[visits.person] < 3))
    grown = np.flatnonzero(out & (people.age[visits.person] >= 20))
    together = np.isin(
        people.household[visits.person[small]] * len(sejong.places.kind) + visits.place[small],
        people.household[visits.person[grown]] * len(sejong.places.kind) + visits.place[grown],
    )
    assert len(small) > 500
    assert together.mean() > 0.85


def test_one_returns_to_favourites_and_explores(hanbit: City) -> None:
    """By visits, a person's venues fall off about as k^-1.2 (Song et al. 2010): the first is far the likeliest."""
    some = np.flatnonzero(hanbit.population.age > 25)[::40]
    visits = days.make(hanbit, WEDNESDAY, 56, some)
    use = days.habits(hanbit)[1].use[visits.place]
    chosen = (use == venues.RETAIL) & (visits.place != hanbit.population.work[visits.person])
    who, spot = visits.person[chosen], visits.place[chosen]
    pair, count = np.unique(who * len(use) + spot, return_counts=True)
    person = pair // len(use)
    total = np.bincount(who, minlength=len(hanbit.population))
    often = np.isin(person, np.flatnonzero(total >= 12))
    first = np.zeros(len(total))
    np.maximum.at(first, person[often], count[often])
    favourite = (first[total >= 12] / total[total >= 12]).mean()
    distinct = np.bincount(person[often], minlength=len(total))[total >= 12].mean()
    print(f"the favourite shop gets {favourite:.0%} of {total[total >= 12].mean():.0f} visits to {distinct:.1f} shops")
    assert 0.2 < favourite < 0.5
    assert distinct > 5


def test_units_are_classes_and_departments(sejong: City) -> None:
    belong, people = days.habits(sejong)[0], sejong.population
    inside = belong.unit >= 0
    for column, size in ((belong.unit, 80), (belong.table, 4), (belong.neighbours, 5), (belong.friends, 5)):
        assert np.bincount(column[column >= 0]).max() <= size
    order = np.argsort(belong.unit[inside], kind="stable")
    unit, work = belong.unit[inside][order], people.work[inside][order]
    same = np.diff(unit) == 0
    assert (np.diff(work)[same] == 0).all()
    pupils = np.isin(sejong.places.kind[work], (place.ELEMENTARY, place.MIDDLE, place.HIGH))
    year = people.age[inside][order]
    assert (np.diff(year)[same & pupils[1:]] == 0).all()
    assert 20 < np.bincount(unit[pupils])[np.unique(unit[pupils])].mean() < 27


def test_what_cannot_be_lived_is_refused(hanbit: City) -> None:
    with pytest.raises(ValueError, match="one or more"):
        days.make(hanbit, WEDNESDAY, 0)
    with pytest.raises(ValueError, match="ascending"):
        days.make(hanbit, WEDNESDAY, 1, np.array([5, 3]))
    with pytest.raises(ValueError, match="ascending"):
        days.make(hanbit, WEDNESDAY, 1, np.array([len(hanbit.population)]))
    assert len(days.make(hanbit, WEDNESDAY, 1, np.array([], np.int64))) == 0
