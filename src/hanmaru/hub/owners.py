"""What the owners of subscriptions may see now: a subscription shows what its owner may see, not what it might once."""

import dataclasses
import time
from collections.abc import Callable

import structlog

from hanmaru.hub.query import names_of, parse_types
from hanmaru.hub.subscriptions import ANY_TYPE, Subscription
from hanmaru.hub.visibility import attributes_of, grants_of
from hanmaru.platform.access import Access

log = structlog.get_logger()

FRESH_S = 5.0
REMEMBERED = 10_000
LOST = "its owner may see nothing here any more; notifications go on when it may"
HIDDEN = "its owner may see none of what it asks for; notifications go on when it may"

Rights = Callable[[str, str], Access | None]
"""What an owner (by name) may see of a tenant now; None when the account is gone or may see nothing.

It is asked on the event loop, at most once every ``FRESH_S`` seconds for each owner and tenant.
"""


class Owners:
    """Asks for owners' rights and remembers the answers for a moment."""

    def __init__(self, fresh_s: float = FRESH_S) -> None:
        """Begin without anybody to ask: then a subscription shows what its writer could see when writing it."""
        self.rights: Rights | None = None
        self._fresh_s = fresh_s
        self._known: dict[tuple[str, str], tuple[float, Access | None]] = {}

    def access(self, subscription: Subscription) -> Access | None:
        """Return what the owner of a subscription may see of its tenant; None when that is nothing."""
        if self.rights is None:
            return subscription.access
        return self.sees(self.rights, subscription.owner, subscription.tenant)

    def sees(self, rights: Rights, owner: str, tenant: str) -> Access | None:
        """Return what an owner may see of a tenant; None when that is nothing."""
        instant = time.monotonic()
        asked, access = self._known.get((owner, tenant), (0.0, None))
        if not asked or instant - asked > self._fresh_s:
            access = _asked(rights, owner, tenant)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[owner, tenant] = instant, access
        return access

    def trouble(self, subscription: Subscription) -> str:
        """Return why a subscription cannot notify for want of rights; empty when it can."""
        access = self.access(subscription)
        if access is None:
            return LOST
        grants = grants_of(access)
        visible = attributes_of(grants)
        wanted = [
            None if s.type.text == ANY_TYPE else names_of(parse_types(s.type.text, s.type.terms()))
            for s in subscription.entities
        ] or [None]
        seen = any(g.types is None or types is None or g.types & types for g in grants for types in wanted)
        unwatched = visible is not None and subscription.watched and visible.isdisjoint(subscription.watched)
        return HIDDEN if unwatched or not seen else ""


def _asked(rights: Rights, owner: str, tenant: str) -> Access | None:
    try:
        access = rights(owner, tenant)
    except Exception:  # nobody knows what the owner may see, so for the moment it is nothing
        log.exception("the rights of a subscription's owner cannot be had", owner=owner)
        return None
    if access is None or not grants_of(access):
        return None
    return dataclasses.replace(access, tenant=tenant) if access.tenant != tenant else access
