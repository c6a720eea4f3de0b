"""What can be asked of the dispatcher. Ids are the caller's; places are stops (columns of `Travel`); times Unix
seconds.

A command that makes no sense in the present state (an unknown id, a rider who is not in that van) raises `RideError`
and changes nothing. A request that cannot be served is not an error: it is answered by a `Rejected` event.
"""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Command(Struct, frozen=True, tag=True):
    """Base of all commands."""


class Spot(Struct, frozen=True, array_like=True):
    """A stop in walking distance and how long the walk takes."""

    stop: int
    walk_s: int = 0


class Request(Command, frozen=True, kw_only=True):
    """A ride is wanted: from any of the origins to any of the destinations.

    ``earliest_s``: the rider sets out then (None: now). ``arrive_by_s``: be there by then, walk included; it overrules
    ``earliest_s``. ``seats`` counts everyone who needs one, ``wheelchairs`` those who stay in theirs.
    """

    id: str
    origins: tuple[Spot, ...]
    destinations: tuple[Spot, ...]
    seats: int = 1
    wheelchairs: int = 0
    earliest_s: int | None = None
    arrive_by_s: int | None = None


class Accept(Command, frozen=True):
    """The rider takes an offer; answered by `Accepted`, or by new offers where the same promise can no longer be
    kept.
    """

    id: str
    offer: str


class Decline(Command, frozen=True):
    """The rider wants none of the offers, or not the new promise after a broken one."""

    id: str


class Cancel(Command, frozen=True):
    """The rider will not ride; somebody aboard gets off at the van's next stop."""

    id: str
    reason: str = ""


class NoShow(Command, frozen=True):
    """The van waited and nobody came."""

    id: str


class Moved(Command, frozen=True):
    """Vans are under way: each will be at a row of `Travel` (its own, or a stop) at ``ready_s``, free to go
    anywhere from there. The caller has already written the vans' own rows into the matrix.
    """

    vans: tuple[int, ...]
    rows: tuple[int, ...]
    ready_s: tuple[int, ...]


class Arrived(Command, frozen=True):
    """A van stands at a stop; ``at_s``: since when, if that is some time ago (a tunnel)."""

    van: int
    stop: int
    at_s: int | None = None


class Boarded(Command, frozen=True):
    """A rider is aboard and boarding is over, now or since ``at_s``. Says too that the van is at that stop."""

    van: int
    id: str
    at_s: int | None = None


class Alighted(Command, frozen=True):
    """A rider has left the van, at the stop where it stands, or where this was planned if it is not known to stand."""

    van: int
    id: str
    at_s: int | None = None


class BreakStart(Command, frozen=True):
    """The driver's next break begins; the van is empty."""

    van: int


class BreakEnd(Command, frozen=True):
    """The driver's break is over."""

    van: int


class Breakdown(Command, frozen=True):
    """A van cannot go on. ``stop``: where its riders can be fetched (None: the stop nearest to it)."""

    van: int
    stop: int | None = None


class Back(Command, frozen=True):
    """A van that was broken or out of service is at a stop again, ready for work."""

    van: int
    stop: int


class Break(Struct, frozen=True, array_like=True):
    """A rest of ``duration_s`` that begins between two times."""

    from_s: int
    to_s: int
    duration_s: int


class Shift(Command, frozen=True):
    """A van works between two times, with breaks; replaces its shift and the breaks not begun."""

    van: int
    from_s: int
    to_s: int
    breaks: tuple[Break, ...] = ()


class Propose(Command, frozen=True):
    """A layer's plans for some vans, made from the state as it was at ``version``.

    A plan is a sequence of actions: ``+(slot + 1)`` pick up, ``-(slot + 1)`` drop off.
    """

    version: int
    plans: dict[int, tuple[int, ...]]
    layer: str


class Reposition(Command, frozen=True):
    """Idle vans drive to stops where riders are expected; those that are no longer idle stay with their work."""

    vans: tuple[int, ...]
    stops: tuple[int, ...]


class Retime(Command, frozen=True):
    """Travel times have changed (the caller has put the new `Travel` in place): look at every promise again."""

    name: str


class Kind(StrEnum):
    """What a person at the desk can impose."""

    ASSIGN = "assign"
    UNASSIGN = "unassign"
    HOLD = "hold"
    RELEASE = "release"
    OUT_OF_SERVICE = "out-of-service"
    STOP_AT = "stop-at"


class Override(Command, frozen=True, kw_only=True):
    """A person at the desk decides. Assign: this request goes with this van whatever it costs, if it can at all.
    Unassign: the rider goes with any other van. Hold: the van keeps its plan and gets no new riders, until release.
    Out of service: its waiting riders go with others, those aboard are brought home. Stop at: an idle van drives there.
    """

    kind: Kind
    van: int | None = None
    id: str | None = None
    stop: int | None = None
    reason: str = ""


class Tick(Command, frozen=True):
    """Time has passed: expires offers, looks for late vans and promises at risk, places riders who lost their van,
    forgets finished requests. To be sent every second or few.
    """


AnyCommand: TypeAlias = (
    Request
    | Accept
    | Decline
    | Cancel
    | NoShow
    | Moved
    | Arrived
    | Boarded
    | Alighted
    | BreakStart
    | BreakEnd
    | Breakdown
    | Back
    | Shift
    | Propose
    | Reposition
    | Retime
    | Override
    | Tick
)
"""Every command, for decoding."""
