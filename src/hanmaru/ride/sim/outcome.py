"""What a simulated day came to: the fate of each request, the metres of each van, and the measures made of them."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from hanmaru.ride.domain import Floats, Rows, Seconds

NEVER = -1
"""A time that did not come."""


class Fate(IntEnum):
    """How a request ended."""

    SERVED = 0
    REFUSED = 1
    """No offer could be made."""
    DECLINED = 2
    """The rider took none of the offers."""
    CANCELLED = 3
    """By the rider, before being picked up."""
    NO_SHOW = 4
    BROKEN = 5
    """The service broke its promise, and no new offer was made or taken."""
    UNFINISHED = 6
    """The run was stopped before the end: never in a finished run."""


@dataclass(frozen=True, eq=False, slots=True)
class Outcome:
    """n requests and k vans of one run.

    ``fate`` (n,) of `Fate`; ``depart_s`` (n,) from when on the rider could leave; ``picked_s``, ``dropped_s`` (n,) when
    boarding began and when getting off began, `NEVER` if not; ``boarded_s`` (n,) when boarding ended; ``direct_s`` (n,)
    the drive without detours between the stops used; ``walk_s`` (n,) to and from them; ``riders`` (n,) people in each
    request; ``latest_pickup_s``, ``arrive_by_s`` (n,) as first promised, `NEVER` where nothing was promised;
    ``driven_m``, ``empty_m``, ``on_duty_s`` (k,) metres, those of them with nobody aboard, seconds on duty.
    ``left_out``: trips without a stop near an end.
    """

    fate: Rows
    depart_s: Seconds
    picked_s: Floats
    boarded_s: Floats
    dropped_s: Floats
    direct_s: Floats
    walk_s: Floats
    riders: Rows
    latest_pickup_s: Floats
    arrive_by_s: Floats
    driven_m: Floats
    empty_m: Floats
    on_duty_s: Floats
    left_out: int = 0

    @property
    def wait_s(self) -> Floats:
        """Seconds from when a rider could leave to when boarding began, walking included; of those served."""
        served = self.fate == Fate.SERVED
        return (self.picked_s - self.depart_s)[served]

    def within(self, wait_s: float) -> float:
        """Return the share of requests served with no more than a wait, of those that riders did not withdraw.

        Refused requests, declined offers and broken promises count as not served in time; cancelled ones and riders who
        did not come are left out.
        """
        asked = np.count_nonzero((self.fate != Fate.CANCELLED) & (self.fate != Fate.NO_SHOW))
        return float(np.count_nonzero(self.wait_s <= wait_s) / asked) if asked else float("nan")


MEASURES = {
    "requests": "requests made",
    "left_out": "trips that could not be asked for: no stop within walking distance of an end",
    "served": "share of requests served",
    "refused": "share of requests without an offer",
    "declined": "share of requests whose rider took no offer",
    "cancelled": "share of requests cancelled by riders",
    "no_show": "share of requests whose rider did not come",
    "broken": "share of requests given up by the service after a promise",
    "in_time": "share of requests, withdrawn ones aside, served within the target's wait",
    "wait_mean_s": "mean wait, from when the rider could leave to boarding",
    "wait_p50_s": "median wait",
    "wait_p95_s": "wait that 95 % do not exceed",
    "ride_mean_s": "mean time aboard",
    "direct_mean_s": "mean time of the same ways without detours",
    "detour": "time aboard by the time without detours, both summed over riders' requests",
    "walk_mean_s": "mean walk to and from stops",
    "vehicle_km": "kilometres driven",
    "empty_km": "kilometres driven with nobody aboard",
    "van_hours": "hours of vans on duty",
    "riders": "people carried",
    "riders_per_van_hour": "people carried for each hour of a van on duty",
    "km_per_rider": "kilometres driven for each person carried",
    "promises_kept": "share of riders served picked up and dropped as first promised, broken promises counting against",
}
"""The measures of a run; names end in their unit, shares lie between 0 and 1."""

SHARES = ("served", "refused", "declined", "cancelled", "no_show", "broken", "in_time", "promises_kept")


def measures(out: Outcome, target_wait_s: float) -> dict[str, float]:
    """Return a run's `MEASURES`; NaN where nothing was there to measure (nobody served has no mean wait)."""
    n, served = len(out.fate), out.fate == Fate.SERVED
    share = np.bincount(out.fate, minlength=len(Fate)) / n if n else np.full(len(Fate), np.nan)
    wait = out.wait_s
    ride = (out.dropped_s - out.boarded_s)[served]
    direct, walk = out.direct_s[served], out.walk_s[served]
    riders, hours = float(out.riders[served].sum()), float(out.on_duty_s.sum()) / 3600
    km = float(out.driven_m.sum()) / 1000
    promised = served | (out.fate == Fate.BROKEN)
    kept = served & (np.floor(out.picked_s) <= out.latest_pickup_s) & (np.floor(out.dropped_s) <= out.arrive_by_s)
    return {
        "requests": float(n),
        "left_out": float(out.left_out),
        "served": float(share[Fate.SERVED]),
        "refused": float(share[Fate.REFUSED]),
        "declined": float(share[Fate.DECLINED]),
        "cancelled": float(share[Fate.CANCELLED]),
        "no_show": float(share[Fate.NO_SHOW]),
        "broken": float(share[Fate.BROKEN]),
        "in_time": out.within(target_wait_s),
        "wait_mean_s": _mean(wait),
        "wait_p50_s": _quantile(wait, 0.5),
        "wait_p95_s": _quantile(wait, 0.95),
        "ride_mean_s": _mean(ride),
        "direct_mean_s": _mean(direct),
        "detour": _ratio(float(ride.sum()), float(direct.sum())),
        "walk_mean_s": _mean(walk),
        "vehicle_km": km,
        "empty_km": float(out.empty_m.sum()) / 1000,
        "van_hours": hours,
        "riders": riders,
        "riders_per_van_hour": _ratio(riders, hours),
        "km_per_rider": _ratio(km, riders),
        "promises_kept": _ratio(float(np.count_nonzero(kept)), float(np.count_nonzero(promised))),
    }


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _quantile(values: Floats, q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else float("nan")


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
