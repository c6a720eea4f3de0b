"""The task ``detect``: follows the hub, runs the rules, keeps what they detect.

Whatever happens when, a batch of changes is either wholly behind (its detections told, its state and cursor kept) or
still to come. When the hub no longer keeps what comes next, the present state is read instead: rules that hold of it
are raised, those that hold no more are cleared; what came and went in between is not known.

A stretch of more than `STOP_S` in which nothing was accepted from anybody while this did not run is the hub's own
silence. No sensor is called silent for it: each has its full time from when the hub listens again. (While this runs,
time passes by the clock, so that a city whose every sensor falls silent is told of it.)
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from hanmaru.centre.detect.ready import ready
from hanmaru.centre.detect.store import State
from hanmaru.centre.detect.words import detection, present, reading
from hanmaru.centre.domain import Detection
from hanmaru.centre.rules.engine import Engine
from hanmaru.centre.rules.model import Rule
from hanmaru.centre.rules.state import Firing, Reading
from hanmaru.hub.client import EntityChange, HubClient, Query
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

log = structlog.get_logger()

TICK_S = 0.1
"""How long nothing may come until time passes all the same, and how often rules are looked at."""
FIRST_S = 1.0
"""How long the first of what is known to be to come is waited for, before time passes without it."""
GRACE_S = 0.1
"""How far behind the clock time passes: changes accepted so long ago have come."""
MOST = 2000
QUIET_S = 5.0
"""How often the cursor alone is kept."""
QUIET_CLOCK_S = 30.0
"""How often the clock alone is kept while nothing comes; well within `STOP_S`, so that a restart is not taken for a
stop."""
STOP_S = 120.0
"""How long nothing is accepted from anybody before that is a stop of the hub: a choice of the house."""
PAGE = 1000


async def run(ctx: Context[HubClient]) -> None:
    """Detect until cancelled."""
    state = await asyncio.to_thread(State, ctx.data_dir)
    try:
        await asyncio.to_thread(state.add_ready, ready())
        await Follower(ctx.hub, state).run()
    finally:
        await asyncio.shield(asyncio.to_thread(state.close))


class Follower:
    """The engine, at its place in the hub's changes."""

    def __init__(self, hub: HubClient, state: State) -> None:
        """Go on from what is kept; `run` does the work."""
        self._hub, self._state = hub, state
        self._cursor: int | None = state.fact("cursor")
        rules = state.applied()
        self._rules = {rule.id: rule for rule in rules}
        clock_s, listening_s = (state.fact(name) or float("-inf") for name in ("clock", "listening"))
        self.engine = Engine.restored(rules, state.rows(), clock_s, listening_s)
        self._version = -1
        self._kept_s = 0.0

    async def run(self) -> None:
        """Follow until cancelled."""
        if self._cursor is None:
            await self._reload()
        while True:
            try:
                await self._follow()
            except Problem as problem:
                if problem.status != 410:
                    raise
                log.warning("changes are gone; the present state is read", after=self._cursor)
                await self._reload()

    async def _follow(self) -> None:
        queue: asyncio.Queue[Sequence[EntityChange]] = asyncio.Queue(8)

        async def pump() -> None:
            async for batch in self._hub.changes(self._cursor or 0):
                await queue.put(batch)

        wait_s = FIRST_S if await self._hub.head() > (self._cursor or 0) else TICK_S
        pumping = asyncio.create_task(pump())
        try:
            while True:
                batch, wait_s = await self._next(queue, pumping, wait_s), TICK_S
                if await asyncio.to_thread(self._state.rules_version) != self._version:
                    await self._take_rules()
                await self._off(self._step, batch, queue.empty())
        finally:
            pumping.cancel()
            with suppress(asyncio.CancelledError, Problem):
                await pumping

    async def _next(
        self, queue: "asyncio.Queue[Sequence[EntityChange]]", pumping: "asyncio.Task[None]", wait_s: float
    ) -> list[EntityChange]:
        """Return what has come, at most about `MOST` changes, after waiting for at most ``wait_s``."""
        batch: list[EntityChange] = []
        with suppress(TimeoutError):
            batch += await asyncio.wait_for(queue.get(), wait_s)
        while not queue.empty() and len(batch) < MOST:
            batch += queue.get_nowait()
        if pumping.done() and not batch:
            pumping.result()
        return batch

    async def _off(self, work: Callable[..., None], *arguments: object) -> None:
        """Work in a thread, to its end even when cancelled: a half-fed engine would be of no use."""
        task = asyncio.create_task(asyncio.to_thread(work, *arguments))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await task
            raise

    def _step(self, batch: Sequence[EntityChange], caught_up: bool) -> None:
        told: list[Detection] = []
        before_s = self.engine.listening_s
        for change in batch:
            if (one := reading(change)) is not None:
                self._after_stop(one.at_s)
                told += self._told(self.engine.feed(one))
            self._cursor = change.seq
        if caught_up:
            self._after_stop(now_s := time.time() - GRACE_S)
            told += self._told(self.engine.advance(now_s))
        rows, quiet_s = self.engine.take(), time.monotonic() - self._kept_s
        stopped = self.engine.listening_s != before_s
        if told or rows or stopped or quiet_s > (QUIET_S if batch else QUIET_CLOCK_S):
            self._keep(told, rows)

    def _after_stop(self, at_s: float) -> None:
        if at_s - self.engine.clock_s > STOP_S:
            self.engine.listen(at_s)

    def _told(self, firings: Sequence[Firing]) -> list[Detection]:
        return [detection(self._rules[firing.rule], firing) for firing in firings]

    def _keep(self, told: Sequence[Detection], rows: dict[str, bytes | None], rules: list[Rule] | None = None) -> None:
        self._state.commit(told, rows, self._cursor or 0, self.engine.clock_s, self.engine.listening_s, rules)
        self._kept_s = time.monotonic()

    async def _take_rules(self) -> None:
        """Go on with the rules as they are now, with what the hub has of types that no rule looked at before."""
        version = await asyncio.to_thread(self._state.rules_version)
        entries = await asyncio.to_thread(self._state.rules)
        rules = [entry.rule for entry in entries.values() if entry.rule is not None]
        before = set(self.engine.plan.types)

        def change() -> list[Firing]:
            # Not as of the present: what the hub accepted up to then may be still to come.
            return self.engine.change_rules(rules, self.engine.clock_s)

        fired = await asyncio.to_thread(change)
        told = [detection((self._rules | {r.id: r for r in rules})[one.rule], one) for one in fired]
        self._rules = {rule.id: rule for rule in rules}
        entities = await self._present(set(self.engine.plan.types) - before)

        def load() -> None:
            for one in entities:
                told.extend(self._told(self.engine.load(one, self.engine.clock_s)))
            self._keep(told, self.engine.take(), rules)

        await self._off(load)
        self._version = version
        log.info("rules taken", rules=len(self.engine.plan.rules), entities=len(self.engine.things))

    async def _reload(self) -> None:
        """Take the present state of all that rules look at, and go on from the newest change."""
        head = await self._hub.head()
        entities = await self._present(set(self.engine.plan.types))

        def load() -> None:
            now_s = max(self.engine.clock_s, time.time() - GRACE_S)
            self.engine.listen(now_s)
            told = self._told(self.engine.forget_but({one.id for one in entities}, now_s))
            for one in entities:
                told += self._told(self.engine.load(one, now_s))
            self._cursor = head
            self._keep(told, self.engine.take())

        await self._off(load)

    async def _present(self, types: set[str]) -> list[Reading]:
        found: list[Reading] = []
        for type in sorted(types):
            for offset in range(0, 1_000_000, PAGE):
                page = await self._hub.query(
                    Query(type=type, limit=PAGE, offset=offset), simplified=True, sys_attrs=True
                )
                found += [one for entity in page if (one := present(entity)) is not None]
                if len(page) < PAGE:
                    break
        return found
