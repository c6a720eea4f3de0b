"""What a caller may see: the predicate that every store call takes and compiles into its query."""

from dataclasses import dataclass

DEFAULT_TENANT = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon or multipolygon as a GeoJSON geometry, WGS 84 lon, lat."""

    geometry: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One view of the hub, in which every condition holds. ``None`` means unrestricted.

    Names are expanded. It matches an entity that has one of ``types``, lies in or under one of ``scopes`` and whose
    ``location`` lies within ``area``, whether or not that location may be seen; of such an entity it shows the
    attributes that ``attributes`` names.
    """

    types: frozenset[str] | None = None
    scopes: tuple[str, ...] | None = None
    attributes: frozenset[str] | None = None
    area: Area | None = None

    @property
    def whole(self) -> bool:
        """Whether it matches every entity."""
        return self.types is None and self.scopes is None and self.area is None


EVERYTHING = Grant()


@dataclass(frozen=True, slots=True)
class Access:
    """The part of the hub that a caller may see or, with ``write``, change: the union of its grants; none see nothing.

    An entity is visible when some grant matches it, an attribute of it when a grant that matches that entity shows it.
    Whatever a caller asks or writes is decided as if entities consisted of their visible attributes only.
    """

    tenant: str = DEFAULT_TENANT
    grants: tuple[Grant, ...] = (EVERYTHING,)
    write: bool = False

    @property
    def unrestricted(self) -> bool:
        """Whether every entity and attribute of the tenant is visible."""
        return EVERYTHING in self.grants
