"""A FHIR search over the index: parse, choose where to begin, ask, page, include.

The reader's sight is part of every hop. Where to begin is measured, not guessed: each filter that can name its keys is
counted up to a bound, and the smallest drives; an order that nothing narrows walks its own index instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Literal, NamedTuple

from hanmaru.care.fhir import cursor
from hanmaru.care.fhir.conditions import Context, Sql, both
from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.dates import KOREA
from hanmaru.care.fhir.definitions import parameters, types
from hanmaru.care.fhir.filters import Filters
from hanmaru.care.fhir.includes import Include, include, included
from hanmaru.care.fhir.parameters import check, shown, wrong
from hanmaru.care.fhir.sorting import SortKey, after, order, sort_keys
from hanmaru.care.fhir.sources import Filter
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault.crypto import Key

COUNT: Final = 50
MOST: Final = 1000
PROBE: Final = 4000
"""How far a filter's keys are counted to find the smallest; a driver of more is no good start for a sort."""
ESTIMATE: Final = 10_000
"""How far ``_total=estimate`` counts."""

Total = Literal["none", "estimate", "accurate"]
Summary = Literal["false", "true", "text", "data", "count"]

ONE: Final = ("code-value-quantity",)
"""Composites of elements that a resource has one of at most, so that two parameters that hold hold of the same."""

IGNORED: Final = ("_format", "_pretty")


class Found(NamedTuple):
    """What a search found: keys in order, and those to include.

    ``next`` is the value of ``_cursor`` for the page after, ``ignored`` are the parameters that were left out as not
    known (where that was asked for).
    """

    matches: list[int]
    included: list[int]
    total: int | None
    next: str | None
    summary: Summary
    elements: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A search as it was understood; ``kind`` is "" for all types."""

    kind: str
    maker: Filters
    filters: tuple[Filter, ...]
    sort: tuple[SortKey, ...]
    count: int
    total: Total
    summary: Summary
    elements: tuple[str, ...]
    includes: tuple[Include, ...]
    cursor: str
    ignored: tuple[str, ...]


def compile(
    kind: str | None,
    query: Sequence[tuple[str, str]],
    reader: Reader,
    now: int,
    *,
    strict: bool = True,
    zone: tzinfo = KOREA,
    base: str = "",
) -> Plan:
    """Understand a search of a type (None: of all types); ``now`` in µs since 1970, ``base`` this server's address.

    Raises Problem 400 for what cannot be understood; where not ``strict``, unknown parameters are left out instead.
    """
    if kind is not None and kind not in types():
        raise wrong(f"{shown(kind)} is no resource type of R4.")
    check(query)
    type = kind or ""
    maker = Filters(reader, Context(now, zone, base))
    filters: list[Filter] = []
    sort: tuple[SortKey, ...] = ()
    once: dict[str, str] = {}
    wanted: list[Include] = []
    ignored: list[str] = []
    for name, value in _paired(type, query):
        try:
            match name.partition(":")[0]:
                case "_include" | "_revinclude":
                    wanted.append(include(name, value))
                case "_sort" if name == "_sort":
                    sort = sort_keys(type, value)
                case "_count" | "_total" | "_summary" | "_elements" | "_cursor" if ":" not in name:
                    if name in once:
                        raise wrong(f"{name} is given once.")
                    once[name] = value
                case "_contained" if value == "false":
                    pass
                case code if code in IGNORED:
                    pass
                case _:
                    filters.append(maker.make(type, name, value))
        except Problem:
            if strict:
                raise
            ignored.append(name)
    summary: Summary = _one(once, "_summary", ("false", "true", "text", "data", "count"))
    total: Total = _one(once, "_total", ("none", "estimate", "accurate"))
    count = _count(once.get("_count"))
    if summary == "count" or not count:
        count, summary, total = 0, "count", "accurate"
    elements = tuple(e for e in once.get("_elements", "").split(",") if e)
    return Plan(
        type,
        maker,
        tuple(filters),
        sort,
        count,
        total,
        summary,
        elements,
        tuple(wanted),
        once.get("_cursor", ""),
        tuple(ignored),
    )


def search(db: Database, plan: Plan, query: Sequence[tuple[str, str]], secret: Key) -> Found:
    """Run a search in the caller's read transaction; ``secret`` seals where its pages end. Raises Problem 400."""
    of = cursor.fingerprint(plan.maker.reader, plan.kind, query)
    start = cursor.decode(plan.cursor, of, secret) if plan.cursor else None
    begin, many = _begin(db, plan)
    rows: list[cursor.Position] = []
    if plan.count:
        rows = _page(db, plan, begin, many, start)
    page = rows[: plan.count]
    matches = [row.key for row in page]
    return Found(
        matches,
        included(db, plan.maker, plan.includes, matches) if plan.includes and matches else [],
        _total(db, plan, begin),
        cursor.encode(page[-1], of, secret) if len(rows) > len(page) else None,
        plan.summary,
        plan.elements,
        plan.ignored,
    )


