"""Parquet files of the test city: types and encodings that are small and quick, the same in every file."""
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hanmaru.trace.domain import Ints

TIME = pa.timestamp("us", "UTC")
ROWS = 1_000_000
"""Rows of a row group."""


def times(seconds: Ints) -> pa.Array:
    """Return Unix seconds as a column of instants."""
    return pa.array(seconds * 1_000_000, pa.int64()).cast(TIME)


def coded(index: Any, values: Sequence[str] | pa.Array) -> pa.DictionaryArray:
    """Return a column of text as indices into its values, null where negative."""
    index = np.asarray(index)
    mask = index < 0
    codes = pa.array(np.where(mask, 0, index).astype(np.int32), mask=mask if mask.any() else None)
    return pa.DictionaryArray.from_arrays(codes, values if isinstance(values, pa.Array) else pa.array(values))


def subjects(person: Ints) -> pa.DictionaryArray:
    """Return a column of the ids of people (as `synth.name` makes them), null for negative indices."""
    known, index = np.unique(person, return_inverse=True)
    return coded(np.where(person < 0, -1, index.reshape(-1)), [f"P{p:06d}" for p in known.tolist()])


def write(path: Path, columns: Mapping[str, Any]) -> int:
    """Write a Parquet file and return its rows. Text is read back as plain strings, times as UTC instants."""
    table = pa.table(dict(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    split = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    pq.write_table(
        table,
        path,
        row_group_size=ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=texts,
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        store_schema=False,
    )
    return table.num_rows
