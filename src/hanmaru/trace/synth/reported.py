"""The cases of the epidemic that are reported."""

from dataclasses import dataclass

import numpy as np

from hanmaru.trace.synth.world import World


@dataclass(frozen=True, slots=True)
class Case:
    """A reported case: who, when symptoms began and when it was confirmed (Unix seconds)."""

    id: str
    person: int
    disease: str
    onset_s: int
    confirmed_s: int


def reported(world: World) -> list[Case]:
    """Return the cases that are reported on a world's days, in that order."""
    made = world.infections
    low, high = world.midnight(0), world.midnight(world.n_days)
    which = np.flatnonzero((made.reported_s >= low) & (made.reported_s < high))
    which = which[np.argsort(made.reported_s[which], kind="stable")]
    rows = zip(*(c[which].tolist() for c in (made.infectee, made.onset_s, made.reported_s)), strict=True)
    return [Case(f"case-{i + 1:03d}", who, "covid-19", on, at) for i, (who, on, at) in enumerate(rows)]
