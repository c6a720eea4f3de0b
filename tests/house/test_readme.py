"""The commands of the README and of the first tutorial, run as they stand there against a running demo."""

import json
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from tests.running import COMMAND, Running, running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("demo"), "--demo") as hub:
        hub.logged("the city is on the hub", timeout_s=120)
        yield hub


class Listener(ThreadingHTTPServer):
    """Keeps the notifications that it is sent."""

    def __init__(self) -> None:
        received: Queue[dict[str, Any]] = Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.received = received


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def commands(page: str, hub: Running) -> list[str]:
    """Return a page's shell blocks, but those that set the machine up, with this hub's address and passwords."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    passwords = hub.passwords()
    filled = [
        block.replace("http://127.0.0.1:8000", hub.url)
        .replace("PASSWORD_OF_ADMIN", passwords["admin"])
        .replace("PASSWORD_OF_READER", passwords["reader"])
        .replace("PASSWORD=PASSWORD", f"PASSWORD={passwords['reader']}")
        .replace(".venv/bin/hanmaru ", f"HANMARU_DATA={hub.data} {COMMAND} ")
        .replace("curl ", "curl -sS --fail-with-body ")
        for block in blocks
    ]
    return [block for block in filled if not block.startswith("make")]


def run(blocks: list[str], cwd: Path | None = None) -> list[str]:
    """Run blocks in one shell and return what each printed."""
    script = "\nprintf '\\n<<<>>>\\n'\n".join(blocks)
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return [part.strip() for part in done.stdout.split("<<<>>>")]


def test_the_readmes_requests_are_answered(demo: Running, tmp_path: Path) -> None:
    first, worse, trust = run(commands("README.md", demo), tmp_path)
    (entity,) = json.loads(first)
    assert entity["type"] == "AirQualityObserved"
    assert all(air["pm25"] > 15 for air in json.loads(worse))
    whole, allowed, _ = trust.splitlines()
    assert whole.startswith("unchanged")
    assert allowed.startswith("allowed")
    assert (tmp_path / "city-backup.tar").is_file()


def test_the_first_hour_works_as_written(demo: Running, listener: Listener) -> None:
    blocks = commands("docs/tutorials/first-hour.md", demo)
    here = [block.replace("127.0.0.1:9999", f"127.0.0.1:{listener.server_port}") for block in blocks]
    removing, before = here[-1], here[:-1]
    printed = run(before)
    told = listener.received.get(timeout=10)
    assert told["type"] == "Notification"
    assert told["data"][0]["pm25"]["value"] == 48
    assert '"value":21' in printed[2]
    assert [v["value"] for v in json.loads(printed[-1])["pm25"]] == [21, 48]
    run([here[0], removing])
    assert listener.received.empty()
