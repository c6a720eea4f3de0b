"""Which types there are for a caller, with the number of their entities and the attributes that these show.

The stores count entities and attributes by type as they write. That answers a caller whose grants depend on types only;
where scopes and places matter, or an entity's other types show more of it, entities are tallied one by one.
"""

from collections.abc import Iterable, Sequence

from hanmaru.hub.model import Entity
from hanmaru.hub.stores.base import TypeInfo
from hanmaru.hub.visibility import attributes_of, matching_each, only
from hanmaru.platform.access import Grant


def by_type_only(grants: Sequence[Grant]) -> bool:
    """Whether an entity's types alone decide what of it is visible."""
    return all(grant.scopes is None and grant.area is None for grant in grants)


def naming(grants: Sequence[Grant], type: str) -> list[Grant]:
    """Return the grants that let a type be listed."""
    return [grant for grant in grants if grant.types is None or type in grant.types]


def showing_more(grants: Sequence[Grant], type: str) -> frozenset[str]:
    """Return the types of which an entity shows more attributes than those that it shows for a type it has as well."""
    shown = attributes_of(naming(grants, type))
    if shown is None:
        return frozenset()
    more = (g.types for g in grants if g.types is not None and (g.attributes is None or not g.attributes <= shown))
    return frozenset[str]().union(*more) - {type}


class Tally:
    """Counts of visible entities by type."""

    def __init__(self, grants: Sequence[Grant]) -> None:
        """Start with nothing counted."""
        self._grants = grants
        self._found: dict[str, TypeInfo] = {}

    def add(self, entities: Sequence[Entity]) -> None:
        """Count entities."""
        for entity, matched in zip(entities, matching_each(self._grants, entities), strict=True):
            shown = only(entity, attributes_of(matched))
            for name in entity.types:
                if naming(matched, name):
                    self._count(name, shown)

    def _count(self, name: str, entity: Entity) -> None:
        before = self._found.get(name)
        attributes = before.attributes if before else {}
        for attribute, instances in entity.attrs.items():
            attributes[attribute] = attributes.get(attribute, frozenset()) | {i.kind for i in instances}
        self._found[name] = TypeInfo(name, (before.count if before else 0) + 1, attributes)

    def types(self, only: Iterable[str] | None = None) -> list[TypeInfo]:
        """Return the types by name, or only some of them."""
        return [self._found[name] for name in sorted(self._found if only is None else self._found.keys() & set(only))]
