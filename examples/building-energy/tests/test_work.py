"""From meters on a real hub to figures on its buildings."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest_asyncio
from hanmaru_building_energy.ledger import Ledger
from hanmaru_building_energy.report import FIGURES, instant
from hanmaru_building_energy.work import Desk
from worlds import SEOUL, divided, office

from hanmaru.composition import opened
from hanmaru.config import Settings
from hanmaru.hub.client import HubClient

METER, BUILDING, AIR = "urn:ngsi-ld:ACMeasurement:m", "urn:ngsi-ld:Building:b", "urn:ngsi-ld:WeatherObserved:w"


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[HubClient]:
    async with opened(Settings(data=tmp_path / "data"), "") as (hub, _):
        yield hub


def building(completed_s: float, **more: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(completed_s, UTC).isoformat()
    return {
        "id": BUILDING,
        "type": "Building",
        "refMeter": {"type": "Relationship", "object": METER},
        "measureCompletedAt": {"type": "Property", "value": {"@type": "DateTime", "@value": at}},
        **more,
    }


async def record(hub: HubClient, id: str, type: str, attribute: str, times: np.ndarray, values: np.ndarray) -> None:
    """Put the past of a meter on the hub, and its present."""
    points = [
        {"type": "Property", "value": round(float(v), 4), "observedAt": instant(t)}
        for t, v in zip(times.tolist(), values.tolist(), strict=True)
    ]
    assert not (await hub.upsert([{"id": id, "type": type, attribute: points[-1]}])).failures
    for first in range(0, len(points), 5000):
        part = {"id": id, "type": type, attribute: points[first : first + 5000]}
        assert not (await hub.record([part])).failures


async def test_savings_are_found_in_intervals_and_in_a_register_that_was_reset(hub: HubClient, tmp_path: Path) -> None:
    series, air = office(np.random.default_rng(1), 78)
    before, after = divided(series, 52)
    saved = 0.2 * float(after.values.sum())
    kwh = np.concatenate((before.values, after.values * 0.8))
    ends = series.times_s + 3600
    await record(hub, METER, "ACMeasurement", "intervalActiveEnergy", ends, kwh)
    await record(hub, AIR, "WeatherObserved", "temperature", series.times_s, air)
    weather = {"refWeather": {"type": "Relationship", "object": AIR}}
    await hub.upsert([building(after.start_s, **weather)])
    await Desk(hub, tmp_path, SEOUL).estimate_all()
    found = await hub.retrieve(BUILDING, simplified=True)
    assert found
    assert found["savingsStatus"] == "ok"
    assert abs(found["savedEnergy"] - saved) <= found["savedEnergyUncertainty"]
    assert abs(found["savingsPercent"] - 20) <= found["savingsUncertainty"] < 3

    result = Ledger(tmp_path).result(BUILDING)
    assert result
    assert result["model"] == "time of week and temperature"
    days = result["days"]
    assert len(days) == 78 * 7
    last = days[-1]
    assert last["saved"] == round(found["savedEnergy"], 1)
    assert abs(last["savedHigh"] - last["saved"] - found["savedEnergyUncertainty"]) < 0.2
    inside = [day["low"] <= day["measured"] <= day["high"] for day in days if "reporting" not in day]
    assert 0.85 <= np.mean(inside) <= 0.95

    register = np.cumsum(kwh)
    register[5000:] -= register[4999]  # a new meter
    other = METER + "2"
    await record(hub, other, "ACMeasurement", "totalActiveEnergyImport", ends, register)
    await hub.upsert([building(after.start_s, refMeter={"type": "Relationship", "object": other}, **weather)])
    await Desk(hub, tmp_path, SEOUL).estimate_all()
    again = await hub.retrieve(BUILDING, simplified=True)
    assert again
    assert abs(again["savedEnergy"] - found["savedEnergy"]) < 0.02 * saved


async def test_readings_outlive_the_hubs_memory(hub: HubClient, tmp_path: Path) -> None:
    series, _ = office(np.random.default_rng(2), 20, weather=False)
    _, after = divided(series, 16)
    await record(hub, METER, "ACMeasurement", "intervalActiveEnergy", series.times_s + 3600, series.values)
    await hub.upsert([building(after.start_s)])
    await Desk(hub, tmp_path, SEOUL).estimate_all()
    found = await hub.retrieve(BUILDING, simplified=True)
    await hub.delete([METER])
    await Desk(hub, tmp_path, SEOUL).estimate_all()
    again = await hub.retrieve(BUILDING, simplified=True)
    assert found
    assert again
    assert found["savedEnergy"] == again["savedEnergy"]


async def test_a_figure_that_no_longer_holds_is_taken_away(hub: HubClient, tmp_path: Path) -> None:
    series, _ = office(np.random.default_rng(3), 20, weather=False)
    before, after = divided(series, 16)
    await record(hub, METER, "ACMeasurement", "intervalActiveEnergy", series.times_s + 3600, series.values)
    named = {"name": {"type": "Property", "value": "City hall"}}
    await hub.upsert([building(after.start_s, **named)])
    desk = Desk(hub, tmp_path, SEOUL)
    await desk.estimate_all()
    assert "savedEnergy" in (await hub.retrieve(BUILDING, simplified=True) or {})
    await hub.upsert([building(before.start_s + 5 * 7 * 86_400)])
    await desk.estimate_all(frozenset({BUILDING}))
    found = await hub.retrieve(BUILDING, simplified=True)
    assert found
    assert found["savingsStatus"] == "too-little-data"
    assert set(found).intersection(FIGURES) == {"savingsStatus"}
    assert found["name"] == "City hall"


async def test_a_building_without_readings_stops_no_other(hub: HubClient, tmp_path: Path) -> None:
    series, _ = office(np.random.default_rng(4), 20, weather=False)
    await record(hub, METER, "ACMeasurement", "intervalActiveEnergy", series.times_s + 3600, series.values)
    empty = building(0) | {"id": BUILDING + "0", "refMeter": {"type": "Relationship", "object": METER + "0"}}
    await hub.upsert([empty, building(series.start_s + 16 * 7 * 86_400)])
    await Desk(hub, tmp_path, SEOUL).estimate_all()
    assert (await hub.retrieve(BUILDING, simplified=True) or {})["savingsStatus"] == "ok"
    assert (await hub.retrieve(BUILDING + "0", simplified=True) or {})["savingsStatus"] == "too-little-data"


def test_a_damaged_file_is_no_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.publish("b", {"days": []})
    next((tmp_path / "results").iterdir()).write_bytes(b"{")
    assert ledger.result("b") is None
    (tmp_path / "readings").mkdir()
    path = ledger._path("readings", "m a", ".npz")
    path.write_bytes(b"PK")
    assert len(ledger.readings("m", "a").times_s) == 0
