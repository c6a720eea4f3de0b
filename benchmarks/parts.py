"""Runs a group of benchmarks part by part, keeping each result as soon as it is there, so that a run can go on."""

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
QUICK = bool(os.environ.get("QUICK"))


def commit(group: str) -> str:
    """Return the commit that is measured, ``-dirty`` where the sources or the group's benchmarks differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=HERE, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src", group)
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


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


def run(group: str, parts: Sequence[str]) -> None:
    """Run the parts that the command line asks for, all without any, unless this commit has measured them."""
    console = Console(width=140)
    results = HERE / "results" / (f"{group}-quick.json" if QUICK else f"{group}.json")
    here = commit(group)
    kept: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    for part in sys.argv[1:] or parts:
        if kept.get(part, {}).get("commit") == here and "dirty" not in here:
            console.print(f"{part}: measured already on {here}")
        else:
            console.print(f"{part} …")
            began = time.monotonic()
            result = importlib.import_module(f"benchmarks.{group}.{part}").run(QUICK)
            machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[1]}
            kept[part] = {
                "commit": here,
                "seconds": round(time.monotonic() - began),
                "machine": machine,
                "result": result,
            }
            results.parent.mkdir(exist_ok=True)
            results.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        table = Table(title=f"{part} ({here})", title_justify="left", show_header=False)
        for name, text in flat(kept[part]["result"]):
            table.add_row(name, text)
        console.print(table)
