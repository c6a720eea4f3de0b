"""One worker process, started by the supervisor: ``web`` answers requests, ``engine`` runs background work.

Standard input is a socket to the supervisor. Its first line says what to be; the worker answers that it is ready once
it is, and the engine then names the work that is to have a process of its own (``apart``).
When it closes, the supervisor is gone, however it went, and the worker stops: none is ever left an orphan.
"""

import asyncio
import gc
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog

from hanmaru.config import Settings
from hanmaru.platform import logs

if TYPE_CHECKING:
    from hanmaru.composition import Job

log = structlog.get_logger()

BACK_OFF_S = (0.5, 1, 2, 5, 15, 30)
SETTLED_S = 60


class Order(msgspec.Struct, frozen=True):
    """What the supervisor's first line says: the role, the worker's name, its settings and listening sockets."""

    role: Literal["web", "engine", "apart"]
    name: str
    settings: str
    sockets: tuple[int, ...]


class Ready(msgspec.Struct, frozen=True):
    """What a worker's one line says: it has begun; ``apart`` names work that is to have a process of its own."""

    apart: tuple[str, ...] = ()


class Control:
    """The worker's end of the socket to its supervisor."""

    def __init__(self) -> None:
        """Take standard input over, so that no child of this process can hold it open."""
        self._socket = socket.socket(fileno=os.dup(0))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        with self._socket.makefile("rb") as lines:
            self.order = msgspec.json.decode(lines.readline(), type=Order)

    def ready(self, apart: Sequence[str] = ()) -> None:
        """Tell the supervisor that work has begun, and for what it is to keep processes."""
        self._socket.sendall(msgspec.json.encode(Ready(tuple(apart))) + b"\n")

    def watch(self, stop_s: float) -> None:
        """Stop this process when the supervisor is gone: by SIGTERM, and by force ``stop_s`` seconds later."""

        def wait() -> None:
            while self._socket.recv(1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(stop_s)
            os._exit(1)

        threading.Thread(target=wait, name="supervisor watch", daemon=True).start()


def main() -> None:
    """Be the worker that the supervisor orders."""
    os.umask(0o077)  # what a worker keeps, such as receivers' credentials in hub.db, is for the hub's user alone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ctrl-C is the supervisor's to handle
    control = Control()
    order = control.order
    settings = Settings.model_validate_json(order.settings)
    logs.set_up(order.name, format=settings.log.format, level=settings.log.level)
    control.watch(settings.limits.stop_s)
    try:
        if order.role == "web":
            serve(settings, order.name, [socket.socket(fileno=fd) for fd in order.sockets], control.ready)
        else:
            work(settings, control.ready, order.name if order.role == "apart" else None)
    except Exception:
        log.critical("worker failed", exc_info=True)
        sys.exit(1)


def serve(settings: Settings, name: str, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Answer requests on the sockets until SIGTERM."""
    import uvicorn

    from hanmaru.app import create_app
    from hanmaru.protocol import bounded, sweep
    from hanmaru.tls import Certificate

    app = create_app(settings, name)
    certificate = Certificate(settings.tls) if settings.tls.certificate else None
    limits = settings.limits

    def tls(*_: object) -> ssl.SSLContext:
        assert certificate
        return certificate.context

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            def stop(*_: object) -> None:
                self.should_exit = True

            signal.signal(signal.SIGTERM, stop)
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            # What start-up made stays for good; not looking through it again makes every later collection short.
            gc.collect()
            gc.freeze()
            ready()

        async def on_tick(self, counter: int) -> bool:
            if counter % 10 == 0:
                sweep(self.server_state.connections)
                if certificate:
                    await asyncio.to_thread(certificate.renew)
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for edge in app.state.edges:
                edge.end_streams()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(limits.head_bytes, limits.head_s, limits.request_s),
        ssl_context_factory=tls if certificate else None,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=max(1, int(limits.stop_s) - 1),
        backlog=2048,
    )
    Server(config).run(list(sockets))


def work(settings: Settings, ready: Callable[[Sequence[str]], None], apart: str | None = None) -> None:
    """Run the engine's background work, or the piece of it named ``apart``, until SIGTERM or until it is done."""
    import uvloop

    from hanmaru.composition import engine_jobs, job_apart, open_hub

    async def run() -> None:
        async with open_hub(settings) as hub, AsyncExitStack() as closing:
            if apart is None:
                jobs, others = engine_jobs(settings, hub, closing)
            else:
                jobs, others = [job_apart(settings, hub, closing, apart)], []
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            tasks = [asyncio.create_task(keep(job), name=job.name) for job in jobs]
            if apart is not None:
                tasks[0].add_done_callback(lambda _: stop.set())
            ready(others)
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    uvloop.run(run())


async def keep(job: "Job") -> None:
    """Run a job for as long as it has work; after a crash log it and start it again, later each time."""
    from hanmaru.platform.telemetry import metrics

    crashes = 0
    while True:
        started = time.monotonic()
        try:
            return await job.run()
        except Exception:
            crashes = 0 if time.monotonic() - started > SETTLED_S else crashes
            wait_s = BACK_OFF_S[min(crashes, len(BACK_OFF_S) - 1)]
            log.exception("task crashed", task=job.name, again_in_s=wait_s)
        metrics().task_restarts.labels(job.name).inc()
        crashes += 1
        await asyncio.sleep(wait_s)


if __name__ == "__main__":
    main()
