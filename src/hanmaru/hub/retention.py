"""Forgetting: history older than its time is deleted, so that an unattended hub does not fill its disk."""

import asyncio
import time

import structlog

from hanmaru.hub.local import Hub

log = structlog.get_logger()

EVERY_S = 3_600.0


async def run(hub: Hub, keep_s: float) -> None:
    """Forget instances older than ``keep_s`` seconds, but the newest of each attribute, every hour until cancelled."""
    while True:
        started = time.monotonic()
        forgotten = await hub.store.forget(int((time.time() - keep_s) * 1_000_000))
        if forgotten:
            log.info("old history forgotten", instances=forgotten, s=round(time.monotonic() - started, 2))
        await asyncio.sleep(EVERY_S)
