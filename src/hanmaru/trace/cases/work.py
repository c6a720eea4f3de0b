"""The room's durable workflows and background work. Workflows are clocks of requests and cases: they hold ids only.

What they do is loaded when they do it: the manifest names them in every process.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import msgspec
import structlog

from hanmaru.hub.client import HubClient
from hanmaru.platform.jobs import Steps, Workflow
from hanmaru.platform.services import Context

if TYPE_CHECKING:
    from hanmaru.trace.cases.room import Room

log = structlog.get_logger()

SWEEP_S = 30.0
LONGEST_WAIT_S = 7 * 86_400.0
"""No wait is longer: a date may be brought forward while the message about it is lost."""


class Run(msgspec.Struct, frozen=True):
    """Which investigation of which case."""

    case: str
    run: int


async def _room(context: Context[HubClient]) -> "Room":
    from hanmaru.trace.cases.room import room

    return await room(context)


async def tend_request(context: Context[HubClient], id: str) -> float:
    """Do what is due of a request, as `requests.tend` does."""
    from hanmaru.trace.cases import requests

    return await requests.tend(await _room(context), id)


async def tend_case(context: Context[HubClient], id: str) -> float:
    """Do what is due of a case, as `cases.tend` does."""
    from hanmaru.trace.cases import cases

    return await cases.tend(await _room(context), id)


async def request(steps: Steps, id: str) -> str:
    """Be a request's clock: do what is due, wait for what is next or for news, until nothing will be due any more."""
    while wait_s := await steps.run("tend", tend_request, steps.context, id):
        await steps.wait_for("changed", min(wait_s, LONGEST_WAIT_S))
    return "ended"


async def case(steps: Steps, id: str) -> str:
    """Destroy a closed case at its date."""
    while wait_s := await steps.run("tend", tend_case, steps.context, id):
        await steps.wait_for("changed", min(wait_s, LONGEST_WAIT_S))
    return "ended"


async def investigate(steps: Steps, wanted: Run) -> str:
    """Investigate a case; a crash in the middle begins anew."""
    return await steps.run("investigate", run_investigation, steps.context, wanted.case, wanted.run)


async def run_investigation(context: Context[HubClient], case: str, run: int) -> str:
    """Investigate a case, as `investigation.run` does."""
    from hanmaru.trace.cases import investigation

    return await investigation.run(await _room(context), Run(case, run))


WORKFLOWS = (
    Workflow("investigate", investigate, {"en": "Investigation", "ko": "역학조사 분석"}, Run),
    Workflow("request", request, {"en": "Lawful request", "ko": "정보 제공 요청"}, str),
    Workflow("case", case, {"en": "Destruction of a closed case", "ko": "종결 사례 파기"}, str),
)


async def inbox(context: Context[HubClient]) -> None:
    """Take in what providers drop as files, until cancelled."""
    from hanmaru.trace.cases.inbox import watch

    await watch(context)


async def demo(context: Context[HubClient]) -> None:
    """Bring something to show in a demo city, and answer its requests."""
    if context.city.get("demo"):
        from hanmaru.trace.cases import demo

        await demo.demo(context)


async def sweep(context: Context[HubClient]) -> None:
    """Do what is due of everything, every half minute: what no workflow is left to do, or an interruption left."""
    seen = -1
    while True:
        await sweep_once(context)
        seen = await conclude(context, seen)
        await asyncio.sleep(SWEEP_S)


async def conclude(context: Context[HubClient], seen: int) -> int:
    """Work out anew what rests on several cases, chains and hotspots, when something happened since ``seen``.

    Return the number of the last that happened.
    """
    from hanmaru.trace.cases import chain, hotspots

    room = await _room(context)
    last = await asyncio.to_thread(room.book.last_event)
    if last != seen:
        await _quietly(chain.work_out(room), "chain")
        await _quietly(hotspots.publish(room, room.own_desk("hotspots for the hub")), "hotspots")
    return last


async def sweep_once(context: Context[HubClient]) -> None:
    """Do what is due of everything."""
    from hanmaru.trace.cases import cases, findings, requests

    room = await _room(context)
    await asyncio.to_thread(cases.bury, room)
    await findings.destroy_doomed(room, "an interrupted destruction")
    for one in await requests.all_requests(room, requests.LIVE):
        await _quietly(requests.tend(room, one.id), one.id)
    for row in await asyncio.to_thread(lambda: room.book.cases(status="closed", limit=10_000)):
        await _quietly(cases.tend(room, row.id), row.id)


async def _quietly(work: Awaitable[object], id: str) -> None:
    """Let one failure stop no other; its text may quote what no log may hold."""
    try:
        await work
    except Exception as error:
        log.error("could not tend", id=id, error=type(error).__name__)
