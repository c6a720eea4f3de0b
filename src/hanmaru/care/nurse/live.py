"""Alerts as they come, as server-sent events. Each viewer sees with their own eyes: every event is read anew for them.

A stream begins with all open alerts; a change of an alert is told within a tick of its commit, whichever worker made
it. Where consents change, all open alerts are told again: what a citizen withdraws leaves the screen. Who connects
again with ``Last-Event-ID`` gets what changed meanwhile, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import msgspec
import structlog

from hanmaru.care.fhir.records import ChangeRow, Reader, Records
from hanmaru.care.nurse.alerts import described, listed
from hanmaru.platform.bodies import instant
from hanmaru.platform.problems import Problem

log = structlog.get_logger()

HEARTBEAT_S: Final = 15.0
LIFE_S: Final = 600.0
"""How long one stream lasts before the browser connects again, and is asked again who it is."""
FRESH_S: Final = 60.0
"""How often all open alerts are told: a consent may have ended by its own date, without any change."""
PAGE: Final = 500
MOST_MISSED: Final = 20_000
"""Changes of the records that a viewer catches up with one by one; of more, the open alerts say all that counts."""


Eyes = Callable[[], Awaitable[Reader]]
"""Says with whose eyes a viewer sees now: whom somebody works for may change while they look."""


async def stream(records: Records, eyes: Eyes, after: int | None) -> AsyncIterator[bytes]:
    """Yield the stream for a viewer who has seen the records up to ``after``, None for one who has seen nothing.

    It ends where ``eyes`` raises a Problem: who watches may no longer.
    """
    ends = time.monotonic() + LIFE_S
    head = await records.head()
    position = after if after is not None and head - MOST_MISSED <= after <= head else head
    viewer = _Viewer(records, eyes, await eyes())
    yield b"retry: 1000\n\n" + await viewer.all(position)
    told = time.monotonic()
    async with aclosing(records.ticks()) as ticks:
        waiting = asyncio.ensure_future(anext(ticks))
        try:
            while time.monotonic() < ends:
                done, _ = await asyncio.wait([waiting], timeout=HEARTBEAT_S)
                if done:
                    waiting = asyncio.ensure_future(anext(ticks))
                    while changes := await records.changes(position, PAGE):
                        position = changes[-1].seq
                        for event in await viewer.events(changes):
                            yield event
                else:
                    yield _beat()
                if time.monotonic() - told > FRESH_S:
                    told = time.monotonic()
                    yield await viewer.all(position)
        except Problem as problem:
            log.info("a stream of alerts ended", reason=problem.title)
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])


class _Viewer:
    """What one reader is told, and whose open alerts they were told of."""

    def __init__(self, records: Records, eyes: Eyes, reader: Reader) -> None:
        self._records, self._eyes, self._reader = records, eyes, reader
        self._shown: set[str] = set()

    async def all(self, seq: int) -> bytes:
        """Return all open alerts as an event."""
        self._reader = await self._eyes()
        alerts = await listed(self._records, self._reader)
        self._shown = {alert["patient"]["id"] for alert in alerts if alert["patient"]}
        return _event("alerts", seq, {"alerts": alerts, "seq": seq})

    async def events(self, changes: list[ChangeRow]) -> list[bytes]:
        """Return what of some changes the reader is told."""
        events: list[bytes] = []
        others = await self._eyes() != self._reader
        if others or any(each.type == "Consent" and self._shown.intersection(each.patients) for each in changes):
            events.append(await self.all(changes[-1].seq))
        told = {each.id: each.seq for each in changes if each.type == "Communication" and each.method != "DELETE"}
        for id, seq in told.items():
            try:
                version = await self._records.read(self._reader, "Communication", id)
            except Problem:
                continue  # somebody else's, or destroyed since
            for alert in await described(self._records, self._reader, [version]):
                self._shown.update([alert["patient"]["id"]] if alert["patient"] else [])
                events.append(_event("alert", seq, alert))
        return events


def _event(name: str, seq: int, data: object) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name.encode(), msgspec.json.encode(data))


def _beat() -> bytes:
    return b'event: beat\ndata: {"now":"%b"}\n\n' % (instant(time.time()) or "").encode()
