"""The schedule kernel against the definition: difference constraints, solved the slow way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.engine.schedule import (
    CLOSE,
    LIMIT,
    OPEN,
    PARTNER,
    ROW,
    SEATS,
    SERVICE,
    Numbers,
    insert,
    latest,
    overloaded,
    schedule,
)

FAR = 10_000


def stop(
    row: int, open_: int = 0, close: int = FAR, service: int = 0, partner: int = -1, limit: int = 0, seats: int = 0
):
    return [row, open_, close, service, partner, limit, seats, 0]


def run(stops: Numbers, time: Numbers, start_row: int = 0, ready: int = 0) -> tuple[int, Numbers]:
    out = np.zeros(len(stops), stops.dtype)
    return schedule(len(stops), stops, time, start_row, ready, out), out


def bellman_ford(stops: Numbers, time: Numbers, start_row: int, ready: int) -> Numbers | None:
    """The least t with t[v] >= t[u] + w for every constraint, and an anchor at 0; None where there is none."""
    n, anchor = len(stops), len(stops)
    edges = [(anchor, i, stops[i, OPEN]) for i in range(n)] + [(i, anchor, -stops[i, CLOSE]) for i in range(n)]
    here, before, free = start_row, anchor, ready
    for i in range(n):
        row = int(stops[i, ROW])
        edges.append((before, i, free + (time[here, row] if row >= 0 else 0)))
        here, before, free = (row if row >= 0 else here), i, stops[i, SERVICE]
        if stops[i, PARTNER] >= 0:
            pick = int(stops[i, PARTNER])
            edges.append((i, pick, -stops[i, LIMIT] - stops[pick, SERVICE]))
    least = np.full(n + 1, -(10**9), stops.dtype)
    least[anchor] = 0
    for _ in range(n + 2):
        moved = False
        for u, v, w in edges:
            if least[u] + w > least[v] + (1e-6 if stops.dtype.kind == "f" else 0):
                least[v] = least[u] + w
                moved = True
        if not moved:
            return least[:n]
    return None


@st.composite
def routes(draw: st.DrawFn) -> tuple[Numbers, Numbers]:
    """A random order of pick-ups and drop-offs, with riders aboard and breaks; some fail narrowly."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pairs, aboard, breaks = draw(st.integers(0, 9)), draw(st.integers(0, 2)), draw(st.integers(0, 1))
    tokens: list[int] = rng.permutation([*range(pairs), *range(pairs), *([-1] * aboard), *([-2] * breaks)]).tolist()
    time = rng.integers(1, 20, (6, 6)).astype(np.int32)
    np.fill_diagonal(time, 0)
    width = draw(st.sampled_from([0, 15, 60, 300]))
    tightness = draw(st.sampled_from([5, 25, 80]))
    picked: dict[int, int] = {}
    rows: list[list[int]] = []
    clock = 0
    for token in tokens:
        clock += int(rng.integers(0, 25))
        open_ = max(0, clock - int(rng.integers(0, width + 1)))
        close = clock + int(rng.integers(0, width + 10)) if rng.random() < 0.8 else FAR
        row = -1 if token == -2 else int(rng.integers(6))
        limit = int(rng.integers(0, tightness)) + tightness
        rows.append(stop(row, open_, close, int(rng.integers(0, 4)), picked.get(token, -1), limit))
        if token >= 0:
            picked[token] = len(rows) - 1
    if pairs and draw(st.booleans()):
        rows = [
            stop(0, 0, FAR),
            *([r[0], r[1], r[2], r[3], r[4] + (r[4] >= 0), *r[5:]] for r in rows),
            stop(0, 0, FAR, 0, 0, 12 * len(rows)),
        ]
    return np.array(rows, np.int64).reshape(-1, 8), time


@settings(max_examples=600, deadline=None)
@given(routes(), st.integers(0, 5), st.integers(0, 40))
def test_least_and_greatest_solution(route: tuple[Numbers, Numbers], start_row: int, ready: int) -> None:
    stops, time = route
    want = bellman_ford(stops, time, start_row, ready)
    blocked, out = run(stops, time, start_row, ready)
    assert (blocked == -1) == (want is not None)
    if want is None:
        assert bellman_ford(stops[: blocked + 1], time, start_row, ready) is None
        return
    assert out.tolist() == want.tolist()
    if len(stops):
        late = np.zeros_like(out)
        latest(len(stops), stops, time, start_row, late)
        for i in range(len(stops)):  # the latest time at each stop can be had, and no later one
            for push, possible in ((0, True), (1, False)):
                pushed = stops.copy()
                pushed[i, OPEN] = late[i] + push
                assert (run(pushed, time, start_row, ready)[0] == -1) == possible


