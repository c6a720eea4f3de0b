"""``hanmaru trace contacts``: who had contact with index cases, from a file of visits."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hanmaru.trace import tables
from hanmaru.trace.domain import Ints, TraceError, Visits
from hanmaru.trace.engine import exposure
from hanmaru.trace.engine.plane import Plane

COLUMNS = {
    "subject": tables.TEXT,
    "start": tables.WHEN,
    "end": tables.WHEN,
    "lat": tables.LAT,
    "lon": tables.LON,
    "radius_m": tables.MAYBE_METRES,
    "place_id": tables.MAYBE_TEXT,
}
RADIUS_M = 50.0
"""The error of positions of which the file does not say it."""


def run(source: Path, index: Sequence[str], out: str, as_json: bool) -> None:
    """Write the contacts of index subjects to ``out``. Raises TraceError for what the user can correct."""
    began = time.perf_counter()
    listed = _listed(index)
    table = _around(source, listed) if source.is_dir() else tables.read(source, COLUMNS)
    visits, subjects, plane, warnings = read(table, source)
    wanted = _positions(listed, subjects, source)
    pairs, _ = exposure.contacts(visits, wanted)
    lon, lat = plane.lonlat(pairs.x_m, pairs.y_m)
    tables.write(
        out,
        {
            "index": [subjects[i] for i in pairs.index.tolist()],
            "subject": [subjects[i] for i in pairs.subject.tolist()],
            "probability": np.round(pairs.probability, 6),
            "minutes": np.round(pairs.minutes, 1),
            "start": tables.times(pairs.start_s),
            "end": tables.times(pairs.end_s),
            "lat": np.round(lat, 6),
            "lon": np.round(lon, 6),
            "rank": pairs.rank,
        },
    )
    expected = float(pairs.probability.sum())
    seconds = time.perf_counter() - began
    summary = {
        "visits": len(visits),
        "subjects": len(subjects),
        "index": len(wanted),
        "pairs": len(pairs),
        "expected_contacts": round(expected, 1),
        "seconds": round(seconds, 3),
        "warnings": warnings,
    }
    tables.tell(
        out,
        json.dumps(summary)
        if as_json
        else f"{len(pairs):,} people ranked for {len(wanted):,} cases among {len(subjects):,}, "
        f"some {expected:,.0f} of them contacts, in {seconds:.1f} s" + "".join(f"\nnote: {w}" for w in warnings),
    )


def _around(folder: Path, subjects: Sequence[str]) -> pa.Table:
    """Return the visits of subjects and of everybody who was near them, from an index of the lake."""
    from hanmaru.trace.lake.engines import open_engine
    from hanmaru.trace.lake.index import open_index

    with tempfile.TemporaryDirectory(prefix="hanmaru-lake-") as scratch, open_engine("duckdb", Path(scratch)) as lake:
        index = open_index(lake, folder)
        found = index.around(index.visits_of(subjects))
    return found.append_column("place_id", pa.nulls(found.num_rows, pa.string()))


def read(table: pa.Table, source: Path) -> tuple[Visits, list[str], Plane, list[str]]:
    """Return a file's visits, sorted, its subjects in their order, the plane, and what is worth saying of it."""
    start, end = tables.seconds(table, "start"), tables.seconds(table, "end")
    if (wrong := np.flatnonzero(end < start)).size:
        first = int(wrong[0]) + (1 if source.suffix == ".parquet" else 2)
        raise TraceError(f"{source.name}, row {first}, column end: the visit ends before it starts")
    subjects, (subject,) = tables.encode(table["subject"])
    _, (place,) = tables.encode(table["place_id"])
    lon, lat, radius = (tables.floats(table, name) for name in ("lon", "lat", "radius_m"))
    warnings: list[str] = []
    if unknown := int(np.isnan(radius).sum()):
        warnings.append(f"{unknown} visits without radius_m are taken to be right to {RADIUS_M:g} m")
    plane = Plane.about(lon, lat)
    x, y = plane.xy(lon, lat)
    radius = np.where(np.isnan(radius), RADIUS_M, radius)
    rows = (subject, start, end, x, y, radius, place)
    order = np.lexsort(rows[::-1])
    new = np.ones(len(order), bool)
    new[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in rows], axis=0)
    if doubled := len(order) - int(new.sum()):  # their minutes would count twice
        warnings.append(f"{doubled} visits that are there twice are counted once")
        order = order[new]
    visits = Visits(subject[order], start[order], end[order], x[order], y[order], radius[order], place[order])
    return visits, subjects, plane, warnings


def _listed(index: Sequence[str]) -> list[str]:
    """Return the subjects that options name, each an id or, after ``@``, a file of ids, one a line."""
    out: list[str] = []
    for one in index:
        if not one.startswith("@"):
            out.append(one)
            continue
        try:
            lines = Path(one[1:]).read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TraceError(f"the list of index subjects {one[1:]} cannot be read: {error}") from None
        out += [line.strip() for line in lines if line.strip()]
    if not out:
        raise TraceError("no index subject is named; say --index ID, or --index @FILE with an id a line")
    return list(dict.fromkeys(out))


def _positions(index: list[str], subjects: list[str], source: Path) -> Ints:
    at = {subject: i for i, subject in enumerate(subjects)}
    if unknown := [one for one in index if one not in at]:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise TraceError(f"{source.name} has no visits of {', '.join(unknown[:3])}{more}; check --index")
    return np.array([at[one] for one in index], np.int64)
