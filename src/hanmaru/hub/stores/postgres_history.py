"""Reading history from the PostgreSQL store: one index range per attribute, all attributes in one statement."""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from hanmaru.hub.model import Attribute, decode_attribute, decode_entity
from hanmaru.hub.permitted import deletable
from hanmaru.hub.query import EntityQuery, TemporalQuery
from hanmaru.hub.stores.base import TemporalEntity, TemporalPage
from hanmaru.hub.stores.conditions import NOTHING, Condition
from hanmaru.hub.stores.postgres_db import Connection, Names, execute, fetch, snapshot
from hanmaru.hub.stores.postgres_read import More, compile_selection, page_of
from hanmaru.hub.stores.sqlite_history import instance_id
from hanmaru.hub.visibility import Attributes, attributes_seen, grants_of
from hanmaru.platform.access import Access

_FOUND = """
WITH RECURSIVE found(attr) AS (
  (SELECT attr FROM instance WHERE entity={entity} ORDER BY attr LIMIT 1)
  UNION ALL
  SELECT (SELECT i.attr FROM instance i WHERE i.entity={entity} AND i.attr>found.attr ORDER BY i.attr LIMIT 1)
  FROM found WHERE found.attr IS NOT NULL
)
"""
"""The attributes of an entity by a look-up each, however many instances they have."""

_ATTRIBUTES = _FOUND.format(entity="?") + "SELECT x.id, x.text FROM found JOIN term x ON x.id=found.attr ORDER BY x.id"
_EVERY = _FOUND.format(entity="e.key") + "SELECT attr FROM found WHERE attr IS NOT NULL"

_WHERE = {
    "observedAt": "i.observed=1 AND i.at>=? AND i.at<?",
    "createdAt": "i.modified>=? AND i.modified<? AND i.event=1",
    "modifiedAt": "i.modified>=? AND i.modified<?",
    "deletedAt": "i.modified>=? AND i.modified<? AND i.event=2",
}
_MIN, _MAX = -(1 << 62), 1 << 62


async def history(
    connection: Connection, names: Names, access: Access, id: str, query: TemporalQuery
) -> TemporalEntity | None:
    """Return one entity's history; only the unrestricted see that of a deleted one."""
    one = EntityQuery(ids=(id,), limit=1)
    selection = await compile_selection(connection, names, access, one, live=not access.unrestricted)
    async with snapshot(connection):
        keys, _ = await page_of(connection, selection, one)
        return await _read(connection, access, keys[0], query) if keys else None


async def query_history(
    connection: Connection, names: Names, access: Access, query: EntityQuery, temporal: TemporalQuery
) -> TemporalPage:
    """Return the histories of one page of entities; deleted ones answer to id and type only."""
    live = not access.unrestricted or query.q is not None or query.geo is not None or query.scopes is not None
    more = await _with_instances(connection, names, access, temporal) if temporal.selects() else None
    selection = await compile_selection(connection, names, access, query, live=live, more=more)
    async with snapshot(connection):
        keys, count = await page_of(connection, selection, query)
        return TemporalPage([await _read(connection, access, key, temporal) for key in keys], count)


async def _with_instances(connection: Connection, names: Names, access: Access, query: TemporalQuery) -> More:
    """Return `_has_instances` for this query; every name that it can ask for is looked up once."""
    texts = {name for grant in grants_of(access) for name in query.among(grant.attributes) or ()}
    known = await names.known(connection, await names.tenant(connection, access.tenant), texts)
    return partial(_has_instances, known, query)


def _has_instances(known: Mapping[str, int], query: TemporalQuery, visible: Attributes) -> Condition:
    """Return the condition that an entity has an instance that the temporal query asks for."""
    where, wanted = _WHERE[query.property], query.among(visible)
    if wanted is None:
        # a look-up per attribute, kept apart from the rest of the query by its OFFSET
        looked_up = f"SELECT 1 FROM instance i WHERE i.entity=e.key AND i.attr=a.attr AND {where} OFFSET 0"
        return Condition(f"EXISTS (SELECT 1 FROM ({_EVERY}) a WHERE EXISTS ({looked_up}) OFFSET 0)", _bounds(query))
    numbers = [known[name] for name in wanted if name in known]
    if not numbers:
        return Condition(NOTHING)
    sql = f"EXISTS (SELECT 1 FROM instance i WHERE i.entity=e.key AND i.attr=ANY(?) AND {where} OFFSET 0)"
    return Condition(sql, (numbers, *_bounds(query)))


