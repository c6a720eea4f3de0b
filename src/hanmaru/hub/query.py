"""The query language (ETSI GS CIM 009, 4.9), type selection (4.17) and scope queries (4.19), parsed to small trees.

The stores compile the trees to their own language; `matches` decides the same questions in memory for the notifier.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import re2  # pyright: ignore[reportMissingTypeStubs]

from hanmaru.hub.geometry import GeoQuery
from hanmaru.hub.index import FALSE, TRUE, US, Row, text_key
from hanmaru.hub.model import Entity
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import micros, sortable
from hanmaru.platform.problems import bad_request

Operator = Literal["==", "!=", ">", ">=", "<", "<=", "~=", "!~=", "exists"]
Member = Literal["observed", "created", "modified"]
_MEMBERS: dict[str, Member] = {"observedAt": "observed", "createdAt": "created", "modifiedAt": "modified"}
_RE2: Any = re2  # it carries no types
_QUIET = _RE2.Options()
_QUIET.log_errors = False
_QUIET.max_mem = 2 << 20
"""Bytes of one compiled pattern, of which many are remembered; RE2's own limit is four times as much."""
MAX_LENGTH = 8_192
MAX_DEPTH = 32

Scalar = float | str


@dataclass(frozen=True, slots=True)
class Span:
    """A closed range of numbers or texts."""

    low: Scalar
    high: Scalar


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison: any value at ``path`` (see `hanmaru.hub.index`) with any of ``operands``.

    ``attribute`` is the attribute's expanded name, ``member`` an instant of the attribute instead of its value, in
    microseconds since 1970.
    """

    attribute: str
    path: str
    operator: Operator
    operands: tuple[Scalar | Span, ...] = ()
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Has:
    """An entity type (expanded), or for scopes a scope: itself, or with a final ``/#`` what lies under it."""

    name: str


Node = And | Or | Term | Has


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """A query on current state, expanded and parsed; empty members do not restrict."""

    types: Node | None = None
    ids: tuple[str, ...] = ()
    id_pattern: str | None = None
    attrs: tuple[str, ...] = ()
    q: Node | None = None
    geo: GeoQuery | None = None
    scopes: Node | None = None
    limit: int = 20
    offset: int = 0
    count: bool = False


