"""What runs behind insertion under each policy. All of it is deterministic: budgets are iterations, never a clock."""

from collections.abc import Callable

from hanmaru.ride.engine import assignment
from hanmaru.ride.engine.commands import AnyCommand
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.dispatcher import Dispatcher
from hanmaru.ride.sim.loop import Layer
from hanmaru.ride.sim.scenario import Layers, PolicyName

Look = Callable[[Dispatcher, int], AnyCommand | None]


def layers(policy: PolicyName, settings: Layers, config: Config) -> list[Layer]:
    """Return a policy's layers: none for insertion; assignment; search; or all, with rebalancing."""
    if policy == "insertion":
        return []
    return [Layer(settings.assignment_every_s, _assignment(config))]


def _assignment(config: Config) -> Look:
    def look(dispatcher: Dispatcher, now_s: int) -> AnyCommand | None:
        proposal = assignment.plan(dispatcher.state, dispatcher.travel, now_s, config.weights)
        return proposal if proposal.plans else None

    return look
