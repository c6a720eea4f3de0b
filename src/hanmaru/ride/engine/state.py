"""The dispatcher's state: vans and requests as structures of arrays, to the last bit made by its events.

A request has a *slot*, its index in the arrays of `Requests`; a van's plan is a row of actions, ``+(slot + 1)``
pick up and ``-(slot + 1)`` drop off. A driver's break is a request of kind `BREAK` that takes every place of its
van, at no stop: its pick-up is the rest, its drop-off follows at once, and capacity alone keeps riders out of it.

Slots of forgotten requests are reused, the last freed first, so that a long day keeps the arrays as short as what
is open.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from hanmaru.ride.domain import RideError, Rows, Seconds
from hanmaru.ride.engine import commands, events

# What a van is doing.
OFF, ON, RESTING, HELD, BROKEN = range(5)

# What a request is.
RIDE, BREAK = range(2)

# How far a request is.
FREE, ASKED, OFFERED, WAITING, ABOARD, DONE, CANCELLED, NO_SHOW, REJECTED, EXPIRED, FAILED = range(11)
FINISHED = DONE
"""Statuses from this one on are final."""

# How a promise stands.
KEPT, AT_RISK, LOST = range(3)

FOREVER = 2**40
"""A time after all others."""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """V vans as they are at the start. Arrays (V,): seats, wheelchairs, depot (a stop; -1: none, a van ends where
    it is), where each stands (``stop``), and its shift in Unix seconds.
    """

    seats: tuple[int, ...]
    wheelchairs: tuple[int, ...]
    depot: tuple[int, ...]
    stop: tuple[int, ...]
    shift_from_s: tuple[int, ...]
    shift_to_s: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths."""
        if len({len(getattr(self, name)) for name in self.__struct_fields__}) != 1:
            raise RideError("every van needs its seats, wheelchairs, depot, stop and shift: the lists differ in length")


_VAN_COLUMNS = {
    "row": np.int32,
    "stop": np.int32,
    "ready_s": np.int64,
    "since_s": np.int64,
    "seats": np.int32,
    "wheelchairs": np.int32,
    "depot": np.int32,
    "shift_from_s": np.int64,
    "shift_to_s": np.int64,
    "status": np.int8,
    "resumes": np.int8,
    "target": np.int32,
    "length": np.int32,
}
_REQUEST_COLUMNS = {
    "status": np.int8,
    "kind": np.int8,
    "van": np.int32,
    "origin": np.int32,
    "destination": np.int32,
    "earliest_s": np.int64,
    "latest_s": np.int64,
    "deadline_s": np.int64,
    "ride_s": np.int64,
    "seats": np.int32,
    "wheelchairs": np.int32,
    "boarding_s": np.int64,
    "alighting_s": np.int64,
    "begun_s": np.int64,
    "picked_s": np.int64,
    "changed_s": np.int64,
    "risk": np.int8,
}


class Vans:
    """V vans. Arrays (V,), times Unix seconds, and ``plan`` (V, M) with ``length`` (V,) actions in each row.

    ``row``: the row of `Travel` from which a van goes on; it is or will be there at ``ready_s``. ``stop``: where it
    stands since ``since_s``, or -1 under way. ``target``: the stop to which an idle van is sent, or -1.
    ``resumes``: the status after a break.
    """

    row: Rows
    stop: Rows
    ready_s: Seconds
    since_s: Seconds
    seats: Rows
    wheelchairs: Rows
    depot: Rows
    shift_from_s: Seconds
    shift_to_s: Seconds
    status: np.ndarray[tuple[int], np.dtype[np.int8]]
    resumes: np.ndarray[tuple[int], np.dtype[np.int8]]
    target: Rows
    length: Rows
    plan: Rows
    __slots__ = (*_VAN_COLUMNS, "plan")

    def __init__(self, size: int, width: int = 16) -> None:
        """Make ``size`` vans with room for ``width`` actions each."""
        for name, kind in _VAN_COLUMNS.items():
            setattr(self, name, np.zeros(size, kind))
        self.plan = np.zeros((size, width), np.int32)

    def __len__(self) -> int:
        """Return V."""
        return len(self.row)

    def actions(self, van: int) -> list[int]:
        """Return a van's plan."""
        return self.plan[van, : self.length[van]].tolist()

    def set_plan(self, van: int, plan: Iterable[int]) -> None:
        """Give a van a plan, in wider rows if need be."""
        actions = tuple(plan)
        if len(actions) > self.plan.shape[1]:
            wider = np.zeros((len(self), 2 * len(actions)), np.int32)
            wider[:, : self.plan.shape[1]] = self.plan
            self.plan = wider
        self.plan[van, : len(actions)] = actions
        self.plan[van, len(actions) :] = 0
        self.length[van] = len(actions)
        if actions:
            self.target[van] = -1


