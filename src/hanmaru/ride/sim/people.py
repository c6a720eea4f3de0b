"""What riders do: ask, choose among offers, come to the stop or not, cancel, put up with a broken promise or not."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.ride.engine import commands, events
from hanmaru.ride.engine.events import Offer
from hanmaru.ride.sim.outcome import NEVER, Fate

if TYPE_CHECKING:
    from hanmaru.ride.sim.loop import Day

NOWHERE = -1
CHOICES = 3
"""How often a rider whose offer was just taken away looks at new ones."""
WALK_WEIGHT, WAIT_WEIGHT = 2.0, 2.0
"""What a minute of walking and of waiting is worth in minutes aboard (Wardman 2004, doi:10.1016/j.tranpol.2004.05.001:
about twice).
"""


class People:
    """The riders of a day: n requests. Arrays (n,), times Unix seconds, `NEVER` where something did not happen.

    ``fate`` of `Fate`; ``there_s`` when a rider is at the stop; ``window_s`` when the promised window begins; ``van``
    in which a rider sits, or -1; ``stop`` (n, 2) where they get on and off; ``walk_s`` to both; the rest as in
    `Outcome`.
    """

    def __init__(self, day: "Day", seed: int) -> None:
        """Draw who will cancel and who will not come: the same riders whatever the fleet."""
        n = len(day.demand)
        self.day = day
        self.open = n
        self.fate = np.full(n, Fate.UNFINISHED, np.int32)
        self.there_s = np.full(n, math.inf)
        self.window_s, self.walk_s, self.direct_s = np.zeros(n), np.zeros(n), np.zeros(n)
        self.van = np.full(n, NOWHERE, np.int32)
        self.stop = np.full((n, 2), NOWHERE, np.int32)
        self.picked_s, self.boarded_s, self.dropped_s = (np.full(n, float(NEVER)) for _ in range(3))
        self.latest_pickup_s, self.arrive_by_s = (np.full(n, float(NEVER)) for _ in range(2))
        self.draws = np.random.default_rng([seed, 3]).random((n, 3))

    def finish(self, i: int, fate: Fate) -> None:
        """Note how a request ended, once."""
        if self.fate[i] == Fate.UNFINISHED:
            self.fate[i] = fate
            self.open -= 1

    def comes(self, i: int) -> bool:
        """Return whether a rider comes to the stop; whoever was aboard before is there."""
        return bool(self.draws[i, 2] >= self.day.behaviour.riders.no_show or self.picked_s[i] != NEVER)

    def ask(self, i: int, now: float) -> None:
        """A rider asks and takes one of the offers, or none."""
        demand, id = self.day.demand, str(i)
        request = commands.Request(
            id=id,
            origins=demand.origins[i],
            destinations=demand.destinations[i],
            seats=int(demand.seats[i]),
            wheelchairs=int(demand.wheelchairs[i]),
            earliest_s=int(demand.depart_s[i]),
        )
        happened = self.day.ask(request, now)
        for _ in range(CHOICES):
            offers = next((e.offers for e in happened if isinstance(e, events.Offered) and e.id == id), ())
            if not offers:
                return
            chosen = self.choose(i, offers)
            if chosen is None:
                break
            happened = self.day.tell(commands.Accept(id, chosen.id), now)
        if self.fate[i] == Fate.UNFINISHED and math.isinf(self.there_s[i]):
            self.day.tell(commands.Decline(id), now)

    def choose(self, i: int, offers: Sequence[Offer]) -> Offer | None:
        """Return the offer of the least generalised time that the rider puts up with."""
        day, depart, limits = self.day, float(self.day.demand.depart_s[i]), self.day.behaviour.riders
        patience = math.inf if limits.patience_s is None else limits.patience_s
        detour = math.inf if limits.detour is None else limits.detour

        def cost(offer: Offer) -> float:
            wait, ride = offer.pickup_s - depart - offer.pickup.walk_s, offer.dropoff_s - offer.pickup_s
            return WALK_WEIGHT * (offer.pickup.walk_s + offer.dropoff.walk_s) + WAIT_WEIGHT * wait + ride

        def bearable(offer: Offer) -> bool:
            direct = day.travel.time_s[offer.pickup.stop, offer.dropoff.stop]
            ride = offer.dropoff_s - offer.pickup_s - day.config.boarding_s
            return offer.pickup_s - depart <= patience and ride <= detour * max(direct, 1)

        return min(filter(bearable, offers), key=cost, default=None)

    def accepted(self, i: int, offer: Offer, now: float) -> None:
        """The rider goes to the stop; or will cancel, at some moment until the van is expected."""
        self.booked(i, offer, float(self.day.demand.depart_s[i]))
        self.latest_pickup_s[i], self.arrive_by_s[i] = offer.promise.to_s, offer.promise.by_s
        cancels, share, _ = self.draws[i]
        if cancels < self.day.behaviour.riders.cancel:
            self.day.push(now + share * max(0.0, offer.pickup_s - now), lambda then: self.cancel(i, then))

    def booked(self, i: int, offer: Offer, leaves_s: float) -> None:
        """Note where a rider gets on and off, and when he is there."""
        self.stop[i] = offer.pickup.stop, offer.dropoff.stop
        self.walk_s[i] = offer.pickup.walk_s + offer.dropoff.walk_s
        self.there_s[i], self.window_s[i] = leaves_s + offer.pickup.walk_s, offer.promise.from_s

    def cancel(self, i: int, now: float) -> None:
        """A rider cancels, unless the van was quicker."""
        if self.fate[i] == Fate.UNFINISHED and self.picked_s[i] == NEVER:
            self.day.ask(commands.Cancel(str(i)), now)

    def broken(self, event: events.PromiseBroken, now: float) -> None:
        """A promise is broken: the rider takes what is offered instead if it can be borne."""
        i = int(event.id)
        if self.van[i] != NOWHERE:
            return  # aboard: brought there as soon as can be
        if event.offer is None:
            self.finish(i, Fate.BROKEN)
        elif self.choose(i, [event.offer]) is None and self.picked_s[i] == NEVER:
            self.day.push(now, lambda then: self.give_up(i, then))
        elif event.offer.pickup.stop != self.stop[i, 0]:
            self.booked(i, event.offer, now)

    def give_up(self, i: int, now: float) -> None:
        """A rider whose promise was broken does not want the new one."""
        if self.fate[i] == Fate.UNFINISHED and self.picked_s[i] == NEVER:
            self.finish(i, Fate.BROKEN)
            self.day.ask(commands.Decline(str(i)), now)

    def begins_boarding(self, i: int, now: float) -> None:
        """A rider is let on; who had to change vans was picked up before."""
        if self.picked_s[i] == NEVER:
            self.picked_s[i] = now

    def boarded(self, i: int, van: int, now: float) -> None:
        """A rider is aboard; how long the direct drive would take is seen now."""
        self.van[i] = van
        self.direct_s[i] = self.day.travel.time_s[self.stop[i, 0], self.stop[i, 1]]
        if self.boarded_s[i] == NEVER:
            self.boarded_s[i] = now
