"""The nurse's desk over HTTP: alerts and their stream, the worklist, a person, talking to them, their card."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.care import access, people
from hanmaru.care.fhir.records import Reader, Records, opened
from hanmaru.care.nurse import alerts, live, person, worklist
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute, audit_of, record_of
from hanmaru.platform.problems import invalid_request
from hanmaru.platform.services import Context

NURSE: Final = "care.nurse"
MOST_NOTE: Final = 1_000
Note = Annotated[str, Meta(min_length=1, max_length=MOST_NOTE)]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,64}$")]


class Noted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was done about an alert."""

    note: Note


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the worklist is to have: a name is in a body, so that it is in no address."""

    q: Annotated[str, Meta(max_length=100)] = ""
    reason: Annotated[str, Meta(max_length=64)] = ""
    within_days: Annotated[int, Meta(ge=-worklist.MOST_DAYS, le=worklist.MOST_DAYS)] = worklist.SOON_DAYS


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a name."""

    q: Annotated[str, Meta(min_length=1, max_length=100)]


class Talked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How somebody was talked to and what was said; which follow-ups are done by it, and when to talk again."""

    kind: person.Kind
    note: Note
    follow_ups: Annotated[list[Id], Meta(max_length=50)] = []
    again: date | None = None


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card that is given to somebody."""

    number: Annotated[str, Meta(min_length=4, max_length=64)]


Eyes = Callable[[Request], Awaitable[tuple[Records, Reader]]]


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the desk's routes."""

    async def eyes(request: Request) -> tuple[Records, Reader]:
        records = await opened(context)
        return records, await access.reader(records, request)

    return [*_alerts(eyes), *_people(eyes)]


def _alerts(eyes: Eyes) -> list[BaseRoute]:
    async def listed(request: Request) -> Response:
        """Return alerts that wait for somebody, the gravest first; with ``state=done`` the last that were taken."""
        state = request.query_params.get("state", "open")
        if state not in ("open", "done"):
            raise invalid_request("state is open or done.")
        return answer({"alerts": await alerts.listed(*await eyes(request), state)})

    async def follow(request: Request) -> Response:
        """Follow alerts as server-sent events: all that wait, then each as it comes or is taken."""
        records, _ = await eyes(request)
        seen = request.headers.get("last-event-id", "")
        after = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 19 else None
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = live.stream(records, lambda: access.reader(records, request), after)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def acknowledge(request: Request) -> Response:
        """Take an alert, with a note of what is done about it; 409 says who took it before."""
        noted = await read(request, Noted, '{"note": …}')
        return answer(await alerts.acknowledge(*await eyes(request), request.path_params["id"], noted.note))

    return [
        GuardedRoute("/alerts", listed, permission=NURSE),
        GuardedRoute("/alerts/live", follow, permission=NURSE),
        GuardedRoute("/alerts/{id}/acknowledge", acknowledge, permission=NURSE, methods=["POST"]),
    ]


def _people(eyes: Eyes) -> list[BaseRoute]:
    async def due(request: Request) -> Response:
        """Return who is overdue or due soon, and why."""
        given = request.query_params
        try:
            asked = msgspec.convert(
                {name: given[name] for name in ("reason", "within_days") if name in given}, Asked, strict=False
            )
        except msgspec.ValidationError as error:
            raise invalid_request(f"The worklist takes reason and within_days: {error}.") from None
        return answer(await worklist.due(*await eyes(request), asked.reason, "", asked.within_days))

    async def search(request: Request) -> Response:
        """Return who is overdue or due soon, by name or reason."""
        asked = await read(request, Asked, '{"q": …, "reason": …, "within_days": …}')
        return answer(await worklist.due(*await eyes(request), asked.reason, asked.q, asked.within_days))

    async def find(request: Request) -> Response:
        """Return people by a part of their name."""
        asked = await read(request, Named, '{"q": …}')
        return answer({"people": await person.find(*await eyes(request), asked.q)})

    async def summary(request: Request) -> Response:
        """Return what the desk shows of a person; the person's own log says that somebody looked."""
        return answer(await person.summary(*await eyes(request), request.path_params["id"]))

    async def trends(request: Request) -> Response:
        """Return how a person's values have gone over all visits, each with its healthy range."""
        return answer({"series": await person.trends(*await eyes(request), request.path_params["id"])})

    async def contact(request: Request) -> Response:
        """Note that somebody was talked to."""
        said = await read(request, Talked, '{"kind": …, "note": …}')
        id = request.path_params["id"]
        made = await person.contact(*await eyes(request), id, said.kind, said.note, said.follow_ups, said.again)
        return answer(made, 201)

    async def card(request: Request) -> Response:
        """Give a card to a person, to show at kiosks."""
        given = await read(request, Card, '{"number": …}')
        records, reader = await eyes(request)
        id = (await records.read(reader, "Patient", request.path_params["id"])).id
        if audit := audit_of(request):
            await audit.commit(record_of(request, "care.card", subjects=(people.subject_of(records, id),)))
        await people.bind_card(records, given.number, id)
        return Response(status_code=204)

    return [
        GuardedRoute("/worklist", due, permission=NURSE),
        GuardedRoute("/worklist", search, permission=NURSE, methods=["POST"]),
        GuardedRoute("/patients/find", find, permission=NURSE, methods=["POST"]),
        GuardedRoute("/patients/{id}", summary, permission=NURSE),
        GuardedRoute("/patients/{id}/trends", trends, permission=NURSE),
        GuardedRoute("/patients/{id}/contact", contact, permission=NURSE, methods=["POST"]),
        GuardedRoute("/patients/{id}/card", card, permission=NURSE, methods=["POST"]),
    ]
