"""The live map: from a change in the hub to the screen with 50 viewers, and 50,000 entities that move in a browser.

``change to pixel``: a hub with one web worker and 5,000 vehicles takes 1,000 changes a second in batches; 49 viewers
read the stream of a dozen tiles each, a fiftieth is Chromium with an entity's details open. A probe among the vehicles
says a new speed four times a second. A viewer's time is from sending the probe's request to having its frame; the
browser's to the animation frame after the one that put the number on the page (both clocks are this machine's).

``50,000 moving``: as many vehicles, each changing place, 1,000 a second in turn. Chromium shows the city (clusters from
the server), then a district (each vehicle by itself, gliding). Long tasks are what the browser calls so (over 50 ms);
``longest_script_ms`` is the most time that scripts took in one animation frame of over 50 ms (Long Animation Frames).
The map is drawn by software here, by the same two processors that run the hub.
"""

import asyncio
import math
import os
import random
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
from playwright.async_api import CDPSession, Page, async_playwright

from hanmaru.centre.live.geometry import project
from tests.running import running

CENTRE = (127.2890, 36.4800)
PROBE = "urn:ngsi-ld:Vehicle:probe"
VIEWERS, CHANGES_PER_S, BATCH = 50, 1000, 250
WATCH = """
window.long = []; window.scripts = [];
new PerformanceObserver((list) => {
  for (const e of list.getEntries()) window.long.push(e.duration);
}).observe({ type: 'longtask' });
new PerformanceObserver((list) => {
  for (const e of list.getEntries()) window.scripts.push(e.scripts.reduce((sum, one) => sum + one.duration, 0));
}).observe({ type: 'long-animation-frame' });
"""
SHOWN = """() => new MutationObserver(() => {
  const shown = document.querySelector('.details .tile[data-attr=speed] b')?.textContent;
  if (shown && !((window.shown ??= {})[shown])) {
    window.shown[shown] = 1;
    requestAnimationFrame(() => requestAnimationFrame(() => { window.shown[shown] = Date.now(); }));
  }
}).observe(document.body, { subtree: true, childList: true, characterData: true })"""


def vehicle(id: str, lon: float, lat: float, speed: float) -> dict[str, Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "id": id,
        "type": "Vehicle",
        "speed": {"type": "Property", "value": speed, "observedAt": at},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}},
    }


class Fleet:
    """Vehicles that go round in circles within some 10 km of the centre."""

    def __init__(self, count: int, url: str, session: aiohttp.ClientSession) -> None:
        rng = random.Random(7)
        self.places = [(rng.uniform(-0.08, 0.08), rng.uniform(-0.06, 0.06), rng.random()) for _ in range(count)]
        self.url, self.session, self.next, self.turn, self.sent = url, session, 0, 0, 0

    def one(self, n: int) -> dict[str, Any]:
        east, north, phase = self.places[n]
        angle = 2 * math.pi * (phase + self.turn / 20)
        lon, lat = CENTRE[0] + east + 0.003 * math.cos(angle), CENTRE[1] + north + 0.003 * math.sin(angle)
        return vehicle(f"urn:ngsi-ld:Vehicle:{n}", lon, lat, n % 90)

    async def write(self, entities: list[dict[str, Any]]) -> None:
        body, headers = msgspec.json.encode(entities), {"content-type": "application/json"}
        address = f"{self.url}/ngsi-ld/v1/entityOperations/upsert?options=update"
        async with self.session.post(address, data=body, headers=headers) as answer:
            assert answer.status in (201, 204), await answer.text()

    async def fill(self) -> None:
        for first in range(0, len(self.places), 1000):
            await self.write([self.one(n) for n in range(first, min(first + 1000, len(self.places)))])

    async def drive(self, seconds: float) -> None:
        """Send `CHANGES_PER_S` for so long, each vehicle in its turn; what the hub cannot take in time is late."""
        began = time.monotonic()
        sent = 0
        while (now := time.monotonic() - began) < seconds:
            if sent >= now * CHANGES_PER_S:
                await asyncio.sleep(0.01)
                continue
            batch = [self.one((self.next + n) % len(self.places)) for n in range(BATCH)]
            self.turn += (self.next + BATCH) // len(self.places)
            self.next = (self.next + BATCH) % len(self.places)
            sent += BATCH
            await self.write(batch)
        self.sent = sent


def tiles_around(z: int) -> list[str]:
    n = 1 << z
    x, y = (int(part * n) for part in project(*CENTRE))
    return [f"{z}/{x + dx}/{y + dy}" for dy in (-1, 0, 1) for dx in (-1, 0, 1, 2)]


async def look(
    session: aiohttp.ClientSession, url: str, z: int, heard: dict[int, list[float]], stats: list[int]
) -> None:
    """Read a stream until cancelled, noting when each of the probe's speeds came."""
    params = {"tiles": ",".join(tiles_around(z)), "ids": PROBE}
    async with session.get(f"{url}/api/centre/v1/live", params=params, timeout=aiohttp.ClientTimeout(None)) as answer:
        kept = b""
        async for chunk in answer.content.iter_any():
            now = time.time()
            stats[0] += len(chunk)
            kept += chunk
            *events, kept = kept.split(b"\n\n")
            for event in events:
                if b'"id/' in event[:60] and event.startswith(b"event: frame"):
                    data = msgspec.json.decode(event.split(b"data: ", 1)[1])
                    for entries in data["set"].values():
                        for _, values in entries:
                            if "speed" in values:
                                heard.setdefault(values["speed"], []).append(now)


