"""The writing side of the PostgreSQL store: lock, decide in memory, then persist column by column.

A group of jobs is one transaction of two exchanges with the server. First every entity's row is locked, in the order
of the ids, so that groups never wait for each other in a circle; a row that is not there yet is put there. Then, once
all is decided, all changes go out as arrays. The outbox comes last, under one lock that is kept until the commit: so
its numbers grow in the order of commits, and who has read up to the newest has missed none.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import OperationalError

from hanmaru.hub.geometry import bounds, to_wkb
from hanmaru.hub.index import Row, rows
from hanmaru.hub.model import Attribute, Change, Entity, decode_entity, encode
from hanmaru.hub.permitted import decided, may_record
from hanmaru.hub.stores.postgres_db import Connection, Names, execute, integers
from hanmaru.hub.times import micros
from hanmaru.hub.writes import Decision, Write, may_create
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem

OUTBOX_LOCK = 0x4841_4E4D
"""``HANM``: the advisory lock that orders commits with changes."""

Key = tuple[int, str]
Outcomes = list[Decision | Problem] | list[Problem | None]

_LOCK = """
WITH s AS MATERIALIZED (SELECT nextval('entity_seq') AS key)
INSERT INTO entity (key, tenant, id, live, doc)
SELECT s.key+d.n, d.tenant, d.id, d.live, d.doc FROM s CROSS JOIN
unnest(?::int[], %b::text[], ?::smallint[], %b::bytea[]) WITH ORDINALITY d(tenant, id, live, doc, n)
ORDER BY d.tenant, d.id COLLATE "C"
ON CONFLICT (tenant, id) DO UPDATE SET live=entity.live WHERE false RETURNING tenant, id, key
"""
"""A row that is there is locked and stays as it is. Keys follow the order of the writes, locks that of the ids."""

_STATE = """
SELECT e.tenant, e.id, e.key, e.live, e.doc FROM unnest(?::int[], %b::text[]) d(tenant, id)
JOIN entity e ON e.tenant=d.tenant AND e.id=d.id WHERE e.xmin<>pg_current_xact_id()::xid
"""

_PUT_VALUES = """
INSERT INTO value SELECT * FROM unnest(
?::bigint[], ?::int[], ?::smallint[], ?::int[], %b::float8[], %b::text[], ?::bigint[], ?::bigint[], ?::bigint[])
"""
_PUT_SHAPES = """
INSERT INTO geo (entity, attr, wkb, box) SELECT d.entity, d.attr, d.wkb, box(point(d.w, d.s), point(d.e, d.n))
FROM unnest(?::bigint[], ?::int[], %b::bytea[], %b::float8[], %b::float8[], %b::float8[], %b::float8[])
d(entity, attr, wkb, w, s, e, n)
"""
_PUT_INSTANCES = """
INSERT INTO instance SELECT * FROM unnest(
?::bigint[], ?::int[], ?::bigint[], %b::text[], ?::bigint[], ?::smallint[], ?::smallint[], ?::bigint[], %b::bytea[])
ON CONFLICT (entity, attr, at, dataset, seq) DO UPDATE SET
observed=excluded.observed, event=excluded.event, modified=excluded.modified, doc=excluded.doc
"""
_COUNT_TYPES = """
INSERT INTO type_attr SELECT * FROM unnest(?::int[], ?::int[], %b::text[], ?::bigint[])
ON CONFLICT (type, attr, kind) DO UPDATE SET entities=type_attr.entities+excluded.entities
"""


@dataclass(slots=True)
class Job:
    """What one caller asked for: writes, or entities whose instances go to history."""

    access: Access
    writes: Sequence[Write] = ()
    records: Sequence[Entity] = ()

    @property
    def creates(self) -> bool:
        """Whether it can bring a tenant into being."""
        return bool(self.records) or any(map(may_create, self.writes))

    @property
    def cost(self) -> int:
        """Return about how many rows it changes."""
        instances = sum(len(i) for entity in self.records for i in entity.attrs.values())
        return len(self.writes) + len(self.records) + instances // 4


@dataclass(slots=True)
class _State:
    """One entity's row: as it was stored, as this transaction inserted it, and as it is now to be."""

    tenant: int
    key: int = 0
    inserted: Entity | None = None
    inserted_live: bool = False
    before: Entity | None = None
    kept: Entity | None = None
    now: Entity | None = None
    gone: Entity | None = None
    touched: set[str] = field(default_factory=set[str])

    def rows(self) -> tuple[Entity | None, Entity | None]:
        """Return the entity before and after, dead or alive."""
        return self.before or self.kept, self.now or self.gone

    def stored(self) -> bool:
        """Whether the row holds what it is to hold."""
        if self.inserted is not None:
            return self.inserted is (self.now if self.inserted_live else self.gone)
        return self.before is self.now and self.kept is self.gone


