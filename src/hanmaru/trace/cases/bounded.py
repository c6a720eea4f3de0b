"""How much an answer may become once it is unpacked: a small Parquet file can say that it holds terabytes.

Run lengths, dictionaries and compression let kilobytes stand for anything. So the file's own statement is looked at
first, then its columns are walked through in batches with texts left as indices into their dictionaries, and what they
would take in memory is added up before anything is read whole.
"""

# pyright: basic
# (pyarrow has no types)

from collections.abc import Collection
from typing import Any, Final

from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.trace.domain import TraceError

MOST_ROWS: Final = 8_000_000
"""Most rows of an answer: of 5,000 phones at the 154 to 770 events a day of `hanmaru.trace.synth`, two days."""
MOST_UNPACKED: Final = 1 << 30
"""Most bytes of an answer's columns in memory."""
MOST_TEXT: Final = 1_000
"""Longest text in an answer, bytes."""
_BATCH: Final = 65_536


class Counted(list[TraceError]):
    """A list of errors that knows how many there were and keeps none: each would quote a row."""

    count_ = 0

    def append(self, error: TraceError) -> None:
        """Count an error."""
        self.count_ += 1


def require_bounded(body: bytes, wanted: Collection[str]) -> None:
    """Raise Problem 413 for an answer that holds too much, 400 for a Parquet file that cannot be walked through."""
    if body[:4] != b"PAR1":
        if body.count(b"\n") > MOST_ROWS or body.count(b"\r") > MOST_ROWS:
            raise _too_many()
        return
    import pyarrow as pa

    try:
        _walk(body, wanted)
    except (pa.ArrowException, OSError, ValueError):  # its text may quote what is in the file
        raise invalid_request("The answer cannot be read as Parquet.") from None


def _walk(body: bytes, wanted: Collection[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    limits = {"thrift_string_size_limit": 1 << 20, "thrift_container_size_limit": 1 << 20}
    schema = pq.ParquetFile(pa.BufferReader(body), **limits).schema_arrow  # pyright: ignore[reportArgumentType]
    there = [name for name in schema.names if name in wanted]
    if any(pa.types.is_nested(schema.field(i).type) for i, name in enumerate(schema.names) if name in wanted):
        raise invalid_request("The answer has a column of lists or structures; send plain values.")
    texts = [name for i, name in enumerate(schema.names) if _is_text(schema.field(i).type)]
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
    about = file.metadata
    if about.num_rows > MOST_ROWS:
        raise _too_many()
    if sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)) > MOST_UNPACKED:
        raise _too_much()
    rows = size = 0
    for batch in file.iter_batches(_BATCH, columns=there):
        rows += len(batch)
        size += sum(_size(column) for column in batch.columns)
        if rows > MOST_ROWS:
            raise _too_many()
        if size > MOST_UNPACKED:
            raise _too_much()


def _size(column: Any) -> int:
    """Return what a column takes once its texts are written out."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    if not _is_text(values.type):
        return column.nbytes
    lengths = pc.binary_length(values)
    if (pc.max(lengths).as_py() or 0) > MOST_TEXT:
        raise Problem(413, "Too large", f"A text in an answer has at most {MOST_TEXT} bytes.")
    each = lengths.take(column.indices) if pa.types.is_dictionary(column.type) else lengths
    return (pc.sum(each).as_py() or 0) + 8 * len(column)


def _is_text(type: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(type) or pa.types.is_binary(type) or pa.types.is_large_string(type)


def _too_many() -> Problem:
    return Problem(413, "Too large", f"An answer has at most {MOST_ROWS:,} rows; send several.")


def _too_much() -> Problem:
    return Problem(413, "Too large", f"An answer has at most {MOST_UNPACKED >> 20} MiB unpacked; send several.")
