"""The cases of the epidemic that are reported."""

from dataclasses import dataclass

import numpy as np

from hanmaru.city.noise import channel, uniform
from hanmaru.trace.synth.world import World

SYMPTOMS = {
    "fever": 0.45,
    "cough": 0.55,
    "sore-throat": 0.30,
    "headache": 0.30,
    "myalgia": 0.30,
    "chills": 0.15,
    "anosmia": 0.25,
    "dyspnoea": 0.10,
}
"""How often reported cases of COVID-19 name each symptom, by the codes of its profile: assumed. Who names none
of them has a cough."""


@dataclass(frozen=True, slots=True)
class Case:
    """A reported case: who, when symptoms began and when it was confirmed (Unix seconds), which symptoms."""

    id: str
    person: int
    disease: str
    onset_s: int
    confirmed_s: int
    symptoms: tuple[str, ...]


def reported(world: World) -> list[Case]:
    """Return the cases that are reported on a world's days, in that order."""
    made = world.infections
    low, high = world.midnight(0), world.midnight(world.n_days)
    which = np.flatnonzero((made.reported_s >= low) & (made.reported_s < high))
    which = which[np.argsort(made.reported_s[which], kind="stable")]
    rows = zip(*(c[which].tolist() for c in (made.infectee, made.onset_s, made.reported_s)), strict=True)
    return [
        Case(f"case-{i + 1:03d}", who, "covid-19", on, at, _symptoms(world, who))
        for i, (who, on, at) in enumerate(rows)
    ]


def _symptoms(world: World, person: int) -> tuple[str, ...]:
    u = uniform(world.seed, channel("symptom"), person, np.arange(len(SYMPTOMS)))
    named = tuple(code for code, share, v in zip(SYMPTOMS, SYMPTOMS.values(), u.tolist(), strict=True) if v < share)
    return named or ("cough",)
