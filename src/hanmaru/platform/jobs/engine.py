"""Runs the workflows: the part that the engine worker alone has, and the only one that starts DBOS.

The application version is fixed, so that workflows go on after an edit of the code. A workflow that waits holds no
thread; one whose code is gone stays as it is and hinders none.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from hanmaru.platform.jobs.client import QUEUE, Jobs
from hanmaru.platform.jobs.database import APPLICATION, prepare, quieten
from hanmaru.platform.jobs.manifest import Workflow, convert
from hanmaru.platform.jobs.payload import JobError, checked, checked_name
from hanmaru.platform.jobs.schedules import keep_schedules
from hanmaru.platform.jobs.states import PUBLISHED, UNTIL, WAITING

if TYPE_CHECKING:
    from dbos import DBOSConfig

log = structlog.get_logger()

VERSION = "1"
POLL_S = 0.5
THREADS = 16
MOST_ATTEMPTS = 1000
"""How often a workflow is taken up again after its process ended under it, before it is given up."""
KEPT_DAYS, TICKS_KEPT_DAYS = 90, 2
"""For how long a workflow that has ended is shown, and one that a schedule started."""


async def run_jobs(url: str, jobs: Jobs, context_of: Callable[[str], Any], zone: str = "UTC") -> None:
    """Run every declared workflow and schedule until cancelled.

    ``context_of`` gives a room's `Context` by its name; cron expressions are read in the time zone ``zone``. Workflows
    run on this event loop. One process at a time may do this for a database.
    """
    await asyncio.to_thread(prepare, url)
    from dbos import DBOS

    DBOS(config=_configuration(url))
    quieten()
    running: set[asyncio.Task[Any]] = set()
    try:
        for name, workflow in jobs.known.workflows.items():
            _register(name, workflow, context_of, running)
        DBOS.launch()
        await DBOS.register_queue_async(QUEUE, polling_interval_sec=POLL_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_schedules(jobs, zone))
            group.create_task(_forget_old(jobs))
    finally:
        # Workflows that are cut short here stay as they are and are taken up again at the next start.
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # DBOS put its own threads in the place of the loop's, and takes them away with it.
        loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop.set_default_executor(threads)
        await loop.run_in_executor(threads, partial(DBOS.destroy, destroy_registry=True))


def _configuration(url: str) -> "DBOSConfig":
    from dbos import DBOSPortableJSONSerializer

    return {
        "name": APPLICATION,
        "system_database_url": url,
        "application_version": VERSION,
        "executor_id": "engine",
        "serializer": DBOSPortableJSONSerializer(),  # the default pickles: a file that is read must not be run
        "enable_otlp": False,
        "log_level": "WARNING",
        "max_executor_threads": THREADS,
        "sys_db_pool_size": 8,
        "notification_listener_polling_interval_sec": POLL_S,
        "scheduler_polling_interval_sec": 3600.0,
    }


def _register(name: str, workflow: Workflow, context_of: Callable[[str], Any], running: set[asyncio.Task[Any]]) -> None:
    from dbos import DBOS

    room = name.partition(".")[0]

    async def run(input: Any) -> Any:
        if task := asyncio.current_task():
            running.add(task)
            task.add_done_callback(running.discard)
        steps = DurableSteps(DBOS.workflow_id or "", context_of(room))
        try:
            return checked(await workflow.run(steps, convert(workflow, input)), "the workflow's result")
        except JobError as error:
            log.warning("workflow failed", error=str(error), workflow=steps.id)
            raise
        except Exception as error:
            _tell("workflow failed", error, workflow=steps.id)
            raise JobError(_kind(error)) from None

    run.__qualname__ = run.__name__ = name
    DBOS.workflow(name=name, max_recovery_attempts=MOST_ATTEMPTS)(run)


class DurableSteps:
    """`Steps` by DBOS, for one workflow."""

    def __init__(self, id: str, context: Any) -> None:
        """Make them for the workflow with an id, of the room whose context is given."""
        self.id, self.context = id, context

    async def run(self, name: str, function: Callable[..., Any], *args: Any, retries: int = 3) -> Any:
        """Call a function once and keep its result."""
        from dbos import DBOS

        async def step() -> Any:
            for attempt in range(retries + 1):
                try:
                    return checked(await _call(function, args), f"the result of step {name!r}")
                except JobError:
                    raise
                except Exception as error:
                    _tell("step failed", error, workflow=self.id, step=name, attempt=attempt + 1)
                    if attempt == retries:
                        raise JobError(f"step {name!r} failed: {_kind(error)}") from None
                await asyncio.sleep(min(2**attempt, 60))
            raise AssertionError

        try:
            return await DBOS.run_step_async({"name": checked_name(name, "a step's name")}, step)
        except Exception as error:
            raise JobError(str(error)) from None  # after a restart it comes back as DBOS's own type

    async def wait_for(self, topic: str, timeout_s: float) -> Any:
        """Wait for a message."""
        from dbos import DBOS

        checked_name(topic, "a topic")
        # Kept before all else, so that the wait ends when it was first said to, whatever is killed in between.
        until: float = await DBOS.run_step_async({"name": UNTIL}, lambda: time.time() + timeout_s)
        await self._show({WAITING: {"topic": topic, "until": datetime.fromtimestamp(until, UTC).isoformat()}})
        received = await DBOS.recv_async(topic, timeout_seconds=max(0.0, until - time.time()))
        await self._show({WAITING: None})
        return received["message"] if received else None

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        from dbos import DBOS

        await DBOS.sleep_async(seconds)

    async def publish(self, key: str, value: Any) -> None:
        """Show a value."""
        await self._show({PUBLISHED + checked_name(key, "a key"): checked(value, f"what is published as {key!r}")})

    async def _show(self, attributes: Mapping[str, Any]) -> None:
        from dbos import DBOS

        await DBOS.update_workflow_attributes_async(self.id, dict(attributes), merge=True)


async def _call(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args)
    result = await asyncio.to_thread(function, *args)
    return await result if inspect.isawaitable(result) else result


async def _forget_old(jobs: Jobs) -> None:
    while True:
        now = datetime.now(UTC)
        await jobs.forget(now - timedelta(days=KEPT_DAYS))
        for schedule in jobs.known.schedules:
            await jobs.forget(now - timedelta(days=TICKS_KEPT_DAYS), f"{schedule}@")
        await asyncio.sleep(3600)


def _kind(error: Exception) -> str:
    """Name an error by type: its text may quote what no log and no database but the vault may hold."""
    return type(error).__name__


def _tell(event: str, error: Exception, **facts: Any) -> None:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    at = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    log.warning(event, error=_kind(error), at=at, **facts)
