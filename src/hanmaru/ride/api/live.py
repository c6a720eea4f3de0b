"""What is pushed: a rider's trips, a van's plan, the fleet. Told by news, and looked at again while vans move."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

import msgspec
import structlog
from starlette.responses import StreamingResponse

from hanmaru.platform.bodies import instant
from hanmaru.platform.problems import Problem
from hanmaru.ride.api.room import Room
from hanmaru.ride.dispatch.wire import News

log = structlog.get_logger()

PAUSE_S = 0.25
"""Changes that come closer together are told together."""
LOOK_S = 2.0
"""How often what moves is looked at."""
FLEET_S = 1.0
HEARTBEAT_S = 15.0
LIFE_S = 600.0
"""How long one stream lasts before the browser connects again, and is asked again who it is."""
GONE_S = 2.0
"""How long to wait before a dispatcher that is away is asked again."""


class _Trip(msgspec.Struct):
    id: str
    state: str


class _Trips(msgspec.Struct):
    trips: list[msgspec.Raw]
    seq: int


class _Plan(msgspec.Struct):
    seq: int


class _Van(msgspec.Struct):
    id: str


class _Fleet(msgspec.Struct):
    vans: list[msgspec.Raw]
    at_risk: msgspec.Raw
    figures: msgspec.Raw
    seq: int


@contextmanager
def woken(room: Room, about: Callable[[News], bool]) -> Generator[asyncio.Event]:
    """Give an event that is set when news is about something, or may have been missed."""
    event = asyncio.Event()

    def hear(news: News | None) -> None:
        if news is None or about(news):
            event.set()

    room.client.watchers.add(hear)
    room.client.connect()
    try:
        yield event
    finally:
        room.client.watchers.discard(hear)


def sse(name: str, seq: int, data: bytes) -> bytes:
    """Return an event of a stream."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name.encode(), data)


def beat() -> bytes:
    """Return what is sent when nothing else is: a browser can tell by it that the line is alive."""
    return b'event: beat\ndata: {"now":"%b"}\n\n' % (instant(time.time()) or "").encode()


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return an event stream."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def trips_stream(room: Room, rider: str) -> StreamingResponse:
    """Return a rider's trips as they change; each connection begins with all that are not over."""

    async def look(told: dict[str, bytes]) -> list[bytes]:
        answer = msgspec.json.decode(await room.client.call("trips", rider=rider, active=True), type=_Trips)
        found = {msgspec.json.decode(raw, type=_Trip).id: bytes(raw) for raw in answer.trips}
        for id in told.keys() - found.keys():
            found[id] = await room.client.call("trip", id=id, rider=rider)
        events = [sse("trip", answer.seq, body) for id, body in found.items() if told.get(id) != body]
        active = {msgspec.json.decode(raw, type=_Trip).id for raw in answer.trips}
        told.clear()
        told.update({id: body for id, body in found.items() if id in active})
        return events

    return stream(_events(room, lambda news: rider in news.riders, look))


def driver_stream(room: Room, van: str) -> StreamingResponse:
    """Return a van's plan as it changes."""

    async def look(told: dict[str, bytes]) -> list[bytes]:
        body = await room.client.call("driver", van=van)
        if told.get("plan") == body:
            return []
        told["plan"] = body
        return [sse("plan", msgspec.json.decode(body, type=_Plan).seq, body)]

    return stream(_events(room, lambda news: van in news.vans, look))


async def _events(
    room: Room, about: Callable[[News], bool], look: Callable[[dict[str, bytes]], Awaitable[list[bytes]]]
) -> AsyncIterator[bytes]:
    ends, told, spoke = time.monotonic() + LIFE_S, dict[str, bytes](), time.monotonic()
    yield b"retry: 1000\n\n"
    with woken(room, about) as event:
        while time.monotonic() < ends:
            event.clear()
            try:
                events = await look(told)
            except Problem as problem:
                if problem.status != 503:
                    log.error("a stream ended", reason=problem.detail)
                    return
                events = []
                await asyncio.sleep(GONE_S)
            if events:
                spoke = time.monotonic()
                yield b"".join(events)
            elif time.monotonic() - spoke > HEARTBEAT_S:
                spoke = time.monotonic()
                yield beat()
            await asyncio.sleep(PAUSE_S)
            try:
                await asyncio.wait_for(event.wait(), LOOK_S if told else HEARTBEAT_S)
            except TimeoutError:
                continue


class FleetFeed:
    """The fleet, asked for once a second for all who look at it; what changed is encoded once."""

    def __init__(self, room: Room) -> None:
        """Ask nothing while nobody looks."""
        self._room = room
        self._task: asyncio.Task[None] | None = None
        self._viewers = 0
        self._news = asyncio.Event()
        self._number = 0
        self._whole = self._part = b""

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the whole fleet, then the vans that changed; promises at risk and figures always."""
        ends, seen = time.monotonic() + LIFE_S, 0
        self._viewers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="ride fleet feed")
        try:
            yield b"retry: 1000\n\n"
            while time.monotonic() < ends:
                news = self._news
                if self._number != seen:
                    missed = not seen or self._number > seen + 1
                    seen = self._number
                    yield self._whole if missed else self._part
                    continue
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield beat()
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        told: dict[str, bytes] = {}
        last = b""
        while True:
            try:
                body = await self._room.client.call("fleet")
            except Problem:
                await asyncio.sleep(GONE_S)
                continue
            if body != last:
                last = body
                fleet = msgspec.json.decode(body, type=_Fleet)
                vans = {msgspec.json.decode(raw, type=_Van).id: bytes(raw) for raw in fleet.vans}
                self._whole = self._frame(fleet, list(vans.values()), (), True)
                changed = [raw for id, raw in vans.items() if told.get(id) != raw]
                self._part = self._frame(fleet, changed, sorted(told.keys() - vans.keys()), False)
                told = vans
                self._number += 1
                news, self._news = self._news, asyncio.Event()
                news.set()
            await asyncio.sleep(FLEET_S)

    def _frame(self, fleet: "_Fleet", vans: list[bytes], gone: Sequence[str], full: bool) -> bytes:
        return sse(
            "fleet",
            fleet.seq,
            msgspec.json.encode(
                {
                    "full": full,
                    "vans": [msgspec.Raw(raw) for raw in vans],
                    "gone": gone,
                    "at_risk": fleet.at_risk,
                    "figures": fleet.figures,
                    "seq": fleet.seq,
                }
            ),
        )
