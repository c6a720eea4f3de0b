"""A rule over history: what would have fired. The same engine, fed from the hub's past instead of its present.

History knows when a reading was observed, not when the hub accepted it: here the clock is that of observation, and no
reading is late. What held already at the beginning fires there. A window fills from the beginning on.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from hanmaru.centre.detect.words import named, present, reading, stamp
from hanmaru.centre.rules import model as m
from hanmaru.centre.rules.engine import Engine
from hanmaru.centre.rules.plan import leaves
from hanmaru.centre.rules.state import Firing
from hanmaru.hub.client import HubClient, Query

MOST_FIRINGS = 500
MOST_SEEN = 5_000_000
MOST_DAYS = 366
BATCH = 1000
PROGRESS_S = 0.2


class Found(msgspec.Struct):
    """One firing: when it was raised and cleared (None: not until the end)."""

    at: str
    until: str | None
    key: str
    name: str
    entities: tuple[str, ...]
    values: dict[str, Any]
    location: Any


async def dry_run(
    hub: HubClient, rule: m.Rule, start: datetime, end: datetime
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield ``("progress", {done, of, seen})`` and at last ``("result", …)`` as `hanmaru.centre.detect.api` says.

    ``done`` and ``of`` are seconds of history. At most `MOST_SEEN` readings are looked at; ``truncated`` says that
    there were more.
    """
    engine = Engine([msgspec.structs.replace(rule, enabled=True)])
    types = sorted({leaf.type for leaf in leaves(rule.when)})
    attrs = sorted({a for leaf in leaves(rule.when) if (a := getattr(leaf, "attr", None))} | {"location", "name"})
    whole = any(isinstance(leaf, m.Absence) and leaf.attr is None for leaf in leaves(rule.when))
    query = Query(type=",".join(types), limit=BATCH)
    firings: list[Found] = []
    open_: dict[str, Found] = {}
    count = seen = 0

    def tell(fired: list[Firing]) -> None:
        nonlocal count
        for one in fired:
            if one.kind == "clear":
                if (found := open_.pop(one.key, None)) is not None:
                    found.until = stamp(one.at_s)
                continue
            count += 1
            found = Found(
                stamp(one.at_s), None, one.key, named(one.name, "en"), one.entities, dict(one.values), one.location
            )
            open_[one.key] = found
            if len(firings) < MOST_FIRINGS:
                firings.append(found)

    of = (end - start).total_seconds()
    yield "progress", {"done": 0, "of": of, "seen": 0}
    async for batch in hub.as_of(query, start, attrs=() if whole else attrs):
        for entity in batch:
            if (one := present(entity)) is not None:
                tell(engine.load(one, start.timestamp()))
    at, told_s = start, asyncio.get_running_loop().time()
    while at < end and seen < MOST_SEEN:
        span = await hub.between(query, at, end, attrs=() if whole else attrs)

        def feed(changes: Any = span.changes) -> None:
            for change in changes:
                if (one := reading(change)) is not None:
                    tell(engine.feed(msgspec.structs.replace(one, observed_s=None)))

        await asyncio.to_thread(feed)
        seen += len(span.changes)
        at = span.until
        if (now_s := asyncio.get_running_loop().time()) - told_s > PROGRESS_S:
            told_s = now_s
            yield "progress", {"done": (at - start).total_seconds(), "of": of, "seen": seen}
    tell(engine.advance(min(at, end).timestamp()))
    yield (
        "result",
        {
            "count": count,
            "firings": firings,
            "seen": seen,
            "entities": len(engine.things),
            "truncated": at < end or count > len(firings),
        },
    )
