"""Stays of agents whose days are known, and what must hold of any track."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.trace import stays as benchmark
from benchmarks.trace.agents import Setting, f1, matches, simulate
from hanmaru.trace.domain import Points, Stays
from hanmaru.trace.engine import sliding, stays
from hanmaru.trace.engine.plane import Plane

SEED = 31
PLANE = Plane(127.0, 37.0)


def track(*rows: tuple[int, float, float], radius: float = 60.0) -> Points:
    """Return one subject's points from (minute, x, y)."""
    minute, x, y = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    n = len(rows)
    return Points(np.zeros(n, np.int64), (60 * minute).astype(np.int64), x, y, np.full(n, radius))


def test_two_places_and_the_way_between() -> None:
    home = [(m, 0.0, 0.0) for m in range(0, 61, 5)]
    way = [(65, 1000.0, 0.0), (70, 2000.0, 0.0)]
    work = [(m, 3000.0, 0.0) for m in range(75, 136, 5)]
    found = stays.find(track(*home, *way, *work))
    assert found.x_m.round(-2).tolist() == [0.0, 3000.0]
    assert found.start_s[0] == 0
    assert found.end_s[1] == 135 * 60
    assert 60 * 60 <= found.end_s[0] <= 65 * 60
    assert 70 * 60 <= found.start_s[1] <= 75 * 60
    assert list(zip(found.first, found.last, strict=True)) == [(0, 13), (15, 28)]


def test_a_fix_far_off_does_not_end_a_stay() -> None:
    rows = [(m, 0.0, 0.0) for m in range(0, 121, 5)]
    rows[10] = (50, 9000.0, 9000.0)
    found = stays.find(track(*rows))
    assert len(found) == 1
    assert np.hypot(found.x_m[0], found.y_m[0]) < 20


def test_a_gap_with_the_same_place_on_both_sides_is_one_stay() -> None:
    found = stays.find(track(*[(m, 0.0, 0.0) for m in (0, 5, 10, 15, 195, 200, 205, 210)]))
    assert (found.end_s - found.start_s).tolist() == [210 * 60]


def test_short_stays_are_found_when_asked_for() -> None:
    home, shop = [(m, 0.0, 0.0) for m in range(0, 61, 2)], [(m, 4000.0, 0.0) for m in range(68, 79, 2)]
    points = track(*home, *shop, *[(m, 0.0, 0.0) for m in range(88, 149, 2)], radius=20.0)
    assert len(stays.find(points)) == 2
    assert len(stays.find(points, min_minutes=8.0)) == 3


@pytest.mark.parametrize(
    ("setting", "least"),
    [
        (Setting(), 0.90),
        (Setting(per_axis=True), 0.90),
        (Setting(known=False), 0.90),
        (Setting(noise="cells"), 0.88),
        (Setting(noise="heavy"), 0.88),
        (Setting(250.0), 0.82),
        (Setting(250.0, per_axis=True), 0.80),
        (Setting(250.0, noise="cells"), 0.76),
        (Setting(8.0, every_s=60.0, known=False), 0.97),
    ],
    ids=str,
)
def test_stays_of_agents_are_found(setting: Setting, least: float) -> None:
    points, truth, _ = simulate(SEED, 40 if not setting.every_s else 10, 4 if not setting.every_s else 1, setting)
    assert f1(truth, stays.find(points)) >= least


@pytest.mark.parametrize("factor", [0.1, 0.2, 5.0, 10.0])
def test_accuracies_that_are_told_wrong_do_little_harm(factor: float) -> None:
    points, truth, _ = simulate(SEED, 40, 2, Setting(per_axis=True))
    untold = f1(truth, stays.find(replace(points, radius_m=np.full(len(points), np.nan))))
    assert f1(truth, stays.find(replace(points, radius_m=factor * points.radius_m))) > untold - 0.02


def test_fixes_among_cells_count_for_what_they_are_told() -> None:
    points, truth, _ = simulate(SEED, 40, 3, Setting(0.001))
    rng = np.random.default_rng(SEED)
    fix = rng.random(len(points)) < 0.3
    radius = np.where(fix, 10.0, 500.0)
    x, y = (at + rng.normal(size=len(points)) * radius / stays.R68 for at in (points.x_m, points.y_m))
    seen = replace(points, x_m=x, y_m=y, radius_m=radius)
    assert f1(truth, stays.find(seen)) > 0.85
    assert f1(truth, stays.find(replace(seen, radius_m=np.full(len(points), np.nan)))) < 0.80  # as if all were alike


def test_confidence_is_how_often_a_stay_is_true() -> None:
    said, true = [], []
    for setting in (Setting(), Setting(250.0), Setting(noise="cells")):
        points, truth, _ = simulate(SEED, 40, 4, setting)
        found = stays.find(points)
        said.append(found.confidence)
        true.append(matches(truth, found)[0])
    every, hit = np.concatenate(said), np.concatenate(true)
    for low, high in ((0.0, 0.8), (0.8, 0.95), (0.95, 1.0)):
        those = (every >= low) & (every < high)
        assert abs(every[those].mean() - hit[those].mean()) < 0.07


