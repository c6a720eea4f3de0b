"""Kills a process at many steps of the vault's: ``python killing.py SOURCE COPIES TIMES destroy|master|subject …``.

SOURCE is a folder with ``data`` and ``keys``. The work is done once on a copy to count the lines of the vault that it
runs, then on fresh copies, numbered, with ``kill -9`` at lines spread evenly over it.
"""

import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow.dataset
import pyarrow.parquet.encryption  # noqa: F401

from hanmaru.platform.vault import destroy, rotate
from hanmaru.platform.vault.keys import Keys


def work(city: Path, what: str, subject: str) -> None:
    """Do what may be killed."""
    keys = Keys(city / "keys")
    if what == "master":
        rotate.rotate_master(keys)
    elif what == "subject":
        rotate.rotate_subject(city / "data", keys, "trace", subject)
    else:
        destroy.destroy(city / "data", keys, "trace", subject)
    keys.close()


def traced(city: Path, what: str, subject: str, kill_at: int) -> int:
    """Do it, die at a line of the vault's, or return how many lines there were."""
    seen = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal seen
        if "/platform/vault/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work(city, what, subject)
    sys.settrace(None)
    return seen


def in_a_child(city: Path, what: str, subject: str, kill_at: int) -> tuple[int, bytes]:
    """Do it in a process of its own; return its status and what it told."""
    out, into = os.pipe()
    if not (child := os.fork()):
        os.write(into, b"%d" % traced(city, what, subject, kill_at))
        os._exit(0)
    os.close(into)
    _, status = os.waitpid(child, 0)
    with os.fdopen(out, "rb") as file:
        return status, file.read()


def copied(source: Path, to: Path) -> Path:
    """Copy a city, and let it know its backups by where they lie now."""
    shutil.copytree(source, to)
    db = sqlite3.connect(to / "keys" / "keys.db")
    db.execute("UPDATE folder SET path = replace(path, ?, ?)", (str(source), str(to)))
    db.commit()
    db.close()
    return to


def main(source: Path, copies: Path, times: int, what: str, subject: str = "") -> None:
    """Kill it at each of ``times`` lines."""
    status, total = in_a_child(copied(source, copies / "whole"), what, subject, 0)
    assert status == 0
    for number in range(times):
        city = copied(source, copies / str(number))
        status, _ = in_a_child(city, what, subject, 1 + int(total) * number // times)
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
