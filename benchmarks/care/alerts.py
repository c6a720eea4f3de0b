"""From a kiosk's visit to the alert on nurses' screens, over HTTP, on a whole hub with accounts, policy and audit.

The hub runs as anybody's would, with two web workers. Kiosks hand in visits; one in four needs a doctor today. Ten
screens follow the alerts as server-sent events. What counts is the time from sending the urgent visit to having read
its event, on every screen; beside it, how long the kiosk waited for its answer, which comes once the visit (some fifty
resources, in one transaction) is on disk. `WARM` visits before that are not counted: workers load what they need once.
"""

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.care.visiting import PASSWORD, citizen, furnish, posted, records_of, settle
from tests.running import Running, running

SCREENS, KIOSKS, CITIZENS, WARM = 10, 4, 40, 12
EVERY_S = 1.0
"""How long a kiosk waits between two visits: nine places are a few visits a minute."""


class Seen:
    """When each visit was sent and when its alert was read, on each screen."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.answered: list[float] = []
        self.read: list[float] = []
        self.ready = 0


async def screen(hub: Running, http: aiohttp.ClientSession, seen: Seen) -> None:
    """Follow the alerts as a nurse's screen does."""
    headers = {"authorization": aiohttp.encode_basic_auth("nari", PASSWORD)}
    async with http.get(f"{hub.url}/api/care/v1/alerts/live", headers=headers) as stream:
        async for line in stream.content:
            now = time.perf_counter()
            if line.startswith(b"event: alerts"):
                seen.ready += 1
            elif line.startswith(b'data: {"id"') and (sent := seen.sent.get(json.loads(line[6:])["encounter"])):
                seen.read.append(now - sent)


async def kiosk(hub: Running, http: aiohttp.ClientSession, seen: Seen, seed: int, visits: int) -> None:
    """Hand in visits of citizens."""
    rng = random.Random(seed)
    headers = {"authorization": aiohttp.encode_basic_auth("kiosk-1", PASSWORD)}
    for turn in range(visits):
        await asyncio.sleep(rng.expovariate(1 / EVERY_S))
        visit = posted(*((192, 112) if turn % 4 == 0 else (128, 79)), card=f"card {rng.randrange(CITIZENS)}")
        began = time.perf_counter()
        if turn % 4 == 0:
            seen.sent[visit["id"]] = began
        async with http.post(f"{hub.url}/api/care/v1/visits", json=visit, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            await answer.read()
        seen.answered.append(time.perf_counter() - began)


async def measured(hub: Running, visits: int) -> Seen:
    seen = Seen()
    timeout, connector = aiohttp.ClientTimeout(total=600), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        await asyncio.gather(*(kiosk(hub, http, Seen(), -1 - seed, WARM // KIOSKS) for seed in range(KIOSKS)))
        screens = [asyncio.create_task(screen(hub, http, seen)) for _ in range(SCREENS)]
        while seen.ready < SCREENS:  # noqa: ASYNC110 - another process answers
            await asyncio.sleep(0.05)
        await asyncio.gather(*(kiosk(hub, http, seen, seed, visits) for seed in range(KIOSKS)))
        async with asyncio.timeout(30):
            while len(seen.read) < len(seen.sent) * SCREENS:  # noqa: ASYNC110 - another process tells
                await asyncio.sleep(0.05)
        for each in screens:
            each.cancel()
        await asyncio.gather(*screens, return_exceptions=True)
    return seen


async def settled(folder: Path) -> None:
    async with records_of(settle(folder)) as records:
        await furnish(records)
        for n in range(CITIZENS):
            await citizen(records, f"card {n}", "store", "follow-up")


def spread(times_s: list[float]) -> dict[str, Any]:
    """Return percentiles in milliseconds."""
    ordered = sorted(times_s)

    def at(share: float) -> float:
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"n": len(ordered), "p50 ms": at(0.5), "p95 ms": at(0.95), "p99 ms": at(0.99), "max ms": at(1)}


def run(quick: bool) -> dict[str, Any]:
    """Measure; ``quick`` takes 10 visits per kiosk instead of 60."""
    visits = 10 if quick else 60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(settled(folder))
        with running(folder, SERVICES="care", CITY="hanbit", WEB_WORKERS="2") as hub:
            seen = asyncio.run(measured(hub, visits))
    return {
        "screens": SCREENS,
        "kiosks": KIOSKS,
        "visits": len(seen.answered),
        "urgent": len(seen.sent),
        "kiosk's visit → alert read on a screen": spread(seen.read),
        "kiosk's visit → its answer": spread(seen.answered),
    }
