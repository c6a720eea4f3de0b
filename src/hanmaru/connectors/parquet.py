"""Parquet files, row group by row group. Imported only where one is read: Arrow takes a while to load."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.mapping import Mapping
from hanmaru.connectors.readers import Damaged, Position
from hanmaru.connectors.rows import Row

_BATCH = 2048


class ParquetReader:
    """`hanmaru.connectors.readers.Reader` of a Parquet file; only the columns that the mapping reads are decoded."""

    def __init__(self, path: Path, mapping: Mapping, after: Position) -> None:
        """Open the file; ConnectorError when it is not Parquet."""
        self._arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
        try:
            self._file: Any = parquet.ParquetFile(path)
        except self._arrow.ArrowInvalid as error:
            raise ConnectorError(f"{path}: is not a Parquet file: {error}") from None
        names: list[str] = self._file.schema_arrow.names
        wanted = mapping.columns()
        self.columns = names if mapping.unpivot else [name for name in names if name in wanted]
        self._row, self._total = after.row, cast(int, self._file.metadata.num_rows)

    def __iter__(self) -> Iterator[Row | Damaged]:
        """Yield the rows that follow; a row group that cannot be decoded ends the file with a damaged record."""
        start = 0
        for group in range(cast(int, self._file.metadata.num_row_groups)):
            size = cast(int, self._file.metadata.row_group(group).num_rows)
            start += size
            if start <= self._row:
                continue
            skip = max(0, self._row - (start - size))
            try:
                for batch in self._file.iter_batches(_BATCH, row_groups=[group], columns=self.columns):
                    if skip >= batch.num_rows:
                        skip -= batch.num_rows
                        continue
                    cells = [self._cells(column) for column in batch.slice(skip).columns]
                    skip = 0
                    for row in zip(*cells, strict=True):
                        self._row += 1
                        yield row
            except (OSError, self._arrow.ArrowException) as error:
                self._row += 1
                yield Damaged(f"the file cannot be read further: {error}", None)
                return

    def position(self) -> Position:
        """Return where to resume."""
        return Position(self._row)

    def progress(self) -> float:
        """Return the fraction that is read."""
        return self._row / self._total if self._total else 1.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _cells(self, column: Any) -> list[object]:
        """Return a column's cells; decimals become floats and times microseconds, as the readers of values expect."""
        types: Any = self._arrow.types
        if types.is_decimal(column.type):
            column = column.cast(self._arrow.float64())
        elif types.is_timestamp(column.type):
            column = column.cast(self._arrow.timestamp("us", column.type.tz), safe=False)
        return column.to_pylist()
