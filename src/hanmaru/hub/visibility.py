"""`Access` decided in memory, for what the notifier and writers see; the stores compile the same rules into queries."""

from msgspec.structs import replace

from hanmaru.hub.geometry import GeoQuery, to_wkb
from hanmaru.hub.model import LOCATION, Entity
from hanmaru.hub.query import scope_matches
from hanmaru.platform.access import Access


def visible(access: Access, entity: Entity) -> bool:
    """Whether the caller may know of an entity."""
    if access.unrestricted:
        return True
    if access.types is not None and access.types.isdisjoint(entity.types):
        return False
    if access.scopes is not None and not any(
        scope_matches(allowed.rstrip("/") + "/#", scope) for allowed in access.scopes for scope in entity.scopes
    ):
        return False
    area = area_query(access)
    if area is None:
        return True
    if access.attributes is not None and LOCATION not in access.attributes:
        return False
    shapes = [to_wkb(instance.value) for instance in entity.attrs.get(LOCATION, ()) if instance.kind == "GeoProperty"]
    return bool(area.matches(shapes).any())


def project(access: Access, entity: Entity) -> Entity:
    """Return an entity with the visible attributes only."""
    if access.attributes is None or access.attributes.issuperset(entity.attrs):
        return entity
    return replace(entity, attrs={n: i for n, i in entity.attrs.items() if n in access.attributes})


def area_query(access: Access) -> GeoQuery | None:
    """Return the caller's area as a condition on ``location``."""
    return GeoQuery("within", access.area.geometry, LOCATION) if access.area else None
