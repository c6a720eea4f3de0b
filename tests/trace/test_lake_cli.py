"""``hanmaru trace index``, ``present``, and ``contacts`` of an index, as their users run them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

HANMARU = str(Path(sys.executable).with_name("hanmaru"))
NOON_S = 1_767_236_400
UTC = pa.timestamp("us", "UTC")


def hanmaru(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([HANMARU, "trace", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann and Bo at one place for hours, Cy across town; all have been somewhere of their own before."""
    rng = np.random.default_rng(3)
    spots = {"Ann": (36.50, 127.26), "Bo": (36.52, 127.26), "Cy": (36.56, 127.30), "club": (36.48, 127.25)}
    rows: list[tuple[str, int, float, float, str]] = []
    for person in ("Ann", "Bo", "Cy"):
        for hour, place in ((0, person), (3, person if person == "Cy" else "club")):
            lat, lon = spots[place]
            for t in range(NOON_S + 3600 * hour, NOON_S + 3600 * (hour + 2), 240):
                rows.append((person, t, *(np.array([lat, lon]) + rng.normal(0, 2e-4, 2)), f"at-{place}"))
    subject, time_s, lat, lon, cell = (list(column) for column in zip(*rows, strict=True))
    path = tmp_path_factory.mktemp("events") / "day.parquet"
    time = pa.array(np.array(time_s) * 1_000_000, UTC)
    pq.write_table(pa.table({"subject": subject, "time": time, "lat": lat, "lon": lon, "cell_id": cell}), path)
    return path


def test_contacts_of_an_index_are_who_was_there(events: Path, tmp_path: Path) -> None:
    made = json.loads(hanmaru("index", events, "--out", tmp_path / "index", "--json").stdout)
    assert made["events"] == 180
    assert made["visits"] >= 5
    hanmaru("contacts", tmp_path / "index", "--index", "Ann", "--out", tmp_path / "contacts.csv")
    with (tmp_path / "contacts.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["subject"] for row in found] == ["Bo"]
    assert "2026-01-01T05" < found[0]["start"] < "2026-01-01T06:30"
    refused = hanmaru("contacts", tmp_path / "index", "--index", "Dee", "--out", "-", status=1)
    assert "no visits of Dee" in refused.stderr
    assert "is there already" in hanmaru("index", events, "--out", tmp_path / "index", status=1).stderr
    assert [path.name for path in tmp_path.iterdir() if "making" in path.name or "scratch" in path.name] == []


def test_present_lists_who_stayed_long_enough(events: Path, tmp_path: Path) -> None:
    windows = tmp_path / "windows.csv"
    windows.write_text("area,cell_id,start,end\nclub,at-club,2026-01-01T12:00:00+09:00,2026-01-01T21:00:00+09:00\n")
    found = hanmaru("present", events, "--windows", windows, "--minutes", 30, "--out", "-")
    rows = list(csv.DictReader(found.stdout.splitlines()))
    assert [(row["area"], row["subject"]) for row in rows] == [("club", "Ann"), ("club", "Bo")]
    none = hanmaru("present", events, "--windows", windows, "--minutes", 300, "--out", "-")
    assert len(none.stdout.splitlines()) == 1


def test_what_present_cannot_use_is_said(events: Path, tmp_path: Path) -> None:
    windows = tmp_path / "windows.csv"
    windows.write_text("area,cell_id,start,end\n")
    arguments = ("present", events, "--windows", windows, "--out", "-")
    assert "has no rows" in hanmaru(*arguments, status=1).stderr
    windows.write_text("area,cell_id,start,end\nclub,c,2026-01-01T12:00:00,2026-01-01T21:00:00Z\n")
    assert "column start" in hanmaru(*arguments, status=1).stderr
    windows.write_text("area,cell_id,start,end\nclub,c,2026-01-01T12:00:00Z,2026-01-01T21:00:00Z\n")
    pq.write_table(pa.table({"subject": ["a"]}), tmp_path / "thin.parquet")
    thin = hanmaru("present", tmp_path / "thin.parquet", "--windows", windows, "--out", "-", status=1)
    assert "thin.parquet lacks the columns cell_id, time" in thin.stderr
    bad = hanmaru("present", events, "--windows", windows, "--out", "-", "--engine", "postgres", status=1)
    assert "there is no engine 'postgres'" in bad.stderr
