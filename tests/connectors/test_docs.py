"""The documents tell the truth: their mappings and tables parse, and every unit, type and key is there."""

import re
import tomllib
from pathlib import Path

import pytest

from hanmaru.connectors import units
from hanmaru.connectors.ingest import ingest_file
from hanmaru.connectors.rows import RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import parse_connectors
from hanmaru.hub.client import HubClient
from tests.connectors.conftest import ROOT, instants, mapping

REFERENCE = (ROOT / "docs" / "reference" / "mapping.md").read_text("utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "ingest.md").read_text("utf-8")
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.S | re.M)


def blocks(text: str, holding: str) -> list[str]:
    return [block for block in BLOCK.findall(text) if holding in block]


@pytest.mark.parametrize("text", blocks(REFERENCE, "[entity]") + blocks(HOW_TO, "[entity]"))
def test_mappings_in_the_documents_are_mappings(text: str) -> None:
    m = mapping(text)
    RowMapper(m, [*m.columns(), "S1"], TypeRegistry().need(m.type, m.file))


def test_the_reference_names_every_unit_type_and_key() -> None:
    for name in units.names():
        assert f"`{name}`" in REFERENCE or f" {name}" in REFERENCE, name
    for name in TypeRegistry().names():
        assert f"| `{name}` |" in REFERENCE, name
    source = (ROOT / "src" / "hanmaru" / "connectors" / "mapping.py").read_text("utf-8")
    keys = set(re.findall(r't\.(?:get|has|need|optional|choice|texts|table|tables)\(\s*"(\w+)"', source))
    assert len(keys) > 35
    for key in keys - {"title", "files", "is"}:
        assert re.search(rf"`[^`]*\b{key}\b[^`]*`|\[?{key}\]?\b.*=", REFERENCE), key


def test_connectors_in_the_documents_are_connectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (noise,) = blocks(HOW_TO, "NoiseLevelObserved:sejong")
    for name in ("noise.toml", "air.toml", "air-mqtt.toml"):
        (tmp_path / name).write_text(noise)
    for name in ("AIR_KEY", "MQTT_PASSWORD"):
        monkeypatch.setenv(name, "x")
    (tables,) = blocks(HOW_TO, "[[connectors]]")
    found = parse_connectors(tomllib.loads(tables)["connectors"], base=tmp_path)
    assert [c.kind for c in found] == ["file-watch", "http", "mqtt"]


async def test_the_ten_minute_example_works(hub: HubClient, tmp_path: Path) -> None:
    (noise,) = blocks(HOW_TO, "NoiseLevelObserved:sejong")
    (table,) = blocks(HOW_TO, "센서,측정시각")
    path = tmp_path / "noise.csv"
    path.write_text(table, encoding="cp949")
    done = await ingest_file(hub, mapping(noise, "noise"), path, tmp_path)
    assert (done.rows, done.quarantined, done.left_out) == (2, 0, 1)
    id = "urn:ngsi-ld:NoiseLevelObserved:sejong:N-01"
    assert await instants(hub, id, "LAeq") == [("2024-03-01T15:00:00Z", 61.5)]
