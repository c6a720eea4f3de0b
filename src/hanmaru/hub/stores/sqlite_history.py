"""Reading history from the SQLite store: one index range per attribute."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from hanmaru.hub.model import Attribute, decode_attribute, decode_entity
from hanmaru.hub.permitted import deletable
from hanmaru.hub.query import EntityQuery, TemporalQuery
from hanmaru.hub.stores.base import TemporalEntity, TemporalPage
from hanmaru.hub.stores.conditions import NOTHING, Condition
from hanmaru.hub.stores.sqlite_db import Database
from hanmaru.hub.stores.sqlite_read import select, tenant_number, term_numbers
from hanmaru.hub.visibility import Attributes, attributes_seen
from hanmaru.platform.access import Access

_FOUND = """
WITH RECURSIVE found(attr) AS (
  SELECT min(attr) FROM instance WHERE entity={entity}
  UNION ALL
  SELECT (SELECT min(attr) FROM instance WHERE entity={entity} AND attr>found.attr)
  FROM found WHERE found.attr IS NOT NULL
)
"""
"""The attributes of an entity by a look-up each, however many instances they have."""

_ATTRIBUTES = _FOUND.format(entity="?1") + "SELECT x.id, x.text FROM found JOIN term x ON x.id=found.attr"
_EVERY = _FOUND.format(entity="e.key") + "SELECT attr FROM found"

_WHERE = {
    "observedAt": "observed=1 AND at>=? AND at<?",
    "createdAt": "modified>=? AND modified<? AND doc->>'c'=doc->>'m'",
    "modifiedAt": "modified>=? AND modified<?",
    "deletedAt": "modified>=? AND modified<? AND doc->>'x' IS NOT NULL",
}
_MIN, _MAX = -(1 << 62), 1 << 62


def history(db: Database, access: Access, id: str, query: TemporalQuery) -> TemporalEntity | None:
    """Return one entity's history."""
    with db:
        keys, _ = select(db, access, EntityQuery(ids=(id,), limit=1), live=access.unrestricted is False)
        return _read(db, access, keys[0], query) if keys else None


def query_history(db: Database, access: Access, query: EntityQuery, temporal: TemporalQuery) -> TemporalPage:
    """Return the histories of one page of entities; deleted ones answer to id and type only."""
    live = not access.unrestricted or query.q is not None or query.geo is not None or query.scopes is not None
    with db:
        numbers = partial(_numbers, db, tenant_number(db, access.tenant))
        more = partial(_has_instances, numbers, temporal) if temporal.selects() else None
        keys, count = select(db, access, query, live=live, more=more)
        return TemporalPage([_read(db, access, key, temporal) for key in keys], count)


def _numbers(db: Database, tenant: int, names: Iterable[str]) -> list[int]:
    return list(term_numbers(db, tenant, names).values())


def _has_instances(
    number: Callable[[Iterable[str]], list[int]], query: TemporalQuery, visible: Attributes
) -> Condition:
    """Return the condition that an entity has an instance that the temporal query asks for."""
    names, numbers = query.among(visible), list[int]()
    if names is not None:
        numbers = number(names)
        if not numbers:
            return Condition(NOTHING)
    which = _EVERY if names is None else ",".join("?" * len(numbers))
    sql = f"EXISTS (SELECT 1 FROM instance WHERE entity=e.key AND attr IN ({which}) AND {_WHERE[query.property]})"
    return Condition(sql, (*numbers, *_bounds(query)))


def _bounds(query: TemporalQuery) -> tuple[int, int]:
    return _MIN if query.start is None else query.start, _MAX if query.end is None else query.end


def _read(db: Database, access: Access, key: int, query: TemporalQuery) -> TemporalEntity:
    entity = decode_entity(db.execute("SELECT doc FROM entity WHERE key=?", (key,)).fetchall()[0][0])
    visible = attributes_seen(access, entity)
    attrs: dict[str, Sequence[Attribute]] = {}
    more = False
    for number, name in db.execute(_ATTRIBUTES, (key,)).fetchall():
        if query.attrs and name not in query.attrs:
            continue
        if visible is not None and name not in visible:
            continue
        instances, cut = _instances(db, key, number, query)
        if instances:
            attrs[name] = instances
        more |= cut
    return TemporalEntity(
        entity.id, entity.types, entity.scopes, attrs, entity.created_at, entity.modified_at, entity.deleted_at, more
    )


