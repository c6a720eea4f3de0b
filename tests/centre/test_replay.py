"""Replay on a real hub: the city as of an instant, what comes after it at a speed, and what stays hidden."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hanmaru.centre.live.feed import Wanted
from hanmaru.centre.live.filters import Filter
from hanmaru.centre.live.world import Declared
from hanmaru.centre.replay.session import Replay
from hanmaru.centre.replay.span import coverage, events
from hanmaru.hub.client import HubClient, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access, Grant

T0 = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
CITY = (0, 0, 0)
DECLARED = Declared(
    layers=(("test.bus", "Vehicle"), ("test.air", "AirQualityObserved"), ("test.alert", "Alert")),
    attrs={
        "Vehicle": frozenset({"speed"}),
        "AirQualityObserved": frozenset({"pm25"}),
        "Alert": frozenset({"severity", "dateIssued"}),
    },
)
Shown = dict[str, dict[str, Any]]


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def reading(value: Any, seconds: float, kind: str = "Property") -> dict[str, Any]:
    return {"type": kind, "value": value, "observedAt": after(seconds).isoformat()}


def place(lon: float, seconds: float) -> dict[str, Any]:
    return reading({"type": "Point", "coordinates": [lon, 36.5]}, seconds, "GeoProperty")


def bus(number: int) -> str:
    return f"urn:ngsi-ld:Vehicle:{number}"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[HubClient]:
    """Hold a bus that drove for two minutes, a sensor that was put up later, an event."""
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        client = opened.client(Access(write=True))
        seconds = range(0, 121, 10)
        moving = {"location": [place(127 + s / 1000, s) for s in seconds], "speed": [reading(s, s) for s in seconds]}
        air = {"id": "urn:ngsi-ld:AirQualityObserved:1", "type": "AirQualityObserved"}
        issued = {"severity": [reading("high", 30)], "location": [place(127.1, 30)]}
        issued |= {"dateIssued": [reading(after(30).isoformat(), 30)]}
        await client.record(
            [
                {"id": bus(1), "type": "Vehicle", **moving},
                {**air, "pm25": [reading(10, 0), reading(99, 60)]},
                {"id": "urn:ngsi-ld:Alert:1", "type": "Alert", **issued},
            ]
        )
        stands = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [127.2, 36.5]}}
        await client.upsert([{**air, "pm25": reading(99, 60), "location": stands}])
        yield client


async def played(stream: AsyncIterator[bytes], done: Callable[[Shown, str], bool]) -> tuple[Shown, list[str]]:
    """Apply a stream as a viewer does until ``done``; return what is shown and the clock's instants."""
    shown: Shown = {}
    clock: list[str] = []
    async for chunk in stream:
        for block in chunk.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "event" not in lines:
                continue
            name, data = lines["event"], msgspec.json.decode(lines["data"])
            if name == "clock":
                clock.append(data["at"])
            for id in data.get("gone", ()):
                shown.pop(id, None)
            for members in (data.get("features") or data.get("set") or {}).values():
                for id, values in members:
                    shown.setdefault(id, {}).update(values)
            if done(shown, name):
                return shown, clock
    return shown, clock


async def shown_at(hub: HubClient, seconds: float, **wanted: Any) -> Shown:
    """Return what a replay that stands still shows."""
    everything: dict[str, Any] = {"tiles": (CITY,)}
    replay = Replay(hub, DECLARED, Wanted(**(everything | wanted)), after(seconds), 0)
    await replay.load()
    shown, clock = await played(replay.stream(), lambda _, name: name == "clock")
    assert datetime.fromisoformat(clock[0]) == after(seconds)
    return shown


async def test_any_instant_shows_the_city_as_it_was(hub: HubClient) -> None:
    early, later = await shown_at(hub, 25), await shown_at(hub, 70)
    assert early[bus(1)]["speed"] == 20
    assert early[bus(1)]["location"]["coordinates"] == [127.02, 36.5]
    assert "urn:ngsi-ld:Alert:1" not in early
    assert (later[bus(1)]["speed"], later["urn:ngsi-ld:Alert:1"]["severity"]) == (70, "high")
    assert (await shown_at(hub, -1)) == {}


