"""A whole hub whose dispatcher is killed while riders call: another takes over, and nothing is lost or done twice."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from hanmaru.platform.identity.accounts import Accounts
from tests.ride.room import settle
from tests.running import Running, running

PASSWORD = "seven horses over the river"
AT_ONCE = 12


class Riders:
    """Riders who call at once, each request with a key of its own."""

    def __init__(self, hub: Running, http: aiohttp.ClientSession) -> None:
        self.url, self.http = f"{hub.url}/api/ride/v1", http
        self.headers = {"authorization": aiohttp.encode_basic_auth("minji", PASSWORD)}
        self.stops: list[dict[str, Any]] = []
        self.trips: dict[str, dict[str, Any]] = {}

    async def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        headers = {**self.headers, **({"idempotency-key": key} if key else {})}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def up(self) -> None:
        while (found := await self.ask("GET", "/stops"))[0] != 200:
            pass
        self.stops = found[1]["stops"]

    async def call(self, n: int) -> None:
        """Call a ride and take it, going on until somebody answers."""
        a, b = self.stops[n % 20], self.stops[20 + n % 15]
        body = {name: {"lon": s["lon"], "lat": s["lat"]} for name, s in (("from", a), ("to", b))}
        while (answer := await self.ask("POST", "/requests", body, f"call-{n}"))[0] == 503:
            pass
        assert answer[0] == 201, answer
        trip = answer[1]
        if trip["state"] == "offered":
            path, offer = f"/requests/{trip['id']}/accept", {"offer": trip["offers"][0]["id"]}
            while (answer := await self.ask("POST", path, offer, f"take-{n}"))[0] == 503:
                pass
            assert answer[0] == 200, answer
            trip = answer[1]
        self.trips[f"call-{n}"] = trip


def active(hub: Running) -> psutil.Process:
    """Return the dispatcher that listens."""
    for worker in hub.workers():
        if any("dispatcher.sock" in str(c.laddr) for c in worker.net_connections("unix")):
            return worker
    raise AssertionError("no dispatcher listens")


async def killed_while_riders_call(hub: Running, first: int, riders: Riders) -> float:
    """Kill the dispatcher in the middle of calls; return how long it took until somebody was answered."""
    victim = active(hub)
    calls = [asyncio.create_task(riders.call(n)) for n in range(first, first + AT_ONCE // 2)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    calls += [asyncio.create_task(riders.call(n)) for n in range(first + AT_ONCE // 2, first + AT_ONCE)]
    while (await riders.ask("GET", "/requests?active=1"))[0] != 200:
        pass
    took_s = time.monotonic() - began
    await asyncio.gather(*calls)
    return took_s


async def scenario(hub: Running, kills: int) -> list[float]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        riders = Riders(hub, http)
        await riders.up()
        took: list[float] = []
        ready = 0
        for n in range(kills):
            while ready < 2 + n:  # the standby, too
                ready += hub.logged("a dispatcher is ready", timeout_s=120) is not None
            took.append(await killed_while_riders_call(hub, n * AT_ONCE, riders))
        _, found = await riders.ask("GET", "/requests")
        ids = [trip["id"] for trip in found["trips"]]
        assert len(ids) == len(set(ids)) == kills * AT_ONCE  # none lost, none made twice
        assert set(ids) == {trip["id"] for trip in riders.trips.values()}
        now = {trip["id"]: trip for trip in found["trips"]}
        booked = [trip for trip in riders.trips.values() if trip["promise"]]
        assert booked
        for trip in booked:
            assert now[trip["id"]]["promise"] == trip["promise"]
        for key, trip in list(riders.trips.items())[:3]:
            await riders.call(int(key.removeprefix("call-")))
            assert riders.trips[key]["id"] == trip["id"]
        return took


def kill(folder: Path, times: int) -> list[float]:
    settle(folder / "services" / "ride")
    accounts = Accounts(folder)
    accounts.add("minji", PASSWORD, "rider")
    accounts.close()
    with running(folder, SERVICES="ride", CITY="hanbit") as hub:
        took = asyncio.run(scenario(hub, times))
        bad = [line for line in hub.logs if line["level"] in ("error", "critical") and line["event"] != "worker ended"]
        assert bad == []
        return took


@pytest.mark.alone
def test_killed_dispatchers_lose_no_request_promise_none_twice_and_are_replaced_in_two_seconds(tmp_path: Path) -> None:
    assert max(kill(tmp_path, 2)) <= 2.0
