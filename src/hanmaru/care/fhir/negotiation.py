"""What a FHIR request and its answer are written in: JSON, and XML with a clear refusal (R4, http.html#mime-type)."""

import asyncio
from typing import Any, Final, cast

from starlette.requests import Request

from hanmaru.care.fhir import text
from hanmaru.care.fhir.targets import MOST_QUERY, Query, parsed
from hanmaru.platform.problems import Problem

MOST_BYTES: Final = 16 * 2**20
"""Largest body that is read, whatever the hub's own limit; a Bundle of 2000 entries of 8 KB."""
LARGE: Final = 100_000
"""From how many bytes on a body is read from JSON in a thread."""
FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = frozenset({"json", "application/json", "application/fhir+json", "text/json", "application/json+fhir"})
_WANTED: Final = _JSON | {"*/*", "application/*", ""}
_PREFER: Final = ("minimal", "representation", "OperationOutcome")


def header(request: Request, name: bytes) -> str | None:
    """Return a header's value; several times quicker than ``request.headers``."""
    for key, value in request.scope["headers"]:
        if key == name:
            return cast("bytes", value).decode("latin-1")
    return None


def agree(request: Request, query: Query = ()) -> None:
    """Raise Problem 406 where the answer is wanted in anything but JSON; ``_format`` comes before ``Accept``."""
    asked = next((value for name, value in query if name == "_format"), None)
    if asked is None:
        given = header(request, b"accept")
        if given is None or given == "application/fhir+json" or given == "*/*":
            return
        wanted = [one.partition(";")[0].strip().lower() for one in given.split(",")]
        if "text/html" in wanted:
            return  # a browser's address bar: it shows JSON
    else:
        wanted = [asked.partition(";")[0].strip().lower().replace(" ", "+")]
    if not any(one in _WANTED for one in wanted):
        raise Problem(406, "JSON only", "Answers are application/fhir+json; XML and Turtle are not written here.")


def preferred(request: Request) -> str:
    """Return ``Prefer: return=…``, or nothing."""
    for part in (header(request, b"prefer") or "").replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "return" and value in _PREFER:
            return value
    return ""


def lenient(request: Request) -> bool:
    """Return whether parameters that are not known may be passed over."""
    return "handling=lenient" in (header(request, b"prefer") or "")


async def body(request: Request) -> bytes:
    """Return a request's JSON body. Raises Problem 413 and 415."""
    kind = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
    if kind and kind not in _JSON:
        raise Problem(415, "JSON only", "Send application/fhir+json; XML and Turtle are not read here.")
    return await _whole(request)


async def resource(request: Request) -> tuple[bytes, dict[str, Any]]:
    """Return a request's resource as text and as object. Raises Problem 400, 413 and 415."""
    source = await body(request)
    if not source:
        raise Problem(400, "No resource", "This comes with a resource as JSON.")
    if len(source) > LARGE:
        return source, await asyncio.to_thread(text.decode, source)
    return source, text.decode(source)


async def form(request: Request) -> Query:
    """Return the parameters of a ``_search``'s form. Raises Problem 400, 413 and 415."""
    kind = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
    if kind not in ("", FORM):
        raise Problem(415, "A form", f"Send _search's parameters as {FORM}.")
    whole = await _whole(request)
    try:
        return parsed(whole.decode("ascii"))
    except UnicodeDecodeError:
        raise Problem(400, "Not readable", "The form is not percent-encoded.") from None


def query(request: Request) -> Query:
    """Return the address's parameters in order. Raises Problem 400."""
    given: bytes = request.scope["query_string"]
    return parsed(given.decode("latin-1")) if given else ()


async def _whole(request: Request) -> bytes:
    length = header(request, b"content-length")
    if length is not None and int(length) > MOST_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    total = 0
    async for chunk in request.stream():
        parts.append(chunk)
        total += len(chunk)
        if total > MOST_BYTES:
            raise _too_large()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> Problem:
    return Problem(413, "Too large", f"A body is at most {MOST_BYTES} bytes here; send several Bundles.")


__all__ = [
    "FORM",
    "LARGE",
    "MOST_BYTES",
    "MOST_QUERY",
    "agree",
    "body",
    "form",
    "header",
    "lenient",
    "preferred",
    "query",
    "resource",
]
