"""The ledger of destructions: whose key was destroyed and when, so that no backup brings it back.

A text file to which lines are added, ``<UTC time> <room>/<subject>``: pseudonyms only. Copies lie beside the backups,
and a restore heeds all of them together. Losing a line would undo a destruction; therefore they are many, and the
destruction itself is not done before its line is on the disk.
"""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hanmaru.platform.disk import sync_folder

FILE: Final = "destroyed.log"
_LINE: Final = re.compile(r"(\S+Z) ([a-z0-9_-]+)/(\S+)")

Destroyed = dict[tuple[str, str], str]
"""Time of destruction by (room, subject)."""


def now() -> str:
    """Return the present instant as the ledger writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(paths: Iterable[Path]) -> Destroyed:
    """Return what several ledgers say together; one that is not there says nothing."""
    found: Destroyed = {}
    for path in paths:
        text = path.read_text("ascii", "replace") if path.is_file() else ""
        for time, room, subject in _LINE.findall(text):
            found.setdefault((room, subject), time)
    return found


def add(path: Path, destroyed: Destroyed) -> None:
    """Add to a ledger what it does not say yet; on return it is on disk."""
    already = read([path])
    append(path, {whose: time for whose, time in destroyed.items() if whose not in already})


def append(path: Path, destroyed: Destroyed) -> None:
    """Add lines to a ledger; on return they are on disk. Saying something twice does no harm."""
    if not destroyed:
        return
    lines = "".join(f"{time} {room}/{subject}\n" for (room, subject), time in destroyed.items())
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600), "rb+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        file.write((b"\n" if torn else b"") + lines.encode())
        os.fsync(file.fileno())
    sync_folder(path.parent)
