"""JSON as FHIR needs it."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.care.fhir import text
from hanmaru.platform.problems import Problem


@pytest.mark.parametrize("digits", ["1.10", "1E-22", "0.010", "100.0", "-0.0", "12345678901234567890.5", "1E+2"])
def test_decimals_keep_their_digits(digits: str) -> None:
    raw = b'{"value":%s}' % digits.encode()
    assert text.encode(text.decode(raw)) == raw


def test_two_decimals_of_other_digits_are_not_the_same() -> None:
    assert not text.same(text.decode('{"a":1.1,"b":2}'), text.decode('{"a":1.10,"b":2}'))
    assert text.same(text.decode('{"a":1.10,"b":2}'), text.decode('{"b":2,"a":1.10}'))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ('{"a":1,"a":2}', "twice"),
        ('{"a":{"b":[{"c":1,"c":1}]}}', "twice"),
        (r'{"a":1,"a":2,"b":"\u003a"}', "twice"),
        ('{"a":' * 101 + "1" + "}" * 101, "deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "deep"),
        ("[1]", "object"),
        ("3", "object"),
        ("", "truncated"),
        ('{"a":NaN}', "invalid"),
        ('{"a":1E99999999999999999999}', "exponent"),
        (r'{"a":"\ud800"}', ""),
        (b'{"a":"\xff"}', "utf-8"),
        ("\ud800", ""),
    ],
)
def test_what_is_no_object_is_refused_with_a_reason_and_without_its_content(raw: str | bytes, why: str) -> None:
    with pytest.raises(Problem) as refused:
        text.decode(raw)
    assert refused.value.status == 400
    assert why in refused.value.detail


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_what_is_written_reads_back_as_it_was(document: dict[str, object]) -> None:
    once = text.encode(document)
    again = text.decode(once)
    assert text.encode(again) == once
    for name, value in document.items():
        if isinstance(value, Decimal):
            assert Decimal(str(again[name])) == value


@given(st.binary(max_size=60))
def test_noise_is_refused_or_read_and_never_more(noise: bytes) -> None:
    with suppress(Problem):
        assert isinstance(text.decode(noise), dict)
