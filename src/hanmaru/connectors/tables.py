"""Reading TOML tables so that every mistake is reported with file, key and remedy."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from hanmaru.connectors.errors import MappingError, nearest

T = TypeVar("T")
_NAMES: dict[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list in [ ]",
    dict: "a table",
}


class Table:
    """One TOML table: typed look-ups that note what was asked for, so that `done` can name keys nobody knows."""

    def __init__(self, file: str, path: str, content: Mapping[str, Any]) -> None:
        """Wrap ``content``; ``file`` and ``path`` are what errors name."""
        self.file, self.path, self.content = file, path, content
        self._asked: set[str] = set()

    def fail(self, key: str, remedy: str) -> MappingError:
        """Return the error for a key of this table."""
        return MappingError(self.file, f"{self.path}.{key}".strip("."), remedy)

    def has(self, key: str) -> bool:
        """Whether the table has the key."""
        self._asked.add(key)
        return key in self.content

    def get(self, key: str, type: type[T], default: T) -> T:
        """Return a member of the given type, or the default where it is absent."""
        self._asked.add(key)
        if key not in self.content:
            return default
        value = self.content[key]
        if type is float and isinstance(value, int) and not isinstance(value, bool):
            return cast(T, float(value))
        if not isinstance(value, type) or (type is int and isinstance(value, bool)):
            raise self.fail(key, f"must be {_NAMES[type]}, not {value!r}")
        return value

    def need(self, key: str, type: type[T], example: str) -> T:
        """Return a member that must be there; ``example`` is shown when it is not."""
        if not self.has(key):
            raise self.fail(key, f"is missing; write for example {example}")
        return self.get(key, type, cast(T, None))

    def optional(self, key: str, type: type[T]) -> T | None:
        """Return a member, or None where it is absent."""
        return self.get(key, type, cast(T, None)) if self.has(key) else None

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Return a member that must be one of ``choices``."""
        value = self.get(key, str, default)
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(map(repr, choices))}, not {value!r}")
        return value

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of texts; one text alone stands for a list of one."""
        self._asked.add(key)
        value = self.content.get(key, default)
        values: Sequence[object] = [value] if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
            raise self.fail(key, f"must be a list of texts, not {value!r}")
        return tuple(cast(Sequence[str], values))

    def table(self, key: str) -> "Table":
        """Return a member table, empty where it is absent."""
        return Table(self.file, f"{self.path}.{key}".strip("."), self.get(key, dict, {}))

    def tables(self, key: str) -> "list[Table]":
        """Return a list of tables (``[[key]]``)."""
        items = self.get(key, list, [])
        path = f"{self.path}.{key}".strip(".")
        for i, item in enumerate(items):
            if not isinstance(item, dict):
                raise MappingError(self.file, f"{path}[{i}]", f"must be a table ([[{path}]]), not {item!r}")
        return [Table(self.file, f"{path}[{i}]", item) for i, item in enumerate(items)]

    def members(self, short: str = "") -> "Iterator[tuple[str, Table]]":
        """Yield each member table by name; with ``short``, a text alone stands for a table with that one key."""
        for key, value in self.content.items():
            self._asked.add(key)
            if short and isinstance(value, str):
                yield key, Table(self.file, f"{self.path}.{key}".strip("."), {short: value})
            else:
                yield key, self.table(key)

    def done(self) -> None:
        """Raise for a key that nobody asked for: it is misspelt or misplaced."""
        for key in self.content:
            if key not in self._asked:
                known = sorted(self._asked)
                hint = nearest(key, known) or "; known are " + ", ".join(known)
                raise self.fail(key, f"is not known here{hint}")


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """Return the document; `MappingError` with line and column where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(file, "", f"is not valid TOML: {error}") from None
