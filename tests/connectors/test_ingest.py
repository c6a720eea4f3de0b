"""Ingestion into a real hub: what runs twice, in part, or is killed leaves what one run leaves."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmaru.connectors.checkpoint import CheckpointFile
from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.ingest import Summary, ingest_file
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.hub.client import HubClient, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from tests.connectors.conftest import DATA, everything, instants, mapping

AIR = """
[time]
column = "time"
format = "%Y-%m-%d %H:%M"
zone = "Asia/Seoul"
[entity]
type = "AirQualityObserved"
id = "urn:ngsi-ld:AirQualityObserved:{station}"
mode = "series"
[attributes]
name = { column = "station", observed = false }
areaServed = { value = "세종" }
pm10 = { column = "pm10", unit = "GQ" }
no2 = { column = "no2", unit = "ppm" }
"""
STATE = AIR.replace('mode = "series"', 'mode = "state"')
HEAD = "time,station,pm10,no2\n"
AID = "urn:ngsi-ld:AirQualityObserved:a"


def table(hours: int, stations: str = "abc", bad_every: int = 97) -> str:
    """Return a table of readings, some of them bad, some repeated, some out of order."""
    lines = [
        f"2024-01-{1 + h // 24:02} {h % 24}:00,{s},{'x' if (h * 3 + i) % bad_every == 5 else h % 40 + i},0.0{h % 10}\n"
        for h in range(hours)
        for i, s in enumerate(stations)
    ]
    lines.insert(10, lines[3])
    lines[40], lines[50] = lines[50], lines[40]
    return HEAD + "".join(lines)


async def ingest(hub: HubClient, path: Path, text: str = AIR, **options: Any) -> Summary:
    return await ingest_file(hub, mapping(text, "air"), path, path.parent, **options)


async def test_series_keeps_every_instant_and_the_newest_as_state(hub: HubClient, tmp_path: Path) -> None:
    path = tmp_path / "air.csv"
    path.write_text(HEAD + "2024-01-01 01:00,a,5,0.01\n2024-01-01 03:00,a,7,\n2024-01-01 02:00,a,6,0.02\n")
    done = await ingest(hub, path)
    assert (done.rows, done.values, done.quarantined) == (3, 7, 0)
    assert await instants(hub, AID, "pm10") == [
        ("2023-12-31T16:00:00Z", 5),
        ("2023-12-31T17:00:00Z", 6),
        ("2023-12-31T18:00:00Z", 7),
    ]
    entity = await hub.retrieve(AID)
    assert entity is not None
    assert entity["pm10"] == {"type": "Property", "value": 7, "unitCode": "GQ", "observedAt": "2023-12-31T18:00:00Z"}
    assert entity["no2"]["value"] == 0.02


async def test_older_files_after_newer_ones_fill_history_and_leave_the_state(hub: HubClient, tmp_path: Path) -> None:
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    new.write_text(HEAD + "2024-01-02 00:00,a,9,\n")
    old.write_text(HEAD + "2024-01-01 00:00,a,1,\n2024-01-02 00:00,a,9,\n")
    await ingest(hub, new)
    assert (await ingest(hub, old)).repeated == 1
    assert [v for _, v in await instants(hub, AID, "pm10")] == [1, 9]
    entity = await hub.retrieve(AID, simplified=True)
    assert entity is not None
    assert entity["pm10"] == 9


@pytest.mark.parametrize("text", [AIR, STATE])
async def test_reading_again_without_a_checkpoint_changes_nothing(hub: HubClient, tmp_path: Path, text: str) -> None:
    path = tmp_path / "air.csv"
    path.write_text(table(200))
    first = await ingest(hub, path, text, batch_values=300)
    assert first.quarantined > 3
    content, head = await everything(hub), await hub.head()
    assert (await ingest(hub, path, text)).rows == 0
    for file in (tmp_path / "connectors" / "checkpoints").iterdir():
        file.unlink()
    again = await ingest(hub, path, text, batch_values=700)
    assert (again.rows, again.values) == (first.rows, 0)
    assert (await everything(hub), await hub.head()) == (content, head)


async def test_a_batch_that_was_in_flight_may_be_sent_again(hub: HubClient, tmp_path: Path) -> None:
    path = tmp_path / "air.csv"
    path.write_text(table(200))
    checkpoint = CheckpointFile(tmp_path, str(path), "air").path
    saved: list[bytes] = []
    await ingest(hub, path, batch_values=100, watch=lambda *_: saved.append(checkpoint.read_bytes()))
    content = await everything(hub)
    quarantined = next((tmp_path / "connectors" / "quarantine").iterdir()).read_bytes()
    assert len(saved) > 10
    for state in random.Random(1).sample(saved, 5):
        checkpoint.write_bytes(state)
        await ingest(hub, path, batch_values=130)
        assert await everything(hub) == content
        assert next((tmp_path / "connectors" / "quarantine").iterdir()).read_bytes() == quarantined


async def test_a_grown_file_continues_and_a_changed_one_begins_again(hub: HubClient, tmp_path: Path) -> None:
    path = tmp_path / "air.csv"
    path.write_text(HEAD + "2024-01-01 01:00,a,5,\n")
    await ingest(hub, path)
    with path.open("a") as file:
        file.write("2024-01-01 02:00,a,6,\n")
    grown = await ingest(hub, path)
    assert (grown.rows, grown.resumed_after_row, grown.note) == (1, 1, "")
    path.write_text(HEAD + "2024-02-01 01:00,a,8,\n2024-02-01 02:00,a,9,\n2024-02-01 03:00,a,9,\n")
    changed = await ingest(hub, path)
    assert (changed.rows, changed.note) == (3, "the file changed since the last run; reading from the beginning")
    other = await ingest(hub, path, AIR.replace("세종", "공주"))
    assert (other.rows, other.values) == (3, 1)
    assert "the mapping changed" in other.note


async def test_what_the_hub_refuses_goes_to_quarantine(hub: HubClient, tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text('id,shape\n1,"x"\n2,\n')
    text = (
        '[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{id}"\n[attributes]\n'
        'name = "id"\nobservationSpace = { column = "shape" }\n'
    )
    done = await ingest(hub, path, text)
    assert done.rows == 2
    assert await hub.count(Query(type="Device")) == 2 - done.quarantined


async def test_two_at_once_on_one_source_are_refused(hub: HubClient, tmp_path: Path) -> None:
    path = tmp_path / "air.csv"
    path.write_text(table(20))
    with (
        CheckpointFile(tmp_path, str(path), "air").locked(),
        pytest.raises(ConnectorError, match="another process is ingesting"),
    ):
        await ingest(hub, path)


CHILD = """
import asyncio, sys
from pathlib import Path
from hanmaru.connectors.ingest import ingest_file
from hanmaru.connectors.mapping import load
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access

