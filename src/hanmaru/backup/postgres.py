"""The hub's PostgreSQL database in a backup, by PostgreSQL's own ``pg_dump`` and ``pg_restore``."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hanmaru.backup.archive import BackupError

DUMP = "hub.pgdump"
LOCK_S = 60
"""How long to wait for tables that somebody else uses, such as a hub on another machine that was not stopped."""


def require(program: str) -> str:
    """Return a program's path; raises BackupError when it is not there."""
    found = shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} is not on PATH; install PostgreSQL's client programs of the server's version, or back the "
            "database up by its own means and give --without-hub"
        )
    return found


def dump(url: str, path: Path) -> None:
    """Write the whole database as it is at one instant; raises BackupError with pg_dump's reason."""
    _run("pg_dump", url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={path}"])


def load(url: str, path: Path) -> None:
    """Replace the database's content by a dump's, all or nothing; raises BackupError with pg_restore's reason."""
    options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    _run("pg_restore", url, [*options, str(path)])


def _run(program: str, url: str, arguments: Sequence[str]) -> None:
    parts = urlsplit(url)
    # Other users of the machine see a process's arguments, but not its environment.
    bare = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")))
    environment = {**os.environ, "PGCONNECT_TIMEOUT": "10", "PGOPTIONS": f"-c lock_timeout={LOCK_S}s"}
    if parts.password:
        environment["PGPASSWORD"] = unquote(parts.password)
    command = [require(program), f"--dbname={bare}", *arguments]
    # The command is ours, as a list and without a shell.
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0] or f"status {done.returncode}"
        raise BackupError(f"{program} failed: {reason}")
