"""The ground: the city's limits, its districts, water and green, generated from a profile or taken from its GeoJSON.

Districts are the cells of a power diagram whose weights are fitted to the published areas, so that each holds its
published centre's surroundings and about its published area. Every line is then bent by one smooth displacement of the
plane: what fitted together stays fitted together.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, shape
from shapely.geometry.base import BaseGeometry

from hanmaru.city.noise import Field, Floats, Ints, generator
from hanmaru.city.plane import Plane, contains
from hanmaru.city.profile import LonLat, Profile, ProfileError, Ring, Strip

Area = Polygon | MultiPolygon
Bend = Callable[[Floats], Floats]
"""Moves points (n, 2) of the plane, metres."""

_STEP_M = 250.0
_PLANNED = ("dong",)


@dataclass(frozen=True, eq=False)
class Land:
    """The ground in the city's plane (metres); ``districts`` in the profile's order.

    ``sketch`` are the districts before bending (what streets are laid out on); ``bend`` takes the sketch to the ground.
    """

    plane: Plane
    boundary: Area
    districts: tuple[Area, ...]
    sketch: tuple[Area, ...]
    bend: Bend
    water: tuple[Area, ...]
    green: tuple[Area, ...]

    def district_of(self, xy: Floats) -> Ints:
        """Return the index of the district that holds each point (n, 2), or -1 outside the city."""
        return locate(self.districts, xy)


def locate(districts: Sequence[Area], xy: Floats) -> Ints:
    """Return which of ``districts`` holds each point (n, 2), -1 for none."""
    out = np.full(len(xy), -1, np.int64)
    for i, district in enumerate(districts):
        left, bottom, right, top = district.bounds
        near = np.flatnonzero(
            (out < 0) & (xy[:, 0] >= left) & (xy[:, 0] <= right) & (xy[:, 1] >= bottom) & (xy[:, 1] <= top)
        )
        shapely.prepare(district)
        out[near[shapely.contains_xy(district, xy[near, 0], xy[near, 1])]] = i
    return out


def make(profile: Profile) -> Land:
    """Return the ground of a profile. Raises ProfileError where a GeoJSON boundary cannot be used."""
    plane = Plane(*profile.centre)
    if profile.boundary.geojson is not None:
        districts = _from_geojson(profile, plane)
        return _finish(profile, plane, districts, districts, lambda xy: xy)
    centres = plane.xy([d.centre for d in profile.districts])
    bend = _bend(profile, plane)
    outline = _smooth_outline(plane.xy(profile.boundary.outline))
    scale = math.sqrt(profile.boundary.area_km2 * 1e6 / outline.area)
    areas = np.array([d.area_km2 for d in profile.districts])
    planned = np.array([d.kind in _PLANNED for d in profile.districts])
    weights = np.zeros(len(centres))
    sketch: tuple[Area, ...] = ()
    districts: tuple[Area, ...] = ()
    for rounds in (160, 30):  # the second time takes back what bending did to the area
        limits = affinity.scale(outline, scale, scale, origin="centroid")
        cells: dict[int, Area] = {}
        town = _town(centres[planned], areas[planned]).intersection(limits) if planned.any() else Polygon()
        for group, room in ((planned, town), (~planned, limits.difference(town))):
            members = np.flatnonzero(group)
            if len(members):
                weights[members] = _fit(room, centres[members], areas[members], weights[members], rounds)
                cells |= dict(zip(members.tolist(), _cells(room, centres[members], weights[members]), strict=True))
        sketch = tuple(cells[i] for i in range(len(centres)))
        districts = tuple(_bent(cell, bend) for cell in sketch)
        scale *= math.sqrt(profile.boundary.area_km2 * 1e6 / sum(d.area for d in districts))
    return _finish(profile, plane, sketch, districts, bend)


def _finish(profile: Profile, plane: Plane, sketch: tuple[Area, ...], districts: tuple[Area, ...], bend: Bend) -> Land:
    boundary = shapely.union_all([d.buffer(0.5) for d in districts]).buffer(-0.5)
    boundary = _area(shapely.union_all([Polygon(p.exterior) for p in _parts(boundary) if p.area > 1e4]))
    return Land(
        plane=plane,
        boundary=boundary,
        districts=districts,
        sketch=sketch,
        bend=bend,
        water=tuple(_strip(s, plane, bend, boundary) for s in profile.waters),
        green=tuple(_strip(s, plane, bend, boundary) for s in profile.greens),
    )


def _area(geometry: Any) -> Area:
    """Return the polygons of a geometry that an overlay made."""
    polygons = [g for g in _parts(geometry) if g.area > 1.0]
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)


def _parts(area: Any) -> list[Polygon]:
    return [g for g in shapely.get_parts(area) if isinstance(g, Polygon)]


def ring_axes(ring: Ring) -> tuple[float, float]:
    """Return the half width and half height, metres, of an ellipse of the ring's length (Ramanujan's perimeter)."""
    q = ring.aspect
    h = ((1 - q) / (1 + q)) ** 2
    high = ring.length_km * 1000 / (math.pi * (1 + q) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h))))
    return q * high, high


def _bend(profile: Profile, plane: Plane) -> Bend:
    """Return the displacement of the plane: strong in the country, weak where the town was planned."""
    rng = generator(profile.seed, "bend")
    reach = float(np.abs(plane.xy(profile.boundary.outline)).max()) * 1.3 + 5000
    fields = [Field(rng, reach, wave, size) for wave, size in ((5200, 400), (2100, 170), (900, 50))]
    planned = [d for d in profile.districts if d.kind in _PLANNED]
    towns = plane.xy([d.centre for d in planned]) if planned else np.empty((0, 2))
    radii = np.sqrt([d.area_km2 * 1e6 / math.pi for d in planned])

    def bend(xy: Floats) -> Floats:
        strength = np.ones(len(xy))
        for town, radius in zip(towns, radii, strict=True):
            away = np.hypot(*(xy - town).T) / (radius * 2.2)
            strength = np.minimum(strength, np.clip(away, 0.15, 1.0))
        return xy + sum((f(xy) for f in fields), np.zeros_like(xy)) * strength[:, None]

    return bend


def _smooth_outline(points: Floats) -> Polygon:
    """Round an outline's corners (Chaikin's corner cutting, three times)."""
    for _ in range(3):
        following = np.roll(points, -1, axis=0)
        points = np.stack((0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following), axis=1).reshape(-1, 2)
    return Polygon(points)


def _town(centres: Floats, areas_km2: Floats) -> BaseGeometry:
    """Return the ground of a planned town: discs about its districts' centres, grown until they have their area."""
    low, high = 0.3, 3.0
    town: BaseGeometry = Polygon()
    while high - low > 0.01:
        factor = (low + high) / 2
        radii = factor * np.sqrt(areas_km2 * 1e6 / math.pi)
        discs = [Point(c).buffer(r) for c, r in zip(centres, radii, strict=True)]
        town = shapely.union_all([Polygon(p.exterior) for p in _parts(shapely.union_all(discs).buffer(700))]).buffer(
            -700
        )
        low, high = (factor, high) if town.area < areas_km2.sum() * 1e6 else (low, factor)
    return town


