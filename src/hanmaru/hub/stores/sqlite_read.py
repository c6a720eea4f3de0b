"""The reading side of the SQLite store: choose where a query starts, then let the database walk and count.

A query starts from whatever promises the fewest candidates: ids, a box in the R*Tree, or one comparison in the value
index, when a bounded probe finds few rows there; else it walks the entities of a type in order, which is quick because
every page is small. Geometry candidates are decided by `hanmaru.hub.geometry`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.model import Entity, decode_entity, encode
from hanmaru.hub.query import EntityQuery, Has, Term
from hanmaru.hub.stores.base import Page, TypeInfo, no_tenant
from hanmaru.hub.stores.conditions import (
    Condition,
    Dialect,
    areas_differ,
    comparison,
    compile_query,
    conjuncts,
    cover,
    shared_area,
    texts_of,
)
from hanmaru.hub.stores.listing import Tally, by_type_only, naming, showing_more
from hanmaru.hub.stores.sqlite_db import Database
from hanmaru.hub.visibility import (
    Attributes,
    area_query,
    attributes_of,
    grants_of,
    matching_each,
    meets,
    only,
    project_each,
)
from hanmaru.platform.access import Access, Grant

DIALECT = Dialect(
    text_matches="pattern_found(?, v.txt)",
    id_matches="pattern_found(?, e.id)",
    touches="EXISTS (SELECT 1 FROM geo v CROSS JOIN geo_box b ON b.id=v.id WHERE v.entity=e.key AND v.attr=? "
    "AND b.east>=? AND b.north>=? AND b.west<=? AND b.south<=?)",
)
More = Callable[[Attributes], Condition]
"""A further condition on an entity of which some attributes are visible."""
FEW = 1_000
CHUNK = 6_400


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a query starts: a FROM clause that yields alias ``e`` with a column ``key``.

    ``whole``: ``e`` is the table itself, of all tenants and also of what is no more. ``typed``: it holds only entities
    of the type asked for. ``shape``: ``e.wkb`` is a candidate for the geographical condition of that number.
    """

    source: str
    params: tuple[Any, ...] = ()
    whole: bool = False
    typed: bool = False
    shape: int | None = None


def tenant_number(db: Database, name: str) -> int:
    """Return a tenant's number; raise a 404 problem when there is no such tenant."""
    row = db.execute("SELECT id FROM tenant WHERE name=?", (name,)).fetchone()
    if row is None:
        raise no_tenant(name)
    return row[0]


def term_numbers(db: Database, tenant: int, texts: Iterable[str]) -> dict[str, int]:
    """Return the numbers of the names that are known."""
    sql = "SELECT id FROM term WHERE tenant=? AND text=?"
    found = ((text, db.execute(sql, (tenant, text)).fetchone()) for text in texts)
    return {text: row[0] for text, row in found if row is not None}


def retrieve(db: Database, access: Access, id: str) -> Entity | None:
    """Return a visible entity."""
    if not access.unrestricted:
        page = query(db, access, EntityQuery(ids=(id,), limit=1))
        return page.entities[0] if page.entities else None
    sql = "SELECT e.doc FROM entity e JOIN tenant t ON t.id=e.tenant WHERE t.name=? AND e.id=? AND e.live=1"
    row = db.execute(sql, (access.tenant, id)).fetchone()
    if row is None:
        tenant_number(db, access.tenant)
        return None
    return decode_entity(row[0])


def query(db: Database, access: Access, query: EntityQuery) -> Page:
    """Return one page of the visible entities that match."""
    with db:  # one snapshot for the page and its count
        keys, count = select(db, access, query)
        docs = [_doc(db, key) for key in keys]
    return Page(project_each(access, [decode_entity(doc) for doc in docs]), count)


