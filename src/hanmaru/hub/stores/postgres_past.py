"""Reading the past of many entities from the PostgreSQL store: an index look-up per entity and attribute."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanmaru.hub.model import Entity, decode_attribute, decode_entity
from hanmaru.hub.past import PastPage, Reader, Row, SpanPage, bare, cut, needed, placeless, put
from hanmaru.hub.query import EntityQuery, Has
from hanmaru.hub.stores.conditions import Condition, compile_query, texts_of
from hanmaru.hub.stores.postgres_db import Connection, Names, fetch, snapshot
from hanmaru.hub.stores.postgres_read import DIALECT
from hanmaru.hub.visibility import Attributes, grants_of
from hanmaru.platform.access import Access

_NAMED = "WITH pair(entity, attr) AS (SELECT k, a FROM unnest(?::bigint[]) k CROSS JOIN unnest(?::int[]) a)"
_EVERY = """
WITH RECURSIVE pair(entity, attr) AS (
  SELECT k, (SELECT i.attr FROM instance i WHERE i.entity=k ORDER BY i.attr LIMIT 1) FROM unnest(?::bigint[]) k
  UNION ALL
  SELECT p.entity, (SELECT i.attr FROM instance i WHERE i.entity=p.entity AND i.attr>p.attr ORDER BY i.attr LIMIT 1)
  FROM pair p WHERE p.attr IS NOT NULL
)
"""
"""The attributes of entities by a look-up each, however many instances they have."""

_AS_OF = """
SELECT p.entity, p.attr, n.doc FROM pair p CROSS JOIN LATERAL (
  SELECT i.doc FROM instance i WHERE i.entity=p.entity AND i.attr=p.attr AND i.at<=? AND i.dataset=''
  ORDER BY i.at DESC, i.seq DESC LIMIT 1
) n
"""
_DATASETS = """
WITH RECURSIVE each(entity, attr, dataset) AS (
  SELECT k, f.attr, f.dataset FROM unnest(?::bigint[]) k CROSS JOIN LATERAL (
    SELECT i.attr, i.dataset FROM instance i WHERE i.entity=k AND i.dataset<>''
    ORDER BY i.attr, i.dataset LIMIT 1) f
  UNION ALL
  SELECT e.entity, f.attr, f.dataset FROM each e CROSS JOIN LATERAL (
    SELECT i.attr, i.dataset FROM instance i WHERE i.entity=e.entity AND i.dataset<>''
    AND (i.attr, i.dataset)>(e.attr, e.dataset) ORDER BY i.attr, i.dataset LIMIT 1) f
)
SELECT p.entity, p.attr, n.doc FROM each p CROSS JOIN LATERAL (
  SELECT i.doc FROM instance i WHERE i.entity=p.entity AND i.attr=p.attr AND i.dataset=p.dataset AND i.dataset<>''
  AND i.at<=? ORDER BY i.at DESC, i.seq DESC LIMIT 1
) n
"""
_SPAN = """
SELECT n.entity, n.attr, n.at, n.seq, n.doc FROM pair p CROSS JOIN LATERAL (
  SELECT * FROM instance i WHERE i.entity=p.entity AND i.attr=p.attr AND {when} OFFSET 0
) n ORDER BY n.at, n.seq
"""


async def as_of(
    connection: Connection,
    names: Names,
    access: Access,
    query: EntityQuery,
    at: int,
    attrs: Sequence[str],
    after: int,
) -> PastPage:
    """Return a page of entities as they were at an instant."""
    wanted = needed(query, access, attrs)
    tenant, known = await _known(connection, names, access, query, wanted)
    async with snapshot(connection):
        keys, next = await _candidates(connection, tenant, access, query, known, after)
        states = await _states(connection, keys, at, wanted, known)
    return Reader(access, query, attrs).page(list(states.values()), next)


async def between(
    connection: Connection,
    names: Names,
    access: Access,
    query: EntityQuery,
    span: tuple[int, int],
    attrs: Sequence[str],
    after: int,
    rows: int,
) -> SpanPage:
    """Return a page of what changed in a span, open at its start and closed at its end."""
    start, end = span
    wanted = needed(query, access, attrs)
    tenant, known = await _known(connection, names, access, query, wanted)
    async with snapshot(connection):
        keys, next = await _candidates(connection, tenant, access, query, known, after)
        pairs = _pairs(keys, wanted, known)
        some = _SPAN.format(when="i.at>? AND i.at<=?") + " LIMIT ?"
        found = await _rows(connection, pairs, some, (start, end, rows + 1))
        kept, until = cut(found, rows, end)
        if not kept and found:  # more than the limit at one instant: it comes whole
            until = found[0].at
            kept = await _rows(connection, pairs, _SPAN.format(when="i.at=?"), (until,))
        touched = list(dict.fromkeys(row.key for row in kept))
        states = await _states(connection, touched, start, wanted, known)
    return SpanPage(Reader(access, query, attrs).steps(states, kept), until, next)


async def _known(
    connection: Connection, names: Names, access: Access, query: EntityQuery, wanted: Attributes
) -> tuple[int, Mapping[str, int]]:
    """Return the tenant's number and those of every name that the query may need."""
    tenant = await names.tenant(connection, access.tenant)
    return tenant, await names.known(connection, tenant, texts_of(query, grants_of(access)) | (wanted or set()))


