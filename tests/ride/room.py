"""A small service in a small town: three vans in the middle of Hanbit, as files and as what opens them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hanmaru.city.profile import load
from hanmaru.ride.dispatch import settings as files
from hanmaru.ride.dispatch import site as ground
from hanmaru.ride.dispatch.calls import Calls
from hanmaru.ride.dispatch.journal import FILE, Reader
from hanmaru.ride.dispatch.operation import Operation
from hanmaru.ride.dispatch.process import Replica, serving

ZONE = ZoneInfo("Asia/Seoul")
SERVICE = """\
name = { en = "Hanbit Call Bus", ko = "한빛 부름버스" }
hours = ["00:00", "24:00"]
stops = 60
area = [[128.085, 37.088], [128.115, 37.088], [128.115, 37.112], [128.085, 37.112]]
limits = { max_open = 50, max_walk_m = 1000 }

[[vans]]
id = "van-{n}"
plate = "70바 100{n}"
seats = 8
wheelchairs = 1
driver = "driver-{n}"
count = 3
"""


def settle(folder: Path) -> Path:
    """Write the service's settings into a room's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files.FILE).write_text(SERVICE, "utf-8")
    return folder


def replica(folder: Path) -> Replica:
    """Return what a dispatcher's process knows before it has the lock."""
    profile = load("hanbit")
    settings = ground.ready(folder, profile, False)
    site = ground.make(folder, settings, profile)
    return Replica(site, settings, Reader(folder / FILE), ZONE)


@asynccontextmanager
async def dispatching(folder: Path) -> AsyncGenerator["Desk"]:
    """Give somebody who asks a dispatcher in this process, for as long as the block lasts."""
    made = replica(folder)
    made.follow()
    try:
        async with serving(folder, made) as (operation, _):
            yield Desk(operation)
    finally:
        made.reader.close()


class Desk:
    """Asks an operation as web workers do."""

    def __init__(self, operation: Operation) -> None:
        self.operation, self.calls, self.count = operation, Calls(operation), 0
        self.stops = operation.site.facts

    async def ask(self, method: str, **params: Any) -> Any:
        found = self.calls.answer(method, params)
        body, durable = found if isinstance(found, tuple) else await found
        await durable
        return msgspec.json.decode(body)

    async def call(self, start: int, goal: int, *, key: str = "", rider: str = "rider-a", **others: Any) -> Any:
        """Call a ride between two stops."""
        self.count += 1
        ends = [{"lon": s.lon, "lat": s.lat} for s in (self.stops[start], self.stops[goal])]
        asked = {
            "key": key or f"{rider} key-{self.count}",
            "rider": rider,
            "start": ends[0],
            "goal": ends[1],
            "seats": 1,
            "wheelchairs": 0,
            "when": "now",
            "earliest_s": None,
            "arrive_by_s": None,
            "max_walk_m": 500,
        }
        return await self.ask("request", **(asked | others))

    async def book(self, start: int, goal: int, *, rider: str = "rider-a", **others: Any) -> Any:
        """Call a ride and take the first offer."""
        trip = await self.call(start, goal, rider=rider, **others)
        assert trip["offers"], trip
        self.count += 1
        offer = trip["offers"][0]["id"]
        return await self.ask("accept", key=f"{rider} key-{self.count}", rider=rider, id=trip["id"], offer=offer)

    async def act(self, van: str, *actions: dict[str, Any]) -> Any:
        """Say what a driver did."""
        said: list[dict[str, Any]] = []
        for action in actions:
            self.count += 1
            said.append({"id": f"act-{self.count}", "at_s": int(self.operation.now()), **action})
        return await self.ask("actions", van=van, actions=said)
