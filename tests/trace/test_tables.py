"""Tables in files: what is read, what is refused and how that is said, what is written."""

import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.trace import tables
from hanmaru.trace.domain import TraceError
from hanmaru.trace.tables import LAT, LON, MAYBE_METRES, MAYBE_TEXT, TEXT, WHEN

EVENTS = {"subject": TEXT, "time": WHEN, "lat": LAT, "lon": LON, "accuracy_m": MAYBE_METRES, "cell_id": MAYBE_TEXT}
NOON = int(datetime(2020, 5, 1, 12, tzinfo=UTC).timestamp())


def csv_of(*rows: str, header: str = "subject,time,lat,lon") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


@pytest.mark.parametrize(
    "text",
    [
        "2020-05-01T12:00:00Z",
        "2020-05-01 12:00:00+00:00",
        "2020-05-01T21:00:00+09:00",
        "2020-05-01T21:00+0900",
        "2020-05-01T12:00:00.999999Z",
        "2020-05-01T12:00:00.1234567Z",
        "2020-05-01T08:30:00-03:30",
        "20200501T120000Z",
    ],
)
def test_times_with_a_zone_are_instants(text: str) -> None:
    table = tables.read(csv_of(f"a,{text},37,127", "b,2020-05-01T12:00:00Z,37,127"), EVENTS)
    assert tables.seconds(table, "time").tolist() == [NOON, NOON]


