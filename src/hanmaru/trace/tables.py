"""Tables in files: CSV or Parquet in, checked and typed; CSV, Parquet or standard output out.

A table is read by a fast reader; where that stumbles, a careful one goes row by row and says which row and column is
wrong. Rows are numbered as a spreadsheet shows them: in CSV the header is row 1.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false, reportUnknownLambdaType=false
# PyArrow brings no types.

import csv
import io
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from hanmaru.platform import disk
from hanmaru.trace.domain import Floats, Ints, TraceError

Kind = Literal["text", "time", "number", "lat", "lon", "metres"]
TIME = pa.timestamp("us", "UTC")
TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "time": TIME,
    "number": pa.float64(),
    "lat": pa.float64(),
    "lon": pa.float64(),
    "metres": pa.float64(),
}
RANGES: dict[Kind, tuple[float, float]] = {
    "number": (-math.inf, math.inf),
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 180.0),
    "metres": (0.0, math.inf),
}
BLANK = ["", "NA", "NaN", "nan", "null"]
"""What stands for no value in a column of numbers or times."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds; ``needed`` ones must be there, with a value in every row."""

    kind: Kind
    needed: bool = True


TEXT, WHEN, LAT, LON = Column("text"), Column("time"), Column("lat"), Column("lon")
MAYBE_TEXT, MAYBE_WHEN, MAYBE_NUMBER, MAYBE_METRES, MAYBE_LAT, MAYBE_LON = (
    Column(kind, needed=False) for kind in cast("list[Kind]", ["text", "time", "number", "metres", "lat", "lon"])
)
Columns = Mapping[str, Column]


def read(
    source: Path | bytes, columns: Columns, *, name: str | None = None, spoiled: list[TraceError] | None = None
) -> pa.Table:
    """Return the ``columns`` of a CSV or Parquet file, in that order: text, numbers (float64), times (UTC, µs).

    Optional columns that the file lacks are null in every row; other columns are ignored. Times are ISO 8601 with Z or
    an offset, numbers finite and in the range of their kind. Raises TraceError for the first row that is wrong, naming
    file, row and column; with a list ``spoiled``, such rows are left out and their errors put there.
    """
    named = name or (source.name if isinstance(source, Path) else "the table")
    content = _content(source, named)
    try:
        if content[:4].to_pybytes() == PARQUET:
            return _read_parquet(content, columns, named, spoiled)
        if isinstance(source, Path) and source.suffix == ".parquet":
            raise TraceError(f"{named} is not a Parquet file; give it the suffix .csv if it is CSV")
        return _read_csv(content, columns, named, spoiled)
    except pa.ArrowInvalid as error:
        raise TraceError(f"{named} cannot be read: {error}") from None