def _fit(room: BaseGeometry, centres: Floats, areas_km2: Floats, weights: Floats, rounds: int) -> Floats:
    """Return power-diagram weights (m2) that share a room out in proportion to the areas, by descent on a raster."""
    left, bottom, right, top = room.bounds
    step = math.sqrt(room.area / 9000)
    grid = np.stack(np.meshgrid(np.arange(left, right, step), np.arange(bottom, top, step)), axis=-1).reshape(-1, 2)
    grid = grid[contains(room, grid)]
    squared = (grid[:, :1] - centres[:, 0]) ** 2 + (grid[:, 1:] - centres[:, 1]) ** 2
    wanted = areas_km2 / areas_km2.sum() * len(grid)
    for i in range(rounds):
        have = np.bincount(np.argmin(squared - weights, axis=1), minlength=len(centres))
        weights = weights + (0.9 if i < rounds / 2 else 0.35) * (wanted - have) * step * step / math.pi
    return weights


def _cells(limits: BaseGeometry, centres: Floats, weights: Floats) -> tuple[Area, ...]:
    """Return the power diagram's cells within the limits: each an intersection of half-planes."""
    far = 4 * max(limits.bounds[2] - limits.bounds[0], limits.bounds[3] - limits.bounds[1])
    cells: list[Area] = []
    for i, centre in enumerate(centres):
        cell = centre + np.array([[-far, -far], [far, -far], [far, far], [-far, far]])
        for j, other in enumerate(centres):
            if j != i and len(cell):
                normal = other - centre
                limit = (other @ other - centre @ centre + weights[i] - weights[j]) / 2
                cell = _clip(cell, normal, float(limit))
        whole = Polygon(cell) if len(cell) >= 3 else Point(centre).buffer(150)
        cells.append(_area(whole.intersection(limits)))
    return tuple(cells)


