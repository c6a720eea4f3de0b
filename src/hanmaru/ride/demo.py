"""The demo city's riders and drivers: they call, board and drive, through the same socket as everybody's requests.

A van that somebody else drives, as its device or an arrival shows, the demo leaves to them.
"""

import asyncio
import itertools
import random
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog

from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.ride.dispatch.client import Client
from hanmaru.ride.domain import RideError
from hanmaru.ride.riders import Riders

log = structlog.get_logger()

Json = dict[str, Any]

RIDERS = 40
CALLS_PER_HOUR = (40,) * 6 + (45, 70, 80, 50, 45, 50, 55, 50, 50, 55, 65, 80, 85, 60, 45, 45, 40, 40)
"""Calls in each hour of the day: what a dozen vans carry, most to and from work, and never so few that none is seen."""
AT_ONCE = 5
"""Calls at the start, so that there is something to see."""
TAKES = 0.9
CANCELS, STAYS_AWAY = 0.04, 0.02
"""Shares of riders who take an offer, call it off afterwards, and are not there (assumed)."""
FARTHER_M = 900.0
"""Nobody calls a van for less."""
THERE_M = 60.0
"""A van that stands so near its next stop is there: the stop is beside the road, the van on it."""
STEP_S = 2.0
HANDS_OFF_S = 300.0
"""How long the demo leaves a van alone at which somebody else did something."""
PATIENCE_S = 200.0
"""How long a driver waits for who does not come: longer than the service asks (`Config.no_show_s`)."""


async def run(context: Context[HubClient]) -> None:
    """Call and drive until cancelled."""
    client = Client(context.data_dir)
    riders = await asyncio.to_thread(Riders, context.data_dir, context.trust.vault, context.trust.audit)
    try:
        ground = msgspec.json.decode(await _patiently(client, "ground"))
        people = [await _rider(riders, n) for n in range(1, RIDERS + 1)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_call(client, ground, people, ZoneInfo(str(context.city["zone"]))))
            for van in ground["vans"]:
                tasks.create_task(_drive(client, Driver(van["id"])))
    finally:
        await client.close()
        riders.close()


async def _rider(riders: Riders, n: int) -> str:
    account = f"demo-rider-{n}"
    await riders.tell(account, {"name": f"데모 승객 {n}", "phone": f"010-0000-{n:04}"})
    return await riders.pseudonym(account)


async def _patiently(client: Client, method: str, **params: Any) -> bytes:
    """Ask the dispatcher, again where it is away."""
    while True:
        try:
            return await client.call(method, **params)
        except Problem as problem:
            if problem.status != 503:
                raise
            await asyncio.sleep(STEP_S)


async def _call(client: Client, ground: Json, people: list[str], zone: ZoneInfo) -> None:
    """Call rides as time goes by, at the rate of the hour."""
    places: list[Json] = [place for place in ground["places"] if place["kind"] != "district"]
    chance = random.Random(time.time_ns())  # noqa: S311 - which people call is no secret
    async with asyncio.TaskGroup() as tasks:
        for made in itertools.count():
            hourly = CALLS_PER_HOUR[datetime.now(zone).hour]
            await asyncio.sleep(chance.expovariate(hourly / 3600) if made >= AT_ONCE else STEP_S)
            a, b = chance.sample(places, 2)
            if _apart_m(a, b) >= FARTHER_M:
                tasks.create_task(_ride(client, chance.choice(people), a, b, random.Random(chance.random())))  # noqa: S311