def keys(
    db: Database, reader: Reader, kind: str, query: Sequence[tuple[str, str]], now: int, most: int, zone: tzinfo = KOREA
) -> list[int]:
    """Return the keys of the resources that a condition matches, at most ``most``. Raises Problem 400."""
    plan = compile(kind, query, reader, now, zone=zone)
    return [row.key for row in _unsorted(db, plan, _begin(db, plan)[0], None, most)]


def _paired(kind: str, query: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Word a code and a quantity of the same, single element as their composite, which is one range of one index."""
    for composite in parameters()[kind].values() if kind else ():
        codes = [code for code, _ in composite.components]
        values = [[value for name, value in query if name == code] for code in codes]
        if composite.expression != kind or composite.code not in ONE or [len(v) for v in values] != [1, 1]:
            continue
        if any(c in value for (value,) in values for c in ",$") or not all(value for (value,) in values):
            continue
        rest = [pair for pair in query if pair[0] not in codes]
        return [*rest, (composite.code, "$".join(value for (value,) in values))]
    return query


def _one(once: dict[str, str], name: str, allowed: tuple[str, ...]) -> Any:
    value = once.get(name, allowed[0])
    if value not in allowed:
        raise wrong(f"{name} is one of {', '.join(allowed)}.")
    return value


def _count(text: str | None) -> int:
    if text is None:
        return COUNT
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise wrong(f"_count is a number of matches, at most {MOST} a page.")
    return min(int(text), MOST)


def _begin(db: Database, plan: Plan) -> tuple[int, int]:
    """Return which filter names the fewest keys (-1: none does) and how many, counted up to :data:`PROBE`."""
    named = [(at, f.source) for at, f in enumerate(plan.filters) if f.source]
    if plan.maker.reader.kind != "all":
        named.append((-1, plan.maker.everything("")))  # of all types: to find those of one takes reading all
    named.sort(key=lambda each: each[1].rank)
    if len(named) == 1 and not plan.sort:
        return named[0][0], PROBE
    best, least = None, PROBE
    enough = least // 10
    for at, s in named:
        if least <= enough:
            break
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {s.tables} WHERE {s.where.text} LIMIT {least})"
        many = _number(db, sql, s.where.values)
        if many < least or (best is None and at >= 0):
            best, least = at, min(many, least)
    return -1 if best is None else best, least


def _number(db: Database, sql: str, values: Sequence[str | int | float]) -> int:
    row = db.execute(sql, values).fetchone()
    return int(row[0]) if row else 0


def _candidates(plan: Plan, begin: int, *more: Sql) -> tuple[str, Sql, str]:
    """Return FROM, WHERE and key of what matches and may be seen; ``more`` are conditions on ``{key}``."""
    source = plan.filters[begin].source if begin >= 0 else None
    source = source or plan.maker.everything(plan.kind)
    rest = [f.on(source.key) for at, f in enumerate(plan.filters) if at != begin]
    added = [Sql(m.text.replace("{key}", source.key), m.values) for m in more]
    return source.tables, both(source.where, *rest, *added, plan.maker.visible(source.key)), source.key


def _page(db: Database, plan: Plan, begin: int, many: int, start: cursor.Position | None) -> list[cursor.Position]:
    """Return the rows of a page and one more where there is one."""
    if not plan.sort:
        return _unsorted(db, plan, begin, start, plan.count + 1)
    if many < PROBE:
        return _sorted(db, plan, begin, start, plan.count + 1)
    rows: list[cursor.Position] = []
    if start is None or start.values[0] is not None:
        rows = _walked(db, plan, start)
        start = None
    left = plan.count + 1 - len(rows)
    first = plan.sort[0]
    if left > 0 and first.table != "resource" and not any(f.number in first.numbers for f in plan.filters):
        rows += _sorted(db, plan, begin, start, left, Sql(first.missing("{key}"), ()))
    return rows


def _unsorted(db: Database, plan: Plan, begin: int, start: cursor.Position | None, most: int) -> list[cursor.Position]:
    more = [Sql("{key} > ?", (start.key,))] if start else []
    tables, where, key = _candidates(plan, begin, *more)
    sql = f"SELECT DISTINCT {key} FROM {tables} WHERE {where.text} ORDER BY {key} LIMIT ?"
    return [cursor.Position([], row[0]) for row in db.execute(sql, (*where.values, most))]


def _sorted(
    db: Database, plan: Plan, begin: int, start: cursor.Position | None, most: int, *more: Sql
) -> list[cursor.Position]:
    """Order all that matches: for what a filter has made few, and for what lacks the first key's value."""
    tables, where, key = _candidates(plan, begin, *more)
    columns = [f"s{at}" for at in range(len(plan.sort))]
    made = ", ".join(f"{k.of('c.key')} AS {column}" for k, column in zip(plan.sort, columns, strict=True))
    beyond = after(plan.sort, columns, "key", start.values, start.key) if start else Sql("1", ())
    sql = (
        f"WITH c(key) AS MATERIALIZED (SELECT DISTINCT {key} FROM {tables} WHERE {where.text}),"
        f" o AS MATERIALIZED (SELECT c.key AS key, {made} FROM c)"
        f" SELECT key, {', '.join(columns)} FROM o WHERE {beyond.text}"
        f" ORDER BY {order(plan.sort, columns, 'key')} LIMIT ?"
    )
    return [cursor.Position(list(row[1:]), row[0]) for row in db.execute(sql, (*where.values, *beyond.values, most))]


def _walked(db: Database, plan: Plan, start: cursor.Position | None) -> list[cursor.Position]:
    """Walk the index of the first key in its order and test every filter, until a page is full."""
    first, *others = plan.sort
    columns = [f"w.{first.column}", *(k.of("w.key") for k in others)]
    conditions = [f.on("w.key") for f in plan.filters]
    if first.table == "resource":
        conditions.append(Sql("w.type = ?", (types()[plan.kind],)) if plan.kind else Sql("1", ()))
    else:
        conditions.insert(0, Sql(first.rows("w"), ()))
    if start and (value := start.values[0]) is not None:
        conditions.append(Sql(f"{columns[0]} {'<=' if first.down else '>='} ?", (value,)))
        conditions.append(after(plan.sort, columns, "w.key", start.values, start.key))
    where = both(*conditions, plan.maker.visible("w.key"))
    ways = [f"{columns[0]}{' DESC' if first.down else ''}"]
    rest = order(plan.sort, columns, "w.key").split(", ", 2)[2]
    sql = (
        f"SELECT w.key, {first.of('w.key')}, {', '.join(columns)} FROM ix.{first.table} w WHERE {where.text}"
        f" ORDER BY {', '.join([*ways, rest])}"
    )
    found: dict[int, cursor.Position] = {}
    for row in db.execute(sql, where.values):
        if row[1] == row[2]:  # not another value of what an earlier page had
            found.setdefault(row[0], cursor.Position(list(row[2:]), row[0]))
        if len(found) > plan.count:
            break
    return list(found.values())


def _total(db: Database, plan: Plan, begin: int) -> int | None:
    if plan.total == "none":
        return None
    tables, where, key = _candidates(plan, begin)
    bound = f" LIMIT {ESTIMATE}" if plan.total == "estimate" else ""
    return _number(
        db, f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {tables} WHERE {where.text}{bound})", where.values
    )
