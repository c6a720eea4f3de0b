"""Carries personal data from one room's vault to another's, as somebody asked and somebody else approved.

What is handed over lies in a part of its own of the receiving room's vault, ``<room>-received``, which policy opens to
nobody but the hand-over itself: it is read through `Handover.read`, for the purpose it was handed over for and until
its time is up. Each copy is a subject of its own, so that its end is the destruction of one key.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from hanmaru.platform.audit.record import Audit, Record
from hanmaru.platform.handover import carry
from hanmaru.platform.handover.carry import PROVENANCE, SYSTEM
from hanmaru.platform.handover.requests import (
    ANNEX,
    ENDED,
    Asked,
    Book,
    Request,
    Requests,
    State,
    check,
)
from hanmaru.platform.jobs import JobError, Steps, Workflow
from hanmaru.platform.policy import Caller, Policy, refusal
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault.errors import VaultError

if TYPE_CHECKING:
    from hanmaru.platform.jobs.client import Jobs
    from hanmaru.platform.vault import Desk, Vaults

log = structlog.get_logger()

ROOM = "handover"
MOST_DAYS = 30.0
SWEEP_S = 60.0


class Handover:
    """The hand-overs of a hub; one in each process."""

    def __init__(
        self, data: Path, vaults: "Vaults", audit: Audit, policy: Policy, jobs: "Jobs", most_days: float = MOST_DAYS
    ) -> None:
        """Make it over the vaults; no hand-over is for longer than ``most_days``."""
        self.book = Book(data)
        self.vaults, self.audit, self.policy, self.jobs, self.most_days = vaults, audit, policy, jobs, most_days

    def close(self) -> None:
        """Close the file of requests."""
        self.book.close()

    def room(self, name: str) -> "RoomHandover":
        """Return what a room is given: asking for itself, and reading what it received."""
        return RoomHandover(self, name)

    async def request(self, caller: Caller, asked: Asked, where: str = "") -> Request:
        """Note a request of a caller whom policy permits ``handover.request`` on the receiving vault.

        Raises Problem 400 for one that cannot be carried out, 403 when policy refuses.
        """
        check(asked, self.most_days)
        facts = {"from": asked.giving, "basis": asked.legal_basis, "until": asked.until.isoformat()}
        what = f"vault:{asked.receiving}/handover"
        record = Record(
            caller.name, "handover.request", what, "allow", asked.purpose, (asked.subject,), where, "", facts
        )
        await self._permit(caller, asked.receiving, asked.purpose, record)
        return await asyncio.to_thread(self.book.add, asked, caller.name)

    async def approve(self, caller: Caller, id: str, reason: str, where: str = "") -> Request:
        """Approve a request, which then is carried out by itself.

        Raises Problem 403 for one's own request, for a machine, and when policy refuses ``handover.approve`` on the
        giving vault; 409 when it is not waiting for approval or its time is over.
        """
        request = await self._decidable(caller, id, reason, where, "handover.approve")
        if request.until <= datetime.now(UTC):
            raise Problem(409, "Too late", "The time that the data was asked for is over.")
        await asyncio.to_thread(self.book.move, id, ["requested"], "approved", caller.name, reason)
        try:
            await self._start(id)
        except Exception as error:  # it is approved; the sweep starts what could not be started now
            log.warning("hand-over not started yet", handover=id, error=type(error).__name__)
        return await self.get(id)

    async def refuse(self, caller: Caller, id: str, reason: str, where: str = "") -> Request:
        """Refuse a request; raises as `approve` does."""
        await self._decidable(caller, id, reason, where, "handover.refuse")
        await asyncio.to_thread(self.book.move, id, ["requested"], "refused", caller.name, reason)
        return await self.get(id)

    async def revoke(self, caller: Caller, id: str, reason: str, where: str = "") -> Request:
        """Take back what was approved: on return the copy's key is destroyed. Raises as `approve` does."""
        await self._decidable(caller, id, reason, where, "handover.revoke")
        await self._end(id, "revoked", caller.name, reason, ("delivered", "approved"))
        return await self.get(id)

    async def get(self, id: str) -> Request:
        """Return a request with its timeline; raises Problem 404 when there is none."""
        return await asyncio.to_thread(self.book.get, id)

    async def list(
        self, state: State | None = None, room: str = "", limit: int = 100, before: int | None = None
    ) -> Requests:
        """Return requests, newest first, of a state, to or from a room."""
        return await asyncio.to_thread(self.book.list, [state] if state else (), room, limit, before)

    async def read(self, caller: Caller, id: str, purpose: str, where: str = "") -> Sequence[Mapping[str, Any]]:
        """Return what was handed over as ``{"kind", "id", "document"}``, the record of its provenance first.

        Raises Problem 403 for another purpose than it was handed over for and when policy refuses ``vault.read`` on
        the receiving vault; 409 before delivery; 410 once its time is up.
        """
        request, copy = await self._open(caller, id, purpose, where)
        records = [(one.kind, one.id) for one in request.receipt if one.form == "record"]
        addresses = [(PROVENANCE, PROVENANCE), *records]
        found = await self.annex(request).get_many([(copy, *address) for address in addresses])
        return [
            {"kind": kind, "id": id, "document": document}
            for (kind, id), document in zip(addresses, found, strict=True)
        ]

    async def read_blob(
        self, caller: Caller, id: str, kind: str, blob: str, purpose: str, where: str = ""
    ) -> AsyncIterator[bytes]:
        """Return a file that was handed over, in parts; raises as `read` does, and Problem 404 when it was not."""
        request, copy = await self._open(caller, id, purpose, where)
        given = any((one.form, one.kind, one.id) == ("blob", kind, blob) for one in request.receipt)
        parts = await self.annex(request).get_blob(copy, kind, blob) if given else None
        if parts is None:
            raise Problem(404, "Resource not found", "That file is not part of the hand-over.")
        return parts

    async def _open(self, caller: Caller, id: str, purpose: str, where: str) -> tuple[Request, str]:
        """Ask all that is asked before a copy is read; return the request and the copy's pseudonym."""
        request = await self.get(id)
        subjects = (request.copy or request.subject,)
        what = f"vault:{request.receiving}/handover/{id}"
        bound = purpose == request.purpose
        record = Record(caller.name, "handover.read", what, "allow" if bound else "deny", purpose, subjects, where)
        if not bound:
            await self.audit.commit(record)
            raise Problem(
                403, "Another purpose", "What was handed over is read for the purpose that was approved only."
            )
        await self._permit(caller, request.receiving, purpose, record, "vault.read")
        if request.state in ENDED or (request.state == "delivered" and request.until <= datetime.now(UTC)):
            raise Problem(410, "Gone", f"This hand-over is {request.state if request.state in ENDED else 'expired'}.")
        if request.state != "delivered" or request.copy is None:
            raise Problem(409, "Not delivered", f"This hand-over is {request.state}.")
        return request, request.copy

    async def deliver(self, id: str) -> float:
        """Copy what an approved request asks for; once, however often it is called.

        Return the seconds for which the copy may be kept, 0 when there is none.
        """
        request = await self.get(id)
        if request.state == "approved":
            try:
                await carry.copy(self, request)
            except VaultError as error:
                if error.status not in (404, 410):
                    raise
                # Of two that could be gone it is the source, unless it was revoked meanwhile.
                await self._end(id, "failed", SYSTEM.name, "nothing left to hand over", ("approved",))
            request = await self.get(id)
        return max(0.0, (request.until - datetime.now(UTC)).total_seconds()) if request.state == "delivered" else 0

    async def tend(self) -> None:
        """Sweep now and every `SWEEP_S` seconds, until cancelled: for what no workflow is left to end."""
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> int:
        """Carry out what was approved, end what is over, and destroy what ended; return how many were ended."""
        ended = 0
        now = datetime.now(UTC)
        for request in await self._all("approved", "delivered", "requested"):
            if request.until <= now:
                await self._end(request.id, "expired", SYSTEM.name, "its time is up")
                ended += 1
            elif request.state != "requested" and not request.keep_after_source and await self._source_gone(request):
                await self._end(request.id, "revoked", SYSTEM.name, "the source was destroyed")
                ended += 1
            elif request.state == "approved":
                await self._start(request.id)
        for request in await asyncio.to_thread(self.book.undestroyed):
            await self._destroy(request)
        return ended

    async def expire(self, id: str) -> None:
        """End a delivered request whose time is up; one that has ended already stays as it is."""
        request = await self.get(id)
        if request.state == "delivered" and request.until <= datetime.now(UTC):
            await self._end(id, "expired", SYSTEM.name, "its time is up")

    def annex(self, request: Request) -> "Desk":
        """Return the desk at which the hub itself handles what is handed over by a request."""
        return self.vaults.room(request.receiving + ANNEX).at(SYSTEM, request.purpose)

    async def _end(
        self,
        id: str,
        state: State,
        who: str,
        reason: str,
        of: Sequence[State] = ("delivered", "approved", "requested"),
    ) -> None:
        try:
            request = await asyncio.to_thread(self.book.move, id, of, state, who, reason)
        except Problem as error:
            if error.status == 409 and who == SYSTEM.name:
                return  # somebody was quicker
            raise
        await self.tell(request, f"handover.{state}", who, reason)
        await self._destroy(request)
        if who != SYSTEM.name:
            with suppress(JobError):  # it may not have begun
                await self.jobs.send(f"{ROOM}.{id}", "ended", state)

    async def _destroy(self, request: Request) -> None:
        if request.copy is not None:
            await self.annex(request).destroy(request.copy, f"the hand-over is {request.state}")
        await asyncio.to_thread(self.book.destroyed, request.id)

    async def _source_gone(self, request: Request) -> bool:
        return not await asyncio.to_thread(lambda: self.vaults.keys.versions(request.giving, request.subject))

    async def _start(self, id: str) -> None:
        job = await self.jobs.start(f"{ROOM}.carry", id, f"{ROOM}.{id}")
        if (await self.jobs.state(job)).status in ("failed", "cancelled", "given up"):
            await self.deliver(id)

    async def _all(self, *states: State) -> Sequence[Request]:
        found, before = list[Request](), None
        while True:
            page = await asyncio.to_thread(self.book.list, states, "", 500, before)
            found += page.requests
            if (before := page.next) is None:
                return found

    async def _decidable(self, caller: Caller, id: str, reason: str, where: str, action: str) -> Request:
        request = await self.get(id)
        if not reason.strip() or len(reason) > 200 or not reason.isprintable():
            raise Problem(400, "State the reason", "Say why, in at most 200 printable characters and without names.")
        what = f"vault:{request.giving}/handover/{id}"
        record = Record(
            caller.name, action, what, "allow", request.purpose, (request.subject,), where, "", {"reason": reason}
        )
        own = caller.name == request.requested_by and action == "handover.approve"
        if own or caller.kind != "person":
            await self.audit.commit(msgspec.structs.replace(record, decision="deny"))
            why = "Somebody else has to approve your request." if own else "A person has to decide this."
            raise Problem(403, "Not permitted", why)
        await self._permit(caller, request.giving, request.purpose, record, "handover.approve")
        other = f"vault:{request.receiving}/handover/{id}"
        await self.audit.commit(
            msgspec.structs.replace(record, what=other, subjects=(request.copy or request.subject,))
        )
        return request

    async def _permit(self, caller: Caller, room: str, purpose: str, record: Record, action: str = "") -> None:
        action = action or record.action
        decision = self.policy.decide(caller, action, f'Vault::"{room}"', purpose=purpose)
        allowed = "allow" if decision.allowed else "deny"
        await self.audit.commit(msgspec.structs.replace(record, decision=allowed))
        if not decision.allowed:
            raise refusal(caller, action, decision.because)

    async def tell(self, request: Request, action: str, who: str, reason: str = "") -> None:
        """Audit on both sides: the giving room's subject, and its copy in the receiving room."""
        detail = {"reason": reason} if reason else {}
        sides = [(request.giving, request.subject), (request.receiving, request.copy or request.subject)]
        for room, subject in sides:
            what = f"vault:{room}/handover/{request.id}"
            await self.audit.commit(Record(who, action, what, "allow", request.purpose, (subject,), detail=detail))


