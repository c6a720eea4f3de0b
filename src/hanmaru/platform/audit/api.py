"""The audit page's HTTP interface. Whoever looks here is looked at: every search is a record itself."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hanmaru.platform.audit.index import MOST_FOUND, Found, Query, instant
from hanmaru.platform.audit.reader import TrailReader
from hanmaru.platform.audit.seal import TrailError
from hanmaru.platform.audit.verify import Report
from hanmaru.platform.bodies import answer
from hanmaru.platform.policy import GuardedRoute, audit_of, record_of
from hanmaru.platform.problems import Problem, invalid_request

BASE = "/api/audit/v1"
MOST_TEXT = 256
FILTERS = ("subject", "who", "action", "decision", "from", "to", "limit", "before")
_PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "schema": {"type": "integer" if name == "limit" else "string"}}
    for name in FILTERS
]


def query_of(given: Mapping[str, str]) -> Query:
    """Return the query that parameters ask for. Raises Problem 400 that says how to write the one that is wrong."""
    if unknown := sorted(set(given) - set(FILTERS)):
        raise invalid_request(f"Unknown parameter {unknown[0]!r}; the records are found by {', '.join(FILTERS)}.")
    for name, value in given.items():
        if len(value) > MOST_TEXT:
            raise invalid_request(f"{name} must have at most {MOST_TEXT} characters.")
    decision = given.get("decision")
    if decision not in (None, "allow", "deny"):
        raise invalid_request("decision must be allow or deny.")
    limit = given.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MOST_FOUND):
        raise invalid_request(f"limit must be a number from 1 to {MOST_FOUND}.")
    try:
        return Query(
            given.get("subject"),
            given.get("who"),
            given.get("action"),
            decision,  # pyright: ignore[reportArgumentType] - one of the two
            instant(given["from"]) if "from" in given else None,
            instant(given["to"]) if "to" in given else None,
            int(limit),
            given.get("before"),
        )
    except ValueError as error:
        raise invalid_request(f"{error}.") from None


def shown(found: Found) -> dict[str, Any]:
    """Return a record as the page gets it: every member, those left out of the line too."""
    entry = found.entry
    members = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return {**members, "hash": found.hash, "sound": found.sound}


def routes(trail: TrailReader) -> list[GuardedRoute]:
    """Return the routes under ``/api/audit/v1``."""

    async def records(request: Request) -> Response:
        """Find audit records, newest first: {records, next, behind}; give next as before for the following page."""
        query = query_of(request.query_params)
        audit = audit_of(request)
        if audit and request.query_params:  # whom somebody looked for is more than that they looked
            asked = {name: value for name, value in request.query_params.items() if name != "subject"}
            subjects = (query.subject,) if query.subject else ()
            audit.record(record_of(request, "audit.search", subjects=subjects, detail=asked))
        try:
            page = await _off_loop(trail.search, query)
        except ValueError as error:
            raise invalid_request(f"before: {error}; give the next of the page before.") from None
        return answer({"records": [shown(each) for each in page.records], "next": page.next, "behind": page.behind})

    async def status(request: Request) -> Response:
        """Tell how far each chain of the audit trail has come, and what the last verification found."""
        chains, state = await _off_loop(lambda: (trail.chains(), trail.verification()))
        return answer({"chains": chains, "verified": _summary(state.last)})

    async def verification(request: Request) -> Response:
        """Tell how far the running verification is, and what the last one found."""
        state = await _off_loop(trail.verification)
        return answer(
            {
                "running": state.now is not None,
                "done": state.now.done if state.now else 0,
                "total": state.now.total if state.now else 0,
                "error": state.error,
                "verified": _summary(state.last),
                "findings": state.last.findings if state.last else [],
            }
        )

    async def verify(request: Request) -> Response:
        """Start a verification of the whole audit trail; 409 while one runs."""
        if not await _off_loop(trail.start):
            raise Problem(409, "A verification runs already", f"See GET {BASE}/verify for how far it is.")
        return Response(status_code=202, headers={"location": f"{BASE}/verify"})

    async def actions(request: Request) -> Response:
        """Return the names of the actions that occur in the audit trail."""
        return answer(await _off_loop(trail.actions))

    return [
        GuardedRoute(f"{BASE}/records", records, permission="audit.read", spec={"parameters": _PARAMETERS}),
        GuardedRoute(f"{BASE}/status", status, permission="audit.read"),
        GuardedRoute(f"{BASE}/actions", actions, permission="audit.read"),
        GuardedRoute(f"{BASE}/verify", verification, permission="audit.verify"),
        GuardedRoute(f"{BASE}/verify", verify, permission="audit.verify", methods=("POST",), name="start_verification"),
    ]


async def _off_loop(work: Any, *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(work, *arguments)
    except TrailError as error:
        raise Problem(503, "The audit trail cannot be read", f"{error}.") from error


def _summary(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    told = {name: getattr(report, name) for name in ("at", "seconds", "records", "chains")}
    return {**told, "ok": report.ok, "findings": len(report.findings) + report.more}
