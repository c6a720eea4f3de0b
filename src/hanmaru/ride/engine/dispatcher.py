"""The dispatcher: commands in, events out. It decides, and every decision is an event that is applied at once.

It has no clock, no randomness and no I/O: the time comes with each command, the travel times are handed in. What it
answers depends on its state, its configuration and the travel times alone.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hanmaru.ride.domain import UNREACHABLE, Bools, RideError, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.insertion import DROP, PICK, VAN, Wish, search, spliced
from hanmaru.ride.engine.offers import CHEAPEST, MEASURES, exactly, offers, service_s, wish
from hanmaru.ride.engine.replay import apply
from hanmaru.ride.engine.state import ABOARD, OFFERED, ON, RESTING, WAITING, Fleet, State
from hanmaru.ride.engine.timetable import Timetables


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """What a layer plans on: a state of its own, the travel times and the time. Its proposal names ``state.seq``."""

    state: State
    travel: Travel
    now_s: int
    config: Config


class Dispatcher:
    """One service's vans and riders under one set of rules."""

    def __init__(self, config: Config, fleet: Fleet | State, travel: Travel) -> None:
        """Start with a fleet, or go on from a state that was kept."""
        self.config = config
        self.state = fleet if isinstance(fleet, State) else State(fleet)
        self.timetables = Timetables(self.state, travel, config.weights)
        self._events: list[e.AnyEvent] = []
        self._now_s = 0
        self._how: dict[type[c.AnyCommand], Callable[[Any], None]] = {
            c.Request: self._request,
            c.Accept: self._accept,
            c.Decline: self._decline,
            c.Cancel: self._cancel,
            c.Moved: self._moved,
            c.Arrived: self._arrived,
            c.Boarded: self._boarded,
            c.Alighted: self._alighted,
            c.Tick: self._tick,
        }

    @property
    def travel(self) -> Travel:
        """The travel times in use. Rows of vans may be written in place before a `Moved`; to use others altogether,
        assign them here and then send `Retime`.
        """
        return self.timetables.travel

    @travel.setter
    def travel(self, travel: Travel) -> None:
        self.timetables.retime(travel)

    def handle(self, command: c.AnyCommand, now_s: int) -> list[e.AnyEvent]:
        """Decide on a command, apply what is decided and return it; never earlier than the last event.

        Raises `RideError` if the command makes no sense now; then nothing has changed.
        """
        self._now_s = max(now_s, self.state.now_s)
        self._events = []
        how = self._how.get(type(command))
        if how is None:
            raise RideError(f"no dispatcher knows the command {type(command).__name__}")
        how(command)
        return self._events

    def apply(self, event: e.AnyEvent) -> None:
        """Apply an event of the log, without deciding anything. Raises `RideError` if it is not the next one."""
        self.timetables.touch(apply(self.state, event))

    def digest(self) -> bytes:
        """Return 16 bytes that are the same for the same state, and only for it."""
        return hashlib.blake2b(self.state.dumps(), digest_size=16).digest()

    def snapshot(self, now_s: int) -> Snapshot:
        """Return a copy for a layer to plan on; the matrix is copied too, since vans' rows are written in place."""
        travel = Travel(self.travel.time_s.copy(), self.travel.length_m.copy())
        return Snapshot(self.state.copy(), travel, max(now_s, self.state.now_s), self.config)

    def tell(self, make: Callable[..., e.AnyEvent], **what: Any) -> None:
        """Make the next event of the log and apply it."""
        event = make(seq=self.state.seq + 1, time_s=self._now_s, **what)
        self.apply(event)
        self._events.append(event)

    def open_vans(self) -> Bools:
        """Return (V,) which vans may get new riders: those at work or resting; not held, broken or out of service."""
        status = self.state.vans.status
        return (status == ON) | (status == RESTING)

    def _request(self, command: c.Request) -> None:
        self._sensible(command)
        self.tell(e.Requested, request=command)
        self.offer(command)

    def _sensible(self, request: c.Request) -> None:
        if request.id in self.state.requests.slots:
            raise RideError(f"there is a request {request.id!r} already: give each its own id")
        if not request.origins or not request.destinations:
            raise RideError(f"request {request.id!r} needs a stop to start from and a stop to go to")
        if min(request.seats, request.wheelchairs) < 0 or request.seats + request.wheelchairs < 1:
            raise RideError(f"request {request.id!r} needs at least one rider")
        stops = self.travel.time_s.shape[1]
        for spot in (*request.origins, *request.destinations):
            if not 0 <= spot.stop < stops or spot.walk_s < 0:
                raise RideError(
                    f"request {request.id!r} names stop {spot.stop}: stops are 0 to {stops - 1}, walks >= 0"
                )

    def offer(self, request: c.Request, instead: e.Reason | None = None) -> None:
        """Look for offers and make them, or reject the request with the reason."""
        looked = wish(self.config, request, self.travel, self._now_s)
        reason = self._hopeless(request, looked)
        if reason is None:
            found = search(self.timetables, self._now_s, looked, self.open_vans(), MEASURES)
            serial = str(self.state.seq + 1)
            made = offers(self.config, request, self.travel, looked, found, self._now_s, serial)
            if made:
                self.tell(e.Offered, id=request.id, offers=made, instead=instead)
                return
            reason = e.Reason.NO_VAN
        self.tell(e.Rejected, id=request.id, reason=reason)

    def _hopeless(self, request: c.Request, looked: Wish) -> e.Reason | None:
        """Return why no van could ever do it, if so."""
        vans = self.state.vans
        if not np.any((vans.seats >= request.seats) & (vans.wheelchairs >= request.wheelchairs)):
            return e.Reason.TOO_LARGE
        if int(looked.earliest_s.min()) > self._now_s + self.config.horizon_s:
            return e.Reason.TOO_FAR_AHEAD
        apart = looked.pickups[:, None] != looked.dropoffs[None, :]
        if not apart.any():
            return e.Reason.SAME_STOP
        direct = self.travel.time_s[np.ix_(looked.pickups, looked.dropoffs)]
        if not (apart & (direct < UNREACHABLE)).any():
            return e.Reason.UNREACHABLE
        return None if (looked.latest_s >= looked.earliest_s).any() else e.Reason.TOO_LATE

    def _accept(self, command: c.Accept) -> None:
        requests, slot = self.state.requests, self.state.slot(command.id)
        taken = requests.offer[slot]
        if taken is not None and taken.id == command.offer:  # said twice
            return
        offer = next((offer for offer in requests.offers[slot] if offer.id == command.offer), None)
        asked = requests.asked[slot]
        if requests.status[slot] != OFFERED or offer is None or asked is None:
            raise RideError(f"request {command.id!r} has no open offer {command.offer!r}")
        boarding, alighting = service_s(self.config, asked)
        looked = exactly(offer, asked.seats, asked.wheelchairs, boarding, alighting)
        found = search(self.timetables, self._now_s, looked, self.open_vans(), CHEAPEST)
        if not np.isfinite(found.score[0, 0, 0]):
            self.offer(asked, e.Reason.TAKEN)
            return
        at = found.at[0, 0, 0]
        van = int(at[VAN])
        plan = spliced(self.state.vans.actions(van), slot, int(at[PICK]), int(at[DROP]))
        self.tell(
            e.Accepted,
            id=command.id,
            offer=offer,
            boarding_s=boarding,
            alighting_s=alighting,
            van=van,
            plan=plan,
        )

    def _decline(self, command: c.Decline) -> None:
        slot = self.state.slot(command.id)
        if self.state.requests.status[slot] not in (OFFERED, WAITING):
            raise RideError(f"request {command.id!r} has nothing to decline")
        self.tell(e.Declined, id=command.id)

    def _cancel(self, command: c.Cancel) -> None:
        requests, slot = self.state.requests, self.state.slot(command.id)
        status = requests.status[slot]
        if status == ABOARD:
            raise RideError(f"request {command.id!r} is aboard")
        if status not in (OFFERED, WAITING):
            raise RideError(f"request {command.id!r} is over already")
        van = int(requests.van[slot])
        self.tell(e.Cancelled, id=command.id, reason=command.reason, van=van if van >= 0 else None)

    def _moved(self, command: c.Moved) -> None:
        self.tell(e.Moved, vans=command.vans, rows=command.rows, ready_s=command.ready_s)

    def _arrived(self, command: c.Arrived) -> None:
        self._van(command.van)
        self.tell(e.Arrived, van=command.van, stop=command.stop)

    def _boarded(self, command: c.Boarded) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        if requests.status[slot] != WAITING or requests.van[slot] != command.van:
            raise RideError(f"request {command.id!r} does not wait for van {command.van}")
        self.tell(e.PickedUp, id=command.id, van=command.van, begun_s=int(vans.since_s[command.van]))

    def _alighted(self, command: c.Alighted) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        if requests.status[slot] != ABOARD or requests.van[slot] != command.van:
            raise RideError(f"request {command.id!r} is not aboard van {command.van}")
        van = command.van
        self.tell(e.DroppedOff, id=command.id, van=van, stop=int(vans.stop[van]), begun_s=int(vans.since_s[van]))

    def _van(self, van: int) -> int:
        if not 0 <= van < len(self.state.vans):
            raise RideError(f"there is no van {van}: vans are 0 to {len(self.state.vans) - 1}")
        return van

    def _tick(self, command: c.Tick) -> None:
        requests = self.state.requests
        for slot in np.nonzero(requests.status[: requests.size] == OFFERED)[0].tolist():
            if all(offer.expires_s <= self._now_s for offer in requests.offers[slot]):
                self.tell(e.Expired, id=requests.ids[slot])
