"""What staff do with hospitals over HTTP: refer somebody, follow referrals, see how deliveries fare."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.care import access, people
from hanmaru.care.citizen.visit import told
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, HEALTH_CENTRE, opened
from hanmaru.care.hospital import referrals
from hanmaru.care.hospital.ledger import Ledger, Standing
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.policy import GuardedRoute, audit_of, record_of
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]


class Referral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To whom and why a patient is referred."""

    to: Id
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    priority: referrals.Priority = "routine"
    note: Annotated[str, Meta(max_length=4000)] = ""


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is ended."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the routes of work with hospitals."""

    async def refer(request: Request) -> Response:
        """Refer a patient to a hospital that the patient lets see the record."""
        asked = await read(request, Referral, '{"to": …, "reason": …}')
        records = await opened(context)
        reader, patient = await access.reader(records, request), request.path_params["id"]
        made = await referrals.refer(records, reader, patient, asked.to, asked.reason, asked.priority, asked.note)
        if audit := audit_of(request):
            await audit.commit(record_of(request, "care.refer", subjects=(people.subject_of(records, patient),)))
        return answer(made, 201)

    async def listed(request: Request) -> Response:
        """Return referrals by ``state`` (open, ended, or one of theirs) and ``patient``."""
        state = request.query_params.get("state", "open")
        if state not in ("open", "ended", *referrals.OPEN, *referrals.ENDED):
            raise Problem(400, "Unknown state", "state is open, ended or a state of a referral.")
        records = await opened(context)
        patient = request.query_params.get("patient")
        reader = await access.reader(records, request)
        return answer({"referrals": await referrals.listed(records, reader, state, patient)})

    async def cancel(request: Request) -> Response:
        """Cancel a referral."""
        asked = await read(request, Reason, '{"reason": …}')
        records = await opened(context)
        return answer(
            await referrals.cancel(
                records, await access.reader(records, request), request.path_params["id"], asked.reason
            )
        )

    async def hospitals(request: Request) -> Response:
        """Return the organisations that somebody may be referred to."""
        records = await opened(context)
        found = await records.search(ALL, "Organization", [("active", "true"), ("_count", "500")])
        made = [
            {"id": each.id, "name": told(text.decode(each.text), "name")}
            for each in found.matches
            if each.id != HEALTH_CENTRE
        ]
        return answer({"hospitals": made})

    async def subscriptions(request: Request) -> Response:
        """Return how deliveries to each subscription fare: what waits, since when and why."""
        records = await opened(context)
        head = await records.head()
        return answer({"subscriptions": [_told(one, head) for one in await asyncio.to_thread(_standings, context)]})

    return [
        GuardedRoute("/patients/{id}/refer", refer, permission="care.treat", methods=["POST"]),
        GuardedRoute("/referrals", listed, permission="care.nurse"),
        GuardedRoute("/referrals/{id}/cancel", cancel, permission="care.treat", methods=["POST"]),
        GuardedRoute("/hospitals", hospitals, permission="care.nurse"),
        GuardedRoute("/subscriptions", subscriptions, permission="care.manage"),
    ]


def _standings(context: Context[HubClient]) -> list[Standing]:
    ledger = Ledger(context.data_dir)
    try:
        return ledger.all()
    finally:
        ledger.close()


def _told(standing: Standing, head: int) -> dict[str, Any]:
    def at(micros: int | None) -> str | None:
        return None if micros is None else instant(micros / 1e6)

    return {
        "id": standing.id,
        "state": "failing" if standing.failures else "well",
        "changes_behind": max(head - standing.seq, 0),
        "sent": standing.sent,
        "withheld": standing.withheld,
        "last_sent": at(standing.sent_at),
        "failures": standing.failures,
        "failing_since": at(standing.failing_since),
        "next_try": at(standing.due),
        "error": standing.error,
    }
