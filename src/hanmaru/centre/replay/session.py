"""One viewer's replay: a world loaded as of an instant, stepped by history at a speed, told as the live city is.

What is stated and not measured (an attribute without ``observedAt``: where a sensor hangs, what it is called) holds
also for readings from before it was written: history filled in afterwards would have no place otherwise.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hanmaru.centre.live.feed import Wanted
from hanmaru.centre.live.filters import Selected
from hanmaru.centre.live.views import EVERY, View, sse
from hanmaru.centre.live.world import MOST_ENTITIES, Declared, World
from hanmaru.hub.client import EntityChange, HubClient, JsonObject, Query

FRAME_S = 0.25
AHEAD_S = 8.0
"""Seconds of play that one read of history covers; two such reads are kept ahead."""
LEAST = timedelta(minutes=2)
"""The least of history that one read covers: what a read costs is look-ups, however little changed."""
CITY_S = 1.0
BEAT_S = 15.0
LIFE_S = 600.0
"""How long a stream lasts before the browser connects again, and is asked again who it is."""
STATED = ("location", "name", "title")
PAGE = 1000
MOST_IDS = 500

Timed = tuple[datetime, EntityChange]


class Stated:
    """What is stated of entities now, by id: looked up once for those that history has no place of."""

    def __init__(self, hub: HubClient) -> None:
        """Know nothing yet."""
        self._hub = hub
        self._known: dict[str, JsonObject] = {}

    async def complete(self, entities: Iterable[Mapping[str, Any]]) -> None:
        """Look up those without a place that are not known yet."""
        ids = [str(e["id"]) for e in entities if "location" not in e and e["id"] not in self._known]
        if len(self._known) + len(ids) > MOST_ENTITIES:
            self._known.clear()
        for start in range(0, len(ids), MOST_IDS):
            some = ids[start : start + MOST_IDS]
            self._known |= dict.fromkeys(some, cast(JsonObject, {}))
            for entity in await self._hub.query(Query(ids=some, limit=MOST_IDS)):
                self._known[entity["id"]] = {n: v for n in STATED if (v := _stated(entity.get(n))) is not None}

    def of(self, id: str) -> JsonObject:
        """Return what is stated of an entity that was looked up."""
        return self._known.get(id, {})


def _stated(attribute: Any) -> Any:
    """Return the simplified value of an attribute that has no instant of its own; None for any other."""
    if not isinstance(attribute, dict) or "observedAt" in attribute:
        return None
    given = cast(JsonObject, attribute)
    return {"languageMap": given["languageMap"]} if "languageMap" in given else given.get("value")


class Replay:
    """The city as a caller would have seen it, from an instant on."""

    def __init__(
        self,
        hub: HubClient,
        declared: Declared,
        wanted: Wanted,
        at: datetime,
        speed: float,
        *,
        stated: Stated | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin at ``at``; ``speed`` is seconds of history in a second, 0 stands still. `load` comes first."""
        self._hub, self.at, self.speed, self._wanted, self._now = hub, at, speed, wanted, now
        self.world = World(declared)
        self.views: list[View] = []
        self._selected = None if wanted.filter is None else Selected(wanted.filter, at)
        self._stated = stated or Stated(hub)
        names = {type: self.world.travels((type,)) or frozenset() for type in declared.types}
        self._attrs = {type: () if EVERY in some else sorted(some) for type, some in names.items()}
        self._several = set(wanted.ids)
        """Whose every attribute is read: those looked at alone, and those of several types that each name some."""

    # -- reading --------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the city as of the instant, in batches between which others have their turn, and look at it.

        Raises Problem 400 where the hub refuses the filter's q.
        """
        await self._select(self.at)
        for id in self._wanted.ids:
            self._look(View(self.world, id=id))
        await asyncio.gather(*(self._load(type, attrs) for type, attrs in self._attrs.items()))
        for query in self._of_several():
            async for batch in self._hub.as_of(query, self.at):
                await self._take(batch)
        self.world.seq = 1
        for view in self.views:
            view.take()
        for tile in self._wanted.tiles:
            self._look(View(self.world, tile=tile, layers=self._wanted.layers, selection=self._selected))
        for type in self._wanted.types:
            self._look(View(self.world, type=type))

    def _look(self, view: View) -> None:
        self.world.attach(view)
        self.views.append(view)

    async def _load(self, type: str, attrs: Sequence[str]) -> None:
        async for batch in self._hub.as_of(Query(type=type, limit=PAGE), self.at, attrs=attrs):
            self._several |= {e["id"] for e in batch if self._is_several(e["type"])}
            await self._take([e for e in batch if e["id"] not in self._several])

    async def _take(self, batch: Sequence[JsonObject]) -> None:
        await self._stated.complete(batch)
        self.world.load({**self._stated.of(entity["id"]), **entity} for entity in batch)
        await asyncio.sleep(0)

    async def _select(self, at: datetime) -> None:
        """Ask for whom the filter's ``q`` held."""
        if self._selected is None or self._selected.filter.q is None:
            return
        held: set[str] = set()
        for type, attrs in self._attrs.items():
            query = Query(type=type, q=self._selected.filter.q, limit=PAGE)
            async for batch in self._hub.as_of(query, at, attrs=attrs):
                held |= {entity["id"] for entity in batch}
        self._selected.ids = held

    def _is_several(self, types: Any) -> bool:
        """Whether an entity is of several types of the world, so that each of them names only some attributes."""
        return isinstance(types, list) and sum(type in self._attrs for type in cast(list[str], types)) > 1

    def _of_several(self) -> list[Query]:
        ids = sorted(self._several)
        return [Query(ids=ids[n : n + MOST_IDS], limit=MOST_IDS) for n in range(0, len(ids), MOST_IDS)]

    async def read(self, start: datetime, end: datetime) -> tuple[list[Timed], datetime]:
        """Return what changed later than ``start``, in order, and the instant up to which that is all."""
        found: list[EntityChange] = []
        spans = await asyncio.gather(
            *(
                self._hub.between(Query(type=type, limit=PAGE), start, end, attrs=attrs)
                for type, attrs in self._attrs.items()
            )
        )
        for span in spans:
            end = min(end, span.until)
            self._several |= {change.id for change in span.changes if self._is_several(list(change.types))}
            found += span.changes
        for query in self._of_several():
            span = await self._hub.between(query, start, end)
            end = span.until
            found = [change for change in found if change.id not in query.ids]
            found += span.changes
        await self._stated.complete({"id": c.id, **c.values} for c in found)
        timed = [
            (datetime.fromisoformat(c.at), replace(c, values={**self._stated.of(c.id), **c.values})) for c in found
        ]
        timed = [one for one in timed if one[0] <= end]
        timed.sort(key=lambda one: one[0])
        return timed, end

    async def _ahead(self, queue: "asyncio.Queue[tuple[list[Timed], datetime]]") -> None:
        """Keep what comes next in the queue until the present is reached."""
        start = self.at
        while start < (present := self._now()):
            end = min(start + max(LEAST, timedelta(seconds=AHEAD_S * self.speed)), present)
            changes, start = await self.read(start, end)
            await queue.put((changes, start))

    # -- telling --------------------------------------------------------------------------------------------------

    async def stream(self, *, life_s: float = LIFE_S) -> AsyncGenerator[bytes]:
        """Yield the event stream of the loaded world's views.

        The clock waits where history is read more slowly than it plays. ``end`` says that the present is reached.
        """
        world = self.world
        hello = {"now": time.time(), "seq": world.seq, "entities": len(world.entities), "truncated": world.truncated}
        yield b"retry: 1000\n\n" + sse("hello", hello) + b"".join(view.whole() for view in self.views)
        yield sse("city", world.city()) + self._clock()
        ends = time.monotonic() + life_s
        if not self.speed:
            while (left := ends - time.monotonic()) > 0:
                await asyncio.sleep(min(BEAT_S, left))
                yield sse("beat", {"now": time.time(), "seq": world.seq})
            return
        queue: asyncio.Queue[tuple[list[Timed], datetime]] = asyncio.Queue(2)
        reader = asyncio.create_task(self._ahead(queue))
        try:
            async for chunk in self._play(queue, reader, ends):
                yield chunk
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _play(
        self,
        queue: "asyncio.Queue[tuple[list[Timed], datetime]]",
        reader: "asyncio.Task[None]",
        ends: float,
    ) -> AsyncIterator[bytes]:
        coming: deque[Timed] = deque()
        known, last, city = self.at, time.monotonic(), 0.0
        while (now := time.monotonic()) < ends:
            at = self.at + timedelta(seconds=(now - last) * self.speed)
            last = now
            while at > known and not queue.empty():
                changes, known = queue.get_nowait()
                coming.extend(changes)
                await self._select(known)
            if at > known and reader.done():
                reader.result()  # raises what stopped it
                if queue.empty():
                    self.at = known
                    yield self._step(coming) + self._clock() + sse("end", {"at": self.at.isoformat()})
                    return
            self.at = min(at, known)
            chunk = self._step(coming)
            if now - city >= CITY_S:
                chunk += sse("city", self.world.city())
                city = now
            yield chunk + self._clock()
            await asyncio.sleep(FRAME_S)

    def _step(self, coming: deque[Timed]) -> bytes:
        """Bring the world to the clock and return the frames of what changed."""
        due: list[EntityChange] = []
        while coming and coming[0][0] <= self.at:
            due.append(coming.popleft()[1])
        self.world.seq += bool(due)
        self.world.apply(due)
        if self._selected is not None:
            self._selected.move(self.at)
            for view in self.views:
                if view.selection is not None:
                    view.reconsider()
        return b"".join(frame.body for view in self.views if (frame := view.take()) is not None)

    def _clock(self) -> bytes:
        return sse("clock", {"at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "speed": self.speed})
