"""Policies and fleets side by side over the same seeds, and the smallest fleet that reaches a target."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hanmaru.ride.domain import RideError
from hanmaru.ride.sim.outcome import MEASURES, SHARES
from hanmaru.ride.sim.scenario import MOST_VANS
from hanmaru.ride.sim.stats import CONFIDENCE, Estimate, certainty, difference, estimate

Measured = dict[str, float]
Simulate = Callable[[str, int, int], Measured]
"""Runs a policy with so many vans and a seed, and returns its measures."""


LEAST_GAIN = 0.001
"""A search gives up where twice the vans serve less than this share more in time: something else is in the way."""


@dataclass(frozen=True, slots=True)
class Case:
    """A policy with a number of vans."""

    policy: str
    vans: int


@dataclass(frozen=True, slots=True)
class Target:
    """At least a ``share`` of the requests (withdrawn ones aside) waits no longer than ``wait_s``."""

    share: float
    wait_s: float


@dataclass(eq=False, slots=True)
class Results:
    """The measures of each case and seed that has been run; grows while a comparison goes on."""

    simulate: Simulate
    seeds: Sequence[int]
    runs: dict[Case, dict[int, Measured]] = field(default_factory=dict[Case, dict[int, Measured]])

    def run(self, cases: Sequence[Case], tell: Callable[[Case, int], None]) -> None:
        """Run what has not been run yet, seed by seed, so that what is broken off still compares like with like."""
        for seed in self.seeds:
            for case in cases:
                done = self.runs.setdefault(case, {})
                if seed not in done:
                    tell(case, seed)
                    done[seed] = self.simulate(case.policy, case.vans, seed)

    def values(self, case: Case, measure: str) -> list[float]:
        """Return a measure of a case for each seed run, in order of the seeds."""
        done = self.runs.get(case, {})
        return [done[seed][measure] for seed in self.seeds if seed in done]

    def estimates(self, case: Case) -> dict[str, Estimate]:
        """Return all measures of a case; intervals of shares end at 0 and 1."""
        found = {name: estimate(self.values(case, name)) for name in MEASURES}
        return found | {name: _bounded(found[name]) for name in SHARES}

    def differences(self, case: Case, base: Case) -> dict[str, Estimate]:
        """Return by how much a case differs from another, over the seeds that both have."""
        a, b = self.runs.get(case, {}), self.runs.get(base, {})
        both = [seed for seed in self.seeds if seed in a and seed in b]
        return {name: difference([a[s][name] for s in both], [b[s][name] for s in both]) for name in MEASURES}

    def pairs(self) -> Iterator[tuple[Case, Case]]:
        """Yield what is worth a paired comparison: policies with the first one, fleets with the next smaller one."""
        cases = [case for case, done in self.runs.items() if done]
        policies = list(dict.fromkeys(case.policy for case in cases))
        for case in cases:
            if case.policy != policies[0] and (base := Case(policies[0], case.vans)) in cases:
                yield case, base
        for policy in policies:
            sizes = sorted(case.vans for case in cases if case.policy == policy)
            for smaller, larger in pairwise(sizes):
                yield Case(policy, larger), Case(policy, smaller)


def _bounded(share: Estimate) -> Estimate:
    return Estimate(share.mean, max(share.low, 0.0), min(share.high, 1.0), share.n)


@dataclass(frozen=True, slots=True)
class Answer:
    """How many vans a target takes under a policy: the smallest fleet that reaches it with `CONFIDENCE`.

    ``vans`` is None where no fleet does; ``certainty`` how sure the runs make it; ``fewer`` is how sure they would make
    it with one van less (NaN for a fleet of one).
    """

    policy: str
    target: Target
    vans: int | None
    certainty: float
    fewer: float


def smallest(results: Results, policy: str, target: Target, start: int, tell: Callable[[Case, int], None]) -> Answer:
    """Return how many vans a target takes: doubled or halved from ``start`` until it lies between, then bisected.

    Takes for granted that with more vans the mean share only grows; the fleet found and the one with a van less have
    both been run. Raises RideError for fewer than two seeds, from which nothing can be sure.
    """
    if len(results.seeds) < 2:
        raise RideError("a target needs --seeds 2 or more: one run says nothing of how sure it is")

    def sure(vans: int) -> float:
        case = Case(policy, vans)
        results.run([case], tell)
        return certainty(results.values(case, "in_time"), target.share)

    low, high = 0, min(start, MOST_VANS)
    while sure(high) < CONFIDENCE:
        if low and _no_better(results, Case(policy, high), Case(policy, low)):
            return Answer(policy, target, None, sure(high), sure(low))
        if high == MOST_VANS:
            return Answer(policy, target, None, sure(high), math.nan)
        low, high = high, min(2 * high, MOST_VANS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sure(middle) >= CONFIDENCE else (middle, high)
    return Answer(policy, target, high, sure(high), sure(low) if low else math.nan)


def _no_better(results: Results, larger: Case, smaller: Case) -> bool:
    """Return whether a larger fleet serves less than `LEAST_GAIN` more in time, on average."""
    gain = difference(results.values(larger, "in_time"), results.values(smaller, "in_time"))
    return gain.mean < LEAST_GAIN
