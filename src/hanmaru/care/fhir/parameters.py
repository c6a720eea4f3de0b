"""A search's query taken apart: names with modifiers and chains, values with escapes and prefixes."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from hanmaru.platform.problems import Problem

MOST_PARAMETERS: Final = 100
MOST_VALUES: Final = 300
MOST_CHAIN: Final = 5
LONGEST: Final = 4000

PREFIXES: Final = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Step(NamedTuple):
    """One link of a chained name: ``subject:Patient`` of ``subject:Patient.name:exact``."""

    code: str
    modifier: str


def wrong(detail: str) -> Problem:
    """Refuse a search that cannot be understood, saying what to do."""
    return Problem(400, "The search cannot be understood", detail[:500])


def steps(name: str) -> tuple[Step, ...]:
    """Take a parameter's name apart at its dots and colons."""
    found: list[Step] = []
    for link in name.split("."):
        code, _, modifier = link.partition(":")
        if not _NAME.fullmatch(code) or len(found) >= MOST_CHAIN:
            raise wrong(f"The parameter {shown(name)} is not a name, or a chain of more than {MOST_CHAIN}.")
        found.append(Step(code, modifier))
    return tuple(found)


def split(text: str, at: str) -> list[str]:
    r"""Split at a character that no ``\`` escapes; the escapes stay."""
    if "\\" not in text:
        return text.split(at)
    parts: list[str] = []
    part, escaped = "", False
    for c in text:
        if c == at and not escaped:
            parts.append(part)
            part = ""
        else:
            part += c
        escaped = c == "\\" and not escaped
    return [*parts, part]


def plain(text: str) -> str:
    r"""Take the escapes away: ``\,`` ``\$`` ``\|`` and ``\\``."""
    return re.sub(r"\\([,$|\\])", r"\1", text) if "\\" in text else text


def prefixed(text: str) -> tuple[str, str]:
    """Return a value's prefix (``eq`` where there is none) and the rest."""
    if text[:2] in PREFIXES:
        return text[:2], text[2:]
    return "eq", text


def shown(text: str) -> str:
    """Return a name for an error's text; values are never shown, for they may be somebody's."""
    return "'" + re.sub(r"[^\w:.\-|$*]", "?", text)[:60] + "'"


def check(query: Sequence[tuple[str, str]]) -> None:
    """Refuse what is too much for one search, or is no text."""
    if len(query) > MOST_PARAMETERS:
        raise wrong(f"A search takes at most {MOST_PARAMETERS} parameters: send fewer.")
    values = 0
    for name, value in query:
        values += 1 + value.count(",")
        if len(name) > 300 or len(value) > LONGEST:
            raise wrong(f"A parameter of a search takes at most {LONGEST} characters: send fewer.")
        if "\0" in value or not _encodable(name + value):
            raise wrong("A search's parameters are UTF-8 text without NUL characters.")
    if values > MOST_VALUES:
        raise wrong(f"A search takes at most {MOST_VALUES} values: ask in several searches.")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
