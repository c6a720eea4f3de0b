"""The two engines of the lake: DuckDB in this process, or Apache Spark, with the same expressions and kernels on both.

A query is an Ibis expression, written once. A kernel is a function of an Arrow table that holds whole subjects, sorted
by subject and time; it runs partition by partition, so that no engine ever holds all of a large table.
"""

# Ibis, pyarrow and pyspark ship no complete types.
# pyright: basic

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from hanmaru.trace.domain import TraceError
from hanmaru.trace.tables import TIME

Kernel = Callable[[pa.Table], pa.Table]
"""Takes a table of whole subjects, sorted by subject and time, and returns a table of the schema it is run with."""

ROWS_A_PARTITION = 12_000_000
"""What a kernel is given at once in this process: 12 M events take about 1 GB with the kernel's own arrays."""
ROW_GROUP = 65_536
"""Rows whose least and greatest values Parquet keeps: small enough that a look-up reads little else."""
LARGEST_SPARK_TASK = 2_000_000


class Engine(AbstractContextManager["Engine"], Protocol):
    """Where tables are scanned and joined and kernels run. Tables come and go as Parquet files or folders of them."""

    def read(self, *paths: Path) -> ir.Table:
        """Return Parquet files, or folders of them, as one table."""
        ...

    def run(self, table: ir.Table, kernel: Kernel, schema: pa.Schema, out: Path, done: Callable[[float], None]) -> None:
        """Run a kernel over the whole subjects of a table with columns ``subject`` and ``time``, into a new folder.

        ``done`` hears the fraction that is done.
        """
        ...

    def write(self, table: ir.Table, order: Sequence[str], out: Path) -> None:
        """Write a table, sorted, as one file or folder that `read` takes."""
        ...

    def fetch(self, table: ir.Table) -> pa.Table:
        """Return the rows of an expression."""
        ...


