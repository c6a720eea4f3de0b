"""The lawful request: asked, approved one step after another by different people, answered, notified, destroyed.

Each function asks policy in the caller's name, writes to the audit trail, moves the book and wakes the request's
workflow (`work`), which is its clock.
"""

import asyncio
import shutil
from collections.abc import Sequence
from typing import Any, Literal

import structlog

from hanmaru.platform.jobs import JobError
from hanmaru.platform.policy import Caller, refusal
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.platform.vault import Desk
from hanmaru.trace.cases import authority
from hanmaru.trace.cases.approval import Approval, sign
from hanmaru.trace.cases.book import new_id
from hanmaru.trace.cases.records import CONTACT, IDENTITY, PERSON, REQUEST, Scope, plain
from hanmaru.trace.cases.room import Room, instant, now
from hanmaru.trace.cases.rows import HELD, OPEN, RequestRow, State, StepRow, require_other

log = structlog.get_logger()

WORKFLOW = "request"
LIVE: tuple[State, ...] = ("asked", *OPEN, "withdrawn", "expired")
"""States in which something may be due."""
LONGEST_DAYS = 60
"""Longest period that one request may ask for."""


def purpose_of(id: str) -> str:
    """Return the purpose that the room's own work on a request states in the vault."""
    return f"lawful request {id}"


async def ask(room: Room, caller: Caller, case: str, scope: Scope, purpose: str, where: str = "") -> RequestRow:
    """Ask for data about a case.

    Who its people are is written down with it: what is corrected later is for another request to ask. Raises Problem
    400 for a scope that cannot be asked for, 403 (also for a machine, whose key may be anybody's), 404, and 409 for a
    case that is closed.
    """
    row = await asyncio.to_thread(room.book.case, case)
    check(room, scope)
    scope = Scope(
        list(dict.fromkeys(scope.kinds)),
        scope.period,
        scope.purpose,
        scope.because,
        scope.subjects or [case],
        scope.area,
    )
    if caller.kind == "machine":
        await room.tell(
            caller.name, "trace.investigate", f"case/{case}/requests", [case], purpose, where, allowed=False
        )
        raise Problem(403, "Not permitted", "A person has to ask, so that somebody else can approve.")
    await room.require(caller, "trace.investigate", f"case/{case}/requests", [case], purpose, where)
    rules = [room.country.kinds[kind] for kind in scope.kinds]
    id = new_id()
    # The vault first: a request in the book always has its scope.
    desk = room.desk(caller, purpose, where)
    people = await identities(desk, case, scope.subjects)
    await desk.put_many([(case, REQUEST, id, plain(scope)), (case, IDENTITY, id, {"people": people})])
    request = await asyncio.to_thread(
        lambda: room.book.ask(
            case,
            scope.kinds,
            room.country.steps_of(scope.kinds),
            caller.name,
            now(),
            id=id,
            valid_days=room.country.valid_days,
            retention_days=min(rule.retention_days for rule in rules),
            notify_days=min(rule.notify_within_days for rule in rules),
        )
    )
    if row.status == "new":
        await asyncio.to_thread(
            lambda: room.book.change_case(case, caller.name, now(), "investigating", status="investigating")
        )
    await start(room, id)
    return request


