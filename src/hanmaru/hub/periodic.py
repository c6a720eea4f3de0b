"""Subscriptions with ``timeInterval``: every so often the present state of their entities, whatever changed."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import structlog

from hanmaru.hub.lanes import Courier
from hanmaru.hub.model import Entity
from hanmaru.hub.notifications import Item
from hanmaru.hub.query import EntityQuery, parse_q, parse_scopes, parse_types
from hanmaru.hub.subscriptions import ANY_TYPE, Selector, Subscription
from hanmaru.hub.times import micros, now
from hanmaru.platform.access import Access

log = structlog.get_logger()

PAGE = 1_000


async def repeat(subscription: Subscription, courier: Courier) -> None:
    """Notify periodically until cancelled; the rhythm goes on after a restart. What fails is due again next time."""
    interval_s = subscription.interval_s
    assert interval_s is not None
    while True:
        last = courier.ledger.status(subscription).last_notification or subscription.modified_at
        elapsed_s = time.time() - micros(last) / 1e6
        await asyncio.sleep(max(interval_s - elapsed_s, 0.0))
        status = subscription.status(now())
        if status == "expired":
            return
        started = time.time()
        try:
            if (access := courier.owners.access(subscription)) is not None:
                await _notify(subscription, access, courier)
        except Exception:
            log.exception("periodic notification failed", subscription=subscription.id)
        last = courier.ledger.status(subscription).last_notification
        if last is None or micros(last) / 1e6 < started:  # nothing to tell of
            await asyncio.sleep(interval_s)


async def _notify(subscription: Subscription, access: Access, courier: Courier) -> None:
    async for page in _pages(subscription, access, courier):
        id = f"urn:ngsi-ld:Notification:{uuid4()}"
        outcome = await courier.notify(subscription, access, [Item(entity) for entity in page], id)
        if outcome.verdict != "delivered":
            break


async def _pages(subscription: Subscription, access: Access, courier: Courier) -> AsyncIterator[Sequence[Entity]]:
    """Yield the entities in pages, each entity once."""
    seen: set[str] = set()
    for selector in subscription.entities:
        offset = 0
        while True:
            query = _query(subscription, selector, offset)
            page = (await courier.store.query(access, query)).entities
            fresh = [entity for entity in page if entity.id not in seen]
            if len(subscription.entities) > 1:
                seen.update(entity.id for entity in fresh)
            if fresh:
                yield fresh
            if len(page) < PAGE:
                break
            offset += PAGE


def _query(subscription: Subscription, selector: Selector, offset: int) -> EntityQuery:
    s, text = subscription, selector.type.text
    return EntityQuery(
        types=None if text == ANY_TYPE else parse_types(text, selector.type.terms()),
        ids=(selector.id,) if selector.id else (),
        id_pattern=None if selector.id else selector.id_pattern,
        q=parse_q(s.q.text, s.q.terms()) if s.q else None,
        geo=s.geo,
        scopes=parse_scopes(s.scope_q) if s.scope_q else None,
        limit=PAGE,
        offset=offset,
    )
