"""The reading side of the PostgreSQL store: choose where a query starts, as the SQLite store does.

A query starts from whatever promises the fewest candidates: ids, a box in the GiST index, or one comparison in the
value index, when a bounded probe finds few rows there; else it walks the entities of a type in order.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.model import Entity, decode_entity
from hanmaru.hub.query import EntityQuery, Has, Term
from hanmaru.hub.stores.base import Page, TypeInfo
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
from hanmaru.hub.stores.patterns import to_postgres
from hanmaru.hub.stores.postgres_db import Connection, Names, execute, fetch, snapshot
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
    text_matches="v.txt ~ ?",
    id_matches="e.id ~ ?",
    touches="EXISTS (SELECT 1 FROM geo v WHERE v.entity=e.key AND v.attr=? "
    "AND v.box && box(point(?,?), point(?,?)) OFFSET 0)",
    pattern=to_postgres,
    fence=" OFFSET 0",
)
"""An EXISTS with an OFFSET stays a look-up per entity, in the order that the walk has anyway."""

More = Callable[[Attributes], Condition]
"""A further condition on an entity of which some attributes are visible."""

FEW = 1_000
CHUNK = 6_400


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a query starts: a FROM clause that yields alias ``e``, the order that walks it, whether it is short."""

    source: str
    params: tuple[Any, ...]
    order: str = "e.key"
    short: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """A query compiled: SQL that yields keys (and shapes to decide about) of candidates, in no order yet.

    ``differing`` are the grants where they differ in area: then candidates are decided as whole entities.
    """

    start: _Start
    conditions: Sequence[Condition]
    geometries: Sequence[GeoQuery]
    ids: Mapping[str, int]
    differing: Sequence[Grant] = ()
    more: More | None = None

    @property
    def exact(self) -> bool:
        """Whether the SQL finds no more than what matches."""
        return not self.geometries and not self.differing

    def sql(self, columns: str, joins: str = "") -> tuple[str, tuple[Any, ...]]:
        """Return the SQL of the candidates with its parameters."""
        where = " AND ".join(condition.sql for condition in self.conditions)
        params = self.start.params + tuple(p for condition in self.conditions for p in condition.params)
        return f"SELECT {columns} FROM {self.start.source} {joins} WHERE {where}", params


async def retrieve(connection: Connection, names: Names, access: Access, id: str) -> Entity | None:
    """Return a visible entity."""
    if not access.unrestricted:
        page = await query(connection, names, access, EntityQuery(ids=(id,), limit=1))
        return page.entities[0] if page.entities else None
    tenant = await names.tenant(connection, access.tenant)
    rows = await fetch(connection, "SELECT doc FROM entity WHERE tenant=? AND id=? AND live=1", (tenant, id))
    return decode_entity(rows[0][0]) if rows else None


async def query(connection: Connection, names: Names, access: Access, query: EntityQuery) -> Page:
    """Return one page of the visible entities that match."""
    selection = await compile_selection(connection, names, access, query)
    if selection.exact and not query.count:
        rows = await _docs_of_page(connection, selection, query) if query.limit else []
        return Page(project_each(access, [decode_entity(doc) for (doc,) in rows]))
    async with snapshot(connection):  # one state for the page and its count
        keys, count = await page_of(connection, selection, query)
        docs = await docs_of(connection, keys)
    return Page(project_each(access, [decode_entity(doc) for doc in docs]), count)


async def docs_of(connection: Connection, keys: Sequence[int]) -> list[bytes]:
    """Return entities as they are stored, in order of their keys."""
    sql = "SELECT e.doc FROM unnest(?::bigint[]) k JOIN entity e ON e.key=k ORDER BY e.key"
    return [doc for (doc,) in await fetch(connection, sql, (list(keys),))] if keys else []


async def _docs_of_page(connection: Connection, selection: Selection, query: EntityQuery) -> list[tuple[Any, ...]]:
    keys, params = selection.sql("e.key")
    sql = (
        f"SELECT d.doc FROM ({keys} ORDER BY {selection.start.order} LIMIT ? OFFSET ?) p "
        "JOIN entity d ON d.key=p.key ORDER BY p.key"
    )
    return await fetch(connection, sql, (*params, query.limit, query.offset), prepare=False)


async def page_of(connection: Connection, selection: Selection, query: EntityQuery) -> tuple[Sequence[int], int | None]:
    """Return the keys of one page and, when asked for, the number of all matches."""
    if selection.differing:
        return await _page_of_entities(connection, selection, query)
    if selection.geometries:
        return await _page_of_shapes(connection, selection, query)
    keys, params = selection.sql("e.key")
    page: list[int] = []
    if query.limit:
        bounded = f"{keys} ORDER BY {selection.start.order} LIMIT ? OFFSET ?"
        page = [key for (key,) in await fetch(connection, bounded, (*params, query.limit, query.offset), prepare=False)]
    if not query.count:
        return page, None
    return page, (await fetch(connection, f"SELECT count(*) FROM ({keys}) c", params, prepare=False))[0][0]


