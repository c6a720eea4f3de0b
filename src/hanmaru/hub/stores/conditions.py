"""Compile queries and grants to SQL conditions that SQLite and PostgreSQL both understand.

Conditions speak of the alias ``e`` of table ``entity``; parameters are ``?``. Names are interned per tenant in table
``term``, so conditions carry numbers, and a name that was never stored makes a condition that nothing meets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.index import FALSE, TRUE
from hanmaru.hub.model import LOCATION, encode
from hanmaru.hub.query import And, EntityQuery, Has, Node, Or, Scalar, Span, Term, names_of, scope_pattern, terms_of
from hanmaru.hub.visibility import Attributes, area_query
from hanmaru.platform.access import Area, Grant

NOTHING = "0=1"
_TEXT = f"v.txt NOT IN ('{TRUE}','{FALSE}')"


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL condition with its parameters."""

    sql: str
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the databases differ.

    The conditions that ``v.txt`` contains a pattern, that ``e.id`` does and that some geometry of ``e`` of an attribute
    touches a box, how the database writes a pattern, and what keeps it from turning a look-up per entity into a join.
    """

    text_matches: str
    id_matches: str
    touches: str
    pattern: Callable[[str], str] = str
    fence: str = ""


def shared_area(grants: Sequence[Grant]) -> Area | None:
    """Return the area that all grants share."""
    return None if areas_differ(grants) or not grants else grants[0].area


def areas_differ(grants: Sequence[Grant]) -> bool:
    """Whether which attributes are visible depends on places, so that conditions give candidates only."""
    return len({grant.area for grant in grants}) > 1


def cover(grants: Sequence[Grant]) -> list[GeoQuery]:
    """Return a condition that whatever the grants match meets, where all of them have areas."""
    boxes = [box for grant in grants if grant.area and (box := area_query(grant.area).box())]
    if not boxes or len(boxes) < len(grants):
        return []
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    geometry = encode({"type": "Polygon", "coordinates": [ring]}).decode()
    return [GeoQuery("intersects", geometry, LOCATION)]


def texts_of(query: EntityQuery, grants: Sequence[Grant]) -> set[str]:
    """Return every name whose number a query needs."""
    texts = set(names_of(query.types)) | set(query.attrs)
    texts.update(*(grant.types or () for grant in grants), (LOCATION for grant in grants if grant.area))
    texts |= {text for term in terms_of(query.q) for text in (term.attribute, term.path)}
    if query.geo:
        texts.add(query.geo.attribute)
    return texts


def conjuncts(node: Node | None) -> list[Node]:
    """Return the parts that must all hold."""
    if node is None:
        return []
    return [p for part in node.parts for p in conjuncts(part)] if isinstance(node, And) else [node]


@dataclass(frozen=True, slots=True)
class _Sight:
    """Grants as conditions. An area that all share is left to who decides geometry; differing ones are boxes here."""

    grants: Sequence[Grant]
    ids: Mapping[str, int]
    dialect: Dialect
    live: bool

    def some(self, grants: Sequence[Grant]) -> Condition | None:
        """Return the condition that one of some grants matches; None when one always does."""
        found: list[Condition] = []
        for grant in grants:
            parts = list(self._parts(grant))
            if not parts:
                return None
            found.append(_both(parts))
        return _either(found)

    def _parts(self, grant: Grant) -> Iterator[Condition]:
        if grant.types is not None:
            yield any_type(sorted(grant.types), self.ids, self.live, self.dialect.fence)
        if grant.scopes is not None:
            yield _either([_has_scope(scope.rstrip("/") + "/#", self.dialect) for scope in grant.scopes])
        if grant.area is not None and areas_differ(self.grants):
            box = area_query(grant.area).box() or ()
            yield Condition(self.dialect.touches, (self.ids.get(LOCATION, -1), *box))

    def showing(self, attribute: str) -> Condition | None:
        """Return the condition that a visible entity shows an attribute; None when every one does."""
        showing = [g for g in self.grants if g.attributes is None or attribute in g.attributes]
        return self.some(showing) if len(showing) < len(self.grants) else None

    def shown(self, attribute: str, condition: Condition) -> Condition:
        """Return a condition on an attribute for entities that show it."""
        matched = self.showing(attribute)
        return condition if matched is None else _both([matched, condition])

    def by_attributes(self, more: Callable[[Attributes], Condition]) -> Condition:
        """Return a condition that depends on which attributes are visible."""
        alike: dict[Attributes, list[Grant]] = {}
        for grant in self.grants:
            alike.setdefault(grant.attributes, []).append(grant)
        found: list[Condition] = []
        for attributes, grants in alike.items():
            matched = self.some(grants) if len(alike) > 1 else None
            found.append(more(attributes) if matched is None else _both([matched, more(attributes)]))
        return _either(found)


def compile_query(
    query: EntityQuery,
    grants: Sequence[Grant],
    ids: Mapping[str, int],
    dialect: Dialect,
    *,
    live: bool = True,
    more: Callable[[Attributes], Condition] | None = None,
) -> list[Condition]:
    """Return the conditions of a query as far as grants let it see, geometry apart. ``ids`` numbers the names.

    ``more`` gives a further condition, on visible attributes. Where the grants' areas differ, what meets the conditions
    is a candidate only.
    """
    sight = _Sight(grants, ids, dialect, live)
    found: list[Condition] = []
    if query.types is not None:

        def of_type(has: Has) -> Condition:
            return any_type([has.name], ids, live, dialect.fence)

        found.append(_tree(query.types, of_type))
    if (matched := sight.some(grants)) is not None:
        found.append(matched)
    if query.ids:
        found.append(Condition(f"e.id IN ({_marks(query.ids)})", tuple(query.ids)))
    if query.id_pattern is not None:
        found.append(Condition(dialect.id_matches, (dialect.pattern(query.id_pattern),)))
    if query.attrs:
        found.append(_either([sight.shown(a, _has_attribute(a, ids, dialect.fence)) for a in query.attrs]))
    if query.geo is not None and (matched := sight.showing(query.geo.attribute)) is not None:
        found.append(matched)
    if query.q is not None:

        def compared(term: Term) -> Condition:
            return sight.shown(term.attribute, term_condition(term, ids, dialect))

        found.append(_tree(query.q, compared))
    if query.scopes is not None:

        def in_scope(has: Has) -> Condition:
            return _has_scope(has.name, dialect)

        found.append(_tree(query.scopes, in_scope))
    if more is not None:
        found.append(sight.by_attributes(more))
    return found


def any_type(names: Sequence[str], ids: Mapping[str, int], live: bool, fence: str = "") -> Condition:
    """Return the condition that an entity has one of the types."""
    known = [ids[name] for name in names if name in ids]
    if not known:
        return Condition(NOTHING)
    sql = (
        f"EXISTS (SELECT 1 FROM entity_type t WHERE t.entity=e.key AND t.type IN ({_marks(known)}){_live(live)}{fence})"
    )
    return Condition(sql, tuple(known))


def _live(live: bool) -> str:
    return " AND t.live=1" if live else " AND t.live IN (0,1)"


def _has_attribute(name: str, ids: Mapping[str, int], fence: str) -> Condition:
    if name not in ids:
        return Condition(NOTHING)
    return Condition(f"EXISTS (SELECT 1 FROM value v WHERE v.entity=e.key AND v.attr=?{fence})", (ids[name],))


def _has_scope(wanted: str, dialect: Dialect) -> Condition:
    fence = dialect.fence
    head = "EXISTS (SELECT 1 FROM entity_scope s WHERE s.entity=e.key AND "
    if "+" in wanted:
        matched = dialect.text_matches.replace("v.txt", "s.scope")
        return Condition(f"{head}{matched}{fence})", (dialect.pattern(scope_pattern(wanted)),))
    if wanted.endswith("/#"):
        under = wanted[:-1]
        return Condition(
            f"{head}(s.scope=? OR (s.scope>=? AND s.scope<?)){fence})", (wanted[:-2], under, under[:-1] + "0")
        )
    return Condition(f"{head}s.scope=?{fence})", (wanted,))


def term_condition(term: Term, ids: Mapping[str, int], dialect: Dialect) -> Condition:
    """Return the condition that an entity has a value that satisfies one comparison."""
    if term.attribute not in ids or term.path not in ids:
        return Condition(NOTHING)
    head = "EXISTS (SELECT 1 FROM value v WHERE v.entity=e.key AND v.attr=? AND +v.path=?"  # + keeps to the primary key
    where = (ids[term.attribute], ids[term.path])
    end = dialect.fence + ")"
    present = Condition(head + (f" AND v.{term.member} IS NOT NULL" if term.member else "") + end, where)
    if term.operator == "exists":
        return present
    compared = comparison(term, dialect)
    positive = Condition(f"{head} AND {compared.sql}{end}", where + compared.params)
    if term.operator not in ("!=", "!~="):
        return positive
    return Condition(f"({present.sql} AND NOT {positive.sql})", present.params + positive.params)


def comparison(term: Term, dialect: Dialect) -> Condition:
    """Return the condition on one row of ``value v``, of the operator or, for a negative one, of its opposite."""
    operator = {"!=": "==", "!~=": "~="}.get(term.operator, term.operator)
    return _either([_compare(operator, operand, term.member, dialect) for operand in term.operands])


def _compare(operator: str, operand: Scalar | Span, member: str | None, dialect: Dialect) -> Condition:
    if isinstance(operand, Span):
        low = _compare(">=", operand.low, member, dialect)
        high = _compare("<=", operand.high, member, dialect)
        return Condition(f"({low.sql} AND {high.sql})", low.params + high.params)
    if operator == "~=":
        matches = Condition(f"({_TEXT} AND {dialect.text_matches})", (dialect.pattern(str(operand)),))
        return Condition(NOTHING) if member else matches
    sql_operator = "=" if operator == "==" else operator
    if member:
        return Condition(f"v.{member}{sql_operator}?", (int(operand),))
    if not isinstance(operand, str):
        return Condition(f"v.num{sql_operator}?", (operand,))
    if operator == "==":
        return Condition("(v.num IS NULL AND v.txt=?)", (operand,))
    if operand.startswith("\x01"):
        return Condition(NOTHING)
    return Condition(f"(v.num IS NULL AND {_TEXT} AND v.txt{sql_operator}?)", (operand,))


def _tree(node: Node, leaf: Callable[[Any], Condition]) -> Condition:
    match node:
        case And(parts):
            return _both([_tree(part, leaf) for part in parts])
        case Or(parts):
            return _either([_tree(part, leaf) for part in parts])
        case Has() | Term():
            return leaf(node)


def _both(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    return Condition(
        "(" + " AND ".join(c.sql for c in conditions) + ")", tuple(p for c in conditions for p in c.params)
    )


def _either(conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return Condition(NOTHING)
    if len(conditions) == 1:
        return conditions[0]
    return Condition("(" + " OR ".join(c.sql for c in conditions) + ")", tuple(p for c in conditions for p in c.params))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