def select(
    db: Database, access: Access, query: EntityQuery, *, live: bool = True, more: More | None = None
) -> tuple[Sequence[int], int | None]:
    """Return the keys of one page and, when asked for, the number of all matches; a condition ``more`` joins in."""
    tenant, grants = tenant_number(db, access.tenant), grants_of(access)
    ids = term_numbers(db, tenant, texts_of(query, grants))
    area, mixed = shared_area(grants), areas_differ(grants)
    geometries = [geo for geo in (query.geo, area_query(area) if area else None) if geo is not None]
    starts = [*geometries, *cover(grants)] if mixed else geometries
    rows = query.id_pattern is not None or more is not None or mixed
    start = _start(db, tenant, query, starts, ids, live=live, rows=rows)
    asked = replace(query, types=None) if start.typed else query
    conditions = compile_query(asked, grants, ids, DIALECT, live=live, more=more)
    if start.whole:
        conditions.append(Condition("e.tenant=?", (tenant,)))
        if live:
            conditions.append(Condition("e.live=1"))
    conditions = conditions or [Condition("1=1")]
    if mixed:
        return _page_of_entities(db, start, conditions, grants, query, more)
    if geometries:
        return _page_of_shapes(db, start, conditions, geometries, ids, query)
    where = " AND ".join(condition.sql for condition in conditions)
    params = start.params + tuple(p for condition in conditions for p in condition.params)
    sql = f"SELECT e.key FROM {start.source} WHERE {where}"
    page: list[int] = []
    if query.limit:
        bounded = f"{sql} ORDER BY e.key LIMIT ? OFFSET ?"
        page = [key for (key,) in db.execute(bounded, (*params, query.limit, query.offset))]
    count = None
    if query.count:
        count = db.execute(f"SELECT count(*) FROM ({sql})", params).fetchall()[0][0]
    return page, count


def _start(
    db: Database,
    tenant: int,
    query: EntityQuery,
    geometries: Sequence[GeoQuery],
    ids: Mapping[str, int],
    *,
    live: bool,
    rows: bool,
) -> _Start:
    """Choose where to start; ``rows``: the conditions speak of more than ``e.key``."""
    if query.ids:
        marks = ",".join("?" * len(query.ids))
        return _Start(
            f"(SELECT key FROM entity WHERE tenant=? AND id IN ({marks})) k {_BY_KEY}", (tenant, *query.ids), True
        )
    best: _Source | None = None
    fewest = FEW
    for candidate in _selective(query, geometries, ids) if live else ():
        sql, params = candidate.probe or (candidate.sql, candidate.params)
        ((found,),) = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {sql} LIMIT {fewest + 1})", params).fetchall()
        if found <= fewest:
            best, fewest = candidate, found
    if best is not None and not _walk_is_shorter(db, query, ids, best.attr, fewest):
        if rows:
            return _Start(f"(SELECT DISTINCT v.entity AS key FROM {best.sql}) k {_BY_KEY}", best.params, True)
        if best.shape is not None:
            return _Start(f"(SELECT v.entity AS key, v.wkb FROM {best.sql}) e", best.params, shape=best.shape)
        return _Start(f"(SELECT DISTINCT v.entity AS key FROM {best.sql}) e", best.params)
    if isinstance(query.types, Has):
        type = (ids.get(query.types.name, -1),)
        if rows or not live:
            states = "live=1" if live else "live IN (0,1)"
            walk = f"(SELECT DISTINCT entity AS key FROM entity_type WHERE type=? AND {states}) k"
            return _Start(f"{walk} {_BY_KEY}", type, True, True)
        return _Start("(SELECT entity AS key FROM entity_type WHERE type=? AND live=1) e", type, typed=True)
    return _Start("entity e", whole=True)


_BY_KEY = "CROSS JOIN entity e ON e.key=k.key"  # SQLite keeps the order of a CROSS JOIN


@dataclass(frozen=True, slots=True)
class _Source:
    """An index range, with alias ``v`` and a column ``entity``, that holds every match; the attribute it is of.

    ``probe`` is a cheaper source with at least as many rows.
    """

    sql: str
    params: tuple[Any, ...]
    attr: int
    shape: int | None = None
    probe: tuple[str, tuple[Any, ...]] | None = None


def _walk_is_shorter(db: Database, query: EntityQuery, ids: Mapping[str, int], attr: int, rows: int) -> bool:
    """Whether a page is full sooner by walking the type's entities than by looking at every one of ``rows``."""
    if query.count or not isinstance(query.types, Has):
        return False
    where = (ids.get(query.types.name, -1), attr)
    row = db.execute("SELECT sum(entities) FROM type_attr WHERE type=? AND attr=?", where).fetchone()
    entities = row[0] or 0 if row else 0
    return entities * (query.offset + query.limit) < rows * rows