async def compile_selection(
    connection: Connection,
    names: Names,
    access: Access,
    query: EntityQuery,
    *,
    live: bool = True,
    more: More | None = None,
) -> Selection:
    """Return a query with its access predicate, compiled; a condition ``more`` joins in."""
    tenant, grants = await names.tenant(connection, access.tenant), grants_of(access)
    ids = await names.known(connection, tenant, texts_of(query, grants))
    conditions = compile_query(query, grants, ids, DIALECT, live=live, more=more)
    conditions.append(Condition("e.tenant=?", (tenant,)))
    if live:
        conditions.append(Condition("e.live=1"))
    area = shared_area(grants)
    geometries = [geo for geo in (query.geo, area_query(area) if area else None) if geo is not None]
    differing = grants if areas_differ(grants) else ()
    start = await _start(connection, tenant, query, [*geometries, *cover(differing)], ids, live)
    return Selection(start, conditions, geometries, ids, differing, more)


async def _start(
    connection: Connection,
    tenant: int,
    query: EntityQuery,
    geometries: Sequence[GeoQuery],
    ids: Mapping[str, int],
    live: bool,
) -> _Start:
    if query.ids:
        source = f"(SELECT key FROM entity WHERE tenant=? AND id=ANY(?)) k {_BY_KEY}"
        return _Start(source, (tenant, list(query.ids)), short=True)
    type = ids.get(query.types.name, -1) if isinstance(query.types, Has) else None
    candidates = list(_selective(query, geometries, ids)) if live else []
    if candidates:
        probes = [f"(SELECT count(*) FROM (SELECT 1 FROM {c.sql} LIMIT {FEW + 1}) p)" for c, _ in candidates]
        params: list[Any] = [p for candidate, _ in candidates for p in candidate.params]
        if type is not None:
            probes += ["(SELECT sum(entities)::bigint FROM type_attr WHERE type=? AND attr=?)"] * len(candidates)
            params += [number for _, name in candidates for number in (type, ids.get(name, -1))]
        ((*counts,),) = await fetch(connection, f"SELECT {', '.join(probes)}", params, prepare=False)
        fewest = min(counts[: len(candidates)])
        chosen = counts.index(fewest)
        entities = counts[len(candidates) + chosen] or 0 if type is not None else None
        # a page may be full sooner by walking the type's entities than by looking at every candidate
        walk_is_shorter = (
            entities is not None and not query.count and entities * (query.offset + query.limit) < fewest * fewest
        )
        if fewest <= FEW and not walk_is_shorter:
            best, _ = candidates[chosen]
            return _Start(f"(SELECT DISTINCT v.entity AS key FROM {best.sql}) k {_BY_KEY}", best.params, short=True)
    if type is not None:
        walk = "(SELECT entity AS key FROM entity_type WHERE type=? AND live=1) k"
        if not live:
            walk = "(SELECT DISTINCT entity AS key FROM entity_type WHERE type=?) k"
        return _Start(f"{walk} {_BY_KEY}", (type,), "k.key")
    return _Start("entity e", ())


_BY_KEY = "CROSS JOIN LATERAL (SELECT * FROM entity WHERE key=k.key OFFSET 0) e"
"""The row of a key, by its key and no other index, whatever the planner believes."""


def _selective(
    query: EntityQuery, geometries: Sequence[GeoQuery], ids: Mapping[str, int]
) -> Iterator[tuple[Condition, str]]:
    """Yield sources, each with alias ``v`` and a column ``entity``, that hold every match, and their attribute."""
    for geo in geometries:
        box = geo.box()
        if box is not None:
            sql = "geo v WHERE v.box && box(point(?,?), point(?,?)) AND v.attr=?"
            yield Condition(sql, (*box, ids.get(geo.attribute, -1))), geo.attribute
    for part in conjuncts(query.q):
        if isinstance(part, Term) and part.operator not in ("!=", "!~=", "~=") and part.member is None:
            path = Condition("value v WHERE v.path=?", (ids.get(part.path, -1),))
            compared = comparison(part, DIALECT) if part.operator != "exists" else Condition("1=1")
            yield Condition(f"{path.sql} AND {compared.sql}", path.params + compared.params), part.attribute
    if len(query.attrs) == 1:
        (name,) = query.attrs
        yield Condition("value v WHERE v.path=?", (ids.get(name, -1),)), name


async def _page_of_shapes(
    connection: Connection, selection: Selection, query: EntityQuery
) -> tuple[list[int], int | None]:
    geometries = selection.geometries
    joins = " ".join(
        f"JOIN geo g{n} ON g{n}.entity=e.key AND g{n}.attr={selection.ids.get(geo.attribute, -1)}"
        for n, geo in enumerate(geometries)
    )
    columns = ", ".join(["e.key", *(f"g{n}.wkb" for n in range(len(geometries)))])
    sql, params = selection.sql(columns, joins)
    found: dict[int, None] = {}
    wanted = query.offset + query.limit
    async for chunk in _chunks(connection, f"{sql} ORDER BY {selection.start.order}", params, selection.start.short):
        keep = geometries[0].matches([row[1] for row in chunk])
        for n, geo in enumerate(geometries[1:], start=2):
            keep &= geo.matches([row[n] for row in chunk])
        found.update((row[0], None) for row, kept in zip(chunk, keep, strict=True) if kept)
        if len(found) >= wanted and not query.count:
            break
    page = list(found)[query.offset : wanted]
    return page, len(found) if query.count else None


