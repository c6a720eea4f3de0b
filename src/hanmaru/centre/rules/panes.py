"""Readings of the last seconds, summed in panes, so that a window costs the same however many come. Pure.

A window of ``span_s`` seconds is looked at in steps of ``span_s / PANES`` (Li et al., "No pane, no gain", SIGMOD Record
34(1), 2005): it covers the pane of the present and the 59 before it. A late reading goes to the pane it belongs to.
"""

from math import floor
from typing import Literal

import msgspec

PANES = 60
Aggregate = Literal["count", "mean", "min", "max", "sum", "rise"]


class Pane(msgspec.Struct, array_like=True):
    """What came in one step: how many, their sum, least and greatest, and the first and last with their times."""

    index: int
    count: int
    total: float
    least: float
    most: float
    first_s: float
    first: float
    last_s: float
    last: float


class Series(msgspec.Struct, array_like=True):
    """One attribute's readings of the last ``span_s`` seconds, oldest pane first."""

    span_s: float
    panes: list[Pane]

    def index(self, at_s: float) -> int:
        """Return the pane of an instant."""
        return floor(at_s * PANES / self.span_s)

    def add(self, at_s: float, value: float, now_s: float) -> bool:
        """Take a reading of ``at_s``, the time being ``now_s``; whether it is still within the span."""
        index, newest = self.index(at_s), self.index(now_s)
        self.expire(now_s)
        if index <= newest - PANES:
            return False
        at = len(self.panes)
        while at and self.panes[at - 1].index > index:
            at -= 1
        if at and (pane := self.panes[at - 1]).index == index:
            pane.count += 1
            pane.total += value
            pane.least, pane.most = min(pane.least, value), max(pane.most, value)
            if at_s < pane.first_s:
                pane.first_s, pane.first = at_s, value
            if at_s >= pane.last_s:
                pane.last_s, pane.last = at_s, value
        else:
            self.panes.insert(at, Pane(index, 1, value, value, value, at_s, value, at_s, value))
        return True

    def expire(self, now_s: float) -> None:
        """Forget what lies before the span."""
        oldest, gone = self.index(now_s) - PANES, 0
        while gone < len(self.panes) and self.panes[gone].index <= oldest:
            gone += 1
        del self.panes[:gone]

    def ends_s(self) -> float | None:
        """Return when the oldest pane leaves the span; None without any."""
        return (self.panes[0].index + PANES) * self.span_s / PANES if self.panes else None

    def value(self, aggregate: Aggregate) -> float | None:
        """Return an aggregate of what is in the span; None where that has none.

        ``rise`` is the newest reading less the oldest. A count and a sum of nothing are 0.
        """
        panes = self.panes
        if aggregate == "count":
            return float(sum(pane.count for pane in panes))
        if aggregate == "sum":
            return sum(pane.total for pane in panes)
        if not panes:
            return None
        if aggregate == "mean":
            return sum(pane.total for pane in panes) / sum(pane.count for pane in panes)
        if aggregate == "min":
            return min(pane.least for pane in panes)
        if aggregate == "max":
            return max(pane.most for pane in panes)
        return panes[-1].last - panes[0].first
