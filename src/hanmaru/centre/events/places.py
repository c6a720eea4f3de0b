"""Where something is, in words: the dong that it lies in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanmaru.centre.domain import Text
from hanmaru.centre.events.folding import point_of


class Dongs:
    """The dongs of a city's map, read at the first question. No map is no words."""

    def __init__(self, path: Path) -> None:
        """Name the map's ``dongs.geojson``."""
        self._path = path
        self._read: tuple[Any, list[Text]] | None = None

    def __call__(self, location: Mapping[str, Any] | None) -> Text | None:
        """Return the dong that a geometry's point lies in; None outside all of them, and for what is no point."""
        if (point := point_of(location)) is None:
            return None
        import shapely

        if self._read is None:
            features: list[dict[str, Any]] = (
                json.loads(self._path.read_bytes())["features"] if self._path.is_file() else []
            )
            shapes = [shapely.geometry.shape(one["geometry"]) for one in features]
            self._read = shapely.STRtree(shapes), [_name(one["properties"]) for one in features]
        tree, names = self._read
        found = tree.query(shapely.Point(point), predicate="intersects")
        return names[int(found[0])] if len(found) else None


def _name(properties: Mapping[str, Any]) -> Text:
    korean = str(properties.get("name_ko") or "")
    return {"en": str(properties.get("name_en") or korean), "ko": korean}
