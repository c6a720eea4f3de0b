"""What a service declares: workflows, schedules; and what a workflow is given to take its steps with."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from hanmaru.platform.jobs.payload import JobError, checked, checked_name

log = structlog.get_logger()

Text = Mapping[str, str]


class Steps(Protocol):
    """How a workflow acts and waits. What is not done through it is done again after a restart."""

    @property
    def id(self) -> str:
        """The workflow's id."""
        ...

    @property
    def context(self) -> Any:
        """The `hanmaru.platform.services.Context` of the room whose workflow this is."""
        ...

    async def run(self, name: str, function: Callable[..., Any], *args: Any, retries: int = 3) -> Any:
        """Call a function, async or not, and return its result, which is kept: the step is not run again.

        A crash during the step, before its result is kept, makes it run again: what it does must bear that. An
        exception is tried again ``retries`` times, after 1, 2, 4 … seconds, and then raised as `JobError`, which says
        its type and not its text. The result is JSON of at most 8 KiB.
        """
        ...

    async def wait_for(self, topic: str, timeout_s: float) -> Any:
        """Return the message that is sent on a topic, or None when none came in time; restarts do not extend it."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, whatever restarts in between."""
        ...

    async def publish(self, key: str, value: Any) -> None:
        """Show a value under a key on the page of jobs; the last one counts. None takes it away."""
        ...


@dataclass(frozen=True, slots=True)
class Workflow:
    """A durable workflow. Its function takes steps and an input, and returns JSON of at most 8 KiB.

    ``input`` is the type that an input must convert to (by msgspec), which the function is then given; None takes any
    JSON. What the function does between steps must be the same each time it runs with the same results: no clock, no
    chance, no I/O but through steps.
    """

    name: str
    run: Callable[[Steps, Any], Awaitable[Any]]
    title: Text
    input: Any = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Starts a workflow of the same service at each tick of ``cron``, in the city's zone, or every ``every_s`` seconds.

    A tick starts it once, however many restarts there are around it. Of the ticks missed while nothing ran, the last
    one is made up for.
    """

    name: str
    workflow: str
    cron: str | None = None
    every_s: float | None = None
    input: Any = None


@dataclass(frozen=True, slots=True)
class Declared:
    """Every workflow and schedule of the installed services and the platform, by ``<room>.<name>``."""

    workflows: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])
    schedules: Mapping[str, Schedule] = field(default_factory=dict[str, Schedule])


def declared(rooms: Iterable[tuple[str, Iterable[Workflow], Iterable[Schedule]]]) -> Declared:
    """Collect what rooms declare, given as (room, workflows, schedules).

    What cannot work is logged and left out: a stranger's mistake does not stop the others' jobs.
    """
    workflows: dict[str, Workflow] = {}
    schedules: dict[str, Schedule] = {}
    for room, its_workflows, its_schedules in rooms:
        for workflow in its_workflows:
            try:
                name = _full(room, workflow.name, workflows)
            except JobError as error:
                log.error("workflow left out", room=room, workflow=workflow.name, reason=str(error))
            else:
                workflows[name] = workflow
        for schedule in its_schedules:
            try:
                name = _full(room, schedule.name, schedules)
                _check(schedule, room, workflows)
            except JobError as error:
                log.error("schedule left out", room=room, schedule=schedule.name, reason=str(error))
            else:
                schedules[name] = schedule
    return Declared(workflows, schedules)


def _full(room: str, name: str, taken: Mapping[str, object]) -> str:
    full = f"{room}.{checked_name(name, 'a name')}"
    if full in taken:
        raise JobError(f"{full} is declared twice")
    return full


def _check(schedule: Schedule, room: str, workflows: Mapping[str, Workflow]) -> None:
    workflow = workflows.get(f"{room}.{schedule.workflow}")
    if workflow is None:
        raise JobError(f"{room} has no workflow {schedule.workflow!r}")
    if (schedule.cron is None) == (schedule.every_s is None):
        raise JobError("give either cron or every_s")
    if schedule.every_s is not None and schedule.every_s < 1:
        raise JobError("every_s is at least 1")
    if schedule.cron is not None:
        from croniter import croniter

        if not croniter.is_valid(schedule.cron):
            raise JobError(f"{schedule.cron!r} is no cron expression, such as '0 3 * * *'")
    convert(workflow, checked(schedule.input, "its input"))


def convert(workflow: Workflow, plain: Any) -> Any:
    """Return an input as the type that the workflow takes; raises JobError for one that is not."""
    if workflow.input is None:
        return plain
    import msgspec

    try:
        return msgspec.convert(plain, workflow.input)
    except msgspec.ValidationError as error:
        raise JobError(f"the input of {workflow.name!r}: {error}") from None
