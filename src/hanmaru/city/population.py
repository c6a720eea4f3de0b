"""The people: every agent of the city as columns of arrays, with age, sex, household, home, and work or school.

The whole population is made at once and vectorised: ages are dealt to districts in quotas, so that totals and age
structure are exact; children are grouped with parents of fitting age; workers are sent to jobs by a doubly constrained
gravity model (Wilson 1967) over districts.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import places as place
from hanmaru.city.noise import Bools, Floats, Ints, generator, listed
from hanmaru.city.places import Places
from hanmaru.city.plane import nearest, tree
from hanmaru.city.profile import AGE_BANDS, Profile

NONE = -1


@dataclass(frozen=True, eq=False)
class Population:
    """n people, sorted by district, household: ``age`` years, ``male``, ``district`` (n,) index into the profile's
    districts, ``household`` (n,) index, ``home`` (n,) index into places, ``work`` (n,) the place of work, school or
    study, ``NONE`` for who stays at home; ``household_home`` (h,) each household's home.
    """

    age: Ints
    male: Bools
    district: Ints
    household: Ints
    home: Ints
    work: Ints
    household_home: Ints

    def __len__(self) -> int:
        """Return how many people there are."""
        return len(self.age)


def make(profile: Profile, places: Places) -> Population:
    """Return the city's people; takes about a second for 400,000."""
    rng = generator(profile.seed, "population")
    age, district = _ages(profile, rng)
    order, household, male = _households(profile, age, district, rng)
    age, district, male = age[order], district[order], male[order]
    first = np.flatnonzero(np.append(True, np.diff(household) != 0))
    size = np.diff(np.append(first, len(age)))
    household_home = _homes(places, district[first], size, rng)
    home = household_home[household]
    work = np.full(len(age), NONE)
    _schools(places, age, home, work, rng)
    _jobs(profile, places, age, district, work, rng)
    return Population(age, male, district, household, home, work, household_home)


