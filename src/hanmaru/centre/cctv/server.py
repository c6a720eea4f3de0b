"""The camera process's end of the socket: gives viewers the newest pictures, and nobody a face without a grant."""

import asyncio
import os
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from hanmaru.centre.cctv import wire
from hanmaru.centre.cctv.register import Register, now
from hanmaru.centre.cctv.shapes import Grant, Live

if TYPE_CHECKING:
    from hanmaru.centre.cctv.station import Station

log = structlog.get_logger()

MOST_CONNECTIONS = 256
UNSENT = 64 * 1024
"""Bytes that may wait for a viewer: about a picture of each size. Then it waits, and gets the newest next."""
GRANT_S = 1.0
"""How often a grant is looked up again: a revoked one shows faces for no longer."""
BEAT_S = 1.0


class Server:
    """Listens in a folder for as long as it is open."""

    def __init__(self, folder: Path, register: Register, stations: Callable[[], Mapping[str, "Station"]]) -> None:
        """Name the folder, where grants are, and what gives the cameras."""
        self._folder, self._register, self._stations = folder, register, stations
        self._server: asyncio.Server | None = None
        self._news = asyncio.Event()
        self._writers: set[StreamWriter] = set()

    async def open(self) -> None:
        """Begin to listen."""
        path = wire.address(self._folder)
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - a socket that a killed process left
        self._server = await asyncio.start_unix_server(self._serve, path, limit=wire.MOST_LINE)
        os.chmod(path, 0o600)  # noqa: PTH101 - a path that may lead through an open folder

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        if self._server is not None:
            await self._server.wait_closed()

    def tell(self) -> None:
        """Say that a camera has a new picture or state."""
        self._news.set()
        self._news = asyncio.Event()

    def states(self) -> dict[str, Live]:
        """Return the cameras' states, with the rates at which pictures come."""
        return {id: msgspec.structs.replace(one.live, fps=one.rate()) for id, one in self._stations().items()}

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._writers) >= MOST_CONNECTIONS:
            return writer.close()
        self._writers.add(writer)
        watched: list[Station] = []
        try:
            watch = msgspec.json.decode(await asyncio.wait_for(reader.readline(), 5), type=wire.Watch)
            if watch.states:
                writer.write(msgspec.json.encode(self.states()))
                await writer.drain()
                return
            if watch.height in wire.HEIGHTS and len(watch.ids) <= wire.MOST_CAMERAS:
                writer.transport.set_write_buffer_limits(high=UNSENT)
                await self._show(watch, reader, writer, watched)
        except (ConnectionError, TimeoutError, ValueError, msgspec.DecodeError):
            pass
        finally:
            for station in watched:
                station.viewers -= 1
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _show(
        self, watch: wire.Watch, reader: StreamReader, writer: StreamWriter, watched: "list[Station]"
    ) -> None:
        told: dict[str, tuple[object, ...]] = {}
        sent: dict[str, tuple[int, float]] = {}
        grants = Grants(self._register, watch.clear)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while not gone.done():
                news = self._news
                stations = self._stations()
                self._count(watch, stations, watched)
                await grants.look()
                for id in dict.fromkeys(watch.ids):
                    station = stations.get(id)
                    live = station.live if station else Live("off", "")
                    if told.get(id) != (state := (live.state, live.since, live.notice)):
                        told[id] = state
                        header = {"camera": id, "state": live.state, "since": live.since, "notice": live.notice}
                        writer.write(wire.message(wire.STATE, header))
                    shot = station.shot if station else None
                    seq, at = sent.get(id, (0, 0.0))
                    if shot is None or shot.seq == seq or time.monotonic() - at < 0.9 / watch.fps:
                        continue
                    sent[id] = shot.seq, time.monotonic()
                    clear = grants.allow(id)
                    body = await asyncio.to_thread(shot.jpeg, watch.height, clear)
                    writer.write(wire.message(wire.PICTURE, shot.header(watch.height, clear), body))
                    await writer.drain()
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), BEAT_S)
        finally:
            gone.cancel()

    @staticmethod
    def _count(watch: wire.Watch, stations: "Mapping[str, Station]", watched: "list[Station]") -> None:
        """Keep the number of viewers of each camera; one that was changed has a new station."""
        wanted = [stations[id] for id in dict.fromkeys(watch.ids) if id in stations]
        if wanted != watched:
            for station in watched:
                station.viewers -= 1
            for station in wanted:
                station.viewers += 1
            watched[:] = wanted


class Grants:
    """What a viewer may see of faces, looked up in the register again and again."""

    def __init__(self, register: Register, clear: Mapping[str, tuple[str, str, str]]) -> None:
        """Take what the viewer claims: grant, account and session by camera."""
        self._register, self._claims = register, clear
        self._found: dict[str, Grant] = {}
        self._looked = -GRANT_S

    async def look(self) -> None:
        """Look the claims up where that was some time ago."""
        if self._claims and time.monotonic() - self._looked >= GRANT_S:
            self._looked = time.monotonic()
            found = {
                camera: await asyncio.to_thread(self._register.allows, grant, camera, who, session)
                for camera, (grant, who, session) in self._claims.items()
            }
            self._found = {camera: grant for camera, grant in found.items() if grant is not None}

    def allow(self, camera: str) -> bool:
        """Return whether the faces of a camera may be seen at this instant."""
        grant = self._found.get(camera)
        return grant is not None and grant.until > now()
