"""What the value index holds of an entity: one row for every scalar that the query language can reach.

The stores keep these rows and compile ``q`` to look-ups on them; the notifier matches subscriptions against the same
rows in memory. So one piece of code decides what ``q`` sees, whatever the store.

A path is an attribute's IRI, followed by ``US`` and a sub-attribute's IRI for each level, followed by the trailing
path in brackets (``…temperature[min]``) for members of compound values and language maps; ``[*]`` is any language.
"""

from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple, cast

from hanmaru.hub.model import Attribute, Entity
from hanmaru.hub.times import micros, sortable

US = "\x1f"
TRUE, FALSE = "\x01true", "\x01false"
"""How booleans stand in the text column, where no text of a client can look like them."""

_PLAIN = {0: 2, 1: 2}
"""Texts give up NUL, which PostgreSQL cannot keep, and what marks booleans."""

MAX_ROWS_PER_ATTRIBUTE = 256
MAX_TEXT = 512


class Row(NamedTuple):
    """One scalar: where it stands, its number or its text, and its instants in microseconds since 1970."""

    path: str
    num: float | None
    txt: str | None
    observed: int | None
    created: int | None
    modified: int | None


def rows(name: str, instances: tuple[Attribute, ...]) -> list[Row]:
    """Return an attribute's rows; the first stands for its presence whatever its value, the rest are bounded."""
    found: list[Row] = []
    for instance in instances:
        for row in _attribute_rows(name, instance):
            found.append(row)
            if len(found) >= MAX_ROWS_PER_ATTRIBUTE:
                return found
    return found


def entity_rows(entity: Entity) -> dict[str, list[Row]]:
    """Return every row of an entity by path."""
    by_path: dict[str, list[Row]] = {}
    for name, instances in entity.attrs.items():
        for row in rows(name, instances):
            by_path.setdefault(row.path, []).append(row)
    return by_path


def text_key(text: str) -> str:
    """Return the form in which a text is indexed and compared: instants at fixed width in UTC, the rest shortened."""
    return sortable(text) or text.translate(_PLAIN)[:MAX_TEXT]


def _attribute_rows(path: str, attribute: Attribute) -> Iterator[Row]:
    observed = micros(attribute.observed_at) if attribute.observed_at else None
    created = micros(attribute.created_at) if attribute.created_at else None
    modified = created if attribute.modified_at == attribute.created_at else micros(attribute.modified_at or "")
    value = attribute.value
    if isinstance(value, dict):
        yield Row(path, None, None, observed, created, modified)
        if attribute.kind != "GeoProperty":
            members = cast("dict[str, Any]", value)
            if "@value" in members:
                for num, txt in _scalars(members["@value"]):
                    yield Row(path, num, txt, observed, created, modified)
            for trail, num, txt in _leaves(members, ()):
                yield Row(f"{path}[{trail}]", num, txt, observed, created, modified)
                if attribute.kind == "LanguageProperty":
                    yield Row(f"{path}[*]", num, txt, observed, created, modified)
    else:
        first = True
        for num, txt in _scalars(value):
            first = False
            yield Row(path, num, txt, observed, created, modified)
        if first:
            yield Row(path, None, None, observed, created, modified)
        if isinstance(value, list):
            for item in cast("list[Any]", value):
                if isinstance(item, dict):
                    for trail, num, txt in _leaves(cast("dict[str, Any]", item), ()):
                        yield Row(f"{path}[{trail}]", num, txt, observed, created, modified)
    for name, instances in attribute.attrs.items():
        for instance in instances:
            yield from _attribute_rows(path + US + name, instance)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def _scalars(value: Any) -> Iterator[tuple[float | None, str | None]]:
    if isinstance(value, bool):
        yield None, TRUE if value else FALSE
    elif isinstance(value, int | float):
        yield _float(value), None
    elif isinstance(value, str):
        yield None, text_key(value)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            if not isinstance(item, list):
                yield from _scalars(item)


def _leaves(members: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, float | None, str | None]]:
    for key, value in members.items():
        trail = (*above, key)
        if isinstance(value, dict):
            yield ".".join(trail), None, None
            if len(trail) < 8:
                yield from _leaves(cast("dict[str, Any]", value), trail)
        else:
            for num, txt in _scalars(value):
                yield ".".join(trail), num, txt
