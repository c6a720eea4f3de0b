"""Histories small enough to draw."""

from hypothesis import given
from hypothesis import strategies as st

from hanmaru.centre.series import Point, series, thin


def points(values: list[float]) -> list[Point]:
    return [(value, f"2026-03-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z") for n, value in enumerate(values)]


@given(st.lists(st.floats(-1e6, 1e6), max_size=300), st.integers(2, 50))
def test_thinning_keeps_order_bound_lowest_and_highest(values: list[float], limit: int) -> None:
    kept = thin(points(values), limit)
    assert len(kept) <= limit
    assert [instant for _, instant in kept] == sorted(instant for _, instant in kept)
    if values:
        assert min(value for value, _ in kept) == min(values)
        assert max(value for value, _ in kept) == max(values)


def test_words_are_dropped_only_where_there_is_something_to_thin() -> None:
    assert thin([("on", "t1"), (1, "t2")], 2) == [("on", "t1"), (1, "t2")]
    assert thin([("on", "t1"), (1, "t2"), (True, "t3")], 2) == [(1, "t2")]


def test_the_default_instance_of_an_attribute_is_taken_in_time_order() -> None:
    history = {
        "id": "urn:x",
        "type": "Sensor",
        "level": [{"datasetId": "urn:d", "values": [[9, "t0"]]}, {"values": [[2, "t2"], [1, "t1"]]}],
        "speed": {"type": "Property", "values": [[5, "t1"]]},
    }
    assert series(history, 10) == {"level": [(1, "t1"), (2, "t2")], "speed": [(5, "t1")]}
