"""The vault's operations beside the same rows in plain SQLite, with and without the audit trail, in one run.

``python -m benchmarks.vault`` prints a table and writes ``benchmarks/results/vault.json``; ``QUICK=1`` takes a tenth.
"""

import asyncio
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.vault.plain import Plain
from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.policy import Caller
from hanmaru.platform.policy.cedar import Decision
from hanmaru.platform.vault import Desk, Index, Vaults, lake

QUICK = bool(os.environ.get("QUICK"))
SUBJECTS = 200 if QUICK else 2_000
EACH = 10
"""Records of a subject: one person who is looked up, and visits."""
SECONDS = 0.3 if QUICK else 0.7
ROUNDS = 1 if QUICK else 3
DESTROYED = 100
CLIP_BYTES = 32 * 2**20
ROWS = 100_000 if QUICK else 1_000_000
RESULTS = Path(__file__).parents[1] / "results" / "vault.json"
INDEXES = (Index("name", "person.name", ("exact", "phonetic")), Index("phone", "person.phone"))
GIVEN = [a + b for a in "민서지도하예주시은채" for b in "준윤우현연원아진서율"]

Figures = dict[str, float]
Work = Callable[[], Awaitable[object]]


class Nowhere:
    """An audit trail that keeps nothing."""

    def record(self, record: Record) -> None:
        """Forget a record."""

    async def commit(self, record: Record) -> None:
        """Forget a record."""


class Everything:
    """A policy that permits everything: what policy costs is measured elsewhere."""

    def decide(self, caller: Caller, action: str, resource: str = "", *, purpose: str = "") -> Decision:
        """Permit."""
        return Decision(True)


def phone(n: int) -> str:
    """Return the telephone number of the nth person."""
    return f"010{n * 7_919 % 10**8:08}"


