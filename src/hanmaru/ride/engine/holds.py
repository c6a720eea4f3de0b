"""Soft holds: room kept for an offer while its rider makes up their mind.

Offers promise nothing until they are accepted, and near the limit of the fleet several riders are then offered the
same seat: who accepts second would be refused, which riders hate. So the first offer of each request is planned
tentatively, in plans beside the real ones that only the search for new riders sees. Drivers, layers, repairs and
the log know nothing of it: a hold is forgotten when the request is decided or its offers expire, when the van has
to do something else, and on a restart.
"""

from collections.abc import Callable

import numpy as np

from hanmaru.ride.domain import Bools, Rows, Seconds
from hanmaru.ride.engine.state import State

WIDTH = 3
"""After a layer has changed a van's plan, a held drop-off is looked for at most so many stops after its pick-up."""


class Holds:
    """Plans with held riders: ``plan`` (V, M) and ``length`` (V,) as in `Vans`."""

    plan: Rows
    length: Rows

    def __init__(self, state: State) -> None:
        """Hold nobody."""
        self.state = state
        self.vans: dict[str, int] = {}
        self.plan, self.length = state.vans.plan.copy(), state.vans.length.copy()

    def actions(self, van: int) -> list[int]:
        """Return a van's plan with those who are held."""
        return self.plan[van, : self.length[van]].tolist()

    def add(self, id: str, van: int, plan: tuple[int, ...]) -> None:
        """Hold a rider in a van by a plan that has both."""
        self.vans[id] = van
        self._set(van, plan)

    def pop(self, id: str) -> int:
        """Hold a rider no longer; return the van, or -1 if there was no hold."""
        van = self.vans.pop(id, -1)
        if van >= 0:
            slot = self.state.slot(id)
            self._set(van, tuple(action for action in self.actions(van) if abs(action) - 1 != slot))
        return van

    def drop(self, van: int) -> None:
        """Hold nobody in a van."""
        self.vans = {id: at for id, at in self.vans.items() if at != van}
        self._set(van, tuple(self.state.vans.actions(van)))

    def sync(self, changed: Bools, fits: Callable[[int, list[int]], Seconds | None]) -> None:
        """Follow the real plans of vans that have changed (V,); ``fits`` says if a plan can be driven."""
        real = self.state.vans
        if real.plan.shape[1] > self.plan.shape[1]:
            self._widen(real.plan.shape[1])
        held = {van for van in self.vans.values() if changed[van]}
        merged = {van: self._merged(van, fits) for van in sorted(held)}
        which = np.nonzero(changed)[0]
        self.plan[which, : real.plan.shape[1]] = real.plan[which]
        self.length[which] = real.length[which]
        for van, plan in merged.items():
            self._set(van, tuple(plan))

    def _merged(self, van: int, fits: Callable[[int, list[int]], Seconds | None]) -> list[int]:
        real, before = self.state.vans.actions(van), self.actions(van)
        slots = {self.state.slot(id): id for id, at in self.vans.items() if at == van}
        here = set(real)
        kept = [action for action in before if action in here or abs(action) - 1 in slots]
        if [action for action in kept if abs(action) - 1 not in slots] == real:
            return kept
        plan = real
        for slot, id in slots.items():
            new = self._fitted(van, plan, slot, fits)
            if new is None:
                del self.vans[id]
            else:
                plan = new
        return plan

    def _fitted(
        self, van: int, plan: list[int], slot: int, fits: Callable[[int, list[int]], Seconds | None]
    ) -> list[int] | None:
        for i in range(self.state.fixed(van), len(plan) + 1):
            for j in range(i, min(len(plan), i + WIDTH) + 1):
                new = [*plan[:i], slot + 1, *plan[i:j], -slot - 1, *plan[j:]]
                if fits(van, new) is not None:
                    return new
        return None

    def _set(self, van: int, plan: tuple[int, ...]) -> None:
        if len(plan) > self.plan.shape[1]:
            self._widen(2 * len(plan))
        self.plan[van] = 0
        self.plan[van, : len(plan)] = plan
        self.length[van] = len(plan)

    def _widen(self, width: int) -> None:
        wider = np.zeros((len(self.plan), width), np.int32)
        wider[:, : self.plan.shape[1]] = self.plan
        self.plan = wider