def seconds(table: pa.Table, name: str) -> Ints:
    """Return a column of times as Unix seconds, fractions cut off; TraceError where one is missing."""
    column = table[name]
    if column.null_count:
        raise TraceError(f"column {name} lacks a time in {column.null_count} rows")
    return cast(Ints, column.cast(pa.int64()).to_numpy() // 1_000_000)


def floats(table: pa.Table, name: str) -> Floats:
    """Return a column of numbers, NaN where there is none."""
    return np.asarray(table[name].to_numpy(), dtype=np.float64)


def encode(*columns: pa.ChunkedArray) -> tuple[list[str], list[Ints]]:
    """Return the sorted ids of all ``columns`` and, for each of those, the ids as indices into them, -1 for none."""
    ends = np.cumsum([len(column) for column in columns])
    if all(column.null_count == len(column) for column in columns):
        return [], np.split(np.full(ends[-1], -1, np.int64), ends[:-1])
    merged = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    coded = cast(Any, merged).combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    values: list[str] = coded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(len(values)), -1
    codes: Ints = rank[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return [values[i] for i in order], np.split(codes, ends[:-1])


def times(unix_s: npt.NDArray[np.integer[Any]]) -> pa.Array:
    """Return Unix seconds as a column of times for `write`."""
    return pa.array(np.asarray(unix_s, dtype=np.int64)).cast(pa.timestamp("s", "UTC"))


def write(out: str | Path, columns: Mapping[str, Any]) -> None:
    """Write a table to a file that its owner alone may read, Parquet if it ends so, else CSV; ``-`` is standard output.

    The file is whole or not there; columns are arrays or lists of n values, times as `times` gives them.
    """
    table = pa.table({key: value if isinstance(value, pa.Array) else pa.array(value) for key, value in columns.items()})
    if str(out) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(_csv(table))
        sys.stdout.buffer.flush()
        return
    path = Path(out)
    if path.suffix == ".parquet":
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        content = sink.getvalue()
    else:
        content = _csv(table)
    if path.exists() and not path.is_file():  # a pipe, a device
        path.write_bytes(content)
    else:
        disk.replace(path, content)


def tell(out: str | Path, text: str) -> None:
    """Print a command's summary: to standard output, or to standard error where the table itself goes there."""
    print(text, file=sys.stderr if str(out) == "-" else sys.stdout)


def _content(source: Path | bytes, name: str) -> pa.Buffer:
    if isinstance(source, bytes):
        return pa.py_buffer(source)
    try:
        with pa.memory_map(str(source)) as file:
            return file.read_buffer()
    except FileNotFoundError:
        raise TraceError(f"{source}: there is no such file") from None
    except OSError as error:
        raise TraceError(f"{name} cannot be opened: {error}") from None


def _check_names(found: Sequence[str], columns: Columns, name: str) -> None:
    missing = [key for key, column in columns.items() if column.needed and key not in found]
    if missing:
        has = ", ".join(found[:20]) or "nothing"
        raise TraceError(f"{name} lacks the column {', '.join(missing)}; it has {has}")
    double = [key for key in columns if found.count(key) > 1]
    if double:
        raise TraceError(f"{name} has several columns {double[0]}; leave one")


def _read_csv(content: pa.Buffer, columns: Columns, name: str, spoiled: list[TraceError] | None) -> pa.Table:
    rows = _csv_rows(content, name)
    _, header = next(rows, (0, []))
    if not header:
        raise TraceError(f"{name} is empty; its first line names the columns: {', '.join(columns)}")
    _check_names(header, columns, name)
    there = [key for key in columns if key in header]
    options = arrow_csv.ConvertOptions(
        column_types={key: _loaded(columns[key].kind) for key in there},
        include_columns=there,
        null_values=BLANK,
        strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    try:
        table = arrow_csv.read_csv(pa.BufferReader(content), parse_options=parse, convert_options=options)
        if (finished := _finished(table, columns)) is not None:
            return finished
    except pa.ArrowInvalid:
        pass
    at = [header.index(key) for key in there]

    def values() -> Iterator[tuple[int, list[Any] | TraceError]]:
        for number, row in rows:
            if len(row) == len(header):
                yield number, [row[i] for i in at]
            else:
                yield number, TraceError(f"{name}, row {number}: {len(row)} values for {len(header)} columns")

    return _careful(values(), there, columns, name, spoiled)


def _csv_rows(content: pa.Buffer, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not blank, with the line each ends on."""
    text = io.TextIOWrapper(pa.BufferReader(content), "utf-8-sig", errors="surrogateescape", newline="")
    lines = csv.reader(text)
    try:
        for row in lines:
            if row:
                yield lines.line_num, row
    except csv.Error as error:
        raise TraceError(f"{name}, row {lines.line_num}: {error}") from None


def _read_parquet(content: pa.Buffer, columns: Columns, name: str, spoiled: list[TraceError] | None) -> pa.Table:
    file = pq.ParquetFile(pa.BufferReader(content))
    _check_names(file.schema_arrow.names, columns, name)
    there = [key for key in columns if key in file.schema_arrow.names]
    table = file.read(columns=there).select(there)
    for i, key in enumerate(there):
        kind, column = columns[key].kind, table[key]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if kind == "time" and pa.types.is_timestamp(column.type):
            if column.type.tz is None:
                raise TraceError(f"{name}, column {key}: times without a zone; store them with one, such as UTC")
            column = _to_time(column)
        elif kind == "time" and not _is_text(column.type):
            raise TraceError(f"{name}, column {key}: times are wanted, not {column.type}")
        elif kind == "text" and not _is_text(column.type) and not pa.types.is_integer(column.type):
            raise TraceError(f"{name}, column {key}: text is wanted, not {column.type}")
        elif kind == "text":
            column = column.cast(pa.string())
        table = table.set_column(i, key, column)
    try:
        types = [TIME if table[key].type == TIME else _loaded(columns[key].kind) for key in there]
        typed = table.cast(pa.schema(list(zip(there, types, strict=True))))
        if (finished := _finished(typed, columns)) is not None:
            return finished
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    rows = zip(*(table[key].to_pylist() for key in there), strict=True)
    return _careful(((i, list(row)) for i, row in enumerate(rows, 1)), there, columns, name, spoiled)


def _loaded(kind: Kind) -> pa.DataType:
    return pa.timestamp("ns", "UTC") if kind == "time" else TYPES[kind]


def _to_time(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times with an offset or in nanoseconds as `TIME`: in UTC, fractions of a microsecond cut off."""
    if column.type.unit == "ns":
        column = cast(Any, pc).floor_temporal(column, unit="microsecond")
    return column.cast(TIME)


def _is_text(type: pa.DataType) -> bool:
    return pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type)


def _finished(table: pa.Table, columns: Columns) -> pa.Table | None:
    """Return what a fast reader read with the missing columns added, or None if a value in it is not allowed."""
    made: dict[str, pa.ChunkedArray | pa.Array] = {}
    compute = cast(Any, pc)
    for key, expected in columns.items():
        if key not in table.column_names:
            made[key] = pa.nulls(len(table), TYPES[expected.kind])
            continue
        column: Any = table[key]
        if expected.kind == "text":
            column = _without(compute.equal(column, ""), column)
        elif expected.kind == "time":
            column = _to_time(column)
        else:
            column = _without(compute.is_nan(column), column)
            low, high = RANGES[expected.kind]
            extent = compute.min_max(column).as_py()
            if extent["min"] is not None and not (
                low <= extent["min"] and extent["max"] <= high and math.isfinite(extent["max"] - extent["min"])
            ):
                return None
        if expected.needed and column.null_count:
            return None
        made[key] = column
    return pa.table(made)


def _without(blank: Any, column: Any) -> pa.ChunkedArray:
    """Return a column with nulls where ``blank`` is true; mostly nothing is, and nothing is copied."""
    compute = cast(Any, pc)
    return compute.if_else(blank, pa.scalar(None, column.type), column) if compute.any(blank).as_py() else column


def _careful(
    rows: Iterable[tuple[int, list[Any] | TraceError]],
    there: list[str],
    columns: Columns,
    name: str,
    spoiled: list[TraceError] | None,
) -> pa.Table:
    made: dict[str, list[Any]] = {key: [] for key in there}
    count = 0
    for number, row in rows:
        try:
            if isinstance(row, TraceError):
                raise row
            values = [
                _value(columns[key], raw, f"{name}, row {number}, column {key}")
                for key, raw in zip(there, row, strict=True)
            ]
        except TraceError as error:
            if spoiled is None:
                raise
            spoiled.append(error)
            continue
        count += 1
        for key, value in zip(there, values, strict=True):
            made[key].append(value)
    return pa.table(
        {
            key: pa.array(made[key], TYPES[column.kind]) if key in made else pa.nulls(count, TYPES[column.kind])
            for key, column in columns.items()
        }
    )


def _value(column: Column, raw: object, where: str) -> object:
    """Return one value as its column wants it, None for none; TraceError says what is wrong with it."""
    text = str(raw).strip() if column.kind != "text" else str(raw)
    if raw is None or text in ([""] if column.kind == "text" else BLANK):
        if column.needed:
            raise TraceError(f"{where} is empty")
        return None
    if column.kind == "text":
        if not text.isprintable() and any("\udc80" <= sign <= "\udcff" for sign in text):
            raise TraceError(f"{where} is not UTF-8; save the file as UTF-8")
        return text
    shown = text if len(text) <= 40 else text[:40] + "…"
    if column.kind == "time":
        try:
            when = raw if isinstance(raw, datetime) else datetime.fromisoformat(text)
            if when.tzinfo is None:
                raise TraceError(f"{where}: {shown} has no zone; write it as 2020-05-01T09:00:00+09:00 or …Z")
            return (when - EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            raise TraceError(f"{where}: {shown} is no time; write it as 2020-05-01T09:00:00+09:00 or …Z") from None
    try:
        number = float(text)
    except ValueError:
        raise TraceError(f"{where}: {shown} is not a number") from None
    low, high = RANGES[column.kind]
    if not math.isfinite(number):
        raise TraceError(f"{where}: {shown} is not finite")
    if not low <= number <= high:
        wanted = f"between {low:g} and {high:g}" if math.isfinite(high) else f"at least {low:g}"
        raise TraceError(f"{where}: {shown} is not {wanted}")
    return number


def _csv(table: pa.Table) -> bytes:
    compute = cast(Any, pc)
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):  # four times as fast as strftime
            column = table[i].cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("s")).cast(pa.string())
            column = compute.binary_join_element_wise(compute.utf8_replace_slice(column, 10, 11, "T"), "Z", "")
            table = table.set_column(i, field.name, column)
    header = (",".join(table.column_names) + "\n").encode()
    for style in ("none", "needed"):
        sink = io.BytesIO()
        try:
            arrow_csv.write_csv(table, sink, arrow_csv.WriteOptions(include_header=False, quoting_style=style))
            return header + sink.getvalue()
        except pa.ArrowInvalid:  # a value that needs quotes
            if style == "needed":
                raise
    raise AssertionError