def test_the_radius_holds_two_thirds_of_the_centres_errors() -> None:
    points, truth, _ = simulate(SEED, 40, 4, Setting())
    found = stays.find(points)
    within: list[bool] = []
    for i in np.flatnonzero(matches(truth, found)[0]).tolist():
        own = np.flatnonzero(truth.subject == found.subject[i])
        overlap = np.minimum(truth.end_s[own], found.end_s[i]) - np.maximum(truth.start_s[own], found.start_s[i])
        j = own[overlap.argmax()]
        within.append(np.hypot(truth.x_m[j] - found.x_m[i], truth.y_m[j] - found.y_m[i]) <= found.radius_m[i])
    assert 0.60 < np.mean(within) < 0.80


def same(a: Stays, b: Stays, *, but: tuple[str, ...] = ()) -> None:
    for name in Stays.__slots__:
        if name not in but:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-3, err_msg=name)


@pytest.fixture(scope="module")
def crowd() -> Points:
    return simulate(SEED, 12, 2, Setting(150.0))[0]


def test_a_time_or_place_that_is_moved_moves_the_stays(crowd: Points) -> None:
    found = stays.find(crowd)
    later = stays.find(replace(crowd, time_s=crowd.time_s + 1_588_000_000))
    same(found, later, but=("start_s", "end_s"))
    assert (later.start_s - found.start_s == 1_588_000_000).all()
    moved = stays.find(replace(crowd, x_m=crowd.x_m + 512.0, y_m=crowd.y_m - 2048.0))
    same(found, replace(moved, x_m=moved.x_m - 512.0, y_m=moved.y_m + 2048.0))


@given(cuts=st.sets(st.integers(1, 11)))
@settings(deadline=None, max_examples=20)
def test_subjects_do_not_influence_each_other(crowd: Points, cuts: set[int]) -> None:
    whole = stays.find(crowd)
    parts: list[Stays] = []
    for some in np.split(np.arange(12), sorted(cuts)):
        rows = np.flatnonzero(np.isin(crowd.subject, some))
        parts.append(stays.find(Points(*(getattr(crowd, name)[rows] for name in Points.__slots__))))
    for name in Stays.__slots__:
        if name not in ("first", "last"):
            np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


@st.composite
def tracks(draw: st.DrawFn) -> Points:
    """Return any points at all, of up to three subjects, in order."""
    n = draw(st.integers(0, 60))
    numbers = st.floats(-1e5, 1e5)
    subject = np.sort(np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), np.int64))
    steps = draw(st.lists(st.integers(0, 20_000), min_size=n, max_size=n))
    x, y = (np.array(draw(st.lists(numbers, min_size=n, max_size=n)), float) for _ in range(2))
    radius = draw(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e5)), min_size=n, max_size=n))
    return Points(subject, np.cumsum(np.array(steps, np.int64)), x, y, np.array(radius, float))


@given(tracks())
@settings(deadline=None, max_examples=200)
def test_any_track_gives_stays_in_order_that_do_not_overlap(points: Points) -> None:
    found = stays.find(points)
    for values in (found.x_m, found.y_m, found.radius_m, found.confidence):
        assert np.isfinite(values).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert (found.end_s - found.start_s >= 899).all()
    follows = found.subject[1:] == found.subject[:-1]
    assert (found.start_s[1:][follows] >= found.end_s[:-1][follows]).all()
    assert (np.diff(found.subject) >= 0).all()
    assert (found.first < found.last).all()
    for i in range(len(found)):
        own = points.time_s[points.subject == found.subject[i]]
        assert own[0] <= found.start_s[i]
        assert found.end_s[i] <= own[-1]
    same(found, stays.find(points))


def test_the_classic_rule() -> None:
    home, way = [(m, 0.0, 0.0) for m in range(0, 31, 5)], [(35, 500.0, 0.0), (40, 1000.0, 0.0)]
    found = sliding.find(track(*home, *way), PLANE, distance_m=100.0, minutes=15.0)
    assert (found.start_s.tolist(), found.end_s.tolist()) == ([0], [35 * 60])
    assert (found.first.tolist(), found.last.tolist()) == ([0], [7])
    gap = [(0, 0.0, 0.0), (16, 0.0, 0.0), (20, 500.0, 0.0)]
    assert len(sliding.find(track(*gap), PLANE)) == 0


@pytest.mark.skipif(not benchmark.GEOLIFE.exists(), reason=f"{benchmark.GEOLIFE} is not there")
def test_real_tracks_by_both_rules() -> None:
    points, plane = benchmark.geolife()
    classic = sliding.find(points, plane, distance_m=100.0, minutes=15.0)
    likeliest = stays.find(points)
    assert len(classic) == 150  # as many as trackintel 1.4.2 finds; the benchmark compares them one by one
    covered = [
        np.maximum(
            np.minimum(likeliest.end_s, classic.end_s[i]) - np.maximum(likeliest.start_s, classic.start_s[i]), 0
        )[likeliest.subject == classic.subject[i]].sum()
        for i in range(len(classic))
    ]
    assert np.sum(covered) > 0.8 * (classic.end_s - classic.start_s).sum()
