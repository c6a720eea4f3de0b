"""Watching files: new, changed and growing ones are taken as they are, each from where it was left."""

import asyncio
import time
from glob import glob
from pathlib import Path

from hanmaru.connectors.errors import ConnectorError
from hanmaru.connectors.ingest import ingest_file
from hanmaru.connectors.schemas import TypeRegistry
from hanmaru.connectors.sources import FileWatch
from hanmaru.connectors.status import Reporter
from hanmaru.hub.client import HubClient

Seen = dict[Path, tuple[int, int, bool]]
"""Of each file, time of change, size, and whether its last line was taken too."""


async def watch(config: FileWatch, hub: HubClient, data_dir: Path, registry: TypeRegistry, report: Reporter) -> None:
    """Look until cancelled. A file that cannot be used is reported and left until it changes; the others go on."""
    seen: Seen = {}
    errors: dict[Path, str] = {}
    while True:
        rows = values = quarantined = 0
        for path, tail in await asyncio.to_thread(_changed, config, seen):
            try:
                done = await ingest_file(
                    hub, config.mapping, path, data_dir, registry=registry, tenant=config.tenant, tail=tail
                )
                errors.pop(path, None)
                rows, values, quarantined = rows + done.rows, values + done.values, quarantined + done.quarantined
            except ConnectorError as error:
                errors[path] = str(error)
                await report.failure(str(error))
        errors = {path: error for path, error in errors.items() if path in seen}
        if not errors or rows:
            await report.success(rows, values, quarantined, state="failing" if errors else "working")
        await asyncio.sleep(config.interval_s)


def _changed(config: FileWatch, seen: Seen) -> list[tuple[Path, bool]]:
    """Return the files to look into, in order of name, and whether their last line may still be growing."""
    found: list[tuple[Path, bool]] = []
    names = sorted(glob(config.path))  # noqa: PTH207 - the pattern may be absolute
    for path in seen.keys() - set(map(Path, names)):
        del seen[path]
    for name in names:
        path = Path(name)
        try:
            stat = path.stat()
        except OSError:
            continue
        growing = time.time() - stat.st_mtime < config.settle_s
        look = (stat.st_mtime_ns, stat.st_size, not growing)
        if path.is_file() and seen.get(path) != look:
            seen[path] = look
            found.append((path, growing))
    return found
