"""Trips and networks in files: CSV or Parquet by suffix, each wrong value named by file, row and column.

Trips have positions (``origin_lon``, ...), or nodes of the network (``origin``, ``destination``); FleetPy's names for
nodes and times are understood. Networks are FleetPy's ``nodes.csv`` and ``edges.csv``.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# PyArrow brings no types.

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from hanmaru.ride.domain import Floats, RideError, Rows
from hanmaru.ride.sim.trips import Trips

MOST_ROWS = 2_000_000
MOST_SEATS = 100
FLEETPY = {
    "rq_time": "time",
    "start": "origin",
    "end": "destination",
    "earliest_pickup_time": "depart",
    "number_passenger": "seats",
}
POSITIONS = ("origin_lon", "origin_lat", "dest_lon", "dest_lat")
NODES = ("origin", "destination")
FAR_S = 10 * 366 * 86400


class Table:
    """A table of texts; rows are numbered as a spreadsheet shows them, the header being row 1."""

    def __init__(self, path: Path) -> None:
        """Read a file. Raises RideError where it is none, is empty or has rows of unequal length."""
        self.name = path.name
        try:
            head, rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
        except FileNotFoundError:
            raise RideError(f"{path}: there is no such file") from None
        except OSError as error:
            raise RideError(f"{path} cannot be read: {error.strerror or error}") from None
        self.columns = [FLEETPY.get(name, name) for name in head]
        self.rows = rows
        if twice := [name for name in self.columns if name and self.columns.count(name) > 1]:
            raise RideError(f"{self.name} has several columns {twice[0]}; leave one")

    def need(self, *names: str) -> None:
        """Raise RideError where a column is missing."""
        if missing := [name for name in names if name not in self.columns]:
            has = ", ".join(self.columns[:20]) or "nothing"
            raise RideError(f"{self.name} lacks the column {', '.join(missing)}; it has {has}")

    def numbers(self, name: str, low: float, high: float, *, whole: bool = False, blank: float | None = None) -> Floats:
        """Return a column of numbers between two bounds; ``blank`` stands where there is none, if that may be."""
        if name not in self.columns and blank is not None:
            return np.full(len(self.rows), blank)

        def number(text: str) -> float:
            if not text and blank is not None:
                return blank
            value = float(text)
            if not low <= value <= high or (whole and value != int(value)):
                raise ValueError
            return value

        kind = "a whole number" if whole else "a number"
        return np.array(list(self._each(name, number, f"{kind} from {low:g} to {high:g}")), np.float64)

    def times(self, name: str, midnight_s: int) -> Floats:
        """Return a column of times as Unix seconds, NaN where blank: ISO 8601 with an offset, or seconds of the day."""

        def moment(text: str) -> float:
            if not text:
                return math.nan
            try:
                seconds = float(text)
            except ValueError:
                when = datetime.fromisoformat(text)
                if when.tzinfo is None:
                    raise
                return when.timestamp()
            if not 0 <= seconds <= FAR_S:
                raise ValueError
            return midnight_s + seconds

        wanted = "a time with its offset such as 2026-05-06T08:00:00+09:00, or seconds since midnight"
        return np.array(list(self._each(name, moment, wanted)), np.float64)

    def _each(self, name: str, parse: Callable[[str], float], wanted: str) -> Iterator[float]:
        self.need(name)
        at = self.columns.index(name)
        for number, row in self.rows:
            try:
                yield parse(row[at].strip())
            except (ValueError, OverflowError):
                raise RideError(f"{self.name}, row {number}, column {name}: {row[at]!r} is not {wanted}") from None


def _csv(path: Path) -> tuple[list[str], list[tuple[int, Sequence[str]]]]:
    rows: list[tuple[int, Sequence[str]]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        try:
            head = [name.strip() for name in next(lines, [])]
            for row in lines:
                if not row:
                    continue
                if len(row) != len(head):
                    raise RideError(f"{path.name}, row {lines.line_num}: {len(row)} values for {len(head)} columns")
                rows.append((lines.line_num, row))
                if len(rows) > MOST_ROWS:
                    raise RideError(f"{path.name} has more than {MOST_ROWS:,} rows; take a shorter span of time")
        except UnicodeDecodeError:
            raise RideError(f"{path.name} is not UTF-8; save it as UTF-8") from None
        except csv.Error as error:
            raise RideError(f"{path.name}, row {lines.line_num}: {error}") from None
    return head, rows


def _parquet(path: Path) -> tuple[list[str], list[tuple[int, Sequence[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise RideError(f"{path.name} cannot be read: {error}") from None
    if table.num_rows > MOST_ROWS:
        raise RideError(f"{path.name} has more than {MOST_ROWS:,} rows; take a shorter span of time")
    columns = [
        ["" if v is None else v.isoformat() if isinstance(v, datetime) else str(v) for v in column.to_pylist()]
        for column in table.columns
    ]
    return list(table.column_names), [(i + 2, row) for i, row in enumerate(zip(*columns, strict=True))]


def trips(path: Path, midnight_s: int) -> tuple[Trips, bool]:
    """Return the trips in a file and whether they have times; without, all are at ``midnight_s`` and want arrivals.

    Columns: ``time`` of asking, optional; ``depart``, from when on the rider can leave, by default the time of asking;
    ``origin_lon``, ``origin_lat``, ``dest_lon``, ``dest_lat``, or nodes ``origin``, ``destination``; ``seats`` (1) and
    ``wheelchairs`` (0). Raises RideError for what is wrong, naming row and column.
    """
    table = Table(path)
    if not table.rows:
        raise RideError(f"{table.name} has no trips")
    if any(name in table.columns for name in POSITIONS):
        table.need(*POSITIONS)
        lon, lat, lon_to, lat_to = (
            table.numbers(name, *((-180, 180) if name.endswith("lon") else (-90, 90))) for name in POSITIONS
        )
        origin: Floats | Rows = np.column_stack((lon, lat))
        destination: Floats | Rows = np.column_stack((lon_to, lat_to))
    else:
        if not any(name in table.columns for name in NODES):
            raise RideError(f"{table.name} needs the columns {', '.join(POSITIONS)}; or {', '.join(NODES)} for nodes")
        origin, destination = (
            table.numbers(name, 0, 2**31 - 1, whole=True).astype(np.int32)[:, None] for name in NODES
        )
    n = len(table.rows)
    timed = "time" in table.columns
    asked = table.times("time", midnight_s) if timed else np.full(n, float(midnight_s))
    depart = table.times("depart", midnight_s) if timed and "depart" in table.columns else asked
    if (unknown := np.flatnonzero(np.isnan(asked))).size:
        raise RideError(f"{table.name}, row {table.rows[int(unknown[0])][0]}, column time: there is no time")
    seats = table.numbers("seats", 0, MOST_SEATS, whole=True, blank=1)
    wheelchairs = table.numbers("wheelchairs", 0, MOST_SEATS, whole=True, blank=0)
    if (nobody := np.flatnonzero(seats + wheelchairs == 0)).size:
        raise RideError(f"{table.name}, row {table.rows[int(nobody[0])][0]}, column seats: nobody would ride")
    found = Trips(
        asked.astype(np.int64),
        np.where(np.isnan(depart), asked, np.maximum(depart, asked)).astype(np.int64),
        origin,
        destination,
        seats.astype(np.int32),
        wheelchairs.astype(np.int32),
    )
    return found.some(np.ones(n, bool)), timed


def links(folder: Path) -> tuple[int, Rows, Rows, Floats, Floats]:
    """Return a network of FleetPy's format: nodes, then source, target, seconds and metres of its m links.

    ``nodes.csv`` has ``node_index``; ``edges.csv`` has ``from_node``, ``to_node``, ``distance``, ``travel_time``.
    """
    base = folder / "base" if (folder / "base").is_dir() else folder
    nodes, edges = Table(base / "nodes.csv"), Table(base / "edges.csv")
    index = nodes.numbers("node_index", 0, MOST_ROWS, whole=True)
    if (astray := np.flatnonzero(index != np.arange(len(index)))).size:
        raise RideError(
            f"nodes.csv, row {int(astray[0]) + 2}, column node_index: nodes are numbered 0, 1, 2, … in order"
        )
    last = len(index) - 1
    source, target = (edges.numbers(name, 0, last, whole=True).astype(np.int32) for name in ("from_node", "to_node"))
    return (
        len(index),
        source,
        target,
        edges.numbers("travel_time", 1e-6, 1e6),
        edges.numbers("distance", 0, 1e7),
    )
