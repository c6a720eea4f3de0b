"""Grouped commits: one writer thread puts all work that waits into one transaction: one fsync serves many."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import apsw

from hanmaru.platform.problems import Problem


class Connection(Protocol):
    """What grouped commits need of an apsw connection."""

    def execute(self, statements: str, /) -> object: ...
    def close(self) -> None: ...


T = TypeVar("T")
C = TypeVar("C", bound=Connection)

MAX_WAITING = 20_000
MAX_GROUP_COST = 2_000


@dataclass(slots=True)
class _Item(Generic[C]):
    work: Callable[[C], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    cost: int
    result: Any = None
    error: BaseException | None = None


class Committer(Generic[C]):
    """A thread that owns the writing connection.

    Work is a function of the connection that runs inside the group's transaction. A `Problem` that it raises before it
    changed anything goes to its caller; any other error rolls the group back, and each work is tried again by itself.
    """

    def __init__(self, connect: Callable[[], C]) -> None:
        """Start the thread; ``connect`` opens its connection there."""
        self._connect = connect
        self._waiting: deque[_Item[C]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._rolled_back: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def on_rollback(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` (in the writer thread) whenever a transaction was rolled back."""
        self._rolled_back.append(hook)

    async def run(self, work: Callable[[C], T], cost: int = 1) -> T:
        """Run work in the next group and return its result once the group is on disk.

        ``cost`` is its share of a group (about: rows changed). Raises a 503 problem when too much work waits.
        """
        loop = asyncio.get_running_loop()
        item = _Item(work, loop.create_future(), loop, cost)
        with self._wake:
            if self._stopping or len(self._waiting) >= MAX_WAITING:
                raise Problem(503, "Overloaded", "Too many writes wait for the disk. Try again in a second.")
            self._waiting.append(item)
            if len(self._waiting) == 1:
                self._wake.notify()
        return await item.future

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _take(self) -> list[_Item[C]]:
        with self._wake:
            while not self._waiting and not self._stopping:
                self._wake.wait()
            group: list[_Item[C]] = []
            cost = 0
            while self._waiting and (not group or cost + self._waiting[0].cost <= MAX_GROUP_COST):
                group.append(self._waiting.popleft())
                cost += group[-1].cost
            return group

    def _run(self) -> None:
        connection = self._connect()
        try:
            while group := self._take():
                if not self._commit(connection, group):
                    for item in group:
                        self._commit(connection, [item], alone=True)
                _resolve(group)
        finally:
            connection.close()

    def _commit(self, connection: C, group: list[_Item[C]], *, alone: bool = False) -> bool:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for item in group:
                item.error = item.result = None
                try:
                    item.result = item.work(connection)
                except Problem as problem:
                    item.error = problem
            connection.execute("COMMIT")
            return True
        except BaseException as error:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")
            for hook in self._rolled_back:
                hook()
            if alone:
                group[0].error = error
            return False


def _resolve(group: list[_Item[Any]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Item[Any]]] = {}
    for item in group:
        by_loop.setdefault(item.loop, []).append(item)
    for loop, items in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed while its caller waited
            loop.call_soon_threadsafe(_settle, items)


def _settle(items: list[_Item[Any]]) -> None:
    for item in items:
        if item.future.done():
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)
