"""The world and its views: whoever follows the frames sees what somebody sees who asks anew."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.centre.live import views
from hanmaru.centre.live.geometry import box_of, project, unproject
from hanmaru.centre.live.views import EVERY, View
from hanmaru.centre.live.world import LARGE, Declared, World, compact
from hanmaru.hub.client import EntityChange

DECLARED = Declared(
    (("c.air", "Air"), ("c.bus", "Bus"), ("c.bees", "Bees")),
    {"Air": frozenset({"pm25"}), "Bus": frozenset({"speed"}), "Bees": frozenset({EVERY})},
    {"Air": frozenset({"pm25"})},
    ("Bus",),
)
Z = 12
X, Y = (int(part * (1 << Z)) for part in project(127.3, 36.5))
WEST, NORTH = unproject(X / (1 << Z), Y / (1 << Z))
EAST, SOUTH = unproject((X + 1) / (1 << Z), (Y + 1) / (1 << Z))


def place(east: float, south: float) -> dict[str, Any]:
    """A point in the tile where both are from 0 to 1, else outside of it."""
    return {"type": "Point", "coordinates": [WEST + (EAST - WEST) * east, NORTH + (SOUTH - NORTH) * south]}


def entity(id: str, type: str, at: tuple[float, float] | None = (0.5, 0.5), **values: Any) -> dict[str, Any]:
    location = {} if at is None else {"location": place(*at)}
    return {"id": id, "type": type, "modifiedAt": "2026-11-01T00:00:00Z", **location, **values}


def change(seq: int, kind: Any, made: Mapping[str, Any], *touched: str) -> EntityChange:
    return EntityChange(seq, f"2026-11-01T00:00:{seq % 60:02}Z", kind, made["id"], [made["type"]], touched, dict(made))


class Viewer:
    """Somebody who follows a view's events, as the browser does."""

    def __init__(self) -> None:
        self.entities: dict[str, tuple[str, dict[str, Any]]] = {}
        self.clusters: dict[int, Any] = {}
        self.seq = -1

    def hear(self, body: bytes) -> None:
        for block in body.decode().strip().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n"))
            data = msgspec.json.decode(lines["data"])
            if lines["event"] == "tile":
                self.entities, self.clusters = {}, {}
                self._set(data["features"])
            else:
                assert data["after"] <= self.seq
                for id in data["gone"]:
                    self.entities.pop(id, None)
                self._set(data["set"])
            for cell, lon, lat, counts in data["clusters"]:
                self.clusters.pop(cell, None)
                if counts:
                    self.clusters[cell] = (lon, lat, counts)
            self.seq = data["seq"]

    def _set(self, features: dict[str, list[Any]]) -> None:
        for types, entries in features.items():
            for id, values in entries:
                merged = {**self.entities.get(id, ("", {}))[1], **values}
                self.entities[id] = (types, {name: value for name, value in merged.items() if value is not None})


IDS = [f"e{n}" for n in range(9)]
SPOT = st.tuples(st.sampled_from([-0.2, 0.05, 0.06, 0.3, 0.95, 1.3]), st.sampled_from([0.05, 0.07, 0.5, 1.1]))
STEP = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(IDS), st.sampled_from(["Air", "Bus", "Other"]), SPOT, st.integers(0, 9)),
    st.tuples(st.just("area"), st.sampled_from(IDS), st.just("Air"), SPOT, st.integers(0, 9)),
    st.tuples(st.just("nowhere"), st.sampled_from(IDS), st.just("Air"), SPOT, st.integers(0, 9)),
    st.tuples(st.just("delete"), st.sampled_from(IDS), st.just("Air"), SPOT, st.just(0)),
    st.tuples(st.just("tell"), st.just(""), st.just(""), SPOT, st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=60), st.integers(0, 20))
