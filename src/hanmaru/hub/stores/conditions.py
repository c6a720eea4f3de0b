"""Compile queries and access predicates to SQL conditions that SQLite and PostgreSQL both understand.

Conditions speak of the alias ``e`` of table ``entity``; parameters are ``?``. Names are interned per tenant in table
``term``, so conditions carry numbers, and a name that was never stored makes a condition that nothing meets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanmaru.hub.index import FALSE, TRUE
from hanmaru.hub.query import And, EntityQuery, Has, Node, Or, Scalar, Span, Term, names_of, scope_pattern
from hanmaru.platform.access import Access

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

    The conditions that ``v.txt`` contains a pattern and that ``e.id`` does, how the database writes a pattern, and what
    keeps it from turning a look-up per entity into a join.
    """

    text_matches: str
    id_matches: str
    pattern: Callable[[str], str] = str
    fence: str = ""


def texts_of(query: EntityQuery, access: Access) -> set[str]:
    """Return every name whose number a query needs."""
    texts = set(names_of(query.types)) | set(query.attrs) | set(access.types or ())
    texts |= {text for term in terms_of(query.q) for text in (term.attribute, term.path)}
    if query.geo:
        texts.add(query.geo.attribute)
    return texts


def terms_of(node: Node | None) -> list[Term]:
    """Return the comparisons of a ``q`` tree."""
    match node:
        case Term():
            return [node]
        case And(parts) | Or(parts):
            return [term for part in parts for term in terms_of(part)]
        case _:
            return []


def conjuncts(node: Node | None) -> list[Node]:
    """Return the parts that must all hold."""
    if node is None:
        return []
    return [p for part in node.parts for p in conjuncts(part)] if isinstance(node, And) else [node]


def compile_query(
    query: EntityQuery, access: Access, ids: Mapping[str, int], dialect: Dialect, *, live: bool = True
) -> list[Condition]:
    """Return the conditions of a query and an access predicate, geometry apart. ``ids`` numbers the names."""
    found: list[Condition] = []
    if query.types is not None:

        def of_type(has: Has) -> Condition:
            return any_type([has.name], ids, live, dialect.fence)

        found.append(_tree(query.types, of_type))
    if access.types is not None:
        found.append(any_type(sorted(access.types), ids, live, dialect.fence))
    if query.ids:
        found.append(Condition(f"e.id IN ({_marks(query.ids)})", tuple(query.ids)))
    if query.id_pattern is not None:
        found.append(Condition(dialect.id_matches, (dialect.pattern(query.id_pattern),)))
    if query.attrs:
        found.append(_either([_has_attribute(name, ids, access, dialect.fence) for name in query.attrs]))
    if query.q is not None:

        def compared(term: Term) -> Condition:
            return term_condition(term, ids, access, dialect)

        found.append(_tree(query.q, compared))
    if query.scopes is not None:

        def in_scope(has: Has) -> Condition:
            return _has_scope(has.name, dialect)

        found.append(_tree(query.scopes, in_scope))
    if access.scopes is not None:
        found.append(_either([_has_scope(scope.rstrip("/") + "/#", dialect) for scope in access.scopes]))
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


def _has_attribute(name: str, ids: Mapping[str, int], access: Access, fence: str) -> Condition:
    if name not in ids or (access.attributes is not None and name not in access.attributes):
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


def term_condition(term: Term, ids: Mapping[str, int], access: Access, dialect: Dialect) -> Condition:
    """Return the condition that an entity has a value that satisfies one comparison."""
    if term.attribute not in ids or term.path not in ids:
        return Condition(NOTHING)
    if access.attributes is not None and term.attribute not in access.attributes:
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
            made = [_tree(part, leaf) for part in parts]
            return Condition("(" + " AND ".join(c.sql for c in made) + ")", tuple(p for c in made for p in c.params))
        case Or(parts):
            return _either([_tree(part, leaf) for part in parts])
        case Has() | Term():
            return leaf(node)


def _either(conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return Condition(NOTHING)
    if len(conditions) == 1:
        return conditions[0]
    return Condition("(" + " OR ".join(c.sql for c in conditions) + ")", tuple(p for c in conditions for p in c.params))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
