"""A day of service under a simulated clock: the live engine, with riders and vans that behave.

Everything happens at instants kept in a heap: riders ask, choose, cancel or do not come; vans arrive, wait, let people
on and off, rest and break down; layers propose. The dispatcher learns what it would learn on the street, when it would:
whole seconds, the node a van comes to next, not how slow the road beyond it will be. Deciding takes no simulated time.
What is random is drawn for each request, van or road beforehand, or hashed, so that runs of one seed share it whatever
the policy and the fleet (common random numbers).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

import numpy as np

from hanmaru.ride.domain import RideError, Rows, Seconds, Travel
from hanmaru.ride.engine import commands, events
from hanmaru.ride.engine.commands import AnyCommand, Spot
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.events import AnyEvent
from hanmaru.ride.engine.state import Fleet
from hanmaru.ride.sim.drivers import Drivers
from hanmaru.ride.sim.outcome import Fate, Outcome
from hanmaru.ride.sim.people import People
from hanmaru.ride.sim.scenario import Disturbance, Riders
from hanmaru.ride.sim.world import World

TICK_S = 15
OVERTIME_S = 6 * 3600
"""A run is broken off so long after the last request; what is open then is counted as unfinished."""


@dataclass(frozen=True, eq=False, slots=True)
class Demand:
    """n requests in order of ``asked_s``: when they are made and from when on the rider can leave, Unix seconds (n,);
    the stops within walking distance of both ends; ``seats`` and ``wheelchairs`` (n,). ``left_out``: how many trips are
    not among them since no stop is near.
    """

    asked_s: Seconds
    depart_s: Seconds
    origins: Sequence[tuple[Spot, ...]]
    destinations: Sequence[tuple[Spot, ...]]
    seats: Rows
    wheelchairs: Rows
    left_out: int = 0

    def __len__(self) -> int:
        """Return how many requests there are."""
        return len(self.asked_s)


@dataclass(frozen=True, slots=True)
class Layer:
    """Something that looks at the dispatcher every so often and asks it for something, or for nothing."""

    every_s: int
    look: Callable[[Dispatcher, int], AnyCommand | None]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What riders, roads and vans do; the default: riders take the best offer, all goes as planned."""

    riders: Riders = field(default_factory=Riders)
    disturbance: Disturbance = field(default_factory=Disturbance)
    shifts: Sequence[commands.Shift] = ()


def simulate(
    world: World,
    fleet: Fleet,
    config: Config,
    demand: Demand,
    behaviour: Behaviour | None = None,
    layers: Sequence[Layer] = (),
    seed: int = 1,
    log: list[AnyEvent] | None = None,
    traffic: Sequence[tuple[int, World]] = (),
) -> Outcome:
    """Run a day and return what it came to; ``log`` takes the events, from which the dispatcher can be replayed.

    ``traffic`` says from when on other travel times of the same nodes and stops apply than those of ``world``.

    The same arguments give the same outcome and the same log. Raises RideError for no requests or vans, or where no way
    leads to a stop.
    """
    day = Day(world, fleet, config, demand, behaviour or Behaviour(), layers, seed, log, traffic)
    day.run()
    return day.outcome()


