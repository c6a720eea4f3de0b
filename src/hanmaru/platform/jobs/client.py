"""Start workflows, send them messages, look at them and cancel them, from any process.

DBOS's client is imported (1 s of processor time, 45 MB) on the first use, in a thread; a worker that never uses jobs
never pays for it.
"""

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec

from hanmaru.platform.jobs.database import APPLICATION, prepare
from hanmaru.platform.jobs.manifest import Declared, convert
from hanmaru.platform.jobs.payload import EndedError, JobError, NotFoundError, checked, checked_name
from hanmaru.platform.jobs.states import (
    INTERNAL,
    LIVE,
    PUBLISHED,
    STORED,
    WAITING,
    State,
    Status,
    Step,
    Waiting,
    Workflows,
)

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

QUEUE = "hanmaru"
MOST_LISTED = 200
MOST_LOOKED_AT = 5000
"""How many stored workflows one list looks through; its ``next`` goes on from there."""

T = TypeVar("T")


class Jobs:
    """Every room's workflows, as an operator sees them; `room` gives a service the view of its own."""

    def __init__(self, url: str, known: Declared) -> None:
        """Make it over a database address of `url_of`; it is opened on first use."""
        self._url, self.known = url, known
        self._lock = threading.Lock()
        self._client: DBOSClient | None = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None

    def room(self, name: str) -> "RoomJobs":
        """Return what a room is given: its own workflows only."""
        return RoomJobs(self, name)

    async def start(self, name: str, input: Any, id: str) -> str:
        """Start the workflow ``<room>.<name>`` under an id and return the id; one that exists already is left alone.

        Raises JobError for a name nobody declares, an input that is not JSON, too long or not of the declared type,
        and an id that another workflow has.
        """
        workflow = self.known.workflows.get(name)
        if workflow is None:
            raise JobError(f"no installed service has a workflow {name!r}")
        plain = checked(input, "the input")
        convert(workflow, plain)
        checked_name(id, "an id")

        def enqueue(client: "DBOSClient") -> None:
            from dbos import error

            try:
                client.enqueue({"workflow_name": name, "queue_name": QUEUE, "workflow_id": id}, plain)
            except error.DBOSConflictingWorkflowError:
                raise JobError(f"{id!r} is a workflow {_found(client, id).name!r}, not {name!r}") from None

        await self._ask(enqueue)
        return id

    async def send(self, id: str, topic: str, message: Any) -> None:
        """Send a workflow a message on a topic; one that it does not wait for yet is kept for when it does.

        Raises JobError for a workflow that is not there or has ended, and a message that is not JSON of at most 8 KiB.
        """
        plain = checked(message, "the message")
        checked_name(topic, "a topic")

        def send(client: "DBOSClient") -> None:
            if _found(client, id).status not in LIVE:
                raise EndedError(f"the workflow {id!r} has ended")
            client.send(id, {"message": plain}, topic)

        await self._ask(send)

    async def state(self, id: str) -> State:
        """Return a workflow as it stands; raises JobError when there is none."""
        return self._state(await self._ask(lambda client: _found(client, id)))

    async def steps(self, id: str) -> list[Step]:
        """Return the steps that a workflow has taken, in order, without what they returned.

        Raises JobError when there is no such workflow.
        """

        def read(client: "DBOSClient") -> list[Step]:
            _found(client, id)
            rows = {row["function_id"]: row for row in client.list_workflow_steps(id, load_output=True, limit=1000)}
            steps: list[Step] = []
            for number, row in rows.items():
                name = INTERNAL.get(row["function_name"], row["function_name"])
                before = rows[number - 1]["function_name"] if number - 1 in rows else "DBOS.recv"
                if name is None or (name == "sleep" and number > 1 and before == "DBOS.recv"):
                    continue  # a wait keeps its timeout as a sleep of the number after its own
                times = _time(row["started_at_epoch_ms"]), _time(row["completed_at_epoch_ms"])
                steps.append(Step(name, *times, "failed" if row["error"] is not None else "done"))
            return steps

        return await self._ask(read)

    async def result(self, id: str) -> Any:
        """Return what a workflow that is done returned, None while it is not; raises JobError when there is none."""

        def read(client: "DBOSClient") -> Any:
            return _found(client, id).output

        return await self._ask(read)

    async def list(
        self, *, status: str = "", name: str = "", prefix: str = "", limit: int = 50, before: str = ""
    ) -> Workflows:
        """Return workflows, newest first.

        ``status`` and ``name`` (``<room>.<name>``) limit them; ``before`` goes on where a page ended. Raises JobError
        for a status or ``before`` that is none, and a limit outside 1 to 200.
        """
        if status and status not in get_args(Status):
            raise JobError(f"status is one of {', '.join(get_args(Status))}")
        if name:
            checked_name(name, "a name")
        if not 1 <= limit <= MOST_LISTED:
            raise JobError(f"limit is 1 to {MOST_LISTED}")
        ms, _, after = before.partition(".")
        if before and not (ms.isascii() and ms.isdecimal() and len(ms) < 15):
            raise JobError("before is the 'next' of an earlier page")
        stored = [kept for kept, shown in STORED.items() if shown == status]
        if status in ("waiting", "uninstalled"):
            stored = ["PENDING"] if status == "waiting" else [*LIVE]

        def read(client: "DBOSClient") -> Workflows:
            page: list[State] = []
            rows = _newest_first(client, int(ms or 0), status=stored or None, name=name or None, prefix=prefix or None)
            row = None
            # What was made at the same instant (SQLite's have no parts of a second) goes by id.
            for created_ms, made_then in groupby(rows, lambda row: row.created_at or 0):
                for row in sorted(made_then, key=lambda row: row.workflow_id, reverse=True):
                    if after and created_ms == int(ms) and row.workflow_id >= after:
                        continue
                    if len(page) == limit:
                        return Workflows(page, _place(page[-1].created, page[-1].id))
                    state = self._state(row)
                    if not status or state.status == status:
                        page.append(state)
            if row is None or rows.all_seen:
                return Workflows(page, None)
            return Workflows(page, f"{row.created_at}.{row.workflow_id}")

        return await self._ask(read)

    async def cancel(self, id: str) -> State:
        """Cancel a workflow: no step of it begins any more. Raises JobError when it is not there or has ended."""

        def cancel(client: "DBOSClient") -> "WorkflowStatus":
            found = _found(client, id)
            if found.status not in LIVE:
                raise EndedError(f"the workflow {id!r} has ended")
            client.cancel_workflow(id)
            if waiting := (found.attributes or {}).get(WAITING):
                client.send(id, None, waiting["topic"])  # wakes it, so that it ends now and not at its timeout
            return _found(client, id)

        return self._state(await self._ask(cancel))

    async def forget(self, before: datetime, prefix: str = "") -> None:
        """Delete the workflows that had ended before an instant, with their steps; ``prefix`` limits them by id."""

        def delete(client: "DBOSClient") -> None:
            while old := client.list_workflows(
                completed_before=before.isoformat(),
                workflow_id_prefix=prefix or None,
                limit=MOST_LISTED,
                load_input=False,
                load_output=False,
            ):
                client.delete_workflows([row.workflow_id for row in old])

        await self._ask(delete)

    def _state(self, row: "WorkflowStatus") -> State:
        attributes = row.attributes or {}
        workflow = self.known.workflows.get(row.name)
        waiting = attributes.get(WAITING) if row.status == "PENDING" else None
        status = STORED[row.status]
        if row.status in LIVE and workflow is None:
            status = "uninstalled"
        elif waiting:
            status = "waiting"
        return State(
            id=row.workflow_id,
            name=row.name,
            title=workflow.title if workflow else {"en": row.name},
            status=status,
            created=datetime.fromtimestamp((row.created_at or 0) / 1000, UTC),
            updated=datetime.fromtimestamp((row.updated_at or 0) / 1000, UTC),
            waiting_for=msgspec.convert(waiting, Waiting) if waiting else None,
            published={
                key.removeprefix(PUBLISHED): value
                for key, value in attributes.items()
                if key.startswith(PUBLISHED) and value is not None
            },
            error=str(row.error) if row.error else None,
        )

    async def _ask(self, question: Callable[["DBOSClient"], T]) -> T:
        return await asyncio.to_thread(lambda: question(self._open()))

    def _open(self) -> "DBOSClient":
        with self._lock:
            if self._client is None:
                from dbos import DBOSClient, DBOSPortableJSONSerializer

                prepare(self._url)
                self._client = DBOSClient(
                    system_database_url=self._url,
                    serializer=DBOSPortableJSONSerializer(),
                    application_name=APPLICATION,
                    retry_connection_errors=False,
                )
            return self._client


