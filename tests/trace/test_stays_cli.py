"""``hanmaru trace stays`` on files."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.trace.agents import Setting, matches, simulate
from hanmaru.cli import main
from hanmaru.trace import tables
from hanmaru.trace.domain import Stays
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.stays_command import read

PLANE = Plane(127.29, 36.48)
OUT = {
    "subject": tables.TEXT,
    "start": tables.WHEN,
    "end": tables.WHEN,
    "lat": tables.LAT,
    "lon": tables.LON,
    "radius_m": tables.Column("metres"),
    "confidence": tables.Column("number"),
}


def hanmaru(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["hanmaru", "trace", "stays", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_stays_of_a_file_whose_rows_are_in_any_order(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    points, truth, _ = simulate(41, 10, 3, Setting())
    lon, lat = PLANE.lonlat(points.x_m, points.y_m)
    events, out = tmp_path / f"events.{suffix}", tmp_path / f"stays.{suffix}"
    mixed = np.random.default_rng(1).permutation(len(points))
    table = {"time": tables.times(points.time_s[mixed] + 1_588_000_000), "lat": lat[mixed], "lon": lon[mixed]}
    tables.write(events, table | {"subject": [f"p{i:02}" for i in points.subject[mixed]], "note": ["x"] * len(points)})
    assert hanmaru(monkeypatch, events, "--out", out, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    found = tables.read(out, OUT)
    assert found.column_names == list(OUT)
    assert (summary["points"], summary["subjects"], summary["stays"]) == (len(points), 10, len(found))
    ids = np.array([int(subject[1:]) for subject in found["subject"].to_pylist()])
    start, end = (tables.seconds(found, name) - 1_588_000_000 for name in ("start", "end"))
    none = np.zeros(len(found))
    hit, wanted = matches(truth, Stays(ids, start, end, none, none, none, none, ids, ids))
    assert 2 * hit.sum() / (len(hit) + wanted) > 0.88


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2), st.integers(0, 2)), max_size=40),
    ordered=st.booleans(),
)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_points_are_sorted_and_equal_ones_stay_as_they_stand(
    rows: list[tuple[int, int, int, int]], ordered: bool, tmp_path: Path
) -> None:
    rows = sorted(rows) if ordered else rows
    who, when, east, north = np.array(rows, np.int64).reshape(-1, 4).T
    ids = np.array([f"{i:02}" for i in range(len(rows))], np.str_)
    positions = {"lat": 36.5 + 0.001 * north, "lon": 127.3 + 0.001 * east}
    columns = {"subject": who.astype(np.str_), "time": tables.times(when), "cell_id": ids, **positions}
    tables.write(tmp_path / "events.parquet", columns)
    points, cell, subjects, _ = read(tmp_path / "events.parquet")
    order = np.lexsort((north, east, when, who))
    assert cell.tolist() == order.tolist()
    assert points.time_s.tolist() == when[order].tolist()
    assert [subjects[i] for i in points.subject] == [str(i) for i in who[order]]


LINE = "a,2020-05-01T{:02}:{:02}:00+09:00,36.5,127.3\n"


def test_a_table_to_standard_output_and_the_summary_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.csv"
    events.write_text("subject,time,lat,lon\n" + "".join(LINE.format(9 + m // 60, m % 60) for m in range(0, 120, 10)))
    assert hanmaru(monkeypatch, events, "--out", "-") == 0
    told = capfd.readouterr()
    header, row = told.out.splitlines()
    assert header == "subject,start,end,lat,lon,radius_m,confidence"
    assert row.startswith("a,2020-05-01T00:00:00Z,2020-05-01T01:50:00Z,36.5,127.3,")
    assert told.err.startswith("1 stays of 1 people in 12 points, in ")


def test_the_classic_rule_and_files_without_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.csv"
    events.write_text(
        "subject,time,lat,lon\n"
        + "".join(LINE.format(9, m) for m in range(0, 60, 10))
        + "a,2020-05-01T10:00:00+09:00,36.6,127.3\n"
    )
    assert hanmaru(monkeypatch, events, "--out", "-", "--distance-m", "100") == 0
    assert capfd.readouterr().out.splitlines()[1].startswith("a,2020-05-01T00:00:00Z,2020-05-01T01:00:00Z,36.5,")
    events.write_text("subject,time,lat,lon\n")
    for rule in ([], ["--distance-m", "100"]):
        assert hanmaru(monkeypatch, events, "--out", "-", *rule) == 0
        assert capfd.readouterr().out == "subject,start,end,lat,lon,radius_m,confidence\n"


def test_what_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.csv"
    events.write_text("subject,time,lat,lon\na,2020-05-01T09:00:00,36.5,127.3\n")
    assert hanmaru(monkeypatch, events, "--out", tmp_path / "out.csv") == 1
    error = capfd.readouterr().err
    assert error.startswith("hanmaru: events.csv, row 2, column time: 2020-05-01T09:00:00 has no zone; write it as")
    assert error.count("\n") == 1
    assert hanmaru(monkeypatch, events, "--out", "-", "--min-minutes", "0") == 1
    assert hanmaru(monkeypatch, events) == 2
    assert not (tmp_path / "out.csv").exists()
