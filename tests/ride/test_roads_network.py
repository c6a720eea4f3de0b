"""``hanmaru ride network``, as a person meets it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hanmaru.ride.domain import RideError
from hanmaru.ride.roads import network_command
from hanmaru.ride.roads.graph import load
from tests.running import COMMAND, environment

from .roads import published

DEFAULTS: dict[str, Any] = {
    "out": None,
    "turns": None,
    "country": "KR",
    "stops_out": None,
    "own_stops": None,
    "max_walk_m": 300.0,
    "as_json": True,
}


def test_a_network_is_imported_saved_and_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, kept, stops = published("roads/Helsinki.osm.pbf"), tmp_path / "h.npz", tmp_path / "s.geojson"
    network_command.run(str(source), **DEFAULTS | {"country": "FI", "out": kept, "stops_out": stops})
    result = json.loads(capsys.readouterr().out)
    graph = load(kept)
    assert (result["nodes"], result["edges"]) == (len(graph.lonlat), len(graph.source))
    assert result["digest"] == graph.digest
    assert result["found"]["ways"] > 500
    assert result["dropped"]["edges"] > 0
    assert result["stops"] == len(json.loads(stops.read_text())["features"]) > 10
    network_command.run(str(kept), **DEFAULTS | {"own_stops": stops, "as_json": False})
    assert f"own stops            {result['stops']}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "changed", "reason"),
    [
        ("none.osm.pbf", {}, "none.osm.pbf: no such file"),
        ("town.shp", {}, "unknown kind of file"),
        ("city:atlantis", {}, "atlantis"),
        ("city:hanbit", {"country": "XX", "out": Path("roads.txt")}, "ends in .npz"),
        ("city:hanbit", {"max_walk_m": 1.0}, "--max-walk 1"),
        ("city:hanbit", {"stops_out": Path("no/such/stops.csv")}, "make it first"),
    ],
)
def test_what_cannot_be_done_is_one_line(source: str, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(RideError) as caught:
        network_command.run(source, **DEFAULTS | changed)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_script_sees_the_status_and_the_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "ride", "network", "none.osm.pbf"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "hanmaru: none.osm.pbf: no such file\n")
