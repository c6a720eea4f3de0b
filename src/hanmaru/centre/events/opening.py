"""How a process opens the room's book of events: once, when it is first asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from hanmaru.centre.events.book import Book
from hanmaru.centre.events.places import Dongs
from hanmaru.hub.client import HubClient
from hanmaru.platform.services import Context


def opener(context: Context[HubClient]) -> Callable[[], Awaitable[Book]]:
    """Return what gives the book, opened at its first call and closed with the context."""
    books: list[Book] = []
    opening = asyncio.Lock()

    async def opened() -> Book:
        async with opening:
            if not books:
                books.append(await asyncio.to_thread(book, context))
                context.closing.push_async_callback(books[0].close)
        return books[0]

    return opened


def book(context: Context[HubClient]) -> Book:
    """Open the book of a city; blocks."""
    basemap = Path(str(context.city.get("basemap_path", context.data_dir / "basemap")))
    zone = ZoneInfo(str(context.city.get("zone", "Asia/Seoul")))
    return Book(context.data_dir, zone, Dongs(basemap / "dongs.geojson"))
