"""Cells become values, or reasons."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.connectors.errors import BadRow
from hanmaru.connectors.values import (
    integer_reader,
    list_reader,
    number_reader,
    read_boolean,
    read_json,
    read_text,
    uri_part,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "expected"),
    [
        (".", "", ".9", 0.9),
        (".", "", "-.8", -0.8),
        (".", "", " 12 ", 12),
        (".", "", "5.", 5.0),
        (".", "", "1e-3", 0.001),
        (".", ",", "1,395", 1395),
        (".", ",", "-12,345,678.5", -12345678.5),
        (".", ",", "395", 395),
        (",", ".", "1.395,5", 1395.5),
        (",", "", "61,5", 61.5),
        (",", "", "61.5", 61.5),
        (".", " ", "1 395", 1395),
    ],
)
def test_numbers(decimal: str, thousands: str, text: str, expected: float) -> None:
    found = number_reader(decimal, thousands)(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("decimal", "thousands", "text"),
    [
        (".", "", "1,395"),
        (".", ",", "13,95"),
        (",", ".", "36.4801"),
        (".", "", "1_000"),
        (".", "", "nan"),
        (".", "", "inf"),
        (".", "", "1e400"),
        (".", "", "0x10"),
        (".", "", "٣"),
        (".", "", "9" * 5000),
        (".", "", ""),
        (".", "", "12 µg"),
    ],
)
def test_what_is_no_number(decimal: str, thousands: str, text: str) -> None:
    with pytest.raises(BadRow):
        number_reader(decimal, thousands)(text)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-(2**53) + 1, 2**53 - 1))
def test_numbers_survive_writing_and_reading(x: float) -> None:
    assert number_reader()(repr(x)) == x
    assert number_reader(",", ".")(f"{x:,}".translate(str.maketrans(",.", ".,"))) == x


@given(ANYTHING)
def test_anything_is_a_json_value_or_a_bad_row(cell: object) -> None:
    for read in (
        number_reader(),
        integer_reader(number_reader()),
        read_text,
        read_boolean,
        read_json,
        list_reader(";"),
    ):
        try:
            value = read(cell)
        except BadRow:
            continue
        msgspec.json.encode(value)
        assert not isinstance(value, float) or read is read_json or math.isfinite(value)


def test_truth() -> None:
    assert [read_boolean(t) for t in ("Yes", "0", "예", "아니오", True, "on")] == [True, False, True, False, True, True]
    with pytest.raises(BadRow, match="neither true nor false"):
        read_boolean("maybe")


@given(st.text().filter(lambda t: t.isprintable()))
def test_ids_are_plain_uris(text: str) -> None:
    assert all("!" <= c <= "~" for c in uri_part(text))