@dataclass(frozen=True, slots=True)
class RoomHandover:
    """What a room may do: ask for itself and read what it received."""

    handover: Handover
    name: str

    async def request(self, caller: Caller, asked: Asked, where: str = "") -> Request:
        """Ask for data to this room, as `Handover.request` does."""
        return await self.handover.request(caller, msgspec.structs.replace(asked, receiving=self.name), where)

    async def received(self) -> Sequence[Request]:
        """Return what was handed over to this room and may be read now, at most the newest 500."""
        page = await self.handover.list("delivered", self.name, 500)
        return [request for request in page.requests if request.receiving == self.name]

    async def read(self, caller: Caller, id: str, purpose: str, where: str = "") -> Sequence[Mapping[str, Any]]:
        """Return what was handed over to this room, as `Handover.read` does."""
        await self._check(id)
        return await self.handover.read(caller, id, purpose, where)

    async def read_blob(
        self, caller: Caller, id: str, kind: str, blob: str, purpose: str, where: str = ""
    ) -> AsyncIterator[bytes]:
        """Return a file that was handed over to this room, as `Handover.read_blob` does."""
        await self._check(id)
        return await self.handover.read_blob(caller, id, kind, blob, purpose, where)

    async def _check(self, id: str) -> None:
        if (await self.handover.get(id)).receiving != self.name:
            raise Problem(404, "Resource not found", "There is no such hand-over.")


async def _carry(steps: Steps, id: str) -> str:
    handover: Handover = steps.context
    left_s = await steps.run("deliver", handover.deliver, id)
    if not left_s:
        return "nothing delivered"
    await steps.publish("handover", id)
    await steps.wait_for("ended", left_s)
    await steps.run("expire", handover.expire, id)
    return "ended"


WORKFLOWS: Sequence[Workflow] = (
    Workflow("carry", _carry, {"en": "Carry out a hand-over", "ko": "데이터 인계 실행"}, str),
)
"""What carries requests out, as the room `ROOM`; the workflows' context is the `Handover`."""
