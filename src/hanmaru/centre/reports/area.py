"""The area of a report: a polygon, a rectangle, one of the city's quarters, or the city whole."""

import re
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from hanmaru.centre.domain import CentreError, Text

LAYERS: Final = ("boundary", "dongs", "water", "green", "roads")
MOST_POINTS: Final = 2_000
_HOW = "area is west,south,east,north in degrees or a GeoJSON Polygon"


class Area(msgspec.Struct, frozen=True):
    """A GeoJSON Polygon or MultiPolygon with its name, where it has one, and its size."""

    geometry: Mapping[str, Any]
    name: Text | None
    km2: float

    def holding(self, places: Sequence[Mapping[str, Any] | None]) -> list[bool]:
        """Return which GeoJSON points lie in the area; what is no point does not."""
        import shapely as typeless
        from shapely.geometry import shape

        shapely: Any = typeless
        points = [one["coordinates"] if one and one.get("type") == "Point" else (nan, nan) for one in places]
        lons, lats = [point[0] for point in points], [point[1] for point in points]
        return shapely.contains_xy(shape(dict(self.geometry)), lons, lats).tolist() if points else []


def basemap(folder: Path) -> dict[str, Any]:
    """Return those of the city's map layers that reports draw, as GeoJSON by name; blocks."""
    found = {name: path for name in LAYERS if (path := folder / f"{name}.geojson").is_file()}
    return {name: msgspec.json.decode(path.read_bytes()) for name, path in found.items()}


def area_of(text: str, base: Mapping[str, Any]) -> Area:
    """Return the area that ``text`` names; blocks for as long as GEOS needs to look at it.

    ``dong:<n>`` is quarter n of the basemap, counted from 0; an empty text the whole city. Raises CentreError.
    """
    text = text.strip()
    if not text:
        features = _features(base, "boundary")
        if not features:
            raise CentreError(f"this city's map has no boundary: {_HOW}")
        return _measured(features[0]["geometry"], _name(features[0]))
    if match := re.fullmatch(r"dong:(\d{1,4})", text):
        features = _features(base, "dongs")
        if int(match[1]) >= len(features):
            raise CentreError(f"there is no quarter {match[1]}: {_HOW}")
        return _measured(features[int(match[1])]["geometry"], _name(features[int(match[1])]))
    if text.startswith("{"):
        try:
            geometry = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise CentreError(f"the area cannot be read: {_HOW}") from None
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            raise CentreError(_HOW)
        return _measured(geometry, None)
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise CentreError(_HOW) from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise CentreError(f"the area's sides are in the wrong order or out of range: {_HOW}")
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return _measured({"type": "Polygon", "coordinates": [ring]}, None)


def _measured(geometry: Mapping[str, Any], name: Text | None) -> Area:
    import shapely as typeless
    from pyproj import Geod
    from shapely.errors import ShapelyError
    from shapely.geometry import mapping, shape

    shapely: Any = typeless
    earth: Any = Geod(ellps="WGS84")
    try:
        found: Any = shape(dict(geometry))
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise CentreError(f"the area is no polygon: {_HOW}") from None
    points = int(shapely.get_num_coordinates(found))
    if points > MOST_POINTS and name is None:
        raise CentreError(f"the area has {points} points: draw it with at most {MOST_POINTS}")
    if not found.is_valid or found.is_empty:
        raise CentreError("the area's outline crosses itself or is empty: draw it again")
    west, south, east, north = found.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise CentreError(f"the area lies outside the world: {_HOW}")
    square_m = abs(earth.geometry_area_perimeter(found)[0])
    if square_m < 1:
        raise CentreError("the area is smaller than a square metre: draw it again")
    return Area(cast("Mapping[str, Any]", mapping(found)), name, square_m / 1e6)


def _features(base: Mapping[str, Any], layer: str) -> list[dict[str, Any]]:
    return base[layer]["features"] if layer in base else []


def _name(feature: Mapping[str, Any]) -> Text | None:
    properties: Mapping[str, Any] = feature.get("properties") or {}
    names = {lang: str(properties[f"name_{lang}"]) for lang in ("en", "ko") if properties.get(f"name_{lang}")}
    return {"en": next(iter(names.values())), **names} if names else None
