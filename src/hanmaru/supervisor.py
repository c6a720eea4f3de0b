"""The supervisor: holds the listening socket, keeps the workers running, and stops all of them together.

It imports nothing heavy and does no work of its own, so there is little in it that could fail.
"""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from hanmaru.backup.archive import BackupError
from hanmaru.backup.swap import held, order_path, swap
from hanmaru.config import Settings
from hanmaru.tls import Certificate
from hanmaru.worker import Order, Ready

log = structlog.get_logger()

BACK_OFF_S = (0.1, 0.5, 1, 2, 4)
ORDER_POLL_S = 0.5
FAST_S = 10
"""A worker that lived for less has crashed fast; one such crash more than `BACK_OFF_S` has entries is too many.

A worker that has never been ready will not be by trying longer: the second such crash is too many. A room's work in a
process of its own is tried again for ever: one room does not stop the city.
"""


class StartError(Exception):
    """Why the hub cannot start, and what to change."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for every address of the host; port 0 takes a free one.

    Raises StartError for a port in use or not permitted, and for a host that is not this machine's.
    """
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            taken = sockets[0].getsockname()[1] if sockets else address[1]
            sockets.append(socket.create_server((str(address[0]), taken), family=family, backlog=2048))
            sockets[-1].set_inheritable(True)
    except OSError as error:
        for made in sockets:
            made.close()
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} on {host} is in use; choose another: --port, HANMARU_PORT, or PORT= with make"
        elif error.errno == errno.EACCES:
            reason = f"port {port} needs more rights; choose one above 1023 with --port or HANMARU_PORT"
        else:
            reason = f"cannot listen on {host!r} port {port}: {error.strerror or error}"
        raise StartError(reason) from None
    return sockets


class Worker:
    """One worker slot: its process, which is replaced when it crashes."""

    def __init__(
        self, role: Literal["web", "engine", "apart"], name: str, settings: str, sockets: list[socket.socket]
    ) -> None:
        """Hold what a new process is told."""
        self.name = name
        self.apart: tuple[str, ...] = ()
        """What the process, once ready, wants processes for."""
        self._order = Order(role, name, settings, tuple(s.fileno() for s in sockets))
        self._process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        self._settled = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep a process running until ``stopping``; raise StartError when it crashes fast too often.

        One apart that ends well has done its work.
        """
        fast = 0
        while not stopping.is_set():
            started = time.monotonic()
            status = await self._run_once()
            apart = self._order.role == "apart"
            if stopping.is_set() or (apart and status == 0):
                return
            lived_s = time.monotonic() - started
            fast = fast + 1 if lived_s < FAST_S else 0
            if fast > (len(BACK_OFF_S) if self._settled else 1) and not apart:
                raise StartError(f"the worker {self.name!r} crashed {fast} times in a row; its log above says why")
            wait_s = BACK_OFF_S[min(fast, len(BACK_OFF_S)) - 1] if fast else 0
            log.error("worker ended", name=self.name, status=status, lived_s=round(lived_s, 1), again_in_s=wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)

    async def _run_once(self) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "hanmaru.worker"),
                stdin=theirs.fileno(),
                pass_fds=self._order.sockets,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            with suppress(ConnectionError):
                writer.write(msgspec.json.encode(self._order) + b"\n")
                await writer.drain()
                if line := await reader.readline():
                    self.apart = msgspec.json.decode(line, type=Ready).apart
                    self.ready.set()
                    self._settled = True
            return await self._process.wait()
        finally:
            self.ready.clear()
            writer.close()
            _forget_metrics(self._process.pid)

    def signal(self, number: int) -> None:
        """Send the process a signal, if there is one."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


async def supervise(settings: Settings, on_ready: Callable[[list[socket.socket]], None]) -> None:
    """Run the hub until SIGTERM or SIGINT; a second one stops it by force.

    ``on_ready`` is called with the listening sockets once every worker is ready. Raises StartError, and
    `hanmaru.tls.TlsError` for a certificate that cannot be used.
    """
    if settings.tls.certificate:
        Certificate(settings.tls)
    run = settings.data / "run"
    run.mkdir(parents=True, exist_ok=True)
    with held(settings.data) as alone:
        if not alone:
            raise StartError(f"another hub runs on {settings.data}; choose another folder with --data")
        swap(settings)
        sockets = listen(settings.host, settings.port)
        try:
            _count_together(run / "metrics")
            plain = settings.model_dump_json()
            workers = [Worker("web", f"web-{n + 1}", plain, sockets) for n in range(settings.web_workers)]
            workers.append(Worker("engine", "engine", plain, []))
            await _keep(workers, sockets, settings, lambda: on_ready(sockets))
        finally:
            for listening in sockets:
                listening.close()


async def _keep(
    workers: list[Worker], sockets: list[socket.socket], settings: Settings, on_ready: Callable[[], None]
) -> None:
    """Keep the workers running until a signal; stop them for as long as restored data is swapped in."""
    stopping, forced = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (forced if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop)

    async def announce() -> None:
        for worker in workers:
            await worker.ready.wait()
        on_ready()

    async def ordered() -> None:
        while not order_path(settings.data).exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(ORDER_POLL_S)

    announcing = asyncio.create_task(announce())
    while True:
        ending = asyncio.Event()
        running = [asyncio.create_task(worker.run(ending), name=worker.name) for worker in workers]
        others: list[Worker] = []
        running.append(asyncio.create_task(_keep_apart(workers[-1], others, settings, ending), name="apart"))
        asked, restore = asyncio.create_task(stopping.wait()), asyncio.create_task(ordered())
        await asyncio.wait([asked, restore, *running], return_when=asyncio.FIRST_COMPLETED)
        again = restore.done() and not asked.done() and not any(task.done() for task in running)
        for task in (asked, restore):
            task.cancel()
        ending.set()
        if not again:
            announcing.cancel()
            stopping.set()
            for listening in sockets:
                listening.close()
        await _end([*workers, *others], running, settings.limits.stop_s, forced)
        if not again:
            return
        log.info("restoring data")
        try:
            await asyncio.to_thread(swap, settings)
            log.info("data restored")
        except BackupError as error:
            if order_path(settings.data).exists():
                raise
            log.error("data not restored", reason=str(error))


async def _keep_apart(engine: Worker, others: list[Worker], settings: Settings, ending: asyncio.Event) -> None:
    """Keep a process for each piece of work that the engine names, added to ``others``, until ``ending``."""
    named, ended = asyncio.create_task(engine.ready.wait()), asyncio.create_task(ending.wait())
    await asyncio.wait([named, ended], return_when=asyncio.FIRST_COMPLETED)
    named.cancel()
    if not ending.is_set():
        plain = settings.model_dump_json()
        others += [Worker("apart", name, plain, []) for name in engine.apart]
        await asyncio.gather(*(worker.run(ending) for worker in others))
    await ended


async def _end(workers: list[Worker], running: list[asyncio.Task[None]], stop_s: float, forced: asyncio.Event) -> None:
    """Stop the workers, by force after ``stop_s`` seconds or when ``forced``; raise what one of them ended with."""
    for worker in workers:
        worker.signal(signal.SIGTERM)
    force = asyncio.create_task(forced.wait())
    everything = asyncio.gather(*running, return_exceptions=True)
    await asyncio.wait([everything, force], timeout=stop_s, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.signal(signal.SIGKILL)
    force.cancel()
    for result in await everything:
        if isinstance(result, BaseException):
            raise result


def _count_together(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _forget_metrics(pid: int) -> None:
    """Remove a dead worker's gauges; its counters stay, so that totals never go down."""
    for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)
