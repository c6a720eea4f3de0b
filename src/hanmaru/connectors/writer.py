"""Writes readings to the hub so that doing it twice is doing it once.

A reading is known by entity, attribute, dataset and ``observedAt``; what the hub has already is not written again. So
a batch that was in flight when the process died may simply be sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from hanmaru.connectors.rows import Instance, Reading
from hanmaru.connectors.times import sort_key
from hanmaru.hub.client import BatchResult, Failure, HubClient, JsonObject, Query
from hanmaru.platform.problems import Problem

T = TypeVar("T")
Key = tuple[str, str]
"""An attribute's name and ``datasetId`` (empty: the default instance)."""
_KNOWN_LIMIT = 100_000
_CHUNK = 500
"""Entities per call, so that others who write wait only briefly."""
_HISTORY_SPAN = 1000
_HISTORY_LIMIT = 10_000
"""Instances of an attribute that the hub returns at most: an answer of that length may be cut."""


@dataclass(slots=True)
class Written:
    """What became of a batch: values written, values that the hub had already, and what the hub refused."""

    values: int = 0
    repeated: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])


@dataclass(slots=True)
class _Known:
    """What the hub holds of an entity: by attribute, the instance of the current state."""

    state: dict[Key, Instance] = field(default_factory=dict[Key, Instance])


class HubWriter:
    """Writes readings of one entity type; ``series`` keeps every instant as history, state only the newest."""

    def __init__(self, hub: HubClient, type: str, *, series: bool) -> None:
        """Write through ``hub``."""
        self._hub, self._type, self._series = hub, type, series
        self._known: dict[str, _Known] = {}

    async def write(self, readings: Sequence[Reading]) -> Written:
        """Write a batch; on return it is on disk. Waits while the hub is overloaded, raises `Problem` for the rest."""
        written = Written()
        grouped: dict[str, dict[Key, dict[str, Instance]]] = {}
        for reading in readings:
            attributes = grouped.setdefault(reading.id, {})
            for name, instance in reading.static:
                attributes.setdefault((name, instance.get("datasetId", "")), {})[""] = instance
            at = reading.at or ""
            for name, instance in reading.observed:
                instants = attributes.setdefault((name, instance.get("datasetId", "")), {})
                if at in instants and self._series:
                    written.repeated += 1
                else:
                    instants[at] = instance
        await self._meet([id_ for id_ in grouped if id_ not in self._known])
        state: list[JsonObject] = []
        past: list[JsonObject] = []
        for id_, attributes in grouped.items():
            now, before = await self._sort(id_, attributes, written)
            if now:
                state.append(self._entity(id_, [(key, [instance]) for key, instance in now.items()]))
                self._known[id_].state.update(now)
            if before:
                past.append(self._entity(id_, list(before.items())))
        await self._send(self._hub.upsert, state, written)
        await self._send(self._hub.record, past, written)
        if len(self._known) > _KNOWN_LIMIT or not self._series:
            self._known.clear()
        return written

    async def _meet(self, ids: list[str]) -> None:
        """Learn the current state of entities that this writer has not written yet."""
        for id_ in ids:
            self._known[id_] = _Known()
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            for entity in await _patiently(lambda c=chunk: self._hub.query(Query(ids=c, limit=len(c)))):
                state = self._known[entity["id"]].state
                for name, content in entity.items():
                    if isinstance(content, dict | list) and name not in ("@context", "type", "scope"):
                        for instance in _instances(cast(object, content)):
                            state[name, instance.get("datasetId", "")] = instance

    async def _sort(
        self, id_: str, attributes: dict[Key, dict[str, Instance]], written: Written
    ) -> tuple[dict[Key, Instance], dict[Key, list[Instance]]]:
        """Return what is news for the current state, and what only belongs into history."""
        state = self._known[id_].state
        now: dict[Key, Instance] = {}
        before: dict[Key, list[Instance]] = {}
        late: dict[Key, dict[str, Instance]] = {}
        for key, instants in attributes.items():
            there = state.get(key)
            mark = sort_key(there["observedAt"]) if there and there.get("observedAt") else ""
            if "" in instants:
                if there is None or not _same(there, instants[""]):
                    now[key] = instants[""]
                    written.values += 1
                continue
            fresh = {at: i for at, i in instants.items() if not there or sort_key(at) > mark}
            if len(fresh) < len(instants):
                late[key] = {at: i for at, i in instants.items() if at not in fresh}
            if fresh:
                newest = max(fresh, key=sort_key)
                now[key] = fresh.pop(newest)
                written.values += 1
            if self._series and fresh:
                before[key] = list(fresh.values())
                written.values += len(fresh)
        if late and self._series:
            have = await self._recorded(id_, late)
            for key, instants in late.items():
                missing = [i for at, i in instants.items() if at not in have.get(key, set())]
                written.values += len(missing)
                written.repeated += len(instants) - len(missing)
                if missing:
                    before.setdefault(key, []).extend(missing)
        elif late:
            written.repeated += sum(map(len, late.values()))
        return now, before

    async def _recorded(self, id_: str, late: dict[Key, dict[str, Instance]]) -> dict[Key, set[str]]:
        """Return which instants of the given ones the hub's history has."""
        instants = sorted({at for found in late.values() for at in found}, key=sort_key)
        names = sorted({name for name, _ in late})
        have: dict[Key, set[str]] = {}
        spans = [instants[i : i + _HISTORY_SPAN] for i in range(0, len(instants), _HISTORY_SPAN)]
        while spans:
            span = spans.pop()
            first, end = datetime.fromisoformat(span[0]), datetime.fromisoformat(span[-1]) + timedelta(microseconds=1)
            history = await _patiently(lambda f=first, e=end: self._hub.history(id_, attrs=names, start=f, end=e)) or {}
            if len(span) > 1 and any(len(_instances(history.get(name, []))) >= _HISTORY_LIMIT for name in names):
                spans += [span[: len(span) // 2], span[len(span) // 2 :]]
                continue
            for name in names:
                for instance in _instances(history.get(name, [])):
                    have.setdefault((name, instance.get("datasetId", "")), set()).add(instance.get("observedAt", ""))
        return have

    def _entity(self, id_: str, attributes: list[tuple[Key, list[Instance]]]) -> JsonObject:
        entity: JsonObject = {"id": id_, "type": self._type}
        for (name, _), instances in attributes:
            entity.setdefault(name, []).extend(instances)
        return entity

    async def _send(
        self,
        send: Callable[[Sequence[JsonObject]], Awaitable[BatchResult]],
        entities: list[JsonObject],
        written: Written,
    ) -> None:
        for start in range(0, len(entities), _CHUNK):
            result = await _patiently(lambda part=entities[start : start + _CHUNK]: send(part))
            written.failures.extend(result.failures)
            for failure in result.failures:
                self._known.pop(failure.id, None)


async def _patiently(call: Callable[[], Awaitable[T]], attempts: int = 8) -> T:
    """Await a call to the hub; while it answers that it is overloaded (429, 503), wait and try again."""
    for attempt in range(attempts):
        try:
            return await call()
        except Problem as problem:
            if problem.status not in (429, 503) or attempt == attempts - 1:
                raise
            await asyncio.sleep(min(0.2 * 2**attempt, 10))
    raise AssertionError


def _instances(content: object) -> list[Instance]:
    found = cast("list[Any]", content) if isinstance(content, list) else [content]
    return [cast(Instance, i) for i in found if isinstance(i, dict)]


def _same(there: Instance, new: Instance) -> bool:
    """Whether the hub's instance says all that the new one says."""
    return all(there.get(member) == value for member, value in new.items())
