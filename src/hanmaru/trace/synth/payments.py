"""What card firms and the transit-card firm record: payments at places and in passing, online purchases, bus taps.

An adult pays 1.6 times a day by card on average (the order of the Bank of Korea's statistics for personal cards).
Records are wrong in the ways that Korean investigators met: booked late, bought online, paid with the card of somebody
else in the family, or at a merchant whose address is its head office's.
"""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import days as city_days
from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.noise import Bools, Floats, Ints, channel, gaussian, uniform
from hanmaru.city.plane import nearest, tree
from hanmaru.trace.synth import near, paths
from hanmaru.trace.synth.paths import Moves, Ways
from hanmaru.trace.synth.spots import Spots

PAYMENTS_A_DAY = 1.6
ONLINE, DELIVERED = 0.20, 0.05
"""The share of payments that are online wherever one is, and that go to a shop which delivers. With those of people who
stay at home a quarter is online (Statistics Korea: online shopping's share of retail sales)."""
BATCHED, LATE = 0.03, 0.04
"""The share of payments in person whose time is that of the evening's batch, and of those booked 12-72 hours later."""
BORROWED = 0.04
"""The share of payments made with another's card, of those by adults who do not live alone."""
HEAD_OFFICE, MISPLACED = 0.04, 0.03
"""The share of merchants with their head office's address, and with one 200 to 1,500 m off."""
MISSED_TAP = 0.05
"""The share of rides without a tap on alighting."""

OK, IS_ONLINE, IS_DELIVERED, IS_BATCHED, IS_LATE = range(5)
ERRORS = ("", "online", "delivered", "batched", "late-posting")
CHANNELS = ("in-person", "online", "unknown")
CATEGORIES = (*venues.USES[:7], "hospital", "clinic", "online", "out-of-town", "transit-stop")
_HEAD_OFFICE = (126.978, 37.566)  # Seoul
_PASSING_M = 500.0
_ONLINE_FIRMS = 60
_STOP_M = 400.0
_PRICE = np.array([14_000, 19_000, 6_500, 42_000, 60_000, 30_000, 150_000, 45_000, 12_000, 28_000, 15_000, 1_400])


@dataclass(frozen=True, eq=False, slots=True)
class Merchants:
    """m merchants: ``place`` (m,) where it truly is or -1, ``xy`` (m, 2) its true position, ``lonlat`` (m, 2) the
    address on file, ``category`` (m,) index into `CATEGORIES`, ``online`` (m,); ``of_place`` (p,) the merchant of a
    place or -1, ``near`` (p, 4) those around it. Those of places come first; ``online_from``, ``outside_from`` (one for
    each place out of town) and ``stop_from`` say where the others begin.
    """

    place: Ints
    xy: Floats
    lonlat: Floats
    category: Ints
    online: Bools
    of_place: Ints
    near: Ints
    online_from: int
    outside_from: int
    stop_from: int

    def __len__(self) -> int:
        """Return how many merchants there are."""
        return len(self.place)


@dataclass(frozen=True, eq=False, slots=True)
class Payments:
    """c records, sorted by subject, time. ``subject`` (c,) whose card it is, ``payer`` who paid, ``time_s`` what the
    record says, ``true_s`` when it was, ``merchant``, ``amount_krw``, ``transit`` (c,) whether a tap, ``posted_s``,
    ``channel`` index into `CHANNELS`, ``error`` index into `ERRORS`.
    """

    subject: Ints
    payer: Ints
    time_s: Ints
    true_s: Ints
    merchant: Ints
    amount_krw: Ints
    transit: Bools
    posted_s: Ints
    channel: Ints
    error: Ints

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.subject)


def merchants(city: City, spots: Spots) -> Merchants:
    """Return the merchants of a city: its shops, clinics and hospitals, firms online, shops out of town, bus stops."""
    p, seed = city.places, city.profile.seed
    use = city_days.habits(city)[1].use
    here = np.flatnonzero(((use >= 0) & (use < 7)) | np.isin(p.kind, (place.CLINIC, place.HOSPITAL)))
    category = np.where(
        p.kind[here] == place.HOSPITAL, 7, np.where(p.kind[here] == place.CLINIC, 8, np.clip(use[here], 0, 6))
    )
    n, out = len(here), spots.outside
    stops = _stops(city)
    xy = np.concatenate((p.xy[here], np.zeros((_ONLINE_FIRMS, 2)), spots.xy[out], stops))
    lonlat = city.land.plane.lonlat(xy)
    number = np.arange(len(xy))
    draw = uniform(seed, channel("merchant/address"), number)
    turn = 2 * np.pi * uniform(seed, channel("merchant/turn"), number)
    off = 200 + 1300 * uniform(seed, channel("merchant/off"), number)
    wrong = (number < n) & (draw < HEAD_OFFICE + MISPLACED)
    moved = city.land.plane.lonlat(xy + np.stack((np.cos(turn), np.sin(turn)), axis=1) * off[:, None])
    lonlat[wrong] = moved[wrong]
    online = (number >= n) & (number < n + _ONLINE_FIRMS)
    far = online | ((number < n) & (draw < HEAD_OFFICE))
    lonlat[far] = np.asarray(_HEAD_OFFICE) + 0.03 * np.stack((np.cos(turn), np.sin(turn)), axis=1)[far]
    of_place = np.full(len(p.kind), -1)
    of_place[here] = np.arange(n)
    return Merchants(
        place=np.append(here, np.full(len(xy) - n, -1)),
        xy=xy,
        lonlat=lonlat,
        category=np.concatenate((category, np.full(_ONLINE_FIRMS, 9), np.full(len(out), 10), np.full(len(stops), 11))),
        online=online,
        of_place=of_place,
        near=_near(p.xy, p.xy[here]),
        online_from=n,
        outside_from=n + _ONLINE_FIRMS,
        stop_from=n + _ONLINE_FIRMS + len(out),
    )


