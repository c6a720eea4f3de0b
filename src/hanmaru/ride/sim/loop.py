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
from enum import Enum, auto
from heapq import heappop, heappush
from statistics import NormalDist

import numpy as np

from hanmaru.city.kernels import draw, stream
from hanmaru.ride.domain import UNREACHABLE, RideError, Rows, Seconds, Travel
from hanmaru.ride.engine import commands, events
from hanmaru.ride.engine.commands import AnyCommand, Spot
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.engine.events import AnyEvent, Offer
from hanmaru.ride.engine.state import BREAK, Fleet
from hanmaru.ride.sim.motion import NOWHERE, Motion
from hanmaru.ride.sim.outcome import NEVER, Fate, Outcome
from hanmaru.ride.sim.scenario import Disturbance, Riders
from hanmaru.ride.sim.world import World

TICK_S = 15
HEAD_START_S = 60
"""How much earlier than planned a van leaves for somebody who is booked for later."""
ROAD_S = 600
"""How long a road is as slow as it is: one draw for each stop that is driven to and each such span of time."""
OVERTIME_S = 6 * 3600
"""A run is broken off so long after the last request; what is open then is counted as unfinished."""
CHOICES = 3
"""How often a rider whose offer was just taken away looks at new ones."""
WALK_WEIGHT, WAIT_WEIGHT = 2.0, 2.0
"""What a minute of walking and of waiting is worth in minutes aboard (Wardman 2004, doi:10.1016/j.tranpol.2004.05.001:
about twice).
"""
_NORMAL = NormalDist()
_ROAD, _BOARDING, _ALIGHTING = range(3)


@dataclass(frozen=True, eq=False, slots=True)
class Demand:
    """n requests in order of ``asked_s``: when they are made and from when on the rider can leave, Unix seconds (n,);
    the stops within walking distance of both ends; ``seats`` and ``wheelchairs`` (n,).
    """

    asked_s: Seconds
    depart_s: Seconds
    origins: Sequence[tuple[Spot, ...]]
    destinations: Sequence[tuple[Spot, ...]]
    seats: Rows
    wheelchairs: Rows

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
    shifts: Sequence[commands.Shift] = field(default_factory=tuple[commands.Shift, ...])


class Doing(Enum):
    """What a van does."""

    FREE = auto()
    """It stands or drives as its plan says."""
    SERVING = auto()
    RESTING = auto()
    BROKEN = auto()


def simulate(
    world: World,
    fleet: Fleet,
    config: Config,
    demand: Demand,
    behaviour: Behaviour | None = None,
    layers: Sequence[Layer] = (),
    seed: int = 1,
    log: list[AnyEvent] | None = None,
) -> Outcome:
    """Run a day and return what it came to; ``log`` takes the events, from which the dispatcher can be replayed.

    The same arguments give the same outcome and the same log. Raises RideError where a stop is not of the world.
    """
    day = Day(world, fleet, config, demand, behaviour or Behaviour(), layers, seed, log)
    day.run()
    return day.outcome()


