"""Progress of an ingestion: a Rich bar on a terminal, plain lines otherwise, always on standard error."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hanmaru.connectors.ingest import Summary, Watch

_EVERY_S = 2.0


@contextmanager
def shown(name: str) -> Generator[Watch]:
    """Show the progress of what runs inside the block; call what it gives after each batch."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(name)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(20),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows {task.fields[rate]:,.0f}/s {task.fields[bad]:,} bad"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=1.0, rows=0, rate=0.0, bad=0)

        def watch(done: Summary, fraction: float) -> None:
            progress.update(task, completed=fraction, rows=done.rows, rate=done.rate, bad=done.quarantined)

        yield watch


def _plain(name: str) -> Watch:
    last = time.monotonic()

    def watch(done: Summary, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY_S:
            last = now
            left = done.seconds * (1 - fraction) / fraction if fraction else 0.0
            print(
                f"{name}: {fraction:.0%}, {done.rows:,} rows, {done.rate:,.0f} values/s, "
                f"{done.quarantined:,} quarantined, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    return watch
