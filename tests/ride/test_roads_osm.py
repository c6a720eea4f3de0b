"""OpenStreetMap's tags, each in a file of a few lines."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import RideError
from hanmaru.ride.roads import limits, osm
from hanmaru.ride.roads.graph import ACCESSIBLE, CLASSES, INACCESSIBLE, NO_STOPPING, ROUNDABOUT, RoadGraph
from hanmaru.ride.roads.turns import expand

NODES = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (1, 1), 5: (1, -1), 6: (2, 1)}


def osm_file(
    path: Path, ways: dict[int, tuple[list[int], dict[str, str]]], *, relations: str = "", tags: str = ""
) -> Path:
    """Write six nodes 1 km apart (2 in the middle of a cross; ``tags`` are node 2's), ways and relations as XML."""
    nodes = "".join(
        f'<node id="{i}" version="1" lat="{36.5 + y / 111}" lon="{127.28 + x / 89.7}">{tags if i == 2 else ""}</node>'
        for i, (x, y) in NODES.items()
    )
    lines = "".join(
        f'<way id="{i}" version="1">'
        + "".join(f'<nd ref="{n}"/>' for n in refs)
        + "".join(f'<tag k="{k}" v="{v}"/>' for k, v in own.items())
        + "</way>"
        for i, (refs, own) in ways.items()
    )
    path.write_text(f'<osm version="0.6">{nodes}{lines}{relations}</osm>', encoding="utf-8")
    return path


def relation(kind: str, origin: int, via: str, goal: int, **tags: str) -> str:
    what, ref = via.split()
    more = "".join(f'<tag k="{k}" v="{v}"/>' for k, v in tags.items())
    return (
        f'<relation id="9" version="1"><member type="way" ref="{origin}" role="from"/>'
        f'<member type="{what}" ref="{ref}" role="via"/><member type="way" ref="{goal}" role="to"/>'
        f'<tag k="type" v="restriction"/><tag k="restriction" v="{kind}"/>{more}</relation>'
    )


def links(graph: RoadGraph) -> set[tuple[int, int]]:
    """Return the edges as pairs of the nodes' ids."""
    id_of = {(round(x), round(y)): i for i, (x, y) in NODES.items()}
    node = [id_of[round((lon - 127.28) * 89.7), round((lat - 36.5) * 111)] for lon, lat in graph.lonlat.tolist()]
    return {(node[a], node[b]) for a, b in zip(graph.source.tolist(), graph.target.tolist(), strict=True)}


def turns(graph: RoadGraph) -> set[tuple[int, ...]]:
    """Return the banned sequences as the ways of their edges."""
    firsts = graph.banned_first.tolist()
    return {tuple(graph.way[graph.banned[a:b]].tolist()) for a, b in pairwise(firsts)}


BOTH, AHEAD, BACK = {(1, 2), (2, 1)}, {(1, 2)}, {(2, 1)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"highway": "residential"}, BOTH),
        ({"highway": "primary", "oneway": "yes"}, AHEAD),
        ({"highway": "primary", "oneway": "-1"}, BACK),
        ({"highway": "motorway"}, AHEAD),
        ({"highway": "motorway", "oneway": "no"}, BOTH),
        ({"highway": "tertiary", "junction": "roundabout"}, AHEAD),
        ({"highway": "residential", "oneway": "yes", "oneway:motor_vehicle": "no"}, BOTH),
        ({"highway": "residential", "oneway": "reversible"}, set()),
        ({"highway": "footway"}, set()),
        ({"highway": "service", "service": "parking_aisle"}, set()),
        ({"highway": "residential", "access": "private"}, set()),
        ({"highway": "residential", "access": "no", "motor_vehicle": "yes"}, BOTH),
        ({"highway": "residential", "vehicle": "no"}, set()),
        ({"highway": "residential", "access": "destination"}, BOTH),
        ({"highway": "road"}, BOTH),
        ({"highway": "construction"}, set()),
        ({"highway": "primary", "area": "yes"}, set()),
    ],
)
def test_who_may_drive_which_way(tmp_path: Path, tags: dict[str, str], expected: set[tuple[int, int]]) -> None:
    path = osm_file(tmp_path / "a.osm", {1: ([1, 2], tags), 2: ([5, 2], {"highway": "service"})})
    graph, _ = osm.read(path)
    assert links(graph) - {(2, 5), (5, 2)} == expected


@pytest.mark.parametrize(
    ("tags", "kmh"),
    [
        ({}, 50),
        ({"maxspeed": "30"}, 30),
        ({"maxspeed": "30 mph"}, 48.28),
        ({"maxspeed": "KR:urban"}, 50),
        ({"maxspeed": "DE:rural"}, 100),
        ({"maxspeed": "DE:zone30"}, 30),
        ({"maxspeed": "walk"}, 10),
        ({"maxspeed": "none"}, 100),
        ({"maxspeed": "60;40"}, 40),
        ({"maxspeed": "fast"}, 50),
        ({"maxspeed": "0"}, 50),
        ({"maxspeed": "9999"}, 50),
        ({"zone:maxspeed": "KR:30"}, 30),
        ({"maxspeed": "50", "maxspeed:forward": "70"}, 70),
    ],
)
def test_speed_limits(tmp_path: Path, tags: dict[str, str], kmh: float) -> None:
    graph, _ = osm.read(osm_file(tmp_path / "a.osm", {1: ([1, 2], {"highway": "primary", "oneway": "yes", **tags})}))
    assert graph.limit_kmh.tolist() == [pytest.approx(kmh, abs=0.01)]


