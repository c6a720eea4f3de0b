"""The live feed: one world for each distinct access, following the hub, shared by all of its viewers.

A window of a quarter of a second gathers what changed; then every view that somebody looks at makes one frame, encoded
once. A viewer is a position in the rings of its views, and gets a view whole again when it is slower than its ring:
memory stays bounded however many viewers there are and however slow they read.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from hanmaru.centre.live.filters import Filter, Selected
from hanmaru.centre.live.views import EVERY, View, sse
from hanmaru.centre.live.world import Declared, World
from hanmaru.hub.client import EntityChange, HubClient, Query
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem
from hanmaru.platform.services import Service

log = structlog.get_logger()

WINDOW_S = 0.25
CITY_S = 1.0
HEARTBEAT_S = 15.0
LIFE_S = 600.0
"""How long one stream lasts before the browser connects again, and is asked again who it is."""
LINGER_S = 30.0
PAGE = 1000
MOST_VIEWS = 4000
MOST_FILTERS = 16
MOST_WORLDS = 16
"""Different accesses that are watched at a time; each holds the part of the city that it sees."""


def declared(services: Sequence[Service[Any]]) -> Declared:
    """Return what services declare. The types of a service that draws panels of its own travel with every attribute."""
    attrs: dict[str, frozenset[str]] = {}
    means: dict[str, frozenset[str]] = {}
    newest: dict[str, None] = {}

    def add(where: dict[str, frozenset[str]], types: Collection[str], names: Collection[str]) -> None:
        for type in types:
            where[type] = where.get(type, frozenset()) | frozenset(names)

    for service in services:
        for layer in service.layers:
            names = [attr.name for attr in layer.attrs]
            add(attrs, [layer.type], [*names, *([layer.colour_by] if layer.colour_by else [])])
        for panel in service.panels:
            names = [attr.name for attr in panel.attrs]
            add(attrs, panel.types, names)
            if panel.place == "city" and panel.kind == "values":
                add(means, panel.types, names)
            if panel.place == "city" and panel.kind == "table":
                newest |= dict.fromkeys(panel.types)
            if panel.kind == "module":
                add(attrs, {*panel.types, *(layer.type for layer in service.layers)}, [EVERY])
    layers = tuple((f"{service.name}.{layer.id}", layer.type) for service in services for layer in service.layers)
    return Declared(layers, attrs, means, tuple(newest))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a viewer looks at; ``held`` is the sequence number that it is at by a view's name."""

    tiles: tuple[tuple[int, int, int], ...] = ()
    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    layers: frozenset[str] | None = None
    filter: Filter | None = None
    held: Mapping[str, int] = field(default_factory=dict[str, int])


_Key = tuple[object, ...]


@dataclass(slots=True)
class _Shared:
    """A view that is looked at, and by how many; ``view`` is another one when the world has begun anew."""

    view: View
    make: Callable[[World], View]
    viewers: int = 0
    idle_since: float = 0.0


@dataclass(slots=True)
class _Narrowed:
    """A filter in use: ``asked`` ends when the hub has said for whom its q holds, ``touched`` who changed since."""

    selected: Selected
    asked: asyncio.Future[None]
    touched: set[str] = field(default_factory=set[str])
    viewers: int = 0


