"""Homes hold the people, and the people are those of the published figures."""

import time

import numpy as np
import pytest

from hanmaru.city import places as place
from hanmaru.city import profile
from hanmaru.city.build import City, build
from hanmaru.city.plane import contains
from hanmaru.city.profile import AGE_BANDS


@pytest.mark.parametrize("name", profile.available())
def test_every_place_is_inside_the_city_and_homes_are_dry(name: str) -> None:
    city = build(profile.load(name))
    homes = city.places.xy[city.places.of(place.APARTMENT, place.HOUSE)]
    assert contains(city.land.boundary, city.places.xy).all()
    wet = sum(contains(w, homes).sum() for w in city.land.water)
    assert wet <= 0.001 * len(homes)
    assert (np.hypot(*(city.places.xy - city.roads.xy[city.places.node]).T) < 700).all(), "on the way to its node"


@pytest.mark.parametrize("name", profile.available())
def test_totals_and_ages_are_exact(name: str) -> None:
    city = build(profile.load(name))
    people = city.population
    facts = city.profile.population
    assert len(people) == facts.total
    wanted = place.populations(city.profile)
    assert (np.bincount(people.district, minlength=len(wanted)) == wanted).all()
    for kind in {d.kind for d in city.profile.districts}:
        ours = np.isin(people.district, [i for i, d in enumerate(city.profile.districts) if d.kind == kind])
        made = [((people.age[ours] >= low) & (people.age[ours] < high)).mean() for low, high in AGE_BANDS]
        assert made == pytest.approx(facts.age_shares[kind], abs=0.01)


def test_sejong_is_the_youngest_city(sejong: City) -> None:
    """Published: mean age 37.7 at the end of 2021 and about 38.6 in 2023; 2017: 32.2 % live alone, men 50.04 %."""
    people = sejong.population
    size = np.bincount(people.household)
    alone = (size == 1).mean()
    print(
        f"mean age {people.age.mean():.1f}, {people.male.mean():.2%} men; {alone:.1%} alone, {size.mean():.2f} a home"
    )
    assert people.age.mean() + 0.5 == pytest.approx(38.2, abs=1.0)
    assert (people.age < 15).mean() == pytest.approx(0.187, abs=0.015)
    assert (people.age >= 65).mean() == pytest.approx(0.11, abs=0.02)
    assert alone == pytest.approx(0.322, abs=0.03)
    assert size.mean() == pytest.approx(2.45, abs=0.05)
    assert people.male.mean() == pytest.approx(0.5004, abs=0.005)


def test_households_are_families(sejong: City) -> None:
    people = sejong.population
    assert (np.diff(people.household) >= 0).all()
    assert (people.home == people.household_home[people.household]).all()
    grown = np.bincount(people.household, people.age >= 20)
    child = people.age < 20
    assert (grown[people.household[child]] == 0).mean() < 0.002, "hardly any child lives without an adult"
    eldest = np.zeros(len(people.household_home), int)
    np.maximum.at(eldest, people.household, people.age)
    gap = eldest[people.household[child]] - people.age[child]
    assert np.percentile(gap, 5) > 20
    assert np.percentile(gap, 95) < 50
    assert (sejong.places.district[people.home] == people.district).mean() > 0.999
    living = np.bincount(people.home, minlength=len(sejong.places.kind))
    flats = sejong.places.of(place.APARTMENT)
    assert living[flats].mean() == pytest.approx(sejong.places.capacity[flats].mean(), rel=0.05)


def test_people_work_and_learn(sejong: City) -> None:
    people, places = sejong.population, sejong.places
    busy = people.work >= 0
    kind = np.where(busy, places.kind[np.maximum(people.work, 0)], -1)
    pupils = (people.age >= 6) & (people.age < 12)
    assert (kind[pupils] == place.ELEMENTARY).all()
    employed = busy & (people.age >= 19) & (kind != place.UNIVERSITY)
    share = employed.sum() / (people.age >= 15).sum()
    away = (kind[employed] == place.ELSEWHERE).mean()
    metres = np.hypot(*(places.xy[people.home[employed]] - places.xy[people.work[employed]]).T)
    print(f"{share:.1%} employed, {away:.1%} of them outside, commute {np.median(metres) / 1000:.1f} km in the median")
    assert share == pytest.approx(0.63, abs=0.01)
    assert away == pytest.approx(0.30, abs=0.01)
    assert 2000 < np.median(metres) < 8000
    government = np.bincount(people.work[busy], minlength=len(places.kind))[places.of(place.GOVERNMENT)]
    assert government.sum() > 5000, "the government's offices are at work"


def test_the_whole_population_is_made_in_seconds(sejong: City) -> None:
    _ = sejong.places
    start = time.process_time()
    fresh = City(sejong.profile)
    fresh.__dict__.update(land=sejong.land, roads=sejong.roads, places=sejong.places)
    assert len(fresh.population) == 390_000
    took = time.process_time() - start
    print(f"390,000 people in {took:.2f} s of processor time")
    assert took < 4
