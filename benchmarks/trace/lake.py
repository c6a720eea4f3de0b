"""The lake from 1 to 300 million events, on DuckDB and on a Spark cluster of one worker: seconds and memory.

Events are the test city's: a part of its people for a day, all of them, and all of them for several days. Each engine
and size runs in a process of its own; memory is the most that it and its children hold at once.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.parts import commit
from hanmaru.trace.tables import TIME

CACHE = Path(__file__).parents[2] / "build" / "benchmarks" / "trace-city"
MILLIONS = (1, 10, 91, 300)
PEOPLE = 390_000
CASES = 10
START = "2026-03-02"
INDEXED_BY_SPARK = 91
"""Spark indexes no more than this many million events here: on two cores that takes it long enough."""


def run(quick: bool) -> dict[str, Any]:
    """Return figures by engine and size; what this commit has measured already is not measured again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / f"runs-{commit('trace')}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    rows: list[dict[str, Any]] = []
    for millions in MILLIONS[:1] if quick else MILLIONS:
        files = [str(file) for file in events(millions, quick)]
        for engine in ("duckdb", "spark"):
            key = f"{engine} {millions} {'quick' if quick else 'full'}"
            if key not in done:
                command = [sys.executable, "-m", "benchmarks.trace.lake", engine, str(millions), *files]
                answer = subprocess.run(
                    command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
                )
                done[key] = json.loads(answer.stdout)
                kept.write_text(json.dumps(done))
            rows.append(done[key])
            print("  ", rows[-1], flush=True)
    return {"events": "the test city, layout A, seed 1", "cases": CASES, "runs": rows}


def events(millions: int, quick: bool) -> list[Path]:
    """Return Parquet files with about so many million events, made where they are missing."""
    people = 4_400 if quick else PEOPLE
    whole = -(-millions // 91)
    city = CACHE / f"{people}-{whole}"
    if not (city / "truth").exists():
        shutil.rmtree(city, ignore_errors=True)
        sizes = ["--people", str(people), "--days", str(whole), "--cases", "1"]
        subprocess.run(["hanmaru", "trace", "synth", str(city), "--start", START, *sizes], check=True)
    files = sorted(city.glob("phone/day=*/*.parquet"))
    taken, rows = [], 0
    for file in files:
        if rows >= millions * 1_000_000:
            break
        taken.append(file)
        rows += pq.read_metadata(file).num_rows
    return taken


def measure(engine: str, millions: int, files: list[Path]) -> dict[str, Any]:
    """Return what one engine takes for one size: a scan and join, the index, and contacts of cases from it."""
    from hanmaru.trace.lake.engines import DuckDB, Spark
    from hanmaru.trace.lake.index import build
    from hanmaru.trace.lake.kernels import visits_of
    from hanmaru.trace.lake.queries import present
    from tests.trace.spark import cluster

    out: dict[str, Any] = {"engine": engine, "millions": millions}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE)))
        warm = pq.read_table(files[0]).slice(0, 20_000).sort_by([("subject", "ascending"), ("time", "ascending")])
        visits_of(warm)  # compiles the kernel, which an engine worker has done long before
        lake: Any
        if engine == "spark":
            settings = {
                "spark.executor.memory": "6g",
                "spark.driver.host": "127.0.0.1",
                "spark.sql.shuffle.partitions": "8",
                "spark.local.dir": str(folder),
            }
            lake = stack.enter_context(Spark(stack.enter_context(cluster(folder, memory="7g")), settings))
        else:
            lake = stack.enter_context(DuckDB(folder / "scratch", memory_gb=6))
        memory = stack.enter_context(Memory())
        began = time.perf_counter()
        people = lake.fetch(present(lake.read(*files), ibis.memtable(windows(warm)), 30))
        out |= {"events": sum(pq.read_metadata(file).num_rows for file in files)}
        out |= {"present_s": round(time.perf_counter() - began, 2), "present_people": people.num_rows}
        if engine == "duckdb" or millions <= INDEXED_BY_SPARK:
            index = build(lake, files, visits_of, folder / "index")
            out |= {"index_s": round(index.about.seconds, 1), "visits": index.about.visits}
            subjects = cases(warm)
            times = []
            for _again in range(3):
                began = time.perf_counter()
                pairs = contacts(index, subjects)
                times.append(round(time.perf_counter() - began, 2))
            out |= {"contacts_of_10_s": times, "pairs": pairs}
        out |= {"memory_gb": round(memory.most / 2**30, 2)}
    return out


def cases(table: pa.Table) -> list[str]:
    """Return the subjects that play the cases."""
    return sorted(table["subject"].unique().to_pylist())[:CASES]


def windows(table: pa.Table) -> pa.Table:
    """Return a request's windows: the ten cells that the first people used most, for three hours at noon."""
    counted = pc.value_counts(table["cell_id"].combine_chunks()).to_pylist()
    cells = [row["values"] for row in sorted(counted, key=lambda row: (-row["counts"], row["values"]))[:10]]
    noon = np.datetime64(START + "T03:00:00", "us")
    start, end = (pa.array(np.full(len(cells), at)).cast(TIME) for at in (noon, noon + np.timedelta64(3, "h")))
    return pa.table({"area": ["here"] * len(cells), "cell_id": cells, "start": start, "end": end})


def contacts(index: Any, subjects: list[str]) -> int:
    """Return how many pairs the cases' surroundings give, ranked."""
    from hanmaru.trace.contacts_command import read
    from hanmaru.trace.engine import exposure

    around = index.around(index.visits_of(subjects))
    around = around.append_column("place_id", pa.nulls(around.num_rows, pa.string()))
    visits, names, _, _ = read(around, index.folder)
    at = {name: i for i, name in enumerate(names)}
    pairs, _ = exposure.contacts(visits, np.array([at[subject] for subject in subjects], np.int64))
    return len(pairs)


class Memory:
    """The most resident memory of this process and its children, sampled five times a second."""

    def __enter__(self) -> "Memory":
        """Begin to sample."""
        self.most, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.2):
            held = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.most = max(self.most, held)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), [Path(file) for file in sys.argv[3:]])))
