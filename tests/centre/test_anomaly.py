"""One sensor's readings out of the ordinary: what is learnt, remembered and said."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.centre import faults
from benchmarks.centre.anomaly import measure
from hanmaru.centre.domain import CentreError
from hanmaru.centre.rules.anomaly import Config, Detector, Verdict

HOUR_S = 3600.0
BEGAN_S = 1_700_000_000.0


def days(count: int, seed: int = 1) -> list[float]:
    """Return a day's wave with noise, by the hour."""
    draw = random.Random(seed)
    return [50 + 20 * math.sin(i / 24 * math.tau) + draw.gauss(0, 2) for i in range(24 * count)]


def judged(values: list[float], sensitivity: str = "medium", step_s: float = HOUR_S) -> list[Verdict | None]:
    detector = Detector(Config(sensitivity))  # pyright: ignore[reportArgumentType]
    return [detector.update(BEGAN_S + step_s * i, value) for i, value in enumerate(values)]


def test_ordinary_months_pass_nearly_in_silence():
    assert sum(map(bool, (verdict for seed in range(10) for verdict in judged(days(30, seed))))) <= 2


def test_a_spike_is_named_with_what_was_expected():
    values = days(30)
    values[600] += 40
    said = judged(values)
    verdict = said[600]
    assert verdict is not None
    assert verdict.kind == "spike"
    assert verdict.score >= 1
    assert verdict.low < verdict.expected < verdict.high < values[600]
    assert abs(verdict.expected - (values[600] - 40)) < 10


def test_an_ordinary_value_at_an_odd_hour_is_odd():
    values = days(30)
    values[603] = max(values[:600]) if values[603] < 50 else min(values[:600])
    assert judged(values)[603] is not None


def test_a_shift_is_told_from_a_spike_by_staying():
    values = days(30)
    for i in range(600, 630):
        values[i] += 40
    kinds = [v.kind if v else None for v in judged(values)[600:620]]
    assert kinds[0] == "spike"
    assert "shift" in kinds[1:6]


def test_a_stuck_sensor_is_told():
    values = days(30)
    values[600:624] = [values[600]] * 24
    assert "stuck" in {v.kind for v in judged(values)[600:624] if v}


def test_noise_is_told():
    draw = random.Random(3)
    values = [x + draw.gauss(0, 0.4) for x in days(30)]
    for i in range(600, 624):
        values[i] += draw.choice((-1, 1)) * 12
    assert {v.kind for v in judged(values)[600:624] if v} & {"noise", "spike"}


def test_zero_where_there_never_is_zero_is_a_dropout():
    values = days(30)
    values[600] = values[601] = 0.0
    said = judged(values)
    assert [v.kind if v else None for v in said[600:602]] == ["dropout", "dropout"]


def test_zeros_that_are_usual_are_not():
    values = [0.0 if i % 24 < 8 else x for i, x in enumerate(days(40))]
    assert not [v for v in judged(values)[24 * 14 :] if v and v.kind in ("dropout", "stuck")]


def test_more_sensitive_says_no_less():
    values = days(40)
    for i in range(400, 900, 100):
        values[i] += i / 40
    low, medium, high = (sum(map(bool, judged(values, s))) for s in ("low", "medium", "high"))
    assert low <= medium <= high
    assert high > 0


VALUES = st.one_of(st.floats(), st.just(math.nan), st.just(0.0), st.floats(-50, 50), st.integers(-3, 3).map(float))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-HOUR_S, 40 * HOUR_S), VALUES), max_size=150), st.integers(0, 149))
def test_a_restart_changes_nothing_and_nothing_raises(steps: list[tuple[float, float]], stop: int):
    """Whatever comes, in whatever order: no error, a bounded state, and the same verdicts after a restart."""
    one, other = Detector(), Detector()
    for i, value in enumerate(days(4)):
        one.update(BEGAN_S + HOUR_S * i, value)
    other.restore(one.state())
    at_s = BEGAN_S + 96 * HOUR_S
    for i, (step_s, value) in enumerate(steps):
        at_s += step_s
        said = one.update(at_s, value)
        if i == stop:
            kept = other.state()
            other = Detector()
            other.restore(kept)
        assert other.update(at_s, value) == said
        if said:
            assert said.score >= 1
            assert said.low <= said.expected <= said.high
    assert one.state() == other.state()
    assert len(one.state()) < 4096


@pytest.mark.parametrize("state", [b"", b"\x80", b"nonsense", b"\x81\xa4bins\xc4\x01x"])
def test_a_damaged_state_is_refused(state: bytes):
    with pytest.raises(CentreError, match="start it anew"):
        Detector().restore(state)


@pytest.mark.parametrize("time_s", [math.nan, math.inf, -math.inf])
def test_times_that_are_none_are_passed_over(time_s: float):
    detector = Detector()
    assert detector.update(time_s, 1.0) is None
    assert detector.state() == Detector().state()


def test_faults_in_real_readings_are_found_more_surely_than_by_three_sigma():
    """A year of a city's bicycles: twice the F1 of both 3-sigma rules."""
    if not faults.SERIES.is_dir():
        pytest.skip(f"the published data is not at {faults.SERIES} (set HANMARU_TEST_DATA)")
    measured = measure({"bikes": faults.bikes()}, kinds=("spike", "stuck", "dropout"))
    f1 = {rule: figures["f1"] for rule, figures in measured["by series"]["bikes"].items()}
    assert f1["ours"] > 2 * max(f1["3-sigma"], f1["3-sigma 24 h"])