def _near(xy: Floats, shops: Floats) -> Ints:
    """Return the (up to) four merchants within `_PASSING_M` of each place, nearest first, -1 after them."""
    return near.nearest(shops, xy, 4, _PASSING_M)


def _stops(city: City) -> Floats:
    """Return the bus stops: crossings of main streets and what stands for them in villages, some 400 m apart."""
    r = city.roads
    main = np.zeros(len(r.xy), np.bool_)
    main[r.source[r.road_class >= 1]] = True
    nodes = np.flatnonzero(main)
    square = np.floor(r.xy[nodes] / _STOP_M).astype(np.int64)
    return r.xy[nodes[np.unique(square, axis=0, return_index=True)[1]]]


def make(
    city: City,
    spots: Spots,
    ways: Ways,
    shops: Merchants,
    days: Days,
    moves: Moves,
    people: Ints,
    day_s: int,
    seed: int,
) -> Payments:
    """Return the records of what some people (ascending) paid in the 24 hours from ``day_s``, taps included."""
    paid = _cards(city, spots, shops, days, people, day_s, seed)
    taps = _taps(ways, spots, shops, moves, day_s, seed)
    both = Payments(*(np.concatenate((getattr(paid, f), getattr(taps, f))) for f in Payments.__dataclass_fields__))
    order = np.lexsort((both.time_s, both.subject))
    return Payments(*(getattr(both, f)[order] for f in Payments.__dataclass_fields__))


def _cards(city: City, spots: Spots, shops: Merchants, days: Days, people: Ints, day_s: int, seed: int) -> Payments:
    population = city.population
    adults = people[population.age[people] >= 19]

    def draw(label: str, *keys: Ints) -> Floats:
        return uniform(seed, channel("pay/" + label), *keys, day_s)

    rate = PAYMENTS_A_DAY * np.exp(0.5 * gaussian(seed, channel("pay/rate"), adults) - 0.125)
    count = _poisson(rate, draw("count", adults))
    who = np.repeat(adults, count)
    k = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    u = draw("kind", who, k)
    error = np.where(u < ONLINE, IS_ONLINE, np.where(u < ONLINE + DELIVERED, IS_DELIVERED, OK))
    visit, known = _visits(city, shops, days, who, error == IS_DELIVERED, day_s, draw("visit", who, k))
    error[~known] = IS_ONLINE
    part = draw("part", who, k)
    spot = days.place[visit]
    merchant = shops.of_place[spot]
    start, end = np.maximum(days.start_s[visit], day_s), np.minimum(days.end_s[visit], day_s + 86400)
    bought = (merchant >= 0) & (spot != population.work[who])
    passing = ~bought | (error == IS_DELIVERED)
    nearby = shops.near[spot, np.minimum((draw("near", who, k) ** 1.5 * 4).astype(np.int64), 3)]
    nearby = np.where(nearby < 0, shops.near[spot, 0], nearby)
    merchant = np.where(passing, nearby, merchant)
    out = city.places.kind[spot] == place.ELSEWHERE
    outside = spots.of(city.profile.seed, who, spot) - spots.outside[0] + shops.outside_from
    merchant = np.where(out, outside, merchant)
    inside = start + (end - start) * (0.4 + 0.6 * part)
    before = days.start_s[visit] >= day_s + 1800
    indoors = passing & ~out & (error != IS_DELIVERED) & ~before & (days.end_s[visit] >= day_s + 86100)
    error[indoors] = IS_ONLINE  # who does not leave the house pays nobody in passing
    edge = np.where(before, start - 60 - 180 * part, end + 60 + 180 * part)
    # Who delivers is paid while one is at home; other purchases in passing are made on arriving or leaving.
    true = np.where(passing & ~out & (error != IS_DELIVERED), edge, inside)
    true = np.where(error == IS_ONLINE, day_s + (7.5 + 16.4 * part) * 3600, true)
    lost = (error != IS_ONLINE) & (merchant < 0)
    error[lost] = IS_ONLINE
    firm = shops.online_from + (draw("firm", who, k) ** 2 * _ONLINE_FIRMS).astype(np.int64)
    merchant = np.where(error == IS_ONLINE, firm, merchant)
    true = np.clip(true, day_s, day_s + 86399).astype(np.int64)
    fate = draw("fate", who, k)
    error = np.where((error == OK) & (fate < BATCHED), IS_BATCHED, error)
    error = np.where((error == OK) & (fate > 1 - LATE), IS_LATE, error)
    evening = day_s + 22 * 3600 + (1800 * part).astype(np.int64)
    batch = np.where(true < evening, evening, day_s + 29 * 3600 + (1800 * part).astype(np.int64))
    time = np.where(error == IS_BATCHED, batch, true)
    wait = np.where(error == IS_LATE, 12 * 3600 + part * 60 * 3600, 2 + 90 * part)
    card = _cards_of(city, who, draw("card", who, k), draw("whose", who, k))
    said = draw("channel", who, k)
    remote = (error == IS_ONLINE) | (error == IS_DELIVERED)
    said_as = np.where(remote, np.where(said < 0.55, 1, 2), np.where(said < 0.8, 0, 2))
    amount = _PRICE[shops.category[merchant]] * np.exp(0.7 * gaussian(seed, channel("pay/amount"), who, k, day_s))
    return Payments(
        card, who, time, true, merchant, np.maximum(np.rint(amount / 100) * 100, 500).astype(np.int64),
        np.zeros(len(who), np.bool_), (time + wait).astype(np.int64), said_as, error,
    )  # fmt: skip