@dataclass(frozen=True, slots=True)
class TemporalQuery:
    """Which instances of which attributes: ``property`` is the instant asked for, bounds in microseconds, half-open.

    ``last_n`` keeps the newest instances of each attribute, ``limit`` bounds the instances of one attribute.
    """

    property: Literal["observedAt", "createdAt", "modifiedAt", "deletedAt"] = "observedAt"
    start: int | None = None
    end: int | None = None
    attrs: tuple[str, ...] = ()
    last_n: int | None = None
    limit: int = 10_000

    def selects(self) -> bool:
        """Whether an entity without such instances is none to be found."""
        return bool(self.attrs) or self.start is not None or self.end is not None

    def among(self, attributes: frozenset[str] | None) -> list[str] | None:
        """Return those of some attributes that are asked for (None: all)."""
        if self.attrs:
            return [name for name in self.attrs if attributes is None or name in attributes]
        return None if attributes is None else sorted(attributes)


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<op>!~=|~=|==|!=|>=|<=|>|<)
    | (?P<sym>[();|,]|\.\.)
    | (?P<word>(?:(?!\.\.|==|!=|~=|!~=)[^\s"();|,<>=~!\[\]]|\[[^\]]*\]|!(?![=~]))+)
    )""",
    re.VERBOSE,
)


class _Parser:
    def __init__(self, text: str, what: str) -> None:
        if len(text) > MAX_LENGTH:
            raise bad_request(f"{what} is longer than {MAX_LENGTH} characters")
        self.what, self.text, self.tokens, self.at, self.depth = what, text, list[tuple[str, str]](), 0, 0
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error(f"cannot read it from {text[position : position + 20]!r}")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind]))
            position = match.end()

    def error(self, why: str) -> Exception:
        return bad_request(f"{self.what}={self.text!r}: {why}")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def parse(self, leaf: Callable[[], Node], *, comma_or: bool = False) -> Node:
        node = self.disjunction(leaf, comma_or)
        if self.peek()[0] != "end":
            raise self.error(f"did not expect {self.peek()[1]!r}")
        return node

    def disjunction(self, leaf: Callable[[], Node], comma_or: bool) -> Node:
        parts = [self.conjunction(leaf, comma_or)]
        while self.peek() in ((("sym", "|"), ("sym", ",")) if comma_or else (("sym", "|"),)):
            self.take()
            parts.append(self.conjunction(leaf, comma_or))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self, leaf: Callable[[], Node], comma_or: bool) -> Node:
        parts = [self.unit(leaf, comma_or)]
        while self.peek() == ("sym", ";"):
            self.take()
            parts.append(self.unit(leaf, comma_or))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def unit(self, leaf: Callable[[], Node], comma_or: bool) -> Node:
        if self.peek() != ("sym", "("):
            return leaf()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"parentheses are nested deeper than {MAX_DEPTH}")
        self.take()
        node = self.disjunction(leaf, comma_or)
        if self.take() != ("sym", ")"):
            raise self.error("a closing parenthesis is missing")
        self.depth -= 1
        return node


def parse_q(text: str, terms: TermMap, *, expand_values: Sequence[str] = ()) -> Node:
    """Parse ``q``; ``expand_values`` names attributes whose operands are terms to expand. Raises a 400 problem."""
    parser = _Parser(text, "q")

    def leaf() -> Node:
        kind, word = parser.take()
        if kind != "word":
            raise parser.error(f"expected an attribute name, not {word or 'its end'!r}")
        attribute, path, member = _path(word, terms, parser)
        if parser.peek()[0] != "op":
            return Term(attribute, path, "exists", (), member)
        operator: Any = parser.take()[1]
        expand = word.partition(".")[0].partition("[")[0] in expand_values
        operands = [_operand(parser, operator, member, terms if expand else None)]
        while parser.peek() == ("sym", ",") and operator in ("==", "!="):
            parser.take()
            operands.append(_operand(parser, operator, member, terms if expand else None))
        return Term(attribute, path, operator, tuple(operands), member)

    return parser.parse(leaf)


def _path(word: str, terms: TermMap, parser: _Parser) -> tuple[str, str, Member | None]:
    trail = ""
    if "[" in word:
        word, _, rest = word.partition("[")
        if not word or not rest.endswith("]") or "[" in rest or not rest[:-1]:
            raise parser.error("a trailing path is written in brackets after the attribute: address[city]")
        trail = f"[{rest[:-1]}]"
    names = _split_names(word)
    member = _MEMBERS.get(names[-1]) if len(names) > 1 and not trail else None
    if member:
        names.pop()
    expanded = [terms.expand(name) for name in names]
    return expanded[0], US.join(expanded) + trail, member


def _split_names(word: str) -> list[str]:
    """Split ``a.b.c``; an absolute IRI keeps its dots."""
    return [word] if "://" in word else word.split(".")


def _operand(parser: _Parser, operator: str, member: Member | None, terms: TermMap | None) -> Scalar | Span:
    low = _scalar(parser, operator, member, terms)
    if parser.peek() != ("sym", ".."):
        return low
    if operator not in ("==", "!="):
        raise parser.error("a range goes with == or !=")
    parser.take()
    high = _scalar(parser, operator, member, terms)
    if isinstance(low, str) != isinstance(high, str):
        raise parser.error("both ends of a range must be numbers or both texts")
    return Span(low, high)


def _scalar(parser: _Parser, operator: str, member: Member | None, terms: TermMap | None) -> Scalar:
    kind, word = parser.take()
    if kind not in ("word", "string"):
        raise parser.error(f"expected a value, not {word or 'its end'!r}")
    if kind == "string":
        word = re.sub(r"\\(.)", r"\1", word[1:-1]) if operator not in ("~=", "!~=") else word[1:-1]
    if operator in ("~=", "!~="):
        return check_pattern(word, parser.what)
    if member:
        if sortable(word) is None:
            raise parser.error(f"{word!r} is not an ISO 8601 date and time with a time zone")
        return float(micros(sortable(word) or ""))
    if kind == "word":
        if word in ("true", "false"):
            return TRUE if word == "true" else FALSE
        try:
            if not word[0].isalpha() and (number := float(word)) == number:  # never NaN
                return number
        except ValueError:
            pass
    return text_key(terms.expand(word) if terms else word)


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Return a compiled RE2 pattern."""
    return _RE2.compile(pattern, _QUIET)


def check_pattern(pattern: str, what: str) -> str:
    """Return a regular expression; raise a 400 problem when it is none (RE2 syntax, so matching time is linear)."""
    if "\0" in pattern:
        raise bad_request(f"{what}: a pattern has no NUL")
    try:
        compile_pattern(pattern)
    except _RE2.error as error:
        raise bad_request(f"{what}: {pattern!r} is not a valid pattern: {error}") from None
    return pattern


def parse_types(text: str, terms: TermMap) -> Node:
    """Parse a type selection such as ``A,B`` or ``(A;B)|C`` to expanded types."""
    parser = _Parser(text, "type")

    def leaf() -> Node:
        kind, word = parser.take()
        if kind != "word":
            raise parser.error(f"expected an entity type, not {word or 'its end'!r}")
        return Has(terms.expand(word))

    return parser.parse(leaf, comma_or=True)


def parse_scopes(text: str) -> Node:
    """Parse a scope query such as ``/a/b;/c/#``; ``+`` stands for any one level."""
    parser = _Parser(text, "scopeQ")

    def leaf() -> Node:
        kind, word = parser.take()
        if kind != "word" or any("+" in level and level != "+" for level in word.split("/")):
            raise parser.error(f"expected a scope such as /a/b, /a/+/b or /a/#, not {word or 'its end'!r}")
        return Has("/" + word.lstrip("/"))

    return parser.parse(leaf, comma_or=True)


def names_of(node: Node | None) -> frozenset[str]:
    """Return the names in a type selection or scope query."""
    match node:
        case Has(name):
            return frozenset({name})
        case And(parts) | Or(parts):
            return frozenset[str]().union(*(names_of(part) for part in parts))
        case _:
            return frozenset()


def terms_of(node: Node | None) -> list[Term]:
    """Return the comparisons of a ``q`` tree."""
    match node:
        case Term():
            return [node]
        case And(parts) | Or(parts):
            return [term for part in parts for term in terms_of(part)]
        case _:
            return []


def holds(node: Node, leaf: Callable[[Any], bool]) -> bool:
    """Evaluate a tree whose leaves ``leaf`` decides."""
    match node:
        case And(parts):
            return all(holds(part, leaf) for part in parts)
        case Or(parts):
            return any(holds(part, leaf) for part in parts)
        case _:
            return leaf(node)


def in_types(node: Node, entity: Entity) -> bool:
    """Whether an entity's types satisfy a type selection."""
    return holds(node, lambda has: has.name in entity.types)


def in_scopes(node: Node, scopes: Sequence[str]) -> bool:
    """Whether scopes satisfy a scope query."""
    return holds(node, lambda has: any(scope_matches(has.name, scope) for scope in scopes))


def scope_matches(wanted: str, scope: str) -> bool:
    """Whether a scope is the wanted one, or lies at or under it where that ends in ``/#``."""
    if "+" in wanted:
        return pattern_found(scope_pattern(wanted), scope)
    if wanted.endswith("/#"):
        return scope == wanted[:-2] or scope.startswith(wanted[:-1])
    return scope == wanted


def scope_pattern(wanted: str) -> str:
    """Return the pattern of a scope with ``+`` for any one level and perhaps a final ``/#``."""
    levels = wanted.removesuffix("/#").split("/")[1:]
    pattern = "".join("/" + ("[^/]+" if level == "+" else re.escape(level)) for level in levels)
    return f"^{pattern}(/.*)?$" if wanted.endswith("/#") else f"^{pattern}$"


def matches(node: Node, rows: Mapping[str, Sequence[Row]]) -> bool:
    """Whether an entity's index rows (`hanmaru.hub.index.entity_rows`) satisfy ``q``."""
    return holds(node, lambda term: _term_matches(term, rows.get(term.path, ())))


def _term_matches(term: Term, rows: Sequence[Row]) -> bool:
    values: list[tuple[float | None, str | None]]
    if term.member is None:
        values = [(row.num, row.txt) for row in rows]
    else:
        instants: list[int | None] = [getattr(row, term.member) for row in rows]
        values = [(float(instant), None) for instant in instants if instant is not None]
    if term.operator == "exists":
        return bool(values)
    if term.operator in ("!=", "!~="):
        positive = "==" if term.operator == "!=" else "~="
        return bool(values) and not any(_compare(positive, v, operand) for v in values for operand in term.operands)
    return any(_compare(term.operator, v, operand) for v in values for operand in term.operands)


def _compare(operator: str, value: tuple[float | None, str | None], operand: Scalar | Span) -> bool:
    if isinstance(operand, Span):
        return _compare(">=", value, operand.low) and _compare("<=", value, operand.high)
    if operator == "~=":
        return value[1] is not None and not value[1].startswith("\x01") and pattern_found(str(operand), value[1])
    own: Any = value[1] if isinstance(operand, str) else value[0]
    if own is None:
        return False
    reference: Any = operand
    if operator != "==" and isinstance(operand, str):
        if own.startswith("\x01") or operand.startswith("\x01"):
            return False
        own, reference = own.encode(), operand.encode()
    match operator:
        case "==":
            return own == reference
        case ">":
            return own > reference
        case ">=":
            return own >= reference
        case "<":
            return own < reference
        case _:
            return own <= reference


def pattern_found(pattern: str, text: str) -> bool:
    """Whether a pattern occurs in a text."""
    return compile_pattern(pattern).search(text) is not None
