"""Places: where people live, work, learn, shop, are cared for and rest, with a position and a capacity each."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city.land import Land
from hanmaru.city.noise import Floats, Ints, generator, listed
from hanmaru.city.plane import contains
from hanmaru.city.profile import Name, Profile
from hanmaru.city.roads import Roads

KINDS = (
    "apartment",
    "house",
    "kindergarten",
    "elementary_school",
    "middle_school",
    "high_school",
    "university",
    "office",
    "government",
    "factory",
    "shop",
    "clinic",
    "hospital",
    "park",
    "elsewhere",
)
"""Kinds of place; arrays hold their index. ``elsewhere`` are the ways out of the city, for who works outside it."""

(
    APARTMENT,
    HOUSE,
    KINDERGARTEN,
    ELEMENTARY,
    MIDDLE,
    HIGH,
    UNIVERSITY,
    OFFICE,
    GOVERNMENT,
    FACTORY,
    SHOP,
    CLINIC,
    HOSPITAL,
    PARK,
    ELSEWHERE,
) = range(len(KINDS))

WORKPLACES = (OFFICE, GOVERNMENT, FACTORY, SHOP)

NAMES: tuple[Name, ...] = tuple(
    Name(ko=ko, en=en)
    for ko, en in (
        ("아파트", "Apartments"),
        ("주택", "House"),
        ("유치원", "Kindergarten"),
        ("초등학교", "Elementary School"),
        ("중학교", "Middle School"),
        ("고등학교", "High School"),
        ("대학교", "University"),
        ("업무시설", "Offices"),
        ("청사", "Government Building"),
        ("공장", "Works"),
        ("상가", "Shops"),
        ("의원", "Clinic"),
        ("병원", "Hospital"),
        ("공원", "Park"),
        ("시외", "Out of Town"),
    )
)

# Residents for one school, from Sejong's schools and people of 2023: about 65 kindergartens, 53 elementary, 28 middle
# and 21 high schools (Sejong Office of Education, rounded).
_PEOPLE_A_SCHOOL = ((KINDERGARTEN, 6000), (ELEMENTARY, 7300), (MIDDLE, 14000), (HIGH, 18500))
_SCHOOL_SEATS = {KINDERGARTEN: 180, ELEMENTARY: 620, MIDDLE: 560, HIGH: 640}


@dataclass(frozen=True, eq=False)
class Places:
    """p places: ``kind`` (p,) index into KINDS, ``xy`` (p, 2) metres, ``lonlat`` (p, 2), ``capacity`` (p,) people,
    ``district`` (p,) index into the profile's districts, ``node`` (p,) the road node it is reached from.
    """

    kind: Ints
    xy: Floats
    lonlat: Floats
    capacity: Ints
    district: Ints
    node: Ints

    def of(self, *kinds: int) -> Ints:
        """Return the indices of the places of some kinds."""
        return np.flatnonzero(np.isin(self.kind, kinds))


def populations(profile: Profile) -> Ints:
    """Return the people of each district: the published shares, scaled to the city's total exactly."""
    return shares(np.array([d.population for d in profile.districts], float), profile.population.total)


def shares(weights: Floats, total: int) -> Ints:
    """Divide a whole number by weights (largest remainders)."""
    exact = weights / weights.sum() * total
    out = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - out), kind="stable")
    out[order[: total - int(out.sum())]] += 1
    return out


def make(profile: Profile, land: Land, roads: Roads) -> Places:
    """Return the places of a city. Homes hold all its people; their capacity is exact to one household."""
    rng = generator(profile.seed, "places")
    people = populations(profile)
    kind: list[Ints] = []
    district: list[Ints] = []
    capacity: list[Ints] = []

    def add(what: int, where: int, seats: Ints) -> None:
        kind.append(np.full(len(seats), what))
        district.append(np.full(len(seats), where))
        capacity.append(seats)

    for i, (d, n) in enumerate(zip(profile.districts, listed(people), strict=True)):
        in_flats = {"dong": 0.985, "eup": 0.62, "myeon": 0.16}[d.kind] * n
        for what, part, mean in ((APARTMENT, in_flats, 110.0), (HOUSE, n - in_flats, 2.6)):
            count = int(np.ceil(part / mean))
            if count:
                size = 0.6 + 0.8 * rng.random(count)
                add(what, i, np.maximum(1, np.ceil(size / size.sum() * part)).astype(np.int64))
        for what, size in _jobs(d.kind, d.zone, d.jobs):
            add(what, i, size * np.ones(1, np.int64) if what == GOVERNMENT else _sizes(rng, size, what))
        add(CLINIC, i, np.full(round(n / 1100), 25))
        add(PARK, i, np.full(max(1, round(d.area_km2 * (2.0 if d.kind == "dong" else 0.12))), 150))
    for what, each in _PEOPLE_A_SCHOOL:
        count = shares(people.astype(float), max(1, round(profile.population.total / each)))
        for i, c in enumerate(listed(count)):
            add(what, i, np.full(c, _SCHOOL_SEATS[what]))
    busiest = np.argsort(-people, kind="stable")
    eups = [i for i, d in enumerate(profile.districts) if d.kind == "eup"] or [int(busiest[0])]
    for where in eups[:1] * (2 if profile.population.total > 100_000 else 1):
        add(UNIVERSITY, where, np.array([max(300, round(profile.population.total * 0.019))]))
    for where in busiest[: max(1, round(profile.population.total / 45_000))].tolist():
        add(HOSPITAL, int(where), np.array([240]))
    kinds, districts = np.concatenate(kind), np.concatenate(district)
    xy, node = _beside_roads(roads, land, districts, kinds, rng)
    ways_out = roads.gateways
    return Places(
        kind=np.append(kinds, np.full(len(ways_out), ELSEWHERE)),
        xy=np.vstack((xy, roads.xy[ways_out])),
        lonlat=land.plane.lonlat(np.vstack((xy, roads.xy[ways_out]))),
        capacity=np.append(np.concatenate(capacity), np.full(len(ways_out), profile.population.total)),
        district=np.append(districts, roads.district[ways_out]),
        node=np.append(node, ways_out),
    )