class Requests:
    """Requests in slots: arrays (capacity,), of which the first ``size`` have been used; times Unix seconds.

    ``origin``, ``destination``: stops, -1 before an offer is accepted. What plans must keep: pick-up from
    ``earliest_s`` to ``latest_s``, drop-off by ``deadline_s``, aboard at most ``ride_s`` from ``picked_s`` on;
    equal to the promise except while that is at risk. ``begun_s``: when the van was there to pick up. ``van``: who
    does it, or -1. Beside them lists: ``ids``, what was ``asked``, ``offers`` open until ``changed_s`` + their
    time, and the accepted ``offer``.
    """

    status: np.ndarray[tuple[int], np.dtype[np.int8]]
    kind: np.ndarray[tuple[int], np.dtype[np.int8]]
    van: Rows
    origin: Rows
    destination: Rows
    earliest_s: Seconds
    latest_s: Seconds
    deadline_s: Seconds
    ride_s: Seconds
    seats: Rows
    wheelchairs: Rows
    boarding_s: Seconds
    alighting_s: Seconds
    begun_s: Seconds
    picked_s: Seconds
    changed_s: Seconds
    risk: np.ndarray[tuple[int], np.dtype[np.int8]]
    ids: list[str]
    asked: list[commands.Request | None]
    offers: list[tuple[events.Offer, ...]]
    offer: list[events.Offer | None]
    free: list[int]
    slots: dict[str, int]
    __slots__ = (*_REQUEST_COLUMNS, "asked", "free", "ids", "offer", "offers", "slots")

    def __init__(self, capacity: int = 256) -> None:
        """Make empty arrays with room for ``capacity`` requests."""
        for name, kind in _REQUEST_COLUMNS.items():
            setattr(self, name, np.zeros(capacity, kind))
        self.ids, self.asked, self.offers, self.offer = [], [], [], []
        self.free, self.slots = [], {}

    @property
    def size(self) -> int:
        """How many slots have ever been used."""
        return len(self.ids)

    def add(self, id: str) -> int:
        """Return the slot of a new request, cleared."""
        if self.free:
            slot = self.free.pop()
            self.ids[slot] = id
        else:
            slot = len(self.ids)
            self.ids.append(id)
            self.asked.append(None)
            self.offers.append(())
            self.offer.append(None)
            if slot == len(self.status):
                for name in _REQUEST_COLUMNS:
                    column = getattr(self, name)
                    setattr(self, name, np.concatenate((column, np.zeros_like(column))))
        self.slots[id] = slot
        self.van[slot] = self.origin[slot] = self.destination[slot] = -1
        return slot

    def remove(self, id: str) -> None:
        """Free a request's slot."""
        slot = self.slots.pop(id)
        for name in _REQUEST_COLUMNS:
            getattr(self, name)[slot] = 0
        self.ids[slot], self.asked[slot], self.offers[slot], self.offer[slot] = "", None, (), None
        self.free.append(slot)