@settings(max_examples=60, deadline=None)
@given(routes(), st.integers(1, 7))
def test_fractions_of_seconds_give_the_same_answer(route: tuple[Numbers, Numbers], parts: int) -> None:
    stops, time = route
    scaled = stops.astype(np.float64)
    scaled[:, [OPEN, CLOSE, SERVICE, LIMIT]] /= parts
    blocked, out = run(stops, time)
    blocked_in_parts, out_in_parts = run(scaled, time / parts)
    assert blocked == blocked_in_parts
    if blocked == -1:
        assert out_in_parts * parts == pytest.approx(out, abs=1e-4)


def test_a_pick_up_waits_for_a_drop_off_that_opens_late() -> None:
    time = np.full((3, 3), 10, np.int32)
    stops = np.array([stop(1, service=2), stop(2, 100, partner=0, limit=30)], np.int64)
    blocked, out = run(stops, time)
    assert (blocked, out.tolist()) == (-1, [68, 100])


def test_a_ride_that_no_delay_shortens_cannot_be() -> None:
    time = np.full((3, 3), 10, np.int32)
    stops = np.array([stop(1), stop(0, service=15), stop(2, partner=0, limit=34)], np.int64)
    assert run(stops, time)[0] == 2
    stops[2, LIMIT] = 35
    assert run(stops, time)[0] == -1


def test_a_long_chain_of_rides_is_settled_in_a_bounded_number_of_sweeps() -> None:
    """Each drop-off delays the pick-up before the one that the last delay reached, right to left."""
    pairs = 150
    time = np.zeros((1, 1), np.int32)
    rows = [stop(0) for _ in range(pairs)] + [stop(0, partner=pairs - 1 - k, limit=pairs - k) for k in range(pairs)]
    rows[-1][OPEN] = 1000
    stops = np.array(rows, np.int64)
    blocked, out = run(stops, time)
    assert blocked == -1
    assert out.tolist() == bellman_ford(stops, time, 0, 0).tolist()  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_delay_reaches_every_pick_up_that_it_must(swapped: bool) -> None:
    """The last drop-off delays its pick-up C, that the drop-offs of A and B, those A and B, and B delays Y."""
    time = np.zeros((1, 1), np.int32)
    a, x, b, y, c = (stop(0, open_) for open_ in (0, 50, 50, 0, 0))
    drops = [stop(0, partner=0, limit=60), stop(0, partner=2, limit=15)]
    drops = drops[::-1] if swapped else drops
    stops = np.array([a, x, b, y, c, *drops, stop(0, 100, partner=4, limit=20)], np.int64)
    blocked, out = run(stops, time)
    assert (blocked, out.tolist()) == (-1, [20, 50, 65, 65, 80, 80, 80, 100])
    for i in range(7):
        tight = stops.copy()
        tight[i, CLOSE] = out[i] - 1
        assert run(tight, time)[0] == (7 if out[i] > stops[i, OPEN] else i)


def test_insertion_keeps_partners_and_loads() -> None:
    stops = np.array([stop(1, seats=1), stop(2, partner=0, limit=50, seats=-1), stop(3, seats=2)], np.int64)
    pick, drop = np.array(stop(4, seats=3)), np.array(stop(5, limit=70, seats=-3))
    for i in range(4):
        for j in range(i, 4):
            merged = np.zeros((5, 8), np.int64)
            insert(3, stops, pick, drop, i, j, merged)
            places = merged[:, ROW].tolist()
            assert [row for row in places if row < 4] == [1, 2, 3]
            assert (places.index(4), places.index(5)) == (i, j + 1)
            assert merged[places.index(2), PARTNER] == places.index(1)
            assert merged[j + 1, PARTNER] == i
            load = merged[:, SEATS].cumsum()
            assert overloaded(5, merged, int(load.max()), 0, 0, 0) == -1
            assert overloaded(5, merged, int(load.max()) - 1, 0, 0, 0) == load.argmax()
            assert overloaded(5, merged, int(load.max()), 0, 1, 0) == load.argmax()


@settings(max_examples=150, deadline=None)
@given(routes(), st.data())
def test_what_the_two_schedules_exclude_is_excluded(route: tuple[Numbers, Numbers], data: st.DataObject) -> None:
    """With the triangle inequality, a longer route stays between the earliest and the latest times of the shorter.

    Not if a break follows directly, since it is then taken elsewhere.
    """
    stops, _ = route
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 15, (6, 2))
    time = np.abs(x[:, None] - x[None]).sum(2).astype(np.int32)
    n = len(stops)
    blocked, early = run(stops, time)
    i = data.draw(st.integers(0, n))
    j = data.draw(st.integers(i, n))
    if blocked != -1 or not n or any(k < n and stops[k, ROW] < 0 for k in (i, j)):
        return
    late = np.zeros_like(early)
    latest(n, stops, time, 0, late)
    merged = np.zeros((n + 2, 8), np.int64)
    insert(n, stops, np.array(stop(1, service=1)), np.array(stop(2, limit=60)), i, j, merged)
    blocked, out = run(merged, time)
    if blocked == -1:
        kept = np.delete(out, [i, j + 1])
        assert (early <= kept).all()
        assert (kept <= late).all()
