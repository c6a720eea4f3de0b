"""Results, what is decided of contacts, statements, sightings, the report."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import invalid_request
from hanmaru.trace.api.common import desk_of
from hanmaru.trace.cases import cases, findings, investigation
from hanmaru.trace.cases.book import new_id
from hanmaru.trace.cases.cases import existing
from hanmaru.trace.cases.cases import investigation as stands
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

    async def begin(request: Request) -> Response:
        """Investigate a case: route, contacts, hotspots, cameras, out of all that has come."""
        row = await existing(room, request.path_params["id"])
        desk = desk_of(room, request)
        await desk.ask("vault.read", f"{row.id}/investigate", [row.id])
        job, row = await investigation.begin(room, desk.caller, row)
        return answer({"job": job, **stands(row)}, 202)

    async def progress(request: Request) -> Response:
        """Tell how far the investigation of a case has come."""
        return answer(stands(await existing(room, request.path_params["id"])))

    async def cameras(request: Request) -> Response:
        """Return which cameras may have seen the person and when, as CSV: the list to retrieve footage by."""
        row = await existing(room, request.path_params["id"])
        results = await findings.decided(room, row, desk_of(room, request))
        headers = {"content-disposition": 'attachment; filename="cameras.csv"', "cache-control": "no-store"}
        return Response(findings.retrieval(results), media_type="text/csv", headers=headers)

    async def report(request: Request) -> Response:
        """Return the report of a case as PDF, in Korean or English (lang)."""
        lang = request.query_params.get("lang", "ko")
        if lang not in ("ko", "en"):
            raise invalid_request("lang is ko or en.")
        id, desk = request.path_params["id"], desk_of(room, request)
        row = await existing(room, id)
        case, results = await cases.whole(room, desk, id), await findings.decided(room, row, desk)
        plain = msgspec.to_builtins(case)

        def render() -> bytes:
            from hanmaru.trace.report import pdf

            return pdf.render(plain, results, lang)

        headers = {"content-disposition": f'inline; filename="{row.label}-{lang}.pdf"', "cache-control": "no-store"}
        return Response(await asyncio.to_thread(render), media_type="application/pdf", headers=headers)

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
        GuardedRoute(f"{base}/investigate", begin, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/investigation", progress, permission="trace.read"),
        GuardedRoute(f"{base}/cameras.csv", cameras, permission="trace.read"),
        GuardedRoute(f"{base}/report.pdf", report, permission="trace.read"),
        GuardedRoute(f"{base}/results", results, permission="trace.read"),
        GuardedRoute(f"{base}/contacts/{{cid}}/decision", decide, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/statements", statement, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/sightings", sighting, permission="trace.investigate", methods=["POST"]),
    ]
