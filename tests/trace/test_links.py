"""Who probably infected whom: what must hold whatever the cases are, and small outbreaks anyone can judge."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.trace.domain import Visits
from hanmaru.trace.engine.crossings import crossings
from hanmaru.trace.engine.links import PLAUSIBLE, infer, reasons
from hanmaru.trace.engine.onsets import COURSES, DAY_S, agreement, timing
from hanmaru.trace.engine.weights import ALWAYS, Cases, Encounters, Grouping

MEASLES, COVID = COURSES["measles"], COURSES["covid-19"]


def outbreak(days, *groups, xy=None, encounters=(), reported=None) -> Cases:
    """Return cases with onsets on days, groups as (kind, codes), and nothing else known."""
    n = len(days)
    x, y = np.array(xy, dtype=float).T.copy() if xy is not None else np.full((2, n), np.nan)
    return Cases(
        onset_s=(np.array(days, dtype=float) * DAY_S).astype(np.int64),
        reported=np.zeros(n, dtype=bool) if reported is None else np.array(reported),
        exposed_from_s=np.full(n, -ALWAYS),
        exposed_to_s=np.full(n, ALWAYS),
        isolated_s=np.full(n, ALWAYS),
        groups=tuple(Grouping(kind, kind, np.array(codes, dtype=np.int64)) for kind, codes in groups),
        x_m=x,
        y_m=y,
        encounters=encounters,
    )


def matrix(cases: Cases, course=MEASLES) -> np.ndarray:
    """Return (n, n + 1) the probability of each source of each case, the one outside the list last."""
    links = infer(cases, course).links
    out = np.zeros((len(cases), len(cases) + 1))
    out[links.infectee, links.infector] = links.probability
    return out


cases = st.integers(1, 25).flatmap(
    lambda n: st.builds(
        lambda days, home, school, x, late: outbreak(
            days, ("household", home), ("group", school), xy=np.stack([x, x[::-1]], axis=1), reported=late
        ),
        st.lists(st.integers(0, 40), min_size=n, max_size=n),
        st.lists(st.integers(-1, 5), min_size=n, max_size=n),
        st.lists(st.integers(-1, 2), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 10.0, 50.0, 200.0, float("nan")]), min_size=n, max_size=n).map(np.array),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)


@settings(max_examples=40, deadline=None)
@given(cases, st.sampled_from(sorted(COURSES)))
def test_sources_of_every_case_sum_to_one_and_are_ranked(some, name):
    links = infer(some, COURSES[name]).links
    assert np.allclose(np.bincount(links.infectee, links.probability, len(some)), 1)
    assert (links.infector != links.infectee).all()
    for i in range(len(some)):
        mine = links.infectee == i
        inside = links.probability[mine & (links.infector >= 0)]
        assert (np.diff(inside) <= 0).all()
        outside = links.probability[mine & (links.infector < 0)][0]
        first = links.infector[mine][0]
        assert (first == -1) == (not len(inside) or (outside >= 0.5 and outside > inside[0]))
        assert links.rank[mine].tolist() == list(range(1, mine.sum() + 1))
        assert (links.infector[mine] == -1).sum() == 1


@settings(max_examples=30, deadline=None)
@given(cases, st.integers(-40_000, 40_000), st.randoms())
def test_neither_the_calendar_nor_the_order_of_cases_matters(some, shift, random):
    """Shifting all dates, and shuffling the rows, gives the same links."""
    expected = matrix(some)
    moved = replace(some, onset_s=some.onset_s + shift * DAY_S)
    assert np.allclose(matrix(moved), expected, atol=1e-12)
    order = list(range(len(some)))
    random.shuffle(order)
    pick = np.array(order)
    shuffled = replace(
        some,
        onset_s=some.onset_s[pick],
        reported=some.reported[pick],
        groups=tuple(replace(group, code=group.code[pick]) for group in some.groups),
        x_m=some.x_m[pick],
        y_m=some.y_m[pick],
    )
    assert np.allclose(matrix(shuffled), expected[np.ix_(pick, [*pick, -1])], atol=2 * PLAUSIBLE)


@settings(max_examples=40, deadline=None)
@given(cases, st.sampled_from(sorted(COURSES)))
def test_intervals_stay_within_what_the_disease_allows(some, name):
    """An infector may fall ill after the infectee only as far as transmission before symptoms reaches."""
    some = replace(some, reported=np.zeros(len(some), dtype=bool))
    links = infer(some, COURSES[name]).links
    known = links.infector >= 0
    days = (some.onset_s[links.infectee[known]] - some.onset_s[links.infector[known]]) / DAY_S
    allowed, density = timing(COURSES[name]).interval()
    plausible = allowed[density > 0]
    assert (days >= plausible[0]).all()
    assert (days <= plausible[-1]).all()
    if name != "covid-19":
        assert (days >= 0).all()


def test_tables_are_distributions_with_the_published_means():
    for name, mean in (("covid-19", 5.4), ("mers", 12.6), ("measles", 11.5), ("ebola", 15.3)):
        days, density = timing(COURSES[name]).interval()
        assert density.sum() * 0.25 == pytest.approx(1)
        assert (days * density).sum() * 0.25 == pytest.approx(mean, abs=0.15)


def test_a_shared_household_outweighs_strangers_and_a_rare_value_a_common_one():
    days = [0, 0, 0, 0, 11]
    alone = matrix(outbreak(days))[4]
    assert alone[:4] == pytest.approx(np.full(4, alone[0]))
    at_home = matrix(outbreak(days, ("household", [0, -1, -1, -1, 0])))[4]
    assert at_home[0] > 3 * at_home[1]
    rare = matrix(outbreak(days, ("group", [0, 1, 1, 1, 0])))[4]
    common = matrix(outbreak(days, ("group", [0, 0, 0, 1, 0])))[4]
    assert rare[0] > common[0] > common[3]


def test_nearness_counts():
    near = matrix(outbreak([0, 0, 0, 11], xy=[(0, 0), (100, 0), (220, 0), (10, 0)]))[3]
    assert near[0] > near[1] > near[2]


def test_an_exposure_window_and_isolation_cut_what_they_exclude():
    """Both candidates fit the onset; only one was infectious in the window, or still at large."""
    some = outbreak([0, 4, 12])
    free = matrix(some)[2]
    window = replace(some, exposed_to_s=np.array([ALWAYS, ALWAYS, 1 * DAY_S]))
    assert matrix(window)[2, 0] / matrix(window)[2, 1] > 2 * free[0] / free[1]
    isolated = replace(some, isolated_s=np.array([-3 * DAY_S, ALWAYS, ALWAYS]))
    assert matrix(isolated)[2, 0] < free[0] / 2


def test_known_contacts_and_dated_ones():
    def met(day):
        when = np.array([-ALWAYS if day is None else int(day * DAY_S)])
        return (Encounters("contact", np.array([1]), np.array([2]), when, np.ones(1)),)

    days = [0, 0, 11]
    assert matrix(outbreak(days, encounters=met(None)))[2, 1] > 1.8 * matrix(outbreak(days))[2, 1]
    right, late = (matrix(outbreak(days, encounters=met(day)))[2, 1] for day in (0.5, 10))
    assert right > 0.5 > late


def test_a_case_without_a_predecessor_is_imported_and_one_without_onset_spreads_wider():
    sources = matrix(outbreak([0, 11, 60]))
    assert sources[0, -1] == pytest.approx(1)
    assert sources[2, -1] == pytest.approx(1)
    assert sources[1, 0] > 0.7
    assert timing(COVID).interval(True, True)[1].max() < timing(COVID).interval()[1].max()


def test_who_infected_many_is_likelier_to_have_infected_more():
    """Case 0 alone can have infected six; of two otherwise equal candidates for the last, it is preferred."""
    days = [0, 0, 11, 11, 11, 11, 11, 11, 11]
    groups = ("group", [0, 1, 0, 0, 0, 0, 0, 0, -1])
    last = matrix(outbreak(days, groups))[8]
    assert last[0] > last[1]


def test_reasons_name_what_speaks_for_a_link():
    some = outbreak([0, 0, 11, 40], ("household", [0, 1, 0, 1]))
    inference = infer(some, MEASLES)
    why = {reason.kind: reason.log_ratio for reason in reasons(some, MEASLES, inference, 2, 0)}
    assert why["household"] > 0
    assert why["onset"] > 0
    assert "household" not in {reason.kind for reason in reasons(some, MEASLES, inference, 2, 1)}
    assert reasons(some, MEASLES, inference, 0, 3) == []


def test_crossings_need_the_same_place_at_the_same_time():
    hour = 3600
    at = [(0, 0, 2, 0.0, -1), (1, 1, 3, 20.0, -1), (2, 5, 6, 0.0, -1), (3, 1, 2, 5000.0, 7), (4, 1, 2, 9000.0, 7)]
    subject, start, end, x, place = (np.array(column) for column in zip(*at, strict=True))
    visits = Visits(subject, start * hour, end * hour, x, np.zeros(5), np.zeros(5), place)
    found = crossings(visits)
    assert set(zip(found.a.tolist(), found.b.tolist(), strict=True)) == {(0, 1), (3, 4)}
    assert found.time_s[0] == pytest.approx(1.5 * hour, abs=1)


def test_visits_over_midnight_cross_once():
    """As most do in Korea, whose working day spans midnight in UTC."""
    at = [(0, 20, 30), (1, 21, 31), (2, 26, 28), (3, 30, 90), (4, 70, 90)]
    subject, start, end = (np.array(column) for column in zip(*at, strict=True))
    none = np.full(5, -1)
    found = crossings(Visits(subject, start * 3600, end * 3600, np.zeros(5), np.zeros(5), np.zeros(5), none))
    pairs = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert sorted(pairs) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (3, 4)]


def test_the_intervals_within_households_tell_diseases_apart():
    random = np.random.default_rng(1)
    for truth in ("covid-19", "mers", "measles"):
        course = COURSES[truth]
        onset = np.zeros(200)
        mean, sd = course.incubation[0] + course.transmission[0], np.hypot(course.incubation[1], course.transmission[1])
        onset[1::2] = np.abs(random.normal(mean, sd, 100))
        fits = {
            name: agreement((onset * DAY_S).astype(np.int64), np.arange(200) // 2, COURSES[name])
            for name in ("covid-19", "mers", "measles")
        }
        assert max(fits, key=lambda name: fits[name]) == truth


def test_many_cases_need_little_memory():
    """5,000 cases within three months: the links are bounded by the infectors that are kept for each."""
    random = np.random.default_rng(2)
    days = random.integers(0, 90, 5000)
    links = infer(outbreak(days, ("household", random.integers(0, 2000, 5000))), COVID).links
    assert len(links) <= 5000 * 301
    assert np.allclose(np.bincount(links.infectee, links.probability, 5000), 1)
