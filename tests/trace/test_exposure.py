"""Who had contact: the order and the probabilities that evidence must give, whatever the model's exact weights."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.trace import contacts as bench
from hanmaru.trace.domain import Pairs, Visits
from hanmaru.trace.engine import company, copresence, exposure

HOUR, DAY = 3600, 86400
ME, FRIEND = 0, 1


def visits(rows: list[tuple[int, float, float, float, float, float, int]]) -> Visits:
    """Return visits of rows (subject, start in hours, end in hours, x, y, radius, place)."""
    a = np.array(sorted(rows), float).reshape(-1, 7)
    subject, place = a[:, 0].astype(np.int64), a[:, 6].astype(np.int64)
    start, end = (np.round(a[:, k] * HOUR).astype(np.int64) for k in (1, 2))
    return Visits(subject, start, end, a[:, 3].copy(), a[:, 4].copy(), a[:, 5].copy(), place)


def town(
    seed: int = 0, people: int = 200, radius_m: float = 80.0
) -> list[tuple[int, float, float, float, float, float, int]]:
    """Return rows of people who are at home, at work and at home again for three days, within a kilometre."""
    rng = np.random.default_rng(seed)
    home, work = rng.uniform(-500, 500, (2, people, 2))
    rows: list[tuple[int, float, float, float, float, float, int]] = []
    for i in range(people):
        for day in range(3):
            leave, back = 24 * day + 8 + rng.normal(0, 0.5), 24 * day + 18 + rng.normal(0, 1)
            parts = ((24 * day, leave, home), (leave + 0.5, back - 0.5, work), (back, 24 * day + 23.9, home))
            for start, end, where in parts:
                x, y = where[i] + rng.normal(0, radius_m / 1.51, 2)
                rows.append((i, start, end, x, y, radius_m, -1))
    return rows


def of(pairs: Pairs, subject: int) -> float:
    """Return the probability of a subject's contact, 0 if they are not reported."""
    return float(pairs.probability[pairs.subject == subject].sum())


def test_who_goes_along_ranks_before_who_is_near_by_chance() -> None:
    rows = [r for r in town() if r[0] != FRIEND]
    mine = [r for r in rows if r[0] == ME]
    rows += [(FRIEND, r[1] + 0.03, r[2] - 0.02, r[3] + 30, r[4] - 20, r[5], -1) for r in mine]
    pairs, _ = exposure.contacts(visits(rows), np.array([ME]))
    assert pairs.subject[0] == FRIEND
    assert pairs.probability[0] > 1.5 * pairs.probability[1]


def test_the_more_were_there_the_less_likely_each() -> None:
    def at_a_place(crowd: int) -> float:
        rows = [(i, 10.0, 12.0, 0.0, 0.0, 10.0, 7) for i in range(crowd)]
        return of(exposure.contacts(visits(rows), np.array([ME]))[0], FRIEND)

    few, some, many = (at_a_place(n) for n in (3, 30, 300))
    assert few > some > many
    assert many < 0.05


def test_expected_contacts_hardly_grow_with_the_crowd() -> None:
    sums: list[float] = []
    for crowd in (20, 200):
        rows = [(i, 10.0, 14.0, 0.0, 0.0, 10.0, 7) for i in range(crowd)]
        pairs, _ = exposure.contacts(visits(rows), np.array([ME]), per_contact=1e9)
        sums.append(float(pairs.probability.sum()))
    assert sums[1] < 4 * sums[0]


@settings(max_examples=25, deadline=None)
@given(hours=st.floats(0.3, 6), more=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_longer_together_is_never_less_likely(hours: float, more: float, seed: int) -> None:
    def overlap(length: float) -> float:
        rows = [r for r in town(seed, 60) if r[0] not in (ME, FRIEND)]
        rows += [(ME, 30.0, 45.0, 0.0, 0.0, 80.0, -1), (FRIEND, 32.0, 32.0 + length, 20.0, 0.0, 80.0, -1)]
        return of(exposure.contacts(visits(rows), np.array([ME]), per_contact=1e9)[0], FRIEND)

    assert overlap(hours + more) >= overlap(hours) - 1e-9


def test_less_than_the_time_of_a_contact_is_none() -> None:
    rows = [(ME, 10.0, 12.0, 0.0, 0.0, 10.0, 3), (FRIEND, 11.95, 13.0, 0.0, 0.0, 10.0, 3)]
    assert of(exposure.contacts(visits(rows), np.array([ME]), per_contact=1e9)[0], FRIEND) == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), east=st.integers(-20_000, 20_000), days=st.integers(-9000, 9000))
def test_does_not_depend_on_where_and_when(seed: int, east: int, days: int) -> None:
    here = visits(town(seed, 60))
    there = replace(here, x_m=here.x_m + east, start_s=here.start_s + days * DAY, end_s=here.end_s + days * DAY)
    one, two = (exposure.contacts(v, np.array([3, 5]))[0] for v in (here, there))
    assert one.subject.tolist() == two.subject.tolist()
    assert one.probability == pytest.approx(two.probability, rel=1e-6)
    assert one.start_s + days * DAY == pytest.approx(two.start_s)


