"""The hub in this process: a store with its contexts, and the client that rooms, connectors and the city use."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hanmaru.hub import compact, expand
from hanmaru.hub.client import BatchResult, EntityChange, Failure, JsonObject, Query, Span
from hanmaru.hub.compact import View
from hanmaru.hub.contexts import Contexts
from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.model import LOCATION, Change, Entity
from hanmaru.hub.owners import Owners, Rights
from hanmaru.hub.past import Step
from hanmaru.hub.query import EntityQuery, TemporalQuery, parse_q, parse_types
from hanmaru.hub.stores.base import Store
from hanmaru.hub.terms import CORE_TERMS
from hanmaru.hub.times import from_micros, micros, now, render
from hanmaru.hub.visibility import attributes_of, matching, only
from hanmaru.hub.writes import SCOPE, Decision, Write
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

POLL_S = 0.02


class Hub:
    """A store, the contexts kept in it, and what the owners of its subscriptions may see."""

    def __init__(self, store: Store) -> None:
        """Put a hub on an open store."""
        self.store = store
        self.contexts = Contexts(store)
        self.owners = Owners()

    @property
    def rights(self) -> Rights | None:
        """What asks what an owner of subscriptions may see now; without it, what it might when it wrote them."""
        return self.owners.rights

    @rights.setter
    def rights(self, rights: Rights | None) -> None:
        self.owners.rights = rights

    def client(self, access: Access) -> "LocalClient":
        """Return the hub as one caller sees it."""
        return LocalClient(self, access)

    async def changes(self, after: int) -> AsyncIterator[Sequence[Change]]:
        """Yield changes later than ``after`` in batches, waiting for new ones; ends only when cancelled.

        An idle hub costs one look-up every 20 ms.
        """
        while True:
            if await self.store.head() > after:
                batch = await self.store.changes(after)
                if batch:
                    after = batch[-1].seq
                    yield batch
                    continue
            await asyncio.sleep(POLL_S)


def make_store(url: str) -> Store:
    """Return the store that a URL names: ``sqlite:///hub.db``, ``sqlite:////absolute/hub.db`` or ``postgresql://…``."""
    if url.startswith("sqlite:///"):
        from hanmaru.hub.stores.sqlite import SQLiteStore

        return SQLiteStore(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        from hanmaru.hub.stores.postgres import PostgresStore

        return PostgresStore(url)
    raise ValueError(f"the store {url!r} is none of sqlite:///path/to/hub.db, postgresql://user@host/database")


@asynccontextmanager
async def open_hub(url: str) -> AsyncGenerator[Hub]:
    """Open the hub on the store that a URL names, for as long as the block lasts."""
    store = make_store(url)
    await store.open()
    try:
        yield Hub(store)
    finally:
        await store.close()


class LocalClient:
    """`hanmaru.hub.client.HubClient` on a hub in this process. Names are short names of the core @context."""

    def __init__(self, hub: Hub, access: Access) -> None:
        """See ``hub`` as ``access`` allows."""
        self._hub, self._access = hub, access

    def acting(self, access: Access) -> "LocalClient":
        """Return the same hub seen by another caller."""
        return LocalClient(self._hub, access)

    async def retrieve(self, id: str, *, simplified: bool = False, sys_attrs: bool = False) -> JsonObject | None:
        """Return an entity."""
        found = await self._hub.store.retrieve(self._access, id)
        return None if found is None else compact.entity(found, CORE_TERMS, _view(simplified, sys_attrs))

    async def query(self, query: Query, *, simplified: bool = False, sys_attrs: bool = False) -> list[JsonObject]:
        """Return the entities of one page."""
        page = await self._hub.store.query(self._access, _expanded(query))
        view = _view(simplified, sys_attrs)
        return [compact.entity(entity, CORE_TERMS, view) for entity in page.entities]

    async def count(self, query: Query) -> int:
        """Return how many entities match."""
        page = await self._hub.store.query(
            self._access, dataclasses.replace(_expanded(query), limit=0, offset=0, count=True)
        )
        return page.count or 0

    async def types(self) -> list[JsonObject]:
        """Return the visible types."""
        name = CORE_TERMS.compact
        return [
            {
                "typeName": name(info.name),
                "entityCount": info.count,
                "attributeNames": sorted(map(name, info.attributes)),
            }
            for info in await self._hub.store.types(self._access)
        ]

    async def upsert(self, entities: Sequence[JsonObject], *, replace: bool = False) -> BatchResult:
        """Create or update entities."""
        writes, failures = self._writes(entities, replace)
        return await self._apply(writes, failures)

    def _writes(self, entities: Sequence[JsonObject], replace: bool) -> tuple[list[Write], list[Failure]]:
        instant = now()
        writes: list[Write] = []
        failures: list[Failure] = []
        for document in entities:
            try:
                entity = expand.entity(document, CORE_TERMS, instant)
                writes.append(Write("replace" if replace else "upsert", entity.id, instant, entity))
            except Problem as problem:
                failures.append(_failure(str(document.get("id", "")), problem))
        return writes, failures

    async def _apply(self, writes: Sequence[Write], failures: list[Failure]) -> BatchResult:
        self._may_write()
        created: list[str] = []
        updated: list[str] = []
        outcomes = await self._hub.store.write(self._access, writes) if writes else []
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Decision):
                (updated if outcome.existed else created).append(write.id)
            else:
                failures.append(_failure(write.id, outcome))
        return BatchResult(created, updated, failures)

    async def delete(self, ids: Sequence[str]) -> BatchResult:
        """Delete entities."""
        instant = now()
        return await self._apply([Write("delete", id, instant) for id in ids], [])

    async def record(self, entities: Sequence[JsonObject]) -> BatchResult:
        """Append attribute instances to history."""
        self._may_write()
        instant = now()
        parsed: list[Entity] = []
        failures: list[Failure] = []
        for document in entities:
            try:
                parsed.append(expand.entity(document, CORE_TERMS, instant, history=True))
            except Problem as problem:
                failures.append(_failure(str(document.get("id", "")), problem))
        outcomes = await self._hub.store.record(self._access, parsed) if parsed else []
        failures.extend(_failure(e.id, p) for e, p in zip(parsed, outcomes, strict=True) if p is not None)
        return BatchResult((), [e.id for e, p in zip(parsed, outcomes, strict=True) if p is None], failures)

    async def history(
        self,
        id: str,
        *,
        attrs: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        last_n: int | None = None,
        temporal_values: bool = False,
    ) -> JsonObject | None:
        """Return an entity's history."""
        query = TemporalQuery(
            start=micros(render(start)) if start else None,
            end=micros(render(end)) if end else None,
            attrs=CORE_TERMS.expand_all(attrs),
            last_n=last_n,
        )
        found = await self._hub.store.history(self._access, id, query)
        return None if found is None else compact.temporal(found, CORE_TERMS, View(), values=temporal_values)

    async def as_of(
        self, query: Query, at: datetime, *, attrs: Sequence[str] = ()
    ) -> AsyncIterator[Sequence[JsonObject]]:
        """Yield the entities as they were at an instant."""
        asked, names, view = _expanded(query), CORE_TERMS.expand_all(attrs), _view(True, True)
        after: int | None = -1
        while after is not None:
            page = await self._hub.store.as_of(self._access, asked, micros(render(at)), names, after)
            yield [compact.entity(entity, CORE_TERMS, view) for entity in page.entities]
            after = page.next

    async def between(
        self, query: Query, start: datetime, end: datetime, *, attrs: Sequence[str] = (), most: int = 20_000
    ) -> Span:
        """Return what changed in a span."""
        asked, names = _expanded(query), CORE_TERMS.expand_all(attrs)
        since, until = micros(render(start)), micros(render(end))
        after: int | None = -1
        steps: list[Step] = []
        while after is not None:
            page = await self._hub.store.between(self._access, asked, since, until, names, after, most)
            after, until = page.next, min(until, page.until)
            steps = [step for step in (*steps, *page.steps) if step.at <= until]
            steps.sort(key=lambda step: step.at)
            if len(steps) > most and steps[0].at < (last := steps[most].at):
                until = last - 1
                steps = [step for step in steps if step.at <= until]
        return Span([_past_change(step) for step in steps], datetime.fromisoformat(from_micros(until)))

    async def head(self) -> int:
        """Return the sequence number of the newest accepted change."""
        return await self._hub.store.head()

    async def changes(self, after: int) -> AsyncIterator[Sequence[EntityChange]]:
        """Yield changes that the caller may see."""
        async for batch in self._hub.changes(after):
            own = (change for change in batch if change.tenant == self._access.tenant)
            if seen := [shown for change in own if (shown := self._change(change)) is not None]:
                yield seen

    def _change(self, change: Change) -> EntityChange | None:
        """Return what the caller sees of a change; None when it sees nothing."""
        matched, changed = matching(self._access, change.entity), dict.fromkeys((*change.touched, *change.removed))
        visible = attributes_of(matched)
        shown = list(changed) if visible is None else [n for n in changed if n in visible or n == SCOPE]
        if not matched or (change.kind == "updated" and changed and not shown):
            return None
        entity, name = only(change.entity, visible), CORE_TERMS.compact
        return EntityChange(
            change.seq,
            change.at,
            change.kind,
            entity.id,
            [name(type) for type in entity.types],
            [name(attribute) for attribute in shown],
            compact.entity(entity, CORE_TERMS, View(form="simplified")),
        )

    def _may_write(self) -> None:
        if not self._access.write:
            raise Problem(403, "Not permitted", "This client may read only.")


