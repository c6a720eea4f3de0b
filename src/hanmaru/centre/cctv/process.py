"""The camera process: a thread for each camera's source, one that looks at pictures, and the loop that serves them.

One thread looks, whichever camera has waited longest first: so the work stays on one core however many cameras there
are, and each gets its share. A picture that was not looked at is never shown.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import structlog

from hanmaru.centre.cctv import clips, models, publish, retention
from hanmaru.centre.cctv.counting import Counting
from hanmaru.centre.cctv.recorder import Recorder
from hanmaru.centre.cctv.register import Register
from hanmaru.centre.cctv.sealed import Secrets
from hanmaru.centre.cctv.server import Server
from hanmaru.centre.cctv.shapes import Settings
from hanmaru.centre.cctv.station import Shot, Station, picture_of
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context
from hanmaru.platform.vault.crypto import Key

log = structlog.get_logger()

RECONCILE_S = 1.0
ANALYSE_FPS = 10.0
"""Pictures a second that a camera which nobody watches is looked at for its counts."""
KEY_S = 15.0

T = TypeVar("T")


class Process:
    """The cameras of a city, in one process."""

    def __init__(self, ctx: Context[HubClient], detector: Path | None = None) -> None:
        """Open the register; ``detector`` is the detector's file where it is not at its place. Blocks for a moment."""
        self.ctx = ctx
        self.register = Register(ctx.data_dir)
        self.secrets = Secrets(ctx.trust.vault, self.register, ctx.data_dir)
        self.stations: dict[str, Station] = {}
        self.networks = models.load(detector or models.detector_path(ctx.data_dir))
        self.server = Server(ctx.data_dir, self.register, lambda: self.stations)
        self.changed: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._revision = -1
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._looking = threading.Thread(target=self._look, name="looking", daemon=True)

    async def run(self) -> None:
        """Work until cancelled."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.close)
            await self.reconcile()
            await self.server.open()
            self._looking.start()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reconciling())
                group.create_task(publish.states(self))
                group.create_task(publish.counts(self))
                group.create_task(clips.work(self))
                group.create_task(clips.follow_handovers(self))
                group.create_task(retention.sweep(self))

    async def close(self) -> None:
        """End every thread; what was recorded is on disk."""
        await self.server.close()
        self._ending.set()
        self._wake.set()
        stations = list(self.stations.values())
        for station in stations:
            station.stop()

        def join() -> None:
            for station in stations:
                station.join(5)
            if self._looking.is_alive():
                self._looking.join(5)

        await asyncio.to_thread(join)
        self.register.close()

    async def reconcile(self) -> None:
        """Make the stations what the register says."""
        revision = await asyncio.to_thread(self.register.revision)
        if revision == self._revision:
            return
        cameras = await asyncio.to_thread(self.register.cameras)
        wanted = {id: settings for id, (_, settings) in cameras.items() if settings.source is not None}
        addresses = await self.secrets.addresses(sorted(wanted))
        stations: dict[str, Station] = {}
        for id, settings in wanted.items():
            address, old = addresses.get(id), self.stations.get(id)
            if address is None:
                continue
            if old is not None and old.settings == settings and old.address == address:
                stations[id] = old
                continue
            station = self._station(id, settings, address)
            stations[id] = station
        for id, old in self.stations.items():
            if stations.get(id) is not old:
                old.stop()
        fresh = [one for id, one in stations.items() if self.stations.get(id) is not one]
        self.stations, self._revision = stations, revision
        for station in fresh:
            station.start()

    def _station(self, id: str, settings: Settings, address: str) -> Station:
        recorder = None
        if settings.record:
            recorder = Recorder(id, self.ctx.data_dir, self.register, self._day_key)
        return Station(id, settings, address, self.ctx.data_dir, self.ctx.egress, recorder, self._noted)

    def _day_key(self, camera: str, day: str) -> Key:
        key = self.wait_for(self.secrets.day_key(camera, day, make=True))
        assert key is not None
        return key

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the loop do something and wait for it, in a thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(KEY_S)

    def _noted(self, id: str) -> None:
        """Take, from a camera's thread, that it has a picture (no id) or that its state changed."""
        if not id:
            self._wake.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._state_changed, id)

    def _state_changed(self, id: str) -> None:
        self.changed.put_nowait(id)
        self.server.tell()

    def _look(self) -> None:
        from hanmaru.centre.cctv.analysis import Analyser

        while not self._ending.is_set():
            now_s = time.monotonic()
            waiting = [one for one in self.stations.values() if one.waiting and now_s >= one.due_s]
            if not waiting:
                self._wake.wait(0.02 if any(one.waiting for one in self.stations.values()) else 0.5)
                self._wake.clear()
                continue
            station = min(waiting, key=lambda one: one.looked_s)
            taken = station.take()
            if taken is None:
                continue
            station.looked_s = now_s
            station.due_s = 0.0 if station.viewers else now_s + 1 / ANALYSE_FPS
            seq, at_s, frame = taken
            try:
                if station.analyser is None:
                    settings = station.settings
                    counting = Counting(settings.lines, settings.zones) if settings.analyse else None
                    station.analyser = Analyser(self.networks, counting)
                picture = picture_of(frame)
                look = station.analyser.look(picture, at_s)
            except Exception:
                log.exception("a picture was left out", camera=station.id)
                continue
            if station.live.state == "live":  # lost meanwhile: its last picture is not shown as if it were now
                station.shot = Shot(station.id, seq, at_s, picture, look)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.server.tell)

    async def _reconciling(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_S)
            await self.reconcile()
