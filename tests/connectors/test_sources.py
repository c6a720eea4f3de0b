"""Configuration of long-running connectors, watched files, and the two commands."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hanmaru.connectors.cli import connect_command, ingest_command, suggest
from hanmaru.connectors.errors import ConnectorError, MappingError
from hanmaru.connectors.run import run_connectors
from hanmaru.connectors.sources import FileWatch, HttpPoll, Mqtt, parse_connectors
from hanmaru.connectors.status import read_statuses
from hanmaru.hub.client import HubClient, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from tests.connectors.conftest import eventually, mapping

DEVICE = '[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{id}"\n[attributes]\nname = "name"\nbatteryLevel = "b"\n'


def test_connectors_are_read_from_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(DEVICE)
    monkeypatch.setenv("DATA_KEY", "s3cret")
    found = parse_connectors(
        [
            {"name": "in", "kind": "file-watch", "mapping": "mine.toml", "path": "in/*.csv"},
            {
                "name": "api",
                "kind": "http",
                "mapping": "mine.toml",
                "url": "https://example.org/?key=${DATA_KEY}",
                "interval_s": 300,
                "headers": {"Accept": "text/csv"},
            },
            {
                "name": "bus",
                "kind": "mqtt",
                "mapping": "mine.toml",
                "host": "localhost",
                "topic": "a/{id}",
                "tenant": "t",
            },
        ],
        base=tmp_path,
    )
    watch, http, mqtt = found
    assert isinstance(watch, FileWatch)
    assert watch.path == str(tmp_path / "in/*.csv")
    assert isinstance(http, HttpPoll)
    assert (http.url, http.interval_s, http.headers) == ("https://example.org/?key=s3cret", 300, {"Accept": "text/csv"})
    assert isinstance(mqtt, Mqtt)
    assert (mqtt.topics, mqtt.qos, mqtt.tenant, mqtt.kind) == (("a/{id}",), 1, "t", "mqtt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "ftp"}, r"connectors\[0\].kind: must be one of 'file-watch', 'http', 'mqtt'"),
        ({"mapping": "soul_air"}, "did you mean 'seoul_air'"),
        ({"url": "ftp://x"}, "must begin with http"),
        ({"url": "http://x/${NOT_SET_ANYWHERE}"}, "NOT_SET_ANYWHERE is not set"),
        ({"intervall_s": 5}, "did you mean 'interval_s'"),
        ({"interval_s": 0}, "must be more than 0"),
        ({"name": "a b"}, "may have Latin letters"),
    ],
)
def test_wrong_tables_are_explained(change: dict[str, Any], message: str) -> None:
    table = {"name": "a", "kind": "http", "mapping": "seoul_air", "url": "http://x"} | change
    with pytest.raises(MappingError, match=message):
        parse_connectors([table])


async def test_watched_files_are_taken_as_they_grow(hub: HubClient, tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    path = str(inbox / "*.csv")
    config = FileWatch(name="in", mapping=mapping(DEVICE), path=path, interval_s=0.05, settle_s=0.5)

    async def until(count: int) -> None:
        async def there() -> bool:
            return await hub.count(Query(type="Device")) >= count

        await eventually(there)

    (inbox / "bad.csv").write_text("other,columns\n1,2\n")
    (inbox / "one.csv").write_text("id,name,b\n1,a,0.1\n")
    running = asyncio.create_task(run_connectors(hub, [config], tmp_path))
    await until(1)
    with (inbox / "one.csv").open("a") as file:
        file.write("2,b,0.2\n3,c,")
    await until(2)
    assert await hub.retrieve("urn:ngsi-ld:Device:3") is None, "its line is not complete"
    with (inbox / "one.csv").open("a") as file:
        file.write("0.3")
    await until(3)
    three = await hub.retrieve("urn:ngsi-ld:Device:3", simplified=True)
    assert three is not None
    assert three["batteryLevel"] == 0.3
    (status,) = read_statuses(tmp_path)
    assert status.status == "failing"
    assert "the source has no column 'id'" in (status.last_error or "")
    (inbox / "bad.csv").write_text("id,name,b\n9,z,0.9\n")

    async def mended() -> bool:
        (status,) = read_statuses(tmp_path)
        return (status.status, status.rows) == ("working", 4)

    await eventually(mended)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_tenants_stay_apart(hub: HubClient, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name,b\n1,a,0.1\n")
    config = FileWatch(
        name="in", mapping=mapping(DEVICE), path=str(tmp_path / "a.csv"), tenant="north", interval_s=0.05
    )
    running = asyncio.create_task(run_connectors(hub, [config], tmp_path))
    north = hub.acting(Access(tenant="north", write=True))

    async def there() -> bool:
        try:
            return await north.count(Query(type="Device")) == 1
        except Problem:
            return False  # a tenant comes into being with its first entity

    await eventually(there)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await hub.count(Query(type="Device")) == 0


@pytest.fixture
def app(tmp_path: Path) -> typer.Typer:
    """Return a command line with the two commands, on a hub in the test's folder."""

    @asynccontextmanager
    async def opener(tenant: str) -> AsyncGenerator[tuple[HubClient, Path]]:
        async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
            yield opened.client(Access(tenant=tenant, write=True)), tmp_path

    app = typer.Typer()
    app.command("ingest")(ingest_command(opener))
    app.command("connect")(connect_command(opener))
    return app


def test_ingest_command(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(DEVICE)
    (tmp_path / "d.csv").write_text("id,name,b\n1,a,0.1\n2,b,9\n")
    arguments = ["ingest", str(tmp_path / "d.csv"), "--mapping", str(tmp_path / "mine.toml")]
    first = CliRunner().invoke(app, [*arguments, "--json"])
    assert first.exit_code == 0, first.output
    summary = json.loads(first.stdout)
    assert (summary["rows"], summary["values"], summary["quarantined"]) == (2, 2, 1)
    assert "batteryLevel: 9 is greater than the maximum of 1" in summary["examples"][0]
    second = CliRunner().invoke(app, arguments)
    assert "d.csv: 0 rows, 0 values written" in second.stdout
    assert "continued after row 2" in second.stdout


def test_ingest_lists_and_suggests(app: typer.Typer) -> None:
    listed = CliRunner().invoke(app, ["ingest", "--list"])
    assert "metr_la_week" in listed.stdout
    assert "세종시 교통사고 2022" in listed.stdout
    assert len(json.loads(CliRunner().invoke(app, ["ingest", "--list", "--json"]).stdout)) == 14
    assert suggest(Path("x/seoul_air_2021.csv")).name == "seoul_air_2021"
    with pytest.raises(ConnectorError, match="--mapping seoul_bike_hourly or seoul_bike_weather"):
        suggest(Path("seoul_bike_hourly.csv"))
    with pytest.raises(ConnectorError, match="ingest --list"):
        suggest(Path("unknown.csv"))
    assert CliRunner().invoke(app, ["ingest"]).exit_code == 2


def test_connect_checks_a_configuration(app: typer.Typer, tmp_path: Path) -> None:
    config = tmp_path / "hanmaru.toml"
    config.write_text('[[connectors]]\nname = "air"\nkind = "file-watch"\nmapping = "seoul_air"\npath = "in/*.csv"\n')
    found = CliRunner().invoke(app, ["connect", str(config), "--check"])
    assert (found.exit_code, found.stdout) == (0, "air  file-watch  seoul_air\n")
    config.write_text("port = 1\n")
    assert isinstance(CliRunner().invoke(app, ["connect", str(config)]).exception, ConnectorError)
    assert os.listdir(tmp_path) == ["hanmaru.toml"]  # noqa: PTH208