def _bounds(query: TemporalQuery) -> tuple[int, int]:
    return _MIN if query.start is None else query.start, _MAX if query.end is None else query.end


async def _read(connection: Connection, access: Access, key: int, query: TemporalQuery) -> TemporalEntity:
    ((doc,),) = await fetch(connection, "SELECT doc FROM entity WHERE key=?", (key,))
    entity = decode_entity(doc)
    visible = attributes_seen(access, entity)
    attrs: dict[str, Sequence[Attribute]] = {}
    more = False
    for number, name in await fetch(connection, _ATTRIBUTES, (key, key)):
        if query.attrs and name not in query.attrs:
            continue
        if visible is not None and name not in visible:
            continue
        instances, cut = await _instances(connection, key, number, query)
        if instances:
            attrs[name] = instances
        more |= cut
    return TemporalEntity(
        entity.id, entity.types, entity.scopes, attrs, entity.created_at, entity.modified_at, entity.deleted_at, more
    )


async def _instances(
    connection: Connection, key: int, attr: int, query: TemporalQuery
) -> tuple[Sequence[Attribute], bool]:
    limit = min(query.last_n, query.limit) if query.last_n is not None else query.limit
    order = "ASC" if query.last_n is None else "DESC"
    column = "at" if query.property == "observedAt" else "modified"
    sql = (
        f"SELECT i.at, i.dataset, i.seq, i.doc FROM instance i WHERE i.entity=? AND i.attr=? "
        f"AND {_WHERE[query.property]} ORDER BY i.{column} {order}, i.seq {order}, i.dataset {order} LIMIT ?"
    )
    rows = await fetch(connection, sql, (key, attr, *_bounds(query), limit + 1))
    cut = len(rows) > limit and (query.last_n is None or limit < query.last_n)
    rows = rows[:limit]
    if query.last_n is not None:
        rows.reverse()
    found = [
        replace(decode_attribute(doc), instance_id=instance_id(key, attr, at, dataset, seq))
        for at, dataset, seq, doc in rows
    ]
    return found, cut


async def delete_history(
    connection: Connection,
    names: Names,
    access: Access,
    id: str,
    attribute: str | None,
    instance: str,
    dataset: str | None,
) -> bool:
    """Delete an entity's history, one attribute's, or one instance's, as far as the caller sees its attributes."""
    tenant = await names.tenant(connection, access.tenant)
    async with connection.transaction():
        sql = "SELECT key, live, doc FROM entity WHERE tenant=? AND id=? FOR UPDATE"
        rows = await fetch(connection, sql, (tenant, id))
        if not rows:
            return False
        key, live, doc = rows[0]
        conditions = [Condition("entity=?", (key,))]
        if (visible := deletable(access, decode_entity(doc), live=bool(live))) is not None:
            if not visible:
                return False
            numbers = await names.known(connection, tenant, visible)
            conditions.append(Condition("attr=ANY(?::int[])", (list(numbers.values()),)))
        if attribute is not None:
            numbers = await names.known(connection, tenant, [attribute])
            conditions.append(Condition("attr=?", (numbers.get(attribute, -1),)))
        if dataset is not None:
            conditions.append(Condition("dataset=?", (dataset,)))
        if instance:
            parts = instance.removeprefix("urn:ngsi-ld:instance:").split(":", 4)
            if len(parts) != 5 or not all(part.lstrip("-").isdigit() for part in parts[:4]) or parts[0] != str(key):
                return False
            place = (int(parts[1]), int(parts[2]), int(parts[3]), parts[4])
            conditions.append(Condition("attr=? AND at=? AND seq=? AND dataset=?", place))
        where = " AND ".join(condition.sql for condition in conditions)
        params = tuple(p for condition in conditions for p in condition.params)
        deleted = await fetch(connection, f"DELETE FROM instance WHERE {where} RETURNING 1", params, prepare=False)
        if attribute is None and not instance and not live:  # of a deleted entity nothing is left then
            types = (await names.known(connection, tenant, decode_entity(doc).types)).values()
            sql = "DELETE FROM entity_type WHERE type=ANY(?) AND live=0 AND entity=?"
            await execute(connection, sql, (list(types), key))
            await execute(connection, "DELETE FROM entity_scope WHERE entity=?", (key,))
            await execute(connection, "DELETE FROM entity WHERE key=?", (key,))
            return True
        return bool(deleted)