@dataclass(slots=True)
class _Plan:
    """All that a group changes."""

    states: dict[Key, _State]
    outbox: list[tuple[int, Change]] = field(default_factory=list[tuple[int, Change]])
    history: list[tuple[_State, str, Attribute, int]] = field(default_factory=list[tuple[_State, str, Attribute, int]])


async def commit(connection: Connection, names: Names, jobs: Sequence[Job]) -> list[Outcomes | Problem]:
    """Apply jobs in order in one transaction; what is returned is on disk.

    A job that is refused as a whole gives its problem. Any other error leaves nothing of the group.
    """
    tenants: list[int | Problem] = []
    for job in jobs:
        try:
            number = names.make_tenant if job.creates else names.tenant
            tenants.append(await number(connection, job.access.tenant))
        except Problem as problem:
            tenants.append(problem)
    if all(isinstance(tenant, Problem) for tenant in tenants):
        return [tenant for tenant in tenants if isinstance(tenant, Problem)]
    try:
        states, seq = await _lock(connection, jobs, tenants)
        plan = _Plan(states)
        outcomes = [
            tenant if isinstance(tenant, Problem) else _decide(plan, tenant, job, seq)
            for job, tenant in zip(jobs, tenants, strict=True)
        ]
        await _persist(connection, names, plan)
    except BaseException:
        with contextlib.suppress(OperationalError):
            await connection.rollback()
        raise
    return outcomes


async def _lock(
    connection: Connection, jobs: Sequence[Job], tenants: Sequence[int | Problem]
) -> tuple[dict[Key, _State], int]:
    """Lock every row that the jobs speak of; return their states and a number for what goes to history."""
    states: dict[Key, _State] = {}
    placeholders: dict[Key, tuple[int, Entity | None]] = {}
    for job, tenant in zip(jobs, tenants, strict=True):
        if isinstance(tenant, Problem):
            continue
        for write in job.writes:
            if placeholders.get((tenant, write.id), (0, None))[1] is None:
                placeholders[tenant, write.id] = (1, write.content) if may_create(write) else (0, None)
        for entity in job.records:
            placeholders.setdefault((tenant, entity.id), (0, _only_recorded(entity)))
    states = {key: _State(key[0]) for key in placeholders}
    numbers, ids = integers(tenant for tenant, _ in placeholders), [id for _, id in placeholders]
    docs = [encode(entity) if entity else b"" for _, entity in placeholders.values()]
    async with connection.pipeline():
        await connection.execute("BEGIN")
        inserted = await execute(connection, _LOCK, (numbers, ids, integers(p[0] for p in placeholders.values()), docs))
        found = await execute(connection, _STATE, (numbers, ids))
        next_seq = await execute(connection, "SELECT nextval('instance_seq')")
    for tenant, id, key in await inserted.fetchall():
        state = states[tenant, id]
        live, state.inserted = placeholders[tenant, id]
        state.key, state.inserted_live = key, bool(live)
    for tenant, id, key, live, doc in await found.fetchall():
        state, entity = states[tenant, id], decode_entity(doc)
        state.key = key
        if live:
            state.before = state.now = entity
        else:
            state.kept = state.gone = entity
    ((seq,),) = await next_seq.fetchall()
    return states, seq


def _only_recorded(entity: Entity) -> Entity:
    return Entity(entity.id, entity.types, {}, entity.scopes, entity.created_at, entity.modified_at)


def _decide(plan: _Plan, tenant: int, job: Job, seq: int) -> Outcomes:
    if job.records:
        return [_record(plan, tenant, job.access, entity) for entity in job.records]
    outcomes: list[Decision | Problem] = []
    for write in job.writes:
        try:
            outcomes.append(_write(plan, tenant, job.access, write, seq))
        except Problem as problem:
            outcomes.append(problem)
    return outcomes


def _write(plan: _Plan, tenant: int, access: Access, write: Write, seq: int) -> Decision:
    state = plan.states[tenant, write.id]
    current = state.now
    decision = decided(access, write, current, state.gone)
    change = decision.change
    if change is None:
        return decision
    entity = change.entity
    if change.kind == "deleted":
        state.now = None
        state.gone = Entity(entity.id, entity.types, {}, entity.scopes, entity.created_at, change.at, change.at)
        state.touched.update(entity.attrs)
    else:
        state.now, state.gone = entity, None
        state.touched.update(entity.attrs if current is None else (*change.touched, *change.removed))
    plan.outbox.append((tenant, change))
    number = seq + len(plan.outbox)
    plan.history.extend((state, name, instance, number) for name, instance in decision.history)
    return decision


