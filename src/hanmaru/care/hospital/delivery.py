"""Deliveries: each subscription reads the change log from its own position and moves on when its receiver has taken it.

The log is the records' own and written with each commit, so what was acknowledged is delivered whatever stops in
between: at least once, in order, for as long as the subscription is active. A receiver that is away holds up its own
lane only. What a subscriber may see is asked when it is sent, not when it happened.
"""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from hanmaru.care.domain import SYSTEM_NAME, CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import Change, Reader, Records, Version
from hanmaru.care.fhir.values import ChangeRow
from hanmaru.care.hospital import referrals
from hanmaru.care.hospital.ledger import OWN, Ledger, Standing
from hanmaru.care.hospital.matching import Matcher
from hanmaru.care.hospital.notifications import notification
from hanmaru.care.hospital.subscriptions import Watch, parsed
from hanmaru.platform.problems import Problem
from hanmaru.platform.sender import Sender

log = structlog.get_logger()

ROOM: Final = Reader(SYSTEM_NAME, "all")
BATCH: Final = 200
OWN_BATCH: Final = 2000
SHOWN_AFTER: Final = 3
"""Failures in a row after which the Subscription itself says ``error``; until then it may be a restart."""
MOST_LANES: Final = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for a receiver and how often to try; seconds. There is no last attempt."""

    timeout_s: float = 10.0
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0

    def backoff(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, with jitter."""
        longest = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(failures - 1, 32))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - it keeps receivers from being met all at once


DEFAULT: Final = Limits()


def _now() -> int:
    return time.time_ns() // 1000


class Deliveries:
    """All subscriptions of a city; exactly one process runs it."""

    def __init__(self, records: Records, ledger: Ledger, sender: Sender, limits: Limits = DEFAULT) -> None:
        """Name what it works with; ``run`` begins."""
        self.records, self.ledger, self.sender, self.limits = records, ledger, sender, limits
        self.matcher = Matcher(records.zone)
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            own = await asyncio.to_thread(self.ledger.open, OWN, 0)
            for standing in await asyncio.to_thread(self.ledger.all):
                await self._changed(standing.id, standing.seq)
            async for _ in self.records.ticks():
                while rows := await self.records.changes(own.seq, OWN_BATCH):
                    for row in rows:
                        if row.type == "Subscription":
                            await self._changed(row.id, row.seq)
                        elif row.type == "Task":
                            await referrals.follow(self.records, row)
                    own = replace(own, seq=rows[-1].seq)
                    await asyncio.to_thread(self.ledger.put, own)
                for lane, _ in self._lanes.values():
                    lane.wake()
        finally:
            for _, task in self._lanes.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._lanes.values()), return_exceptions=True)

    async def _changed(self, id: str, seq: int) -> None:
        try:
            version = await self.records.read(ROOM, "Subscription", id)
        except Problem as problem:
            if problem.status not in (404, 410):
                raise
            await self._end(id)
        else:
            await self._take(version, seq)

    async def _take(self, version: Version, seq: int) -> None:
        """Begin, change or end a lane as the subscription says now; a new one is told of changes after ``seq``."""
        resource = text.decode(version.text)
        status = resource.get("status")
        if status == "off":
            await self._end(version.id)
            return
        standing = await asyncio.to_thread(self.ledger.get, version.id)
        if status == "error" and standing is None:  # it was not understood, or not by its maker's last word
            return
        try:
            watch = parsed(resource)
            if standing is None and len(self._lanes) >= MOST_LANES:
                raise CareError(f"this server serves {MOST_LANES} subscriptions already")
        except CareError as error:
            await self._end(version.id)
            await self.say(version, "error", str(error))
            return
        if watch.end is not None and watch.end <= _now():
            await self._end(version.id)
            await self.say(version, "off", "its end has come")
            return
        if standing is None:
            standing = await asyncio.to_thread(self.ledger.open, version.id, seq)
        self._serve(watch, standing, await self.records.author("Subscription", version.id))
        if status == "requested":
            await self.say(version, "active", "")

    def _serve(self, watch: Watch, standing: Standing, reader: Reader) -> None:
        if held := self._lanes.get(watch.id):
            held[0].watch, held[0].reader = watch, replace(reader, purpose="notification")
            held[0].hurry()
            return
        lane = Lane(self, watch, replace(reader, purpose="notification"), standing)
        self._lanes[watch.id] = lane, asyncio.create_task(lane.run(), name=f"deliveries {watch.id}")

    async def _end(self, id: str) -> None:
        if held := self._lanes.pop(id, None):
            held[1].cancel()
            await asyncio.gather(held[1], return_exceptions=True)
        await asyncio.to_thread(self.ledger.drop, id)

    async def say(self, version: Version, status: str, error: str) -> None:
        """Write a subscription's status into it, over the version that was read; another's later word stands.

        It is written as whom made it, so that it stays theirs.
        """
        resource = text.decode(version.text)
        resource["status"] = status
        resource.pop("error", None)
        if error:
            resource["error"] = error
        with suppress(Problem):
            author = await self.records.author("Subscription", version.id)
            await self.records.commit(author, [Change("PUT", "Subscription", version.id, resource, version.version)])