async def identities(desk: Desk, case: str, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """Return who subjects are, as far as a provider needs it to find their records: the case's person, its contacts."""
    addresses = [(case, PERSON, PERSON) if one == case else (case, CONTACT, one) for one in subjects]
    found: list[dict[str, Any]] = []
    for subject, document in zip(subjects, await desk.get_many(addresses), strict=True):
        person = (document or {}) if subject == case else (document or {}).get("person", {})
        found.append({"subject": subject, **{name: person.get(name) for name in ("name", "birth_date", "phone")}})
    return found


def check(room: Room, scope: Scope) -> None:
    """Refuse, by Problem 400, a scope that cannot be asked for."""
    if unknown := [kind for kind in scope.kinds if kind not in room.country.kinds]:
        raise invalid_request(f"There is no kind {unknown[0]!r}; the kinds are {', '.join(room.country.kinds)}.")
    days = (scope.period.end - scope.period.start).total_seconds() / 86_400
    if not 0 < days <= LONGEST_DAYS:
        raise invalid_request(f"period ends after it starts, and at most {LONGEST_DAYS} days later.")
    if scope.area is None and (others := [kind for kind in scope.kinds if room.country.kinds[kind].others]):
        raise invalid_request(f"{others[0]} is about whoever was near a place: give area with lat, lon and radius_m.")
    if not scope.purpose.strip() or not scope.because.strip():
        raise invalid_request("State purpose and because: what the data is for, and why it is needed.")


async def start(room: Room, id: str) -> None:
    """Start a request's clock; what cannot be started now, the sweep starts."""
    try:
        await room.context.trust.jobs.start(WORKFLOW, id, id)
    except Exception as error:
        log.warning("request's workflow not started yet", request=id, error=type(error).__name__)


async def wake(room: Room, id: str) -> None:
    """Let a request's clock look again."""
    try:
        await room.context.trust.jobs.send(f"trace.{id}", "changed", None)
    except JobError:
        await start(room, id)
    except Exception as error:
        log.warning("request's workflow not woken", request=id, error=type(error).__name__)


# ---- who sees what


def sees(room: Room, caller: Caller, request: RequestRow) -> bool:
    """Return whether a caller may know of a request: who investigates or watches, decides a step, or is to answer."""
    if may_watch(room, caller):
        return True
    if any(role in caller.roles for step in request.steps for role in (step.rule.role, step.escalated_to)):
        return True
    return bool(answerable(room, caller, request))


def may_watch(room: Room, caller: Caller) -> bool:
    """Return whether a caller sees all requests: who sees cases, and who may destroy them."""
    policy = room.context.trust.policy
    return policy.allows(caller, "trace.read") or policy.allows(caller, "trace.destroy")


def answerable(room: Room, caller: Caller, request: RequestRow) -> list[str]:
    """Return which of a request's kinds of data a caller's roles answer now."""
    if not request.takes_answers(now()):
        return []
    return [kind for kind in request.kinds if room.country.kinds[kind].answered_by in caller.roles]


def decides(room: Room, caller: Caller, step: StepRow) -> bool:
    """Return whether a caller's role and permission let them decide a step."""
    holds = step.rule.role in caller.roles or (step.escalated_to is not None and step.escalated_to in caller.roles)
    return holds and room.context.trust.policy.allows(caller, step.rule.permission)


def may(room: Room, caller: Caller, request: RequestRow) -> list[str]:
    """Return what a caller may do with a request now: approve, withdraw, answer, notify."""
    acts: list[str] = []
    step = request.step
    if step and decides(room, caller, step) and caller.name not in {request.asked_by, *(s.who for s in request.steps)}:
        acts.append("approve")
    investigates = room.context.trust.policy.allows(caller, "trace.investigate")
    if investigates and request.state in ("asked", *OPEN) and caller.name == request.asked_by:
        acts.append("withdraw")
    if answerable(room, caller, request):
        acts.append("answer")
    if investigates and request.notify_due and not request.notified_at:
        acts.append("notify")
    return acts


async def visible(room: Room, caller: Caller, id: str) -> RequestRow:
    """Return a request that a caller may know of; raises Problem 404 for another as for none."""
    request = await asyncio.to_thread(room.book.request, id)
    if not sees(room, caller, request):
        raise not_found("There is no such request.")
    return request


async def scopes(room: Room, requests: Sequence[RequestRow], purpose: str = "") -> list[Scope | None]:
    """Return what requests ask for, None where the case is destroyed. By the room's own desk: check `sees` before."""
    import msgspec

    if not requests:
        return []
    desk = room.own_desk(purpose or (purpose_of(requests[0].id) if len(requests) == 1 else "list of lawful requests"))
    found = await desk.get_many([(request.case, REQUEST, request.id) for request in requests])
    return [None if document is None else msgspec.convert(document, Scope) for document in found]


async def scope_of(room: Room, request: RequestRow) -> Scope:
    """Return what a request asks for; raises Problem 410 once its case is destroyed."""
    (scope,) = await scopes(room, [request])
    if scope is None:
        raise Problem(410, "Gone", "The case of this request is destroyed.")
    return scope


# ---- decisions


async def decide(
    room: Room, caller: Caller, id: str, verdict: Literal["approve", "refuse"], reason: str, where: str = ""
) -> RequestRow:
    """Approve or refuse the step that a request waits for.

    Raises Problem 403 for a machine, who asked, who decided an earlier step, and when the step's role or permission is
    not the caller's; 404; 409 when no step is waited for.
    """
    request = await visible(room, caller, id)
    if len(reason) > 200 or (reason and not reason.isprintable()) or (verdict == "refuse" and not reason.strip()):
        raise invalid_request("Say why in reason, in at most 200 printable characters and without names.")
    if (step := request.step) is None:
        raise Problem(409, "Not in this state", f"The request is {request.state}; no approval is waited for.")
    what, detail = f"request/{id}/step/{step.n}", {"verdict": verdict, "reason": reason}

    async def denied(problem: Problem) -> Problem:
        await room.tell(caller.name, step.rule.permission, what, [request.case], purpose_of(id), where, False, detail)
        return problem

    try:
        require_other(request, caller.name)
    except Problem as problem:
        raise await denied(problem) from None
    if caller.kind != "person":
        raise await denied(Problem(403, "Not permitted", "A person has to decide this."))
    if step.rule.role not in caller.roles and step.escalated_to not in caller.roles:
        raise await denied(refusal(caller, step.rule.permission))
    await room.require(caller, step.rule.permission, what, [request.case], purpose_of(id), where, detail)
    state: Literal["approved", "refused"] = "approved" if verdict == "approve" else "refused"
    decided = await asyncio.to_thread(room.book.decide, id, step.n, caller.name, state, reason, now())
    if decided.state == "approved":
        await authority.public_pem(room)  # where evidence is investigated away from the hub, the key is looked for
    await wake(room, id)
    return decided


async def withdraw(room: Room, caller: Caller, id: str, where: str = "") -> RequestRow:
    """Take one's own request back; what was answered is destroyed. Raises Problem 403, 404, 409."""
    request = await visible(room, caller, id)
    if request.asked_by != caller.name:
        raise Problem(403, "Not permitted", "Who asked may withdraw it; others may refuse it.")
    await room.require(caller, "trace.investigate", f"request/{id}/withdraw", [request.case], purpose_of(id), where)
    await asyncio.to_thread(room.book.move, id, ("asked", *OPEN), "withdrawn", caller.name, now())
    await destroy_data(room, await asyncio.to_thread(room.book.request, id), "the request was withdrawn")
    await wake(room, id)
    return await asyncio.to_thread(room.book.request, id)


async def notified(room: Room, caller: Caller, id: str, where: str = "") -> RequestRow:
    """Note that the person was told that data about them was collected. Raises Problem 403, 404, 409."""
    request = await visible(room, caller, id)
    await room.require(caller, "trace.investigate", f"request/{id}/notified", [request.case], purpose_of(id), where)
    if request.notify_due is None:
        raise Problem(409, "Not in this state", "Nothing was collected yet, so nobody is to be told.")
    if request.notified_at is None:
        request = await asyncio.to_thread(
            lambda: room.book.change_request(
                id, caller.name, now(), "request.notified", notified_at=now(), notified_by=caller.name
            )
        )
        await wake(room, id)
    return request


async def approval_of(room: Room, request: RequestRow) -> str:
    """Return a request's signed approval; raises Problem 409 when it is not approved or its approval has expired."""
    if not request.takes_answers(now()):
        state = "expired" if request.state in OPEN else request.state
        raise Problem(409, "Not approved", f"The request is {state}; there is no approval in force.")
    scope = await scope_of(room, request)
    approval = Approval(
        request=request.id,
        case=request.case,
        subjects=scope.subjects,
        period=scope.period,
        kinds=scope.kinds,
        purpose=scope.purpose,
        approved_by=[step.who or "" for step in request.steps],
        expires=instant(request.ends),
        area=scope.area,
    )
    return sign(approval, await authority.private_jwk(room))


# ---- the clock


async def tend(room: Room, id: str) -> float:
    """Do what is due of a request and return in how many seconds to look again, 0 when nothing will be due any more.

    Escalates an overdue step or notice, lets an approval expire, destroys the data at its date. May be called at any
    time, any number of times.
    """
    request = await asyncio.to_thread(room.book.request, id)
    at, due = now(), list[float]()
    expiry = request.ends
    if request.state in ("asked", "approved", "answering"):
        if expiry <= at:
            await move(room, request, "expired")
            request = await asyncio.to_thread(room.book.request, id)
        else:
            due.append(expiry)
    if (step := request.step) is not None and step.due is not None:
        if step.due <= at and not step.escalated_to:
            await escalated(room, request, f"step/{step.n}", step.rule.role, step.rule.escalates_to)
            await asyncio.to_thread(room.book.escalate, id, step.n, at)
        elif step.due > at:
            due.append(step.due)
    if request.notify_due is not None and request.notified_at is None and request.notify_escalated_to is None:
        if request.notify_due <= at:
            to = room.country.notify_escalates_to
            await escalated(room, request, "notice", request.asked_by, to)
            await asyncio.to_thread(
                lambda: room.book.change_request(
                    id, "system:trace", at, "request.notice-overdue", notify_escalated_to=to
                )
            )
        else:
            due.append(request.notify_due)
    if request.state in HELD and (request.data is not None or request.state in OPEN):
        ends = at if request.state == "withdrawn" else (request.destroy_on or at)
        if ends <= at:
            await destroy_data(room, request, "its date has come")
        else:
            due.append(ends)
    return max(0.05, min(due) - now()) if due else 0


async def escalated(room: Room, request: RequestRow, what: str, late: str, to: str) -> None:
    """Audit that somebody is late, and who hears of it."""
    detail = {"late": late, "to": to}
    what = f"request/{request.id}/{what}"
    await room.tell("system:trace", "trace.escalate", what, [request.case], purpose_of(request.id), detail=detail)


async def move(room: Room, request: RequestRow, to: State) -> None:
    """Move a request by the clock; audited."""
    await room.tell("system:trace", f"trace.{to}", f"request/{request.id}", [request.case], purpose_of(request.id))
    await asyncio.to_thread(room.book.move, request.id, (request.state,), to, "system:trace", now())


async def destroy_data(room: Room, request: RequestRow, reason: str) -> None:
    """Destroy what a request brought: the key of its answers, and what findings still hold of it."""
    from hanmaru.trace.cases.findings import forget

    if request.data is not None:
        await room.own_desk(purpose_of(request.id)).destroy(request.data, reason)
    await forget(room, request.case, request.id)
    if request.state != "withdrawn":
        await move(room, request, "destroyed")
    # An answer that was being taken in meanwhile; none begins now.
    late = (await asyncio.to_thread(room.book.request, request.id)).data
    if late is not None and late != request.data:
        await room.own_desk(purpose_of(request.id)).destroy(late, reason)
    await asyncio.to_thread(shutil.rmtree, room.inbox / request.id, True)
    await asyncio.to_thread(
        lambda: room.book.change_request(request.id, "system:trace", now(), "request.data-destroyed", data=None)
    )


async def all_requests(room: Room, states: Sequence[str]) -> list[RequestRow]:
    """Return all requests of some states."""
    found, before = list[RequestRow](), None
    while True:
        page = await asyncio.to_thread(room.book.requests, states, None, before, 500)
        found += page
        if len(page) < 500:
            return found
        before = page[-1].seq


def shown_step(step: StepRow, at: float) -> dict[str, Any]:
    """Return a step as screens get it."""
    from hanmaru.platform.bodies import instant as text

    return {
        "role": step.rule.role,
        "title": step.rule.title,
        "state": step.state,
        "by": step.who,
        "at": text(step.at),
        "since": text(step.since),
        "due": text(step.due),
        "overdue": step.state == "waiting" and step.due is not None and step.due <= at,
        "escalated_to": step.escalated_to,
        "reason": step.reason,
    }
