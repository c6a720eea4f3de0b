"""The NGSI-LD API in this process, on a real store, for tests that read like requests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.types import ASGIApp

from hanmaru.app import create_app
from hanmaru.config import Settings
from tests.asgi import Answer, ask, started

BASE = "/ngsi-ld/v1"


class Api:
    """Requests to the API; bodies are JSON, paths begin after ``/ngsi-ld/v1``."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        media: str = "application/json",
        **params: Any,
    ) -> Answer:
        if params:
            path += "?" + urlencode({name: str(value) for name, value in params.items()})
        sent = {**({"content-type": media} if body is not None else {}), **(headers or {})}
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else b""
        return await ask(self.app, BASE + path, method=method, headers=sent, body=raw)

    async def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of a GET that must succeed."""
        answer = await self("GET", path, **params)
        assert answer.status == 200, answer.body
        return answer.json()

    async def create(self, *entities: dict[str, Any]) -> None:
        """Create entities that must be new."""
        answer = await self("POST", "/entityOperations/create", list(entities))
        assert answer.status == 201, answer.body


@asynccontextmanager
async def api(folder: Path) -> AsyncGenerator[Api]:
    """Start the application without login on an empty store in ``folder``."""
    async with started(create_app(Settings(data=folder, auth="off"))) as app:
        yield Api(app)


def room(n: int, **attributes: Any) -> dict[str, Any]:
    """Return an entity of type Room with attributes in any form."""
    return {"id": f"urn:ngsi-ld:Room:{n}", "type": "Room", **attributes}


def ids(entities: list[dict[str, Any]]) -> list[int]:
    """Return the numbers that `room` gave."""
    return [int(entity["id"].rsplit(":", 1)[1]) for entity in entities]
