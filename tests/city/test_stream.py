"""The demo on a real hub: entities, a day of history, a live stream, and a restart that goes on where it was."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanmaru.city import alerts, history, stream
from hanmaru.city.build import City
from hanmaru.city.clock import CityClock, iso, resume
from hanmaru.city.demo import run_demo
from hanmaru.city.entities import statics
from hanmaru.city.readings import UNITS
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.hub.client import HubClient, JsonObject, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access

NOON = datetime(2026, 11, 24, 3, tzinfo=UTC).timestamp()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubClient]:
    async with open_hub(f"sqlite:///{tmp_path}/hub.db") as opened:
        yield opened.client(Access(write=True))


def sweep(city: City, at_s: float) -> list[JsonObject]:
    """Return a reading of every sensor."""
    return stream.report(city, [(s.kind, *s.due(at_s - s.period_s, at_s)) for s in stream.schedules(city, 100)])


@example(0.0, [2.0, 2.0, 2.0, 2.0, 1.0], 461.0)
@given(st.floats(0, 2e9), st.lists(st.floats(0.01, 40), min_size=1, max_size=30), st.floats(1, 1000))
@settings(max_examples=40, deadline=None)
def test_no_report_is_lost_or_doubled_however_time_is_cut(
    hanbit: City, start: float, cuts: list[float], rate: float
) -> None:
    for plan in stream.schedules(hanbit, rate):
        seen: Counter[tuple[int, float]] = Counter()
        now = start
        for cut in cuts:
            step = min(cut, plan.period_s * 0.99)
            index, t = plan.due(now, now + step)
            assert ((t > now) & (t <= now + step + 1e-6)).all()
            seen.update(zip(index.tolist(), t.tolist(), strict=True))
            now += step
        assert not seen or max(seen.values()) == 1
        whole = (now - start) / plan.period_s * len(plan.phase_s)
        assert abs(sum(seen.values()) - whole) <= len(plan.phase_s)


@pytest.mark.parametrize("rate", [10, 120, 240])
def test_all_sensors_together_report_at_the_rate(sejong: City, rate: float) -> None:
    plans = stream.schedules(sejong, rate)
    assert sum(len(p.phase_s) / p.period_s for p in plans) == pytest.approx(rate)
    seconds = 20
    by_second = [sum(len(p.due(NOON + k, NOON + k + 1)[0]) for p in plans) for k in range(seconds)]
    assert sum(by_second) == pytest.approx(rate * seconds, rel=0.05)
    assert max(by_second) < 1.35 * rate + 5, "spread evenly"


def test_entities_are_those_of_smart_data_models(sejong: City) -> None:
    entities = {e["id"]: e for e in statics(sejong)}
    assert 4500 < len(entities) < 5500
    for fragment in sweep(sejong, NOON):
        entities[fragment["id"]] |= fragment
    registry = TypeRegistry()
    bounds = sejong.land.plane.to_wgs84(sejong.land.boundary).bounds
    checked: Counter[str] = Counter()
    for entity in entities.values():
        kind = entity["type"]
        assert entity["id"].startswith(f"urn:ngsi-ld:{kind}:sejong:")
        assert set(entity["name"]["languageMap"]) == {"ko", "en"}
        lon, lat = entity["location"]["value"]["coordinates"]
        assert bounds[0] - 0.01 < lon < bounds[2] + 0.01
        assert bounds[1] - 0.01 < lat < bounds[3] + 0.01
        for name, unit in UNITS[kind].items():
            assert entity[name]["observedAt"].endswith("Z")
            assert entity[name].get("unitCode", "") == unit.code
        schema = registry.find(kind)
        if schema is not None:
            simple = {k: v.get("value") if isinstance(v, dict) else v for k, v in entity.items()}
            simple |= {k: entity[k]["languageMap"]["en"] for k in ("name", "description") if k in entity}
            assert schema.problem(simple) is None, (simple, schema.problem(simple))
            checked[kind] += 1
    assert len(checked) >= 6
    text = str(list(entities.values()))
    assert not any(word in text for word in ("household", "'age'", "patient", "phone"))


def test_history_and_stream_are_one_curve(sejong: City) -> None:
    batches = list(history.past(sejong, "AirQualityObserved", NOON - 7200, NOON))
    first = batches[0][0]
    assert [v["observedAt"] for v in first["pm25"]] == [iso(NOON - 7200 + 1800 * k) for k in range(4)]
    live = stream.report(sejong, [("AirQualityObserved", np.array([0]), np.array([NOON - 1800.0]))])
    assert live[0]["pm25"]["value"] == first["pm25"][3]["value"]


def test_alerts_are_the_same_however_time_is_cut(sejong: City) -> None:
    hours = list(alerts.between(sejong, NOON, NOON + 4 * 3600))
    pieces = [a for k in range(48) for a in alerts.between(sejong, NOON + 300 * k, NOON + 300 * (k + 1))]
    assert hours == pieces
    assert 0 < len(hours) < 120
    assert len({a["id"] for a in hours}) <= alerts.KEPT


def test_making_readings_is_quick(sejong: City) -> None:
    start = time.process_time()
    made = sum(len(sweep(sejong, NOON + 60 * k)) for k in range(4))
    rate = made / (time.process_time() - start)
    print(f"{rate:,.0f} readings a second of processor time")
    assert rate > 5000


async def test_the_demo_fills_a_hub_streams_and_goes_on_after_a_restart(
    hanbit: City, hub: HubClient, tmp_path: Path
) -> None:
    count = sum(len(s) for s in hanbit.sensors.values())

    async def live_until(seq: int) -> None:
        task = asyncio.create_task(run_demo(hub, hanbit.profile, tmp_path, rate=200))
        async with asyncio.timeout(40):
            while await hub.head() < seq:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.perf_counter()
    await live_until(count + 300)
    print(f"{count} entities, a day of history and 300 live readings in {time.perf_counter() - start:.1f} s")
    types = {t["typeName"]: t["entityCount"] for t in await hub.types()}
    assert {kind: types[kind] for kind in hanbit.sensors} == {k: len(s) for k, s in hanbit.sensors.items()}
    told = await hub.history("urn:ngsi-ld:WeatherObserved:hanbit:1", attrs=["temperature"], temporal_values=True)
    assert told is not None
    times = [t for _, t in told["temperature"]["values"]]
    assert len(times) >= 48
    assert len(set(times)) == len(times)

    camera = "urn:ngsi-ld:Camera:hanbit:1"
    told_once = await hub.retrieve(camera, sys_attrs=True)
    await live_until(await hub.head() + count + 200)
    assert await hub.count(Query(type="Camera")) == len(hanbit.sensors["Camera"])
    told_twice = await hub.retrieve(camera, sys_attrs=True)
    assert told_once is not None
    assert told_twice is not None
    assert told_twice["cameraUsage"] == told_once["cameraUsage"], "what stays is written once"
    found = await hub.query(Query(q='name[ko]~=".*비상벨.*"'))
    assert len(found) == len(hanbit.sensors["Device"])


async def test_the_stream_writes_what_fell_due(hanbit: City, hub: HubClient) -> None:
    reached: list[float] = []
    enough = asyncio.Event()

    def note(at_s: float) -> None:
        reached.append(at_s)
        if len(reached) == 5:
            enough.set()

    clock = CityClock(speed=30, real_s=time.time(), city_s=NOON)
    task = asyncio.create_task(stream.run(hub, hanbit, clock, rate=300, tick_s=0.2, reached=note))
    async with asyncio.timeout(20):
        await enough.wait()
    task.cancel()
    seen = [e["averageVehicleSpeed"]["observedAt"] for e in await hub.query(Query(type="TrafficFlowObserved"))]
    assert seen
    assert all(iso(NOON) < at <= iso(reached[-1] + 60) for at in seen)
    assert reached == sorted(reached)


@given(st.floats(1.5, 5000), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_clock_goes_on_after_a_restart(speed: float, before: float, off: float) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clock.json"
        now = [1e9]
        clock = resume(path, speed=speed, source=lambda: now[0])
        now[0] += before
        stopped = clock.now_s()
        assert stopped == pytest.approx(1e9 + before * speed)
        now[0] += off
        again = resume(path, speed=speed, source=lambda: now[0])
        assert again.now_s() == pytest.approx(stopped + off * speed)
        faster = resume(path, speed=speed * 2, source=lambda: now[0])
        assert faster.now_s() == pytest.approx(again.now_s())


def test_a_clock_must_run_forwards() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CityClock(speed=0)