def _ages(profile: Profile, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Deal ages to districts: each district's bands are exact, years within a band uniform (old age thins out)."""
    ages: list[Ints] = []
    districts: list[Ints] = []
    for i, (district, people) in enumerate(zip(profile.districts, listed(place.populations(profile)), strict=True)):
        bands = place.shares(np.array(profile.population.age_shares[district.kind]), people)
        for (low, high), count in zip(AGE_BANDS, listed(bands), strict=True):
            u = rng.random(count)
            ages.append((low + (u**2.2 if low == 80 else u) * (high - low)).astype(np.int64))
        districts.append(np.full(people, i))
    return np.concatenate(ages), np.concatenate(districts)


def _households(profile: Profile, age: Ints, district: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Bools]:
    """Group people into households; return the order that sorts people by household, the households, and the sexes.

    Children (under 20) come in families of one to three with one or two parents 24 to 46 years older than the eldest;
    other adults are couples or alone, in the number that gives the profile's mean household size.
    """
    n = len(age)
    young = age < 20
    male = rng.random(n) < profile.population.male_share
    key = np.full(n, -1)
    # Children of one district, by jittered age, in sibling groups.
    children = np.flatnonzero(young)
    children = children[np.lexsort((age[children] + rng.normal(0, 1.5, len(children)), district[children]))]
    family = _runs(district[children], rng.choice(3, len(children), p=(0.30, 0.55, 0.15)) + 1)
    key[children] = family
    families = int(family[-1]) + 1 if len(family) else 0
    eldest = np.zeros(families, np.int64)
    np.maximum.at(eldest, family, age[children])
    family_district = np.zeros(families, np.int64)
    family_district[family] = district[children]
    # Parents: adults of the district in order of age meet families in order of the eldest child's age.
    parents = np.repeat(np.arange(families), np.where(rng.random(families) < 0.88, 2, 1))
    wanted = eldest[parents] + 31 + rng.normal(0, 3.0, len(parents))
    adults = np.flatnonzero((age >= 25) & (age < 64))
    slots = np.lexsort((wanted, family_district[parents]))
    for d in np.unique(family_district).tolist():
        mine = slots[family_district[parents[slots]] == d]
        pool = adults[district[adults] == d]
        likely = np.exp(-(((age[pool] - 42) / 9.0) ** 2)) + 1e-6
        take = min(len(mine), len(pool))
        drawn = pool[np.argsort(-(np.log(likely) + rng.gumbel(size=len(pool))), kind="stable")[:take]]
        key[drawn[np.argsort(age[drawn], kind="stable")]] = parents[mine[:take]]
    # Everybody else: alone, couples, and parents with grown children, who sort among people of their parents' age.
    rest = np.flatnonzero(key < 0)
    at_home = (age[rest] < 33) & (rng.random(len(rest)) < 0.55)
    shown_age = age[rest] + 29 * at_home + rng.normal(0, 1.5, len(rest))
    rest = rest[np.lexsort((shown_age, district[rest]))]
    mean = len(rest) / max(1.0, n / profile.population.household_size - families)
    together = min(1.0, max(0.0, (mean - 1) / 1.55))  # 1.55 = 0.56 x 1 + 0.33 x 2 + 0.11 x 3 beside the first
    size = rng.choice(4, len(rest), p=(1 - together, 0.56 * together, 0.33 * together, 0.11 * together)) + 1
    key[rest] = families + _runs(district[rest], size)
    same = (key[rest][1:] == key[rest][:-1]) & (np.abs(np.diff(age[rest])) < 12) & (age[rest][1:] >= 25)
    same[1:] &= ~same[:-1]
    male[rest[1:][same]] = ~male[rest[:-1][same]]
    order = np.lexsort((-age, key, district))
    household = np.cumsum(np.append(0, np.diff(key[order]) != 0))
    grown = (age[order] >= 20) & (key[order] < families)
    second = np.flatnonzero(np.append(False, (household[1:] == household[:-1]) & grown[1:] & grown[:-1]))
    male_sorted = male[order]
    male_sorted[second] = ~male_sorted[second - 1]
    male[order] = male_sorted
    return order, household, male


def _runs(district: Ints, sizes: Ints) -> Ints:
    """Cut a sequence sorted by district into runs of the wanted sizes that never cross districts; number the runs."""
    ends = np.cumsum(sizes)
    ends = ends[: int(np.searchsorted(ends, len(district), side="left"))]
    start = np.zeros(len(district), bool)
    start[:1] = True
    start[ends[ends < len(district)]] = True
    start[1:] |= np.diff(district) != 0
    return np.cumsum(start) - 1


def _homes(places: Places, district: Ints, size: Ints, rng: np.random.Generator) -> Ints:
    """Fill each district's homes with its households, in random order, up to the homes' capacity."""
    homes = places.of(place.APARTMENT, place.HOUSE)
    homes = homes[np.argsort(places.district[homes], kind="stable")]
    seats = np.cumsum(places.capacity[homes])
    out = np.empty(len(district), np.int64)
    shuffled = np.lexsort((rng.random(len(district)), district))
    people = np.cumsum(size[shuffled]) - size[shuffled]
    where = places.district[homes]
    for d in np.unique(district).tolist():
        mine = np.flatnonzero(district[shuffled] == d)
        own = np.flatnonzero(where == d)
        if not len(own):
            own = np.arange(len(homes))
        before = seats[own[0]] - places.capacity[homes[own[0]]]
        reach = seats[own[-1]] - before
        share = (people[mine] - people[mine[0]]) / max(1, people[mine[-1]] - people[mine[0]] + size[shuffled[mine[-1]]])
        out[shuffled[mine]] = homes[own[np.searchsorted(seats[own] - before, share * reach, side="right")]]
    return out


def _schools(places: Places, age: Ints, home: Ints, work: Ints, rng: np.random.Generator) -> None:
    """Send children to the nearest school of their age, and a part of the twenties to university."""
    for kind, low, high, part in (
        (place.KINDERGARTEN, 3, 6, 0.93),
        (place.ELEMENTARY, 6, 12, 1.0),
        (place.MIDDLE, 12, 15, 1.0),
        (place.HIGH, 15, 18, 0.97),
    ):
        schools = places.of(kind)
        pupils = np.flatnonzero((age >= low) & (age < high) & (rng.random(len(age)) < part))
        index = tree(places.xy[schools])
        lived, back = np.unique(home[pupils], return_inverse=True)
        work[pupils] = schools[nearest(index, places.xy[lived])][back]
    campuses = places.of(place.UNIVERSITY)
    students = np.flatnonzero((age >= 19) & (age < 26))
    seats = int(places.capacity[campuses].sum())
    enrolled = rng.permutation(students)[: min(seats, int(0.5 * len(students)))]
    work[enrolled] = campuses[rng.integers(0, len(campuses), len(enrolled))]


def _jobs(profile: Profile, places: Places, age: Ints, district: Ints, work: Ints, rng: np.random.Generator) -> None:
    """Give the employed a workplace: some leave the city, the others by gravity over districts, then by job."""
    adults = np.flatnonzero((age >= 19) & (work == NONE))
    likely = np.interp(age[adults], (19, 24, 30, 50, 60, 66, 75, 90), (0.25, 0.6, 0.86, 0.86, 0.72, 0.42, 0.25, 0.03))
    wanted = profile.population.employed_share * float((age >= 15).sum())
    scale = wanted / likely.sum()
    employed = adults[rng.random(len(adults)) < np.minimum(likely * scale, 0.97)]
    leaves = rng.random(len(employed)) < profile.population.out_commuter_share
    ways_out = places.of(place.ELSEWHERE)
    index = tree(places.xy[ways_out])
    out = employed[leaves]
    seats = np.array([places.xy[places.district == d].mean(axis=0) for d in range(len(profile.districts))])
    work[out] = ways_out[nearest(index, seats[district[out]] + rng.normal(0, 9000, (len(out), 2)))]
    stays = employed[~leaves]
    sites = places.of(*place.WORKPLACES)
    jobs = np.bincount(places.district[sites], places.capacity[sites], minlength=len(seats))
    workers = np.bincount(district[stays], minlength=len(seats)).astype(float)
    flow = _gravity(workers, jobs * workers.sum() / jobs.sum(), seats)
    order = sites[np.argsort(places.district[sites], kind="stable")]
    edge = np.append(0.0, np.cumsum(places.capacity[order]))
    first = np.searchsorted(places.district[order], np.arange(len(seats) + 1))
    by_district = stays[np.lexsort((rng.random(len(stays)), district[stays]))]
    goal = np.empty(len(by_district), np.int64)
    start = 0
    for d in range(len(seats)):
        count = int(workers[d])
        cumulative = np.cumsum(flow[d]) / max(flow[d].sum(), 1e-12)
        goal[start : start + count] = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
        start += count
    goal = np.minimum(goal, len(seats) - 1)
    low, high = edge[first[goal]], edge[first[goal + 1]]
    job = np.searchsorted(edge, low + (high - low) * rng.random(len(goal)), side="right") - 1
    work[by_district] = order[np.minimum(job, len(order) - 1)]


def _gravity(workers: Floats, jobs: Floats, middle: Floats, scale_m: float = 6000) -> Floats:
    """Return flows (origin, destination) that fit both margins and fall off with distance (Furness iteration)."""
    metres = np.hypot(middle[:, None, 0] - middle[None, :, 0], middle[:, None, 1] - middle[None, :, 1])
    flow = np.exp(-metres / scale_m)
    for _ in range(25):
        flow *= (workers / np.maximum(flow.sum(axis=1), 1e-12))[:, None]
        flow *= jobs / np.maximum(flow.sum(axis=0), 1e-12)
    return flow
