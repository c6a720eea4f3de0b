"""The hub's hot paths over 100,000 entities, each beside the raw ceiling of the box in the same run.

``python -m benchmarks.hub`` prints a table and writes ``benchmarks/results/hub.json``; ``QUICK=1`` takes a tenth.
"""

import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.hub.load import Figures, measure

QUICK = bool(os.environ.get("QUICK"))
ENTITIES = 10_000 if QUICK else 100_000
SECONDS = 3 if QUICK else 10
RESULTS = Path(__file__).parents[1] / "results" / "hub.json"
NGSI = "/ngsi-ld/v1"
JSON = '{["Content-Type"]="application/json"}'
TYPE = "type=AirQualityObserved&limit=20"


def post(path: str, body: str) -> str:
    """Return Lua that posts; ``n`` counts the requests."""
    return f"""
    local n = 0
    math.randomseed(1)
    request = function()
      n = n + 1
      return wrk.format("POST", "{path}", {JSON}, {body})
    end
    """


def get(path: str) -> str:
    """Return Lua that gets; ``path`` is a Lua expression that may use ``math.random``."""
    return f"""
    math.randomseed(2)
    request = function() return wrk.format("GET", {path}) end
    """


BATCH = f"batch(20, {ENTITIES})"

HUB = {
    "create": post(NGSI + "/entities", 'entity(n, "new-" .. n)'),
    "retrieve": get(f'"{NGSI}/entities/urn:ngsi-ld:AirQualityObserved:" .. math.random(1, {ENTITIES})'),
    "batch upsert × 20": post(NGSI + "/entityOperations/upsert?options=update", BATCH),
    "query by type": get(f'"{NGSI}/entities?{TYPE}&offset=" .. math.random(0, 200)'),
    "query by q": get(f'"{NGSI}/entities?{TYPE}&q=pm25%3E" .. math.random(150, 198) .. "%3Bno2%3C0.5"'),
    "query by place": get(
        f'"{NGSI}/entities?{TYPE}&georel=near%3BmaxDistance==1000&geometry=Point&coordinates=%5B"'
        ' .. (127.1 + math.random() * 0.3) .. "," .. (36.4 + math.random() * 0.3) .. "%5D"'
    ),
}
BARE = {
    "create": post("/", 'entity(n, "new-" .. n)'),
    "retrieve": get(f'"/?id=urn:ngsi-ld:AirQualityObserved:" .. math.random(1, {ENTITIES})'),
    "batch upsert × 20": post("/", BATCH),
    "query by type": get('"/"'),
    "query by q": get('"/"'),
    "query by place": get('"/"'),
}
AIMS = {
    "create": 1_500,
    "retrieve": 4_000,
    "query by type": 500,
    "query by q": 500,
    "query by place": 500,
}


@contextmanager
def server(command: list[str], url: str, **settings: str) -> Iterator[None]:
    """Run a server until the end of the block, which begins once it answers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HANMARU_")} | settings
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urlopen(url).close()
                break
            except (URLError, ConnectionError):
                if process.poll() is not None:
                    sys.exit(f"{' '.join(command)} ended with status {process.returncode}")
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def entity(n: int) -> dict[str, object]:
    """Return the same entity that the load sends, for filling the stores."""
    seed = n * 2_654_435_761 % (1 << 32)

    def reading(value: float, unit: str) -> dict[str, object]:
        return {"type": "Property", "value": value, "unitCode": unit, "observedAt": "2026-11-23T06:00:00Z"}

    lon, lat = 127.1 + seed % 30_000 / 100_000, 36.4 + seed // 30_000 % 30_000 / 100_000
    return {
        "id": f"urn:ngsi-ld:AirQualityObserved:{n}",
        "type": "AirQualityObserved",
        "pm25": reading(seed % 200, "GQ"),
        "pm10": reading(seed % 300, "GQ"),
        "no2": reading(seed % 10_000 / 10_000, "59"),
        "name": {"type": "Property", "value": f"station {n}"},
        "address": {
            "type": "Property",
            "value": {"addressLocality": "Sejong", "streetAddress": "Hannuri-daero 2130"},
        },
        "refDevice": {"type": "Relationship", "object": f"urn:ngsi-ld:Device:{n}"},
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}},
    }


async def fill(url: str) -> float:
    """Create the entities in batches of 500, four at a time; return seconds."""
    started = time.perf_counter()
    starts = iter(range(1, ENTITIES + 1, 500))

    async def worker(session: aiohttp.ClientSession) -> None:
        for start in starts:
            body = [entity(n) for n in range(start, min(start + 500, ENTITIES + 1))]
            async with session.post(url, json=body) as answer:
                assert answer.status in (200, 201), await answer.text()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(4)))
    return time.perf_counter() - started


def run(base: str, loads: dict[str, str]) -> dict[str, Figures]:
    """Measure each load in turn, after a warm-up."""
    figures: dict[str, Figures] = {}
    for name, lua in loads.items():
        if name == "create":
            lua_warm = lua.replace("new-", "warm-")
        else:
            lua_warm = lua
        measure(base, lua_warm, seconds=1)
        figures[name] = measure(base, lua, seconds=SECONDS)
    return figures


def main() -> None:
    """Run both servers one after the other and print them side by side."""
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="hanmaru-bench-") as folder:
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "benchmarks.hub.bare", str(port), f"{folder}/bare.db"]
        console.print(f"filling the bare endpoint with {ENTITIES:,} documents …")
        with server(command, f"{base}/"):
            bare_fill = asyncio.run(fill(f"{base}/"))
            bare = run(base, BARE)
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        hanmaru = str(Path(sys.executable).with_name("hanmaru"))
        command = [hanmaru, "up", "--data", f"{folder}/data", "--port", str(port)]
        console.print(f"filling the hub with {ENTITIES:,} entities …")
        with server(command, f"{base}/readyz", HANMARU_AUTH="off"):
            hub_fill = asyncio.run(fill(f"{base}{NGSI}/entityOperations/create"))
            hub = run(base, HUB)
    title = (
        f"hub: {ENTITIES:,} entities of 0.9 KB, 32 connections, {SECONDS} s each, one web and one engine worker; "
        "SQLite WAL, synchronous=FULL, grouped commits"
    )
    table = Table(title=title)
    for column in ("", "requests/s", "p50 ms", "p99 ms", "errors", "raw ceiling/s", "of ceiling", "aim/s"):
        table.add_column(column, justify="left" if not column else "right")
    for name, figures in hub.items():
        ceiling = bare[name]
        table.add_row(
            name,
            f"{figures.rate:,.0f}",
            f"{figures.p50_ms:.1f}",
            f"{figures.p99_ms:.1f}",
            str(figures.errors),
            f"{ceiling.rate:,.0f}",
            f"{figures.rate / ceiling.rate:.0%}",
            f"{AIMS[name]:,}" if name in AIMS else "",
        )
    console.print(table)
    console.print(f"filled in batches of 500: hub {ENTITIES / hub_fill:,.0f}/s, bare {ENTITIES / bare_fill:,.0f}/s")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "entities": ENTITIES,
        "seconds": SECONDS,
        "durability": "SQLite WAL, synchronous=FULL, grouped commits",
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "fill_per_s": {"hub": ENTITIES / hub_fill, "bare": ENTITIES / bare_fill},
        "hub": {name: asdict(figures) for name, figures in hub.items()},
        "bare": {name: asdict(figures) for name, figures in bare.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
