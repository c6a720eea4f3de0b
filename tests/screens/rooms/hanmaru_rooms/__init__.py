"""Two rooms: cameras keep clips of passers-by, cases ask for them and wait for permits."""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from hanmaru.hub.client import HubClient
from hanmaru.platform.jobs import Steps, Workflow
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.services import Context, Service

DAYS_3 = 3 * 86_400


def camera_routes(ctx: Context[HubClient]) -> list[BaseRoute]:
    """Return the cameras' routes."""

    async def keep(request: Request) -> Response:
        """Keep two clips of a passer-by; return the pseudonym."""
        desk = ctx.trust.vault.at(caller_of(request), "traffic safety")
        passer = await desk.open_subject("passer")
        for id in ("c1", "c2"):
            await desk.put(passer, "clip", id, {"seen": "Hong Gildong at the crossing"})
        return JSONResponse({"subject": passer}, 201)

    return [GuardedRoute("/clips", keep, permission="clips.keep", methods=["POST"])]


def case_routes(ctx: Context[HubClient]) -> list[BaseRoute]:
    """Return the cases' routes."""

    async def begin(request: Request) -> Response:
        """Begin the work on a case, which waits for its permit."""
        case = request.path_params["case"]
        return JSONResponse({"id": await ctx.trust.jobs.start("permit", case, case)}, 201)

    return [GuardedRoute("/permits/{case}", begin, permission="cases.investigate", methods=["POST"])]


def registered(case: str) -> str:
    """Take the first step."""
    return f"registered {case}"


async def permit(steps: Steps, case: str) -> Any:
    """Register a case and wait for its permit."""
    await steps.run("register", registered, case)
    await steps.publish("case", case)
    return await steps.wait_for("approval", DAYS_3)


cameras: Service[HubClient] = Service(
    name="cameras",
    title={"en": "Cameras", "ko": "영상 관제"},
    routes=camera_routes,
    permissions={"clips.keep": {"en": "Keep clips", "ko": "영상 보관"}},
    roles={"operator": {"en": "Camera operator", "ko": "관제 요원"}},
    policies=Path(__file__).parent / "policies",
)

cases: Service[HubClient] = Service(
    name="cases",
    title={"en": "Case investigation", "ko": "역학조사"},
    routes=case_routes,
    workflows=[Workflow("permit", permit, {"en": "Permit for an investigation", "ko": "조사 승인 절차"}, str)],
    permissions={"cases.investigate": {"en": "Investigate cases", "ko": "사례 조사"}},
    roles={"investigator": {"en": "Investigator", "ko": "역학조사관"}},
)
