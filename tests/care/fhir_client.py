"""A FHIR client over one kept connection."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def issues(self) -> str:
        """Return what an OperationOutcome says; fails for anything else."""
        outcome = self.json()
        assert outcome["resourceType"] == "OperationOutcome"
        assert outcome["issue"]
        return "; ".join(issue.get("diagnostics", "") for issue in outcome["issue"])


class Client:
    """Asks one server."""

    def __init__(self, url: str, path: str = "/fhir/R4") -> None:
        parts = urlsplit(url)
        self.url, self.path = url + path, path
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request; ``path`` is below the face, ``if_match`` is the header If-Match."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/fhir+json")
        self.connection.request(method, self.path + path, body, sent)
        answer = self.connection.getresponse()
        whole = answer.read()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, whole)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Reply:
        return self.ask("PUT", path, body, **headers)

    def made(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a resource and return it."""
        answer = self.post(f"/{body['resourceType']}", body)
        assert answer.status == 201, answer.body
        return answer.json()

    def close(self) -> None:
        self.connection.close()
