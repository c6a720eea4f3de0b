"""RFC 9457 problem details: the one shape of every error that leaves the process."""

from typing import Any

import msgspec

CORE_ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"


class Problem(Exception):  # noqa: N818 - the RFC's name
    """A refusal that says what to do: HTTP status, type URI, short title, detail for the person who reads it."""

    def __init__(self, status: int, title: str, detail: str = "", *, type: str = "about:blank", **extra: Any) -> None:
        """Make a problem; ``extra`` members join the document as they are."""
        super().__init__(detail or title)
        self.status, self.title, self.detail, self.type, self.extra = status, title, detail, type, extra

    def document(self) -> dict[str, Any]:
        """Return the problem as its JSON object."""
        document: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            document["detail"] = self.detail
        return document | self.extra

    def encode(self) -> bytes:
        """Return the problem as JSON bytes."""
        return msgspec.json.encode(self.document())


def sentence(error: Exception) -> str:
    """Return an error's text as a sentence, for a problem's detail."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def bad_request(detail: str) -> Problem:
    """Refuse a request whose content breaks the standard's rules."""
    return Problem(400, "Bad request data", detail, type=CORE_ERRORS + "BadRequestData")


def invalid_request(detail: str) -> Problem:
    """Refuse a request that is not well formed."""
    return Problem(400, "Invalid request", detail, type=CORE_ERRORS + "InvalidRequest")


def not_found(detail: str) -> Problem:
    """Say that a resource is not there, or not there to see."""
    return Problem(404, "Resource not found", detail, type=CORE_ERRORS + "ResourceNotFound")


def already_exists(detail: str) -> Problem:
    """Refuse to create what exists."""
    return Problem(409, "Already exists", detail, type=CORE_ERRORS + "AlreadyExists")