def records(n: int, subject: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield the records of the nth subject, each some 0.9 KB as JSON."""
    note = "".join(random.Random(n).choices("abcdefghij klmnop", k=740))
    name = "김이박최정강조윤장임"[n % 10] + GIVEN[n // 10 % 100]
    yield subject, "person", "p", {"name": name, "phone": phone(n), "born": "1990-01-01", "note": note}
    for visit in range(EACH - 1):
        yield subject, "visit", f"v{visit}", {"place": f"place {visit}", "from": 1_700_000_000 + visit, "note": note}


async def rate(work: Work, callers: int = 1) -> float:
    """Return how often work is done each second, asked by some callers at once."""
    done, end = 0, time.perf_counter() + SECONDS

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await work()
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - started)


async def timed(work: Awaitable[object]) -> float:
    """Return how many seconds work takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def each(works: Iterable[Awaitable[object]]) -> None:
    """Do one thing after another."""
    for work in works:
        await work


async def measure(store: Any, subjects: list[str], find: Callable[[str], Awaitable[list[str]]]) -> Figures:
    """Measure what both have: returns operations, or records, each second."""
    rng = random.Random(1)
    every = [record for n, subject in enumerate(subjects) for record in records(n, subject)]
    figures: Figures = {}

    async def fill() -> None:
        for start in range(0, len(every), 500):
            await store.put_many(every[start : start + 500])

    figures["put, 500 at once"] = len(every) / await timed(fill())
    figures["put, one by one"] = await rate(lambda: store.put_many([rng.choice(every)]))
    figures["put, 32 callers"] = await rate(lambda: store.put_many([rng.choice(every)]), 32)
    figures["get, one by one"] = await rate(lambda: store.get_many([rng.choice(every)[:3]]))
    figures["get, 32 callers"] = await rate(lambda: store.get_many([rng.choice(every)[:3]]), 32)
    many = [record[:3] for record in every]
    figures["get, 100 at once"] = 100 * await rate(lambda: store.get_many(rng.sample(many, 100)))
    figures["find by number"] = await rate(lambda: find(phone(rng.randrange(len(subjects)))))
    assert await find(phone(7)) == [subjects[7]]
    return figures


async def measure_vault(folder: Path, audit: Audit) -> Figures:
    """Measure a vault, with what plain SQLite does not do."""
    vaults = Vaults(folder / "data", folder / "keys", audit, Everything())
    vaults.room("bench").declare(*INDEXES)
    desk = vaults.room("bench").at(Caller("bench"), "benchmark")
    subjects: list[str] = []

    async def open_all() -> None:
        for start in range(0, SUBJECTS, 500):
            subjects.extend(await desk.open_subjects("case", min(500, SUBJECTS - start)))

    opened = SUBJECTS / await timed(open_all())
    figures = await measure(desk, subjects, lambda value: desk.find("phone", value))
    figures["find by sound"] = await rate(
        lambda: desk.find("name", f"Kim {random.choice(['Minjun', 'Seoyeon'])}", True)
    )
    figures["open subjects, 500 at once"] = opened
    figures["destroy"] = DESTROYED / await timed(each(desk.destroy(one, "benchmark") for one in subjects[:DESTROYED]))
    figures |= await measure_files(desk, folder)
    vaults.close()
    return figures


async def measure_files(desk: Desk, folder: Path) -> Figures:
    """Measure a clip and a table, in MB and rows each second."""
    subject = await desk.open_subject("dataset")

    async def clip() -> AsyncIterator[bytes]:
        part = os.urandom(2**20)
        for _ in range(CLIP_BYTES // len(part)):
            yield part

    async def read() -> None:
        found = await desk.get_blob(subject, "clip", "c")
        assert found
        async for _ in found:
            pass

    table = table_of_calls()
    await lake.write_table(desk, subject, "warm-up", table.slice(0, 1_000))
    await lake.read_table(desk, subject, "warm-up")
    return {
        "write a clip, MB": CLIP_BYTES / 1e6 / await timed(desk.put_blob(subject, "clip", "c", clip())),
        "read a clip, MB": CLIP_BYTES / 1e6 / await timed(read()),
        "write a table, rows": ROWS / await timed(lake.write_table(desk, subject, "calls", table)),
        "read a table, rows": ROWS / await timed(lake.read_table(desk, subject, "calls")),
    }


def table_of_calls() -> pa.Table:
    """Return a table of telephone positions."""
    rng = random.Random(3)
    return pa.table(
        {
            "phone": [phone(n % 5_000) for n in range(ROWS)],
            "at": range(ROWS),
            "lon": [127 + rng.random() for _ in range(ROWS)],
            "lat": [36 + rng.random() for _ in range(ROWS)],
        }
    )


async def measure_plain(folder: Path) -> Figures:
    """Measure plain SQLite, a plain file and plain Parquet."""
    plain = Plain(folder / "plain.db")
    subjects = [f"case-{random.randbytes(13).hex()}" for _ in range(SUBJECTS)]
    figures = await measure(plain, subjects, plain.find)
    figures["destroy"] = DESTROYED / await timed(each(plain.destroy(one) for one in subjects[:DESTROYED]))
    plain.db.close()
    part, path = os.urandom(2**20), folder / "clip"

    def write() -> None:
        with path.open("wb") as file:
            for _ in range(CLIP_BYTES // len(part)):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())

    def read() -> None:
        with path.open("rb") as file:
            while file.read(2**18):
                pass

    table, parquet = table_of_calls(), folder / "calls.parquet"
    await asyncio.to_thread(pq.write_table, table.slice(0, 1_000), parquet)
    await asyncio.to_thread(lambda: pq.ParquetFile(parquet).read())
    figures["write a clip, MB"] = CLIP_BYTES / 1e6 / await timed(asyncio.to_thread(write))
    figures["read a clip, MB"] = CLIP_BYTES / 1e6 / await timed(asyncio.to_thread(read))
    figures["write a table, rows"] = ROWS / await timed(asyncio.to_thread(pq.write_table, table, parquet))
    figures["read a table, rows"] = ROWS / await timed(asyncio.to_thread(lambda: pq.ParquetFile(parquet).read()))
    return figures


async def run() -> dict[str, Figures]:
    """Measure all three turn about, and return the median of each figure: a box is rarely idle all the time."""
    rounds: dict[str, list[Figures]] = {"plain": [], "vault": [], "vault with audit trail": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="hanmaru-bench-", dir="/var/tmp") as name:
            folder = Path(name)
            rounds["plain"].append(await measure_plain(folder))
            rounds["vault"].append(await measure_vault(folder / "vault", Nowhere()))
            with Trail(folder / "audited" / "data", folder / "audited" / "keys", "bench") as trail:
                rounds["vault with audit trail"].append(await measure_vault(folder / "audited", trail))
    return {
        name: {figure: median(each[figure] for each in figures) for figure in figures[0]}
        for name, figures in rounds.items()
    }


def main() -> None:
    """Measure, print side by side, and keep the result."""
    found = asyncio.run(run())
    title = f"vault: {SUBJECTS:,} subjects, {EACH} records of 0.9 KB each; a second; SQLite WAL, synchronous=FULL"
    table = Table(title=title)
    for column in ("", *found, "of plain"):
        table.add_column(column, justify="left" if not column else "right")
    for name, figure in found["vault"].items():
        plain = found["plain"].get(name)
        share = f"{figure / plain:.0%}" if plain else ""
        table.add_row(name, *(f"{figures[name]:,.0f}" if name in figures else "" for figures in found.values()), share)
    Console(width=120).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "subjects": SUBJECTS,
        "records": SUBJECTS * EACH,
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "durability": "SQLite WAL, synchronous=FULL; keys.db TRUNCATE, synchronous=EXTRA",
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "per_s": found,
    }
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
