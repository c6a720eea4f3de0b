"""``hanmaru trace contacts``: files in, files out, and one readable line for what is wrong with them."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hanmaru.trace import tables
from hanmaru.trace.cli import app
from hanmaru.trace.contacts_command import COLUMNS, read
from hanmaru.trace.domain import TraceError

HEADER = "subject,start,end,lat,lon,radius_m,place_id\n"
ROWS = """\
kim,2026-05-01T09:00:00+09:00,2026-05-01T17:00:00+09:00,36.5000,127.2600,80,
lee,2026-05-01T09:02:00+09:00,2026-05-01T17:01:00+09:00,36.5002,127.2601,80,
lee,2026-05-01T19:00:00+09:00,2026-05-01T21:00:00+09:00,36.5200,127.2901,20,bar
kim,2026-05-01T19:01:00+09:00,2026-05-01T21:00:00+09:00,36.5200,127.2900,20,bar
choi,2026-05-01T10:00:00Z,2026-05-01T10:40:00Z,36.5200,127.2900,20,bar
park,2026-05-01T09:00:00+09:00,2026-05-01T17:00:00+09:00,36.9000,127.9000,80,
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text(HEADER + ROWS, "utf-8")
    return path


def run(*arguments: object) -> str:
    """Return what the command prints; its errors are raised."""
    return CliRunner().invoke(app, ["contacts", *map(str, arguments)], catch_exceptions=False).stdout


def error(*arguments: object) -> str:
    """Return the one line that says why the command cannot be done."""
    with pytest.raises(TraceError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ranks_who_was_there(file: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(file, "--index", "kim", "--out", "-"))))
    assert list(rows[0]) == "index,subject,probability,minutes,start,end,lat,lon,rank".split(",")
    assert [(r["index"], r["subject"], r["rank"]) for r in rows] == [("kim", "lee", "1"), ("kim", "choi", "2")]
    assert 1 > float(rows[0]["probability"]) > float(rows[1]["probability"]) > 0
    assert (rows[1]["start"], rows[1]["end"]) == ("2026-05-01T10:01:00Z", "2026-05-01T10:40:00Z")
    assert (float(rows[1]["lat"]), float(rows[1]["lon"])) == pytest.approx((36.52, 127.29), abs=1e-4)


def test_parquet_and_a_summary(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "contacts.parquet"
    summary = json.loads(run(file, "--index", "kim", "--index", "lee", "--out", out, "--json"))
    assert (summary["visits"], summary["subjects"], summary["index"], summary["pairs"]) == (6, 4, 2, 4)
    assert summary["warnings"] == []
    table = pq.read_table(out)
    assert table["index"].to_pylist() == ["kim", "kim", "lee", "lee"]
    assert str(table.schema.field("start").type).endswith("tz=UTC]")


def test_index_subjects_from_a_file(file: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("kim\n\nlee\n", "utf-8")
    from_file = run(file, "--index", f"@{ids}", "--out", "-")
    assert from_file == run(file, "--index", "kim", "--index", "lee", "--out", "-")


def test_radius_and_place_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("".join(",".join(line.split(",")[:5]) + "\n" for line in (HEADER + ROWS).splitlines()), "utf-8")
    summary = json.loads(run(path, "--index", "kim", "--out", tmp_path / "out.csv", "--json"))
    assert summary["warnings"] == ["6 visits without radius_m are taken to be right to 50 m"]
    assert summary["pairs"] == 2


def test_order_of_rows_does_not_matter(file: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text(HEADER + "".join(sorted(ROWS.splitlines(True), reverse=True)), "utf-8")
    assert run(file, "--index", "kim", "--out", "-") == run(shuffled, "--index", "kim", "--out", "-")


def test_rows_that_are_there_twice_count_once(file: Path, tmp_path: Path) -> None:
    lines = file.read_text().splitlines()
    (tmp_path / "twice.csv").write_text("\n".join([lines[0], *lines[1:], *lines[1:]]) + "\n")
    assert run(tmp_path / "twice.csv", "--index", "kim", "--out", "-") == run(file, "--index", "kim", "--out", "-")
    summary = json.loads(run(tmp_path / "twice.csv", "--index", "kim", "--out", tmp_path / "out.csv", "--json"))
    assert f"{len(lines) - 1} visits that are there twice are counted once" in summary["warnings"]


def test_nobody_met_is_an_empty_table(file: Path) -> None:
    out = run(file, "--index", "park", "--out", "-")
    assert out == "index,subject,probability,minutes,start,end,lat,lon,rank\n"


def test_unknown_index(file: Path) -> None:
    assert error(file, "--index", "nobody", "--out", "-") == "visits.csv has no visits of nobody; check --index"


def test_a_list_that_is_not_there_or_empty(file: Path, tmp_path: Path) -> None:
    assert "cannot be read" in error(file, "--index", f"@{tmp_path}/none.txt", "--out", "-")
    (tmp_path / "empty.txt").write_text("\n")
    assert "no index subject is named" in error(file, "--index", f"@{tmp_path}/empty.txt", "--out", "-")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("kim,2026-05-01T09:00:00,2026-05-01T10:00:00Z,36,127,5,", "row 8, column start"),
        (
            "kim,2026-05-01T09:00:00Z,2026-05-01T08:00:00Z,36,127,5,",
            "row 8, column end: the visit ends before it starts",
        ),
        ("kim,2026-05-01T09:00:00Z,2026-05-01T10:00:00Z,96,127,5,", "row 8, column lat"),
        ("kim,2026-05-01T09:00:00Z,2026-05-01T10:00:00Z,36,east,5,", "row 8, column lon"),
        ("kim,2026-05-01T09:00:00Z,2026-05-01T10:00:00Z,36,127,-5,", "row 8, column radius_m"),
        (",2026-05-01T09:00:00Z,2026-05-01T10:00:00Z,36,127,5,", "row 8, column subject"),
        ("kim,2026-05-01T09:00:00Z", "row 8"),
    ],
)
def test_bad_rows(file: Path, row: str, says: str) -> None:
    file.write_text(HEADER + ROWS + row + "\n", "utf-8")
    assert f"visits.csv, {says}" in error(file, "--index", "kim", "--out", "-")


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    assert "there is no such file" in error(path, "--index", "kim", "--out", "-")
    path.write_text("")
    assert "visits.csv is empty" in error(path, "--index", "kim", "--out", "-")
    path.write_text("subject,start,end\n")
    assert "lacks the column lat, lon" in error(path, "--index", "kim", "--out", "-")
    path.write_text(HEADER)
    assert "has no visits of kim" in error(path, "--index", "kim", "--out", "-")


def test_reading_keeps_places_apart(file: Path) -> None:
    visits, subjects, _, _ = read(tables.read(file, COLUMNS), file)
    assert subjects == ["choi", "kim", "lee", "park"]
    assert visits.place.tolist() == [0, -1, 0, -1, 0, -1]
