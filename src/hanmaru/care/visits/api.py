"""What a kiosk does over HTTP: start, find out who came, hand in visits, call somebody."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.care import people
from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.domain import SYSTEM_NAME
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import HEALTH_CENTRE, Change, Reader, Records, opened
from hanmaru.care.visits import kiosks, passes, shapes, visit
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.limits import Rate
from hanmaru.platform.policy import GuardedRoute, audit_of, caller_of, record_of
from hanmaru.platform.problems import invalid_request
from hanmaru.platform.services import Context

MOST_QR: Final = 900
CARDS: Final = 30
CARDS_PER_S: Final = 0.2
"""How many cards a kiosk may show at once, and then a second, of each worker: no crowd is as quick, and numbers are not
to be guessed."""
SIMULATED: Final = "simulated-devices"
"""A file of this name in the room's folder lets kiosks be tried with simulated devices, as the demo does."""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"pass_": "pass"}):
    """What a citizen shows: the pass in their app, or their card."""

    pass_: Annotated[str, Meta(max_length=passes.MOST)] | None = None
    card: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class Help(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At which step somebody wants help."""

    at: Annotated[str, Meta(max_length=40)]
    step: Annotated[str, Meta(max_length=64)] = ""


class Drawn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a QR code is to hold."""

    text: Annotated[str, Meta(min_length=1, max_length=MOST_QR)]


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the kiosk's routes."""
    simulated = bool(context.city.get("demo")) or (context.data_dir / SIMULATED).exists()

    guesses = Rate(CARDS_PER_S, CARDS, "kiosk")

    async def kiosk(request: Request) -> Response:
        """Return what the kiosk needs to work, also while it is offline: place, measures, consents, limits, norms."""
        records = await opened(context)
        found = await kiosks.described(records, caller_of(request).name, simulated)
        return answer({**found, "now": instant(time.time())})

    async def identify(request: Request) -> Response:
        """Find out who came by the pass in their app or their card; answers with a key for the visit."""
        shown = await read(request, Shown, '{"pass": …} or {"card": …}')
        records = await opened(context)
        await kiosks.kiosk_of(records, caller_of(request).name)
        if (shown.pass_ is None) == (shown.card is None):
            raise invalid_request("Send a pass or a card.")
        if shown.card is not None:
            guesses.require(caller_of(request).name)
            patient = visit.card_holder(records, shown.card)
        else:
            patient = passes.patient_of(records, "pass", shown.pass_ or "", time.time())
        if audit := audit_of(request):
            await audit.commit(record_of(request, "care.identify", subjects=(people.subject_of(records, patient),)))
        return answer(await _identified(records, patient))

    async def visits(request: Request) -> Response:
        """Hand in a visit; the same one again is answered as it was. 422 says what to measure again."""
        posted = await read(request, visit.Posted, '{"id": …, "at": …, "measurements": […]}')
        records = await opened(context)
        said, stored = await visit.take(records, caller_of(request).name, posted)
        return answer(said, 201 if stored else 200)

    async def help(request: Request) -> Response:
        """Call somebody to the kiosk: who works at the desk sees the place, and nobody's name."""
        wanted = await read(request, Help, '{"at": …, "step": …}')
        records = await opened(context)
        found = await kiosks.kiosk_of(records, caller_of(request).name)
        centre = Reader(SYSTEM_NAME, "organisation", HEALTH_CENTRE)  # whose staff sees what is about no patient
        await records.commit(centre, [Change("POST", "Communication", None, _help(found, wanted.step))])
        return Response(status_code=202)

    async def qr(request: Request) -> Response:
        """Return a text as the rows of a QR code, without its margin; keeps nothing."""
        import segno

        wanted = await read(request, Drawn, '{"text": …}')
        code = segno.make_qr(wanted.text, error="l")
        return answer({"rows": ["".join(map(str, row)) for row in code.matrix]})

    may = "care.measure"
    return [
        GuardedRoute("/kiosk", kiosk, permission=may),
        GuardedRoute("/kiosk/identify", identify, permission=may, methods=["POST"]),
        GuardedRoute("/kiosk/help", help, permission=may, methods=["POST"]),
        GuardedRoute("/kiosk/qr", qr, permission=may, methods=["POST"]),
        GuardedRoute("/visits", visits, permission=may, methods=["POST"]),
    ]


async def _identified(records: Records, patient: str) -> dict[str, Any]:
    now_us = time.time_ns() // 1000
    facts = await visit.facts_of(records, patient, now_us)
    given = await visit.consents_of(records, patient)
    allowed = {each: bool((said := given.get((each, CENTRE))) and said.given) for each in kiosks.ASKED}
    return {
        "visit_key": passes.visit_key(records, patient),
        "name_hint": hint(facts.name),
        "sex": facts.sex,
        "age_years": facts.age_years,
        "last": await _last(records, patient),
        "consents": allowed,
    }


async def _last(records: Records, patient: str) -> dict[str, Any] | None:
    """Return when the citizen was here last, and how tall they were."""
    of = ("patient", f"Patient/{patient}")
    newest = [("_sort", "-date"), ("_count", "1")]
    visits = await records.search(kiosks.ROOM, "Encounter", [of, ("type", f"{shapes.CATEGORY}|screening"), *newest])
    if not visits.matches:
        return None
    at = text.decode(visits.matches[0].text)["period"]["start"]
    tall = await records.search(kiosks.ROOM, "Observation", [of, ("code", f"{shapes.COLUMN}|height_cm"), *newest])
    height = text.decode(tall.matches[0].text)["valueQuantity"]["value"] if tall.matches else None
    return {"at": at, "height_cm": None if height is None else float(height)}


def hint(name: str) -> str:
    """Return as much of a name as lets its bearer know it: the first letter."""
    return name[:1] + "○" * min(2, max(0, len(name) - 1))


def _help(kiosk: shapes.Resource, step: str) -> shapes.Resource:
    now_us = time.time_ns() // 1000
    return {
        "resourceType": "Communication",
        "status": "in-progress",
        "priority": "routine",
        "category": [shapes.concept(shapes.COMMUNICATION, "help")],
        "sent": shapes.moment(now_us),
        "recipient": [shapes.reference(CENTRE)],
        "sender": shapes.reference(f"Device/{kiosk['id']}"),
        "payload": [
            shapes.spoken(
                {
                    "ko": f"키오스크에서 도움을 요청했습니다. {step}".strip(),
                    "en": f"Somebody at a kiosk asks for help. {step}".strip(),
                },
                "contentString",
            )
        ],
    }
