"""Results, what is decided of contacts, statements, sightings, the report."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.trace.api.common import desk_of
from hanmaru.trace.api.requests import shown as shown_requests
from hanmaru.trace.cases import cases, chain, findings, hotspots, investigation
from hanmaru.trace.cases.book import new_id
from hanmaru.trace.cases.cases import existing
from hanmaru.trace.cases.cases import investigation as stands
from hanmaru.trace.cases.records import SIGHTING, STATEMENT, Sighting, Statement, Verdict, plain
from hanmaru.trace.cases.room import Room
from hanmaru.trace.domain import TraceError


def routes(room: Room) -> list[BaseRoute]:
    """Return the routes."""

    async def results(request: Request) -> Response:
        """Return what the investigation found, each contact with what was decided of it."""
        row = await existing(room, request.path_params["id"])
        return answer(await findings.decided(room, row, desk_of(room, request)))

    async def decide(request: Request) -> Response:
        """Accept or dismiss a contact, or take back what was decided."""
        verdict = await read(request, Verdict, '{"verdict": "accepted", "dismissed" or "undecided", "reason": …}')
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
        if lang != "ko" and lang != "en":
            raise invalid_request("lang is ko or en.")
        id, desk = request.path_params["id"], desk_of(room, request)
        row = await existing(room, id)
        found = await cases.whole(room, desk, id)
        asked = await asyncio.to_thread(lambda: room.book.requests(cases=[id]))
        shown = await shown_requests(room, desk.caller, asked, desk.purpose)
        case = msgspec.to_builtins({**found, "requests": shown})
        results = await findings.decided(room, row, desk)

        def render() -> bytes:
            from hanmaru.trace.report import pdf

            base = basemap(room)
            mark = bool(results.get("test_data"))
            return pdf.render(case, results, lang, mark, zone=str(room.zone), basemap=base, rules=room.country)

        headers = {"content-disposition": f'inline; filename="{row.label}-{lang}.pdf"', "cache-control": "no-store"}
        try:
            body = await asyncio.to_thread(render)
        except TraceError as error:
            raise Problem(503, "No report", f"{error}.") from None
        return Response(body, media_type="application/pdf", headers=headers)

    async def spots(request: Request) -> Response:
        """Return the hotspots of open cases where at least five people were; since leaves older ones out."""
        since = request.query_params.get("since")
        try:
            at = datetime.fromisoformat(since) if since else None
        except ValueError:
            raise invalid_request("since is an instant, such as 2026-11-01T00:00:00+09:00.") from None
        if at is not None and at.tzinfo is None:
            raise invalid_request("since needs an offset, such as 2026-11-01T00:00:00+09:00.")
        return answer({"hotspots": await hotspots.shared(room, desk_of(room, request), at), "k": hotspots.K})

    async def links(request: Request) -> Response:
        """Return who probably infected whom among the cases of a disease, and the clusters."""
        disease = request.query_params.get("disease", "covid-19")
        if disease not in room.profiles:
            raise invalid_request(f"disease is one of {', '.join(room.profiles)}.")
        return answer(await chain.read(room, desk_of(room, request), disease))

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
        GuardedRoute("/hotspots", spots, permission="trace.read"),
        GuardedRoute("/chain", links, permission="trace.read"),
        GuardedRoute(f"{base}/investigate", begin, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/investigation", progress, permission="trace.read"),
        GuardedRoute(f"{base}/cameras.csv", cameras, permission="trace.read"),
        GuardedRoute(f"{base}/report.pdf", report, permission="trace.read"),
        GuardedRoute(f"{base}/results", results, permission="trace.read"),
        GuardedRoute(f"{base}/contacts/{{cid}}/decision", decide, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/statements", statement, permission="trace.investigate", methods=["POST"]),
        GuardedRoute(f"{base}/sightings", sighting, permission="trace.investigate", methods=["POST"]),
    ]


def basemap(room: Room) -> dict[str, Any] | None:
    """Return the city's map as GeoJSON by layer, None where it has none; blocks."""
    folder = Path(str(room.context.city.get("basemap_path", "")))
    names = ("boundary", "water", "green", "roads")
    found = {name: path for name in names if (path := folder / f"{name}.geojson").is_file()}
    return {name: msgspec.json.decode(path.read_bytes()) for name, path in found.items()} or None
