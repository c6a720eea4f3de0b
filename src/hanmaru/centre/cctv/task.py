"""The camera process's beginning: it waits, without the weight of its networks, until some camera has a source."""

import asyncio

import structlog

from hanmaru.centre.cctv.imports import import_cameras
from hanmaru.centre.cctv.register import Register
from hanmaru.hub.client import HubClient
from hanmaru.platform.disk import locked
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

log = structlog.get_logger()

LOCK = "cctv.lock"
WAIT_S = 2.0
TRY_S = 0.2


async def run(ctx: Context[HubClient]) -> None:
    """Be the camera process until cancelled; there is one in a folder at a time."""
    register = await asyncio.to_thread(Register, ctx.data_dir)
    try:
        while not any(one.source for _, one in (await asyncio.to_thread(register.cameras)).values()):
            if ctx.city.get("demo"):
                await _prepare(ctx, register)
            await asyncio.sleep(WAIT_S)
    finally:
        await asyncio.to_thread(register.close)
    from hanmaru.centre.cctv.process import Process

    while True:
        try:
            with locked(ctx.data_dir / LOCK, wait=False):
                return await Process(ctx).run()
        except BlockingIOError:  # one that was killed and replaced is not quite gone
            await asyncio.sleep(TRY_S)


async def _prepare(ctx: Context[HubClient], register: Register) -> None:
    from hanmaru.centre.cctv.demo import prepare

    try:
        await import_cameras(ctx.hub, register)
    except Problem as problem:
        log.warning("cameras are not imported yet", reason=problem.detail)
        return
    await prepare(ctx, register)