async def test_a_sensor_whose_place_was_stated_later_stands_there_before(hub: HubClient) -> None:
    shown = (await shown_at(hub, 5))["urn:ngsi-ld:AirQualityObserved:1"]
    assert (shown["pm25"], shown["location"]["coordinates"]) == (10, [127.2, 36.5])


async def test_play_ends_where_the_city_then_was_and_says_so(hub: HubClient) -> None:
    replay = Replay(hub, DECLARED, Wanted(tiles=(CITY,)), after(5), 60, now=lambda: after(65))
    await replay.load()
    names: list[str] = []
    shown, clock = await played(replay.stream(), lambda _, name: names.append(name) or name == "end")
    assert "end" in names
    assert shown == await shown_at(hub, 65)
    instants = [datetime.fromisoformat(at) for at in clock]
    assert (instants[0], instants[-1]) == (after(5), after(65))
    assert instants == sorted(instants)


async def test_layers_filters_types_and_one_entity(hub: HubClient) -> None:
    assert list(await shown_at(hub, 70, layers=frozenset({"test.alert"}))) == ["urn:ngsi-ld:Alert:1"]
    assert list(await shown_at(hub, 70, tiles=(), types=("Vehicle",))) == [bus(1)]
    assert list(await shown_at(hub, 70, tiles=(), ids=(bus(1),))) == [bus(1)]
    assert list(await shown_at(hub, 70, filter=Filter(q="pm25>50"))) == ["urn:ngsi-ld:AirQualityObserved:1"]
    assert await shown_at(hub, 50, filter=Filter(q="pm25>50")) == {}
    assert list(await shown_at(hub, 95, filter=Filter(minutes=0.5))) == [bus(1)]


async def test_what_a_caller_may_not_read_it_cannot_replay(hub: HubClient) -> None:
    vehicles = Grant(types=frozenset({"https://uri.etsi.org/ngsi-ld/default-context/Vehicle"}))
    access = Access(grants=(vehicles,))
    assert list(await shown_at(hub.acting(access), 70)) == [bus(1)]
    assert await shown_at(hub.acting(Access(grants=())), 70) == {}


async def test_an_entity_of_several_types_keeps_what_each_of_them_shows(hub: HubClient) -> None:
    both = {"id": "urn:x:both", "type": ["Vehicle", "AirQualityObserved"]}
    moved = {"location": [place(127.5, 0)], "speed": [reading(3, 0), reading(4, 40)], "pm25": [reading(5, 0)]}
    await hub.record([{**both, **moved}])
    replay = Replay(hub, DECLARED, Wanted(tiles=(CITY,)), after(5), 60, now=lambda: after(65))
    await replay.load()
    shown, _ = await played(replay.stream(), lambda _, name: name == "end")
    assert (shown["urn:x:both"]["speed"], shown["urn:x:both"]["pm25"]) == (4, 5)


async def test_the_slider_knows_gaps_the_beginning_and_the_events(hub: HubClient) -> None:
    later = [reading(1, s) for s in range(4 * 3600, 6 * 3600, 600)]
    await hub.record([{"id": bus(1), "type": "Vehicle", "speed": later}])
    await hub.upsert([{"id": bus(1), "type": "Vehicle", "speed": later[-1]}])
    start, gaps = await coverage(hub, DECLARED, after(6 * 3600))
    assert start == after(0)
    assert gaps == [(after(120), after(4 * 3600))]
    found = await events(hub, after(-60), after(600))
    assert [(e["id"], e["severity"]) for e in found] == [("urn:ngsi-ld:Alert:1", "high")]
    assert await hub.count(Query(type="Alert")) == 0  # it was recorded only, and is in the past all the same
