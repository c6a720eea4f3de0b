"""The supervisor with real processes: crashes, stops, and nobody left behind."""

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from hanmaru import supervisor
from hanmaru.supervisor import StartError, Worker, listen
from tests.running import COMMAND, environment, running

ALONE = {"SERVICES": "", "AUTH": "off"}


def get(url: str, path: str) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_killed_web_worker_comes_back_and_no_connection_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE) as hub:
        web = next(w for w in hub.workers() if len(w.net_connections()) > 0)
        web.kill()
        assert get(hub.url, "/healthz") == 200  # waits in the supervisor's socket until the next worker answers
        assert hub.logged("worker ended")["name"] == "web-1"
        assert web.pid not in [w.pid for w in hub.workers()]
        assert len(hub.workers()) == 2


def test_a_killed_engine_comes_back(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE) as hub:
        engine = next(w for w in hub.workers() if not w.net_connections())
        engine.kill()
        assert hub.logged("worker ended")["name"] == "engine"
        assert get(hub.url, "/healthz") == 200


def test_workers_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE) as hub:
        workers = hub.workers()
        hub.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=15)
        assert len(gone) == 2
        assert alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_with_status_0(tmp_path: Path, number: int) -> None:
    with running(tmp_path, **ALONE) as hub:
        workers = hub.workers()
        assert hub.stop(number, timeout_s=10) == 0
        assert not any(worker.is_running() for worker in workers)
        assert not [line for line in hub.logs if line["level"] in ("error", "critical")]


def test_a_request_under_way_is_answered_before_the_stop(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE) as hub:
        parts = urlsplit(hub.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as client:
            client.sendall(b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
            stopper = threading.Thread(target=hub.stop)
            assert get(hub.url, "/healthz") == 200  # the worker has read what came before
            stopper.start()
            while takes_connections(parts.hostname or "", parts.port or 0):
                pass  # the stop has begun once new connections are refused
            client.sendall(b"}")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            stopper.join()
        assert hub.process.returncode == 0


def takes_connections(host: str, port: int) -> bool:
    """Return whether the port still takes connections, closing the one that it took."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def test_a_second_ctrl_c_stops_by_force(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE) as hub:
        os.kill(hub.workers()[0].pid, signal.SIGSTOP)  # a worker that will not stop when asked
        hub.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            hub.process.wait(1)
        assert hub.stop(signal.SIGINT, timeout_s=3) == 0


def test_a_port_in_use_is_said_with_the_options_that_change_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [COMMAND, "up", "--port", port, "--data", str(tmp_path)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--port" in done.stderr


def test_two_hubs_do_not_share_a_folder(tmp_path: Path) -> None:
    with running(tmp_path, **ALONE):
        command = [COMMAND, "up", "--port", "0", "--data", str(tmp_path)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "another hub runs on" in done.stderr


def test_a_worker_that_cannot_start_ends_the_hub_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "hub.db").mkdir()  # no SQLite file can be there
    command = [COMMAND, "up", "--port", "0", "--data", str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "times in a row" in done.stderr.splitlines()[-1]


def test_listening_on_another_machines_address_fails_readably() -> None:
    with pytest.raises(StartError, match=r"cannot listen on '192\.0\.2\.1'"):
        listen("192.0.2.1", 8000)


def test_a_crashed_task_starts_again_and_leaves_the_others_alone() -> None:
    from hanmaru.composition import Job
    from hanmaru.worker import keep

    async def scenario() -> list[str]:
        done: list[str] = []

        async def fails_once() -> None:
            done.append("tried")
            if len(done) == 1:
                raise ValueError("the first time")

        await asyncio.wait_for(keep(Job("flaky", fails_once)), 10)
        return done

    assert asyncio.run(scenario()) == ["tried", "tried"]


def test_an_open_event_stream_ends_whole_and_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    with running(tmp_path, AUTH="off", SERVICES="centre") as hub:
        parts = urlsplit(hub.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.request("GET", "/api/centre/v1/live")
        stream = connection.getresponse()
        assert stream.status == 200
        assert stream.readline()
        assert hub.stop(timeout_s=5) == 0
        stream.read()  # raises IncompleteRead had it been cut off
        connection.close()
        assert not [line for line in hub.logs if line["level"] in ("error", "critical")]


def test_the_engine_runs_the_configured_connectors(tmp_path: Path) -> None:
    (tmp_path / "things.toml").write_text(
        'title = { en = "Things", ko = "사물" }\n[entity]\ntype = "Device"\nid = "urn:ngsi-ld:Device:{id}"\n'
        '[attributes]\nname = "name"\n'
    )
    (tmp_path / "hanmaru.toml").write_text(
        '[[connectors]]\nname = "things"\nkind = "file-watch"\nmapping = "things.toml"\npath = "in/*.csv"\n'
        "interval_s = 0.1\nsettle_s = 0.0\n"
    )
    (tmp_path / "in").mkdir()
    with running(tmp_path, AUTH="off") as hub:
        (tmp_path / "in" / "a.csv").write_text("id,name\n1,first\n")
        deadline = time.monotonic() + 20
        while get(hub.url, "/ngsi-ld/v1/entities/urn:ngsi-ld:Device:1") != 200:
            assert time.monotonic() < deadline, hub.logs
            time.sleep(0.1)


class Apart:
    """What a supervisor does with one worker that is apart, run in a folder of the test's."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        (tmp_path / "hanmaru").mkdir()
        (tmp_path / "hanmaru" / "__init__.py").touch()
        (tmp_path / "hanmaru" / "worker.py").write_text(f"import os, pathlib, sys, time\n{code}")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        self.runs = tmp_path / "runs"
        monkeypatch.setenv("RUNS", str(self.runs))


COUNT = "runs = open(os.environ['RUNS'], 'a+')\nruns.write('x')\nruns.flush()\n"


async def test_work_apart_that_is_done_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = Apart(tmp_path, monkeypatch, COUNT)
    await asyncio.wait_for(Worker("apart", "x", "{}", []).run(asyncio.Event()), 20)
    assert apart.runs.read_text() == "x"


async def test_work_apart_that_crashes_is_begun_again_however_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.0, 0.0))
    code = "runs.seek(0)\nsys.exit(len(runs.read()) < 6)\n"
    apart = Apart(tmp_path, monkeypatch, COUNT + code)
    await asyncio.wait_for(Worker("apart", "x", "{}", []).run(asyncio.Event()), 20)
    assert apart.runs.read_text() == "xxxxxx"