def _selective(query: EntityQuery, geometries: Sequence[GeoQuery], ids: Mapping[str, int]) -> Iterator[_Source]:
    for n, geo in enumerate(geometries):
        box = geo.box()
        if box is not None:
            west, south, east, north = box
            attr = ids.get(geo.attribute, -1)
            touching = "b.west<=? AND b.east>=? AND b.south<=? AND b.north>=?"
            sql = f"geo_box b CROSS JOIN geo v ON v.id=b.id WHERE {touching} AND v.attr=?"
            bounds = (east, west, north, south)
            yield _Source(sql, (*bounds, attr), attr, n, (f"geo_box b WHERE {touching}", bounds))
    by_path = "value v INDEXED BY value_by_path WHERE v.path=?"
    for part in conjuncts(query.q):
        if isinstance(part, Term) and part.operator not in ("!=", "!~=", "~=") and part.member is None:
            compared = comparison(part, DIALECT) if part.operator != "exists" else Condition("1")
            params = (ids.get(part.path, -1), *compared.params)
            yield _Source(f"{by_path} AND {compared.sql}", params, ids.get(part.attribute, -1))
    if len(query.attrs) == 1:
        attr = ids.get(query.attrs[0], -1)
        yield _Source(by_path, (attr,), attr)


def _page_of_shapes(
    db: Database,
    start: _Start,
    conditions: Sequence[Condition],
    geometries: Sequence[GeoQuery],
    ids: Mapping[str, int],
    query: EntityQuery,
) -> tuple[list[int], int | None]:
    if start.shape is not None and len(geometries) == 1:
        return _page_of_candidates(db, start, conditions, geometries[0], query)
    joins = " ".join(
        f"CROSS JOIN geo g{n} ON g{n}.entity=e.key AND g{n}.attr={ids.get(geo.attribute, -1)}"
        for n, geo in enumerate(geometries)
        if n != start.shape
    )
    columns = ", ".join("e.wkb" if n == start.shape else f"g{n}.wkb" for n in range(len(geometries)))
    where = " AND ".join(condition.sql for condition in conditions)
    params = start.params + tuple(p for condition in conditions for p in condition.params)
    rows = db.execute(f"SELECT e.key, {columns} FROM {start.source} {joins} WHERE {where} ORDER BY e.key", params)
    found: dict[int, None] = {}
    wanted = query.offset + query.limit
    for chunk in _chunks(rows):
        keep = geometries[0].matches([row[1] for row in chunk])
        for n, geo in enumerate(geometries[1:], start=2):
            keep &= geo.matches([row[n] for row in chunk])
        found.update((row[0], None) for row, kept in zip(chunk, keep, strict=True) if kept)
        if len(found) >= wanted and not query.count:
            break
    page = list(found)[query.offset : wanted]
    return page, len(found) if query.count else None


def _page_of_candidates(
    db: Database, start: _Start, conditions: Sequence[Condition], geo: GeoQuery, query: EntityQuery
) -> tuple[list[int], int | None]:
    """Decide shapes first, and the other conditions only of what is left, as far as the page needs."""
    where = " AND ".join(condition.sql for condition in conditions)
    params = tuple(p for condition in conditions for p in condition.params)
    holds = f"SELECT e.key FROM (SELECT value AS key FROM json_each(?)) e WHERE {where}"
    rows = db.execute(f"SELECT e.key, e.wkb FROM {start.source} ORDER BY e.key", start.params)
    found: dict[int, None] = {}
    wanted = query.offset + query.limit
    for chunk in _chunks(rows):
        keep = geo.matches([row[1] for row in chunk])
        inside = [row[0] for row, kept in zip(chunk, keep, strict=True) if kept]
        left = {key for (key,) in db.execute(holds, (encode(inside), *params))}
        found.update((key, None) for key in inside if key in left)
        if len(found) >= wanted and not query.count:
            break
    page = list(found)[query.offset : wanted]
    return page, len(found) if query.count else None