def _past_change(step: Step) -> EntityChange:
    entity = step.after or step.before
    assert entity is not None
    return EntityChange(
        0,
        from_micros(step.at),
        "deleted" if step.after is None else "created" if step.before is None else "updated",
        entity.id,
        [CORE_TERMS.compact(type) for type in entity.types],
        [CORE_TERMS.compact(name) for name in step.touched],
        compact.entity(entity, CORE_TERMS, View(form="simplified")),
    )


def _view(simplified: bool, sys_attrs: bool) -> View:
    return View(form="simplified" if simplified else "normalized", sys_attrs=sys_attrs)


def _failure(id: str, problem: Problem) -> Failure:
    return Failure(id, problem.title, problem.detail)


def _expanded(query: Query) -> EntityQuery:
    geo = None
    if query.near is not None:
        lon, lat, max_m = query.near
        geo = GeoQuery("near", _geojson({"type": "Point", "coordinates": [lon, lat]}), LOCATION, max_m)
    elif query.within is not None:
        geo = GeoQuery("within", _geojson(dict(query.within)), LOCATION)
    return EntityQuery(
        types=parse_types(query.type, CORE_TERMS) if query.type else None,
        ids=tuple(query.ids),
        id_pattern=query.id_pattern,
        attrs=CORE_TERMS.expand_all(query.attrs),
        q=parse_q(query.q, CORE_TERMS) if query.q else None,
        geo=geo,
        limit=query.limit,
        offset=query.offset,
    )


def _geojson(geometry: dict[str, Any]) -> str:
    return msgspec.json.encode(geometry).decode()
