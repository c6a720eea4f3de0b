"""People in front of a small application: signing in, and asking by session as a browser does."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.edge import Edge, on_problem
from hanmaru.platform.identity.accounts import Accounts
from hanmaru.platform.identity.api import routes
from hanmaru.platform.identity.identity import Identified, Identity
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem
from tests.asgi import Answer, ask

LEE, KIM = "writes things", "reads things"


def app_of(who: Identity) -> Starlette:
    """Return an application with the routes about people, and something to read and to write."""

    async def things(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            *routes(who),
            GuardedRoute("/things", things, permission="read"),
            GuardedRoute("/things", things, permission="write", methods=["POST"]),
        ],
        middleware=[
            Middleware(Edge, body_bytes=2**20, request_s=10, slow_request_s=5),
            Middleware(Identified, who),
        ],
        exception_handlers={Problem: on_problem},
    )


def people(folder: Path) -> Accounts:
    """Return accounts of kim, who reads, and of lee, who administers."""
    made = Accounts(folder)
    made.add("kim", KIM, "reader")
    made.add("lee", LEE, "admin")
    return made


@dataclass
class Browser:
    """Somebody's browser: keeps the session's cookie, and says where its requests come from."""

    app: Starlette
    cookie: str = ""
    client: str = "127.0.0.1"

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request with the cookie, and keep the one that comes back."""
        sent = {"sec-fetch-site": "same-origin", "user-agent": "Test/1", **headers}
        if self.cookie:
            sent["cookie"] = self.cookie
        text = b"" if body is None else json.dumps(body).encode()
        got = await ask(self.app, path, method=method, body=text, headers=sent, client=self.client)
        if "set-cookie" in got.headers:
            self.cookie = got.headers["set-cookie"].partition(";")[0]
        return got

    async def sign_in(self, name: str, password: str, code: str | None = None) -> Answer:
        """Sign in by name and password."""
        return await self.ask("POST", "/api/session", {"name": name, "password": password, "code": code})


def trail(folder: Path) -> bytes:
    """Return everything that the audit trail under a folder says."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("audit/*/*.log")))


def noted(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the audit trail under a folder, oldest first."""
    records = [json.loads(line.partition(b" ")[2]) for line in trail(folder).splitlines()]
    return [record for record in records if record.get("who") != "system:audit"]
