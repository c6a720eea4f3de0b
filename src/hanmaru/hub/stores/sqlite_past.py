"""Reading the past of many entities from the SQLite store: an index look-up per entity and attribute."""

from collections.abc import Iterable, Sequence
from typing import Any

from hanmaru.hub.model import Entity, decode_attribute, decode_entity, encode
from hanmaru.hub.past import PastPage, Reader, Row, SpanPage, bare, cut, needed, placeless, put
from hanmaru.hub.query import EntityQuery, Has
from hanmaru.hub.stores.conditions import Condition, compile_query, texts_of
from hanmaru.hub.stores.sqlite_db import Database
from hanmaru.hub.stores.sqlite_read import DIALECT, tenant_number, term_numbers
from hanmaru.hub.visibility import Attributes
from hanmaru.platform.access import Access

_KEYS = "keys(entity) AS (SELECT value FROM json_each(?))"
_NAMED = f"WITH {_KEYS}, pair(entity, attr) AS (SELECT k.entity, a.value FROM keys k CROSS JOIN json_each(?) a)"
_EVERY = f"""
WITH RECURSIVE {_KEYS}, pair(entity, attr) AS (
  SELECT entity, (SELECT min(attr) FROM instance i WHERE i.entity=keys.entity) FROM keys
  UNION ALL
  SELECT entity, (SELECT min(attr) FROM instance i WHERE i.entity=pair.entity AND i.attr>pair.attr)
  FROM pair WHERE attr IS NOT NULL
)
"""
"""The attributes of entities by a look-up each, however many instances they have."""

_AS_OF = """
SELECT entity, attr, doc FROM (SELECT p.entity, p.attr, (
  SELECT doc FROM instance i WHERE i.entity=p.entity AND i.attr=p.attr AND i.at<=? AND i.dataset=''
  ORDER BY i.at DESC, i.seq DESC LIMIT 1
) AS doc FROM pair p) WHERE doc IS NOT NULL
"""
_DATASETS = f"""
WITH RECURSIVE {_KEYS}, some(entity, attr) AS (
  SELECT entity, (SELECT min(attr) FROM instance i INDEXED BY instance_dataset
    WHERE i.entity=keys.entity AND i.dataset<>'') FROM keys
  UNION ALL
  SELECT entity, (SELECT min(attr) FROM instance i INDEXED BY instance_dataset
    WHERE i.entity=some.entity AND i.attr>some.attr AND i.dataset<>'') FROM some WHERE attr IS NOT NULL
), each(entity, attr, dataset) AS (
  SELECT entity, attr, (SELECT min(dataset) FROM instance i INDEXED BY instance_dataset
    WHERE i.entity=some.entity AND i.attr=some.attr AND i.dataset<>'') FROM some WHERE attr IS NOT NULL
  UNION ALL
  SELECT entity, attr, (SELECT min(dataset) FROM instance i INDEXED BY instance_dataset
    WHERE i.entity=each.entity AND i.attr=each.attr AND i.dataset<>'' AND i.dataset>each.dataset)
  FROM each WHERE dataset IS NOT NULL
)
SELECT entity, attr, doc FROM (SELECT p.entity, p.attr, (
  SELECT doc FROM instance i INDEXED BY instance_dataset WHERE i.entity=p.entity AND i.attr=p.attr
  AND i.dataset=p.dataset AND i.dataset<>'' AND i.at<=? ORDER BY i.at DESC, i.seq DESC LIMIT 1
) AS doc FROM each p WHERE p.dataset IS NOT NULL) WHERE doc IS NOT NULL
"""
_SPAN = (
    "SELECT i.entity, i.attr, i.at, i.seq, i.doc FROM pair p CROSS JOIN instance i ON i.entity=p.entity "
    "AND i.attr=p.attr AND {when} ORDER BY i.at, i.seq"
)


def as_of(db: Database, access: Access, query: EntityQuery, at: int, attrs: Sequence[str], after: int) -> PastPage:
    """Return a page of entities as they were at an instant."""
    with db:
        keys, next = _candidates(db, access, query, after)
        states = _states(db, access, keys, at, needed(query, access, attrs))
    return Reader(access, query, attrs).page(list(states.values()), next)


