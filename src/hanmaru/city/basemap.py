"""The city as a map that needs no internet: boundary, dongs, roads, water, green and buildings as GeoJSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from shapely.geometry import LineString, MultiLineString, Polygon, mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import linemerge

from hanmaru.city import places as place
from hanmaru.city.build import City
from hanmaru.city.land import curve
from hanmaru.city.noise import Floats, Ints, uniform
from hanmaru.city.profile import Name
from hanmaru.city.streets import CLASSES

FeatureCollection = dict[str, Any]

_DECIMALS = 5


def basemap(city: City) -> dict[str, FeatureCollection]:
    """Return the map's layers as GeoJSON FeatureCollections, by name: boundary, dongs, green, water, roads, rail,
    buildings, stops.

    Features have ``name_ko`` and ``name_en`` where they have names, and ``class`` or ``kind`` where there are several.
    """
    land, profile = city.land, city.profile
    dongs = [
        _feature(_wgs84(city, d, 8), f.name, kind=f.kind, zone=f.zone, population=people)
        for d, f, people in zip(land.districts, profile.districts, place.populations(profile).tolist(), strict=True)
    ]
    water = [_feature(_wgs84(city, g, 6), w.name, kind=w.kind) for g, w in zip(land.water, profile.waters, strict=True)]
    green = [_feature(_wgs84(city, g, 8), w.name) for g, w in zip(land.green, profile.greens, strict=True)]
    rail = [
        _feature(
            _wgs84(city, LineString(curve(r.points, land.plane, land.bend)).intersection(land.boundary), 8), r.name
        )
        for r in profile.rails
    ]
    return {
        "boundary": _collection([_feature(_wgs84(city, land.boundary, 10), profile.name)]),
        "dongs": _collection(dongs),
        "green": _collection(green),
        "water": _collection(water),
        "roads": _collection(_roads(city)),
        "rail": _collection(rail),
        "buildings": _collection([_feature(_wgs84(city, _buildings(city), 0), None)]),
    }


def write(city: City, folder: Path) -> list[Path]:
    """Write each layer of the map as ``<folder>/<layer>.geojson``; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    out: list[Path] = []
    for name, collection in basemap(city).items():
        path = folder / f"{name}.geojson"
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(collection))
        part.replace(path)
        out.append(path)
    return out


def _roads(city: City) -> list[dict[str, Any]]:
    """Return one feature for each class of road and each named road: streets joined to long lines."""
    r = city.roads
    once = (r.source < r.target) | ~_has_reverse(r.source, r.target)
    features: list[dict[str, Any]] = []
    named: list[tuple[Name | None, Ints]] = [
        (c.name, np.flatnonzero(r.corridor == i)) for i, c in enumerate(city.profile.corridors)
    ]
    ring = city.profile.roads.ring
    if ring is not None:
        named.append((ring.name, np.flatnonzero(r.brt)))
    taken = np.zeros(len(r.source), bool)
    for name, edges in named:
        taken[edges] = True
        edges = edges[once[edges]]
        if len(edges):
            kind = CLASSES[int(r.road_class[edges].max())]
            features.append(_feature(_lines(city, edges), name, **{"class": kind, "brt": bool(r.brt[edges].any())}))
    for k, kind in enumerate(CLASSES):
        edges = np.flatnonzero((r.road_class == k) & once & ~taken)
        if len(edges):
            features.append(_feature(_lines(city, edges), None, **{"class": kind}))
    return features


def _has_reverse(source: Ints, target: Ints) -> np.typing.NDArray[np.bool_]:
    n = int(max(source.max(), target.max())) + 1
    return np.isin(source * n + target, target * n + source)


def _lines(city: City, edges: Ints) -> BaseGeometry:
    r = city.roads
    lines = MultiLineString([LineString(p) for p in np.stack((r.xy[r.source[edges]], r.xy[r.target[edges]]), axis=1)])
    return _wgs84(city, linemerge(lines), 4)


def _buildings(city: City) -> BaseGeometry:
    """Return blocks of flats as slabs along their street, the larger half of them: enough to see where people live."""
    p = city.places
    flats = p.of(place.APARTMENT, place.GOVERNMENT, place.UNIVERSITY)
    to_street = city.roads.xy[p.node[flats]] - p.xy[flats]
    turn = np.arctan2(to_street[:, 1], to_street[:, 0])
    seed = city.profile.seed
    length: Floats = np.where(p.kind[flats] == place.APARTMENT, 26.0, 60.0) * (0.8 + 0.5 * uniform(seed, flats))
    width: Floats = np.where(p.kind[flats] == place.APARTMENT, 7.0, 22.0)
    slabs: list[Polygon] = []
    for (x, y), a, half, deep in zip(p.xy[flats], turn, length, width, strict=True):
        u, v = np.array([np.cos(a), np.sin(a)]) * deep, np.array([-np.sin(a), np.cos(a)]) * half
        centre = np.array([x, y])
        slabs.append(Polygon([centre - u - v, centre + u - v, centre + u + v, centre - u + v]))
    return shapely.MultiPolygon(slabs)


def _wgs84(city: City, geometry: BaseGeometry, tolerance_m: float) -> BaseGeometry:
    simpler = geometry.simplify(tolerance_m) if tolerance_m else geometry
    return shapely.transform(simpler, lambda xy: np.round(city.land.plane.lonlat(xy), _DECIMALS))


def _feature(geometry: BaseGeometry, name: Name | None, **properties: object) -> dict[str, Any]:
    named = {"name_ko": name.ko, "name_en": name.en} if name else {}
    rest = {k: v for k, v in properties.items() if v is not None}
    return {"type": "Feature", "properties": named | rest, "geometry": mapping(geometry)}


def _collection(features: Sequence[dict[str, Any]]) -> FeatureCollection:
    return {"type": "FeatureCollection", "features": list(features)}
