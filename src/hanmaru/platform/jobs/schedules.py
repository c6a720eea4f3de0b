"""Starts workflows at the ticks of their schedules, each tick once."""

import asyncio
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import structlog

from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.manifest import Schedule, Text

log = structlog.get_logger()

LOOK_S = 30
"""How long a schedule sleeps at most before it reads the clock again, which somebody may have set."""


class Plan(msgspec.Struct, frozen=True):
    """A schedule as it stands: the tick that started a workflow last, and the next one; the title is the workflow's."""

    name: str
    workflow: str
    title: Text
    cron: str | None
    every_s: float | None
    last: datetime | None
    next: datetime


def tick_before(schedule: Schedule, now_s: float, zone: str) -> float:
    """Return the last tick at or before an instant; both are seconds since 1970 in UTC."""
    if schedule.every_s is not None:
        return now_s // schedule.every_s * schedule.every_s
    from croniter import croniter

    # The iterator's own "previous" excludes the instant itself.
    return croniter(schedule.cron or "", datetime.fromtimestamp(now_s + 1e-3, ZoneInfo(zone))).get_prev(float)


def tick_after(schedule: Schedule, now_s: float, zone: str) -> float:
    """Return the first tick after an instant; both are seconds since 1970 in UTC."""
    if schedule.every_s is not None:
        return (now_s // schedule.every_s + 1) * schedule.every_s
    from croniter import croniter

    return croniter(schedule.cron or "", datetime.fromtimestamp(now_s, ZoneInfo(zone))).get_next(float)


def tick_id(name: str, tick_s: float) -> str:
    """Return the id of the workflow that a tick of the schedule ``<room>.<name>`` starts: one for each tick."""
    return f"{name}@{datetime.fromtimestamp(tick_s, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


async def keep_schedules(jobs: Jobs, zone: str) -> None:
    """Start workflows at their ticks until cancelled."""
    async with asyncio.TaskGroup() as group:
        for name, schedule in jobs.known.schedules.items():
            group.create_task(_keep(jobs, name, schedule, zone), name=f"schedule {name}")


async def _keep(jobs: Jobs, name: str, schedule: Schedule, zone: str) -> None:
    last = await last_tick(jobs, name)
    missed = tick_before(schedule, time.time(), zone)
    if last is not None and last.timestamp() < missed:
        await _start(jobs, name, schedule, missed)
    while True:
        tick = tick_after(schedule, time.time(), zone)
        while (wait_s := tick - time.time()) > 0:  # noqa: ASYNC110 - there is nothing to wait for but the clock
            await asyncio.sleep(min(wait_s, LOOK_S))
        await _start(jobs, name, schedule, tick)


async def _start(jobs: Jobs, name: str, schedule: Schedule, tick_s: float) -> None:
    room = name.partition(".")[0]
    try:
        await jobs.start(f"{room}.{schedule.workflow}", schedule.input, tick_id(name, tick_s))
    except Exception as error:  # a database that is away for a moment must not end the schedule
        log.error("schedule could not start its workflow", schedule=name, error=type(error).__name__)


async def last_tick(jobs: Jobs, name: str) -> datetime | None:
    """Return the last tick of a schedule that started a workflow, None where none is known."""
    found = (await jobs.list(prefix=f"{name}@", limit=1)).workflows
    return datetime.fromisoformat(found[0].id.partition("@")[2]) if found else None


async def plans(jobs: Jobs, zone: str) -> list[Plan]:
    """Return every schedule as it stands, by name."""
    now = time.time()
    return [
        Plan(
            name=name,
            workflow=(workflow := f"{name.partition('.')[0]}.{schedule.workflow}"),
            title=jobs.known.workflows[workflow].title,
            cron=schedule.cron,
            every_s=schedule.every_s,
            last=await last_tick(jobs, name),
            next=datetime.fromtimestamp(tick_after(schedule, now, zone), UTC),
        )
        for name, schedule in sorted(jobs.known.schedules.items())
    ]