async def main(folder):
    async with open_hub(f"sqlite:///{folder}/hub.db") as hub:
        def watch(summary, fraction):
            print(summary.rows, flush=True)
        await ingest_file(
            hub.client(Access(write=True)), load(folder / "air.toml"), folder / "air.csv", folder,
            watch=watch, batch_values=500,
        )
asyncio.run(main(Path(sys.argv[1])))
"""


def run_child(folder: Path, kill_after: int | None) -> bool:
    """Run an ingestion in a process of its own; kill -9 it in the middle of a batch. Whether it came to its end."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for count, _ in enumerate(child.stdout):
            if count == kill_after:
                os.kill(child.pid, signal.SIGKILL)
        return child.wait() == 0


async def test_killed_in_the_middle_it_ends_as_one_run_does(tmp_path: Path) -> None:
    text = table(400, "abcdefgh")
    folders = {name: tmp_path / name for name in ("once", "killed")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "air.csv").write_text(text)
        (folder / "air.toml").write_text(AIR)
    assert run_child(folders["once"], None)
    kills = [1, 3, 5]
    assert [run_child(folders["killed"], kill) for kill in kills] == [False] * len(kills)
    assert run_child(folders["killed"], None)
    contents, quarantines, checkpoints = [], [], []
    for folder in folders.values():
        async with open_hub(f"sqlite:///{folder / 'hub.db'}") as hub:
            contents.append(await everything(hub.client(Access(write=True))))
        quarantines.append(next((folder / "connectors" / "quarantine").iterdir()).read_bytes())
        checkpoints.append(json.loads(next((folder / "connectors" / "checkpoints").glob("*.json")).read_bytes()))
    assert contents[0] == contents[1]
    assert sum(len(v) for _, h in contents[0].values() for v in h.values()) > 6_000
    assert quarantines[0] == quarantines[1]
    assert checkpoints[0]["position"] == checkpoints[1]["position"]
    assert checkpoints[0]["rows"] == checkpoints[1]["rows"] == text.count("\n") - 1


async def test_real_boundaries_come_from_geojson(hub: HubClient, tmp_path: Path) -> None:
    path = DATA / "boundaries" / "sejong.geojson"
    if not path.is_file():
        pytest.skip(f"the published boundaries are not at {path} (set HANMARU_TEST_DATA)")
    text = (
        '[entity]\ntype = "AdministrativeArea"\nid = "urn:ngsi-ld:AdministrativeArea:{EMD_CD}"\n'
        'location = { geometry = "geometry" }\n[attributes]\nname = "EMD_KOR_NM"\nalternateName = "EMD_ENG_NM"\n'
    )
    registry = TypeRegistry({"AdministrativeArea": {"required": ["name", "location"]}})
    done = await ingest_file(hub, mapping(text), path, tmp_path, registry=registry)
    expected = json.loads(path.read_bytes())["features"]
    assert (done.rows, done.quarantined, done.values) == (len(expected), 0, 3 * len(expected)) == (33, 0, 99)
    for feature in expected:
        area = await hub.retrieve(f"urn:ngsi-ld:AdministrativeArea:{feature['properties']['EMD_CD']}", simplified=True)
        assert area is not None
        assert (area["name"], area["location"]) == (feature["properties"]["EMD_KOR_NM"], feature["geometry"])


@pytest.mark.parametrize("name", ["air.parquet", "air.jsonl", "air.json", "air.csv.gz"])
async def test_every_format_gives_the_same_hub(hub: HubClient, tmp_path: Path, name: str) -> None:
    header, *lines = (line.split(",") for line in table(30, bad_every=5).splitlines())
    records = [dict(zip(header, line, strict=True)) for line in lines]
    typed = [r | {"pm10": int(r["pm10"]), "no2": float(r["no2"])} for r in records]
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(typed), path, row_group_size=20)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(table(30, bad_every=5).encode()))
    else:
        path.write_text("\n".join(map(json.dumps, typed)) if name.endswith("l") else json.dumps(typed))
    done = await ingest(hub, path)
    assert (done.rows, done.quarantined, done.repeated) == (len(records), 0, 2)
    for station in "abc":
        expected = sorted({(r["time"], r["pm10"]) for r in typed if r["station"] == station}, key=str)
        found = await instants(hub, f"urn:ngsi-ld:AirQualityObserved:{station}", "pm10")
        assert sorted(v for _, v in found) == sorted(v for _, v in expected)