def _poisson(rate: Floats, u: Floats) -> Ints:
    """Return Poisson numbers for uniform ones, at most 15."""
    term = np.exp(-rate)
    total, count = term.copy(), np.zeros(len(u), np.int64)
    for k in range(1, 16):
        count += u > total
        term = term * rate / k
        total += term
    return count


def _visits(
    city: City, shops: Merchants, days: Days, who: Ints, home: Bools, day_s: int, u: Floats
) -> tuple[Ints, Bools]:
    """Return for each payment the visit that it belongs to, and whether there is one.

    Shopping is paid for first; else one pays in passing, on the way to or from somewhere. Deliveries are paid at home.
    """
    own = city.population
    today = (days.start_s < day_s + 86400) & (days.end_s > day_s)
    at_shop = (shops.of_place[days.place] >= 0) & (days.place != own.work[days.person])
    at_home = days.place == own.home[days.person]
    waking = days.end_s > day_s + 6 * 3600
    out = np.zeros(len(who), np.int64)
    known = np.zeros(len(who), np.bool_)
    first, last = np.searchsorted(days.person, who), np.searchsorted(days.person, who, side="right")
    weights = np.where(at_shop, 8.0, np.where(at_home, 0.25, 1.0)) * (today & waking)
    for mine, weight in ((~home, weights), (home, (at_home & today & waking).astype(float))):
        total = np.append(0.0, np.cumsum(weight))
        low, high = total[first[mine]], total[last[mine]]
        at = np.searchsorted(total, low + (high - low) * u[mine], side="right") - 1
        out[mine] = np.minimum(at, len(days) - 1)
        known[mine] = high > low
    return out, known


def _cards_of(city: City, who: Ints, u: Floats, which: Floats) -> Ints:
    """Return whose card each payment is made with: one's own, or now and then that of another adult at home."""
    household = city.population.household
    adults = np.bincount(household[city.population.age >= 19], minlength=int(household[-1]) + 1)[household[who]]
    first = np.searchsorted(household, household[who])  # a household's people are in order of age, the eldest first
    other = first + (who - first + 1 + (which * (adults - 1)).astype(np.int64)) % np.maximum(adults, 1)
    return np.where((u < BORROWED) & (adults > 1), other, who)


def _taps(ways: Ways, spots: Spots, shops: Merchants, moves: Moves, day_s: int, seed: int) -> Payments:
    """Return the taps on boarding and alighting: at the stop nearest to the way after its first and last eighth."""
    rides = (moves.mode == paths.TRANSIT) & (moves.start_s >= day_s) & (moves.start_s < day_s + 86400)
    trip = paths.select(moves, rides)
    stops = tree(shops.xy[shops.stop_from :])
    rows: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    for share, fare in ((0.12, 1400), (0.88, 0)):
        kept = np.ones(len(trip), np.bool_)
        if fare == 0:
            kept = uniform(seed, channel("pay/tap"), trip.person, trip.start_s) >= MISSED_TAP
        some = paths.select(trip, kept)
        xy = paths.at_share(ways, spots, some, np.full(len(some), share))
        stop = shops.stop_from + (nearest(stops, xy) if len(some) else np.empty(0, np.int64))
        at = some.start_s + ((some.end_s - some.start_s) * share).astype(np.int64)
        rows.append((some.person, at, stop, np.full(len(some), fare), at + 3600 * 20))
    who, at, stop, fare, posted = (np.concatenate(column) for column in zip(*rows, strict=True))
    none = np.zeros(len(who), np.int64)
    return Payments(who, who, at, at, stop, fare, np.ones(len(who), np.bool_), posted, none, none)