def test_optional_columns_may_lack_and_others_are_ignored() -> None:
    content = csv_of("007,2020-05-01T12:00:00Z,37.5,127,x\ty,", header="subject,time,lat,lon,note,accuracy_m")
    table = tables.read(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"), EVENTS)
    assert table.column_names == list(EVENTS)
    assert table.to_pylist() == [
        {"subject": "007", "time": datetime(2020, 5, 1, 12, tzinfo=UTC), "lat": 37.5, "lon": 127.0}
        | {"accuracy_m": None, "cell_id": None}
    ]
    assert np.isnan(tables.floats(table, "accuracy_m")).all()


def test_a_header_alone_is_a_table_without_rows() -> None:
    assert len(tables.read(csv_of(), EVENTS)) == 0


GOOD = "a,2020-05-01T12:00:00Z,37,127"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "e.csv is empty; its first line names the columns: subject, time, lat, lon, accuracy_m, cell_id"),
        (csv_of(GOOD, header="subject,when,lat,lon"), "e.csv lacks the column time; it has subject, when, lat, lon"),
        (csv_of(GOOD + ",1", header="subject,time,lat,lon,lat"), "e.csv has several columns lat; leave one"),
        (
            csv_of(GOOD, "", "a,2020-05-01T12:00:00,37,127"),
            "e.csv, row 4, column time: 2020-05-01T12:00:00 has no zone",
        ),
        (csv_of("a,yesterday,37,127"), "e.csv, row 2, column time: yesterday is no time; write it as 2020-05-01T09"),
        (csv_of("a,9999-12-31T23:59:59-23:00,37,127", "b,,1,1"), "e.csv, row 3, column time is empty"),
        (csv_of(GOOD, ",2020-05-01T12:00:00Z,37,127"), "e.csv, row 3, column subject is empty"),
        (csv_of(GOOD, "a,2020-05-01T12:00:00Z,127,37"), "e.csv, row 3, column lat: 127 is not between -90 and 90"),
        (csv_of("a,2020-05-01T12:00:00Z,37,inf"), "e.csv, row 2, column lon: inf is not finite"),
        (csv_of("a,2020-05-01T12:00:00Z,37,1e999"), "e.csv, row 2, column lon: 1e999 is not finite"),
        (csv_of("a,2020-05-01T12:00:00Z,37,east"), "e.csv, row 2, column lon: east is not a number"),
        (csv_of("a,2020-05-01T12:00:00Z,NaN,127"), "e.csv, row 2, column lat is empty"),
        (csv_of(GOOD, GOOD + ",5"), "e.csv, row 3: 5 values for 4 columns"),
        (csv_of(GOOD + ",-1", header="subject,time,lat,lon,accuracy_m"), "column accuracy_m: -1 is not at least 0"),
        (
            csv_of(GOOD).replace(b"a,", b"\xbc\xad,"),
            "e.csv, row 2, column subject is not UTF-8; save the file as UTF-8",
        ),
        (b"PAR1nothing", "e.csv cannot be read: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        tables.read(content, EVENTS, name="e.csv")
    assert message in str(caught.value)


def test_spoiled_rows_can_be_left_out_and_are_told() -> None:
    spoiled: list[TraceError] = []
    content = csv_of(GOOD, "b,2020-05-01,37,127", "c,2020-05-01T12:00:00Z,37", "d,2020-05-01T12:00:00Z,37,127")
    table = tables.read(content, EVENTS, name="e.csv", spoiled=spoiled)
    assert table["subject"].to_pylist() == ["a", "d"]
    assert [str(error).split(":")[0] for error in spoiled] == ["e.csv, row 3, column time", "e.csv, row 4"]


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    moments = pa.array([NOON * 1_000_000_000 + 7], pa.timestamp("ns", "Asia/Seoul"))
    kept = {"subject": pa.array([7]), "lat": pa.array([37.5], pa.float32()), "lon": pa.array([127])}
    pq.write_table(pa.table(kept | {"time": moments, "cell_id": pa.array(["c"]).dictionary_encode()}), path)
    table = tables.read(path, EVENTS)
    assert table.drop_columns(["time"]).to_pylist() == [
        {"subject": "7", "lat": 37.5, "lon": 127.0, "accuracy_m": None, "cell_id": "c"}
    ]
    assert tables.seconds(table, "time").tolist() == [NOON]
    for column, error in [
        (pa.array([NOON], pa.timestamp("s")), "events.parquet, column time: times without a zone; store them with one"),
        (pa.array([NOON]), "events.parquet, column time: times are wanted, not int64"),
        (pa.array([None], pa.timestamp("s", "UTC")), "events.parquet, row 1, column time is empty"),
        (pa.array(["noon"]), "events.parquet, row 1, column time: noon is no time"),
    ]:
        pq.write_table(pa.table(kept | {"time": column}), path)
        with pytest.raises(TraceError, match=error):
            tables.read(path, EVENTS)
    path.write_text("subject,time")
    with pytest.raises(TraceError, match="is not a Parquet file"):
        tables.read(path, EVENTS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="there is no such file"):
        tables.read(tmp_path / "none.csv", EVENTS)


def test_ids_are_indices_into_the_sorted_ids_of_all_columns() -> None:
    first, second = pa.chunked_array([["b", "a"], ["b"]]), pa.chunked_array([["c", None]], pa.string())
    ids, (mine, theirs) = tables.encode(first, second)
    assert ids == ["a", "b", "c"]
    assert (mine.tolist(), theirs.tolist()) == ([1, 0, 1], [2, -1])
    assert tables.encode(pa.chunked_array([], pa.string()))[0] == []


TABLE = {"subject": ["a", 'b,"c"'], "start": tables.times(np.array([NOON, -1])), "lat": np.array([1.5, 2.0])}


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_comes_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("old")
    tables.write(path, TABLE)
    back = tables.read(path, {"subject": TEXT, "start": WHEN, "lat": LAT})
    assert back["subject"].to_pylist() == TABLE["subject"]
    assert tables.seconds(back, "start").tolist() == [NOON, -1]
    assert back["lat"].to_pylist() == [1.5, 2.0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tables.write("-", {"subject": ["a"], "start": tables.times(np.array([NOON]))})
    tables.tell("-", "1 stay")
    assert capfdbinary.readouterr() == (b"subject,start\na,2020-05-01T12:00:00Z\n", b"1 stay\n")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: ("subject,time,lat,lon\n" + text).encode()))
def test_no_content_is_a_traceback(content: bytes) -> None:
    with suppress(TraceError):
        tables.read(content, EVENTS)
