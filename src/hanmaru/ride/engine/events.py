"""What has been decided or has happened. Events carry results: applying them computes nothing anew.

Every event has its number in the log (``seq``, from 1, without gaps) and its time. Plans are sequences of actions,
``+(slot + 1)`` pick up and ``-(slot + 1)`` drop off, where a slot is a request's place in the arrays of `State`.
"""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from hanmaru.ride.engine.commands import Break, Kind, Request, Spot

Plan: TypeAlias = tuple[int, ...]


class Event(Struct, frozen=True, kw_only=True, tag=True):
    """Base of all events."""

    seq: int
    time_s: int


class Promise(Struct, frozen=True):
    """The pick-up begins in a window; the rider is at the drop-off stop by a time, and not aboard longer than a
    limit.
    """

    from_s: int
    to_s: int
    by_s: int
    ride_s: int


class OfferKind(StrEnum):
    """What an offer is best at."""

    SOONEST = "soonest"
    FASTEST = "fastest"
    LEAST_WALK = "least-walk"
    CHEAPEST = "cheapest"


class Offer(Struct, frozen=True, kw_only=True):
    """A ride that can be had now. ``pickup_s``, ``dropoff_s``: expected begin of boarding and of alighting; ``fare`` in
    minor units; ``van``: who would come as things are, not part of the promise.
    """

    id: str
    kind: OfferKind
    pickup: Spot
    dropoff: Spot
    promise: Promise
    pickup_s: int
    dropoff_s: int
    fare: int
    van: int
    expires_s: int


class Reason(StrEnum):
    """Why something did not go as asked, or a promise was broken."""

    NO_VAN = "no-van"
    TOO_LARGE = "too-large"
    TOO_FAR_AHEAD = "too-far-ahead"
    TOO_LATE = "too-late"
    UNREACHABLE = "unreachable"
    SAME_STOP = "same-stop"
    TAKEN = "taken"
    LATE = "late"
    BREAKDOWN = "breakdown"
    TRAVEL_TIMES = "travel-times"
    OVERRIDE = "override"


class Requested(Event, frozen=True, kw_only=True):
    """A ride is wanted."""

    request: Request


class Offered(Event, frozen=True, kw_only=True):
    """These can be had; ``instead``: why the offers before hold no longer. With how long the rider will take to
    board and to alight.
    """

    id: str
    offers: tuple[Offer, ...]
    boarding_s: int
    alighting_s: int
    instead: Reason | None = None


class Rejected(Event, frozen=True, kw_only=True):
    """Nothing can be offered."""

    id: str
    reason: Reason


class Accepted(Event, frozen=True, kw_only=True):
    """The rider is promised this and planned in a van."""

    id: str
    offer: Offer
    van: int
    plan: Plan


class Declined(Event, frozen=True, kw_only=True):
    """The rider wanted none of the offers."""

    id: str


class Expired(Event, frozen=True, kw_only=True):
    """No offer was taken in time."""

    id: str


class Cancelled(Event, frozen=True, kw_only=True):
    """The rider does not ride (any further). Aboard: gets off at ``stop``, first in ``plan``; else ``stop`` is None."""

    id: str
    reason: str
    van: int | None = None
    stop: int | None = None
    plan: Plan = ()


class PlansChanged(Event, frozen=True, kw_only=True):
    """Vans have new plans. Whoever was planned in one of them and is in none now has no van for the moment."""

    layer: str
    plans: dict[int, Plan]


class Moved(Event, frozen=True, kw_only=True):
    """Vans are under way."""

    vans: tuple[int, ...]
    rows: tuple[int, ...]
    ready_s: tuple[int, ...]


class Arrived(Event, frozen=True, kw_only=True):
    """A van stands at a stop since ``since_s``."""

    van: int
    stop: int
    since_s: int


class PickedUp(Event, frozen=True, kw_only=True):
    """A rider is aboard since ``picked_s``; ``begun_s``: when the van came to the stop."""

    id: str
    van: int
    begun_s: int
    picked_s: int


class DroppedOff(Event, frozen=True, kw_only=True):
    """A rider has left the van at a stop at ``left_s``; ``begun_s``: when the van came there."""

    id: str
    van: int
    stop: int
    begun_s: int
    left_s: int


class NoShow(Event, frozen=True, kw_only=True):
    """Nobody came."""

    id: str
    van: int


class BreakStarted(Event, frozen=True, kw_only=True):
    """A driver rests."""

    van: int
    id: str


class BreakEnded(Event, frozen=True, kw_only=True):
    """A driver has rested."""

    van: int
    id: str


class BrokenDown(Event, frozen=True, kw_only=True):
    """A van cannot go on; its riders wait at ``stop`` (again), and nobody has that van any more."""

    van: int
    stop: int


class VanBack(Event, frozen=True, kw_only=True):
    """A van is ready for work again."""

    van: int
    stop: int


class ShiftSet(Event, frozen=True, kw_only=True):
    """A van's working time and its breaks by id; those that it had are no more. The plan with them follows."""

    van: int
    from_s: int
    to_s: int
    breaks: dict[str, Break]


class Overtime(Event, frozen=True, kw_only=True):
    """A van can be at its depot only after its shift: the shift is longer."""

    van: int
    to_s: int


class AtRisk(Event, frozen=True, kw_only=True):
    """The schedule is late for a promise (or a break), within the grace; plans are held to what is now the best:
    ``held``.
    """

    id: str
    van: int
    held: Promise
    late_s: int


class Safe(Event, frozen=True, kw_only=True):
    """A promise at risk can be kept again."""

    id: str


class PromiseBroken(Event, frozen=True, kw_only=True):
    """A promise will not be kept. ``offer``: what the rider is promised instead, booked already, to be declined if
    unwanted; None: nothing (a rider who waits is without a ride; one aboard is brought home as soon as can be).
    """

    id: str
    reason: Reason
    offer: Offer | None
    late_s: int


class Repositioned(Event, frozen=True, kw_only=True):
    """Idle vans drive to stops."""

    vans: tuple[int, ...]
    stops: tuple[int, ...]


class TravelChanged(Event, frozen=True, kw_only=True):
    """Other travel times apply."""

    name: str


class Overridden(Event, frozen=True, kw_only=True):
    """A person at the desk decided; the events after it say what followed."""

    kind: Kind
    van: int | None
    id: str | None
    stop: int | None
    reason: str


class Forgotten(Event, frozen=True, kw_only=True):
    """Finished requests leave the arrays."""

    ids: tuple[str, ...]


AnyEvent: TypeAlias = (
    Requested
    | Offered
    | Rejected
    | Accepted
    | Declined
    | Expired
    | Cancelled
    | PlansChanged
    | Moved
    | Arrived
    | PickedUp
    | DroppedOff
    | NoShow
    | BreakStarted
    | BreakEnded
    | BrokenDown
    | VanBack
    | ShiftSet
    | Overtime
    | AtRisk
    | Safe
    | PromiseBroken
    | Repositioned
    | TravelChanged
    | Overridden
    | Forgotten
)
"""Every event, for decoding."""
