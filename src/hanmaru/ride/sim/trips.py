"""Who wants to go from where to where, and when: read from files, or drawn from the simulated city's days."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.ride.domain import Bools, Floats, RideError, Rows, Seconds

if TYPE_CHECKING:
    from hanmaru.city.build import City

CITY_M_PER_DEGREE = 111_320.0
NEAR_M = 700.0
"""Who goes less far walks: nobody calls a van for it. Assumed."""
PARTIES = (0.86, 0.11, 0.03)
"""Shares of calls for one, two and three people. Assumed; demand-responsive services report about 1.2 riders a call."""


@dataclass(frozen=True, eq=False, slots=True)
class Trips:
    """n wishes to travel, in order of ``asked_s``.

    ``asked_s`` (n,) when they are told to the service and ``depart_s`` (n,) from when on the rider can leave, Unix
    seconds; ``origin``, ``destination`` (n, 2) float64 lon, lat, or (n, 1) int32 nodes of the network; ``seats``,
    ``wheelchairs`` (n,) int32 how many of either they take: a rider in a wheelchair takes no seat.
    """

    asked_s: Seconds
    depart_s: Seconds
    origin: Floats | Rows
    destination: Floats | Rows
    seats: Rows
    wheelchairs: Rows

    def __len__(self) -> int:
        """Return how many trips there are."""
        return len(self.asked_s)

    def some(self, rows: Bools | Seconds) -> "Trips":
        """Return some of the trips, in order of when they are asked for, then as given."""
        kept = np.arange(len(self))[rows]
        kept = kept[np.argsort(self.asked_s[kept], kind="stable")]
        names = ("asked_s", "depart_s", "origin", "destination", "seats", "wheelchairs")
        return Trips(*(getattr(self, name)[kept] for name in names))


def metres(a: Floats, b: Floats) -> Floats:
    """Return the distances (n,) of positions (n, 2) lon, lat on the sphere's tangent plane: 0.1 % within a city."""
    east = (a[..., 0] - b[..., 0]) * np.cos(np.radians((a[..., 1] + b[..., 1]) / 2))
    return np.hypot(east, a[..., 1] - b[..., 1]) * CITY_M_PER_DEGREE


@dataclass(frozen=True, slots=True)
class CityDemand:
    """Who of the simulated city rides: ``share`` of its trips.

    ``ahead`` is the share of calls that are booked ahead, ``ahead_s`` before the departure at most; ``wheelchairs`` the
    share of parties with one person in a wheelchair.
    """

    share: float
    ahead: float = 0.0
    ahead_s: int = 3600
    wheelchairs: float = 0.01


def of_city(city: "City", day: date, districts: Rows, start_s: int, end_s: int) -> Trips:
    """Return all trips of the city's people that begin on a day between ``start_s`` and ``end_s`` in some districts,
    end there too and are `NEAR_M` or longer, one person each: what lies between two visits at different places.
    """
    from hanmaru.city import days

    places, people = city.places, city.population
    inside = np.isin(places.district, districts)
    who = np.flatnonzero(inside[people.home] | inside[people.work])
    lived = days.make(city, day, 1, who)
    at = np.flatnonzero((lived.person[1:] == lived.person[:-1]) & (lived.place[1:] != lived.place[:-1]))
    start, end, leave = lived.place[at], lived.place[at + 1], lived.end_s[at]
    far = metres(places.lonlat[start], places.lonlat[end]) >= NEAR_M
    kept = inside[start] & inside[end] & far & (leave >= start_s) & (leave < end_s)
    start, end, leave = start[kept], end[kept], leave[kept]
    one = np.ones(len(leave), np.int32)
    return Trips(leave, leave, places.lonlat[start], places.lonlat[end], one, 0 * one)


def taken(trips: Trips, demand: CityDemand, seed: int) -> Trips:
    """Return the trips for which the service is called: each with probability ``share``, by a party, at once or ahead.

    Seeds are other days of the same city. Raises RideError where nobody calls.
    """
    rng = np.random.default_rng([seed, 1])
    draws = rng.random((len(trips), 5))
    calls = draws[:, 0] < demand.share
    ahead, party, chair, early = (draws[calls, k] for k in range(1, 5))
    if not len(ahead):
        raise RideError("nobody of the city travels there and then; take a larger area, share or span of hours")
    depart = trips.depart_s[calls]
    wheelchairs = (chair < demand.wheelchairs).astype(np.int32)
    seats = (party[:, None] > np.cumsum(PARTIES)[:-1]).sum(axis=1, dtype=np.int32) + 1 - wheelchairs
    asked = depart - np.where(ahead < demand.ahead, (demand.ahead_s * early).astype(np.int64), 0)
    made = Trips(asked, depart, trips.origin[calls], trips.destination[calls], seats, wheelchairs)
    return made.some(np.ones(len(made), bool))


def poisson(trips: Trips, start_s: int, end_s: int, seed: int) -> Trips:
    """Return trips without times at the arrivals of a Poisson process, in an order drawn from the seed.

    Given how many arrivals there are, their times are independent and uniform (Ross, Stochastic Processes, 2.3).
    """
    rng = np.random.default_rng([seed, 2])
    times = np.sort(rng.integers(start_s, end_s, len(trips)))
    order = rng.permutation(len(trips))
    return Trips(
        times, times, trips.origin[order], trips.destination[order], trips.seats[order], trips.wheelchairs[order]
    )
