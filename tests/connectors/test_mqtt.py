"""MQTT against a real mosquitto on a free port."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from hanmaru.connectors.mqtt import rows_of
from hanmaru.connectors.readers import Damaged
from hanmaru.connectors.run import run_connectors
from hanmaru.connectors.sources import Mqtt, topic_filter
from hanmaru.connectors.status import read_statuses
from hanmaru.hub.client import BatchResult, HubClient, JsonObject, Query
from hanmaru.hub.local import LocalClient, open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from tests.connectors.conftest import eventually, instants, mapping

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto here (Debian package mosquitto)")
AIR = mapping(
    """
[time]
column = "t"
format = "epoch"
zone = "UTC"
[entity]
type = "AirQualityObserved"
id = "urn:ngsi-ld:AirQualityObserved:{topic.district}:{topic.station}"
mode = "series"
[attributes]
areaServed = { column = "topic.district", observed = false }
pm10 = { column = "pm10", unit = "GQ" }
"""
)
TOPIC = "city/{district}/air/{station}"


class Broker:
    """A mosquitto process that keeps its sessions on disk; `stop` and `start` are a restart."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port: int = s.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n"
            "max_queued_messages 10000\n"
        )
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        self.process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self.config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                except OSError:
                    await asyncio.sleep(0.02)

    async def stop(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def publish(self, messages: Sequence[tuple[str, str | bytes]]) -> None:
        async with aiomqtt.Client("127.0.0.1", self.port) as client:
            for topic, payload in messages:
                await client.publish(topic, payload, qos=1)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    found = Broker(folder)
    await found.start()
    yield found
    await found.stop()


@asynccontextmanager
async def running(hub: HubClient, config: Mqtt, folder: Path) -> AsyncGenerator[None]:
    """Run a connector for as long as the block lasts."""
    task = asyncio.create_task(run_connectors(hub, [config], folder))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(hub: HubClient, id: str, count: int) -> list[tuple[str, object]]:
    """Wait until an entity's pm10 has so many instants."""

    async def there() -> bool:
        return len(await instants(hub, id, "pm10")) >= count

    await eventually(there)
    return await instants(hub, id, "pm10")


async def subscribed(folder: Path) -> None:
    """Wait until the connector says that it listens."""

    async def listening() -> bool:
        return any(s.last_success for s in read_statuses(folder))

    await eventually(listening)


def config(broker: Broker, **options: float) -> Mqtt:
    return Mqtt(name="air", mapping=AIR, host="127.0.0.1", port=broker.port, topics=(TOPIC,), backoff_s=0.05, **options)


def reading(t: int, pm10: object) -> str:
    return json.dumps({"t": 1_700_000_000 + t, "pm10": pm10})


@needs_broker
async def test_topics_fill_ids_and_bad_messages_are_quarantined(broker: Broker, hub: HubClient, tmp_path: Path) -> None:
    async with running(hub, config(broker), tmp_path):
        await subscribed(tmp_path)
        await broker.publish(
            [
                ("city/eojin/air/s1", reading(0, 21)),
                ("city/eojin/air/s1", b"\xff\xfe"),
                ("city/eojin/air/s1", reading(1, "much")),
                ("city/eojin/noise/s1", reading(2, 9)),
                ("city/naseong/air/s2", f"[{reading(3, 5)}, {reading(4, 6)}]"),
                ("city/eojin/air/s1", reading(60, 22)),
            ]
        )
        found = await until(hub, "urn:ngsi-ld:AirQualityObserved:eojin:s1", 2)
        assert await until(hub, "urn:ngsi-ld:AirQualityObserved:naseong:s2", 2)
    assert found == [("2023-11-14T22:13:20Z", 21), ("2023-11-14T22:14:20Z", 22)]
    quarantine = next((tmp_path / "connectors" / "quarantine").iterdir()).read_text().splitlines()
    assert [json.loads(line)["reason"] for line in quarantine] == [
        "the payload is neither JSON nor UTF-8 text",
        "pm10: 'much' is not a number",
    ]
    area = await hub.retrieve("urn:ngsi-ld:AirQualityObserved:eojin:s1", simplified=True)
    assert area is not None
    assert area["areaServed"] == "eojin"


@needs_broker
async def test_what_comes_while_nobody_listens_is_not_lost(broker: Broker, hub: HubClient, tmp_path: Path) -> None:
    id = "urn:ngsi-ld:AirQualityObserved:eojin:s1"
    async with running(hub, config(broker), tmp_path):
        await subscribed(tmp_path)
    await broker.publish([("city/eojin/air/s1", reading(t, t)) for t in range(50)])
    async with running(hub, config(broker), tmp_path):
        assert [v for _, v in await until(hub, id, 50)] == list(range(50))
        await broker.stop()
        await broker.start()
        await broker.publish([("city/eojin/air/s1", reading(t, t)) for t in range(50, 80)])
        assert [v for _, v in await until(hub, id, 80)] == list(range(80))


class Refusing(LocalClient):
    """A hub whose disk is full for a while: what it did not keep must be sent again by the broker."""

    refusals = 0

    async def upsert(self, entities: Sequence[JsonObject], *, replace: bool = False) -> BatchResult:
        if any(e["type"] == "AirQualityObserved" for e in entities) and self.refusals < 3:
            self.refusals += 1
            raise Problem(507, "Insufficient storage", "The disk is full.")
        return await super().upsert(entities, replace=replace)


@needs_broker
async def test_a_message_is_acknowledged_only_when_it_is_kept(broker: Broker, tmp_path: Path) -> None:
    async with open_hub(f"sqlite:///{tmp_path / 'refusing.db'}") as opened:
        hub = Refusing(opened, Access(write=True))
        async with running(hub, config(broker), tmp_path):
            await subscribed(tmp_path)
            await broker.publish([("city/eojin/air/s1", reading(t, t)) for t in range(30)])
            found = await until(hub, "urn:ngsi-ld:AirQualityObserved:eojin:s1", 30)
        assert hub.refusals == 3
        assert [v for _, v in found] == list(range(30))
        assert await hub.count(Query(type="AirQualityObserved")) == 1
    assert (read_statuses(tmp_path)[0].last_error or "").startswith("The disk is full")


def test_topic_filters() -> None:
    assert topic_filter("city/{district}/air/{station}") == ("city/+/air/+", {1: "district", 3: "station"})
    assert topic_filter("a/+/#") == ("a/+/#", {})
    for wrong in ("a/b{c}", "a/#/b", "{a}/{a}", "a/b+"):
        with pytest.raises(ValueError, match=r"level|last|twice"):
            topic_filter(wrong)


def test_payloads_become_rows() -> None:
    topics = [topic_filter(TOPIC)]
    columns = ["topic.district", "topic", "payload", "a.b"]

    def rows(payload: bytes) -> list[object]:
        return list(rows_of("city/x/air/y", payload, topics, columns))

    assert rows(b"21.5") == [["x", "city/x/air/y", 21.5, None]]
    assert rows(b"on") == [["x", "city/x/air/y", "on", None]]
    assert rows(b'[{"a": {"b": 1}}, 2]') == [["x", "city/x/air/y", None, 1], ["x", "city/x/air/y", 2, None]]
    assert isinstance(rows(b"\xff")[0], Damaged)
