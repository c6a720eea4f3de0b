"""The dispatcher: commands in, events out. It decides, and every decision is an event that is applied at once.

It has no clock, no randomness and no I/O: the time comes with each command, the travel times are handed in. What it
answers depends on its state, its configuration and the travel times alone.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from hanmaru.ride.domain import UNREACHABLE, RideError, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import desk
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.decisions import Decisions
from hanmaru.ride.engine.insertion import Wish, search, spliced
from hanmaru.ride.engine.offers import MEASURES, exactly, offers, service_s, wish
from hanmaru.ride.engine.promises import judge, watch
from hanmaru.ride.engine.proposals import consider
from hanmaru.ride.engine.state import ABOARD, FINISHED, OFFERED, WAITING, Fleet, State
from hanmaru.ride.engine.timetable import Timetables


class Dispatcher:
    """One service's vans and riders under one set of rules."""

    def __init__(self, config: Config, fleet: Fleet | State, travel: Travel) -> None:
        """Start with a fleet, or go on from a state that was kept."""
        self.config = config
        self.state = fleet if isinstance(fleet, State) else State(fleet)
        self._on = Decisions(config, self.state, travel)
        self._how: dict[type[c.AnyCommand], Callable[[Any], None]] = {
            c.Request: self._request,
            c.Accept: self._accept,
            c.Decline: self._decline,
            c.Cancel: self._cancel,
            c.NoShow: self._no_show,
            c.Moved: self._moved,
            c.Arrived: self._arrived,
            c.Boarded: self._boarded,
            c.Alighted: self._alighted,
            c.BreakStart: lambda command: desk.break_start(self._on, command),
            c.BreakEnd: lambda command: desk.break_end(self._on, command),
            c.Breakdown: lambda command: desk.breakdown(self._on, command),
            c.Back: lambda command: desk.back(self._on, command),
            c.Shift: lambda command: desk.shift(self._on, command),
            c.Propose: lambda command: consider(self._on, command.plans, command.layer),
            c.Reposition: lambda command: desk.reposition(self._on, command),
            c.Retime: self._retime,
            c.Override: lambda command: desk.override(self._on, command),
            c.Tick: self._tick,
        }

    @property
    def timetables(self) -> Timetables:
        """The timetables of all vans."""
        return self._on.timetables

    @property
    def travel(self) -> Travel:
        """The travel times in use. Rows of vans may be written in place before a `Moved`; to use others altogether,
        assign them here and then send `Retime`.
        """
        return self._on.travel

    @travel.setter
    def travel(self, travel: Travel) -> None:
        self._on.retime(travel)

    def handle(self, command: c.AnyCommand, now_s: int) -> list[e.AnyEvent]:
        """Decide on a command, apply what is decided and return it; never earlier than the last event.

        Raises `RideError` if the command makes no sense now; then nothing has changed.
        """
        how = self._how.get(type(command))
        if how is None:
            raise RideError(f"no dispatcher knows the command {type(command).__name__}")
        self._on.now_s = max(now_s, self.state.now_s)
        self._on.events = []
        how(command)
        return self._on.events

    def apply(self, event: e.AnyEvent) -> None:
        """Apply an event of the log, without deciding anything. Raises `RideError` if it is not the next one."""
        self._on.apply(event)

    def digest(self) -> bytes:
        """Return 16 bytes that are the same for the same state, and only for it."""
        return hashlib.blake2b(self.state.dumps(), digest_size=16).digest()

    def _request(self, command: c.Request) -> None:
        self._sensible(command)
        self._on.tell(e.Requested, request=command)
        self._offer(command)

    def _sensible(self, request: c.Request) -> None:
        if not request.id or request.id in self.state.requests.slots:
            raise RideError(f"a request needs an id of its own, and {request.id!r} is taken")
        if not request.origins or not request.destinations:
            raise RideError(f"request {request.id!r} needs a stop to start from and a stop to go to")
        if min(request.seats, request.wheelchairs) < 0 or request.seats + request.wheelchairs < 1:
            raise RideError(f"request {request.id!r} needs at least one rider")
        stops = self.travel.time_s.shape[1]
        for spot in (*request.origins, *request.destinations):
            if not 0 <= spot.stop < stops or spot.walk_s < 0:
                raise RideError(f"request {request.id!r} names stop {spot.stop}: they are 0 to {stops - 1}, walks >= 0")

    def _offer(self, request: c.Request, instead: e.Reason | None = None) -> None:
        """Look for offers and make them, and hold room for the first; or reject the request with the reason."""
        on = self._on
        looked = wish(self.config, request, self.travel, on.now_s)
        reason = self._hopeless(request, looked)
        if reason is None:
            roomy = looked._replace(boarding_s=looked.boarding_s + self.config.margin_s)
            found = search(on.room, on.now_s, roomy, on.open_vans(), MEASURES)
            serial = str(self.state.seq + 1)
            made = offers(self.config, request, self.travel, looked, found, on.now_s, serial)
            if made:
                times = {"boarding_s": looked.boarding_s, "alighting_s": looked.alighting_s}
                on.tell(e.Offered, id=request.id, offers=tuple(x.offer for x in made), instead=instead, **times)
                first = made[0]
                plan = spliced(on.holds.actions(first.offer.van), self.state.slot(request.id), first.pick, first.drop)
                on.hold(request.id, first.offer.van, plan)
                return
            reason = e.Reason.NO_VAN
        on.tell(e.Rejected, id=request.id, reason=reason)

    def _hopeless(self, request: c.Request, looked: Wish) -> e.Reason | None:
        """Return why no van could ever do it, if so."""
        vans = self.state.vans
        if not np.any((vans.seats >= request.seats) & (vans.wheelchairs >= request.wheelchairs)):
            return e.Reason.TOO_LARGE
        if int(looked.earliest_s.min()) > self._on.now_s + self.config.horizon_s:
            return e.Reason.TOO_FAR_AHEAD
        apart = looked.pickups[:, None] != looked.dropoffs[None, :]
        if not apart.any():
            return e.Reason.SAME_STOP
        direct = self.travel.time_s[np.ix_(looked.pickups, looked.dropoffs)]
        if not (apart & (direct < UNREACHABLE)).any():
            return e.Reason.UNREACHABLE
        return None if (looked.latest_s >= looked.earliest_s).any() else e.Reason.TOO_LATE

    def _accept(self, command: c.Accept) -> None:
        on, requests, slot = self._on, self.state.requests, self.state.slot(command.id)
        taken = requests.offer[slot]
        if taken is not None and taken.id == command.offer:  # said twice
            return
        offer = next((offer for offer in requests.offers[slot] if offer.id == command.offer), None)
        asked = requests.asked[slot]
        if requests.status[slot] != OFFERED or offer is None or asked is None:
            raise RideError(f"request {command.id!r} has no open offer {command.offer!r}")
        boarding, alighting = service_s(self.config, asked)
        looked = exactly(offer, asked.seats, asked.wheelchairs, boarding, alighting)
        on.release(command.id)
        place = on.best(looked, slot, on.open_vans(), beside_holds=True)
        if place is None:
            self._offer(asked, e.Reason.TAKEN)
            return
        on.tell(e.Accepted, id=command.id, offer=offer, van=place.van, plan=place.plan)

    def _decline(self, command: c.Decline) -> None:
        slot = self.state.slot(command.id)
        if self.state.requests.status[slot] not in (OFFERED, WAITING):
            raise RideError(f"request {command.id!r} has nothing to decline")
        self._on.tell(e.Declined, id=command.id)

    def _cancel(self, command: c.Cancel) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        status, van = requests.status[slot], int(requests.van[slot])
        if status in (OFFERED, WAITING):
            self._on.tell(e.Cancelled, id=command.id, reason=command.reason, van=van if van >= 0 else None)
            return
        if status != ABOARD:
            raise RideError(f"request {command.id!r} is over already")
        plan = vans.actions(van)
        first = abs(plan[0]) - 1
        stop = int(vans.stop[van])
        if stop < 0:
            stop = int((requests.origin if plan[0] > 0 else requests.destination)[first])
        rest = (action for action in plan if action != -slot - 1)
        out = (-slot - 1, *rest)
        self._on.tell(e.Cancelled, id=command.id, reason=command.reason, van=van, stop=stop, plan=out)

    def _no_show(self, command: c.NoShow) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        van = int(requests.van[slot])
        if requests.status[slot] != WAITING or van < 0 or vans.stop[van] != requests.origin[slot]:
            raise RideError(f"no van stands at the stop of request {command.id!r} to wait for its rider")
        until = int(max(vans.since_s[van], requests.earliest_s[slot])) + self.config.no_show_s
        if self._on.now_s < until:
            raise RideError(f"wait for the rider of request {command.id!r} for {until - self._on.now_s} s more")
        judge(self._on, slot, int(vans.since_s[van]), aboard=False)
        self._on.tell(e.NoShow, id=command.id, van=van)

    def _moved(self, command: c.Moved) -> None:
        rows = self.travel.time_s.shape[0]
        if len(command.vans) != len(command.rows) or len(command.vans) != len(command.ready_s):
            raise RideError("every van that moved needs its row and the time when it is there")
        if not all(0 <= row < rows for row in command.rows):
            raise RideError(f"vans move to rows 0 to {rows - 1} of the travel times")
        for van in command.vans:
            self.state.van(van)
        self._on.tell(e.Moved, vans=command.vans, rows=command.rows, ready_s=command.ready_s)

    def _at(self, at_s: int | None, van: int) -> int:
        """Return when something was, as reported: not in the future, and not before the van's last news."""
        now_s = self._on.now_s
        return now_s if at_s is None else max(min(at_s, now_s), min(int(self.state.vans.since_s[van]), now_s))

    def _arrived(self, command: c.Arrived) -> None:
        van = self.state.van(command.van)
        if not 0 <= command.stop < self.travel.time_s.shape[1]:
            raise RideError(f"there is no stop {command.stop}")
        if self.state.vans.stop[van] == command.stop:  # said twice
            return
        self._on.tell(e.Arrived, van=van, stop=command.stop, since_s=self._at(command.at_s, van))

    def _boarded(self, command: c.Boarded) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        van = self.state.van(command.van)
        if requests.status[slot] != WAITING or requests.van[slot] != van:
            raise RideError(f"request {command.id!r} does not wait for van {van}")
        at_s, stop = self._at(command.at_s, van), int(requests.origin[slot])
        if vans.stop[van] != stop:
            self._on.tell(e.Arrived, van=van, stop=stop, since_s=at_s)
        begun_s = int(vans.since_s[van])
        judge(self._on, slot, begun_s, aboard=False)
        self._on.tell(e.PickedUp, id=command.id, van=van, begun_s=begun_s, picked_s=at_s)

    def _alighted(self, command: c.Alighted) -> None:
        requests, vans, slot = self.state.requests, self.state.vans, self.state.slot(command.id)
        van = self.state.van(command.van)
        if requests.status[slot] != ABOARD or requests.van[slot] != van:
            raise RideError(f"request {command.id!r} is not aboard van {van}")
        at_s = self._at(command.at_s, van)
        if vans.stop[van] < 0:
            self._on.tell(e.Arrived, van=van, stop=int(requests.destination[slot]), since_s=at_s)
        stop, begun_s = int(vans.stop[van]), int(vans.since_s[van])
        judge(self._on, slot, max(begun_s, int(requests.picked_s[slot])), aboard=True)
        self._on.tell(e.DroppedOff, id=command.id, van=van, stop=stop, begun_s=begun_s, left_s=at_s)

    def _retime(self, command: c.Retime) -> None:
        self._on.tell(e.TravelChanged, name=command.name)
        watch(self._on)

    def _tick(self, command: c.Tick) -> None:
        on, requests = self._on, self.state.requests
        status = requests.status[: requests.size]
        for slot in np.nonzero(status == OFFERED)[0].tolist():
            if all(offer.expires_s <= on.now_s for offer in requests.offers[slot]):
                on.tell(e.Expired, id=requests.ids[slot])
        desk.rehouse(on, e.Reason.LATE)
        watch(on)
        desk.homewards(on)
        over = (status >= FINISHED) & (requests.changed_s[: requests.size] + self.config.forget_s <= on.now_s)
        ids = tuple(requests.ids[slot] for slot in np.nonzero(over)[0].tolist())
        if ids:
            on.tell(e.Forgotten, ids=ids)
