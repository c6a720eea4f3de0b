"""From a rider's request to offers over HTTP, on a whole hub: 1,000 vans in Heidelberg, 10,000 requests an hour.

The hub runs as anybody's would: accounts, policy, audit, one web worker, the dispatcher with its standby, the journal
on disk, assignment and the other layers thinking in the background. First several thousand riders are booked for the
next half hour, so that vans are as full as at peak; then requests come as a Poisson process and are mostly accepted,
while drivers say what they do and screens follow. At the end the dispatcher is killed with ``kill -9`` in the middle
of it. What counts is the time from sending a request to having read its offers.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from hanmaru.platform.identity.accounts import Accounts
from tests.running import Running, running

ROADS = Path(os.environ.get("HANMARU_TEST_DATA", "../shared/data")).resolve() / "roads" / "heidelberg.osm.pbf"
VANS, STOPS, PER_HOUR, RIDERS, WATCHERS = 1000, 1500, 10_000, 40, 10
PASSWORD = "seven horses over the river"
SETTINGS = """\
name = {{ en = "Heidelberg", ko = "하이델베르크" }}
hours = ["00:00", "24:00"]
roads = "{roads}"
country = "DE"
stops = {stops}
limits = {{ max_open = 100000 }}
"""
GROUP = """
[[vans]]
id = "van-{group}-{n}"
plate = "HD {group} {n}"
seats = 8
wheelchairs = 1
count = 10
depot = [{lon}, {lat}]
"""
BOX = (8.63, 49.36, 8.72, 49.43)


@dataclass
class Load:
    """What came of the requests that were sent."""

    offers_s: list[float] = field(default_factory=list[float])
    accept_s: list[float] = field(default_factory=list[float])
    booked: set[str] = field(default_factory=set[str])
    refused: int = 0
    failed: list[str] = field(default_factory=list[str])
    actions: int = 0


class Town:
    """Riders, drivers and screens of a hub."""

    def __init__(self, hub: Running, http: aiohttp.ClientSession, seed: int) -> None:
        self.url, self.http, self.random = f"{hub.url}/api/ride/v1", http, random.Random(seed)
        self.box: tuple[float, float, float, float] = (0, 0, 0, 0)
        self.stops: list[dict[str, Any]] = []

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": aiohttp.encode_basic_auth(who, PASSWORD)}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def must(self, who: str, path: str) -> Any:
        """Return what is at a path, asking until it is there."""
        while (answer := await self.ask(who, "GET", path))[0] != 200:  # noqa: ASYNC110 - another process answers
            await asyncio.sleep(0.2)
        return answer[1]

    def point(self) -> dict[str, float]:
        stop = self.random.choice(self.stops)
        return {"lon": stop["lon"] + self.random.gauss(0, 0.0012), "lat": stop["lat"] + self.random.gauss(0, 0.0008)}

    async def call(self, load: Load, when: Any = "now", *, counts: bool = True, who: str = "") -> None:
        """Call a ride and mostly take an offer."""
        who = who or f"rider-{self.random.randrange(WATCHERS, RIDERS)}"
        body = {"from": self.point(), "to": self.point(), "seats": 1, "wheelchairs": 0, "when": when}
        began = time.perf_counter()
        status, trip = await self.ask(who, "POST", "/requests", body)
        took = time.perf_counter() - began
        if status != 201:
            load.failed.append(f"{status} {trip}")
            return
        if trip["state"] == "refused":
            if trip["reason"]["code"].startswith("no-"):
                load.refused += trip["reason"]["code"] == "no-van"
            if not trip["reason"]["code"].endswith("-stop") and counts:
                load.offers_s.append(took)
            return
        if counts:
            load.offers_s.append(took)
        if self.random.random() < 0.9:
            began = time.perf_counter()
            offer = self.random.choice(trip["offers"])["id"]
            status, trip = await self.ask(who, "POST", f"/requests/{trip['id']}/accept", {"offer": offer})
            if status == 200 and trip["promise"]:
                load.booked.add(trip["id"])
                if counts:
                    load.accept_s.append(time.perf_counter() - began)
            elif status != 200:
                load.failed.append(f"{status} {trip}")

    async def fill(self, load: Load, riders: int) -> None:
        """Book riders for the next half hour, twenty at a time."""
        turn = asyncio.Semaphore(20)

        async def one() -> None:
            async with turn:
                at = time.time() + self.random.uniform(0, 1800)
                stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
                await self.call(load, {"depart_at": stamp}, counts=False)

        await asyncio.gather(*(one() for _ in range(riders)))

    async def arrivals(self, load: Load, seconds: float) -> None:
        """Send requests as a Poisson process."""
        calls: list[asyncio.Task[None]] = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            calls.append(asyncio.create_task(self.call(load)))
            await asyncio.sleep(self.random.expovariate(PER_HOUR / 3600))
        await asyncio.gather(*calls)

    async def drive(self, load: Load) -> None:
        """Have drivers do what is due, as their vans' plans say."""
        number = 0
        while True:
            status, fleet = await self.ask("dispatcher", "GET", "/fleet")
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 8))
            if status != 200:
                await asyncio.sleep(1)
                continue
            for van in fleet["vans"]:
                due = [step for step in van["plan"] if step["stop"] and step["at"] <= soon][:1]
                due += [s for s in van["plan"][1:] if due and s["stop"] and s["stop"]["id"] == due[0]["stop"]["id"]]
                if not due or van["plan"][0]["request"] != due[0]["request"]:
                    continue
                actions = [{"kind": "arrived", "stop": due[0]["stop"]["id"]}]
                for step in due:
                    if step["at"] <= soon:
                        kind = "boarded" if step["kind"] == "pickup" else "alighted"
                        actions.append({"kind": kind, "request": step["request"]})
                said = [{"id": f"{van['id']}-{number + n}", "at": now, **a} for n, a in enumerate(actions)]
                number += len(said)
                await self.ask("dispatcher", "POST", f"/driver/actions?van={van['id']}", {"actions": said})
                load.actions += len(said)
            await asyncio.sleep(5)

    async def watch(self, who: str, path: str) -> None:
        """Follow an event stream for ever."""
        while True:
            try:
                headers = {"authorization": aiohttp.encode_basic_auth(who, PASSWORD)}
                timeout = aiohttp.ClientTimeout(total=None)
                async with self.http.get(self.url + path, headers=headers, timeout=timeout) as stream:
                    async for _ in stream.content.iter_any():
                        pass
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)