class RoomJobs:
    """A room's own workflows: ``<room>.`` begins their names and ids, and no other can be reached."""

    def __init__(self, jobs: Jobs, room: str) -> None:
        """Make it; `Jobs.room` is the way to get one."""
        self._jobs, self._prefix = jobs, f"{room}."

    async def start(self, name: str, input: Any = None, id: str | None = None) -> str:
        """Start a workflow of the room and return its id; an ``id`` of the caller's makes a second start do nothing.

        Raises JobError as `Jobs.start` does.
        """
        own = id if id is not None else uuid.uuid4().hex
        return await self._jobs.start(self._prefix + name, input, self._prefix + own.removeprefix(self._prefix))

    async def send(self, id: str, topic: str, message: Any) -> None:
        """Send a message to a workflow of the room, as `Jobs.send` does."""
        await self._own(self._jobs.send, id)(topic, message)

    async def state(self, id: str) -> State:
        """Return a workflow of the room as it stands; raises JobError when there is none."""
        return await self._own(self._jobs.state, id)()

    async def result(self, id: str) -> Any:
        """Return what a workflow of the room returned, None while it has not; raises JobError when there is none."""
        return await self._own(self._jobs.result, id)()

    async def list(self, *, status: str = "", name: str = "", limit: int = 50, before: str = "") -> Workflows:
        """Return the room's workflows, newest first, as `Jobs.list` does."""
        full = self._prefix + name if name else ""
        return await self._jobs.list(status=status, name=full, prefix=self._prefix, limit=limit, before=before)

    async def cancel(self, id: str) -> State:
        """Cancel a workflow of the room, as `Jobs.cancel` does."""
        return await self._own(self._jobs.cancel, id)()

    def _own(self, method: Callable[..., Awaitable[T]], id: str) -> Callable[..., Awaitable[T]]:
        if not id.startswith(self._prefix):
            raise _missing(id)
        return partial(method, id)


