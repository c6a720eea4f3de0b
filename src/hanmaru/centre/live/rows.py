"""The entities of a type as a table has them: sorted, narrowed, in pages. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from hanmaru.centre.live.views import Selection
from hanmaru.centre.live.world import Entity

_DIGITS = re.compile(r"(\d+)")
_Order = tuple[int, tuple[Any, ...]]


def name_of(entity: Entity, language: str) -> str:
    """Return what an entity is called: its name in the language, else in English, else the last part of its id."""
    name = entity.values.get("name") or entity.values.get("title")
    if isinstance(name, Mapping):
        texts = cast(Mapping[str, Any], name)
        texts = cast(Mapping[str, Any], texts.get("languageMap") or texts)
        name = texts.get(language) or texts.get("en") or texts.get("@none") or next(iter(texts.values()), "")
    return str(name or ":".join(entity.id.split(":")[3:]) or entity.id)


def _natural(text: str) -> tuple[Any, ...]:
    """Return a key by which station 2 comes before station 10."""
    parts = _DIGITS.split(text.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def _key(entity: Entity, by: str, language: str) -> _Order | None:
    if by == "name":
        return 1, _natural(name_of(entity, language))
    values = entity.values
    value = values.get("dateObserved") or values.get("dateIssued") or entity.at if by == "updated" else values.get(by)
    if isinstance(value, bool | int | float):
        return 0, (value,)
    return None if value is None else (1, _natural(str(value)))


def rows(
    entities: Iterable[Entity], *, by: str, down: bool, text: str, language: str, selection: Selection | None
) -> Sequence[Entity]:
    """Return the entities whose name or id contains a text, by an attribute, ``name`` or ``updated``.

    Those without a value come last whichever way.
    """
    wanted = text.casefold()
    some = [
        entity
        for entity in entities
        if (not wanted or wanted in name_of(entity, language).casefold() or wanted in entity.id.casefold())
        and (selection is None or selection.holds(entity))
    ]
    keyed = [(key, entity.id, entity) for entity in some if (key := _key(entity, by, language)) is not None]
    keyed.sort(key=lambda one: one[:2], reverse=down)
    known = {id for _, id, _ in keyed}
    return [entity for *_, entity in keyed] + [entity for entity in some if entity.id not in known]