def percentiles(times_s: list[float]) -> dict[str, Any]:
    ordered = sorted(times_s)
    at = lambda share: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))])  # noqa: E731
    return {"samples": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "most_ms": at(1)}


async def opened(page: Page, url: str, fragment: str = "") -> CDPSession:
    await page.add_init_script(WATCH)
    await page.goto(f"{url}/{fragment}")
    await page.locator(".map[data-drawn]").wait_for(state="attached", timeout=60_000)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    return devtools


def cpu_s(pid: int) -> float:
    """Return the processor time of a hub and all of its processes so far."""
    family = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in [family, *family.children(recursive=True)])


async def to_pixel(url: str, page: Page, seconds: float, session: aiohttp.ClientSession, hub: int) -> dict[str, Any]:
    fleet = Fleet(5000, url, session)
    await fleet.fill()
    await fleet.write([vehicle(PROBE, *CENTRE, 100_000)])
    await opened(page, url, f"#entity={PROBE}")
    await page.locator(".details .tile[data-attr=speed] b").wait_for()
    await page.evaluate(SHOWN)
    heard: dict[int, list[float]] = {}
    stats = [0]
    viewers = [asyncio.create_task(look(session, url, 11 + n % 4, heard, stats)) for n in range(VIEWERS - 1)]
    await asyncio.sleep(2)
    stats[0] = 0
    drive = asyncio.create_task(fleet.drive(seconds))
    cpu, began = cpu_s(hub), time.monotonic()
    sent: dict[int, float] = {}
    while not drive.done():
        speed = 100_001 + len(sent)
        sent[speed] = time.time()
        await fleet.write([vehicle(PROBE, *CENTRE, speed)])
        await asyncio.sleep(0.25)
    await drive
    took, used = time.monotonic() - began, cpu_s(hub) - cpu
    await asyncio.sleep(2)
    shown: dict[str, float] = await page.evaluate("window.shown")
    for viewer in viewers:
        viewer.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    # A window may hold two of the probe's values: who waited for the first saw it overtaken by the second.
    arrived = [at - sent[speed] for speed, times in heard.items() if speed in sent for at in times]
    pixels = [at / 1000 - sent[n] for text, at in shown.items() if (n := int(text.replace(",", ""))) in sent and at > 1]
    return {
        "changes_per_s": round(fleet.sent / took),
        "frames": percentiles(arrived),
        "pixels": percentiles(pixels),
        "probe_values": len(sent),
        "kB_per_s_and_viewer": round(stats[0] / took / 1000 / (VIEWERS - 1), 1),
        "hub_cpu": round(used / took, 2),
    }


async def smooth(url: str, page: Page, seconds: float, session: aiohttp.ClientSession) -> dict[str, Any]:
    fleet = Fleet(50_000, url, session)
    await fleet.fill()
    devtools = await opened(page, url)
    result: dict[str, Any] = {"entities": 50_000}
    for name, clicks in (("the city, clustered", 0), ("a district, each by itself", 3)):
        for _ in range(clicks):
            await page.get_by_role("button", name="Zoom in").click()
            await asyncio.sleep(1.5)
        await asyncio.sleep(4)
        await page.evaluate("window.long.length = window.scripts.length = 0")

        async def metric(key: str) -> float:
            metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
            return next(one["value"] for one in metrics if one["name"] == key)

        scripts = await metric("ScriptDuration")
        began = time.monotonic()
        await fleet.drive(seconds)
        took = time.monotonic() - began
        long: list[float] = await page.evaluate("window.long")
        slow: list[float] = await page.evaluate("window.scripts")
        result[name] = {
            "changes_per_s": round(fleet.sent / took),
            "in_sight": int(await page.locator(".map").get_attribute("data-drawn") or 0),
            "long_tasks": len(long),
            "longest_task_ms": round(max(long, default=0)),
            "longest_script_ms": round(max(slow, default=0)),
            "script_share": round((await metric("ScriptDuration") - scripts) / took, 3),
        }
    return result


async def measure(quick: bool) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return {"skipped": "no Chromium"}
    seconds = 15.0 if quick else 60.0
    arguments = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    found: dict[str, Any] = {}
    async with async_playwright() as playwright:
        sandbox = os.geteuid() != 0
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=sandbox, args=arguments)
        for name in ("change to pixel", "50,000 moving"):
            with (
                tempfile.TemporaryDirectory() as folder,
                running(Path(folder), "--no-demo", AUTH="off", SERVICES="centre", WEB_WORKERS="1") as hub,
            ):
                context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
                connector = aiohttp.TCPConnector(limit=0)
                async with aiohttp.ClientSession(connector=connector) as session:
                    page = await context.new_page()
                    if name == "change to pixel":
                        found[name] = await to_pixel(hub.url, page, seconds, session, hub.process.pid)
                    else:
                        found[name] = await smooth(hub.url, page, seconds, session)
                await context.close()
        await browser.close()
    return found


def run(quick: bool) -> dict[str, Any]:
    """Measure both; ``quick`` for 15 s each instead of a minute."""
    return asyncio.run(measure(quick))