class State:
    """All that the dispatcher knows. Only `hanmaru.ride.engine.replay.apply` changes it.

    ``seq``: the number of the last event applied; ``now_s``: its time; ``travel``: the name of the travel times in
    use, since ``retimed_s``.
    """

    __slots__ = ("now_s", "requests", "retimed_s", "seq", "travel", "vans")

    def __init__(self, fleet: Fleet) -> None:
        """Put every van at its stop, with an empty plan."""
        self.seq, self.now_s, self.travel, self.retimed_s = 0, 0, "", 0
        self.requests = Requests()
        self.vans = vans = Vans(len(fleet.seats))
        vans.seats[:], vans.wheelchairs[:], vans.depot[:] = fleet.seats, fleet.wheelchairs, fleet.depot
        vans.row[:] = vans.stop[:] = fleet.stop
        vans.shift_from_s[:] = vans.ready_s[:] = vans.since_s[:] = fleet.shift_from_s
        vans.shift_to_s[:] = fleet.shift_to_s
        vans.status[:] = ON
        vans.target[:] = -1

    def slot(self, id: str) -> int:
        """Return a request's slot. Raises `RideError` for an unknown id."""
        slot = self.requests.slots.get(id)
        if slot is None:
            raise RideError(f"there is no request {id!r}: it was never made, or finished long ago")
        return slot

    def fixed(self, van: int, now_s: int | None = None) -> int:
        """Return how many actions at the front of a van's plan are under way, so that no plan may change them: those
        at the stop where it stands, if their time has come, or the break that its driver has begun.
        """
        vans, requests = self.vans, self.requests
        now_s = self.now_s if now_s is None else now_s
        if vans.status[van] == RESTING:
            return 2
        stop = int(vans.stop[van])
        for k, action in enumerate(vans.actions(van)):
            slot = abs(action) - 1
            here = stop >= 0 and (requests.origin if action > 0 else requests.destination)[slot] == stop
            if not here or (action > 0 and requests.earliest_s[slot] > now_s):
                return k
        return int(vans.length[van])

    def aboard(self, van: int) -> list[int]:
        """Return the slots of who is in a van."""
        plan = self.vans.actions(van)
        return [-action - 1 for action in plan if action < 0 and -action not in plan]

    def van(self, van: int) -> int:
        """Return a van's number. Raises `RideError` if there is none such."""
        if not 0 <= van < len(self.vans):
            raise RideError(f"there is no van {van}: vans are 0 to {len(self.vans) - 1}")
        return van

    def copy(self) -> "State":
        """Return a state of its own with the same content."""
        return State.loads(self.dumps())

    def dumps(self) -> bytes:
        """Return the state as bytes, the same bytes for the same state."""
        vans, requests = self.vans, self.requests
        width = int(vans.length.max(initial=0))
        return _encoder.encode(
            _Frozen(
                seq=self.seq,
                now_s=self.now_s,
                travel=self.travel,
                retimed_s=self.retimed_s,
                vans={name: getattr(vans, name).tobytes() for name in _VAN_COLUMNS},
                plan=vans.plan[:, :width].tobytes(),
                requests={name: getattr(requests, name)[: requests.size].tobytes() for name in _REQUEST_COLUMNS},
                ids=requests.ids,
                asked=requests.asked,
                offers=requests.offers,
                offer=requests.offer,
                free=requests.free,
            )
        )

    @classmethod
    def loads(cls, data: bytes) -> "State":
        """Return the state that `dumps` wrote. Raises `RideError` if the bytes are something else."""
        try:
            frozen = _decoder.decode(data)
            state = cls.__new__(cls)
            state.seq, state.now_s = frozen.seq, frozen.now_s
            state.travel, state.retimed_s = frozen.travel, frozen.retimed_s
            size = len(frozen.vans["row"]) // 4
            state.vans = vans = Vans(size)
            for name, kind in _VAN_COLUMNS.items():
                setattr(vans, name, np.frombuffer(frozen.vans[name], kind).copy())
            plan = np.frombuffer(frozen.plan, np.int32).reshape(size, -1) if size else vans.plan
            vans.plan = np.zeros((size, max(16, plan.shape[1])), np.int32)
            vans.plan[:, : plan.shape[1]] = plan
            state.requests = requests = Requests(max(256, len(frozen.ids)))
            for name, kind in _REQUEST_COLUMNS.items():
                getattr(requests, name)[: len(frozen.ids)] = np.frombuffer(frozen.requests[name], kind)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise RideError(f"this is no snapshot of a dispatcher: {error}") from error
        requests.ids, requests.asked, requests.offers = frozen.ids, frozen.asked, frozen.offers
        requests.offer, requests.free = frozen.offer, frozen.free
        requests.slots = {id: slot for slot, id in enumerate(frozen.ids) if id}
        return state


class _Frozen(msgspec.Struct, kw_only=True):
    seq: int
    now_s: int
    travel: str
    retimed_s: int
    vans: dict[str, bytes]
    plan: bytes
    requests: dict[str, bytes]
    ids: list[str]
    asked: list[commands.Request | None]
    offers: list[tuple[events.Offer, ...]]
    offer: list[events.Offer | None]
    free: list[int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Frozen)
