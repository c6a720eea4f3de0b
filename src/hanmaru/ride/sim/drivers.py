"""What drivers do: what their van's plan says next, at the time that it takes; rest; and break down."""

import math
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.ride.domain import Floats, RideError
from hanmaru.ride.engine import commands, events
from hanmaru.ride.engine.state import BREAK
from hanmaru.ride.sim.chance import ALIGHTING, BOARDING, ROAD, factor
from hanmaru.ride.sim.motion import NOWHERE, Motion
from hanmaru.ride.sim.outcome import Fate

if TYPE_CHECKING:
    from hanmaru.ride.sim.loop import Day

HEAD_START_S = 60
"""How much earlier than planned a van leaves for somebody who is booked for later."""
ROAD_S = 600
"""How long a road is as slow as it is: one draw for each stop that is driven to and each such span of time."""


class Doing(Enum):
    """What a van does."""

    FREE = auto()
    """It stands or drives as its plan says."""
    SERVING = auto()
    RESTING = auto()
    BROKEN = auto()


class Drivers:
    """The V vans of a day: what each does, the stop where it stands (or `NOWHERE`) and since when."""

    def __init__(self, day: "Day") -> None:
        """Put the vans where the fleet has them."""
        fleet = day.fleet
        self.day = day
        self.motion = Motion(day.world, day.travel, fleet.stop, fleet.shift_from_s)
        self.doing = [Doing.FREE] * len(fleet.seats)
        self.stands = list(fleet.stop)
        self.since_s = [float(t) for t in fleet.shift_from_s]
        self._broken_at_s = np.full(len(fleet.seats), np.nan)
        self._broken_s = np.zeros(len(fleet.seats))
        self._intent = [0] * len(fleet.seats)

    def look(self, van: int, now: float) -> None:
        """Let a van do what its plan says next, unless it is busy."""
        if self.doing[van] is not Doing.FREE:
            return
        self._intent[van] += 1  # whatever it was about to do is off
        vans, requests = self.day.state.vans, self.day.state.requests
        start = float(vans.shift_from_s[van])
        if vans.length[van] == 0:
            self._go(van, int(vans.target[van]), now)
            return
        action = int(vans.plan[van, 0])
        slot = abs(action) - 1
        open_s = max(start, float(requests.earliest_s[slot]) if action > 0 else start)
        if requests.kind[slot] == BREAK:
            self.motion.halt(van)
            self._later(van, max(open_s, float(self.motion.at_s[van])), now, self._rest)
            return
        stop = int(requests.origin[slot] if action > 0 else requests.destination[slot])
        if self.stands[van] != stop:
            leave = max(start, open_s - self.motion.to(van, stop) - HEAD_START_S)
            if leave > now:
                self.motion.halt(van)
                self._later(van, leave, now, self.look)
            else:
                self._go(van, stop, now)
        else:
            self._at_stop(van, now)

    def _at_stop(self, van: int, now: float) -> None:
        """Serve who gets off or on at the stop where a van stands: off first, then on as they are there, whatever the
        plan's order. Who does not come is waited for as long as the rules say.
        """
        vans, requests, people = self.day.state.vans, self.day.state.requests, self.day.people
        stop, next_s, next_i = self.stands[van], math.inf, 0
        for action in vans.actions(van):
            slot = abs(action) - 1
            if (requests.origin if action > 0 else requests.destination)[slot] != stop:
                break
            i = int(requests.ids[slot])
            if action < 0:
                if people.van[i] != van:
                    continue  # gets on here first: another van broke down where the rider wanted to go
                people.dropped_s[i] = now
                self._serve(van, i, float(requests.alighting_s[slot]), ALIGHTING, now)
                return
            when = max(float(vans.shift_from_s[van]), float(requests.earliest_s[slot]))
            if people.comes(i):
                when = max(when, float(people.there_s[i]))
            else:
                when = max(when, self.since_s[van], people.window_s[i]) + self.day.config.no_show_s
            if when < next_s:
                next_s, next_i = when, i
        if next_s > now:
            self._later(van, next_s, now, self.look)
        elif people.comes(next_i):
            people.begins_boarding(next_i, now)
            slot = self.day.state.slot(str(next_i))
            self._serve(van, next_i, float(requests.boarding_s[slot]), BOARDING, now)
        else:
            self.day.ask(commands.NoShow(str(next_i)), now)

    def _later(self, van: int, when: float, now: float, what: Callable[[int, float], None]) -> None:
        """Let a van do something at a time, or now if that has come; off if it gets something else to do before."""
        if when <= now:
            what(van, now)
            return
        intent = self._intent[van]
        self.day.push(when, lambda then: what(van, then) if self._intent[van] == intent else None)

    def _go(self, van: int, stop: int, now: float) -> None:
        """Drive to a stop, or stand where there is none to go to."""
        if stop == NOWHERE or self.stands[van] == stop:
            self.motion.halt(van)
            return
        pace = factor(self.day.behaviour.disturbance.travel, self.day.seed, ROAD, stop, int(now // ROAD_S))
        when = self.motion.drive(van, stop, now, pace)
        if math.isinf(when):
            raise RideError(f"no way leads van {van} to stop {stop}: it is no part of the network that vans can leave")
        self.stands[van] = NOWHERE
        self._later(van, when, -math.inf, self._arrive)

    def _arrive(self, van: int, now: float) -> None:
        """A van stands at the stop it drove to."""
        stop = int(self.motion.target[van])
        self.motion.arrive(van)
        self.stands[van], self.since_s[van] = stop, now
        self.day.tell(commands.Arrived(van, stop), now)
        self.look(van, now)

    def _serve(self, van: int, i: int, planned_s: float, what: int, now: float) -> None:
        """Spend the time that boarding or alighting takes."""
        self.doing[van] = Doing.SERVING
        takes = planned_s * factor(self.day.behaviour.disturbance.boarding, self.day.seed, what, i, 0)
        self._later(van, now + takes, -math.inf, partial(self._served, i, what))

    def _served(self, i: int, what: int, van: int, now: float) -> None:
        """A rider is aboard, or has got off."""
        day = self.day
        self.doing[van] = Doing.FREE
        riders = int(day.demand.seats[i] + day.demand.wheelchairs[i])
        if what == BOARDING:
            self.motion.aboard[van] += riders
            day.people.boarded(i, van, now)
            day.tell(commands.Boarded(van, str(i)), now)
        else:
            self.motion.aboard[van] -= riders
            day.people.van[i] = NOWHERE
            day.tell(commands.Alighted(van, str(i)), now)
            day.people.finish(i, Fate.SERVED)
        self.look(van, now)

    def _rest(self, van: int, now: float) -> None:
        """A driver takes the break that comes first in the plan."""
        slot = int(self.day.state.vans.plan[van, 0]) - 1
        takes = float(self.day.state.requests.boarding_s[slot])
        self.doing[van] = Doing.RESTING
        self.day.ask(commands.BreakStart(van), now)
        self._later(van, now + takes, -math.inf, self._rested)

    def _rested(self, van: int, now: float) -> None:
        """A driver goes on."""
        self.doing[van] = Doing.FREE
        self.day.ask(commands.BreakEnd(van), now)
        self.look(van, now)

    def broken_s(self, now: float) -> Floats:
        """Return how long each van has been broken down (V,)."""
        return self._broken_s + np.nan_to_num(now - self._broken_at_s)

    def plan_breakdowns(self, begin_s: float, end_s: float) -> None:
        """Draw when vans break down: a Poisson process for each, the same whatever else happens."""
        day, disturbance = self.day, self.day.behaviour.disturbance
        if disturbance.breakdowns == 0:
            return
        every_s = 1000 * 3600 / disturbance.breakdowns
        for van in range(len(day.fleet.seats)):
            rng = np.random.default_rng([day.seed, 4, van])
            when = max(begin_s, day.fleet.shift_from_s[van]) + rng.exponential(every_s)
            while when < min(day.fleet.shift_to_s[van], end_s):
                day.push(when, partial(self._break_down, van))
                when += disturbance.repair_s + rng.exponential(every_s)

    def _break_down(self, van: int, now: float) -> None:
        """A van cannot go on; its riders get off and wait for another one."""
        self.day.sync(now)
        self.doing[van] = Doing.BROKEN
        self._intent[van] += 1
        self.motion.halt(van)
        self.day.ask(commands.Breakdown(van), now)

    def stranded(self, event: events.BrokenDown, now: float) -> None:
        """Riders of a broken van are where it stands; it is back there when it has been mended."""
        van, stop, repair_s = event.van, event.stop, self.day.behaviour.disturbance.repair_s
        people = self.day.people
        people.van[people.van == van] = NOWHERE
        self.motion.aboard[van] = 0
        self.stands[van] = NOWHERE
        self._broken_at_s[van] = now
        self.day.push(now + repair_s, lambda then: self._mended(van, stop, then))

    def _mended(self, van: int, stop: int, now: float) -> None:
        """A van is back."""
        self.doing[van] = Doing.FREE
        self._broken_s[van] += now - self._broken_at_s[van]
        self._broken_at_s[van] = np.nan
        self.motion.place(van, stop, now)
        self.stands[van], self.since_s[van] = stop, now
        self.day.ask(commands.Back(van, stop), now)
