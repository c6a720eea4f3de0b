"""Every refusal of the FHIR face as an OperationOutcome (R4, operationoutcome.html)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.platform.problems import Problem

JSON: Final = "application/fhir+json"
CODES: Final[Mapping[int, str]] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    501: "not-supported",
    503: "transient",
}
"""R4's issue type of a refusal with an HTTP status."""


def outcome(problem: Problem) -> dict[str, Any]:
    """Return a problem as an OperationOutcome; its ``issues``, where it has some, are taken as they are."""
    issues = problem.extra.get("issues")
    if not issues:
        said = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
        code = problem.extra.get("code") or CODES.get(problem.status, "exception")
        issues = [{"severity": "error", "code": code, "diagnostics": said}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def told(diagnostics: str, severity: str = "information", code: str = "informational") -> dict[str, Any]:
    """Return an OperationOutcome of one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def status_line(status: int) -> str:
    """Return a status as a Bundle's response has it: ``201 Created``."""
    return f"{status} {HTTPStatus(status).phrase}"


def response(problem: Problem, request: Request) -> Response:
    """Answer a problem."""
    headers: dict[str, str] = {}
    sent = dict(request.scope["headers"])
    if problem.status == 401 and b"sec-fetch-site" not in sent:
        bearer = sent.get(b"authorization", b"")[:7].lower() == b"bearer "
        headers["www-authenticate"] = 'Bearer realm="Hanmaru"' if bearer else 'Basic realm="Hanmaru", charset="UTF-8"'
    if "retry_after_s" in problem.extra:
        headers["retry-after"] = str(problem.extra["retry_after_s"])
    if problem.status == 413:
        headers["connection"] = "close"
    return Response(msgspec.json.encode(outcome(problem)), problem.status, headers, JSON)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that an endpoint or its door raised."""
    assert isinstance(error, Problem)
    return response(error, request)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {}).get("Allow", "")
    words = {404: "Nothing is at this address.", 405: f"This address answers {allowed}."}
    answer = response(Problem(error.status_code, error.detail, words.get(error.status_code, "")), request)
    answer.headers.update(error.headers or {})
    return answer
