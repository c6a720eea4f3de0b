"""The file drop: providers without a machine put files into ``inbox/<request>/<kind>*.csv`` or ``.parquet``.

A file is taken in once it has lain unchanged for a moment, and is then deleted: what is personal lies in the vault
only. A line in ``done.jsonl`` or ``refused.jsonl`` beside it says what came of it. Files put under another name first
and then renamed are never seen half written.
"""

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.trace.cases import intake
from hanmaru.trace.cases.requests import all_requests
from hanmaru.trace.cases.room import Room, room
from hanmaru.trace.cases.rows import OPEN

log = structlog.get_logger()

LOOK_S = 2.0
SETTLED_S = 2.0
"""How long a file has not changed when it is taken in."""


async def watch(context: Context[HubClient]) -> None:
    """Take in what is dropped, until cancelled; each approved request finds a folder of its own."""
    here = await room(context)
    while True:
        await look(here)
        await asyncio.sleep(LOOK_S)


async def look(room: Room, settled_s: float = SETTLED_S) -> int:
    """Make the folders of requests that take answers, take in what lies there; return how many files that were."""
    open_ = {request.id: request for request in await all_requests(room, OPEN)}
    await asyncio.to_thread(_folders, room.inbox, [*open_])
    taken = 0
    for path in await asyncio.to_thread(lambda: [*_settled(room.inbox, settled_s)]):
        await _take(room, path)
        taken += 1
    return taken


async def _take(room: Room, path: Path) -> None:
    id, known = path.parent.name, sorted(room.country.kinds, key=len, reverse=True)
    names = [*known, *dict.fromkeys(rule.table for rule in room.country.kinds.values())]
    named = next((name for name in names if path.stem.startswith(name)), path.stem)
    try:
        body = await asyncio.to_thread(_content, path)
        answer = await intake.take_dropped(room, id, named, body, path.name)
    except Problem as problem:
        log.warning("a dropped file was refused", request=id, status=problem.status)
        # what cannot be read may be quoted in the detail: it must not lie here
        why = "it cannot be read as a table of this kind" if problem.status == 400 else problem.detail
        told = {"file": path.name, "status": problem.status, "why": why}
        await asyncio.to_thread(_done, path, "refused.jsonl", msgspec.json.encode(told))
    except FileNotFoundError:
        return  # whoever dropped it took it back
    except Exception as error:  # one file stops no other; the text may quote it
        log.error("a dropped file cannot be taken in", request=id, error=type(error).__name__)
    else:
        told = {"file": path.name, "rows": answer.rows, "accepted": answer.accepted, "refused": answer.refused}
        await asyncio.to_thread(_done, path, "done.jsonl", msgspec.json.encode(told))


def _content(path: Path) -> bytes:
    """Return what a dropped file holds. What is no file of its own, such as a link to another, is refused unread."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError:  # ELOOP: a link
        raise Problem(403, "Not permitted", "It is a link, or may not be read; put the file itself here.") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise Problem(403, "Not permitted", "It is a link to a file; put the file itself here.")
        body = file.read(intake.MOST_BYTES + 1)
    if len(body) > intake.MOST_BYTES:
        raise Problem(413, "Too large", f"A file has at most {intake.MOST_BYTES} bytes; drop several.")
    return body


def _folders(inbox: Path, ids: list[str]) -> None:
    for id in ids:
        (inbox / id).mkdir(parents=True, exist_ok=True)


def _settled(inbox: Path, settled_s: float) -> Iterator[Path]:
    latest = time.time() - settled_s
    for path in sorted(inbox.glob("[!.]*/[!.]*")):  # hidden ones are being copied
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        whole = (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)) and status.st_mtime <= latest
        if path.suffix in (".csv", ".parquet") and whole and not path.parent.is_symlink():
            yield path


def _done(path: Path, told: str, line: bytes) -> None:
    with (path.parent / told).open("ab") as file:
        file.write(line + b"\n")
    path.unlink(missing_ok=True)
