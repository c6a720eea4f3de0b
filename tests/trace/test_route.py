"""The way between stays: Brownian bridges whose stated radius holds what it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.trace.engine import route
from hanmaru.trace.engine.places import R68

NONE = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def between(seen=NONE, *, end: int = 2000, far: float = 1000.0) -> route.Moves:
    t = np.array([0, 0 + end + 1000], np.int64)
    return (
        route.between(
            np.array([0, 1000 + end]),
            np.array([1000, 3000 + end]),
            np.array([0.0, far]),
            np.zeros(2),
            np.full(2, 30.0),
            seen,
        )
        if len(t)
        else route.Moves(*NONE)
    )  # type: ignore[call-arg]


def test_a_move_leads_from_stay_to_stay_and_is_vaguest_half_way() -> None:
    moves = between()
    assert (len(moves), moves.start_s[0], moves.end_s[0]) == (1, 1000, 3000)
    assert moves.time_s[0] == 1000
    assert moves.time_s[-1] == 3000
    assert moves.x_m[[0, -1]] == pytest.approx([0, 1000], abs=1)
    middle = int(np.argmax(moves.radius_m))
    assert abs(moves.time_s[middle] - 2000) <= route.STEP_S
    assert moves.radius_m[middle] == pytest.approx(R68 * np.sqrt(route.DIFFUSION * 2000 / 4), rel=0.05)


def test_an_observation_on_the_way_makes_the_route_surer() -> None:
    seen = (np.array([2000]), np.array([700.0]), np.array([300.0]), np.array([50.0]))
    with_it, without = between(seen), between()
    assert with_it.radius_m.max() < 0.8 * without.radius_m.max()
    at = int(np.flatnonzero(with_it.time_s == 2000)[0])
    assert with_it.x_m[at] == pytest.approx(700, abs=60)


def test_a_silence_of_hours_is_a_gap_wherever_it_touches() -> None:
    seen = np.array([0, 3000, 12000, 13000])
    assert not route.silent(seen, 0, 3000)
    assert route.silent(seen, 2000, 4000)
    assert route.silent(seen, 5000, 6000)
    assert route.silent(seen, 11000, 13000)
    assert not route.silent(seen, 12000, 15000)
    assert route.silent(seen, 12500, 30000)
    assert route.silent(NONE[0], 0, 9000)
    assert between(end=9000).gap[0]


def test_no_stays_no_moves() -> None:
    none = np.zeros(0)
    assert len(route.between(NONE[0], NONE[0], none, none, none, NONE)) == 0


def walk(rng: np.random.Generator, q: float, n: int, step_s: int) -> np.ndarray:
    return np.cumsum(rng.normal(0, np.sqrt(q * step_s), (n, 2)), axis=0)


@pytest.mark.parametrize("q", [60.0, 300.0, 1500.0])
def test_the_radius_holds_68_percent_of_the_error(q: float) -> None:
    """On walks of a diffusion that is not told, seen every six minutes with an error of 100 m."""
    rng = np.random.default_rng(11)
    inside, errors = [], []
    for _ in range(60):
        true = walk(rng, q, 121, 30)
        t = 1000 + 30 * np.arange(121)
        sigma = 100 / R68
        at = np.arange(12, 120, 12)
        seen = true + rng.normal(0, sigma, true.shape)
        moves = route.between(
            np.array([0, t[-1]]), np.array([t[0], t[-1] + 600]), seen[[0, -1], 0], seen[[0, -1], 1], np.full(2, 100.0),
            (t[at], seen[at, 0], seen[at, 1], np.full(len(at), 100.0)),
        )  # fmt: skip
        where = np.interp(t, moves.time_s, moves.x_m), np.interp(t, moves.time_s, moves.y_m)
        off = np.hypot(where[0] - true[:, 0], where[1] - true[:, 1])
        inside.append(np.mean(off <= np.interp(t, moves.time_s, moves.radius_m)))
        errors.append(off)
    assert np.mean(inside) == pytest.approx(0.68, abs=0.06)
    assert np.median(np.concatenate(errors)) < 1.5 * np.sqrt(q * 360 / 4) + 100


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9000), st.floats(-1e4, 1e4), st.floats(1, 2000)), max_size=12),
    st.integers(1, 7000),
)
def test_vertices_are_in_order_and_errors_finite(seen, end) -> None:
    t, x, r = (np.array(v) for v in zip(*sorted(seen), strict=True)) if seen else NONE[:3]
    moves = between((t.astype(np.int64), x.astype(float), x.astype(float), r.astype(float)), end=end)
    assert (np.diff(moves.time_s) > 0).all()
    assert np.isfinite(moves.radius_m).all()
    assert (moves.radius_m >= 0).all()
    assert moves.last[-1] == len(moves.time_s) <= route.VERTICES + len(t) + 2
