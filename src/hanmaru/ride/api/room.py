"""What the routes share: the connection to the dispatcher, who the riders are, what does not change."""

import asyncio
import secrets
import threading
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import idempotency_key
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Context
from hanmaru.ride.dispatch.client import Client
from hanmaru.ride.dispatch.wire import News
from hanmaru.ride.riders import Riders

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
HEADERS = {"cache-control": "no-store"}


class Place(msgspec.Struct, frozen=True):
    """A stop or another thing on the map that can be searched for."""

    name: dict[str, str]
    kind: str
    lon: float
    lat: float


class Ground(msgspec.Struct, frozen=True):
    """What the dispatcher tells once: the service, its stops, places, and which account drives which van."""

    service: dict[str, Any]
    stops: list[dict[str, Any]]
    places: list[Place]
    drivers: dict[str, str]
    vans: list[dict[str, str]]
    keep_days: int


class Room:
    """The room in a web worker."""

    def __init__(self, context: Context[HubClient]) -> None:
        """Connect to nothing yet."""
        self.context = context
        self.client = Client(context.data_dir)
        self.client.watchers.add(self._forget)
        self._ground: Ground | None = None
        self._places: list[tuple[str, Place]] | None = None
        self._riders: Riders | None = None
        self._opening = threading.Lock()

    async def close(self) -> None:
        """End the connection and close the files."""
        await self.client.close()
        if self._riders is not None:
            self._riders.close()

    async def ground(self) -> Ground:
        """Return what does not change while one dispatcher works."""
        if self._ground is None:
            self._ground = msgspec.json.decode(await self.client.call("ground"), type=Ground)
        return self._ground

    async def places(self) -> list[tuple[str, Place]]:
        """Return what can be searched for, each after its names in small letters."""
        if self._places is None:
            places = (await self.ground()).places
            self._places = [("\n".join(place.name.values()).casefold(), place) for place in places]
        return self._places

    async def riders(self) -> Riders:
        """Return who the riders are."""
        return self._riders or await asyncio.to_thread(self._open)

    def _open(self) -> Riders:
        with self._opening:
            if self._riders is None:
                trust = self.context.trust
                self._riders = Riders(self.context.data_dir, trust.vault, trust.audit)
            return self._riders

    def _forget(self, news: News | None) -> None:
        if news is None:
            self._ground = self._places = None


def key_of(request: Request, who: str) -> str:
    """Return the key by which a request is known when it comes again; raises Problem 400 for an unreadable one."""
    return f"{who} {idempotency_key(request) or secrets.token_hex(16)}"


def json(body: bytes, status: int = 200) -> Response:
    """Return an answer that is JSON already."""
    return Response(body, status, HEADERS, "application/json")


def seconds(text: str, name: str) -> int:
    """Return an instant (ISO 8601 with its offset) as Unix seconds; raises Problem 400."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not 2000 <= instant.year < 2200:
        raise Problem(400, "Invalid request", f"{name} is an instant such as 2026-05-01T08:30:00Z.")
    return int(instant.timestamp())


def id_of(request: Request, name: str = "id") -> str:
    """Return an id from the path; what is no id is nobody's."""
    id: str = request.path_params[name]
    return id if len(id) <= 64 and id.isascii() and id.isprintable() else "-"
