"""What runs behind insertion under each policy. All of it is deterministic: budgets are iterations, never a clock."""

import numpy as np

from hanmaru.ride.engine import assignment, improve, rebalancing
from hanmaru.ride.engine.commands import AnyCommand
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.sim.loop import Demand, Layer
from hanmaru.ride.sim.scenario import Layers, PolicyName
from hanmaru.ride.sim.world import World


def layers(policy: PolicyName, settings: Layers, config: Config, world: World, demand: Demand) -> list[Layer]:
    """Return a policy's layers: none for insertion; assignment; search; rebalancing; or all."""
    found: list[Layer] = []
    if policy in ("assignment", "full"):
        found.append(Layer(settings.assignment_every_s, Assigning(config)))
    if policy in ("search", "full"):
        found.append(Layer(settings.search_every_s, Searching(config)))
    if policy in ("rebalancing", "full"):
        found.append(Layer(settings.rebalancing_every_s, Rebalancing(config, world, demand)))
    return found


class Assigning:
    """Assigns all waiting riders anew."""

    def __init__(self, config: Config) -> None:
        """Take the service's weights."""
        self.weights = config.weights

    def __call__(self, dispatcher: Dispatcher, now_s: int) -> AnyCommand | None:
        """Return better plans, or None."""
        proposal = assignment.plan(dispatcher.state, dispatcher.travel, now_s, self.weights)
        return proposal if proposal.plans else None


class Searching:
    """Searches a neighbourhood of all plans, as long as takes every van about once."""

    def __init__(self, config: Config) -> None:
        """Take the service's weights."""
        self.weights = config.weights

    def __call__(self, dispatcher: Dispatcher, now_s: int) -> AnyCommand | None:
        """Return better plans, or None."""
        proposal = improve.plan(dispatcher.state, dispatcher.travel, now_s, self.weights, seed=now_s)
        return proposal if proposal.plans else None


class Rebalancing:
    """Sends idle vans to where riders have been calling; it knows the calls so far, at the stop nearest to each."""

    def __init__(self, config: Config, world: World, demand: Demand) -> None:
        """Divide the stops into zones."""
        self.weights = config.weights
        self.middles, zone = rebalancing.zones(world.travel(0))
        self.asked_s = demand.asked_s
        self.zone = zone[np.array([spots[0].stop for spots in demand.origins])]

    def __call__(self, dispatcher: Dispatcher, now_s: int) -> AnyCommand | None:
        """Return where idle vans should go, or None."""
        expected = rebalancing.expected(self.asked_s, self.zone, len(self.middles), now_s)
        return rebalancing.plan(dispatcher.state, dispatcher.travel, now_s, self.middles, expected, self.weights)