def active(hub: Running) -> psutil.Process:
    """Return the dispatcher that listens."""
    for worker in hub.workers():
        if any("dispatcher.sock" in str(c.laddr) for c in worker.net_connections("unix")):
            return worker
    raise RuntimeError("no dispatcher listens")


async def measure(hub: Running, fill: int, seconds: float) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=200)) as http:
        town = Town(hub, http, 1)
        began = time.monotonic()
        while (await town.ask("rider-0", "GET", "/service"))[0] != 200:
            if time.monotonic() - began > 600:
                raise RuntimeError("the dispatcher does not come up")
        started_s = time.monotonic() - began
        town.stops = (await town.ask("rider-0", "GET", "/stops"))[1]["stops"]
        for n in range(RIDERS):
            await town.ask(f"rider-{n}", "GET", "/requests?active=1")
        await town.ask("dispatcher", "GET", "/fleet")
        filled, load = Load(), Load()
        began = time.monotonic()
        await town.fill(filled, fill)
        filled_s = time.monotonic() - began
        print(f"up after {started_s:.0f} s, {len(filled.booked)} booked in {filled_s:.0f} s", file=sys.stderr)
        others = [asyncio.create_task(town.drive(load)), asyncio.create_task(town.watch("dispatcher", "/fleet/live"))]
        others += [asyncio.create_task(town.watch(f"rider-{n}", "/requests/live")) for n in range(WATCHERS)]
        for n in range(WATCHERS):
            await town.call(filled, counts=False, who=f"rider-{n}")
        await asyncio.sleep(min(20.0, seconds / 3))
        load.offers_s.clear()
        before = {p.pid: p.cpu_times() for p in hub.workers()}
        began = time.monotonic()
        await town.arrivals(load, seconds)
        wall_s = time.monotonic() - began
        cpu = {
            p.pid: round(p.cpu_times().user + p.cpu_times().system - before[p.pid].user - before[p.pid].system, 1)
            for p in hub.workers()
            if p.pid in before
        }
        fleet = await town.must("dispatcher", "/fleet")
        print(quantiles(load.offers_s), quantiles(load.accept_s), file=sys.stderr)
        killed = await kill(hub, town, filled.booked | load.booked)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return {
            "vans": len(fleet["vans"]),
            "stops": len(town.stops),
            "waiting": fleet["figures"]["waiting"],
            "aboard": fleet["figures"]["aboard"],
            "started_s": round(started_s, 1),
            "filled": len(filled.booked),
            "filled_per_s": round(fill / filled_s, 1),
            "requests": len(load.offers_s),
            "requests_per_hour": round(3600 * len(load.offers_s) / wall_s),
            "driver_actions": load.actions,
            "refused": load.refused,
            "failed": (filled.failed + load.failed)[:3],
            "offers_ms": quantiles(load.offers_s),
            "accept_ms": quantiles(load.accept_s),
            "cpu_s": cpu,
            "load_average": os.getloadavg()[0],
            "wall_s": round(wall_s, 1),
            "kill": killed,
        }