class Day:
    """A day in progress; `simulate` is what is usually wanted."""

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
    ) -> None:
        n, vans = len(demand), len(fleet.seats)
        if not n or not vans:
            raise RideError(f"{n} requests and {vans} vans: a day needs one of each at least")
        self.travel: Travel = world.travel(vans)
        self.dispatcher = Dispatcher(config, fleet, self.travel)
        self.state = self.dispatcher.state
        self.config, self.demand, self.behaviour, self.layers = config, demand, behaviour, layers
        self.seed, self.log, self.fleet = seed, log, fleet
        self.motion = Motion(world, self.travel, fleet.stop, fleet.shift_from_s)
        self.heap: list[tuple[float, int, Callable[[float], None]]] = []
        self.pushed = 0
        self.doing = [Doing.FREE] * vans
        self.stands = list(fleet.stop)
        self.since_s = [float(t) for t in fleet.shift_from_s]
        self.intent = [0] * vans
        self.broken_s = np.zeros(vans)
        self.open = n
        self.begin_s = self.end_s = float(demand.asked_s[0])
        self.fate = np.full(n, Fate.UNFINISHED, np.int32)
        self.there_s = np.full(n, math.inf)
        self.window_s, self.stop = np.zeros(n), np.full((n, 2), NOWHERE, np.int32)
        self.walk_s = np.zeros(n)
        names = ("picked_s", "boarded_s", "dropped_s", "latest_pickup_s", "arrive_by_s")
        self.times = {name: np.full(n, float(NEVER)) for name in names}
        self.draws = np.random.default_rng([seed, 3]).random((n, 3))

    def run(self) -> None:
        """Go through the day until every request has found its end."""
        demand, start = self.demand, int(self.demand.asked_s[0])
        for shift in self.behaviour.shifts:
            self.ask(shift, start)
        for i, asked in enumerate(demand.asked_s.tolist()):
            self.push(asked, lambda now, i=i: self.request(i, now))
        self.push(start + TICK_S, lambda now: self.repeat(now, TICK_S, self.tick))
        for layer in self.layers:
            self.push(start + layer.every_s, lambda now, layer=layer: self.repeat(now, layer.every_s, self.turn(layer)))
        self.breakdowns(start)
        over = float(max(demand.asked_s[-1], demand.depart_s.max())) + OVERTIME_S
        while self.open and self.heap:
            now, _, happens = heappop(self.heap)
            if now > over:
                break
            self.end_s = now
            happens(now)

    def push(self, when: float, happens: Callable[[float], None]) -> None:
        """Let something happen at a time; what is pushed first happens first among equals."""
        self.pushed += 1
        heappush(self.heap, (when, self.pushed, happens))

    def repeat(self, now: float, every_s: int, what: Callable[[float], None]) -> None:
        """Do something and come back to it."""
        what(now)
        self.push(now + every_s, lambda then: self.repeat(then, every_s, what))

    def tick(self, now: float) -> None:
        """Let the dispatcher look at the time."""
        self.ask(commands.Tick(), now)

    def turn(self, layer: Layer) -> Callable[[float], None]:
        """Return a layer's turn."""

        def look(now: float) -> None:
            self.sync(now)
            command = layer.look(self.dispatcher, math.ceil(now))
            if command is not None:
                self.ask(command, now)

        return look

    def sync(self, now: float) -> None:
        """Tell the dispatcher where vans are."""
        vans, rows, ready = self.motion.moved(now)
        if vans:
            self.tell(commands.Moved(tuple(vans), tuple(rows), tuple(ready)), now)

    def ask(self, command: AnyCommand, now: float) -> list[AnyEvent]:
        """Tell the dispatcher where vans are, then a command."""
        self.sync(now)
        return self.tell(command, now)

    def tell(self, command: AnyCommand, now: float) -> list[AnyEvent]:
        """Give the dispatcher a command and let riders and vans react to what follows."""
        happened = self.dispatcher.handle(command, math.ceil(now))
        if self.log is not None:
            self.log.extend(happened)
        changed: dict[int, None] = {}
        for event in happened:
            self.react(event, now, changed)
        for van in changed:
            self.look(van, now)
        return happened

    def react(self, event: AnyEvent, now: float, changed: dict[int, None]) -> None:
        """Take in what an event says; vans that may have something else to do go to ``changed``."""
        match event:
            case events.Accepted():
                self.accepted(int(event.id), event.offer, now)
                changed[event.van] = None
            case events.PlansChanged():
                changed.update(dict.fromkeys(event.plans))
            case events.Rejected():
                self.finish(event.id, Fate.REFUSED)
            case events.Declined() | events.Expired():
                self.finish(event.id, Fate.DECLINED)
            case events.Cancelled():
                self.finish(event.id, Fate.CANCELLED)
                if event.van is not None:
                    changed[event.van] = None
            case events.NoShow():
                self.finish(event.id, Fate.NO_SHOW)
                changed[event.van] = None
            case events.PromiseBroken():
                self.broken(event, now)
            case events.BrokenDown():
                self.stranded(event, now)
            case events.VanBack() | events.ShiftSet():
                changed[event.van] = None
            case events.Repositioned():
                changed.update(dict.fromkeys(event.vans))
            case _:
                pass

    def finish(self, id: str, fate: Fate) -> None:
        """Note how a request ended, once."""
        i = int(id)
        if self.fate[i] == Fate.UNFINISHED:
            self.fate[i] = fate
            self.open -= 1

    # Riders

    def request(self, i: int, now: float) -> None:
        """A rider asks and takes one of the offers, or none."""
        demand = self.demand
        happened = self.ask(
            commands.Request(
                id=str(i),
                origins=demand.origins[i],
                destinations=demand.destinations[i],
                seats=int(demand.seats[i]),
                wheelchairs=int(demand.wheelchairs[i]),
                earliest_s=int(demand.depart_s[i]),
            ),
            now,
        )
        for _ in range(CHOICES):
            offers = next((e.offers for e in happened if isinstance(e, events.Offered) and e.id == str(i)), ())
            chosen = self.choose(i, offers)
            if not offers:
                return
            if chosen is None:
                break
            happened = self.tell(commands.Accept(str(i), chosen.id), now)
        if self.fate[i] == Fate.UNFINISHED and math.isinf(self.there_s[i]):
            self.tell(commands.Decline(str(i)), now)

    def choose(self, i: int, offers: Sequence[Offer]) -> Offer | None:
        """Return the offer of the least generalised time that the rider puts up with."""
        depart, riders = float(self.demand.depart_s[i]), self.behaviour.riders
        patience = math.inf if riders.patience_s is None else riders.patience_s
        detour = math.inf if riders.detour is None else riders.detour

        def cost(offer: Offer) -> float:
            wait, ride = offer.pickup_s - depart - offer.pickup.walk_s, offer.dropoff_s - offer.pickup_s
            return WALK_WEIGHT * (offer.pickup.walk_s + offer.dropoff.walk_s) + WAIT_WEIGHT * wait + ride

        def bearable(offer: Offer) -> bool:
            direct = self.travel.time_s[offer.pickup.stop, offer.dropoff.stop]
            ride = offer.dropoff_s - offer.pickup_s - self.config.boarding_s
            return offer.pickup_s - depart <= patience and ride <= detour * max(direct, 1)

        return min(filter(bearable, offers), key=cost, default=None)

    def accepted(self, i: int, offer: Offer, now: float) -> None:
        """The rider goes to the stop; or will cancel, at some moment until the van is expected."""
        self.booked(i, offer, float(self.demand.depart_s[i]))
        self.times["latest_pickup_s"][i], self.times["arrive_by_s"][i] = offer.promise.to_s, offer.promise.by_s
        cancels, share, _ = self.draws[i]
        if cancels < self.behaviour.riders.cancel:
            self.push(now + share * max(0.0, offer.pickup_s - now), lambda then: self.cancel(i, then))

    def booked(self, i: int, offer: Offer, leaves_s: float) -> None:
        """Note where a rider gets on and off, and when he is there."""
        self.stop[i] = offer.pickup.stop, offer.dropoff.stop
        self.walk_s[i] = offer.pickup.walk_s + offer.dropoff.walk_s
        self.there_s[i], self.window_s[i] = leaves_s + offer.pickup.walk_s, offer.promise.from_s

    def cancel(self, i: int, now: float) -> None:
        """A rider cancels, unless the van was quicker."""
        if self.fate[i] == Fate.UNFINISHED and self.times["picked_s"][i] == NEVER:
            self.ask(commands.Cancel(str(i)), now)

    def broken(self, event: events.PromiseBroken, now: float) -> None:
        """A promise is broken: the rider takes what is offered instead if it can be borne."""
        i = int(event.id)
        if self.times["picked_s"][i] != NEVER:
            return  # aboard, or waiting for the next van where the first one broke down
        if event.offer is None:
            self.finish(event.id, Fate.BROKEN)
        elif self.choose(i, [event.offer]) is None:
            self.push(now, lambda then: self.give_up(i, then))
        elif event.offer.pickup.stop != self.stop[i, 0]:
            self.booked(i, event.offer, now)

    def give_up(self, i: int, now: float) -> None:
        """A rider whose promise was broken does not want the new one."""
        if self.fate[i] == Fate.UNFINISHED:
            self.fate[i], self.open = Fate.BROKEN, self.open - 1
            self.ask(commands.Decline(str(i)), now)

    # Vans

    def look(self, van: int, now: float) -> None:
        """Let a van do what its plan says next, unless it is busy."""
        if self.doing[van] is not Doing.FREE:
            return
        self.intent[van] += 1  # whatever it was about to do is off
        vans, requests = self.state.vans, self.state.requests
        start = float(vans.shift_from_s[van])
        if vans.length[van] == 0:
            self.go(van, int(vans.target[van]), now)
            return
        action = int(vans.plan[van, 0])
        slot = abs(action) - 1
        open_s = max(start, float(requests.earliest_s[slot]) if action > 0 else start)
        if requests.kind[slot] == BREAK:
            self.motion.halt(van)
            self.later(van, max(open_s, float(self.motion.at_s[van])), now, self.rest)
            return
        stop = int(requests.origin[slot] if action > 0 else requests.destination[slot])
        if self.stands[van] != stop:
            leave = max(start, open_s - self.motion.to(van, stop) - HEAD_START_S)
            if leave > now:
                self.motion.halt(van)
                self.later(van, leave, now, self.look)
            else:
                self.go(van, stop, now)
        elif action > 0:
            self.pick_up(van, int(requests.ids[slot]), open_s, now)
        else:
            self.drop_off(van, int(requests.ids[slot]), now)

    def later(self, van: int, when: float, now: float, what: Callable[[int, float], None]) -> None:
        """Let a van do something at a time, or now if that has come; off if it gets something else to do before."""
        if when <= now:
            what(van, now)
            return
        intent = self.intent[van]
        self.push(when, lambda then: what(van, then) if self.intent[van] == intent else None)

    def go(self, van: int, stop: int, now: float) -> None:
        """Drive to a stop, or stand where there is none to go to."""
        if stop == NOWHERE or self.stands[van] == stop:
            self.motion.halt(van)
            return
        when = self.motion.drive(van, stop, now, self.pace(stop, now))
        if math.isinf(when):
            raise RideError(f"no way leads van {van} to stop {stop}: it is no part of the network that vans can leave")
        self.stands[van] = NOWHERE
        self.later(van, max(when, now), now - 1, self.arrive)

    def pace(self, stop: int, now: float) -> float:
        """Return how much longer than planned driving to a stop takes just now."""
        return self.noise(self.behaviour.disturbance.travel, _ROAD, stop, int(now // ROAD_S))

    def noise(self, deviation: float, what: int, a: int, b: int) -> float:
        """Return a log-normal factor of mean 1 and a deviation, the same for the same keys."""
        if deviation == 0:
            return 1.0
        sigma = math.sqrt(math.log1p(deviation**2))
        return math.exp(sigma * _NORMAL.inv_cdf(draw(stream(self.seed, what, a, b), 0)) - sigma**2 / 2)

    def arrive(self, van: int, now: float) -> None:
        """A van stands at the stop it drove to."""
        stop = int(self.motion.target[van])
        self.motion.arrive(van)
        self.stands[van], self.since_s[van] = stop, now
        self.tell(commands.Arrived(van, stop), now)
        self.look(van, now)

    def pick_up(self, van: int, i: int, open_s: float, now: float) -> None:
        """Let a rider on as soon as he may and is there; wait for one who does not come as long as the rules say."""
        if self.draws[i, 2] < self.behaviour.riders.no_show and self.times["picked_s"][i] == NEVER:
            gone = max(self.since_s[van], self.window_s[i], open_s) + self.config.no_show_s
            self.later(van, gone, now, lambda _, then: self.nobody(i, then))
            return
        begin = max(open_s, self.there_s[i])
        if begin > now:
            self.later(van, begin, now, self.look)
            return
        if self.times["picked_s"][i] == NEVER:
            self.times["picked_s"][i] = now
        slot = self.state.slot(str(i))
        self.serve(van, i, float(self.state.requests.boarding_s[slot]), _BOARDING, now)

    def nobody(self, i: int, now: float) -> None:
        """The driver reports a rider who did not come."""
        self.ask(commands.NoShow(str(i)), now)

    def drop_off(self, van: int, i: int, now: float) -> None:
        """Let a rider off."""
        self.times["dropped_s"][i] = now
        slot = self.state.slot(str(i))
        self.serve(van, i, float(self.state.requests.alighting_s[slot]), _ALIGHTING, now)

    def serve(self, van: int, i: int, planned_s: float, what: int, now: float) -> None:
        """Spend the time that boarding or alighting takes."""
        self.doing[van] = Doing.SERVING
        self.intent[van] += 1
        takes = planned_s * self.noise(self.behaviour.disturbance.boarding, what, i, 0)
        self.later(van, now + takes, now - 1, lambda _, then: self.served(van, i, what, then))

    def served(self, van: int, i: int, what: int, now: float) -> None:
        """A rider is aboard, or has got off."""
        self.doing[van] = Doing.FREE
        riders = int(self.demand.seats[i] + self.demand.wheelchairs[i])
        if what == _BOARDING:
            self.motion.aboard[van] += riders
            if self.times["boarded_s"][i] == NEVER:
                self.times["boarded_s"][i] = now
            self.tell(commands.Boarded(van, str(i)), now)
        else:
            self.motion.aboard[van] -= riders
            self.tell(commands.Alighted(van, str(i)), now)
            self.finish(str(i), Fate.SERVED)
        self.look(van, now)

    def rest(self, van: int, now: float) -> None:
        """A driver takes the break that comes first in the plan."""
        slot = int(self.state.vans.plan[van, 0]) - 1
        takes = float(self.state.requests.boarding_s[slot])
        self.doing[van] = Doing.RESTING
        self.ask(commands.BreakStart(van), now)
        self.intent[van] += 1
        self.later(van, now + takes, now - 1, self.rested)

    def rested(self, van: int, now: float) -> None:
        """A driver goes on."""
        self.doing[van] = Doing.FREE
        self.ask(commands.BreakEnd(van), now)
        self.look(van, now)

    # Breakdowns

    def breakdowns(self, start: int) -> None:
        """Draw when vans break down: a Poisson process for each, the same whatever else happens."""
        rate = self.behaviour.disturbance.breakdowns / 1000 / 3600
        if rate == 0:
            return
        last = float(self.demand.depart_s.max())
        for van in range(len(self.fleet.seats)):
            rng = np.random.default_rng([self.seed, 4, van])
            when = max(start, self.fleet.shift_from_s[van]) + rng.exponential(1 / rate)
            while when < min(self.fleet.shift_to_s[van], last):
                self.push(when, lambda now, van=van: self.break_down(van, now))
                when += self.behaviour.disturbance.repair_s + rng.exponential(1 / rate)

    def break_down(self, van: int, now: float) -> None:
        """A van cannot go on; its riders get off and wait for another one."""
        if self.doing[van] is Doing.BROKEN:
            return
        self.sync(now)
        self.doing[van] = Doing.BROKEN
        self.intent[van] += 1
        self.motion.halt(van)
        self.ask(commands.Breakdown(van), now)

    def stranded(self, event: events.BrokenDown, now: float) -> None:
        """Riders of a broken van are where it stands; it is back there when it has been mended."""
        van, stop, repair_s = event.van, event.stop, self.behaviour.disturbance.repair_s
        self.motion.aboard[van] = 0
        self.stands[van] = NOWHERE
        self.broken_s[van] += repair_s
        self.push(now + repair_s, lambda then: self.mended(van, stop, then))

    def mended(self, van: int, stop: int, now: float) -> None:
        """A van is back."""
        self.doing[van] = Doing.FREE
        self.motion.place(van, stop, now)
        self.stands[van], self.since_s[van] = stop, now
        self.ask(commands.Back(van, stop), now)

    def outcome(self) -> Outcome:
        """Return what the day came to so far. Vans with a depot drive there empty."""
        demand, motion, fleet = self.demand, self.motion, self.fleet
        home = np.array([motion.way_m(v, d) if d >= 0 else 0.0 for v, d in enumerate(fleet.depot)])
        home = np.where(np.isfinite(home), home, 0.0)
        on, off = np.array(fleet.shift_from_s, float), np.array(fleet.shift_to_s, float)
        duty = np.clip(np.minimum(off, self.end_s) - np.maximum(on, self.begin_s), 0, None)
        direct = self.travel.time_s[self.stop[:, 0], self.stop[:, 1]].astype(float)
        return Outcome(
            fate=self.fate,
            depart_s=demand.depart_s,
            direct_s=np.where(direct < UNREACHABLE, direct, 0.0),
            walk_s=self.walk_s,
            riders=demand.seats + demand.wheelchairs,
            driven_m=motion.driven_m + home,
            empty_m=motion.empty_m + home,
            on_duty_s=np.maximum(duty - self.broken_s, 0),
            **self.times,
        )