def _record(plan: _Plan, tenant: int, access: Access, entity: Entity) -> Problem | None:
    state = plan.states[tenant, entity.id]
    if not may_record(access, entity, state.now, state.gone):
        return Problem(403, "Not permitted", f"You may not write the history of {entity.id}.")
    if state.now is None and state.gone is None:
        only = not state.inserted_live and state.inserted
        state.gone = only or _only_recorded(entity)
    plan.history.extend((state, name, i, 0) for name, instances in entity.attrs.items() for i in instances)
    return None


async def _persist(connection: Connection, names: Names, plan: _Plan) -> None:
    changed = [state for state in plan.states.values() if state.before is not state.now or state.kept is not state.gone]
    index = [(s, n, rows(n, s.now.attrs[n])) for s in changed if s.now for n in s.touched if n in s.now.attrs]
    numbers = await names.make(_names(plan) | {(s.tenant, row.path) for s, _, found in index for row in found})
    docs = [state for state in changed if not state.stored()]
    useless = [state.key for state in plan.states.values() if not any(state.rows())]
    async with connection.pipeline():
        if useless:
            await execute(connection, "DELETE FROM entity WHERE key=ANY(?::bigint[])", (integers(useless),))
        if docs:
            sql = "UPDATE entity e SET live=d.live, doc=d.doc FROM unnest(?::bigint[], ?::smallint[], %b::bytea[]) "
            columns = (integers(s.key for s in docs), integers(int(s.now is not None) for s in docs))
            encoded = [encode(s.rows()[1]) for s in docs]
            await execute(connection, sql + "d(key, live, doc) WHERE e.key=d.key", (*columns, encoded))
        await _put_types_and_scopes(connection, numbers, changed)
        await _drop_values(connection, numbers, changed)
        await _put_values(connection, numbers, index)
        await _put_history(connection, numbers, plan.history)
        if plan.outbox:
            await execute(connection, "SELECT pg_advisory_xact_lock(?)", (OUTBOX_LOCK,))
            sql = "INSERT INTO outbox (tenant, doc) SELECT d.tenant, d.doc FROM unnest(?::int[], %b::bytea[]) "
            columns = (integers(tenant for tenant, _ in plan.outbox), [encode(change) for _, change in plan.outbox])
            await execute(connection, sql + "WITH ORDINALITY d(tenant, doc, n) ORDER BY d.n", columns)
            await _count_types(connection, numbers, changed)
        await connection.execute("COMMIT")


def _names(plan: _Plan) -> set[Key]:
    found = {(state.tenant, name) for state, name, _, _ in plan.history}
    for state in plan.states.values():
        for entity in state.rows():
            if entity is not None:
                found.update((state.tenant, name) for name in (*entity.types, *entity.attrs))
    return found


async def _put_types_and_scopes(connection: Connection, numbers: dict[Key, int], states: Iterable[_State]) -> None:
    dropped: list[tuple[int, int, int]] = []
    added: list[tuple[int, int, int]] = []
    moved: list[_State] = []
    for state in states:
        old, new = _types(state, numbers, state.before, state.kept), _types(state, numbers, state.now, state.gone)
        dropped.extend(old - new)
        added.extend(new - old)
        before, after = state.rows()
        if (before.scopes if before else ()) != (after.scopes if after else ()):
            moved.append(state)
    if dropped:
        sql = "DELETE FROM entity_type t USING unnest(?::int[], ?::smallint[], ?::bigint[]) d(type, live, entity) "
        where = "WHERE t.type=d.type AND t.live=d.live AND t.entity=d.entity"
        await execute(connection, sql + where, _columns(dropped))
    if added:
        sql = "INSERT INTO entity_type SELECT * FROM unnest(?::int[], ?::smallint[], ?::bigint[])"
        await execute(connection, sql, _columns(added))
    if moved:
        await execute(
            connection, "DELETE FROM entity_scope WHERE entity=ANY(?::bigint[])", (integers(s.key for s in moved),)
        )
        scopes = [(s.key, scope) for s in moved if (after := s.rows()[1]) for scope in dict.fromkeys(after.scopes)]
        sql = "INSERT INTO entity_scope SELECT * FROM unnest(?::bigint[], %b::text[])"
        if scopes:
            await execute(connection, sql, (integers(key for key, _ in scopes), [scope for _, scope in scopes]))