async def _candidates(
    connection: Connection, tenant: int, access: Access, query: EntityQuery, ids: Mapping[str, int], after: int
) -> tuple[list[int], int | None]:
    """Return the keys of the next entities, there or deleted, that types, ids and scopes let through."""
    query, grants = placeless(query, access)
    walk: str = "SELECT key FROM entity WHERE tenant=? AND live={live} AND key>?"
    of: tuple[Any, ...] = (tenant, after)
    if query.ids:
        walk += " AND id=ANY(?)"
        of = (*of, list(query.ids))
    elif isinstance(query.types, Has):
        walk = "SELECT entity AS key FROM entity_type WHERE type=? AND live={live} AND entity>?"
        of = (ids.get(query.types.name, -1), after)
    conditions = [Condition("e.tenant=?", (tenant,)), *compile_query(query, grants, ids, DIALECT, live=False)]
    where = " AND ".join(condition.sql for condition in conditions)
    # each state is read in order of keys as far as the page may need, and no further
    ordered = [
        f"(SELECT k.key FROM ({walk.format(live=live)} ORDER BY 1) k "
        "CROSS JOIN LATERAL (SELECT * FROM entity WHERE key=k.key OFFSET 0) e "
        f"WHERE {where} ORDER BY k.key LIMIT ?)"
        for live in (0, 1)
    ]
    params = (*of, *(p for condition in conditions for p in condition.params), query.limit)
    sql = f"SELECT DISTINCT key FROM ({' UNION ALL '.join(ordered)}) u ORDER BY key LIMIT ?"
    rows = await fetch(connection, sql, (*params, *params, query.limit), prepare=False)
    keys = [key for (key,) in rows]
    return keys, keys[-1] if keys and len(keys) == query.limit else None


def _pairs(keys: Sequence[int], wanted: Attributes, known: Mapping[str, int]) -> tuple[str, tuple[list[int], ...]]:
    if wanted is None:
        return _EVERY, (list(keys),)
    return _NAMED, (list(keys), sorted(known[name] for name in wanted if name in known))


async def _states(
    connection: Connection, keys: Sequence[int], at: int, wanted: Attributes, known: Mapping[str, int]
) -> dict[int, Entity]:
    """Return entities as they were, without any attribute where they were not there."""
    sql = "SELECT e.key, e.doc FROM unnest(?::bigint[]) k JOIN entity e ON e.key=k ORDER BY e.key"
    states = {key: bare(decode_entity(doc)) for key, doc in await fetch(connection, sql, (list(keys),))}
    pairs, params = _pairs(keys, wanted, known)
    rows = await fetch(connection, pairs + _AS_OF, (*params, at))
    rows += await fetch(connection, _DATASETS, (list(keys), at))
    texts = await _texts(connection, {attr for _, attr, _ in rows})
    found: dict[int, list[Any]] = {}
    for key, attr, doc in rows:
        if wanted is None or texts[attr] in wanted:
            found.setdefault(key, []).append((texts[attr], decode_attribute(doc)))
    return {key: put(state, found.get(key, ())) for key, state in states.items()}


async def _rows(
    connection: Connection, pairs: tuple[str, tuple[list[int], ...]], sql: str, params: Iterable[Any]
) -> list[Row]:
    rows = await fetch(connection, pairs[0] + sql, (*pairs[1], *params))
    texts = await _texts(connection, {row[1] for row in rows})
    return [Row(key, texts[attr], at, seq, doc) for key, attr, at, seq, doc in rows]


async def _texts(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    rows = await fetch(connection, "SELECT id, text FROM term WHERE id=ANY(?)", (list(numbers),))
    return dict(rows)
