"""The room's work with hospitals: one process of the city delivers, keeps referrals and sends reminders."""

import asyncio
from contextlib import AsyncExitStack

import structlog

from hanmaru.care.domain import CareError
from hanmaru.care.fhir.records import opened
from hanmaru.care.hospital.delivery import DEFAULT, Deliveries
from hanmaru.care.hospital.ledger import Ledger
from hanmaru.care.hospital.reminders import Reminders, gateway_of
from hanmaru.hub.client import HubClient
from hanmaru.platform.sender import Sender
from hanmaru.platform.services import Context

log = structlog.get_logger()

PER_ENDPOINT = 4


async def run(context: Context[HubClient]) -> None:
    """Deliver notifications, keep referrals and remind citizens until cancelled."""
    records = await opened(context)
    async with AsyncExitStack() as stack:
        ledger = await asyncio.to_thread(Ledger, context.data_dir)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        sender = Sender(per_endpoint=PER_ENDPOINT, ssl=None, egress=context.egress)
        stack.push_async_callback(sender.close)
        try:
            gateway = await asyncio.to_thread(gateway_of, context.data_dir)
        except CareError as error:
            log.error("reminders are shown in the app only", reason=str(error))
            gateway = None
        deliveries = Deliveries(records, ledger, sender, DEFAULT)
        await asyncio.gather(deliveries.run(), Reminders(records, gateway, sender).run())
