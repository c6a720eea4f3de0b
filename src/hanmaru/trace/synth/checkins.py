"""QR check-ins at some venues by some visitors, and the satellite fixes of the few who consented to share them."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city import days as city_days
from hanmaru.city import places as place
from hanmaru.city import venues
from hanmaru.city.build import City
from hanmaru.city.days import Days
from hanmaru.city.noise import Bools, Floats, Ints, channel, gaussian, uniform
from hanmaru.trace.synth import paths
from hanmaru.trace.synth.paths import Moves, Ways
from hanmaru.trace.synth.phones import Phones
from hanmaru.trace.synth.spots import Spots

USES = (venues.RESTAURANT, venues.CAFE, venues.BAR, venues.GYM, venues.CHURCH, venues.ACADEMY)
KINDS = (place.HOSPITAL, place.GOVERNMENT, place.CLINIC)
"""What has a code at its door, as Korea required of such places in 2020-21."""
TAKING_PART, COMPLIANCE, STAFF = 0.8, 0.6, 0.2
"""The share of such venues with a code, of visitors who scan it, and of staff who do."""

CONSENTED = 0.01
"""The share of people with a phone who share satellite fixes."""
MOVING_S, RESTING_S = 60, 300
_OUTDOORS_M, _INDOORS_M, _LOST = 5.0, 18.0, 0.25
"""A fix's error for each axis (standard deviation) on the way and inside, and the share that fail inside."""


@dataclass(frozen=True, eq=False, slots=True)
class Checkins:
    """k check-ins, sorted by subject, time: ``subject``, ``place``, ``time_s`` (k,)."""

    subject: Ints
    place: Ints
    time_s: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Fixes:
    """k satellite fixes, sorted by subject, time: ``x_m``, ``y_m`` (k,), ``radius_m`` their 68 % radius."""

    subject: Ints
    time_s: Ints
    x_m: Floats
    y_m: Floats
    radius_m: Floats


def codes(city: City) -> Bools:
    """Return which places (p,) have a QR code at the door."""
    use = city_days.habits(city)[1].use
    wanted = np.isin(use, USES) | np.isin(city.places.kind, KINDS)
    return wanted & (uniform(city.profile.seed, channel("checkin/venue"), np.arange(len(use))) < TAKING_PART)


def make(city: City, phones: Phones, days: Days, day_s: int, seed: int) -> Checkins:
    """Return the check-ins of a day's arrivals, within three minutes of the door."""
    arrived = (days.start_s >= day_s) & (days.start_s < day_s + 86400) & codes(city)[days.place]
    v = np.flatnonzero(arrived & phones.owned[days.person])
    who, at = days.person[v], days.start_s[v]
    likely = np.where(city.population.work[who] == days.place[v], STAFF, COMPLIANCE)
    v = v[uniform(seed, channel("checkin"), who, at) < likely]
    late = 180 * uniform(seed, channel("checkin/late"), days.person[v], days.start_s[v])
    time = np.minimum(days.start_s[v] + late.astype(np.int64), days.end_s[v])
    return Checkins(days.person[v], days.place[v], time)


def fixes(
    city: City, spots: Spots, ways: Ways, phones: Phones, days: Days, moves: Moves, day_s: int, seed: int
) -> Fixes:
    """Return a day's satellite fixes: each minute on the way, each five minutes inside, where many fail."""
    n = len(phones.owned)
    sharing = phones.owned & (uniform(seed, channel("gps/consent"), np.arange(n)) < CONSENTED)
    v = np.flatnonzero(sharing[days.person] & (days.start_s < day_s + 86400) & (days.end_s > day_s))
    which, inside = _every(np.maximum(days.start_s[v], day_s), np.minimum(days.end_s[v], day_s + 86400), RESTING_S)
    who = days.person[v][which]
    kept = uniform(seed, channel("gps/lost"), who, inside) >= _LOST
    which, inside, who = which[kept], inside[kept], who[kept]
    at = spots.xy[spots.of(city.profile.seed, who, days.place[v][which])]
    some = paths.select(moves, sharing[moves.person] & (moves.start_s < day_s + 86400) & (moves.end_s > day_s))
    trip, under_way = _every(np.maximum(some.start_s, day_s), np.minimum(some.end_s, day_s + 86400), MOVING_S)
    legs = paths.select(some, trip)
    share = (under_way - legs.start_s) / np.maximum(legs.end_s - legs.start_s, 1)
    way = paths.at_share(ways, spots, legs, share)
    subject, time = np.append(who, legs.person), np.append(inside, under_way)
    sigma = np.append(np.full(len(who), _INDOORS_M), np.full(len(legs), _OUTDOORS_M))
    sigma *= 0.6 + 0.8 * uniform(seed, channel("gps/sigma"), subject, time)
    xy = np.concatenate((at, way))
    x = xy[:, 0] + sigma * gaussian(seed, channel("gps/x"), subject, time)
    y = xy[:, 1] + sigma * gaussian(seed, channel("gps/y"), subject, time)
    order = np.lexsort((time, subject))
    radius = np.round(1.51 * sigma, 1)  # 68 % of a Rayleigh distribution lie within 1.51 sigma
    return Fixes(subject[order], time[order], x[order], y[order], radius[order])


def _every(start: Ints, end: Ints, step_s: int) -> tuple[Ints, Ints]:
    """Return the instants that are multiples of a step in each half-open span, with the span's number."""
    first = -(-start // step_s)
    count = np.maximum(-(-end // step_s) - first, 0)
    which = np.repeat(np.arange(len(start)), count)
    k = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return which, (first[which] + k) * step_s
