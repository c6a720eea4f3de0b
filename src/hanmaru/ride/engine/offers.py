"""From a request to what is looked for, and from what was found to a few offers that differ for the rider."""

from typing import NamedTuple

import numpy as np

from hanmaru.ride.domain import UNREACHABLE, Floats, Rows, Seconds, Travel
from hanmaru.ride.engine.commands import Request
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.events import Offer, OfferKind, Promise
from hanmaru.ride.engine.fares import fare
from hanmaru.ride.engine.insertion import DROP, DROPOFF_S, PICK, PICKUP_S, VAN, Found, Wish

MEASURES: Floats = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.05], [0.0, 1.0, 0.05]])
"""Cheapest for the service; soonest pick-up; quickest arrival. The latter two weigh cost a little: a minute of
driving saved is worth three seconds.
"""
SAME_S = 60
"""Offers that differ by less than this in every time, and not in fare, are the same to a rider."""


def service_s(config: Config, request: Request) -> tuple[int, int]:
    """Return how long boarding and alighting take."""
    ramps = config.wheelchair_s * request.wheelchairs
    return config.boarding_s + ramps, config.alighting_s + ramps


def wish(config: Config, request: Request, travel: Travel, now_s: int) -> Wish:
    """Return what is looked for: all pairs of a request's stops with the windows that the service's limits allow.

    Leaving: waiting counts from when the rider can be at the stop. Arriving by a time: the pick-up may be as early
    as the ride limit before it.
    """
    pickups = np.array([spot.stop for spot in request.origins], np.int32)
    dropoffs = np.array([spot.stop for spot in request.destinations], np.int32)
    walks = np.array([[spot.walk_s] for spot in request.origins], np.int64)
    boarding, alighting = service_s(config, request)
    direct = travel.time_s[np.ix_(pickups, dropoffs)].astype(np.int64)
    limit = np.minimum(config.max_ride_s, (config.detour_factor * direct).astype(np.int64) + config.detour_s)
    ride = np.maximum(direct, limit)
    if request.arrive_by_s is None:
        start = now_s if request.earliest_s is None else max(now_s, request.earliest_s)
        earliest = start + walks + np.zeros_like(direct)
        latest = earliest + config.max_wait_s
        deadline = latest + boarding + ride
    else:
        after = np.array([spot.walk_s for spot in request.destinations], np.int64)
        deadline = request.arrive_by_s - after - alighting + np.zeros_like(direct)
        earliest = np.maximum(deadline - ride - boarding, now_s + walks)
        latest = deadline - direct - boarding
    nowhere = (direct >= UNREACHABLE) | (pickups[:, None] == dropoffs[None, :])
    latest = np.where(nowhere, earliest - 1, latest)
    return Wish(
        pickups, dropoffs, earliest, latest, deadline, ride, request.seats, request.wheelchairs, boarding, alighting
    )


def exactly(offer: Offer, seats: int, wheelchairs: int, boarding_s: int, alighting_s: int) -> Wish:
    """Return the wish that an offer's promise is kept."""

    def one(value: int) -> Seconds:
        return np.array([[value]], np.int64)

    promise = offer.promise
    pickups: Rows = np.array([offer.pickup.stop], np.int32)
    dropoffs: Rows = np.array([offer.dropoff.stop], np.int32)
    windows = one(promise.from_s), one(promise.to_s), one(promise.by_s), one(promise.ride_s)
    return Wish(pickups, dropoffs, *windows, seats, wheelchairs, boarding_s, alighting_s)


class Choice(NamedTuple):
    """One insertion that was found, as the rider sees it; ``leave_s`` and ``home_s``: from door to door."""

    kind: OfferKind
    p: int
    d: int
    pickup_s: int
    dropoff_s: int
    home_s: int
    walk_s: int
    van: int
    pick: int
    drop: int
    score: float


class Made(NamedTuple):
    """An offer, and before which positions of its van's plan the rider would get on and off."""

    offer: Offer
    pick: int
    drop: int


def choices(request: Request, found: Found, alighting_s: int) -> list[Choice]:
    """Return the best found by each measure for each pair of stops."""
    kinds = (OfferKind.CHEAPEST, OfferKind.SOONEST, OfferKind.FASTEST)
    every: list[Choice] = []
    for c, p, d in np.argwhere(np.isfinite(found.score)).tolist():
        at = found.at[c, p, d].tolist()
        after = request.destinations[d].walk_s
        home = at[DROPOFF_S] + alighting_s + after
        walk = request.origins[p].walk_s + after
        every.append(
            Choice(
                kinds[c],
                p,
                d,
                at[PICKUP_S],
                at[DROPOFF_S],
                home,
                walk,
                at[VAN],
                at[PICK],
                at[DROP],
                float(found.score[c, p, d]),
            )
        )
    return every


def offers(
    config: Config, request: Request, travel: Travel, looked: Wish, found: Found, now_s: int, serial: str
) -> tuple[Made, ...]:
    """Return the offers to make: the best of each kind, but only those that are better in something than each other
    one.

    Plain offers promise narrow windows around what is planned. The cheapest leaves all that the limits allow, so
    that more riders fit beside this one, and costs less for it.
    """
    every = choices(request, found, looked.alighting_s)
    if not every:
        return ()
    picked = [
        min((x for x in every if x.kind is OfferKind.SOONEST), key=lambda x: (x.pickup_s, x.score)),
        min((x for x in every if x.kind is OfferKind.FASTEST), key=lambda x: (x.home_s, x.score)),
        min(every, key=lambda x: (x.walk_s, x.home_s))._replace(kind=OfferKind.LEAST_WALK),
    ]
    kept: list[Choice] = []
    for one in picked:
        if not any(_covers(other, one) for other in kept):
            kept.append(one)
    kept.append(min((x for x in every if x.kind is OfferKind.CHEAPEST), key=lambda x: x.score))
    return tuple(
        Made(
            _offer(config, request, travel, looked, choice, now_s, f"{serial}-{k}"),
            choice.pick,
            choice.drop,
        )
        for k, choice in enumerate(kept[-config.offers :])
    )


def _covers(one: Choice, other: Choice) -> bool:
    """Whether one offer is as good as another in everything, near enough."""
    return (
        one.pickup_s <= other.pickup_s + SAME_S
        and one.home_s <= other.home_s + SAME_S
        and one.walk_s <= other.walk_s + SAME_S
    )


def _offer(
    config: Config, request: Request, travel: Travel, looked: Wish, choice: Choice, now_s: int, id: str
) -> Offer:
    pair = choice.p, choice.d
    pickup, dropoff = request.origins[choice.p], request.destinations[choice.d]
    earliest, latest = int(looked.earliest_s[pair]), int(looked.latest_s[pair])
    deadline, ride = int(looked.deadline_s[pair]), int(looked.ride_s[pair])
    pooled = choice.kind is OfferKind.CHEAPEST
    if not pooled:
        earliest = max(earliest, choice.pickup_s - config.window_s // 3)
        latest = min(latest, earliest + config.window_s)
        deadline = min(deadline, choice.dropoff_s + config.arrival_slack_s)
    length = int(travel.length_m[pickup.stop, dropoff.stop])
    return Offer(
        id=id,
        kind=choice.kind,
        pickup=pickup,
        dropoff=dropoff,
        promise=Promise(earliest, latest, deadline, ride),
        pickup_s=choice.pickup_s,
        dropoff_s=choice.dropoff_s,
        fare=fare(config.tariff, length, request.seats + request.wheelchairs, pooled),
        van=choice.van,
        expires_s=now_s + config.offer_ttl_s,
    )