def test_frames_lead_to_what_the_whole_says(steps: list[Any], joins: int) -> None:
    before = views.MOST_POINTS
    views.MOST_POINTS = 3
    try:
        world = World(DECLARED)
        looked_at = [View(world, tile=(Z, X, Y)), View(world, type="Air"), View(world, id="e1")]
        for view in looked_at:
            world.attach(view)
        viewers = [Viewer() for _ in looked_at]
        for viewer, view in zip(viewers, looked_at, strict=True):
            viewer.hear(view.whole())
        for seq, (kind, id, type, at, value) in enumerate(steps, 1):
            known = world.entities.get(id)
            made = entity(id, type, None if kind == "nowhere" else at, pm25=value, speed=value, other=[value])
            if kind == "area":
                made["location"] = {"type": "LineString", "coordinates": [place(*at)["coordinates"], [127.3, 36.5]]}
            if kind == "delete":
                world.apply([change(seq, "deleted", made)])
            elif kind != "tell":
                world.apply(
                    [change(seq, "updated" if known else "created", made, "pm25", "speed", "other", "location")]
                )
            if kind == "tell" or seq == len(steps):
                for viewer, view in zip(viewers, looked_at, strict=True):
                    if frame := view.take():
                        viewer.hear(frame.body)
            if seq == joins:
                viewers[0] = Viewer()
                viewers[0].hear(looked_at[0].whole())
        for viewer, view in zip(viewers, looked_at, strict=True):
            fresh, anew = Viewer(), Viewer()
            fresh.hear(view.whole())
            anew.hear(
                View(world, tile=view.tile, type=view.type, id=view.id).whole()  # made of the world as it is now
            )
            assert viewer.entities == fresh.entities == anew.entities
            assert viewer.clusters == fresh.clusters
            assert {cell: counts for cell, (*_, counts) in viewer.clusters.items()} == {
                cell: counts for cell, (*_, counts) in anew.clusters.items()
            }
    finally:
        views.MOST_POINTS = before


def test_a_crowded_tile_is_clusters_with_counts_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_POINTS", 4)
    world = World(DECLARED)
    world.load([entity(f"a{n}", "Air", (0.06, 0.06)) for n in range(3)])
    world.load([entity("b1", "Bus", (0.05, 0.05)), entity("b2", "Bus", (0.9, 0.9))])
    content = world.tile(Z, X, Y)
    assert content["counts"] == {"c.air": 3, "c.bus": 2}
    ((cell, lon, lat, counts),) = content["clusters"]
    assert (cell, counts) == (0, {"c.air": 3, "c.bus": 1})
    assert (lon, lat) == pytest.approx((WEST + (EAST - WEST) * 0.0575, NORTH + (SOUTH - NORTH) * 0.0575), abs=1e-5)
    assert [id for id, _ in content["features"]["Bus"]] == ["b2"]
    assert world.tile(Z, X, Y, ["c.bus"])["clusters"] == []


def test_a_tile_between_two_states_does_not_flicker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_POINTS", 10)
    world = World(DECLARED)
    world.load([entity(f"a{n}", "Air", (n / 20, 0.5)) for n in range(11)])
    view = View(world, tile=(Z, X, Y))
    world.attach(view)
    world.remove("a0")
    frame = view.take()
    assert frame is not None
    assert b"event: frame" in frame.body, "10 of 10 stay as they were drawn"
    for n in range(1, 4):
        world.remove(f"a{n}")
    frame = view.take()
    assert frame is not None
    assert b"event: tile" in frame.body, "with 7 the tile comes apart, whole"


def test_only_what_is_declared_travels() -> None:
    world = World(DECLARED)
    world.load([entity("a", "Air", pm25=1, secret=2), entity("b", "Bees", any=3), entity("c", "Other", pm25=1)])
    assert set(world.entities["a"].values) == {"location", "pm25", "modifiedAt"}
    assert world.entities["b"].values["any"] == 3
    assert "c" not in world.entities
    view = View(world, tile=(Z, X, Y))
    world.attach(view)
    world.apply([change(1, "updated", entity("a", "Air", pm25=5, secret=3), "pm25", "secret")])
    frame = view.take()
    assert frame is not None
    assert b"secret" not in frame.body