class Feed:
    """Follows the hub into a world, and lets each view of it that is looked at make at most four frames a second."""

    def __init__(self, hub: HubClient, declared: Declared, *, window_s: float = WINDOW_S) -> None:
        """Make a feed of what the client's access sees; `run` has to run for it to move."""
        self.hub, self.declared = hub, declared
        self.world = World(declared)
        self.ready = asyncio.Event()
        self.city = b""
        self.views: dict[_Key, _Shared] = {}
        self.filters: dict[Filter, _Narrowed] = {}
        self._window_s = window_s
        self._dirty = asyncio.Event()
        self._news = asyncio.Event()
        self._told_s = 0.0
        self._moved_s = 0.0

    # -- following ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the hub until cancelled; begin anew when it no longer keeps what comes next."""
        flusher = asyncio.create_task(self._keep_telling())
        try:
            while True:
                try:
                    if not self.ready.is_set():
                        await self._begin()
                    async for changes in self.hub.changes(self.world.seq):
                        self._follow(changes)
                except Exception as error:
                    if isinstance(error, Problem) and error.status == 410:
                        self.ready.clear()
                        continue
                    log.exception("live feed broke off; trying again")
                    await asyncio.sleep(1)
        finally:
            flusher.cancel()
            with suppress(asyncio.CancelledError):
                await flusher

    def _follow(self, changes: Sequence[EntityChange]) -> None:
        self.world.apply(changes)
        for narrowed in self.filters.values():
            if narrowed.selected.filter.q is not None:
                narrowed.touched |= {change.id for change in changes}
        self._dirty.set()

    async def _begin(self) -> None:
        """Read the world from the hub; views that are looked at are made anew of it."""
        seq = await self.hub.head()
        world = World(self.declared)
        for type in self.declared.types:
            async for page in self._pages(Query(type=type)):
                world.load(page)
        world.load((), seq)
        self.world = world
        for narrowed in self.filters.values():
            await self._ask(narrowed.selected)
        for key, shared in list(self.views.items()):
            if shared.viewers:
                shared.view = shared.make(world)
                world.attach(shared.view)
            else:
                del self.views[key]
        for id in [view.id for shared in self.views.values() if (view := shared.view).id]:
            await self._look_up(id)
        self.ready.set()
        self._tell(0)

    async def _pages(self, query: Query) -> AsyncIterator[list[dict[str, Any]]]:
        offset = 0
        while True:
            asked = dataclasses.replace(query, limit=PAGE, offset=offset)
            page = await self.hub.query(asked, simplified=True, sys_attrs=True)
            yield page
            if len(page) < PAGE:
                return
            offset += PAGE

    async def _ask(self, selected: Selected) -> None:
        """Ask the hub for whom a filter's q holds."""
        if selected.filter.q is not None:
            types = ",".join(self.declared.types)
            found: set[str] = set()
            async for page in self._pages(Query(type=types, q=selected.filter.q)):
                found |= {entity["id"] for entity in page}
            selected.ids = found

    async def _look_up(self, id: str) -> None:
        """Bring one entity in with all of its attributes."""
        found = await self.hub.retrieve(id, simplified=True, sys_attrs=True)
        if found is not None:
            self.world.load([found])
            self._dirty.set()

    async def _keep_telling(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), CITY_S)
            self._dirty.clear()
            try:
                await self._decide()
            except Exception:
                log.exception("a filter's query could not be asked; it is asked again with the next change")
            if self.ready.is_set():
                self._tell(time.monotonic())
            await asyncio.sleep(self._window_s)

    async def _decide(self) -> None:
        """Bring filters up to date: time goes on, and the hub says for whom a q holds of those that changed."""
        now = time.monotonic()
        if now - self._moved_s > CITY_S:
            self._moved_s = now
            for narrowed in self.filters.values():
                if narrowed.selected.filter.minutes is not None:
                    narrowed.selected.move(datetime.now(UTC))
                    for shared in self._narrowed_views(narrowed.selected):
                        shared.view.reconsider()
        for narrowed in [one for one in self.filters.values() if one.touched and one.asked.done()]:
            selected, touched, narrowed.touched = narrowed.selected, list(narrowed.touched), set[str]()
            for first in range(0, len(touched), PAGE):
                ids = touched[first : first + PAGE]
                found = await self.hub.query(Query(ids=ids, q=selected.filter.q, limit=PAGE), simplified=True)
                holds = {entity["id"] for entity in found}
                turned = (selected.ids & set(ids)) ^ holds
                selected.ids = (selected.ids - set(ids)) | holds
                for shared in self._narrowed_views(selected):
                    for id in turned:
                        shared.view.touch(id, None)

    def _narrowed_views(self, selected: Selected) -> Iterator[_Shared]:
        return (shared for shared in self.views.values() if shared.view.selection is selected)

    def _tell(self, now: float) -> None:
        """Let every view make its frame, and wake the viewers."""
        news = False
        for key, shared in list(self.views.items()):
            news |= shared.view.take() is not None
            if not shared.viewers and now - shared.idle_since > LINGER_S:
                self._drop(key)
        if now - self._told_s >= CITY_S or not self.city:
            city = sse("city", self.world.city())
            self._told_s = now
            news |= city != self.city
            self.city = city
        if news:
            self._news.set()
            self._news = asyncio.Event()

    def _drop(self, key: _Key) -> None:
        self.world.detach(self.views.pop(key).view)

    # -- watching -------------------------------------------------------------------------------------------------

    @contextmanager
    def _share(self, key: _Key, make: Callable[[World], View]) -> Generator[_Shared]:
        """Give a view, for as long as the block lasts, to one viewer more."""
        shared = self.views.get(key)
        if shared is None:
            if len(self.views) >= MOST_VIEWS:
                for idle in [key for key, shared in self.views.items() if not shared.viewers]:
                    self._drop(idle)
            if len(self.views) >= MOST_VIEWS:
                raise Problem(503, "Too many views", "The map is being looked at in too many ways: try again later.")
            shared = self.views[key] = _Shared(make(self.world), make)
            self.world.attach(shared.view)
        shared.viewers += 1
        try:
            yield shared
        finally:
            shared.viewers -= 1
            shared.idle_since = time.monotonic()

    @asynccontextmanager
    async def narrow(self, filter: Filter | None) -> AsyncGenerator[Selected | None]:
        """Give whom a filter lets through, kept up to date for as long as the block lasts.

        Raises Problem: 400 where the hub refuses its q, 503 where too many filters are in use.
        """
        if filter is None:
            yield None
            return
        await self.ready.wait()
        narrowed = self.filters.get(filter)
        if narrowed is None:
            if len(self.filters) >= MOST_FILTERS:
                raise Problem(503, "Too many filters", "Too many different filters are in use: try again in a minute.")
            selected = Selected(filter, datetime.now(UTC))
            narrowed = self.filters[filter] = _Narrowed(selected, asyncio.ensure_future(self._ask(selected)))
        narrowed.viewers += 1
        try:
            await asyncio.shield(narrowed.asked)
            yield narrowed.selected
        finally:
            narrowed.viewers -= 1
            if not narrowed.viewers:
                del self.filters[filter]
                narrowed.asked.cancel()
                for key in [key for key, shared in self.views.items() if shared.view.selection is narrowed.selected]:
                    self._drop(key)

    def _ways(self, wanted: Wanted, selected: Selected | None) -> Iterator[tuple[_Key, Callable[[World], View]]]:
        """Yield what to make each view that a viewer wants from, by what makes it the same for all viewers."""
        layers = wanted.layers
        for tile in wanted.tiles:
            yield (
                ("tile", tile, layers, wanted.filter),
                lambda world, tile=tile: View(world, tile=tile, layers=layers, selection=selected),
            )
        for type in wanted.types:
            yield ("type", type), lambda world, type=type: View(world, type=type)
        for id in wanted.ids:
            yield ("id", id), lambda world, id=id: View(world, id=id)

    async def stream(
        self, wanted: Wanted, *, heartbeat_s: float = HEARTBEAT_S, life_s: float = LIFE_S
    ) -> AsyncGenerator[bytes]:
        """Yield the event stream of what a viewer wants, as the package's text has it."""
        ends = time.monotonic() + life_s
        async with AsyncExitStack() as stack:
            selected = await stack.enter_async_context(self.narrow(wanted.filter))
            await self.ready.wait()
            shares = [stack.enter_context(self._share(key, make)) for key, make in self._ways(wanted, selected)]
            for id in wanted.ids:
                await self._look_up(id)
                self.views["id", id].view.take()
            world = self.world
            hello = {"now": time.time(), "seq": world.seq, "entities": len(world.entities)}
            yield b"retry: 1000\n\n" + sse("hello", {**hello, "truncated": world.truncated})
            at: dict[int, tuple[View, int | None]] = {}
            for n, shared in enumerate(shares):
                held = wanted.held.get(shared.view.name)
                at[n] = shared.view, None if held is None else shared.view.find(held)
            city = b""
            while time.monotonic() < ends:
                news, chunks = self._news, list[bytes]()
                for n, shared in enumerate(shares):
                    view, position = at[n]
                    frames = None if view is not shared.view or position is None else view.since(position)
                    chunks += [shared.view.whole()] if frames is None else [frame.body for frame in frames]
                    at[n] = shared.view, shared.view.end
                if city is not self.city:
                    city = self.city
                    chunks.append(city)
                if chunks:
                    yield b"".join(chunks)
                    continue
                try:
                    await asyncio.wait_for(news.wait(), min(heartbeat_s, max(0.0, ends - time.monotonic())))
                except TimeoutError:
                    yield sse("beat", {"now": time.time(), "seq": self.world.seq})


