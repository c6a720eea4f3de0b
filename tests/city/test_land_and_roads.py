"""The ground and the roads hang together and keep to the published facts."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from hanmaru.city import profile
from hanmaru.city.build import City, build
from hanmaru.city.plane import Plane, contains
from hanmaru.city.profile import ProfileError
from hanmaru.city.streets import CLASSES

GEODESIC = pyproj.Geod(ellps="WGS84")


def fingerprint(city: City) -> str:
    parts = [
        city.roads.lonlat,
        city.roads.source,
        city.roads.target,
        city.roads.length_m,
        city.places.lonlat,
        city.places.capacity,
        city.population.age,
        city.population.work,
        city.population.home,
        *[s.lonlat for s in city.sensors.values()],
    ]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_city_to_the_bit_and_another_seed_another() -> None:
    hanbit = profile.load("hanbit")
    once, again = City(hanbit), City(hanbit)
    _ = again.population  # built in another order
    assert fingerprint(once) == fingerprint(again)
    assert fingerprint(City(msgspec.structs.replace(hanbit, seed=8))) != fingerprint(once)
    assert build(hanbit) is build(profile.load("hanbit"))


def test_what_the_demo_needs_is_made_in_three_seconds() -> None:
    sejong = profile.load("sejong")
    start = time.process_time()
    city = City(sejong)
    assert sum(len(s) for s in city.sensors.values()) > 4500
    took = time.process_time() - start
    print(f"demo city made in {took:.2f} s of processor time")
    assert took < 3
    assert "population" not in city.__dict__, "the demo needs no people"


@pytest.mark.parametrize("name", profile.available())
def test_districts_tile_the_city_and_have_their_published_areas(name: str) -> None:
    city = build(profile.load(name))
    districts = city.land.districts
    assert city.land.boundary.is_valid
    assert all(d.is_valid for d in districts)
    assert city.land.boundary.area / 1e6 == pytest.approx(city.profile.boundary.area_km2, rel=0.02)
    assert shapely.union_all(list(districts)).area == pytest.approx(sum(d.area for d in districts), rel=1e-4)
    scale = city.profile.boundary.area_km2 / sum(d.area_km2 for d in city.profile.districts)
    wanted = np.array([d.area_km2 for d in city.profile.districts]) * scale
    made = np.array([d.area / 1e6 for d in districts])
    assert np.median(np.abs(made / wanted - 1)) < 0.15
    assert np.abs(made / wanted - 1).max() < 0.6


@pytest.mark.parametrize("name", profile.available())
def test_every_node_reaches_every_other(name: str) -> None:
    roads = build(profile.load(name)).roads
    for source, target in ((roads.source, roads.target), (roads.target, roads.source)):
        near: list[list[int]] = [[] for _ in range(len(roads.xy))]
        for a, b in zip(source.tolist(), target.tolist(), strict=True):
            near[a].append(b)
        seen, queue = {0}, deque([0])
        while queue:
            fresh = [n for n in near[queue.popleft()] if n not in seen]
            seen.update(fresh)
            queue.extend(fresh)
        assert len(seen) == len(roads.xy)


def test_roads_are_a_well_formed_graph(sejong: City) -> None:
    r = sejong.roads
    assert (np.diff(r.source) >= 0).all(), "edges are sorted by source"
    assert (r.source != r.target).all()
    assert len(np.unique(r.source * len(r.xy) + r.target)) == len(r.source), "no edge twice"
    assert contains(sejong.land.boundary, r.xy).all()
    assert set(np.unique(r.road_class)) == set(range(len(CLASSES)))
    assert (r.speed_mps > 7).all()
    assert (r.speed_mps < 26).all()
    out = r.first_edge[5], r.first_edge[6]
    assert (r.source[out[0] : out[1]] == 5).all()
    _, _, metres = GEODESIC.inv(*r.lonlat[r.source].T, *r.lonlat[r.target].T)
    assert r.length_m == pytest.approx(metres, rel=4e-3), "lengths are geodesic"


def test_the_ring_with_rapid_transit_goes_round_the_green_middle(sejong: City) -> None:
    r = sejong.roads
    ring_km = r.length_m[r.brt].sum() / 2000
    print(f"ring road {ring_km:.1f} km (published 22.9)")
    assert ring_km == pytest.approx(22.9, rel=0.04)
    loop = shapely.Polygon(r.xy[r.ring])
    assert loop.is_valid
    names = [d.name.en for d in sejong.profile.districts]
    assert loop.contains(sejong.land.districts[names.index("Sejong-dong")].representative_point())
    zones = {d.zone for d, g in zip(sejong.profile.districts, sejong.land.districts, strict=True) if g.intersects(loop)}
    assert {1, 2, 3, 4, 5, 6} <= zones


def test_sejong_lies_where_sejong_lies(sejong: City, published: Callable[[str], Path]) -> None:
    """Against the legal dongs: the generated city is not a copy, and still mostly covers the same ground."""
    features = json.loads(published("boundaries/sejong.geojson").read_text(encoding="utf-8"))["features"]
    plane = sejong.land.plane
    real = {f["properties"]["EMD_KOR_NM"]: plane.to_plane(shapely.make_valid(shape(f["geometry"]))) for f in features}
    whole, made = shapely.union_all(list(real.values())), sejong.land.boundary
    overlap = whole.intersection(made).area / whole.union(made).area
    away = [
        real[d.name.ko].centroid.distance(g.centroid)
        for d, g in zip(sejong.profile.districts, sejong.land.districts, strict=True)
    ]
    corners = np.abs(np.array(plane.to_wgs84(whole).bounds) - plane.to_wgs84(made).bounds)
    print(
        f"overlap {overlap:.2f}, district centres {np.median(away):.0f} m off in the median, {max(away):.0f} m at most"
    )
    assert overlap > 0.78
    assert np.median(away) < 1200
    assert max(away) < 5000
    assert (corners < 0.03).all(), "degrees"


def test_a_real_citys_boundary_is_taken_from_its_geojson(published: Callable[[str], Path], tmp_path: Path) -> None:
    source = published("boundaries/sejong.geojson")
    given = f'area_km2 = 464.9\ngeojson = "{source}"\ngeojson_name = "EMD_KOR_NM"'
    path = tmp_path / "real.toml"
    path.write_text(profile.source("sejong").replace("area_km2 = 464.9", given, 1), encoding="utf-8")
    city = City(profile.load(path))
    assert city.land.boundary.area / 1e6 == pytest.approx(465, rel=0.01)
    assert len(city.roads.xy) > 4000
    assert contains(city.land.boundary, city.places.xy).all()
    path.write_text(path.read_text(encoding="utf-8").replace("반곡동", "반공동"), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"no feature of sejong\.geojson has EMD_KOR_NM = '반공동'"):
        _ = City(profile.load(path)).land


@given(st.floats(-170, 170), st.floats(-70, 70), st.floats(-0.3, 0.3), st.floats(-0.25, 0.25))
@settings(max_examples=60, deadline=None)
def test_the_plane_goes_there_and_back(lon: float, lat: float, east: float, north: float) -> None:
    plane = Plane(lon, lat)
    point = np.array([[lon + east, lat + north]])
    assert plane.lonlat(plane.xy(point)) == pytest.approx(point, abs=1e-9)
