"""What a filter is made of: a condition on a resource's key, and where the keys come from that fulfil it."""

from dataclasses import dataclass

from hanmaru.care.fhir.conditions import Sql, either
from hanmaru.care.fhir.definitions import Parameter, parameters, types
from hanmaru.care.fhir.schema import EVERYONE, SEVERAL
from hanmaru.care.fhir.values import Reader


@dataclass(frozen=True, slots=True)
class Source:
    """Where the keys come from that a filter lets through: FROM, WHERE and the column of the key.

    ``rank``: those of a lower one are counted first, and of several that are many the lowest begins.
    """

    tables: str
    where: Sql
    key: str
    rank: int = 3


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on ``{key}``, a place for the SQL of a key; ``source`` yields exactly the keys that fulfil it.

    ``number``: what fulfils it has a value for this parameter.
    """

    test: Sql
    source: Source | None = None
    number: int = 0

    def on(self, key: str) -> Sql:
        """Return the condition on a key."""
        return Sql(self.test.text.replace("{key}", key), self.test.values)


def owners(reader: Reader, now: int) -> Sql:
    """Return the owners whose resources a reader may see; of several people's not all may be."""
    own = f"SELECT {EVERYONE} AS key UNION SELECT key FROM main.owner WHERE kind = ? AND id = ?"
    if reader.kind == "patient":
        return Sql(own, ("patient", reader.id))
    granted = "SELECT owner FROM main.grants WHERE organisation = ? AND ? BETWEEN since AND until"
    return Sql(f"{own} UNION SELECT {SEVERAL} UNION {granted}", ("organisation", reader.id, reader.id, now))


def typed(kind: str, alias: str) -> Sql:
    """Return the condition that a resource is of a type; none where all are searched."""
    return Sql(f"{alias}.type = ?", (types()[kind],)) if kind else Sql("1", ())


def of(alias: str, parameter: Parameter, plus: int = 0, sign: int = 1) -> str:
    """Return the condition that a row is of a parameter."""
    numbers = [str(sign * n + plus) for n in parameter.numbers]
    return f"{alias}.number = {numbers[0]}" if len(numbers) == 1 else f"{alias}.number IN ({', '.join(numbers)})"


def numbered(kind: str, parameter: Parameter, sign: int = 1) -> Sql:
    """Return the condition that a row ``v`` is of a parameter; of all types', where no type is searched."""
    if kind:
        only = f" AND v.type = {parameter.only}" if parameter.only and sign > 0 else ""
        return Sql(of("v", parameter, sign=sign) + only, ())
    numbers = ", ".join(str(sign * codes[parameter.code].number) for codes in parameters().values())
    return Sql(f"v.number IN ({numbers})", ())


def any_of(filters: list[Filter]) -> Filter:
    """Return the filter that one of several holds."""
    if len(filters) == 1:
        return filters[0]
    test = either([f.test for f in filters])
    sources = [f.source for f in filters if f.source]
    if len(sources) < len(filters):
        return Filter(test)
    union = " UNION ALL ".join(f"SELECT {s.key} AS key FROM {s.tables} WHERE {s.where.text}" for s in sources)
    alias = "u" + sources[0].key.partition(".")[0]
    values = tuple(v for s in sources for v in s.where.values)
    return Filter(test, Source(f"({union}) {alias}", Sql("1", values), f"{alias}.key"))
