"""What is due of riders' identities: they are destroyed when nobody needs them any more."""

import asyncio
import time

import msgspec
import structlog

from hanmaru.hub.client import HubClient
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.ride.dispatch.client import Client
from hanmaru.ride.riders import Riders

log = structlog.get_logger()

EVERY_S, AGAIN_S = 3600.0, 60.0


async def sweep(context: Context[HubClient]) -> None:
    """Destroy, every hour, whoever has not ridden for as long as trips are kept, and their trips."""
    trust = context.trust
    riders = await asyncio.to_thread(Riders, context.data_dir, trust.vault, trust.audit)
    context.closing.callback(riders.close)
    client = Client(context.data_dir)
    context.closing.push_async_callback(client.close)
    while True:
        try:
            days = msgspec.json.decode(await client.call("ground"))["keep_days"]
            for subject in await riders.sweep(time.time() - days * 86_400):
                await client.call("destroy", rider=subject)
        except Problem as problem:
            if problem.status != 503:
                log.error("riders could not be destroyed", reason=problem.title)
            await asyncio.sleep(AGAIN_S)
            continue
        await asyncio.sleep(EVERY_S)
