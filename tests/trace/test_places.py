"""Stays get probabilities over places; exact anchors cut, claim and make stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.trace.domain import Points, Stays
from hanmaru.trace.engine import anchors, places
from hanmaru.trace.engine.anchors import Anchors
from hanmaru.trace.engine.places import Catalogue

OFFICE, BAR, HOME = range(3)
OPEN = np.ones((3, 24))
OPEN[OFFICE, :8], OPEN[BAR, 4:17] = 0.05, 0.05


def catalogue(*listed: tuple[float, float, int, int]) -> Catalogue:
    x, y, kind, owner = (np.array(column) for column in zip(*listed, strict=True)) if listed else (np.zeros(0),) * 4
    return Catalogue(
        x.astype(float),
        y.astype(float),
        np.full(len(x), 20.0),
        kind.astype(np.int64),
        owner.astype(np.int64),
        np.array([1.0, 1.0, 8.0]),
        OPEN,
        np.array([240.0, 90.0, 540.0]),
        np.array([0.8, 0.5, 0.8]),
    )


def weigh(c: Catalogue, x: float, y: float, radius: float, hour: int, minutes: float, subject: int = 0):
    one = lambda v, t=float: np.array([v], t)  # noqa: E731
    return places.weigh(c, one(subject, np.int64), one(x), one(y), one(radius), one(hour, np.int64), one(minutes))


def test_the_hour_and_the_length_of_a_stay_tell_an_office_from_the_bar_below() -> None:
    both = catalogue((0, 0, OFFICE, -1), (5, 0, BAR, -1))
    assert weigh(both, 0, 0, 100, 9, 240).place[0, 0] == OFFICE
    assert weigh(both, 0, 0, 100, 20, 80).place[0, 0] == BAR


def test_a_home_is_its_owners_alone_and_outweighs_what_is_around() -> None:
    town = catalogue((0, 0, HOME, 7), *((30.0 * i, 40.0, OFFICE, -1) for i in range(20)))
    mine, others = (weigh(town, 60, 0, 120, 22, 540, subject) for subject in (7, 8))
    assert mine.place[0, 0] == 0
    assert mine.probability[0, 0] > 0.9
    assert 0 not in others.place


def test_far_from_every_place_the_place_is_unknown() -> None:
    placed = weigh(catalogue((0, 0, OFFICE, -1)), 5000, 5000, 100, 9, 200)
    assert placed.unknown[0] == 1
    assert (placed.place == -1).all()
    assert weigh(catalogue(), 0, 0, 100, 9, 200).unknown[0] == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9e4, 9e4), st.floats(-9e4, 9e4), st.integers(0, 2), st.integers(-1, 1)), max_size=30),
    st.floats(-1e5, 1e5),
    st.floats(0, 5e3),
    st.integers(0, 23),
    st.floats(0, 1e5),
)
def test_probabilities_sum_to_one_in_order(listed, x, radius, hour, minutes) -> None:
    placed = weigh(catalogue(*listed), x, -x, radius, hour, minutes)
    assert placed.probability.sum() + placed.unknown[0] == pytest.approx(1)
    assert (np.diff(placed.probability[0]) <= 0).all()
    assert ((placed.place[0] >= 0) == (placed.probability[0] > 0)).all() or placed.probability.min() >= 0


def stays(*each: tuple[int, int, int]) -> Stays:
    subject, start, end = (
        (np.array(column, np.int64) for column in zip(*each, strict=True)) if each else (np.zeros(0, np.int64),) * 3
    )
    n = len(subject)
    zeros, ones = np.zeros(n), np.ones(n)
    return Stays(subject, start, end, zeros, zeros, 100 * ones, ones, np.zeros(n, np.int64), np.zeros(n, np.int64))


def marks(*each: tuple[int, int, int]) -> Anchors:
    subject, at, place = (
        (np.array(column, np.int64) for column in zip(*each, strict=True)) if each else (np.zeros(0, np.int64),) * 3
    )
    n = len(subject)
    return Anchors(
        subject, at, at, np.full(n, 9.0), np.zeros(n), np.full(n, 20.0), place, np.full(n, 0.02), np.zeros(n),
        np.full(n, 600), np.full(n, 1200), np.full(n, 120),
    )  # fmt: skip


def fuse(s: Stays, a: Anchors, *, known: float = 0.0, long_s: float = 7200.0) -> anchors.Fused:
    lo, hi = a.start_s - a.before_s, a.end_s + a.after_s
    return anchors.fuse(s, a, np.full(len(a), 0.98), lo, hi, np.full(len(s), known), np.full(len(a), long_s))


def test_an_anchor_claims_the_stay_around_it() -> None:
    fused = fuse(stays((0, 0, 3600)), marks((0, 1800, 5)))
    assert (fused.place.tolist(), fused.stay_of.tolist(), fused.stays.x_m.tolist()) == ([5], [0], [9.0])


def test_an_anchor_at_home_or_in_a_long_stay_cuts_out_its_time() -> None:
    for how in ({"known": 1.0}, {"long_s": 3000.0}):
        fused = fuse(stays((0, 0, 36000)), marks((0, 18000, 5)), **how)
        assert fused.place.tolist() == [-1, 5, -1]
        assert fused.stays.end_s.tolist() == [17400, 19200, 36000]
        assert fused.part.tolist() == [0, 0, 0]


def test_two_places_share_the_stay_that_a_coarse_cell_shows() -> None:
    fused = fuse(stays((0, 0, 10800)), marks((0, 1000, 5), (0, 8000, 6)))
    assert fused.place.tolist() == [5, -1, 6] or fused.place.tolist() == [5, 6]
    assert fused.stays.start_s[0] == 0
    assert fused.stays.end_s[-1] == 10800


def test_a_purchase_in_passing_makes_a_visit_of_its_own() -> None:
    fused = fuse(stays((0, 0, 3600), (0, 9000, 12000)), marks((0, 3720, 5)))
    assert fused.place.tolist() == [-1, 5, -1]
    assert fused.stays.start_s.tolist() == [0, 3600, 9000]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(60, 20000), st.integers(0, 9000)), max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-5000, 90000), st.integers(-1, 3)), max_size=10),
    st.floats(0, 1),
)
def test_fused_stays_are_in_order_do_not_overlap_and_cover_what_was_there(lengths, marked, known) -> None:
    ends = [0, 0, 0]
    each = []
    for subject, length, gap in sorted(lengths, key=lambda v: v[0]):
        each.append((subject, ends[subject] + gap, ends[subject] + gap + length))
        ends[subject] += gap + length
    s, a = stays(*each), marks(*sorted(marked))
    fused = fuse(s, a, known=known)
    f = fused.stays
    assert (f.end_s > f.start_s).all()
    same = np.diff(f.subject) == 0
    assert (np.diff(f.subject) >= 0).all()
    assert (f.start_s[1:][same] >= f.end_s[:-1][same]).all()
    for i in range(len(s)):  # no second of a stay is lost
        mine = f.subject == s.subject[i]
        over = np.minimum(f.end_s[mine], s.end_s[i]) - np.maximum(f.start_s[mine], s.start_s[i])
        assert over[over > 0].sum() == s.end_s[i] - s.start_s[i]
    assert (fused.stay_of < len(f)).all()


def points(*each: tuple[int, float]) -> Points:
    t, x = np.array([t for t, _ in each], np.int64), np.array([x for _, x in each], float)
    return Points(np.zeros(len(t), np.int64), t, x, np.zeros(len(t)), np.full(len(t), 100.0))


def test_somebody_elses_card_is_told_by_where_the_phone_was() -> None:
    mark = marks((0, 1800, 5))
    here, _, _ = anchors.judge(mark, points((1500, 0.0), (2100, 0.0)))
    far, _, _ = anchors.judge(mark, points((1500, 8000.0), (2100, 8000.0)))
    silent, _, _ = anchors.judge(mark, points())
    assert here[0] > 0.99
    assert far[0] < 0.01
    assert silent[0] == pytest.approx(0.98)


def test_a_late_posting_is_told_by_where_the_phone_was_hours_before() -> None:
    mark = marks((0, 36000, 5))
    late = Anchors(*(getattr(mark, name) if name != "late" else np.array([0.05]) for name in Anchors.__slots__))
    there_before = points(*((t, 9.0) for t in range(0, 20000, 600)), *((t, 9000.0) for t in range(22000, 40000, 600)))
    held, posted, by = anchors.judge(late, there_before)
    assert held[0] > 0.9
    assert posted[0] > 0.99
    assert 16000 <= by[0] <= 36000


def test_a_visit_ends_where_the_phone_is_elsewhere() -> None:
    mark = marks((0, 6000, 5))
    seen = points((5000, 0.0), (5800, 0.0), (6200, 0.0), (6800, 5000.0))
    lo, hi = anchors.spans(mark, seen)
    assert lo[0] == 5400
    assert 6200 <= hi[0] <= 6800
