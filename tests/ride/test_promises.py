"""Random hours of a service, watched by somebody who believes nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ride.town import Town

HOURS = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


@HOURS
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_that_happens_in_an_hour_breaks_a_promise_in_silence(seed: int) -> None:
    town = Town(seed)
    rng = town.rng
    for _ in range(150):
        what = rng.random()
        if what < 0.35:
            town.ask(
                seats=int(rng.integers(0, 4)) or 1,
                wheelchairs=int(rng.random() < 0.1),
                earliest_s=town.now_s + int(rng.integers(0, 3600)) if rng.random() < 0.3 else None,
                arrive_by_s=town.now_s + int(rng.integers(0, 5400)) if rng.random() < 0.2 else None,
            )
        elif what < 0.65:
            town.accept()
        elif what < 0.78:
            town.mischief()
        elif what < 0.9:
            town.propose()
        elif what < 0.93:
            town.restart()
        town.drive(int(rng.integers(0, 40)), pace=float(rng.choice((1.0, 1.0, 0.6))))
    town.restart()


def test_a_calm_hour_keeps_every_promise() -> None:
    town = Town(1)
    for _ in range(60):
        town.ask()
        town.accept()
        town.drive(30)
    town.drive(3600)
    counts = town.witness.counts
    assert counts["DroppedOff"] == counts["Accepted"] > 30
    assert "PromiseBroken" not in counts


if __name__ == "__main__":
    pytest.main([__file__])
