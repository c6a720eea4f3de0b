"""Roads from tables of links: Korea's standard node-link, link pairs, and what is wrong with a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from hanmaru.ride.domain import RideError
from hanmaru.ride.roads import links
from hanmaru.ride.roads.graph import CLASSES, NO_STOPPING
from hanmaru.ride.roads.read import imported

from .roads import published

HEADER = "LINK_ID,F_NODE,T_NODE,LANES,ROAD_RANK,ROAD_TYPE,ROAD_USE,MAX_SPD,LENGTH,wkt"
ROWS = [
    '3180001,10,20,2,104,000,0,60,890,"LINESTRING (127.28 36.50, 127.29 36.50)"',
    '3180002,20,30,1,107,004,0,,,"LINESTRING (127.29 36.50, 127.295 36.505, 127.29 36.51)"',
    '3180003,30,10,1,107,000,0,30,,"LINESTRING (127.29 36.51, 127.28 36.50)"',
    '3180004,20,10,1,107,000,1,30,,"LINESTRING (127.29 36.50, 127.28 36.50)"',
]


def table(path: Path, rows: list[str], header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join([header, *rows]), encoding=encoding)
    return path


def test_the_standard_node_link(tmp_path: Path) -> None:
    turns = table(
        tmp_path / "turns.csv",
        ["20,1,3180001,3180002,003,0", "30,1,3180002,3180003,001,0", "9,1,1,2,101,0"],
        "NODE_ID,TURN_ID,ST_LINK,ED_LINK,TURN_TYPE,TURN_OPER",
    )
    graph, found = links.read(table(tmp_path / "link.csv", ROWS), turns=turns)
    assert found == {"links": 3, "closed links": 1, "forbidden turns": 1}
    by = {int(w): i for i, w in enumerate(graph.way)}
    assert graph.limit_kmh[[by[3180001], by[3180002], by[3180003]]].tolist() == [60, 50, 30]
    assert CLASSES[graph.road_class[by[3180001]]] == "secondary"
    assert graph.length_m[by[3180001]] == 890
    assert graph.length_m[by[3180002]] == pytest.approx(1430, rel=0.01)
    assert graph.flags[by[3180002]] == NO_STOPPING, "a tunnel"
    assert graph.way[graph.banned].tolist() == [3180001, 3180002]


def test_a_file_of_korean_offices(tmp_path: Path) -> None:
    """CP949, and coordinates of the plane EPSG:5186."""
    plane = Transformer.from_crs(4326, 5186, always_xy=True)
    x, y = plane.transform([127.28, 127.29], [36.5, 36.5])
    row = f'1,10,20,"LINESTRING ({x[0]} {y[0]}, {x[1]} {y[1]})",한누리대로'
    path = table(tmp_path / "link.csv", [row], "LINK_ID,F_NODE,T_NODE,wkt,ROAD_NAME", "cp949")
    graph, _ = links.read(path)
    np.testing.assert_allclose(graph.lonlat, [[127.28, 36.5], [127.29, 36.5]], atol=1e-7)


def test_link_pairs_of_a_real_town_forbid_what_they_do_not_list() -> None:
    links_file, nodes_file = (
        published("fleet/sejong/public_Link.geojson"),
        published("fleet/sejong/public_Node.geojson"),
    )
    graph, found = links.read(links_file)
    assert found["links"] == len(graph.source) == 516
    assert found["forbidden turns"] == 24, "the node file calls as many left and right turns forbidden"
    again, _ = links.read(links_file, turns=nodes_file)
    assert again.digest == graph.digest
    kept = imported(str(links_file))
    assert kept.dropped_edges == 516 - len(kept.graph.source)
    assert kept.graph.length_m.sum() / graph.length_m.sum() > 0.7


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('5,10,20,2,104,000,0,sixty,890,"LINESTRING (127.28 36.5, 127.29 36.5)"', "line 2, column MAX_SPD: 'sixty'"),
        ('5,10,20,2,104,000,0,60,-4,"LINESTRING (127.28 36.5, 127.29 36.5)"', "line 2, column LENGTH: '-4'"),
        ("5,10,20,2,104,000,0,60,890,", "line 2: link 5 has no line"),
        ("5,10,20,2,104,000,0,60,890,LINESTRING 1", "line 2: the geometry is no WKT"),
        (',10,20,2,104,000,0,60,890,"LINESTRING (127.28 36.5, 127.29 36.5)"', "no value in column LINK_ID"),
        ("5,10,20,2,104,000,0,60,890,x,y,z", "line 2: 12 values for 10 columns"),
        ('5,10,20,2,104,000,0,60,890,"LINESTRING (900 36.5, 127.29 36.5)"', "neither lon, lat nor"),
        (ROWS[0] + "\n" + ROWS[0], "link 3180001 is there twice"),
        ("", "no road that a van may drive"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_row(tmp_path: Path, row: str, why: str) -> None:
    path = table(tmp_path / "link.csv", [row])
    with pytest.raises(RideError) as caught:
        links.read(path)
    assert why in str(caught.value)
    assert "link" in str(caught.value)


@given(
    st.one_of(
        st.binary(max_size=120),
        st.text(max_size=80).map(lambda t: f"LINK_ID,F_NODE,T_NODE,wkt\n{t}".encode()),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ).map(lambda v: b'{"features": [{"properties": {"LinkID": 1}, "geometry": ' + str(v).encode() + b"}]}"),
    ),
    st.sampled_from(["link.csv", "link.geojson"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_refused_in_one_line(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RideError) as caught:
        links.read(path)
    assert "link" in str(caught.value)