class Day:
    """A day in progress: the clock, the dispatcher, and who acts. `simulate` is what is usually wanted."""

    def __init__(
        self,
        world: World,
        fleet: Fleet,
        config: Config,
        demand: Demand,
        behaviour: Behaviour,
        layers: Sequence[Layer],
        seed: int,
        log: list[AnyEvent] | None,
        traffic: Sequence[tuple[int, World]] = (),
    ) -> None:
        """Prepare a day; arguments as of `simulate`."""
        if not len(demand) or not len(fleet.seats):
            raise RideError(f"{len(demand)} requests and {len(fleet.seats)} vans: a day needs one of each at least")
        past = [(since, other) for since, other in traffic if since <= demand.asked_s[0]]
        self.world = max(past, key=lambda known: known[0])[1] if past else world
        self.traffic = [(since, other) for since, other in traffic if since > demand.asked_s[0]]
        self.fleet, self.config, self.demand = fleet, config, demand
        self.behaviour, self.layers, self.seed, self.log = behaviour, layers, seed, log
        self.travel: Travel = self.world.travel(len(fleet.seats))
        self.dispatcher = Dispatcher(config, fleet, self.travel)
        self.state = self.dispatcher.state
        self.people, self.drivers = People(self, seed), Drivers(self)
        self.begin_s = self.end_s = float(demand.asked_s[0])
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._pushed = 0

    def run(self) -> None:
        """Go through the day until every request has found its end."""
        demand, start = self.demand, int(self.demand.asked_s[0])
        for shift in self.behaviour.shifts:
            self.ask(shift, start)
        for since, world in self.traffic:
            self.push(since, partial(self._retime, world))
        for i, asked in enumerate(demand.asked_s.tolist()):
            self.push(asked, partial(self.people.ask, i))
        self.push(start + TICK_S, partial(self._repeat, TICK_S, lambda _dispatcher, _now: commands.Tick()))
        for layer in self.layers:
            self.push(start + layer.every_s, partial(self._repeat, layer.every_s, layer.look))
        last = float(demand.depart_s.max())
        self.drivers.plan_breakdowns(start, last)
        while self.people.open and self._heap:
            now, _, happens = heappop(self._heap)
            if now > last + OVERTIME_S:
                break
            self.end_s = now
            happens(now)

    def _retime(self, world: World, now: float) -> None:
        """Go on with other travel times."""
        self.sync(now)
        self.world, self.travel = world, world.travel(len(self.fleet.seats))
        self.drivers.motion.retime(world, self.travel)
        self.dispatcher.travel = self.travel
        self.tell(commands.Retime(str(math.ceil(now))), now)
        for van in range(len(self.fleet.seats)):
            self.drivers.look(van, now)

    def push(self, when: float, happens: Callable[[float], None]) -> None:
        """Let something happen at a time; what is pushed first happens first among equals."""
        self._pushed += 1
        heappush(self._heap, (when, self._pushed, happens))

    def _repeat(self, every_s: int, look: Callable[[Dispatcher, int], AnyCommand | None], now: float) -> None:
        """Let a layer look, give its command, and come back to it."""
        self.sync(now)
        command = look(self.dispatcher, math.ceil(now))
        if command is not None:
            self.tell(command, now)
        self.push(now + every_s, partial(self._repeat, every_s, look))

    def sync(self, now: float) -> None:
        """Tell the dispatcher where vans are."""
        vans, rows, ready = self.drivers.motion.moved(now)
        if vans:
            self.tell(commands.Moved(tuple(vans), tuple(rows), tuple(ready)), now)

    def ask(self, command: AnyCommand, now: float) -> list[AnyEvent]:
        """Tell the dispatcher where vans are, then a command."""
        self.sync(now)
        return self.tell(command, now)

    def tell(self, command: AnyCommand, now: float) -> list[AnyEvent]:
        """Give the dispatcher a command and let riders and drivers react to what follows."""
        happened = self.dispatcher.handle(command, math.ceil(now))
        if self.log is not None:
            self.log.extend(happened)
        changed: dict[int, None] = {}
        for event in happened:
            self._react(event, now, changed)
        for van in changed:
            self.drivers.look(van, now)
        return happened

    def _react(self, event: AnyEvent, now: float, changed: dict[int, None]) -> None:
        """Take in what an event says; vans that may have something else to do go to ``changed``."""
        people = self.people
        match event:
            case events.Accepted():
                people.accepted(int(event.id), event.offer, now)
                changed[event.van] = None
            case events.PlansChanged():
                changed.update(dict.fromkeys(event.plans))
            case events.Rejected():
                people.finish(int(event.id), Fate.REFUSED)
            case events.Declined() | events.Expired():
                people.finish(int(event.id), Fate.DECLINED)
            case events.Cancelled():
                people.finish(int(event.id), Fate.CANCELLED)
                if event.van is not None:
                    changed[event.van] = None
            case events.NoShow():
                people.finish(int(event.id), Fate.NO_SHOW)
                changed[event.van] = None
            case events.PromiseBroken():
                people.broken(event, now)
            case events.BrokenDown():
                self.drivers.stranded(event, now)
            case events.VanBack() | events.ShiftSet():
                changed[event.van] = None
            case events.Repositioned():
                changed.update(dict.fromkeys(event.vans))
            case _:
                pass

    def outcome(self) -> Outcome:
        """Return what the day came to so far. Vans with a depot drive there empty."""
        people, motion, fleet = self.people, self.drivers.motion, self.fleet
        home = np.array([motion.way_m(v, d) if d >= 0 else 0.0 for v, d in enumerate(fleet.depot)])
        home = np.where(np.isfinite(home), home, 0.0)
        on, off = np.array(fleet.shift_from_s, float), np.array(fleet.shift_to_s, float)
        duty = np.minimum(off, self.end_s) - np.maximum(on, self.begin_s) - self.drivers.broken_s(self.end_s)
        return Outcome(
            fate=people.fate,
            depart_s=self.demand.depart_s,
            picked_s=people.picked_s,
            boarded_s=people.boarded_s,
            dropped_s=people.dropped_s,
            direct_s=people.direct_s,
            walk_s=people.walk_s,
            riders=self.demand.seats + self.demand.wheelchairs,
            latest_pickup_s=people.latest_pickup_s,
            arrive_by_s=people.arrive_by_s,
            driven_m=motion.driven_m + home,
            empty_m=motion.empty_m + home,
            on_duty_s=np.maximum(duty, 0),
            left_out=self.demand.left_out,
        )
