"""Parquet files of the test city: types and encodings that are small and quick, the same in every file."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from hanmaru.trace.domain import Bools, Ints
from hanmaru.trace.synth import name
from hanmaru.trace.tables import TIME

ROWS = 250_000
"""Rows of a row group: some 1,100 phones of a day, so that a reader of one subject skips most of a file."""


def times(seconds: Ints, missing: Bools | None = None) -> pa.Array:
    """Return Unix seconds as a column of instants, null where ``missing``."""
    return pa.array(seconds * 1_000_000, pa.int64(), mask=missing).cast(TIME)


def coded(index: Any, values: Sequence[str] | pa.Array) -> pa.DictionaryArray:
    """Return a column of text as indices into its values, null where negative."""
    index = np.asarray(index)
    mask = index < 0
    codes = pa.array(np.where(mask, 0, index).astype(np.int32), mask=mask if mask.any() else None)
    return pa.DictionaryArray.from_arrays(
        codes, values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    )


def subjects(person: Ints) -> pa.DictionaryArray:
    """Return a column of the ids of people (as `synth.name` makes them), null for negative indices."""
    known, index = np.unique(person, return_inverse=True)
    return coded(np.where(person < 0, -1, index.reshape(-1)), [name(p) for p in known.tolist()])


class Out:
    """A Parquet file that is written part by part. Text is read back as plain strings, times as UTC instants.

    Its encodings are those that every engine reads: Spark 4.0 cannot read BYTE_STREAM_SPLIT, which is smaller.
    """

    def __init__(self, path: Path) -> None:
        """Begin a file, and the folders that it lies in."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def add(self, columns: Mapping[str, Any]) -> None:
        """Write some more rows."""
        table = pa.table(dict(columns))
        if self._writer is None:
            texts = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=texts,  # pyright: ignore[reportArgumentType]
                store_schema=False,
            )
        self._writer.write_table(table, ROWS)
        self.rows += table.num_rows

    def __enter__(self) -> "Out":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def write(path: Path, columns: Mapping[str, Any]) -> int:
    """Write a Parquet file in one go and return its rows."""
    with Out(path) as out:
        out.add(columns)
    return out.rows


def csv(path: Path, columns: Mapping[str, Any]) -> int:
    """Write a CSV file and return its rows; instants are ISO 8601 with a final Z."""
    table = pa.table({k: _plain(v) for k, v in columns.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow_csv.write_csv(table, path, arrow_csv.WriteOptions(quoting_style="needed"))
    return table.num_rows


def _plain(column: Any) -> Any:
    if isinstance(column, pa.DictionaryArray):
        return column.dictionary_decode()
    if isinstance(column, pa.Array) and pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s", "UTC"))
        return cast(Any, pc).strftime(seconds, "%Y-%m-%dT%H:%M:%SZ")
    return column


def rows(columns: Mapping[str, Any], which: Ints) -> dict[str, Any]:
    """Return some rows of a table's columns."""
    table = pa.table(dict(columns)).take(pa.array(which))
    return {name: table[name].combine_chunks() for name in table.column_names}
