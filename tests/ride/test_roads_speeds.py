"""Speeds by hour and live speeds from the hub."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from hanmaru.city.build import City, build
from hanmaru.city.clock import iso
from hanmaru.city.entities import statics
from hanmaru.city.profile import load
from hanmaru.hub.client import HubClient
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access
from hanmaru.ride.domain import RideError
from hanmaru.ride.roads import live, simulated, speeds
from hanmaru.ride.roads.graph import CLASSES
from hanmaru.ride.roads.live import Reading, Traffic
from hanmaru.ride.roads.matrix import Metric, Network

SEOUL = ZoneInfo("Asia/Seoul")


@pytest.fixture(scope="module")
def city() -> City:
    return build(load("hanbit"))


@pytest.fixture(scope="module")
def network(city: City) -> Network:
    return Network(simulated.from_city(city))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).timestamp()


def test_evenings_are_slower_than_nights_and_nobody_speeds(network: Network) -> None:
    usual = speeds.usual()
    night = usual.at(network.graph, at("2026-11-24 03:00"), SEOUL)
    evening = usual.at(network.graph, at("2026-11-24 18:00"), SEOUL)
    sunday = usual.at(network.graph, at("2026-11-22 18:00"), SEOUL)
    assert (evening < night).all()
    assert (evening < sunday).all()
    assert (night <= network.graph.limit_kmh).all()


def test_the_hour_changes_without_a_jump(network: Network) -> None:
    usual = speeds.usual()
    start = at("2026-11-23 00:00")
    day = np.array([usual.at(network.graph, start + 300 * k, SEOUL).mean() for k in range(289)])
    assert np.abs(np.diff(day)).max() < 0.01 * day.mean()


def test_the_means_are_the_published_ones(network: Network) -> None:
    usual = speeds.usual()
    assert usual.workday.mean() == pytest.approx(1.04, abs=0.03)
    assert 50 * usual.shares[CLASSES.index("primary")] == pytest.approx(24.5, abs=0.1)
    assert 80 * usual.shares[CLASSES.index("motorway")] == pytest.approx(53.2, abs=0.6)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("workday = [", "workday = [9.0, "), "workday needs 24 numbers"),
        (("workday = [", "holiday = ["), "unknown key 'holiday'"),
        (("service = 0.60", "service = 'quick'"), "shares needs 9 numbers"),
        (("service = 0.60\n", ""), r"needs exactly the classes service, "),
        (("[shares]", "[shares"), "not valid TOML"),
    ],
)
def test_a_wrong_file_of_speeds_says_what(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    text = (Path(speeds.__file__).parent / "speeds.toml").read_text(encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text(text)
    np.testing.assert_array_equal(speeds.read(path).workday, speeds.usual().workday)
    path.write_text(text.replace(*change, 1))
    with pytest.raises(RideError, match=r"own\.toml") as caught:
        speeds.read(path)
    assert why in str(caught.value)


def reading(network: Network, edge: int, kmh: float, at_s: float = 1000.0) -> Reading:
    lon, lat = network.graph.line(edge).mean(axis=0).tolist()
    return Reading(f"s{edge}", lon, lat, kmh, at_s)


def test_a_jam_slows_its_road_most_and_roads_far_away_not_at_all(network: Network) -> None:
    graph = network.graph
    expected = graph.limit_kmh.copy()
    edge = int(np.argmax(graph.road_class))
    bent = Traffic(network).speeds(expected, [reading(network, edge, 8.0)], 1010.0)
    assert bent[edge] == pytest.approx(8.0, rel=0.02)
    middle = network.plane.xy((graph.lonlat[graph.source] + graph.lonlat[graph.target]) / 2)
    away = np.hypot(*(middle - middle[edge]).T)
    np.testing.assert_array_equal(bent[away > 2200], expected[away > 2200])
    other = np.abs(graph.road_class.astype(int) - int(graph.road_class[edge])) > 1
    np.testing.assert_array_equal(bent[other], expected[other])
    assert (bent <= expected + 1e-9).all()
    assert (bent[(away < 1000) & ~other] < expected[(away < 1000) & ~other]).all()


def test_old_readings_and_none_change_nothing(network: Network) -> None:
    expected = network.graph.limit_kmh
    traffic = Traffic(network)
    np.testing.assert_array_equal(traffic.speeds(expected, [], 1000.0), expected)
    old = [reading(network, 3, 5.0, at_s=0.0)]
    np.testing.assert_array_equal(traffic.speeds(expected, old, live.OLD_S + 1), expected)
    far = [Reading("x", 0.0, 0.0, 5.0, 1000.0)]
    np.testing.assert_array_equal(traffic.speeds(expected, far, 1000.0), expected)


def test_sensors_bring_the_real_traffic_closer(city: City, network: Network) -> None:
    """In the simulated city the truth is known: speeds bent by its sensors are nearer to it, near them and far away."""
    rush = at("2026-11-24 08:15")
    truth = simulated.speeds(city, network.graph, rush)
    usual = speeds.usual().at(network.graph, rush, SEOUL)
    sensors = city.sensors["TrafficFlowObserved"]
    when = np.full(len(sensors.site), rush)
    measured = city.traffic.at(sensors.site, when, city.weather.at(when)).speed_kmh
    found = [
        Reading(str(i), lon, lat, v, rush)
        for i, ((lon, lat), v) in enumerate(zip(sensors.lonlat.tolist(), measured.tolist(), strict=True))
    ]
    bent = Traffic(network).speeds(usual, found, rush)
    own = np.isin(network.graph.way, sensors.site)
    before, after = np.abs(usual / truth - 1), np.abs(bent / truth - 1)
    assert after[own].mean() < 0.1 * before[own].mean() + 0.02
    assert after[~own].mean() < 0.65 * before[~own].mean()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubClient]:
    async with open_hub(f"sqlite:///{tmp_path}/hub.db") as opened:
        yield opened.client(Access(write=True))


def observed(entity_id: str, kmh: object, at_s: float) -> dict[str, object]:
    speed = {"type": "Property", "value": kmh, "unitCode": "KMH", "observedAt": iso(at_s)}
    return {"id": entity_id, "type": live.TYPE, "averageVehicleSpeed": speed}


async def test_a_jam_on_the_hub_changes_travel_times(hub: HubClient, city: City, network: Network) -> None:
    now = at("2026-11-24 12:00")
    sensors = [e for e in statics(city) if e["type"] == live.TYPE]
    expected = network.graph.limit_kmh
    await hub.upsert([e | observed(e["id"], 50.0, now) for e in sensors])
    await hub.upsert([{"id": "urn:ngsi-ld:TrafficFlowObserved:odd:1", "type": live.TYPE}])
    assert len(await live.readings(hub)) == len(sensors), "one without a speed or a place is passed over"
    found: asyncio.Queue[Metric] = asyncio.Queue()
    follow = asyncio.create_task(
        live.follow(hub, network, lambda _: expected, found.put_nowait, now_s=lambda: now + 60, every_s=0.05)
    )
    try:
        async with asyncio.timeout(20):
            before = await found.get()
            await hub.upsert([observed(e["id"], 6.0, now + 30) for e in sensors])
            while (await found.get()).time_s.sum() < 1.5 * before.time_s.sum():
                pass
    finally:
        follow.cancel()
