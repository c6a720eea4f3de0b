"""A real hub for tests: ``hanmaru up`` as a process of its own, on a free port and an empty folder."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import psutil

COMMAND = str(Path(sys.executable).with_name("hanmaru"))
START_S = 120


@dataclass
class Running:
    """A hub that has said it is up."""

    process: subprocess.Popen[str]
    url: str
    data: Path
    printed: list[str] = field(default_factory=list[str])
    logs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    news: "Queue[dict[str, Any]]" = field(default_factory=Queue)

    def setup_link(self, *, timeout_s: float = 10) -> str:
        """Wait for the link that makes the first account and return it."""
        end = time.monotonic() + timeout_s
        while not (found := re.search(r"https?://\S+/setup#\S+", "".join(self.printed))):
            assert time.monotonic() < end, self.printed
            time.sleep(0.02)
        return found[0]

    def workers(self, name: str = "") -> list[psutil.Process]:
        """Return the worker processes, oldest first."""
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if "hanmaru.worker" in child.cmdline()]

    def passwords(self) -> dict[str, str]:
        """Return the demo accounts' passwords by name."""
        return {a["name"]: a["password"] for a in json.loads((self.data / "demo-accounts.json").read_text())}

    def logged(self, event: str, *, timeout_s: float = 30) -> dict[str, Any]:
        """Wait for a log line with this event and return it."""
        while True:
            line = self.news.get(timeout=timeout_s)
            if line.get("event") == event:
                return line

    def stop(self, number: int = signal.SIGTERM, *, timeout_s: float = 15) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without its Hanmaru settings and with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANMARU_")}
    return {**kept, "HANMARU_LOG__FORMAT": "json", **{f"HANMARU_{name}": value for name, value in settings.items()}}


@contextmanager
def running(data: Path, *arguments: str, port: int = 0, **settings: str) -> Iterator[Running]:
    """Run ``hanmaru up`` with arguments and ``HANMARU_`` settings (``AUTH="off"``); stop it at the end.

    Raises AssertionError with what it printed when it does not come up.
    """
    command = [COMMAND, "up", "--data", str(data), "--port", str(port), *arguments]
    process = subprocess.Popen(
        command, env=environment(**settings), cwd=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    hub = Running(process, "", data)
    errors: list[str] = []

    def read_log(lines: Any) -> None:
        for line in lines:
            errors.append(line)
            with suppress(ValueError):
                entry = json.loads(line)
                hub.logs.append(entry)
                hub.news.put(entry)

    reader = threading.Thread(target=read_log, args=(process.stderr,))
    reader.start()
    alarm = threading.Timer(START_S, process.kill)
    alarm.start()
    output = process.stdout

    def read_rest() -> None:
        with suppress(ValueError):  # closed meanwhile
            for line in output:
                hub.printed.append(line)

    try:
        for line in output:
            hub.printed.append(line)
            if found := re.search(r"(https?://\S+:\d+)/$", line):
                hub.url = found[1]
            if "/docs" in line:
                break
        alarm.cancel()
        assert hub.url, f"hanmaru up did not come up (status {process.wait(10)}):\n{''.join(errors)}"
        threading.Thread(target=read_rest, daemon=True).start()
        yield hub
    finally:
        alarm.cancel()
        with suppress(subprocess.TimeoutExpired):
            hub.stop()
        process.kill()
        process.wait()
        reader.join(10)
        process.stdout.close()
        process.stderr.close()
