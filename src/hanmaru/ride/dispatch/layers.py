"""What improves plans beside the answers: assignment, the search in the background, where idle vans wait.

They think for seconds, so they do it in a process of their own, at low priority, on a copy of the state. What they find
is proposed, and the engine takes what still fits.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import structlog

from hanmaru.ride.dispatch.operation import Operation
from hanmaru.ride.domain import RideError, Rows, Seconds, Travel
from hanmaru.ride.engine import commands as c
from hanmaru.ride.engine.config import Config
from hanmaru.ride.engine.state import State

log = structlog.get_logger()

NICE = 10
LEAST_S = 1.0
SHARE = 0.4
"""The share of its interval for which the assignment may think."""
MOST_CALLS = 50_000


class Helper:
    """The process that thinks, asked one question at a time; it ends when this one does, however that ends."""

    def __init__(self) -> None:
        """Start it."""
        spawning = multiprocessing.get_context("spawn")
        self._line, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(theirs,), name="ride layers", daemon=True)
        self._process.start()
        theirs.close()

    async def ask(self, question: str, *about: Any) -> Any:
        """Return the answer; raises RideError where there is none."""
        answer = await asyncio.to_thread(self._ask, question, about)
        if isinstance(answer, str):
            raise RideError(answer)
        return answer

    def _ask(self, question: str, about: tuple[Any, ...]) -> Any:
        try:
            self._line.send((question, about))
            return self._line.recv()
        except (EOFError, OSError) as error:
            raise RideError(f"the layers' process is gone ({error or 'ended'})") from None

    def close(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()
        self._line.close()


class Layers:
    """Runs the layers of an operation."""

    def __init__(self, operation: Operation) -> None:
        """Begin with no history of calls."""
        self.operation = operation
        self.calls: deque[tuple[int, int]] = deque(maxlen=MOST_CALLS)
        operation.called = lambda at_s, stop: self.calls.append((at_s, stop))
        self.took_s: dict[str, float] = {}

    async def run(self) -> None:
        """Ask and propose until cancelled; a helper that died is replaced."""
        while True:
            helper = await asyncio.to_thread(Helper)
            try:
                await self._improve(helper)
            except RideError as error:
                log.error("the layers begin anew", reason=str(error))
                await asyncio.sleep(LEAST_S)
            finally:
                helper.close()

    async def _improve(self, helper: Helper) -> None:
        settings = self.operation.settings.layers
        assigned = rebalanced = time.monotonic()
        seed = seen = 0
        while True:
            began, seq = time.monotonic(), self.operation.state.seq
            if settings.assign_every_s and began - assigned >= settings.assign_every_s:
                assigned = began
                await self._propose(helper, "assign", settings.assign_every_s * SHARE)
            elif settings.rebalance_every_s and began - rebalanced >= settings.rebalance_every_s:
                rebalanced = began
                asked = np.array(self.calls, np.int64).reshape(-1, 2)
                await self._propose(helper, "rebalance", asked[:, 0], asked[:, 1])
            elif settings.improve_s and seq != seen:
                seed, seen = seed + 1, seq
                await self._propose(helper, "improve", settings.improve_s, seed)
            await asyncio.sleep(LEAST_S)

    async def _propose(self, helper: Helper, layer: str, *about: Any) -> None:
        operation = self.operation
        dispatcher = operation.dispatcher
        began = time.monotonic()
        snapshot = dispatcher.state.dumps(), dispatcher.travel.time_s.copy(), int(operation.now()), dispatcher.config
        proposal = await helper.ask(layer, *snapshot, *about)
        self.took_s[layer] = time.monotonic() - began
        if proposal is not None:
            with suppress(RideError):  # what it is about is over by now
                operation.propose(proposal)


Snapshot = tuple[State, Travel, int, Config]


def _serve(line: Connection) -> None:
    """Answer questions until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    known: dict[str, Any] = {}
    with suppress(EOFError, OSError):
        while True:
            question, (state, time_s, now_s, config, *about) = line.recv()
            snapshot = State.loads(state), Travel(time_s, time_s), now_s, config
            try:
                answer = _LAYERS[question](known, snapshot, *about)
            except Exception as error:
                answer = f"{question}: {type(error).__name__}: {error}"
            line.send(answer)


def _assign(known: dict[str, Any], snapshot: Snapshot, seconds: float) -> c.Propose | None:
    from hanmaru.ride.engine import assignment

    state, travel, now_s, config = snapshot
    proposal = assignment.plan(state, travel, now_s, config.weights, seconds)
    return proposal if proposal.plans else None


def _improve(known: dict[str, Any], snapshot: Snapshot, seconds: float, seed: int) -> c.Propose | None:
    from hanmaru.ride.engine import improve

    state, travel, now_s, config = snapshot
    proposal = improve.plan(state, travel, now_s, config.weights, seconds, seed)
    return proposal if proposal.plans else None


def _rebalance(known: dict[str, Any], snapshot: Snapshot, asked_s: Seconds, stops: Rows) -> c.Reposition | None:
    from hanmaru.ride.engine import rebalancing

    state, travel, now_s, config = snapshot
    if "zones" not in known:
        known["zones"] = rebalancing.zones(travel)
    middles, zone = known["zones"]
    demand = rebalancing.expected(asked_s, zone[stops], len(middles), now_s)
    return rebalancing.plan(state, travel, now_s, middles, demand, config.weights)


_LAYERS: dict[str, Callable[..., c.AnyCommand | None]] = {
    "assign": _assign,
    "improve": _improve,
    "rebalance": _rebalance,
}
