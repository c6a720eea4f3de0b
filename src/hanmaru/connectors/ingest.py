"""Taking one file into the hub: read, convert, write, checkpoint; converting runs beside the hub's writing."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from hanmaru.connectors.checkpoint import HEAD_BYTES, Checkpoint, CheckpointFile, head_of, resume_from
from hanmaru.connectors.mapping import Mapping
from hanmaru.connectors.quarantine import Quarantine, entry
from hanmaru.connectors.readers import Damaged, Position, Reader, format_of, open_reader
from hanmaru.connectors.rows import Fault, Reading, Row, RowMapper
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.times import render
from hanmaru.connectors.writer import HubWriter
from hanmaru.hub.client import HubClient

_T = TypeVar("_T")

BATCH_VALUES = 10_000
"""Attribute values per write: bounds memory, how long others wait for the hub, and what is sent again after a crash."""
_BATCH_FAULTS = 5_000
_BATCH_ROWS = 50_000


@dataclass(slots=True)
class Summary:
    """What a run did. ``rows`` were read in this run (a wide row counts once), ``values`` were written to the hub.

    ``repeated`` values were in the hub already; ``left_out`` rows or cells say nothing or were skipped on purpose.
    """

    source: str
    mapping: str
    rows: int = 0
    values: int = 0
    repeated: int = 0
    left_out: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    resumed_after_row: int = 0
    note: str = ""
    quarantine: str = ""
    examples: list[str] = field(default_factory=list[str])

    @property
    def rate(self) -> float:
        """Values per second."""
        return self.values / self.seconds if self.seconds else 0.0


Watch = Callable[[Summary, float], None]
"""Called after each batch with what was done so far and the fraction of the source that is read."""


@dataclass(slots=True)
class Batch:
    """Consecutive rows, converted."""

    position: Position
    fraction: float
    rows: int = 0
    left_out: int = 0
    readings: list[Reading] = field(default_factory=list[Reading])
    faults: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def batches(reader: Reader, mapper: RowMapper, size: int = BATCH_VALUES) -> Iterator[Batch]:
    """Yield what follows in the reader in batches of about ``size`` values; a row is never split."""
    batch, values = Batch(reader.position(), 0.0), 0
    for row in reader:
        number = reader.position().row
        batch.rows += 1
        values += take_row(row, number, mapper, batch)
        if values >= size or len(batch.faults) >= _BATCH_FAULTS or batch.rows >= _BATCH_ROWS:
            batch.position, batch.fraction = reader.position(), reader.progress()
            yield batch
            batch, values = Batch(batch.position, 0.0), 0
    batch.position, batch.fraction = reader.position(), 1.0
    if batch.rows:
        yield batch


def take_row(row: Row | Damaged, number: int | None, mapper: RowMapper, batch: Batch) -> int:
    """Convert a row into a batch and return how many values it gave; ``number`` is None where rows have none."""
    if isinstance(row, Damaged):
        batch.faults.append(entry(number, row.reason, row.raw))
        return 0
    values = 0
    for found in mapper.convert(number or 1, row):
        if found is None:
            batch.left_out += 1
        elif isinstance(found, Fault):
            cell = row if found.column is None else row[mapper.place(found.column)]
            batch.faults.append(entry(number, found.reason, cell, found.column))
        else:
            batch.readings.append(found)
            values += len(found.observed) or len(found.static)
    return values


async def ingest_file(
    hub: HubClient,
    mapping: Mapping,
    path: Path,
    data_dir: Path,
    *,
    registry: TypeRegistry | None = None,
    tenant: str = "",
    tail: bool = False,
    watch: Watch | None = None,
    batch_values: int = BATCH_VALUES,
) -> Summary:
    """Take what is new in a file into the hub and return what was done.

    ``tail`` leaves a last line without a newline to a later run. Raises `ConnectorError` for a file or mapping that
    cannot be used, `Problem` when the hub refuses altogether; bad rows only go to quarantine.
    """
    begun = time.monotonic()
    store = CheckpointFile(data_dir, os.path.abspath(path), mapping.name, tenant)  # noqa: ASYNC240, PTH100 - no disk is touched
    with store.locked():
        run = await opened(
            lambda: _start(store, mapping, path, registry or TypeRegistry(), tail), lambda run: run.reader.close()
        )
        summary, writer = run.summary, HubWriter(hub, mapping.type, series=mapping.mode == "series")
        source = batches(run.reader, run.mapper, batch_values)
        coming = asyncio.create_task(asyncio.to_thread(next, source, None))
        try:
            while (batch := await coming) is not None:
                coming = asyncio.create_task(asyncio.to_thread(next, source, None))
                await write_batch(batch, writer, run.quarantine, summary)
                await asyncio.to_thread(_save, store, path, mapping, batch, run)
                summary.seconds = time.monotonic() - begun
                if watch:
                    watch(summary, batch.fraction)
        finally:
            await asyncio.gather(coming, return_exceptions=True)
            run.reader.close()
    summary.seconds = time.monotonic() - begun
    summary.quarantine = str(run.quarantine.path) if run.quarantine.count else ""
    return summary


async def opened(open: Callable[[], _T], close: Callable[[_T], None]) -> _T:
    """Open something in a thread; who is cancelled meanwhile leaves it closed."""
    coming = asyncio.ensure_future(asyncio.to_thread(open))
    try:
        return await asyncio.shield(coming)
    except asyncio.CancelledError:
        if not isinstance(late := (await asyncio.gather(coming, return_exceptions=True))[0], BaseException):
            close(late)
        raise


@dataclass(slots=True)
class _Run:
    """An ingestion under way; ``kept`` is the checkpoint that it continues."""

    reader: Reader
    mapper: RowMapper
    quarantine: Quarantine
    kept: Checkpoint
    summary: Summary


def _start(store: CheckpointFile, mapping: Mapping, path: Path, registry: TypeRegistry, tail: bool) -> _Run:
    old = store.load()
    growable = format_of(path, mapping) in ("csv", "jsonl")
    after, note = resume_from(old, path, mapping.digest, growable) if path.exists() else (None, "")
    kept = old if old is not None and after is not None else Checkpoint()
    type_ = registry.need(mapping.type, mapping.file, mapping.schema)
    reader = open_reader(path, mapping, after, tail=tail)
    try:
        mapper = RowMapper(mapping, reader.columns, type_, render_now())
        quarantine = Quarantine(store.quarantine, kept.quarantine_bytes, kept.quarantined)
    except BaseException:
        reader.close()
        raise
    summary = Summary(path.name, mapping.name, note=note, resumed_after_row=kept.position.row)
    return _Run(reader, mapper, quarantine, kept, summary)


async def write_batch(
    batch: Batch, writer: HubWriter, quarantine: Quarantine, summary: Summary, *, rotating: bool = False
) -> None:
    """Write a batch to the hub and its faults to quarantine; on return both are on disk. Adds to the summary."""
    written = await writer.write(batch.readings)
    faults = batch.faults + [entry(None, f"the hub refused it: {f.title}: {f.detail}", f.id) for f in written.failures]
    if faults:
        await asyncio.to_thread(quarantine.add_rotating if rotating else quarantine.add, faults)
    summary.rows += batch.rows
    summary.left_out += batch.left_out
    summary.values += written.values
    summary.repeated += written.repeated
    summary.quarantined += len(faults)
    summary.examples += [f"row {f.get('row', '?')}: {f['reason']}" for f in faults[: 5 - len(summary.examples)]]


def _save(store: CheckpointFile, path: Path, mapping: Mapping, batch: Batch, run: _Run) -> None:
    offset = batch.position.offset
    size = path.stat().st_size
    head_bytes = min(HEAD_BYTES, offset if offset is not None else size)
    checkpoint = Checkpoint(
        source=str(path.absolute()),
        digest=mapping.digest,
        position=batch.position,
        head=head_of(path, head_bytes),
        head_bytes=head_bytes,
        size=size,
        quarantine_bytes=run.quarantine.size,
        quarantined=run.quarantine.count,
        rows=run.kept.rows + run.summary.rows,
        values=run.kept.values + run.summary.values,
    )
    store.save(checkpoint)


def render_now() -> str:
    """Return the present instant, to the millisecond, as canonical text."""
    moment = datetime.now(UTC)
    return render(moment.replace(microsecond=moment.microsecond // 1000 * 1000))
