"""Demand-responsive transit beside its peers.

``python -m benchmarks.ride`` prints every part and writes ``benchmarks/results/ride.json``; name parts to run only
those; ``QUICK=1`` takes a short form. Parts that this commit has measured already are not run again. Peers run in
an environment of their own, ``.venv-peers``, which is made where it is absent.
"""

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ride import commit, python

PARTS = ("roads", "insertion", "pdptw", "darp", "fleetpy", "manhattan", "http")
QUICK = bool(os.environ.get("QUICK"))
RESULTS = Path(__file__).parents[1] / "results" / ("ride-quick.json" if QUICK else "ride.json")


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a result holds as names and texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name} · {key}" if name else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            label = " ".join(str(inner[key]) for key in list(inner)[:2])
            yield from flat(dict(list(inner.items())[2:]), f"{name} · {label}")
    else:
        yield name, f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """Run the parts that are asked for and not measured yet, keeping each as soon as it is done."""
    console = Console(width=140)
    here = commit()
    python()
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in sys.argv[1:] or PARTS:
        if kept.get(part, {}).get("commit") == here and "dirty" not in here:
            console.print(f"{part}: measured already on {here}")
        else:
            console.print(f"{part} …")
            began = time.monotonic()
            result = importlib.import_module(f"benchmarks.ride.{part}").run(QUICK)
            machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[1]}
            kept[part] = {
                "commit": here,
                "seconds": round(time.monotonic() - began),
                "machine": machine,
                "result": result,
            }
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        table = Table(title=f"{part} ({here})", title_justify="left", show_header=False)
        for name, text in flat(kept[part]["result"]):
            table.add_row(name, text)
        console.print(table)


if __name__ == "__main__":
    main()
