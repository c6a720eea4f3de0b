"""Instances as published, and what is said about files that are none."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmaru.ride.domain import RideError
from hanmaru.ride.instances import read
from tests.ride.instances_of_chance import CORDEAU, LILIM

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data"))


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "instance.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_li_and_lim_is_seen_from_its_content(tmp_path: Path) -> None:
    problem = read(written(tmp_path, LILIM.replace("\n", "\r\n")))
    assert (problem.fleet_first, problem.vehicles, problem.capacity) == (True, 2, 10)
    assert (problem.pickup.tolist(), problem.delivery.tolist()) == ([1, 2], [3, 4])
    assert problem.travel[0, 1] == 5
    assert (problem.open[3], problem.close[3], problem.service[3], problem.load[3]) == (0, 90, 1, -2)
    assert problem.max_ride == problem.max_route == float("inf")


@pytest.mark.parametrize("text", [CORDEAU, CORDEAU.replace("2 2 100", "2 4 100").rsplit("5 0.0 0.0", 1)[0]])
def test_cordeau_is_read_with_and_without_the_depot_again(tmp_path: Path, text: str) -> None:
    problem = read(written(tmp_path, text))
    assert (problem.fleet_first, problem.vehicles, problem.capacity) == (False, 2, 3)
    assert (problem.pickup.tolist(), problem.delivery.tolist()) == ([1, 2], [3, 4])
    assert (problem.max_route, problem.max_ride) == (100, 30)
    assert len(problem.open) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("1 2\n", "line 1: the first line has 3 numbers"),
        ("1 2 3\n0 1 2\n", "line 2: a line like this has 9 numbers in the format lilim, not 3"),
        (LILIM.replace("\t50\t1\t0\t3", "\tfifty\t1\t0\t3"), "line 3, column 6: 'fifty' is no number"),
        (LILIM.replace("\t50\t1\t0\t3", "\t1e99\t1\t0\t3"), "line 3, column 6: '1e99' is no number up to 1e+09"),
        (LILIM.replace("\t50\t1\t0\t3", "\tnan\t1\t0\t3"), "line 3, column 6"),
        (LILIM.replace("2\t10\t1", "0\t10\t1"), "line 1: column 1 (vehicles) is a whole number from 1"),
        (LILIM.replace("2\t10\t1", "2\t1\t1"), "line 3: column 4 (load) is more than a vehicle's capacity, 1"),
        (LILIM.replace("\t0\t3\n", "\t0\t9\n"), "line 3: column 9 (delivery) is a whole number from 0 to 4, not 9"),
        (LILIM.replace("\t0\t3\n", "\t2\t3\n"), "line 3: columns 8 and 9"),
        (LILIM.replace("\t0\t3\n", "\t0\t4\n"), "line 3: place 4 does not name place 1 as its partner"),
        (LILIM.replace("\t-2\t", "\t-1\t"), "line 3: column 4 (load) 2 does not match its partner's -1"),
        (LILIM.replace("4\t5\t0", "7\t5\t0"), "line 6: column 1 (place) is a whole number from 4 to 4, not 7"),
        (LILIM.replace("\t0\t50\t1\t0\t3", "\t60\t50\t1\t0\t3"), "line 3: column 6 (close) is 60 or more, not 50"),
        (LILIM.replace("1\t0\t3", "-1\t0\t3"), "line 3: column 7 (service) is 0 or more, not -1"),
        (CORDEAU.replace("2 2 100", "2 7 100"), "column 2 says 7, which needs 16 or 8 places, but 6 follow"),
        (CORDEAU.replace("5 0.0 0.0", "5 0.0 1.0"), "line 7: the last place is the depot again"),
        (CORDEAU.replace("1 -1 0 90", "1 1 0 90", 1), "line 5: column 5 (load) 1 does not match its pick-up's 1"),
        (CORDEAU.replace("100 3 30", "-1 3 30"), "line 1: column 3 (longest route) is 0 or more, not -1"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RideError) as caught:
        read(written(tmp_path, text))
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RideError, match="cannot be read"):
        read(tmp_path / "nothing.txt")
    with pytest.raises(RideError, match="in the format cordeau"):
        read(written(tmp_path, LILIM), "cordeau")


@settings(max_examples=150, deadline=None)
@given(
    base=st.sampled_from([LILIM, CORDEAU]),
    edits=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), max_size=4),
)
def test_a_damaged_file_is_an_instance_or_an_error_of_one_line(
    tmp_path_factory: pytest.TempPathFactory, base: str, edits: list[tuple[int, bytes]]
) -> None:
    content = base.encode()
    for at, put in edits:
        content = content[:at] + put + content[at + 1 :]
    try:
        problem = read(written(tmp_path_factory.getbasetemp(), content))
    except RideError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert len(problem.open) == 2 * len(problem.pickup) + 1


@pytest.mark.skipif(not (DATA / "pdptw").is_dir(), reason="Li & Lim's instances are not at HANMARU_TEST_DATA")
def test_every_published_instance_is_read() -> None:
    lilim = [read(path) for path in (DATA / "pdptw").glob("l*.txt")]
    cordeau = [read(path) for path in (*(DATA / "darp").glob("*/a*-*.txt"), *(DATA / "darp").glob("*/pr??"))]
    assert (len(lilim), len(cordeau)) == (39, 34)
    assert all(problem.fleet_first for problem in lilim)
    assert not any(problem.fleet_first for problem in cordeau)
    assert all(problem.name.endswith(f"-{len(problem.pickup)}") for problem in cordeau if problem.name[0] == "a")
