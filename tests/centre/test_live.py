"""The live feed on a real hub: what viewers get, when they come, when they are slow, when the server was away."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanmaru.centre.frames import Ring
from hanmaru.centre.live import Feed, Feeds
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[HubClient]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        yield opened.client(Access(write=True))


def sensor(number: int, level: float) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:Sensor:{number}", "type": "Sensor", "level": {"type": "Property", "value": level}}


async def events(stream: AsyncIterator[bytes]) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """Yield the stream's events as (name, data)."""
    async for chunk in stream:
        for block in chunk.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" in lines:
                yield lines["event"], msgspec.json.decode(lines["data"])


async def until(stream: AsyncIterator[tuple[str, dict[str, Any]]], name: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        async for event, data in stream:
            if event == name:
                return data
    raise AssertionError(f"the stream ended without {name!r}")


class Started:
    """A feed that runs for as long as the block lasts."""

    def __init__(self, hub: HubClient, **options: Any) -> None:
        self.feed = Feed(hub, **options)

    async def __aenter__(self) -> Feed:
        self.task = asyncio.create_task(self.feed.run())
        await self.feed.started.wait()
        return self.feed

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_a_change_reaches_every_viewer_as_the_same_bytes(hub: HubClient) -> None:
    async with Started(hub) as feed:
        streams = [feed.stream(None), feed.stream(None)]
        assert all([b"event: hello" in await anext(stream) for stream in streams])
        await hub.upsert([sensor(1, 20.5)])
        async with asyncio.timeout(5):
            first, second = [await anext(stream) for stream in streams]
        assert first is second or first == second
        frame = msgspec.json.decode(first.split(b"data: ")[1])
        ((id, values),) = frame["set"]["Sensor"]
        assert (id, values["level"]) == ("urn:ngsi-ld:Sensor:1", 20.5)


async def test_a_viewer_who_comes_back_gets_what_it_missed(hub: HubClient) -> None:
    async with Started(hub) as feed:
        live = events(feed.stream(None))
        await until(live, "hello")
        await hub.upsert([sensor(1, 1)])
        seen = (await until(live, "frame"))["seq"]
        await live.aclose()
        await hub.upsert([sensor(1, 2)])
        await hub.upsert([sensor(2, 3)])
        again = events(feed.stream(seen))
        levels: dict[str, float] = {}
        while len(levels) < 2:
            frame = await until(again, "frame")
            levels |= {id: values["level"] for id, values in frame["set"]["Sensor"]}
        assert levels == {"urn:ngsi-ld:Sensor:1": 2, "urn:ngsi-ld:Sensor:2": 3}


async def test_a_viewer_resumes_although_the_feed_is_new(hub: HubClient) -> None:
    """As after a restart of the server: the new feed begins with the hub's last changes."""
    await hub.upsert([sensor(1, 1)])
    seen = await hub.head()
    await hub.upsert([sensor(1, 2)])
    async with Started(hub) as feed:
        frame = await until(events(feed.stream(seen)), "frame")
    assert frame["set"]["Sensor"][0][1]["level"] == 2


async def test_who_is_too_far_behind_is_told_to_read_the_snapshot_again(hub: HubClient) -> None:
    for level in range(4):
        await hub.upsert([sensor(1, level)])
    async with Started(hub, backlog=1) as feed:
        assert (await until(events(feed.stream(1)), "resync"))["seq"] >= 3


async def test_who_comes_from_another_hubs_past_is_told_to_read_the_snapshot_again(hub: HubClient) -> None:
    async with Started(hub) as feed:
        assert await until(events(feed.stream(10**9)), "resync")


async def test_a_slow_viewer_costs_no_memory_and_resyncs(hub: HubClient) -> None:
    async with Started(hub, window_s=0.01) as feed:
        feed.ring = Ring(feed.ring.last, max_frames=3)
        slow = events(feed.stream(None))
        await until(slow, "hello")
        fast = events(feed.stream(None))
        await until(fast, "hello")
        for level in range(8):
            await hub.upsert([sensor(1, level)])
            await until(fast, "frame")
        assert feed.ring.end - feed.ring.start <= 3
        await until(slow, "resync")
        await hub.upsert([sensor(1, 99)])
        assert (await until(slow, "frame"))["set"]["Sensor"][0][1]["level"] == 99


async def test_an_idle_stream_beats(hub: HubClient) -> None:
    async with Started(hub) as feed:
        beat = await until(events(feed.stream(None, heartbeat_s=0.05)), "beat")
        assert beat["now"] > 1.7e9


async def test_a_stream_ends_after_its_life(hub: HubClient) -> None:
    async with Started(hub) as feed:
        names = [name async for name, _ in events(feed.stream(None, heartbeat_s=0.01, life_s=0.1))]
    assert names[0] == "hello"
    assert set(names[1:]) == {"beat"}


async def test_one_feed_serves_an_access_and_stops_after_its_last_viewer(hub: HubClient) -> None:
    feeds = Feeds(hub, linger_s=0)
    reader = Access()
    async with feeds.watch(reader) as first, feeds.watch(reader) as second, feeds.watch(Access(write=True)) as other:
        assert first is second
        assert other is not first
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with feeds.watch(reader) as later:
        assert later is not first
    await asyncio.sleep(0.01)
