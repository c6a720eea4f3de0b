"""JSON bodies of the platform's own routes: read within bounds, and answered so that no cache keeps them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.platform.problems import Problem, invalid_request

MOST_BYTES = 256 * 2**10
"""Largest body that these routes read."""

T = TypeVar("T")
_KEY = re.compile(r"[!-~]{1,64}")


async def read(request: Request, type: type[T], expected: str) -> T:
    """Return a request's JSON body; raise Problem 400 for another one and 413 for one over `MOST_BYTES`.

    ``expected`` shows the client what to send, such as ``{"reason": …}``.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Problem(413, "Body too large", f"Send at most {MOST_BYTES} bytes here.")
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "Invalid request", f"Send {expected} as JSON: {error}") from None


def idempotency_key(request: Request) -> str | None:
    """Return the key by which a client's request is known when it comes again, if it has one.

    Raises Problem 400 for one that is not 1 to 64 visible ASCII characters.
    """
    given = request.headers.get("idempotency-key")
    if given is not None and not _KEY.fullmatch(given):
        raise invalid_request("Idempotency-Key is 1 to 64 visible ASCII characters.")
    return given


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON that no cache keeps."""
    sent = {"cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), status, sent, "application/json")


def instant(seconds: float | None) -> str | None:
    """Return seconds since 1970 as an instant in UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