def test_an_entity_that_somebody_looks_at_is_there_with_everything_whatever_its_type() -> None:
    world = World(DECLARED)
    view = View(world, id="c")
    world.attach(view)
    world.load([entity("c", "Other", any=3)])
    assert view.take() is not None
    assert view.content()["features"]["Other"][0][1]["any"] == 3
    world.detach(view)
    assert "c" not in world.entities
    assert (world.views, world.watched, world.listed) == ({}, {}, {})


def test_a_view_goes_on_from_where_a_viewer_is_or_says_that_it_cannot() -> None:
    world = World(DECLARED)
    world.load([entity("a", "Air", pm25=0)], 1)
    view = View(world, tile=(Z, X, Y))
    world.attach(view)
    for seq in range(2, views.RING + 5):
        world.apply([change(seq, "updated", entity("a", "Air", pm25=seq), "pm25")])
        view.take()
    assert view.find(view.seq) == view.end
    assert view.find(view.seq - 2) == view.end - 2
    assert view.find(1) is None, "longer ago than the ring goes back"
    assert view.find(view.seq + 1) is None, "from another hub's past"
    assert view.since(0) is None
    assert len(view.frames) == views.RING


def test_the_city_is_counted_as_it_changes() -> None:
    world = World(DECLARED)
    world.load([entity(f"a{n}", "Air", pm25=n) for n in range(4)])
    world.load([entity(f"b{n}", "Bus", dateObserved=f"2026-11-0{n + 1}T00:00:00Z") for n in range(6)])
    world.apply([change(1, "updated", entity("a0", "Air", pm25=10), "pm25"), change(2, "deleted", entity("a3", "Air"))])
    city = world.city()
    assert city["counts"] == {"Air": 3, "Bus": 6, "Bees": 0}
    assert city["means"] == {"Air": {"pm25": [pytest.approx((10 + 1 + 2) / 3), 3]}}
    assert [id for id, _ in city["newest"]["Bus"]] == ["b5", "b4", "b3", "b2"]


def test_a_world_is_bounded() -> None:
    world = World(DECLARED, most=2)
    world.load([entity(f"a{n}", "Air") for n in range(3)])
    assert len(world.entities) == 2
    assert world.truncated


def test_lines_are_in_every_tile_that_they_meet() -> None:
    world = World(DECLARED)
    line = {"type": "LineString", "coordinates": [place(-0.5, 0.5)["coordinates"], place(0.5, 0.5)["coordinates"]]}
    around = {"type": "LineString", "coordinates": [[100, 10], [150, 60]]}
    world.load([{"id": "l", "type": "Air", "location": line}, {"id": "g", "type": "Air", "location": around}])
    for x in (X - 1, X):
        assert {id for id, _ in world.tile(Z, x, Y)["features"]["Air"]} == {"l", "g"}
    assert {id for id, _ in world.tile(2, 3, 1)["features"]["Air"]} == {"l", "g"}
    world.remove("g")
    assert world.tile(Z, X + 2, Y)["features"] == {}


def test_a_box_is_around_any_geometry() -> None:
    assert box_of({"type": "Polygon", "coordinates": "no"}) is None
    assert box_of({"type": "GeometryCollection", "geometries": [place(0.5, 0.5), place(0, 0)]}) is not None
    lon, lat = unproject(*project(127.3, 36.5))
    assert (lon, lat) == pytest.approx((127.3, 36.5))


def test_large_values_stay_out_and_instants_are_plain() -> None:
    at = {"@type": "DateTime", "@value": "2026-11-01T00:00:00Z"}
    values = compact({"id": "x", "at": at, "large": ["x" * LARGE], "location": {"x": "y" * LARGE}, "n": 1})
    assert set(values) == {"at", "location", "n"}
    assert values["at"] == "2026-11-01T00:00:00Z"