class DuckDB:
    """DuckDB in this process, its spilled files encrypted and beside the output."""

    def __init__(self, scratch: Path, memory_gb: float = 4) -> None:
        """Open it; what does not fit into ``memory_gb`` spills into the folder ``scratch``, which is removed after."""
        self._scratch = scratch
        self._con = ibis.duckdb.connect(
            temp_directory=str(scratch), memory_limit=f"{memory_gb}GB", temp_file_encryption=True
        )

    def __enter__(self) -> "DuckDB":
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._con.disconnect()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def read(self, *paths: Path) -> ir.Table:
        """Return Parquet files, or folders of them, as one table."""
        table = self._con.read_parquet([str(file) for path in paths for file in parquet_files(path)])
        # Nanoseconds are a type of their own, which Ibis does not know.
        fine = [name for name, kind in table.schema().items() if "TIMESTAMPTZ_NS" in str(kind)]
        return table.mutate({name: table[name].cast("timestamp('UTC')") for name in fine}) if fine else table

    def run(self, table: ir.Table, kernel: Kernel, schema: pa.Schema, out: Path, done: Callable[[float], None]) -> None:
        """Run a kernel; the subjects are dealt to partitions by a hash."""
        rows = int(self._con.execute(table.count()))
        partitions = max(1, -(-rows // ROWS_A_PARTITION))
        out.mkdir(parents=True)
        for i in range(partitions):
            part = table if partitions == 1 else table.filter(table["subject"].hash().abs() % partitions == i)
            result = kernel(self.fetch(part.order_by("subject", "time"))).cast(schema)
            pq.write_table(result, out / f"part-{i:05}.parquet", compression="zstd")
            done((i + 1) / partitions)

    def write(self, table: ir.Table, order: Sequence[str], out: Path) -> None:
        """Write a table, sorted, as one file."""
        self._con.to_parquet(table.order_by(*order), out, row_group_size=ROW_GROUP, compression="zstd")

    def fetch(self, table: ir.Table) -> pa.Table:
        """Return the rows of an expression."""
        return self._con.to_pyarrow(table)


class Spark:
    """Apache Spark: a cluster's master by its address, or ``local[n]``."""

    def __init__(self, master: str, settings: Mapping[str, str] | None = None) -> None:
        """Connect. Raises TraceError where pyspark is not installed; its own errors where there is no such cluster."""
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise TraceError("the engine Spark needs pyspark; run: pip install 'hanmaru[spark]'") from None
        builder: Any = SparkSession.builder
        configured = {
            "spark.sql.session.timeZone": "UTC",
            "spark.ui.enabled": "false",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
            **(settings or {}),
        }
        for key, value in configured.items():
            builder = builder.config(key, value)
        self._session: Any = builder.master(master).appName("hanmaru trace").getOrCreate()
        self._con: Any = ibis.pyspark.connect(self._session)

    def __enter__(self) -> "Spark":
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the session."""
        self._session.stop()

    def read(self, *paths: Path) -> ir.Table:
        """Return Parquet files, or folders of them, as one table; every worker has to see the paths."""
        return ibis.union(*(self._con.read_parquet(str(path.absolute())) for path in paths))

    def run(self, table: ir.Table, kernel: Kernel, schema: pa.Schema, out: Path, done: Callable[[float], None]) -> None:
        """Run a kernel; Spark deals the subjects to tasks."""
        from pyspark.sql.pandas.types import from_arrow_schema

        frame = self._frame(table)
        tasks = max(2, -(-frame.count() // LARGEST_SPARK_TASK))
        sorted_frame = frame.repartition(tasks, "subject").sortWithinPartitions("subject", "time")
        sorted_frame.mapInArrow(_whole(kernel, schema), from_arrow_schema(schema)).write.parquet(str(out))
        done(1.0)

    def write(self, table: ir.Table, order: Sequence[str], out: Path) -> None:
        """Write a table, sorted, as a folder of files whose ranges follow one another."""
        self._frame(table).orderBy(*order).write.parquet(str(out))

    def fetch(self, table: ir.Table) -> pa.Table:
        """Return the rows of an expression."""
        return _with_zone(self._con.to_pyarrow(table))

    def _frame(self, table: ir.Table) -> Any:
        return self._session.sql(str(self._con.compile(table)))


def _whole(kernel: Kernel, schema: pa.Schema) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a kernel as what Spark calls with the batches of one partition."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        if held:
            yield from kernel(pa.Table.from_batches(held)).cast(schema).to_batches(max_chunksize=100_000)

    return run


def _with_zone(table: pa.Table) -> pa.Table:
    """Return a table whose times say that they are UTC, which Spark's do not."""
    zoned = [field.with_type(TIME) if pa.types.is_timestamp(field.type) else field for field in table.schema]
    return table.cast(pa.schema(zoned))


def parquet_files(path: Path) -> list[Path]:
    """Return a Parquet file, or those of a folder, in order. Raises TraceError where there is none."""
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise TraceError(f"{path} is neither a Parquet file nor a folder of them")
    return files


def check_events(events: Sequence[Path], columns: Sequence[str]) -> None:
    """Raise TraceError unless every Parquet file of events has the columns, and as ``time`` timestamps with a zone.

    Spark's own old format (INT96) has no zone and is UTC.
    """
    for path in (file for folder in events for file in parquet_files(folder)):
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise TraceError(f"{path.name} cannot be read: {error}") from None
        if missing := sorted(set(columns) - set(file.schema_arrow.names)):
            raise TraceError(f"{path.name} lacks the columns {', '.join(missing)}")
        index = file.schema_arrow.get_field_index("time")
        kind, stored = file.schema_arrow.field(index).type, file.schema.column(index).physical_type
        if not pa.types.is_timestamp(kind) or (kind.tz is None and stored != "INT96"):
            raise TraceError(f"{path.name}, column time: {kind} says no instant; store timestamps with a zone, as UTC")


def open_engine(name: str, scratch: Path) -> DuckDB | Spark:
    """Return the engine of a name: ``duckdb``, or a Spark master such as ``spark://host:7077`` or ``local[2]``.

    Raises TraceError for any other.
    """
    if name == "duckdb":
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return DuckDB(scratch, round(memory_gb / 3, 1))
    if name.startswith(("spark://", "local")):
        return Spark(name)
    raise TraceError(f"there is no engine {name!r}: use duckdb, or a Spark master such as spark://host:7077")
