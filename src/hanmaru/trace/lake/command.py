"""``hanmaru trace index`` and ``hanmaru trace present``: what the lake does on files."""

# pyarrow ships no types.
# pyright: basic

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ibis
from rich.console import Console
from rich.progress import Progress

from hanmaru.platform.console import say
from hanmaru.trace import tables
from hanmaru.trace.domain import TraceError
from hanmaru.trace.lake.engines import check_events, open_engine
from hanmaru.trace.lake.index import build
from hanmaru.trace.lake.kernels import visits_of
from hanmaru.trace.lake.queries import present


def index(events: Sequence[Path], out: Path, engine: str, as_json: bool) -> None:
    """Make an index of everybody's visits out of events in Parquet."""
    with (
        open_engine(engine, out.with_name(out.name + ".scratch")) as lake,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("Finding visits", total=1.0)
        made = build(lake, events, visits_of, out, lambda share: bar.update(task, completed=share))
    say(made.about, f"{made.about.visits:,} visits of {made.about.events:,} events in {out}", as_json)


def people(events: Sequence[Path], windows: Path, minutes: float, out: str, engine: str, as_json: bool) -> None:
    """Say who was at some cells for some time."""
    began = time.monotonic()
    columns = {"area": tables.TEXT, "cell_id": tables.TEXT, "start": tables.WHEN, "end": tables.WHEN}
    wanted = tables.read(windows, columns)
    if wanted.num_rows == 0:
        raise TraceError(f"{windows.name} has no rows; give area,cell_id,start,end of each window")
    check_events(events, ("subject", "time", "cell_id"))
    with tempfile.TemporaryDirectory(prefix="hanmaru-lake-") as scratch, open_engine(engine, Path(scratch)) as lake:
        found = lake.fetch(present(lake.read(*events), ibis.memtable(wanted), minutes))
    tables.write(out, {name: found[name].combine_chunks() for name in ("area", "subject", "first", "last", "events")})
    about = {"people": found.num_rows, "areas": len(found["area"].unique()), "seconds": time.monotonic() - began}
    tables.tell(out, json.dumps(about) if as_json else f"{about['people']:,} people in {about['areas']:,} areas")
