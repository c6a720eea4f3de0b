"""What a caller may see: the predicate that every store call takes and compiles into its query."""

from dataclasses import dataclass

DEFAULT_TENANT = ""


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon or multipolygon as a GeoJSON geometry, WGS 84 lon, lat."""

    geometry: str


@dataclass(frozen=True, slots=True)
class Access:
    """The part of the hub that a caller may see or change. ``None`` means unrestricted.

    Names are expanded. An entity is visible when it has one of ``types``, lies in or under one of
    ``scopes``, and its ``location`` lies within ``area``; an attribute is visible when ``attributes`` names it.
    """

    tenant: str = DEFAULT_TENANT
    types: frozenset[str] | None = None
    scopes: tuple[str, ...] | None = None
    attributes: frozenset[str] | None = None
    area: Area | None = None
    write: bool = False

    @property
    def unrestricted(self) -> bool:
        """Whether every entity and attribute of the tenant is visible."""
        return self.types is None and self.scopes is None and self.attributes is None and self.area is None