async def _page_of_entities(
    connection: Connection, selection: Selection, query: EntityQuery
) -> tuple[list[int], int | None]:
    """Decide about whole entities, as it depends on where each of them is which of its attributes are visible."""
    sql, params = selection.sql("e.key, e.doc")
    found: list[int] = []
    wanted = query.offset + query.limit
    async for chunk in _chunks(connection, f"{sql} ORDER BY {selection.start.order}", params, selection.start.short):
        kept: dict[Attributes, list[int]] = {}
        entities = [decode_entity(doc) for _, doc in chunk]
        matched_each = matching_each(selection.differing, entities)
        for (key, _), entity, matched in zip(chunk, entities, matched_each, strict=True):
            attributes = attributes_of(matched)
            if matched and meets(only(entity, attributes), query):
                kept.setdefault(attributes, []).append(key)
        further = [key for some, keys in kept.items() for key in await _further(connection, keys, some, selection.more)]
        found += sorted(further)
        if len(found) >= wanted and not query.count:
            break
    return found[query.offset : wanted], len(found) if query.count else None


async def _further(
    connection: Connection, keys: Sequence[int], attributes: Attributes, more: More | None
) -> Iterable[int]:
    if more is None:
        return keys
    further = more(attributes)
    sql = f"SELECT e.key FROM unnest(?::bigint[]) e(key) WHERE {further.sql}"
    return [key for (key,) in await fetch(connection, sql, (list(keys), *further.params), prepare=False)]


async def _chunks(
    connection: Connection, sql: str, params: Sequence[Any], short: bool
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Yield rows in growing lists: a page is often full after the first."""
    if short:
        if rows := await fetch(connection, sql, params, prepare=False):
            yield rows
        return
    await execute(connection, f"DECLARE rows NO SCROLL CURSOR FOR {sql}", params, prepare=False)
    size = 100
    while rows := await fetch(connection, f"FETCH {size} FROM rows", prepare=False):
        yield rows
        size = min(size * 4, CHUNK)


async def types(connection: Connection, names: Names, access: Access, only: str | None) -> list[TypeInfo]:
    """Return the visible types with the number of visible entities and the attributes they have."""
    tenant, grants = await names.tenant(connection, access.tenant), grants_of(access)
    if not by_type_only(grants):
        return await _tallied(connection, names, access, grants, only)
    async with snapshot(connection):
        rows = await fetch(
            connection,
            "SELECT x.id, x.text, t.entities FROM term x JOIN LATERAL "
            "(SELECT count(*) AS entities FROM entity_type t WHERE t.type=x.id AND t.live=1) t ON t.entities>0 "
            "WHERE x.tenant=? AND (?::text IS NULL OR x.text=?) ORDER BY x.text",
            (tenant, only, only),
        )
        named = {name: naming(grants, name) for _, name, _ in rows}
        found = {number: TypeInfo(name, count) for number, name, count in rows if named[name]}
        kinds = await fetch(
            connection,
            "SELECT a.type, x.text, a.kind FROM unnest(?::int[]) k JOIN type_attr a ON a.type=k "
            "JOIN term x ON x.id=a.attr WHERE a.entities>0 ORDER BY x.text",
            (list(found),),
        )
    for number, name, kind in kinds:
        attributes, visible = found[number].attributes, attributes_of(named[found[number].name])
        if visible is None or name in visible:
            attributes[name] = attributes.get(name, frozenset()) | {kind}
    for number, info in found.items():
        more = await names.known(connection, tenant, showing_more(grants, info.name))
        if more and await _share(connection, number, list(more.values())):
            found[number] = (await _tallied(connection, names, access, grants, info.name) or [info])[0]
    return list(found.values())


async def _share(connection: Connection, type: int, others: Sequence[int]) -> bool:
    """Whether some entity has a type and one of others."""
    sql = (
        "SELECT 1 FROM entity_type t JOIN entity_type o ON o.type=ANY(?) AND o.live=1 AND o.entity=t.entity "
        "WHERE t.type=? AND t.live=1 LIMIT 1"
    )
    return bool(await fetch(connection, sql, (list(others), type), prepare=False))


async def _tallied(
    connection: Connection, names: Names, access: Access, grants: Sequence[Grant], only: str | None
) -> list[TypeInfo]:
    tally = Tally(grants)
    wanted = EntityQuery(types=Has(only) if only else None, limit=1_000_000)
    selection = await compile_selection(connection, names, access, wanted)
    async with snapshot(connection):
        keys, _ = await page_of(connection, selection, wanted)
        for start in range(0, len(keys), CHUNK):
            docs = await docs_of(connection, keys[start : start + CHUNK])
            tally.add([decode_entity(doc) for doc in docs])
    return tally.types([only] if only else None)
