"""The city as a map, as files, and on the command line."""

import gzip
import json
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from shapely.geometry import shape
from typer.testing import CliRunner

from hanmaru.city.basemap import basemap, write
from hanmaru.city.build import City
from hanmaru.city.cli import app

run = CliRunner().invoke


def test_the_map_is_small_and_valid(sejong: City) -> None:
    layers = basemap(sejong)
    assert set(layers) == {"boundary", "dongs", "green", "water", "roads", "rail", "buildings"}
    size = sum(len(gzip.compress(msgspec.json.encode(layer), 6)) for layer in layers.values())
    print(f"the map is {size / 1000:.0f} kB compressed")
    assert size < 400_000
    west, south, east, north = sejong.land.plane.to_wgs84(sejong.land.boundary).bounds
    for layer in layers.values():
        assert layer["features"]
        for feature in layer["features"]:
            x0, y0, x1, y1 = shape(feature["geometry"]).bounds
            assert west - 0.01 < x0 <= x1 < east + 0.01
            assert south - 0.01 < y0 <= y1 < north + 0.01
    dongs = {f["properties"]["name_ko"]: f["properties"] for f in layers["dongs"]["features"]}
    assert dongs["조치원읍"]["name_en"] == "Jochiwon-eup"
    assert sum(d["population"] for d in dongs.values()) == 390_000
    classes = {f["properties"]["class"] for f in layers["roads"]["features"]}
    assert classes == {"residential", "tertiary", "secondary", "primary", "trunk"}
    ring = [f for f in layers["roads"]["features"] if f["properties"].get("brt")]
    assert [f["properties"]["name_en"] for f in ring] == ["Hannuri-daero"]
    assert {"금강", "세종호수공원"} <= {f["properties"]["name_ko"] for f in layers["water"]["features"]}


def test_the_map_is_written_a_file_a_layer(hanbit: City, tmp_path: Path) -> None:
    paths = write(hanbit, tmp_path / "map")
    assert {p.name for p in paths} >= {"boundary.geojson", "dongs.geojson", "roads.geojson"}
    assert json.loads((tmp_path / "map" / "dongs.geojson").read_text())["type"] == "FeatureCollection"


def test_list_and_show() -> None:
    listed = run(app, ["list", "--json"])
    assert listed.exit_code == 0
    assert [p["id"] for p in json.loads(listed.stdout)] == ["hanbit", "sejong"]
    assert "Sejong (세종특별자치시), 390,000 people" in run(app, ["list"]).stdout
    shown = run(app, ["show", "hanbit", "--json"])
    found = json.loads(shown.stdout)
    assert found["people"] == 38_000
    assert found["sensors"]["Camera"] == 40
    assert "3 districts" in run(app, ["show", "hanbit"]).stdout


def test_new_writes_a_profile_to_edit_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "gangneung.toml"
    made = run(app, ["new", "gangneung", "--from", "hanbit", "--out", str(path), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["path"] == str(path)
    assert path.read_text(encoding="utf-8").startswith("#"), "comments come along"
    shown = run(app, ["show", str(path), "--json"])
    assert json.loads(shown.stdout)["id"] == "gangneung"
    again = run(app, ["new", "gangneung", "--from", "hanbit", "--out", str(path)])
    assert again.exit_code == 1
    assert again.stderr.startswith("error: ")
    assert again.stderr.count("\n") == 1


def test_export_writes_tables(tmp_path: Path) -> None:
    result = run(app, ["export", "hanbit", "--out", str(tmp_path), "--people", "--json"])
    assert result.exit_code == 0, result.output
    names = {Path(f["path"]).name for f in json.loads(result.stdout)}
    assert {"nodes.parquet", "edges.parquet", "places.parquet", "people.parquet", "roads.geojson"} <= names
    assert pq.read_table(tmp_path / "people.parquet").num_rows == 38_000
    edges = pq.read_table(tmp_path / "edges.parquet")
    assert {"source", "target", "length_m", "speed_mps", "class"} <= set(edges.column_names)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["show", "atlantis"], 1), (["show", "--wrong"], 2), (["new"], 2), (["show", "/no.toml"], 1)],
)
def test_errors_are_one_line_and_have_their_status(arguments: list[str], status: int) -> None:
    result = run(app, arguments)
    assert result.exit_code == status
    assert result.stdout == ""
    assert result.stderr


@pytest.mark.parametrize("command", ["list", "show", "new", "export"])
def test_every_command_helps_with_an_example(command: str) -> None:
    result = run(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: hanmaru city " + command in " ".join(result.stdout.split())
