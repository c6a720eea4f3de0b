"""A hub on disk, the published series, and what a hub holds, as plain values to compare."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hanmaru.connectors.mapping import Mapping, parse
from hanmaru.hub.client import HubClient, Query
from hanmaru.hub.local import open_hub
from hanmaru.platform.access import Access

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HANMARU_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def series() -> Callable[[str], Path]:
    """Return where a published series lies; skip where it is absent."""

    def path(name: str) -> Path:
        found = DATA / "series" / name
        if not found.is_file():
            pytest.skip(f"the published series {name} is not at {found.parent} (set HANMARU_TEST_DATA)")
        return found

    return path


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[HubClient]:
    """Return a client of a fresh hub."""
    async with open_hub(f"sqlite:///{tmp_path / 'hub.db'}") as opened:
        yield opened.client(Access(write=True))


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until a condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def mapping(text: str, name: str = "test") -> Mapping:
    """Return a mapping written in the test."""
    return parse(text, f"{name}.toml", name)


async def instants(hub: HubClient, id: str, attr: str) -> list[tuple[str, Any]]:
    """Return an attribute's whole history as (time, value), oldest first, 100 days at a time (answers are bounded)."""
    found: list[tuple[str, Any]] = []
    step = timedelta(days=100)
    for i in range(90):
        start = datetime(2004, 1, 1, tzinfo=UTC) + i * step
        end = start + step
        history = await hub.history(id, attrs=[attr], start=start, end=end, temporal_values=True) or {}
        values = history.get(attr, {"values": []})["values"]
        assert len(values) < 10_000
        found += [(time, value) for value, time in values]
    return found


async def everything(hub: HubClient) -> dict[str, Any]:
    """Return all that a hub holds: each entity's state without the hub's own times, and its history."""
    content: dict[str, Any] = {}
    for info in await hub.types():
        for entity in await hub.query(Query(type=info["typeName"], limit=1000)):
            history = await hub.history(entity["id"], temporal_values=True) or {}
            content[entity["id"]] = (
                entity,
                {name: sorted(v["values"], key=repr) for name, v in history.items() if isinstance(v, dict)},
            )
    return content
