"""``hanmaru vault``: see the vaults, rotate their keys, back the wrapped keys up and bring them back."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hanmaru.platform.audit.record import Record, at_command_line
from hanmaru.platform.audit.trail import Trail
from hanmaru.platform.console import Data, Json, say
from hanmaru.platform.vault import backup, destroy, rotate
from hanmaru.platform.vault.errors import VaultError, check
from hanmaru.platform.vault.files import rooms
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.rotate import Progress
from hanmaru.platform.vault.store import Store

Where = Callable[[Path | None], tuple[Path, Path]]


def vault_app(where: Where) -> typer.Typer:
    """Return the commands; ``where`` takes what ``--data`` names to the folders of data and of keys."""
    app = typer.Typer(no_args_is_help=True, help="See the vaults, rotate and back up their keys.")

    @contextmanager
    def opened(data: Path | None) -> Generator[tuple[Path, Keys]]:
        folder, keys_folder = where(data)
        if not Keys.exist(keys_folder):
            raise VaultError(f"there are no keys in {keys_folder}: nothing was put into a vault yet", 404)
        keys = Keys(keys_folder)
        try:
            yield folder, keys
        finally:
            keys.close()

    def note(folder: Path, keys: Keys, action: str, what: str, detail: Mapping[str, str] | None = None) -> None:
        with Trail(folder, keys.folder, "cli") as trail:
            trail.record(Record(at_command_line(), action, what, detail=detail or {}))

    @app.command("list")
    def list_(data: Data = None, json_: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """List the rooms that have a vault: subjects, records and blobs of each.

        Example: hanmaru vault list --json
        """
        folder, keys_folder = where(data)
        found: list[dict[str, Any]] = []
        if Keys.exist(keys_folder):
            with opened(data) as (_, keys):
                for room in rooms(folder):
                    store = Store(room, keys)
                    found.append({"room": room.name, **store.counts()})
                    store.close()
        lines = [
            f"{r['room']}  {r['subjects']:,} subjects, {r['records']:,} records, {r['blobs']:,} blobs" for r in found
        ]
        say(found, "\n".join(lines) or "no vault yet", json_)

    @app.command("rotate")
    def rotate_(  # pyright: ignore[reportUnusedFunction]
        master: Annotated[bool, typer.Option("--master", help="Make a new master key; wrap every key by it.")] = False,
        subject: Annotated[str | None, typer.Option(help="Give one subject a new key: room/pseudonym.")] = None,
        older_than: Annotated[
            float | None, typer.Option(metavar="DAYS", min=0, help="Give every subject a new key whose is older.")
        ] = None,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Rotate keys, also while the hub runs; what was interrupted goes on when it is run again.

        Example: hanmaru vault rotate --older-than 365
        """
        if (master, subject is not None, older_than is not None).count(True) != 1:
            raise typer.BadParameter("give one of --master, --subject and --older-than")
        with opened(data) as (folder, keys):
            what = subject or ("the master key" if master else f"keys older than {older_than:g} days")
            note(folder, keys, "vault.rotate", f"vault:{what}")
            if subject is not None:
                room, _, pseudonym = subject.partition("/")
                rotate.rotate_subject(folder, keys, check("room", room), check("subject", pseudonym))
                done = 1
            else:
                with _bar("wrapping" if master else "rotating") as progress:
                    done = (
                        rotate.rotate_master(keys, progress)
                        if older_than is None
                        else rotate.rotate_older(folder, keys, older_than, progress)
                    )
        say({"rotated": what, "keys": done}, f"rotated {what}: {done:,} keys", json_)

    @app.command("backup-keys")
    def backup_keys(  # pyright: ignore[reportUnusedFunction]
        target: Annotated[Path, typer.Argument(help="Folder for the backup, apart from the data's.")],
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Back up the wrapped keys, and delete the backups there that expired. The master key is not in it.

        Example: hanmaru vault backup-keys /mnt/keys
        """
        with opened(data) as (folder, keys):
            path = backup.backup_keys(keys, target)
            note(folder, keys, "vault.backup", f"key backup {path.name}")
        say({"path": str(path)}, f"{path}: good for {backup.KEPT_DAYS} days", json_)

    @app.command("restore-keys")
    def restore_keys(  # pyright: ignore[reportUnusedFunction]
        source: Annotated[Path, typer.Argument(help="The backup: a file keys-….hkb.")],
        ledger: Annotated[
            list[Path] | None, typer.Option(help="A further ledger of destructions to heed; may be given again.")
        ] = None,
        data: Data = None,
        json_: Json = False,
    ) -> None:
        """Bring back wrapped keys that are missing, but none that was destroyed since. The master key must be in place.

        Example: hanmaru vault restore-keys /mnt/keys/keys-20261123T000000000000Z.hkb
        """
        folder, keys_folder = where(data)
        if missing := [path for path in ledger or () if not path.is_file()]:
            raise VaultError(f"there is no ledger {missing[0]}", 404)
        keys = Keys(keys_folder, make=False)
        try:
            count = backup.restore_keys(keys, source, ledger or ())
            again = destroy.replay(folder, keys, backup.heed(keys, ()))
            done = {"keys": str(count), "destroyed again": str(again)}
            note(folder, keys, "vault.restore", f"key backup {source.name}", done)
        finally:
            keys.close()
        say(
            {"keys": count, "destroyed_again": again},
            f"{count:,} keys came back, {again:,} were destroyed again",
            json_,
        )

    return app


@contextmanager
def _bar(title: str) -> Generator[Progress]:
    """Show a progress bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
