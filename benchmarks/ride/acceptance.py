"""Refused acceptances: how often an offer is gone when its rider takes it, with and without what is done against it.

A town of 60 stops on 3 km × 3 km and 30 vans of 3 to 8 seats that do as they are told. Riders call as a Poisson
process, think for 5 to 50 seconds, and two in three take the first offer, the others any. At 800 an hour the fleet
is busy, at 1,200 it is full. Per cent of acceptances refused (new offers in place of the ride) and riders accepted
in all.
"""

from typing import Any
from unittest.mock import Mock, patch

import numpy as np

from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine import events as e
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.decisions import Decisions
from tests.ride.town import Town

STEP_S = 5


def run(quick: bool) -> dict[str, Any]:
    """Measure neither, the margin alone, and margin and holds, at rates of 800 to 1,500 an hour."""
    hours = 0.5 if quick else 1.0
    return {
        f"{rate} an hour": {
            "neither": share(rate, hours, 0, held=False),
            "margin": share(rate, hours, Config().margin_s, held=False),
            "margin and hold": share(rate, hours, Config().margin_s, held=True),
        }
        for rate in (800, 1000, 1200, 1500)
    }


def share(rate: int, hours: float, margin_s: int, held: bool) -> dict[str, float]:
    """Return the share of refused acceptances and how many riders were accepted."""
    if not held:
        with patch.object(Decisions, "hold"):
            return share(rate, hours, margin_s, held=True)
    town = Town(1, vans=30, stops=60, config=Config(margin_s=margin_s))
    town.witness = Mock()  # the tests watch; here it would only take time
    random = np.random.default_rng(1)
    thinking: list[tuple[int, str, int]] = []
    accepted = refused = 0
    for _ in range(int(hours * 3600) // STEP_S):
        for _ in range(random.poisson(rate * STEP_S / 3600)):
            made = town.ask()
            if isinstance(made, e.Offered):
                choice = int(random.integers(len(made.offers))) if random.random() < 1 / 3 else 0
                thinking.append((town.now_s + int(random.integers(5, 50)), made.offers[choice].id, town.asked))
        for due in [one for one in thinking if one[0] <= town.now_s]:
            thinking.remove(due)
            answer = town.say(c.Accept(f"r{due[2]}", due[1]))[-1]
            accepted += isinstance(answer, e.Accepted)
            refused += not isinstance(answer, e.Accepted)
        town.drive(STEP_S)
    return {"refused_percent": round(100 * refused / (accepted + refused), 2), "accepted": accepted}
