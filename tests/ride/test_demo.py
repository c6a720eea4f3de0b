"""The demo's drivers, on a service whose time runs as fast as the test."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hanmaru.ride.demo import HANDS_OFF_S, STEP_S, Driver
from hanmaru.ride.dispatch.process import _move
from tests.ride.room import Desk, dispatching, settle


class Town:
    """A service, its time, and the demo's driver of each van."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.now_s = desk, time.time()
        self.drivers = [Driver(van.id) for van in desk.operation.site.vans]
        desk.operation._clock = lambda: self.now_s

    async def step(self) -> None:
        self.now_s += STEP_S
        self.desk.operation.tick(self.now_s)
        await _move(self.desk.operation)
        for driver in self.drivers:
            actions = driver.due(await self.desk.ask("driver", van=driver.van), self.now_s)
            if actions:
                done = await self.desk.act(driver.van, *actions)
                assert not done["refused"], done

    async def until(self, id: str, state: str, seconds: float = 3600) -> dict[str, Any]:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            await self.step()
            trip = await self.desk.ask("trip", id=id, rider="rider-a")
            if trip["state"] == state:
                return trip
        raise AssertionError(f"the trip is {trip['state']} after {seconds} s")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncGenerator[Town]:
    async with dispatching(settle(tmp_path / "ride")) as desk:
        yield Town(desk)


async def test_who_is_there_is_carried_and_who_is_not_is_not_waited_for(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanmaru.ride.demo.STAYS_AWAY", 0.0)
    carried = await town.desk.book(3, 30)
    over = await town.until(carried["id"], "done")
    assert [note["what"] for note in over["log"]] == ["offered", "booked", "boarded", "alighted"]
    monkeypatch.setattr("hanmaru.ride.demo.STAYS_AWAY", 1.0)
    missed = await town.desk.book(5, 20)
    await town.until(missed["id"], "no-show")


async def test_a_van_that_somebody_else_brought_to_a_stop_is_theirs(town: Town) -> None:
    trip = await town.desk.book(3, 30)
    await town.step()
    van = trip["van"]["id"]
    driver = next(driver for driver in town.drivers if driver.van == van)
    stop = trip["promise"]["pickup"]["stop"]["id"]
    await town.desk.act(van, {"kind": "arrived", "stop": stop})
    town.now_s += 600
    view = await town.desk.ask("driver", van=van)
    assert driver.due(view, town.now_s) == []
    assert driver.due(view, town.now_s + HANDS_OFF_S + 1) != []
