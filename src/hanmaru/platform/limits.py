"""How much one client may ask: a token bucket for each, and a count of the event streams that each holds open.

A signed-in caller is known by name, anybody else by address (IPv6 by its /64, which is what one customer is given).
Both tables are bounded. Every worker counts for itself: it is given its share of the whole limit.
"""

import math
import time
from collections import Counter
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from hanmaru.platform.origin import address_of, network
from hanmaru.platform.problems import Problem

MOST_KEYS = 50_000


class Rate:
    """Token buckets by key, each as one number: the time at which the bucket will be full again (GCRA, I.371).

    A bucket holds ``burst`` tokens and gains ``per_s`` a second. One look costs less than a microsecond.
    """

    def __init__(
        self, per_s: float, burst: int, name: str, clock: Callable[[], float] = time.monotonic, most: int = MOST_KEYS
    ) -> None:
        """Allow ``per_s`` requests a second, and ``burst`` at once, of each of at most ``most`` keys; 0 is no limit."""
        self.per_s, self.burst, self.name = per_s, max(burst, 1), name
        self._cost_s = 1 / per_s if per_s else 0.0
        self._burst_s = self.burst * self._cost_s
        self._full: dict[str, float] = {}
        self._clock, self._most = clock, most

    def take(self, key: str) -> float:
        """Take a token; return 0, or when there is none the seconds until there is."""
        if not self.per_s:
            return 0.0
        now = self._clock()
        full = max(self._full.get(key, 0.0), now) + self._cost_s
        if full - now > self._burst_s + 1e-9:
            return full - now - self._burst_s
        self._full[key] = full
        if len(self._full) > self._most:
            self._forget(now)
        return 0.0

    def require(self, key: str) -> None:
        """Take a token; raise Problem 429 when there is none."""
        wait_s = self.take(key)
        if wait_s:
            window_s = max(1, math.ceil(self.burst * self._cost_s))
            raise Problem(
                429,
                "Too many requests",
                f"This {self.name} may send {self.per_s:g} requests a second here. Try again in {wait_s:.2g} s.",
                retry_after_s=math.ceil(wait_s),
                limit=self.name,
                quota=self.burst,
                window_s=window_s,
            )

    def _forget(self, now: float) -> None:
        """Forget full buckets, which say nothing, and if those are too few the half that came first."""
        kept = {key: full for key, full in self._full.items() if full > now}
        if len(kept) > self._most // 2:
            kept = dict(list(kept.items())[len(kept) // 2 :])
        self._full = kept


class Streams:
    """How many event streams each key holds open."""

    def __init__(self, most: int) -> None:
        """Allow ``most`` of each key; 0 is no limit."""
        self.most = most
        self._open: Counter[str] = Counter()

    def open(self, *keys: str) -> bool:
        """Count a stream under every key, or count nothing and return False when one of them has its most."""
        if self.most and any(self._open[key] >= self.most for key in keys):
            return False
        self._open.update(keys)
        return True

    def close(self, *keys: str) -> None:
        """Count a stream's end."""
        self._open.subtract(keys)
        for key in keys:
            if self._open[key] <= 0:
                del self._open[key]


class Limited:
    """Middleware inside identity: every request costs its caller a token, or its address when nobody is signed in."""

    def __init__(self, app: ASGIApp, callers: Rate, addresses: Rate) -> None:
        """Wrap an application."""
        self.app, self.callers, self.addresses = app, callers, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a token, then pass on; a 429 problem is raised to the edge."""
        if scope["type"] == "http":
            name = scope["caller"].name
            if name:
                self.callers.require(name)
            else:
                self.addresses.require(network(address_of(scope)))
        await self.app(scope, receive, send)


def share(limit: int, workers: int) -> int:
    """Return one worker's share of a limit; 0 stays no limit."""
    return math.ceil(limit / workers)
