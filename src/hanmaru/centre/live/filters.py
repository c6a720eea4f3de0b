"""What a viewer narrows the map to: an area, a time, an NGSI-LD query. Pure.

A filter travels as JSON, ``{"area": polygon, "minutes": 5, "q": "pm25>75"}``, each part optional, and is its own id:
viewers who send the same share it. The hub itself decides ``q``, so that it means what it means everywhere.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from hanmaru.centre.domain import CentreError
from hanmaru.centre.live.geometry import positions
from hanmaru.centre.live.world import Entity

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MOST_POSITIONS = 200
MOST_MINUTES = 7 * 24 * 60.0
MOST_CHARACTERS = 500


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A filter as it is written: ``area`` GeoJSON as text, so that equal filters are one."""

    area: str | None = None
    minutes: float | None = None
    q: str | None = None


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    area: dict[str, Any] | None = None
    minutes: float | None = None
    q: str | None = None


def parse_filter(text: str) -> Filter | None:
    """Return the filter that a text is; None where it lets everything through. Raises CentreError for any other."""
    try:
        written = msgspec.json.decode(text, type=_Written)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CentreError(f'filter has to be like {{"minutes": 5, "q": "pm25>75"}}: {error}') from None
    minutes = written.minutes
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise CentreError(f"A filter's minutes have to be above 0 and at most {MOST_MINUTES:g}.")
    if written.q is not None and len(written.q) > MOST_CHARACTERS:
        raise CentreError(f"A filter's q has to be at most {MOST_CHARACTERS} characters.")
    area = None if written.area is None else msgspec.json.encode(_polygon(written.area)).decode()
    found = Filter(area, minutes, (written.q or "").strip() or None)
    return None if found == Filter() else found


def _polygon(area: dict[str, Any]) -> dict[str, Any]:
    import shapely
    from shapely.geometry import shape as read

    try:
        shape = read(area)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, shapely.errors.ShapelyError):
        shape = None
    if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty:
        raise CentreError("A filter's area has to be a GeoJSON Polygon or MultiPolygon.")
    if not shape.is_valid:
        raise CentreError("A filter's area crosses itself: draw it so that its edges do not meet.")
    if sum(1 for _ in positions(area)) > MOST_POSITIONS:
        raise CentreError(f"A filter's area has to have at most {MOST_POSITIONS} corners.")
    return {"type": area["type"], "coordinates": area["coordinates"]}


class Selected:
    """Whom a filter lets through now: ``ids`` are those for whom its ``q`` holds, as the hub said last."""

    def __init__(self, filter: Filter, now: datetime) -> None:
        """Begin with nobody where there is a ``q``."""
        self.filter = filter
        self.ids: set[str] = set()
        self._area: BaseGeometry | None = None
        if filter.area is not None:
            import shapely
            from shapely.geometry import shape

            self._area = shape(msgspec.json.decode(filter.area))
            shapely.prepare(self._area)
        self._since = ""
        self.move(now)

    def move(self, now: datetime) -> None:
        """Let time pass: what changed longer than ``minutes`` ago is let through no more."""
        if self.filter.minutes is not None:
            since = now.astimezone(UTC) - timedelta(minutes=self.filter.minutes)
            self._since = since.strftime("%Y-%m-%dT%H:%M:%S")

    def holds(self, entity: Entity) -> bool:
        """Whether an entity is let through."""
        if self.filter.q is not None and entity.id not in self.ids:
            return False
        if entity.at[:19] < self._since:
            return False
        return self._area is None or self._inside(entity)

    def _inside(self, entity: Entity) -> bool:
        location = entity.values.get("location")
        if self._area is None or not isinstance(location, dict):
            return False
        from shapely import Point
        from shapely.geometry import shape

        place = cast(dict[str, Any], location)
        return bool(self._area.intersects(Point(place["coordinates"][:2]) if entity.point else shape(place)))
