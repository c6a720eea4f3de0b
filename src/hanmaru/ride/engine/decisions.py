"""What every decision is made with: the state, its timetables, the rules and the time; and how one is put on record."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from hanmaru.ride.domain import Bools, Floats, RideError, Travel
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.holds import Holds
from hanmaru.ride.engine.insertion import DROP, DROPOFF_S, PICK, PICKUP_S, VAN, Wish, search, spliced
from hanmaru.ride.engine.replay import apply
from hanmaru.ride.engine.state import OFFERED, ON, RESTING, State
from hanmaru.ride.engine.timetable import Timetables

CHEAPEST: Floats = np.array([[0.0, 0.0, 1.0]])
"""The one measure that counts for the service: cost."""


class Place(NamedTuple):
    """Where a rider fits: the van, its plan with the rider, and when boarding and alighting would begin."""

    van: int
    plan: e.Plan
    pickup_s: int
    dropoff_s: int


class Decisions:
    """A state that is being decided on. ``events``: what has been decided since they were last taken."""

    def __init__(self, config: Config, state: State, travel: Travel) -> None:
        """Decide nothing yet."""
        self.config, self.state = config, state
        self.timetables = Timetables(state, travel, config.weights)
        self.holds = Holds(state)
        self.room = Timetables(state, travel, config.weights, self.holds)
        self.events: list[e.AnyEvent] = []
        self.now_s = state.now_s

    @property
    def travel(self) -> Travel:
        """The travel times in use."""
        return self.timetables.travel

    def apply(self, event: e.AnyEvent) -> None:
        """Apply an event. Raises `RideError` if it is not the next one."""
        id = getattr(event, "id", None)
        if id in self.holds.vans:
            self.release(id)
        touched = apply(self.state, event)
        self.timetables.touch(touched)
        self.room.touch(touched)

    def hold(self, id: str, van: int, plan: e.Plan) -> None:
        """Hold room for a request's first offer."""
        self.holds.add(id, van, plan)
        self.room.touch([van])

    def release(self, id: str) -> None:
        """Hold no room for a request any longer."""
        van = self.holds.pop(id)
        if van >= 0:
            self.room.touch([van])

    def retime(self, travel: Travel) -> None:
        """Use other travel times from now on."""
        self.timetables.retime(travel)
        self.room.retime(travel)

    def tell(self, make: Callable[..., e.AnyEvent], **what: Any) -> None:
        """Make the next event of the log and apply it."""
        event = make(seq=self.state.seq + 1, time_s=self.now_s, **what)
        self.apply(event)
        self.events.append(event)

    def open_vans(self, without: Iterable[int] = ()) -> Bools:
        """Return (V,) which vans may get new riders: those at work or resting; not held, broken or out of service."""
        vans = self.state.vans
        allowed = (vans.status == ON) | ((vans.status == RESTING) & (vans.resumes == ON))
        allowed[list(without)] = False
        return allowed

    def best(
        self, wish: Wish, slot: int, allowed: Bools, measures: Floats = CHEAPEST, beside_holds: bool = False
    ) -> Place | None:
        """Return where a wish with one pair of stops fits best by the first measure, or None.

        Someone who has a promise takes the room that is held for those who have none yet, unless ``beside_holds``.
        """
        timetables = self.room if beside_holds else self.timetables
        found = search(timetables, self.now_s, wish, allowed, measures)
        if not np.isfinite(found.score[0, 0, 0]):
            return None
        at = found.at[0, 0, 0].tolist()
        plan = spliced(timetables.plans.actions(at[VAN]), slot, at[PICK], at[DROP])
        return Place(at[VAN], self.firm(plan, slot), at[PICKUP_S], at[DROPOFF_S])

    def firm(self, plan: e.Plan, slot: int) -> e.Plan:
        """Return a plan without anybody for whom there is only a hold, except one."""
        status = self.state.requests.status
        return tuple(action for action in plan if abs(action) - 1 == slot or status[abs(action) - 1] != OFFERED)

    def wish(self, slot: int, promise: e.Promise | None = None) -> Wish:
        """Return the wish for a planned rider: its windows as they are held, or those of another promise."""
        requests = self.state.requests
        held = promise or self.held(slot)

        def one(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
            return np.array([[value]], np.int64)

        return Wish(
            requests.origin[slot : slot + 1].copy(),
            requests.destination[slot : slot + 1].copy(),
            one(held.from_s),
            one(held.to_s),
            one(held.by_s),
            one(held.ride_s),
            int(requests.seats[slot]),
            int(requests.wheelchairs[slot]),
            int(requests.boarding_s[slot]),
            int(requests.alighting_s[slot]),
        )

    def held(self, slot: int) -> e.Promise:
        """Return what plans must keep for a request."""
        requests = self.state.requests
        columns = requests.earliest_s, requests.latest_s, requests.deadline_s, requests.ride_s
        return e.Promise(*(int(column[slot]) for column in columns))

    def offer_of(self, slot: int) -> e.Offer:
        """Return the accepted offer of a rider. Raises `RideError` if there is none."""
        offer = self.state.requests.offer[slot]
        if offer is None:
            raise RideError(f"request {self.state.requests.ids[slot]!r} has accepted no offer")
        return offer
