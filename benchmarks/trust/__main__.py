"""What policy and audit cost the hub's throughput: the same hub with and without them, turn about, in one run.

Both run at once on folders of their own and are loaded in turns, so that what else the machine does hits both. Every
request is audited, reads too. ``python -m benchmarks.trust`` prints a table and writes
``benchmarks/results/trust.json``;
``QUICK=1`` takes shorter turns.
"""

import asyncio
import json
import os
import platform
import sys
import tempfile
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import aiohttp
from rich.console import Console
from rich.table import Table

from benchmarks.hub.__main__ import JSON, NGSI, TYPE, entity, free_port, server
from benchmarks.hub.load import measure
from benchmarks.trust.serve import PASSWORD

QUICK = bool(os.environ.get("QUICK"))
ENTITIES = 5_000 if QUICK else 20_000
SECONDS, TURNS = (2, 3) if QUICK else (5, 6)
AIM = 0.15
RESULTS = Path(__file__).parents[1] / "results" / "trust.json"
BASIC = "Basic " + b64encode(f"bench:{PASSWORD}".encode()).decode()
HEADERS = f'{{["Authorization"]="{BASIC}",{JSON[1:]}'


def lua(method: str, path: str, body: str = "nil") -> str:
    """Return Lua that sends a request; ``path`` and ``body`` are Lua expressions, ``n`` counts the requests."""
    return f"""
    local n = 0
    math.randomseed(os.time())
    local start = math.random(1, 1000000000)
    request = function()
      n = n + 1
      return wrk.format("{method}", {path}, {HEADERS}, {body})
    end
    """


LOADS = {
    "create": lua("POST", f'"{NGSI}/entities"', 'entity(n, start .. "-" .. n)'),
    "retrieve": lua("GET", f'"{NGSI}/entities/urn:ngsi-ld:AirQualityObserved:" .. math.random(1, {ENTITIES})'),
    "batch upsert × 20": lua("POST", f'"{NGSI}/entityOperations/upsert?options=update"', f"batch(20, {ENTITIES})"),
    "query by type": lua("GET", f'"{NGSI}/entities?{TYPE}&offset=" .. math.random(0, 200)'),
}


async def fill(base: str) -> None:
    """Create the entities."""
    async with aiohttp.ClientSession(headers={"Authorization": BASIC}) as session:
        for start in range(1, ENTITIES + 1, 500):
            body = [entity(n) for n in range(start, start + 500)]
            async with session.post(f"{base}{NGSI}/entityOperations/create", json=body) as answer:
                assert answer.status == 201, await answer.text()


def main() -> None:
    """Run both, turn about, and print what the difference is."""
    console = Console(width=120)
    rates: dict[str, dict[str, list[float]]] = {name: {"on": [], "off": []} for name in LOADS}
    bases: dict[str, str] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hanmaru-bench-"))
        for mode in ("on", "off"):
            port = free_port()
            bases[mode] = f"http://127.0.0.1:{port}"
            command = [sys.executable, "-m", "benchmarks.trust.serve", mode, str(port), f"{folder}/{mode}"]
            (Path(folder) / mode).mkdir()
            stack.enter_context(server(command, f"{bases[mode]}/readyz"))
            asyncio.run(fill(bases[mode]))
        for name, script in LOADS.items():
            for turn in range(TURNS + 1):
                for mode in ("on", "off") if turn % 2 else ("off", "on"):
                    figures = measure(bases[mode], script, seconds=SECONDS)
                    assert not figures.errors, f"{name}, {mode}: {figures.errors} errors"
                    if turn:  # the first is to warm up
                        rates[name][mode].append(figures.rate)
    table = Table(title=f"policy and audit of every request: {TURNS} turns of {SECONDS} s each, medians")
    for column in ("", "with/s", "without/s", "cost", "turn by turn", "aim"):
        table.add_column(column, justify="left" if not column else "right")
    costs: dict[str, float] = {}
    for name, both in rates.items():
        turns = [1 - on / off for on, off in zip(both["on"], both["off"], strict=True)]
        costs[name] = median(turns)
        spread = f"{min(turns):+.0%} to {max(turns):+.0%}"
        table.add_row(
            name,
            f"{median(both['on']):,.0f}",
            f"{median(both['off']):,.0f}",
            f"{costs[name]:.1%}",
            spread,
            f"≤ {AIM:.0%}",
        )
    console.print(table)
    result = {
        "entities": ENTITIES,
        "seconds": SECONDS,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "rates": rates,
        "cost": costs,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