def _instances(db: Database, key: int, attr: int, query: TemporalQuery) -> tuple[Sequence[Attribute], bool]:
    newest_first = query.last_n is not None
    limit = min(query.last_n, query.limit) if query.last_n is not None else query.limit
    order = "DESC" if newest_first else "ASC"
    column = "at" if query.property == "observedAt" else "modified"
    sql = (
        f"SELECT at, dataset, seq, doc FROM instance WHERE entity=? AND attr=? AND {_WHERE[query.property]} "
        f"ORDER BY {column} {order}, seq {order}, dataset {order} LIMIT ?"
    )
    rows = db.execute(sql, (key, attr, *_bounds(query), limit + 1)).fetchall()
    cut = len(rows) > limit and (query.last_n is None or limit < query.last_n)
    rows = rows[:limit]
    if newest_first:
        rows.reverse()
    return [_with_id(key, attr, row) for row in rows], cut


def _with_id(key: int, attr: int, row: Any) -> Attribute:
    at, dataset, seq, doc = row
    return replace(decode_attribute(doc), instance_id=instance_id(key, attr, at, dataset, seq))


def instance_id(key: int, attr: int, at: int, dataset: str, seq: int) -> str:
    """Return an instance's URI, made of its place in the index."""
    return f"urn:ngsi-ld:instance:{key}:{attr}:{at}:{seq}:{dataset}"


def forget(db: Database, before: int, after_key: int) -> tuple[int, int | None]:
    """Forget old instances of the next entities; how many, and the key to go on after (None: that was all)."""
    keys = db.execute("SELECT key FROM entity WHERE key>? ORDER BY key LIMIT 100", (after_key,)).fetchall()
    gone = 0
    for (key,) in keys:
        for attr, _ in db.execute(_ATTRIBUTES, (key,)).fetchall():
            newest = db.execute("SELECT max(at) FROM instance WHERE entity=? AND attr=?", (key, attr)).fetchall()[0][0]
            bound = min(before, newest)
            db.execute("DELETE FROM instance WHERE entity=? AND attr=? AND at<?", (key, attr, bound))
            gone += db.changes()
    return gone, keys[-1][0] if keys else None


def delete_history(
    db: Database, access: Access, id: str, attribute: str | None, instance: str, dataset: str | None
) -> bool:
    """Delete an entity's history, one attribute's, or one instance's, as far as the caller sees its attributes."""
    tenant = tenant_number(db, access.tenant)
    row = db.execute("SELECT key, live, doc FROM entity WHERE tenant=? AND id=?", (tenant, id)).fetchone()
    if row is None:
        return False
    where, params = "entity=?", [row[0]]
    if (visible := deletable(access, decode_entity(row[2]), live=bool(row[1]))) is not None:
        if not visible:
            return False
        numbers = term_numbers(db, tenant, visible).values()
        where += f" AND attr IN ({','.join(map(str, numbers))})"
    if attribute is not None:
        where += " AND attr=(SELECT id FROM term WHERE tenant=? AND text=?)"
        params += [tenant, attribute]
    if dataset is not None:
        where += " AND dataset=?"
        params.append(dataset)
    if instance:
        parts = instance.removeprefix("urn:ngsi-ld:instance:").split(":", 4)
        if len(parts) != 5 or not all(part.lstrip("-").isdigit() for part in parts[:4]) or parts[0] != str(row[0]):
            return False
        where += " AND attr=? AND at=? AND seq=? AND dataset=?"
        params += [int(parts[1]), int(parts[2]), int(parts[3]), parts[4]]
    db.execute(f"DELETE FROM instance WHERE {where}", params)
    deleted = db.changes() > 0
    if attribute is None and not instance and not row[1]:  # of a deleted entity nothing is left then
        for table, column in (("entity_type", "entity"), ("entity_scope", "entity"), ("entity", "key")):
            db.execute(f"DELETE FROM {table} WHERE {column}=?", (row[0],))
        return True
    return deleted
