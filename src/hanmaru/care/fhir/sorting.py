"""``_sort``: what a resource is ordered by, and where a page goes on.

Several values: the least for an ascending key, the greatest for a descending one (R4, search, "sorting"). A resource
without the value comes last. Ties are broken by the resource's number, in the direction of the first key, so that
every order is total and a page can begin exactly after the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hanmaru.care.fhir.conditions import TABLES, Sql, both, either
from hanmaru.care.fhir.definitions import parameters
from hanmaru.care.fhir.parameters import shown, wrong

COLUMNS: Final = {"token": "code", "reference": "id", "date": "low", "quantity": "first", "string": "text"}
MOST_KEYS: Final = 5

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order. ``table`` "resource" is the resource's own row."""

    table: str
    column: str
    numbers: tuple[int, ...]
    down: bool

    def of(self, key: str) -> str:
        """Return the SQL of the value that a resource is ordered by, NULL for none."""
        if self.table == "resource":
            return f"(SELECT s.{self.column} FROM ix.resource s WHERE s.key = {key})"
        return f"(SELECT {'max' if self.down else 'min'}(s.{self.column}) {self._rows(key)})"

    def missing(self, key: str) -> str:
        """Return the condition that a resource has no value."""
        return f"NOT EXISTS (SELECT 1 {self._rows(key)})"

    def _rows(self, key: str) -> str:
        return f"FROM ix.{self.table} AS s INDEXED BY {self.table}_key WHERE s.key = {key} AND {self.rows('s')}"

    def rows(self, alias: str) -> str:
        """Return the condition that a row is of the key's parameter."""
        return f"{alias}.number IN ({', '.join(map(str, self.numbers))})"


def sort_keys(kind: str, text: str) -> tuple[SortKey, ...]:
    """Take ``-date,code`` apart. Raises Problem 400."""
    found: list[SortKey] = []
    for word in text.split(","):
        down, code = word.startswith("-"), word.removeprefix("-")
        if code == "_id":
            found.append(SortKey("resource", "id", (), down))
        elif code == "_lastUpdated":
            found.append(SortKey("resource", "updated", (), down))
        else:
            parameter = parameters().get(kind, {}).get(code)
            if parameter is None or parameter.type not in TABLES or code.startswith("_"):
                raise wrong(f"{kind or 'A search over all types'} cannot be sorted by {shown(code)}.")
            table = TABLES[parameter.type]
            found.append(SortKey(table, COLUMNS[table], parameter.numbers, down))
    if len(found) > MOST_KEYS:
        raise wrong(f"_sort takes at most {MOST_KEYS} keys.")
    return tuple(found)


def order(keys: Sequence[SortKey], columns: Sequence[str], key: str) -> str:
    """Return ORDER BY's list for columns that hold the keys' values."""
    terms = [f"{c} IS NULL, {c}{_way(k.down)}" for k, c in zip(keys, columns, strict=True)]
    return ", ".join([*terms, key + _way(bool(keys) and keys[0].down)])


def after(keys: Sequence[SortKey], columns: Sequence[str], key: str, values: Sequence[Value], last: int) -> Sql:
    """Return the condition that a row comes after the one with these values and this key."""
    equal: list[Sql] = []
    ways: list[Sql] = []
    for k, c, value in zip(keys, columns, values, strict=True):
        if value is not None:
            beyond = Sql(f"({c} IS NULL OR {c} {'<' if k.down else '>'} ?)", (value,))
            ways.append(both(*equal, beyond))
            equal.append(Sql(f"{c} = ?", (value,)))
        else:
            equal.append(Sql(f"{c} IS NULL", ()))
    sign = "<" if keys and keys[0].down else ">"
    ways.append(both(*equal, Sql(f"{key} {sign} ?", (last,))))
    return either([Sql(f"({way.text})", way.values) for way in ways])


def _way(down: bool) -> str:
    return " DESC" if down else ""
