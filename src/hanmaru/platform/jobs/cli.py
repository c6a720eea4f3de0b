"""``hanmaru jobs``: see what runs and waits, and stop it, with the hub up or not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from hanmaru.platform.jobs.client import Jobs, State

T = TypeVar("T")

Id = Annotated[str, typer.Argument(help="The workflow's id, as the list shows it.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def jobs_app(open: Callable[[], Jobs]) -> typer.Typer:
    """Return the commands over the jobs that ``open`` gives."""
    app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

    def asked(question: Callable[[Jobs], Awaitable[T]]) -> T:
        async def ask() -> T:
            jobs = open()
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
        json: Json = False,
    ) -> None:
        """List workflows, newest first.

        Example: hanmaru jobs list --status waiting
        """
        page = asked(lambda jobs: jobs.list(status=status, name=name, limit=limit))
        _say(page.workflows, "\n".join(_line(state) for state in page.workflows) or "no workflows", json)

    @app.command("show")
    def show(id: Id, json: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Show a workflow with the steps it has taken.

        Example: hanmaru jobs show handover.01j9
        """

        async def both(jobs: Jobs) -> Any:
            return await jobs.state(id), await jobs.steps(id)

        state, steps = asked(both)
        lines = [_line(state), *(f"  {step.ended or ''}  {step.name}  {step.outcome}" for step in steps)]
        lines += [f"  failed: {state.error}"] if state.error else []
        _say({"workflow": state, "steps": steps}, "\n".join(lines), json)

    @app.command("cancel")
    def cancel(id: Id, json: Json = False) -> None:  # pyright: ignore[reportUnusedFunction]
        """Cancel a workflow: no step of it begins any more.

        Example: hanmaru jobs cancel handover.01j9
        """
        state = asked(lambda jobs: jobs.cancel(id))
        _say(state, f"cancelled {state.id}", json)

    return app


def _line(state: State) -> str:
    waiting = f"  for {state.waiting_for.topic} until {state.waiting_for.until:%F %T}Z" if state.waiting_for else ""
    return f"{state.created:%F %T}Z  {state.status:<9}  {state.name}  {state.id}{waiting}"


def _say(result: object, text: str, as_json: bool) -> None:
    print(msgspec.json.encode(result).decode() if as_json else text)
