"""What cleaning flags, and what it leaves alone."""

import numpy as np
from hypothesis import given

from benchmarks.trace.agents import Setting, simulate
from hanmaru.trace.domain import Points
from hanmaru.trace.engine.clean import DROPPED, DUPLICATE, LOAD_SHARING, OUTLIER, PING_PONG, clean
from tests.trace.test_stays import tracks


def track(*rows: tuple[int, float, int]) -> tuple[Points, np.ndarray]:
    """Return a subject's points from (second, x, cell), right to 100 m."""
    second, x, cell = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    points = Points(np.zeros(n, np.int64), second, x.astype(float), np.zeros(n), np.full(n, 100.0))
    return points, cell


def test_back_in_the_cell_within_minutes_is_ping_pong_and_stays() -> None:
    cleaned = clean(*track((0, 0.0, 1), (60, 400.0, 2), (120, 0.0, 1), (900, 400.0, 2), (1800, 0.0, 1)))
    assert cleaned.flags.tolist() == [0, PING_PONG, 0, 0, 0]
    assert len(cleaned.points) == 5


def test_a_far_cell_between_two_records_of_a_near_one_shares_its_load() -> None:
    cleaned = clean(*track((0, 0.0, 1), (60, 6000.0, 7), (90, 6000.0, 7), (150, 0.0, 1), (300, 0.0, 1)))
    assert cleaned.flags.tolist() == [0, LOAD_SHARING, LOAD_SHARING, 0, 0]
    assert cleaned.row.tolist() == [0, 3, 4]
    assert cleaned.points.x_m.tolist() == [0.0, 0.0, 0.0]


def test_a_fix_that_nobody_could_reach_is_an_outlier() -> None:
    points, _ = track((0, 0.0, -1), (60, 50_000.0, -1), (120, 100.0, -1))
    assert clean(points).flags.tolist() == [0, OUTLIER, 0]


def test_a_real_trip_is_left_alone() -> None:
    points, _ = track(*[(60 * i, 1500.0 * i, i) for i in range(20)], *[(1200 + 60 * i, 28500.0, 19) for i in range(9)])
    assert not clean(points).flags.any()


def test_what_is_recorded_twice_counts_once() -> None:
    cleaned = clean(*track((0, 0.0, 1), (0, 0.0, 1), (60, 0.0, 1)))
    assert cleaned.flags.tolist() == [0, DUPLICATE, 0]


def test_agents_without_outliers_keep_every_point() -> None:
    points, _, cell = simulate(3, 10, 3, Setting(noise="cells"))
    cleaned = clean(points, cell)
    assert not (cleaned.flags & DROPPED).any()
    assert 0 < (cleaned.flags & PING_PONG > 0).mean() < 0.05


@given(tracks())
def test_what_remains_is_what_was_not_dropped(points: Points) -> None:
    cleaned = clean(points)
    assert (cleaned.row == np.flatnonzero(cleaned.flags & DROPPED == 0)).all()
    np.testing.assert_array_equal(cleaned.points.time_s, points.time_s[cleaned.row])
    again = clean(cleaned.points)
    assert not (again.flags & DUPLICATE).any()