def test_cases_together_or_apart_are_the_same() -> None:
    all_ = visits(town(4))
    both, behind = exposure.contacts(all_, np.array([3, 9]))
    for case in (3, 9):
        alone, _ = exposure.contacts(all_, np.array([case]))
        mine = both.index == case
        assert both.subject[mine].tolist() == alone.subject.tolist()
        assert both.probability[mine] == pytest.approx(alone.probability)
    assert (all_.subject[behind.mine[both.first]] == both.index).all()


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, behind = exposure.contacts(visits(town(5)), np.arange(40))
    monkeypatch.setattr(exposure, "_BATCH", 1)
    parts, behind_parts = exposure.contacts(visits(town(5)), np.arange(40))
    for name in Pairs.__slots__:
        assert getattr(whole, name) == pytest.approx(getattr(parts, name)), name
    assert behind.mine.tolist() == behind_parts.mine.tolist()


def test_every_pair_says_why() -> None:
    all_ = visits(town(6))
    pairs, behind = exposure.contacts(all_, np.array([3]))
    assert len(pairs) > 3
    assert pairs.rank.tolist() == list(range(1, len(pairs) + 1))
    assert (np.diff(pairs.probability) <= 0).all()
    for k in range(len(pairs)):
        rows = slice(int(pairs.first[k]), int(pairs.last[k]))
        assert (all_.subject[behind.mine[rows]] == 3).all()
        assert (all_.subject[behind.theirs[rows]] == pairs.subject[k]).all()
        assert (behind.weight[rows] >= 0).all()
        top = int(np.argmax(behind.weight[rows])) + int(pairs.first[k])
        assert (pairs.start_s[k], pairs.end_s[k]) == (behind.start_s[top], behind.end_s[top])
        odds = np.log(pairs.probability[k] / (1 - pairs.probability[k])) - np.log(exposure.CHANCE)
        assert behind.weight[rows].sum() == pytest.approx(max(odds, 0.0), abs=1e-6)


def test_a_list_is_as_long_as_its_contacts_allow() -> None:
    all_ = visits(town(7))
    everybody, _ = exposure.contacts(all_, np.array([3]), per_contact=1e9)
    few, _ = exposure.contacts(all_, np.array([3]), per_contact=5)
    assert len(few) == min(len(everybody), int(np.ceil(5 * everybody.probability.sum())))
    assert few.subject.tolist() == everybody.subject[: len(few)].tolist()


def test_repeated_positions_tell_neighbours_apart() -> None:
    rng = np.random.default_rng(0)
    rows: list[tuple[int, float, float, float, float, float, int]] = []
    for i, x in enumerate((0.0, 0.0, 60.0)):
        for day in range(12):
            dx, dy = rng.normal(0, 15, 2)
            rows.append((i, 24 * day + rng.uniform(0, 0.2), 24 * day + 8, x + dx, dy, 110.0, -1))
    pairs, _ = exposure.contacts(visits(rows), np.array([ME]), per_contact=1e9)
    assert of(pairs, 1) > of(pairs, 2)


def test_who_keeps_the_hours_of_a_place_belongs_there() -> None:
    classmate, neighbour = 1, 2
    rows: list[tuple[int, float, float, float, float, float, int]] = []
    for day in range(3):
        t = 24 * day
        rows += [
            (ME, t, t + 8, 5000, 0, 80, -1),
            (ME, t + 9, t + 15, 0, 0, 80, -1),
            (ME, t + 16, t + 24, 5000, 0, 80, -1),
        ]
        rows += [(classmate, t, t + 8, 0, 5000, 80, -1), (classmate, t + 9, t + 15, 30, 0, 80, -1)]
        rows += [(neighbour, t, t + 24, 30, 0, 80, -1)]
    pairs, _ = exposure.contacts(visits(rows), np.array([ME]), per_contact=1e9)
    assert of(pairs, classmate) > of(pairs, neighbour) > 0


def test_more_evidence_never_lowers_a_probability() -> None:
    curve = np.array(exposure.MODEL.curve)
    assert (np.diff(curve, axis=0) >= 0).all()
    assert curve[0].tolist() == [0, 0]
    assert curve[-1, 1] < 1
    assert all(weight >= 0 for role in exposure.MODEL.roles for weight in role[1:])


def test_a_place_is_a_role_by_its_hours() -> None:
    rows = [
        (ME, 0.0, 9.0, 0.0, 0.0, 10.0, 1),
        (ME, 10.0, 14.0, 900.0, 0.0, 10.0, 2),
        (ME, 15.0, 16.0, 0.0, 900.0, 10.0, 3),
    ]
    rows += [(FRIEND, *row[1:]) for row in rows]
    both = visits(rows)
    found = company.evidence(both, copresence.meetings(both, np.array([ME])))
    assert found.role[found.group].tolist() == [0, 1, 2]
    assert found.features[:, 3] == pytest.approx(np.log(1.01))
    assert found.part.tolist() == [1, 1, 1]


def test_nobody_to_meet() -> None:
    alone, behind = exposure.contacts(visits([(ME, 1.0, 2.0, 0.0, 0.0, 10.0, -1)]), np.array([ME]))
    assert (len(alone), len(behind)) == (0, 0)
    assert len(exposure.contacts(visits([]), np.zeros(0, np.int64))[0]) == 0


def test_probabilities_hold_in_a_city_that_was_not_fitted_on() -> None:
    held_out = bench.scene(21, "B", "2026-06-11", people=2000, days=2, cases=60, odd=True)
    scored = bench.score(held_out, bench.KINDS[0], exposure.MODEL)
    true_and_met = sum(row["pairs"] * row["true"] for row in scored["calibration"])
    assert 0.5 < scored["expected_contacts"] / true_and_met < 2
    assert scored["brier"] < scored["brier_of_prevalence"]
    assert scored["ece"] < 0.01
    assert scored["recall_observable"]["at_50_per_contact"] > 0.7
