"""``hanmaru backup`` and ``hanmaru restore``."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hanmaru.backup.archive import BackupError, Progress
from hanmaru.backup.restore import restore
from hanmaru.backup.swap import finish
from hanmaru.backup.take import take
from hanmaru.config import Settings, load
from hanmaru.platform import logs
from hanmaru.platform.console import Data, Json


def backup_command(
    target: Annotated[Path, typer.Argument(help="What to write: a file that ends in .tar, or a folder.")],
    without_hub: Annotated[
        bool, typer.Option("--without-hub", help="Leave the hub's own database out, which is backed up elsewhere.")
    ] = False,
    keys: Annotated[
        Path | None, typer.Option(help="Back the vaults' wrapped keys up too, into this other folder.")
    ] = None,
    data: Data = None,
    json_: Json = False,
) -> None:
    """Back up the data folder, also while the hub runs. The keys are not in it.

    Example: hanmaru backup /mnt/backup/hanmaru-monday.tar
    """
    settings = load(data=data)
    finish(settings)
    if keys is not None and keys.resolve().is_relative_to(target.resolve().parent):
        raise BackupError("keys and data belong apart: give --keys a folder that is not beside the backup")
    with _bar("Backing up") as begin:
        manifest = take(settings, target, without_hub=without_hub, begin=begin)
    _note(settings, "data.backup", target.name, {"files": str(len(manifest.files))})
    done = {
        "file": str(target.absolute()),
        "at": manifest.at.isoformat(),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "hub": manifest.hub,
        "keys": _back_up_keys(settings, keys),
    }
    text = f"{target}: {len(manifest.files)} files, {manifest.size:,} bytes, hub: {manifest.hub}"
    if done["keys"]:
        text += f"\n{done['keys']}: the vaults' keys, good for a week"
    print(json.dumps(done, ensure_ascii=False) if json_ else text)


def restore_command(
    source: Annotated[Path, typer.Argument(help="A backup that hanmaru backup wrote.")],
    data: Data = None,
    json_: Json = False,
) -> None:
    """Put a backup in the place of the data, also while the hub runs. The data of before is kept beside it.

    Accounts, roles and API keys are as they were then; everybody signs in again.

    Example: hanmaru restore /mnt/backup/hanmaru-monday.tar
    """
    settings = load(data=data)
    logs.set_up("restore", level="warning")
    with _bar("Restoring") as begin:
        restored = restore(settings, source, begin=begin)
    manifest = restored.manifest
    _note(settings, "data.restore", source.name, {"taken": manifest.at.isoformat()})
    done = {
        "at": manifest.at.isoformat(),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "hub": manifest.hub,
        "before": str(restored.before),
        "running": restored.running,
    }
    text = (
        f"restored {len(manifest.files)} files of {manifest.at:%Y-%m-%d %H:%M:%S} UTC\n"
        f"the data of before is in {restored.before}; delete it when you do not need it"
    )
    print(json.dumps(done, ensure_ascii=False) if json_ else text)


def _back_up_keys(settings: Settings, folder: Path | None) -> str | None:
    if folder is None:
        return None
    from hanmaru.platform.vault.backup import backup_keys
    from hanmaru.platform.vault.keys import Keys

    if not Keys.exist(settings.keys_folder):
        return None
    with closing(Keys(settings.keys_folder, make=False)) as keys:
        return str(backup_keys(keys, folder))


def _note(settings: Settings, action: str, what: str, detail: dict[str, str]) -> None:
    """Write down who of this machine's users did it; without the trail's own key, as on a new machine, just say so."""
    from hanmaru.platform.audit.record import Record, at_command_line
    from hanmaru.platform.audit.seal import TrailError
    from hanmaru.platform.audit.trail import Trail

    try:
        with Trail(settings.data, settings.keys_folder, "cli") as trail:
            trail.record(Record(at_command_line(), action, what, detail=detail))
    except TrailError as error:
        print(f"hanmaru: not on the audit trail: {error}", file=sys.stderr)


@contextmanager
def _bar(title: str) -> Generator[Callable[[int], Progress]]:
    """Show a progress bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:

        def begin(total: int) -> Progress:
            task = bar.add_task(title, total=total)
            return lambda done: bar.advance(task, done)

        yield begin