def test_every_country_has_every_class() -> None:
    for code in limits.countries():
        assert set(limits.of_country(code)) == {*CLASSES, "urban", "rural", "walk"}
    with pytest.raises(RideError, match="take one of KR"):
        limits.of_country("XX")


CROSS = {
    12: ([1, 2], {"highway": "primary"}),
    23: ([2, 3], {"highway": "primary"}),
    24: ([2, 4], {"highway": "primary"}),
    25: ([2, 5], {"highway": "primary"}),
    46: ([4, 6], {"highway": "primary"}),
}


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        (relation("no_left_turn", 12, "node 2", 24), {(12, 24)}),
        (relation("only_straight_on", 12, "node 2", 23), {(12, 12), (12, 24), (12, 25)}),
        (relation("no_u_turn", 12, "node 2", 12), {(12, 12)}),
        (relation("no_left_turn", 12, "node 2", 24, **{"except": "bus;motorcar"}), set()),
        (relation("no_left_turn", 12, "node 2", 24, **{"except": "bicycle"}), {(12, 24)}),
        (relation("no_right_turn", 12, "way 24", 46), {(12, 24, 46)}),
        (relation("only_right_turn", 12, "way 24", 46), {(12, 24, 24)}),
        (relation("no_left_turn", 12, "node 77", 24), set()),
        (relation("no_left_turn", 12, "node 2", 99), set()),
        (relation("no_left_turn", 12, "node 3", 24), set()),
        (relation("weird", 12, "node 2", 24), set()),
        (relation("no_left_turn", 12, "way 46", 25), set()),
    ],
)
def test_turn_restrictions(tmp_path: Path, relations: str, expected: set[tuple[int, ...]]) -> None:
    graph, _ = osm.read(osm_file(tmp_path / "a.osm", CROSS, relations=relations))
    assert turns(graph) == expected
    expand(graph)


def test_nobody_drives_through_a_bollard(tmp_path: Path) -> None:
    def drawn(tags: str) -> int:
        graph, _ = osm.read(osm_file(tmp_path / "a.osm", {1: ([1, 2, 3], {"highway": "residential"})}, tags=tags))
        return len(graph.lonlat)

    assert drawn('<tag k="barrier" v="bollard"/>') == 4, "two streets, each with an end of its own"
    assert drawn('<tag k="barrier" v="gate"/><tag k="access" v="private"/>') == 4
    assert drawn('<tag k="barrier" v="gate"/>') == 2
    assert drawn('<tag k="barrier" v="bollard"/><tag k="motor_vehicle" v="yes"/>') == 2


def test_where_nobody_may_stop_and_what_a_wheelchair_can_use(tmp_path: Path) -> None:
    ways = {
        1: ([1, 2], {"highway": "primary", "oneway": "yes", "tunnel": "yes"}),
        2: ([2, 3], {"highway": "primary", "oneway": "yes", "junction": "roundabout"}),
        3: ([2, 4], {"highway": "primary", "oneway": "yes", "sidewalk": "right"}),
        4: ([2, 5], {"highway": "primary", "oneway": "yes", "sidewalk": "left"}),
        5: ([4, 6], {"highway": "primary", "oneway": "yes", "sidewalk": "both", "sidewalk:right:width": "0.9"}),
        6: ([6, 3], {"highway": "motorway"}),
        7: ([3, 5], {"highway": "primary", "oneway": "yes", "parking:right:restriction": "no_stopping"}),
    }
    graph, _ = osm.read(osm_file(tmp_path / "a.osm", ways))
    flags = dict(zip(graph.way.tolist(), graph.flags.tolist(), strict=True))
    assert flags == {
        1: NO_STOPPING,
        2: ROUNDABOUT,
        3: ACCESSIBLE,
        4: INACCESSIBLE,
        5: INACCESSIBLE,
        6: NO_STOPPING,
        7: NO_STOPPING,
    }


def test_a_bad_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(RideError, match="no such file"):
        osm.read(tmp_path / "none.osm.pbf")
    empty = tmp_path / "empty.osm"
    empty.write_text('<osm version="0.6"></osm>')
    with pytest.raises(RideError, match="no road that a van may drive"):
        osm.read(empty)


@given(st.binary(max_size=200), st.sampled_from(["a.osm", "a.osm.pbf"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RideError, match=name) as caught:
        osm.read(path)
    assert "\n" not in str(caught.value)