def _types(
    state: _State, numbers: dict[Key, int], alive: Entity | None, dead: Entity | None
) -> set[tuple[int, int, int]]:
    entity = alive or dead
    if entity is None:
        return set()
    return {(numbers[state.tenant, name], int(alive is not None), state.key) for name in entity.types}


def _columns(table: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(integers(column) for column in zip(*table, strict=True))


async def _drop_values(connection: Connection, numbers: dict[Key, int], states: Sequence[_State]) -> None:
    stale = [(s.key, numbers[s.tenant, n]) for s in states if s.before for n in s.touched if n in s.before.attrs]
    where = "USING unnest(?::bigint[], ?::int[]) d(entity, attr) WHERE t.entity=d.entity AND t.attr=d.attr"
    if stale:
        await execute(connection, f"DELETE FROM value t {where}", _columns(stale))
    moved = [(s.key, numbers[s.tenant, n]) for s in states for n in s.touched if _shapes(s.before, n) and _moved(s, n)]
    if moved:
        await execute(connection, f"DELETE FROM geo t {where}", _columns(moved))


def _shapes(entity: Entity | None, name: str) -> list[Any]:
    return [i.value for i in entity.attrs.get(name, ()) if i.kind == "GeoProperty"] if entity else []


def _moved(state: _State, name: str) -> bool:
    return _shapes(state.before, name) != _shapes(state.now, name)


async def _put_values(
    connection: Connection, numbers: dict[Key, int], index: Iterable[tuple[_State, str, list[Row]]]
) -> None:
    values: list[Any] = []
    shapes: list[Any] = []
    for state, name, found in index:
        tenant, key, attr = state.tenant, state.key, numbers[state.tenant, name]
        for n, (path, *row) in enumerate(found):
            values.append((key, attr, n, numbers[tenant, path], *row))
        for shape in _shapes(state.now, name) if _moved(state, name) else ():
            wkb = to_wkb(shape)
            shapes.append((key, attr, wkb, *bounds(wkb)))
    if values:
        entity, attr, n, path, num, txt, observed, created, modified = zip(*values, strict=True)
        numbered = map(integers, (entity, attr, n, path))
        instants = map(integers, (observed, created, modified))
        await execute(connection, _PUT_VALUES, (*numbered, list(num), list(txt), *instants))
    if shapes:
        entity, attr, wkb, *sides = zip(*shapes, strict=True)
        await execute(connection, _PUT_SHAPES, (integers(entity), integers(attr), list(wkb), *map(list, sides)))


async def _put_history(
    connection: Connection, numbers: dict[Key, int], history: Iterable[tuple[_State, str, Attribute, int]]
) -> None:
    found: dict[tuple[int, int, int, str, int], tuple[int, int, int, bytes]] = {}
    for state, name, instance, seq in history:
        modified = micros(instance.modified_at or "")
        at = micros(instance.observed_at) if instance.observed_at else modified
        event = 2 if instance.deleted_at else int(instance.created_at == instance.modified_at)
        place = (state.key, numbers[state.tenant, name], at, instance.dataset_id or "", seq)
        found[place] = (int(instance.observed_at is not None), event, modified, encode(instance))
    if found:
        entity, attr, at, dataset, seq = zip(*found, strict=True)
        observed, event, modified, doc = zip(*found.values(), strict=True)
        place = (integers(entity), integers(attr), integers(at), list(dataset), integers(seq))
        rest = (integers(observed), integers(event), integers(modified), list(doc))
        await execute(connection, _PUT_INSTANCES, (*place, *rest))


async def _count_types(connection: Connection, numbers: dict[Key, int], states: Iterable[_State]) -> None:
    """Keep the number of entities by type, attribute and kind."""
    counts: Counter[tuple[int, int, str]] = Counter()
    for state in states:
        for entity, step in ((state.now, 1), (state.before, -1)):
            for type, name, kind in _kinds(entity):
                counts[numbers[state.tenant, type], numbers[state.tenant, name], kind] += step
    changed = [(*place, step) for place, step in counts.items() if step]
    if changed:
        type, attr, kind, step = zip(*changed, strict=True)
        await execute(connection, _COUNT_TYPES, (integers(type), integers(attr), list(kind), integers(step)))


def _kinds(entity: Entity | None) -> set[tuple[str, str, str]]:
    if entity is None:
        return set()
    return {(t, name, i.kind) for name, instances in entity.attrs.items() for i in instances for t in entity.types}