def between(
    db: Database,
    access: Access,
    query: EntityQuery,
    span: tuple[int, int],
    attrs: Sequence[str],
    after: int,
    rows: int,
) -> SpanPage:
    """Return a page of what changed in a span, open at its start and closed at its end."""
    start, end = span
    names = needed(query, access, attrs)
    with db:
        keys, next = _candidates(db, access, query, after)
        tenant = tenant_number(db, access.tenant)
        pairs = _pairs(db, tenant, keys, names)
        when = (start, end)
        found = _rows(db, tenant, pairs, _SPAN.format(when="i.at>? AND i.at<=?") + " LIMIT ?", (*when, rows + 1))
        kept, until = cut(found, rows, end)
        if not kept and found:  # more than the limit at one instant: it comes whole
            until = found[0].at
            kept = _rows(db, tenant, pairs, _SPAN.format(when="i.at=?"), (until,))
        states = _states(db, access, list(dict.fromkeys(row.key for row in kept)), start, names)
    return SpanPage(Reader(access, query, attrs).steps(states, kept), until, next)


def _candidates(db: Database, access: Access, query: EntityQuery, after: int) -> tuple[list[int], int | None]:
    """Return the keys of the next entities, there or deleted, that types, ids and scopes let through."""
    tenant = tenant_number(db, access.tenant)
    query, grants = placeless(query, access)
    ids = term_numbers(db, tenant, texts_of(query, grants))
    walk: str = "SELECT key FROM entity WHERE tenant=? AND live={live} AND key>?"
    of: tuple[Any, ...] = (tenant, after)
    if query.ids:
        walk += f" AND id IN ({','.join('?' * len(query.ids))})"
        of = (*of, *query.ids)
    elif isinstance(query.types, Has):
        walk = "SELECT entity AS key FROM entity_type WHERE type=? AND live={live} AND entity>?"
        of = (ids.get(query.types.name, -1), after)
    conditions = [Condition("e.tenant=?", (tenant,)), *compile_query(query, grants, ids, DIALECT, live=False)]
    where = " AND ".join(condition.sql for condition in conditions)
    params = (*of, *of, *(p for condition in conditions for p in condition.params))
    sql = (
        f"SELECT k.key FROM ({walk.format(live=0)} UNION {walk.format(live=1)} ORDER BY 1) k "
        f"CROSS JOIN entity e ON e.key=k.key WHERE {where} ORDER BY k.key LIMIT ?"
    )
    keys = [key for (key,) in db.execute(sql, (*params, query.limit))]
    return keys, keys[-1] if keys and len(keys) == query.limit else None


def _pairs(db: Database, tenant: int, keys: Sequence[int], names: Attributes) -> tuple[str, tuple[bytes, ...]]:
    if names is None:
        return _EVERY, (encode(keys),)
    return _NAMED, (encode(keys), encode(sorted(term_numbers(db, tenant, names).values())))


def _states(db: Database, access: Access, keys: Sequence[int], at: int, names: Attributes) -> dict[int, Entity]:
    """Return entities as they were, without any attribute where they were not there."""
    sql = "SELECT k.value, e.doc FROM json_each(?) k CROSS JOIN entity e ON e.key=k.value"
    states = {key: bare(decode_entity(doc)) for key, doc in db.execute(sql, (encode(keys),))}
    tenant = tenant_number(db, access.tenant)
    pairs, params = _pairs(db, tenant, keys, names)
    texts = _Texts(db)
    found: dict[int, list[Any]] = {}
    for rows in (db.execute(pairs + _AS_OF, (*params, at)), db.execute(_DATASETS, (encode(keys), at))):
        for key, attr, doc in rows:
            name = texts[attr]
            if names is None or name in names:
                found.setdefault(key, []).append((name, decode_attribute(doc)))
    return {key: put(state, found.get(key, ())) for key, state in states.items()}


def _rows(
    db: Database, tenant: int, pairs: tuple[str, tuple[bytes, ...]], sql: str, params: Iterable[Any]
) -> list[Row]:
    texts = _Texts(db)
    return [
        Row(key, texts[attr], at, seq, doc)
        for key, attr, at, seq, doc in db.execute(pairs[0] + sql, (*pairs[1], *params))
    ]


class _Texts(dict[int, str]):
    """Names by their numbers, each looked up once."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db

    def __missing__(self, number: int) -> str:
        ((text,),) = self._db.execute("SELECT text FROM term WHERE id=?", (number,)).fetchall()
        self[number] = text
        return text
