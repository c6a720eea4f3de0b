"""The index of a city's day: everybody's visits, once by place and once by person, so that a case's surroundings are
a few row groups of a file and not a scan.
"""

# pyarrow ships no types.
# pyright: basic, reportOperatorIssue=false, reportArgumentType=false

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import msgspec
import pyarrow as pa

from hanmaru.platform import disk
from hanmaru.trace.domain import TraceError
from hanmaru.trace.lake.engines import Engine, Kernel, check_events, parquet_files
from hanmaru.trace.lake.kernels import VISITS
from hanmaru.trace.lake.queries import surroundings, with_tile, within

ABOUT = "index.json"


class About(msgspec.Struct, frozen=True):
    """What an index says of itself."""

    version: int
    events: int
    visits: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Index:
    """An index in a folder, and the engine that reads it."""

    engine: Engine
    folder: Path
    about: About

    def visits_of(self, subjects: Sequence[str]) -> pa.Table:
        """Return the visits of subjects, by subject and start. Raises TraceError for one who has none."""
        people = self.engine.read(self.folder / "by-subject.parquet")
        found = self.engine.fetch(people.filter(people["subject"].isin(list(subjects))).order_by("subject", "start"))
        missing = sorted(set(subjects) - set(found["subject"].unique().to_pylist()))
        if missing:
            raise TraceError(f"the index has no visits of {', '.join(missing[:5])}; see the subjects of its events")
        return found.select(VISITS.names)

    def around(self, visits: pa.Table) -> pa.Table:
        """Return every visit, those included, that overlaps the surroundings of some visits in place and time."""
        windows = surroundings(visits)
        places = self.engine.read(self.folder / "by-place.parquet")
        tiles = windows["tile"].unique().to_pylist()
        found = within(places.filter(places["tile"].isin(tiles)), ibis.memtable(windows))
        return self.engine.fetch(found.order_by("subject", "start")).select(VISITS.names)


def build(
    engine: Engine, events: Sequence[Path], kernel: Kernel, out: Path, done: Callable[[float], None] = lambda _: None
) -> Index:
    """Make the index of events (Parquet: ``subject``, ``time``, ``lat``, ``lon`` and the like) in a new folder.

    ``done`` hears the fraction that is done. Raises TraceError where ``out`` is there already, or for events that lack
    a column or a zone.
    """
    if out.exists():
        raise TraceError(f"{out} is there already; give another --out, or remove it")
    began = time.monotonic()
    check_events(events, ("subject", "time", "lat", "lon"))
    table = engine.read(*events)
    making = out.with_name(out.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        engine.run(table, kernel, VISITS, making / "visits", lambda share: done(0.9 * share))
        visits = with_tile(engine.read(making / "visits"))
        engine.write(visits, ["tile", "start", "subject"], making / "by-place.parquet")
        engine.write(visits.drop("tile"), ["subject", "start"], making / "by-subject.parquet")
        shutil.rmtree(making / "visits")
        about = About(1, _rows(events), _rows([making / "by-subject.parquet"]), round(time.monotonic() - began, 3))
        disk.replace(making / ABOUT, msgspec.json.encode(about))
        making.rename(out)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    done(1.0)
    return Index(engine, out, about)


def open_index(engine: Engine, folder: Path) -> Index:
    """Return the index in a folder. Raises TraceError where there is none."""
    try:
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.DecodeError):
        raise TraceError(f"{folder} is no index; make one with: hanmaru trace index EVENTS --out {folder}") from None
    return Index(engine, folder, about)


def _rows(paths: Sequence[Path]) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for path in paths for file in parquet_files(path))
