"""``hanmaru jobs``: see what runs and waits, and stop it, with the hub up or not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from hanmaru.platform.audit.record import Audit, Record, at_command_line
from hanmaru.platform.console import Data, Json, say
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.states import State

T = TypeVar("T")

Id = Annotated[str, typer.Argument(help="The workflow's id, as the list shows it.")]


def jobs_app(
    open: Callable[[Path | None], Jobs], trail: Callable[[Path | None], AbstractContextManager[Audit]]
) -> typer.Typer:
    """Return the commands over the jobs and the audit trail of a data folder, None meaning the configured one."""
    app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

    def asked(data: Path | None, question: Callable[[Jobs], Awaitable[T]]) -> T:
        async def ask() -> T:
            jobs = open(data)
            try:
                return await question(jobs)
            finally:
                jobs.close()

        return asyncio.run(ask())

    @app.command("list")
    def list_(  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        status: Annotated[str, typer.Option(help="Only those queued, running, waiting, done, failed …")] = "",
        name: Annotated[str, typer.Option(help="Only this workflow, as room.name.")] = "",
        limit: Annotated[int, typer.Option(help="How many, newest first.")] = 50,
        data: Data = None,
        json: Json = False,
    ) -> None:
        """List workflows, newest first.

        Example: hanmaru jobs list --status waiting
        """
        page = asked(data, lambda jobs: jobs.list(status=status, name=name, limit=limit))
        say(page.workflows, "\n".join(_line(state) for state in page.workflows) or "no workflows", json)

    @app.command("show")
    def show(id: Id, data: Data = None, json: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Show a workflow with the steps it has taken.

        Example: hanmaru jobs show handover.k5ij7gpqosw3dd4m
        """

        async def both(jobs: Jobs) -> Any:
            return await jobs.state(id), await jobs.steps(id)

        state, steps = asked(data, both)
        lines = [_line(state), *(f"  {step.ended or ''}  {step.name}  {step.outcome}" for step in steps)]
        lines += [f"  failed: {state.error}"] if state.error else []
        say({"workflow": state, "steps": steps}, "\n".join(lines), json)

    @app.command("cancel")
    def cancel(id: Id, data: Data = None, json: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Cancel a workflow: no step of it begins any more. The audit trail has it.

        Example: hanmaru jobs cancel handover.k5ij7gpqosw3dd4m
        """

        async def cancel(jobs: Jobs) -> State:
            state = await jobs.state(id)
            audit.record(Record(at_command_line(), "jobs.manage", f"cancel {state.id}"))
            return await jobs.cancel(id)

        with trail(data) as audit:
            state = asked(data, cancel)
        say(state, f"cancelled {state.id}", json)

    return app


def _line(state: State) -> str:
    waiting = f"  for {state.waiting_for.topic} until {state.waiting_for.until:%F %T}Z" if state.waiting_for else ""
    return f"{state.created:%F %T}Z  {state.status:<9}  {state.name}  {state.id}{waiting}"