def _page_of_entities(
    db: Database,
    start: _Start,
    conditions: Sequence[Condition],
    grants: Sequence[Grant],
    query: EntityQuery,
    more: More | None,
) -> tuple[list[int], int | None]:
    """Decide about whole entities, as it depends on where each of them is which of its attributes are visible."""
    where = " AND ".join(condition.sql for condition in conditions)
    params = start.params + tuple(p for condition in conditions for p in condition.params)
    rows = db.execute(f"SELECT e.key, e.doc FROM {start.source} WHERE {where} ORDER BY e.key", params)
    found: list[int] = []
    wanted = query.offset + query.limit
    for chunk in _chunks(rows):
        kept: dict[Attributes, list[int]] = {}
        entities = [decode_entity(doc) for _, doc in chunk]
        for (key, _), entity, matched in zip(chunk, entities, matching_each(grants, entities), strict=True):
            attributes = attributes_of(matched)
            if matched and meets(only(entity, attributes), query):
                kept.setdefault(attributes, []).append(key)
        found += sorted(key for attributes, keys in kept.items() for key in _further(db, keys, attributes, more))
        if len(found) >= wanted and not query.count:
            break
    return found[query.offset : wanted], len(found) if query.count else None


def _further(db: Database, keys: Sequence[int], attributes: Attributes, more: More | None) -> Iterable[int]:
    if more is None:
        return keys
    further = more(attributes)
    sql = f"SELECT e.key FROM (SELECT value AS key FROM json_each(?)) e WHERE {further.sql}"
    return [key for (key,) in db.execute(sql, (encode(keys), *further.params))]


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield rows in growing lists: a page is often full after the first."""
    size = 100
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) >= size:
            yield chunk
            chunk, size = [], min(size * 4, CHUNK)
    if chunk:
        yield chunk


def types(db: Database, access: Access, only: str | None) -> list[TypeInfo]:
    """Return the visible types with the number of visible entities and the attributes they have."""
    grants = grants_of(access)
    with db:
        tenant = tenant_number(db, access.tenant)
        if not by_type_only(grants):
            return _tallied(db, access, grants, only)
        rows = db.execute(
            "SELECT x.id, x.text, count(*) FROM term x JOIN entity_type t ON t.type=x.id AND t.live=1 "
            "WHERE x.tenant=? AND (?2 IS NULL OR x.text=?2) GROUP BY x.id ORDER BY x.text",
            (tenant, only),
        ).fetchall()
        found: list[TypeInfo] = []
        for number, name, count in rows:
            named = naming(grants, name)
            more = term_numbers(db, tenant, showing_more(grants, name)).values() if named else ()
            if any(_share(db, number, other) for other in more):
                found += _tallied(db, access, grants, name)
            elif named:
                found.append(TypeInfo(name, count, _attributes(db, number, attributes_of(named))))
        return found


def _share(db: Database, type: int, other: int) -> bool:
    """Whether some entity has both types."""
    sql = (
        "SELECT 1 FROM entity_type t JOIN entity_type o ON o.type=? AND o.live=1 AND o.entity=t.entity "
        "WHERE t.type=? AND t.live=1 LIMIT 1"
    )
    return bool(db.execute(sql, (other, type)).fetchall())


def _attributes(db: Database, type: int, visible: Attributes) -> dict[str, frozenset[str]]:
    sql = (
        "SELECT x.text, a.kind FROM type_attr a JOIN term x ON x.id=a.attr "
        "WHERE a.type=? AND a.entities>0 ORDER BY x.text"
    )
    found: dict[str, frozenset[str]] = {}
    for name, kind in db.execute(sql, (type,)):
        if visible is None or name in visible:
            found[name] = found.get(name, frozenset()) | {kind}
    return found


def _tallied(db: Database, access: Access, grants: Sequence[Grant], only: str | None) -> list[TypeInfo]:
    keys, _ = select(db, access, EntityQuery(types=Has(only) if only else None, limit=1_000_000))
    tally = Tally(grants)
    for chunk in _chunks(keys):
        tally.add([decode_entity(_doc(db, key)) for key in chunk])
    return tally.types([only] if only else None)


def _doc(db: Database, key: int) -> bytes:
    return db.execute("SELECT doc FROM entity WHERE key=?", (key,)).fetchall()[0][0]