async def kill(hub: Running, town: Town, booked: set[str]) -> dict[str, Any]:
    """Kill the dispatcher while requests come, and see what becomes of them."""
    load, times = Load(), list[float]()

    async def one() -> None:
        began = time.perf_counter()
        await town.call(load)
        times.append(time.perf_counter() - began)

    calls = [asyncio.create_task(one()) for _ in range(5)]
    await asyncio.sleep(0.002)
    began = time.perf_counter()
    os.kill(active(hub).pid, signal.SIGKILL)
    calls += [asyncio.create_task(one()) for _ in range(5)]
    while (await town.ask("rider-0", "GET", "/requests?active=1"))[0] != 200:
        pass
    back_s = time.perf_counter() - began
    await asyncio.gather(*calls)
    fleet = await town.must("dispatcher", "/fleet")
    planned = {step["request"]: 0 for van in fleet["vans"] for step in van["plan"] if step["request"]}
    twice = 0
    for van in fleet["vans"]:
        for request in {step["request"] for step in van["plan"] if step["request"]}:
            planned[request] += 1
            twice += planned[request] > 1
    lost: list[str] = []
    for id in sorted((booked | load.booked) - planned.keys())[:500]:
        status, trip = await town.ask("dispatcher", "GET", f"/trips/{id}")
        if status != 200 or trip["promise"] is None:
            lost.append(id)
    return {
        "back_s": round(back_s, 2),
        "slowest_request_s": round(max(times), 2),
        "lost": len(lost),
        "promised_twice": twice,
        "failed": load.failed[:3],
    }


def quantiles(times_s: list[float]) -> dict[str, float]:
    """Return p50, p90, p99 and the greatest, in milliseconds."""
    if not times_s:
        return {}
    ordered = sorted(times_s)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))], 1) for name, q in at.items()}


def run(quick: bool) -> dict[str, Any]:
    """Measure; ``quick`` with a tenth of the vans for half a minute."""
    if not ROADS.exists():
        return {"skipped": f"{ROADS} is not there"}
    vans, fill, seconds = (100, 250, 30.0) if quick else (VANS, 4000, 120.0)
    folder = Path(os.environ.get("HANMARU_BENCH_FOLDER") or tempfile.mkdtemp(prefix="ride-http-"))
    room = folder / "services" / "ride"
    room.mkdir(parents=True, exist_ok=True)
    where = random.Random(1)
    settings = SETTINGS.format(roads=ROADS, stops=STOPS) + "".join(
        GROUP.format(group=k, lon=where.uniform(BOX[0], BOX[2]), lat=where.uniform(BOX[1], BOX[3]), n="{n}")
        for k in range(vans // 10)
    )
    (room / "service.toml").write_text(settings)
    accounts = Accounts(folder)
    for name, role in [*((f"rider-{n}", ["rider"]) for n in range(RIDERS)), ("dispatcher", ["dispatcher", "driver"])]:
        if accounts.find(name) is None:
            accounts.add(name, PASSWORD, *role)
    accounts.close()
    with running(folder, SERVICES="ride", LIMITS__REQUESTS_PER_S="0") as hub:
        result = asyncio.run(measure(hub, fill, seconds))
        errors = [line for line in hub.logs if line.get("level") in ("error", "critical")]
        result["errors"] = [f"{line.get('event')} {line.get('reason', '')}" for line in errors][:5]
    return {"name": "request to offers over HTTP, durable, with the layers running", **result}


if __name__ == "__main__":
    import json

    print(json.dumps(run(bool(os.environ.get("QUICK"))), indent=1, ensure_ascii=False))
