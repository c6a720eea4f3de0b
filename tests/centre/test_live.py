"""The live feed on a real hub: what viewers get, when they come, when they are slow, when the server was away."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanmaru.centre.live import feed as feed_module
from hanmaru.centre.live import views
from hanmaru.centre.live.feed import Feed, Feeds, Wanted
from hanmaru.centre.live.filters import Filter, parse_filter
from hanmaru.centre.live.geometry import project
from hanmaru.centre.live.world import Declared
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

DECLARED = Declared((("t.sensors", "Sensor"),), {"Sensor": frozenset({"level"})})
TILE = (12, *(int(part * (1 << 12)) for part in project(127.3, 36.5)))
TILES = Wanted(tiles=(TILE,))  # pyright: ignore[reportArgumentType]
NAME = "/".join(map(str, TILE))


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[HubClient]:
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        yield opened.client(Access(write=True))


def sensor(number: int, level: float, lon: float = 127.3) -> dict[str, Any]:
    return {
        "id": f"urn:ngsi-ld:Sensor:{number}",
        "type": "Sensor",
        "level": {"type": "Property", "value": level},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, 36.5]}},
    }


async def events(stream: AsyncGenerator[bytes]) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """Yield the stream's events as (name, data)."""
    async with aclosing(stream):
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


def levels(data: dict[str, Any]) -> dict[str, float]:
    """Return the levels that a tile or a frame tells, by the sensor's number."""
    told: dict[str, list[tuple[str, dict[str, Any]]]] = data.get("features") or data.get("set") or {}
    entries = told.get("Sensor", [])
    return {id.rpartition(":")[2]: values["level"] for id, values in entries if "level" in values}


class Started:
    """A feed that runs for as long as the block lasts."""

    def __init__(self, hub: HubClient, **options: Any) -> None:
        self.feed = Feed(hub, DECLARED, **options)

    async def __aenter__(self) -> Feed:
        self.task = asyncio.create_task(self.feed.run())
        await self.feed.ready.wait()
        return self.feed

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_a_change_reaches_every_viewer_as_the_same_bytes(hub: HubClient) -> None:
    async with Started(hub) as feed:
        streams = [feed.stream(TILES), feed.stream(TILES)]
        assert all([b"event: hello" in await anext(stream) for stream in streams])
        assert all([b"event: tile" in await anext(stream) for stream in streams])
        await hub.upsert([sensor(1, 20.5)])
        bodies: list[bytes] = []
        async with asyncio.timeout(5):
            for stream in streams:
                while b"event: frame" not in (body := await anext(stream)):
                    pass
                bodies.append(body[: body.index(b"\n\n")])
        assert bodies[0] == bodies[1]
        assert levels(msgspec.json.decode(bodies[0].split(b"data: ")[1])) == {"1": 20.5}
        assert len(feed.views) == 1


async def test_a_viewer_who_comes_back_gets_what_it_missed_and_no_more(hub: HubClient) -> None:
    await hub.upsert([sensor(n, 0) for n in range(5)])
    async with Started(hub) as feed:
        live = events(feed.stream(TILES))
        await until(live, "tile")
        await hub.upsert([sensor(1, 1)])
        seen = (await until(live, "frame"))["seq"]
        await live.aclose()
        other = events(feed.stream(TILES))
        await until(other, "tile")
        await hub.upsert([sensor(1, 2)])
        await until(other, "frame")
        again = events(feed.stream(Wanted(tiles=TILES.tiles, held={NAME: seen})))
        assert levels(await until(again, "frame")) == {"1": 2}


async def test_a_viewer_who_comes_back_to_a_new_feed_gets_the_view_whole(hub: HubClient) -> None:
    """As after a restart of the server."""
    await hub.upsert([sensor(1, 1)])
    seen = await hub.head()
    await hub.upsert([sensor(1, 2)])
    async with Started(hub) as feed:
        again = Wanted(tiles=TILES.tiles, held={NAME: seen})
        assert levels(await until(events(feed.stream(again)), "tile")) == {"1": 2}


async def test_who_comes_from_another_hubs_past_gets_the_view_whole(hub: HubClient) -> None:
    async with Started(hub) as feed:
        assert await until(events(feed.stream(Wanted(tiles=TILES.tiles, held={NAME: 10**9}))), "tile")


async def test_a_slow_viewer_costs_no_memory_and_gets_the_view_whole(
    hub: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "RING", 3)
    async with Started(hub, window_s=0.01) as feed:
        slow, fast = events(feed.stream(TILES)), events(feed.stream(TILES))
        await until(slow, "tile")
        await until(fast, "tile")
        for level in range(8):
            await hub.upsert([sensor(1, level)])
            await until(fast, "frame")
        ((shared),) = feed.views.values()
        assert len(shared.view.frames) == 3
        assert levels(await until(slow, "tile")) == {"1": 7}
        await hub.upsert([sensor(1, 99)])
        assert levels(await until(slow, "frame")) == {"1": 99}


