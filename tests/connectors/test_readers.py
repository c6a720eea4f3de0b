"""Readers: every format streams, resumes where it stopped, and survives any bytes."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.connectors.errors import ConnectorError, MappingError
from hanmaru.connectors.ingest import batches
from hanmaru.connectors.mapping import Mapping
from hanmaru.connectors.quarantine import Quarantine, entry
from hanmaru.connectors.readers import Damaged, Position, open_reader
from hanmaru.connectors.rows import RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from tests.connectors.conftest import mapping

BODY = '[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{id}"\n[attributes]\nname = "name"\nvalue = "a.b"\n'
FLAT = BODY.replace('value = "a.b"\n', "")
PEOPLE = [("1", "가"), ("2", "나\n다"), ("3", 'say "hi"'), ("4", "")]


def read(path: Path, m: Mapping, after: Position | None = None, *, tail: bool = False) -> list[object]:
    """Return all that follows a position."""
    reader = open_reader(path, m, after, tail=tail)
    try:
        return list(reader)
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("name", "encoding", "end"),
    [
        ("a.csv", "utf-8-sig", "\r\n"),
        ("a.csv", "cp949", "\n"),
        ("a.csv.gz", "utf-8", "\n"),
        ("a.csv.gz", "euc-kr", "\r\n"),
    ],
)
def test_csv_resumes_after_any_row(tmp_path: Path, name: str, encoding: str, end: str) -> None:
    rows = "".join(f'{i},"{n.replace(chr(34), chr(34) * 2)}"{end}' for i, n in PEOPLE)
    path = tmp_path / name
    data = f"id,name{end}{rows}".encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    m = mapping(f'[source]\nencoding = "{encoding.removesuffix("-sig")}"\n' + FLAT)
    reader = open_reader(path, m)
    found, places = [], [Position()]
    for row in reader:
        found.append(row)
        places.append(reader.position())
    reader.close()
    assert found == [list(p) for p in PEOPLE]
    for i, place in enumerate(places):
        assert place.row == i
        assert read(path, m, place) == found[i:]


def test_a_growing_file_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path, m = tmp_path / "a.csv", mapping(FLAT)
    path.write_text("id,name\n1,a\n2,hal")
    reader = open_reader(path, m, tail=True)
    assert list(reader) == [["1", "a"]]
    left = reader.position()
    reader.close()
    path.write_text("id,name\n1,a\n2,half\n3,c\n")
    assert read(path, m, left, tail=True) == [["2", "half"], ["3", "c"]]


def test_a_last_line_without_newline_is_a_row_until_it_grows(tmp_path: Path) -> None:
    path, m = tmp_path / "a.csv", mapping(FLAT)
    path.write_text("id,name\n1,a\n2,hal")
    reader = open_reader(path, m)
    assert list(reader) == [["1", "a"], ["2", "hal"]]
    left = reader.position()
    reader.close()
    assert read(path, m, left) == []
    path.write_text("id,name\n1,a\n2,hal\n3,c")
    assert read(path, m, left) == [["3", "c"]]
    path.write_text("id,name\n1,a\n2,half\n3,c")
    assert read(path, m, left) == [["2", "half"], ["3", "c"]]


def test_damaged_rows_cost_no_others(tmp_path: Path) -> None:
    path, m = tmp_path / "a.csv", mapping(FLAT)
    lines = [b"id,name", b"1,a", b'2,"never closed', b"3,c", b"4,\xff\xfe", b"5", b"6,f,g", b"", b"8,h"]
    path.write_bytes(b"\n".join(lines) + b"\n" + b"9,i\n" * 150 + b'7,"x"y\n')
    found = read(path, m)
    good = [row for row in found if not isinstance(row, Damaged)]
    assert good == [["1", "a"], ["3", "c"], ["8", "h"], *[["9", "i"]] * 150]
    reasons = [row.reason for row in found if isinstance(row, Damaged)]
    assert [r[:24] for r in reasons] == [
        "not CSV: a quotation mar",
        "not valid utf-8 at byte ",
        "1 cells where the header",
        "3 cells where the header",
        "not CSV: ',' expected af",
    ]


def test_a_line_without_end_is_not_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,name\n1," + b"x" * (3 << 20) + b"\n2,b\n")
    damaged, good = read(path, mapping(FLAT))
    assert isinstance(damaged, Damaged)
    assert damaged.reason == "line of over 1 MiB"
    assert good == ["2", "b"]


def test_a_truncated_gzip_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(("id,name\n" + "".join(f"{i},{i * 7919}\n" for i in range(50_000))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    *good, last = read(path, mapping(FLAT))
    assert len(good) > 10_000
    assert isinstance(last, Damaged)
    assert "cannot be read further" in last.reason


def test_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("comment\nid;name\n1;a\n")
    assert read(path, mapping('[source]\nskip_lines = 1\ndelimiter = ";"\n' + FLAT)) == [["1", "a"]]
    path.write_text("1,a\n")
    assert read(path, mapping('[source]\nheader = ["id", "name"]\n' + FLAT)) == [["1", "a"]]
    numbered = open_reader(path, mapping("[source]\nheader = false\n" + FLAT))
    assert (numbered.columns, list(numbered)) == (["1", "2"], [["1", "a"]])
    numbered.close()
    (tmp_path / "names.csv").write_text("id,name\n9,9\n")
    beside = open_reader(path, mapping('[source]\nheader_from = "names.csv"\n' + FLAT))
    assert (beside.columns, list(beside)) == (["id", "name"], [["1", "a"]])
    beside.close()
    path.write_bytes("번호,이름\n".encode("cp949"))
    with pytest.raises(MappingError, match=r'source\.encoding: the header line is not valid utf-8.*is it "cp949"'):
        open_reader(path, mapping(FLAT))


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "name": "a", "a": {"b": 2}}\nnonsense\n[1]\n\n{"id": "2", "a.b": 3}\n')
    first, bad, wrong, last = read(path, mapping(BODY))
    assert (first, last) == (["1", "a", 2], ["2", None, 3])
    assert isinstance(bad, Damaged)
    assert isinstance(wrong, Damaged)
    assert read(path, mapping(BODY), Position(1, 40)) == [bad, wrong, last]


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('[{"id": "1", "name": "a"}, {"id": "2"}]', ""),
        ('{"response": {"items": [{"id": "1", "name": "a"}, {"id": "2"}]}}', '[source]\nrecords = "response.items"\n'),
    ],
)
def test_json_documents(tmp_path: Path, text: str, source: str) -> None:
    path, m = tmp_path / "a.json", mapping(source + BODY)
    path.write_text("\ufeff" + text)
    assert read(path, m) == [["1", "a", None], ["2", None, None]]
    assert read(path, m, Position(1)) == [["2", None, None]]
    path.write_text(text[:-8])
    assert isinstance(read(path, m)[-1], Damaged)


def test_one_json_object_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"id": "1", "name": "a", "a": {"b": 5}}')
    assert read(path, mapping(BODY)) == [["1", "a", 5]]


def test_geojson(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    features = [
        {"type": "Feature", "id": 7, "properties": {"name": "a", "a": {"b": 1}}, "geometry": square},
        {"type": "Feature", "id": 8, "properties": None, "geometry": None},
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    m = mapping(BODY.replace("[attributes]", 'location = { geometry = "geometry" }\n[attributes]'))
    assert read(path, m) == [[7, square, "a", 1], [8, None, None, None]]
    reader = open_reader(path, m)
    (batch,) = batches(reader, RowMapper(m, reader.columns, TypeRegistry().need("Device", "m")))
    reader.close()
    assert [r.id for r in batch.readings] == ["urn:ngsi-ld:Device:7", "urn:ngsi-ld:Device:8"]
    assert dict(batch.readings[0].static)["location"] == {"type": "GeoProperty", "value": square}


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"id": list(range(5000)), "name": [f"n{i}" for i in range(5000)], "unread": [0.0] * 5000})
    pq.write_table(table, path, row_group_size=1500)
    m = mapping(FLAT)
    found = read(path, m)
    assert found == [(i, f"n{i}") for i in range(5000)]
    for row in (0, 1, 1499, 1500, 3000, 4999, 5000):
        assert read(path, m, Position(row)) == found[row:]
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ConnectorError, match="is not a Parquet file"):
        open_reader(path, m)


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="cannot be read"):
        open_reader(tmp_path / "none.csv", mapping(FLAT))
    with pytest.raises(ConnectorError, match="the ending names no known format"):
        open_reader(tmp_path / "a.xlsx", mapping(FLAT))


NOISE = st.one_of(
    st.binary(max_size=400),
    st.lists(st.sampled_from([b",", b'"', b"\n", b"\r", b"\xb0\xa1", b"1", b"id", b"\0", b"{}", b"[", b"]", b" "])).map(
        b"".join
    ),
    st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(NOISE, st.sampled_from(["csv", "jsonl", "json", "geojson"]), st.sampled_from(["utf-8", "cp949"]))
def test_any_bytes_become_readings_or_quarantine(tmp_path: Path, noise: bytes, format: str, encoding: str) -> None:
    head = {"csv": b"id,name,a.b\n", "geojson": b'{"features": [', "json": b"[", "jsonl": b""}[format]
    path = tmp_path / f"noise.{format}"
    path.write_bytes(head + noise)
    m = mapping(f'[source]\nencoding = "{encoding}"\n' + BODY)
    reader = open_reader(path, m)
    mapper = RowMapper(m, reader.columns, TypeRegistry().need("Device", "m"))
    quarantine = Quarantine(tmp_path / "q.jsonl")
    rows = 0
    for batch in batches(reader, mapper, 10):
        quarantine.add(batch.faults)
        rows += batch.rows
        assert batch.rows == len(batch.readings) + len(batch.faults) + batch.left_out
    assert reader.position().row == rows
    reader.close()
    lines = (tmp_path / "q.jsonl").read_bytes().splitlines() if quarantine.count else []
    assert all("reason" in json.loads(line) for line in lines)
    (tmp_path / "q.jsonl").unlink(missing_ok=True)


def test_quarantine_is_bounded_and_resumes_without_repeating(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, limit=1000)
    quarantine.add([entry(1, "bad", ["x"])])
    size = quarantine.size
    quarantine.add([entry(2, "worse", "\ud800" + "y" * 9000)])
    again = Quarantine(path, size, 1, limit=1000)
    assert path.stat().st_size == size, "lines behind the checkpoint are dropped"
    again.add([entry(i, "bad", "z" * 100) for i in range(100)])
    again.add([entry(1000, "one more", "z")])
    assert again.count == 102
    assert path.stat().st_size == again.size < 20_000
    assert json.loads(path.read_bytes().splitlines()[0]) == {"row": 1, "reason": "bad", "raw": ["x"]}
