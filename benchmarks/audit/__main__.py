"""The audit trail over 1,000,000 records, beside a SQLite table, a synced log file and sha256sum in the same run.

``python -m benchmarks.audit`` prints a table and writes ``benchmarks/results/audit.json``; ``QUICK=1`` takes a tenth.
"""

import asyncio
import json
import os
import platform
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.audit import peers
from hanmaru.platform.audit.index import Index, Query
from hanmaru.platform.audit.lines import segments
from hanmaru.platform.audit.record import Record
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.audit.verify import verify

QUICK = bool(os.environ.get("QUICK"))
RECORDS = 100_000 if QUICK else 1_000_000
GROUP = 64
PSEUDONYMS = RECORDS // 10
SEARCHES = 300
RESULTS = Path(__file__).parents[1] / "results" / "audit.json"
BUSY = "s-busy"
"""A pseudonym that every fiftieth record is about; the others have ten or so each."""


def record(n: int) -> Record:
    """Return the n-th record: what a look at personal data through the vault leaves behind."""
    seed = n * 2_654_435_761 % (1 << 32)
    return Record(
        f"user-{seed % 50}",
        ("vault.read", "vault.find", "write", "vault.write")[seed % 4],
        f"vault:trace/case/{seed:08x}-{n:08x}",
        purpose="역학조사: 접촉자 확인",
        subjects=(BUSY if n % 50 == 0 else f"s-{seed % PSEUDONYMS:026}",),
        where=f"10.0.{seed % 7}.{seed % 250}",
        request=f"{n:016x}",
    )


def groups() -> Iterator[list[Record]]:
    """Yield all records in groups."""
    for start in range(0, RECORDS, GROUP):
        yield [record(n) for n in range(start, min(start + GROUP, RECORDS))]


def spread(seconds: list[float], unit: float = 1e-3) -> dict[str, float]:
    """Return median, 99th percentile and largest, in milliseconds or another unit."""
    ordered = sorted(seconds)
    at = {"p50": len(ordered) // 2, "p99": int(len(ordered) * 0.99), "max": -1}
    return {name: round(ordered[n] / unit, 4) for name, n in at.items()}


def appended(seconds: list[float]) -> dict[str, Any]:
    """Return what appending in groups took, from the seconds of each group."""
    return {
        "rate_per_s": round(RECORDS / sum(seconds)),
        "group_ms": spread(seconds),
        "record_ms": spread([each / GROUP for each in seconds]),
    }


def one_by_one(data: Path) -> dict[str, Any]:
    """Record without waiting for the disk, as requests to the hub do; return what each call took."""
    taken: list[float] = []
    with Trail(data, data / "keys", "web-1") as trail:
        for n in range(RECORDS):
            each = record(n)
            started = time.perf_counter()
            trail.record(each)
            taken.append(time.perf_counter() - started)
    return {"rate_per_s": round(RECORDS / sum(taken)), "record_ms": spread(taken)}


def committed(data: Path) -> list[float]:
    """Commit in groups of callers that wait together, as looks at personal data do; return seconds by group."""
    taken: list[float] = []

    async def run() -> None:
        for group in groups():
            started = time.perf_counter()
            await asyncio.gather(*(trail.commit(each) for each in group))
            taken.append(time.perf_counter() - started)

    with Trail(data, data / "keys", "web-1") as trail:
        asyncio.run(run())
    return taken


def searched(data: Path, subjects: list[str]) -> list[float]:
    """Return the seconds that finding each subject's newest 100 records takes, read back and checked."""
    taken: list[float] = []
    for subject in subjects:
        started = time.perf_counter()
        page = Index(data / "audit").search(Query(subject=subject, limit=100))
        taken.append(time.perf_counter() - started)
        assert page.records
        assert all(found.sound for found in page.records)
    return taken


def main() -> None:
    """Run each in turn and print them side by side."""
    console = Console(width=120)
    result: dict[str, Any] = {
        "records": RECORDS,
        "group": GROUP,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory(prefix="hanmaru-bench-") as name:
        folder = Path(name)
        console.print(f"appending {RECORDS:,} records one by one, in groups of {GROUP}, and to the peers …")
        result["record"] = one_by_one(folder / "one")
        data = folder / "data"
        result["commit"] = appended(committed(data))
        result["sqlite"] = appended(peers.sqlite(folder / "peer.db", groups()))
        result["log_file"] = appended(peers.log_file(folder / "peer.log", groups()))
        files = segments(data / "audit" / "web-1")
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("verifying")
            report = verify(
                data, data / "keys", progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
        assert report.ok, report.findings
        started = time.perf_counter()
        subprocess.run(["sha256sum", *map(str, files)], check=True, stdout=subprocess.DEVNULL)
        floor = time.perf_counter() - started
        result["verify"] = {"seconds": report.seconds, "bytes": report.bytes, "records": report.records}
        result["sha256sum_s"] = round(floor, 3)
        started = time.perf_counter()
        Index(data / "audit").catch_up()
        result["index"] = {
            "seconds": round(time.perf_counter() - started, 1),
            "bytes": (data / "audit" / "index.db").stat().st_size,
        }
        chosen = random.Random(1)
        subjects = [next(iter(record(chosen.randrange(RECORDS)).subjects)) for _ in range(SEARCHES - 10)] + [BUSY] * 10
        result["search_ms"] = spread(searched(data, subjects))
        result["search_busy_ms"] = spread(searched(data, [BUSY] * 50))
        result["sqlite_search_ms"] = spread(peers.sqlite_search(folder / "peer.db", subjects))
    result["load_at_end"] = os.getloadavg()[0]
    show(console, result)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


def show(console: Console, result: dict[str, Any]) -> None:
    """Print the result as tables."""
    table = Table(title=f"audit: appending {RECORDS:,} records")
    for column in ("", "records/s", "p50 ms a record", "p99 ms a record", "p99 ms a group", "aim p99 ms a record"):
        table.add_column(column, justify="left" if not column else "right")
    for title, key in (
        ("record(): survives kill -9, on disk within 1 s", "record"),
        (f"commit(): on disk and sealed, {GROUP} at once", "commit"),
        (f"SQLite, WAL, synchronous=FULL, {GROUP} at once", "sqlite"),
        (f"logging to a file, fsync after {GROUP}", "log_file"),
    ):
        each = result[key]
        group = f"{each['group_ms']['p99']:.1f}" if "group_ms" in each else ""
        aim = "1" if key in ("record", "commit") else ""
        record_ms = each["record_ms"]
        table.add_row(
            title, f"{each['rate_per_s']:,}", f"{record_ms['p50']:.4f}", f"{record_ms['p99']:.4f}", group, aim
        )
    console.print(table)
    checked, found = result["verify"], result["search_ms"]
    console.print(
        f"verify: {checked['seconds']:.1f} s for {checked['records']:,} records, {checked['bytes'] / 2**20:.0f} MiB "
        f"(aim 30 s; sha256sum of the same files {result['sha256sum_s']:.2f} s)"
    )
    console.print(f"index: {result['index']['seconds']:.1f} s, {result['index']['bytes'] / 2**20:.0f} MiB")
    console.print(
        f"search by pseudonym: p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f}, max {found['max']:.1f} (aim 200 ms); "
        f"one of {RECORDS // 50:,} records p99 {result['search_busy_ms']['p99']:.1f}; "
        f"SQLite's own table p50 {result['sqlite_search_ms']['p50']:.1f}, p99 {result['sqlite_search_ms']['p99']:.1f}"
    )


if __name__ == "__main__":
    main()
