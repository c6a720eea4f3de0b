"""The service's figures: how many were served, and how long they waited."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from hanmaru.ride.dispatch.trips import Trip

MOST = 200_000


@dataclass(frozen=True, slots=True)
class Ended:
    """A trip that is over: its state, how long the rider waited at the stop and was late (seconds), seats."""

    at_s: int
    state: str
    wait_s: int
    late_s: int
    riders: int


class Figures:
    """What became of the last trips."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ended: deque[Ended] = deque(maxlen=MOST)

    def ended(self, trip: Trip) -> None:
        """Take a trip that is over."""
        offer = trip.promise
        wait = max(0, trip.picked_s - max(trip.made_s, offer.promise.from_s)) if offer and trip.picked_s else 0
        late = max(0, trip.dropped_s - offer.promise.by_s) if offer and trip.dropped_s else 0
        self._ended.append(Ended(trip.changed_s, trip.state, wait, late, trip.seats + trip.wheelchairs))

    def of(self, now_s: float, hours: float = 1.0) -> dict[str, float | int | None]:
        """Return the figures of the last hours: trips served and refused, waits at the stop in seconds."""
        since = now_s - hours * 3600
        recent: list[Ended] = []
        for one in reversed(self._ended):
            if one.at_s < since:
                break
            recent.append(one)
        served = [one for one in recent if one.state == "done"]
        waits = np.array([one.wait_s for one in served])
        states = [one.state for one in recent]
        return {
            "served": len(served),
            "riders": sum(one.riders for one in served),
            "refused": states.count("refused"),
            "cancelled": states.count("cancelled"),
            "no_show": states.count("no-show"),
            "broken": states.count("broken"),
            "late": sum(one.late_s > 0 for one in served),
            "mean_wait_s": round(float(waits.mean())) if len(waits) else None,
            "p95_wait_s": round(float(np.quantile(waits, 0.95))) if len(waits) else None,
        }