async def _ride(client: Client, rider: str, a: Json, b: Json, chance: random.Random) -> None:
    """Call, look at the offers, take one, and now and then call it off."""
    ends = [{"lon": p["lon"], "lat": p["lat"], "label": p["name"]["ko"]} for p in (a, b)]
    key = f"{rider} demo-{chance.getrandbits(64):x}"
    try:
        trip = msgspec.json.decode(
            await client.call(
                "request", key=key, rider=rider, start=ends[0], goal=ends[1], seats=chance.choice((1, 1, 1, 1, 2, 3)),
                wheelchairs=int(chance.random() < 0.03), when="now", earliest_s=None, arrive_by_s=None, max_walk_m=500,
            )
        )  # fmt: skip
        if trip["state"] != "offered":
            return
        await asyncio.sleep(chance.uniform(3, 15))
        if chance.random() >= TAKES:
            await client.call("decline", key=f"{key}-no", rider=rider, id=trip["id"])
            return
        offer = chance.choice(trip["offers"])["id"]
        await client.call("accept", key=f"{key}-yes", rider=rider, id=trip["id"], offer=offer)
        if chance.random() < CANCELS:
            await asyncio.sleep(chance.uniform(10, 120))
            await client.call("cancel", key=f"{key}-off", rider=rider, id=trip["id"], reason="")
    except (Problem, RideError) as error:
        log.info("a demo rider gave up", reason=str(error))


async def _drive(client: Client, driver: "Driver") -> None:
    while True:
        view = msgspec.json.decode(await _patiently(client, "driver", van=driver.van))
        now_s = time.time()
        if actions := driver.due(view, now_s):
            for action in actions:
                action |= {"id": f"demo-{random.getrandbits(64):x}", "at_s": int(now_s)}
            await _patiently(client, "actions", van=driver.van, actions=actions)
        await asyncio.sleep(STEP_S)


class Driver:
    """Drives one van as its plan says."""

    def __init__(self, van: str) -> None:
        """Begin wherever the van is."""
        self.van = van
        self._at: str | None = None
        self._since_s = 0.0
        self._begun = False
        self._off_until_s = 0.0

    def due(self, view: Json, now_s: float) -> list[Json]:
        """Return what the driver would say now, in order, of what the van's driver sees."""
        status, stops = view["van"]["status"], view["stops"]
        here = stops[0] if stops else None
        if here and here.get("arrived") and self._begun and self._at != here["stop"]["id"]:
            self._off_until_s = now_s + HANDS_OFF_S  # somebody else brought it here
        self._begun = True
        self._at = here["stop"]["id"] if here and here.get("arrived") else None
        driven = view["van"]["stop"] is None and not view["van"]["reckoned"]
        if driven or now_s < self._off_until_s or status in ("broken", "held", "out-of-service"):
            return []
        if status == "break":
            over = [rest for rest in view["breaks"] if rest["state"] == "begun" and _s(rest["to"]) <= now_s]
            return [{"kind": "break-end"}] if over else []
        if not view["aboard"] and any(r["state"] == "due" and _s(r["from"]) <= now_s for r in view["breaks"]):
            return [{"kind": "break-start"}]
        if here is None:
            return []
        if here.get("arrived"):
            return [said for action in here["actions"] if (said := self._serve(action, now_s))]
        stands = view["van"]["stop"] is None and view["van"]["bearing"] is None
        if stands and _apart_m(view["van"], here["stop"]) < THERE_M:
            self._at, self._since_s = here["stop"]["id"], now_s
            return [{"kind": "arrived", "stop": here["stop"]["id"]}]
        return []

    def _serve(self, action: Json, now_s: float) -> Json | None:
        request = action["request"]
        if action["kind"] == "dropoff":
            return {"kind": "alighted", "request": request}
        if random.Random(request).random() < STAYS_AWAY:  # noqa: S311 - the same answer each time it is asked
            late = now_s > max(self._since_s, _s(action["from"])) + PATIENCE_S
            return {"kind": "no-show", "request": request} if late else None
        return {"kind": "boarded", "request": request} if now_s >= _s(action["from"]) else None


def _apart_m(a: Json, b: Json) -> float:
    """Return how far two positions lie apart."""
    from hanmaru.ride.roads.graph import metres

    ends = [np.array([[end["lon"], end["lat"]]]) for end in (a, b)]
    return float(metres(*ends)[0])


def _s(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
