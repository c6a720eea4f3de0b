"""What a worker runs: the hub opened as the settings say, the city as plain data, and the engine's background work."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from starlette.routing import BaseRoute

from hanmaru.config import Settings
from hanmaru.hub.client import HubClient


@dataclass(frozen=True, slots=True)
class OpenHub:
    """An open hub: a client that sees and changes everything, its HTTP routes, its own background work."""

    client: HubClient
    routes: Callable[[], Sequence[BaseRoute]]
    jobs: Sequence["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work: runs until cancelled, or returns when there is nothing left to do."""

    name: str
    run: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_hub(settings: Settings) -> AsyncGenerator[OpenHub]:
    """Open the store and give the hub for as long as it is open."""
    settings.data.mkdir(parents=True, exist_ok=True)
    if find_spec("hanmaru.hub.local") is None:  # TEMPORARY: until the broker is there

        class NoHub:
            async def head(self) -> int:
                return 0

        none: Any = NoHub()
        yield OpenHub(none, list[BaseRoute], [])
        return
    raise NotImplementedError


def city_document(settings: Settings) -> Mapping[str, Any]:
    """Return the city's profile as plain data: what services and the shell know of the city."""
    return {}


def engine_jobs(settings: Settings, hub: OpenHub) -> list[Job]:
    """Return the background work of the engine worker."""
    return [*hub.jobs]