class _newest_first:  # noqa: N801 - used as a function
    """The stored workflows, newest first; ``all_seen`` says whether it ended because there are no more."""

    def __init__(self, client: "DBOSClient", until_ms: int, *, status: Any, name: Any, prefix: Any) -> None:
        self.all_seen = False
        self._read = partial(
            client.list_workflows,
            status=status,
            name=name,
            workflow_id_prefix=prefix,
            sort_desc=True,
            limit=MOST_LISTED,
            load_input=False,
        )
        self._until_ms = until_ms

    def __iter__(self) -> Iterator["WorkflowStatus"]:
        until_ms = self._until_ms
        for page in range(MOST_LOOKED_AT // MOST_LISTED):
            until = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat() if until_ms else None
            rows = self._read(end_time=until, offset=page * MOST_LISTED)
            until_ms = until_ms or (rows[0].created_at or 0 if rows else 0)
            yield from rows
            if len(rows) < MOST_LISTED:
                self.all_seen = True
                return


def _place(created: datetime, id: str) -> str:
    return f"{round(created.timestamp() * 1000)}.{id}"


def _found(client: "DBOSClient", id: str) -> "WorkflowStatus":
    try:
        checked_name(id, "an id")
    except JobError:
        raise _missing(id) from None
    found = client.list_workflows(workflow_ids=[id], load_input=False)
    if not found:
        raise _missing(id)
    return found[0]


def _missing(id: str) -> NotFoundError:
    return NotFoundError(f"there is no workflow {id[:200]!r}")


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
