"""Meetings of visits: against a brute-force oracle, and the properties that any such search must have."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.trace.domain import Ints, Meetings, Visits
from hanmaru.trace.engine import copresence

HOUR = 3600


def crowd(seed: int, people: int = 40, each: int = 6) -> Visits:
    """Return visits of some people: some precise, some coarse, some at known places, within a kilometre and a day."""
    rng = np.random.default_rng(seed)
    n = people * each
    subject = np.repeat(np.arange(people), each)
    start = rng.integers(0, 24 * HOUR, n)
    order = np.lexsort((start, subject))
    place = np.where(rng.random(n) < 0.3, rng.integers(0, 8, n), -1)
    return Visits(
        subject=subject,
        start_s=start[order],
        end_s=start[order] + rng.integers(0, 6 * HOUR, n),
        x_m=np.where(place >= 0, place * 130.0, rng.uniform(-500, 500, n)),
        y_m=np.where(place >= 0, 0.0, rng.uniform(-500, 500, n)),
        radius_m=np.where(place >= 0, 10.0, rng.choice([0.0, 5.0, 40.0, 150.0, 900.0], n)),
        place=place,
    )


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile once, so that no example is charged with it."""
    copresence.meetings(crowd(0), np.array([0]))


def take(visits: Visits, rows: Ints) -> Visits:
    """Return some rows of visits."""
    return Visits(**{f.name: getattr(visits, f.name)[rows] for f in fields(visits)})


def found(visits: Visits, meetings: Meetings) -> set[tuple[int, ...]]:
    """Return meetings as a set that does not depend on how visits are numbered."""
    return {
        (*(int(c[i]) for i in (m, t) for c in (visits.subject, visits.start_s, visits.end_s)), round(p * 1e9))
        for m, t, p in zip(meetings.mine, meetings.theirs, meetings.together, strict=True)
    }


def oracle(visits: Visits, index: list[int], least_s: int) -> set[tuple[int, int]]:
    """Return the visits that meet, by looking at every pair."""
    out: set[tuple[int, int]] = set()
    sigma2 = (visits.radius_m * copresence.RADIUS_TO_SIGMA) ** 2
    for a in np.flatnonzero(np.isin(visits.subject, index)).tolist():
        for b in range(len(visits)):
            if visits.subject[a] == visits.subject[b]:
                continue
            if min(visits.end_s[a], visits.end_s[b]) - max(visits.start_s[a], visits.start_s[b]) < least_s:
                continue
            metres = np.hypot(visits.x_m[a] - visits.x_m[b], visits.y_m[a] - visits.y_m[b])
            near = metres <= copresence.REACH * np.sqrt(copresence.PLACE_M**2 + sigma2[a] + sigma2[b])
            known = visits.place[a] >= 0 and visits.place[b] >= 0
            if visits.place[a] == visits.place[b] if known else near:
                out.add((a, b))
    return out


@given(seed=st.integers(0, 2**31), least_s=st.sampled_from([1, 60, 900]))
def test_finds_exactly_what_looking_at_every_pair_finds(seed: int, least_s: int) -> None:
    visits = crowd(seed, people=15)
    meetings = copresence.meetings(visits, np.array([0, 3, 7]), least_s=least_s)
    pairs = list(zip(meetings.mine.tolist(), meetings.theirs.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == oracle(visits, [0, 3, 7], least_s)


@given(seed=st.integers(0, 2**31))
def test_is_symmetric(seed: int) -> None:
    visits = crowd(seed)
    everybody = copresence.meetings(visits, np.arange(40))
    there = set(zip(everybody.mine.tolist(), everybody.theirs.tolist(), everybody.together.tolist(), strict=True))
    assert there == {(b, a, p) for a, b, p in there}


@given(seed=st.integers(0, 2**31), east=st.integers(-20_000, 20_000), later=st.integers(-(10**8), 2 * 10**9))
def test_does_not_depend_on_where_and_when(seed: int, east: int, later: int) -> None:
    visits = crowd(seed)
    moved = replace(
        visits,
        x_m=visits.x_m + east,
        y_m=visits.y_m - 3 * east,
        start_s=visits.start_s + later,
        end_s=visits.end_s + later,
    )
    one, two = (copresence.meetings(v, np.arange(3)) for v in (visits, moved))
    near = {(m, t) for m, t in zip(one.mine.tolist(), one.theirs.tolist(), strict=True)}
    assert near == {(m, t) for m, t in zip(two.mine.tolist(), two.theirs.tolist(), strict=True)}
    assert one.minutes.sum() == pytest.approx(two.minutes.sum())
    assert one.together == pytest.approx(two.together, abs=1e-6)


@given(seed=st.integers(0, 2**31), parts=st.integers(2, 5))
def test_may_be_done_in_parts_of_the_population(seed: int, parts: int) -> None:
    visits = crowd(seed)
    index = np.array([1, 2])
    whole = found(visits, copresence.meetings(visits, index))
    pieces: set[tuple[int, ...]] = set()
    for part in range(parts):
        some = take(visits, np.flatnonzero((visits.subject % parts == part) | np.isin(visits.subject, index)))
        pieces |= found(some, copresence.meetings(some, index))
    assert pieces == whole


@given(
    metres=st.floats(0, 2000),
    farther=st.floats(1, 500),
    mine=st.floats(0, 1000),
    theirs=st.floats(0, 1000),
)
def test_the_nearer_the_likelier(metres: float, farther: float, mine: float, theirs: float) -> None:
    near = copresence.together(*(np.array(v) for v in (metres, mine, theirs)))
    far = copresence.together(*(np.array(v) for v in (metres + farther, mine, theirs)))
    assert 0 <= far <= near <= 1


def test_is_sure_where_both_positions_are_exact() -> None:
    assert copresence.together(np.array(0.0), np.array(0.0), np.array(0.0)) == 1.0


def test_a_known_place_overrules_positions() -> None:
    def visit(place: int, other: int, metres: float) -> Meetings:
        two = Visits(
            subject=np.array([0, 1]),
            start_s=np.array([0, 0]),
            end_s=np.array([HOUR, HOUR]),
            x_m=np.array([0.0, metres]),
            y_m=np.zeros(2),
            radius_m=np.full(2, 30.0),
            place=np.array([place, other]),
        )
        return copresence.meetings(two, np.array([0]))

    assert visit(5, 5, 800.0).together.tolist() == [1.0]
    assert len(visit(5, 6, 0.0)) == 0
    assert 0 < visit(5, -1, 20.0).together[0] < 0.5


def test_nobody_and_nothing() -> None:
    assert len(copresence.meetings(crowd(1), np.array([99]))) == 0
    assert len(copresence.meetings(crowd(1), np.zeros(0, np.int64))) == 0
    assert len(copresence.meetings(crowd(1, people=0), np.array([0]))) == 0


def test_what_meets_more_than_one_block_is_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = crowd(2, people=80)
    whole = found(visits, copresence.meetings(visits, np.arange(40)))
    monkeypatch.setattr(copresence, "_BLOCK", 2)
    assert found(visits, copresence.meetings(visits, np.arange(40))) == whole
