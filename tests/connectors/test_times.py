"""Times: formats and zones of real tables, as UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.connectors.errors import BadRow
from hanmaru.connectors.times import parse_step, parser, render, sequence, sort_key, zone_of

SEOUL = ZoneInfo("Asia/Seoul")
moments = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("format", "text", "expected"),
    [
        ("%Y-%m-%d %H:%M", "2022-12-31 24:00", "2022-12-31T15:00:00Z"),
        ("%Y년 %m월 %d일 %H시", "2022년 1월 2일 17시", "2022-01-02T08:00:00Z"),
        ("%d/%m/%Y %H", "1/12/2017 0", "2017-11-30T15:00:00Z"),
        ("%Y%m%d", "20210101", "2020-12-31T15:00:00Z"),
        ("%Y.%m.%d. %p %I:%M", "2024.03.01. 오후 12:30", "2024-03-01T03:30:00Z"),
        ("%d %b %Y %H:%M:%S.%f", "05 Mar 2024 01:02:03.25", "2024-03-04T16:02:03.250000Z"),
        ("%Y-%m-%d %H:%M %z", "2024-03-01 00:00 -05:00", "2024-03-01T05:00:00Z"),
        ("iso", "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ("iso", "2024-03-01", "2024-02-29T15:00:00Z"),
        ("epoch", "1709251200.5", "2024-03-01T00:00:00.500000Z"),
        ("epoch_ms", "1709251200000", "2024-03-01T00:00:00Z"),
    ],
)
def test_formats(format: str, text: str, expected: str) -> None:
    assert parser(format, SEOUL)(text) == expected


@pytest.mark.parametrize(
    "text", ["2022-02-30 00:00", "2022-01-01 24:01", "2022-01-01 25:00", "", "2022-01-01", "1/1/2022"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRow, match="is not a time of the format"):
        parser("%Y-%m-%d %H:%M", SEOUL)(text)


def test_midnight_may_end_the_day() -> None:
    parse = parser("%d-%m-%Y %H:%M", SEOUL, "next-day")
    assert parse("31-12-2018 00:00") == "2018-12-31T15:00:00Z"
    assert parse("31-12-2018 00:15") == "2018-12-30T15:15:00Z"


def test_summer_time_is_the_zones_business() -> None:
    parse = parser("%Y-%m-%d %H:%M", zone_of("America/Los_Angeles"))
    assert parse("2012-03-11 01:59") == "2012-03-11T09:59:00Z"
    assert parse("2012-03-11 03:00") == "2012-03-11T10:00:00Z"
    assert parse("2012-11-04 01:30") == "2012-11-04T08:30:00Z", "of the two, the first"


@given(moments)
def test_every_instant_survives_writing_and_reading(moment: datetime) -> None:
    local = moment.astimezone(SEOUL)
    text = f"{local.year}/{local.month}/{local.day} {local.hour}:{local.minute}:{local.second}.{local.microsecond:06}"
    read = parser("%Y/%m/%d %H:%M:%S.%f", SEOUL)(text)
    assert datetime.fromisoformat(read) == local.replace(fold=0), "an hour that occurs twice is the first of the two"
    assert parser("iso", UTC)(render(moment)) == render(moment)


@given(st.text(), st.sampled_from(["%Y-%m-%d", "iso", "epoch", "epoch_ms", "%H:%M %d %b %y", "%Y%m%d%H%M%S"]))
def test_any_text_is_a_time_or_a_bad_row(text: str, format: str) -> None:
    try:
        found = parser(format, SEOUL)(text)
    except BadRow:
        return
    assert found.endswith("Z")
    assert datetime.fromisoformat(found).tzinfo is not None


@given(moments, moments)
def test_sort_keys_sort_as_instants_do(a: datetime, b: datetime) -> None:
    assert (sort_key(render(a)) < sort_key(render(b))) == (a < b)


@given(st.integers(0, 100_000), st.sampled_from(["5min", "1h", "15 min", "30s", "1d", "0.5h"]))
def test_sequences_step_in_real_time(row: int, step: str) -> None:
    at = sequence("2012-03-01T00:00", parse_step(step), ZoneInfo("America/Los_Angeles"))
    gap = datetime.fromisoformat(at(row)) - datetime.fromisoformat(at(0))
    assert gap == row * parse_step(step)


@pytest.mark.parametrize("text", ["5", "min", "0min", "-1h", "5 parsecs"])
def test_steps_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        parse_step(text)
    assert parse_step("2 weeks") == timedelta(days=14)
