"""Grouped commits for the PostgreSQL store: what waits while a transaction is under way goes into the next one."""

import asyncio
from collections import deque
from dataclasses import dataclass

from hanmaru.hub.stores.postgres_db import TRANSIENT, Lost, Names, Pool, connected
from hanmaru.hub.stores.postgres_write import Job, Outcomes, commit
from hanmaru.platform.problems import Problem

WRITERS = 2
MAX_WAITING = 20_000
MAX_GROUP_COST = 1_000
TRIES = 3


@dataclass(slots=True)
class _Waiting:
    job: Job
    future: "asyncio.Future[Outcomes]"


class Groups:
    """A few writers, each with one transaction under way at a time."""

    def __init__(self, pool: Pool, names: Names) -> None:
        """Start the writers."""
        self._pool, self._names = pool, names
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Condition()
        self._stopping = False
        self._writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]

    async def run(self, job: Job) -> Outcomes:
        """Apply a job in the next group; return once it is on disk. Raises a 503 problem when too much waits."""
        if self._stopping or len(self._waiting) >= MAX_WAITING:
            raise Problem(503, "Overloaded", "Too many writes wait for the disk. Try again in a second.")
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        async with self._wake:
            self._wake.notify()
        return await waiting.future

    async def close(self) -> None:
        """Finish what waits, then stop."""
        self._stopping = True
        async with self._wake:
            self._wake.notify_all()
        await asyncio.gather(*self._writers)

    async def _take(self) -> list[_Waiting]:
        async with self._wake:
            await self._wake.wait_for(lambda: self._waiting or self._stopping)
        group: list[_Waiting] = []
        cost = 0
        while self._waiting and (not group or cost + self._waiting[0].job.cost <= MAX_GROUP_COST):
            group.append(self._waiting.popleft())
            cost += group[-1].job.cost
        return group

    async def _write(self) -> None:
        while group := await self._take():
            try:
                await self._commit(group)
            except Lost as problem:
                _refuse(group, problem)
            except Exception:
                await self._each_alone(group)

    async def _each_alone(self, group: list[_Waiting]) -> None:
        for waiting in group:
            for left in reversed(range(TRIES)):
                try:
                    await self._commit([waiting])
                    break
                except Exception as error:
                    if not isinstance(error, TRANSIENT) or not left:
                        _refuse([waiting], error)
                        break

    async def _commit(self, group: list[_Waiting]) -> None:
        async with connected(self._pool) as connection:
            outcomes = await commit(connection, self._names, [waiting.job for waiting in group])
        for waiting, outcome in zip(group, outcomes, strict=True):
            if waiting.future.done():
                continue
            if isinstance(outcome, Problem):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)


def _refuse(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.future.done():
            waiting.future.set_exception(error)
