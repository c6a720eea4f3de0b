"""The HTTP interface to jobs: what runs, what waits for whom, and stopping it."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer
from hanmaru.platform.jobs.client import Jobs
from hanmaru.platform.jobs.payload import EndedError, JobError, NotFoundError
from hanmaru.platform.jobs.schedules import plans
from hanmaru.platform.jobs.states import State, Step
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, sentence

T = TypeVar("T")

_QUERY = [
    {"name": "status", "in": "query", "schema": {"type": "string"}, "description": "queued, running, waiting, done …"},
    {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "A workflow, as room.name."},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}},
    {"name": "before", "in": "query", "schema": {"type": "string"}, "description": "The `next` of the page before."},
]


class Details(State, frozen=True, kw_only=True):
    """A workflow with the steps that have ended."""

    steps: list[Step]


def routes(jobs: Jobs, zone: str = "UTC") -> list[BaseRoute]:
    """Return the routes under ``/api/jobs/v1``; cron expressions are read in the time zone ``zone``."""

    async def workflows(request: Request) -> Response:
        """List workflows, newest first."""
        query = request.query_params
        limit = query.get("limit", "50")
        if not (limit.isascii() and limit.isdecimal() and len(limit) < 5):
            raise Problem(400, "Invalid request", "limit is a number from 1 to 200.")
        return answer(
            await _asked(
                jobs.list(
                    status=query.get("status", ""),
                    name=query.get("name", ""),
                    limit=int(limit),
                    before=query.get("before", ""),
                )
            )
        )

    async def workflow(request: Request) -> Response:
        """Show a workflow with the steps it has taken."""
        id = request.path_params["id"]
        state = await _asked(jobs.state(id))
        return answer(Details(**msgspec.structs.asdict(state), steps=await _asked(jobs.steps(id))))

    async def cancel(request: Request) -> Response:
        """Cancel a workflow: no step of it begins any more. 409 when it has ended."""
        return answer(await _asked(jobs.cancel(request.path_params["id"])))

    async def schedules(request: Request) -> Response:
        """List the schedules with their last and next ticks."""
        return answer({"schedules": await _asked(plans(jobs, zone))})

    base = "/api/jobs/v1"
    return [
        GuardedRoute(f"{base}/workflows", workflows, permission="jobs.read", spec={"parameters": _QUERY}),
        GuardedRoute(f"{base}/workflows/{{id}}", workflow, permission="jobs.read"),
        GuardedRoute(f"{base}/workflows/{{id}}/cancel", cancel, permission="jobs.manage", methods=["POST"]),
        GuardedRoute(f"{base}/schedules", schedules, permission="jobs.read"),
    ]


async def _asked(work: Awaitable[T]) -> T:
    try:
        return await work
    except NotFoundError as error:
        raise Problem(404, "Resource not found", sentence(error)) from None
    except EndedError as error:
        raise Problem(409, "Already ended", sentence(error)) from None
    except JobError as error:
        raise Problem(400, "Invalid request", sentence(error)) from None
