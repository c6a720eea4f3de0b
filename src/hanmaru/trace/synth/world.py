"""A stretch of the simulated city's life with known truth: some of its people for some days, as phones see it."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np

from hanmaru.city import days as city_days
from hanmaru.city import encounters as city_encounters
from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.encounters import Encounters
from hanmaru.city.noise import Ints
from hanmaru.city.plane import nearest, tree
from hanmaru.trace.synth import cameras, cells, checkins, epidemic, paths, payments, phones, spots
from hanmaru.trace.synth.cameras import Cameras, Passes
from hanmaru.trace.synth.cells import Network
from hanmaru.trace.synth.checkins import Checkins, Fixes
from hanmaru.trace.synth.epidemic import Infections
from hanmaru.trace.synth.paths import Moves, Ways
from hanmaru.trace.synth.payments import Merchants, Payments
from hanmaru.trace.synth.phones import Events, Phones
from hanmaru.trace.synth.spots import Spots

IMPORTED, PEOPLE_AN_IMPORTED, RUN_UP_DAYS = 30, 4000, 10
"""Infections from outside the city with which the epidemic begins, more where there are more people to a case; and how
many days a world and what lies before it have at least, so that cases are reported on its days."""
NEIGHBOURS = 0.6
"""The share of a sample that lives in one neighbourhood; the others work or learn together with them."""


@dataclass(frozen=True, eq=False)
class World:
    """``people`` are indices into the city's population, ascending; ``seed`` is that of what is recorded about them
    (where people go is the city's own). Parts are made when first asked for.
    """

    city: City
    people: Ints
    first_day: date
    n_days: int
    seed: int
    layout: str

    def midnight(self, day: int) -> int:
        """Return when a day (0 the first) begins in the city's zone, Unix seconds."""
        return city_days.midnight(self.city, self.first_day + timedelta(day))

    @cached_property
    def inside(self) -> Ints:
        """The places in the city, without the ways out."""
        return np.flatnonzero(self.city.places.kind != place.ELSEWHERE)

    @cached_property
    def days(self) -> Days:
        """Where everybody is."""
        return city_days.make(self.city, self.first_day, self.n_days, self.people)

    @property
    def network(self) -> Network:
        """The carriers' cells."""
        return heard(self.city, self.layout)[0]

    @property
    def spots(self) -> Spots:
        """What phones hear where."""
        return heard(self.city, self.layout)[1]

    @cached_property
    def ways(self) -> Ways:
        """The ways to wherever somebody goes."""
        return paths.make(self.city, np.unique(self.city.places.node[self.days.place]))

    @cached_property
    def moves(self) -> Moves:
        """How everybody gets from visit to visit."""
        return paths.moves(self.city, self.spots, self.days, self.seed)

    @cached_property
    def shops(self) -> Merchants:
        """Who takes payments."""
        return payments.merchants(self.city, self.spots)

    @cached_property
    def cameras(self) -> Cameras:
        """The public cameras."""
        return cameras.make(self.city)

    @cached_property
    def encounters(self) -> Encounters:
        """Who of the people meets whom face to face, in the company of the whole city."""
        everybody = city_days.make(self.city, self.first_day, self.n_days)
        met = city_encounters.make(self.city, everybody, self.people)
        both = np.isin(met.a, self.people) & np.isin(met.b, self.people)
        return Encounters(*(getattr(met, f)[both] for f in Encounters.__dataclass_fields__))

    @cached_property
    def infections(self) -> Infections:
        """Who of the people infected whom; also before the first day, in worlds of less than ten."""
        before = max(0, RUN_UP_DAYS - self.n_days)
        return epidemic.make(
            self.city,
            self.first_day - timedelta(before),
            before + self.n_days,
            self.people,
            imported=min(max(IMPORTED, len(self.people) // PEOPLE_AN_IMPORTED), len(self.people)),
            seed=self.seed,
        )

    @cached_property
    def phones(self) -> Phones:
        """Everybody's phones."""
        return phones.make(self.city, self.seed)

    def events(self, day: int, people: Ints | None = None) -> Events:
        """Return a day's phone events of all people or of some (ascending)."""
        who = self.people if people is None else people
        at = self.midnight(day)
        return phones.events(self.city, self.network, self.spots, self.ways, self.phones, self.days, who, at, self.seed)

    def paid(self, day: int, people: Ints | None = None) -> Payments:
        """Return a day's card records of what all people, or some whole households (ascending), paid."""
        who = self.people if people is None else people
        trips = self.moves if people is None else paths.select(self.moves, np.isin(self.moves.person, people))
        at = self.midnight(day)
        return payments.make(self.city, self.spots, self.ways, self.shops, self.days, trips, who, at, self.seed)

    def checked_in(self, day: int) -> Checkins:
        """Return a day's QR check-ins."""
        return checkins.make(self.city, self.phones, self.days, self.midnight(day), self.seed)

    def fixes(self, day: int) -> Fixes:
        """Return a day's satellite fixes."""
        at = self.midnight(day)
        return checkins.fixes(self.city, self.spots, self.ways, self.phones, self.days, self.moves, at, self.seed)

    @cached_property
    def passes(self) -> Passes:
        """Who passes which camera when."""
        return cameras.passes(self.city, self.cameras, self.spots, self.ways, self.days, self.moves, self.seed)


@lru_cache(maxsize=4)
def heard(city: City, layout: str) -> tuple[Network, Spots]:
    """Return a layout's cells and what phones hear of them, made once."""
    network = cells.make(city, layout)
    return network, spots.make(city, network)


def sample(city: City, people: int) -> Ints:
    """Return about so many people of the city, ascending, never part of a household.

    People drawn at random would hardly ever meet: with 1 % of the city, 1 % of everybody's contacts. So a sample is
    dense: 60 % are one neighbourhood (all homes nearest to a point of the most populous district, which keeps whole
    blocks of flats and most of the schools and shops around), the rest those who work or learn where most of these
    do, with their households.
    """
    p, places = city.population, city.places
    if people >= len(p):
        return np.arange(len(p))
    size = np.bincount(p.household)
    homes = places.of(place.APARTMENT, place.HOUSE)
    busiest = int(np.bincount(p.district).argmax())
    inside = homes[places.district[homes] == busiest]
    middle = places.xy[inside[nearest(tree(places.xy[inside]), places.xy[inside].mean(axis=0)[None, :])[0]]]
    metres = np.hypot(*(places.xy[p.household_home] - middle).T)
    near = np.argsort(metres, kind="stable")
    taken = np.zeros(len(size), np.bool_)
    taken[near[: np.searchsorted(np.cumsum(size[near]), people * NEIGHBOURS) + 1]] = True
    works = p.work[taken[p.household]]
    works = works[works >= 0]
    works = works[places.kind[works] != place.ELSEWHERE]
    counts = np.bincount(works, minlength=len(places.kind))
    # Where many of the neighbourhood are for the size of the place, so that whole units come in.
    staff = np.bincount(p.work[p.work >= 0], minlength=len(places.kind))
    share = counts / np.maximum(staff, 1) * (counts > 1)
    total = int(size[taken].sum())
    for where in np.argsort(-share * np.sqrt(counts), kind="stable").tolist():
        if total >= people or share[where] == 0:
            break
        new = np.unique(p.household[p.work == where])
        new = new[~taken[new]]
        fits = new[: int(np.searchsorted(np.cumsum(size[new]), people - total, side="right"))]
        taken[fits] = True
        total += int(size[fits].sum())
    return np.flatnonzero(taken[p.household])
