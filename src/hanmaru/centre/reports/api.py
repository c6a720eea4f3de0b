"""HTTP of the reports, thin: the situation as JSON and as PDF, and what was done about an event."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.centre.domain import CentreError
from hanmaru.centre.events.opening import opener
from hanmaru.centre.reports import after_action, gather, record, situation
from hanmaru.centre.reports import area as areas
from hanmaru.centre.reports.figures import Period
from hanmaru.centre.reports.words import Language
from hanmaru.hub.client import HubClient, JsonObject
from hanmaru.platform.access import DEFAULT_TENANT
from hanmaru.platform.policy import GuardedRoute, access_of
from hanmaru.platform.problems import Problem, invalid_request, not_found, sentence
from hanmaru.platform.services import Context, Layer, installed

AT_ONCE: Final = 2
RETRY_AFTER_S: Final = 5
MOST_DAYS: Final = 92
LEAST: Final = timedelta(minutes=1)


class Press:
    """Makes at most `AT_ONCE` reports at a time; who comes on top is asked to come again."""

    def __init__(self) -> None:
        """Begin idle."""
        self._busy = 0

    async def __aenter__(self) -> None:
        """Take a place. Raises a 503 problem with Retry-After where there is none."""
        if self._busy >= AT_ONCE:
            detail = f"{AT_ONCE} reports are being made. Try again in {RETRY_AFTER_S} seconds."
            raise Problem(503, "Too many reports at once", detail, retry_after_s=RETRY_AFTER_S)
        self._busy += 1

    async def __aexit__(self, *exc: object) -> None:
        """Give the place back."""
        self._busy -= 1


def language(request: Request) -> Language:
    """Return the language asked for; Korean where none is."""
    lang = request.query_params.get("lang", "ko")
    if lang == "ko" or lang == "en":
        return lang
    raise invalid_request("lang is ko or en.")


def period(request: Request, now: datetime) -> Period:
    """Return the period asked for: the last 24 hours where nothing is said. Refuses what is none."""
    asked = request.query_params
    try:
        end = datetime.fromisoformat(asked["end"]) if asked.get("end") else now
        start = datetime.fromisoformat(asked["start"]) if asked.get("start") else end - timedelta(days=1)
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError
        found = Period(start.astimezone(UTC), end.astimezone(UTC))
    except (ValueError, OverflowError):
        raise invalid_request("start and end are instants with an offset, such as 2026-11-01T00:00:00Z.") from None
    if not LEAST <= found.length <= timedelta(days=MOST_DAYS):
        raise invalid_request(f"A period is between a minute and {MOST_DAYS} days long: start comes before end.")
    if found.start >= now or found.start.year < 1980:
        raise invalid_request("The period begins in the future or before there were data: choose another one.")
    return found


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the reports' routes; everything is read with the access of the request's caller."""
    press, opened = Press(), opener(ctx)
    folder = Path(ctx.city.get("basemap_path", ctx.data_dir / "basemap"))
    zone = str(ctx.city.get("zone", "Asia/Seoul"))
    layers: dict[str, Layer] = {
        f"{service.name}.{layer.id}": layer
        for service in installed(ctx.city.get("services"))
        for layer in service.layers
    }
    kept: list[dict[str, Any]] = []

    async def basemap() -> dict[str, Any]:
        if not kept:
            kept.append(await asyncio.to_thread(areas.basemap, folder))
        return kept[0]

    async def gathered(request: Request) -> JsonObject:
        now = datetime.now(UTC)
        asked = period(request, now)
        text, base = request.query_params.get("area", ""), await basemap()
        try:
            area = await asyncio.to_thread(areas.area_of, text, base)
        except CentreError as error:
            raise invalid_request(sentence(error)) from None
        hub = ctx.hub.acting(access_of(request, DEFAULT_TENANT))
        found = await gather.situation(hub, layers, area, asked, now=now)
        book, whole = await opened(), not text.strip()
        events, more = await book.read(lambda db: record.events(db, area, asked, whole=whole))
        return {**found, "events": events, "events_more": more}

    async def get_situation(request: Request) -> Response:
        """Return the situation of an area over a period."""
        async with press:
            body = msgspec.json.encode(await gathered(request))
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    async def get_situation_pdf(request: Request) -> Response:
        """Return the situation of an area over a period as PDF."""
        lang = language(request)
        async with press:
            found, base = await gathered(request), await basemap()
            return await printed(lambda: situation.render(found, lang, zone=zone, basemap=base), f"situation-{lang}")

    async def get_event_pdf(request: Request) -> Response:
        """Return what was done about an event as PDF."""
        lang, id, now = language(request), request.path_params["id"], datetime.now(UTC).isoformat()
        async with press:
            book, base = await opened(), await basemap()
            try:
                found = await book.read(lambda db: record.whole(db, id))
            except CentreError as error:
                raise not_found(sentence(error)) from None
            name = f"{found['event']['number']}-{lang}"
            return await printed(lambda: after_action.render(found, lang, zone=zone, basemap=base, now=now), name)

    return [
        GuardedRoute("/events/{id}/report.pdf", get_event_pdf, permission="centre.watch"),
        GuardedRoute("/reports/situation.pdf", get_situation_pdf, permission="centre.watch"),
        GuardedRoute("/reports/situation", get_situation, permission="centre.watch"),
    ]


async def printed(render: Callable[[], bytes], name: str) -> Response:
    """Answer with a PDF set in a thread; 503 where it cannot be set here."""
    try:
        body = await asyncio.to_thread(render)
    except CentreError as error:
        raise Problem(503, "No report", sentence(error)) from None
    headers = {"content-disposition": f'inline; filename="{name}.pdf"', "cache-control": "no-store"}
    return Response(body, media_type="application/pdf", headers=headers)