@dataclass(slots=True)
class _Running:
    feed: Feed
    task: asyncio.Task[None]
    viewers: int = 0
    closing: asyncio.TimerHandle | None = None


class Feeds:
    """The running feeds by access; one starts with its first viewer and stops a while after its last."""

    def __init__(self, hub: HubClient, make: Callable[[HubClient], Feed], *, linger_s: float = LINGER_S) -> None:
        """Make feeds of a hub, each seen with one access."""
        self._hub, self._make, self._linger_s = hub, make, linger_s
        self._running: dict[Access, _Running] = {}

    @asynccontextmanager
    async def watch(self, access: Access) -> AsyncGenerator[Feed]:
        """Give the feed of what an access sees, for as long as a viewer watches it."""
        access = dataclasses.replace(access, write=False)
        running = self._running.get(access)
        if running is None:
            if len(self._running) >= MOST_WORLDS:
                raise Problem(503, "Too many views", "The map is being seen with too many different rights: try later.")
            feed = self._make(self._hub.acting(access))
            running = self._running[access] = _Running(feed, asyncio.create_task(feed.run()))
        if running.closing is not None:
            running.closing.cancel()
            running.closing = None
        running.viewers += 1
        try:
            yield running.feed
        finally:
            running.viewers -= 1
            if running.viewers == 0:
                running.closing = asyncio.get_running_loop().call_later(self._linger_s, self._close, access)

    async def close(self) -> None:
        """End every feed."""
        ended = [running.task for running in self._running.values()]
        self._running.clear()
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _close(self, access: Access) -> None:
        if running := self._running.pop(access, None):
            running.task.cancel()
