"""Results, what is decided of contacts, statements, sightings, the report."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute
from hanmaru.trace.api.common import desk_of
from hanmaru.trace.cases import findings
from hanmaru.trace.cases.book import new_id
from hanmaru.trace.cases.cases import existing
from hanmaru.trace.cases.records import SIGHTING, STATEMENT, Sighting, Statement, Verdict, plain
from hanmaru.trace.cases.room import Room


def routes(room: Room) -> list[BaseRoute]:
    """Return the routes."""

    async def results(request: Request) -> Response:
        """Return what the investigation found, each contact with what was decided of it."""
        row = await existing(room, request.path_params["id"])
        return answer(await findings.decided(room, row, desk_of(room, request)))

    async def decide(request: Request) -> Response:
        """Accept or dismiss a contact."""
        verdict = await read(request, Verdict, '{"verdict": "accepted" or "dismissed", "reason": …}')
        row = await existing(room, request.path_params["id"])
        desk = desk_of(room, request)
        return answer(await findings.decide(room, row, desk, request.path_params["cid"], verdict))

    async def state(request: Request, kind: str, what: Statement | Sighting) -> Response:
        row = await existing(room, request.path_params["id"])
        id = new_id()
        await desk_of(room, request).put(row.id, kind, id, plain(what))
        return answer({"id": id}, 201)

    async def statement(request: Request) -> Response:
        """Keep what an interview said: when, where, how certain."""
        what = await read(request, Statement, '{"start": …, "end": …, "place_id": … or "lat": …, "lon": …}')
        return await state(request, STATEMENT, what)

    async def sighting(request: Request) -> Response:
        """Keep what a reviewer saw on a camera."""
        return await state(request, SIGHTING, await read(request, Sighting, '{"camera_id": …, "time": …}'))

    base = "/cases/{id}"
    return [
        GuardedRoute(f"{base}/results", results, permission="trace.read"),
        GuardedRoute(f"{base}/contacts/{{cid}}/decision", decide, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/statements", statement, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/sightings", sighting, permission="trace.investigate", methods=["POST"]),
    ]