def _clip(ring: Floats, normal: Floats, limit: float) -> Floats:
    """Keep the part of a convex ring where ``normal`` · p is at most ``limit`` (Sutherland-Hodgman)."""
    side = ring @ normal - limit
    out: list[Floats] = []
    for k in range(len(ring)):
        p, q, a, b = ring[k - 1], ring[k], side[k - 1], side[k]
        if (a <= 0) != (b <= 0):
            out.append(p + (q - p) * (a / (a - b)))
        if b <= 0:
            out.append(q)
    return np.array(out).reshape(-1, 2)


def _bent(area: Area, bend: Bend) -> Area:
    bent = shapely.transform(shapely.segmentize(area, _STEP_M), bend)
    return bent if bent.is_valid else _area(shapely.make_valid(bent))


def _strip(strip: Strip, plane: Plane, bend: Bend, boundary: Area) -> Area:
    """Return a river, lake or park: its curve bent, widened and cut to the city."""
    points = plane.xy(strip.points)
    curve = (
        LineString(_curve(points)) if len(points) > 2 else LineString(points) if len(points) > 1 else Point(points[0])
    )
    bent = shapely.transform(shapely.segmentize(curve, _STEP_M), bend)
    return _area(bent.buffer(strip.width_m / 2, quad_segs=6).simplify(4).intersection(boundary))


def _curve(points: Floats) -> Floats:
    """Return a smooth curve through points (Catmull-Rom, eight steps a span)."""
    padded = np.vstack((2 * points[0] - points[1], points, 2 * points[-1] - points[-2]))
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    spans = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.vstack((*spans, points[-1:]))


def curve(points: Sequence[LonLat], plane: Plane, bend: Bend) -> Floats:
    """Return a smooth line on the ground (n, 2) through lon, lat points of the sketch."""
    xy = plane.xy(points)
    line = LineString(_curve(xy) if len(xy) > 2 else xy)
    return bend(np.asarray(shapely.segmentize(line, _STEP_M).coords))


def _from_geojson(profile: Profile, plane: Plane) -> tuple[Area, ...]:
    """Return the districts that a city supplies, in the profile's order and in the plane."""
    path = Path(cast(str, profile.boundary.geojson))
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        shapes = {str(f["properties"].get(profile.boundary.geojson_name)): shape(f["geometry"]) for f in features}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"boundary.geojson: cannot read {path} as a GeoJSON FeatureCollection: {error}") from None
    missing = [d.name.ko for d in profile.districts if d.name.ko not in shapes]
    if missing:
        raise ProfileError(
            f"boundary.geojson: no feature of {path.name} has {profile.boundary.geojson_name} = {missing[0]!r}; "
            "name the right property in boundary.geojson_name, or correct the district's name.ko"
        )
    return tuple(_area(shapely.make_valid(plane.to_plane(shapes[d.name.ko]))) for d in profile.districts)
