"""The part of FHIRPath that R4's search parameters are written in, compiled to closures over plain dicts.

An expression becomes :class:`Leg` values, one for each type it can yield: R4's element table says at compile time
that ``Observation.value`` is ``valueQuantity`` of type Quantity, ``valueString`` of type string and so on, so that
nothing looks for types while a resource is read. Understood: paths from a type's name, ``$this`` or ``%resource``,
``|``, ``as``, ``is``, ``=``, ``!=``, ``and``, ``or``, ``[n]``, ``where()``, ``as()``, ``ofType()``, ``exists()``,
``empty()``, ``first()`` and ``resolve() is Type``, which looks at the reference alone.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, cast

from hanmaru.care.domain import CareError
from hanmaru.care.fhir.definitions import elements

Get = Callable[[Any, Any], list[Any]]
"""(the element that the path starts from, the whole resource) → the elements found."""


class Leg(NamedTuple):
    """What an expression yields of one type."""

    type: str
    get: Get


_TOKEN: Final = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|(\d+)|([$%]?[A-Za-z_]\w*)|(!=|[.()\[\]|=]))")
_WORDS: Final = {"Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"}
_RESOLVED: Final = "resolve()"


def compile(expression: str, type: str) -> tuple[Leg, ...]:
    """Compile an expression whose ``$this`` is an element of ``type`` (a type's name or an element's path).

    Raises CareError where the expression is not of the subset or names what R4 does not have.
    """
    parser = _Parser(expression, type)
    legs = parser.union_or_logic()
    if parser.at < len(parser.tokens):
        raise parser.wrong()
    return tuple(legs)


def reference_type(reference: Any) -> str:
    """Return the type a Reference names ("" if it does not say): by its text, or else by its ``type``."""
    if not isinstance(reference, dict):
        return ""
    element = cast("dict[str, Any]", reference)
    text = element.get("reference")
    if isinstance(text, str) and not text.startswith("#"):
        parts = text.split("/_history/")[0].rsplit("/", 2)
        if len(parts) >= 2 and parts[-2] in elements():
            return parts[-2]
    said = element.get("type")
    return said if isinstance(said, str) else ""


def _tokens(expression: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CareError(f"the path {expression!r} cannot be read at character {at + 1}")
        found.append(match.group().strip())
        at = match.end()
    return found


class _Parser:
    """Recursive descent; every method returns the legs of what it has read."""

    def __init__(self, expression: str, type: str) -> None:
        self.expression, self.type = expression, type
        self.tokens = _tokens(expression)
        self.at = 0

    def wrong(self) -> CareError:
        seen = self.tokens[self.at] if self.at < len(self.tokens) else "its end"
        return CareError(f"the path {self.expression!r} is not understood at {seen}")

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if not token or (wanted and token not in wanted):
            raise self.wrong()
        self.at += 1
        return token

    def union_or_logic(self) -> list[Leg]:
        left = self.equality()
        while self.peek() in ("and", "or"):
            word = self.take()
            left = [_logic(word, left, self.equality())]
        return left

    def equality(self) -> list[Leg]:
        left = self.union()
        if self.peek() in ("=", "!="):
            sign = self.take()
            return [_compare(sign, left, self.union())]
        return left

    def union(self) -> list[Leg]:
        legs = self.typed()
        while self.peek() == "|":
            self.take()
            legs = legs + self.typed()
        return legs

    def typed(self) -> list[Leg]:
        legs = self.path()
        while self.peek() in ("as", "is"):
            word = self.take()
            legs = _only(legs, self.take()) if word == "as" else [_is(legs, self.take())]
        return legs

    def path(self) -> list[Leg]:
        legs = self.term()
        while self.peek() in (".", "["):
            if self.take() == "[":
                legs = [_at(leg, int(self.take())) for leg in legs]
                self.take("]")
            else:
                legs = self.invocation(legs, self.take())
        return legs

    def term(self) -> list[Leg]:
        word = self.take()
        if word == "(":
            legs = self.union_or_logic()
            self.take(")")
            return legs
        if word.startswith("'"):
            return [_literal("string", re.sub(r"\\(.)", r"\1", word[1:-1]))]
        if word in ("true", "false"):
            return [_literal("boolean", word == "true")]
        if word == "$this" or word in (self.type, "Resource", "DomainResource"):
            return [Leg(self.type, _this)]
        if word == "%resource":
            return [Leg(self.type.split(".")[0], _root)]
        return self.invocation([Leg(self.type, _this)], word)

    def invocation(self, legs: list[Leg], name: str) -> list[Leg]:
        if self.peek() != "(":
            return [child for leg in legs for child in _children(leg, name, self)]
        self.take("(")
        found: list[Leg] = []
        if name in ("as", "ofType"):
            found = _only(legs, self.take())
        elif name == "where":
            start = self.at
            for leg in legs:
                self.at = start
                outer, self.type = self.type, leg.type
                found.append(_where(leg, self.union_or_logic()))
                self.type = outer
        elif name == "resolve":
            found = [Leg(_RESOLVED, leg.get) for leg in legs]
        elif name in ("exists", "empty"):
            found = [_exists(legs, name == "exists")]
        elif name == "first":
            found = [_at(leg, 0) for leg in legs]
        else:
            raise self.wrong()
        self.take(")")
        return found


def _children(leg: Leg, name: str, parser: _Parser) -> list[Leg]:
    table = elements().get("Quantity" if leg.type in _WORDS else leg.type, {})
    if name in table:
        return [Leg(type, _step(leg.get, name)) for type in table[name].split("|")]
    if f"{name}[x]" in table:
        types = table[f"{name}[x]"].split("|")
        return [Leg(type, _step(leg.get, name + type[0].upper() + type[1:])) for type in types]
    raise CareError(f"the path {parser.expression!r} names {name!r}, which {leg.type} does not have")


def _this(this: Any, root: Any) -> list[Any]:
    return [this]


def _root(this: Any, root: Any) -> list[Any]:
    return [root]


def _step(get: Get, name: str) -> Get:
    def step(this: Any, root: Any) -> list[Any]:
        found: list[Any] = []
        for element in get(this, root):
            if isinstance(element, dict):
                value: Any = cast("dict[str, Any]", element).get(name)
                if isinstance(value, list):
                    found.extend(x for x in cast("list[Any]", value) if x is not None)
                elif value is not None:
                    found.append(value)
        return found

    return step


def _literal(type: str, value: Any) -> Leg:
    def literal(this: Any, root: Any) -> list[Any]:
        return [value]

    return Leg(type, literal)


def _all(legs: Sequence[Leg], this: Any, root: Any) -> list[Any]:
    return [value for leg in legs for value in leg.get(this, root)]


def _true(legs: Sequence[Leg], this: Any, root: Any) -> bool:
    return _all(legs, this, root) == [True]


def _only(legs: Sequence[Leg], type: str) -> list[Leg]:
    return [leg for leg in legs if leg.type == type]


def _at(leg: Leg, at: int) -> Leg:
    def one(this: Any, root: Any) -> list[Any]:
        return leg.get(this, root)[at : at + 1]

    return Leg(leg.type, one)


def _where(leg: Leg, criteria: Sequence[Leg]) -> Leg:
    def where(this: Any, root: Any) -> list[Any]:
        return [x for x in leg.get(this, root) if _true(criteria, x, root)]

    return Leg(leg.type, where)


def _is(legs: Sequence[Leg], wanted: str) -> Leg:
    def tell(this: Any, root: Any) -> list[Any]:
        return [
            (reference_type(value) if leg.type == _RESOLVED else leg.type) == wanted
            for leg in legs
            for value in leg.get(this, root)
        ]

    return Leg("boolean", tell)


def _exists(legs: Sequence[Leg], wanted: bool) -> Leg:
    def exists(this: Any, root: Any) -> list[Any]:
        return [bool(_all(legs, this, root)) is wanted]

    return Leg("boolean", exists)


def _compare(sign: str, left: Sequence[Leg], right: Sequence[Leg]) -> Leg:
    def compare(this: Any, root: Any) -> list[Any]:
        a, b = _all(left, this, root), _all(right, this, root)
        return [(a == b) is (sign == "=")] if a and b else []

    return Leg("boolean", compare)


def _logic(word: str, left: Sequence[Leg], right: Sequence[Leg]) -> Leg:
    def both(this: Any, root: Any) -> list[Any]:
        return [_true(left, this, root) and _true(right, this, root)]

    def either(this: Any, root: Any) -> list[Any]:
        return [_true(left, this, root) or _true(right, this, root)]

    return Leg("boolean", both if word == "and" else either)