class Forgetful:
    """A hub that no longer keeps the changes that are asked for first."""

    def __init__(self, hub: HubClient) -> None:
        self._hub, self._forgot = hub, asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    async def changes(self, after: int) -> AsyncGenerator[Any]:
        if not self._forgot.is_set():
            await self._forgot.wait()
            raise Problem(410, "Gone")
        async for batch in self._hub.changes(after):
            yield batch

    def forget(self) -> None:
        self._forgot.set()


async def test_a_feed_begins_anew_when_the_hub_keeps_too_little(hub: HubClient) -> None:
    forgetful = Forgetful(hub)
    async with Started(forgetful, window_s=0.01) as feed:  # pyright: ignore[reportArgumentType]
        live = events(feed.stream(TILES))
        assert levels(await until(live, "tile")) == {}
        await hub.upsert([sensor(1, 5)])
        forgetful.forget()
        assert levels(await until(live, "tile")) == {"1": 5}
        await hub.upsert([sensor(1, 6)])
        assert levels(await until(live, "frame")) == {"1": 6}


async def test_an_idle_stream_beats(hub: HubClient) -> None:
    async with Started(hub) as feed:
        beat = await until(events(feed.stream(TILES, heartbeat_s=0.05)), "beat")
        assert beat["now"] > 1.7e9


async def test_a_stream_ends_after_its_life(hub: HubClient) -> None:
    async with Started(hub) as feed:
        names = [name async for name, _ in events(feed.stream(TILES, heartbeat_s=0.01, life_s=0.1))]
    assert names[0] == "hello"
    assert set(names[1:]) == {"tile", "city", "beat"}


async def test_a_selected_entity_comes_with_all_of_its_attributes_whatever_its_type(hub: HubClient) -> None:
    lamp: dict[str, Any] = {"id": "urn:ngsi-ld:Lamp:1", "type": "Lamp", "watts": {"type": "Property", "value": 4}}
    await hub.upsert([lamp])
    async with Started(hub) as feed:
        assert not feed.world.entities
        live = events(feed.stream(Wanted(ids=(lamp["id"],))))
        assert (await until(live, "tile"))["features"]["Lamp"][0][1]["watts"] == 4
        await hub.upsert([{**lamp, "watts": {"type": "Property", "value": 5}}])
        assert (await until(live, "frame"))["set"]["Lamp"][0][1]["watts"] == 5


async def test_a_filters_query_is_the_hubs_own_and_follows_changes(hub: HubClient) -> None:
    await hub.upsert([sensor(1, 10), sensor(2, 90)])
    high = parse_filter('{"q": "level>50"}')
    async with Started(hub, window_s=0.01) as feed:
        live = events(feed.stream(Wanted(tiles=TILES.tiles, filter=high)))
        assert levels(await until(live, "tile")) == {"2": 90}
        await hub.upsert([sensor(1, 60)])
        assert levels(await until(live, "frame")) == {"1": 60}
        await hub.upsert([sensor(2, 40)])
        assert (await until(live, "frame"))["gone"] == ["urn:ngsi-ld:Sensor:2"]
        async with feed.narrow(high) as one, feed.narrow(high) as other:
            assert one is other
        await live.aclose()
        assert not feed.filters
        with pytest.raises(Problem) as refused:
            async with feed.narrow(Filter(q="level>>")):
                pass
        assert refused.value.status == 400


async def test_a_filters_area_and_time_let_through_what_they_say(
    hub: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "CITY_S", 0.05)
    await hub.upsert([sensor(1, 1), sensor(2, 2, lon=127.31)])
    ring = "[[127.29,36.49],[127.305,36.49],[127.305,36.51],[127.29,36.51],[127.29,36.49]]"
    west = parse_filter(f'{{"area": {{"type": "Polygon", "coordinates": [{ring}]}}}}')
    recent = parse_filter('{"minutes": 0.02}')
    async with Started(hub, window_s=0.01) as feed:
        assert levels(await until(events(feed.stream(Wanted(tiles=TILES.tiles, filter=west))), "tile")) == {"1": 1}
        live = events(feed.stream(Wanted(tiles=TILES.tiles, filter=recent)))
        shown = levels(await until(live, "tile"))
        gone: list[str] = []
        while len(gone) < len(shown):
            gone += (await until(live, "frame"))["gone"]
        await hub.upsert([sensor(2, 3, lon=127.31)])
        assert levels(await until(live, "frame")) == {"2": 3}


async def test_filters_are_bounded(hub: HubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "MOST_FILTERS", 1)
    async with Started(hub) as feed, feed.narrow(Filter(minutes=1)):
        with pytest.raises(Problem) as refused:
            async with feed.narrow(Filter(minutes=2)):
                pass
        assert refused.value.status == 503


async def test_one_feed_serves_an_access_and_stops_after_its_last_viewer(hub: HubClient) -> None:
    feeds = Feeds(hub, lambda client: Feed(client, DECLARED), linger_s=0)
    reader = Access()
    async with (
        feeds.watch(reader) as first,
        feeds.watch(Access(write=True)) as second,
        feeds.watch(Access("other")) as other,
    ):
        assert first is second, "who may write sees no more"
        assert other is not first
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with feeds.watch(reader) as later:
        assert later is not first
    await feeds.close()