class Lane:
    """One subscription's deliveries, one at a time."""

    def __init__(self, of: Deliveries, watch: Watch, reader: Reader, standing: Standing) -> None:
        """Begin after the change that the standing names."""
        self._of, self.watch, self.reader, self._standing = of, watch, reader, standing
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()

    def wake(self) -> None:
        """Look at the log: there may be more."""
        self._wake.set()

    def hurry(self) -> None:
        """Try again at once: the subscription was changed."""
        self._hurry.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                await self._run()
            except Exception:
                log.exception("deliveries stumbled", subscription=self.watch.id)
                await asyncio.sleep(self._of.limits.backoff_max_s)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            rows = await self._of.records.changes(self._standing.seq, BATCH)
            for row in rows:
                if row.type == self.watch.type and row.method != "DELETE":
                    await self._tell(row)
            if rows:
                await self._keep(replace(self._standing, seq=max(self._standing.seq, rows[-1].seq)))
            elif self.watch.end is not None and self.watch.end <= _now():
                return await self._over()
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(60):
                        await self._wake.wait()

    async def _over(self) -> None:
        version = await self._of.records.read(ROOM, "Subscription", self.watch.id)
        await self._of.say(version, "off", "its end has come")
        await asyncio.Event().wait()  # until the change just made ends this lane

    async def _tell(self, row: ChangeRow) -> None:
        """Deliver one change, if it fulfils the criteria, for as long as that takes."""
        records = self._of.records
        version = await _version(records, ROOM, row)
        if version is None:
            return
        resource = text.decode(version.text)
        while await asyncio.to_thread(self._of.matcher.matches, self.watch, resource, version.at):
            seen = await _version(records, self.reader, row)
            if seen is None:
                return await self._keep(replace(self._standing, seq=row.seq, withheld=self._standing.withheld + 1))
            sending = notification(self.watch, row.seq, self._standing.sent + 1, seen)
            outcome = await self._of.sender.send(
                sending.uri, sending.headers, sending.body, self._of.limits.timeout_s, method=sending.method
            )
            if outcome.verdict == "delivered":
                return await self._delivered(row.seq)
            await self._failed(outcome.reason, outcome.wait_s)

    async def _delivered(self, seq: int) -> None:
        was, sent = self._standing, self._standing.sent + 1
        await self._keep(Standing(self.watch.id, seq, sent, was.withheld, sent_at=_now()))
        if was.failures >= SHOWN_AFTER:
            await self._show("active", "")

    async def _failed(self, reason: str, wait_s: float) -> None:
        was = self._standing
        failures = was.failures + 1
        wait_s = max(self._of.limits.backoff(failures), min(wait_s, self._of.limits.backoff_max_s))
        due, since = _now() + int(wait_s * 1e6), was.failing_since or _now()
        await self._keep(replace(was, failures=failures, failing_since=since, due=due, error=reason))
        if failures == SHOWN_AFTER:
            log.warning("a receiver is away", subscription=self.watch.id, reason=reason)
            await self._show("error", reason)
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()

    async def _show(self, status: str, error: str) -> None:
        with suppress(Problem):
            await self._of.say(await self._of.records.read(ROOM, "Subscription", self.watch.id), status, error)

    async def _keep(self, standing: Standing) -> None:
        self._standing = standing
        await asyncio.to_thread(self._of.ledger.put, standing)


async def _version(records: Records, reader: Reader, row: ChangeRow) -> Version | None:
    """Return the version of a change; None where the reader may not see it or it was destroyed since."""
    try:
        return await records.vread(reader, row.type, row.id, row.version)
    except Problem as problem:
        if problem.status in (404, 410):
            return None
        raise