def _jobs(kind: str, zone: int | None, jobs: int) -> list[tuple[int, int]]:
    """Divide a district's jobs among kinds of workplace; the densest dong of offices is the government's."""
    if kind == "dong":
        government = round(jobs * 0.62) if zone is not None and jobs >= 25_000 else 0
        rest = jobs - government
        campuses = [(GOVERNMENT, government // 15)] * 15 if government else []
        return [*campuses, (OFFICE, round(rest * 0.62)), (SHOP, round(rest * 0.38))]
    if kind == "eup":
        return [(OFFICE, round(jobs * 0.42)), (SHOP, round(jobs * 0.40)), (FACTORY, round(jobs * 0.18))]
    return [(OFFICE, round(jobs * 0.15)), (SHOP, round(jobs * 0.15)), (FACTORY, round(jobs * 0.70))]


_MEAN_SIZE = {OFFICE: 22.0, SHOP: 5.0, FACTORY: 38.0}


def _sizes(rng: np.random.Generator, total: int, what: int) -> Ints:
    """Return workplace sizes that sum to about ``total``: log-normal, as sizes of establishments are."""
    mean = _MEAN_SIZE[what]
    count = max(1, round(total / mean))
    raw = np.exp(rng.standard_normal(count))
    return np.maximum(np.rint(raw / raw.sum() * total).astype(np.int64), 1)


def _beside_roads(
    roads: Roads, land: Land, district: Ints, kind: Ints, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Return positions (p, 2) 15-70 m off streets of each place's district, on dry land inside the city, and nodes."""
    edge_district = roads.district[roads.source]
    weight = roads.length_m * np.asarray([1.0, 0.25, 0.4, 0.4, 0.05])[roads.road_class]
    order = np.argsort(edge_district, kind="stable")
    total = np.append(0.0, np.cumsum(weight[order]))
    first: Ints = np.searchsorted(edge_district[order], np.arange(int(district.max()) + 2))
    for i in listed(np.flatnonzero(first[:-1] == first[1:])):  # no street of its own: its nearest street's district
        middle = land.districts[i].representative_point()
        near = roads.nearest(np.array([[middle.x, middle.y]]))[0]
        district = np.where(district == i, roads.district[near], district)
    xy = np.empty((len(district), 2))
    node = np.empty(len(district), np.int64)
    todo = np.arange(len(district))
    ground = land.boundary.buffer(-5)
    for attempt in range(9):
        low, high = total[first[district[todo]]], total[first[district[todo] + 1]]
        edge = order[np.searchsorted(total, low + (high - low) * rng.random(len(todo)), side="right") - 1]
        a, b = roads.xy[roads.source[edge]], roads.xy[roads.target[edge]]
        along = rng.uniform(0.12, 0.88, len(todo))
        side = np.where(rng.random(len(todo)) < 0.5, -1.0, 1.0)
        off: Floats = rng.uniform(12, 40, len(todo)) + np.where(kind[todo] == HOUSE, 0.0, 25.0)
        normal = np.stack((a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]), axis=1) / roads.length_m[edge][:, None]
        spot = a + (b - a) * along[:, None] + normal * (side * off)[:, None]
        if attempt == 8:  # on the street itself, which is inside by construction
            spot = a
        good = contains(ground, spot)
        if attempt < 8:
            for water in land.water:
                good &= ~contains(water, spot)
        xy[todo[good]] = spot[good]
        node[todo[good]] = np.where(along < 0.5, roads.source[edge], roads.target[edge])[good]
        todo = todo[~good]
        if not len(todo):
            break
    return xy, node


def name(places: Places, profile: Profile, index: int) -> Name:
    """Return a place's name: its district's, what it is, and its number there."""
    what, where = int(places.kind[index]), int(places.district[index])
    same = np.flatnonzero((places.kind == what) & (places.district == where))
    number = int(np.searchsorted(same, index)) + 1
    district, label = profile.districts[where].name, NAMES[what]
    return Name(ko=f"{district.ko} {label.ko} {number}", en=f"{district.en} {label.en} {number}")
